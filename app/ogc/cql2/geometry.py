"""Geometries that callers write into filters: checked, moved to WGS 84, and bound.

They are transformed here, once, rather than in SQL: the index on the stored outlines stays usable,
and a point outside of a projection's area is the caller's error and not the database's.
"""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pyproj.exceptions import ProjError
from shapely import (
    GeometryCollection,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    box,
    is_valid_reason,
)
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ColumnElement, LargeBinary, func, literal

from app.geo.shapes import reason_zh
from app.ogc.cql2.tree import Drawn, Place
from app.ogc.crs import STORED_SRID, Crs, read_box, to_stored
from app.ogc.errors import BadParameterError

#: Of every kind of geometry, how many lists are around a position.
LEVELS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
MAX_POSITIONS = 2_000
_MULTI: Mapping[str, Callable[[list[Any]], BaseGeometry]] = {
    "Point": MultiPoint,
    "LineString": MultiLineString,
    "Polygon": MultiPolygon,
}
_DIMENSIONS = (2, 3)
#: Positions of the smallest ring, the first of them twice.
_RING = 4


def bound(geometry: BaseGeometry) -> ColumnElement[Any]:
    """The geometry in SQL."""
    return func.ST_GeomFromWKB(literal(geometry.wkb, LargeBinary), STORED_SRID)


def read_geometry(drawn: Drawn, crs: Crs) -> BaseGeometry:
    """The geometry in degrees, longitude first.

    Raises:
        BadParameterError: it is none, too large, invalid or not on Earth.
    """
    reader = _Reader(drawn.place)
    if "bbox" in drawn.members:
        return reader.box(drawn.members["bbox"], crs)
    geometry = reader.geometry(drawn.members)
    if not geometry.is_valid:
        reason = is_valid_reason(geometry)
        raise drawn.place.refused(
            f"{reason}; draw it so that no edge crosses another",
            f"图形无效（{reason_zh(reason)}）；边不得相交",
        )
    return reader.in_degrees(geometry, crs)


def require_positions(place: Place, positions: int) -> None:
    """Refuse a geometry of too many positions.

    Raises:
        BadParameterError: it has.
    """
    if positions > MAX_POSITIONS:
        raise place.refused(
            f"at most {MAX_POSITIONS} positions; simplify the shape",
            f"至多 {MAX_POSITIONS} 个点，请简化图形",
        )


class _Reader:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._positions = 0

    def geometry(self, members: Mapping[str, object]) -> BaseGeometry:
        kind = members.get("type")
        if kind == "GeometryCollection":
            return self._collection(members.get("geometries"))
        level = _level(members)
        if level is None:
            raise self._place.refused(
                f"a geometry is a {', a '.join(LEVELS)} or a GeometryCollection",
                f"几何图形的类型应为 {'、'.join(LEVELS)} 或 GeometryCollection",
            )
        coordinates = self._coordinates(members.get("coordinates"), level)
        rings = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(str(kind), [])
        if any(len(ring) < _RING or ring[0] != ring[-1] for polygon in rings for ring in polygon):
            raise self._place.refused(
                "a ring has at least four positions and ends where it began: repeat the first one",
                "环至少含四个点，且末点与首点相同：请在末尾重复首点",
            )
        try:
            return shape({"type": kind, "coordinates": coordinates})
        except (ShapelyError, ValueError):
            raise self._place.refused(
                "a line has at least two positions",
                "线至少含两个点",
            ) from None

    def box(self, corners: object, crs: Crs) -> BaseGeometry:
        """The rectangle, read as that of ``bbox`` is; it may be a line or a point."""
        numbers = [self._number(corner) for corner in corners] if isinstance(corners, list) else []
        try:
            drawn = read_box(",".join(map(repr, numbers)), crs, self._place.parameter)
        except BadParameterError as error:
            (fault,) = error.faults
            raise self._place.refused(fault.detail, str(fault.detail_zh)) from None
        return drawn if drawn.area else drawn.envelope

    def in_degrees(self, geometry: BaseGeometry, crs: Crs) -> BaseGeometry:
        """WGS 84, longitude first."""
        try:
            moved = to_stored(geometry, crs)
        except (ValueError, ProjError):
            moved = None
        if moved is None or not box(-180, -90, 180, 90).contains(box(*moved.bounds)):
            raise self._place.refused(
                "not on Earth: without filter-crs, longitude (-180 to 180) comes first, then"
                " latitude (-90 to 90); for other coordinates say filter-crs",
                "坐标超出范围：未给 filter-crs 时经度（-180 至 180）在前、纬度（-90 至 90）在后；"
                "其他坐标系请给出 filter-crs",
            )
        return moved

    def _collection(self, members: object) -> BaseGeometry:
        """One kind only becomes its Multi-kind, with which everything can be compared."""
        listed = members if isinstance(members, list) else []
        parts = [self.geometry(part) for part in listed if _level(part) is not None]
        if len(parts) != len(listed) or not parts:
            raise self._place.refused(
                "a GeometryCollection has geometries, and no other collections",
                "GeometryCollection 应至少含一个几何图形，且不得嵌套集合",
            )
        kinds = {part.geom_type for part in parts}
        multi = _MULTI.get(kinds.pop()) if len(kinds) == 1 else None
        return GeometryCollection(parts) if multi is None else multi(parts)

    def _coordinates(self, value: object, level: int) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise self._place.refused(
                "the coordinates are not nested as this kind of geometry has them",
                "坐标的嵌套层次与几何类型不符",
            )
        if level:
            return [self._coordinates(part, level - 1) for part in value]
        self._positions += 1
        require_positions(self._place, self._positions)
        if len(value) not in _DIMENSIONS:
            raise self._place.refused(
                "a position has two numbers, or three with its height",
                "每个点应为两个数值（含高程则三个）",
            )
        return [self._number(number) for number in value[:2]]

    def _number(self, value: object) -> float:
        number = math.nan
        if isinstance(value, Decimal | float):
            number = float(value)
        if not math.isfinite(number):
            raise self._place.refused("coordinates are finite numbers", "坐标应为有限数值")
        return number


def _level(members: object) -> int | None:
    """How many lists are around a position of the geometry; None: it is no plain geometry."""
    kind = members.get("type") if isinstance(members, Mapping) else None
    return LEVELS.get(kind) if isinstance(kind, str) else None
