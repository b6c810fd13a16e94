"""What is said of tiles is so: TileJSON, tilesets, the grid, the style; and nothing of it is
fetched from elsewhere."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mapbox_vector_tile import decode

from app.ogc.collections import COLLECTIONS
from app.ogc.documents import CONFORMANCE
from app.ogc.tiles.grid import GRID, GRID_ID, GRID_URI, MOST_ZOOM, Tile
from app.ogc.tiles.layers import MOST_BYTES, MOST_FEATURES
from tests.ogc.tiles.conftest import Served

BASE = "https://space.example/ogc"
HOWTO = Path(__file__).parents[3] / "docs/howto/maplibre.md"
#: Names that specifications have, and nobody fetches anything from.
NAMES = re.compile(r"^http://www\.opengis\.net/")


def below(served: Served, href: str) -> Any:
    """What a link leads to."""
    assert href.startswith(BASE), href
    answer = served.client.get(f"/ogc{href.removeprefix(BASE)}")
    assert answer.status_code == 200, (href, answer.text)
    return answer.json()


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def href_of(document: Any, rel: str) -> str:
    (found,) = {one["href"] for one in document["links"] if one["rel"].endswith(rel)}
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("start", ["", *(f"/collections/{name}" for name in COLLECTIONS)])
def test_tools_find_their_way_from_the_landing_page_to_a_tile(served: Served, start: str) -> None:
    begin = served.get(start).json()
    listed = below(served, href_of(begin, "/tilesets-vector"))
    (entry,) = listed["tilesets"]
    tileset = below(served, href_of(entry, "self"))
    grid = below(served, href_of(tileset, "/tiling-scheme"))
    tile = served.tile_of("GENE-ISLAND-1-B05", 17)
    template = href_of(tileset, "item")
    href = template.format(tileMatrix=tile.z, tileRow=tile.y, tileCol=tile.x)
    answer = served.client.get(f"/ogc{href.removeprefix(BASE)}")

    assert entry["dataType"] == tileset["dataType"] == "vector"
    assert entry["tileMatrixSetURI"] == tileset["tileMatrixSetURI"] == grid["uri"] == GRID_URI
    assert [one["id"] for one in grid["tileMatrices"]] == [str(z) for z in range(MOST_ZOOM + 1)]
    assert [one["tileMatrix"] for one in tileset["tileMatrixSetLimits"]] == [
        str(z) for z in range(MOST_ZOOM + 1)
    ]
    assert answer.status_code == 200
    assert set(decode(answer.content)) <= {layer["id"] for layer in tileset["layers"]}


def test_tilejson_asks_what_was_asked_and_says_its_limits(served: Served) -> None:
    path = f"/collections/free_space/tiles/{GRID_ID}/tilejson"
    found = served.get(path, datetime="2027-03-01", unit_type="pilot").json()
    tile = served.tile_of("GENE-ISLAND-1-B05", 16)
    (template,) = found["tiles"]
    href = template.format(z=tile.z, x=tile.x, y=tile.y)
    layers = decode(served.client.get(f"/ogc{href.removeprefix(BASE)}").content)
    west, south, east, north = found["bounds"]

    assert found["tilejson"] == "3.0.0"
    assert {one["properties"]["unit_type"] for one in layers["free_space"]["features"]} == {"pilot"}
    assert found["limits"] == {
        "most_features_per_layer": MOST_FEATURES,
        "most_bytes": MOST_BYTES,
    }
    assert "Tile-Truncated" in found["description"]
    assert (found["minzoom"], found["maxzoom"]) == (0, MOST_ZOOM)
    assert west < 121.6 < east
    assert south < 31.2 < north
    ranges = [(one["id"], one["minzoom"], one["maxzoom"]) for one in found["vector_layers"]]
    assert ranges == [
        ("free_space_parks", 0, 12),
        ("free_space_buildings", 13, 14),
        ("free_space", 15, MOST_ZOOM),
    ]
    totals = [(one["id"], one["aggregated_by"]) for one in found["vector_layers"][:2]]
    assert totals == [("free_space_parks", "parks"), ("free_space_buildings", "buildings")]
    assert "aggregated_by" not in found["vector_layers"][2]


def style(served: Served) -> Any:
    (listed,) = served.get("/styles").json()["styles"]
    answer = served.client.get(f"/ogc{href_of(listed, 'stylesheet').removeprefix(BASE)}")
    assert answer.headers["content-type"] == "application/vnd.mapbox.style+json"
    return answer.json()


def named_values(value: Any) -> Iterator[str]:
    """Names of attributes that an expression reads."""
    if isinstance(value, str):
        yield from re.findall(r"\{(\w+)\}", value)
    elif isinstance(value, list):
        if len(value) == 2 and value[0] == "get":
            yield value[1]
        for one in value:
            yield from named_values(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from named_values(one)


def test_a_style_reads_only_what_tiles_have(served: Served) -> None:
    found = style(served)
    tilejson = below(served, found["sources"]["space-relay"]["url"])
    layers = {one["id"]: one for one in tilejson["vector_layers"]}
    drawn = [one for one in found["layers"] if "source" in one]

    assert {one["source"] for one in drawn} == {"space-relay"}
    assert len({one["id"] for one in found["layers"]}) == len(found["layers"])
    for one in drawn:
        layer = layers[one["source-layer"]]
        assert set(named_values([one["paint"], one.get("layout"), one.get("filter")])) <= set(
            layer["fields"]
        ), one["id"]
        assert one.get("maxzoom", 24) > layer["minzoom"]
    # Every layer of the map is drawn, but those that are for tools.
    assert set(layers) - {one["source-layer"] for one in drawn} == {"floors"}


def test_a_style_of_a_day_has_the_tiles_of_that_day(served: Served) -> None:
    found = served.get("/styles/space-relay", datetime="2027-03-01", f="json").json()
    (template,) = below(served, found["sources"]["space-relay"]["url"])["tiles"]

    assert template.endswith("{z}/{y}/{x}?datetime=2027-03-01")
    for asked in ({"datetime": "soon"}, {"unit_type": "pilot"}, {"day": "2027-03-01"}):
        answer = served.get("/styles/space-relay", **asked)
        assert answer.status_code == 400, asked
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_map_opens_where_something_is_free(served: Served) -> None:
    found = style(served)
    tilejson = served.get(f"/tiles/{GRID_ID}/tilejson").json()
    west, south, east, north = tilejson["bounds"]

    zoom = found["zoom"]

    def free(lon: float, lat: float) -> int:
        at = GRID.tile(lon, lat, zoom)
        layers = served.layers("space-relay", Tile(at.z, at.x, at.y))
        return len(layers.get("free_space_buildings", {}).get("features", []))

    assert free(*found["center"]) > 0
    assert tilejson["center"] == [*found["center"], zoom]
    # The middle of all would not do.
    assert free((west + east) / 2, (south + north) / 2) == 0


_QGIS = """
import json, os, sys, tempfile
os.environ |= {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": tempfile.mkdtemp()}
from qgis.core import (
    QgsApplication, QgsMapBoxGlStyleConversionContext, QgsMapBoxGlStyleConverter
)
app = QgsApplication([b"q"], False)
app.initQgis()
converter = QgsMapBoxGlStyleConverter()
converter.convert(sys.stdin.read(), QgsMapBoxGlStyleConversionContext())
labels = {s.styleName(): s.labelSettings().fieldName for s in converter.labeling().styles()}
colours = {}
for s in converter.renderer().styles():
    layer = s.symbol().symbolLayer(0)
    active = layer.dataDefinedProperties()
    key = layer.PropertyFillColor
    colours[s.styleName()] = active.property(key).expressionString()
print(json.dumps({"labels": labels, "colours": colours}))
sys.stdout.flush()
os._exit(0)
"""


def test_qgis_reads_labels_and_colours_from_the_style(served: Served) -> None:
    python = Path("/usr/bin/python3")
    if not python.exists() or not Path("/usr/lib/python3/dist-packages/qgis").exists():
        pytest.skip("no QGIS")

    def read(found: Any) -> Any:
        answer = subprocess.run(
            [python, "-c", _QGIS],
            input=json.dumps(found),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return json.loads(answer.stdout.splitlines()[-1])

    found = style(served)
    converted = read(found)

    assert all(converted["labels"].values())
    assert converted["labels"].keys() >= {"park-names", "free-by-building-count", "unit-codes"}
    for name in ("units", "free-space"):
        assert "IN ('pilot')" in converted["colours"][name]
    # What it cannot read leaves a label empty.
    broken = next(one for one in found["layers"] if one["id"] == "park-names")
    broken["layout"]["text-field"] = ["coalesce", ["get", "name_zh"], ["get", "code"]]
    assert not read(found)["labels"]["park-names"]


def test_nothing_of_it_is_fetched_from_elsewhere(served: Served) -> None:
    documents = [
        style(served),
        served.get("/styles").json(),
        served.get(f"/tiles/{GRID_ID}/tilejson").json(),
        served.get(f"/tiles/{GRID_ID}").json(),
    ]
    addresses = [one for one in strings(documents) if "://" in one]

    assert addresses
    assert [one for one in addresses if not one.startswith(BASE) and not NAMES.match(one)] == []
    assert {"glyphs", "sprite"} & documents[0].keys() == set()


def test_units_are_told_apart_by_kind_and_what_is_free_is_stronger(served: Served) -> None:
    drawn = {one["id"]: one for one in style(served)["layers"]}
    units, free = drawn["units"]["paint"], drawn["free-space"]["paint"]
    colours = units["fill-color"][3::2]

    assert units["fill-color"] == free["fill-color"]
    assert len(set(colours)) == len(colours) == 5
    assert units["fill-opacity"] < free["fill-opacity"]


def test_the_api_document_has_the_tiles_of_each_collection(served: Served) -> None:
    document = served.get("/api").json()
    path = f"/collections/free_space/tiles/{GRID_ID}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    operation = document["paths"][path]["get"]
    names = {one.get("name") or one["$ref"].rpartition("/")[2] for one in operation["parameters"]}

    assert {"tileMatrix", "tileRow", "tileCol", "datetime", "filter", "level", "as_of"} <= names
    assert "application/vnd.mapbox-vector-tile" in operation["responses"]["200"]["content"]
    assert sum("/ogcapi-tiles-1/1.0/conf/" in one for one in CONFORMANCE) == 7
    references = set(re.findall(r'"#/components/parameters/(\w[\w-]*)"', json.dumps(document)))
    assert references <= set(document["components"]["parameters"])


def page() -> str:
    (found,) = re.findall(r"```html\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    assert isinstance(found, str)
    return found


def test_the_page_of_the_how_to_asks_for_what_there_is(served: Served) -> None:
    drawn = {one["id"] for one in style(served)["layers"]}
    html = page()
    script = html.rpartition("<script>")[2]

    assert served.client.get("/ogc/styles/space-relay").status_code == 200
    assert "/ogc/styles/space-relay" in script
    assert set(re.findall(r"setFilter\(\"([\w-]+)\"", script)) <= drawn
    named = re.findall(r"const LEVELLED = (\[.*?\]);", script)
    assert set(json.loads(named[0])) <= drawn
    assert "localIdeographFontFamily" in script


def test_the_script_of_the_how_to_is_a_script(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    script = tmp_path / "page.mjs"
    script.write_text(page().rpartition("<script>")[2].rpartition("</script>")[0])
    broken = tmp_path / "broken.mjs"
    broken.write_text(script.read_text().replace("(", "((", 1))

    assert subprocess.run([node, "--check", script], check=False).returncode == 0
    assert (
        subprocess.run([node, "--check", broken], check=False, capture_output=True).returncode != 0
    )


@pytest.mark.long
def test_the_style_is_one_by_its_specification(served: Served, tmp_path: Path) -> None:
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("no npx")
    tool = [npx, "--yes", "--package=@maplibre/maplibre-gl-style-spec@26.6.0", "gl-style-validate"]
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    found = style(served)
    good.write_text(json.dumps(found))
    found["layers"][1]["paint"]["line-colour"] = "#000000"
    bad.write_text(json.dumps(found))

    assert subprocess.run([*tool, good], check=False).returncode == 0
    assert subprocess.run([*tool, bad], check=False, capture_output=True).returncode != 0
