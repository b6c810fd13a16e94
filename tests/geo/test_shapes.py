"""Shapes that callers send are checked from cheap to dear, and never repaired."""

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import box
from shapely.geometry import mapping, shape

from app.geo.shapes import MAX_POSITIONS, InvalidShapeError, polygon_from_geojson

SQUARE = [[121.5, 31.1], [121.7, 31.1], [121.7, 31.3], [121.5, 31.3], [121.5, 31.1]]
HOLE = [[121.55, 31.15], [121.55, 31.2], [121.6, 31.2], [121.6, 31.15], [121.55, 31.15]]


def ring(count: int, *, radius: float = 0.1) -> list[list[float]]:
    """A closed ring of ``count`` positions on a circle."""
    corners = [
        [121.6 + radius * math.cos(turn), 31.2 + radius * math.sin(turn)]
        for turn in (2 * math.pi * place / (count - 1) for place in range(count - 1))
    ]
    return [*corners, corners[0]]


def test_a_polygon_with_a_hole_and_a_multipolygon_are_taken_as_drawn() -> None:
    with_hole = polygon_from_geojson("Polygon", [SQUARE, HOLE])
    many = polygon_from_geojson("MultiPolygon", [[SQUARE], [[[a + 1, b] for a, b in SQUARE]]])

    assert with_hole.equals(shape({"type": "Polygon", "coordinates": [SQUARE, HOLE]}))
    assert len(many.geoms) == 2  # type: ignore[attr-defined]


def test_heights_are_dropped_and_the_order_of_a_ring_does_not_matter() -> None:
    high = [[a, b, 4.5] for a, b in SQUARE]

    taken = polygon_from_geojson("Polygon", [high[::-1]])

    assert not taken.has_z
    assert taken.equals(box(121.5, 31.1, 121.7, 31.3))


@pytest.mark.parametrize(
    ("kind", "coordinates", "pointer", "says"),
    [
        ("Point", [121.5, 31.1], "/polygon/type", "Polygon"),
        ("Polygon", [], "/polygon/coordinates", "rings"),
        ("Polygon", {}, "/polygon/coordinates", "rings"),
        ("Polygon", None, "/polygon/coordinates", "rings"),
        ("Polygon", [[]], "/polygon/coordinates/0", "positions"),
        ("Polygon", [SQUARE[:3]], "/polygon/coordinates/0", "four positions"),
        ("Polygon", [SQUARE[:-1]], "/polygon/coordinates/0", "repeats the first"),
        ("Polygon", SQUARE, "/polygon/coordinates/0/0", "longitude"),
        ("Polygon", [[[1, 2, 3, 4]] * 4], "/polygon/coordinates/0/0", "longitude"),
        ("Polygon", [[["121.5", 31.1], *SQUARE[1:]]], "/polygon/coordinates/0/0", "numbers"),
        ("Polygon", [[[True, 31.1], *SQUARE[1:]]], "/polygon/coordinates/0/0", "numbers"),
        ("Polygon", [[[math.nan, 31.1], *SQUARE[1:]]], "/polygon/coordinates/0/0", "finite"),
        ("Polygon", [[[math.inf, 31.1], *SQUARE[1:]]], "/polygon/coordinates/0/0", "finite"),
        ("Polygon", [[[10**400, 31.1], *SQUARE[1:]]], "/polygon/coordinates/0/0", "finite"),
        ("Polygon", [[[b, a] for a, b in SQUARE]], "/polygon/coordinates/0/0", "longitude first"),
        ("Polygon", [[[-121.5, 31.1]] * 4], "/polygon/coordinates/0/0", "73 to 136"),
        ("MultiPolygon", [SQUARE], "/polygon/coordinates/0/0/0", "longitude"),
        ("MultiPolygon", [[SQUARE], [SQUARE]], "/polygon/coordinates", "intersect"),
    ],
)
def test_what_is_wrong_is_pointed_at(kind: str, coordinates: Any, pointer: str, says: str) -> None:
    with pytest.raises(InvalidShapeError) as caught:
        polygon_from_geojson(kind, coordinates, pointer="/polygon")

    (fault,) = caught.value.faults
    assert fault.pointer == pointer
    assert says.lower() in fault.detail.lower()


@pytest.mark.parametrize("huge", [1e308, -1e200, 10**18])
def test_coordinates_that_nothing_can_reckon_with_are_refused(huge: float) -> None:
    """Of systems other than degrees, where no position is looked at: they overflowed."""
    far = [[huge, 0.0], [0.0, huge], [huge / 2, -huge], [huge, 0.0]]

    with pytest.raises(InvalidShapeError) as caught:
        polygon_from_geojson("Polygon", [far], degrees=False)

    assert caught.value.faults[0].pointer == "/coordinates/0/0"
    metres = [[40_500_000.0, 3_450_000.0], [40_500_100.0, 3_450_000.0], [40_500_000.0, 3_450_100.0]]
    assert polygon_from_geojson("Polygon", [[*metres, metres[0]]], degrees=False).area == 5_000


def test_a_bow_tie_is_refused_with_where_it_crosses() -> None:
    bow_tie = [[121.5, 31.1], [121.7, 31.3], [121.7, 31.1], [121.5, 31.3], [121.5, 31.1]]

    with pytest.raises(InvalidShapeError, match=r"Self-intersection\[121\.6 31\.2\]") as refused:
        polygon_from_geojson("Polygon", [bow_tie])

    # In Chinese the library's own words are Chinese too.
    assert "边相交，位于 121.6, 31.2" in refused.value.detail_zh
    assert "intersection" not in refused.value.detail_zh


def test_a_star_whose_repair_would_take_half_a_minute_is_refused_at_once() -> None:
    corners = ring(202)[:-1]
    star = [corners[(place * 100) % 201] for place in range(201)]
    started = time.perf_counter()

    with pytest.raises(InvalidShapeError, match="Self-intersection"):
        polygon_from_geojson("Polygon", [[*star, star[0]]])

    assert time.perf_counter() - started < 1


def test_ten_thousand_positions_are_the_most() -> None:
    assert polygon_from_geojson("Polygon", [ring(MAX_POSITIONS)]).is_valid

    with pytest.raises(InvalidShapeError, match="at most 10000 positions"):
        polygon_from_geojson("Polygon", [ring(MAX_POSITIONS + 1)])


def test_depth_costs_nothing() -> None:
    deep: Any = 121.5
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(InvalidShapeError, match="deeper"):
        polygon_from_geojson("Polygon", deep)


@given(
    st.tuples(st.floats(100, 130), st.floats(10, 50)),
    st.tuples(st.floats(0.001, 5), st.floats(0.001, 3)),
)
def test_every_box_in_bounds_comes_back_as_it_went_in(
    corner: tuple[float, float], size: tuple[float, float]
) -> None:
    drawn = box(*corner, corner[0] + size[0], corner[1] + size[1])
    coordinates = [[list(position) for position in part] for part in mapping(drawn)["coordinates"]]

    assert polygon_from_geojson("Polygon", coordinates).equals(drawn)


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=30,
)


@given(st.sampled_from(["Polygon", "MultiPolygon", "GeometryCollection"]), junk)
def test_junk_is_refused_and_never_breaks_anything(kind: str, coordinates: Any) -> None:
    with pytest.raises(InvalidShapeError):
        polygon_from_geojson(kind, coordinates)
