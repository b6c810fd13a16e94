"""Places asked about and shown in the datums of Chinese maps."""

import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from shapely import hausdorff_distance
from shapely.geometry import mapping, shape
from sqlalchemy.orm import Session

from app.geo.datums import from_wgs84, shape_from_wgs84
from app.kernel.terms import SourceDatum
from app.security.actors import Role
from tests.factories import staff_headers

DATUMS = [SourceDatum.GCJ02, SourceDatum.BD09]
UNITS = "/api/v1/units"
FREE = "/api/v1/free-space"


def ids(answer: object) -> set[str]:
    assert isinstance(answer, dict)
    return {one["id"] for one in answer["items"]}


@pytest.fixture
def place(seeded_client: TestClient) -> tuple[float, float]:
    """Where there is something free."""
    lon, lat = seeded_client.get(FREE, params={"limit": 1}).json()["items"][0]["position"]
    return lon, lat


@pytest.mark.parametrize("datum", DATUMS)
@pytest.mark.parametrize("path", [UNITS, FREE])
def test_the_same_place_in_another_datum_finds_the_same(
    seeded_client: TestClient, place: tuple[float, float], datum: SourceDatum, path: str
) -> None:
    lon, lat = place
    there = from_wgs84(np.array([place, (lon + 0.002, lat + 0.002)]), datum)
    (moved_lon, moved_lat), (east, north) = there.tolist()
    near: dict[str, str | int] = {"within_m": 60, "limit": 1000}
    here = seeded_client.get(path, params=near | {"near": f"{lon:.9f},{lat:.9f}"}).json()
    asked = near | {"near": f"{moved_lon:.9f},{moved_lat:.9f}"}

    found = seeded_client.get(path, params=asked | {"datum": datum.value}).json()
    mistaken = seeded_client.get(path, params=asked).json()
    box = f"{moved_lon:.9f},{moved_lat:.9f},{east:.9f},{north:.9f}"
    boxed = seeded_client.get(path, params={"bbox": box, "datum": datum.value, "limit": 1000})

    assert ids(here)
    assert ids(found) == ids(here)
    # The control: the same numbers, said to be in WGS 84.
    assert ids(mistaken) != ids(here)
    plain = seeded_client.get(
        path, params={"bbox": f"{lon},{lat},{lon + 0.002},{lat + 0.002}", "limit": 1000}
    )
    assert ids(plain.json()) <= ids(boxed.json())
    if path == FREE:
        distances = {one["id"]: one["distance_m"] for one in here["items"]}
        assert {one["id"]: one["distance_m"] for one in found["items"]} == distances


@pytest.mark.parametrize("path", [UNITS, FREE, "/api/v1/programmes", "/api/v1/shared-facilities"])
def test_geojson_is_shown_in_the_datum_and_areas_stay(seeded_client: TestClient, path: str) -> None:
    asked: dict[str, str | int] = {"f": "geojson", "limit": 20}
    plain = seeded_client.get(path, params=asked).json()

    shown = seeded_client.get(path, params=asked | {"datum": "GCJ02"}).json()

    assert "datum" not in plain
    assert shown["datum"] == "GCJ02"
    assert [one["properties"] for one in shown["features"]] == [
        one["properties"] for one in plain["features"]
    ]
    drawn = [
        (shape(new["geometry"]), shape(old["geometry"]))
        for new, old in zip(shown["features"], plain["features"], strict=True)
        if old["geometry"] is not None
    ]
    assert drawn
    for new, old in drawn:
        expected = shape_from_wgs84(old, SourceDatum.GCJ02)
        assert hausdorff_distance(new, expected) < 2e-7
        assert hausdorff_distance(new, old) > 0.003


def test_an_item_in_a_datum_has_a_tag_of_its_own(seeded_client: TestClient) -> None:
    code = seeded_client.get(UNITS, params={"limit": 1}).json()["items"][0]["code"]
    asked = {"f": "geojson"}
    plain = seeded_client.get(f"{UNITS}/{code}", params=asked)

    shown = seeded_client.get(f"{UNITS}/{code}", params=asked | {"datum": "BD09"})

    assert shown.json()["datum"] == "BD09"
    assert shown.headers["etag"] != plain.headers["etag"]
    assert (
        seeded_client.get(f"{UNITS}/{code}", params=asked | {"datum": "WGS72"}).status_code == 422
    )


@pytest.mark.parametrize("datum", DATUMS)
def test_a_polygon_drawn_on_another_map_finds_the_same(
    seeded_client: TestClient, place: tuple[float, float], datum: SourceDatum
) -> None:
    lon, lat = place
    corners = [(lon, lat), (lon + 0.003, lat), (lon, lat + 0.003), (lon, lat)]
    drawn = shape({"type": "Polygon", "coordinates": [corners]})
    moved = json.loads(json.dumps(mapping(shape_from_wgs84(drawn, datum))))
    here = seeded_client.post(f"{FREE}/search", json={"polygon": mapping(drawn), "limit": 1000})

    found = seeded_client.post(
        f"{FREE}/search", json={"polygon": moved, "limit": 1000, "datum": datum.value}
    )
    mistaken = seeded_client.post(f"{FREE}/search", json={"polygon": moved, "limit": 1000})

    assert ids(here.json())
    assert ids(found.json()) == ids(here.json())
    assert ids(mistaken.json()) != ids(here.json())


@pytest.mark.parametrize("datum", DATUMS)
def test_a_request_is_matched_in_wgs84_and_keeps_what_was_sent(
    seeded_client: TestClient, seeded_session: Session, datum: SourceDatum
) -> None:
    staff = staff_headers(seeded_session, Role.AGENT)
    firm = seeded_client.get("/api/v1/companies", headers=staff).json()["items"][0]["id"]
    lon, lat = 121.6, 31.2
    drawn = shape(
        {"type": "Polygon", "coordinates": [[(lon, lat), (lon + 0.01, lat), (lon, 31.21)]]}
    )
    moved = json.loads(json.dumps(mapping(shape_from_wgs84(drawn, datum))))
    ((there_lon, there_lat),) = from_wgs84(np.array([(lon, lat)]), datum).tolist()
    near = {"lon": there_lon, "lat": there_lat, "within_m": 3000, "datum": datum.value}
    asked = {"unit_type": "pilot", "near": near, "within": {**moved, "datum": datum.value}}

    made = seeded_client.post(
        "/api/v1/space-requests", headers=staff, json={**asked, "company_id": firm}
    )

    assert made.status_code == 201, made.text
    assert made.json()["stated"]["near"] == near
    assert made.json()["stated"]["within"] == asked["within"]
    needs = {need["key"]: need["value"] for need in made.json()["needs"]}
    assert needs["near"]["source_datum"] == datum.value
    assert (needs["near"]["lon"], needs["near"]["lat"]) == pytest.approx((lon, lat), abs=1e-9)
    assert "datum" not in needs["near"]
    assert hausdorff_distance(shape(needs["within"]), drawn) < 1e-9
    found = seeded_client.post(
        f"/api/v1/space-requests/{made.json()['id']}/matches", headers=staff, json={}
    )
    assert found.status_code == 200, found.text


def test_ground_of_rights_and_versions_of_units_are_shown_in_it_too(
    seeded_client: TestClient, seeded_session: Session
) -> None:
    staff = staff_headers(seeded_session, Role.VIEWER)
    seeded_session.commit()
    unit = seeded_client.get(UNITS, params={"limit": 1}).json()["items"][0]["code"]
    asked = {"f": "geojson", "datum": "BD09"}

    for path in ("/api/v1/rights", f"{UNITS}/{unit}/versions"):
        answer = seeded_client.get(path, params=asked, headers=staff)
        assert answer.status_code == 200, answer.text
        assert answer.json()["datum"] == "BD09"
