"""A unit's terms or size change from a day on; what is promised of it follows or forbids it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from geoalchemy2.shape import to_shape
from shapely import Polygon
from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Session

from app.inventory.partition import AREA_TOLERANCE_M2, overlap_m2
from app.inventory.pieces import Pieces, amended, facts_on, within
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import CapacityMeasure, UnitEventKind
from app.ledger.units.facts import plain, require_consistent, told_change, whole_changes
from app.ledger.units.promises import Target, resized, standing_claims
from app.ledger.units.told import Outcome, outcome, told_units
from app.ledger.units.writing import (
    KnownUnit,
    locked_units,
    record_event,
    rehearsed,
    require_lasting,
    rewrite,
)
from app.models.space import unit_terms
from app.security.actors import Actor, Role


@dataclass(frozen=True)
class Change:
    """Facts that differ on the days ``[effective_on, until)``; until None is for good."""

    effective_on: date
    changes: Mapping[str, Any] = field(default_factory=dict)
    until: date | None = None
    reason: str | None = None
    dry_run: bool = False


def change_terms(session: Session, actor: Actor, name: str, change: Change) -> Outcome:
    """Change what a unit is let for, is called or can do.

    Raises:
        InvalidInputError: nothing would change, or the facts would contradict each other.
        UnitRetiredError: the unit is no more on these days.
    """
    actor.require_staff(Role.AGENT)
    if not change.changes:
        raise InvalidInputError(
            "changes is empty; name at least one fact",
            [Fault("/changes", "name at least one fact", detail_zh="至少填写一项")],
            detail_zh="changes 为空，请至少填写一项",
        )
    with rehearsed(session, dry_run=change.dry_run):
        (unit,), now = locked_units(session, actor, [name])
        until = _last_day(session, unit, change)
        pieces = amended(unit.pieces, change.effective_on, until, whole_changes(change.changes))
        return _write(
            session,
            actor,
            unit,
            pieces,
            kind=UnitEventKind.TERMS_CHANGED,
            change=change,
            until=until,
            now=now,
        )


def remeasure(session: Session, actor: Actor, name: str, change: Change) -> Outcome:
    """Give a unit the areas, and perhaps the outline, that were measured; from a day on.

    The capacity of a unit that is let by m² is its leasable area. Who has the whole of it has the
    whole of the new size; parts stay what they are.

    Raises:
        UnitClaimsBlockError: the parts taken would not fit any more.
        UnitRetiredError: the unit ends by a split or a merger, whose parts add up to it as it is.
        InvalidInputError: the outline would lie on another unit.
    """
    actor.require_staff(Role.MANAGER)
    with rehearsed(session, dry_run=change.dry_run):
        redrawn = "geom" in change.changes
        (unit,), now = locked_units(session, actor, [name], reshaping=redrawn)
        require_lasting(session, unit)
        _last_day(session, unit, change)
        changes = dict(change.changes)
        if unit.pieces[-1].facts["capacity_measure"] == CapacityMeasure.M2.value:
            changes["capacity"] = changes["leasable_area_m2"]
        if redrawn:
            _require_room(session, unit, changes["geom"], change.effective_on)
        pieces = amended(unit.pieces, change.effective_on, None, changes)
        return _write(
            session,
            actor,
            unit,
            pieces,
            kind=UnitEventKind.REMEASURED,
            change=change,
            until=None,
            now=now,
        )


def require_day(unit: KnownUnit, day: date, pointer: str = "/effective_on") -> None:
    """Refuse a day before anything is known of the unit.

    Raises:
        InvalidInputError: it is.
    """
    first = unit.pieces[0].start
    if first is not None and day < first:
        raise InvalidInputError(
            f"unit {unit.code} begins on {first}",
            [Fault(pointer, f"not before {first}", detail_zh=f"不得早于 {first}")],
            detail_zh=f"房源 {unit.code} 自 {first} 起存在",
        )


def _last_day(session: Session, unit: KnownUnit, change: Change) -> date | None:
    """The first day not changed any more: as asked, or the unit's end if that comes sooner."""
    require_day(unit, change.effective_on)
    if change.until is not None and change.until <= change.effective_on:
        raise InvalidInputError(
            "until must be after effective_on; it is the first day not changed",
            [Fault("/until", "must be after effective_on", detail_zh="须晚于 effective_on")],
            detail_zh="until 须晚于 effective_on",
        )
    ends_on = unit.pieces[-1].end
    if ends_on is not None and ends_on <= change.effective_on:
        require_lasting(session, unit)
    if ends_on is None or change.until is None:
        return change.until or ends_on
    return min(ends_on, change.until)


def _write(
    session: Session,
    actor: Actor,
    unit: KnownUnit,
    pieces: Pieces,
    *,
    kind: UnitEventKind,
    change: Change,
    until: date | None,
    now: datetime,
) -> Outcome:
    changed = [piece for piece in pieces if piece not in unit.pieces]
    if not _differs(unit, pieces, change.effective_on, until):
        raise InvalidInputError(
            f"unit {unit.code} is so already; nothing would change",
            [Fault("/effective_on", "nothing changes on these days", detail_zh="无任何变化")],
            detail_zh=f"房源 {unit.code} 已是如此，无任何变化",
        )
    pointer = "/changes" if kind is UnitEventKind.TERMS_CHANGED else ""
    for piece in changed:
        require_consistent(piece.facts, pointer)
    claims = standing_claims(session, [unit.id], now)
    moves = resized(actor, claims, Target(unit.id, unit.code, pieces), now)
    told = told_units(unit.id, unit.code, "subject", within(pieces, change.effective_on, until))
    before, after = (facts_on(found, change.effective_on) or {} for found in (unit.pieces, pieces))
    values = told_change(before, after)
    if moves.blockers and change.dry_run:
        return outcome(kind, change.effective_on, None, told, moves, changes=values)
    moves.require_none_blocks()
    moves.close(session, actor, now)
    rewrite(session, unit, pieces, now)
    moves.write(session)
    event = record_event(
        session,
        actor,
        kind,
        effective_on=change.effective_on,
        now=now,
        park_id=unit.park_id,
        units=[(unit.id, "subject")],
        changes={"until": plain(until), "values": values},
        reason=change.reason,
    )
    made = None if change.dry_run else event
    return outcome(kind, change.effective_on, made, told, moves, changes=values)


def _differs(unit: KnownUnit, pieces: Pieces, start: date, end: date | None) -> bool:
    return within(unit.pieces, start, end) != within(pieces, start, end)


def _require_room(session: Session, unit: KnownUnit, outline: Polygon, day: date) -> None:
    """Refuse an outline that lies on a neighbour more than the one before did."""
    terms = unit_terms.c
    neighbours = session.execute(
        select(terms.code, terms.geom).where(
            terms.floor_id == unit.floor_id,
            terms.id != unit.id,
            terms.known_until.is_(None),
            terms.valid.op("&&")(literal(Range(day, None), DATERANGE)),
        )
    )
    former = [piece.facts["geom"] for piece in within(unit.pieces, day, None)]
    for code, geom in neighbours:
        neighbour: Any = to_shape(geom)
        was = max(overlap_m2(shape, neighbour) for shape in former)
        common = overlap_m2(outline, neighbour)
        if common > was + AREA_TOLERANCE_M2:
            raise InvalidInputError(
                f"{common:.2f} m² of the outline lie on unit {code}",
                [Fault("/geometry", f"overlaps {code}", detail_zh=f"与 {code} 重叠")],
                detail_zh=f"新图形与房源 {code} 重叠 {common:.2f} ㎡",
            )
