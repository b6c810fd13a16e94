"""Rectangles on the ground: drawn in metres, stored in degrees.

Metres are those of one transverse Mercator projection through the middle of Shanghai. Within 60 km
of its central meridian the scale is off by less than 5e-5, far below what a schematic drawing
means; Web Mercator would be off by 17 %.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import MultiPolygon, Polygon

from app.models.provenance import SRID

Floats = NDArray[np.float64]
#: Degrees are rounded to this many decimals, 0.1 mm, so that every machine stores the same.
DECIMALS = 9
_PLANE = "+proj=tmerc +lat_0=31.0 +lon_0=121.5 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a frame's own axes, metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Extent along the first axis, m."""
        return self.x1 - self.x0

    @property
    def depth(self) -> float:
        """Extent along the second axis, m."""
        return self.y1 - self.y0

    def centred(self, width: float, depth: float) -> "Box":
        """A rectangle of this size with the same middle."""
        x, y = (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2
        return Box(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)


@dataclass(frozen=True, slots=True)
class Frame:
    """Axes turned against the projection's by ``angle`` radians, counter-clockwise."""

    angle: float

    def lonlat(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude in degrees of points in the frame, m."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        longitude, latitude = _to_degrees().transform(x * cosine - y * sine, x * sine + y * cosine)
        return np.round(longitude, DECIMALS), np.round(latitude, DECIMALS)

    def local(self, ground: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
        """A shape in degrees, in the frame's metres."""

        def turned(points: Floats) -> Floats:
            x, y = _to_metres().transform(points[:, 0], points[:, 1])
            cosine, sine = math.cos(self.angle), math.sin(self.angle)
            return np.column_stack([x * cosine + y * sine, y * cosine - x * sine])

        shape: Polygon | MultiPolygon = shapely.transform(ground, turned)
        return shape

    def ewkb(self, boxes: Floats) -> list[str]:
        """Rectangles ``(n, 4)`` as x0, y0, x1, y1 in m, as EWKB in hexadecimal."""
        return ewkb(self.polygons(boxes))

    def polygons(self, boxes: Floats) -> NDArray[np.object_]:
        """Rectangles ``(n, 4)`` in m as polygons in degrees, counter-clockwise."""
        x = boxes[:, [0, 2, 2, 0, 0]]
        y = boxes[:, [1, 1, 3, 3, 1]]
        longitude, latitude = self.lonlat(x.ravel(), y.ravel())
        rings = np.stack([longitude, latitude], axis=-1).reshape(len(boxes), 5, 2)
        return np.asarray(shapely.polygons(rings), dtype=object)


def ewkb(shapes: NDArray[np.object_]) -> list[str]:
    """Shapes in degrees as EWKB in hexadecimal, as COPY takes them."""
    text: list[str] = shapely.to_wkb(
        shapely.set_srid(shapes, SRID), hex=True, include_srid=True
    ).tolist()
    return text


def as_array(boxes: list[Box]) -> Floats:
    """Rectangles as an array ``(n, 4)``."""
    return np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes], dtype=np.float64)


def plane_point(longitude: float, latitude: float) -> tuple[float, float]:
    """A point in degrees in the unturned frame's metres."""
    x, y = _to_metres().transform(longitude, latitude)
    return float(x), float(y)


@cache
def _to_degrees() -> Transformer:
    return Transformer.from_crs(_PLANE, "EPSG:4326", always_xy=True)


@cache
def _to_metres() -> Transformer:
    return Transformer.from_crs("EPSG:4326", _PLANE, always_xy=True)
