"""Conditions on a unit's own columns: cheap, and tested before any claim is read."""

from datetime import timedelta
from decimal import Decimal
from math import cos, radians
from typing import Any
from uuid import UUID

from geoalchemy2 import Geography
from geoalchemy2.shape import from_shape
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Numeric,
    Select,
    Uuid,
    and_,
    any_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import CleanroomGrade, FireHazardClass, Term
from app.ledger.asked import FreeSpaceSearch, Near
from app.models.programme import Programme, ProgrammeBuilding
from app.models.space import Park, Unit, Zone

#: Stricter grades serve weaker needs.
CLEANROOM_STRICTEST_FIRST = (
    CleanroomGrade.A,
    CleanroomGrade.B,
    CleanroomGrade.C,
    CleanroomGrade.D,
)
#: A space designed for a more dangerous class takes a less dangerous process.
FIRE_MOST_DANGEROUS_FIRST = (
    FireHazardClass.JIA,
    FireHazardClass.YI,
    FireHazardClass.BING,
    FireHazardClass.DING,
    FireHazardClass.WU,
)
#: Metres of a degree of latitude, a little under the least, so that boxes err outwards.
_M_PER_DEGREE = 110_000

_unit = Unit.__table__.c
_park = Park.__table__.c
_zone = Zone.__table__.c
_programme = Programme.__table__.c
_counted = ProgrammeBuilding.__table__.c


def unit_filters(search: FreeSpaceSearch) -> list[ColumnElement[bool]]:
    """All conditions of a search that a unit's own row answers."""
    window = Range(search.start, search.last_start + timedelta(days=1))
    return [
        _unit.usable.op("&&")(literal(window, DATERANGE)),
        *_size_filters(search),
        *place_filters(search),
        *_technical_filters(search),
    ]


def _size_filters(search: FreeSpaceSearch) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if search.unit_types:
        filters.append(_unit.unit_type.in_([kind.value for kind in search.unit_types]))
    if search.min_quantity is not None:
        filters.append(_unit.capacity >= search.min_quantity)
    if search.min_area_m2 is not None:
        filters.append(_unit.leasable_area_m2 >= search.min_area_m2)
    if search.max_area_m2 is not None:
        part_m2 = _unit.min_part * _unit.leasable_area_m2 / _unit.capacity
        filters.append(
            or_(
                _unit.leasable_area_m2 <= search.max_area_m2,
                and_(_unit.divisible, part_m2 <= search.max_area_m2),
            )
        )
    if search.max_rent_cny_per_m2_day is not None:
        filters.append(_unit.rent_cny_per_m2_day <= search.max_rent_cny_per_m2_day)
    return filters


def _technical_filters(search: FreeSpaceSearch) -> list[ColumnElement[bool]]:
    """A minimum is met only by a known value: an unknown load is no load."""
    minima = (
        (_unit.floor_load_kn_m2, search.min_floor_load_kn_m2),
        (_unit.clear_height_m, search.min_clear_height_m),
        (_unit.power_density_w_m2, search.min_power_density_w_m2),
        (_unit.power_kva, search.min_power_kva),
        (_unit.biosafety_level, search.min_biosafety_level),
        (_unit.freight_lift_t, search.min_freight_lift_t),
    )
    filters: list[ColumnElement[bool]] = [
        have >= asked for have, asked in minima if asked is not None
    ]
    classes: tuple[tuple[Any, tuple[Term, ...], Term | None], ...] = (
        (_unit.cleanroom_grade, CLEANROOM_STRICTEST_FIRST, search.cleanroom_grade),
        (_unit.fire_hazard_class, FIRE_MOST_DANGEROUS_FIRST, search.fire_hazard_class),
    )
    for have_class, strongest_first, asked_class in classes:
        if asked_class is not None:
            enough = strongest_first[: strongest_first.index(asked_class) + 1]
            filters.append(have_class.in_([one.value for one in enough]))
    if search.ground_floor is not None:
        filters.append(_unit.is_ground_floor.is_(search.ground_floor))
    if search.freight_lift is not None:
        served = func.coalesce(_unit.freight_lift_t, 0) > 0
        filters.append(served if search.freight_lift else ~served)
    return filters


def place_filters(search: FreeSpaceSearch) -> list[ColumnElement[bool]]:
    """The conditions on where a unit is."""
    filters: list[ColumnElement[bool]] = []
    if search.zone is not None:
        zones = select(_zone.id).where(_named(Zone.__table__, search.zone))
        filters.append(_unit.park_id == _any_of(_nested_parks(_park.zone_id.in_(zones))))
    if search.park is not None:
        filters.append(_unit.park_id == _any_of(_nested_parks(_named(Park.__table__, search.park))))
    if search.programme is not None:
        filters.append(_unit.building_id == _any_of(_programme_buildings(search.programme)))
    if search.bbox is not None:
        filters.append(func.ST_Intersects(_unit.geom, func.ST_MakeEnvelope(*search.bbox, 4326)))
    if search.polygon is not None:
        filters.append(func.ST_Intersects(_unit.geom, from_shape(search.polygon, srid=4326)))
    if search.near is not None and search.near.within_m is not None:
        filters.extend(_within(search.near, search.near.within_m))
    return filters


def _within(near: Near, within_m: float) -> list[ColumnElement[bool]]:
    tall = within_m / _M_PER_DEGREE
    wide = tall / max(cos(radians(abs(near.latitude) + tall)), 0.01)
    box = func.ST_MakeEnvelope(
        near.longitude - wide,
        near.latitude - tall,
        near.longitude + wide,
        near.latitude + tall,
        4326,
    )
    # The box is there for the index, which knows degrees only.
    return [
        _unit.geom.op("&&")(box),
        func.ST_DWithin(cast(_unit.geom, Geography), _point(near), within_m),
    ]


def distance(near: Near) -> ColumnElement[Decimal]:
    """Metres on the ellipsoid from a place to the nearest point of the unit, to the decimetre."""
    metres = func.ST_Distance(cast(_unit.geom, Geography), _point(near))
    return func.round(cast(metres, Numeric), 1, type_=Numeric())


def _point(near: Near) -> ColumnElement[Any]:
    return cast(func.ST_SetSRID(func.ST_MakePoint(near.longitude, near.latitude), 4326), Geography)


def require_places(session: Session, search: FreeSpaceSearch, where: str) -> None:
    """Refuse a zone, park or programme that does not exist.

    ``where`` is "query" or "body".

    Raises:
        InvalidInputError: the first one that is not there.
    """
    asked: tuple[tuple[FromClause, str, str | None], ...] = (
        (Zone.__table__, "zone", search.zone),
        (Park.__table__, "park", search.park),
        (Programme.__table__, "programme", search.programme),
    )
    for table, name, code_or_id in asked:
        if code_or_id is None or session.scalar(select(exists().where(_named(table, code_or_id)))):
            continue
        detail = f"no {name} has the code or id {code_or_id!r}; see /api/v1/{name}s"
        pointer = f"/{name}" if where == "body" else name
        raise InvalidInputError(detail, [Fault(pointer, detail, where)])


def _named(table: FromClause, code_or_id: str) -> ColumnElement[bool]:
    try:
        found = UUID(code_or_id)
    except ValueError:
        found = None
    # Only the usual spelling is an id: thirty-two digits in a row may well be a code.
    if found is not None and str(found) == code_or_id.lower():
        return table.c.id == found
    return table.c.code == code_or_id


def _any_of(ids: Select[Any]) -> ColumnElement[Any]:
    # As an array it is worked out once, before the units are touched, and can drive their index.
    return any_(func.array(ids.scalar_subquery(), type_=ARRAY(Uuid)))


def _nested_parks(chosen: ColumnElement[bool]) -> Select[Any]:
    nested = select(_park.id).where(chosen).cte(recursive=True)
    inner = select(_park.id).join(nested, _park.parent_park_id == nested.c.id)
    return select(nested.union(inner).c.id)


def _programme_buildings(code_or_id: str) -> Select[Any]:
    named = _named(Programme.__table__, code_or_id)
    nested = select(_programme.id).where(named).cte(recursive=True)
    inner = select(_programme.id).join(nested, _programme.parent_programme_id == nested.c.id)
    programmes = nested.union(inner)
    return (
        select(_counted.building_id)
        .join(programmes, _counted.programme_id == programmes.c.id)
        .distinct()
    )
