"""How PostgreSQL answers over many rows: by index, touching only what the page needs."""

import re
from collections.abc import Iterator

import pytest

from tests.conftest import Databases
from tests.many_units import Planned, many_units


@pytest.fixture(scope="module")
def planned(databases: Databases, empty_template: str) -> Iterator[Planned]:
    with many_units(databases, empty_template) as made:
        yield made


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("units?limit=20", "uq_units_code"),
        ("units?bbox=121.052,31.001,121.053,31.002", "Index Cond: (geom && "),
        ("units?bbox=121.052,31.001,121.053,31.002&sort=-area", "Index Cond: (geom && "),
        ("units?near=121.0525,31.005&within_m=50", "Index Cond: (geom && "),
        ("units?park=park7", "ix_units_park_id"),
        ("units?park=park7&sort=-area", "ix_units_park_id"),
        ("units?building=parcel-park7-b", "ix_units_building_id"),
        ("units?floor=parcel-park7-b3", "ix_units_floor_id"),
        ("units/parcel-park7-b3-9", "uq_units_code"),
        ("units?bbox=121.052,31.001,121.053,31.002&f=geojson", "Index Cond: (geom && "),
    ],
)
def test_a_filter_is_answered_by_its_index(planned: Planned, query: str, index: str) -> None:
    plan = planned(query)

    assert index in plan, plan
    assert "Seq Scan on units" not in plan, plan


def test_a_later_page_starts_where_the_page_before_ended(planned: Planned) -> None:
    cursor = planned.client.get("/api/v1/units?limit=20").json()["next_cursor"]

    plan = planned(f"units?limit=20&cursor={cursor}")

    assert "Index Cond: (code > " in plan, plan


def test_only_the_page_is_joined_with_its_parents(planned: Planned) -> None:
    plan = planned("units?sort=-area&limit=20")

    # The sort works on the units alone; names of parents are looked up for what it leaves.
    below_the_limit = plan[plan.index("Limit") :]
    assert re.search(r"Sort Key: units_\d\.leasable_area_m2 DESC", below_the_limit), plan
    assert "rows=21" in plan[plan.index("Limit") - 40 : plan.index("Limit") + 60], plan


@pytest.mark.parametrize(
    "query", ["free-space?min_area_m2=101&limit=10", "units?min_area_m2=101&limit=10"]
)
def test_what_is_shown_beside_a_page_is_looked_up_for_its_rows_alone(
    planned: Planned, query: str
) -> None:
    plan = planned(query)

    # The planner knows that each row of the page has one row beside it, and one more is read.
    assert re.search(r"^[^\n]*rows=(\d+)", plan)[1] == "11", plan  # type: ignore[index]
