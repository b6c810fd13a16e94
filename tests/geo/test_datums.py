"""Datums of Chinese maps: to a micrometre there and back, and told apart when a label lies."""

import math
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod
from shapely import MultiPolygon, affinity, box, get_parts, wkb
from shapely.geometry.base import BaseGeometry

from app.geo.datums import box_to_wgs84, from_wgs84, shape_from_wgs84, suspect_datum, to_wgs84
from app.geo.plane import Plane
from app.kernel.terms import SourceDatum
from app.seeding.files import read_reference
from app.seeding.space import SpaceMaker

GEOD = Geod(ellps="WGS84")
SHANGHAI = (120.8, 30.6, 122.3, 31.9)
#: The frame inside which GCJ-02 moves places.
FRAME = (72.004, 0.8293, 137.8347, 55.8271)
MOVING = [SourceDatum.GCJ02, SourceDatum.BD09]
DATA = Path(__file__).parents[2] / "data"

Points = NDArray[np.float64]


def metres(first: Points, second: Points) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.asarray(GEOD.inv(*first.T, *second.T)[2])
    return distance


def inside(bounds: tuple[float, float, float, float], count: int, seed: int = 1) -> Points:
    west, south, east, north = bounds
    return np.random.default_rng(seed).uniform((west, south), (east, north), (count, 2))


def along(frame: tuple[float, float, float, float], count: int) -> Points:
    """Points within three kilometres of the frame, inside it."""
    west, south, east, north = frame
    random = np.random.default_rng(2)
    points = inside(frame, count)
    side = random.integers(0, 4, count)
    off = random.uniform(0, 0.03, count)
    for number, (axis, edge) in enumerate(
        ((0, west + off), (0, east - off), (1, south + off), (1, north - off))
    ):
        points[:, axis] = np.where(side == number, edge, points[:, axis])
    return points


@pytest.mark.parametrize("datum", MOVING)
@pytest.mark.parametrize(
    "places",
    [inside(SHANGHAI, 100_000), inside((73.5, 3.8, 135.1, 53.6), 100_000), along(FRAME, 100_000)],
    ids=["Shanghai", "China", "edge"],
)
def test_there_and_back_is_within_a_micrometre(datum: SourceDatum, places: Points) -> None:
    there = from_wgs84(places, datum)

    assert metres(to_wgs84(there, datum), places).max() <= 1e-6


@pytest.mark.parametrize("datum", MOVING)
def test_back_and_there_is_within_a_micrometre(datum: SourceDatum) -> None:
    places = inside(SHANGHAI, 100_000)

    assert metres(from_wgs84(to_wgs84(places, datum), datum), places).max() <= 1e-6


def test_one_round_alone_would_be_metres_off() -> None:
    """The control: the usual way back, which takes the offset at the moved place."""
    places = inside(SHANGHAI, 1000)
    there = from_wgs84(places, SourceDatum.GCJ02)
    back = there - (from_wgs84(there, SourceDatum.GCJ02) - there)

    assert metres(back, places).max() > 0.5


@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [
        ((121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),
        ((113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),
        ((116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),
    ],
    ids=["Shanghai", "Shenzhen", "Beijing"],
)
def test_the_formula_is_the_published_one(
    wgs84: tuple[float, float], gcj02: tuple[float, float]
) -> None:
    """Against figures of the eviltransform library, whose ellipsoid makes 8.5 mm of difference."""
    moved = from_wgs84(np.array([wgs84]), SourceDatum.GCJ02)

    assert metres(moved, np.array([gcj02])).max() < 0.02


def test_bd09_is_the_published_formula() -> None:
    """Against a figure of the coordtransform library, from one of Baidu's maps to the other."""
    gcj02, bd09 = np.array([[116.404, 39.915]]), np.array([[116.41036949371029, 39.92133699351022]])

    moved = from_wgs84(to_wgs84(gcj02, SourceDatum.GCJ02), SourceDatum.BD09)

    assert metres(moved, bd09).max() < 1e-6


def test_outside_the_frame_gcj02_is_wgs84_and_a_place_claimed_twice_is_inside() -> None:
    away = np.array([[151.2, -33.9], [2.35, 48.85], [-74.0, 40.7], [71.9, 30.0]])
    eastern = along(FRAME, 1000)

    assert np.array_equal(from_wgs84(away, SourceDatum.GCJ02), away)
    assert np.array_equal(to_wgs84(away, SourceDatum.GCJ02), away)
    assert metres(from_wgs84(eastern, SourceDatum.GCJ02), eastern).min() > 50


def test_wgs84_and_cgcs2000_are_left_as_they_are() -> None:
    places = inside(SHANGHAI, 10)

    for datum in (SourceDatum.WGS84, SourceDatum.CGCS2000):
        assert np.array_equal(to_wgs84(places, datum), places)
        assert np.array_equal(from_wgs84(places, datum), places)


def test_a_box_in_a_datum_holds_all_that_was_in_it_and_little_more() -> None:
    asked = (121.55, 31.15, 121.65, 31.25)
    west, south, east, north = box_to_wgs84(asked, SourceDatum.GCJ02)
    taken = to_wgs84(inside(asked, 20_000), SourceDatum.GCJ02)

    assert taken[:, 0].min() >= west
    assert taken[:, 0].max() <= east
    assert taken[:, 1].min() >= south
    assert taken[:, 1].max() <= north
    assert (east - west) / 0.1 == pytest.approx(1, rel=0.005)


# A label that lies.


@pytest.fixture(scope="module")
def parcels() -> MultiPolygon:
    """The parcels of the demonstration: mostly rows of plots side by side."""
    maker = SpaceMaker(read_reference(DATA), 1)
    deque(maker.make(), maxlen=0)
    return MultiPolygon(
        [
            part
            for one in maker.space.parcels
            for part in get_parts(wkb.loads(str(one.geom), hex=True))
        ]
    )


def mislabelled(shape: BaseGeometry, datum: SourceDatum) -> BaseGeometry:
    """A shape as a map in that datum has it, which somebody says is in WGS 84."""
    return shape_from_wgs84(shape, datum)


def off_by(shape: BaseGeometry, metres_off: float, bearing: float) -> BaseGeometry:
    plane = Plane(shape)
    east, north = metres_off * math.sin(bearing), metres_off * math.cos(bearing)
    return plane.degrees(affinity.translate(plane.metres(shape), east, north))


BEARINGS = [turn * math.pi / 4 for turn in range(8)]


@pytest.mark.parametrize("datum", MOVING)
def test_a_mislabelled_layer_is_suspected(parcels: MultiPolygon, datum: SourceDatum) -> None:
    assert suspect_datum(mislabelled(parcels, datum), parcels) is datum


@pytest.mark.parametrize("datum", MOVING)
def test_so_is_a_part_of_it_drawn_anew_and_roughly(
    parcels: MultiPolygon, datum: SourceDatum
) -> None:
    some = MultiPolygon(list(parcels.geoms)[::7])

    assert suspect_datum(mislabelled(off_by(some, 10, 1.0), datum), parcels) is datum


@pytest.mark.parametrize("datum", MOVING)
def test_so_is_each_parcel_alone(parcels: MultiPolygon, datum: SourceDatum) -> None:
    for parcel in list(parcels.geoms)[::20]:
        assert suspect_datum(mislabelled(parcel, datum), parcel) is datum


@pytest.mark.parametrize("datum", MOVING)
def test_so_is_a_new_plot_that_only_another_datum_puts_into_its_park(datum: SourceDatum) -> None:
    park = box(121.600, 31.200, 121.606, 31.206)
    # GCJ-02 moves things to the south-east here, BD-09 to the north-east: out of the park.
    new = box(121.6048, 31.2005, 121.6055, 31.2012)

    assert suspect_datum(mislabelled(new, datum), park) is datum


def test_a_true_layer_is_not_suspected(parcels: MultiPolygon) -> None:
    assert suspect_datum(parcels, parcels) is None
    for parcel in list(parcels.geoms)[::20]:
        assert suspect_datum(parcel, parcel) is None
        assert suspect_datum(parcel, parcels) is None


@pytest.mark.parametrize("bearing", BEARINGS)
def test_a_layer_drawn_100_m_off_is_not_suspected(parcels: MultiPolygon, bearing: float) -> None:
    assert suspect_datum(off_by(parcels, 100, bearing), parcels) is None
    for parcel in list(parcels.geoms)[::40]:
        assert suspect_datum(off_by(parcel, 100, bearing), parcel) is None


def test_it_is_the_direction_that_tells() -> None:
    """What lies as far off to another side is simply wrong."""
    plot = box(121.600, 31.200, 121.603, 31.203)
    moved = Plane(plot).metres(mislabelled(plot, SourceDatum.GCJ02)).centroid
    distance, bearing = math.hypot(moved.x, moved.y), math.atan2(moved.x, moved.y)

    suspected = [
        suspect_datum(off_by(plot, distance, bearing + quarter * math.pi / 2), plot)
        for quarter in range(4)
    ]

    assert distance == pytest.approx(480, abs=30)
    assert suspected == [SourceDatum.GCJ02, None, None, None]


def test_nothing_is_suspected_where_nothing_is_known(parcels: MultiPolygon) -> None:
    assert suspect_datum(parcels, MultiPolygon()) is None
    assert suspect_datum(MultiPolygon(), parcels) is None
