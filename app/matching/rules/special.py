"""Constraints that are rules of their own, in no family. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demand.needs import named, within_a_sentence
from app.demand.rules import BuildingRules
from app.kernel.terms import CleanroomGrade, FireHazardClass, UnitType
from app.matching.columns import HIGHEST, Width, rank_of
from app.matching.forms import Interval, Intervals
from app.matching.rules.constraint import Combining, Constraint, Words
from app.matching.rules.families import as_is, no_margin, shown
from app.matching.segment import Segment

#: What the column ``storey_class`` says; a greater one allows more.
BELOW_GROUND, IN_HIGH_RISE, ELSEWHERE = range(3)
_UNKNOWN_HEIGHT = Width.LARGE.unknown
_CENTIMETRES = 100


@dataclass(frozen=True, slots=True)
class StoreyNeed:
    """Where a process of a fire hazard class may stand: on storeys of class ``least`` or more.

    ``high_rise_above_m`` and ``high_rise_above_floors`` say what is high-rise.
    """

    fire_hazard_class: str
    least: int
    high_rise_above_m: float
    high_rise_above_floors: int


@dataclass(frozen=True, slots=True)
class IsoNeed:
    """An ISO class of cleanroom, and the weakest GMP grade whose rooms meet it at rest."""

    iso_class: int
    grade: str


def storey_class(
    level_index: NDArray[np.integer],
    floors_above: NDArray[np.integer],
    height_m: NDArray[np.float64],
    rules: BuildingRules,
) -> NDArray[np.int8]:
    """What kind of storey each unit is on, by the rules for buildings; shape ``(n_units,)``.

    Args:
        level_index: of the unit's floor; 0 is the ground floor.
        floors_above: floors above ground of its building.
        height_m: of its building; NaN where not recorded. Several floors of unknown height count
            as high-rise.
        rules: say what is high-rise.

    >>> from app.demand.rules import BuildingRules
    >>> rules = BuildingRules("1", "", "", 24.0, 1, {}, {})
    >>> heights = np.array([20.0, 24.0, 24.1, np.nan, np.nan])
    >>> storey_class(np.array([-1, 1, 1, 1, 0]), np.array([4, 4, 4, 4, 1]), heights, rules).tolist()
    [0, 2, 1, 1, 2]
    """
    low = (floors_above <= rules.high_rise_above_floors) | (height_m <= rules.high_rise_above_m)
    above = np.where(low, ELSEWHERE, IN_HIGH_RISE)
    return np.where(level_index < 0, BELOW_GROUND, above).astype(np.int8)


def storey_need(fire_hazard_class: str, rules: BuildingRules) -> StoreyNeed:
    """Where a process of a fire hazard class may stand."""
    rule = rules.storeys.get(fire_hazard_class)
    least = BELOW_GROUND
    if rule is not None and not rule.below_ground:
        least = IN_HIGH_RISE if rule.high_rise else ELSEWHERE
    return StoreyNeed(
        fire_hazard_class, least, rules.high_rise_above_m, rules.high_rise_above_floors
    )


def _space(unit_type: UnitType) -> str:
    return f"{within_a_sentence(unit_type.en).replace(' scale', '-scale')} space"


def unit_type_rule() -> Constraint:
    """The unit is of the type asked for."""

    def says(have: Any, need: Any, fits: bool) -> Words:
        has, wants = named(UnitType, have), named(UnitType, need)
        if fits:
            return f"空间类型为{has.zh}", f"this is {_space(has)}, as needed"
        return (
            f"空间类型为{has.zh}，需要{wants.zh}",
            f"this is {_space(has)}; {_space(wants)} is needed",
        )

    return Constraint(
        key="unit_type",
        name_zh="空间类型",
        name_en="kind of space",
        unit="",
        combining=Combining.PER_UNIT,
        form=lambda _segment, need: Interval.exactly("unit_type", rank_of("unit_type", need)),
        sql="c.unit_type = :unit_type",
        params=lambda need: {"unit_type": need},
        have=lambda segment, row: segment.value("unit_type", row),
        margin=no_margin,
        says=says,
        wants=as_is,
        relax_cost=8,
        source="the firm's need, or data/needs/stage_needs.toml",
    )


def places_rule() -> Constraint:
    """The unit is let by the place and has enough."""
    place = rank_of("capacity_measure", "place")

    def form(_segment: Segment, need: Any) -> Intervals:
        return Intervals(
            (Interval.exactly("capacity_measure", place), Interval.at_least("capacity", need))
        )

    def have(segment: Segment, row: int) -> Any:
        by_place = segment.value("capacity_measure", row) == "place"
        return segment.value("capacity", row) if by_place else None

    def says(have: Any, need: Any, fits: bool) -> Words:
        if have is None:
            return "该单元不按工位出租", "this unit is not let by the place"
        has, wants = shown(have)[0], shown(need)[0]
        mark = "" if fits else "，不足"
        return (
            f"共有工位 {has} 个，需要 {wants} 个{mark}",
            f"{has} places in all, {wants} needed" + ("" if fits else ", too few"),
        )

    return Constraint(
        key="places",
        name_zh="工位数",
        name_en="places",
        unit="places",
        combining=Combining.SUM,
        form=form,
        sql="c.capacity_measure = 'place' AND c.capacity >= :places",
        params=lambda need: {"places": need},
        have=have,
        margin=lambda have, need: float(have - need),
        says=says,
        wants=as_is,
        give=lambda need, have: min(need, int(have)),
        relax_cost=4,
    )


def term_rule() -> Constraint:
    """The landlord's terms of lease take in the months wanted."""

    def form(_segment: Segment, need: Any) -> Intervals:
        # An unset limit of the landlord's is no limit, not an unknown.
        low, high = (
            Interval.at_most("min_term_months", need),
            Interval.at_least("max_term_months", need),
        )
        return Intervals(
            tuple(Interval(one.column, one.low, one.high, or_unknown=True) for one in (low, high))
        )

    def have(segment: Segment, row: int) -> Any:
        low, high = segment.value("min_term_months", row), segment.value("max_term_months", row)
        return f"{0 if low is None else low:g}–{'∞' if high is None else f'{high:g}'}"

    def says(have: Any, need: Any, fits: bool) -> Words:
        verdict_zh, verdict_en = (
            ("包含", "which takes in") if fits else ("不含", "which leaves out")
        )
        return (
            f"出租期限 {have} 个月，{verdict_zh}所需的 {need} 个月",
            f"let for {have} months, {verdict_en} the {need} months wanted",
        )

    return Constraint(
        key="term_months",
        name_zh="租期",
        name_en="term",
        unit="months",
        combining=Combining.PER_UNIT,
        form=form,
        sql="(c.min_term_months IS NULL OR c.min_term_months <= :term_months)"
        " AND (c.max_term_months IS NULL OR c.max_term_months >= :term_months)",
        params=lambda need: {"term_months": need},
        have=have,
        margin=no_margin,
        says=says,
        wants=as_is,
        relax_cost=2,
        source="the landlord's terms of the unit",
    )


def fire_storey_rule() -> Constraint:
    """The process may stand on this storey: 甲 not in high-rise plants, 甲 and 乙 not below ground.

    Which classes may not stand where, and what is high-rise, is data.
    """

    def have(segment: Segment, row: int) -> Any:
        level = int(segment.floors.level_index[segment.floor[row]])
        height = int(segment.buildings.height[segment.building_of(row)])
        if height == _UNKNOWN_HEIGHT:
            return None
        storey = f"{'B' if level < 0 else ''}{abs(level) + (level >= 0)}F"
        return f"{storey} / {height / _CENTIMETRES:g} m"

    def says(have: Any, need: Any, fits: bool) -> Words:
        fire = named(FireHazardClass, need.fire_hazard_class)
        zh, en = fire.zh, within_a_sentence(fire.en)
        at_zh, at_en = "楼层或建筑高度未记录", "floor or building height not recorded"
        if have is not None:
            storey, height = have.split(" / ")
            at_zh, at_en = f"{storey}，建筑高度 {height}", f"{storey}, building height {height}"
        if fits:
            return (
                f"{zh}生产可设于本层（{at_zh}）",
                f"production of {en} may stand on this floor ({at_en})",
            )
        also_zh = also_en = ""
        if need.least == ELSEWHERE:
            also_zh, also_en = "，也不得设于高层厂房", ", nor in a high-rise plant"
        return (
            f"{zh}生产不得设于地下{also_zh}（本层 {at_zh}）",
            f"production of {en} must not stand below ground{also_en} (here: {at_en})",
        )

    return Constraint(
        key="fire_storey",
        name_zh="火灾危险性与楼层",
        name_en="fire hazard and storey",
        unit="",
        combining=Combining.PER_UNIT,
        form=lambda _segment, need: Interval(
            "storey_class", need.least, HIGHEST, or_unknown=need.least == BELOW_GROUND
        ),
        sql=f"(:fire_storey_least < {IN_HIGH_RISE} OR c.level_index >= 0)"
        f" AND (:fire_storey_least < {ELSEWHERE}"
        " OR coalesce(c.floors_above <= :fire_storey_floors, false)"
        " OR coalesce(c.height_m <= :fire_storey_height_m, false))",
        params=lambda need: {
            "fire_storey_least": need.least,
            "fire_storey_floors": need.high_rise_above_floors,
            "fire_storey_height_m": need.high_rise_above_m,
        },
        have=have,
        margin=no_margin,
        says=says,
        wants=lambda need: need.fire_hazard_class,
        relax_cost=9,
        never_relax=True,
        source="data/needs/building_rules.toml, after GB 50016-2014 (2018 edition)",
        confidence="assumption",
    )


def iso_rule() -> Constraint:
    """The cleanroom's GMP grade meets an ISO class at rest."""

    def says(have: Any, need: Any, fits: bool) -> Words:
        wants = named(CleanroomGrade, need.grade)
        want_zh = f"ISO {need.iso_class}级（相当于 GMP {wants.zh}，静态）"
        want_en = f"ISO {need.iso_class} ({wants.en} at rest)"
        if have is None:
            return (
                f"洁净等级未记录，无法确认达到 {want_zh}",
                f"cleanroom grade is not recorded, so {want_en} cannot be confirmed",
            )
        has = named(CleanroomGrade, have)
        verdict_zh, verdict_en = ("满足", "meets") if fits else ("达不到", "falls short of")
        return (
            f"洁净等级为 GMP {has.zh}，{verdict_zh}所需的 {want_zh}",
            f"cleanroom grade is {has.en}, which {verdict_en} the {want_en} needed",
        )

    def margin(have: Any, need: Any) -> float:
        return float(rank_of("cleanroom_grade", have) - rank_of("cleanroom_grade", need.grade))

    return Constraint(
        key="cleanroom_iso_class",
        name_zh="洁净等级（ISO）",
        name_en="cleanroom class (ISO)",
        unit="",
        combining=Combining.PER_UNIT,
        form=lambda _segment, need: Interval(
            "cleanroom_grade", rank_of("cleanroom_grade", need.grade), HIGHEST
        ),
        sql="array_position(ARRAY['D', 'C', 'B', 'A'], c.cleanroom_grade) >= :cleanroom_iso_class",
        params=lambda need: {"cleanroom_iso_class": rank_of("cleanroom_grade", need.grade)},
        have=lambda segment, row: segment.value("cleanroom_grade", row),
        margin=margin,
        says=says,
        wants=lambda need: need.iso_class,
        source="data/needs/building_rules.toml, after GMP 2010 annex 1 and GB/T 25915.1-2021",
        confidence="assumption",
    )
