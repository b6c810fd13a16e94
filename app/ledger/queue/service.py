"""Joining the line for space, standing in it, and leaving it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.inventory.columns import labelled
from app.inventory.known import believed
from app.kernel.terms import QueueOutcome
from app.ledger.orders import (
    Order,
    Wanted,
    company_of,
    database_now,
    lock,
    locked_units,
    require_days_to_come,
    require_offered_term,
    require_usable,
    sliced,
)
from app.ledger.queue.errors import (
    AlreadyHeldError,
    AlreadyInLineError,
    LeftLineError,
    LineLimitReachedError,
    NoSuchEntryError,
    SpaceIsFreeError,
)
from app.ledger.queue.line import Entry, QueueState, Standing
from app.ledger.queue.log import read_line
from app.models.claim import Claim
from app.models.company import Company
from app.models.queue import QueueEntry, QueueWant
from app.models.space import Unit
from app.security.actors import Actor, Role, Scope
from app.security.rows import whole_ledger

#: By the word that is stored.
OUTCOMES: dict[str, QueueOutcome] = {one.value: one for one in QueueOutcome}


@dataclass(frozen=True, slots=True)
class LineLimits:
    """How long an offer stands, and in how many lines a company may be at a time."""

    offer_hours: int
    entries_max: int


@dataclass(frozen=True, slots=True)
class EntryLine:
    """A unit that an entry waits for; no quantity is all of it."""

    unit_id: UUID
    unit_code: str
    park_id: UUID
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry and how it stands; ``in_line`` counts all that want some of the same."""

    entry: Entry
    standing: Standing
    in_line: int
    lines: tuple[EntryLine, ...]
    space_request_id: UUID | None
    outcome: QueueOutcome | None
    commitment_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySearch:
    """Which entries."""

    unit: UUID | None = None
    company_id: UUID | None = None
    in_line: bool | None = None
    as_of: datetime | None = None


def join_line(session: Session, actor: Actor, order: Order, limits: LineLimits) -> Waiting:
    """Join the line for units and days that others have, or wait for.

    Raises:
        AlreadyHeldError: the company has one of the units on some of the days.
        AlreadyInLineError: it waits for one of them already.
        LineLimitReachedError: it waits in too many lines.
        SpaceIsFreeError: there is nothing to wait for.
    """
    actor.require_firm_scope_or_staff(Scope.HOLDS_WRITE)
    company_id = company_of(session, actor, order)
    session.execute(
        select(Company.id).where(Company.id == company_id).with_for_update(key_share=True)
    )
    units = locked_units(session, actor, order)
    period = Range(order.period.start, order.period.end)
    require_usable(session, units, period)
    sliced(session, units, period)
    now = database_now(session)
    require_days_to_come(order.period, now)
    if not actor.is_staff:
        require_offered_term(units, order.period)
    # What it has and waits for elsewhere counts too.
    with whole_ledger(session):
        _require_new(
            session,
            company_id,
            wanted=order.units,
            period=period,
            now=now,
            most=limits.entries_max,
        )
    # Not asked back: an entry of no unit yet is of no park.
    entry_id = uuid4()
    session.execute(
        insert(QueueEntry).values(
            id=entry_id,
            company_id=company_id,
            space_request_id=order.space_request_id,
            period=period,
            offer_hours=limits.offer_hours,
            joined_at=now,
            joined_by=actor.label,
        )
    )
    session.execute(
        insert(QueueWant),
        [
            {
                "entry_id": entry_id,
                "unit_id": row.id,
                # All of it stays all of it, whatever is measured later.
                "quantity": None if one.quantity == row.capacity else one.quantity,
            }
            for one, row in units
        ],
    )
    made = get_entry(session, actor, entry_id)
    if made.standing.state is QueueState.OFFERED:
        # Else a place in line would be a hold that no limit counts.
        raise SpaceIsFreeError(
            "the space is free on all of these days; hold it instead (/api/v1/holds)",
            detail_zh="该空间在所选日期内均可用，请直接锁定",
        )
    return made


def leave_line(session: Session, actor: Actor, entry_id: UUID) -> Waiting:
    """Give up a place in line, and an offer if there is one.

    Raises:
        LeftLineError: it left, or let its offer lapse, before.
    """
    actor.require_firm_scope_or_staff(Scope.HOLDS_WRITE)
    before = get_entry(session, actor, entry_id)
    lock(session, [line.unit_id for line in before.lines])
    now = database_now(session)
    standing = get_entry(session, actor, entry_id).standing
    if standing.state not in {QueueState.WAITING, QueueState.OFFERED}:
        raise LeftLineError(
            f"the entry is {standing.state}; there is nothing to leave",
            detail_zh=f"该排队记录{standing.state.zh}，无需退出",
        )
    session.execute(
        update(QueueEntry)
        .where(QueueEntry.id == entry_id)
        .values(left_at=now, outcome=QueueOutcome.WITHDRAWN.value, closed_by=actor.label)
        .execution_options(synchronize_session=False)
    )
    return get_entry(session, actor, entry_id)


def get_entry(session: Session, actor: Actor, entry_id: UUID) -> Waiting:
    """An entry as it stands now.

    Raises:
        NoSuchEntryError: there is none, or it is not the caller's to see.
    """
    actor.require_ledger_reader()
    found = session.execute(
        select(QueueEntry.company_id).where(QueueEntry.id == entry_id)
    ).one_or_none()
    if found is None or (not actor.is_staff and found.company_id != actor.company_id):
        raise NoSuchEntryError(
            f"there is no entry {entry_id}, or it is not yours",
            detail_zh=f"没有编号为 {entry_id} 的排队记录，或无权查看",
        )
    (waiting,) = _waiting(session, [entry_id], None)
    for line in waiting.lines:
        actor.require_park(line.park_id)
    return waiting


def list_entries(
    session: Session, actor: Actor, search: EntrySearch, page: PageRequest
) -> tuple[list[Waiting], Page]:
    """Entries that had joined by ``as_of`` and how they stood then, in the order of joining.

    Firms get their own, staff those for units of their parks.
    """
    actor.require_ledger_reader()
    if search.company_id is not None:
        actor.require_company(search.company_id)
    if actor.is_staff:
        actor.require_staff(Role.VIEWER)
    entry = QueueEntry.__table__.c
    shown = select(*labelled({"id": "queue_entries.id"})).select_from(QueueEntry.__table__)
    order = [Sort(entry.joined_at), Sort(entry.id)]
    found: Page = fetch_page(
        session,
        shown.where(*_conditions(actor, search)),
        order=order,
        page=page,
        scope=f"queue {actor.label} {search!r}",
        wrote=lambda since: since.wrote(QueueEntry.__table__),
    )
    ids = [UUID(json.loads(row)["id"]) for row in found.rows]
    return _waiting(session, ids, search.as_of), replace(found, rows=[])


def _conditions(actor: Actor, search: EntrySearch) -> list[ColumnElement[bool]]:
    entry, want, unit = QueueEntry.__table__.c, QueueWant.__table__.c, Unit.__table__.c
    instant = believed(search.as_of)
    conditions: list[ColumnElement[bool]] = [entry.joined_at <= instant]
    if not actor.is_staff:
        conditions.append(entry.company_id == actor.company_id)
    elif actor.park_ids is not None:
        in_parks = exists().where(
            want.entry_id == entry.id,
            unit.id == want.unit_id,
            unit.park_id.in_(sorted(actor.park_ids)),
        )
        conditions.append(in_parks)
    if search.company_id is not None:
        conditions.append(entry.company_id == search.company_id)
    if search.unit is not None:
        conditions.append(exists().where(want.entry_id == entry.id, want.unit_id == search.unit))
    if search.in_line is not None:
        left = and_(entry.left_at.is_not(None), entry.left_at <= instant)
        conditions.append(~left if search.in_line else left)
    return conditions


def _waiting(session: Session, ids: Sequence[UUID], as_of: datetime | None) -> list[Waiting]:
    """Entries with how they stand, in the order of ``ids``."""
    if not ids:
        return []
    now = database_now(session) if as_of is None else as_of
    wants = session.execute(
        select(QueueWant.entry_id, Unit.id, Unit.code, Unit.park_id, QueueWant.quantity)
        .join(Unit, Unit.id == QueueWant.unit_id)
        .where(QueueWant.entry_id.in_(ids))
        .order_by(Unit.code)
    ).all()
    lines: dict[UUID, list[EntryLine]] = {}
    for entry_id, unit_id, code, park_id, quantity in wants:
        lines.setdefault(entry_id, []).append(EntryLine(unit_id, code, park_id, quantity))
    rows = {
        row.id: row
        for row in session.execute(
            select(
                QueueEntry.id,
                QueueEntry.space_request_id,
                QueueEntry.outcome,
                QueueEntry.commitment_id,
                QueueEntry.left_at,
            ).where(QueueEntry.id.in_(ids))
        )
    }
    whole = read_line(session, {one[1] for one in wants}, now)
    if whole is None:
        return []
    entries = {entry.id: entry for entry in whole.entries}
    found = []
    for id_ in ids:
        row = rows[id_]
        gone = row.left_at is not None and row.left_at <= now
        found.append(
            Waiting(
                entry=entries[id_],
                standing=whole.standings[id_],
                in_line=len(
                    whole.meeting(
                        {line.unit_id for line in lines[id_]},
                        Range(entries[id_].start, entries[id_].end),
                    )
                ),
                lines=tuple(lines[id_]),
                space_request_id=row.space_request_id,
                outcome=OUTCOMES[row.outcome] if gone else None,
                commitment_id=row.commitment_id if gone else None,
            )
        )
    return found


def _require_new(
    session: Session,
    company_id: UUID,
    *,
    wanted: Sequence[Wanted],
    period: Range[date],
    now: datetime,
    most: int,
) -> None:
    has = session.scalar(
        select(Claim.commitment_id)
        .where(
            Claim.company_id == company_id,
            Claim.unit_id.in_([one.unit_id for one in wanted]),
            Claim.live.contains(now),
            Claim.period.overlaps(period),
        )
        .limit(1)
    )
    if has is not None:
        raise AlreadyHeldError(
            f"the company has some of this space on some of these days: {has}",
            commitment_id=str(has),
            detail_zh="该企业在所选日期内已占用该空间，无需排队",
        )
    own = session.execute(
        select(QueueEntry.id, func.array_agg(QueueWant.unit_id))
        .join(QueueWant, QueueWant.entry_id == QueueEntry.id)
        .where(
            QueueEntry.company_id == company_id,
            or_(QueueEntry.left_at.is_(None), QueueEntry.left_at > now),
        )
        .group_by(QueueEntry.id)
    ).all()
    standing = {one.entry.id: one for one in _waiting(session, [row.id for row in own], None)}
    waiting = [one for one in standing.values() if one.standing.position is not None]
    units = {one.unit_id for one in wanted}
    for one in waiting:
        same = units & {line.unit_id for line in one.lines}
        if same and period.overlaps(Range(one.entry.start, one.entry.end)):
            raise AlreadyInLineError(
                "the company waits for this space on some of these days already;"
                f" see /api/v1/queue-entries/{one.entry.id}",
                entry_id=str(one.entry.id),
                detail_zh="该企业已在为所选日期内的同一空间排队",
            )
    if len(waiting) >= most:
        raise LineLimitReachedError(
            f"the company waits in {len(waiting)} lines and may wait in {most}; leave some",
            detail_zh=f"该企业正在排队 {len(waiting)} 处，上限 {most} 处；请先退出部分排队",
            entries=len(waiting),
            entries_max=most,
        )
