"""What GIS tools ask of many features is answered by index, also with values that are bound."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.conftest import Databases
from tests.many_units import Planned, many_units

_BOX = "121.052,31.001,121.053,31.002"
_ITEMS = "/ogc/collections/units/items?"


@pytest.fixture(scope="module")
def planned(databases: Databases, empty_template: str) -> Iterator[Planned]:
    with many_units(databases, empty_template) as made:
        yield made


@pytest.mark.parametrize(
    "asked",
    [
        {"bbox": _BOX},
        {"bbox": _BOX, "unit_type": "pilot"},
        {"bbox": _BOX, "filter": "unit_type = 'pilot' AND leasable_area_m2 >= 100"},
        {"filter": f"S_INTERSECTS(geometry, BBOX({_BOX}))"},
        {"bbox": _BOX, "sortby": "-leasable_area_m2"},
        {"bbox": _BOX, "crs": "http://www.opengis.net/def/crs/EPSG/0/4549"},
    ],
)
def test_what_lies_in_a_box_is_found_by_its_outline(
    planned: Planned, asked: dict[str, str]
) -> None:
    path = _ITEMS + urlencode({**asked, "limit": "10"})

    find, show = planned.plans(path)[-2:]

    assert "(geom && " in find, find
    assert "Seq Scan on units" not in find + show


def test_units_of_a_kind_in_a_box_are_not_looked_up_by_their_kind(planned: Planned) -> None:
    """Kind and size would have the planner read most of their index, for few rows in a box."""
    asked = {"bbox": _BOX, "filter": "unit_type = 'pilot' AND leasable_area_m2 >= 100"}

    find = planned.plans(_ITEMS + urlencode(asked))[-2]

    assert "Bitmap" not in find, find


def test_without_an_index_on_outlines_all_units_are_read(planned: Planned) -> None:
    """The control: the plan tells when it is not there."""
    path = _ITEMS + urlencode({"bbox": _BOX, "limit": "10"})

    find = planned.plans(path, without="idx_units_geom, ix_units_unit_type_geom")[-2]

    assert "Seq Scan on units" in find, find


def test_a_later_page_starts_where_the_page_before_ended(planned: Planned) -> None:
    page = planned.client.get(_ITEMS + "limit=10").json()
    following = next(one["href"] for one in page["links"] if one["rel"] == "next")

    find, show = planned.plans(following)[-2:]

    assert "Index Cond: (fid > " in find, find
    assert "Seq Scan on units" not in find + show


def test_what_is_shown_is_looked_up_for_the_rows_of_the_page(planned: Planned) -> None:
    show = planned.plans(_ITEMS + "limit=10")[-1]

    assert "Index Scan using pk_units" in show or "Index Scan using uq_units_id" in show, show
    assert "Seq Scan on units" not in show


def test_a_tile_is_made_of_what_lies_in_it(planned: Planned) -> None:
    plans = planned.plans("/ogc/collections/units/tiles/WebMercatorQuad/18/107307/219219")

    assert any("(geom && " in one for one in plans), plans
    assert not any("Seq Scan on units" in one for one in plans), plans
