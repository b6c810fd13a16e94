"""How far buildings are from the nearest facility of each type. Pure.

Distances are those of PostGIS: geodesics on the ellipsoid between points. A quick plane picks the
few facilities that can be nearest; only these are measured exactly.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

from app.matching.columns import DISTANCE_GRAIN, FACILITIES, Width
from app.matching.segment import Large

_GEOD = Geod(ellps="WGS84")
#: The plane errs by less than a hundredth within the city; the poles are far.
_ERROR = 1.02
#: Buildings measured at a time, so that tables stay small.
_AT_A_TIME = 4096

Points = NDArray[np.float64]


def nearest(centres: Points, facilities: Sequence[tuple[Any, ...]]) -> Large:
    """Centimetres to the nearest facility of each type of ``FACILITIES``; unknown without any.

    Args:
        centres: longitude and latitude, degrees, shape ``(n_buildings, 2)``.
        facilities: type, longitude, latitude of each.

    Returns:
        Shape ``(n_facilities, n_buildings)``.
    """
    found = np.full((len(FACILITIES), len(centres)), Width.LARGE.unknown, dtype=np.int32)
    for place, kind in enumerate(FACILITIES):
        points = np.array([row[1:] for row in facilities if row[0] == kind], dtype=np.float64)
        if len(points):
            for begin in range(0, len(centres), _AT_A_TIME):
                some = slice(begin, begin + _AT_A_TIME)
                found[place, some] = _nearest(centres[some], points)
    return found


def _nearest(centres: Points, points: Points) -> Large:
    east = np.cos(np.radians(centres[:, 1]))[:, None] * (points[:, 0] - centres[:, :1])
    about = np.hypot(east, points[:, 1] - centres[:, 1:])
    building, point = np.nonzero(about <= about.min(axis=1, keepdims=True) * _ERROR + 1e-9)
    _, _, metres = _GEOD.inv(*centres[building].T, *points[point].T)
    shortest = np.full(len(centres), np.inf)
    np.minimum.at(shortest, building, metres)
    return np.minimum(np.floor(shortest * DISTANCE_GRAIN + 0.5), Width.LARGE.most).astype(np.int32)
