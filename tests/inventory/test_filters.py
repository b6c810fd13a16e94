"""Which rows the inventory's filters let through, and how wrong filters are refused."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pyproj import Geod
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from tests import factories
from tests.inventory.world import World


def _codes(reader: TestClient, query: str) -> list[str]:
    answer = reader.get(f"/api/v1/{query}")
    assert answer.status_code == 200, answer.text
    return [item["code"] for item in answer.json()["items"]]


@contextmanager
def _statements(engine: Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("zones?layout_role=core", ["z-core"]),
        ("zones?layout_role=core&layout_role=special", ["z-core", "z-other"]),
        ("zones?district=宝山区", ["z-other"]),
        ("zones?min_area_m2=1", ["z-core"]),  # an area that is not known is in no range
        ("parks?zone=z-core", ["k-nested", "k-park"]),
        ("parks?park=k-park", ["k-nested", "k-park"]),
        ("parks?park=k-nested", ["k-nested"]),
        ("parks?carrier_type=incubator", ["k-nested"]),
        ("parks?special_goods_import_pilot=true", ["k-other"]),
        ("parks?zone=z-core&district=宝山区", []),
        ("parcels?land_use_code=M2", ["p-nested"]),
        ("parcels?tenure=flexible_grant", ["p-park"]),
        ("parcels?programme=g-all", ["p-nested", "p-park"]),
        ("programmes?programme=g-all", ["g-all", "g-project"]),
        ("programmes?top=true", ["g-all"]),
        ("programmes?park=k-park", ["g-project"]),
        ("buildings?park=k-park", ["b-nested", "b-park"]),
        ("buildings?programme=g-project", ["b-nested", "b-park"]),
        ("buildings?physical_state=planned&physical_state=fitted", ["b-nested", "b-park"]),
        ("buildings?parcel=p-other", ["b-other"]),
        ("buildings?max_area_m2=5000", ["b-nested"]),
        ("floors?building=b-park", ["f-park-1", "f-park-2"]),
        ("floors?level=1", ["f-park-2"]),
        ("floors?min_level=1", ["f-park-2"]),
        ("floors?building=b-park&min_floor_load_kn_m2=7.5", ["f-park-1"]),
        ("units?zone=z-core", ["u-bench", "u-nested", "u-pilot"]),
        ("units?park=k-park", ["u-bench", "u-nested", "u-pilot"]),
        ("units?programme=g-all", ["u-bench", "u-nested", "u-pilot"]),
        ("units?parcel=p-nested", ["u-nested"]),
        ("units?building=b-park", ["u-bench", "u-pilot"]),
        ("units?floor=f-park-2", ["u-bench"]),
        ("units?level=1", ["u-bench"]),
        ("units?max_level=0&park=k-park", ["u-nested", "u-pilot"]),
        ("units?type=pilot&type=incubation", ["u-bench", "u-other", "u-pilot"]),
        ("units?district=浦东新区&type=production", ["u-nested"]),
        ("units?layout_role=core", []),
        ("units?carrier_type=accelerator", ["u-pilot"]),
        ("units?capacity_measure=place", ["u-bench"]),
        ("units?land_use_code=M2", ["u-nested"]),
        ("units?min_area_m2=2000&max_area_m2=2000", ["u-other", "u-pilot"]),
        ("units?min_power_kva=500", ["u-pilot"]),
        ("units?min_floor_load_kn_m2=7.5&park=k-park", ["u-nested", "u-pilot"]),
        ("units?min_biosafety_level=2", ["u-pilot"]),
        ("units?cleanroom_grade=C", ["u-pilot"]),  # B serves C, D does not
        ("units?cleanroom_grade=D", ["u-bench", "u-pilot"]),
        ("units?cleanroom_grade=A", []),
        ("units?fire_hazard_class=wu", ["u-pilot"]),  # built for 丙, takes 戊
        ("units?fire_hazard_class=jia", []),
        ("units?vibration_class=VC-A", ["u-pilot"]),
        ("units?vibration_class=VC-D", []),
        ("units?steam=true", ["u-pilot"]),
        ("units?ground_floor=false", ["u-bench"]),
        ("units?synthetic=false", []),
        ("units?geometry_quality=surveyed", []),
        ("units?geometry_quality=schematic&q=PILOT", ["u-pilot"]),
        ("units?q=100%25", ["u-pilot"]),  # a per cent sign is no wildcard
        ("units?q=u_pilot", []),
        ("shared-facilities?type=bsl_lab", ["s-bsl"]),
        ("shared-facilities?min_biosafety_level=3", ["s-bsl"]),
        ("shared-facilities?synthetic=false", ["s-metro"]),
        ("shared-facilities?zone=z-core", ["s-bsl"]),
        ("shared-facilities?q=高科", ["s-metro"]),
    ],
)
def test_a_filter_lets_through_what_it_names(
    reader: TestClient, query: str, expected: list[str]
) -> None:
    assert _codes(reader, query) == expected


def test_places_are_named_by_id_as_well_as_by_code(reader: TestClient, world: World) -> None:
    assert _codes(reader, f"units?park={world.nested.id}") == ["u-nested"]
    assert _codes(reader, f"units?floor={world.upper.id}&zone={world.zone.id}") == ["u-bench"]
    assert _codes(reader, f"units?programme={str(world.project.id).upper()}&level=1") == ["u-bench"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("units?zone=foo", "zone"),
        ("units?park=foo", "park"),
        ("units?programme=foo", "programme"),
        ("units?parcel=foo", "parcel"),
        ("units?building=foo", "building"),
        ("units?floor=foo", "floor"),
        ("units?floor=00000000-0000-4000-8000-000000000000", "floor"),
        ("units?district=foo", "district"),
        ("units?land_use_code=foo", "land_use_code"),
        ("units?type=foo", "type"),
        ("units?type=pilot&type=foo", "type"),
        ("units?cleanroom_grade=E", "cleanroom_grade"),
        ("units?min_biosafety_level=5", "min_biosafety_level"),
        ("units?min_area_m2=-1", "min_area_m2"),
        ("units?min_area_m2=nan", "min_area_m2"),
        ("units?min_area_m2=2&max_area_m2=1", "max_area_m2"),
        ("units?sort=rent", "sort"),
        ("units?limit=0", "limit"),
        ("units?f=kml", "f"),
        ("units?zones=z-core", "zones"),
        ("units?q=%00", "q"),
        ("units?zone=%00", "zone"),
        ("units?bbox=1,2,3", "bbox"),
        ("units?bbox=a,b,c,d", "bbox"),
        ("units?bbox=121.7,31.1,121.5,31.3", "bbox"),
        ("units?bbox=121.5,31.3,121.7,31.1", "bbox"),
        ("units?bbox=31.1,121.5,31.3,121.7", "bbox"),
        ("units?bbox=nan,31.1,121.7,31.3", "bbox"),
        ("units?bbox=-inf,31.1,inf,31.3", "bbox"),
        ("units?near=121.6,31.2", "within_m"),
        ("units?within_m=100", "near"),
        ("units?near=31.2,121.6&within_m=100", "near"),
        ("units?near=121.6&within_m=100", "near"),
        ("units?near=121.6,31.2&within_m=0", "within_m"),
        ("units?near=121.6,31.2&within_m=inf", "within_m"),
        ("zones?district=foo", "district"),
        ("zones?zone=z-core", "zone"),
        ("parks?carrier_type=foo", "carrier_type"),
        ("programmes?bbox=1,2,3,4", "bbox"),
        ("programmes?programme=foo", "programme"),
        ("parcels?grade=E", "grade"),
        ("shared-facilities?type=pilot", "type"),
        ("units/u-pilot?f=kml", "f"),
        ("units/u-pilot?zone=z-core", "zone"),
    ],
)
def test_a_wrong_filter_is_refused_by_its_name(
    reader: TestClient, query: str, pointer: str
) -> None:
    answer = reader.get(f"/api/v1/{query}")

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {pointer}


def test_every_unknown_place_is_named_at_once(reader: TestClient) -> None:
    faults = reader.get("/api/v1/units?zone=foo&park=k-park&floor=bar").json()["errors"]

    assert [(fault["pointer"], fault["detail"]) for fault in faults] == [
        ("zone", "no zone has the code or id 'foo'; see /api/v1/zones"),
        ("floor", "no floor has the code or id 'bar'; see /api/v1/floors"),
    ]


def test_an_empty_place_is_known_and_holds_nothing(client: TestClient, session: Session) -> None:
    factories.make_zone(session, code="z-empty", district="崇明区")
    session.commit()

    assert _codes(client, "units?zone=z-empty") == []
    assert _codes(client, "units?district=崇明区") == []


def test_a_box_finds_what_it_touches(reader: TestClient) -> None:
    assert _codes(reader, "units?bbox=121.5,31.1,121.7,31.3") == ["u-bench", "u-nested", "u-pilot"]
    assert _codes(reader, "units?bbox=121.2,31.3,121.4,31.5") == ["u-other"]
    assert _codes(reader, "units?bbox=121.0,31.0,121.1,31.1") == []
    assert _codes(reader, "parks?bbox=121.606,31.206,121.607,31.207") == ["k-nested", "k-park"]


def test_nearness_is_measured_on_the_ellipsoid(reader: TestClient) -> None:
    lon, lat = 121.5833, 31.2041  # the station
    _, _, metres = Geod(ellps="WGS84").inv(lon, lat, 121.6005, 31.2005)  # the laboratory

    nearly = f"near={lon},{lat}&within_m={math.floor(metres)}"
    enough = f"near={lon},{lat}&within_m={math.ceil(metres)}"

    assert _codes(reader, f"shared-facilities?{nearly}") == ["s-metro"]
    assert _codes(reader, f"shared-facilities?{enough}") == ["s-bsl", "s-metro"]


@pytest.mark.parametrize("kind", ["units", "floors", "buildings", "parcels", "parks", "zones"])
def test_a_list_takes_two_statements_however_long_it_is(
    reader: TestClient, world_engine: Engine, kind: str
) -> None:
    for filters, most in (("", 1), ("district=浦东新区&", 2)):
        for limit in (1, 50):
            with _statements(world_engine) as seen:
                assert _codes(reader, f"{kind}?{filters}limit={limit}")
            assert len(seen) == most, seen


def test_all_the_filters_together_take_two_statements(
    reader: TestClient, world_engine: Engine
) -> None:
    with _statements(world_engine) as seen:
        found = _codes(
            reader,
            "units?zone=z-core&park=k-park&programme=g-all&parcel=p-park&building=b-park"
            "&floor=f-park-1&district=浦东新区&land_use_code=M1&type=pilot&level=0"
            "&bbox=121.5,31.1,121.7,31.3&near=121.6,31.2&within_m=5000&q=u&steam=true"
            "&cleanroom_grade=C&min_area_m2=1&sort=-area&limit=5",
        )

    assert found == ["u-pilot"]
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("units?sort=code", ["u-bench", "u-nested", "u-other", "u-pilot"]),
        ("units?sort=-code", ["u-pilot", "u-other", "u-nested", "u-bench"]),
        ("units?sort=area", ["u-bench", "u-other", "u-pilot", "u-nested"]),
        ("units?sort=-area", ["u-nested", "u-other", "u-pilot", "u-bench"]),
        ("units?sort=-capacity", ["u-nested", "u-other", "u-pilot", "u-bench"]),
        ("floors?sort=level", ["f-nested-1", "f-other-1", "f-park-1", "f-park-2"]),
        ("floors?sort=-level", ["f-park-2", "f-nested-1", "f-other-1", "f-park-1"]),
        ("buildings?sort=-area", ["b-other", "b-park", "b-nested"]),
        ("parks?sort=area", ["k-nested", "k-park", "k-other"]),
        ("zones?sort=-area", ["z-core", "z-other"]),
        ("zones?sort=seq", ["z-core", "z-other"]),
        ("programmes?sort=-area", ["g-all", "g-project"]),
        ("shared-facilities?sort=-code", ["s-metro", "s-bsl"]),
    ],
)
def test_every_order_is_the_same_whole_or_row_by_row(
    reader: TestClient, query: str, expected: list[str]
) -> None:
    assert _codes(reader, query) == expected

    walked: list[str] = []
    cursor = ""
    while cursor is not None:
        page = reader.get(f"/api/v1/{query}&limit=1" + (f"&cursor={cursor}" if cursor else ""))
        walked += [item["code"] for item in page.json()["items"]]
        cursor = page.json()["next_cursor"]
    assert walked == expected


def test_the_next_page_of_features_is_a_link(reader: TestClient) -> None:
    first = reader.get("/api/v1/units?f=geojson&limit=3&zone=z-core&sort=-area")
    whole = reader.get("/api/v1/units?limit=2&f=geojson")

    assert first.json()["links"] == []
    assert "link" not in first.headers
    link = whole.json()["links"][0]
    assert (link["rel"], link["type"]) == ("next", "application/geo+json")
    assert whole.headers["link"] == f'<{link["href"]}>; rel="next"; type="application/geo+json"'
    rest = reader.get(link["href"]).json()
    codes = [feature["properties"]["code"] for feature in rest["features"]]
    assert (codes, rest["links"], rest["numberReturned"]) == (["u-other", "u-pilot"], [], 2)


def test_a_cursor_serves_both_forms_but_no_other_filter(reader: TestClient) -> None:
    cursor = reader.get("/api/v1/units?limit=1&zone=z-core").json()["next_cursor"]

    same = reader.get(f"/api/v1/units?limit=5&zone=z-core&f=geojson&cursor={cursor}")
    assert same.json()["numberReturned"] == 2
    for query in (
        "units?zone=z-other&",
        "units?zone=z-core&sort=-code&",
        "units?",
        "floors?zone=z-core&",
    ):
        answer = reader.get(f"/api/v1/{query}cursor={cursor}")
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["pointer"] == "cursor"


def test_the_vocabulary_has_every_value_that_answers_use(reader: TestClient) -> None:
    answer = reader.get("/api/v1/vocabulary")

    known = answer.json()["vocabularies"]
    assert known["unit_type"]["about"] == "The five spaces of the relay."
    assert known["unit_type"]["values"][2] == {
        "value": "pilot",
        "zh": "中试",
        "en": "Pilot scale",
    }
    assert {"milestone_step", "modality", "area_standard", "claim_kind"} <= set(known)
    unit = reader.get("/api/v1/units/u-pilot").json()
    for name in ("unit_type", "physical_state", "carrier_type", "cleanroom_grade"):
        words = {one["value"]: (one["zh"], one["en"]) for one in known[name]["values"]}
        assert words[unit[name]] == (unit[f"{name}_zh"], unit[f"{name}_en"])
    tag = answer.headers["etag"]
    assert reader.get("/api/v1/vocabulary", headers={"If-None-Match": tag}).status_code == 304
