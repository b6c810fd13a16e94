"""Pages of features: whole, each once, in order, counted when cheap, and what is asked for."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pyproj import Transformer
from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from app.kernel.terms import is_joined
from app.ogc.asked import Selection, names_taken, read_selection
from app.ogc.collection import Collection
from app.ogc.collections import COLLECTIONS
from app.ogc.crs import CRSES
from app.ogc.fields import Field, Kind
from app.ogc.items import PAGE_PARAMETERS, fetch_items, find_statement, read_items
from tests import factories as make
from tests.clocks import set_clock

ROOT = "/ogc/collections"
NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
Feature = dict[str, Any]
#: As they stand in an address.
NASTY = (
    *("", "%20", "0", "-1", "1e400", "nan", "NULL", "true", "%27", "%22", "%25", "%5C", "%00"),
    *(
        "%F0%9F%98%80",
        "%FF%FE",
        "%ED%A0%80",
        "a" * 3_000,
        "9" * 400,
        "1,2",
        "0,0,0,0",
        "..",
        "../..",
    ),
    *("2026-02-30", "9999-12-31", "0001-01-01/..", "2026-11-01T00:00:00Z", "--", "%3BSELECT%201"),
    *("121,31,122,nan", "-180,-90,180,90", "%7B%7D", "[]", "W10", "code,code", "-,", ",,"),
)


@pytest.fixture
def gis(seeded_client: TestClient) -> TestClient:
    set_clock(seeded_client)
    return seeded_client


def page(client: TestClient, collection: str, **parameters: str) -> Any:
    answer = client.get(f"{ROOT}/{collection}/items", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def linked(document: Any, relation: str) -> str | None:
    return next((one["href"] for one in document["links"] if one["rel"] == relation), None)


def walk(client: TestClient, collection: str, **parameters: str) -> Iterator[Feature]:
    """All features, by the links of the pages."""
    found = page(client, collection, **parameters)
    yield from found["features"]
    while (href := linked(found, "next")) is not None:
        found = client.get(href).json()
        yield from found["features"]


# ---- what there is


def test_every_collection_shows_all_its_rows_with_values_of_their_kinds(
    gis: TestClient, seeded_session: Session
) -> None:
    count = {
        name: seeded_session.scalar(text(f"SELECT count(*) FROM {name}"))  # noqa: S608
        for name in ("zones", "parks", "parcels", "buildings", "floors", "units")
    }
    count["plots"] = seeded_session.scalar(
        text(
            "SELECT count(DISTINCT parcel_id) FROM buildings"
            " JOIN programme_buildings ON building_id = id"
        )
    )
    for name, collection in COLLECTIONS.items():
        found = page(gis, name, limit="10000")
        assert found["numberReturned"] == len(found["features"]) > 0, name
        assert (
            found.get("numberMatched")
            == found["numberReturned"]
            == count.get(name, found["numberReturned"])
        )
        wrong = [
            (field.name, one["properties"][field.name])
            for one in found["features"]
            for field in collection.fields.values()
            if not is_value(one["properties"][field.name], field)
            and not (field.nullable and one["properties"][field.name] is None)
        ]
        assert wrong[:5] == [], name
        assert {type(one["id"]) for one in found["features"]} == {int}
        shapes = {one["geometry"]["type"] for one in found["features"] if one["geometry"]}
        assert shapes == {collection.geometry.value}
    assert "张江生物医药创新引领核心区" in {
        one["properties"]["name_zh"] for one in page(gis, "zones")["features"]
    }


def is_value(value: Any, field: Field) -> bool:
    kind, codes = field.kind, field.codes
    if kind in {Kind.NUMBER, Kind.WHOLE}:
        whole = kind is Kind.NUMBER or isinstance(value, int)
        return whole and isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is Kind.TRUTH:
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if kind is Kind.DAY:
        return len(value) == len("2027-03-01")
    if kind is Kind.INSTANT:
        return datetime.fromisoformat(value).tzinfo is not None and value.endswith("Z")
    coded = is_joined(value, codes) if codes and field.joined else value in {*(codes or ())}
    return codes is None or coded


def test_free_space_is_what_the_ledger_says_of_those_days(gis: TestClient) -> None:
    """The park as it will be, here and in the API for programs."""
    for asked, days in (
        ({"from": "2027-03-01", "until": "2027-03-02"}, "2027-03-01"),
        (
            {"from": "2027-03-01", "until": "2027-07-01", "free_by": "2027-06-30"},
            "2027-03-01/2027-06-30",
        ),
    ):
        answer = gis.get(
            "/api/v1/free-space", params=asked | {"f": "geojson", "park": "gene_island"}
        )
        told = {one["properties"]["code"]: one["properties"] for one in answer.json()["features"]}
        found = page(gis, "free_space", datetime=days, park_code="gene_island", limit="10000")
        shown = {one["properties"]["code"]: one["properties"] for one in found["features"]}

        assert shown.keys() == told.keys() != set()
        for code, properties in shown.items():
            for name in ("free_from", "free_until", "free_quantity", "floor_load_kn_m2"):
                assert properties[name] == told[code][name], (code, name)
    # What is free all along says so without a day, too.
    onwards = page(gis, "free_space", park_code="gene_island", limit="10000")
    assert onwards["numberReturned"] >= len(shown)


def test_levels_and_filters_and_properties_mean_the_same(gis: TestClient) -> None:
    by_level = page(gis, "floors", level="1", limit="10000", park_code="gene_island")
    by_filter = page(
        gis, "floors", filter="level_index = 1 AND park_code = 'gene_island'", limit="10000"
    )
    by_name = page(gis, "floors", level_index="1", park_code="gene_island", limit="10000")

    ids = [one["id"] for one in by_level["features"]]
    assert ids
    assert ids == [one["id"] for one in by_filter["features"]]
    assert ids == [one["id"] for one in by_name["features"]]
    heavy = page(gis, "floors", filter="level_index = 1 AND floor_load_kn_m2 >= 7.8", limit="10000")
    assert {one["properties"]["floor_load_kn_m2"] >= 7.8 for one in heavy["features"]} == {True}


# ---- pages


@pytest.mark.parametrize(
    ("collection", "sortby"),
    [
        ("parcels", ""),
        ("parcels", "grade,-height_limit_m"),
        ("parcels", "-published_area_m2"),
        ("buildings", "dual_power_feed,delivered_on,-park_code"),
        ("units", "-valid_from,known_from"),
        ("free_space", "-free_from,rent_cny_per_m2_day"),
    ],
)
def test_a_walk_meets_each_feature_once_in_order(
    gis: TestClient, collection: str, sortby: str
) -> None:
    narrow = {"filter": "park_code IN ('gene_island', 'x_yaogu_1')", "sortby": sortby}
    walked = [one["id"] for one in walk(gis, collection, limit="13", **narrow)]

    at_once = page(gis, collection, limit="10000", **narrow)["features"]

    assert walked == [one["id"] for one in at_once]
    assert len(set(walked)) == len(walked) >= 14
    # What is not known comes last, whichever way.
    for part in filter(None, sortby.split(",")[:1]):
        values = [one["properties"][part.lstrip("-")] for one in at_once]
        known = [value for value in values if value is not None]
        assert values == sorted(known, reverse=part.startswith("-")) + [None] * (
            len(values) - len(known)
        )


def test_counts_come_free_or_not_at_all_unless_asked_for(seeded_session: Session) -> None:
    def asked(collection: Collection, **parameters: str) -> Any:
        selection, shape = read_items(collection, [*parameters.items()], now=NOW)
        return fetch_items(seeded_session, selection, shape)

    parcels = COLLECTIONS["parcels"]
    total = asked(parcels, resultType="hits")
    assert (total.returned, total.features, total.cursor) == (0, b"", None)
    assert total.matched is not None
    assert total.matched > 100
    narrow = replace(parcels, counted=50)

    assert asked(parcels, limit="10").matched == total.matched
    assert asked(narrow, limit="10").matched is None
    # All that there is was met on the first page.
    assert asked(narrow, limit="10000").matched == total.matched
    # Beyond what is counted the page is the same one.
    assert asked(narrow, limit="10") == replace(asked(parcels, limit="10"), matched=None)
    further = asked(parcels, limit="10", cursor=asked(parcels, limit="10").cursor)
    assert further.returned == 10
    assert further.matched is None


def test_a_page_is_few_statements_however_long(gis: TestClient, seeded_session: Session) -> None:
    connection = seeded_session.get_bind()
    assert isinstance(connection, Connection)
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    page(gis, "units", limit="3")
    short, sent[:] = len(sent), []
    page(gis, "units", limit="1000")
    event.remove(connection, "before_cursor_execute", note)

    # To find the page, once what its version is, and to show it, in the test's own savepoint.
    assert len(sent) < short <= 5, sent


def test_where_too_many_are_in_the_box_the_page_is_the_same(
    seeded_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pages() -> list[Any]:
        found, cursor = [], None
        for _ in range(3):
            further: list[tuple[str, str]] = [] if cursor is None else [("cursor", cursor)]
            asked = [("bbox", "121.5,31,121.7,31.3"), ("limit", "20"), *further]
            wanted = read_items(COLLECTIONS["free_space"], asked, now=NOW)
            found.append(fetch_items(seeded_session, *wanted))
            cursor = found[-1].cursor
        return found

    in_the_box = pages()
    monkeypatch.setattr("app.ogc.items._GATHERED", 50)

    assert pages() == in_the_box
    assert [one.returned for one in in_the_box] == [20, 20, 20]


def test_claims_are_read_for_the_rows_of_a_page_alone(seeded_session: Session) -> None:
    connection = seeded_session.connection()
    connection.exec_driver_sql("ANALYZE units")

    def units_checked(**asked: str) -> int:
        """How often it is worked out when a unit is free."""
        parameters = [("bbox", "121.5,31,121.7,31.3"), ("limit", "20"), *asked.items()]
        selection, shape = read_items(COLLECTIONS["free_space"], parameters, now=NOW)
        find = find_statement(selection, shape, counting=True)
        plan = connection.exec_driver_sql(f"EXPLAIN ANALYZE {find.text}", dict(find.values))
        scans = [line for (line,) in plan if "Function Scan on unnest stretch" in line]
        return int(scans[0].rsplit("loops=", 1)[1].rstrip(")"))

    assert units_checked() == 21
    assert units_checked(filter="free_quantity > 0 AND park_code LIKE '%'") == 21
    # Of an order that only the claims tell, all are read.
    assert units_checked(sortby="-free_from") > 500


def test_a_cursor_belongs_to_its_question_and_outlives_midnight(gis: TestClient) -> None:
    clock = set_clock(gis)
    first = page(gis, "units", limit="5")
    href = linked(first, "next")
    assert href is not None
    cursor = href.rsplit("cursor=", 1)[1]

    for wrong in ({"sortby": "code"}, {"level": "1"}, {"datetime": "2027-03-01"}):
        answer = gis.get(f"{ROOT}/units/items", params={"limit": "5", "cursor": cursor} | wrong)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "cursor"
    clock.pass_by(days=1)
    assert gis.get(href).status_code == 200


# ---- how features are shown


def test_outlines_come_in_the_system_asked_for_in_the_order_of_its_axes(gis: TestClient) -> None:
    plain = page(gis, "parcels", limit="1")["features"][0]["geometry"]["coordinates"][0]
    for uri, crs in CRSES.items():
        answer = gis.get(f"{ROOT}/parcels/items", params={"limit": "1", "crs": uri})
        there = Transformer.from_crs(4326, crs.srid, always_xy=True)
        first, second = answer.json()["features"][0]["geometry"]["coordinates"][0][0]
        x, y = (second, first) if crs.flipped else (first, second)

        assert answer.headers["content-crs"] == f"<{uri}>"
        # A stored coordinate is shown to the centimetre.
        assert (x, y) == pytest.approx(there.transform(*plain[0]), abs=0.02)


def test_only_what_is_asked_for_is_shown(gis: TestClient) -> None:
    found = page(gis, "units", limit="2", properties="code,park_name_zh", skipGeometry="true")
    for one in found["features"]:
        assert one.keys() == {"type", "id", "geometry", "properties"}
        assert one["geometry"] is None
        assert list(one["properties"]) == ["code", "park_name_zh"]
    assert page(gis, "units", limit="1", properties="")["features"][0]["properties"] == {}
    # A box may be a line or a point.
    assert page(gis, "units", bbox="121.61,31.1,121.61,31.2")["features"] is not None
    assert len(page(gis, "units", limit="99999", properties="code")["features"]) > 1000


def test_wrong_parameters_are_refused_with_400_and_the_way_out(gis: TestClient) -> None:
    wrong = [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "many"),
        ("limit", ""),
        ("cursor", "nonsense"),
        ("cursor", ""),
        ("crs", "EPSG:4326"),
        ("properties", "code,tenant"),
        ("sortby", "tenant"),
        ("sortby", "id"),
        ("skipGeometry", "maybe"),
        ("resultType", "all"),
        ("f", "html"),
        ("bbox", "1,2,3"),
        ("datetime", "never"),
        ("tenant", "1"),
        ("filter", "code ="),
        ("as_of", "2999-01-01T00:00:00Z"),
    ]
    for name, value in wrong:
        answer = gis.get(f"{ROOT}/units/items", params={name: value})
        assert answer.status_code == 400, (name, value, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"][0]["pointer"] == name
    assert gis.get(f"{ROOT}/units", params={"limit": "1"}).status_code == 400
    assert gis.get(f"{ROOT}/units/items/1", params={"bbox": "1,2,3,4"}).status_code == 400
    for path in ("tenants", "tenants/items", "units/items/x", "units/items/-1"):
        assert gis.get(f"{ROOT}/{path}").status_code == 404, path
    assert gis.get(f"{ROOT}/units/items/{'9' * 40}").status_code == 404
    assert gis.get(f"{ROOT}/units/items/999999999").status_code == 404


def test_whatever_is_sent_is_answered_or_refused(client: TestClient, session: Session) -> None:
    make.make_unit(session)
    session.commit()
    collection = COLLECTIONS["free_space"]
    parameters = (names_taken(collection) | PAGE_PARAMETERS) - {"filter"}
    # Each kind of value is read in one way, whichever property it is of.
    kinds = {field.kind: name for name, field in collection.queryables.items()}
    for name in (*sorted(parameters - set(collection.queryables)), *kinds.values()):
        for value in NASTY:
            path = f"{ROOT}/{collection.id}/items?{name}={value}"
            answer = client.get(path)
            assert answer.status_code in {200, 400}, (path, answer.text)
    for fid in NASTY:
        answer = client.get(f"{ROOT}/units/items/{fid}")
        assert answer.status_code in {200, 307, 404}, (fid, answer.text)


# ---- one feature


def test_one_feature_is_as_on_its_page_and_has_a_tag_that_changes_with_it(
    gis: TestClient, seeded_session: Session
) -> None:
    listed = page(gis, "parcels", limit="1")["features"][0]
    path = f"{ROOT}/parcels/items/{listed['id']}"
    alone = gis.get(path)
    tag = alone.headers["etag"]

    assert {**listed, "links": alone.json()["links"]} == alone.json()
    assert linked(alone.json(), "collection") == f"http://testserver{ROOT}/parcels"
    unchanged = gis.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    other = gis.get(path, params={"crs": "http://www.opengis.net/def/crs/EPSG/0/4550"})
    # Another representation, of the same state.
    assert other.headers["etag"] != tag
    assert other.headers["etag"].partition("-")[0] == tag.partition("-")[0]
    changed = text("UPDATE parcels SET height_limit_m = 99 WHERE fid = :fid")
    seeded_session.execute(changed, {"fid": listed["id"]})
    seeded_session.commit()
    assert gis.get(path).headers["etag"] != tag
    assert gis.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_feature_is_what_it_was_on_the_day_asked_about(
    client: TestClient, session: Session
) -> None:
    set_clock(client)
    unit = make.make_unit(session)
    session.commit()
    path = f"{ROOT}/free_space/items/{unit.fid}"

    assert client.get(path).json()["properties"]["free_from"] == "2026-11-01"
    later = client.get(path, params={"datetime": "2027-03-01"})
    assert later.json()["properties"]["free_from"] == "2027-03-01"
    # Nothing was known of it before it was.
    before = client.get(path, params={"as_of": "1999-01-01T00:00:00Z"})
    assert before.status_code == 404


def test_counts_of_a_selection_and_its_features_agree(seeded_session: Session) -> None:
    """Tiles and downloads ask by ``Selection.select``: it finds what pages show."""
    for name, asked in (
        ("units", [("park_code", "gene_island"), ("bbox", "121.6,31.09,121.7,31.2")]),
        ("free_space", [("filter", "free_quantity > 1000 AND building_code LIKE 'GENE%'")]),
        # Neither part can be judged without the other.
        ("free_space", [("filter", "free_quantity > 9000 OR park_code = 'gene_island'")]),
    ):
        collection = COLLECTIONS[name]
        selection: Selection = read_selection(collection, asked, now=NOW)
        keys = seeded_session.scalars(selection.select(selection.rows.key)).all()
        shown = fetch_items(
            seeded_session, *read_items(collection, [*asked, ("limit", "9999")], now=NOW)
        )

        assert len(keys) == len(set(keys)) == shown.returned > 0


def test_a_parameter_that_is_nearly_one_is_recognised(gis: TestClient) -> None:
    (fault,) = gis.get("/ogc/collections/units/items?limt=5").json()["errors"]

    assert "did you mean limit" in fault["detail"]
    assert "是否指 limit" in fault["detail_zh"]
    # Seventy properties are looked up elsewhere.
    assert "queryables" in fault["detail"]
    assert "floor_load_kn_m2" not in fault["detail"]

    (fault,) = gis.get("/ogc/collections/units/items?floor_load=5").json()["errors"]

    assert "floor_load_kn_m2" in fault["detail"]
