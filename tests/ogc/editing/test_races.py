"""Several planners draw in one place at once, over real connections: exactly one is first."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from shapely import box
from shapely.affinity import translate
from shapely.geometry import mapping
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.inventory.drawing import service
from app.security.actors import Role
from tests import factories as make
from tests.ledger.racing import at_once
from tests.ogc.editing.desk import GEOJSON, MERGE, PLOT

RACERS, ROUNDS = 6, 3
Drawing = dict[str, Any]
#: Of each layer, the table that its rows are in, and what tells a planner that he came second.
LOSES = {
    "parcels": "/problems/drawing-refused",
    "buildings": "/problems/drawing-refused",
    "floors": "/problems/duplicate-code",
}


class Ground:
    """Two parks over the same ground, a parcel, a building, and planners of all parks."""

    def __init__(self, engine: Engine, client: TestClient) -> None:
        self.engine, self.client = engine, client
        #: Degrees between one drawing and the next.
        self.apart = 1e-5
        with Session(engine) as session:
            parks = [make.make_park(session) for _ in range(2)]
            self.parks = [one.code for one in parks]
            parcel = make.make_parcel(session, park_id=parks[0].id)
            building = make.make_building(
                session, parcel=make.make_parcel(session, park_id=parks[0].id)
            )
            self.parcel, self.building = parcel.code, building.code
            self.headers = [make.staff_headers(session, Role.ADMIN) for _ in range(RACERS)]
            session.commit()
            self.outlines = {
                "parcels": box(121.6092, 31.2092, 121.6098, 31.2098),
                "buildings": _shape(client, "parcels", parcel.fid).buffer(-0.0003),
                "floors": _shape(client, "buildings", building.fid).buffer(-0.0001),
            }

    def feature(self, layer: str, number: int) -> Drawing:
        """What one planner draws: two of each overlap, and each has a code of its own."""
        named = {"code": f"{layer}-{number}", "name_zh": "并发", "name_en": "At once"}
        drawn: dict[str, dict[str, Any]] = {
            "parcels": PLOT | named | {"park_code": self.parks[number % 2]},
            "buildings": named
            | {"parcel_code": self.parcel, "physical_state": "shell", "floors_above": 1}
            | {"gross_floor_area_m2": 1000},
            "floors": {"code": named["code"], "building_code": self.building, "level_index": 3}
            | {"level_name": "4F", "gross_floor_area_m2": 1000},
        }
        # Further from one another than what is cut off, at the least.
        moved = translate(self.outlines[layer], number * self.apart, number * self.apart)
        return {"type": "Feature", "geometry": mapping(moved), "properties": drawn[layer]}

    def draw(self, layer: str) -> list[Response]:
        """All at once."""

        def one(number: int) -> Response:
            return self.client.post(
                f"/ogc/collections/{layer}/items",
                json=self.feature(layer, number),
                headers=self.headers[number] | GEOJSON,
            )

        return at_once([lambda number=number: one(number) for number in range(RACERS)])  # type: ignore[misc]

    def count(self, layer: str) -> int:
        with self.engine.connect() as connection:
            found = connection.scalar(
                text(f"SELECT count(*) FROM {layer} WHERE code LIKE '{layer}-%'")  # noqa: S608
            )
        return int(found or 0)

    def clear(self, layer: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(f"DELETE FROM {layer} WHERE code LIKE '{layer}-%'"))  # noqa: S608


def _shape(client: TestClient, layer: str, fid: int) -> Any:
    from_api = client.get(f"/ogc/collections/{layer}/items/{fid}").json()["geometry"]
    (corners,) = from_api["coordinates"]
    xs, ys = zip(*corners, strict=True)
    return box(min(xs), min(ys), max(xs), max(ys))


@pytest.fixture
def ground(own_engine: Engine, make_client: Callable[[Engine], TestClient]) -> Ground:
    return Ground(own_engine, make_client(own_engine))


@pytest.mark.parametrize("layer", list(LOSES))
def test_of_those_who_draw_in_one_place_one_wins(ground: Ground, layer: str) -> None:
    for _ in range(ROUNDS):
        answers = ground.draw(layer)

        assert [one.status_code for one in answers].count(201) == 1, [one.text for one in answers]
        assert {one.json()["type"] for one in answers if one.status_code != 201} == {LOSES[layer]}
        assert ground.count(layer) == 1
        ground.clear(layer)


def test_of_those_who_draw_apart_all_win(ground: Ground) -> None:
    """Waiting for one another is no refusal."""
    ground.apart = 3e-5
    ground.outlines["parcels"] = box(121.6092, 31.2092, 121.60922, 31.20922)

    assert [one.status_code for one in ground.draw("parcels")] == [201] * RACERS


@pytest.mark.parametrize(("area_m2", "won"), [(12_000, 1), (5_000, 4)])
def test_floors_drawn_at_once_have_no_more_area_than_their_building(
    ground: Ground, area_m2: int, won: int
) -> None:
    """It has 20,000 m²: each knows of the others. The control is what fits all together."""

    def one(level: int) -> Response:
        body = ground.feature("floors", 0)
        body["properties"] |= {"code": f"floors-{level}", "level_index": level}
        body["properties"]["gross_floor_area_m2"] = area_m2
        place = "/ogc/collections/floors/items"
        return ground.client.post(place, json=body, headers=ground.headers[level] | GEOJSON)

    answers = at_once([lambda level=level: one(level) for level in range(4)])  # type: ignore[misc]

    assert sorted(each.status_code for each in answers) == [201] * won + [422] * (4 - won)


def test_of_two_plots_that_grow_into_one_another_one_wins(ground: Ground) -> None:
    client = ground.client
    places = []
    for number, east in enumerate((121.6092, 121.6096)):
        feature = ground.feature("parcels", 0)
        feature["properties"]["code"] = f"parcels-{number}"
        feature["geometry"] = mapping(box(east, 31.2092, east + 0.0002, 31.2098))
        made = client.post(
            "/ogc/collections/parcels/items", json=feature, headers=ground.headers[0] | GEOJSON
        )
        assert made.status_code == 201, made.text
        places.append(made.headers["location"])
    # Each takes the whole lane between them, and no more.
    wider = [box(121.6092, 31.2092, 121.6096, 31.2098), box(121.6094, 31.2092, 121.6098, 31.2098)]

    def grow(number: int) -> Response:
        return client.patch(
            places[number],
            json={"geometry": mapping(wider[number])},
            headers=ground.headers[number] | MERGE | {"If-Match": "*"},
        )

    answers = at_once([lambda: grow(0), lambda: grow(1)])

    assert sorted(one.status_code for one in answers) == [200, 422]
    assert [one.json()["type"] for one in answers if one.status_code == 422] == [LOSES["parcels"]]


@pytest.fixture
def unlocked(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """Nobody waits for anybody: neither the service nor the triggers, and all write together."""
    write = service._written
    meet = threading.Barrier(RACERS)

    def looked_at(session: Any, condition: Any, table: Any, **_: Any) -> Any:
        found = session.execute(table.select().where(condition))
        return found.mappings().one_or_none()

    def written(*arguments: Any) -> Any:
        meet.wait(timeout=20)
        return write(*arguments)

    monkeypatch.setattr(service, "_locked", looked_at)
    monkeypatch.setattr(service, "_take_turn", lambda *_arguments: None)
    monkeypatch.setattr(service, "_written", written)
    with ground.engine.begin() as connection:
        for table in ("parcels", "buildings"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_inserted"))
    return ground


@pytest.mark.parametrize("layer", ["parcels", "buildings"])
def test_without_the_locks_they_would_lie_upon_one_another(unlocked: Ground, layer: str) -> None:
    """The control."""
    answers = unlocked.draw(layer)

    assert [one.status_code for one in answers] == [201] * RACERS
    assert unlocked.count(layer) == RACERS
