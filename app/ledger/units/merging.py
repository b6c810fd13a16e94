"""Units are merged from a day on, where nobody has one of them without the others.

Each merged unit keeps its code and its history and ends on that day; the new one has a new code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.inventory.cutting import one_outline
from app.inventory.partition import Sized
from app.inventory.pieces import Facts, Piece, Pieces, aligned, joined, within
from app.kernel.errors import Fault
from app.kernel.terms import UnitEventKind
from app.ledger.units.errors import UnitsDoNotMergeError
from app.ledger.units.facts import merged_facts, require_consistent, sized, whole_changes
from app.ledger.units.promises import Moves, Standing, Target, standing_claims
from app.ledger.units.splitting import (
    ended,
    require_ends_on,
    require_new_codes,
    require_tiling,
    told_size,
)
from app.ledger.units.told import Outcome, outcome, told_units
from app.ledger.units.writing import (
    KnownUnit,
    add_unit,
    locked_units,
    record_event,
    rehearsed,
    require_lasting,
    rewrite,
)
from app.security.actors import Actor, Role

#: Whose a claim is and until when it is believed: what must be the same on all merged units.
Holder = tuple[UUID, str, UUID | None, UUID | None, datetime | None]


@dataclass(frozen=True)
class Merger:
    """Which units become one, and what it is called."""

    effective_on: date
    units: Sequence[str]
    code: str
    name_zh: str | None = None
    name_en: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    dry_run: bool = False


def merge_units(session: Session, actor: Actor, order: Merger) -> Outcome:
    """Merge units; where one promise has the whole of each, it has the whole of what they become.

    Raises:
        UnitsDoNotMergeError: they do not make up one outline on one floor.
        UnitClaimsBlockError: some of them are promised, and not all to the same.
        UnitRetiredError: one of them ends by a split or another merger.
    """
    actor.require_staff(Role.MANAGER)
    if len(set(order.units)) < len(order.units):
        raise _do_not_merge("a unit is named twice", "单元重复")
    with rehearsed(session, dry_run=order.dry_run):
        units, now = locked_units(session, actor, order.units, reshaping=True)
        for unit in units:
            require_lasting(session, unit)
            require_ends_on(unit, order.effective_on)
        require_new_codes(session, {"/code": order.code})
        _require_alike(units)
        merged = Target(uuid4(), order.code, _merged_pieces(units, order))
        remaining = {unit.id: ended(unit, order.effective_on) for unit in units}
        claims = standing_claims(session, [unit.id for unit in units], now)
        moves = _moves(
            actor,
            claims,
            units=units,
            remaining=remaining,
            merged=merged,
            day=order.effective_on,
            now=now,
        )
        told = [
            *(
                one
                for unit in units
                for one in told_units(unit.id, unit.code, "parent", remaining[unit.id][-1:])
            ),
            *told_units(
                None if order.dry_run else merged.unit_id,
                merged.code,
                "child",
                merged.pieces,
            ),
        ]
        kind = UnitEventKind.MERGED
        if moves.blockers and order.dry_run:
            return outcome(kind, order.effective_on, None, told, moves)
        moves.require_none_blocks()
        moves.close(session, actor, now)
        for unit in units:
            rewrite(session, unit, remaining[unit.id], now)
        add_unit(session, units[0], order.code, merged.pieces, now, id_=merged.unit_id)
        moves.write(session)
        event = record_event(
            session,
            actor,
            kind,
            effective_on=order.effective_on,
            now=now,
            park_id=units[0].park_id,
            units=[*((unit.id, "parent") for unit in units), (merged.unit_id, "child")],
            changes={
                "parents": [told_size(unit.code, remaining[unit.id][-1]) for unit in units],
                "children": [told_size(merged.code, merged.pieces[0])],
            },
            reason=order.reason,
        )
        return outcome(kind, order.effective_on, None if order.dry_run else event, told, moves)


def _require_alike(units: Sequence[KnownUnit]) -> None:
    first = units[0]
    if len({unit.id for unit in units}) < len(units):
        raise _do_not_merge("a unit is named twice", "单元重复")
    if any(unit.floor_id != first.floor_id for unit in units):
        raise _do_not_merge("the units are not on one floor", "单元不在同一楼层")
    measures = {piece.facts["capacity_measure"] for unit in units for piece in unit.pieces}
    if len(measures) > 1:
        raise _do_not_merge(
            "some units are let by m² and some by places", "单元计量方式不同（平方米/工位）"
        )
    if len({unit.usable.upper for unit in units}) > 1:
        raise _do_not_merge("the units are not usable until the same day", "单元可用截止日不同")


def _merged_pieces(units: Sequence[KnownUnit], order: Merger) -> Pieces:
    """The merged unit's pieces: cut wherever one of the units changes."""
    later = [within(unit.pieces, order.effective_on, None) for unit in units]
    usable = Range(order.effective_on, units[0].usable.upper)
    names = {
        "name_zh": order.name_zh or "、".join(str(one[0].facts["name_zh"]) for one in later),
        "name_en": order.name_en or " + ".join(str(one[0].facts["name_en"]) for one in later),
    }
    pieces = []
    for start, end, parts in aligned(later):
        facts = _merged(parts, names | whole_changes(order.facts))
        require_consistent(facts, "/facts")
        pieces.append(Piece(start, end, {**facts, "usable": usable}))
    return joined(pieces)


def _merged(parts: Sequence[Facts], given: Mapping[str, Any]) -> Facts:
    outline = one_outline([part["geom"] for part in parts])
    if outline is None:
        raise _do_not_merge(
            "the units do not touch along an edge; they would not be one space",
            "单元之间没有公共边，无法合为一处",
        )
    facts = merged_facts(parts, outline, given)
    whole: Sized = sized(facts)
    require_tiling(whole, [sized(part) for part in parts], "/units")
    return facts


def _moves(
    actor: Actor,
    claims: Sequence[Standing],
    *,
    units: Sequence[KnownUnit],
    remaining: Mapping[UUID, Pieces],
    merged: Target,
    day: date,
    now: datetime,
) -> Moves:
    """One claim of the merged unit where one promise has the whole of all; else it is blocked."""
    moves = Moves()
    later = [claim for claim in claims if claim.since(day) is not None]
    stretches = {
        unit.id: _stretches([claim for claim in later if claim.line.unit_id == unit.id], day)
        for unit in units
    }
    shared = set.intersection(*(set(found) for found in stretches.values()))
    going = {claim.line.claim_id for key in shared for found in stretches.values()
             for claim in found[key]}  # fmt: skip
    for claim in later:
        if claim.line.claim_id not in going:
            moves.block(
                claim,
                "does not have the whole of each unit on the same days",
                "并非在相同日期整体占用全部单元",
            )
            continue
        moves.closed.append(claim)
        earlier = claim.before(day)
        if earlier is not None:
            unit_id = claim.line.unit_id
            own = Target(unit_id, claim.line.unit_code, remaining[unit_id])
            moves.put(actor, claim, own, earlier, now)
    # The new rows supersede those of the unit named first; the others end where they end.
    for key in sorted(shared, key=lambda one: (one[1].lower or day, str(one[0][0]))):
        for claim in stretches[units[0].id][key]:
            days = claim.since(day)
            if days is not None:
                moves.put(actor, claim, merged, days, now)
    return moves


def _stretches(
    claims: Sequence[Standing], day: date
) -> dict[tuple[Holder, Range[date]], list[Standing]]:
    """The whole claims of a unit from a day on; rows that follow each other are one stretch."""
    found: list[tuple[Holder, Range[date], list[Standing]]] = []
    ordered = sorted(claims, key=lambda one: one.line.period.lower or day)
    for claim in ordered:
        days = claim.since(day)
        if not claim.line.whole or days is None:
            continue
        line = claim.line
        holder = (
            claim.commitment_id,
            line.kind,
            line.company_id,
            line.space_request_id,
            line.live.upper,
        )
        place = next(
            (
                i
                for i, (who, so_far, _) in enumerate(found)
                if who == holder and so_far.upper == days.lower
            ),
            None,
        )
        if place is None:
            found.append((holder, days, [claim]))
        else:
            _, so_far, rows = found[place]
            found[place] = (holder, Range(so_far.lower, days.upper), [*rows, claim])
    return {(holder, days): rows for holder, days, rows in found}


def _do_not_merge(detail: str, detail_zh: str) -> UnitsDoNotMergeError:
    return UnitsDoNotMergeError(
        detail, [Fault("/units", detail, detail_zh=detail_zh)], detail_zh=detail_zh
    )
