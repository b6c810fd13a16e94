"""A small world with one of everything, and a second of what must be told apart.

Zone 1 holds a park with a nested park; zone 2 holds a park elsewhere. The programme has one
project; a building counts towards both, another towards the project only.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from geoalchemy2.shape import from_shape
from shapely import MultiPolygon, Point, box
from sqlalchemy.orm import Session

from app.models.programme import Programme, ProgrammeBuilding, ProgrammeMilestone
from app.models.space import (
    Building,
    Floor,
    Parcel,
    Park,
    ParkBlock,
    SharedFacility,
    Unit,
    Zone,
)
from tests import factories
from tests.factories import MADE_UP, PLACED, geometry


@dataclass(frozen=True)
class World:
    zone: Zone
    other_zone: Zone
    park: Park
    nested: Park
    other_park: Park
    parcel: Parcel
    building: Building
    nested_building: Building
    floor: Floor
    upper: Floor
    unit: Unit
    bench: Unit
    nested_unit: Unit
    other_unit: Unit
    programme: Programme
    project: Programme
    facility: SharedFacility


def build_world(session: Session) -> World:
    """Write the world, and commit it for good as far as the code under test can tell."""
    zone = factories.make_zone(
        session,
        code="z-core",
        geom=from_shape(MultiPolygon([box(121.59, 31.19, 121.62, 31.22)]), srid=4326),
        published_area_m2=Decimal("9000000.00"),
    )
    other_zone = factories.make_zone(
        session, code="z-other", layout_role="special", district="宝山区"
    )
    park = factories.make_park(
        session,
        code="k-park",
        zone_id=zone.id,
        name_zh="张江测试园",
        focus_sectors=["antibodies", "devices"],
        boundary_east="东路",
        published_area_m2=Decimal("900000.00"),
    )
    nested = factories.make_park(
        session,
        code="k-nested",
        zone_id=zone.id,
        parent_park_id=park.id,
        ground=(121.605, 31.205, 121.61, 31.21),
        carrier_type="incubator",
    )
    other_park = factories.make_park(
        session,
        code="k-other",
        zone_id=other_zone.id,
        district="宝山区",
        ground=(121.30, 31.40, 121.31, 31.41),
        special_goods_import_pilot=True,
    )
    session.add(
        ParkBlock(
            park_id=park.id,
            seq=1,
            name_zh="一区",
            name_en="Block 1",
            boundary_north="北路",
            published_area_m2=Decimal("400000.00"),
            geom=geometry(box(121.600, 31.200, 121.604, 31.204)),
            **PLACED,
        )
    )
    parcel = _parcel(session, park, "p-park", 121.600, 31.200, tenure="flexible_grant")
    nested_parcel = _parcel(session, nested, "p-nested", 121.606, 31.206, land_use_code="M2")
    other_parcel = _parcel(session, other_park, "p-other", 121.301, 31.401)
    building = factories.make_building(
        session, code="b-park", parcel=parcel, physical_state="fitted", carrier_type="accelerator"
    )
    nested_building = factories.make_building(
        session,
        code="b-nested",
        parcel=nested_parcel,
        physical_state="planned",
        gross_floor_area_m2=Decimal("5000.00"),
        delivered_on=date(2028, 6, 30),
    )
    other_building = factories.make_building(session, code="b-other", parcel=other_parcel)
    floor = factories.make_floor(session, code="f-park-1", building=building)
    upper = factories.make_floor(
        session,
        code="f-park-2",
        building=building,
        level_index=1,
        level_name="2F",
        floor_load_kn_m2=Decimal("3.43"),
    )
    nested_floor = factories.make_floor(session, code="f-nested-1", building=nested_building)
    other_floor = factories.make_floor(session, code="f-other-1", building=other_building)
    unit = factories.make_unit(
        session,
        code="u-pilot",
        name_en="Pilot hall 100%",
        floor=floor,
        area_measured_on=date(2025, 5, 1),
        area_tolerance_pct=Decimal("1.00"),
        carrier_type="accelerator",
        cleanroom_grade="B",
        fire_hazard_class="bing",
        biosafety_level=2,
        vibration_class="VC-C",
        power_kva=Decimal("500.0"),
        steam=True,
    )
    bench = factories.make_unit(
        session,
        code="u-bench",
        floor=upper,
        unit_type="incubation",
        area_m2="600.00",
        capacity_measure="place",
        capacity=Decimal("40.00"),
        divisible=True,
        min_part=Decimal("1.00"),
        rent_cny_per_m2_day=None,
        rent_cny_per_place_month=Decimal("1500.00"),
        cleanroom_grade="D",
    )
    nested_unit = factories.make_unit(
        session, code="u-nested", floor=nested_floor, unit_type="production", area_m2="4000.00"
    )
    other_unit = factories.make_unit(session, code="u-other", floor=other_floor)
    programme = _programme(
        session, "g-all", target_floor_area_m2=Decimal("100000.00"), park_id=None
    )
    project = _programme(session, "g-project", parent_programme_id=programme.id, park_id=nested.id)
    session.add_all(
        [
            ProgrammeBuilding(programme_id=programme.id, building_id=building.id),
            ProgrammeBuilding(programme_id=project.id, building_id=building.id),
            ProgrammeBuilding(programme_id=project.id, building_id=nested_building.id),
            ProgrammeMilestone(
                programme_id=programme.id,
                seq=1,
                step="started",
                actual_on=date(2023, 1, 1),
                floor_area_m2=Decimal("20000.00"),
                date_precision="year",
                **MADE_UP,
            ),
        ]
    )
    facility = SharedFacility(
        code="s-bsl",
        park_id=park.id,
        unit_id=unit.id,
        facility_type="bsl_lab",
        name_zh="生物安全实验室",
        name_en="Biosafety laboratory",
        biosafety_level=3,
        capacity=Decimal("12.00"),
        capacity_unit="places",
        geom=from_shape(Point(121.6005, 31.2005), srid=4326),
        **PLACED,
    )
    metro = SharedFacility(
        code="s-metro",
        facility_type="metro_station",
        name_zh="张江高科站",
        name_en="Zhangjiang",
        geom=from_shape(Point(121.5833, 31.2041), srid=4326),
        **{**PLACED, "synthetic": False, "geometry_quality": "digitised"},
    )
    session.add_all([facility, metro])
    session.commit()
    return World(
        zone=zone,
        other_zone=other_zone,
        park=park,
        nested=nested,
        other_park=other_park,
        parcel=parcel,
        building=building,
        nested_building=nested_building,
        floor=floor,
        upper=upper,
        unit=unit,
        bench=bench,
        nested_unit=nested_unit,
        other_unit=other_unit,
        programme=programme,
        project=project,
        facility=facility,
    )


def _parcel(
    session: Session, park: Park, code: str, west: float, south: float, **values: object
) -> Parcel:
    ground = geometry(box(west, south, west + 0.0009, south + 0.0009))
    return factories.make_parcel(session, park_id=park.id, code=code, geom=ground, **values)


def _programme(session: Session, code: str, **values: object) -> Programme:
    row: Programme = factories.add(
        session,
        Programme(
            code=code,
            name_zh=f"计划{code}",
            name_en=f"Programme {code}",
            seq=1,
            **values,
            **MADE_UP,
        ),
    )
    return row
