"""Why a unit fits or not, and what stands in the way, in Chinese and English. Pure."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.matching.constraints import Constraint
from app.matching.demand import Demand
from app.matching.scoring import exact, values_of
from app.matching.search import Evaluation
from app.matching.snapshot import Units


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
    """How much one constraint blocks; ``example_row`` is a unit that it alone blocks."""

    constraint: Constraint
    blocks: int
    blocks_alone: int
    left: int
    example_row: int | None
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
    """What each hard constraint blocks, in the table's order, with the funnel in words."""
    found = []
    before = len(evaluation.masks)
    for constraint, left in evaluation.funnel():
        blocks = evaluation.blocked_by(constraint)
        alone = evaluation.blocked_alone_by(constraint)
        zh = (
            f"“{constraint.name_zh}”排除 {blocks} 个单元，其中 {len(alone)} 个仅因此项；"
            f"筛选至此由 {before} 个减为 {left} 个"
        )
        en = (
            f"{constraint.name_en} rules out {blocks} units, {len(alone)} of them alone;"
            f" the funnel goes from {before} to {left} here"
        )
        found.append(
            Blocker(
                constraint=constraint,
                blocks=blocks,
                blocks_alone=len(alone),
                left=left,
                example_row=int(alone[0]) if len(alone) else None,
                words_zh=zh,
                words_en=en,
            )
        )
        before = left
    return found


def _verdict(constraint: Constraint, units: Units, need: Any, row: int, *, fits: bool) -> Verdict:
    have = constraint.have(units, row)
    zh, en = constraint.says(have, need, fits)
    return Verdict(
        constraint=constraint.key,
        name_zh=constraint.name_zh,
        name_en=constraint.name_en,
        fits=fits,
        need=_plain(constraint.wants(need)),
        have=_plain(have),
        margin=None if have is None else constraint.margin(have, need),
        unit=constraint.unit or None,
        never_relax=constraint.never_relax,
        words_zh=zh,
        words_en=en,
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
