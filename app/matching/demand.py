"""A request's needs as the matcher reads them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.demand.needs import NO_NAMES, Hardness, Need, PlaceNames, named
from app.demand.rules import LandUseRules, Rules, SpaceTerms
from app.kernel.terms import FacilityType, FireHazardClass, UnitType
from app.matching.special import LandNeed, PlacesNeed, Window
from app.matching.table import BY_KEY, TABLE_VERSION

#: Needs that other members of ``Demand`` carry.
_CARRIED = frozenset({"from", "latest_from", "process", "target_area_m2"})


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of a unit.

    ``hard`` and ``soft`` map keys of the constraint table to needs; ``unchecked`` are needs that
    no column of a unit answers yet. ``terms`` bounds the rent criterion.
    """

    hard: Mapping[str, Any]
    soft: Mapping[str, Any]
    window: Window
    terms: SpaceTerms
    rules_version: str
    target_area_m2: float | None = None
    unchecked: tuple[str, ...] = ()

    @property
    def asked(self) -> Mapping[str, Any]:
        """Everything asked, hard or soft; a hard need covers a soft one of the same key."""
        return {**self.soft, **self.hard}

    @property
    def facilities(self) -> list[FacilityType]:
        """Facility types whose distance matters."""
        return [one for one in FacilityType if f"max_{one.value}_distance_m" in self.asked]


def compile_demand(
    needs: Sequence[Need], rules: Rules, today: date, names: PlaceNames = NO_NAMES
) -> Demand:
    """The needs as one demand on units that are free from today on.

    Args:
        needs: of one request, with at least ``unit_type``, ``from``, ``latest_from`` and
            ``term_months``.
        rules: for land use, and the usual terms of the type of unit.
        today: the civil day in Shanghai; a window that began before it begins today.
        names: of zones and parks, for the words.
    """
    hard = {need.key: need.value for need in needs if need.hardness is Hardness.HARD}
    soft = {need.key: need.value for need in needs if need.hardness is Hardness.SOFT}
    for values in (hard, soft):
        for key in ("zones", "parks"):
            if key in values:
                values[key] = PlacesNeed(tuple(values[key]), names.get(key, {}))
    unit_type = named(UnitType, hard["unit_type"])
    window = Window(
        start=max(today, date.fromisoformat(hard["from"])),
        latest=date.fromisoformat(hard["latest_from"]),
        term_months=int(hard["term_months"]),
    )
    compiled = {key: value for key, value in hard.items() if key in BY_KEY}
    compiled["availability"] = window
    if "fire_hazard_class" in hard:
        compiled["fire_storey"] = hard["fire_hazard_class"]
    if "process" in hard:
        compiled["land_use"] = _land_need(
            rules.land, hard["process"], hard.get("fire_hazard_class"), unit_type, names
        )
    return Demand(
        hard=compiled,
        soft={key: value for key, value in soft.items() if key in BY_KEY},
        window=window,
        terms=rules.spaces[unit_type],
        rules_version=(
            f"constraints {TABLE_VERSION}; needs {needs[0].rules_version};"
            f" usual terms {rules.version}; land use {rules.land.version}"
        ),
        target_area_m2=soft.get("target_area_m2"),
        unchecked=tuple(
            sorted(
                {need.key for need in needs if need.key not in BY_KEY and need.key not in _CARRIED}
            )
        ),
    )


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
