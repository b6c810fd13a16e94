"""Conditions on a unit's own columns: cheap, and tested before any claim is read."""

from datetime import timedelta

from geoalchemy2.shape import from_shape
from sqlalchemy import ColumnElement, and_, func, literal, or_
from sqlalchemy.dialects.postgresql import DATERANGE, Range

from app.inventory.known import in_force, known_units
from app.inventory.places import Places, park_conditions, programme_conditions
from app.inventory.predicates import (
    Box,
    Circle,
    at_least,
    at_most,
    in_box,
    in_circle,
    one_of,
)
from app.inventory.technical import technical_conditions
from app.ledger.asked import FreeSpaceSearch

_unit = known_units.c


def unit_filters(search: FreeSpaceSearch, places: Places) -> list[ColumnElement[bool]]:
    """All conditions of a search that a unit's own row answers; ``places`` are those it names."""
    window = Range(search.start, search.last_start + timedelta(days=1))
    return [
        *in_force(search.window),
        _unit.usable.op("&&")(literal(window, DATERANGE)),
        *_size_filters(search),
        *place_filters(search, places),
        *technical_conditions(known_units, search),
        *_lift_filters(search),
    ]


def _size_filters(search: FreeSpaceSearch) -> list[ColumnElement[bool]]:
    filters = [
        *one_of(_unit.unit_type, search.unit_types),
        *at_least(_unit.capacity, search.min_quantity),
        *at_least(_unit.leasable_area_m2, search.min_area_m2),
        *at_most(_unit.rent_cny_per_m2_day, search.max_rent_cny_per_m2_day),
    ]
    if search.max_area_m2 is not None:
        part_m2 = _unit.min_part * _unit.leasable_area_m2 / _unit.capacity
        filters.append(
            or_(
                _unit.leasable_area_m2 <= search.max_area_m2,
                and_(_unit.divisible, part_m2 <= search.max_area_m2),
            )
        )
    return filters


def _lift_filters(search: FreeSpaceSearch) -> list[ColumnElement[bool]]:
    if search.freight_lift is None:
        return []
    served = func.coalesce(_unit.freight_lift_t, 0) > 0
    return [served if search.freight_lift else ~served]


def place_filters(search: FreeSpaceSearch, places: Places) -> list[ColumnElement[bool]]:
    """The conditions on where a unit is."""
    filters = [
        *park_conditions(_unit.park_id, places),
        *programme_conditions(_unit.building_id, places),
    ]
    if search.bbox is not None:
        filters.append(in_box(_unit.geom, Box(*search.bbox)))
    if search.polygon is not None:
        filters.append(func.ST_Intersects(_unit.geom, from_shape(search.polygon, srid=4326)))
    near = search.near
    if near is not None and near.within_m is not None:
        filters.append(in_circle(_unit.geom, Circle(near.longitude, near.latitude, near.within_m)))
    return filters
