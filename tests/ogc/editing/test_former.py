"""What was drawn before is listed, and put back by one call."""

from itertools import pairwise

from fastapi.testclient import TestClient
from shapely import box
from shapely.geometry import shape
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.security.actors import Role
from tests import factories as make
from tests.ogc.editing.desk import Desk, free

SMALLER = free().buffer(-0.00005, join_style="mitre")


def test_each_change_is_listed_with_what_it_replaced(desk: Desk) -> None:
    place = desk.drawn(free())
    assert desk.patch(place, outline=SMALLER).is_success
    assert desk.patch(place, name_zh="甲", height_limit_m=24.5).is_success
    assert desk.patch(place, height_limit_m=30).is_success

    last, middle, first = desk.former(layer="parcels", code="DRAWN-1")

    assert last["properties"] == {"height_limit_m": 24.5}
    assert middle["properties"] == {"height_limit_m": None, "name_zh": "新地块"}
    assert (first["outline"], first["properties"]) == (True, {"source_datum": "WGS84"})
    assert [one["outline"] for one in (last, middle)] == [False, False]
    for later, earlier in pairwise((last, middle, first)):
        assert later["known_from"] == earlier["known_until"]
    assert first["known_from"] is None
    outlines = desk.client.get(
        "/api/v1/former-features", params={"f": "geojson"}, headers=desk.headers
    ).json()["features"]
    assert [one["geometry"] is None for one in outlines] == [True, True, False]
    assert shape(outlines[2]["geometry"]).hausdorff_distance(free()) < 2e-7
    assert desk.former(layer="floors") == []
    assert desk.former(removed=True) == []


def test_an_outline_and_properties_are_put_back_and_back_again(desk: Desk) -> None:
    place = desk.drawn(free())
    whole = desk.client.get(place)
    assert desk.patch(place, outline=SMALLER).is_success
    assert desk.patch(place, name_zh="甲").is_success
    named, redrawn = desk.former()

    assert desk.restore(redrawn).status_code == 200
    back = desk.client.get(place).json()
    assert shape(back["geometry"]).equals(shape(whole.json()["geometry"]))
    assert back["properties"]["name_zh"] == "甲"
    assert desk.restore(named).status_code == 200
    assert desk.client.get(place).headers["etag"] == whole.headers["etag"]

    # Undo of the undo: what was put aside is kept as well.
    assert desk.restore(desk.former()[1]).status_code == 200
    again = shape(desk.client.get(place).json()["geometry"])
    assert again.hausdorff_distance(SMALLER) < 2e-7


def test_what_was_taken_away_is_drawn_again(desk: Desk, session: Session) -> None:
    place = desk.drawn(free(), height_limit_m=24, grade="A", grade_year=2025)
    before = desk.client.get(place).json()
    assert desk.send("DELETE", place, None).status_code == 204
    (former,) = desk.former(removed=True)

    answer = desk.restore(former)

    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == former["feature_id"]
    after = desk.client.get(f"{desk.items()}/{answer.json()['fid']}").json()
    assert after["properties"] == before["properties"]
    assert shape(after["geometry"]).equals(shape(before["geometry"]))
    actions = session.scalars(text("SELECT action FROM audit_entries ORDER BY id")).all()
    assert actions == ["feature.drawn", "feature.removed", "feature.restored"]
    # Nothing is left to put back: it stands as it was.
    assert desk.restore(former).json()["fid"] == answer.json()["fid"]
    assert len(desk.former()) == 1


def test_a_floor_and_a_building_come_back_too(desk: Desk, session: Session) -> None:
    parcel = make.make_parcel(session, park_id=desk.park.id)
    building = make.make_building(session, parcel=parcel)
    floor = make.make_floor(session, building=building)
    session.commit()
    places = [f"{desk.items('floors')}/{floor.fid}", f"{desk.items('buildings')}/{building.fid}"]
    before = [desk.client.get(place).json()["properties"] for place in places]
    for place in places:
        assert desk.send("DELETE", place, None).status_code == 204
    building_was, floor_was = desk.former(removed=True)

    # There is nothing yet to draw the floor in.
    orphan = desk.restore(floor_was)
    assert (orphan.status_code, orphan.json()["errors"][0]["pointer"]) == (
        422,
        "/properties/building_code",
    )
    made = [desk.restore(building_was).json(), desk.restore(floor_was).json()]
    after = [
        desk.client.get(f"{desk.items(one['collection'])}/{one['fid']}").json()["properties"]
        for one in reversed(made)
    ]
    assert after[0] == before[0]
    assert after[1] == before[1]


def test_what_does_not_fit_any_more_is_refused(desk: Desk) -> None:
    place = desk.drawn(free())
    assert desk.patch(place, outline=SMALLER).is_success
    redrawn = desk.former()[0]
    west, south, east, north = SMALLER.bounds
    desk.drawn(box(east, south, east + 0.00004, north), code="DRAWN-2")

    refused = desk.restore(redrawn)

    assert refused.json()["type"] == "/problems/drawing-refused"
    assert refused.json()["breaks"][0]["code"] == "DRAWN-2"
    assert west < east
    assert len(desk.former()) == 1


def test_former_features_are_for_those_who_draw_in_the_park(
    desk: Desk, client: TestClient, session: Session
) -> None:
    place = desk.drawn(free())
    assert desk.patch(place, name_zh="甲").is_success
    (former,) = desk.former()
    other = make.make_park(session)
    elsewhere = Desk(client, make.staff_headers(session, Role.MANAGER, park_ids=[other.id]), other)
    agent = Desk(
        client, make.staff_headers(session, Role.AGENT, park_ids=[desk.park.id]), desk.park
    )
    session.commit()

    assert elsewhere.former() == []
    assert elsewhere.restore(former).status_code == 404
    assert agent.restore(former).status_code == 403
    assert desk.restore(former).status_code == 200
