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
        parts = dict(one.split("=", 1) for one in source.split())
        day = "?datetime=2027-03-01" if collection.temporal else ""
        assert parts["url"] == f"'{seeded_client.base_url}/ogc{day}'"
        assert parts["typename"] == f"'{id_}'"
        aliases = {one.get("field"): one.get("name") for one in project.iter("alias")}
        assert aliases["floor_load_kn_m2"] == "楼面活荷载 (kN/m2)"
    tree = {one.get("id") for one in project.iter("layer-tree-layer")}
    assert tree == layers.keys()


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
