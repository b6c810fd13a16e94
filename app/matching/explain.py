"""Why a unit fits or not, and what stands in the way, in Chinese and English. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.matching.constraints import Constraint
from app.matching.demand import Demand
from app.matching.scoring import exact, values_of
from app.matching.search import Evaluation, Relaxation
from app.matching.snapshot import Units

#: Ways out named at most.
WAYS_OUT = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """One constraint's verdict on one unit; ``margin`` is negative where it falls short."""

    constraint: str
    name_zh: str
    name_en: str
    fits: bool
    need: Any
    have: Any
    margin: float | None
    unit: str | None
    never_relax: bool
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """One criterion's part of a score; ``contribution`` is ``weight`` times ``value``, exactly."""

    criterion: str
    name_zh: str
    name_en: str
    value: Decimal
    weight: Decimal
    contribution: Decimal
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class Blocker:
    """How much one constraint blocks; ``example_row`` is a unit that it alone blocks.

    ``blocks_in_place`` counts only units of the kind asked for in the wished place.
    """

    constraint: Constraint
    blocks: int
    blocks_in_place: int
    blocks_alone: int
    left: int
    example_row: int | None
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class WayOut:
    """Needs that free units when given up together."""

    needs: tuple[str, ...]
    units_freed: int
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know before reading the rest."""

    key: str
    words_zh: str
    words_en: str


def verdicts(
    units: Units, demand: Demand, evaluation: Evaluation, row: int, *, broken_only: bool = False
) -> list[Verdict]:
    """Every hard constraint's verdict on a unit, in the table's order."""
    broken = {one.key for one in evaluation.broken_by(row)}
    return [
        _verdict(one, units, demand.hard[one.key], row, fits=one.key not in broken)
        for one in evaluation.active
        if one.key in broken or not broken_only
    ]


def contributions(units: Units, demand: Demand, row: int) -> list[Contribution]:
    """The parts of a unit's score; they sum to it exactly."""
    found = []
    for criterion, value in values_of(units, demand, row):
        zh, en = criterion.says(units, demand, row)
        found.append(
            Contribution(
                criterion=criterion.key,
                name_zh=criterion.name_zh,
                name_en=criterion.name_en,
                value=(Decimal(value) / 1000).normalize(),
                weight=(Decimal(criterion.weight) / 100).normalize(),
                contribution=exact(criterion.weight * value),
                words_zh=zh,
                words_en=en,
            )
        )
    return found


def blockers(evaluation: Evaluation) -> list[Blocker]:
    """What each hard constraint blocks, in the funnel's order; those that block nothing left out.

    Wishes for a place come first, so that the later numbers are numbers within that place.
    """
    found = []
    before = len(evaluation.masks)
    for constraint, left in evaluation.funnel():
        blocks = evaluation.blocked_by(constraint)
        if not blocks:
            continue
        in_place = evaluation.blocked_in_place_by(constraint)
        alone = evaluation.blocked_alone_by(constraint)
        zh = (
            f"“{constraint.name_zh}”排除 {blocks} 个单元（意向范围内同类空间中 {in_place} 个），"
            f"其中 {len(alone)} 个仅因此项；筛选至此由 {before} 个减为 {left} 个"
        )
        en = (
            f"{constraint.name_en} rules out {_units(blocks)}"
            f" ({in_place} of the kind asked for in the wished place), {len(alone)} of them alone;"
            f" the funnel goes from {before} to {left} here"
        )
        found.append(
            Blocker(
                constraint=constraint,
                blocks=blocks,
                blocks_in_place=in_place,
                blocks_alone=len(alone),
                left=left,
                example_row=int(alone[0]) if len(alone) else None,
                words_zh=zh,
                words_en=en,
            )
        )
        before = left
    return found


def ways_out(evaluation: Evaluation, found: Sequence[Blocker]) -> list[WayOut]:
    """Where no single need frees a unit: the smallest sets that together do, cheapest first."""
    if any(one.blocks_alone for one in found):
        return []
    return [_way_out(one) for one in evaluation.relaxations(WAYS_OUT)]


def window_note(demand: Demand) -> Note | None:
    """That the latest start has passed, so that nothing can fit; None while it has not."""
    window = demand.window
    if window.latest >= window.start:
        return None
    return Note(
        key="window_passed",
        words_zh=f"该需求的最晚起租日 {window.latest} 已过，因此没有可匹配的单元；请更新起租时间",
        words_en=(
            f"the latest start of this request, {window.latest}, has passed, so nothing can match;"
            " give it new dates"
        ),
    )


def _way_out(one: Relaxation) -> WayOut:
    names_zh = "”“".join(constraint.name_zh for constraint in one.constraints)
    *first, last = (constraint.name_en for constraint in one.constraints)
    names_en = f"{', '.join(first)} and {last}" if first else last
    return WayOut(
        needs=tuple(constraint.key for constraint in one.constraints),
        units_freed=one.units_freed,
        words_zh=f"同时放宽“{names_zh}”，可多出 {one.units_freed} 个单元",
        words_en=f"giving way on {names_en} together frees {_units(one.units_freed)}",
    )


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"


def _verdict(constraint: Constraint, units: Units, need: Any, row: int, *, fits: bool) -> Verdict:
    have = constraint.have(units, row)
    zh, en = constraint.says(have, need, fits)
    return Verdict(
        constraint=constraint.key,
        name_zh=constraint.name_zh,
        name_en=constraint.name_en,
        fits=fits,
        need=plain(constraint.wants(need)),
        have=plain(have),
        margin=None if have is None else constraint.margin(have, need),
        unit=constraint.unit or None,
        never_relax=constraint.never_relax,
        words_zh=zh,
        words_en=en,
    )


def plain(value: Any) -> Any:
    """A value for the wire: days as text, whole numbers without decimals.

    >>> plain(2.0), plain(2.5), plain(date(2027, 1, 1))
    (2, 2.5, '2027-01-01')
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.isoformat() if isinstance(value, date) else value
