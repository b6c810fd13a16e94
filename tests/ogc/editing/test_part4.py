"""The abstract tests of OGC API - Features - Part 4 (20-002, draft), each named after one.

Left out are those of what is not offered: GML, timestamps, creating by PUT, receivables.
"""

from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import Response
from shapely import box, transform
from shapely.geometry import mapping, shape

from tests.ogc.editing.desk import GEOJSON, MERGE, Desk, free

UTM = "http://www.opengis.net/def/crs/EPSG/0/4550"
LAYERS = ("parcels", "buildings", "floors", "parks", "zones")
ABSENT = 999_999


@pytest.fixture
def place(desk: Desk) -> str:
    """The address of a feature."""
    return desk.drawn(free())


def feature(**properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": mapping(free()), "properties": properties}


def content(desk: Desk, place: str) -> dict[str, Any]:
    """A representation of the new content of a feature."""
    shown: dict[str, Any] = desk.client.get(place).json()
    shown["properties"]["name_zh"] = "替换"
    return shown


def without_type(desk: Desk, method: str, path: str, body: Any) -> Response:
    request = desk.client.build_request(
        method, path, json=body, headers=desk.headers | {"If-Match": "*"}
    )
    del request.headers["Content-Type"]
    answer: Response = desk.client.send(request)
    return answer


# Conformance class "Create/Replace/Delete".


def test_create_replace_delete_options(desk: Desk) -> None:
    for layer in LAYERS:
        many, one = (
            desk.client.options(path) for path in (desk.items(layer), f"{desk.items(layer)}/1")
        )
        assert (many.status_code, one.status_code) == (200, 200)
        allowed = {*many.headers["allow"].split(", "), *one.headers["allow"].split(", ")}
        assert allowed & {"POST", "PUT", "PATCH", "DELETE"}
        for answer in (many, one):
            assert ("POST" in answer.headers["allow"]) == ("accept-post" in answer.headers)
    assert "application/geo+json" in desk.client.options(desk.items()).headers["accept-post"]


def test_create_replace_delete_create(desk: Desk) -> None:
    before = {one["id"] for one in desk.client.get(desk.items()).json()["features"]}
    first = desk.draw(free())
    body = feature(code="DRAWN-2", name_zh="二", name_en="Two", land_use_code="M1", tenure="grant")
    body |= {"id": ABSENT, "geometry": mapping(box(121.6082, 31.2092, 121.6088, 31.2098))}
    body["properties"]["park_code"] = desk.park.code
    second = desk.client.post(desk.items(), json=body, headers=desk.headers | GEOJSON)

    for answer, code in ((first, "DRAWN-1"), (second, "DRAWN-2")):
        assert answer.status_code == 201, answer.text
        shown = desk.client.get(answer.headers["location"])
        assert shown.status_code == 200
        assert shown.json()["properties"]["code"] == code
        assert shown.json()["id"] not in before
        assert answer.headers["location"].endswith(f"/items/{shown.json()['id']}")


def test_create_replace_delete_create_content_type(desk: Desk) -> None:
    assert without_type(desk, "POST", desk.items(), feature()).status_code == 400


def test_create_replace_delete_replace(desk: Desk, place: str) -> None:
    body = content(desk, place)
    assert desk.send("PUT", place, body).status_code == 200
    shown = desk.client.get(place)
    assert shown.status_code == 200
    assert shown.json()["properties"] == body["properties"]


def test_create_replace_delete_replace_content_type(desk: Desk, place: str) -> None:
    assert without_type(desk, "PUT", place, content(desk, place)).status_code == 400


def test_create_replace_delete_replace_rid(desk: Desk, place: str) -> None:
    before = desk.client.get(place).content
    answer = desk.send("PUT", place, content(desk, place) | {"id": ABSENT})
    assert answer.status_code == 422
    assert desk.client.get(place).content == before


def test_create_replace_delete_replace_exceptions(desk: Desk, place: str) -> None:
    for path, match in (
        (f"{desk.items()}/{ABSENT}", None),
        (f"{desk.items()}/{ABSENT + 1}", '"xyz"'),
    ):
        body = content(desk, place)
        del body["id"]
        assert desk.send("PUT", path, body, match).status_code == 404
        assert desk.client.get(path).status_code == 404


def test_create_replace_delete_delete(desk: Desk, place: str) -> None:
    assert desk.send("DELETE", place, None).status_code == 204
    assert desk.client.get(place).status_code == 404


# Conformance class "Update".


def test_update_options(desk: Desk) -> None:
    for layer in LAYERS:
        answer = desk.client.options(f"{desk.items(layer)}/1")
        assert answer.status_code == 200
        assert "PATCH" in answer.headers["allow"]
        assert "application/merge-patch+json" in answer.headers["accept-patch"]


def test_update_update(desk: Desk, place: str) -> None:
    before = desk.client.get(place).json()
    assert desk.patch(place, name_zh="改名", height_limit_m=24).status_code == 200
    after = desk.client.get(place).json()
    assert after["properties"] == before["properties"] | {"name_zh": "改名", "height_limit_m": 24}
    assert after["geometry"] == before["geometry"]


def test_update_update_content_type(desk: Desk, place: str) -> None:
    body = {"properties": {"name_zh": "改名"}}
    assert without_type(desk, "PATCH", place, body).status_code == 400


def test_update_update_rid(desk: Desk, place: str) -> None:
    before = desk.client.get(place).content
    answer = desk.send("PATCH", place, {"id": ABSENT, "properties": {"name_zh": "改名"}})
    assert answer.status_code == 422
    assert desk.client.get(place).content == before


# Conformance class "Optimistic Locking using ETags".


def test_optimistic_locking_etags_get_etag(desk: Desk, place: str) -> None:
    tag = desk.client.get(place).headers["etag"]
    assert tag[0] == tag[-1] == '"'
    assert len(tag) > 2


def replaced(desk: Desk, place: str, match: str | None) -> Response:
    return desk.send("PUT", place, content(desk, place), match)


def updated(desk: Desk, place: str, match: str | None) -> Response:
    return desk.send("PATCH", place, {"properties": {"name_zh": "改名"}}, match)


@pytest.mark.parametrize("change", [replaced, updated], ids=["replace", "update"])
def test_optimistic_locking_etags(
    desk: Desk, place: str, change: Callable[[Desk, str, str | None], Response]
) -> None:
    before = desk.client.get(place)
    assert change(desk, place, '"0"').status_code == 412
    assert desk.client.get(place).content == before.content
    done = change(desk, place, before.headers["etag"])
    assert done.status_code == 200
    assert done.headers["etag"] not in {"", before.headers["etag"]}
    assert change(desk, place, None).status_code in {200, 428}


def test_optimistic_locking_etags_delete(desk: Desk, place: str) -> None:
    other = desk.drawn(box(121.6082, 31.2092, 121.6088, 31.2098), code="DRAWN-2")
    tag = desk.client.get(place).headers["etag"]
    assert desk.send("DELETE", place, None, '"0"').status_code == 412
    assert desk.client.get(place).status_code == 200
    assert desk.send("DELETE", place, None, tag).status_code == 204
    assert desk.client.get(place).status_code == 404
    assert desk.send("DELETE", other, None).status_code in {204, 428}


# Conformance class "Features".


def test_features_endpoints(desk: Desk, place: str) -> None:
    listed = {one["id"] for one in desk.client.get("/ogc/collections").json()["collections"]}
    assert set(LAYERS) <= listed
    numbers = [one["id"] for one in desk.client.get(desk.items()).json()["features"]]
    assert place in {f"{desk.items()}/{number}" for number in numbers}


def test_features_crs(desk: Desk, place: str) -> None:
    metres = desk.client.get(place, params={"crs": UTM}).json()["geometry"]
    assert desk.send("DELETE", place, None).status_code == 204
    again = desk.draw(shape(metres), headers={"Content-Crs": f"<{UTM}>"})
    assert again.status_code == 201, again.text
    shown = shape(
        desk.client.get(again.headers["location"], params={"crs": UTM}).json()["geometry"]
    )
    assert shown.hausdorff_distance(shape(metres)) < 0.01
    mars = desk.draw(free(), code="DRAWN-3", headers={"Content-Crs": "<urn:mars>"})
    assert mars.status_code == 400


def test_features_json_merge_patch(desk: Desk, place: str) -> None:
    """As far as it goes without receivables: a value, a null, an outline, in one patch."""
    assert desk.patch(place, height_limit_m=24).status_code == 200
    smaller = transform(free(), lambda points: points + (points < points.mean(axis=0)) * 1e-5)
    body = {
        "properties": {"name_zh": "改名", "height_limit_m": None},
        "geometry": mapping(smaller),
    }
    answer = desk.client.patch(place, json=body, headers=desk.headers | MERGE)
    assert answer.status_code == 200, answer.text
    after = desk.client.get(place).json()
    assert (after["properties"]["name_zh"], after["properties"]["height_limit_m"]) == ("改名", None)
    assert shape(after["geometry"]).hausdorff_distance(smaller) < 2e-7
