"""Files of a collection: whatever the format, what `/items` would have shown, read by real GDAL."""

import csv
import io
import json
import re
import sqlite3
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from shapely import from_wkt, hausdorff_distance
from shapely.geometry import shape

from app.ogc.collections import COLLECTIONS
from app.ogc.downloads import asked, packing, writer
from app.ogc.fields import Kind

FORMATS = ["geojson", "geojsonseq", "csv", "fgb", "gpkg"]
DAY = {"datetime": "2027-03-01"}
PILOT = {**DAY, "unit_type": "pilot", "filter": "floor_load_kn_m2 >= 7.5"}
GK_123 = "http://www.opengis.net/def/crs/EPSG/0/4550"

Answer = dict[str, Any]


def download(client: TestClient, collection: str, name: str, **parameters: str) -> Response:
    given = {"f": name, **{key.replace("_crs", "-crs"): one for key, one in parameters.items()}}
    return client.get(f"/ogc/collections/{collection}/download", params=given)


def items(client: TestClient, collection: str, **parameters: str) -> dict[int, Answer]:
    answer = client.get(
        f"/ogc/collections/{collection}/items", params={"limit": "10000", **parameters}
    )
    assert answer.status_code == 200, answer.text
    return {one["id"]: one for one in answer.json()["features"]}


def ogrinfo(file: Path, *options: str) -> str:
    done = subprocess.run(
        ["ogrinfo", "-ro", "-al", *options, str(file)], capture_output=True, text=True, check=True
    )
    assert "ERROR" not in done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.fixture
def saved(tmp_path: Path, seeded_client: TestClient) -> Any:
    def save(collection: str, name: str, **parameters: str) -> Path:
        answer = download(seeded_client, collection, name, **parameters)
        assert answer.status_code == 200, answer.text
        file = tmp_path / f"{collection}.{name}"
        file.write_bytes(answer.content)
        return file

    return save


@pytest.mark.parametrize("name", FORMATS)
def test_gdal_reads_as_many_as_items_shows(
    seeded_client: TestClient, saved: Any, name: str
) -> None:
    expected = items(seeded_client, "free_space", **PILOT)

    told = ogrinfo(saved("free_space", name, **PILOT), "-so")

    assert expected
    assert f"Feature Count: {len(expected)}\n" in told
    assert "Geometry: Polygon" in told or name == "csv"


def test_text_formats_have_the_very_values_that_items_shows(seeded_client: TestClient) -> None:
    expected = items(seeded_client, "free_space", **PILOT)

    collection = json.loads(download(seeded_client, "free_space", "geojson", **PILOT).content)
    sequence = download(seeded_client, "free_space", "geojsonseq", **PILOT).content
    table = download(seeded_client, "free_space", "csv", **PILOT).content

    assert {one["id"]: one for one in collection["features"]} == expected
    assert collection["numberReturned"] == len(expected)
    texts = sequence.decode().split("\x1e")
    assert texts[0] == ""
    assert {one["id"]: one for one in map(json.loads, texts[1:])} == expected
    assert table.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    assert list(rows[0]) == ["fid", *COLLECTIONS["free_space"].fields, "WKT"]
    for row in rows:
        feature = expected.pop(int(row["fid"]))
        for key, value in feature["properties"].items():
            assert row[key] == _as_cell(value), key
        assert hausdorff_distance(from_wkt(row["WKT"]), shape(feature["geometry"])) < 2e-7
    assert not expected


def test_a_geopackage_has_types_titles_and_coded_values(
    seeded_client: TestClient, saved: Any
) -> None:
    expected = items(seeded_client, "free_space", **PILOT)
    file = saved("free_space", "gpkg", **PILOT)

    told = ogrinfo(file, "-so")

    kinds = dict(re.findall(r"^(\w+): ([\w()]+) \(", told, re.MULTILINE))
    assert kinds == {name: _OGR[one.kind] for name, one in COLLECTIONS["free_space"].fields.items()}
    assert "FID Column = fid" in told
    with sqlite3.connect(file) as read:
        read.row_factory = sqlite3.Row
        rows = {row["fid"]: dict(row) for row in read.execute("SELECT * FROM free_space")}
        titles = dict(read.execute("SELECT column_name, title FROM gpkg_data_columns").fetchall())
        codes = dict(
            read.execute(
                "SELECT value, description FROM gpkg_data_column_constraints"
                " WHERE constraint_name = 'unit_type'"
            ).fetchall()
        )
    read.close()
    assert rows.keys() == expected.keys()
    for fid, row in rows.items():
        for key, value in expected[fid]["properties"].items():
            if COLLECTIONS["free_space"].fields[key].kind is Kind.INSTANT and value is not None:
                # Milliseconds in the file, microseconds in JSON.
                assert datetime.fromisoformat(row[key]).replace(microsecond=0) == (
                    datetime.fromisoformat(value).replace(microsecond=0)
                )
            else:
                assert row[key] == value, key
    assert titles["floor_load_kn_m2"] == "楼面活荷载"
    assert codes["pilot"] == "中试"
    domain = subprocess.run(
        ["ogrinfo", "-ro", "-fielddomain", "unit_type", str(file)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "pilot: 中试" in domain


@pytest.mark.parametrize("name", ["gpkg", "fgb", "csv"])
def test_other_systems_are_written_east_first(saved: Any, name: str) -> None:
    told = ogrinfo(saved("zones", name, crs=GK_123), "-so")

    if name == "csv":
        table = saved("zones", name, crs=GK_123).read_text("utf-8-sig")
        first = next(csv.DictReader(io.StringIO(table)))
        west, south, _east, _north = from_wkt(first["WKT"]).bounds
    else:
        west, south = map(float, re.search(r"Extent: \(([\d.]+), ([\d.]+)\)", told).groups())  # type: ignore[union-attr]
        assert "Gauss-Kruger CM 123E" in told
    assert 200_000 < west < 500_000
    assert 3_300_000 < south < 3_600_000


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_found_is_a_file_too(saved: Any, name: str) -> None:
    file = saved("units", name, filter="floor_load_kn_m2 > 99", **DAY)

    if name == "geojsonseq":
        assert file.read_bytes() == b""
        return
    told = ogrinfo(file, "-so")
    assert "Feature Count: 0" in told
    if name in {"gpkg", "fgb"}:
        assert "floor_load_kn_m2: Real" in told


@pytest.mark.parametrize(
    ("collection", "name"), [*((one, "gpkg") for one in COLLECTIONS), ("plots", "fgb")]
)
def test_every_collection_can_be_taken_home(saved: Any, collection: str, name: str) -> None:
    assert re.search(r"Feature Count: [1-9]", ogrinfo(saved(collection, name), "-so"))


def test_the_file_has_a_chinese_name_and_one_for_old_programs(seeded_client: TestClient) -> None:
    header = download(seeded_client, "free_space", "gpkg", **DAY).headers["content-disposition"]

    assert header.isascii()
    assert 'filename="free_space_2027-03-01.gpkg"' in header
    assert unquote(header.rpartition("''")[2]) == "可用空间_2027-03-01.gpkg"
    head = seeded_client.head("/ogc/collections/zones/download", params={"f": "fgb"})
    assert head.status_code == 200
    assert head.headers["content-type"] == "application/flatgeobuf"
    assert head.content == b""


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"f": "shp"}, "geojson"),
        ({"f": "geojson", "crs": GK_123}, "gpkg"),
        ({"f": "gpkg", "datum": "GCJ02"}, "datum"),
        ({"f": "gpkg", "datum": "WGS72"}, "GCJ02"),
        ({"f": "gpkg", "limit": "5"}, "limit"),
        ({"f": "gpkg", "filter": "nothing > 5"}, "nothing"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_sent(
    seeded_client: TestClient, parameters: dict[str, str], word: str
) -> None:
    answer = seeded_client.get("/ogc/collections/units/download", params=parameters)

    assert answer.status_code == 400
    assert word in answer.text


def test_too_many_features_are_refused_never_cut_off(
    seeded_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = len(items(seeded_client, "zones"))
    monkeypatch.setattr("app.routers.ogc.downloads.PUBLIC_MOST", zones)
    whole = download(seeded_client, "zones", "csv")
    monkeypatch.setattr("app.routers.ogc.downloads.PUBLIC_MOST", zones - 1)

    refused = download(seeded_client, "zones", "csv")

    assert whole.status_code == 200
    assert whole.text.count("\n") == zones + 1
    assert refused.status_code == 400
    assert str(asked.KNOWN_MOST) in refused.json()["errors"][0]["detail"]


def test_a_formula_in_a_name_is_only_text(seeded_client: TestClient, seeded_session: Any) -> None:
    from sqlalchemy import text  # noqa: PLC0415

    seeded_session.execute(text("UPDATE zones SET name_en = '=1+1' WHERE code = 'core_zhangjiang'"))
    seeded_session.commit()
    rows = csv.DictReader(io.StringIO(download(seeded_client, "zones", "csv").text))

    assert "'=1+1" in {row["name_en"] for row in rows}


# The writer.


@pytest.fixture
def slow_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A writer that never ends, and says who it is."""
    script = tmp_path / "slow.py"
    script.write_text(
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    monkeypatch.setattr(writer, "__file__", str(script))
    monkeypatch.setattr(packing, "SECONDS", 1)
    return tmp_path


def test_a_writer_that_does_not_end_is_ended_and_leaves_nothing(
    seeded_client: TestClient, slow_writer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = slow_writer / "made"
    made.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(made))
    begun = time.monotonic()

    answer = download(seeded_client, "zones", "gpkg")

    assert answer.status_code == 503
    assert time.monotonic() - begun < 10
    assert not list(made.iterdir())


def test_the_writer_knows_nothing_of_the_machine(
    seeded_client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "telling.py"
    script.write_text(
        "import json, os, sys\n"
        "sys.stdin.read()\n"
        f"json.dump([dict(os.environ), os.getcwd()], open({str(tmp_path / 'told')!r}, 'w'))\n"
        "open('out.gpkg', 'wb').write(b'done')\n"
    )
    monkeypatch.setattr(writer, "__file__", str(script))
    monkeypatch.setenv("SPACE_RELAY_SECRET", "a word that must stay here")

    answer = download(seeded_client, "zones", "gpkg")

    assert answer.content == b"done"
    surroundings, folder = json.loads((tmp_path / "told").read_text())
    assert "a word that must stay here" not in json.dumps(surroundings)
    assert not Path(folder).exists()


_OGR = {
    Kind.TEXT: "String",
    Kind.ID: "String",
    Kind.WHOLE: "Integer64",
    Kind.NUMBER: "Real",
    Kind.TRUTH: "Integer(Boolean)",
    Kind.DAY: "Date",
    Kind.INSTANT: "DateTime",
}


def _as_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
