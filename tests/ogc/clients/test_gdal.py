"""GDAL reads the park by its OAPIF driver: right counts, right types, few questions."""

import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from shapely.geometry import shape

from app.ogc.collections import COLLECTIONS
from tests.ogc.clients.conftest import Served

pytestmark = pytest.mark.skipif(
    shutil.which("ogr2ogr") is None and not os.environ.get("CI"), reason="gdal-bin is missing"
)

#: Features a page, and calls for features that are not pages of the answer (GDAL looks first).
PAGE, LOOKS = 1000, 2
_OPTIONS = ("-oo", f"PAGE_SIZE={PAGE}")


def gdal(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, done.stderr
    return done.stdout


def count(told: str) -> int:
    found = re.search(r"Feature Count: (\d+)", told)
    assert found, told
    return int(found[1])


def saved(gis: Served, collection: str, to: Path, *words: str, query: str = "") -> list[dict]:  # type: ignore[type-arg]
    """The features that GDAL writes when it copies a collection."""
    source = f"OAPIF:{gis.url}{query}"
    gdal("ogr2ogr", "-f", "GeoJSON", str(to), source, collection, *_OPTIONS, *words)
    features: list[dict] = json.loads(to.read_text(encoding="utf-8"))["features"]  # type: ignore[type-arg]
    return features


def test_one_address_lists_all_collections(gis: Served) -> None:
    told = gdal("ogrinfo", "-ro", f"OAPIF:{gis.url}")

    for id_ in COLLECTIONS:
        assert re.search(rf"\b{id_}\b", told), told


def test_units_arrive_whole_in_pages_of_a_thousand(gis: Served, tmp_path: Path) -> None:
    units = gis.count("SELECT count(*) FROM units")
    gis.asked.clear()

    file = tmp_path / "units.gpkg"
    gdal("ogr2ogr", "-f", "GPKG", str(file), f"OAPIF:{gis.url}", "units", *_OPTIONS)

    pages = gis.pages("units")
    assert len(pages) <= math.ceil(units / PAGE) + LOOKS, pages
    told = gdal("ogrinfo", "-ro", "-so", str(file), "units")
    assert count(told) == units
    for column, kind in (
        ("code", "String"),
        ("name_zh", "String"),
        ("leasable_area_m2", "Real"),
        ("floor_load_kn_m2", "Real"),
        ("level_index", r"Integer(?:64)?"),
        ("usable_from", "Date"),
        ("synthetic", r"Integer\(Boolean\)"),
    ):
        assert re.search(rf"^{column}: {kind} ", told, re.MULTILINE), (column, told)


def test_text_and_outlines_survive(gis: Served, tmp_path: Path) -> None:
    features = saved(gis, "parks", tmp_path / "parks.geojson")

    names = {one["properties"]["name_zh"] for one in features}
    assert "张江基因岛" in names
    outlines = [shape(one["geometry"]) for one in features if one["geometry"]]
    assert outlines
    assert all(one.is_valid and 120 < one.centroid.x < 123 for one in outlines)
    assert len(features) == gis.count("SELECT count(*) FROM parks")


def test_what_is_asked_of_attributes_is_answered_by_the_server(gis: Served, tmp_path: Path) -> None:
    wanted = gis.count("SELECT count(*) FROM units WHERE unit_type = 'pilot' AND is_ground_floor")
    gis.asked.clear()

    features = saved(
        gis,
        "units",
        tmp_path / "pilot.geojson",
        *("-where", "unit_type = 'pilot' AND level_index = 0"),
    )

    pages = gis.pages("units")
    ground = [one for one in features if one["properties"]["is_ground_floor"]]
    assert len(ground) == len(features) == wanted
    pushed = [one for one in pages if "unit_type = 'pilot'" in one.get("filter", "")]
    assert pushed, pages
    assert len(pages) <= math.ceil(wanted / PAGE) + LOOKS + 1


#: What a planner types behind ``-where``, and the same of the database.
_WHERE = (
    ("usable_from >= '2027/03/01'", "usable_from >= '2027-03-01'"),
    ("usable_from < '2027-03-01'", "usable_from < '2027-03-01'"),
    ("usable_from = '2027/03/01'", "usable_from = '2027-03-01'"),
    (
        "usable_from BETWEEN '2026/01/01' AND '2027/03/01'",
        "usable_from BETWEEN '2026-01-01' AND '2027-03-01'",
    ),
    (
        "floor_load_kn_m2 >= 10 AND synthetic = 1 AND NOT (unit_type = 'pilot')",
        "load >= 10 AND synthetic AND unit_type <> 'pilot'",
    ),
    (
        "code ILIKE 'GENE%' OR leasable_area_m2 > 2000.5",
        "code ILIKE 'gene%' OR leasable_area_m2 > 2000.5",
    ),
    ("usable_from IS NULL", "usable_from IS NULL"),
)


@pytest.mark.parametrize(("typed", "sql"), _WHERE, ids=[typed for typed, _ in _WHERE])
def test_every_comparison_is_answered_by_the_server_and_rightly(
    gis: Served, typed: str, sql: str
) -> None:
    shown = (
        "SELECT u.*, lower(u.usable) AS usable_from,"
        " coalesce(u.floor_load_kn_m2, f.floor_load_kn_m2) AS load FROM unit_terms u"
    )
    wanted = gis.count(
        f"SELECT count(*) FROM ({shown} JOIN floors f ON f.id = u.floor_id"  # noqa: S608
        " WHERE u.known_until IS NULL AND u.valid @> current_date) AS terms WHERE " + sql
    )
    gis.asked.clear()

    told = gdal(
        *("ogrinfo", "-ro", "-al", "-so", *_OPTIONS, "-where", typed),
        *(f"OAPIF:{gis.url}", "units"),
    )

    assert count(told) == wanted
    asked = [one for one in gis.pages("units") if "filter" in one]
    assert {one["filter-lang"] for one in asked} == {"cql-text"}


def test_without_its_language_gdal_asks_another_question(gis: Served) -> None:
    """The control: of a comparison with a date it made days that are asked about."""
    asked = urlencode({"datetime": "2027-03-01/..", "resultType": "hits"})
    with urlopen(f"{gis.url}/collections/units/items?{asked}") as answer:  # noqa: S310
        found = json.load(answer)["numberMatched"]

    assert found > 2 * gis.count("SELECT count(*) FROM units WHERE lower(usable) >= '2027-03-01'")


def test_a_box_is_answered_by_the_server(gis: Served) -> None:
    box = ("121.58", "31.17", "121.64", "31.22")
    west, south, east, north = box
    wanted = gis.count(
        "SELECT count(*) FROM buildings"  # noqa: S608  (our own numbers)
        f" WHERE geom && ST_MakeEnvelope({west}, {south}, {east}, {north}, 4326)"
    )
    assert 0 < wanted < gis.count("SELECT count(*) FROM buildings")
    gis.asked.clear()

    told = gdal(
        *("ogrinfo", "-ro", "-al", "-so", f"OAPIF:{gis.url}", "buildings", *_OPTIONS),
        *("-spat", *box),
    )

    assert count(told) == wanted
    assert any("bbox" in one for one in gis.pages("buildings"))


def test_the_park_of_a_day_to_come_is_an_address(gis: Served, tmp_path: Path) -> None:
    day = "2027-03-01"
    features = saved(gis, "free_space", tmp_path / "free.geojson", query=f"?datetime={day}")

    assert features
    for one in features:
        told = one["properties"]
        assert told["free_from"] <= day
        assert told["free_until"] is None or told["free_until"] > day
    now = saved(gis, "free_space", tmp_path / "now.geojson")
    assert {one["properties"]["code"] for one in now} != {
        one["properties"]["code"] for one in features
    }
