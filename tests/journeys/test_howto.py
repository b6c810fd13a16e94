"""What the how-to pages tell a planner to type, typed against a real server; and real QGIS."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.conftest import ROOT
from tests.journeys.pages import blocks, typed

HOWTO = ROOT / "docs" / "howto"
#: Opens a project in QGIS without a screen, and tells what its layers are and hold.
_OPENS = """
import os, sys
from qgis.core import QgsApplication, QgsFeatureRequest, QgsProject, QgsRectangle
application = QgsApplication([b"qgis"], False)
application.initQgis()
project = QgsProject.instance()
print("read", project.read(sys.argv[1]))
around = QgsFeatureRequest().setFilterRect(QgsRectangle(121.59, 31.18, 121.63, 31.22))
for layer in project.mapLayers().values():
    place = layer.fields().indexFromName("code")
    print(layer.id(), layer.isValid(), layer.name().split()[0], layer.attributeAlias(place),
          len(list(layer.getFeatures(around))))
free = project.mapLayer("space_relay_free_space")
free.setSubsetString("\\"unit_type\\" = 'pilot'")
print("pilot", len(list(free.getFeatures())))
free.setSubsetString("\\"level_index\\" = 2")
print("third", len(list(free.getFeatures())))
parcels = project.mapLayer("space_relay_parcels")
form, fields = parcels.editFormConfig(), parcels.fields()
print("form", [form.readOnly(fields.indexFromName(one)) for one in ("code", "park_name_zh")])
print("words", [one.label() for one in free.renderer().categories()])
sys.stdout.flush()
os._exit(0)
"""


def test_gdal_does_what_the_page_says(served: tuple[Path, int]) -> None:
    if shutil.which("ogrinfo") is None:
        assert not os.environ.get("CI"), "gdal-bin is missing"
        pytest.skip("gdal-bin is not here")
    folder, port = served
    lines = "\n".join(["set -e", *blocks(HOWTO / "gdal.md")])

    done = typed(lines.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), folder)

    assert done.returncode == 0, done.stderr
    assert "8: free_space (title: 可用空间 Free space) (Polygon)" in done.stdout
    counts = [int(one) for one in re.findall(r"Feature Count: (\d+)", done.stdout)]
    whole, pilot, later, strong, file, strong_file, parcels = counts
    assert whole == file > 1000 > pilot > 0
    assert strong == strong_file > 0
    assert parcels > 0
    assert 0 < later < strong
    assert "floor_load_kn_m2: Real" in done.stdout
    assert "free_from: Date" in done.stdout
    assert "ERROR" not in done.stderr


def test_a_planner_draws_as_the_page_says(served: tuple[Path, int]) -> None:
    if shutil.which("ogrinfo") is None:
        assert not os.environ.get("CI"), "gdal-bin is missing"
        pytest.skip("gdal-bin is not here")
    folder, port = served
    lines = "\n".join(["set -e", *blocks(HOWTO / "drawing.md")])

    done = typed(lines.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), folder)

    assert done.returncode == 0, done.stderr
    free, gone = (int(one) for one in re.findall(r"Feature Count: (\d+)", done.stdout))
    assert free > 0
    assert "POST" in next(line for line in done.stdout.splitlines() if line.startswith("allow"))
    drawn, changed, restored = (
        json.loads(one) for one in re.findall(r'\{"collection".*?\}', done.stdout)
    )
    assert drawn["etag"] == restored_tag(folder) != changed["etag"]
    assert (restored["code"], restored["fid"]) == ("LANE-1", drawn["fid"])
    replaced = json.loads((folder / "former.json").read_text(encoding="utf-8"))["items"]
    assert [one["properties"] for one in replaced] == [{"height_limit_m": None}]
    assert gone == 1


def restored_tag(folder: Path) -> str:
    """The tag of what was drawn, before it was changed."""
    told = (folder / "drawn.txt").read_text(encoding="utf-8")
    found = re.search(r"^etag: (.*?)\r?$", told, re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.long
def test_qgis_opens_the_project(served: tuple[Path, int], tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    can = subprocess.run([python, "-c", "import qgis.core"], capture_output=True, check=False)
    if can.returncode:
        pytest.skip("python3-qgis is not here")
    _folder, port = served
    address = f"http://127.0.0.1:{port}/ogc"
    with urlopen(f"{address}/qgis/project.qgs?datetime=2027-03-01") as answer:  # noqa: S310
        (tmp_path / "park.qgs").write_bytes(answer.read())
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "opens.py").write_text(_OPENS, encoding="utf-8")

    done = subprocess.run(
        [python, str(tmp_path / "opens.py"), str(tmp_path / "park.qgs")],
        env={
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout

    assert "read True" in done
    for id_, title, level in (
        ("free_space", "可用空间", "&level=0"),
        ("floors", "楼层", "&level=0"),
        ("parcels", "地块", ""),
    ):
        asked = f"{address}/collections/{id_}/items?datetime=2027-03-01{level}&resultType=hits"
        with urlopen(f"{asked}&bbox=121.59,31.18,121.63,31.22") as answer:  # noqa: S310
            matched = re.search(r'"numberMatched":(\d+)', answer.read().decode())
        assert matched is not None
        assert f"space_relay_{id_} True {title} 编码 {matched[1]}\n" in done
    with urlopen(  # noqa: S310
        f"{address}/collections/free_space/items?datetime=2027-03-01&unit_type=pilot&resultType=hits"
    ) as answer:
        assert f'"numberMatched":{_told(done, "pilot")},' in answer.read().decode()
    with urlopen(  # noqa: S310
        f"{address}/collections/free_space/items?datetime=2027-03-01&level=2&resultType=hits"
    ) as answer:
        assert f'"numberMatched":{_told(done, "third")},' in answer.read().decode()
    assert "form [False, True]" in done
    assert "'孵化', '加速', '中试'" in done


def _told(text: str, word: str) -> str:
    found = re.search(rf"^{word} (\d+)$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]
