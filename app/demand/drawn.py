"""Areas that firms draw on the map: RFC 7946 polygons in WGS 84, of a bounded size. Pure."""

from collections.abc import Mapping
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from app.geo.plane import geodesic_area_m2
from app.geo.shapes import polygon_from_geojson
from app.kernel.errors import Fault, InvalidInputError

#: A drawn area is a wish, not a survey; it is stored and sent with every request that has it.
POSITIONS_MAX = 1_000
#: Three times Shanghai.
AREA_MAX_KM2 = 20_000.0


def drawn_area(value: Mapping[str, Any], pointer: str = "") -> BaseGeometry:
    """The shape of a GeoJSON Polygon or MultiPolygon.

    Args:
        value: its members.
        pointer: JSON pointer of the geometry, for the faults.

    Raises:
        InvalidInputError: it is no valid shape, has too many positions, or is too large.
    """
    shape = polygon_from_geojson(value["type"], value["coordinates"], pointer=pointer)
    positions = int(shapely.get_num_coordinates(shape))
    if positions > POSITIONS_MAX:
        raise _too_much(
            pointer,
            f"at most {POSITIONS_MAX} positions, not {positions}; simplify the shape",
            f"至多 {POSITIONS_MAX} 个点，现有 {positions} 个，请简化图形",
        )
    size = area_km2(shape)
    if size > AREA_MAX_KM2:
        raise _too_much(
            pointer,
            f"at most {AREA_MAX_KM2:,.0f} km², not {size:,.0f}; leave it out to search everywhere",
            f"面积至多 {AREA_MAX_KM2:,.0f} km²，现为 {size:,.0f} km²；不限范围时请勿填写",
        )
    return shape


def area_km2(shape: BaseGeometry) -> float:
    """Area on the ellipsoid, km², of a polygon or multipolygon in degrees."""
    return sum(geodesic_area_m2(part) for part in shapely.get_parts(shape)) / 1e6


def _too_much(pointer: str, detail: str, detail_zh: str) -> InvalidInputError:
    place = f"{pointer}/coordinates"
    return InvalidInputError(f"{place}: {detail}", [Fault(place, detail, detail_zh=detail_zh)])
