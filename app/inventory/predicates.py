"""Conditions that several listings share: box, nearness, text, flags, ranges."""

import math
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Numeric,
    Text,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.sql import operators

from app.geo.datums import box_to_wgs84, to_wgs84
from app.inventory.filters import AreaWanted, PlacedWanted, Wanted
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import SourceDatum

#: A degree of longitude on the equator; a degree of latitude is nowhere shorter than the second.
_M_PER_DEGREE_LON = 111_319.0
_M_PER_DEGREE_LAT = 110_570.0
_MOST_LON, _MOST_LAT, _NEAR_A_POLE = 180, 90, 89
_WGS84 = 4326


class Box(NamedTuple):
    """Degrees, WGS 84."""

    west: float
    south: float
    east: float
    north: float


class Circle(NamedTuple):
    """Degrees, WGS 84, and metres on the ellipsoid."""

    lon: float
    lat: float
    within_m: float


def parse_box(text: str, datum: SourceDatum = SourceDatum.WGS84) -> Box:
    """The box of a ``bbox`` parameter given in a datum.

    Raises:
        InvalidInputError: it is not four finite numbers in order.

    >>> parse_box("121.5,31.1,121.7,31.3")
    Box(west=121.5, south=31.1, east=121.7, north=31.3)
    """
    box = Box(*_numbers("bbox", text, "west,south,east,north", 4))
    if not (_on_earth(box.west, box.south) and _on_earth(box.east, box.north)):
        raise _refusal(
            "bbox",
            "longitudes are -180 to 180 and latitudes -90 to 90, in this order",
            "经度须在 -180 至 180、纬度须在 -90 至 90 之间，经度在前",
        )
    if box.west >= box.east or box.south >= box.north:
        raise _refusal(
            "bbox",
            "west must be less than east, and south less than north",
            "西须小于东，南须小于北",
        )
    return box_in_wgs84(box, datum)


def box_in_wgs84(box: tuple[float, float, float, float], datum: SourceDatum) -> Box:
    """The box in WGS 84 that holds one given in a datum."""
    if datum in {SourceDatum.WGS84, SourceDatum.CGCS2000}:
        return Box(*box)
    return Box(*box_to_wgs84(box, datum).tolist())


def position_in_wgs84(lon: float, lat: float, datum: SourceDatum) -> tuple[float, float]:
    """Longitude and latitude in WGS 84 of a place given in a datum."""
    moved = to_wgs84(np.array([[lon, lat]]), datum)
    return float(moved[0, 0]), float(moved[0, 1])


def parse_circle(
    near: str | None, within_m: float | None, datum: SourceDatum = SourceDatum.WGS84
) -> Circle | None:
    """The circle of ``near``, given in a datum, and ``within_m``; they only make sense together.

    Raises:
        InvalidInputError: one of them is missing, or ``near`` is no place.

    >>> parse_circle("121.6,31.2", 1000)
    Circle(lon=121.6, lat=31.2, within_m=1000)
    """
    if near is None and within_m is None:
        return None
    if near is None:
        raise _refusal(
            "near", "`within_m` needs `near=lon,lat`", "within_m 须与 near=经度,纬度 同时给出"
        )
    if within_m is None:
        raise _refusal(
            "within_m", "`near` needs `within_m`, metres", "near 须与 within_m（米）同时给出"
        )
    lon, lat = _numbers("near", near, "lon,lat", 2)
    if not _on_earth(lon, lat):
        raise _refusal(
            "near",
            "longitude first: -180 to 180, then latitude -90 to 90",
            "经度在前（-180 至 180），纬度在后（-90 至 90）",
        )
    return Circle(*position_in_wgs84(lon, lat, datum), within_m)


def in_box(geom: ColumnElement[Any], box: Box) -> ColumnElement[bool]:
    """That a geometry touches a box."""
    return func.ST_Intersects(geom, _envelope(box))


def in_circle(geom: ColumnElement[Any], circle: Circle) -> ColumnElement[bool]:
    """That a geometry is within a geodesic distance; a box around the circle finds it quickly."""
    near = func.ST_DWithin(func.geography(geom), _place(circle.lon, circle.lat), circle.within_m)
    rise = circle.within_m / _M_PER_DEGREE_LAT
    furthest = abs(circle.lat) + rise
    if furthest >= _NEAR_A_POLE:  # no useful box there
        return near
    reach = circle.within_m / (_M_PER_DEGREE_LON * math.cos(math.radians(furthest)))
    around = Box(circle.lon - reach, circle.lat - rise, circle.lon + reach, circle.lat + rise)
    return geom.op("&&", precedence=5, is_comparison=True)(_envelope(around)) & near


def metres_from(geom: ColumnElement[Any], lon: float, lat: float) -> ColumnElement[Decimal]:
    """Metres on the ellipsoid from a place to a geometry's nearest point, to the decimetre."""
    metres = func.ST_Distance(func.geography(geom), _place(lon, lat))
    return func.round(cast(metres, Numeric), 1, type_=Numeric())


def shared_conditions(table: FromClause, wanted: Wanted) -> list[ColumnElement[bool]]:
    """The conditions on text, flags and place that every listing knows."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.q is not None:
        searched = [name for name in ("code", "name_zh", "name_en") if name in table.c]
        conditions.append(
            or_(*(table.c[name].icontains(wanted.q, autoescape=True) for name in searched))
        )
    if wanted.synthetic is not None:
        conditions.append(table.c.synthetic.is_(wanted.synthetic))
    if isinstance(wanted, PlacedWanted):
        conditions += one_of(table.c.geometry_quality, wanted.geometry_quality)
        if wanted.bbox is not None:
            conditions.append(in_box(table.c.geom, parse_box(wanted.bbox, wanted.datum)))
        circle = parse_circle(wanted.near, wanted.within_m, wanted.datum)
        if circle is not None:
            conditions.append(in_circle(table.c.geom, circle))
    return conditions


def area_conditions(area: ColumnElement[Any], wanted: AreaWanted) -> list[ColumnElement[bool]]:
    """That an area is in the range; an area that is not known is in none.

    Raises:
        InvalidInputError: the range is empty.
    """
    least, most = wanted.min_area_m2, wanted.max_area_m2
    if least is not None and most is not None and least > most:
        raise _refusal("max_area_m2", "must not be less than `min_area_m2`", "不得小于 min_area_m2")
    return at_least(area, least) + at_most(area, most)


def one_of(column: ColumnElement[str], codes: Iterable[StrEnum]) -> list[ColumnElement[bool]]:
    """That a coded column has one of the values, if any are asked for."""
    values = [code.value for code in codes]
    if not values:
        return []
    if len(values) == 1:
        return [column == values[0]]
    return [column == any_(literal(values, ARRAY(Text)))]


def same(column: ColumnElement[Any], value: object | None) -> list[ColumnElement[bool]]:
    """That a column has the value, if one is asked for."""
    return [] if value is None else [column == value]


def at_least(column: ColumnElement[Any], least: object | None) -> list[ColumnElement[bool]]:
    """That a column is known and not less than asked for."""
    return [] if least is None else [operators.ge(column, least)]


def at_most(column: ColumnElement[Any], most: object | None) -> list[ColumnElement[bool]]:
    """That a column is known and not more than asked for."""
    return [] if most is None else [operators.le(column, most)]


def related(
    key: ColumnElement[Any], table: FromClause, *conditions: ColumnElement[bool]
) -> list[ColumnElement[bool]]:
    """That the row of ``table`` that ``key`` points at meets the conditions, if there are any."""
    return [key.in_(select(table.c.id).where(*conditions))] if conditions else []


def _on_earth(lon: float, lat: float) -> bool:
    return abs(lon) <= _MOST_LON and abs(lat) <= _MOST_LAT


def _place(lon: float, lat: float) -> ColumnElement[Any]:
    return func.geography(func.ST_SetSRID(func.ST_MakePoint(lon, lat), _WGS84))


def _envelope(box: Box) -> ColumnElement[Any]:
    return func.ST_MakeEnvelope(*box, _WGS84)


def _numbers(parameter: str, text: str, form: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise _refusal(
            parameter,
            f"give {form} as {count} finite numbers, in degrees",
            f"应为 {form} 共 {count} 个数值，单位为度",
        )
    return numbers


def _refusal(parameter: str, detail: str, detail_zh: str) -> InvalidInputError:
    return InvalidInputError(
        f"{parameter}: {detail}", [Fault(parameter, detail, "query", detail_zh)]
    )
