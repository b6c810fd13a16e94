"""Constraints with a kernel of their own (``forms.Own``): they read more than a unit's cells. Pure.

What there is depends on the quantities and days of a candidate: the engine's judge says it.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from app.demand.needs import number_text
from app.matching.columns import MONEY_GRAIN, POWER_GRAIN
from app.matching.forms import Own, Special
from app.matching.rules.constraint import Combining, Constraint, Words
from app.matching.rules.demand import Window
from app.matching.rules.families import Bound, as_is, no_margin, shown
from app.matching.segment import Segment


@dataclass(frozen=True, slots=True)
class PowerNeed:
    """Power taken from the building's: so many kVA, or so many W for each m²; the larger counts."""

    kva: float | None
    w_per_m2: float | None


def judged(_segment: Segment, _row: int) -> None:
    """What there is depends on the quantities and days of a candidate: its judge says it."""


def availability_rule() -> Constraint:
    """A free stretch that holds the whole term starts in time."""

    def says(have: Any, need: Any, fits: bool) -> Words:
        if need.latest < need.start:
            return (
                f"最晚起租日 {need.latest} 已过",
                f"the latest start, {need.latest}, has passed",
            )
        if have is None:
            return (
                f"自 {need.start} 起没有连续 {need.term_months} 个月的空档",
                f"never free for {need.term_months} months on end from {need.start} on",
            )
        if fits:
            return (
                f"{have} 起可用，最晚起租日 {need.latest}，租期 {need.term_months} 个月可满足",
                (
                    f"free from {have}, in time for the latest start, {need.latest},"
                    f" for {need.term_months} months"
                ),
            )
        return (
            f"最早 {have} 起可用，晚于最晚起租日 {need.latest}",
            f"free from {have} at the earliest, later than the latest start {need.latest}",
        )

    return Constraint(
        key="availability",
        name_zh="可用时间",
        name_en="availability",
        unit="days",
        combining=Combining.PER_UNIT,
        form=lambda _segment, _need: Special(Own.AVAILABILITY),
        sql="c.free_from <= :availability",
        params=lambda need: {"availability": need.latest},
        have=judged,
        margin=lambda have, need: float((need.latest - have).days),
        says=says,
        wants=lambda need: need.latest,
        give=lambda need, have: Window(need.start, max(need.latest, have), need.term_months),
        relax_cost=2,
        source="the ledger of claims",
    )


def only_one_rule(own: Own, key: str, zh: str, en: str) -> Constraint:
    """No other unit shares the floor or building, and nothing of the unit is left to others."""
    column = "units_on_floor" if own is Own.WHOLE_FLOOR else "units_in_building"

    def says(have: Any, _need: Any, fits: bool) -> Words:
        count = shown(have)[0]
        if fits:
            return f"独立使用{zh}", f"has {en} to itself"
        if have is None:
            return f"{zh}单元数未记录", f"how many units {en} has is not recorded"
        if have == 1:
            return f"仅使用{zh}的一部分", f"takes only a part of {en}"
        return f"{zh}共有 {count} 个单元", f"{en} has {count} units in all"

    return Constraint(
        key=key,
        name_zh=f"独立使用{zh}",
        name_en=f"{en} to itself",
        unit="units",
        combining=Combining.SUM,
        form=lambda _segment, _need: Special(own),
        sql=f"c.{column} = 1 AND c.quantity = c.capacity",
        params=lambda _need: {},
        have=judged,
        margin=no_margin,
        says=says,
        wants=as_is,
    )


def rent_a_year_rule() -> Constraint:
    """The rent of a year is within the budget."""
    bound = Bound(("年租金", "rent a year"), "元", upwards=False)

    def form(_segment: Segment, need: Any) -> Special:
        fen = (Decimal(str(need)) * MONEY_GRAIN).to_integral_value(ROUND_FLOOR)
        return Special(Own.RENT_A_YEAR, limit=int(fen))

    return Constraint(
        key="max_rent_cny_per_year",
        name_zh="年租金",
        name_en="rent a year",
        unit=bound.unit,
        combining=Combining.SUM,
        form=form,
        sql="c.rent_cny_per_year <= :max_rent_cny_per_year",
        params=lambda need: {"max_rent_cny_per_year": need},
        have=judged,
        margin=bound.margin,
        says=bound.says,
        wants=as_is,
        give=bound.give,
        source="the firm's budget against the landlord's asking rent",
    )


def power_left_rule() -> Constraint:
    """What the building's other tenants leave of its power bears the need."""
    zh, en = "楼宇剩余配电", "power left in the building"

    def form(_segment: Segment, need: Any) -> Special:
        return Special(Own.POWER_LEFT, limit=_tenths(need.kva), limit_per_m2=_tenths(need.w_per_m2))

    def params(need: Any) -> dict[str, Any]:
        return {
            "power_left_kva": Decimal(_tenths(need.kva)) / POWER_GRAIN,
            "power_left_w_m2": Decimal(_tenths(need.w_per_m2)) / POWER_GRAIN,
        }

    def says(have: Any, need: Any, fits: bool) -> Words:
        want_zh, want_en = _power_words(need)
        if have is None:
            return (
                f"楼宇配电容量未记录，无法确认剩余配电能否承担{want_zh}",
                f"the building's power is not recorded, so {want_en} cannot be confirmed",
            )
        verdict_zh, verdict_en = (
            ("可承担", "enough for") if fits else ("不足以承担", "too little for")
        )
        left = number_text(have)
        return (
            f"{zh} {left} kVA，{verdict_zh}所需的{want_zh}",
            f"{en} is {left} kVA, {verdict_en} the {want_en} needed",
        )

    return Constraint(
        key="power_left",
        name_zh=zh,
        name_en=en,
        unit="kVA",
        combining=Combining.SUM,
        form=form,
        sql="CAST(c.power_left_kva AS numeric) >= CAST(:power_left_kva AS numeric)"
        " AND CAST(c.power_left_kva AS numeric) * 1000"
        " >= CAST(:power_left_w_m2 AS numeric) * CAST(c.leasable_area_m2 AS numeric)",
        params=params,
        have=judged,
        margin=no_margin,
        says=says,
        wants=lambda need: _power_words(need)[1],
        relax_cost=2,
        source="the building's recorded power less that of the units that are taken",
    )


def _tenths(need: float | None) -> int:
    """Tenths; needs finer than that are rounded up. No need is none at all."""
    return int((Decimal(str(need or 0)) * POWER_GRAIN).to_integral_value(ROUND_CEILING))


def _power_words(need: PowerNeed) -> Words:
    said = []
    if need.kva is not None:
        said.append(f"{number_text(need.kva)} kVA")
    if need.w_per_m2 is not None:
        said.append(f"{number_text(need.w_per_m2)} W/m²")
    return " 与 ".join(said), " and ".join(said)
