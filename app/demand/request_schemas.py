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
    PipelineStage,
    UnitType,
    VibrationClass,
)

AreaM2 = Annotated[float, Field(gt=0, le=10_000_000, description="m² of leasable area")]
DistanceM = Annotated[float, Field(gt=0, le=200_000, description="metres, as the crow flies")]
Money = Annotated[float, Field(ge=0, le=1e12, description="元")]
Code = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
Flag = Annotated[bool, Field(description="must have; null: not needed, whatever the rules say")]


class NearIn(In):
    """A point to be near (WGS-84)."""

    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    within_m: DistanceM


class NeedsIn(In):
    """What the firm needs. Every member may be left out: it is then derived where a rule exists.

    A value counts as hard: a unit that lacks it is refused. List its name in ``soft`` to make it a
    wish that only scores; list a derived need in ``hard`` or ``soft`` to change how it counts. An
    explicit null says "not needed, whatever the rules say".
    """

    unit_type: UnitType | None = None
    programmes: int = Field(
        default=1, ge=1, le=50, description="programmes that share the space; scales derived areas"
    )
    places: Annotated[int, Field(gt=0, le=10_000)] | None = Field(
        default=None, description="工位: bench places of an incubator, instead of an area"
    )
    min_area_m2: AreaM2 | None = None
    max_area_m2: AreaM2 | None = None
    target_area_m2: AreaM2 | None = None
    whole_floor: Flag | None = None
    whole_building: Flag | None = None
    from_: Day | None = Field(
        default=None, alias="from", description="first day the space is wanted"
    )
    latest_from: Day | None = Field(
        default=None, description="the lease starts on this day at the latest"
    )
    term_months: Annotated[int, Field(ge=1, le=600)] | None = None
    process: Code | None = Field(
        default=None,
        description="emission class of data/needs/land_use.toml: laboratory, pilot_low_emission, "
        "light_gmp, pharma_gmp or chemical_synthesis",
    )
    fire_hazard_class: FireHazardClass | None = Field(
        default=None, description="class of the process (GB 50016)"
    )
    min_floor_load_kn_m2: Annotated[float, Field(gt=0, le=200)] | None = None
    min_clear_height_m: Annotated[float, Field(gt=0, le=50)] | None = None
    min_power_density_w_m2: Annotated[float, Field(gt=0, le=10_000)] | None = None
    min_power_kva: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    cleanroom_grade: CleanroomGrade | None = Field(default=None, description="this or stricter")
    min_cleanroom_area_m2: AreaM2 | None = Field(
        default=None, description="kept for the visit; units record a grade, not yet an area"
    )
    biosafety_level: Annotated[int, Field(ge=1, le=4)] | None = Field(
        default=None, description="BSL, this or stricter"
    )
    animal_facility: AnimalFacility | None = Field(default=None, description="this or stricter")
    min_cold_storage_m2: Annotated[float, Field(gt=0, le=100_000)] | None = None
    min_waste_water_t_per_day: Annotated[float, Field(gt=0, le=100_000)] | None = None
    min_freight_lift_t: Annotated[float, Field(gt=0, le=100)] | None = None
    hoist_opening: Flag | None = None
    ground_floor: Flag | None = None
    steam: Flag | None = None
    gas: Flag | None = None
    purified_water: Flag | None = None
    dual_power_feed: Flag | None = None
    isotope_class: IsotopeClass | None = Field(default=None, description="this or stronger")
    vibration_class: VibrationClass | None = Field(default=None, description="this or stiller")
    special_goods_import_pilot: Flag | None = None
    zones: list[Code] | None = Field(default=None, min_length=1, max_length=50)
    parks: list[Code] | None = Field(
        default=None, min_length=1, max_length=200, description="a park counts with those inside it"
    )
    near: NearIn | None = None
    max_bsl_lab_distance_m: DistanceM | None = None
    max_cdmo_line_distance_m: DistanceM | None = None
    max_biobank_distance_m: DistanceM | None = None
    max_animal_facility_distance_m: DistanceM | None = None
    max_isotope_waste_distance_m: DistanceM | None = None
    max_hospital_distance_m: DistanceM | None = None
    max_metro_station_distance_m: DistanceM | None = None
    max_rent_cny_per_m2_day: Annotated[float, Field(ge=0, le=1_000)] | None = Field(
        default=None, description="元/㎡·天 on the leasable area, tax included"
    )
    max_rent_cny_per_year: Money | None = Field(default=None, description="元 a year, whole unit")
    tenure: Literal["lease", "purchase"] | None = None
    investment_cny: Money | None = None
    remarks: Annotated[str, Field(max_length=4_000, pattern=NO_NUL)] | None = None
    soft: list[Code] = Field(default_factory=list, max_length=60, examples=[["steam"]])
    hard: list[Code] = Field(default_factory=list, max_length=60, examples=[["purified_water"]])

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
    modality: Modality | None = None
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
    confidence: str = Field(description="published, derived or assumption")
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
