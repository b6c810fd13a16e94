"""What the inventory's answers look like: documented to the last member, and sound as GeoJSON."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel
from shapely.geometry import shape
from sqlalchemy.orm import Session

from app.inventory import features, schemas
from tests.inventory.world import build_world

KINDS: dict[str, tuple[type[BaseModel], type[BaseModel], int]] = {
    "zones": (schemas.ZoneOut, features.ZoneProperties, 2),
    "parks": (schemas.ParkOut, features.ParkProperties, 3),
    "parcels": (schemas.ParcelOut, features.ParcelProperties, 3),
    "programmes": (schemas.ProgrammeOut, features.ProgrammeProperties, 2),
    "buildings": (schemas.BuildingOut, features.BuildingProperties, 3),
    "floors": (schemas.FloorOut, features.FloorProperties, 4),
    "units": (schemas.UnitOut, features.UnitProperties, 4),
    "shared-facilities": (schemas.FacilityOut, features.FacilityProperties, 2),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def _features(reader: TestClient, kind: str) -> list[dict[str, Any]]:
    answer = reader.get(f"/api/v1/{kind}?f=geojson")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["features"]
    return found


@kinds
def test_every_member_of_a_list_is_documented(reader: TestClient, kind: str) -> None:
    model, _, count = KINDS[kind]

    answer = reader.get(f"/api/v1/{kind}")

    assert answer.headers["content-type"] == "application/json"
    items = answer.json()["items"]
    assert len(items) == count
    for item in items:
        model.model_validate_json(json.dumps(item), strict=True)
        assert set(item) == set(model.model_fields)


@kinds
def test_an_item_is_found_by_code_and_by_id_and_is_the_same_as_in_the_list(
    reader: TestClient, kind: str
) -> None:
    item = reader.get(f"/api/v1/{kind}").json()["items"][0]

    for key in (item["code"], item["id"], item["id"].upper()):
        assert reader.get(f"/api/v1/{kind}/{key}").json() == item


@kinds
def test_what_does_not_exist_is_a_404_problem(reader: TestClient, kind: str) -> None:
    for key in ("no-such-code", "00000000-0000-4000-8000-000000000000", "a%00b", "楼"):
        answer = reader.get(f"/api/v1/{kind}/{key}")

        assert answer.status_code == 404, key
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/not-found"


@kinds
def test_features_are_rfc_7946(reader: TestClient, kind: str) -> None:
    _, model, count = KINDS[kind]

    found = _features(reader, kind)

    assert len(found) == count
    for feature in found:
        assert set(feature) == {"type", "id", "geometry", "properties"}
        assert feature["id"] == feature["properties"]["id"]
        model.model_validate_json(json.dumps(feature["properties"]), strict=True)
        assert set(feature["properties"]) == set(model.model_fields)
        assert not any(isinstance(v, (list, dict)) for v in feature["properties"].values())
        if feature["geometry"] is not None:
            _assert_sound(feature["geometry"])
    if kind not in {"zones", "programmes"}:
        assert all(feature["geometry"] for feature in found)


def _assert_sound(geometry: dict[str, Any]) -> None:
    assert set(geometry) == {"type", "coordinates"}  # no crs member
    drawn = shape(geometry)
    assert drawn.is_valid
    west, south, east, north = drawn.bounds
    assert 120 < west <= east < 123  # longitude first
    assert 30 < south <= north < 32
    polygons = [one for one in getattr(drawn, "geoms", [drawn]) if one.geom_type == "Polygon"]
    for polygon in polygons:
        assert polygon.exterior.is_ccw
        assert not any(ring.is_ccw for ring in polygon.interiors)
    for number in _numbers(geometry["coordinates"]):
        assert round(number, 7) == number


def _numbers(coordinates: Any) -> list[float]:
    if isinstance(coordinates, (int, float)):
        return [coordinates]
    return [number for part in coordinates for number in _numbers(part)]


@kinds
def test_a_feature_is_answered_for_an_item_too(reader: TestClient, kind: str) -> None:
    feature = _features(reader, kind)[0]

    answer = reader.get(
        f"/api/v1/{kind}/{feature['properties']['code']}",
        headers={"Accept": "application/geo+json"},
    )

    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["vary"] == "Accept"
    assert answer.json() == feature


@kinds
def test_no_second_copy_of_an_unchanged_item_is_sent(reader: TestClient, kind: str) -> None:
    code = reader.get(f"/api/v1/{kind}").json()["items"][0]["code"]
    path = f"/api/v1/{kind}/{code}"
    tag = reader.get(path).headers["etag"]

    unchanged = reader.get(path, headers={"If-None-Match": f'"old", W/{tag}'})
    other_form = reader.get(f"{path}?f=geojson", headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == tag
    assert other_form.status_code == 200


def test_a_changed_unit_has_another_tag(client: TestClient, session: Session) -> None:
    world = build_world(session)
    path = f"/api/v1/units/{world.unit.code}"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    world.unit.name_en += " again"
    session.commit()

    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_unit_says_everything_about_itself_in_one_call(reader: TestClient) -> None:
    unit = reader.get("/api/v1/units/u-pilot").json()

    assert (unit["unit_type"], unit["unit_type_zh"], unit["unit_type_en"]) == (
        "pilot",
        "中试",
        "Pilot scale",
    )
    assert unit["areas"][0] == {
        "standard": "leasable",
        "name_zh": "计租面积",
        "name_en": "Leasable area",
        "area_m2": 2000.0,
        "method": "tests",
        "measured_on": "2025-05-01",
        "tolerance_pct": 1.0,
    }
    assert [area["standard"] for area in unit["areas"]] == ["leasable", "internal", "geometric"]
    assert unit["areas"][2]["method"] == "geodesic area of the outline on the ellipsoid"
    assert unit["zone"]["code"] == "z-core"
    assert unit["park"]["name_zh"] == "张江测试园"
    assert (unit["parcel"]["code"], unit["parcel"]["land_use_code"]) == ("p-park", "M1")
    assert unit["building"]["code"] == "b-park"
    assert (unit["floor"]["code"], unit["floor"]["level_name"]) == ("f-park-1", "1F")
    assert (unit["confidence_zh"], unit["geometry_quality_en"]) == ("规划假设", "Schematic")
    assert unit["synthetic"] is True
    assert (unit["usable_from"], unit["usable_until"]) == ("2020-01-01", None)
    lon, lat = unit["position"]
    assert 121.600 < lon < 121.601
    assert 31.200 < lat < 31.201


def test_published_and_drawn_areas_stand_apart(reader: TestClient) -> None:
    areas = reader.get("/api/v1/zones/z-core").json()["areas"]

    assert [(area["standard"], area["area_m2"]) for area in areas[:1]] == [
        ("published_land", 9_000_000.0)
    ]
    assert areas[1]["standard"] == "geometric"
    assert areas[1]["area_m2"] == pytest.approx(9_509_000, rel=1e-3)
    assert reader.get("/api/v1/zones/z-other").json()["areas"] == []


def test_a_park_shows_its_family_its_blocks_and_its_edges(reader: TestClient) -> None:
    park = reader.get("/api/v1/parks/k-park").json()

    assert park["parent"] is None
    assert [child["code"] for child in park["children"]] == ["k-nested"]
    assert park["boundaries"] == {"east": "东路", "south": None, "west": None, "north": None}
    assert [block["boundaries"]["north"] for block in park["blocks"]] == ["北路"]
    assert park["blocks"][0]["areas"][0]["area_m2"] == 400_000.0
    assert reader.get("/api/v1/parks/k-nested").json()["parent"]["code"] == "k-park"


def test_totals_of_parks_and_zones_include_what_is_nested(reader: TestClient) -> None:
    expected = {
        "parks": 2,
        "buildings": 2,
        "floors": 3,
        "units": 3,
        "gross_floor_area_m2": 25_000.0,
        "synthetic_floor_area_m2": 25_000.0,
        "leasable_area_m2": 6_600.0,
    }

    assert reader.get("/api/v1/parks/k-park").json()["totals"] == expected
    assert reader.get("/api/v1/zones/z-core").json()["totals"] == expected
    nested = reader.get("/api/v1/parks/k-nested").json()["totals"]
    assert (nested["parks"], nested["units"], nested["leasable_area_m2"]) == (1, 1, 4_000.0)


def test_a_programme_counts_each_building_once(reader: TestClient) -> None:
    programme = reader.get("/api/v1/programmes/g-all").json()

    assert programme["totals"] == {
        "buildings": 2,
        "floors": 3,
        "units": 3,
        "modelled_floor_area_m2": 25_000.0,
        "started_floor_area_m2": 20_000.0,
        "synthetic_floor_area_m2": 25_000.0,
        "started_by_year": [{"year": None, "floor_area_m2": 20_000.0}],
        "leasable_area_m2": 6_600.0,
    }
    assert programme["areas"][0]["standard"] == "target_floor"
    assert [project["code"] for project in programme["projects"]] == ["g-project"]
    milestone = programme["milestones"][0]
    assert (milestone["step"], milestone["step_zh"]) == ("started", "开工")
    assert (milestone["planned_on"], milestone["actual_on"]) == (None, "2023-01-01")
    assert milestone["date_precision"] == "year"
    project = reader.get("/api/v1/programmes/g-project").json()
    assert (project["parent"]["code"], project["park"]["code"]) == ("g-all", "k-nested")


def test_nothing_is_said_of_who_holds_a_unit(reader: TestClient) -> None:
    words = {"company", "tenant", "claim", "lease", "hold", "occup"}
    for kind, (model, properties, _) in KINDS.items():
        names = set(model.model_fields) | set(properties.model_fields)
        allowed = {"leasable_area_m2", "published_lettable_area_m2"}
        assert not [n for n in names - allowed for word in words if word in n], kind


def test_every_parameter_and_member_has_a_description(reader: TestClient) -> None:
    api = reader.get("/openapi.json").json()

    for kind, (model, properties, _) in KINDS.items():
        for path in (f"/api/v1/{kind}", f"/api/v1/{kind}/{{id_or_code}}"):
            for parameter in api["paths"][path]["get"]["parameters"]:
                assert parameter.get("description"), (path, parameter["name"])
        for name, schema in properties.model_json_schema()["properties"].items():
            assert schema.get("description"), (properties.__name__, name)
        definitions = model.model_json_schema()
        for one in [definitions, *definitions.get("$defs", {}).values()]:
            for name, schema in one["properties"].items():
                assert schema.get("description"), (one["title"], name)


@kinds
def test_gdal_opens_the_features_without_a_warning(
    reader: TestClient, kind: str, tmp_path: Path
) -> None:
    ogrinfo = shutil.which("ogrinfo")
    if ogrinfo is None:
        assert os.environ.get("CI") != "true", "GDAL's ogrinfo is needed in CI"
        pytest.skip("GDAL's ogrinfo is not installed")
    file = tmp_path / f"{kind}.geojson"
    file.write_bytes(reader.get(f"/api/v1/{kind}?f=geojson").content)

    done = subprocess.run(
        [ogrinfo, "-al", "-so", str(file)], capture_output=True, text=True, check=True
    )

    assert done.stderr == ""
    assert "WARNING" not in done.stdout.upper()
    assert f"Feature Count: {KINDS[kind][2]}\n" in done.stdout
    assert 'ID["EPSG",4326]' in done.stdout
    if kind == "units":
        for line in (
            "unit_type: String",
            "fid: Integer",
            "level_index: Integer",
            "leasable_area_m2: Real",
            "geometric_area_m2: Real",
            "usable_from: Date",
            "area_measured_on: Date",
            "synthetic: Integer(Boolean)",
            "park_name_zh: String",
        ):
            assert line in done.stdout, line
        assert "Geometry: Polygon" in done.stdout
