"""What people get as JSON. Rows are written by PostgreSQL; these models say what is in them."""

from datetime import date, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Shown(BaseModel):
    """Base: nothing is shown that is not documented."""

    model_config = ConfigDict(extra="forbid")


Row = TypeVar("Row", bound=Shown)

Zh = Annotated[str, Field(description="中文")]
En = Annotated[str, Field(description="English")]
OptionalZh = Annotated[str | None, Field(description="中文")]
OptionalEn = Annotated[str | None, Field(description="English")]
Code = Annotated[str, Field(description="stable code, usable instead of the id in every path")]
Metres2 = Annotated[float, Field(description="m²", ge=0)]
Count = Annotated[int, Field(description="how many", ge=0)]


class ItemPage(Shown, Generic[Row]):
    """One page of a listing."""

    items: list[Row] = Field(description="the rows of this page, in the order asked for")
    next_cursor: str | None = Field(
        description="give it as `cursor`, with the same filters, for the next page; null: the last"
    )


class Named(Shown):
    """A parent or child by its names, so that no second call is needed."""

    id: UUID = Field(description="id")
    code: Code
    name_zh: Zh
    name_en: En


class NamedPark(Named):
    """A park by its names."""

    district: str = Field(description="行政区", examples=["浦东新区"])


class NamedParcel(Named):
    """A parcel by its names."""

    land_use_code: str = Field(description="规划用地性质", examples=["M1"])


class NamedProject(Named):
    """A project by its names and target."""

    target_floor_area_m2: float | None = Field(description="目标/公布建筑面积, m²")


class NamedFloor(Shown):
    """A floor by its level."""

    id: UUID = Field(description="id")
    code: Code
    level_index: int = Field(description="sorts: 0 is the ground floor, -1 the first basement")
    level_name: str = Field(description="shows", examples=["1F"])


class Area(Shown):
    """An area with what it counts; areas of different standards are never compared."""

    standard: str = Field(description="what is counted", examples=["leasable"])
    name_zh: Zh
    name_en: En
    area_m2: float = Field(description="m²", gt=0, examples=[2000.0])
    method: str = Field(description="how it was got")
    measured_on: date | None = Field(description="day of the measurement")
    tolerance_pct: float | None = Field(description="tolerance, %")


class Provenanced(Shown):
    """Where a row comes from and how far to trust it."""

    source: str = Field(description="来源: who published the facts, or which rule made them")
    confidence: str = Field(description="published | derived | assumption")
    confidence_zh: Zh
    confidence_en: En
    synthetic: bool = Field(description="made up for demonstration")


class PlacedRow(Provenanced):
    """A thing with an outline; `f=geojson` gives the outline itself."""

    position: list[float] | None = Field(
        description="longitude and latitude (WGS 84) of a point inside; null without an outline",
        min_length=2,
        max_length=2,
        examples=[[121.61, 31.2]],
    )
    geometry_quality: str = Field(description="surveyed | digitised | schematic")
    geometry_quality_zh: Zh
    geometry_quality_en: En
    position_accuracy_m: float | None = Field(description="how far off the position may be, m")
    source_datum: str = Field(description="datum the outline was given in, before conversion")
    source_datum_zh: Zh
    source_datum_en: En


class PlacedNamed(PlacedRow):
    """A placed thing with names."""

    id: UUID = Field(description="id")
    code: Code
    name_zh: Zh
    name_en: En


class Boundaries(Shown):
    """四至: the four edges as published."""

    east: str | None = Field(description="东至")
    south: str | None = Field(description="南至")
    west: str | None = Field(description="西至")
    north: str | None = Field(description="北至")


class ParkTotals(Shown):
    """Sums over everything inside, computed when asked."""

    parks: Count
    buildings: Count
    floors: Count
    units: Count
    gross_floor_area_m2: Metres2
    synthetic_floor_area_m2: float = Field(
        description="其中演示数据: of the gross floor area, in made-up buildings, m²"
    )
    leasable_area_m2: Metres2


class ZoneOut(PlacedNamed):
    """区: the 1, the 5 or the X of the layout."""

    seq: int = Field(description="order of display")
    layout_role: str = Field(description="core | specialised | special")
    layout_role_zh: Zh
    layout_role_en: En
    district: str = Field(description="行政区")
    management_area: str | None = Field(description="管理区域, where it is not the district")
    focus_sectors: list[str] = Field(description="sectors it focuses on")
    areas: list[Area] = Field(description="published and drawn areas")
    published_area_note: str | None = Field(description="what the published area covers")
    totals: ParkTotals = Field(description="sums over what it holds, computed when asked")


class Block(Shown):
    """区块: one piece of a park's ground."""

    seq: int = Field(description="order of display")
    name_zh: Zh
    name_en: En
    boundaries: Boundaries = Field(description="四至")
    areas: list[Area] = Field(description="published and drawn areas")
    geometry_quality: str = Field(description="surveyed | digitised | schematic")
    geometry_quality_zh: Zh
    geometry_quality_en: En
    position_accuracy_m: float | None = Field(description="how far off it may be, m")
    source: str = Field(description="来源")


class ParkOut(PlacedNamed):
    """园区: one operator's ground, of one or more blocks."""

    layout_role: str = Field(description="core | specialised | special")
    layout_role_zh: Zh
    layout_role_en: En
    carrier_type: str = Field(description="rung of the ladder of innovation carriers")
    carrier_type_zh: Zh
    carrier_type_en: En
    district: str = Field(description="行政区")
    management_area: str | None = Field(description="管理区域, where it is not the district")
    focus_sectors: list[str] = Field(description="sectors it focuses on")
    special_goods_import_pilot: bool = Field(description="入境特殊物品试点")
    zone: Named = Field(description="the zone it lies in")
    parent: Named | None = Field(description="the park it lies in")
    children: list[Named] = Field(description="parks that lie directly in it")
    boundaries: Boundaries = Field(description="四至")
    blocks: list[Block] = Field(description="区块")
    areas: list[Area] = Field(description="published, planned and drawn areas")
    published_area_note: str | None = Field(description="what the published area covers")
    totals: ParkTotals = Field(description="with the parks that lie in it")


class ParcelTotals(Shown):
    """Sums over the parcel's buildings."""

    buildings: Count
    gross_floor_area_m2: Metres2


class ParcelOut(PlacedNamed):
    """地块: a plot with its planning terms."""

    land_use_code: str = Field(description="规划用地性质", examples=["M1"])
    land_use_code_national: str | None = Field(description="国土空间用地用海分类")
    floor_area_ratio_max: float | None = Field(description="容积率上限")
    building_density_max_pct: float | None = Field(description="建筑密度上限, %")
    green_ratio_min_pct: float | None = Field(description="绿地率, %")
    height_limit_m: float | None = Field(description="限高, m")
    mix_ratio_max_pct: float | None = Field(description="混合比例: share of other uses, %")
    tenure: str = Field(description="grant | flexible_grant | lease | reserve")
    tenure_zh: Zh
    tenure_en: En
    tenure_years: int | None = Field(description="出让年限, years")
    grade: str | None = Field(description="A–D of the land performance evaluation")
    grade_year: int | None = Field(description="year of the evaluation")
    areas: list[Area] = Field(description="published and drawn areas")
    totals: ParcelTotals = Field(description="sums over what it holds, computed when asked")
    zone: Named = Field(description="the zone it lies in")
    park: NamedPark = Field(description="the park it lies in")


class BuildingTotals(Shown):
    """Sums over the building."""

    floors: Count
    units: Count
    leasable_area_m2: Metres2


class BuildingLinkOut(Shown):
    """连廊: a passage to another building, from floor to floor."""

    level_index: int = Field(description="of the floor here; 0 is the ground floor")
    level_name: str = Field(description="shows", examples=["3F"])
    other_level_index: int = Field(description="of the floor there")
    other_level_name: str = Field(description="shows", examples=["3F"])
    building: Named = Field(description="the building it leads to")
    source: str = Field(description="where the fact comes from")
    confidence: str = Field(description="published | derived | assumption")
    synthetic: bool = Field(description="whether it is made up for demonstration")


class BuildingOut(PlacedNamed):
    """楼宇: its footprint, its services and its published area."""

    carrier_type: str | None = Field(description="rung of the ladder of innovation carriers")
    carrier_type_zh: OptionalZh
    carrier_type_en: OptionalEn
    physical_state: str = Field(description="planned | under_construction | shell | fitted")
    physical_state_zh: Zh
    physical_state_en: En
    delivered_on: date | None = Field(description="交付日期, planned or actual")
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
    areas: list[Area] = Field(description="gross floor area, and the drawn footprint")
    totals: BuildingTotals = Field(description="sums over what it holds, computed when asked")
    programmes: list[Named] = Field(description="programmes it counts towards")
    links: list[BuildingLinkOut] = Field(description="passages to other buildings of the park")
    zone: Named = Field(description="the zone it lies in")
    park: NamedPark = Field(description="the park it lies in")
    parcel: NamedParcel = Field(description="the parcel it stands on")


class FloorTotals(Shown):
    """Sums over the floor."""

    units: Count
    leasable_area_m2: Metres2


class FloorOut(PlacedRow):
    """楼层: load and height are the floor's, never the building's."""

    id: UUID = Field(description="id")
    code: Code
    level_index: int = Field(description="sorts: 0 is the ground floor, -1 the first basement")
    level_name: str = Field(description="shows", examples=["1F"])
    storey_height_m: float | None = Field(description="层高, m")
    clear_height_m: float | None = Field(description="净高, m")
    floor_load_kn_m2: float | None = Field(description="楼面活荷载, kN/m²")
    published_floor_load_kg_m2: float | None = Field(description="公布荷载, kg/m²")
    areas: list[Area] = Field(description="gross floor area, and the drawn outline")
    totals: FloorTotals = Field(description="sums over what it holds, computed when asked")
    zone: Named = Field(description="the zone it lies in")
    park: NamedPark = Field(description="the park it lies in")
    parcel: NamedParcel = Field(description="the parcel it stands on")
    building: Named = Field(description="the building it is in")


class Fittings(Shown):
    """What a unit offers; null is not known."""

    divisible: bool = Field(description="whether parts of it are let")
    min_part: float | None = Field(description="smallest part that is let, in its measure")
    rent_cny_per_m2_day: float | None = Field(
        description="租金 元/㎡·天, on the leasable area, tax included"
    )
    rent_cny_per_place_month: float | None = Field(description="工位租金 元/位·月, tax included")
    min_term_months: int | None = Field(description="最短租期, months")
    max_term_months: int | None = Field(description="最长租期, months")
    valid_from: date | None = Field(
        description="first day for which what is shown holds; null where it always has"
    )
    valid_until: date | None = Field(
        description="first day for which other facts hold, or on which the unit is no more"
    )
    known_from: datetime = Field(description="since when this is known")
    usable_from: date = Field(description="first day on which it may be used")
    usable_until: date | None = Field(description="first day on which it no longer may be used")
    is_ground_floor: bool = Field(description="on the ground floor")
    clear_height_m: float | None = Field(description="净高, m")
    floor_load_kn_m2: float | None = Field(description="楼面活荷载, kN/m²")
    power_kva: float | None = Field(description="配电, kVA")
    power_density_w_m2: float | None = Field(description="power, W/m²")
    freight_lift_t: float | None = Field(description="货梯, t")
    hoist_opening: bool | None = Field(description="吊装口")
    dual_power_feed: bool | None = Field(description="双回路供电")
    steam: bool | None = Field(description="蒸汽")
    gas: bool | None = Field(description="燃气")
    purified_water: bool | None = Field(description="纯化水/注射用水")
    waste_water_t_per_day: float | None = Field(description="waste water, t/d")
    cold_storage_m2: float | None = Field(description="cold storage, m²")
    biosafety_level: int | None = Field(description="biosafety level as fitted", ge=1, le=4)
    cleanroom_grade: str | None = Field(description="GMP grade as fitted: A–D")
    fire_hazard_class: str | None = Field(description="designed class: jia | yi | bing | ding | wu")
    animal_facility: str | None = Field(description="conventional | spf")
    isotope_class: str | None = Field(description="jia | yi | bing")
    vibration_class: str | None = Field(description="VC-A … VC-E")


KnownUntil = Annotated[
    datetime | None,
    Field(
        description="until when this was believed; null where it still is, and in an answer as of"
        " one instant"
    ),
]


class UnitOut(PlacedNamed, Fittings):
    """房源单元: what is let. Who has it when is not said here; see free space."""

    unit_type: str = Field(description="kind of space", examples=["pilot"])
    unit_type_zh: Zh
    unit_type_en: En
    carrier_type: str | None = Field(description="rung of the ladder of innovation carriers")
    carrier_type_zh: OptionalZh
    carrier_type_en: OptionalEn
    physical_state: str = Field(description="planned | under_construction | shell | fitted")
    physical_state_zh: Zh
    physical_state_en: En
    capacity: float = Field(description="in its own measure", gt=0)
    capacity_measure: str = Field(description="what the capacity counts: m2 | place")
    capacity_measure_zh: Zh
    capacity_measure_en: En
    areas: list[Area] = Field(description="leasable, internal and drawn areas")
    cleanroom_grade_zh: OptionalZh
    cleanroom_grade_en: OptionalEn
    fire_hazard_class_zh: OptionalZh
    fire_hazard_class_en: OptionalEn
    animal_facility_zh: OptionalZh
    animal_facility_en: OptionalEn
    isotope_class_zh: OptionalZh
    isotope_class_en: OptionalEn
    vibration_class_zh: OptionalZh
    vibration_class_en: OptionalEn
    zone: Named = Field(description="the zone it lies in")
    park: NamedPark = Field(description="the park it lies in")
    parcel: NamedParcel = Field(description="the parcel it stands on")
    building: Named = Field(description="the building it is in")
    floor: NamedFloor = Field(description="the floor it is on")


class UnitVersionOut(UnitOut):
    """What was believed of a unit for some days, between two instants."""

    known_until: KnownUntil


class FacilityOut(PlacedNamed):
    """共享设施: a place that firms want to be near."""

    facility_type: str = Field(description="kind", examples=["bsl_lab"])
    facility_type_zh: Zh
    facility_type_en: En
    biosafety_level: int | None = Field(description="biosafety level", ge=1, le=4)
    capacity: float | None = Field(description="in its own unit")
    capacity_unit: str | None = Field(description="what the capacity counts")
    zone: Named | None = Field(description="the zone of its park")
    park: NamedPark | None = Field(description="the park it lies in, if any")
    unit: Named | None = Field(description="where it is a unit too")


class Milestone(Shown):
    """里程碑: when a step was planned and when it came."""

    seq: int = Field(description="order")
    step: str = Field(description="step of the project", examples=["started"])
    step_zh: Zh
    step_en: En
    floor_area_m2: float | None = Field(description="floor area that took this step, m²")
    planned_on: date | None = Field(description="planned; the first day of the period")
    actual_on: date | None = Field(description="actual; the first day of the period")
    date_precision: str = Field(description="day | month | quarter | year: what the dates mean")
    source: str = Field(description="来源")
    confidence: str = Field(description="published | derived | assumption")
    confidence_zh: Zh
    confidence_en: En


class YearStarted(Shown):
    """Floor area by the year in which its building was started."""

    year: int | None = Field(description="year of the start; null where no date is known")
    floor_area_m2: Metres2


class ProgrammeTotals(Shown):
    """What the buildings of the programme and its projects add up to, each counted once."""

    buildings: Count
    floors: Count
    units: Count
    modelled_floor_area_m2: float = Field(description="gross floor area of its buildings, m²")
    started_floor_area_m2: float = Field(
        description="of that, in buildings that are no longer only planned, m²"
    )
    synthetic_floor_area_m2: float = Field(
        description="其中演示数据: of the modelled area, in made-up buildings, m²"
    )
    started_by_year: list[YearStarted] = Field(
        description="the same by the year that the innermost project of each building was started"
    )
    leasable_area_m2: Metres2


class ProgrammeOut(Provenanced):
    """计划/项目: published figures beside what the buildings add up to."""

    id: UUID = Field(description="id")
    code: Code
    name_zh: Zh
    name_en: En
    seq: int = Field(description="order of display")
    parent: Named | None = Field(description="the programme it is a project of")
    projects: list[NamedProject] = Field(description="its projects")
    zone: Named | None = Field(description="the zone of its park")
    park: NamedPark | None = Field(description="the park it lies in, if any")
    areas: list[Area] = Field(description="target and published areas")
    published_building_count: int | None = Field(description="公布楼栋数")
    published_investment_cny: float | None = Field(description="公布投资额, CNY")
    totals: ProgrammeTotals = Field(description="sums over what it holds, computed when asked")
    milestones: list[Milestone] = Field(description="里程碑")
    note_zh: OptionalZh
    note_en: OptionalEn
