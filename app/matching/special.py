"""Constraints that are rules of their own, in no family. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from app.demand.needs import listed, named, within_a_sentence
from app.kernel.terms import FireHazardClass, UnitType
from app.matching.constraints import (
    GB50016,
    Combining,
    Constraint,
    Words,
    as_is,
    at_most,
    no_margin,
    shown,
)
from app.matching.snapshot import Mask, Units, rank_of

#: A production building above this height with two floors or more is high-rise.
HIGH_RISE_M = 24.0


@dataclass(frozen=True, slots=True)
class Window:
    """The lease starts on ``start`` or later, on ``latest`` at the latest, for ``term_months``."""

    start: date
    latest: date
    term_months: int


@dataclass(frozen=True, slots=True)
class LandNeed:
    """Land-use codes on which the process may stand, and where alone if the rules say so."""

    process_zh: str
    process_en: str
    codes: frozenset[str]
    only_parks: frozenset[str] | None
    park_names: Mapping[str, Words] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlacesNeed:
    """Codes of zones or parks of which any will do, and the names of all that may be spoken of."""

    codes: tuple[str, ...]
    names: Mapping[str, Words] = field(default_factory=dict)


def land_use_parts(code: str) -> frozenset[str]:
    """The codes of a mixed plot: it allows what any of its parts allows.

    >>> sorted(land_use_parts("C65+C8"))
    ['C65', 'C8']
    """
    return frozenset(code.replace("+", "/").split("/"))


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

    def holds(units: Units, need: Any) -> Mask:
        result: Mask = units.columns["unit_type"] == rank_of("unit_type", need)
        return result

    return Constraint(
        key="unit_type",
        name_zh="空间类型",
        name_en="kind of space",
        unit="",
        combining=Combining.PER_UNIT,
        holds=holds,
        sql="c.unit_type = :unit_type",
        params=lambda need: {"unit_type": need},
        have=lambda units, row: units.value("unit_type", row),
        margin=no_margin,
        says=says,
        wants=as_is,
        relax_cost=8,
    )


def places_rule() -> Constraint:
    """The unit is let by the place and has enough."""
    place = rank_of("capacity_measure", "place")

    def holds(units: Units, need: Any) -> Mask:
        counted = units.columns["capacity_measure"] == place
        result: Mask = counted & (units.columns["capacity"] >= need)
        return result

    def have(units: Units, row: int) -> Any:
        is_place = units.value("capacity_measure", row) == "place"
        return units.value("capacity", row) if is_place else None

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
        holds=holds,
        sql="c.capacity_measure = 'place' AND c.capacity >= :places",
        params=lambda need: {"places": need},
        have=have,
        margin=lambda have, need: float(have - need),
        says=says,
        wants=as_is,
        relax_cost=4,
    )


def availability_rule() -> Constraint:
    """A free stretch that holds the whole term starts in time."""

    def holds(units: Units, need: Any) -> Mask:
        result: Mask = units.columns["free_from"] <= need.latest.toordinal()
        return result

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
        holds=holds,
        sql="c.free_from <= :availability",
        params=lambda need: {"availability": need.latest},
        have=lambda units, row: units.value("free_from", row),
        margin=lambda have, need: float((need.latest - have).days),
        says=says,
        wants=lambda need: need.latest,
        relax_cost=2,
        source="the ledger of claims",
    )


def term_rule() -> Constraint:
    """The landlord's terms of lease take in the months wanted."""

    def holds(units: Units, need: Any) -> Mask:
        low, high = units.columns["min_term_months"], units.columns["max_term_months"]
        # An unset limit of the landlord's is no limit, not an unknown.
        result: Mask = (np.isnan(low) | (low <= need)) & (np.isnan(high) | (high >= need))
        return result

    def have(units: Units, row: int) -> Any:
        low, high = units.value("min_term_months", row), units.value("max_term_months", row)
        return f"{0 if low is None else int(low)}–{'∞' if high is None else int(high)}"

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
        holds=holds,
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


def land_use_rule() -> Constraint:
    """The plot's planned use allows the process."""

    def holds(units: Units, need: Any) -> Mask:
        allowed = np.array(
            [bool(land_use_parts(code) & need.codes) for code in units.land_use_codes], dtype=bool
        )
        result: Mask = allowed[units.land_use]
        if need.only_parks is not None:
            inside = np.array([bool(park.park_codes & need.only_parks) for park in units.parks])
            result = result & inside[units.park]
        return result

    def params(need: Any) -> dict[str, Any]:
        return {
            "land_use_codes": sorted(need.codes),
            "land_use_parks": sorted(need.only_parks or ()),
            "land_use_anywhere": need.only_parks is None,
        }

    def have(units: Units, row: int) -> Any:
        return units.land_use_codes[units.land_use[row]]

    def says(have: Any, need: Any, fits: bool) -> Words:
        verdict_zh, verdict_en = ("允许", "allows") if fits else ("不允许", "does not allow")
        if not fits and land_use_parts(have) & need.codes:
            verdict_zh, verdict_en = "在本园不允许", "in this park does not allow"
        only_zh = only_en = ""
        if need.only_parks is not None:
            parks_zh, parks_en = listed(sorted(need.only_parks), need.park_names)
            only_zh = f"（仅限化工集中区：{parks_zh}）"
            only_en = f" (only in the chemical zones: {parks_en})"
        return (
            f"地块规划用地 {have} {verdict_zh}{need.process_zh}{only_zh}",
            f"the plot's land use {have} {verdict_en} {need.process_en}{only_en}",
        )

    return Constraint(
        key="land_use",
        name_zh="用地性质与工艺相容",
        name_en="land use",
        unit="",
        combining=Combining.PER_UNIT,
        holds=holds,
        sql="string_to_array(replace(c.land_use_code, '+', '/'), '/')"
        " && CAST(:land_use_codes AS text[])"
        " AND (:land_use_anywhere OR c.park_codes && CAST(:land_use_parks AS text[]))",
        params=params,
        have=have,
        margin=no_margin,
        says=says,
        wants=lambda need: " / ".join(sorted(need.codes)) or "—",
        relax_cost=9,
        never_relax=True,
        source="data/needs/land_use.toml",
        confidence="assumption",
    )


def fire_storey_rule() -> Constraint:
    """甲 not in high-rise plants; 甲 and 乙 not below ground."""

    def holds(units: Units, need: Any) -> Mask:
        columns = units.columns
        above: Mask = columns["level_index"] >= 0
        if need == FireHazardClass.JIA:
            low = (columns["floors_above"] <= 1) | (columns["height_m"] <= HIGH_RISE_M)
            return above & low
        return above if need == FireHazardClass.YI else np.ones(len(units), dtype=bool)

    def have(units: Units, row: int) -> Any:
        level, height = units.value("level_index", row), units.value("height_m", row)
        if level is None or height is None:
            return None
        return f"{'B' if level < 0 else ''}{abs(int(level)) + (level >= 0)}F / {height:g} m"

    def says(have: Any, need: Any, fits: bool) -> Words:
        zh, en = named(FireHazardClass, need).zh, named(FireHazardClass, need).en
        at_zh, at_en = "楼层或建筑高度未记录", "floor or building height not recorded"
        if have is not None:
            storey, height = have.split(" / ")
            at_zh, at_en = f"{storey}，建筑高度 {height}", f"{storey}, building height {height}"
        if fits:
            return (
                f"{zh}生产可设于本层（{at_zh}）",
                f"production of {within_a_sentence(en)} may stand on this floor ({at_en})",
            )
        return (
            f"{zh}生产不得设于地下，甲类不得设于高层厂房（本层 {at_zh}）",
            (
                f"production of {within_a_sentence(en)} must not stand below ground, nor class A"
                f" in a high-rise plant (here: {at_en})"
            ),
        )

    return Constraint(
        key="fire_storey",
        name_zh="火灾危险性与楼层",
        name_en="fire hazard and storey",
        unit="",
        combining=Combining.PER_UNIT,
        holds=holds,
        sql="CASE WHEN :fire_storey = 'jia' THEN c.level_index >= 0"
        f" AND (c.floors_above <= 1 OR c.height_m <= {HIGH_RISE_M})"
        " WHEN :fire_storey = 'yi' THEN c.level_index >= 0 ELSE true END",
        params=lambda need: {"fire_storey": str(need)},
        have=have,
        margin=no_margin,
        says=says,
        wants=as_is,
        relax_cost=9,
        never_relax=True,
        source=GB50016,
        confidence="assumption",
    )


def in_places_rule(key: str, zh: str, en: str) -> Constraint:
    """The unit's park, one around it, or its zone is one of those wanted; ``key`` says which."""
    column = f"{key[:-1]}_codes"

    def holds(units: Units, need: Any) -> Mask:
        wanted = frozenset(need.codes)
        inside = np.array(
            [bool(getattr(park, column) & wanted) for park in units.parks], dtype=bool
        )
        result: Mask = inside[units.park]
        return result

    def have(units: Units, row: int) -> Any:
        park = units.parks[units.park[row]]
        return ", ".join(sorted(getattr(park, column))) or None

    def says(have: Any, need: Any, fits: bool) -> Words:
        has_zh, has_en = shown(None) if have is None else listed(have.split(", "), need.names)
        wants_zh, wants_en = listed(need.codes, need.names)
        verdict_zh, verdict_en = ("属于", "within") if fits else ("不属于", "outside")
        return (
            f"所在{zh}（{has_zh}）{verdict_zh}意向{zh}：{wants_zh}",
            f"it lies in {has_en}, {verdict_en} the {en} wanted: {wants_en}",
        )

    return Constraint(
        key=key,
        name_zh=f"意向{zh}",
        name_en=f"{en} wanted",
        unit="",
        combining=Combining.PER_UNIT,
        holds=holds,
        sql=f"c.{column} && CAST(:{key} AS text[])",
        params=lambda need: {key: list(need.codes)},
        have=have,
        margin=no_margin,
        says=says,
        wants=lambda need: ", ".join(need.codes),
        relax_cost=3,
    )


def only_one_rule(key: str, column: str, zh: str, en: str) -> Constraint:
    """No other unit shares the floor or building."""

    def holds(units: Units, _need: Any) -> Mask:
        result: Mask = units.columns[column] == 1
        return result

    def says(have: Any, _need: Any, fits: bool) -> Words:
        count = shown(have)[0]
        if fits:
            return f"独立使用{zh}", f"has {en} to itself"
        if have is None:
            return f"{zh}单元数未记录", f"how many units {en} has is not recorded"
        return f"{zh}共有 {count} 个单元", f"{en} has {count} units in all"

    return Constraint(
        key=key,
        name_zh=f"独立使用{zh}",
        name_en=f"{en} to itself",
        unit="units",
        combining=Combining.SUM,
        holds=holds,
        sql=f"c.{column} = 1",
        params=lambda _need: {},
        have=lambda units, row: units.value(column, row),
        margin=no_margin,
        says=says,
        wants=as_is,
    )


def near_rule() -> Constraint:
    """Within a distance of a point."""
    plain = at_most(
        "max_hospital_distance_m", "near_distance_m", "距意向位置", "distance from the point wanted"
    )

    def holds(units: Units, need: Any) -> Mask:
        return plain.holds(units, need["within_m"])

    return Constraint(
        key="near",
        name_zh="距意向位置",
        name_en="distance from the point wanted",
        unit="m",
        combining=Combining.PER_UNIT,
        holds=holds,
        sql="c.near_distance_m <= :near",
        params=lambda need: {"near": need["within_m"]},
        have=plain.have,
        margin=lambda have, need: plain.margin(have, need["within_m"]),
        says=lambda have, need, fits: plain.says(have, need["within_m"], fits),
        wants=lambda need: need["within_m"],
    )
