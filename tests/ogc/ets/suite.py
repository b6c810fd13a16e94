"""What the tests of the official suite ask, in our own words: one function an abstract test.

The suite is OGC's executable test suite for OGC API - Features 1.0 (ets-ogcapi-features10), of
whose methods each is named in ``test_suite.py``. It needs an engine of its own to run; these run
anywhere, ask of every collection what it asks of them, and here and there more.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from httpx2 import Response
from numpy.typing import NDArray
from openapi_spec_validator import validate
from pyproj import Transformer
from shapely import box, transform
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

JSON, GEOJSON = "application/json", "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
CORE = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"
CRS_CLASS = "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
#: Boxes around the earth: across the meridian of Greenwich, the equator, 180 degrees, the poles.
FAR = ("-1.5,50,1.5,53", "-80,-5,-70,5", "177,65,-177,70", "-180,85,180,90", "-180,-90,180,-85")
#: Pages that are gone on to when features are counted.
_PAGES_ON = 5
_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$")
_OGC_CRS = re.compile(r"^http://www\.opengis\.net/def/crs/[A-Za-z0-9]+/[0-9.]+/[A-Za-z0-9.]+$")
_UNOFFERED = "http://www.opengis.net/def/crs/EPSG/0/2154"


class Service:
    """The service under test; every address is asked once."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._kept: dict[str, tuple[Response, datetime, datetime]] = {}

    def get(self, path: str, media_type: str = JSON, **parameters: str) -> Response:
        return self.timed(path, media_type, **parameters)[0]

    def timed(
        self, path: str, media_type: str = JSON, **parameters: str
    ) -> tuple[Response, datetime, datetime]:
        key = json.dumps([path, media_type, parameters])
        if key not in self._kept:
            named = {name.replace("_", "-"): value for name, value in parameters.items()}
            before = datetime.now(UTC)
            answer = self._client.get(path, params=named or None, headers={"Accept": media_type})
            self._kept[key] = (answer, before, datetime.now(UTC))
        return self._kept[key]

    def good(self, path: str, media_type: str = JSON, **parameters: str) -> Any:
        answer = self.get(path, media_type, **parameters)
        assert answer.status_code == 200, (path, parameters, answer.text[:300])
        return answer.json()

    @cached_property
    def landing(self) -> Any:
        return self.good("/ogc/")

    @cached_property
    def api(self) -> Any:
        (href,) = hrefs(self.landing, "service-desc", OPENAPI)
        return self.good(href, OPENAPI)

    @cached_property
    def collections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.good("/ogc/collections")["collections"]
        assert found
        return found

    def items(self, collection: Mapping[str, Any], **parameters: str) -> Any:
        (href,) = hrefs(collection, "items", GEOJSON)
        return self.good(href, GEOJSON, **parameters)

    def features(self) -> Iterator[tuple[str, str]]:
        """The address and the number of a feature of each collection that has one."""
        for collection in self.collections:
            for feature in self.items(collection)["features"][:1]:
                (href,) = hrefs(collection, "items", GEOJSON)
                yield f"{href}/{feature['id']}", str(feature["id"])

    def parameter(self, collection: Mapping[str, Any], name: str) -> dict[str, Any]:
        """A query parameter of the collection's items, as the API's document declares it."""
        path = self.api["paths"][f"/collections/{collection['id']}/items"]
        for declared in [*path.get("parameters", ()), *path["get"]["parameters"]]:
            found: dict[str, Any] = declared
            if "$ref" in found:
                found = self.api
                for part in declared["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            if found["name"] == name and found["in"] == "query":
                return found
        raise AssertionError(f"{name} is not declared for {collection['id']}")


Check = Callable[[Service], None]
#: Which pages a check looks at: the parameters for a collection.
Variant = Callable[[Service, Mapping[str, Any]], list[dict[str, str]]]


def hrefs(document: Mapping[str, Any], rel: str, media_type: str) -> list[str]:
    return [
        one["href"]
        for one in document["links"]
        if (one["rel"], one.get("type", "").replace(" ", "")) == (rel, media_type)
    ]


def plain(_service: Service, _collection: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{}]


def boxed(_service: Service, collection: Mapping[str, Any]) -> list[dict[str, str]]:
    if "extent" not in collection or "spatial" not in collection["extent"]:
        return []
    extent = collection["extent"]["spatial"]["bbox"][0]
    return [{"bbox": one} for one in (",".join(map(str, extent)), *FAR)]


def limited(service: Service, collection: Mapping[str, Any]) -> list[dict[str, str]]:
    schema = service.parameter(collection, "limit")["schema"]
    middle = min(100, schema["minimum"] + (schema["maximum"] - schema["minimum"]) // 2)
    return [{"limit": str(one)} for one in (schema["minimum"], middle)]


def dated(_service: Service, collection: Mapping[str, Any]) -> list[dict[str, str]]:
    if "temporal" not in collection.get("extent", {}):
        return []
    began, ended = collection["extent"]["temporal"]["interval"][0]
    first = datetime.fromisoformat(began) if began else datetime(2026, 1, 1, tzinfo=UTC)
    last = datetime.fromisoformat(ended) if ended else first + timedelta(days=400)
    quarter = (last - first) / 4
    days = [f"{first + quarter * part:%Y-%m-%dT%H:%M:%SZ}" for part in (0, 1, 2)]
    return [{"datetime": days[0]}, {"datetime": f"{days[1]}/{days[2]}"}]


def pages(service: Service, variant: Variant) -> Iterator[tuple[dict[str, str], Any]]:
    """Each page of a variant, of all collections together at least one."""
    seen = 0
    for collection in service.collections:
        for parameters in variant(service, collection):
            seen += 1
            yield parameters, service.items(collection, **parameters)
    assert seen


def answered(variant: Variant) -> Check:
    return lambda service: ([None for _ in pages(service, variant)] and None) or None


def in_crs84(variant: Variant) -> Check:
    def check(service: Service) -> None:
        earth = box(-180, -90, 180, 90)
        for _, page in pages(service, variant):
            assert all(earth.contains(one) for one in outlines(page))

    return check


def typed(variant: Variant) -> Check:
    def check(service: Service) -> None:
        for _, page in pages(service, variant):
            assert page["type"] == "FeatureCollection"

    return check


def with_features(variant: Variant) -> Check:
    def check(service: Service) -> None:
        for _, page in pages(service, variant):
            assert isinstance(page["features"], list)
            assert all(one["type"] == "Feature" for one in page["features"])

    return check


def linked(variant: Variant) -> Check:
    def check(service: Service) -> None:
        for _, page in pages(service, variant):
            require_links(page, GEOJSON)

    return check


def stamped(variant: Variant) -> Check:
    def check(service: Service) -> None:
        for collection in service.collections:
            (href,) = hrefs(collection, "items", GEOJSON)
            for parameters in variant(service, collection):
                answer, before, after = service.timed(href, GEOJSON, **parameters)
                told = datetime.fromisoformat(answer.json()["timeStamp"])
                assert before - timedelta(seconds=1) <= told <= after

    return check


def counted(variant: Variant) -> Check:
    """What is said to match is what is found by going on to the last page, if that is not far."""

    def check(service: Service) -> None:
        told = 0
        for _, page in pages(service, variant):
            if "numberMatched" not in page:
                continue
            found, last = len(page["features"]), page
            for _ in range(_PAGES_ON):
                following = hrefs(last, "next", GEOJSON)
                if not following:
                    assert found == page["numberMatched"]
                    break
                last = service.good(following[0], GEOJSON)
                found += len(last["features"])
            told += 1
            assert found <= page["numberMatched"]
        assert told

    return check


def returned(variant: Variant) -> Check:
    def check(service: Service) -> None:
        for _, page in pages(service, variant):
            assert page["numberReturned"] == len(page["features"])

    return check


def outlines(page: Mapping[str, Any]) -> list[BaseGeometry]:
    return [shape(one["geometry"]) for one in page["features"] if one["geometry"]]


def require_links(document: Mapping[str, Any], media_type: str, *rels: str) -> None:
    found = {one["rel"] for one in document["links"]}
    assert found >= {"self", *rels}, document["links"]
    assert all(one["rel"] and one["type"] for one in document["links"])
    assert hrefs(document, "self", media_type)


def landing_page(service: Service) -> None:
    assert service.landing


def landing_links(service: Service) -> None:
    rels = {one["rel"] for one in service.landing["links"]}
    assert rels >= {"service-desc", "conformance", "data"}


def api_document(service: Service) -> None:
    assert service.api["openapi"].startswith("3.0")


def api_valid(service: Service) -> None:
    validate(service.api)


def conformance(service: Service) -> None:
    (href,) = hrefs(service.landing, "conformance", JSON)
    told = service.good(href)["conformsTo"]
    assert all(isinstance(one, str) for one in told)
    assert CORE in told


def collections(service: Service) -> None:
    (href,) = hrefs(service.landing, "data", JSON)
    assert service.good(href)["collections"]


def collections_links(service: Service) -> None:
    require_links(service.good("/ogc/collections"), JSON)


def collections_items(service: Service) -> None:
    for one in service.collections:
        assert isinstance(one["id"], str)
        assert one["id"]
        assert service.items(one)["type"] == "FeatureCollection"
        for west, south, east, north in one.get("extent", {}).get("spatial", {}).get("bbox", ()):
            assert -180 <= west <= east <= 180
            assert -90 <= south <= north <= 90
        for began, ended in one.get("extent", {}).get("temporal", {}).get("interval", ()):
            assert all(end is None or datetime.fromisoformat(end) for end in (began, ended))


def collections_items_links(service: Service) -> None:
    for one in service.collections:
        assert hrefs(one, "items", GEOJSON)
        assert all(link["rel"] and link["type"] for link in one["links"])


def collections_crs(service: Service) -> None:
    for one in [service.good("/ogc/collections"), *service.collections]:
        assert one.get("crs", [CRS84])[0] in {CRS84, "#/crs"}


def collections_content(service: Service) -> None:
    told = service.good("/ogc/collections")
    assert told["links"]
    assert told["collections"]


def extents_hold(service: Service) -> None:
    """Every outline of a page lies in what its collection says to extend over."""
    told = 0
    for one in service.collections:
        for west, south, east, north in one.get("extent", {}).get("spatial", {}).get("bbox", ()):
            around = box(west, south, east, north).buffer(1e-6)
            told += 1
            assert all(around.covers(outline) for outline in outlines(service.items(one)))
    assert told


def collection(service: Service) -> None:
    for one in service.collections:
        assert service.good(f"/ogc/collections/{one['id']}")["id"] == one["id"]


def collection_same(service: Service) -> None:
    for one in service.collections:
        alone = service.good(f"/ogc/collections/{one['id']}")
        for member in ("id", "title", "description", "extent"):
            assert alone.get(member) == one.get(member), member


def box_declared(service: Service) -> None:
    for one in service.collections:
        declared = service.parameter(one, "bbox")
        assert _is_plain(declared, "array", explode=False)
        assert declared["schema"]["items"]["type"] == "number"
        sizes = declared["schema"].get("oneOf") or [declared["schema"]]
        assert {4, 6} <= {size.get(end) for size in sizes for end in ("minItems", "maxItems")}


def box_holds(service: Service) -> None:
    for parameters, page in pages(service, boxed):
        west, south, east, north = map(float, parameters["bbox"].split(","))
        parts = [box(west, south, east, north)]
        if west > east:
            parts = [box(west, south, 180, north), box(-180, south, east, north)]
        for outline in outlines(page):
            assert any(outline.intersects(part) for part in parts)


def limit_declared(service: Service) -> None:
    for one in service.collections:
        declared = service.parameter(one, "limit")
        assert _is_plain(declared, "integer", explode=False)
        assert declared["schema"]["minimum"] >= 0
        assert declared["schema"]["default"] >= 0


def limit_holds(service: Service) -> None:
    for parameters, page in pages(service, limited):
        assert len(page["features"]) <= int(parameters["limit"])


def time_declared(service: Service) -> None:
    for one in service.collections:
        if "temporal" in one.get("extent", {}):
            assert _is_plain(service.parameter(one, "datetime"), "string", explode=False)


def time_holds(service: Service) -> None:
    """Free space is free on some of the days that were asked about."""
    for parameters, page in pages(service, dated):
        ends = [one[:10] for one in parameters["datetime"].split("/")]
        # Days are Shanghai's: an instant in the evening of Greenwich is the next day there.
        last = (datetime.fromisoformat(ends[-1]) + timedelta(days=1)).date().isoformat()
        for feature in page["features"]:
            told = feature["properties"]
            if "free_from" in told:
                assert told["free_from"] <= last
                assert told["free_until"] is None or told["free_until"] > ends[0]


def wrong_value(service: Service) -> None:
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        assert service.get(href, GEOJSON, limit="unlimited").status_code == 400


def unknown_name(service: Service) -> None:
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        assert service.get(href, GEOJSON, unknownQueryParameter="1").status_code == 400


def feature(service: Service) -> None:
    seen = 0
    for href, number in service.features():
        assert str(service.good(href, GEOJSON)["id"]) == number
        seen += 1
    assert seen


def feature_links(service: Service) -> None:
    for href, _ in service.features():
        require_links(service.good(href, GEOJSON), GEOJSON, "collection")


def crs_class(service: Service) -> None:
    assert CRS_CLASS in service.good("/ogc/conformance")["conformsTo"]


def crs_identifiers(*members: str, alone: bool) -> Check:
    def check(service: Service) -> None:
        for one in _described(service, alone=alone):
            for member in members:
                told = one.get(member, [])
                for uri in [told] if isinstance(told, str) else told:
                    assert uri == "#/crs" or _OGC_CRS.match(uri) or _URI.match(uri), uri

    return check


def crs_default(*, alone: bool) -> Check:
    def check(service: Service) -> None:
        for one in _described(service, alone=alone):
            if "spatial" in one.get("extent", {}):
                assert CRS84 in _offered(service, one)

    return check


def crs_storage(*, alone: bool) -> Check:
    def check(service: Service) -> None:
        told = 0
        for one in _described(service, alone=alone):
            if "storageCrs" in one:
                assert one["storageCrs"] in _offered(service, one)
                told += 1
        assert told

    return check


def crs_header(service: Service, href: str, crs: str | None) -> dict[str, Any]:
    asked = {} if crs is None else {"crs": crs}
    answer = service.get(href, GEOJSON, **asked)
    assert answer.status_code == 200, (href, crs, answer.text[:300])
    assert answer.headers["content-crs"] == f"<{crs or CRS84}>"
    page: dict[str, Any] = answer.json()
    return page


def items_in_each(service: Service) -> None:
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        for crs in _offered(service, one):
            crs_header(service, href, crs)


def items_default(service: Service) -> None:
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        crs_header(service, href, None)


def items_unoffered(service: Service) -> None:
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        assert service.get(href, GEOJSON, crs=_UNOFFERED).status_code == 400


def items_moved(service: Service) -> None:
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        known = {one["id"]: one for one in crs_header(service, href, None)["features"]}
        for crs in _offered(service, one):
            for found in crs_header(service, href, crs)["features"]:
                require_same_place(found, known[found["id"]], crs)


def feature_in_each(service: Service) -> None:
    for href, _ in service.features():
        for crs in _all_offered(service):
            crs_header(service, href, crs)


def feature_default(service: Service) -> None:
    for href, _ in service.features():
        crs_header(service, href, None)


def feature_unoffered(service: Service) -> None:
    for href, _ in service.features():
        assert service.get(href, GEOJSON, crs=_UNOFFERED).status_code == 400


def feature_moved(service: Service) -> None:
    for href, _ in service.features():
        known = crs_header(service, href, None)
        for crs in _all_offered(service):
            require_same_place(crs_header(service, href, crs), known, crs)


def box_in_each(service: Service) -> None:
    """A box moved to another system finds the features that it found before."""
    asked = 0
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        for west, south, east, north in one.get("extent", {}).get("spatial", {}).get("bbox", ()):
            # A little wider: an edge that is straight here is bent there.
            around = box(west, south, east, north).buffer(0.01, join_style="mitre")
            here = {f["id"] for f in service.items(one, bbox=_corners(around))["features"]}
            for crs in _offered(service, one):
                moved = _corners(_moved(around, crs))
                page = service.good(href, GEOJSON, bbox=moved, bbox_crs=crs)
                assert {f["id"] for f in page["features"]} == here, (one["id"], crs)
                asked += 1
    assert asked


def box_default(service: Service) -> None:
    for parameters, page in pages(service, lambda s, c: boxed(s, c)[:1]):
        for one in service.collections:
            if boxed(service, one)[:1] == [parameters]:
                told = service.items(one, **parameters, bbox_crs=CRS84)
                same = service.items(one, **parameters)
                assert [f["id"] for f in told["features"]] == [f["id"] for f in same["features"]]
        assert page["type"] == "FeatureCollection"


def box_unoffered(service: Service) -> None:
    for one in service.collections:
        (href,) = hrefs(one, "items", GEOJSON)
        answer = service.get(href, GEOJSON, bbox="5,49,6,50", bbox_crs=_UNOFFERED)
        assert answer.status_code == 400


def require_same_place(found: Mapping[str, Any], known: Mapping[str, Any], crs: str) -> None:
    if known["geometry"] is None:
        assert found["geometry"] is None
        return
    back = _moved(shape(found["geometry"]), crs, back=True)
    assert back.hausdorff_distance(shape(known["geometry"])) < 1e-6, crs


def _moved(outline: BaseGeometry, crs: str, *, back: bool = False) -> BaseGeometry:
    """An outline from CRS84 to a system in its authority's order of axes, or back."""
    transformer = _transformer(crs, back=back)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return transform(outline, move)


@lru_cache
def _transformer(crs: str, *, back: bool) -> Transformer:
    there = "OGC:CRS84" if crs == CRS84 else f"EPSG:{crs.rsplit('/', 1)[1]}"
    return Transformer.from_crs(*((there, "OGC:CRS84") if back else ("OGC:CRS84", there)))


def _corners(outline: BaseGeometry) -> str:
    return ",".join(map(repr, map(float, outline.bounds)))


def _described(service: Service, *, alone: bool) -> list[dict[str, Any]]:
    if not alone:
        return [service.good("/ogc/collections"), *service.collections]
    return [service.good(f"/ogc/collections/{one['id']}") for one in service.collections]


def _offered(service: Service, one: Mapping[str, Any]) -> list[str]:
    own: list[str] = list(one.get("crs", ()))
    if "#/crs" in own:
        own = [*(uri for uri in own if uri != "#/crs"), *_all_offered(service)]
    return own


def _all_offered(service: Service) -> list[str]:
    told: list[str] = service.good("/ogc/collections").get("crs", [])
    return told or list(service.collections[0]["crs"])


def _is_plain(declared: Mapping[str, Any], json_type: str, *, explode: bool) -> bool:
    """A query parameter that may be left out, written as the standards write theirs."""
    return (
        not declared.get("required", False)
        and declared.get("style", "form") == "form"
        and declared.get("explode", json_type != "array") is explode
        and declared["schema"]["type"] == json_type
    )
