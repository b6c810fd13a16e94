"""Where drawings may lie: how wide, in which park, on which storey; and how they were meant."""

from typing import Any

import numpy as np
import pytest
from geoalchemy2.shape import from_shape
from pyproj import Transformer
from shapely import MultiPolygon, box, transform
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from app.geo.datums import DATUMS, shape_from_wgs84
from app.inventory.drawing.rules import LEAST_WIDTH_M, Known, Rule, innermost, narrow
from app.kernel.terms import SourceDatum
from app.models.space import Park
from app.security.actors import Role
from tests import factories as make
from tests.ogc.editing.desk import Desk, free

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
METRE = 1e-5


def breaks(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 422, answer.text
    found: list[dict[str, Any]] = answer.json()["breaks"]
    return found


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {one["pointer"]: one["detail_zh"] for one in answer.json()["errors"]}


def test_nothing_is_drawn_that_is_nowhere_a_metre_wide(desk: Desk) -> None:
    for width_m, long_m in ((0.05, 60), (0.4, 60), (0.9, 0.9)):
        west, south, *_ = free().bounds
        sliver = box(west, south, west + width_m * 1.049e-5, south + long_m * 0.902e-5)
        answer = desk.draw(sliver)
        (found,) = breaks(answer)
        assert found["rule"] == "narrow"
        assert abs(found["width_m"] - width_m) < 0.03
        assert f"最宽处仅 {found['width_m']} m" in answer.json()["detail_zh"]
    # The control: the rule is about the widest place, and so leaves lanes and corners alone.
    assert narrow(free()) == ()
    lane = box(121.6092, 31.2092, 121.6092 + 1.1 * 1.049e-5, 31.2098)
    assert narrow(lane) == ()
    assert narrow(free().union(lane.buffer(-0.2 * METRE))) == ()
    (just,) = narrow(box(121.6092, 31.2092, 121.6092 + 0.9 * 1.049e-5, 31.2098))
    assert just.rule is Rule.NARROW
    assert just.width_m is not None
    assert just.width_m < LEAST_WIDTH_M
    desk.drawn(lane)


@pytest.fixture
def nest(desk: Desk, session: Session) -> tuple[Park, Park, Park]:
    """A park in a park in the desk's, and one that overlaps them and lies in none of them."""

    def ground(west: float, south: float, east: float, north: float) -> Any:
        return from_shape(MultiPolygon([box(west, south, east, north)]), srid=4326)

    zone = desk.park.zone_id
    inner = make.make_park(
        session,
        zone_id=zone,
        parent_park_id=desk.park.id,
        geom=ground(121.605, 31.205, 121.61, 31.21),
    )
    core = make.make_park(
        session,
        zone_id=zone,
        parent_park_id=inner.id,
        geom=ground(121.609, 31.209, 121.61, 31.21),
    )
    across = make.make_park(
        session, zone_id=zone, geom=ground(121.5995, 31.2082, 121.6058, 31.2108)
    )
    desk.headers = make.staff_headers(session, Role.ADMIN)
    session.commit()
    return inner, core, across


def test_a_parcel_is_of_the_innermost_park_that_holds_it_or_of_the_one_named(
    desk: Desk, session: Session, nest: tuple[Park, Park, Park]
) -> None:
    inner, core, across = nest

    def park_of(outline: BaseGeometry, **said: Any) -> str:
        place = desk.drawn(outline, **said)
        found: str = desk.client.get(place).json()["properties"]["park_code"]
        assert desk.send("DELETE", place, None, "*").status_code == 204
        return found

    assert park_of(free(), park_code=None) == core.code
    assert park_of(free(-0.003), park_code=None) == inner.code
    assert park_of(free(-0.0035).buffer(-0.0001), park_code=inner.code) == inner.code
    # Over the edge of the inner one by less than anybody means.
    edge = box(121.60900 - 0.1 * METRE, 31.2092, 121.6095, 31.2098)
    assert park_of(edge, park_code=None) == core.code
    assert park_of(free(), park_code=desk.park.code) == desk.park.code
    several = desk.draw(box(121.6052, 31.2092, 121.6056, 31.2098), park_code=None)
    assert f"{inner.code}, {across.code}" in several.json()["detail"]
    assert "请指明其一" in faults(several)["/properties/park_code"]
    nowhere = desk.draw(box(121.62, 31.22, 121.621, 31.221), park_code=None)
    assert "不在任何上级空间之内" in faults(nowhere)["/properties/park_code"]
    shifted = desk.draw(shape_from_wgs84(free(0.0), SourceDatum.BD09), park_code=None)
    assert shifted.json()["type"] == "/problems/which-datum"
    assert shifted.json()["suspected"] == "BD09"

    # A manager of the outer park draws nothing in the inner one by leaving its name out.
    desk.headers = make.staff_headers(session, Role.MANAGER, park_ids=[desk.park.id])
    session.commit()
    assert desk.draw(free(), park_code=None).status_code == 403


def test_a_park_around_another_is_not_the_innermost() -> None:
    outer, inner = Known("outer", box(0, 0, 10, 10)), Known("inner", box(2, 2, 8, 8))
    same = Known("same", box(2, 2, 8, 8))
    drawn = box(3, 3, 4, 4)

    assert innermost(drawn, [outer, inner]) == innermost(drawn, [inner, outer]) == (inner,)
    assert innermost(drawn, [outer, inner, same]) == (inner, same)
    assert innermost(box(1, 1, 4, 4), [outer, inner]) == (outer,)
    assert innermost(box(9, 9, 11, 11), [outer, inner]) == ()


def test_a_building_and_a_floor_find_what_they_stand_in(desk: Desk, session: Session) -> None:
    parcel = make.make_parcel(session, park_id=desk.park.id)
    session.commit()
    ground = shape(desk.client.get(f"{desk.items()}/{parcel.fid}").json()["geometry"])
    building = {"name_zh": "楼", "name_en": "B", "physical_state": "shell", "floors_above": 2}
    house = desk.drawn(
        ground.buffer(-2e-4), layer="buildings", code="B-1", gross_floor_area_m2=900, **building
    )
    assert desk.client.get(house).json()["properties"]["parcel_code"] == parcel.code
    floor = {"level_index": 1, "level_name": "2F", "gross_floor_area_m2": 400}
    storey = desk.drawn(ground.buffer(-2e-4), layer="floors", code="F-1", **floor)
    assert desk.client.get(storey).json()["properties"]["building_code"] == "B-1"


def test_a_floor_is_on_a_storey_of_its_building_and_within_its_area(
    desk: Desk, session: Session
) -> None:
    parcel = make.make_parcel(session, park_id=desk.park.id)
    building = make.make_building(
        session, parcel=parcel, floors_above=3, floors_below=1, gross_floor_area_m2=6000
    )
    session.commit()
    house = f"{desk.items('buildings')}/{building.fid}"
    outline = shape(desk.client.get(house).json()["geometry"])

    def draw(level: int, area_m2: float) -> Any:
        return desk.draw(
            outline,
            layer="floors",
            building_code=building.code,
            code=f"L{level}",
            level_index=level,
            level_name=f"L{level}",
            gross_floor_area_m2=area_m2,
        )

    for level in (3, 99, -2):
        refused = faults(draw(level, 1000))
        assert "地上 3 层、地下 1 层，应在 -1 至 2 之间" in refused["/properties/level_index"]
    for level in (-1, 0, 2):
        assert draw(level, 1500).status_code == 201
    left = faults(draw(1, 1500.02))["/properties/gross_floor_area_m2"]
    assert "其他楼层已占 4500.00 ㎡，至多 1500.00 ㎡" in left
    top = draw(1, 1500.01)  # rounding is forgiven, as everywhere
    assert top.status_code == 201, top.text

    place = top.headers["location"]
    assert (
        "至多 1500.00"
        in faults(desk.patch(place, gross_floor_area_m2=1600))["/properties/gross_floor_area_m2"]
    )
    assert desk.patch(place, gross_floor_area_m2=1400).status_code == 200
    said = faults(desk.patch(house, floors_above=2, floors_below=0, gross_floor_area_m2=5000))
    assert said.keys() == {
        "/properties/floors_above",
        "/properties/floors_below",
        "/properties/gross_floor_area_m2",
    }
    assert "5900.00" in said["/properties/gross_floor_area_m2"]
    assert desk.patch(house, gross_floor_area_m2=5901, floors_above=4).status_code == 200
    over = desk.draw(
        outline.buffer(METRE), layer="floors", building_code=building.code, **_floor("L3", 3)
    )
    assert breaks(over)[0]["rule"] == "outside"


def _floor(code: str, level: int) -> dict[str, Any]:
    return {"code": code, "level_index": level, "level_name": code, "gross_floor_area_m2": 1}


def test_coordinates_that_were_meant_otherwise_are_told_how(desk: Desk) -> None:
    drawn = free()

    def metres(srid: int, *, northing_first: bool = True) -> BaseGeometry:
        to = Transformer.from_crs(4326, srid, always_xy=True)
        found = transform(drawn, lambda xy: np.column_stack(to.transform(xy[:, 0], xy[:, 1])))
        return transform(found, lambda xy: xy[:, ::-1]) if northing_first else found

    flipped = transform(drawn, lambda xy: xy[:, ::-1])
    for said, outline, hint in (
        ("4549", drawn, "请去掉 Content-Crs"),
        ("4326", drawn, "请去掉 Content-Crs"),
        ("3857", drawn, "请去掉 Content-Crs"),
        ("4549", metres(4549, northing_first=False), "若对调两轴则吻合"),
        ("4549", metres(4550), f"若按 {EPSG}4550 理解则吻合"),
        ("", metres(4550), f"若按 {EPSG}4550 理解则吻合"),
        ("", metres(4550, northing_first=False), f"若按 {EPSG}4550 理解则吻合：请将北向写在前面"),
        ("", flipped, "请将经度写在前面"),
        ("", metres(3857, northing_first=False), f"若按 {EPSG}3857 理解则吻合"),
    ):
        headers = {"Content-Crs": f"<{EPSG}{said}>"} if said else {}
        answer = desk.draw(outline, headers=headers)
        assert answer.status_code == 422, (said, answer.text)
        assert hint in answer.json()["detail_zh"], (said, hint, answer.text)
    # The controls: as each was meant it is taken, and what is only misplaced hears nothing of it.
    meant = desk.draw(metres(4550), headers={"Content-Crs": f"<{EPSG}4550>"})
    assert meant.status_code == 201, meant.text
    away = desk.draw(free(0.05))
    assert "吻合" not in away.json()["detail_zh"]


def test_a_datum_that_was_stated_wrongly_is_told(desk: Desk, session: Session) -> None:
    # Small, so that what was moved by a datum lies outside.
    zone = desk.park.zone_id
    desk.park = make.make_park(session, zone_id=zone, ground=(121.609, 31.209, 121.61, 31.21))
    desk.headers = make.staff_headers(session, Role.ADMIN)
    session.commit()
    for said, true in (("GCJ02", "WGS84"), ("BD09", "WGS84"), ("BD09", "GCJ02"), ("WGS84", "BD09")):
        outline = shape_from_wgs84(free(), DATUMS[true])
        answer = desk.draw(outline, params={"datum": said})
        assert answer.json()["type"] == "/problems/drawing-refused", answer.text
        assert f"若按 {true} 理解则吻合，请改为 datum={true}" in answer.json()["detail_zh"]
        assert desk.draw(outline, params={"datum": true, "dry_run": "true"}).status_code in {
            200,
            201,
        }
    far = desk.draw(free(0.05), params={"datum": "GCJ02"})
    assert "吻合" not in far.json()["detail_zh"]


def test_a_box_in_degrees_under_a_system_of_metres_is_refused(desk: Desk) -> None:
    asked = {"bbox": "121.5,31.1,121.7,31.3", "bbox-crs": f"{EPSG}4549"}
    answer = desk.client.get(desk.items(), params=asked)
    assert answer.status_code == 400
    assert "bbox-crs" in answer.json()["detail_zh"]
