"""Staff draw from GIS tools: saved, changed, taken away; and refused with the reason."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response
from shapely import Polygon, box, get_coordinates, transform
from shapely.geometry import mapping, shape
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.geo.datums import shape_from_wgs84
from app.kernel.terms import SourceDatum
from app.models.former_feature import FormerFeature
from app.models.space import Park
from app.security.actors import Role
from tests import factories as make
from tests.ogc.editing.desk import GEOJSON, PLOT, Desk, free

LAYERS = ("zones", "parks", "parcels", "buildings", "floors")


def faults(answer: Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {one["pointer"]: one["detail"] for one in answer.json()["errors"]}


def test_a_planner_draws_a_parcel_in_gene_island_changes_it_and_takes_it_away(
    seeded_client: TestClient, seeded_session: Session
) -> None:
    session = seeded_session
    park = session.query(Park).filter_by(code="gene_island").one()
    headers = make.staff_headers(session, Role.MANAGER, park_ids=[park.id])
    session.commit()
    desk = Desk(seeded_client, headers, park)
    assert seeded_client.options(desk.items()).headers["allow"] == "GET, HEAD, OPTIONS, POST"

    # The lane between the two plots, its corners as QGIS rounds them, which snapped to them.
    first, second = (
        get_coordinates(shape(one["geometry"]))
        for one in seeded_client.get(
            desk.items(), params={"park_code": "gene_island", "sortby": "code"}
        ).json()["features"]
    )
    east, west = ([tuple(corner) for corner in one[:4]] for one in (first, second))
    lane = Polygon([west[1], east[0], east[3], west[2]])
    drawn = desk.draw(transform(lane, lambda points: points.round(6)))
    assert drawn.status_code == 201, drawn.text
    place = drawn.headers["location"].removeprefix("http://testserver")
    shown = seeded_client.get(place)
    feature = shown.json()
    assert place == f"{desk.items()}/{feature['id']}"
    assert shown.headers["etag"] == drawn.headers["etag"]
    assert feature["properties"]["park_name_zh"] == park.name_zh
    assert feature["properties"]["confidence"] == "assumption"
    assert seeded_client.options(place).headers["allow"] == (
        "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    )

    feature["properties"] |= {"name_zh": "巷地", "height_limit_m": 24}
    put = desk.send("PUT", place, feature, shown.headers["etag"])
    assert put.status_code == 200, put.text
    patch = {"properties": {"tenure": "lease", "height_limit_m": None}}
    stale = desk.send("PATCH", place, patch, shown.headers["etag"])
    assert stale.status_code == 412
    assert stale.json()["etag"] == put.headers["etag"]
    patched = desk.send("PATCH", place, patch, put.headers["etag"])
    assert patched.status_code == 200, patched.text
    after = seeded_client.get(place).json()["properties"]
    assert (after["name_zh"], after["tenure_zh"], after["height_limit_m"]) == ("巷地", "租赁", None)

    gone = desk.send("DELETE", place, None, patched.headers["etag"])
    assert (gone.status_code, gone.content) == (204, b"")
    assert seeded_client.get(place).status_code == 404
    kept = session.query(FormerFeature).filter_by(code="DRAWN-1").order_by("known_until").all()
    assert [(one.removed, one.park_id) for one in kept] == [
        (removed, park.id) for removed in (False, False, True)
    ]


def test_what_a_tool_sends_back_unchanged_changes_nothing(
    seeded_client: TestClient, seeded_session: Session
) -> None:
    """Also with six decimals, as QGIS writes, and in a system of metres, northing first."""
    headers = make.staff_headers(seeded_session, Role.ADMIN)
    seeded_session.commit()
    metres = "http://www.opengis.net/def/crs/EPSG/0/4550"
    for layer in LAYERS:
        listed = f"/ogc/collections/{layer}/items"
        place = (
            f"{listed}/{seeded_client.get(listed, params={'limit': 1}).json()['features'][0]['id']}"
        )
        before = seeded_client.get(place)
        rounded = before.json()
        if rounded["geometry"]:
            outline = transform(shape(rounded["geometry"]), lambda points: points.round(6))
            rounded["geometry"] = json.loads(json.dumps(mapping(outline)))
        for body, more in (
            (before.json(), {}),
            (rounded, {}),
            (
                seeded_client.get(place, params={"crs": metres}).json(),
                {"Content-Crs": f"<{metres}>"},
            ),
        ):
            answer = seeded_client.put(
                place, json=body, headers=headers | {"If-Match": before.headers["etag"]} | more
            )
            assert answer.status_code == 200, (layer, answer.text)
            assert answer.headers["etag"] == before.headers["etag"]
    assert seeded_session.query(FormerFeature).count() == 0


def test_methods_are_those_of_the_collection(desk: Desk, session: Session) -> None:
    make.make_unit(session)
    session.commit()
    for layer, on_items, on_item in (
        ("parks", set(), {"PUT", "PATCH"}),
        ("floors", {"POST"}, {"PUT", "PATCH", "DELETE"}),
        ("units", set(), set()),
        ("free_space", set(), set()),
    ):
        for path, written in ((desk.items(layer), on_items), (f"{desk.items(layer)}/1", on_item)):
            allowed = set(desk.client.options(path).headers["allow"].split(", "))
            assert allowed == {"GET", "HEAD", "OPTIONS"} | written, path
            if not written:
                method = "POST" if path.endswith("items") else "PATCH"
                # Before anything is said of the body.
                refused = desk.send(method, path, ["no feature"], "*")
                assert refused.status_code == 405
                assert set(refused.headers["allow"].split(", ")) == allowed


def test_each_refusal_says_what_is_wrong(desk: Desk, session: Session) -> None:
    plot = make.make_parcel(session, park_id=desk.park.id)
    session.commit()
    ground = desk.client.get(f"{desk.items()}/{plot.fid}").json()["geometry"]

    over = desk.draw(shape(ground).buffer(-0.0001))
    assert over.json()["type"] == "/problems/drawing-refused"
    assert over.json()["breaks"][0]["code"] == plot.code
    assert "超出" in desk.draw(box(121.6095, 31.2095, 121.6105, 31.2098)).json()["detail_zh"]
    crossing = Polygon(
        [(121.609, 31.209), (121.6095, 31.2095), (121.6095, 31.209), (121.609, 31.2095)]
    )
    assert desk.draw(crossing).json()["type"] == "/problems/invalid-shape"
    two = free().union(box(121.6085, 31.2092, 121.6088, 31.2098))
    assert "one polygon" in desk.draw(two).json()["detail"]

    nowhere = desk.draw(free(), park_code="nowhere")
    assert "none has this code" in faults(nowhere)["/properties/park_code"]
    assert "没有此编码" in nowhere.json()["detail_zh"]
    assert "name_zh is needed" in desk.draw(free(), name_zh=None).json()["detail"]
    assert set(faults(desk.draw(free(), colour="red", buildings_count=3))) == {
        "/properties/colour",
        "/properties/buildings_count",
    }
    assert set(faults(desk.draw(free(), name_zh=None, height_limit_m="24", tenure_years=1.5))) == {
        "/properties/name_zh",
        "/properties/height_limit_m",
        "/properties/tenure_years",
    }
    assert set(faults(desk.draw(free(), tenure="borrowed"))) == {"/properties/tenure"}
    low = desk.draw(free(), height_limit_m=-1)
    assert faults(low) == {"/properties/height_limit_m": "a number greater than 0"}
    odds: list[Any] = ["\0", "\ud800", " ", 7, 10**400, float("nan"), [], {"a": 1}, True]
    for odd in odds:
        for name in ("park_code", "name_zh", "tenure_years", "height_limit_m"):
            if (odd, name) != (7, "tenure_years") and (odd, name) != (7, "height_limit_m"):
                body = json.dumps(
                    {
                        "type": "Feature",
                        "geometry": mapping(free()),
                        "properties": {**PLOT, "park_code": desk.park.code, name: odd},
                    }
                )
                answer = desk.client.post(
                    desk.items(), content=body, headers=desk.headers | GEOJSON
                )
                assert answer.status_code in {400, 422}, (odd, name, answer.text)
    for code in ("<b>P 1</b>", "P/1", "P" * 65):
        assert set(faults(desk.draw(free(), code=code))) == {"/properties/code"}
    taken = desk.draw(free(), code=plot.code)
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/duplicate-code")
    assert "楼层" not in taken.json()["detail_zh"]
    for asked in ({"colour": "red"}, {"datum": "mars"}):
        assert desk.draw(free(), params=asked).status_code == 400
    assert desk.draw(free(), headers={"Content-Crs": "<urn:mars>"}).status_code == 400
    system = "http://www.opengis.net/def/crs/EPSG/0/4326"
    flipped = desk.draw(free(), headers={"Content-Crs": f"<{system}>"})
    assert f"{system} 的坐标应纬度在前" in flipped.json()["detail_zh"], flipped.text
    assert desk.client.get(desk.items()).json()["numberMatched"] == 1


def test_a_shape_from_a_chinese_map_is_asked_about(desk: Desk) -> None:
    traced = shape_from_wgs84(free(), SourceDatum.GCJ02)
    unsaid = desk.draw(traced)
    assert unsaid.json()["type"] == "/problems/which-datum"
    assert unsaid.json()["suspected"] == "GCJ02"
    assert (
        desk.draw(traced, params={"datum": "WGS84"}).json()["type"] == "/problems/drawing-refused"
    )

    stated = desk.draw(traced, params={"datum": "GCJ02"})
    assert stated.status_code == 201, stated.text
    found = desk.client.get(stated.headers["location"]).json()
    assert found["properties"]["source_datum"] == "GCJ02"
    assert shape(found["geometry"]).hausdorff_distance(free()) < 2e-7

    # What was read in a datum says so itself, and is the same when it comes back.
    place = stated.headers["location"]
    read = desk.client.get(place, params={"datum": "GCJ02"}).json()
    back = desk.send("PUT", place, read, "*")
    assert back.headers["etag"] == stated.headers["etag"]
    assert desk.send("PUT", place, read, "*", params={"datum": "BD09"}).status_code == 400


def test_what_stands_on_ground_stays_on_it(desk: Desk, session: Session) -> None:
    floor = make.make_floor(
        session,
        building=make.make_building(
            session, parcel=make.make_parcel(session, park_id=desk.park.id), floors_below=1
        ),
    )
    unit = make.make_unit(session, floor=floor)
    session.commit()
    place = f"{desk.items('floors')}/{floor.fid}"
    outline = shape(desk.client.get(place).json()["geometry"])

    smaller = {"geometry": mapping(outline.buffer(-0.0001))}
    refused = desk.send("PATCH", place, smaller, "*")
    assert refused.json()["breaks"][0]["rule"] == "leaves_out"
    assert unit.code in refused.json()["detail_zh"]
    standing = desk.send("DELETE", place, None, "*")
    assert (standing.status_code, standing.json()["standing"]) == (409, {"units": 1})

    lower = desk.draw(
        outline.buffer(-0.0001),
        layer="floors",
        building_code=desk.client.get(place).json()["properties"]["building_code"],
        code="DRAWN-B1",
        level_index=-1,
        level_name="B1",
        gross_floor_area_m2=2000,
    )
    assert lower.status_code == 201, lower.text
    new = lower.headers["location"]
    redrawn = desk.send("PATCH", new, {"geometry": mapping(outline.buffer(-0.00012))}, "*")
    assert redrawn.status_code == 200, redrawn.text
    assert session.query(FormerFeature).one().changed_by.startswith("staff:")
    assert desk.send("DELETE", new, None, "*", params={"dry_run": "true"}).status_code == 200
    assert desk.client.get(new).status_code == 200
    assert desk.send("DELETE", new, None, "*").status_code == 204
    since = session.query(FormerFeature).filter_by(removed=True).one()
    assert since.known_from is not None


def test_a_write_is_done_once_and_written_down(desk: Desk, session: Session) -> None:
    key = {"Idempotency-Key": "draw-1"}
    first, again = (desk.draw(free(), headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json() == again.json()
    actions = session.scalars(text("SELECT action FROM audit_entries")).all()
    assert actions == ["feature.drawn"]


def test_of_two_who_change_what_they_read_one_wins(
    own_engine: Engine, make_client: Callable[[Engine], TestClient]
) -> None:
    with Session(own_engine) as session:
        plot = make.make_parcel(session)
        headers = make.staff_headers(session, Role.ADMIN)
        session.commit()
        place = f"/ogc/collections/parcels/items/{plot.fid}"
    client = make_client(own_engine)
    read = client.get(place)

    def put(name: str) -> int:
        body = read.json()
        body["properties"]["name_zh"] = name
        answer = client.put(place, json=body, headers=headers | {"If-Match": read.headers["etag"]})
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(put, ("甲", "乙", "丙", "丁")))

    assert sorted(answers) == [200, 412, 412, 412]
