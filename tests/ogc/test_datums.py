"""Features asked for and shown in the datums of Chinese web maps."""

import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from shapely import hausdorff_distance
from shapely.geometry import box, mapping, shape

from app.geo.datums import from_wgs84, shape_from_wgs84
from app.kernel.terms import SourceDatum

ITEMS = "/ogc/collections/buildings/items"
DATUMS = [SourceDatum.GCJ02, SourceDatum.BD09]
GK_123 = "http://www.opengis.net/def/crs/EPSG/0/4550"


@pytest.mark.parametrize("datum", DATUMS)
def test_a_box_and_a_filter_in_the_datum_find_the_same_and_are_answered_in_it(
    seeded_client: TestClient, datum: SourceDatum
) -> None:
    first = seeded_client.get(ITEMS, params={"limit": "1"}).json()["features"][0]
    outline = shape(first["geometry"])
    lon, lat = outline.centroid.coords[0]
    tiny = box(lon, lat, lon + 1e-6, lat + 1e-6)
    corner = from_wgs84(np.array([(lon, lat)]), datum)[0]
    drawn = json.dumps(
        {
            "op": "s_intersects",
            "args": [{"property": "geometry"}, mapping(shape_from_wgs84(tiny, datum))],
        }
    )
    asked = {"datum": datum.value}
    spot = ",".join(f"{number:.8f}" for number in (*corner, *(corner + 1e-6)))

    by_box = seeded_client.get(ITEMS, params=asked | {"bbox": spot})
    by_filter = seeded_client.get(
        ITEMS, params=asked | {"filter": drawn, "filter-lang": "cql2-json"}
    )
    mistaken = seeded_client.get(ITEMS, params={"bbox": spot}).json()

    for answer in (by_box, by_filter):
        assert answer.status_code == 200, answer.text
        assert answer.json()["datum"] == datum.value
        assert "content-crs" not in answer.headers
        (found,) = answer.json()["features"]
        assert found["properties"] == first["properties"]
        there = shape_from_wgs84(outline, datum)
        assert hausdorff_distance(shape(found["geometry"]), there) < 2e-7
    assert first["id"] not in {one["id"] for one in mistaken["features"]}


def test_one_feature_has_a_tag_of_its_own_in_each_datum(seeded_client: TestClient) -> None:
    fid = seeded_client.get(ITEMS, params={"limit": "1"}).json()["features"][0]["id"]
    plain = seeded_client.get(f"{ITEMS}/{fid}")

    shown = seeded_client.get(f"{ITEMS}/{fid}", params={"datum": "GCJ02"})

    assert shown.json()["datum"] == "GCJ02"
    assert shown.headers["etag"] != plain.headers["etag"]
    assert seeded_client.get(f"{ITEMS}/{fid}", params={"datum": "CGCS2000"}).content


@pytest.mark.parametrize(
    "parameters",
    [
        {"datum": "WGS72"},
        {"datum": "GCJ02", "crs": GK_123},
        {"datum": "GCJ02", "bbox-crs": GK_123, "bbox": "3400000,500000,3500000,600000"},
        {"datum": "GCJ02", "filter-crs": GK_123, "filter": "floors_above > 2"},
    ],
)
def test_a_datum_and_a_system_exclude_each_other(
    seeded_client: TestClient, parameters: dict[str, str]
) -> None:
    answer = seeded_client.get(ITEMS, params=parameters)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "datum"
