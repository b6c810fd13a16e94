"""What fits where: pure, in degrees in and out, measured in metres on the ground.

The database keeps outlines inside one another and apart to a centimetre (migration 0002). Nobody
draws that exactly, and tools round what they send. So a corner that is where a known one is becomes
that one, and a strip too thin to be meant is cut off; whatever is more than that is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPoint, MultiPolygon
from shapely.geometry.base import BaseGeometry

from app.geo.plane import Plane

#: A strip narrower than this, m, is nobody's wish.
THIN_M = 0.3
#: What is nowhere wider than this, m, is no ground and no building: nobody walks or builds on less,
#: and outlines with six decimals are off by a tenth of it on either side.
LEAST_WIDTH_M = 1.0
#: How exactly a width is told, m.
_WIDTH_TOLD_M = 0.01
#: What rounding may let something reach outside, degrees: about a centimetre, as migration 0002.
_ROUNDING = 1e-7


class Rule(StrEnum):
    """What a drawing can break."""

    OUTSIDE = "outside"
    OVERLAPS = "overlaps"
    LEAVES_OUT = "leaves_out"
    IN_PIECES = "in_pieces"
    NARROW = "narrow"


@dataclass(frozen=True, slots=True)
class Known:
    """Something that is drawn already: its code, and its outline in degrees."""

    code: str
    shape: BaseGeometry


@dataclass(frozen=True, slots=True)
class Break:
    """A rule that a drawing breaks, with what, and by how many m² of ground.

    ``width_m`` is that of what is too narrow, where it is widest.
    """

    rule: Rule
    code: str
    area_m2: float
    width_m: float | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A drawing as it can be stored: how much was cut off or closed up, m², and what it breaks."""

    shape: BaseGeometry
    trimmed_m2: float
    breaks: tuple[Break, ...]


def snapped(shape: BaseGeometry, known: Iterable[BaseGeometry], within_m: float) -> BaseGeometry:
    """The shape, its corners moved onto the nearest known corner where one is ``within_m``."""
    corners = [shapely.get_coordinates(one) for one in known]
    if not corners or shape.is_empty or within_m <= 0:
        return shape
    targets = np.concatenate(corners)
    plane = Plane(shape)
    tree = shapely.STRtree(_points(plane, targets))

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        sought = _points(plane, points)
        ours, theirs = tree.query_nearest(sought, max_distance=within_m, all_matches=False)
        found = points.copy()
        found[ours] = targets[theirs]
        return found

    return shapely.transform(shape, moved)


def fitted(shape: BaseGeometry, ground: Known | None, beside: Sequence[Known]) -> Fitted:
    """The shape inside its ground and apart from what lies beside it.

    Args:
        shape: valid, degrees.
        ground: what it has to lie in; None: anywhere.
        beside: what it may not overlap.
    """
    plane = Plane(shape)
    breaks: list[Break] = []
    found = shape
    if ground is not None and not ground.shape.covers(shape):
        out = plane.metres(shape.difference(ground.shape))
        if _is_thin(out):
            found = found.intersection(ground.shape)
        else:
            breaks.append(Break(Rule.OUTSIDE, ground.code, _rounded(out.area)))
    for one in beside:
        common = plane.metres(found.intersection(one.shape))
        if common.area <= 0:
            continue
        if _is_thin(common):
            found = found.difference(one.shape)
        else:
            breaks.append(Break(Rule.OVERLAPS, one.code, _rounded(common.area)))
    if found is not shape:
        found = _without_slivers(found, plane)
        if shapely.get_num_geometries(found) != shapely.get_num_geometries(shape):
            breaks.append(Break(Rule.IN_PIECES, "", _rounded(plane.metres(found).area)))
    trimmed = plane.metres(shape.symmetric_difference(found)).area
    return Fitted(found, _rounded(trimmed), tuple(breaks))


def narrow(shape: BaseGeometry) -> tuple[Break, ...]:
    """Whether the shape is nowhere as wide as anything is that can be used."""
    drawn = Plane(shape).metres(shape)
    if not _is_thin(drawn, LEAST_WIDTH_M):
        return ()
    widest = max(
        2 * shapely.maximum_inscribed_circle(part, _WIDTH_TOLD_M / 4).length
        for part in shapely.get_parts(drawn)
    )
    return (Break(Rule.NARROW, "", _rounded(drawn.area), round(widest, 2)),)


def lies_in(shape: BaseGeometry, ground: BaseGeometry) -> bool:
    """Whether the shape lies in the ground, but for strips too thin to be meant."""
    return ground.covers(shape) or _is_thin(Plane(shape).metres(shape.difference(ground)))


def innermost(shape: BaseGeometry, grounds: Sequence[Known]) -> tuple[Known, ...]:
    """Those of the grounds that the shape lies in and that hold no smaller one that it lies in."""
    holding = [one for one in grounds if lies_in(shape, one.shape)]

    def holds_another(one: Known) -> bool:
        return any(
            lies_in(other.shape, one.shape) and not lies_in(one.shape, other.shape)
            for other in holding
        )

    return tuple(one for one in holding if not holds_another(one))


def left_out(shape: BaseGeometry, inside: Sequence[Known]) -> tuple[Break, ...]:
    """What stands inside and would not any more."""
    wide = shape.buffer(_ROUNDING, join_style="mitre")
    plane = Plane(shape)
    return tuple(
        Break(Rule.LEAVES_OUT, one.code, _rounded(plane.metres(one.shape.difference(shape)).area))
        for one in inside
        if not wide.covers(one.shape)
    )


def _points(plane: Plane, places: NDArray[np.float64]) -> list[BaseGeometry]:
    return list(shapely.get_parts(plane.metres(MultiPoint(places))))


def _is_thin(shape_m: BaseGeometry, width_m: float = THIN_M) -> bool:
    return shape_m.buffer(-width_m / 2, join_style="mitre").is_empty


def _without_slivers(shape: BaseGeometry, plane: Plane) -> BaseGeometry:
    """The polygons of what is left after cutting, but for those too thin to be meant."""
    parts = [
        part
        for part in shapely.get_parts(shape)
        if part.geom_type == "Polygon" and not _is_thin(plane.metres(part))
    ]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _rounded(area_m2: float) -> float:
    return round(area_m2, 2)
