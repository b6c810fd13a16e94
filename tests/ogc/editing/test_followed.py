"""What is drawn is matched: the log has it, the snapshot follows it, and a search finds it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from shapely.affinity import scale
from shapely.geometry import mapping, shape
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.matching.snapshots.follow import Follower
from app.models.space import Unit
from app.security.actors import Role
from tests import factories as make
from tests.matching.snapshots.same import told
from tests.matching.snapshots.test_follow import following, fresh
from tests.ogc.editing.desk import Desk
from tests.transactions import number_of

REQUESTS = "/api/v1/space-requests"
#: More than any floor of the factory carries, kN/m².
STRONG = 31.5
#: Units that say nothing else are as their floor is.
OF_THE_FLOOR: dict[str, Any] = {"floor_load_kn_m2": None, "clear_height_m": None}


@pytest.fixture
def unit(own_engine: Engine) -> Unit:
    """Behind a wall of another unit; a third one is in another building."""
    with Session(own_engine, expire_on_commit=False) as session:
        floor = make.make_floor(session)
        made = make.make_unit(session, floor=floor, slot=0, slots=2, **OF_THE_FLOOR)
        make.make_unit(session, floor=floor, slot=1, slots=2, **OF_THE_FLOOR)
        make.make_unit(session)
        session.commit()
        return made


@pytest.fixture
def desk(own_engine: Engine, make_client: Callable[[Engine], TestClient]) -> Desk:
    with Session(own_engine) as session:
        park = make.make_park(session)
        headers = make.staff_headers(session, Role.ADMIN)
        session.commit()
        return Desk(make_client(own_engine), headers, park)


@pytest.fixture
def follower(own_engine: Engine, unit: Unit) -> Iterator[Follower]:
    assert unit.fid
    with following(own_engine) as one:
        # What is changed from here on is followed, and not read with all the rest.
        one.current()
        yield one


def item(engine: Engine, desk: Desk, layer: str, id_: Any) -> str:
    with engine.connect() as connection:
        fid = connection.scalar(text(f"SELECT fid FROM {layer} WHERE id = :id"), {"id": id_})  # noqa: S608
    return f"{desk.items(layer)}/{fid}"


def wider(desk: Desk, place: str) -> Any:
    """The outline, a little wider; what stands inside stays inside."""
    drawn = shape(desk.client.get(place).json()["geometry"])
    return mapping(scale(drawn, 1.02, 1.02))


def test_a_drawn_change_is_in_the_next_snapshot(
    own_engine: Engine, desk: Desk, unit: Unit, follower: Follower
) -> None:
    floor = item(own_engine, desk, "floors", unit.floor_id)
    building = item(own_engine, desk, "buildings", unit.building_id)
    before = told(follower.current())
    for place, change in (
        (floor, {"properties": {"floor_load_kn_m2": STRONG}}),
        (floor, {"properties": {"clear_height_m": 9.5, "storey_height_m": 10}}),
        (building, {"properties": {"height_m": 71}}),
        (building, {"properties": {"freight_lift_t": 7.5}}),
    ):
        answer = desk.send("PATCH", place, change)
        assert answer.status_code == 200, answer.text
        number = number_of(desk.client, answer)

        assert follower.wait_for(number, 10.0)
        after = told(follower.current())
        assert after == told(fresh(own_engine)) != before, change
        before = after


def test_what_is_undone_is_followed_as_well(
    own_engine: Engine, desk: Desk, unit: Unit, follower: Follower
) -> None:
    place = item(own_engine, desk, "floors", unit.floor_id)
    before = told(follower.current())
    assert desk.patch(place, floor_load_kn_m2=STRONG).is_success

    answer = desk.restore(desk.former()[0])

    assert follower.wait_for(number_of(desk.client, answer), 10.0)
    assert told(follower.current()) == before == told(fresh(own_engine))


def test_an_outline_is_noted_and_the_walls_of_its_units_stay(
    own_engine: Engine, desk: Desk, unit: Unit, follower: Follower
) -> None:
    with own_engine.connect() as connection:
        walls = connection.execute(text("SELECT * FROM unit_walls ORDER BY 1, 2")).all()
    assert walls
    for layer, id_ in (("buildings", unit.building_id), ("floors", unit.floor_id)):
        place = item(own_engine, desk, layer, id_)
        answer = desk.send("PATCH", place, {"geometry": wider(desk, place)})
        assert answer.status_code == 200, answer.text
        number = number_of(desk.client, answer)

        with own_engine.connect() as connection:
            noted = connection.scalars(
                text("SELECT building_id FROM space_changes WHERE xid = CAST(:number AS xid8)"),
                {"number": str(number)},
            ).all()
            after = connection.execute(text("SELECT * FROM unit_walls ORDER BY 1, 2")).all()
        assert noted == [unit.building_id]
        assert after == walls
        assert follower.wait_for(number, 10.0)
        assert told(follower.current()) == told(fresh(own_engine))


def test_a_search_finds_what_was_drawn(own_engine: Engine, desk: Desk, unit: Unit) -> None:
    place = item(own_engine, desk, "floors", unit.floor_id)
    with Session(own_engine) as session:
        company = make.make_company(session)
        headers = make.firm_headers(session, company)
        session.commit()
    needs = {"unit_type": unit.unit_type, "from": "2031-01-01", "term_months": 12}
    made = desk.client.post(
        REQUESTS, json=needs | {"min_floor_load_kn_m2": STRONG - 0.5}, headers=headers
    )
    assert made.status_code == 201, made.text

    def found() -> int:
        """Offers of the search, which reads the snapshot that follows."""
        matched = desk.client.post(f"{made.headers['location']}/matches", json={}, headers=headers)
        assert matched.status_code == 200, matched.text
        return len(matched.json()["items"])

    assert found() == 0
    assert desk.patch(place, floor_load_kn_m2=STRONG).is_success
    assert found() > 0
    assert desk.restore(desk.former()[0]).is_success
    assert found() == 0


def test_a_change_that_is_not_noted_would_be_missed(
    own_engine: Engine, desk: Desk, unit: Unit, follower: Follower
) -> None:
    """The control."""
    with own_engine.begin() as connection:
        connection.execute(text("ALTER TABLE floors DISABLE TRIGGER floors_note_update"))
    place = item(own_engine, desk, "floors", unit.floor_id)
    answer = desk.patch(place, floor_load_kn_m2=STRONG)
    assert answer.status_code == 200, answer.text

    # A change beside it that is noted, so that the follower has certainly looked.
    with own_engine.connect() as connection:
        other = connection.scalar(
            text("SELECT id FROM buildings WHERE id <> :id"), {"id": unit.building_id}
        )
    beside = item(own_engine, desk, "buildings", other)
    noted = desk.patch(beside, height_m=55)
    assert follower.wait_for(number_of(desk.client, noted), 10.0)
    assert told(follower.current()) != told(fresh(own_engine))
