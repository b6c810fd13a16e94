"""What the files of ``data/shanghai`` may say: one strict model per table.

Every row carries its source and how far to trust it. Unknown keys are refused, so that a misspelt
column is an error instead of a silent gap.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.kernel.quantities import kn_m2_from_kg_m2
from app.kernel.terms import (
    PIPELINE_LADDER,
    CarrierType,
    CleanroomGrade,
    Confidence,
    FacilityType,
    GeometryQuality,
    LayoutRole,
    MilestoneStep,
    Modality,
    PipelineStage,
    UnitType,
)

Number = Annotated[Decimal, Field(gt=0)]
Percent = Annotated[int, Field(ge=0, le=100)]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Weight = Annotated[int, Field(ge=0)]


class Row(BaseModel):
    """A row: no unknown keys, no changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourcedRow(Row):
    """A row that says who published its facts."""

    source: Annotated[str, Field(min_length=3)]
    confidence: Confidence


class DrawnRow(SourcedRow):
    """A row with a place: how it was drawn, how far off it may be, and whether it was made up."""

    geometry_quality: GeometryQuality
    position_accuracy_m: Number | None = None
    synthetic: bool


class Span(Row):
    """From low to high, both possible."""

    low: Number
    high: Number

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is more than high {self.high}")
        return self


class Triangle(Row):
    """Lowest, most likely and highest value."""

    low: Number
    mode: Number
    high: Number

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.mode <= self.high:
            raise ValueError(f"{self.low}, {self.mode}, {self.high} are not in order")
        return self


class ZoneRow(DrawnRow):
    """区: the 1, the 5 and the X. Areas in m²."""

    code: Code
    layout_role: LayoutRole
    name_zh: str
    name_en: str
    district: str
    management_area: str | None = None
    focus_sectors: tuple[str, ...]
    published_area_m2: Number | None = None
    published_area_note: str | None = None
    outline: Code | None = None


class BlockRow(Row):
    """区块: one piece of a park."""

    name_zh: str
    name_en: str
    outline: Code


class ParkRow(DrawnRow):
    """园区. ``synthetic`` where the outline was made up."""

    code: Code
    zone: Code
    parent: Code | None = None
    name_zh: str
    name_en: str
    layout_role: LayoutRole
    carrier_type: CarrierType
    district: str
    management_area: str | None = None
    focus_sectors: tuple[str, ...]
    published_area_m2: Number | None = None
    published_area_note: str | None = None
    planned_floor_area_m2: Number | None = None
    boundary_east: str | None = None
    boundary_south: str | None = None
    boundary_west: str | None = None
    boundary_north: str | None = None
    special_goods_import_pilot: bool = False
    outline: Code | None = None
    block: tuple[BlockRow, ...] = ()

    @property
    def outlines(self) -> tuple[str, ...]:
        """Codes of the outlines that make up the park's ground."""
        return (self.outline,) if self.outline else tuple(block.outline for block in self.block)


class MilestoneRow(Row):
    """里程碑. A date is the first day of what ``precision`` names."""

    step: MilestoneStep
    floor_area_m2: Number | None = None
    planned_on: date | None = None
    actual_on: date | None = None
    precision: Literal["day", "month", "quarter", "year"]

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if self.planned_on is None and self.actual_on is None:
            raise ValueError(f"the milestone {self.step} has no date")
        return self


class ProgrammeRow(SourcedRow):
    """计划/项目, with its published figures in m² and CNY."""

    code: Code
    parent: Code | None = None
    also_towards: tuple[Code, ...] = ()
    park: Code | None = None
    name_zh: str
    name_en: str
    target_floor_area_m2: Number | None = None
    published_lettable_area_m2: Number | None = None
    published_land_area_m2: Number | None = None
    published_building_count: Annotated[int, Field(gt=0)] | None = None
    published_investment_cny: Number | None = None
    note_zh: str | None = None
    note_en: str | None = None
    milestone: tuple[MilestoneRow, ...] = ()


class BuildingTypeRow(SourcedRow):
    """Kind of building: m², m, kN/m², W/m², t; chances in percent."""

    code: Code
    name_zh: str
    floors: Annotated[tuple[int, ...], Field(min_length=1)]
    plate_m2: Span
    gross_m2: Span
    ground_storey_m: Span
    upper_storey_m: Span
    ground_load_kn_m2: Span
    upper_load_kn_m2: Span
    published_ground_load_kg_m2: Number | None = None
    published_upper_load_kg_m2: Number | None = None
    power_w_m2: Span
    freight_lift_t: Number
    ground_units: Annotated[tuple[UnitType, ...], Field(min_length=1)]
    upper_units: Annotated[tuple[UnitType, ...], Field(min_length=1)]
    cleanroom: Mapping[CleanroomGrade | Literal["none"], Weight]
    bsl2_pct: Percent
    steam_pct: Percent
    gas_pct: Percent
    purified_water_pct: Percent
    dual_feed_pct: Percent
    fitted_pct: Percent
    basement_levels: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _loads_as_published(self) -> Self:
        for published_kg_m2, load in (
            (self.published_ground_load_kg_m2, self.ground_load_kn_m2),
            (self.published_upper_load_kg_m2, self.upper_load_kn_m2),
        ):
            if published_kg_m2 is None:
                continue
            load_kn_m2 = kn_m2_from_kg_m2(published_kg_m2)
            if not load.low <= load_kn_m2 <= load.high:
                raise ValueError(f"{published_kg_m2} kg/m² are {load_kn_m2} kN/m², not {load}")
        return self


class UnitTypeRow(SourcedRow):
    """Kind of unit: m², CNY per m² and day, CNY per place and month, months."""

    code: UnitType
    area_m2: Triangle
    rent_cny_per_m2_day: Span
    rent_cny_per_place_month: Span | None = None
    term_months: Span


class GroupRow(Row):
    """Buildings of one type: a published number, or a share of the site's."""

    type: Code
    count: Annotated[int, Field(gt=0)] | None = None
    share: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.count is None) == (self.share is None):
            raise ValueError(f"group {self.type} needs a count or a share")
        return self


class PlotRow(Row):
    """Size of one plot, the road between two, and the margin to the park's edge, m."""

    width_m: Number
    depth_m: Number
    road_m: Number
    edge_m: Number


class SiteRow(Row):
    """Where the generator builds, and how much. Areas in m²."""

    code: Code
    name_zh: str
    name_en: str
    park: Code
    programme: Code | None = None
    under: Code | None = None
    also: Code | None = None
    floor_area_m2: Number
    below_ground_m2: Number | None = None
    lettable_area_m2: Number | None = None
    land_area_m2: Number | None = None
    land_use: Annotated[tuple[str, ...], Field(min_length=1)]
    carrier_type: CarrierType = CarrierType.SPECIAL_PARK
    started: date | None = None
    delivered: date | None = None
    own_use: bool = False
    groups: Annotated[tuple[GroupRow, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if self.started is None and self.delivered is None:
            raise ValueError(f"site {self.code} has no date")
        if self.programme is not None and self.under is not None:
            raise ValueError(f"site {self.code} names a programme and a made-up project")
        return self


class ReserveRow(SourcedRow):
    """Reserved industrial land."""

    plots_per_park: Annotated[int, Field(ge=0)]


class FacilityRow(DrawnRow):
    """共享设施: a point of its own, or in a unit of a site."""

    code: Code
    facility_type: FacilityType
    name_zh: str
    name_en: str
    park: Code | None = None
    in_site: Code | None = None
    longitude: Decimal | None = None
    latitude: Decimal | None = None
    biosafety_level: Annotated[int, Field(ge=1, le=4)] | None = None
    capacity: Number | None = None
    capacity_unit: str | None = None

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if (self.longitude is None or self.latitude is None) == (self.in_site is None):
            raise ValueError(f"facility {self.code} needs a point or a site")
        return self


class StationRow(DrawnRow):
    """地铁站, WGS-84 degrees."""

    name_zh: str
    name_en: str
    longitude: Decimal
    latitude: Decimal


class FirmsTable(SourcedRow):
    """How the demonstration firms are drawn."""

    count: Annotated[int, Field(gt=0)]
    special_goods_pilot_pct: Percent
    assets: tuple[Weight, ...]
    same_modality_pct: Percent
    modality: Mapping[Modality, Weight]
    stage: Mapping[PipelineStage, Weight]
    years_in_stage: Mapping[PipelineStage, Number]
    headcount: Mapping[PipelineStage, tuple[int, int, int]]
    indication: Mapping[str, Weight]


class LinkRow(SourcedRow):
    """连廊: a passage between two buildings of a site, by their numbers and ``level_index``."""

    site: Code
    buildings: tuple[int, int]
    levels: tuple[int, int]
    synthetic: bool

    @model_validator(mode="after")
    def _between_two(self) -> Self:
        if self.buildings[0] == self.buildings[1]:
            raise ValueError(f"a passage of site {self.site} leads to where it begins")
        return self


class ExpectedRow(Row):
    """What a person of the trade would answer to a request.

    ``kinds`` and ``shapes`` are among the answers; ``blocking`` are keys of the constraint table
    that must give way together, and with less than that nothing fits. ``why_zh`` and ``why_en`` say
    what makes it so.
    """

    outcome: Literal["matches", "refused"]
    kinds: tuple[Literal["unit", "part", "places", "bundle"], ...] = ()
    shapes: tuple[Literal["floor", "stack", "linked"], ...] = ()
    blocking: tuple[str, ...] = ()
    why_zh: Annotated[str, Field(min_length=5)]
    why_en: Annotated[str, Field(min_length=10)]

    @model_validator(mode="after")
    def _tells_what_it_must(self) -> Self:
        fits = self.outcome == "matches"
        if bool(self.kinds) != fits or bool(self.blocking) == fits or (self.shapes and not fits):
            raise ValueError("what fits has kinds, what is refused names what blocks it")
        return self


class RequestRow(SourcedRow):
    """空间需求 of a made-up firm: its asset, the stage it is for, and its form as it would send it.

    ``stage_on`` is the day on which the asset enters the stage; without it, it is there already.
    ``then`` are the days on which it is expected to enter the stages after that, one by one.
    """

    code: Code
    modality: Modality
    stage: PipelineStage
    stage_on: date | None = None
    then: Mapping[PipelineStage, date] = {}
    form: Mapping[str, Any]
    expect: ExpectedRow

    @model_validator(mode="after")
    def _stage_is_reached(self) -> Self:
        if self.stage_on is None and self.stage is not PipelineStage.DISCOVERY:
            raise ValueError(f"request {self.code} does not say when its stage begins")
        follow = PIPELINE_LADDER[PIPELINE_LADDER.index(self.stage) + 1 :]
        days = [self.stage_on or date.min, *self.then.values()]
        if tuple(self.then) != follow[: len(self.then)] or days != sorted(set(days)):
            raise ValueError(f"request {self.code} leaves out a stage, or goes back in time")
        return self
