"""Rows that are valid with no arguments. Never random: a counter makes codes unique."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

from geoalchemy2.shape import from_shape, to_shape
from shapely import MultiPolygon, Polygon, box
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.terms import ClaimKind
from app.models.claim import Claim
from app.models.company import Company
from app.models.space import Building, Floor, Parcel, Park, Unit, UnitVersion, Zone
from app.models.staff import StaffAccount
from app.security.actors import Role, Scope
from app.security.credentials import issue_firm_key, issue_staff_token

_numbers = count(1)
_plots = count()
#: For a write that overwrites whatever is there.
ANY = {"If-Match": "*"}
MADE_UP: dict[str, Any] = {
    "source": "tests",
    "confidence": "assumption",
    "synthetic": True,
}
PLACED: dict[str, Any] = {**MADE_UP, "geometry_quality": "schematic"}
#: A park's ground: about 950 m by 1,110 m in Zhangjiang.
GROUND = (121.60, 31.20, 121.61, 31.21)
_CREDIT_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def number() -> int:
    """The next number, for codes."""
    return next(_numbers)


def geometry(shape: Polygon) -> Any:
    """A shape as a column value."""
    return from_shape(shape, srid=4326)


def credit_code(serial: int) -> str:
    """A unified social credit code with a right check digit, of no real registry."""
    body = f"91990000MA{serial:07d}"
    total = sum(
        _CREDIT_CODE_ALPHABET.index(character) * pow(3, place, 31)
        for place, character in enumerate(body)
    )
    return body + _CREDIT_CODE_ALPHABET[(31 - total % 31) % 31]


def add(session: Session, row: Any) -> Any:
    """Write a row now and hand it back."""
    session.add(row)
    session.flush()
    return row


def make_zone(session: Session, **values: Any) -> Zone:
    n = number()
    defaults = {
        "code": f"zone-{n}",
        "layout_role": "core",
        "seq": 1,
        "name_zh": f"测试区{n}",
        "name_en": f"Test zone {n}",
        "district": "浦东新区",
        **PLACED,
    }
    row: Zone = add(session, Zone(**(defaults | values)))
    return row


def make_park(session: Session, **values: Any) -> Park:
    n = number()
    zone_id = values.pop("zone_id", None) or make_zone(session).id
    west, south, east, north = values.pop("ground", GROUND)
    defaults = {
        "zone_id": zone_id,
        "code": f"park-{n}",
        "name_zh": f"测试园{n}",
        "name_en": f"Test park {n}",
        "layout_role": "special",
        "carrier_type": "special_park",
        "district": "浦东新区",
        "geom": from_shape(MultiPolygon([box(west, south, east, north)]), srid=4326),
        **PLACED,
    }
    row: Park = add(session, Park(**(defaults | values)))
    return row


def make_parcel(session: Session, **values: Any) -> Parcel:
    n = number()
    park_id = values.pop("park_id", None) or make_park(session).id
    # Plots stand side by side in strips, a thousandth of a degree apart: room for 81 in a row,
    # counted by themselves, as numbers are used up by everything that stands on them too.
    rise, step = (part / 1000 for part in divmod(next(_plots) % 81, 9))
    defaults = {
        "park_id": park_id,
        "code": f"parcel-{n}",
        "name_zh": f"测试地块{n}",
        "name_en": f"Test parcel {n}",
        "land_use_code": "M1",
        "tenure": "grant",
        "geom": geometry(box(121.6000 + step, 31.2000 + rise, 121.6009 + step, 31.2009 + rise)),
        **PLACED,
    }
    row: Parcel = add(session, Parcel(**(defaults | values)))
    return row


def make_building(session: Session, **values: Any) -> Building:
    n = number()
    parcel = values.pop("parcel", None) or make_parcel(session)
    west, south, east, north = to_shape(parcel.geom).bounds
    inset_x, inset_y = (east - west) * 0.1, (north - south) * 0.1
    defaults = {
        "park_id": parcel.park_id,
        "parcel_id": parcel.id,
        "code": f"building-{n}",
        "name_zh": f"测试楼{n}",
        "name_en": f"Test building {n}",
        "physical_state": "shell",
        "gross_floor_area_m2": Decimal("20000.00"),
        "floors_above": 4,
        "geom": geometry(box(west + inset_x, south + inset_y, east - inset_x, north - inset_y)),
        **PLACED,
    }
    row: Building = add(session, Building(**(defaults | values)))
    return row


def make_floor(session: Session, **values: Any) -> Floor:
    n = number()
    building = values.pop("building", None) or make_building(session)
    defaults = {
        "park_id": building.park_id,
        "building_id": building.id,
        "code": f"floor-{n}",
        "level_index": 0,
        "level_name": "1F",
        "gross_floor_area_m2": Decimal("5000.00"),
        "storey_height_m": Decimal("6.00"),
        "clear_height_m": Decimal("5.20"),
        "floor_load_kn_m2": Decimal("7.85"),
        "geom": building.geom,
        **PLACED,
    }
    row: Floor = add(session, Floor(**(defaults | values)))
    return row


def make_unit(session: Session, **values: Any) -> Unit:
    """A unit of 2,000 m²; ``slot`` of ``slots`` (default 0 of 1) cuts the floor into strips."""
    n = number()
    floor = values.pop("floor", None) or make_floor(session)
    slot, slots = values.pop("slot", 0), values.pop("slots", 1)
    west, south, east, north = to_shape(floor.geom).bounds
    width = (east - west) / slots
    area = Decimal(values.pop("area_m2", "2000.00"))
    defaults = {
        "park_id": floor.park_id,
        "building_id": floor.building_id,
        "floor_id": floor.id,
        "code": f"unit-{n:05}",  # in the order in which they were made, however many there are
        "name_zh": f"测试单元{n}",
        "name_en": f"Test unit {n}",
        "unit_type": "pilot",
        "physical_state": "shell",
        "usable": Range(date(2020, 1, 1), None),
        "known_from": datetime(2000, 1, 1, tzinfo=UTC),
        "capacity_measure": "m2",
        "capacity": area,
        "leasable_area_m2": area,
        "internal_area_m2": (area * Decimal("0.82")).quantize(Decimal("0.01")),
        "area_method": "tests",
        "rent_cny_per_m2_day": Decimal("3.0000"),
        "is_ground_floor": floor.level_index == 0,
        "clear_height_m": floor.clear_height_m,
        "floor_load_kn_m2": floor.floor_load_kn_m2,
        "geom": geometry(box(west + slot * width, south, west + (slot + 1) * width, north)),
        **PLACED,
    }
    row: Unit = add(session, Unit(**(defaults | values)))
    return row


def make_company(session: Session, **values: Any) -> Company:
    n = number()
    defaults = {
        "name_zh": f"测试企业{n}（合成）",
        "name_en": f"Test firm {n} (synthetic)",
        "unified_social_credit_code": credit_code(n),
        **MADE_UP,
    }
    row: Company = add(session, Company(**(defaults | values)))
    return row


def make_claim(session: Session, unit: Unit, start: date, end: date | None, **values: Any) -> Claim:
    """A lease of the whole unit, believed since 2026-01-01."""
    company_id = values.pop("company_id", None) or make_company(session).id
    quantity = values.pop("quantity", unit.capacity)
    defaults = {
        "commitment_id": uuid4(),
        "park_id": unit.park_id,
        "unit_id": unit.id,
        "company_id": company_id,
        "kind": ClaimKind.LEASE.value,
        "quantity": quantity,
        "whole": quantity == unit.capacity,
        "period": Range(start, end),
        "live": Range(datetime(2026, 1, 1, tzinfo=UTC), None),
        "placed_by": "tests",
        "synthetic": True,
    }
    row: Claim = add(session, Claim(**(defaults | values)))
    return row


def staff_headers(session: Session, role: Role = Role.ADMIN, **values: Any) -> dict[str, str]:
    """Headers of a new staff token of a new person."""
    park_ids = values.get("park_ids")
    person = StaffAccount(
        email=f"{number()}@people.invalid",
        name="tests",
        role=role,
        park_ids=None if park_ids is None else list(park_ids),
    )
    token = issue_staff_token(
        session, role=role, label="tests", account=add(session, person), **values
    )
    return {"Authorization": f"Bearer {token}"}


def firm_headers(
    session: Session, company: Company, scopes: tuple[Scope, ...] = tuple(Scope)
) -> dict[str, str]:
    """Headers of a new key of a firm."""
    key = issue_firm_key(session, company_id=company.id, label="tests", scopes=scopes)
    return {"Authorization": f"Bearer {key}"}


def make_change(session: Session, unit: Unit, day: date, **facts: Any) -> None:
    """Facts of a unit from ``day`` on, as believed from now on; before that day all stays."""
    columns = UnitVersion.__table__.columns
    own = {"terms_id", "known", "valid"}
    names = [c.name for c in columns if c.name not in own and c.computed is None]
    before, valid = {name: getattr(unit, name) for name in names}, unit.valid
    for name, value in facts.items():
        setattr(unit, name, value)
    unit.valid = Range(day, valid.upper)
    session.flush()
    session.refresh(unit)
    earlier = Range(valid.lower, day)
    add(session, UnitVersion(**before, valid=earlier, known=Range(unit.known_from, None)))
