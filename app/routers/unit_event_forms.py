"""What callers send about events of units, and what they get back."""

from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from shapely import LineString, Polygon, get_num_coordinates

from app.geo.shapes import InvalidShapeError, polygon_from_geojson, require_position
from app.inventory.filters import Datum, Day, Instant
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import (
    AnimalFacility,
    CapacityMeasure,
    CarrierType,
    ClaimKind,
    CleanroomGrade,
    FireHazardClass,
    GeometryQuality,
    IsotopeClass,
    PhysicalState,
    RemainderRule,
    SourceDatum,
    UnitEventKind,
    UnitType,
    VibrationClass,
)
from app.kernel.written import WrittenBody
from app.ledger.units.history import HistoryKind
from app.ledger.units.splitting import Part, Split
from app.ledger.units.told import Outcome
from app.routers.dependencies import Filters, Paging

#: Two units of the reference data that lie side by side and that nobody has.
_MERGED_EXAMPLES = ("CGT-INCUBATOR-B04-3F-09", "CGT-INCUBATOR-B04-3F-10")
Model = TypeVar("Model", bound=BaseModel)
_PARTS_MAX = 50
_LINE_POSITIONS_MAX = 1_000
#: Rooms have few corners; outlines of thousands take their neighbours minutes to be checked.
_OUTLINE_POSITIONS_MAX = 500
_OUTLINES_POSITIONS_MAX = 2_000

#: 一房一码: usable in a path, and never used again.
NewCode = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s/\x00]+$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Area = Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)]
Amount = Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=1)]
Months = Annotated[int, Field(gt=0, le=1_200)]


class EventIn(WrittenBody):
    """What every event of units says."""

    model_config = ConfigDict(extra="forbid")

    effective_on: Day = Field(
        description="first day on which it holds 生效日; may lie in the past (a late correction)",
        examples=["2027-01-01"],
    )
    reason: Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00]+$")] | None = Field(
        default=None, description="why 原因; public: anyone may read the unit's history"
    )
    dry_run: bool = Field(
        default=False,
        description="true: say what would happen, and change nothing 试算; use another"
        " Idempotency-Key for the real call",
    )


class FactsIn(WrittenBody):
    """Facts of a unit. What is left out stays as it is; null is "not known" or "no limit"."""

    model_config = ConfigDict(extra="forbid")

    name_zh: Name | None = Field(default=None, description="名称")
    name_en: Name | None = Field(default=None, description="name in English")
    unit_type: UnitType | None = Field(default=None, description="kind of space 空间类型")
    carrier_type: CarrierType | None = Field(default=None, description="载体类型")
    physical_state: PhysicalState | None = Field(default=None, description="what is built 物理状态")
    min_part: Area | None = Field(
        default=None,
        description="smallest part that is let, in its own measure; null: only whole 最小可租",
    )
    remainder_rule: RemainderRule | None = Field(
        default=None, description="what a part may leave behind 余量规则"
    )
    rent_cny_per_m2_day: Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=4)] | None = (
        Field(default=None, description="租金 元/㎡·天, tax included", examples=["3.5000"])
    )
    rent_cny_per_place_month: (
        Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)] | None
    ) = Field(default=None, description="工位租金 元/位·月, tax included")
    min_term_months: Months | None = Field(default=None, description="最短租期, months")
    max_term_months: Months | None = Field(default=None, description="最长租期, months")
    clear_height_m: Annotated[Decimal, Field(gt=0, max_digits=5, decimal_places=2)] | None = Field(
        default=None, description="净高, m"
    )
    floor_load_kn_m2: Annotated[Decimal, Field(gt=0, max_digits=6, decimal_places=2)] | None = (
        Field(default=None, description="楼面活荷载, kN/m²")
    )
    power_kva: Amount | None = Field(default=None, description="配电, kVA")
    power_density_w_m2: Amount | None = Field(default=None, description="用电密度, W/m²")
    cleanroom_grade: CleanroomGrade | None = Field(default=None, description="洁净等级, as fitted")
    biosafety_level: Annotated[int, Field(ge=1, le=4)] | None = Field(
        default=None, description="生物安全等级, as fitted"
    )
    fire_hazard_class: FireHazardClass | None = Field(default=None, description="火灾危险性类别")
    waste_water_t_per_day: Amount | None = Field(default=None, description="污水处理, t/d")
    freight_lift_t: Annotated[Decimal, Field(ge=0, max_digits=5, decimal_places=2)] | None = Field(
        default=None, description="货梯载重, t"
    )
    hoist_opening: bool | None = Field(default=None, description="吊装口")
    dual_power_feed: bool | None = Field(default=None, description="双回路供电")
    steam: bool | None = Field(default=None, description="蒸汽")
    gas: bool | None = Field(default=None, description="燃气")
    purified_water: bool | None = Field(default=None, description="纯化水/注射用水")
    animal_facility: AnimalFacility | None = Field(default=None, description="动物设施")
    cold_storage_m2: Amount | None = Field(default=None, description="冷库, m²")
    isotope_class: IsotopeClass | None = Field(default=None, description="同位素场所等级")
    vibration_class: VibrationClass | None = Field(default=None, description="微振等级")

    def given(self, pointer: str) -> dict[str, Any]:
        """The facts that were given, by column.

        Raises:
            InvalidInputError: null was given where something must be known.
        """
        found = self.model_dump(exclude_unset=True)
        empty = [name for name in _ALWAYS_KNOWN if name in found and found[name] is None]
        if empty:
            raise InvalidInputError(
                f"{', '.join(empty)} cannot be null",
                [
                    Fault(f"{pointer}/{name}", "cannot be null", detail_zh="不可为空")
                    for name in empty
                ],
                detail_zh=f"{'、'.join(empty)} 不可为空",
            )
        return {
            name: str(value) if isinstance(value, str) else value for name, value in found.items()
        }


_ALWAYS_KNOWN = ("name_zh", "name_en", "unit_type", "physical_state", "remainder_rule")


class TermsIn(EventIn):
    """New terms from a day on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"effective_on": "2027-07-01", "changes": {"rent_cny_per_m2_day": "3.5"}}]
        }
    )

    until: Day | None = Field(
        default=None, description="first day on which it holds no more; for good unless told"
    )
    changes: FactsIn = Field(description="what is different on these days")


class OutlineIn(WrittenBody):
    """An RFC 7946 polygon: longitude first, WGS 84. It is never repaired."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["Polygon"]
    coordinates: list[Any] = Field(description="rings of [longitude, latitude], each closed")

    def shape(self, pointer: str) -> Polygon:
        """The polygon.

        Raises:
            InvalidShapeError: it is none.
        """
        shape: Any = polygon_from_geojson(self.type, self.coordinates, pointer=pointer)
        found = Polygon(shape)
        corners = get_num_coordinates(found)
        if corners > _OUTLINE_POSITIONS_MAX:
            raise InvalidShapeError(
                f"an outline has at most {_OUTLINE_POSITIONS_MAX} positions, not {corners}",
                [Fault(f"{pointer}/coordinates", f"at most {_OUTLINE_POSITIONS_MAX} positions")],
                detail_zh=f"轮廓最多 {_OUTLINE_POSITIONS_MAX} 个坐标点，现为 {corners} 个",
            )
        return found


class LineIn(WrittenBody):
    """An RFC 7946 line: longitude first, WGS 84."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["LineString"]
    coordinates: list[tuple[float, float]] = Field(
        min_length=2,
        max_length=_LINE_POSITIONS_MAX,
        description="[longitude, latitude] each",
    )

    def shape(self) -> LineString:
        """The line.

        Raises:
            InvalidShapeError: a position is none that can be meant.
        """
        for place, (longitude, latitude) in enumerate(self.coordinates):
            require_position(longitude, latitude, pointer=f"/line/coordinates/{place}")
        return LineString(self.coordinates)


class RemeasureIn(EventIn):
    """Areas as measured, from a day on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "effective_on": "2027-01-01",
                    "leasable_area_m2": "1986.40",
                    "internal_area_m2": "1628.85",
                    "method": "实测",
                    "measured_on": "2026-12-18",
                }
            ]
        }
    )

    leasable_area_m2: Area = Field(description="计租面积, m²")
    internal_area_m2: Area = Field(description="套内建筑面积, m²")
    method: Name = Field(description="how the areas were got 测量方法", examples=["实测"])
    measured_on: Day | None = Field(default=None, description="测量日期")
    tolerance_pct: Annotated[Decimal, Field(ge=0, max_digits=5, decimal_places=2)] | None = Field(
        default=None, description="measuring tolerance, %"
    )
    geometry: OutlineIn | None = Field(
        default=None, description="the outline, where it was measured too; not on another unit's"
    )
    geometry_quality: GeometryQuality | None = Field(
        default=None, description="how far the outline may be trusted; with `geometry`"
    )

    def changes(self) -> dict[str, Any]:
        """The facts that are measured.

        Raises:
            InvalidInputError: the outline's quality comes without an outline.
        """
        found: dict[str, Any] = {
            "leasable_area_m2": self.leasable_area_m2,
            "internal_area_m2": self.internal_area_m2,
            "area_method": self.method,
            "area_measured_on": self.measured_on,
            "area_tolerance_pct": self.tolerance_pct,
        }
        if self.geometry is not None:
            found["geom"] = self.geometry.shape("/geometry")
        if self.geometry_quality is not None:
            if self.geometry is None:
                raise InvalidInputError(
                    "geometry_quality is said of a geometry; give both",
                    [Fault("/geometry_quality", "needs geometry", detail_zh="须与 geometry 同填")],
                    detail_zh="geometry_quality 须与 geometry 同填",
                )
            found["geometry_quality"] = self.geometry_quality.value
        return found


class ChildIn(WrittenBody):
    """A unit that a split makes. What is left out follows from the unit that is split."""

    model_config = ConfigDict(extra="forbid")

    code: NewCode = Field(description="新编码: never used before", examples=["A-301-1"])
    name_zh: Name | None = Field(default=None, description="名称")
    name_en: Name | None = Field(default=None, description="name in English")
    geometry: OutlineIn | None = Field(
        default=None, description="its outline, unless `line` or `shares` cut the unit"
    )
    leasable_area_m2: Area | None = Field(
        default=None, description="计租面积; by its share of the drawn area unless told"
    )
    internal_area_m2: Area | None = Field(
        default=None, description="套内建筑面积; by its share of the leasable area unless told"
    )
    places: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="工位数, of a unit that is let by places"
    )
    facts: FactsIn = Field(default=FactsIn(), description="what differs from the unit split")


class AssignIn(WrittenBody):
    """Who of those that have a part goes where."""

    model_config = ConfigDict(extra="forbid")

    commitment_id: UUID = Field(description="hold, lease or works that takes a part")
    child_code: NewCode = Field(description="the child that takes it on")


class SplitIn(EventIn):
    """How a unit is split from a day on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "effective_on": "2027-07-01",
                    "children": [{"code": "A-301-1"}, {"code": "A-301-2"}],
                    "shares": [0.6, 0.4],
                }
            ]
        }
    )

    children: list[ChildIn] = Field(
        min_length=2, max_length=_PARTS_MAX, description="the units it becomes 拆分后的单元"
    )
    line: LineIn | None = Field(
        default=None,
        description="cuts the unit in two; the first child is the western, else the southern part",
    )
    shares: list[Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]] | None = Field(
        default=None,
        min_length=2,
        max_length=_PARTS_MAX,
        description="cuts straight across the long side, by area, from its western (else southern)"
        " end",
    )
    assign: list[AssignIn] = Field(
        default=[], max_length=1_000, description="which child takes on which partial claim"
    )

    def split(self) -> Split:
        """What the ledger is asked.

        Raises:
            InvalidInputError: a commitment is assigned twice, or a shape is none.
        """
        assign: dict[UUID, str] = {}
        for place, one in enumerate(self.assign):
            if assign.setdefault(one.commitment_id, one.child_code) != one.child_code:
                raise InvalidInputError(
                    f"the commitment {one.commitment_id} is assigned to two children",
                    [Fault(f"/assign/{place}", "assigned before", detail_zh="重复指定")],
                    detail_zh="同一承诺被指定给两个新单元",
                )
        shapes = [
            child.geometry.shape(f"/children/{place}/geometry") if child.geometry else None
            for place, child in enumerate(self.children)
        ]
        if sum(map(get_num_coordinates, shapes)) > _OUTLINES_POSITIONS_MAX:
            raise InvalidShapeError(
                f"the outlines have at most {_OUTLINES_POSITIONS_MAX} positions together",
                [Fault("/children", f"at most {_OUTLINES_POSITIONS_MAX} positions together")],
                detail_zh=f"各轮廓坐标点合计最多 {_OUTLINES_POSITIONS_MAX} 个",
            )
        return Split(
            effective_on=self.effective_on,
            parts=[
                Part(
                    code=child.code,
                    name_zh=child.name_zh,
                    name_en=child.name_en,
                    shape=shapes[place],
                    leasable_m2=child.leasable_area_m2,
                    internal_m2=child.internal_area_m2,
                    places=None if child.places is None else Decimal(child.places),
                    facts=child.facts.given(f"/children/{place}/facts"),
                )
                for place, child in enumerate(self.children)
            ],
            line=None if self.line is None else self.line.shape(),
            shares=self.shares,
            assign=assign,
            reason=self.reason,
            dry_run=self.dry_run,
        )


class MergeIn(EventIn):
    """Which units become one from a day on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "effective_on": "2027-01-01",
                    "units": list(_MERGED_EXAMPLES),
                    "code": "CGT-INCUBATOR-B04-3F-09A",
                    "facts": {"rent_cny_per_m2_day": "6.4"},
                }
            ]
        }
    )

    units: list[Name] = Field(
        min_length=2, max_length=_PARTS_MAX, description="ids or codes, on one floor 被合并单元"
    )
    code: NewCode = Field(description="新编码: never used before", examples=["A-301-302"])
    name_zh: Name | None = Field(default=None, description="名称; theirs together unless told")
    name_en: Name | None = Field(
        default=None, description="name in English; theirs together unless told"
    )
    facts: FactsIn = Field(
        default=FactsIn(),
        description="what holds for the merged unit where they differ; else the weaker holds",
    )


class ChangedUnit(BaseModel):
    """A unit for days on which its facts are the same."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID | None = Field(description="null: a dry run makes none")
    code: str
    part: Literal["subject", "parent", "child"]
    start: date | None = Field(alias="from", description="null: since ever")
    until: date | None = Field(description="exclusive; null is open")
    leasable_area_m2: float
    internal_area_m2: float
    capacity: float
    capacity_measure: CapacityMeasure


class Moved(BaseModel):
    """Days of a promise as they stand after the event; the id stays."""

    model_config = ConfigDict(serialize_by_alias=True)

    commitment_id: UUID
    kind: ClaimKind
    from_unit_code: str
    unit_code: str
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")
    quantity: float
    whole: bool


class BlockingPromiseOut(BaseModel):
    """A promise that stands in the way, and why."""

    model_config = ConfigDict(serialize_by_alias=True)

    commitment_id: UUID
    kind: ClaimKind
    company_id: UUID | None
    company_name_zh: str | None
    company_name_en: str | None
    unit_code: str
    start: date = Field(alias="from")
    until: date | None
    quantity: float
    why: str
    why_zh: str


class ChangedFact(BaseModel):
    """A fact before and after, on the day of effect; amounts are text, as they are decimal."""

    before: Any
    after: Any


class UnitEventOut(BaseModel):
    """What happened, or would."""

    kind: UnitEventKind
    kind_zh: str = Field(examples=["拆分"])
    kind_en: str = Field(examples=["Split"])
    effective_on: date
    dry_run: bool = Field(description="true: nothing was changed")
    event_id: UUID | None = Field(description="null in a dry run")
    recorded_at: datetime | None = Field(description="since when it is known; null in a dry run")
    units: list[ChangedUnit]
    changes: dict[str, ChangedFact] = Field(
        description="of new terms and measurements: each fact that differs 变更前后, by its name",
        examples=[{"rent_cny_per_m2_day": {"before": "4.1000", "after": "3.5000"}}],
    )
    moved: list[Moved] = Field(description="promises that follow 随之移动的占用")
    blockers: list[BlockingPromiseOut] = Field(
        description="promises in the way; only in a dry run, the real call is refused with them"
    )


class HistoryQuery(Filters):
    """Query parameters of a unit's history."""

    as_of: Instant | None = Field(
        default=None,
        description="as known at this instant; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )
    limit: int = Field(default=100, ge=1, le=1_000, description="rows a page")
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )


class HistoryEntry(BaseModel):
    """One thing that happened."""

    model_config = ConfigDict(extra="forbid")

    at: datetime = Field(description="since when it is known")
    kind: HistoryKind
    kind_zh: str
    kind_en: str
    start: date = Field(alias="from", description="the day it is about, or the first one")
    until: date | None = Field(description="exclusive; null is open, or one day only")
    text_en: str
    text_zh: str
    company_id: UUID | None = Field(description="whose hold or lease; firms see only their own")
    by: str | None = Field(default=None, description="who recorded it; for staff only")
    company_zh: str | None = Field(default=None, description="for staff only")
    company_en: str | None = Field(default=None, description="for staff only")
    refs: dict[str, Any] = Field(
        description="ids and values: event_id, commitment_id, units with their part, changes"
    )


class HistoryPage(BaseModel):
    """One page."""

    items: list[HistoryEntry]
    next_cursor: str | None


class VersionsQuery(Paging):
    """Query parameters of a unit's versions."""

    as_of: Instant | None = Field(
        default=None,
        description="as known at this instant; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )
    all: bool = Field(default=False, description="true: everything that was ever believed")
    datum: Datum = SourceDatum.WGS84


def event_out(done: Outcome) -> UnitEventOut:
    """An outcome as it is shown."""
    return UnitEventOut(
        kind=done.kind,
        kind_zh=done.kind.zh,
        kind_en=done.kind.en,
        effective_on=done.effective_on,
        dry_run=done.event is None,
        event_id=None if done.event is None else done.event.id,
        recorded_at=done.recorded_at,
        units=[_shown(ChangedUnit, unit) for unit in done.units],
        changes={name: ChangedFact(**both) for name, both in done.changes.items()},
        moved=[_shown(Moved, one) for one in done.moved],
        blockers=[_shown(BlockingPromiseOut, one) for one in done.blockers],
    )


def _shown(model: type[Model], row: Any) -> Model:
    values = asdict(row)
    return model(**{"from": values.pop("start")}, **values)
