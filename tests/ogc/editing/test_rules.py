"""What is drawn nearly right is made right, and what is drawn wrong is named."""

import random

import shapely
from shapely import Polygon, box
from shapely.affinity import rotate
from shapely.geometry.base import BaseGeometry

from app.geo.plane import Plane, geodesic_area_m2
from app.inventory.drawing.rules import Known, Rule, fitted, left_out, snapped

#: A park's ground of about 950 m by 1,110 m, and a degree's metre.
GROUND = box(121.60, 31.20, 121.61, 31.21)
METRE = 1e-5
TOUCH_M2 = 0.01


def plots() -> list[Known]:
    """Two plots in the middle, turned, 6 m apart."""
    west = box(121.602, 31.204, 121.604, 31.206)
    east = box(121.60406, 31.204, 121.606, 31.206)
    return [
        Known(name, rotate(one, 3, origin=(121.604, 31.205)))
        for name, one in (("west", west), ("east", east))
    ]


def common_m2(one: BaseGeometry, other: BaseGeometry) -> float:
    return sum(
        geodesic_area_m2(part)
        for part in shapely.get_parts(one.intersection(other))
        if isinstance(part, Polygon)
    )


def test_whatever_is_let_through_is_inside_and_apart() -> None:
    """Random rectangles: refused with the reason, or stored as the database wants them."""
    chance = random.Random(20261123)  # noqa: S311 - the same ones every time
    ground, beside = Known("park", GROUND), plots()
    stored = refused = overlapping = 0
    for _ in range(400):
        x, y = chance.uniform(121.5995, 121.6095), chance.uniform(31.1995, 31.2095)
        drawn = rotate(
            box(x, y, x + chance.uniform(1, 150) * METRE, y + chance.uniform(1, 150) * METRE),
            chance.choice([0, 3, 30]),
        )
        found = fitted(drawn, ground, beside)
        if found.breaks:
            refused += 1
            # The control: with the rule off the same drawing would be stored upon others.
            unruly = fitted(drawn, None, [])
            assert not unruly.breaks
            overlapping += any(common_m2(unruly.shape, one.shape) > TOUCH_M2 for one in beside)
            continue
        stored += 1
        assert isinstance(found.shape, Polygon)
        assert found.shape.is_valid
        assert GROUND.buffer(1e-7).covers(found.shape)
        assert all(common_m2(found.shape, one.shape) <= TOUCH_M2 for one in beside)
    assert min(stored, refused) > 50
    assert overlapping > 10


def test_a_strip_too_thin_to_be_meant_is_cut_off_and_a_wider_one_is_refused() -> None:
    neighbour = Known("P-1", box(121.601, 31.201, 121.602, 31.202))

    def beginning(metres_over: float) -> Polygon:
        return box(121.602 - metres_over * METRE, 31.201, 121.603, 31.202)

    thin = fitted(beginning(0.1), None, [neighbour])
    assert not thin.breaks
    assert 5 < thin.trimmed_m2 < 20
    assert thin.shape.bounds[0] == 121.602

    (wide,) = fitted(beginning(1.0), None, [neighbour]).breaks
    assert (wide.rule, wide.code) == (Rule.OVERLAPS, "P-1")
    assert 90 < wide.area_m2 < 120


def test_corners_go_to_the_known_ones_that_were_meant() -> None:
    known = rotate(box(121.601, 31.201, 121.602, 31.202), 7)
    rounded = shapely.transform(known, lambda points: points.round(6))
    assert not rounded.equals(known)

    assert snapped(rounded, [known], 0.1).equals(known)
    assert snapped(rounded, [known], 1e-6).equals(rounded)
    far = shapely.affinity.translate(known, 3 * METRE)
    assert snapped(far, [known], 0.1).equals(far)


def test_what_stands_inside_stays_inside() -> None:
    room = Known("B-1", box(121.601, 31.201, 121.602, 31.202))

    assert left_out(box(121.601, 31.201, 121.603, 31.203), [room]) == ()
    (one,) = left_out(box(121.6015, 31.201, 121.603, 31.203), [room])
    assert (one.rule, one.code) == (Rule.LEAVES_OUT, "B-1")
    half = Plane(room.shape).metres(room.shape).area / 2
    assert abs(one.area_m2 - half) < 5
