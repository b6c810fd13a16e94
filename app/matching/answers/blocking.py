"""Who stands in the way: units that fit but are taken, until when, and by whom.

Everyone is told how many there are and on which days how much of each is taken, as the calendar
says it. Whose it is only staff of the unit's park are told: for others no claim is read at all, so
that nothing in an answer can differ by who has the space.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.demand.needs import named
from app.kernel.terms import ClaimKind
from app.matching.columns import NEVER, QUANTITY_GRAIN
from app.matching.engine.whynot.histogram import Histogram
from app.matching.engine.whynot.waiting import NAMED, Waiter, find_waiting, window_of
from app.matching.engine.whynot.words import quantity_words, waiting_words
from app.matching.rules.constraint import Words
from app.matching.segment import Version
from app.security.actors import Actor


@dataclass(frozen=True, slots=True)
class Spell:
    """Days of the window on which a unit cannot be had; ``until`` is exclusive, None without end.

    ``taken_quantity`` is in the unit's own measure.
    """

    first_day: date
    until: date | None
    taken_quantity: Decimal
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One line of a commitment that is in the way; for staff of the park alone."""

    commitment_id: UUID
    kind: str
    kind_zh: str
    kind_en: str
    company_name_zh: str | None
    company_name_en: str | None
    first_day: date
    until: date | None
    quantity: Decimal
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class TakenUnit:
    """A unit that fits but is taken.

    ``first_day``: from which it can be had for the whole term; None: on no day. ``commitments`` is
    None where the caller may not know whose they are.
    """

    unit_id: UUID
    unit_code: str
    park_id: UUID
    capacity_measure: str
    quantity: Decimal
    first_day: date | None
    spells: tuple[Spell, ...]
    commitments: tuple[Obstacle, ...] | None
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class FreeLater:
    """How many units can be had from a day on."""

    first_day: date
    units: int


@dataclass(frozen=True, slots=True)
class Blocking:
    """The units that fit but for the days: all counted, the soonest named.

    ``never``: how many have no free stretch that is long enough.
    """

    units: int
    never: int
    by_day: tuple[FreeLater, ...]
    soonest: tuple[TakenUnit, ...]
    words_zh: str
    words_en: str


_UNITS = """
SELECT u.fid, u.id AS unit_id, u.code AS unit_code, u.park_id
FROM units u WHERE u.fid = ANY (CAST(:fids AS bigint[]))"""

#: Claims as a snapshot saw them: what it did not see made is left out, what it did not see closed
#: is open.
_SEEN = """(
    SELECT id, unit_id, commitment_id, company_id, kind, quantity, period,
        CASE WHEN closed_xid IS NULL
            OR pg_visible_in_snapshot(closed_xid, CAST(:version AS pg_snapshot))
            OR closed_xid >= pg_snapshot_xmax(pg_current_snapshot()) THEN live
        ELSE tstzrange(lower(live), was_to_lapse_at) END AS live
    FROM claims WHERE pg_visible_in_snapshot(made_xid, CAST(:version AS pg_snapshot))
        OR made_xid >= pg_snapshot_xmax(pg_current_snapshot())
)"""

#: What is taken of the units in the window, in parks that the caller may read.
_OBSTACLES = """
SELECT u.fid, c.commitment_id, c.kind, k.name_zh AS company_name_zh, k.name_en AS company_name_en,
    lower(c.period) AS first_day, upper(c.period) AS until, c.quantity
FROM units u JOIN {claims} c ON c.unit_id = u.id LEFT JOIN companies k ON k.id = c.company_id
WHERE u.fid = ANY (CAST(:fids AS bigint[]))
    AND (CAST(:park_ids AS uuid[]) IS NULL OR u.park_id = ANY (CAST(:park_ids AS uuid[])))
    AND c.period && daterange(CAST(:start AS date), CAST(:until AS date))
    AND c.live @> CAST(:as_of AS timestamptz)
ORDER BY u.fid, lower(c.period), c.commitment_id, c.id"""


def find_blocking(
    session: Session,
    actor: Actor,
    histogram: Histogram,
    *,
    as_of: datetime,
    version: Version | None = None,
    count: int = NAMED,
) -> Blocking | None:
    """The units that fit but are taken, and for staff what takes them; None where there are none.

    Args:
        session: where to read.
        actor: who asks; names of firms are for staff of the unit's park alone.
        histogram: what units break.
        as_of: claims believed at this instant.
        version: claims as this snapshot saw them; None: as the session sees them.
        count: how many units are named, soonest first.
    """
    waiting = find_waiting(histogram, count)
    words = waiting_words(waiting)
    if words is None:
        return None
    fids = [_fid(histogram, one) for one in waiting.soonest]
    units = {row.fid: row for row in session.execute(text(_UNITS), {"fids": fids})}
    start, over = window_of(histogram.programs[0])
    given = {
        "fids": fids,
        "start": date.fromordinal(start),
        "until": _day(over),
        "as_of": as_of,
        "version": None if version is None else str(version),
    }
    obstacles = _obstacles(session, actor, given)
    soonest = tuple(
        _taken_unit(histogram, one, units[fid], _of_unit(actor, units[fid].park_id, fid, obstacles))
        for fid, one in zip(fids, waiting.soonest, strict=True)
    )
    return Blocking(
        units=waiting.units,
        never=waiting.never,
        by_day=tuple(FreeLater(date.fromordinal(day), count) for day, count in waiting.by_day),
        soonest=soonest,
        words_zh=words[0],
        words_en=words[1],
    )


def _fid(histogram: Histogram, one: Waiter) -> int:
    return int(histogram.programs[one.place.segment].segment.fid[one.place.row])


def _obstacles(session: Session, actor: Actor, given: Mapping[str, Any]) -> dict[int, list[Any]]:
    """Lines of commitments by the unit's number; none for those who may not know them."""
    found: dict[int, list[Any]] = {}
    if not actor.is_staff:
        return found
    claims = "claims" if given["version"] is None else _SEEN
    parks = None if actor.park_ids is None else sorted(actor.park_ids)
    statement = text(_OBSTACLES.format(claims=claims))
    for row in session.execute(statement, {**given, "park_ids": parks}):
        found.setdefault(row.fid, []).append(row)
    return found


def _of_unit(
    actor: Actor, park_id: UUID, fid: int, obstacles: dict[int, list[Any]]
) -> list[Any] | None:
    """What is in the way of one unit; None where the caller may not know."""
    known = actor.is_staff and (actor.park_ids is None or park_id in actor.park_ids)
    return obstacles.get(fid, []) if known else None


def _taken_unit(
    histogram: Histogram, one: Waiter, unit: Any, obstacles: list[Any] | None
) -> TakenUnit:
    segment = histogram.programs[one.place.segment].segment
    measure = str(segment.value("capacity_measure", one.place.row))
    spells = tuple(
        _spell(spell.first_day, spell.until, spell.taken, measure) for spell in one.spells
    )
    zh, en = _unit_words(unit.unit_code, _day(one.first_day))
    return TakenUnit(
        unit_id=unit.unit_id,
        unit_code=unit.unit_code,
        park_id=unit.park_id,
        capacity_measure=measure,
        quantity=Decimal(one.quantity) / QUANTITY_GRAIN,
        first_day=_day(one.first_day),
        spells=spells,
        commitments=None
        if obstacles is None
        else tuple(_obstacle(row, measure) for row in obstacles),
        words_zh=zh,
        words_en=en,
    )


def _spell(first_day: int, until: int, taken: int, measure: str) -> Spell:
    zh, en = quantity_words(taken, measure)
    days_zh, days_en = _days(date.fromordinal(first_day), _day(until))
    return Spell(
        first_day=date.fromordinal(first_day),
        until=_day(until),
        taken_quantity=Decimal(taken) / QUANTITY_GRAIN,
        words_zh=f"{days_zh}已占用 {zh}",
        words_en=f"{en} taken {days_en}",
    )


def _obstacle(row: Any, measure: str) -> Obstacle:
    kind = named(ClaimKind, row.kind)
    zh, en = quantity_words(round(row.quantity * QUANTITY_GRAIN), measure)
    days_zh, days_en = _days(row.first_day, row.until)
    who_zh = "" if row.company_name_zh is None else f"：{row.company_name_zh}"
    who_en = "" if row.company_name_en is None else f" of {row.company_name_en}"
    return Obstacle(
        commitment_id=row.commitment_id,
        kind=kind.value,
        kind_zh=kind.zh,
        kind_en=kind.en,
        company_name_zh=row.company_name_zh,
        company_name_en=row.company_name_en,
        first_day=row.first_day,
        until=row.until,
        quantity=row.quantity,
        words_zh=f"{kind.zh}{who_zh}，{days_zh}，{zh}",
        words_en=f"{kind.en}{who_en}, {days_en}: {en}",
    )


def _unit_words(code: str, first_day: date | None) -> Words:
    if first_day is None:
        return f"{code} 没有足够长的空档", f"no free stretch of {code} is long enough"
    return f"{code} 自 {first_day} 起可用", f"{code} is free from {first_day}"


def _days(first_day: date, until: date | None) -> Words:
    if until is None:
        return f"{first_day} 起", f"from {first_day} on"
    return f"{first_day} 至 {until}（不含当日）", f"from {first_day} until {until}"


def _day(ordinal: int) -> date | None:
    return None if ordinal == NEVER else date.fromordinal(ordinal)
