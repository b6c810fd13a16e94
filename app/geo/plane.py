"""Metres on the ground: a plane for shapes of a few hundred metres, and areas on the ellipsoid."""

import math

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod
from shapely import Polygon, transform
from shapely.geometry.base import BaseGeometry

_GEOD = Geod(ellps="WGS84")
_FLATTENING, _SEMI_MAJOR_M = _GEOD.f, _GEOD.a


def geodesic_area_m2(shape: Polygon) -> float:
    """Area on the ellipsoid, m², of a shape in degrees (WGS 84)."""
    return abs(_GEOD.geometry_area_perimeter(shape)[0])


class Plane:
    """A plane in metres, laid at the middle of a shape."""

    def __init__(self, shape: BaseGeometry) -> None:
        """East is x, north is y."""
        middle = shape.centroid
        self._origin = np.array([middle.x, middle.y])
        latitude = math.radians(middle.y)
        squared = _FLATTENING * (2 - _FLATTENING)
        curving = 1 - squared * math.sin(latitude) ** 2
        east = _SEMI_MAJOR_M / math.sqrt(curving) * math.cos(latitude)
        north = _SEMI_MAJOR_M * (1 - squared) / curving**1.5
        self._scale = np.radians([east, north])

    def metres(self, shape: BaseGeometry) -> BaseGeometry:
        """A shape in degrees, in metres from the middle."""
        return transform(shape, self._to_metres)

    def degrees(self, shape: BaseGeometry) -> BaseGeometry:
        """The way back."""
        return transform(shape, self._to_degrees)

    def _to_metres(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = (points - self._origin) * self._scale
        return moved

    def _to_degrees(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = points / self._scale + self._origin
        return moved
