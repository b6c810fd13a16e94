"""What GIS tools get: one plain value a property, numbers as numbers, codes as codes."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.inventory.schemas import Fittings, KnownUntil, Shown

Fid = Annotated[int, Field(description="stable number of the feature")]
OptionalText = Annotated[str | None, Field(description="null where there is none")]
OptionalArea = Annotated[float | None, Field(description="m²; null where not known")]
AreaM2 = Annotated[float, Field(description="m²")]
Count = Annotated[int, Field(description="how many", ge=0)]


class Coded(Shown):
    """What every feature has."""

    id: UUID = Field(description="id, as in the API")
    code: str = Field(description="stable code")
    source: str = Field(description="来源")
    confidence: str = Field(description="published | derived | assumption")
    synthetic: bool = Field(description="made up for demonstration")


class PlacedFeature(Coded):
    """A feature with an outline of its own."""

    fid: Fid
    geometry_quality: str = Field(description="surveyed | digitised | schematic")
    position_accuracy_m: float | None = Field(description="how far off it may be, m")
    source_datum: str = Field(description="datum the outline was given in")


class NamedFeature(PlacedFeature):
    """A placed feature with names."""

    name_zh: str = Field(description="中文")
    name_en: str = Field(description="English")


class DrawnFeature(NamedFeature):
    """A feature whose outline has an area."""

    geometric_area_m2: OptionalArea


class InLayout(Shown):
    """The zone a feature lies in."""

    zone_code: str = Field(description="code of the zone")
    zone_name_zh: str = Field(description="区")
    zone_name_en: str = Field(description="zone")


class InParkFeature(InLayout):
    """The park a feature lies in."""

    park_code: str = Field(description="code of the park")
    park_name_zh: str = Field(description="园区")
    park_name_en: str = Field(description="park")
    district: str = Field(description="行政区")


class InParcelFeature(InParkFeature):
    """The parcel a feature stands on."""

    parcel_code: str = Field(description="code of the parcel")
    land_use_code: str = Field(description="规划用地性质")


class InBuildingFeature(InParcelFeature):
    """The building a feature is in."""

    building_code: str = Field(description="code of the building")
    building_name_zh: str = Field(description="楼宇")


class Totals(Shown):
    """Sums over what lies inside."""

    parks_count: Count
    buildings_count: Count
    floors_count: Count
    units_count: Count
    gross_floor_area_m2: AreaM2
    synthetic_floor_area_m2: float = Field(description="其中演示数据, m² of the gross floor area")
    leasable_area_m2: AreaM2


class ZoneProperties(DrawnFeature, Totals):
    """区."""

    seq: int = Field(description="order of display")
    layout_role: str = Field(description="core | specialised | special")
    layout_role_zh: str = Field(description="中文")
    layout_role_en: str = Field(description="English")
    district: str = Field(description="行政区")
    management_area: OptionalText
    focus_sectors: str = Field(description="joined by `; `")
    published_area_m2: OptionalArea


class ParkProperties(DrawnFeature, InLayout, Totals):
    """园区."""

    layout_role: str = Field(description="core | specialised | special")
    layout_role_zh: str = Field(description="中文")
    layout_role_en: str = Field(description="English")
    carrier_type: str = Field(description="rung of the ladder of innovation carriers")
    carrier_type_zh: str = Field(description="中文")
    carrier_type_en: str = Field(description="English")
    district: str = Field(description="行政区")
    management_area: OptionalText
    focus_sectors: str = Field(description="joined by `; `")
    special_goods_import_pilot: bool = Field(description="入境特殊物品试点")
    parent_park_code: OptionalText
    boundary_east: OptionalText
    boundary_south: OptionalText
    boundary_west: OptionalText
    boundary_north: OptionalText
    published_area_m2: OptionalArea
    planned_floor_area_m2: OptionalArea


class ParcelProperties(DrawnFeature, InParkFeature):
    """地块."""

    land_use_code: str = Field(description="规划用地性质")
    land_use_code_national: OptionalText
    floor_area_ratio_max: float | None = Field(description="容积率上限")
    building_density_max_pct: float | None = Field(description="建筑密度上限, %")
    green_ratio_min_pct: float | None = Field(description="绿地率, %")
    height_limit_m: float | None = Field(description="限高, m")
    mix_ratio_max_pct: float | None = Field(description="混合比例, %")
    tenure: str = Field(description="grant | flexible_grant | lease | reserve")
    tenure_zh: str = Field(description="中文")
    tenure_en: str = Field(description="English")
    tenure_years: int | None = Field(description="出让年限, years")
    grade: OptionalText
    grade_year: int | None = Field(description="year of the evaluation")
    published_area_m2: OptionalArea
    buildings_count: Count
    gross_floor_area_m2: AreaM2


class BuildingProperties(DrawnFeature, InParcelFeature):
    """楼宇."""

    carrier_type: OptionalText
    physical_state: str = Field(description="planned | under_construction | shell | fitted")
    physical_state_zh: str = Field(description="中文")
    physical_state_en: str = Field(description="English")
    delivered_on: date | None = Field(description="交付日期")
    floors_above: int = Field(description="floors above ground")
    floors_below: int = Field(description="floors below ground")
    height_m: float | None = Field(description="height, m")
    power_capacity_kva: float | None = Field(description="配电容量, kVA")
    dual_power_feed: bool | None = Field(description="双回路供电")
    freight_lift_t: float | None = Field(description="货梯载重, t")
    hoist_opening: bool | None = Field(description="吊装口")
    steam: bool | None = Field(description="蒸汽")
    gas: bool | None = Field(description="燃气")
    purified_water: bool | None = Field(description="纯化水/注射用水")
    waste_water_t_per_day: float | None = Field(description="污水处理能力, t/d")
    gross_floor_area_m2: AreaM2
    floors_count: Count
    units_count: Count
    leasable_area_m2: AreaM2
    programme_codes: OptionalText


class FloorProperties(PlacedFeature, InBuildingFeature):
    """楼层."""

    geometric_area_m2: AreaM2
    level_index: int = Field(description="sorts: 0 is the ground floor")
    level_name: str = Field(description="shows")
    storey_height_m: float | None = Field(description="层高, m")
    clear_height_m: float | None = Field(description="净高, m")
    floor_load_kn_m2: float | None = Field(description="楼面活荷载, kN/m²")
    published_floor_load_kg_m2: float | None = Field(description="公布荷载, kg/m²")
    gross_floor_area_m2: AreaM2
    units_count: Count
    leasable_area_m2: AreaM2


class UnitProperties(DrawnFeature, InBuildingFeature, Fittings):
    """房源单元."""

    unit_type: str = Field(description="kind of space")
    unit_type_zh: str = Field(description="中文")
    unit_type_en: str = Field(description="English")
    carrier_type: OptionalText
    physical_state: str = Field(description="planned | under_construction | shell | fitted")
    capacity: float = Field(description="in its own measure")
    capacity_measure: str = Field(description="m2 | place")
    leasable_area_m2: AreaM2
    internal_area_m2: AreaM2
    area_method: str = Field(description="how the areas were got")
    area_measured_on: date | None = Field(description="day of the measurement")
    area_tolerance_pct: float | None = Field(description="tolerance, %")
    floor_code: str = Field(description="code of the floor")
    level_index: int = Field(description="0 is the ground floor")
    level_name: str = Field(description="shows")


class UnitVersionProperties(UnitProperties):
    """What was believed of a unit for some days, between two instants."""

    known_until: KnownUntil


class FacilityProperties(NamedFeature):
    """共享设施."""

    facility_type: str = Field(description="kind")
    facility_type_zh: str = Field(description="中文")
    facility_type_en: str = Field(description="English")
    biosafety_level: int | None = Field(description="biosafety level")
    capacity: float | None = Field(description="in its own unit")
    capacity_unit: OptionalText
    zone_code: OptionalText
    zone_name_zh: OptionalText
    zone_name_en: OptionalText
    park_code: OptionalText
    park_name_zh: OptionalText
    park_name_en: OptionalText
    unit_code: OptionalText


class ProgrammeProperties(Coded):
    """计划/项目; its geometry is the footprints of its buildings."""

    name_zh: str = Field(description="中文")
    name_en: str = Field(description="English")
    seq: int = Field(description="order of display")
    parent_programme_code: OptionalText
    zone_code: OptionalText
    zone_name_zh: OptionalText
    zone_name_en: OptionalText
    park_code: OptionalText
    park_name_zh: OptionalText
    park_name_en: OptionalText
    target_floor_area_m2: OptionalArea
    published_lettable_area_m2: OptionalArea
    published_land_area_m2: OptionalArea
    published_building_count: int | None = Field(description="公布楼栋数")
    published_investment_cny: float | None = Field(description="公布投资额, CNY")
    buildings_count: Count
    floors_count: Count
    units_count: Count
    modelled_floor_area_m2: AreaM2
    started_floor_area_m2: AreaM2
    synthetic_floor_area_m2: float = Field(description="其中演示数据, m² of the modelled area")
    leasable_area_m2: AreaM2
