"""Constraints with a kernel of their own (``forms.Own``): they read more than a unit's cells. Pure.

What a unit has is here as far as a row alone says it; of a candidate, with its quantities and days,
the engine's judge says it.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from app.demand.needs import number_text
from app.matching.columns import MONEY_GRAIN, NEVER, POWER_GRAIN, RENT_DAYS_A_YEAR, Width
from app.matching.forms import Own, Special
from app.matching.rules.constraint import Combining, Constraint, Words
from app.matching.rules.demand import Window
from app.matching.rules.families import Bound, as_is, no_margin, shown
from app.matching.segment import Segment

_MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class PowerNeed:
    """Power taken from the building's: so many kVA, or so many W for each m²; the larger counts."""

    kva: float | None
    w_per_m2: float | None


def availability_rule() -> Constraint:
    """A free stretch that holds the whole term starts in time."""

    def have(segment: Segment, row: int) -> Any:
        # Of some part, on some day: only a calendar and a term say when a whole one begins.
        first = int(segment.column("first_free")[row])
        return None if first == NEVER else date.fromordinal(max(first, 1))

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
        have=have,
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

    def have(segment: Segment, row: int) -> Any:
        place = segment.floor
        if own is Own.WHOLE_BUILDING:
            place = segment.floors.building[place]
        # Of those who are there when the unit begins to be as it is.
        since = segment.era_from[segment.era[row]]
        there = (segment.era_from[segment.era] <= since) & (since < segment.era_until[segment.era])
        return int(np.count_nonzero((place == place[row]) & there))

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
        have=have,
        margin=no_margin,
        says=says,
        wants=as_is,
    )


def rent_a_year_rule() -> Constraint:
    """The rent of a year is within the budget."""
    bound = Bound(("年租金", "rent a year"), "元", upwards=False)

    def have(segment: Segment, row: int) -> Any:
        by_place = segment.value("rent_cny_per_place_month", row)
        by_m2 = segment.value("rent_cny_per_m2_day", row)
        if by_place is not None:
            return _cents(by_place, segment.value("capacity", row), _MONTHS_A_YEAR)
        if by_m2 is not None:
            return _cents(by_m2, segment.value("leasable_area_m2", row), RENT_DAYS_A_YEAR)
        return None

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
        have=have,
        margin=bound.margin,
        says=bound.says,
        wants=as_is,
        give=bound.give,
        source="the firm's budget against the landlord's asking rent",
    )


def _cents(rate: Any, quantity: Any, times: int) -> float | None:
    if quantity is None:
        return None
    rent = Decimal(str(rate)) * Decimal(str(quantity)) * times
    return float(rent.quantize(Decimal("0.01"), ROUND_HALF_UP))


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

    def have(segment: Segment, row: int) -> Any:
        # With all that is promised on any day at once taken: a lease's own days decide.
        buildings, place = segment.buildings, segment.building_of(row)
        fed = int(buildings.power_kva[place])
        if fed == Width.LARGE.unknown:
            return None
        used = buildings.power_used[buildings.power_at[place] : buildings.power_at[place + 1]]
        return (fed - int(used.max(initial=0))) / POWER_GRAIN

    def margin(have: Any, need: Any) -> float | None:
        # By the m² the need grows with what is taken.
        return None if need.w_per_m2 is not None else round(float(have - need.kva), 6)

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
        have=have,
        margin=margin,
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
