"""Places that firms mark on the map: points, and RFC 7946 polygons of a bounded size. Pure."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from shapely import to_geojson
from shapely.geometry.base import BaseGeometry

from app.geo.datums import DATUMS, shape_to_wgs84, to_wgs84
from app.geo.plane import geodesic_area_m2
from app.geo.shapes import polygon_from_geojson
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import SourceDatum

#: A drawn area is a wish, not a survey; it is stored and sent with every request that has it.
POSITIONS_MAX = 1_000
#: Three times Shanghai.
AREA_MAX_KM2 = 20_000.0


def in_wgs84(place: Mapping[str, Any]) -> dict[str, Any]:
    """A place that a firm marked in a ``datum``, in WGS 84; what was moved says where from.

    ``place`` is a point with ``lon`` and ``lat``, or a sound GeoJSON Polygon or MultiPolygon.
    """
    value = dict(place)
    datum = DATUMS[value.pop("datum", SourceDatum.WGS84.value)]
    if datum in {SourceDatum.WGS84, SourceDatum.CGCS2000}:
        return value
    if "coordinates" in value:
        shape = polygon_from_geojson(value["type"], value["coordinates"])
        moved = json.loads(to_geojson(shape_to_wgs84(shape, datum)))
        value["coordinates"] = moved["coordinates"]
    else:
        lon, lat = to_wgs84(np.array([[value["lon"], value["lat"]]]), datum)[0].tolist()
        value |= {"lon": lon, "lat": lat}
    return value | {"source_datum": datum.value}


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
