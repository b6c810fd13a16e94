"""Geometries that callers write into filters: checked, moved to WGS 84, and bound.

They are transformed here, once, rather than in SQL: the index on the stored outlines stays usable,
and a point outside of a projection's domain is the caller's error and not the database's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from shapely import (
    GeometryCollection,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    box,
    is_valid_reason,
    transform,
)
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ColumnElement, LargeBinary, func, literal

from app.ogc.cql2.tree import Drawn, Place

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
_WGS84 = 4326
_MULTI: Mapping[str, Callable[[list[Any]], BaseGeometry]] = {
    "Point": MultiPoint,
    "LineString": MultiLineString,
    "Polygon": MultiPolygon,
}
_BOX_NUMBERS, _SOLID_NUMBERS = 4, 6
_DIMENSIONS = (2, 3)


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference system of a filter's geometries; ``flipped``: northing or latitude first."""

    srid: int = _WGS84
    flipped: bool = False


def bound(geometry: BaseGeometry) -> ColumnElement[Any]:
    """The geometry in SQL."""
    return func.ST_GeomFromWKB(literal(geometry.wkb, LargeBinary), _WGS84)


def read_geometry(drawn: Drawn, reference: Reference) -> BaseGeometry:
    """The geometry in degrees, longitude first.

    Raises:
        BadParameterError: it is none, too large, invalid or not on Earth.
    """
    reader = _Reader(drawn.place, reference)
    read = reader.box if "bbox" in drawn.members else reader.geometry
    geometry = read(drawn.members)
    if not geometry.is_valid:
        reason = is_valid_reason(geometry)
        raise drawn.place.refused(
            f"{reason}; draw it so that no edge crosses another",
            f"图形无效（{reason}）；边不得相交",
        )
    return reader.in_degrees(geometry)


class _Reader:
    def __init__(self, place: Place, reference: Reference) -> None:
        self._place = place
        self._reference = reference
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
        try:
            return shape({"type": kind, "coordinates": coordinates})
        except (ShapelyError, ValueError):
            raise self._place.refused(
                "a line has at least two positions; a ring at least four, the last as the first",
                "线至少含两个点；环至少含四个点，且末点与首点相同",
            ) from None

    def box(self, members: Mapping[str, object]) -> BaseGeometry:
        """The rectangle; around the back of the Earth where west is greater than east."""
        values = members["bbox"]
        numbers = [self._number(value) for value in values] if isinstance(values, list) else []
        if len(numbers) == _SOLID_NUMBERS:
            numbers = [numbers[0], numbers[1], numbers[3], numbers[4]]
        if len(numbers) != _BOX_NUMBERS:
            raise self._place.refused(
                "a box has four numbers: BBOX(west, south, east, north)",
                "范围框应为四个数值：BBOX(西, 南, 东, 北)",
            )
        first, second, third, fourth = numbers
        degrees = self._reference.srid == _WGS84
        flipped = self._reference.flipped
        east_west = (second, fourth) if flipped else (first, third)
        south_north = (first, third) if flipped else (second, fourth)
        crosses = degrees and east_west[0] > east_west[1]
        if south_north[0] > south_north[1] or (east_west[0] > east_west[1] and not crosses):
            raise self._place.refused(
                "the box's lower corner comes first: BBOX(west, south, east, north)",
                "范围框应先写西南角：BBOX(西, 南, 东, 北)",
            )
        if crosses:
            halves = [(east_west[0], 180.0), (-180.0, east_west[1])]
            boxes = [box(west, south_north[0], east, south_north[1]) for west, east in halves]
            return self._written(MultiPolygon([half for half in boxes if half.area]))
        # A box may be a line or a point.
        corners = MultiPoint([(first, second), (third, fourth)])
        return corners.envelope

    def in_degrees(self, geometry: BaseGeometry) -> BaseGeometry:
        """WGS 84, longitude first."""
        moved = transform(geometry, self._to_degrees)
        west, south, east, north = moved.bounds
        # False for NaN and infinity, too, which is what lies outside of a projection.
        if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):  # noqa: PLR2004
            raise self._place.refused(
                "not on Earth: without filter-crs, longitude (-180 to 180) comes first, then"
                " latitude (-90 to 90); for other coordinates say filter-crs",
                "坐标超出范围：未给 filter-crs 时经度（-180 至 180）在前、纬度（-90 至 90）在后；"
                "其他坐标系请给出 filter-crs",
            )
        return moved

    def _written(self, geometry: BaseGeometry) -> BaseGeometry:
        """With the coordinates in the order in which the caller's reference system has them."""
        return transform(geometry, _swapped) if self._reference.flipped else geometry

    def _to_degrees(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        points = _swapped(points) if self._reference.flipped else points
        if self._reference.srid == _WGS84:
            return points
        try:
            moved = _transformer(self._reference.srid).transform(points[:, 0], points[:, 1])
        except ProjError:
            return np.full_like(points, np.inf)
        return np.column_stack(moved)

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
        if self._positions > MAX_POSITIONS:
            raise self._place.refused(
                f"at most {MAX_POSITIONS} positions; simplify the shape",
                f"至多 {MAX_POSITIONS} 个点，请简化图形",
            )
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


def _swapped(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points[:, ::-1]


@lru_cache(maxsize=16)
def _transformer(srid: int) -> Transformer:
    return Transformer.from_crs(srid, _WGS84, always_xy=True)
