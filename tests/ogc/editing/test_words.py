"""Whatever the tables refuse is said in words that a planner reads, with the way out."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from shapely import box
from shapely.geometry import mapping, shape
from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Session

from app.inventory.drawing.domains import BOUNDS, CODES
from app.inventory.drawing.layers import LAYERS
from app.inventory.drawing.values import checks_broken
from app.kernel.terms import LandUseCode
from tests import factories as make
from tests.ogc.editing.desk import Desk, free

#: Words of SQL and of libraries, which nobody who draws knows.
CODE_WORDS = re.compile(
    r"[<>]=?|\b(?:AND|OR|IN|IS|NOT|NULL|BETWEEN|CHECK|ST_\w+|geom|[cfu]k_\w+|psycopg|sqlalchemy"
    r"|pydantic|Ring|Self-intersection|Traceback|violates|constraint)\b"
)
#: Of each check that a drawing can break, a value of each property that breaks it.
BREAKING: dict[str, dict[str, Any]] = {
    "confidence_known": {"confidence": "sure"},
    "geometry_quality_known": {"geometry_quality": "good"},
    "position_accuracy_not_negative": {"position_accuracy_m": -1},
    "tenure_known": {"tenure": "borrowed"},
    "grade_known": {"grade": "E"},
    "published_area_positive": {"published_area_m2": 0},
    "floor_area_ratio_positive": {"floor_area_ratio_max": -0.1},
    "height_limit_positive": {"height_limit_m": 0},
    "percentages": {
        "building_density_max_pct": 101,
        "green_ratio_min_pct": -1,
        "mix_ratio_max_pct": 100.5,
    },
    "carrier_type_known": {"carrier_type": "shed"},
    "physical_state_known": {"physical_state": "ruin"},
    "gross_floor_area_positive": {"gross_floor_area_m2": 0},
    "floors_counted": {"floors_above": 0, "floors_below": -1},
    "services_not_negative": {
        "height_m": 0,
        "power_capacity_kva": -1,
        "freight_lift_t": -2,
        "waste_water_t_per_day": -3,
    },
    "heights": {"storey_height_m": 0, "clear_height_m": -1},
    "floor_load_positive": {"floor_load_kn_m2": 0},
}
#: Of what nobody says who draws, or what is refused for its shape before it comes to a table.
NOT_SAID = {
    *("source_datum_known", "geom_valid", "layout_role_known", "not_in_itself"),
    "planned_floor_area_positive",
}


def checks() -> Iterator[tuple[str, CheckConstraint]]:
    for layer in LAYERS.values():
        for one in layer.table.constraints:
            if isinstance(one, CheckConstraint):
                yield layer.id, one


@pytest.fixture
def places(desk: Desk, session: Session) -> dict[str, str]:
    """The address of one feature of each layer in which something may be drawn."""
    parcel = make.make_parcel(session, park_id=desk.park.id)
    building = make.make_building(session, parcel=parcel)
    floor = make.make_floor(session, building=building)
    session.commit()
    made = {"parcels": parcel.fid, "buildings": building.fid, "floors": floor.fid}
    return {layer: f"{desk.items(layer)}/{fid}" for layer, fid in made.items()}


def test_every_check_of_the_drawn_tables_is_told_in_words(
    desk: Desk, places: dict[str, str]
) -> None:
    broken = set()
    for layer, one in checks():
        name = str(one.name).removeprefix(f"ck_{layer}_")
        # The control: as it is written, each is what nobody should have to read.
        assert CODE_WORDS.search(str(one.sqltext)) or "<>" in str(one.sqltext)
        for fault in checks_broken(LAYERS[layer].table, str(one.name)):
            assert CODE_WORDS.search(f"{fault.detail} {fault.detail_zh}") is None, (layer, name)
        if name in NOT_SAID or layer not in places:
            continue
        broken.add(name)
        for said, value in BREAKING[name].items():
            answer = desk.patch(places[layer], **{said: value})
            told = answer.json()
            assert answer.status_code == 422, (layer, said, told)
            assert [one["pointer"] for one in told["errors"]] == [f"/properties/{said}"]
            words = f"{told['detail']} {told['detail_zh']} {told['errors']}"
            assert CODE_WORDS.search(words.replace("'", "")) is None, words
            if said in BOUNDS:
                assert BOUNDS[said].words.zh in told["detail_zh"]
            else:
                assert all(code.zh in told["detail_zh"] for code in CODES[said])
    assert broken == set(BREAKING)


def test_what_hangs_together_is_told_of_both(desk: Desk, places: dict[str, str]) -> None:
    """The one rule that the database alone judges: the other height is perhaps not in the body."""
    answer = desk.patch(places["floors"], clear_height_m=9)

    assert answer.status_code == 422
    assert {one["pointer"] for one in answer.json()["errors"]} == {
        "/properties/clear_height_m",
        "/properties/storey_height_m",
    }
    assert "净高不得大于层高" in answer.json()["detail_zh"]


def test_a_land_use_is_a_code_of_the_control_plans_or_several_joined(desk: Desk) -> None:
    for wrong in ("M9", "M1/M1", "M1 M2", "M1/", "+C8", "C65+X"):
        answer = desk.draw(free(), land_use_code=wrong)
        assert answer.status_code == 422, wrong
        assert [one["pointer"] for one in answer.json()["errors"]] == ["/properties/land_use_code"]
        for code in LandUseCode:
            assert f"{code.value}（{code.zh}）" in answer.json()["detail_zh"]
            assert f"{code.value} ({code.en})" in answer.json()["detail"]
    for nearly in ("m1", "一类工业用地"):
        answer = desk.draw(free(), land_use_code=nearly)
        assert answer.json()["detail_zh"].endswith("请写作 M1（一类工业用地）")
    outside: list[dict[str, Any]] = [{"tenure_years": 0}, {"tenure_years": 99}, {"grade_year": 24}]
    for numbers in outside:
        answer = desk.draw(free(), **numbers)
        assert {one["pointer"] for one in answer.json()["errors"]} == {
            f"/properties/{name}" for name in numbers
        }
    national = desk.draw(free(), land_use_code_national="factory")
    assert "/properties/land_use_code_national" in {
        one["pointer"] for one in national.json()["errors"]
    }

    place = desk.drawn(free(), land_use_code="C65+C8", land_use_code_national="0802/100101")
    assert desk.patch(place, land_use_code="M1/M4").status_code == 200
    listed = desk.client.get(desk.items(), params={"land_use_code": "M1/M4"}).json()
    assert listed["numberMatched"] == 1
    assert desk.client.get(desk.items(), params={"land_use_code": "M9"}).status_code == 400


def test_a_body_that_is_not_read_is_told_what_is(desk: Desk, places: dict[str, str]) -> None:
    parcel = desk.client.get(places["parcels"]).json()
    for method, path, read in (
        ("POST", desk.items(), "application/geo+json"),
        ("PUT", places["parcels"], "application/geo+json"),
        ("PATCH", places["parcels"], "application/merge-patch+json"),
    ):
        for sent in ("text/xml", "application/gml+xml; version=3.2", "multipart/form-data", ""):
            headers = desk.headers | {"Content-Type": sent}
            answer = desk.client.request(method, path, content=b"<gml/>", headers=headers)
            assert answer.status_code == 415, (method, sent, answer.text)
            assert answer.json()["accepted"][0] == read
            assert read in answer.json()["detail_zh"]
        typed = desk.headers | {"Content-Type": f"{read}; charset=utf-8"}
        taken = desk.client.request(method, path, json=parcel, headers=typed)
        assert taken.status_code != 415


def test_a_file_of_features_is_told_to_come_one_by_one(desk: Desk) -> None:
    one = {"type": "Feature", "geometry": mapping(free()), "properties": {}}
    for features in ([one, one], []):
        # As ogr2ogr writes it.
        body = {"type": "FeatureCollection", "name": "x", "crs": {}, "features": features}
        answer = desk.send("POST", desk.items(), body)
        assert answer.status_code == 422
        assert "逐个发送" in answer.json()["detail_zh"]


def test_what_stands_in_the_wrong_place_or_is_spelt_wrong_is_told(
    desk: Desk, places: dict[str, str]
) -> None:
    beside = desk.send("PATCH", places["parcels"], {"name_zh": "甲", "a/b": 1})
    assert beside.status_code == 422
    assert [one["pointer"] for one in beside.json()["errors"]] == ["/a~1b", "/name_zh"]
    assert "应写在 properties 之内" in beside.json()["detail_zh"]
    spelt = desk.patch(places["parcels"], land_use="M1")
    assert "land_use_code" in spelt.json()["detail_zh"]
    assert "land_use_code" in desk.draw(free(), landuse_code="M1").json()["detail"]


def test_a_system_that_is_not_offered_is_a_matter_of_the_header(desk: Desk) -> None:
    answer = desk.draw(free(), headers={"Content-Crs": "<urn:mars>"})
    assert answer.status_code == 400
    (fault,) = answer.json()["errors"]
    assert (fault["where"], fault["pointer"]) == ("header", "Content-Crs")


def test_what_is_not_drawn_says_how_it_changes(desk: Desk, session: Session) -> None:
    unit = make.make_unit(session)
    session.commit()
    for layer in ("units", "free_space"):
        for method in ("PUT", "PATCH", "DELETE"):
            answer = desk.send(method, f"{desk.items(layer)}/{unit.fid}", {"properties": {}})
            assert answer.status_code == 405
            assert answer.json()["type"] == "/problems/method-not-allowed"
            assert "/api/v1/units/{id}/remeasure" in answer.json()["detail"]
            assert "另一人" in answer.json()["detail_zh"]
    sums = desk.patch(f"{desk.items('parks')}/{desk.park.fid}", leasable_area_m2=1)
    assert sums.status_code == 422
    assert "/api/v1/units/{id}/remeasure" in sums.json()["detail_zh"]
    made = desk.draw(free(), layer="parks")
    assert made.status_code == 405
    assert "PATCH" in made.json()["detail_zh"]
    assert "parcels" in desk.draw(free(), layer="plots").json()["detail_zh"]


def test_the_schema_says_what_to_fill_and_what_not(desk: Desk, places: dict[str, str]) -> None:
    for layer in ("parcels", "buildings", "floors"):
        schema = desk.client.get(f"/ogc/collections/{layer}/schema").json()
        properties = schema["properties"]
        filled = {name for name, one in properties.items() if not one.get("readOnly")}
        assert {"geometry", "code"} < filled
        assert {"id", "fid", "geometric_area_m2", "park_name_zh"}.isdisjoint(filled)
        assert properties["fid"]["x-ogc-role"] == "id"
        assert "code" in schema["required"]
        # What it says is taken: a feature of what is required and no more.
        shown = desk.client.get(places[layer]).json()
        needed = {name: shown["properties"].get(name) for name in schema["required"]}
        del needed["geometry"]
        draw_in = free()
        if layer != "parcels":
            of = "parcels" if layer == "buildings" else "buildings"
            west, south, east, north = shape(desk.client.get(places[of]).json()["geometry"]).bounds
            # Beside the building that stands there.
            draw_in = box(west, south, east, south + 5e-5 if layer == "buildings" else north)
        needed |= {"code": "NEW-1"} | ({"level_index": 1} if layer == "floors" else {})
        body = {"type": "Feature", "geometry": mapping(draw_in), "properties": needed}
        for missing in (*needed, None):
            less = {name: value for name, value in needed.items() if name != missing}
            answer = desk.send("POST", desk.items(layer), body | {"properties": less})
            assert answer.status_code == (201 if missing is None else 422), (missing, answer.text)
        # The number of the feature comes along with some tools: it is itself, or nothing.
        for number, status in ((shown["id"], 200), (shown["id"] + 1, 422)):
            assert desk.patch(places[layer], fid=number).status_code == status
        # What it says is not to be filled is refused where it says something else.
        for name in sorted(properties.keys() - filled - {"fid"}):
            refused = desk.patch(places[layer], **{name: "something else"})
            assert refused.status_code == 422, name
    limits = desk.client.get("/ogc/collections/parcels/schema").json()["properties"]
    assert limits["height_limit_m"]["exclusiveMinimum"] == 0
    assert limits["green_ratio_min_pct"]["maximum"] == 100
    assert re.fullmatch(limits["land_use_code"]["pattern"], "C65+C8")
    assert not re.fullmatch(limits["land_use_code"]["pattern"], "M9")
    assert "一类工业用地" in limits["land_use_code"]["description"]
    for layer in ("units", "free_space", "plots"):
        schema = desk.client.get(f"/ogc/collections/{layer}/schema").json()
        assert all(one["readOnly"] for one in schema["properties"].values())
