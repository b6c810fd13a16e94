"""Units that are split or merged: children tile their parent, and nothing is gained or lost.

Pure: shapes and numbers in, shapes, numbers and faults out. Shapes are longitudes and latitudes
(WGS 84). Whether shapes tile is tested in metres of a plane laid at the parent's middle: on the few
hundred metres of a floor that is off by less than a millimetre, and straight edges stay straight.
Areas that are shared out go by the area on the ellipsoid.

A merger is a split read backwards: the merged unit is the parent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from itertools import combinations

from shapely import (
    MultiPolygon,
    Polygon,
    difference,
    get_parts,
    intersection,
    is_valid_reason,
    union_all,
)
from shapely.geometry.base import BaseGeometry

from app.geo.plane import Plane

#: How much area two parts may have in common; the database forgives units as much.
AREA_TOLERANCE_M2 = 0.01
#: How far off the parent's edge a part's may run, beyond what that area forgives: seven decimals of
#: a degree cannot tell it better.
EDGE_TOLERANCE_M = 0.01
CENT = Decimal("0.01")
#: Digits to which a share of the whole is meant: 0.3 is three tenths, not what a float makes of it.
_SHARE_DIGITS = Decimal("1e-12")


@dataclass(frozen=True)
class Sized:
    """A unit for the purpose of tiling: its outline, areas and places (None: it is let by m²)."""

    shape: Polygon
    leasable_m2: Decimal
    internal_m2: Decimal
    places: Decimal | None = None


@dataclass(frozen=True)
class Misfit:
    """Why children do not make up their parent.

    ``child`` is the place of the child at fault, where one is; ``amount`` says by how much, in m²
    or places.
    """

    what: str
    detail: str
    detail_zh: str
    child: int | None = None
    amount: Decimal | None = None


def misfits(parent: Sized, children: Sequence[Sized]) -> list[Misfit]:
    """All that keeps the children from making up the parent; nothing where they do."""
    return [one for check in CHECKS for one in check(parent, children)]


def overlap_m2(one: Polygon, other: Polygon) -> float:
    """How much area two outlines have in common, m²."""
    plane = Plane(one)
    return float(intersection(plane.metres(one), plane.metres(other)).area)


def _outlines_valid(_parent: Sized, children: Sequence[Sized]) -> list[Misfit]:
    return [
        Misfit("invalid", is_valid_reason(child.shape), "图形无效", place)
        for place, child in enumerate(children)
        if not child.shape.is_valid or child.shape.is_empty
    ]


def _inside(parent: Sized, children: Sequence[Sized]) -> list[Misfit]:
    plane = Plane(parent.shape)
    ground = plane.metres(parent.shape)
    found = []
    for place, child in enumerate(children):
        outside = _thick_m2(difference(plane.metres(_usable(child.shape)), ground))
        if outside > AREA_TOLERANCE_M2:
            found.append(
                Misfit(
                    "outside",
                    f"{outside:.2f} m² lie outside the whole",
                    f"有 {outside:.2f} ㎡ 超出原单元范围",
                    place,
                    _decimal(outside),
                )
            )
    return found


def _apart(parent: Sized, children: Sequence[Sized]) -> list[Misfit]:
    plane = Plane(parent.shape)
    shapes = [plane.metres(_usable(child.shape)) for child in children]
    found = []
    for (one, first), (other, second) in combinations(enumerate(shapes), 2):
        common = float(intersection(first, second).area)
        if common > AREA_TOLERANCE_M2:
            found.append(
                Misfit(
                    "overlap",
                    f"{common:.2f} m² are in part {one + 1} and in part {other + 1}",
                    f"第 {one + 1} 与第 {other + 1} 部分重叠 {common:.2f} ㎡",
                    other,
                    _decimal(common),
                )
            )
    return found


def _covering(parent: Sized, children: Sequence[Sized]) -> list[Misfit]:
    plane = Plane(parent.shape)
    covered = union_all([plane.metres(_usable(child.shape)) for child in children])
    left = _thick_m2(difference(plane.metres(parent.shape), covered))
    if left <= AREA_TOLERANCE_M2:
        return []
    return [
        Misfit(
            "uncovered",
            f"{left:.2f} m² of the whole are in no part",
            f"原单元有 {left:.2f} ㎡ 未划入任何部分",
            amount=_decimal(left),
        )
    ]


def _areas_add_up(parent: Sized, children: Sequence[Sized]) -> list[Misfit]:
    allowed = CENT * len(children)
    found = []
    for name, name_zh, whole, parts in (
        ("leasable", "计租面积", parent.leasable_m2, [child.leasable_m2 for child in children]),
        ("internal", "套内面积", parent.internal_m2, [child.internal_m2 for child in children]),
    ):
        surplus = sum(parts, Decimal()) - whole
        if abs(surplus) > allowed:
            found.append(
                Misfit(
                    f"{name}_area",
                    f"the {name} areas add up to {whole + surplus} m², not {whole}:"
                    f" {surplus:+} m², and at most {allowed} is rounding",
                    f"{name_zh}之和为 {whole + surplus} ㎡，应为 {whole} ㎡，相差 {surplus:+} ㎡",
                    amount=surplus,
                )
            )
    return found


def _places_add_up(parent: Sized, children: Sequence[Sized]) -> list[Misfit]:
    places = [child.places for child in children if child.places is not None]
    if parent.places is None and not places:
        return []
    if parent.places is None or len(places) < len(children):
        return [Misfit("measure", "all must be let by m², or all by places", "计量方式须一致")]
    surplus = sum(places, Decimal()) - parent.places
    if not surplus:
        return []
    return [
        Misfit(
            "places",
            f"the places add up to {parent.places + surplus}, not {parent.places}",
            f"工位数之和为 {parent.places + surplus}，应为 {parent.places}",
            amount=surplus,
        )
    ]


#: What is checked, in the order in which it is told.
CHECKS: tuple[Callable[[Sized, Sequence[Sized]], list[Misfit]], ...] = (
    _outlines_valid,
    _inside,
    _apart,
    _covering,
    _areas_add_up,
    _places_add_up,
)


def shared_out(total: Decimal, weights: Sequence[float], step: Decimal = CENT) -> list[Decimal]:
    """A total in proportion to weights, each a multiple of ``step``; the largest takes the rest.

    >>> shared_out(Decimal("100.00"), [2, 1])
    [Decimal('66.67'), Decimal('33.33')]
    """
    whole = sum(weights)
    shares = [
        (total * Decimal(weight / whole).quantize(_SHARE_DIGITS) / step).to_integral_value(
            ROUND_FLOOR
        )
        * step
        for weight in weights
    ]
    largest = max(range(len(weights)), key=weights.__getitem__)
    shares[largest] += total - sum(shares, Decimal())
    return shares


def places_shared_out(total: Decimal, weights: Sequence[float]) -> list[Decimal]:
    """Whole places in proportion to weights, at least one each.

    Raises:
        ValueError: there are fewer places than parts.
    """
    if total < len(weights):
        raise ValueError(f"{total} places cannot be shared by {len(weights)}")
    extra = shared_out(total - len(weights), weights, Decimal(1))
    return [1 + share for share in extra]


def _usable(shape: BaseGeometry) -> BaseGeometry:
    # An invalid outline has its own fault; the other checks must not trip over it.
    return shape if shape.is_valid else shape.convex_hull


def _thick_m2(shape: BaseGeometry) -> float:
    """The area of what is wider than the edges' tolerance; slivers are rounding."""
    polygons = [part for part in get_parts(shape) if isinstance(part, Polygon)]
    if not polygons:
        return 0.0
    thin = EDGE_TOLERANCE_M / 2
    core = MultiPolygon(polygons).buffer(-thin, join_style="mitre")
    return 0.0 if core.is_empty else float(core.buffer(thin, join_style="mitre").area)


def _decimal(area_m2: float) -> Decimal:
    return Decimal(area_m2).quantize(CENT)
