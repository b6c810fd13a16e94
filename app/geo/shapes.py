"""Shapes that callers send: checked, never repaired.

Repairing costs more than any answer is worth (a self-crossing ring of 500 points keeps a database
busy for minutes, past every time-out) and gives the caller a shape that was not asked for. So a
shape is refused with the reason. The checks run from cheap to dear: each
bounds the work of the next.
"""

import math
from collections.abc import Sequence
from contextlib import suppress

from shapely import MultiPolygon, Polygon, is_valid_reason
from shapely.geometry.base import BaseGeometry

from app.kernel.errors import Fault, InvalidInputError

MAX_POSITIONS = 10_000
#: Longitudes and latitudes that can be meant: China with a margin.
LONGITUDES = (73.0, 136.0)
LATITUDES = (3.0, 54.0)
#: No coordinate of any reference system is larger; what is overflows where it is reckoned with.
LARGEST = 1e9
_RING_MIN = 4
_POSITION_SIZES = (2, 3)

Ring = list[tuple[float, float]]


class InvalidShapeError(InvalidInputError):
    """The geometry sent is not a usable RFC 7946 polygon."""

    slug, title = "invalid-shape", "The geometry cannot be used as it is"
    title_zh = "几何图形无效"


def polygon_from_geojson(
    kind: str, coordinates: object, *, pointer: str = "", degrees: bool = True
) -> BaseGeometry:
    """A polygon or multipolygon from the members of an RFC 7946 geometry.

    Args:
        kind: ``type`` of the geometry, ``Polygon`` or ``MultiPolygon``.
        coordinates: its ``coordinates``, as read from JSON; heights are dropped.
        pointer: JSON pointer of the geometry, for the faults.
        degrees: whether positions are longitude and latitude; if not, they are any coordinates.

    Raises:
        InvalidShapeError: the first rule that is broken, with where.
    """
    place = f"{pointer}/coordinates"
    _refuse_too_many(coordinates, place)
    if kind == "Polygon":
        shape: BaseGeometry = _polygon(coordinates, place, degrees=degrees)
    elif kind == "MultiPolygon":
        parts = _listed(
            coordinates, place, "a list of polygons, at least one", "应为至少含一个多边形的列表"
        )
        shape = MultiPolygon(
            [
                _polygon(part, f"{place}/{index}", degrees=degrees)
                for index, part in enumerate(parts)
            ]
        )
    else:
        raise _fault(f"{pointer}/type", "Polygon or MultiPolygon", "应为 Polygon 或 MultiPolygon")
    if not shape.is_valid:
        reason = is_valid_reason(shape)
        raise _fault(
            place,
            f"{reason}; draw it so that no edge crosses or touches another",
            f"图形无效（{reason_zh(reason)}）；边不得相交或相接",
        )
    return shape


#: What GEOS says of an invalid shape, before the place in brackets.
_REASONS = {
    "Self-intersection": "边相交",
    "Ring Self-intersection": "环与自身相接",
    "Hole lies outside shell": "孔洞在外环之外",
    "Holes are nested": "孔洞互相嵌套",
    "Interior is disconnected": "内部不连通",
    "Nested shells": "多边形互相嵌套",
    "Duplicate Rings": "环重复",
    "Too few points in geometry component": "点数过少",
    "Invalid Coordinate": "坐标无效",
}


def reason_zh(reason: str) -> str:
    """Why a shape is invalid in Chinese, from what GEOS says.

    >>> reason_zh("Self-intersection[121.6 31.2]")
    '边相交，位于 121.6, 31.2'
    """
    kind, _, place = reason.partition("[")
    said = _REASONS.get(kind, "形状有误")
    return f"{said}，位于 {place.rstrip(']').replace(' ', ', ')}" if place else said


def require_position(
    longitude: float, latitude: float, *, pointer: str, where: str = "body"
) -> None:
    """Refuse a position that is not a longitude and a latitude in or near China.

    Raises:
        InvalidShapeError: out of bounds, or not a number.
    """
    if not (
        LONGITUDES[0] <= longitude <= LONGITUDES[1] and LATITUDES[0] <= latitude <= LATITUDES[1]
    ):
        raise _fault(
            pointer,
            f"longitude first ({LONGITUDES[0]:g} to {LONGITUDES[1]:g}),"
            f" then latitude ({LATITUDES[0]:g} to {LATITUDES[1]:g}), in degrees, WGS-84",
            f"经度在前（{LONGITUDES[0]:g} 至 {LONGITUDES[1]:g}），"
            f"纬度在后（{LATITUDES[0]:g} 至 {LATITUDES[1]:g}），单位为度，WGS-84",
            where,
        )


def _refuse_too_many(coordinates: object, place: str) -> None:
    """Count the numbers without trusting the nesting; no recursion, so depth costs nothing."""
    numbers = 0
    waiting = [(coordinates, 0)]
    while waiting:
        value, depth = waiting.pop()
        if not isinstance(value, list):
            numbers += 1
        elif depth > 3:  # noqa: PLR2004  (polygons, rings, positions, numbers)
            raise _fault(place, "nested deeper than a MultiPolygon is", "嵌套层数超过 MultiPolygon")
        else:
            waiting.extend((part, depth + 1) for part in value)
        if numbers > MAX_POSITIONS * max(_POSITION_SIZES):
            break
    if numbers > MAX_POSITIONS * min(_POSITION_SIZES):
        raise _fault(
            place,
            f"at most {MAX_POSITIONS} positions; simplify the shape",
            f"至多 {MAX_POSITIONS} 个点，请简化图形",
        )


def _polygon(value: object, place: str, *, degrees: bool) -> Polygon:
    listed = _listed(value, place, "a list of rings, the outer one first", "应为环的列表，外环在前")
    rings = [_ring(ring, f"{place}/{index}", degrees=degrees) for index, ring in enumerate(listed)]
    return Polygon(rings[0], rings[1:])


def _ring(value: object, place: str, *, degrees: bool) -> Ring:
    listed = _listed(value, place, "a list of positions", "应为点的列表")
    ring = [
        _position(position, f"{place}/{index}", degrees=degrees)
        for index, position in enumerate(listed)
    ]
    if len(ring) < _RING_MIN or ring[0] != ring[-1]:
        raise _fault(
            place,
            "a ring has at least four positions, and the last repeats the first",
            "环至少含四个点，且末点与首点相同",
        )
    return ring


def _position(value: object, place: str, *, degrees: bool) -> tuple[float, float]:
    numbers = _listed(value, place, "[longitude, latitude]", "应为 [经度, 纬度]")
    if len(numbers) not in _POSITION_SIZES:
        raise _fault(place, "[longitude, latitude]", "应为 [经度, 纬度]")
    longitude, latitude = (_number(number, place) for number in numbers[:2])
    if degrees:
        require_position(longitude, latitude, pointer=place)
    elif max(abs(longitude), abs(latitude)) > LARGEST:
        raise _fault(place, f"at most {LARGEST:,.0f} each", f"各坐标的绝对值至多 {LARGEST:,.0f}")
    return longitude, latitude


def _number(value: object, place: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # A whole number may be too large for a float.
        with suppress(OverflowError):
            number = float(value)
            if math.isfinite(number):
                return number
    raise _fault(place, "[longitude, latitude], finite numbers", "应为 [经度, 纬度]，且为有限数值")


def _listed(value: object, place: str, what: str, what_zh: str) -> Sequence[object]:
    if not isinstance(value, list) or not value:
        raise _fault(place, what, what_zh)
    return value


def _fault(pointer: str, detail: str, detail_zh: str, where: str = "body") -> InvalidShapeError:
    return InvalidShapeError(f"{pointer}: {detail}", [Fault(pointer, detail, where, detail_zh)])
