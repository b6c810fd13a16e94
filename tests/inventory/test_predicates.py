"""Boxes and circles as callers write them."""

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Geod
from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.orm import Session

from app.inventory.predicates import Circle, in_circle, parse_box, parse_circle
from app.kernel.errors import InvalidInputError
from app.kernel.terms import STRONGEST_FIRST

lons = st.floats(-180, 180)
lats = st.floats(-90, 90)


@given(west=lons, south=lats, east=lons, north=lats)
def test_a_box_is_taken_when_it_is_in_order_and_only_then(
    west: float, south: float, east: float, north: float
) -> None:
    written = f"{west!r},{south!r},{east!r},{north!r}"

    if west < east and south < north:
        assert parse_box(written) == (west, south, east, north)
    else:
        with pytest.raises(InvalidInputError):
            parse_box(written)


@given(text=st.text(alphabet="0123456789.,-+einf nax_", max_size=40))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        box = parse_box(text)
    except InvalidInputError:
        return
    assert all(map(math.isfinite, box))


def test_a_circle_needs_both_its_parts() -> None:
    assert parse_circle(None, None) is None
    for near, within_m, missing in (("121.6,31.2", None, "within_m"), (None, 5.0, "near")):
        with pytest.raises(InvalidInputError) as caught:
            parse_circle(near, within_m)
        assert caught.value.faults[0].pointer == missing


@given(
    lon=st.floats(-170, 170),
    lat=st.floats(-88, 88),
    azimuth=st.floats(0, 360),
    within_m=st.floats(1, 100_000),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_box_around_a_circle_cuts_nothing_off(
    session: Session, lon: float, lat: float, azimuth: float, within_m: float
) -> None:
    geod = Geod(ellps="WGS84")
    # A hair inside and outside, by an independent library.
    for share, expected in ((0.999_99, True), (1.000_01, False)):
        x, y, _ = geod.fwd(lon, lat, azimuth, within_m * share)
        place: ColumnElement[Any] = literal_column(f"ST_SetSRID(ST_MakePoint({x!r}, {y!r}), 4326)")

        found = session.scalar(select(in_circle(place, Circle(lon, lat, within_m))))

        assert found is expected


def test_every_ordered_class_is_ordered_whole() -> None:
    for terms, ordered in STRONGEST_FIRST.items():
        assert set(ordered) == set(terms), terms
        assert len(ordered) == len(set(ordered))
