"""Cutting a unit's outline, and making one of several.

Pure. Shapes are longitudes and latitudes (WGS 84).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from shapely import (
    LineString,
    Polygon,
    affinity,
    get_coordinates,
    intersection,
    union_all,
)
from shapely.geometry.base import BaseGeometry
from shapely.ops import split

from app.geo.plane import Plane

#: Finest first: a merged outline is drawn on the finest grid, in degrees, on which it is one.
_GRIDS = (1e-9, 1e-7)
_BISECTIONS = 60
#: Of a unit's area: no share is cut smaller.
_LEAST_SHARE = 0.001


class CannotCutError(ValueError):
    """A line or shares do not cut the shape into as many parts as are needed."""


def cut_by_line(shape: Polygon, line: LineString) -> list[Polygon]:
    """The two parts into which a line cuts a shape, the western (else southern) first.

    Raises:
        CannotCutError: it does not make exactly two.
    """
    parts = _cut(shape, line)
    if len(parts) != 2:  # noqa: PLR2004
        raise CannotCutError(
            f"the line cuts the unit into {len(parts)} parts, not two; draw it from outside to"
            " outside, through the unit once"
        )
    return sorted(parts, key=lambda part: (part.centroid.x, part.centroid.y))


def cut_by_shares(shape: Polygon, shares: Sequence[float]) -> list[Polygon]:
    """Parts whose areas are in proportion to the shares, cut straight across the long side.

    The long side is that of the smallest rectangle around the shape; the first part is at its
    western end (southern, where it runs rather north than east).

    Raises:
        CannotCutError: a part would not be in one piece, or would be a sliver.
    """
    if min(shares) < _LEAST_SHARE * sum(shares):
        raise CannotCutError("a share is too small to be cut")
    plane = Plane(shape)
    ground = plane.metres(shape)
    angle = _long_side(ground)
    turned = _turned(ground, -angle)
    _, south, _, north = turned.bounds
    parts, rest = [], shape
    for so_far in np.cumsum(shares)[:-1] / sum(shares):
        across = _where_area_is(turned, float(so_far) * turned.area)
        cut = LineString([(across, south - 1), (across, north + 1)])
        line = plane.degrees(_turned(cut, angle))
        two = _cut(rest, line)
        if len(two) != 2:  # noqa: PLR2004
            raise CannotCutError("a part would not be in one piece; give the parts' outlines")
        two.sort(
            key=lambda part: (
                affinity.rotate(
                    plane.metres(part), -angle, origin=(0, 0), use_radians=True
                ).centroid.x
            )
        )
        parts.append(two[0])
        rest = two[1]
    return [*parts, rest]


def one_outline(shapes: Sequence[Polygon]) -> Polygon | None:
    """The shapes as one; None where they do not meet along an edge."""
    for grid in _GRIDS:
        whole = union_all(np.array(shapes, dtype=object), grid_size=grid)
        if isinstance(whole, Polygon) and not whole.is_empty:
            return whole
    return None


def _cut(shape: Polygon, line: BaseGeometry) -> list[Polygon]:
    return [part for part in split(shape, line).geoms if isinstance(part, Polygon)]


def _long_side(ground: BaseGeometry) -> float:
    """The direction of the long side, radians from east; it points east, or else north."""
    corners = list(get_coordinates(ground.minimum_rotated_rectangle))
    sides = [(math.dist(a, b), b[0] - a[0], b[1] - a[1]) for a, b in pairwise(corners[:3])]
    _, east, north = max(sides)
    angle = math.atan2(north, east)
    eastward = abs(east) >= abs(north)
    points_back = east < 0 if eastward else north < 0
    return angle + math.pi if points_back else angle


def _where_area_is(turned: BaseGeometry, wanted: float) -> float:
    """How far east a shape's area west of it is as wanted."""
    west, south, east, north = turned.bounds
    low, high = west, east
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        left = Polygon(
            [(west - 1, south - 1), (middle, south - 1), (middle, north + 1), (west - 1, north + 1)]
        )
        if intersection(turned, left).area < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _turned(shape: BaseGeometry, angle: float) -> BaseGeometry:
    turned: BaseGeometry = affinity.rotate(shape, angle, origin=(0, 0), use_radians=True)
    return turned
