"""Made-up parks in the database: parts, places, sizes that change, claims of every kind and age."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any
from uuid import uuid4

from geoalchemy2.shape import from_shape
from shapely import Point
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.demand.rules import BuildingRules
from app.kernel.terms import (
    AnimalFacility,
    CleanroomGrade,
    FacilityType,
    FireHazardClass,
    IsotopeClass,
    PhysicalState,
    VibrationClass,
)
from app.models.space import Building, Floor, SharedFacility, Unit
from app.models.wall import BuildingLink
from tests.factories import (
    MADE_UP,
    PLACED,
    add,
    make_building,
    make_change,
    make_claim,
    make_floor,
    make_parcel,
    make_park,
    make_unit,
    make_zone,
    number,
)

DAY = date(2027, 1, 1)
RULES = BuildingRules("tests", "tests", "assumption", 24.0, 1, {}, {})
_GRID = ("0.1", "1", "2.5", "7.85", "24.0", "99.9", "1500.3", "9999.9")
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def seeded(seed: int) -> Random:
    """A generator that repeats itself; nothing here is secret."""
    return Random(seed)  # noqa: S311


def maybe(rng: Random, values: Sequence[Any]) -> Any:
    """One of the values, or often nothing."""
    return rng.choice(values) if rng.random() < 0.7 else None


def decimal(rng: Random, values: Sequence[str] = _GRID) -> Any:
    """A number, or nothing."""
    chosen = maybe(rng, values)
    return None if chosen is None else Decimal(chosen)


def flag(rng: Random) -> bool | None:
    """Yes, no or unknown."""
    found: bool | None = maybe(rng, (True, False))
    return found


def make_world(session: Session, seed: int, *, buildings: int = 3) -> list[Unit]:
    """Some buildings of two parks, one within the other, with units and what is taken of them."""
    rng = seeded(seed)
    outer = make_park(session, special_goods_import_pilot=rng.random() < 0.5)
    inner = make_park(session, parent_park_id=outer.id, zone_id=make_zone(session).id)
    for kind in FacilityType:
        for _ in range(rng.randint(0, 2)):
            make_facility(session, kind, rng.uniform(121.5, 121.7), rng.uniform(31.1, 31.3))
    units = []
    made = []
    for _ in range(buildings):
        parcel = make_parcel(
            session,
            park_id=rng.choice((outer, inner)).id,
            land_use_code=rng.choice(("M1", "M2", "M1/M4", "C65+C8")),
        )
        made.append(_building(session, rng, parcel))
        units += _fill(session, rng, made[-1])
    for one, other in pairwise(made):
        if one.park_id == other.park_id:
            make_link(session, one, other)
    for unit in units:
        take(session, rng, unit)
    return units


def make_facility(session: Session, kind: str, lon: float, lat: float) -> SharedFacility:
    """A place that firms want to be near."""
    values = {
        "code": f"facility-{number()}",
        "facility_type": str(kind),
        "name_zh": "设施",
        "name_en": "facility",
        "geom": from_shape(Point(lon, lat), srid=4326),
        **PLACED,
    }
    row: SharedFacility = add(session, SharedFacility(**values))
    return row


def make_link(session: Session, one: Building, other: Building) -> BuildingLink:
    """A passage between the lowest floors of two buildings of one park."""
    first, second = sorted((one, other), key=lambda building: building.id)
    levels = [
        session.scalar(select(func.min(Floor.level_index)).where(Floor.building_id == building.id))
        for building in (first, second)
    ]
    values = {"building_a_id": first.id, "level_a": levels[0], "building_b_id": second.id}
    row: BuildingLink = add(
        session, BuildingLink(park_id=first.park_id, level_b=levels[1], **values, **MADE_UP)
    )
    return row


def _building(session: Session, rng: Random, parcel: Any) -> Building:
    return make_building(
        session,
        parcel=parcel,
        floors_above=rng.choice((1, 3, 12)),
        height_m=decimal(rng, ("6", "24", "24.01", "60")),
        power_capacity_kva=decimal(rng, ("500", "10000.5")),
        freight_lift_t=decimal(rng, ("2", "5.25")),
        **{name: flag(rng) for name in _FLAGS},
    )


_FLAGS = ("dual_power_feed", "hoist_opening", "steam", "gas", "purified_water")


def _fill(session: Session, rng: Random, building: Building) -> list[Unit]:
    units = []
    for level in rng.sample((-1, 0, 1, 2), 2):
        floor = make_floor(
            session,
            building=building,
            level_index=level,
            floor_load_kn_m2=decimal(rng, ("4", "7.85")),
            clear_height_m=decimal(rng, ("3.33", "5.2")),
        )
        count = rng.randint(1, 4)
        units += [_unit(session, rng, floor=floor, slot=slot, slots=count) for slot in range(count)]
    return units


def _unit(session: Session, rng: Random, **where: Any) -> Unit:
    by_place = rng.random() < 0.25
    area = rng.choice(("100.00", "333.33", "2000.00"))
    capacity = Decimal(rng.choice((7, 40))) if by_place else Decimal(area)
    divisible = rng.random() < 0.6
    low, high = sorted((rng.choice((1, 6, 36)), rng.choice((36, 120))))
    values = {
        **where,
        "area_m2": area,
        "capacity": capacity,
        "capacity_measure": "place" if by_place else "m2",
        "unit_type": rng.choice(("pilot", "hq_rd", "acceleration")),
        "physical_state": rng.choice([one.value for one in PhysicalState]),
        "divisible": divisible,
        "min_part": Decimal(rng.choice((1, 3 if by_place else 30))) if divisible else None,
        "remainder_rule": rng.choice(("lettable", "any")),
        "rent_cny_per_m2_day": decimal(rng, ("2.1234", "9.9")),
        "rent_cny_per_place_month": decimal(rng, ("1500.55", "99999.99")),
        "min_term_months": maybe(rng, (low,)),
        "max_term_months": maybe(rng, (high,)),
        "clear_height_m": decimal(rng, ("3.1", "4.55")),
        "floor_load_kn_m2": decimal(rng, ("3.5", "12.25")),
        "power_kva": decimal(rng),
        "power_density_w_m2": decimal(rng),
        "cleanroom_grade": maybe(rng, [one.value for one in CleanroomGrade]),
        "biosafety_level": maybe(rng, (1, 2, 3)),
        "fire_hazard_class": maybe(rng, [one.value for one in FireHazardClass]),
        "waste_water_t_per_day": decimal(rng),
        "freight_lift_t": decimal(rng, ("3", "10.5", "999")),
        "animal_facility": maybe(rng, [one.value for one in AnimalFacility]),
        "cold_storage_m2": decimal(rng),
        "isotope_class": maybe(rng, [one.value for one in IsotopeClass]),
        "vibration_class": maybe(rng, [one.value for one in VibrationClass]),
        "usable": Range(
            DAY + timedelta(days=rng.choice((-900, -900, 40))),
            rng.choice((None, None, DAY + timedelta(days=1500))),
        ),
        **{name: flag(rng) for name in _FLAGS},
    }
    return make_unit(session, **values)


def take(session: Session, rng: Random, unit: Unit) -> None:
    """Sizes that change on days to come, and claims; what the ledger refuses is left out."""
    if rng.random() < 0.3:
        day = DAY + timedelta(days=rng.choice((100, 200)))
        for days in range(rng.randint(1, 2)):
            _try(session, _change, unit, day + timedelta(days=90 * days), rng)
    for _ in range(rng.randint(0, 4)):
        _try(session, _claim, unit, rng)


def _change(session: Session, unit: Unit, day: date, rng: Random) -> None:
    capacity = unit.capacity + rng.choice((-1, 2, 20))
    facts = {"capacity": capacity, "power_kva": decimal(rng)}
    if unit.capacity_measure == "m2":
        facts |= {"leasable_area_m2": capacity, "internal_area_m2": capacity * Decimal("0.5")}
    make_change(session, unit, day, **facts)


def _claim(session: Session, unit: Unit, rng: Random) -> None:
    quantity = unit.capacity
    if unit.min_part is not None and rng.random() < 0.7:
        quantity = rng.choice((unit.min_part, unit.min_part * 2, unit.capacity - unit.min_part))
    first = DAY + timedelta(days=rng.choice((-400, -30, 0, 60, 150, 350)))
    until = rng.choice((None, first + timedelta(days=rng.choice((30, 200, 700)))))
    now = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    kind = rng.choice(("hold", "lease", "works", "out_of_service", "reservation"))
    ends = rng.choice((None, now + timedelta(hours=1), now - timedelta(hours=1)))
    if kind == "hold" and ends is None:
        ends = now + timedelta(hours=2)
    make_claim(
        session,
        unit,
        first,
        until,
        quantity=quantity,
        whole=quantity == unit.capacity,
        kind=kind,
        commitment_id=uuid4(),
        live=Range(_LONG_AGO, ends),
    )


def _try(session: Session, work: Any, *arguments: Any) -> None:
    """Do it, or nothing where the ledger's rules refuse it."""
    unit = next(one for one in arguments if isinstance(one, Unit))
    try:
        with session.begin_nested():
            work(session, *arguments)
    except DBAPIError:
        session.refresh(unit)
