"""A unit is split from a day on: its parts tile it, and what is promised of it moves or forbids it.

The code of the unit stays its own and is never used again; each part has a new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from shapely import LineString, Polygon
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.geo.plane import geodesic_area_m2
from app.inventory.cutting import CannotCutError, cut_by_line, cut_by_shares
from app.inventory.partition import Sized, misfits, places_shared_out, shared_out
from app.inventory.pieces import Piece, Pieces, within
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import UnitEventKind
from app.ledger.units.changing import require_day
from app.ledger.units.errors import (
    DuplicateUnitCodeError,
    NotAPartitionError,
    UnitChangesLaterError,
)
from app.ledger.units.facts import (
    extent,
    part_facts,
    plain,
    require_consistent,
    sized,
    whole_changes,
)
from app.ledger.units.promises import Moves, Standing, Target, overfull, standing_claims
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
from app.models.space import Unit
from app.security.actors import Actor, Role

_SIZES = ("leasable_m2", "internal_m2", "places")


@dataclass(frozen=True)
class Part:
    """A unit to be made. What is None follows from the unit it is a part of."""

    code: str
    name_zh: str | None = None
    name_en: str | None = None
    shape: Polygon | None = None
    leasable_m2: Decimal | None = None
    internal_m2: Decimal | None = None
    places: Decimal | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """How a unit is split. Outlines are given with the parts, or cut by a line, or by shares."""

    effective_on: date
    parts: Sequence[Part]
    line: LineString | None = None
    shares: Sequence[float] | None = None
    assign: Mapping[UUID, str] = field(default_factory=dict)
    reason: str | None = None
    dry_run: bool = False


def split_unit(session: Session, actor: Actor, name: str, order: Split) -> Outcome:
    """Split a unit; its claims of the whole go on as claims of each part, under the same ids.

    Raises:
        NotAPartitionError: the parts do not make up the unit.
        UnitClaimsBlockError: parts of the unit are taken on these days, and no part of the split
            is named to take them on.
        UnitRetiredError: the unit ends by another split or merger.
    """
    actor.require_staff(Role.MANAGER)
    with rehearsed(session, dry_run=order.dry_run):
        (unit,), now = locked_units(session, actor, [name], reshaping=True)
        require_lasting(session, unit)
        require_ends_on(unit, order.effective_on)
        require_new_codes(
            session, {f"/children/{i}/code": part.code for i, part in enumerate(order.parts)}
        )
        parts = _pieces_of_parts(unit, order)
        ids = [uuid4() for _ in order.parts]
        targets = [
            Target(id_, part.code, pieces)
            for id_, part, pieces in zip(ids, order.parts, parts, strict=True)
        ]
        remaining = ended(unit, order.effective_on)
        moves = _moves(
            actor,
            standing_claims(session, [unit.id], now),
            parent=Target(unit.id, unit.code, remaining),
            children=targets,
            order=order,
            now=now,
        )
        told = [
            *told_units(unit.id, unit.code, "parent", remaining[-1:]),
            *(
                one
                for target in targets
                for one in told_units(
                    None if order.dry_run else target.unit_id, target.code, "child", target.pieces
                )
            ),
        ]
        kind = UnitEventKind.SPLIT
        if moves.blockers and order.dry_run:
            return outcome(kind, order.effective_on, None, told, moves)
        moves.require_none_blocks()
        moves.close(session, actor, now)
        rewrite(session, unit, remaining, now)
        for target in targets:
            add_unit(session, unit, target.code, target.pieces, now, id_=target.unit_id)
        moves.write(session)
        event = record_event(
            session,
            actor,
            kind,
            effective_on=order.effective_on,
            now=now,
            park_id=unit.park_id,
            units=[(unit.id, "parent"), *((id_, "child") for id_ in ids)],
            changes={
                "parents": [told_size(unit.code, remaining[-1])],
                "children": [told_size(target.code, target.pieces[0]) for target in targets],
            },
            reason=order.reason,
        )
        return outcome(kind, order.effective_on, None if order.dry_run else event, told, moves)


def require_ends_on(unit: KnownUnit, day: date) -> None:
    """Refuse a day on which a unit cannot give way to others.

    Raises:
        InvalidInputError: it must have been usable before, and still be then.
    """
    require_day(unit, day)
    usable = unit.usable
    if usable.lower is None or day <= usable.lower:
        raise InvalidInputError(
            f"unit {unit.code} is usable from {usable.lower}; take a later day",
            [Fault("/effective_on", f"after {usable.lower}", detail_zh=f"须晚于 {usable.lower}")],
            detail_zh=f"房源 {unit.code} 自 {usable.lower} 起可用，请选择其后的日期",
        )
    if usable.upper is not None and day >= usable.upper:
        raise InvalidInputError(
            f"unit {unit.code} is usable until {usable.upper}; take an earlier day",
            [Fault("/effective_on", f"before {usable.upper}", detail_zh=f"须早于 {usable.upper}")],
            detail_zh=f"房源 {unit.code} 至 {usable.upper} 止可用，请选择此前的日期",
        )


def require_new_codes(session: Session, codes: Mapping[str, str]) -> None:
    """Refuse codes that are named twice, or are or were a unit's; ``codes`` by where they stand.

    Raises:
        DuplicateUnitCodeError: the codes at fault.
    """
    taken = set(session.scalars(select(Unit.code).where(Unit.code.in_(codes.values()))))
    seen: set[str] = set()
    faults = []
    for pointer, code in codes.items():
        if code in taken or code in seen:
            faults.append(
                Fault(
                    pointer,
                    f"{code} is taken; a code is never used again",
                    detail_zh=f"编码 {code} 已被使用；一房一码，不可重复",
                )
            )
        seen.add(code)
    if faults:
        raise DuplicateUnitCodeError(
            "; ".join(fault.detail for fault in faults),
            faults,
            detail_zh="；".join(fault.detail_zh or "" for fault in faults),
        )


def ended(unit: KnownUnit, day: date) -> Pieces:
    """A unit's pieces where it is to end on a day."""
    usable = Range(unit.usable.lower, day)
    return tuple(
        replace(piece, facts={**piece.facts, "usable": usable})
        for piece in within(unit.pieces, None, day)
    )


def told_size(code: str, piece: Piece) -> dict[str, Any]:
    """A unit's size, as events tell it."""
    names = ("leasable_area_m2", "internal_area_m2", "capacity", "capacity_measure", "geom")
    return {"code": code, **{name: plain(piece.facts[name]) for name in names}}


def require_tiling(whole: Sized, parts: Sequence[Sized], pointer: str = "/children") -> None:
    """Refuse parts that do not make up the whole.

    Raises:
        NotAPartitionError: all that is wrong.
    """
    found = misfits(whole, parts)
    if found:
        raise NotAPartitionError(
            "; ".join(one.detail for one in found),
            [
                Fault(
                    pointer if one.child is None else f"{pointer}/{one.child}",
                    one.detail,
                    detail_zh=one.detail_zh,
                )
                for one in found
            ],
            detail_zh="；".join(one.detail_zh for one in found),
            misfits=[
                {
                    "what": one.what,
                    "part": one.child,
                    "amount": None if one.amount is None else float(one.amount),
                }
                for one in found
            ],
        )


def _pieces_of_parts(unit: KnownUnit, order: Split) -> list[Pieces]:
    """The pieces of each part: the unit's own from the day on, each with the part's share."""
    later = within(unit.pieces, order.effective_on, None)
    changing = [piece.start for piece in later if extent(piece.facts) != extent(later[0].facts)]
    if changing:
        raise UnitChangesLaterError(
            f"unit {unit.code} changes its size on {changing[0]}; split it on that day or later",
            detail_zh=f"房源 {unit.code} 面积将于 {changing[0]} 变更，请于该日或之后拆分",
            changes_on=str(changing[0]),
        )
    whole = sized(later[0].facts)
    parts = _sized_parts(whole, order)
    require_tiling(whole, parts)
    usable = Range(order.effective_on, unit.usable.upper)
    pieces: list[list[Piece]] = [[] for _ in parts]
    for piece in later:
        given = [_given(piece, part) for part in order.parts]
        for place, facts in enumerate(part_facts(piece.facts, parts, given)):
            require_consistent(facts, f"/children/{place}")
            pieces[place].append(replace(piece, facts={**facts, "usable": usable}))
    return [tuple(found) for found in pieces]


def _given(piece: Piece, part: Part) -> dict[str, Any]:
    names = {
        "name_zh": part.name_zh or f"{piece.facts['name_zh']}（{part.code}）",
        "name_en": part.name_en or f"{piece.facts['name_en']} ({part.code})",
    }
    return names | whole_changes(part.facts)


def _sized_parts(whole: Sized, order: Split) -> list[Sized]:
    shapes = _shapes(whole.shape, order)
    weights = list(order.shares or map(geodesic_area_m2, shapes))
    given = {name: [getattr(part, name) for part in order.parts] for name in _SIZES}
    some = [name for name, values in given.items() if None in values and set(values) != {None}]
    if some:
        raise InvalidInputError(
            "give an area or number of places for all parts, or for none",
            [Fault("/children", "given for some only", detail_zh="仅部分填写")],
            detail_zh="面积或工位数须全部填写或全部不填",
        )
    leasable = _or_shared(given["leasable_m2"], whole.leasable_m2, weights)
    internal = _or_shared(
        given["internal_m2"], whole.internal_m2, [float(area) for area in leasable]
    )
    places: Sequence[Decimal | None] = given["places"]
    if whole.places is not None and None in places:
        try:
            places = places_shared_out(whole.places, weights)
        except ValueError as error:
            raise _cannot_cut(error, "/children", "工位数少于拆分数") from error
    return [Sized(*values) for values in zip(shapes, leasable, internal, places, strict=True)]


def _or_shared(
    given: Sequence[Decimal | None], total: Decimal, weights: Sequence[float]
) -> list[Decimal]:
    known = [value for value in given if value is not None]
    return known if len(known) == len(weights) else shared_out(total, weights)


def _shapes(whole: Polygon, order: Split) -> list[Polygon]:
    drawn = [part.shape for part in order.parts if part.shape is not None]
    ways = [bool(drawn), order.line is not None, order.shares is not None]
    if sum(ways) != 1 or (drawn and len(drawn) != len(order.parts)):
        raise InvalidInputError(
            "say how to cut in one way: a geometry for each part, or line, or shares",
            [Fault("/children", "geometries, line or shares", detail_zh="三者取一")],
            detail_zh="请以一种方式指定切分：各部分图形、line 或 shares",
        )
    if drawn:
        return drawn
    pointer = "/shares" if order.line is None else "/line"
    try:
        shapes = (
            cut_by_shares(whole, order.shares or ())
            if order.line is None
            else cut_by_line(whole, order.line)
        )
    except CannotCutError as error:
        raise _cannot_cut(error, pointer, "无法按此切分") from error
    if len(shapes) != len(order.parts):
        uneven = ValueError(f"{len(shapes)} parts are cut, and {len(order.parts)} are named")
        raise _cannot_cut(uneven, pointer, f"切成 {len(shapes)} 部分，与命名数量不符")
    return shapes


def _cannot_cut(error: ValueError, pointer: str, said_zh: str) -> InvalidInputError:
    return InvalidInputError(
        str(error), [Fault(pointer, str(error), detail_zh=said_zh)], detail_zh=said_zh
    )


def _moves(
    actor: Actor,
    claims: Sequence[Standing],
    *,
    parent: Target,
    children: Sequence[Target],
    order: Split,
    now: datetime,
) -> Moves:
    """Where the claims go that have days on or after the split."""
    moves = Moves()
    by_code = {child.code: child for child in children}
    parts: dict[str, list[tuple[Standing, Range[date]]]] = {}
    _require_assignable(claims, by_code, order)
    for claim in claims:
        days, earlier = claim.since(order.effective_on), claim.before(order.effective_on)
        if days is None:
            continue
        takes = children
        if not claim.line.whole:
            code = order.assign.get(claim.commitment_id)
            if code is None:
                moves.block(
                    claim,
                    "takes a part; say in `assign` which child takes it on",
                    "为部分占用，请用 assign 指明由哪个新单元承接",
                )
                continue
            takes = [by_code[code]]
            parts.setdefault(code, []).append((claim, days))
        moves.closed.append(claim)
        if earlier is not None:
            moves.put(actor, claim, parent, earlier, now)
        for child in takes:
            moves.put(actor, claim, child, days, now)
    for code, taken in parts.items():
        _block_misfits(moves, by_code[code], taken)
    return moves


def _block_misfits(
    moves: Moves, child: Target, taken: Sequence[tuple[Standing, Range[date]]]
) -> None:
    facts = child.pieces[0].facts
    least = facts["min_part"] or facts["capacity"]
    too_many = {claim.line.claim_id for claim in overfull(taken, child.pieces)}
    for claim, _ in taken:
        quantity = claim.line.quantity
        if claim.line.claim_id in too_many or not (
            quantity == facts["capacity"] or least <= quantity <= facts["capacity"]
        ):
            moves.block(
                claim,
                f"does not fit {child.code}, which gives {least} to {facts['capacity']}",
                f"{child.code} 可租 {least} 至 {facts['capacity']}，无法承接",
            )


def _require_assignable(
    claims: Sequence[Standing], by_code: Mapping[str, Target], order: Split
) -> None:
    partial = {
        claim.commitment_id
        for claim in claims
        if not claim.line.whole and claim.since(order.effective_on) is not None
    }
    faults = []
    for place, (commitment_id, code) in enumerate(order.assign.items()):
        if commitment_id not in partial:
            faults.append(
                Fault(
                    f"/assign/{place}/commitment_id",
                    "takes no part of the unit on these days",
                    detail_zh="在此期间并未部分占用该单元",
                )
            )
        if code not in by_code:
            faults.append(
                Fault(f"/assign/{place}/child_code", "no such child", detail_zh="无此新单元")
            )
    if faults:
        raise InvalidInputError(
            "; ".join(f"{fault.pointer} {fault.detail}" for fault in faults),
            faults,
            detail_zh="assign 有误",
        )
