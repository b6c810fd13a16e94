"""The QGIS project: all layers from the address of the service, with Chinese names."""

from xml.etree import ElementTree as ET

import pytest
from fastapi.testclient import TestClient

from app.ogc.collections import COLLECTIONS
from app.ogc.qgis.project import layer_id

PROJECT = "/ogc/qgis/project.qgs"


@pytest.fixture
def project(seeded_client: TestClient) -> ET.Element:
    answer = seeded_client.get(PROJECT, params={"datetime": "2027-03-01"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].endswith('"space-relay-2027-03-01.qgs"')
    return ET.fromstring(answer.text)  # noqa: S314  (our own)


def test_every_collection_is_a_layer_read_from_this_address(
    project: ET.Element, seeded_client: TestClient
) -> None:
    layers = {one.findtext("id"): one for one in project.iter("maplayer")}

    assert layers.keys() == {layer_id(one) for one in COLLECTIONS}
    for id_, collection in COLLECTIONS.items():
        source = layers[layer_id(id_)].findtext("datasource") or ""
        parts = dict(one.split("=", 1) for one in source.split() if "='" in one)
        # Floors lie on each other: one level is looked at, by the filter that QGIS lets edit.
        assert ("filter='\"level_index\" = 0'" in source) == ("level_index" in collection.fields)
        day = "?datetime=2027-03-01" if collection.temporal else ""
        assert parts["url"] == f"'{seeded_client.base_url}/ogc{day}'"
        assert parts["typename"] == f"'{id_}'"
        aliases = {one.get("field"): one.get("name") for one in project.iter("alias")}
        assert aliases["floor_load_kn_m2"] == "楼面活荷载 (kN/m2)"
    tree = {one.get("id") for one in project.iter("layer-tree-layer")}
    assert tree == layers.keys()


def test_what_was_known_and_one_level_are_looked_at_wherever_a_layer_has_them(
    seeded_client: TestClient,
) -> None:
    view = {"as_of": "2026-11-01T08:00:00+08:00", "level": "2", "datetime": "2027-03-01"}
    answer = seeded_client.get(PROJECT, params=view)
    sources = {
        one.findtext("id"): (one.findtext("datasource") or "", one.findtext("layername") or "")
        for one in ET.fromstring(answer.text).iter("maplayer")  # noqa: S314  (our own)
    }

    asked = "datetime=2027-03-01&as_of=2026-11-01T08:00:00%2B08:00'"
    for id_ in ("free_space", "units"):
        assert f"/ogc?{asked}" in sources[layer_id(id_)][0]
    for id_ in ("free_space", "units", "floors"):
        assert "filter='\"level_index\" = 2'" in sources[layer_id(id_)][0]
        assert "（楼层 2）" in sources[layer_id(id_)][1]
    assert "/ogc'" in sources[layer_id("parcels")][0]
    title = "可用空间 2027-03-01 （截至 2026-11-01T08:00:00+08:00 所知） （楼层 2）"
    assert sources[layer_id("free_space")][1] == title
    # As QGIS asks for it, the address before the features and behind them.
    for path in ("", "/conformance", "/collections/free_space", "/collections/free_space/items"):
        found = seeded_client.get(f"/ogc{path}?{asked[:-1]}")
        assert found.status_code == 200, found.text
    level = seeded_client.get(f"/ogc/collections/free_space/items?{asked[:-1]}&level=2")
    assert {one["properties"]["level_index"] for one in level.json()["features"]} == {2}
    for bad in ({"level": "x"}, {"as_of": "2999-01-01T00:00:00Z"}, {"as_of": "soon"}):
        assert seeded_client.get(PROJECT, params=bad).status_code == 400, bad
        assert seeded_client.get("/ogc", params=bad).status_code == 400, bad
    assert seeded_client.get(f"{PROJECT}?level=0&level=1").status_code == 400


def test_forms_say_what_is_to_be_filled_in(project: ET.Element) -> None:
    layers = {one.findtext("id"): one for one in project.iter("maplayer")}
    parcels = layers[layer_id("parcels")]
    may = {one.get("name"): one.get("editable") for one in parcels.iterfind("editable/field")}
    must = {one.get("field") for one in parcels.iterfind("constraints/constraint")}

    assert must == {"code", "name_zh", "name_en", "land_use_code", "tenure"}
    assert {may[name] for name in (*must, "park_code")} == {"1"}
    assert {may[name] for name in ("id", "geometric_area_m2", "park_name_zh")} == {"0"}
    (rule,) = parcels.iterfind("constraintExpressions/constraint")
    assert rule.get("field") == "land_use_code"
    assert "M1（一类工业用地）" in (rule.get("desc") or "")
    assert layers[layer_id("units")].find("editable") is None


def test_days_from_one_to_another_stay_whole(seeded_client: TestClient) -> None:
    answer = seeded_client.get(PROJECT, params={"datetime": "2027-03-01/2027-06-01"})

    assert "/ogc?datetime=2027-03-01/2027-06-01'" in answer.text
    assert answer.headers["content-disposition"].endswith('"space-relay-2027-03-01_2027-06-01.qgs"')


def test_free_space_has_a_colour_and_a_word_for_each_kind_of_unit(project: ET.Element) -> None:
    (renderer,) = (one for one in project.iter("renderer-v2") if one.get("attr") == "unit_type")

    labels = {one.get("value"): one.get("label") for one in renderer.iter("category")}
    symbols = {one.get("name") for one in renderer.iter("symbol")}

    assert labels["pilot"] == "中试"
    assert len(labels) == len(symbols) == 5


def test_an_address_with_a_day_is_understood_wherever_qgis_repeats_it(
    seeded_client: TestClient,
) -> None:
    for path in ("", "/conformance", "/api", "/collections", "/collections/floors"):
        assert seeded_client.get(f"/ogc{path}?datetime=2027-03-01").status_code == 200, path
        assert seeded_client.get(f"/ogc{path}?datetime=soon").status_code == 400, path
        assert seeded_client.get(f"/ogc{path}?day=2027-03-01").status_code == 400, path
    for path in ("floors/items", "free_space/items", "free_space/queryables", "zones/schema"):
        answer = seeded_client.get(f"/ogc/collections/{path}?datetime=2027-03-01")
        assert answer.status_code == 200, path
    assert seeded_client.get(PROJECT, params={"day": "2027-03-01"}).status_code == 400
