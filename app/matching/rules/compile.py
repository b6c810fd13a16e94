"""A request's needs as the matcher reads them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from app.demand.drawn import drawn_area
from app.demand.needs import NO_NAMES, Hardness, Need, PlaceNames, named
from app.demand.rules import LandUseRules, Rules
from app.kernel.terms import FireHazardClass, UnitType
from app.matching.rules.demand import Demand, Window
from app.matching.rules.described import TABLE_CITED
from app.matching.rules.ground import AreaNeed, LandNeed, PlacesNeed
from app.matching.rules.own import PowerNeed
from app.matching.rules.special import IsoNeed, storey_need
from app.matching.rules.table import BY_KEY

#: Needs that other members of ``Demand`` carry, or other constraints.
CARRIED = frozenset({"from", "latest_from", "process", "target_area_m2"})
#: Needs that no column of a unit answers yet; every answer names those of its request.
UNCHECKED = frozenset({"min_cleanroom_area_m2", "tenure", "investment_cny", "remarks"})
#: Constraints that no need is called after: what other needs imply.
IMPLIED = frozenset({"availability", "land_use", "fire_storey", "power_left"})


def compile_demand(
    needs: Sequence[Need], rules: Rules, today: date, names: PlaceNames = NO_NAMES
) -> Demand:
    """The needs as one demand on space that is free from today on.

    Args:
        needs: of one request, with at least ``unit_type``, ``from``, ``latest_from`` and
            ``term_months``.
        rules: for land use, for buildings, and the usual terms of the type of unit.
        today: the civil day in Shanghai; a window that began before it begins today.
        names: of zones and parks, for the words.
    """
    hard = {need.key: need.value for need in needs if need.hardness is Hardness.HARD}
    soft = {need.key: need.value for need in needs if need.hardness is Hardness.SOFT}
    unit_type = named(UnitType, hard["unit_type"])
    window = Window(
        start=max(today, date.fromisoformat(hard["from"])),
        latest=date.fromisoformat(hard["latest_from"]),
        term_months=int(hard["term_months"]),
    )
    return Demand(
        hard=_read(hard, rules, names)
        | {"availability": window}
        | _implied(hard, rules, unit_type, names),
        soft=_read(soft, rules, names),
        window=window,
        terms=rules.spaces[unit_type],
        rules_version=(
            f"constraints {TABLE_CITED}; needs {needs[0].rules_version};"
            f" usual terms {rules.version}; land use {rules.land.version};"
            f" buildings {rules.building.version}"
        ),
        target_area_m2=soft.get("target_area_m2"),
        unchecked=tuple(sorted({need.key for need in needs} - set(BY_KEY) - CARRIED)),
    )


def _read(values: Mapping[str, Any], rules: Rules, names: PlaceNames) -> dict[str, Any]:
    """The needs that are constraints, each as its constraint reads it."""
    found = {key: value for key, value in values.items() if key in BY_KEY}
    for key in ("zones", "parks"):
        if key in found:
            found[key] = PlacesNeed(tuple(found[key]), names.get(key, {}))
    if "within" in found:
        found["within"] = AreaNeed(drawn_area(found["within"]))
    if "cleanroom_iso_class" in found:
        iso_class = int(found["cleanroom_iso_class"])
        found["cleanroom_iso_class"] = IsoNeed(
            iso_class, rules.building.gmp_grade_of_iso[iso_class]
        )
    return found


def _implied(
    hard: Mapping[str, Any], rules: Rules, unit_type: UnitType, names: PlaceNames
) -> dict[str, Any]:
    """The constraints that follow from hard needs of other names."""
    found: dict[str, Any] = {}
    if "fire_hazard_class" in hard:
        found["fire_storey"] = storey_need(hard["fire_hazard_class"], rules.building)
    if "process" in hard:
        found["land_use"] = _land_need(
            rules.land, hard["process"], hard.get("fire_hazard_class"), unit_type, names
        )
    power = PowerNeed(hard.get("min_power_kva"), hard.get("min_power_density_w_m2"))
    if power != PowerNeed(None, None):
        found["power_left"] = power
    return found


def _land_need(
    land: LandUseRules,
    process: str,
    fire_hazard_class: str | None,
    unit_type: UnitType,
    names: PlaceNames,
) -> LandNeed:
    rule = land.processes[process]
    fire_zh = fire_en = ""
    if fire_hazard_class is not None:
        fire = named(FireHazardClass, fire_hazard_class)
        fire_zh, fire_en = f"（{fire.zh}）", f", {fire.en}"
    return LandNeed(
        process_zh=f"{unit_type.zh}：{rule.name_zh}{fire_zh}",
        process_en=f"{unit_type.en}: {rule.name_en}{fire_en}",
        codes=frozenset(land.codes_for(process, fire_hazard_class, unit_type)),
        only_parks=land.chemical_zone_parks if rule.chemical_zone_only else None,
        park_names=names.get("parks", {}),
    )
