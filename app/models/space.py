"""What space exists: zones, parks, parcels, buildings, floors, units, shared facilities."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import DATERANGE, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import (
    AnimalFacility,
    CapacityMeasure,
    CarrierType,
    CleanroomGrade,
    FacilityType,
    FireHazardClass,
    Grade,
    IsotopeClass,
    LayoutRole,
    PhysicalState,
    RemainderRule,
    Tenure,
    UnitType,
    VibrationClass,
)
from app.models.provenance import Placed, geodesic_area, placed_checks, polygon


def _id() -> Mapped[UUID]:
    return mapped_column(primary_key=True, server_default=func.gen_random_uuid())


def _fid() -> Mapped[int]:
    return mapped_column(
        BigInteger, Identity(always=True), unique=True, comment="stable number for GIS tools"
    )


def _texts() -> Mapped[list[str]]:
    return mapped_column(ARRAY(Text), server_default=text("'{}'"))


class Zone(Placed, Base):
    """区: the 1, the 5 or the X of the layout."""

    __tablename__ = "zones"

    id: Mapped[UUID] = _id()
    fid: Mapped[int] = _fid()
    code: Mapped[str] = mapped_column(unique=True)
    layout_role: Mapped[str] = mapped_column(comment="core | specialised | special")
    seq: Mapped[int] = mapped_column(SmallInteger, comment="order of display")
    name_zh: Mapped[str]
    name_en: Mapped[str]
    district: Mapped[str] = mapped_column(comment="行政区")
    management_area: Mapped[str | None] = mapped_column(
        comment="管理区域, where it is not the district"
    )
    focus_sectors: Mapped[list[str]] = _texts()
    published_area_m2: Mapped[Decimal | None] = mapped_column(comment="公布面积")
    published_area_note: Mapped[str | None]
    geom: Mapped[Any | None] = polygon("MULTIPOLYGON", nullable=True)
    geometric_area_m2: Mapped[float | None] = geodesic_area()

    __table_args__ = (
        *placed_checks(nullable=True),
        one_of("layout_role", LayoutRole),
        CheckConstraint("published_area_m2 > 0", name="published_area_positive"),
    )


class Park(Placed, Base):
    """园区: one operator's ground, of one or more blocks."""

    __tablename__ = "parks"

    id: Mapped[UUID] = _id()
    fid: Mapped[int] = _fid()
    zone_id: Mapped[UUID] = mapped_column(ForeignKey("zones.id", ondelete="RESTRICT"), index=True)
    parent_park_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("parks.id", ondelete="RESTRICT"), index=True, comment="the park it lies in"
    )
    code: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    layout_role: Mapped[str] = mapped_column(comment="core | specialised | special")
    carrier_type: Mapped[str]
    district: Mapped[str]
    management_area: Mapped[str | None]
    focus_sectors: Mapped[list[str]] = _texts()
    published_area_m2: Mapped[Decimal | None] = mapped_column(comment="公布占地面积")
    published_area_note: Mapped[str | None]
    planned_floor_area_m2: Mapped[Decimal | None] = mapped_column(comment="规划建筑面积")
    boundary_east: Mapped[str | None] = mapped_column(comment="东至")
    boundary_south: Mapped[str | None] = mapped_column(comment="南至")
    boundary_west: Mapped[str | None] = mapped_column(comment="西至")
    boundary_north: Mapped[str | None] = mapped_column(comment="北至")
    special_goods_import_pilot: Mapped[bool] = mapped_column(
        Boolean, server_default=text("false"), comment="入境特殊物品试点"
    )
    geom: Mapped[Any | None] = polygon("MULTIPOLYGON", nullable=True)
    geometric_area_m2: Mapped[float | None] = geodesic_area()

    __table_args__ = (
        *placed_checks(nullable=True),
        one_of("layout_role", LayoutRole),
        one_of("carrier_type", CarrierType),
        CheckConstraint("published_area_m2 > 0", name="published_area_positive"),
        CheckConstraint("planned_floor_area_m2 > 0", name="planned_floor_area_positive"),
        CheckConstraint("parent_park_id <> id", name="not_in_itself"),
    )


class ParkBlock(Placed, Base):
    """区块: one piece of a park's ground, with the four published edges (四至)."""

    __tablename__ = "park_blocks"

    id: Mapped[UUID] = _id()
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"))
    seq: Mapped[int] = mapped_column(SmallInteger)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    published_area_m2: Mapped[Decimal | None]
    boundary_east: Mapped[str | None] = mapped_column(comment="东至")
    boundary_south: Mapped[str | None] = mapped_column(comment="南至")
    boundary_west: Mapped[str | None] = mapped_column(comment="西至")
    boundary_north: Mapped[str | None] = mapped_column(comment="北至")
    geom: Mapped[Any | None] = polygon(nullable=True)
    geometric_area_m2: Mapped[float | None] = geodesic_area()

    __table_args__ = (
        *placed_checks(nullable=True),
        UniqueConstraint("park_id", "seq"),
        CheckConstraint("published_area_m2 > 0", name="published_area_positive"),
    )


class Parcel(Placed, Base):
    """地块: a plot with its planning terms."""

    __tablename__ = "parcels"

    id: Mapped[UUID] = _id()
    fid: Mapped[int] = _fid()
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"), index=True)
    code: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    land_use_code: Mapped[str] = mapped_column(comment="规划用地性质, e.g. M1, M2, M4, C65, M1/M4")
    land_use_code_national: Mapped[str | None] = mapped_column(comment="国土空间用地用海分类")
    published_area_m2: Mapped[Decimal | None] = mapped_column(comment="公布用地面积")
    floor_area_ratio_max: Mapped[Decimal | None] = mapped_column(
        Numeric(5, 2), comment="容积率上限"
    )
    building_density_max_pct: Mapped[Decimal | None] = mapped_column(
        Numeric(5, 2), comment="建筑密度上限 %"
    )
    green_ratio_min_pct: Mapped[Decimal | None] = mapped_column(Numeric(5, 2), comment="绿地率 %")
    height_limit_m: Mapped[Decimal | None] = mapped_column(Numeric(6, 2), comment="限高 m")
    mix_ratio_max_pct: Mapped[Decimal | None] = mapped_column(
        Numeric(5, 2), comment="混合比例: share of other compatible uses, %"
    )
    tenure: Mapped[str] = mapped_column(comment="grant | flexible_grant | lease | reserve")
    tenure_years: Mapped[int | None] = mapped_column(SmallInteger, comment="出让年限")
    grade: Mapped[str | None] = mapped_column(comment="A–D of the land performance evaluation")
    grade_year: Mapped[int | None] = mapped_column(SmallInteger)
    geom: Mapped[Any] = polygon()
    geometric_area_m2: Mapped[float] = geodesic_area()

    __table_args__ = (
        *placed_checks(),
        one_of("tenure", Tenure),
        one_of("grade", Grade),
        CheckConstraint("published_area_m2 > 0", name="published_area_positive"),
        CheckConstraint("floor_area_ratio_max > 0", name="floor_area_ratio_positive"),
        CheckConstraint("height_limit_m > 0", name="height_limit_positive"),
        CheckConstraint(
            "building_density_max_pct BETWEEN 0 AND 100 AND green_ratio_min_pct BETWEEN 0 AND 100"
            " AND mix_ratio_max_pct BETWEEN 0 AND 100",
            name="percentages",
        ),
    )


class Building(Placed, Base):
    """楼宇: its footprint, its services and its published area."""

    __tablename__ = "buildings"

    id: Mapped[UUID] = _id()
    fid: Mapped[int] = _fid()
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"), index=True)
    parcel_id: Mapped[UUID] = mapped_column(
        ForeignKey("parcels.id", ondelete="RESTRICT"), index=True
    )
    code: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    carrier_type: Mapped[str | None]
    physical_state: Mapped[str]
    delivered_on: Mapped[date | None] = mapped_column(comment="交付日期, planned or actual")
    gross_floor_area_m2: Mapped[Decimal] = mapped_column(comment="建筑面积, = sum of its floors")
    floors_above: Mapped[int] = mapped_column(SmallInteger)
    floors_below: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    height_m: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))
    power_capacity_kva: Mapped[Decimal | None] = mapped_column(Numeric(10, 1), comment="配电容量")
    dual_power_feed: Mapped[bool | None] = mapped_column(comment="双回路供电")
    freight_lift_t: Mapped[Decimal | None] = mapped_column(Numeric(5, 2), comment="货梯载重 t")
    hoist_opening: Mapped[bool | None] = mapped_column(comment="吊装口")
    steam: Mapped[bool | None] = mapped_column(comment="蒸汽")
    gas: Mapped[bool | None] = mapped_column(comment="燃气")
    purified_water: Mapped[bool | None] = mapped_column(comment="纯化水/注射用水")
    waste_water_t_per_day: Mapped[Decimal | None] = mapped_column(
        Numeric(8, 1), comment="污水处理能力 t/d"
    )
    geom: Mapped[Any] = polygon()
    geometric_area_m2: Mapped[float] = geodesic_area()

    __table_args__ = (
        *placed_checks(),
        UniqueConstraint("id", "park_id"),
        one_of("carrier_type", CarrierType),
        one_of("physical_state", PhysicalState),
        CheckConstraint("gross_floor_area_m2 > 0", name="gross_floor_area_positive"),
        CheckConstraint("floors_above > 0 AND floors_below >= 0", name="floors_counted"),
        CheckConstraint(
            "height_m > 0 AND power_capacity_kva >= 0 AND freight_lift_t >= 0"
            " AND waste_water_t_per_day >= 0",
            name="services_not_negative",
        ),
    )


class Floor(Placed, Base):
    """楼层: load and height are the floor's, never the building's."""

    __tablename__ = "floors"

    id: Mapped[UUID] = _id()
    fid: Mapped[int] = _fid()
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"), index=True)
    building_id: Mapped[UUID] = mapped_column(ForeignKey("buildings.id", ondelete="RESTRICT"))
    code: Mapped[str] = mapped_column(unique=True)
    level_index: Mapped[int] = mapped_column(SmallInteger, comment="sorts: 0 is the ground floor")
    level_name: Mapped[str] = mapped_column(comment="shows: 1F, 2F, B1")
    gross_floor_area_m2: Mapped[Decimal] = mapped_column(comment="本层建筑面积")
    storey_height_m: Mapped[Decimal | None] = mapped_column(Numeric(5, 2), comment="层高")
    clear_height_m: Mapped[Decimal | None] = mapped_column(Numeric(5, 2), comment="净高")
    floor_load_kn_m2: Mapped[Decimal | None] = mapped_column(
        Numeric(6, 2), comment="楼面活荷载 kN/m²"
    )
    published_floor_load_kg_m2: Mapped[Decimal | None] = mapped_column(
        Numeric(8, 1), comment="公布荷载 kg/m²"
    )
    geom: Mapped[Any] = polygon()
    geometric_area_m2: Mapped[float] = geodesic_area()

    __table_args__ = (
        *placed_checks(),
        UniqueConstraint("building_id", "level_index"),
        CheckConstraint("gross_floor_area_m2 > 0", name="gross_floor_area_positive"),
        CheckConstraint(
            "storey_height_m > 0 AND clear_height_m > 0 AND clear_height_m <= storey_height_m",
            name="heights",
        ),
        CheckConstraint("floor_load_kn_m2 > 0", name="floor_load_positive"),
    )


class UnitFacts(Placed):
    """What is known of a unit: its terms, areas and technical values, for a range of days."""

    name_zh: Mapped[str]
    name_en: Mapped[str]
    unit_type: Mapped[str]
    carrier_type: Mapped[str | None]
    physical_state: Mapped[str] = mapped_column(comment="shell | fitted | …")
    usable: Mapped[Range[date]] = mapped_column(
        DATERANGE, comment="days on which the unit exists and may be used, half-open"
    )
    capacity_measure: Mapped[str] = mapped_column(comment="m2 | place")
    capacity: Mapped[Decimal] = mapped_column(comment="in its own measure")
    divisible: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    min_part: Mapped[Decimal | None] = mapped_column(
        comment="smallest part that is let, in the unit's measure"
    )
    remainder_rule: Mapped[str] = mapped_column(
        server_default=text("'lettable'"),
        comment="余量规则: what a part may leave behind: lettable | any",
    )
    leasable_area_m2: Mapped[Decimal] = mapped_column(comment="计租面积")
    internal_area_m2: Mapped[Decimal] = mapped_column(comment="套内建筑面积")
    area_method: Mapped[str] = mapped_column(comment="how the areas were got")
    area_measured_on: Mapped[date | None]
    area_tolerance_pct: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))

    rent_cny_per_m2_day: Mapped[Decimal | None] = mapped_column(
        Numeric(8, 4), comment="租金 元/㎡·天, on the leasable area, tax included"
    )
    rent_cny_per_place_month: Mapped[Decimal | None] = mapped_column(
        Numeric(10, 2), comment="工位租金 元/位·月, tax included"
    )
    min_term_months: Mapped[int | None] = mapped_column(SmallInteger, comment="最短租期")
    max_term_months: Mapped[int | None] = mapped_column(SmallInteger, comment="最长租期")

    is_ground_floor: Mapped[bool]
    clear_height_m: Mapped[Decimal | None] = mapped_column(Numeric(5, 2), comment="净高")
    floor_load_kn_m2: Mapped[Decimal | None] = mapped_column(Numeric(6, 2), comment="楼面活荷载")
    power_kva: Mapped[Decimal | None] = mapped_column(Numeric(10, 1), comment="配电 kVA")
    power_density_w_m2: Mapped[Decimal | None] = mapped_column(Numeric(8, 1))
    cleanroom_grade: Mapped[str | None] = mapped_column(comment="A–D as fitted")
    biosafety_level: Mapped[int | None] = mapped_column(SmallInteger, comment="BSL as fitted")
    fire_hazard_class: Mapped[str | None] = mapped_column(comment="designed fire hazard class")
    waste_water_t_per_day: Mapped[Decimal | None] = mapped_column(Numeric(8, 1))
    freight_lift_t: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    hoist_opening: Mapped[bool | None]
    dual_power_feed: Mapped[bool | None]
    steam: Mapped[bool | None]
    gas: Mapped[bool | None]
    purified_water: Mapped[bool | None]
    animal_facility: Mapped[str | None]
    cold_storage_m2: Mapped[Decimal | None] = mapped_column(Numeric(8, 1))
    isotope_class: Mapped[str | None]
    vibration_class: Mapped[str | None]

    geom: Mapped[Any] = polygon()
    geometric_area_m2: Mapped[float] = geodesic_area()
    valid: Mapped[Range[date]] = mapped_column(
        DATERANGE,
        server_default=text("'(,)'"),
        comment="days for which these facts hold, half-open; unbounded where they never change",
    )


def _unit_checks() -> tuple[CheckConstraint, ...]:
    return (
        *placed_checks(),
        one_of("unit_type", UnitType),
        one_of("carrier_type", CarrierType),
        one_of("physical_state", PhysicalState),
        one_of("capacity_measure", CapacityMeasure),
        one_of("remainder_rule", RemainderRule),
        one_of("cleanroom_grade", CleanroomGrade),
        one_of("fire_hazard_class", FireHazardClass),
        one_of("animal_facility", AnimalFacility),
        one_of("isotope_class", IsotopeClass),
        one_of("vibration_class", VibrationClass),
        CheckConstraint("biosafety_level BETWEEN 1 AND 4", name="biosafety_level_known"),
        CheckConstraint("capacity > 0", name="capacity_positive"),
        CheckConstraint(
            "leasable_area_m2 > 0 AND internal_area_m2 > 0"
            " AND internal_area_m2 <= leasable_area_m2",
            name="areas",
        ),
        CheckConstraint(
            "capacity_measure <> 'm2' OR capacity = leasable_area_m2", name="capacity_is_its_area"
        ),
        CheckConstraint(
            "divisible = (min_part IS NOT NULL) AND min_part > 0 AND min_part <= capacity",
            name="min_part",
        ),
        CheckConstraint("NOT isempty(usable) AND NOT lower_inf(usable)", name="usable_has_start"),
        CheckConstraint(
            "rent_cny_per_m2_day >= 0 AND rent_cny_per_place_month >= 0", name="rent_not_negative"
        ),
        CheckConstraint(
            "min_term_months > 0 AND max_term_months > 0 AND min_term_months <= max_term_months",
            name="terms",
        ),
        CheckConstraint(
            "clear_height_m > 0 AND floor_load_kn_m2 > 0 AND power_kva >= 0"
            " AND power_density_w_m2 >= 0 AND waste_water_t_per_day >= 0 AND freight_lift_t >= 0"
            " AND cold_storage_m2 >= 0",
            name="technical_values",
        ),
        # NaN is greater than every number, and the day 'infinity' is no open end.
        CheckConstraint(
            "capacity <> 'NaN' AND leasable_area_m2 <> 'NaN' AND internal_area_m2 <> 'NaN'",
            name="sizes_are_numbers",
        ),
        CheckConstraint(
            "isfinite(lower(usable)) AND (upper_inf(usable) OR isfinite(upper(usable)))",
            name="usable_finite",
        ),
        CheckConstraint("NOT isempty(valid)", name="valid_not_empty"),
    )


class Unit(UnitFacts, Base):
    """房源单元: what is let. Who has it when is the ledger's to say, never a column here.

    The row is what is believed now, for the last days that are planned. What was believed before,
    and what is believed for other days, is in ``unit_versions``; the view ``unit_terms`` is both.
    """

    __tablename__ = "units"

    id: Mapped[UUID] = _id()
    fid: Mapped[int] = _fid()
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"), index=True)
    building_id: Mapped[UUID] = mapped_column(
        ForeignKey("buildings.id", ondelete="RESTRICT"), index=True
    )
    floor_id: Mapped[UUID] = mapped_column(ForeignKey("floors.id", ondelete="RESTRICT"), index=True)
    code: Mapped[str] = mapped_column(unique=True, comment="一房一码: never changes its meaning")
    version: Mapped[int] = mapped_column(
        BigInteger, server_default=text("0"), comment="bumped by every claim and every edit"
    )
    known_from: Mapped[datetime] = mapped_column(
        server_default=func.clock_timestamp(), comment="since when the row is believed"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        *_unit_checks(),
        UniqueConstraint("id", "park_id"),
        Index("ix_units_unit_type_leasable_area_m2_code", "unit_type", "leasable_area_m2", "code"),
        Index("ix_units_leasable_area_m2_code", "leasable_area_m2", "code"),
        Index("ix_units_unit_type_geom", "unit_type", "geom", postgresql_using="gist"),
        {"postgresql_with": {"fillfactor": "80"}},
    )


class UnitVersion(UnitFacts, Base):
    """What was believed of a unit before, or is believed of it for days before its row's.

    ``known`` is when it was believed; rows are written once and closed, never edited.
    """

    __tablename__ = "unit_versions"

    terms_id: Mapped[UUID] = _id()
    id: Mapped[UUID] = mapped_column(
        ForeignKey("units.id", ondelete="RESTRICT"), index=True, comment="the unit"
    )
    fid: Mapped[int] = mapped_column(BigInteger)
    park_id: Mapped[UUID] = mapped_column(index=True)
    building_id: Mapped[UUID] = mapped_column(index=True)
    floor_id: Mapped[UUID] = mapped_column(index=True)
    code: Mapped[str] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(BigInteger)
    known: Mapped[Range[datetime]] = mapped_column(
        TSTZRANGE, comment="when it was believed, half-open"
    )

    __table_args__ = (
        *_unit_checks(),
        CheckConstraint("NOT isempty(known) AND NOT lower_inf(known)", name="known_has_start"),
        ExcludeConstraint(
            ("id", "="),
            ("valid", "&&"),
            ("known", "&&"),
            using="gist",
            name="ex_unit_versions_one_truth",
        ),
    )


class SharedFacility(Placed, Base):
    """共享设施: a place that firms want to be near, with its capacity."""

    __tablename__ = "shared_facilities"

    id: Mapped[UUID] = _id()
    fid: Mapped[int] = _fid()
    park_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("parks.id", ondelete="RESTRICT"), index=True
    )
    unit_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("units.id", ondelete="RESTRICT"), index=True, comment="where it is a unit too"
    )
    code: Mapped[str] = mapped_column(unique=True)
    facility_type: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str]
    biosafety_level: Mapped[int | None] = mapped_column(SmallInteger)
    capacity: Mapped[Decimal | None]
    capacity_unit: Mapped[str | None] = mapped_column(comment="what the capacity counts")
    geom: Mapped[Any] = polygon("POINT")

    __table_args__ = (
        *placed_checks(),
        one_of("facility_type", FacilityType),
        CheckConstraint("capacity > 0", name="capacity_positive"),
        CheckConstraint("biosafety_level BETWEEN 1 AND 4", name="biosafety_level_known"),
    )


#: The view of all that was ever known of units: ``units`` and ``unit_versions`` as one.
unit_terms = Table(
    "unit_terms",
    MetaData(),
    *(Column(c.name, c.type) for c in UnitVersion.__table__.columns if c.name != "known"),
    Column("known_from", DateTime(timezone=True)),
    Column("known_until", DateTime(timezone=True)),
)
