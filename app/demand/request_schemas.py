"""The firm's form for space, and what the service makes of it."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.demand.schemas import NO_NUL, Day, In
from app.kernel.terms import (
    AnimalFacility,
    CleanroomGrade,
    FireHazardClass,
    IsotopeClass,
    Modality,
    PhysicalState,
    PipelineStage,
    ProcessClass,
    SourceDatum,
    UnitType,
    VibrationClass,
)

AreaM2 = Annotated[float, Field(gt=0, le=10_000_000, description="m² of leasable area")]
DistanceM = Annotated[float, Field(gt=0, le=200_000, description="metres, as the crow flies")]
Money = Annotated[float, Field(ge=0, le=1e12, description="元")]
Code = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
Flag = Annotated[bool, Field(description="must have; null: not needed, whatever the rules say")]


Datum = Annotated[
    SourceDatum,
    Field(
        description="坐标基准: datum of the coordinates. What is matched is in WGS84;"
        " what was sent is kept in the request's own words"
    ),
]


class NearIn(In):
    """A point to be near."""

    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    within_m: DistanceM
    datum: Datum = SourceDatum.WGS84


class AreaIn(In):
    """An area drawn on the map: a GeoJSON polygon (RFC 7946), in ``datum``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "Polygon",
                    "coordinates": [
                        [[121.58, 31.18], [121.64, 31.18], [121.64, 31.23], [121.58, 31.18]]
                    ],
                }
            ]
        }
    )

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any] = Field(
        min_length=1,
        description="rings of [longitude, latitude], each closed, or a list of such polygons;"
        " at most 1,000 positions and 20,000 km²",
    )
    datum: Datum = SourceDatum.WGS84


class NeedsIn(In):
    """What the firm needs. Every member may be left out: it is then derived where a rule exists.

    A value counts as hard: a unit that lacks it is refused. List its name in ``soft`` to make it a
    wish that only scores; list a derived need in ``hard`` or ``soft`` to change how it counts. An
    explicit null says "not needed, whatever the rules say".
    """

    unit_type: UnitType | None = Field(default=None, description="空间类型: the kind of space")
    programmes: int = Field(
        default=1, ge=1, le=50, description="programmes that share the space; scales derived areas"
    )
    places: Annotated[int, Field(gt=0, le=10_000)] | None = Field(
        default=None, description="工位: bench places of an incubator, instead of an area"
    )
    min_area_m2: AreaM2 | None = Field(default=None, description="面积下限, m² of leasable area")
    max_area_m2: AreaM2 | None = Field(default=None, description="面积上限, m² of leasable area")
    target_area_m2: AreaM2 | None = Field(
        default=None, description="理想面积, m²: what the firm aims at; scores, never refuses"
    )
    whole_floor: Flag | None = Field(default=None, description="整层: takes a whole floor")
    whole_building: Flag | None = Field(default=None, description="整栋: takes a whole building")
    physical_state: PhysicalState | None = Field(
        default=None, description="交付状态: built at least to this state"
    )
    from_: Day | None = Field(
        default=None, alias="from", description="first day the space is wanted"
    )
    latest_from: Day | None = Field(
        default=None, description="最晚起租日: the lease starts on this day at the latest"
    )
    term_months: Annotated[int, Field(ge=1, le=600)] | None = Field(
        default=None, description="租期, months"
    )
    process: ProcessClass | None = Field(
        default=None, description="工艺排放类别: emission class of the process"
    )
    fire_hazard_class: FireHazardClass | None = Field(
        default=None, description="class of the process (GB 50016)"
    )
    min_floor_load_kn_m2: Annotated[float, Field(gt=0, le=200)] | None = Field(
        default=None, description="楼面活荷载, kN/m², at least (1 t/m² = 9.81 kN/m²)"
    )
    min_clear_height_m: Annotated[float, Field(gt=0, le=50)] | None = Field(
        default=None, description="净高, m, at least; clear height, not storey height"
    )
    min_power_density_w_m2: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        default=None, description="用电密度, W/m², at least"
    )
    min_power_kva: Annotated[float, Field(gt=0, le=1_000_000)] | None = Field(
        default=None, description="配电容量, kVA, at least"
    )
    cleanroom_grade: CleanroomGrade | None = Field(default=None, description="this or stricter")
    cleanroom_iso_class: Annotated[int, Field(ge=5, le=8)] | None = Field(
        default=None,
        description="ISO 14644-1 class at rest, this or stricter; read as a GMP grade by"
        " data/needs/building_rules.toml",
    )
    min_cleanroom_area_m2: AreaM2 | None = Field(
        default=None, description="kept for the visit; units record a grade, not yet an area"
    )
    biosafety_level: Annotated[int, Field(ge=1, le=4)] | None = Field(
        default=None, description="BSL, this or stricter"
    )
    animal_facility: AnimalFacility | None = Field(default=None, description="this or stricter")
    min_cold_storage_m2: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        default=None, description="冷库, m², at least"
    )
    min_waste_water_t_per_day: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        default=None, description="污水排放, t/d, at least"
    )
    min_freight_lift_t: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None, description="货梯载重, t, at least"
    )
    hoist_opening: Flag | None = Field(default=None, description="吊装口: a hoist opening")
    ground_floor: Flag | None = Field(default=None, description="首层: the ground floor")
    steam: Flag | None = Field(default=None, description="蒸汽: steam")
    gas: Flag | None = Field(default=None, description="燃气: gas")
    purified_water: Flag | None = Field(default=None, description="纯化水/注射用水: purified water")
    dual_power_feed: Flag | None = Field(default=None, description="双回路供电: two power feeds")
    isotope_class: IsotopeClass | None = Field(default=None, description="this or stronger")
    vibration_class: VibrationClass | None = Field(default=None, description="this or stiller")
    special_goods_import_pilot: Flag | None = Field(
        default=None, description="入境特殊物品试点: a park on the pilot list"
    )
    zones: list[Code] | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        description="意向区域: codes of zones, any of which will do",
    )
    parks: list[Code] | None = Field(
        default=None, min_length=1, max_length=200, description="a park counts with those inside it"
    )
    near: NearIn | None = Field(default=None, description="意向位置: a point to be near")
    within: AreaIn | None = Field(
        default=None, description="所画范围: the building's centre lies in this area"
    )
    max_bsl_lab_distance_m: DistanceM | None = Field(
        default=None, description="距生物安全实验室, m, at most"
    )
    max_cdmo_line_distance_m: DistanceM | None = Field(
        default=None, description="距 CMO/CDMO 产线, m, at most"
    )
    max_biobank_distance_m: DistanceM | None = Field(
        default=None, description="距生物样本库, m, at most"
    )
    max_animal_facility_distance_m: DistanceM | None = Field(
        default=None, description="距实验动物设施, m, at most"
    )
    max_isotope_waste_distance_m: DistanceM | None = Field(
        default=None, description="距放射性废物暂存, m, at most"
    )
    max_hospital_distance_m: DistanceM | None = Field(
        default=None, description="距医院, m, at most"
    )
    max_metro_station_distance_m: DistanceM | None = Field(
        default=None, description="距地铁站, m, at most"
    )
    max_rent_cny_per_m2_day: Annotated[float, Field(ge=0, le=1_000)] | None = Field(
        default=None, description="元/㎡·天 on the leasable area, tax included"
    )
    max_rent_cny_per_year: Money | None = Field(default=None, description="元 a year, whole unit")
    tenure: Literal["lease", "purchase"] | None = Field(
        default=None, description="租赁或购买: lease or purchase"
    )
    investment_cny: Money | None = Field(default=None, description="投资额, 元")
    remarks: Annotated[str, Field(max_length=4_000, pattern=NO_NUL)] | None = Field(
        default=None, description="备注: anything else; no personal data"
    )
    soft: list[Code] = Field(
        default_factory=list,
        max_length=60,
        examples=[["steam"]],
        description="names of needs that are wishes",
    )
    hard: list[Code] = Field(
        default_factory=list,
        max_length=60,
        examples=[["purified_water"]],
        description="names of derived needs that are musts",
    )

    def stated(self) -> dict[str, Any]:
        """The values given, by need key; an explicit null stays, what was left out is absent."""
        given = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        aside = {"soft", "hard", "programmes", *SpaceRequestIn.ABOUT}
        return {
            key: (None if value is False else value)
            for key, value in given.items()
            if key not in aside
        }


class SpaceRequestIn(NeedsIn):
    """A request for space. Give an asset, or modality and stage, or at least a unit_type."""

    ABOUT: ClassVar[tuple[str, ...]] = (
        "company_id",
        "pipeline_asset_id",
        "modality",
        "stage",
        "stage_on",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "modality": "car_t",
                    "stage": "phase_1",
                    "from": "2027-01-01",
                    "zones": ["core_zhangjiang"],
                    "max_rent_cny_per_m2_day": 4.5,
                    "purified_water": True,
                    "soft": ["purified_water"],
                }
            ]
        }
    )

    company_id: UUID | None = Field(default=None, description="staff name the firm; firms need not")
    pipeline_asset_id: UUID | None = Field(
        default=None, description="its modality and stage are taken where they are not given"
    )
    modality: Modality | None = Field(
        default=None, description="赛道: what kind of product the space is for"
    )
    stage: PipelineStage | None = Field(
        default=None, description="the stage the space is for; of an asset, its next dated stage"
    )
    stage_on: Day | None = Field(
        default=None, description="the day that stage is entered; lead times are counted back"
    )


class NeedOut(BaseModel):
    """One need with its provenance."""

    key: str = Field(examples=["biosafety_level"])
    value: Any = Field(examples=[2])
    unit: str | None
    hardness: Literal["hard", "soft"]
    origin: Literal["stated", "derived"]
    words_zh: str
    words_en: str
    rule: str = Field(description="which rule derived it")
    rules_version: str
    source: str
    confidence: str = Field(description="stated, published, derived or assumption")
    can_overrule: bool = Field(description="state it with PUT …/needs to overrule it")


class SpaceRequestOut(BaseModel):
    """A request: the firm's form as given, and every need with its provenance."""

    id: UUID
    company_id: UUID
    pipeline_asset_id: UUID | None
    unit_type: str
    stated: dict[str, Any]
    needs: list[NeedOut]
    rules_version: str
    state: Literal["open", "placed", "withdrawn"]
    version: int = Field(description="counts changes; `If-Match` takes it as an ETag")
    created_at: datetime
    updated_at: datetime


class SpaceRequestPage(BaseModel):
    """A page of requests."""

    items: list[SpaceRequestOut]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )
