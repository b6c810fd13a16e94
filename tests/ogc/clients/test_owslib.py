"""OWSLib reads the service as any OGC API – Features."""

from owslib.ogcapi.features import Features

from app.ogc.collections import COLLECTIONS
from tests.ogc.clients.conftest import Served


def test_collections_items_and_filters(gis: Served) -> None:
    service = Features(f"{gis.url}/")

    classes = service.conformance()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in classes
    assert set(service.feature_collections()) == set(COLLECTIONS)
    queryables = service.collection_queryables("units")["properties"]
    assert queryables["leasable_area_m2"]["type"] == "number"

    pilot = gis.count("SELECT count(*) FROM units WHERE unit_type = 'pilot'")
    found = service.collection_items("units", limit=5, filter="unit_type = 'pilot'")
    assert found["numberMatched"] == pilot
    assert found["numberReturned"] == len(found["features"]) == 5
    assert {one["properties"]["unit_type"] for one in found["features"]} == {"pilot"}

    near = service.collection_items("buildings", bbox=[121.58, 31.17, 121.64, 31.22], limit=1000)
    assert 0 < near["numberReturned"] < gis.count("SELECT count(*) FROM buildings")

    one = service.collection_item("units", str(found["features"][0]["id"]))
    assert one["properties"] == found["features"][0]["properties"]
