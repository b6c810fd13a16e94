"""QGIS without a screen adds the one address and sees Gene Island on a day to come."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.ogc.clients.conftest import Served

PYTHON = "/usr/bin/python3"
DAY = "2027-03-01"
AROUND = (121.59, 31.18, 121.63, 31.22)
#: What a planner types as the layer's filter, as docs/howto/qgis.md has it.
FILTER = '"park_code" = \'gene_island\' AND "floor_load_kn_m2" >= 5'
#: Run by the system's Python, which has QGIS. It leaves without tidying up, in which QGIS crashes.
_LOOKS = """
import json, os, sys
from qgis.core import QgsApplication, QgsFeatureRequest, QgsRectangle, QgsVectorLayer
url, name, corners, wanted = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
application = QgsApplication([b"qgis"], False)
application.initQgis()
layer = QgsVectorLayer(
    f" pagingEnabled='true' pageSize='1000' restrictToRequestBBOX='1' srsname='EPSG:4326'"
    f" typename='{name}' url='{url}' version='OGC_API_FEATURES'", name, "OAPIF")
told = {"valid": layer.isValid(), "crs": layer.crs().authid(),
        "types": {one.name(): one.typeName() for one in layer.fields()}}
if layer.isValid():
    around = QgsFeatureRequest().setFilterRect(QgsRectangle(*corners))
    told["near"] = [one["code"] for one in layer.getFeatures(around)]
    told["taken"] = layer.setSubsetString(wanted)
    found = list(layer.getFeatures())
    told["outlines"] = [one.geometry().isGeosValid() for one in found]
    told["found"] = [
        {field: str(one[field].toString("yyyy-MM-dd")) if hasattr(one[field], "toString")
         else one[field] if isinstance(one[field], (str, int, float)) else None
         for field in ("code", "park_code", "name_zh", "floor_load_kn_m2", "free_from")}
        for one in found]
print(json.dumps(told))
sys.stdout.flush()
os._exit(0)
"""

pytestmark = pytest.mark.long


def looked_at(url: str, layer: str, folder: Path) -> dict[str, Any]:
    """What QGIS tells of a layer of the service."""
    can = subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True, check=False)
    if can.returncode:
        pytest.skip("python3-qgis is not here")
    (folder / "run").mkdir(mode=0o700)
    (folder / "looks.py").write_text(_LOOKS, encoding="utf-8")
    done = subprocess.run(
        [PYTHON, str(folder / "looks.py"), url, layer, json.dumps(AROUND), FILTER],
        env={
            "PATH": os.defpath,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": str(folder / "run"),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def matched(gis: Served, **asked: str) -> int:
    """How many features of the day the service counts, by one statement of the database."""
    words = urlencode({"datetime": DAY, "resultType": "hits", **asked})
    with urlopen(f"{gis.url}/collections/free_space/items?{words}") as answer:  # noqa: S310
        found: int = json.load(answer)["numberMatched"]
    return found


def test_a_planner_sees_gene_island_on_a_day_to_come(gis: Served, tmp_path: Path) -> None:
    gis.asked.clear()  # what others asked before
    told = looked_at(f"{gis.url}?datetime={DAY}", "free_space", tmp_path)
    pages = gis.pages("free_space")

    assert told["valid"] is True
    assert told["crs"] in {"OGC:CRS84", "EPSG:4326"}
    assert told["types"]["floor_load_kn_m2"].lower() in {"real", "double"}
    assert told["types"]["free_from"].lower() == "date"
    assert told["types"]["code"].lower() == "string"

    # The view alone is asked for, of that day alone, in pages of a thousand.
    assert any("bbox" in one for one in pages), pages
    assert {one.get("datetime") for one in pages} == {DAY}
    assert {one.get("limit") for one in pages} & {"1000"}
    # Looks at one feature come before; then a page for the view and those of the whole layer.
    assert len(pages) <= 8, pages

    near = told["near"]
    assert len(near) == len(set(near)) == matched(gis, bbox=",".join(map(str, AROUND)))
    assert told["taken"] is True
    found = told["found"]
    assert 0 < len(found) == matched(gis, filter=FILTER) < matched(gis)
    assert all(told["outlines"])
    assert {one["park_code"] for one in found} == {"gene_island"}
    assert min(one["floor_load_kn_m2"] for one in found) >= 5
    assert max(one["free_from"] for one in found) <= DAY
    assert all(any("一" <= sign <= "鿿" for sign in one["name_zh"]) for one in found)


def test_a_layer_that_is_not_there_is_not_valid(gis: Served, tmp_path: Path) -> None:
    """The control: what the other test holds against the service can be otherwise."""
    told = looked_at(gis.url, "no_such_layer", tmp_path)

    assert told["valid"] is False
