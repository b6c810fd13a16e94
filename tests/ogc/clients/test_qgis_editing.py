"""QGIS draws a parcel, saves, changes and deletes it; and what it sends works without it, too.

What QGIS sends is written down once, as ``steps``. A real one (3.32 or later) is held against that
in the long run; each run, the steps are sent by hand.
"""

import http.client
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from shapely import Polygon, get_coordinates
from shapely.geometry import mapping, shape
from sqlalchemy import text

from app.models.space import Park
from app.security.actors import Role
from tests import factories as make
from tests.ogc.clients.conftest import Asked, Served

ITEMS = "/ogc/collections/parcels/items"
CODE = "DRAWN-IN-QGIS"
#: A folder with a Debian that has it, where the machine's own is older:
#: ``mmdebstrap --variant=apt --include=python3-qgis,qgis-providers trixie FOLDER``
ROOT = os.environ.get("SPACE_RELAY_TEST_QGIS_ROOT")
#: The first that writes to OGC API - Features, as QGIS numbers itself.
FIRST_THAT_WRITES = 33200
_DRAWS = """
import json, os, sys
from qgis.core import (
    QgsApplication, QgsAuthMethodConfig, QgsFeature, QgsGeometry, QgsVectorLayer)
work = json.load(sys.stdin)
application = QgsApplication([b"qgis"], False)
application.initQgis()
manager = application.authManager()
manager.setMasterPassword("of this test", True)
known = QgsAuthMethodConfig("APIHeader")
known.setName("Space Relay")
known.setConfigMap({"Authorization": work["authorization"]})
manager.storeAuthenticationConfig(known)
layer = QgsVectorLayer(
    f" authcfg={known.id()} pagingEnabled='true' pageSize='1000' restrictToRequestBBOX='1'"
    f" srsname='{work['srs']}' typename='parcels' url='{work['url']}'"
    " version='OGC_API_FEATURES'", "parcels", "OAPIF")
told = {"valid": layer.isValid(), "steps": {}}
def saved(name):
    done = layer.commitChanges(False)
    told["steps"][name] = [] if done else layer.commitErrors()
def ours():
    return [one for one in layer.getFeatures() if one["code"] == work["properties"]["code"]]
layer.startEditing()
feature = QgsFeature(layer.fields())
feature.setGeometry(QgsGeometry.fromWkt(work["whole"]))
for name, value in work["properties"].items():
    feature.setAttribute(name, value)
layer.addFeature(feature)
saved("draw")
told["found"] = [one["park_name_zh"] for one in ours()]
if told["found"]:
    number = ours()[0].id()
    layer.changeGeometry(number, QgsGeometry.fromWkt(work["half"]))
    saved("redraw")
    for name, value in work["changed"].items():
        layer.changeAttributeValue(number, layer.fields().indexOf(name), value)
    saved("change")
    layer.reload()
    told["read"] = [{name: one[name] for name in work["changed"]} for one in ours()]
    layer.deleteFeature(number)
    saved("delete")
print(json.dumps(told))
sys.stdout.flush()
os._exit(0)
"""


@dataclass(frozen=True)
class Step:
    """One call that QGIS makes to write; ``fid`` in its path is the number it was answered."""

    name: str
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Work:
    """What a planner does: the lane between two plots of Gene Island, and half of it."""

    authorization: str
    whole: Polygon
    half: Polygon
    properties: dict[str, Any]
    changed: dict[str, Any]


@pytest.fixture
def work(gis: Served) -> Iterator[Work]:
    park = gis.session.query(Park).filter_by(code="gene_island").one()
    headers = make.staff_headers(gis.session, Role.MANAGER, park_ids=[park.id])
    gis.session.commit()
    with urlopen(f"{gis.url}/collections/parcels/items?park_code=gene_island&sortby=code") as read:  # noqa: S310
        first, second = (
            get_coordinates(shape(one["geometry"])) for one in json.load(read)["features"]
        )
    east, west = ([(round(x, 6), round(y, 6)) for x, y in one[:4]] for one in (first, second))
    half_east, half_west = (
        tuple(round((a + b) / 2, 7) for a, b in zip(*side, strict=True))
        for side in ((east[0], east[3]), (west[1], west[2]))
    )
    yield Work(
        headers["Authorization"],
        Polygon([west[1], east[0], east[3], west[2]]),
        Polygon([west[1], east[0], half_east, half_west]),
        {
            "code": CODE,
            "name_zh": "新地块",
            "name_en": "New plot",
            "land_use_code": "M1",
            "tenure": "grant",
            "park_code": "gene_island",
        },
        {"name_zh": "巷地", "height_limit_m": 24.5},
    )
    gis.session.execute(text("DELETE FROM parcels WHERE code = :code"), {"code": CODE})
    gis.session.commit()


def steps(work: Work, fields: Sequence[str], crs: str | None) -> list[Step]:
    """What QGIS sends: nothing of an ETag, all fields of what is new, and of a change that alone.

    What is new has six decimals, what is changed all. ``crs`` is that of the layer, where it is not
    CRS84; coordinates are in its order of axes.
    """

    def drawn(outline: Polygon) -> Any:
        corners = mapping(outline)["coordinates"][0]
        return {
            "type": "Polygon",
            "coordinates": [[list(one[::-1] if crs else one) for one in corners]],
        }

    one = f"{ITEMS}/{{fid}}"
    frame = {"content-crs": crs} if crs else {}
    whole = {"content-type": "application/geo+json", **frame}
    part = {"content-type": "application/merge-patch+json"}
    new = {
        "type": "Feature",
        "geometry": drawn(work.whole),
        "properties": dict.fromkeys(fields) | work.properties,
    }
    return [
        Step("which methods the layer takes", "OPTIONS", ITEMS),
        Step("which methods a feature takes", "OPTIONS", f"{ITEMS}/1"),
        Step("draw", "POST", ITEMS, whole, new),
        Step("redraw", "PATCH", one, part | frame, {"geometry": drawn(work.half)}),
        Step("change", "PATCH", one, part, {"properties": work.changed}),
        Step("delete", "DELETE", one),
    ]


def created(raw: Sequence[tuple[str, str]]) -> str | None:
    """The number of what was drawn, as QGIS takes it from an answer: from ``Location`` so spelt."""
    place = next((value for name, value in raw if name == "Location"), "")
    return place.rpartition("/items/")[2] or None


def sent(gis: Served, step: Step, fid: str, authorization: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", gis.port, timeout=30)
    headers = {"Authorization": authorization, **step.headers}
    body = None if step.body is None else json.dumps(step.body)
    connection.request(step.method, step.path.format(fid=fid), body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize(
    "crs", [None, "http://www.opengis.net/def/crs/EPSG/0/4326"], ids=["crs84", "epsg4326"]
)
def test_what_qgis_sends_is_done(gis: Served, work: Work, crs: str | None) -> None:
    with urlopen(f"{gis.url}/collections/parcels/schema") as read:  # noqa: S310
        schema = json.load(read)["properties"]
    fields = [name for name, one in schema.items() if not one.get("format", "").startswith("geom")]
    fid, answers = "", {}
    for step in steps(work, fields, crs):
        answers[step.name] = answer = sent(gis, step, fid, work.authorization)
        if step.name == "draw":
            fid = created(answer.getheaders()) or ""

    layer, feature = (
        set((answer.getheader("Allow") or "").split(", ")) for answer in list(answers.values())[:2]
    )
    assert "POST" in layer
    assert {"PUT", "PATCH", "DELETE"} <= feature
    assert {name: answer.status for name, answer in list(answers.items())[2:]} == {
        "draw": 201,
        "redraw": 200,
        "change": 200,
        "delete": 204,
    }


def test_qgis_takes_no_number_from_a_header_that_is_spelt_otherwise() -> None:
    """The control: this is how what was drawn was lost to QGIS."""
    assert created([("location", f"http://127.0.0.1{ITEMS}/7")]) is None
    assert created([("Location", f"http://127.0.0.1{ITEMS}/7")]) == "7"


@contextmanager
def qgis_that_writes(folder: Path) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Runs the work in a QGIS that writes, the machine's own or that of ``ROOT``; else skips."""
    places: list[tuple[list[str], Path]] = [(["/usr/bin/python3"], Path("/"))]
    if ROOT:
        places.append((["/usr/sbin/chroot", ROOT, "/usr/bin/python3"], Path(ROOT)))
    asked = (
        "import sys; from qgis.core import Qgis; sys.exit(Qgis.QGIS_VERSION_INT < int(sys.argv[1]))"
    )
    able = [
        place
        for place in places
        if subprocess.run(
            [*place[0], "-c", asked, str(FIRST_THAT_WRITES)], capture_output=True, check=False
        ).returncode
        == 0
    ]
    if not able:
        pytest.skip(
            f"no QGIS of {FIRST_THAT_WRITES} or later; SPACE_RELAY_TEST_QGIS_ROOT names one"
        )
    command, root = able[-1]
    home = folder if root == Path("/") else Path(tempfile.mkdtemp(dir=root / "tmp"))

    def run(work: dict[str, Any]) -> dict[str, Any]:
        inside = f"/{home.relative_to(root)}"
        done = subprocess.run(
            [*command, "-c", _DRAWS],
            env={
                "PATH": os.defpath,
                "HOME": inside,
                "XDG_RUNTIME_DIR": inside,
                "LANG": "C.UTF-8",
                "QT_QPA_PLATFORM": "offscreen",
            },
            input=json.dumps(work),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told

    yield run
    if home != folder:
        shutil.rmtree(home)


@pytest.mark.long
@pytest.mark.parametrize("srs", ["OGC:CRS84", "EPSG:4326"])
def test_a_real_qgis_draws_saves_changes_and_deletes(
    gis: Served, work: Work, tmp_path: Path, srs: str
) -> None:
    gis.asked.clear()
    with qgis_that_writes(tmp_path) as qgis:
        told = qgis(
            {
                "url": gis.url,
                "srs": srs,
                "authorization": work.authorization,
                "whole": work.whole.wkt,
                "half": work.half.wkt,
                "properties": work.properties,
                "changed": work.changed,
            }
        )

    assert told["valid"] is True
    assert told["steps"] == {"draw": [], "redraw": [], "change": [], "delete": []}
    assert told["found"] == ["张江基因岛"]
    assert told["read"] == [work.changed]
    assert gis.count(f"SELECT count(*) FROM parcels WHERE code = '{CODE}'") == 0  # noqa: S608

    # The steps that are sent by hand are those that it sent.
    calls = [one for one in gis.asked if one.method != "GET"]
    (posted,) = [json.loads(one.body) for one in calls if one.method == "POST"]
    crs = None if srs == "OGC:CRS84" else "http://www.opengis.net/def/crs/EPSG/0/4326"
    wanted = steps(work, sorted(posted["properties"]), crs)
    fid = calls[-1].path.rpartition("/")[2]
    assert [_as_step(one, step.name) for one, step in zip(calls, wanted, strict=True)] == [
        Step(one.name, one.method, one.path.format(fid=fid), one.headers, one.body)
        for one in wanted
    ]
    assert all("if-match" not in one.headers for one in calls)


def _as_step(call: Asked, name: str) -> Step:
    told = {
        key: value
        for key, value in call.headers.items()
        if key in {"content-type", "content-crs"} and call.body
    }
    return Step(name, call.method, call.path, told, json.loads(call.body) if call.body else None)
