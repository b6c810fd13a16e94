"""The versioned tables behind derived needs, read from ``data/needs``.

They are planning assumptions that staff may edit; each row keeps its source and confidence.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.demand.needs import NEEDS, named
from app.kernel.terms import (
    CleanroomGrade,
    FireHazardClass,
    LandUseCode,
    Modality,
    PipelineStage,
    ProcessClass,
    UnitType,
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Low, most likely and high of a planning figure."""

    low: float
    mode: float
    high: float

    def __post_init__(self) -> None:
        """Refuse figures out of order."""
        if not self.low <= self.mode <= self.high:
            raise ValueError(f"low <= mode <= high does not hold: {self}")


@dataclass(frozen=True, slots=True)
class StageNeed:
    """What one kind of product needs at some stages, in one type of unit.

    Areas are m² of floor area for the company's first programme; lead times are months from
    signing to ready.
    """

    modality: Modality
    stages: frozenset[PipelineStage]
    unit_type: UnitType
    primary: bool
    area_m2: Spread
    lead_time_months: Spread
    process: str
    fire_hazard_class: FireHazardClass
    hard: Mapping[str, Any]
    soft: Mapping[str, Any]
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class SpaceTerms:
    """What is usual for a type of unit: months of lease, months of slack, 元/㎡·天 of rent."""

    term_months: Spread
    start_slack_months: int
    rent_cny_per_m2_day: Spread
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Process:
    """An emission class of a process."""

    key: str
    rank: int
    name_zh: str
    name_en: str
    chemical_zone_only: bool


@dataclass(frozen=True, slots=True)
class LandUse:
    """What a land-use code of the control plans allows."""

    code: str
    name_zh: str
    name_en: str
    processes: frozenset[str]
    fire_hazard_classes: frozenset[str]
    unit_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class LandUseRules:
    """Which processes stand on which land."""

    version: str
    source: str
    confidence: str
    processes: Mapping[str, Process]
    land_uses: Mapping[str, LandUse]
    chemical_zone_parks: frozenset[str]

    def codes_for(self, process: str, fire_hazard_class: str | None, unit_type: str) -> list[str]:
        """Codes that allow the process, its fire hazard class and the type of unit, sorted."""
        return sorted(
            use.code
            for use in self.land_uses.values()
            if process in use.processes
            and (fire_hazard_class is None or fire_hazard_class in use.fire_hazard_classes)
            and unit_type in use.unit_types
        )


@dataclass(frozen=True, slots=True)
class StoreyRule:
    """Whether a process of a fire hazard class may stand below ground, and in a high-rise."""

    below_ground: bool
    high_rise: bool


@dataclass(frozen=True, slots=True)
class BuildingRules:
    """What may be made in which building.

    A building higher than ``high_rise_above_m`` and of more than ``high_rise_above_floors`` floors
    is high-rise. ``storeys`` are by fire hazard class; a class that is absent may stand anywhere.
    ``gmp_grade_of_iso`` has the weakest grade whose rooms meet an ISO class at rest.
    """

    version: str
    source: str
    confidence: str
    high_rise_above_m: float
    high_rise_above_floors: int
    storeys: Mapping[str, StoreyRule]
    gmp_grade_of_iso: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """All tables of one version."""

    version: str
    rows: tuple[StageNeed, ...]
    spaces: Mapping[UnitType, SpaceTerms]
    further_programme_share: Spread
    land: LandUseRules
    building: BuildingRules

    def row(
        self, modality: Modality, stage: PipelineStage, unit_type: UnitType | None
    ) -> StageNeed | None:
        """The row of a product and stage: the primary space, or that of the type asked for."""
        for row in self.rows:
            wanted = row.primary if unit_type is None else row.unit_type == unit_type
            if row.modality == modality and stage in row.stages and wanted:
                return row
        return None


@cache
def load_rules(data_dir: Path) -> Rules:
    """The tables under ``data_dir/needs``, read once per process.

    Raises:
        ValueError: a table names a need, a process or a word that does not exist, a product and
            stage without a primary space, or a storey rule that no storey class expresses.
    """
    table = tomllib.loads((data_dir / "needs" / "stage_needs.toml").read_text("utf-8"))
    land = _land_use(tomllib.loads((data_dir / "needs" / "land_use.toml").read_text("utf-8")))
    building = tomllib.loads((data_dir / "needs" / "building_rules.toml").read_text("utf-8"))
    rules = Rules(
        version=table["version"],
        rows=tuple(_stage_need(row) for row in table["need"]),
        spaces={named(UnitType, key): _terms(row) for key, row in table["space"].items()},
        further_programme_share=_spread(table["further_programme_share"]),
        land=land,
        building=_building(building),
    )
    _check(rules)
    return rules


def _check(rules: Rules) -> None:
    if set(rules.land.processes) != {process.value for process in ProcessClass}:
        raise ValueError("land_use.toml must say where each process class may go, and no other")
    if set(rules.land.land_uses) != {code.value for code in LandUseCode}:
        raise ValueError("land_use.toml must have each land-use code, and no other")
    for row in rules.rows:
        unknown = sorted((set(row.hard) | set(row.soft)) - set(NEEDS))
        if unknown or row.process not in rules.land.processes:
            raise ValueError(f"{row.modality} {row.unit_type}: unknown {unknown or row.process}")
    for modality in Modality:
        for stage in PipelineStage:
            if rules.row(modality, stage, None) is None:
                raise ValueError(f"no primary space for {modality} at {stage}")
    if missing := set(UnitType) - set(rules.spaces):
        raise ValueError(f"no usual terms for {sorted(missing)}")


def _spread(row: Mapping[str, float]) -> Spread:
    return Spread(row["low"], row.get("mode", (row["low"] + row["high"]) / 2), row["high"])


def _stage_need(row: Mapping[str, Any]) -> StageNeed:
    return StageNeed(
        modality=named(Modality, row["modality"]),
        stages=frozenset(named(PipelineStage, stage) for stage in row["stages"]),
        unit_type=named(UnitType, row["unit_type"]),
        primary=row["role"] == "primary",
        area_m2=_spread(row["area_m2"]),
        lead_time_months=_spread(row["lead_time_months"]),
        process=row["process"],
        fire_hazard_class=named(FireHazardClass, row["fire_hazard_class"]),
        hard=row.get("hard", {}),
        soft=row.get("soft", {}),
        source=row["source"],
        confidence=row["confidence"],
    )


def _terms(row: Mapping[str, Any]) -> SpaceTerms:
    return SpaceTerms(
        term_months=_spread(row["term_months"]),
        start_slack_months=row["start_slack_months"],
        rent_cny_per_m2_day=_spread(row["rent_cny_per_m2_day"]),
        source=row["source"],
        confidence=row["confidence"],
    )


def _land_use(table: Mapping[str, Any]) -> LandUseRules:
    return LandUseRules(
        version=table["version"],
        source=table["source"],
        confidence=table["confidence"],
        processes={
            key: Process(
                key=key,
                rank=row["rank"],
                name_zh=row["name_zh"],
                name_en=row["name_en"],
                chemical_zone_only=row.get("chemical_zone_only", False),
            )
            for key, row in table["process"].items()
        },
        land_uses={
            row["code"]: LandUse(
                code=row["code"],
                name_zh=row["name_zh"],
                name_en=row["name_en"],
                processes=frozenset(row["processes"]),
                fire_hazard_classes=frozenset(row["fire_hazard_classes"]),
                unit_types=frozenset(row["unit_types"]),
            )
            for row in table["land_use"]
        },
        chemical_zone_parks=frozenset(table["chemical_zone_parks"]),
    )


def _building(table: Mapping[str, Any]) -> BuildingRules:
    storeys = {
        named(FireHazardClass, row["fire_hazard_class"]).value: StoreyRule(
            row["below_ground"], row["high_rise"]
        )
        for row in table["storey"]
    }
    if any(rule.below_ground and not rule.high_rise for rule in storeys.values()):
        raise ValueError("what may stand below ground may stand in a high-rise, too")
    return BuildingRules(
        version=table["version"],
        source=table["source"],
        confidence=table["confidence"],
        high_rise_above_m=float(table["high_rise"]["above_height_m"]),
        high_rise_above_floors=table["high_rise"]["above_floors"],
        storeys=storeys,
        gmp_grade_of_iso={
            row["iso_class"]: named(CleanroomGrade, row["gmp_grade"]).value
            for row in table["cleanroom_iso"]
        },
    )
