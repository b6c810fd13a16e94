"""Rows as they are loaded: one class per table, one field per column.

Areas are Decimals of two places that were counted as whole centi-m². ``geom`` is EWKB in
hexadecimal, EPSG:4326.
"""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from app.kernel.period import Period

#: A made-up park is known since ever: its made-up claims begin years before it is loaded.
KNOWN_SINCE = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Since:
    """Instants from ``start`` on: how long something is believed."""

    start: datetime


@dataclass(frozen=True, slots=True)
class Json:
    """A value of a JSON column."""

    value: object


@dataclass(slots=True, kw_only=True)
class Record:
    """A row of ``table``."""

    table: ClassVar[str]


@dataclass(slots=True, kw_only=True)
class Sourced(Record):
    """A row that says where its facts come from."""

    source: str
    confidence: str
    synthetic: bool


@dataclass(slots=True, kw_only=True)
class Placed(Sourced):
    """A row with a geometry."""

    geometry_quality: str
    position_accuracy_m: Decimal | None
    source_datum: str = "WGS84"
    geom: str | None = None


@dataclass(slots=True, kw_only=True)
class Zone(Placed):
    """区."""

    table: ClassVar[str] = "zones"
    id: UUID
    code: str
    layout_role: str
    seq: int
    name_zh: str
    name_en: str
    district: str
    management_area: str | None
    focus_sectors: tuple[str, ...]
    published_area_m2: Decimal | None
    published_area_note: str | None


@dataclass(slots=True, kw_only=True)
class Park(Placed):
    """园区."""

    table: ClassVar[str] = "parks"
    id: UUID
    zone_id: UUID
    parent_park_id: UUID | None
    code: str
    name_zh: str
    name_en: str
    layout_role: str
    carrier_type: str
    district: str
    management_area: str | None
    focus_sectors: tuple[str, ...]
    published_area_m2: Decimal | None
    published_area_note: str | None
    planned_floor_area_m2: Decimal | None
    boundary_east: str | None
    boundary_south: str | None
    boundary_west: str | None
    boundary_north: str | None
    special_goods_import_pilot: bool


@dataclass(slots=True, kw_only=True)
class ParkBlock(Placed):
    """区块."""

    table: ClassVar[str] = "park_blocks"
    id: UUID
    park_id: UUID
    seq: int
    name_zh: str
    name_en: str


@dataclass(slots=True, kw_only=True)
class Parcel(Placed):
    """地块."""

    table: ClassVar[str] = "parcels"
    id: UUID
    park_id: UUID
    code: str
    name_zh: str
    name_en: str
    land_use_code: str
    land_use_code_national: str | None
    published_area_m2: Decimal | None
    floor_area_ratio_max: Decimal
    building_density_max_pct: Decimal
    green_ratio_min_pct: Decimal
    height_limit_m: Decimal
    mix_ratio_max_pct: Decimal
    tenure: str
    tenure_years: int | None
    grade: str | None
    grade_year: int | None


@dataclass(slots=True, kw_only=True)
class Building(Placed):
    """楼宇."""

    table: ClassVar[str] = "buildings"
    id: UUID
    park_id: UUID
    parcel_id: UUID
    code: str
    name_zh: str
    name_en: str
    carrier_type: str
    physical_state: str
    delivered_on: date
    gross_floor_area_m2: Decimal
    floors_above: int
    floors_below: int
    height_m: Decimal
    power_capacity_kva: Decimal
    dual_power_feed: bool
    freight_lift_t: Decimal
    hoist_opening: bool
    steam: bool
    gas: bool
    purified_water: bool
    waste_water_t_per_day: Decimal


@dataclass(slots=True, kw_only=True)
class BuildingLink(Sourced):
    """连廊."""

    table: ClassVar[str] = "building_links"
    id: UUID
    park_id: UUID
    building_a_id: UUID
    level_a: int
    building_b_id: UUID
    level_b: int


@dataclass(slots=True, kw_only=True)
class Floor(Placed):
    """楼层."""

    table: ClassVar[str] = "floors"
    id: UUID
    park_id: UUID
    building_id: UUID
    code: str
    level_index: int
    level_name: str
    gross_floor_area_m2: Decimal
    storey_height_m: Decimal
    clear_height_m: Decimal
    floor_load_kn_m2: Decimal
    published_floor_load_kg_m2: Decimal | None


@dataclass(slots=True, kw_only=True)
class Unit(Placed):
    """房源单元."""

    table: ClassVar[str] = "units"
    id: UUID
    park_id: UUID
    building_id: UUID
    floor_id: UUID
    code: str
    name_zh: str
    name_en: str
    unit_type: str
    carrier_type: str
    physical_state: str
    usable: Period
    known_from: datetime
    capacity_measure: str
    capacity: Decimal
    divisible: bool
    min_part: Decimal | None
    leasable_area_m2: Decimal
    internal_area_m2: Decimal
    area_method: str
    area_tolerance_pct: Decimal
    rent_cny_per_m2_day: Decimal | None
    rent_cny_per_place_month: Decimal | None
    min_term_months: int
    max_term_months: int
    is_ground_floor: bool
    clear_height_m: Decimal
    floor_load_kn_m2: Decimal
    power_kva: Decimal
    power_density_w_m2: Decimal
    cleanroom_grade: str | None
    biosafety_level: int | None
    fire_hazard_class: str
    waste_water_t_per_day: Decimal
    freight_lift_t: Decimal
    hoist_opening: bool
    dual_power_feed: bool
    steam: bool
    gas: bool
    purified_water: bool
    animal_facility: str | None
    cold_storage_m2: Decimal
    isotope_class: str | None
    vibration_class: str


@dataclass(slots=True, kw_only=True)
class SharedFacility(Placed):
    """共享设施."""

    table: ClassVar[str] = "shared_facilities"
    id: UUID
    park_id: UUID | None
    unit_id: UUID | None
    code: str
    facility_type: str
    name_zh: str
    name_en: str
    biosafety_level: int | None
    capacity: Decimal | None
    capacity_unit: str | None


@dataclass(slots=True, kw_only=True)
class Programme(Sourced):
    """计划/项目."""

    table: ClassVar[str] = "programmes"
    id: UUID
    parent_programme_id: UUID | None
    park_id: UUID | None
    code: str
    name_zh: str
    name_en: str
    seq: int
    target_floor_area_m2: Decimal | None
    published_lettable_area_m2: Decimal | None
    published_land_area_m2: Decimal | None
    published_building_count: int | None
    published_investment_cny: Decimal | None
    note_zh: str | None
    note_en: str | None


@dataclass(slots=True, kw_only=True)
class Milestone(Sourced):
    """里程碑."""

    table: ClassVar[str] = "programme_milestones"
    id: UUID
    programme_id: UUID
    seq: int
    step: str
    floor_area_m2: Decimal | None
    planned_on: date | None
    actual_on: date | None
    date_precision: str


@dataclass(slots=True, kw_only=True)
class ProgrammeBuilding(Record):
    """A building that counts towards a programme."""

    table: ClassVar[str] = "programme_buildings"
    programme_id: UUID
    building_id: UUID


@dataclass(slots=True, kw_only=True)
class Company(Sourced):
    """企业."""

    table: ClassVar[str] = "companies"
    id: UUID
    name_zh: str
    name_en: str
    unified_social_credit_code: str
    special_goods_import_pilot: bool
    headcount_now: int
    headcount_in_12_months: int
    headcount_in_36_months: int


@dataclass(slots=True, kw_only=True)
class PipelineAsset(Sourced):
    """管线."""

    table: ClassVar[str] = "pipeline_assets"
    id: UUID
    company_id: UUID
    name: str
    modality: str
    indication: str | None


@dataclass(slots=True, kw_only=True)
class StageEntry(Record):
    """管线阶段."""

    table: ClassVar[str] = "pipeline_stage_entries"
    pipeline_asset_id: UUID
    stage: str
    entered_on: date
    expected: bool


@dataclass(slots=True, kw_only=True)
class SpaceRequest(Record):
    """空间需求."""

    table: ClassVar[str] = "space_requests"
    id: UUID
    company_id: UUID
    pipeline_asset_id: UUID
    unit_type: str
    stated: Json
    needs: Json
    rules_version: str


@dataclass(slots=True, kw_only=True)
class Claim(Record):
    """占用."""

    table: ClassVar[str] = "claims"
    id: UUID
    commitment_id: UUID
    park_id: UUID
    unit_id: UUID
    company_id: UUID | None
    kind: str
    quantity: Decimal
    whole: bool
    period: Period
    live: Since
    placed_by: str
    synthetic: bool


def columns(kind: type[Record]) -> tuple[str, ...]:
    """Names of the columns of a kind of row, in the order of its fields."""
    if kind not in _COLUMNS:
        _COLUMNS[kind] = tuple(field.name for field in fields(kind))
    return _COLUMNS[kind]


_COLUMNS: dict[type[Record], tuple[str, ...]] = {}
