"""Coordinates go over the wire in the order of their authority, and mean the same place."""

from datetime import UTC, datetime

import pytest
from pyproj import Transformer
from shapely import Point, box

from app.ogc.asked import read_selection
from app.ogc.collections import COLLECTIONS
from app.ogc.crs import CRSES, STORAGE, Crs, crs_of, local_crs, read_box, to_stored
from app.ogc.errors import BadParameterError

GENE_ISLAND = Point(121.612, 31.099)
PROJECTED = ("EPSG/0/4549", "EPSG/0/4550", "EPSG/0/3857")


def named(ending: str) -> Crs:
    return next(crs for uri, crs in CRSES.items() if uri.endswith(ending))


def test_boxes_of_degrees_follow_the_order_of_their_axes() -> None:
    by_longitude = read_box("121.6,31.0,121.7,31.2")
    by_latitude = read_box("31.0,121.6,31.2,121.7", named("4490"))

    assert by_longitude.equals(by_latitude)
    assert by_longitude.equals(box(121.6, 31.0, 121.7, 31.2))
    # Heights come third and sixth.
    assert read_box("121.6,31.0,-5,121.7,31.2,90").equals(by_longitude)


@pytest.mark.parametrize("ending", PROJECTED)
def test_a_box_around_a_place_holds_it_in_every_system(ending: str) -> None:
    crs = named(ending)
    there = Transformer.from_crs(4326, crs.srid, always_xy=False)
    first, second = there.transform(GENE_ISLAND.y, GENE_ISLAND.x)
    around = f"{first - 50},{second - 50},{first + 50},{second + 50}"

    found = read_box(around, crs)

    assert found.contains(GENE_ISLAND)
    # A hundred metres are about a thousandth of a degree.
    assert 0 < found.area < 4e-6
    # Read in the other order it is elsewhere, or nowhere.
    other = Crs(crs.uri, crs.srid, flipped=not crs.flipped)
    try:
        elsewhere = read_box(around, other)
    except BadParameterError:
        return
    assert not elsewhere.contains(GENE_ISLAND)


def test_a_box_whose_west_is_beyond_its_east_crosses_the_180th_meridian() -> None:
    found = read_box("170,-10,-170,10")

    assert found.contains(Point(175, 0))
    assert found.contains(Point(-175, 0))
    assert not found.contains(GENE_ISLAND)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("1,2,3", "CRS84"),
        ("1,2,3,4,5", "CRS84"),
        ("1,2,3,x", "CRS84"),
        ("", "CRS84"),
        ("nan,31,122,32", "CRS84"),
        ("inf,31,122,32", "CRS84"),
        ("121,32,122,31", "CRS84"),
        ("121,31,122,91", "CRS84"),
        ("31,121,32,181", "EPSG/0/4326"),
        ("3e6,4e5,2e6,5e5", "EPSG/0/4549"),
        ("1e300,1e300,2e300,2e300", "EPSG/0/3857"),
    ],
)
def test_what_is_no_box_is_refused(text: str, ending: str) -> None:
    with pytest.raises(BadParameterError, match="bbox"):
        read_box(text, named(ending))


def test_systems_that_are_not_offered_are_refused_with_those_that_are() -> None:
    with pytest.raises(BadParameterError, match="EPSG/0/4550"):
        crs_of("http://www.opengis.net/def/crs/EPSG/0/4528")
    assert crs_of(f"[{STORAGE.uri}]") is STORAGE


def test_an_installation_may_add_a_system_of_its_own() -> None:
    text = "+proj=tmerc +lat_0=31.2 +lon_0=121.5 +k=1 +x_0=0 +y_0=0 +ellps=GRS80 +units=m"
    local = local_crs(text, "a city's grid", "https://parks.example.invalid")

    west, south, east, north = to_stored(Point(1000, 0), local).bounds

    assert local.uri == "https://parks.example.invalid/ogc/crs/local"
    assert (west, south) == pytest.approx((121.5105, 31.2), abs=1e-4)
    assert (east, north) == (west, south)
    with pytest.raises(ValueError, match="PROJ or WKT"):
        local_crs("+proj=nowhere", "", "")
    # It can be asked in, though no authority knows it.
    known = {**CRSES, local.uri: local}
    asked = [("bbox", "0,0,1000,1000"), ("bbox-crs", local.uri)]
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert read_selection(COLLECTIONS["units"], asked, now=now, known=known).conditions
