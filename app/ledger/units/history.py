"""A unit's life as it came to be known: made, changed, held, leased, handed back.

Everything is read from rows that are only ever added or closed, each at one instant. So what is
told as of an instant never changes: later events come after it.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Date,
    DateTime,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.inventory.known import believed, require_past
from app.inventory.places import id_or_none
from app.kernel.errors import NotFoundError
from app.kernel.terms import LeaseEventKind, Term
from app.ledger.units.words import amount_en, amount_zh, changes_en, changes_zh
from app.models.space import Unit
from app.security.actors import Actor, ActorKind


class HistoryKind(Term):
    """What happened: to the unit itself, or to what is promised of it."""

    CREATED = "created", "建档", "Recorded"
    TERMS_CHANGED = "terms_changed", "条件变更", "Terms changed"
    REMEASURED = "remeasured", "面积重测", "Re-measured"
    SPLIT = "split", "拆分", "Split"
    MERGED = "merged", "合并", "Merged"
    HELD = "held", "锁定", "Held"
    HOLD_RELEASED = "hold_released", "锁定释放", "Hold released"
    HOLD_EXPIRED = "hold_expired", "锁定过期", "Hold expired"
    LEASED = "leased", "签约", "Leased"
    LEASE_UNDONE = "lease_undone", "撤销租约", "Lease undone"
    WORKS = "works", "施工", "Works planned"
    OUT_OF_SERVICE = "out_of_service", "停用", "Taken out of service"
    CLEARING = "clearing", "清退", "Clearing planned"
    RESERVATION = "reservation", "预留", "Reserved"
    CALLED_OFF = "called_off", "取消", "Called off"
    EXTENDED = "extended", LeaseEventKind.EXTENDED.zh, LeaseEventKind.EXTENDED.en
    TERMINATED = "terminated", LeaseEventKind.TERMINATED.zh, LeaseEventKind.TERMINATED.en
    HANDED_OVER = "handed_over", LeaseEventKind.HANDED_OVER.zh, LeaseEventKind.HANDED_OVER.en
    HANDED_BACK = "handed_back", LeaseEventKind.HANDED_BACK.zh, LeaseEventKind.HANDED_BACK.en
    CLEARED = "cleared", LeaseEventKind.CLEARED.zh, LeaseEventKind.CLEARED.en


_KINDS = {kind.value: kind for kind in HistoryKind}
#: Their day is the lease's new end: the first one that it does not have.
_MOVES_END = frozenset({HistoryKind.EXTENDED, HistoryKind.TERMINATED})

#: Instants, each with its kind. ``rank`` puts what happens at one instant in the order of causes.
#: A claim that an event of its unit moved is told by that event.
_FIRST = """first AS (
        SELECT min(known_from) AS at FROM unit_terms WHERE id = :unit
    )"""
_MINE = """mine AS (
        SELECT c.*, before.kind AS before_kind, CASE WHEN before.unit_id <> c.unit_id
            THEN was.code END AS before_unit
        FROM claims c LEFT JOIN claims before ON before.id = c.supersedes_id
        LEFT JOIN units was ON was.id = before.unit_id WHERE c.unit_id = :unit
    )"""
_OF_UNIT = """
    SELECT u.id AS entry_id, f.at, 0::smallint AS rank, 'created' AS kind,
        lower(u.usable) AS "from", upper(u.usable) AS until, NULL::uuid AS company_id,
        NULL::text AS by, json_build_object('leasable_area_m2', u.leasable_area_m2,
            'capacity', u.capacity, 'capacity_measure', u.capacity_measure) AS facts
    FROM first f JOIN unit_terms u ON u.id = :unit AND u.known_from = f.at
    WHERE NOT EXISTS (SELECT FROM unit_event_units p WHERE p.unit_id = :unit AND p.part = 'child')
        AND NOT EXISTS (SELECT FROM unit_terms s WHERE s.id = :unit AND s.known_from = f.at
            AND s.valid << u.valid)
    UNION ALL
    SELECT e.id, e.recorded_at, 1::smallint, e.kind, e.effective_on,
        (e.changes ->> 'until')::date, NULL, {by},
        json_build_object('event_id', e.id, 'part', p.part, 'reason', e.reason,
            'changes', e.changes, 'units', (
                SELECT json_agg(json_build_object('id', o.id, 'code', o.code, 'part', other.part)
                    ORDER BY other.part DESC, o.code)
                FROM unit_event_units other JOIN units o ON o.id = other.unit_id
                WHERE other.event_id = e.id))
    FROM unit_event_units p JOIN unit_events e ON e.id = p.event_id WHERE p.unit_id = :unit"""
_OF_LEDGER = """
    UNION ALL
    SELECT min(c.id::text)::uuid, lower(c.live), 2::smallint,
        CASE c.kind WHEN 'hold' THEN 'held' WHEN 'lease' THEN 'leased' ELSE c.kind END,
        min(lower(c.period)),
        CASE WHEN NOT bool_or(upper_inf(c.period)) THEN max(upper(c.period)) END,
        c.company_id, c.placed_by,
        json_build_object('commitment_id', c.commitment_id, 'quantity', max(c.quantity),
            'whole', bool_and(c.whole), 'moved_from', min(c.before_unit))
    FROM mine c
    WHERE c.before_kind IS NULL OR c.before_kind <> c.kind OR c.before_unit IS NOT NULL
    GROUP BY c.commitment_id, c.kind, lower(c.live), c.company_id, c.placed_by
    UNION ALL
    SELECT min(c.id::text)::uuid, upper(c.live), 3::smallint,
        CASE WHEN c.closed_by IS NULL THEN 'hold_expired' WHEN c.kind = 'hold' THEN 'hold_released'
            WHEN c.kind = 'lease' THEN 'lease_undone' ELSE 'called_off' END,
        min(lower(c.period)),
        CASE WHEN NOT bool_or(upper_inf(c.period)) THEN max(upper(c.period)) END,
        c.company_id, c.closed_by,
        json_build_object('commitment_id', c.commitment_id, 'quantity', max(c.quantity),
            'whole', bool_and(c.whole))
    FROM mine c
    WHERE upper(c.live) IS NOT NULL AND (c.kind = 'hold' OR c.closed_by IS NOT NULL)
        AND c.kind <> 'clearing'
        AND NOT EXISTS (SELECT FROM claims later WHERE later.supersedes_id = c.id)
        AND NOT EXISTS (
            SELECT FROM unit_event_units p JOIN unit_events e ON e.id = p.event_id
            WHERE p.unit_id = :unit AND e.recorded_at = upper(c.live) AND c.closed_by IS NOT NULL)
        AND NOT EXISTS (
            SELECT FROM lease_events e
            WHERE e.commitment_id = c.commitment_id AND e.recorded_at = upper(c.live))
    GROUP BY c.commitment_id, c.kind, upper(c.live), c.company_id, c.closed_by
    UNION ALL
    SELECT e.id, e.recorded_at, 4::smallint, e.kind, e.on_day, NULL, c.company_id, e.recorded_by,
        json_build_object('commitment_id', e.commitment_id, 'event_id', e.id, 'note', e.note)
    FROM lease_events e JOIN LATERAL (
        -- The rows believed just before, of which the last to begin by the day are meant.
        SELECT m.company_id FROM mine m
        WHERE m.commitment_id = e.commitment_id AND m.kind <> 'clearing'
            AND lower(m.live) < e.recorded_at
            AND (upper(m.live) IS NULL OR upper(m.live) >= e.recorded_at)
            AND lower(m.period) <= e.on_day
            AND NOT EXISTS (
                SELECT FROM claims o WHERE o.commitment_id = e.commitment_id
                    AND o.kind <> 'clearing' AND lower(o.live) < e.recorded_at
                    AND (upper(o.live) IS NULL OR upper(o.live) >= e.recorded_at)
                    AND lower(o.period) <= e.on_day AND lower(o.period) > lower(m.period))
        LIMIT 1
    ) c ON true"""
_COLUMNS = (
    Column("entry_id", Uuid),
    Column("at", DateTime(timezone=True)),
    Column("rank", SmallInteger),
    Column("kind", Text),
    Column("from", Date),
    Column("until", Date),
    Column("company_id", Uuid),
    Column("by", Text),
    Column("facts", JSON),
)
_LIFE = text(f"WITH {_FIRST}, {_MINE} {_OF_UNIT.format(by='e.recorded_by')} {_OF_LEDGER}").columns(
    *_COLUMNS
)
#: Of the unit alone, for those who may read nothing else.
_PUBLISHED_LIFE = text(f"WITH {_FIRST} {_OF_UNIT.format(by='NULL')}").columns(*_COLUMNS)
_COMPANIES = Table(
    "companies",
    MetaData(),
    Column("id", Uuid),
    Column("name_zh", Text),
    Column("name_en", Text),
)
#: Events of the unit itself, which anyone may read.
_OWN_RANK_MAX = 1


def unit_history(
    session: Session,
    actor: Actor,
    name: str,
    *,
    as_of: datetime | None,
    page: PageRequest,
    now: datetime,
) -> Page:
    """One page of what happened to a unit, in the order in which it came to be known.

    Staff of the park read all of it and who did it, firms what is theirs, everybody what happened
    to the unit itself.

    Raises:
        NotFoundError: there is no such unit, or it was not known then.
        InvalidInputError: ``as_of`` lies in the future.
    """
    require_past(as_of, now)
    unit = _find(session, name)
    everyone = actor.is_staff and (actor.park_ids is None or unit.park_id in actor.park_ids)
    public = actor.kind is ActorKind.PUBLIC
    told = _PUBLISHED_LIFE if public else _LIFE
    life = told.bindparams(bindparam("unit", unit.id, Uuid)).subquery("life")
    company = _COMPANIES.c
    visible = [life.c.at <= believed(as_of)]
    if not everyone:
        own = life.c.rank <= _OWN_RANK_MAX
        theirs = and_(life.c.company_id == literal(actor.company_id, Uuid))
        visible.append(own if actor.company_id is None else or_(own, theirs))
    shown = [life.c[name] for name in ("at", "kind", "from", "until", "company_id", "facts")]
    if everyone:
        shown += [
            life.c.by,
            company.name_zh.label("company_zh"),
            company.name_en.label("company_en"),
        ]
    page_read = fetch_page(
        session,
        select(*shown)
        .select_from(
            life.outerjoin(_COMPANIES, company.id == life.c.company_id) if everyone else life
        )
        .where(*visible),
        order=[Sort(life.c.at), Sort(life.c.rank), Sort(life.c.entry_id)],
        page=page,
        scope=f"history {unit.id} {as_of} {actor.label}",
    )
    return replace(page_read, rows=[_told(row, unit.capacity_measure) for row in page_read.rows])


def _find(session: Session, name: str) -> Any:
    id_ = id_or_none(name)
    same = Unit.code == name if id_ is None else Unit.id == id_
    unit = None
    if "\0" not in name:
        unit = session.execute(
            select(Unit.id, Unit.park_id, Unit.capacity_measure).where(same)
        ).one_or_none()
    if unit is None:
        shown = name.replace("\0", "")[:100]
        raise NotFoundError(
            f"no unit has the code or id {shown!r}", detail_zh=f"没有编码或编号为 {shown!r} 的单元"
        )
    return unit


def _told(row: str, measure: str) -> str:
    """A row with words for people, and its references as members.

    ``measure`` is what the unit's quantities count; it never changes.
    """
    found = json.loads(row)
    facts = found.pop("facts")
    kind = _KINDS[found["kind"]]
    days = found.pop("from"), found.pop("until")
    entry = {
        "at": found.pop("at"),
        "kind": kind.value,
        "kind_zh": kind.zh,
        "kind_en": kind.en,
        "from": days[0],
        "until": days[1],
        "text_en": _text_en(kind, {**found, "measure": measure}, facts, days),
        "text_zh": _text_zh(kind, {**found, "measure": measure}, facts, days),
        **{name: value for name, value in found.items() if name != "kind"},
        "refs": facts,
    }
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def _text_en(
    kind: HistoryKind,
    row: Mapping[str, Any],
    facts: Mapping[str, Any],
    days: tuple[str, str | None],
) -> str:
    start, until = days
    span = f"from {start}" + (f" until {until}" if until else "")
    others = ", ".join(_others(facts))
    if kind is HistoryKind.CREATED:
        return f"recorded with {amount_en(facts['leasable_area_m2'], 'm2')}, usable {span}"
    if kind in {HistoryKind.TERMS_CHANGED, HistoryKind.REMEASURED}:
        changes = changes_en(facts["changes"]["values"], row["measure"])
        return f"{kind.en.lower()} {span}: {changes}" if changes else f"{kind.en.lower()} {span}"
    if kind is HistoryKind.SPLIT:
        made = f"made by splitting {others}"
        return f"{made} {span}" if facts["part"] == "child" else f"split into {others} {span}"
    if kind is HistoryKind.MERGED:
        made = f"made by merging {others}"
        return f"{made} {span}" if facts["part"] == "child" else f"merged into {others} {span}"
    whom = f", {row['company_en']}" if row.get("company_en") else ""
    if "quantity" not in facts:
        when = f"until {start}" if kind in _MOVES_END else f"on {start}"
        return f"{kind.en.lower()} {when}{whom}"
    much = "the whole" if facts["whole"] else amount_en(facts["quantity"], row["measure"])
    moved = f", moved here from {facts['moved_from']}" if facts.get("moved_from") else ""
    return f"{kind.en.lower()}: {much} {span}{whom}{moved}"


def _text_zh(
    kind: HistoryKind,
    row: Mapping[str, Any],
    facts: Mapping[str, Any],
    days: tuple[str, str | None],
) -> str:
    start, until = days
    span = f"自 {start} 起" + (f"至 {until}（不含）" if until else "")
    others = "、".join(_others(facts))
    if kind is HistoryKind.CREATED:
        return f"建档，计租面积 {amount_zh(facts['leasable_area_m2'], 'm2')}，{span}可用"
    if kind in {HistoryKind.TERMS_CHANGED, HistoryKind.REMEASURED}:
        changes = changes_zh(facts["changes"]["values"], row["measure"])
        return f"{span}{kind.zh}：{changes}" if changes else f"{span}{kind.zh}"
    if kind in {HistoryKind.SPLIT, HistoryKind.MERGED}:
        made = facts["part"] == "child"
        return f"{span}由 {others} {kind.zh}而来" if made else f"{span}{kind.zh}为 {others}"
    whom = f"，{row['company_zh']}" if row.get("company_zh") else ""
    if "quantity" not in facts:
        when = f"{kind.zh}至 {start}（不含）" if kind in _MOVES_END else f"{start} {kind.zh}"
        return f"{when}{whom}"
    much = "整体" if facts["whole"] else f"其中 {amount_zh(facts['quantity'], row['measure'])}"
    moved = f"，由 {facts['moved_from']} 移入" if facts.get("moved_from") else ""
    return f"{kind.zh}：{much}，{span}{whom}{moved}"


def _others(facts: Mapping[str, Any]) -> list[str]:
    """The codes on the other side of a split or a merger."""
    return [unit["code"] for unit in facts.get("units") or () if unit["part"] != facts["part"]]
