"""The inventory over the Shanghai reference data: what the documentation shows is what one gets."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from shapely.geometry import shape
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.inventory.test_shapes import KINDS

kinds = pytest.mark.parametrize("kind", KINDS)


def _walk(client: TestClient, query: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while cursor is not None:
        answer = client.get(f"/api/v1/{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status_code == 200, answer.text
        yield from answer.json()["items"]
        cursor = answer.json()["next_cursor"]


@kinds
def test_every_row_is_as_documented(seeded_client: TestClient, kind: str) -> None:
    model, properties, _ = KINDS[kind]

    for item in seeded_client.get(f"/api/v1/{kind}?limit=300").json()["items"]:
        model.model_validate(item)
    for feature in seeded_client.get(f"/api/v1/{kind}?limit=300&f=geojson").json()["features"]:
        properties.model_validate(feature["properties"])


@pytest.mark.parametrize("sort", ["code", "-area"])
def test_small_pages_give_each_unit_exactly_once(
    seeded_client: TestClient, seeded_session: Session, sort: str
) -> None:
    units = seeded_session.scalar(text("SELECT count(*) FROM units"))
    assert units is not None

    codes = Counter(item["code"] for item in _walk(seeded_client, f"units?limit=173&sort={sort}"))

    assert len(codes) == units > 2_000
    assert set(codes.values()) == {1}


def test_units_of_the_core_are_listed_with_their_parents(
    seeded_client: TestClient, seeded_session: Session
) -> None:
    counted = seeded_session.scalar(
        text(
            "SELECT count(*) FROM units JOIN parks ON parks.id = units.park_id"
            " JOIN zones ON zones.id = parks.zone_id WHERE zones.code = 'core_zhangjiang'"
        )
    )

    units = list(_walk(seeded_client, "units?zone=core_zhangjiang&limit=1000"))

    assert len(units) == counted
    assert counted
    for unit in units:
        assert unit["zone"]["code"] == "core_zhangjiang"
        assert all(unit[parent]["code"] for parent in ("park", "parcel", "building", "floor"))
        assert unit["areas"][0]["standard"] == "leasable"


def test_a_park_lists_what_lies_in_its_nested_parks(seeded_client: TestClient) -> None:
    def park_codes(park: str) -> set[str]:
        return {
            unit["park"]["code"] for unit in _walk(seeded_client, f"units?limit=1000&park={park}")
        }

    assert "gene_island" in park_codes("x_simz")
    assert park_codes("gene_island") == {"gene_island"}
    nested = [item["code"] for item in _walk(seeded_client, "parks?park=x_simz")]
    assert {"x_simz", "cgt_park", "gene_island"} <= set(nested)


def test_totals_of_zones_add_up_to_everything(
    seeded_client: TestClient, seeded_session: Session
) -> None:
    everything = seeded_session.execute(
        text(
            "SELECT (SELECT count(*) FROM parks) AS parks,"
            " (SELECT count(*) FROM buildings) AS buildings,"
            " (SELECT count(*) FROM floors) AS floors, (SELECT count(*) FROM units) AS units,"
            " (SELECT sum(gross_floor_area_m2) FROM buildings) AS gross_floor_area_m2,"
            " (SELECT sum(leasable_area_m2) FROM units) AS leasable_area_m2"
        )
    ).one()

    zones = list(_walk(seeded_client, "zones?limit=50"))

    for name, total in everything._mapping.items():
        added = sum(Decimal(str(zone["totals"][name])) for zone in zones)
        assert added == total, name


def test_the_programme_of_five_million_adds_up(seeded_client: TestClient) -> None:
    programme = seeded_client.get("/api/v1/programmes/standard_plants").json()
    island = seeded_client.get("/api/v1/programmes/gene_island").json()

    assert programme["areas"][0] | {"method": ""} == {
        "standard": "target_floor",
        "name_zh": "目标建筑面积",
        "name_en": "Target floor area",
        "area_m2": 5_000_000.0,
        "method": "",
        "measured_on": None,
        "tolerance_pct": None,
    }
    totals = programme["totals"]
    assert totals["modelled_floor_area_m2"] == 5_000_000.0
    by_year = {one["year"]: one["floor_area_m2"] for one in totals["started_by_year"]}
    assert by_year[2023] == 1_800_000.0
    assert sum(by_year.values()) == totals["started_floor_area_m2"]
    assert island["totals"]["modelled_floor_area_m2"] == 160_000.0
    listed = list(_walk(seeded_client, "buildings?programme=standard_plants&limit=1000"))
    assert len(listed) == totals["buildings"]
    assert sum(building["totals"]["units"] for building in listed) == totals["units"]


def test_distance_to_the_metro_is_a_filter(seeded_client: TestClient) -> None:
    station = seeded_client.get("/api/v1/shared-facilities?type=metro_station&q=广兰路").json()
    lon, lat = station["items"][0]["position"]

    near = list(_walk(seeded_client, f"units?near={lon},{lat}&within_m=3000&limit=1000"))
    far = list(_walk(seeded_client, f"units?near={lon},{lat}&within_m=100000&limit=1000"))

    assert len(near) < len(far)


@pytest.mark.parametrize("kind", ["zones", "parks", "parcels", "buildings", "shared-facilities"])
def test_every_outline_of_the_reference_data_is_sound(seeded_client: TestClient, kind: str) -> None:
    features = seeded_client.get(f"/api/v1/{kind}?f=geojson&limit=2000").json()["features"]

    assert len(features) > 6
    for feature in features:
        if feature["geometry"] is not None:
            assert shape(feature["geometry"]).is_valid, feature["properties"]["code"]


def test_the_examples_in_the_documentation_work_when_pasted(seeded_client: TestClient) -> None:
    api = seeded_client.get("/openapi.json").json()
    operations = [
        operation
        for path in api["paths"].values()
        for operation in path.values()
        # Those that ask for no credential.
        if operation["tags"] == ["inventory"] and {} in operation["security"]
    ]
    examples = [
        example
        for operation in operations
        for example in re.findall(r"`GET (/[^`]+)`", operation["description"])
    ]

    assert len(examples) >= 9
    for example in examples:
        answer = seeded_client.get(example)
        assert answer.status_code == 200, example
        assert answer.json().get("items", True), example
