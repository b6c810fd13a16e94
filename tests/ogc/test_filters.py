"""Filters over HTTP: the questions that people ask of the park, put to the reference data."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.ogc.asked import read_selection
from app.ogc.collection import Collection
from app.ogc.collections import COLLECTIONS
from app.ogc.cql2.compiler import FUNCTIONS
from app.ogc.cql2.geometry import MAX_POSITIONS
from app.ogc.cql2.tree import MAX_DEPTH, MAX_LENGTH, MAX_PARTS
from app.ogc.fields import Field, Kind

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GK_123 = "http://www.opengis.net/def/crs/EPSG/0/4550"
STRONG_AND_HIGH = "clear_height_m >= 6 AND floor_load_kn_m2 >= 10"


def ask(client: TestClient, collection: str, **parameters: str) -> Response:
    named = {name.replace("filter_", "filter-"): value for name, value in parameters.items()}
    address = f"/ogc/collections/{collection}/items"
    return client.get(address, params={"limit": "1000", **named})


def codes(answer: Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {feature["properties"]["code"] for feature in answer.json()["features"]}


def test_floors_are_found_by_height_and_load_in_text_and_in_json(
    seeded_client: TestClient, seeded_session: Session
) -> None:
    plain = "SELECT code FROM floors WHERE clear_height_m >= 6 AND floor_load_kn_m2 >= 10"
    expected = {*seeded_session.scalars(text(plain))}
    said = [("clear_height_m", 6), ("floor_load_kn_m2", 10)]
    tree = {
        "op": "and",
        "args": [{"op": ">=", "args": [{"property": name}, least]} for name, least in said],
    }

    in_text = ask(seeded_client, "floors", filter=STRONG_AND_HIGH)
    in_json = ask(seeded_client, "floors", filter=json.dumps(tree), filter_lang="cql2-json")

    assert codes(in_text) == codes(in_json) == expected
    assert 0 < len(expected) < 1000


def test_filters_days_and_properties_hold_together(seeded_client: TestClient) -> None:
    day = {"datetime": "2027-03-01", "bbox": "121.55,31.1,121.65,31.25"}
    pilot = codes(ask(seeded_client, "free_space", unit_type="pilot", **day))
    upstairs = codes(ask(seeded_client, "free_space", filter="level_index >= 1", **day))

    both = ask(seeded_client, "free_space", unit_type="pilot", filter="level_index >= 1", **day)
    in_one = "unit_type = 'pilot' AND level_index >= 1"

    assert codes(both) == codes(ask(seeded_client, "free_space", filter=in_one, **day))
    assert codes(both) == pilot & upstairs
    assert pilot - upstairs
    assert upstairs - pilot


def test_a_place_may_be_drawn_in_metres_of_the_chinese_grid(seeded_client: TestClient) -> None:
    in_degrees = "s_intersects(geometry, BBOX(121.58, 31.18, 121.62, 31.22))"
    # Northing first, and wider by far more than what the grid turns in four kilometres.
    in_metres = "s_within(geometry, BBOX(3450000, 364000, 3456000, 370000))"

    near = codes(ask(seeded_client, "buildings", filter=in_degrees))
    around = codes(ask(seeded_client, "buildings", filter=in_metres, filter_crs=GK_123))

    assert near
    assert near <= around < codes(ask(seeded_client, "buildings"))


def test_what_is_wrong_with_a_filter_is_a_400_in_both_languages(seeded_client: TestClient) -> None:
    for filter_, said, said_zh in (
        ("clear_hight_m >= 6", "did you mean clear_height_m or", "是否指 clear_height_m 或"),
        ("净高 >= 6", "clear_height_m", "没有属性 '净高'；是否指 clear_height_m"),
        ("floor_load_kn_m2 >= '10'", "a number is written like 12.5", "数值的写法如 12.5"),
        ("pg_sleep(2) IS NOT NULL", "there is no function 'pg_sleep'", "没有函数 'pg_sleep'"),
    ):
        answer = ask(seeded_client, "floors", filter=filter_)
        problem = answer.json()
        assert answer.status_code == 400
        assert problem["type"].endswith("bad-parameter")
        assert said in problem["detail"]
        assert said_zh in problem["detail_zh"]
        assert problem["errors"][0]["pointer"] == "filter"
    for wrong in ({"filter_lang": "cql"}, {"filter_crs": "urn:x"}, {"level_index": "ground"}):
        assert ask(seeded_client, "floors", filter="true", **wrong).status_code == 400


_CONDITIONS = {
    Kind.TEXT: "casei({0}) LIKE casei('%A%') AND {0} <> '' AND {0} IN ('a', accenti({0}))",
    Kind.ID: "{0} <> '00000000-0000-0000-0000-000000000001'",
    Kind.WHOLE: "{0} BETWEEN -1 AND 3 OR {0} div 2 = {0} % 2 OR {0} IN (1, 2.5)",
    Kind.NUMBER: "{0} >= 2.5 OR {0} / ({0} - 1) > {0} ^ 2",
    Kind.TRUTH: "{0} OR {0} = false",
    Kind.DAY: "t_during({0}, INTERVAL('2026-01-01', '..')) OR {0} = DATE('2027-03-01')",
    Kind.INSTANT: "t_before({0}, TIMESTAMP('2027-03-01T00:00:00Z'))",
}


def condition_on(field: Field) -> str:
    if field.codes is not None:
        return f"{field.name} = '{next(iter(field.codes)).value}' OR {field.name} IS NULL"
    return f"({_CONDITIONS[field.kind].format(field.name)}) OR {field.name} IS NULL"


@pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=lambda one: str(one.id))
def test_every_queryable_can_be_asked_about(
    collection: Collection, seeded_session: Session
) -> None:
    for field in collection.queryables.values():
        asked = [("filter", condition_on(field))]
        selection = read_selection(collection, asked, now=NOW)
        seeded_session.execute(selection.select(selection.rows.key).limit(1)).all()


_PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cql2.md"
_EXAMPLE = re.compile(r"^```cql2 (\w+) ?(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_are_answered_and_it_leaves_nothing_out(
    seeded_session: Session,
) -> None:
    page = _PAGE.read_text(encoding="utf-8")
    examples = _EXAMPLE.findall(page)
    found = 0
    for collection, crs, said in examples:
        asked = [("filter", said), ("datetime", "2027-03-01")]
        asked += [("filter-crs", crs)] if crs else []
        selection = read_selection(COLLECTIONS[collection], asked, now=NOW)
        rows = seeded_session.execute(selection.select(selection.rows.key).limit(1)).all()
        found += len(rows)

    assert len(examples) == page.count("```cql2") > 8
    assert found > 6
    assert [name for name in FUNCTIONS if f"`{name}`" not in page and f"`{name}(" not in page] == []
    limits = MAX_LENGTH, MAX_PARTS, MAX_DEPTH, MAX_POSITIONS
    assert [limit for limit in limits if f"| {limit:,} |" not in page] == []
