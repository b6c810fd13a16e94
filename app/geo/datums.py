"""Datums that Chinese maps come in: WGS 84, CGCS2000, GCJ-02 and BD-09, both ways, by the array.

- **CGCS2000** is taken as WGS 84: their frames and ellipsoids differ by less than a metre (the
  plates' drift since the epoch 2000.0 is decimetres), and no public parameters tell more.
- **GCJ-02** (Amap, Tencent) moves each place by some 500 m, in a direction that changes with it.
  Between the longitudes and latitudes of ``_CHINA`` the published formula holds; outside, GCJ-02
  is WGS 84. At that frame, which runs through the sea and other countries, maps tear by the
  offset: a position that both sides claim belongs to the inside.
- **BD-09** (Baidu) is GCJ-02 moved once more, everywhere.

Neither is conformal nor keeps areas (0.4 % in Shanghai), so no area and no distance is ever
measured in them: shapes are converted at the door. The ways back have no closed form; fixed-point
iterations find them to a few nanometres (the offset changes by less than 2 % of a step).

Source: the formulas are published by no authority. GCJ-02 is that of ``eviltransform.cs`` (2013,
"somebody anonymous", on the ellipsoid of Krasovsky 1940), BD-09 that of the xcoder article of 2013;
all libraries use them, and decision 0028 has the figures.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from app.geo.plane import Plane
from app.kernel.terms import SourceDatum

Points = NDArray[np.float64]

#: By the word that callers use.
DATUMS: Mapping[str, SourceDatum] = {datum.value: datum for datum in SourceDatum}

#: West, south, east, north of where GCJ-02 moves places, degrees.
_CHINA = (72.004, 0.8293, 137.8347, 55.8271)
#: Krasovsky 1940.
_SEMI_MAJOR_M, _ECCENTRICITY_SQUARED = 6_378_245.0, 0.006_693_421_622_965_943_23
#: Where the series are at home, degrees.
_HOME = np.array([105.0, 35.0])
#: BD-09 turns and stretches in waves of this many radians a degree, and then moves by _BD_MOVE.
_BD_WAVE = math.pi * 3000 / 180
_BD_STRETCH, _BD_TURN = 2e-5, 3e-6
_BD_MOVE = np.array([0.0065, 0.006])
#: Degrees; a tenth of a micrometre. A round takes away at least 98 % of what is left.
_STILL, _MOST_ROUNDS = 1e-12, 12

#: Two outlines are one and the same from this share of common ground on…
_SAME = 0.6
#: …and a datum explains a layer better than another if it has this many times its share.
_BETTER = 2.0
#: Metres: outside of all that is known, and inside it but for what drawing is off by.
_FAR_OUT_M, _WITHIN_M = 250.0, 50.0
#: The datums that are mistaken for WGS 84 and move things.
MOVING = (SourceDatum.GCJ02, SourceDatum.BD09)


def to_wgs84(points: Points, datum: SourceDatum) -> Points:
    """Positions given in a datum, in WGS 84.

    Args:
        points: longitude, latitude in degrees, shape (n, 2).
        datum: the one they are given in.

    Returns:
        Shape (n, 2). There and back is within a micrometre.
    """
    if datum is SourceDatum.GCJ02:
        return _from_gcj02(points)
    if datum is SourceDatum.BD09:
        return _from_gcj02(_solved(_bd09_of_gcj02, points))
    return points


def from_wgs84(points: Points, datum: SourceDatum) -> Points:
    """Positions in WGS 84 as a datum has them; longitude, latitude in degrees, shape (n, 2)."""
    if datum is SourceDatum.GCJ02:
        return _gcj02_of_wgs84(points)
    if datum is SourceDatum.BD09:
        return _bd09_of_gcj02(_gcj02_of_wgs84(points))
    return points


def shape_to_wgs84(shape: BaseGeometry, datum: SourceDatum) -> BaseGeometry:
    """A shape given in a datum, in WGS 84; degrees, longitude first."""
    return shapely.transform(shape, lambda points: to_wgs84(points, datum))


def shape_from_wgs84(shape: BaseGeometry, datum: SourceDatum) -> BaseGeometry:
    """A shape in WGS 84 as a datum has it; to be shown, never to be measured."""
    return shapely.transform(shape, lambda points: from_wgs84(points, datum))


def box_to_wgs84(box: tuple[float, float, float, float], datum: SourceDatum) -> Points:
    """West, south, east, north in WGS 84 of the box that holds one given in a datum; shape (4,).

    Its sides are curves in WGS 84, so that what the box holds is a little more than was drawn (a
    metre or two for a screen of a town), never less.
    """
    west, south, east, north = box
    along = np.linspace(0.0, 1.0, 33)
    longitudes, latitudes = west + along * (east - west), south + along * (north - south)
    side = np.ones_like(along)
    edge = np.concatenate(
        [
            np.column_stack([longitudes, south * side]),
            np.column_stack([longitudes, north * side]),
            np.column_stack([west * side, latitudes]),
            np.column_stack([east * side, latitudes]),
        ]
    )
    moved = to_wgs84(edge, datum)
    return np.concatenate([moved.min(axis=0), moved.max(axis=0)])


def suspect_datum(shape: BaseGeometry, expected: BaseGeometry) -> SourceDatum | None:
    """The datum that a shape said to be in WGS 84 is more likely in, or None.

    A layer is suspected if its parts are the same as expected ones once they are taken from GCJ-02
    or BD-09 and are not as they stand; or if it lies far out of all that is expected as it stands,
    and inside once taken from one of them. What is merely drawn 100 m off is not: no datum makes
    it fit.

    Args:
        shape: a polygon or a layer of them as one collection; degrees, longitude first.
        expected: what should be there: the same things as they are known, or what they lie in.
    """
    if shape.is_empty or expected.is_empty:
        return None
    taken = {datum: shape_to_wgs84(shape, datum) for datum in MOVING}
    same = {datum: _sameness(moved, expected) for datum, moved in taken.items()}
    likeliest = max(MOVING, key=lambda datum: same[datum])
    if same[likeliest] >= max(_SAME, _BETTER * _sameness(shape, expected)):
        return likeliest
    plane = Plane(expected)
    known = plane.metres(expected)
    if _metres_out(plane.metres(shape), known) < _FAR_OUT_M:
        return None
    out = {datum: _metres_out(plane.metres(moved), known) for datum, moved in taken.items()}
    nearest = min(MOVING, key=lambda datum: out[datum])
    return nearest if out[nearest] <= _WITHIN_M else None


def _sameness(shape: BaseGeometry, expected: BaseGeometry) -> float:
    """Of the middling part: the share of common ground with the expected part that is likest it."""
    parts, known = shapely.get_parts(shape), shapely.get_parts(expected)
    ours, theirs = shapely.STRtree(known).query(parts, predicate="intersects")
    common = shapely.area(shapely.intersection(parts[ours], known[theirs]))
    covered = shapely.area(parts[ours]) + shapely.area(known[theirs]) - common
    best = np.zeros(len(parts))
    np.maximum.at(best, ours, np.divide(common, covered, where=covered > 0, out=0 * common))
    return float(np.median(best))


def _metres_out(shape: BaseGeometry, expected: BaseGeometry) -> float:
    """How far out of the expected ground the furthest corner lies, metres."""
    corners = shapely.points(shapely.get_coordinates(shape))
    return float(np.max(shapely.distance(corners, expected)))


def _gcj02_of_wgs84(points: Points) -> Points:
    west, south, east, north = _CHINA
    longitudes, latitudes = points[:, 0], points[:, 1]
    inside = (
        (longitudes >= west) & (longitudes <= east) & (latitudes >= south) & (latitudes <= north)
    )
    return np.where(inside[:, np.newaxis], _moved(points), points)


def _from_gcj02(points: Points) -> Points:
    """The place that GCJ-02 moved here; the point itself, if none inside its frame was."""
    origin = _solved(_moved, points)
    here = np.abs(_gcj02_of_wgs84(origin) - points).max(axis=1) < 1e3 * _STILL
    return np.where(here[:, np.newaxis], origin, points)


def _moved(points: Points) -> Points:
    """The formula of GCJ-02, wherever it is put to."""
    x, y = (points - _HOME).T
    root, product = np.sqrt(np.abs(x)), x * y
    ripples = 20 * np.sin(6 * np.pi * x) + 20 * np.sin(2 * np.pi * x)
    east_waves = ripples + _waves(x, (20, 1), (40, 3)) + _waves(x, (150, 12), (300, 30))
    north_waves = ripples + _waves(y, (20, 1), (40, 3)) + _waves(y, (160, 12), (320, 30))
    east_m = 300 + x + 2 * y + 0.1 * (x * x + product + root) + east_waves * 2 / 3
    north_m = -100 + 2 * x + 3 * y + 0.2 * (y * y + root) + 0.1 * product + north_waves * 2 / 3
    latitude = np.radians(points[:, 1])
    curving = 1 - _ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    across = _SEMI_MAJOR_M / np.sqrt(curving) * np.cos(latitude)
    along = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_SQUARED) / curving**1.5
    moved: Points = points + np.degrees(np.column_stack([east_m / across, north_m / along]))
    return moved


def _waves(value: NDArray[np.float64], *waves: tuple[float, float]) -> NDArray[np.float64]:
    """The sum of sines of these heights and of these half wave lengths, degrees."""
    total: NDArray[np.float64] = np.zeros_like(value)
    for height, half_length in waves:
        total += height * np.sin(value * np.pi / half_length)
    return total


def _bd09_of_gcj02(points: Points) -> Points:
    x, y = points.T
    far = np.hypot(x, y) + _BD_STRETCH * np.sin(y * _BD_WAVE)
    turn = np.arctan2(y, x) + _BD_TURN * np.cos(x * _BD_WAVE)
    moved: Points = np.column_stack([far * np.cos(turn), far * np.sin(turn)]) + _BD_MOVE
    return moved


def _solved(moved: Callable[[Points], Points], points: Points) -> Points:
    """Where ``moved`` leads to ``points`` from."""
    origin = points
    for _ in range(_MOST_ROUNDS):
        step = points - moved(origin)
        origin = origin + step
        if np.all(np.abs(step) < _STILL):
            break
    return origin
