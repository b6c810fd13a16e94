"""Where tools begin: the documents link to one another, and say what is there."""

from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from openapi_spec_validator import OpenAPIV30SpecValidator
from sqlalchemy.orm import Session

from app.ogc.collections import COLLECTIONS
from app.ogc.crs import CRSES, STORAGE
from app.ogc.items import DEFAULT_LIMIT, MOST_ITEMS
from tests import factories as make

#: What has links in it.
_DOCUMENTS = frozenset({"application/json", "application/geo+json"})
_NO_READ = frozenset({"delete", "patch", "post", "put"})


@pytest.fixture
def gis(client: TestClient, session: Session) -> TestClient:
    make.make_unit(session)
    session.commit()
    return client


def test_every_link_leads_somewhere_and_gives_what_it_says(gis: TestClient) -> None:
    followed = {"http://testserver/ogc"}
    waiting = ["http://testserver/ogc"]
    while waiting:
        document = gis.get(waiting.pop()).json()
        listed = document.get("collections", []) if isinstance(document, dict) else []
        for one in [document, *listed]:
            for link in one.get("links", []):
                if link["href"] in followed or link.get("templated") or "{" in link["href"]:
                    continue
                followed.add(link["href"])
                answer = gis.get(link["href"])
                assert answer.status_code == 200, link
                assert (
                    answer.headers["content-type"].partition(";")[0]
                    == (link["type"].partition(";")[0])
                ), link
                if link["type"] in _DOCUMENTS:
                    waiting.append(link["href"])
    assert {f"http://testserver/ogc/collections/{name}/items" for name in COLLECTIONS} <= followed


def test_the_landing_page_has_what_tools_look_for(gis: TestClient) -> None:
    for path in ("/ogc", "/ogc/"):
        links = {one["rel"] for one in gis.get(path).json()["links"]}
        assert {"self", "service-desc", "conformance", "data"} <= links
    classes = gis.get("/ogc/conformance").json()["conformsTo"]
    assert len(classes) == len(set(classes))
    assert "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs" in classes


def test_collections_say_where_they_are_and_how_they_can_be_asked(gis: TestClient) -> None:
    listed = gis.get("/ogc/collections").json()["collections"]
    assert [one["id"] for one in listed] == list(COLLECTIONS)
    for one in listed:
        west, south, east, north = one["extent"]["spatial"]["bbox"][0]
        assert 120 < west < east < 123
        assert 30 < south < north < 32
        assert one["crs"] == list(CRSES)
        assert one["storageCrs"] == STORAGE.uri
        assert ("temporal" in one["extent"]) == COLLECTIONS[one["id"]].temporal
        assert one == gis.get(f"/ogc/collections/{one['id']}").json()


def test_schemas_name_types_units_and_codes(gis: TestClient) -> None:
    schema = gis.get("/ogc/collections/free_space/schema").json()
    properties = schema["properties"]
    assert properties["floor_load_kn_m2"] == {
        "title": "楼面活荷载 Floor load",
        "type": "number",
        "x-ogc-unit": "kN/m2",
        "description": "楼面活荷载, kN/m2",
        "readOnly": True,
    }
    assert properties["free_from"]["format"] == "date"
    assert "pilot" in properties["unit_type"]["enum"]
    assert properties["geometry"]["x-ogc-role"] == "primary-geometry"
    # GDAL takes types from the schema of the whole feature, by the relation as it spells it.
    links = gis.get("/ogc/collections/free_space").json()["links"]
    found = {one["rel"]: one["href"] for one in links}
    assert found["describedBy"] == found["describedby"]
    feature = gis.get(found["describedBy"]).json()["properties"]
    assert feature["properties"]["properties"]["min_part"]["type"] == "number"
    assert feature["id"] == {"type": "integer"}
    assert schema["$id"] == "http://testserver/ogc/collections/free_space/schema"
    queryables = gis.get("/ogc/collections/free_space/queryables").json()["properties"]
    assert queryables.keys() == properties.keys() - {"fid"}
    sortables = gis.get("/ogc/collections/free_space/sortables").json()["properties"]
    assert set(properties) - set(sortables) == {"fid", "id", "geometry"}


def test_the_api_document_is_openapi_3_0_and_lists_every_property(gis: TestClient) -> None:
    answer = gis.get("/ogc/api")
    document = answer.json()

    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"
    OpenAPIV30SpecValidator(document).validate()
    limit = document["components"]["parameters"]["limit"]["schema"]
    assert (limit["default"], limit["maximum"]) == (DEFAULT_LIMIT, MOST_ITEMS)
    for name, collection in COLLECTIONS.items():
        operation = document["paths"][f"/collections/{name}/items"]["get"]
        listed = {one["name"]: one for one in operation["parameters"] if "$ref" not in one}
        assert listed.keys() == collection.queryables.keys()
        assert all(one["in"] == "query" for one in listed.values())
        # What is listed is taken, and is not refused for its name.
        shared = [one["$ref"].rsplit("/", 1)[1] for one in operation["parameters"] if "$ref" in one]
        assert {"bbox", "datetime", "filter", "limit", "crs"} <= set(shared)
        for parameter in shared:
            refusal = gis.get(f"/ogc/collections/{name}/items", params={parameter: "?"}).json()
            assert "there is no such parameter" not in str(refusal.get("errors")), parameter


def test_head_and_options_are_answered_everywhere(gis: TestClient) -> None:
    for path in ("/ogc", "/ogc/conformance", "/ogc/collections", "/ogc/collections/zones/items"):
        asked = gis.get(path)
        head = gis.head(path)
        assert head.status_code == 200
        assert head.headers["content-type"] == asked.headers["content-type"]
        options = gis.options(path)
        allowed = set(options.headers["allow"].split(", "))
        assert options.status_code == 200
        assert {"GET", "HEAD", "OPTIONS"} <= allowed
        refused = sorted({method.upper() for method in _NO_READ} - allowed)
        if refused:
            assert gis.request(refused[0], path).status_code == 405


def test_links_name_the_public_address_or_the_host_that_the_caller_named(
    gis: TestClient, session: Session, make_client: object
) -> None:
    def first(client: TestClient, host: str) -> str:
        answer = client.get("/ogc", headers={"Host": host})
        # Nobody else is to be handed what one caller's words are in.
        assert "private" in answer.headers["cache-control"]
        found: str = answer.json()["links"][0]["href"]
        return found

    assert first(gis, "planner-pc:8000") == "http://planner-pc:8000/ogc"
    assert first(gis, "[::1]:8000") == "http://[::1]:8000/ogc"
    for bad in ("evil.example/x?", "a b", "user@host", '"><script>', "-host"):
        assert first(gis, bad) == "/ogc"
    assert callable(make_client)
    public = make_client(session, public_url="https://parks.example.invalid", require_tls=False)
    assert first(public, "evil.example") == "https://parks.example.invalid/ogc"


def test_maps_on_any_page_may_read_and_a_bad_credential_is_refused(gis: TestClient) -> None:
    answer = gis.get("/ogc/collections/units/items")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Content-Crs" in answer.headers["access-control-expose-headers"]
    shown = gis.get(
        "/ogc/collections/units/items", headers={"Authorization": "Bearer sr_live_nonsense"}
    )
    assert shown.status_code == 401
    assert "access-control-allow-origin" not in shown.headers
    # Nothing in a link is of another host than the page's own.
    assert {urlsplit(one["href"]).netloc for one in answer.json()["links"]} == {"testserver"}


def test_the_installation_s_own_system_is_offered_and_described(
    gis: TestClient, session: Session, make_client: object
) -> None:
    assert gis.get("/ogc/crs/local").status_code == 404
    assert callable(make_client)
    text = "+proj=tmerc +lat_0=31.2 +lon_0=121.5 +k=1 +x_0=0 +y_0=0 +ellps=GRS80 +units=m"
    local = make_client(session, local_crs=text, local_crs_name="城市坐标系")
    uri = local.get("/ogc/collections/units").json()["crs"][-1]

    assert local.get("/ogc/crs/local").json() == {"name": "城市坐标系", "definition": text}
    shown = local.get("/ogc/collections/units/items", params={"crs": uri})
    assert shown.headers["content-crs"] == f"<{uri}>"
    x, y = shown.json()["features"][0]["geometry"]["coordinates"][0][0]
    assert abs(x) < 50_000
    assert abs(y) < 50_000
