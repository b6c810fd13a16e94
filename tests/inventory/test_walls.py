"""Which units share a wall: against an independent count by rays, and whoever draws them."""

import threading
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import shapely
import shapely.ops
from fastapi.testclient import TestClient
from geoalchemy2.shape import to_shape
from shapely import LineString, Polygon, affinity, box
from sqlalchemy import Engine, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.geo.plane import Plane
from app.ledger.units.splitting import Part, Split, split_unit
from app.models.space import Building, Floor, Unit
from app.models.wall import BuildingLink, UnitWall
from app.security.actors import Actor, ActorKind, Role
from tests import factories
from tests.factories import MADE_UP, geometry

ADMIN = Actor(ActorKind.STAFF, "tests", role=Role.ADMIN)

TOLERANCE_M = 0.4
DOOR_M = 1.5
#: Rays are this far apart, m; they and strips disagree by some of it, and at slanted ends.
STEP_M = 0.02
DISAGREEMENT_M = 0.15
#: Largest angle between outlines that run beside each other.
BESIDE = np.radians(15)


# --- an independent count ----------------------------------------------------------------------


def rays_m(one: Polygon, other: Polygon) -> float:
    """How much of one outline faces the other: a ray every two centimetres, square to the edge."""
    if one.distance(other) > TOLERANCE_M:
        return 0.0
    return sum(_facing_m(np.array(edge), other) for edge in _edges(one))


def _edges(shape: Polygon) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    corners = list(shape.exterior.coords)
    yield from pairwise(corners)


def _facing_m(edge: Any, other: Polygon) -> float:
    along = edge[1] - edge[0]
    length = float(np.hypot(*along))
    sideways = np.array([-along[1], along[0]]) / length * TOLERANCE_M
    count = max(1, round(length / STEP_M))
    points = edge[0] + along * ((np.arange(count) + 0.5) / count)[:, None]
    rays = shapely.linestrings(np.stack([points - sideways, points + sideways], axis=1))
    hit = np.zeros(count, dtype=bool)
    for wall in _edges(other):
        runs = np.array(wall[1]) - np.array(wall[0])
        slant = np.arcsin(
            min(1.0, abs(along[0] * runs[1] - along[1] * runs[0]) / length / np.hypot(*runs))
        )
        if slant < BESIDE and LineString(edge).distance(LineString(wall)) <= TOLERANCE_M:
            hit |= shapely.intersects(rays, LineString(wall))
    return float(hit.mean() * length)


def touching_m(one: Polygon, other: Polygon) -> float:
    """Control arm: whatever comes near counts, corners and crossing walls too."""
    return float(one.exterior.intersection(other.buffer(TOLERANCE_M)).length) + DOOR_M * (
        one.distance(other) <= TOLERANCE_M
    )


def drawn_floor(random: np.random.Generator) -> list[Polygon]:
    """Rooms of a floor of 46 m by 26 m, cut again and again, turned, with walls between them."""
    rooms = [box(0, 0, 46, 26)]
    for _ in range(int(random.integers(3, 11))):
        place = int(np.argmax([room.area * random.uniform(0.3, 1) for room in rooms]))
        rooms[place : place + 1] = _cut(rooms[place], random)
    gap = float(random.choice([0.0, 0.2, 0.36, 0.6]))
    turned = float(random.uniform(0, 180))
    return [
        affinity.rotate(room.buffer(-gap / 2, join_style="mitre"), turned, origin=(23, 13))
        for room in rooms
    ]


def _cut(room: Polygon, random: np.random.Generator) -> list[Polygon]:
    """Two rooms by a line square to the longer side, or a slanted one."""
    x0, y0, x1, y1 = room.bounds
    share, slant = random.uniform(0.3, 0.7), random.uniform(-2, 2) * (random.random() < 0.3)
    if x1 - x0 >= y1 - y0:
        at = x0 + (x1 - x0) * share
        line = LineString([(at - slant, y0 - 1), (at + slant, y1 + 1)])
    else:
        at = y0 + (y1 - y0) * share
        line = LineString([(x0 - 1, at - slant), (x1 + 1, at + slant)])
    parts = shapely.ops.split(room, line).geoms
    return [part for part in parts if isinstance(part, Polygon)]


def _pairs(rooms: list[Polygon]) -> list[tuple[int, int]]:
    return [(one, other) for other in range(len(rooms)) for one in range(other)]


def _measured(session: Session, rooms: list[Polygon]) -> dict[tuple[int, int], float]:
    """``shared_wall_m`` of every pair, as the database's own metres have it."""
    plane = Plane(box(121.6, 31.2, 121.6005, 31.2003))
    drawn = [f"SRID=4326;{plane.degrees(room).wkt}" for room in rooms]
    rows = session.execute(
        text(
            "WITH room AS (SELECT place, ST_Transform(CAST(drawn AS geometry), 4549) AS geom"
            " FROM unnest(CAST(:drawn AS text[])) WITH ORDINALITY AS r(drawn, place))"
            " SELECT a.place - 1, b.place - 1, shared_wall_m(a.geom, b.geom)"
            " FROM room a JOIN room b ON a.place < b.place"
        ),
        {"drawn": drawn},
    )
    return {(one, other): metres for one, other, metres in rows}


def _disagreements(session: Session, count: int, counted: Any, seed: int = 1) -> int:
    """Pairs of rooms on which the database and ``counted`` differ, over random floors."""
    random = np.random.default_rng(seed)
    wrong = 0
    for _ in range(count):
        rooms = drawn_floor(random)
        measured = _measured(session, rooms)
        for pair in _pairs(rooms):
            expected = counted(rooms[pair[0]], rooms[pair[1]])
            if abs(expected - DOOR_M) < DISAGREEMENT_M:
                continue
            near = abs(measured[pair] - expected) <= DISAGREEMENT_M + expected / 1000
            wrong += not near or (measured[pair] >= DOOR_M) != (expected >= DOOR_M)
    return wrong


def test_walls_are_what_rays_across_them_find(session: Session) -> None:
    assert _disagreements(session, 12, rays_m) == 0


@pytest.mark.long
def test_walls_are_what_rays_across_them_find_on_many_floors(session: Session) -> None:
    assert _disagreements(session, 1_000, rays_m, seed=2) == 0


def test_a_count_of_all_that_touches_is_told_apart(session: Session) -> None:
    """Control arm: the same comparison finds a rule that counts corners."""
    assert _disagreements(session, 12, touching_m) > 10


# --- the table, whoever draws ------------------------------------------------------------------


@pytest.fixture
def floor(session: Session) -> Any:
    """A floor of some 70 m each way."""
    return factories.make_floor(session)


def _room(floor: Any, x0: float, y0: float, x1: float, y1: float) -> Any:
    """A rectangle in metres from ten metres inside the floor's south-western corner."""
    west, south, *_ = to_shape(floor.geom).bounds
    middle = Plane(box(west, south, west + 1e-5, south + 1e-5))
    drawn = middle.degrees(box(x0 + 10, y0 + 10, x1 + 10, y1 + 10))
    assert isinstance(drawn, Polygon)
    return geometry(drawn)


def _unit(session: Session, floor: Any, *edges: float, **values: Any) -> Any:
    return factories.make_unit(session, floor=floor, geom=_room(floor, *edges), **values)


def _walls(session: Session) -> dict[tuple[UUID, UUID], float]:
    session.expire_all()
    return {
        (wall.unit_id, wall.neighbour_id): float(wall.shared_wall_m)
        for wall in session.scalars(select(UnitWall))
    }


def _pair(one: Any, other: Any) -> tuple[UUID, UUID]:
    return (one.id, other.id) if one.id < other.id else (other.id, one.id)


def test_rooms_side_by_side_share_their_wall(session: Session, floor: Any) -> None:
    one = _unit(session, floor, 0, 0, 10, 8)
    other = _unit(session, floor, 10, 0, 20, 8)

    assert _walls(session) == {_pair(one, other): pytest.approx(8, abs=0.01)}


@pytest.mark.parametrize(
    ("gap_m", "shared"), [(0.0, True), (0.2, True), (0.38, True), (0.6, False)]
)
def test_the_thickness_of_a_wall_is_forgiven(
    session: Session, floor: Any, gap_m: float, shared: bool
) -> None:
    _unit(session, floor, 0, 0, 10, 8)
    _unit(session, floor, 10 + gap_m, 0, 20, 8)

    assert bool(_walls(session)) is shared


@pytest.mark.parametrize("gap_m", [0.0, 0.2])
def test_a_corner_is_no_wall(session: Session, floor: Any, gap_m: float) -> None:
    _unit(session, floor, 0, 0, 10, 8)
    _unit(session, floor, 10 + gap_m, 8 + gap_m, 20, 16)

    assert _walls(session) == {}


@pytest.mark.parametrize(("wide_m", "shared"), [(1.4, False), (1.6, True)])
def test_a_wall_takes_a_door(session: Session, floor: Any, wide_m: float, shared: bool) -> None:
    _unit(session, floor, 0, 0, 10, 8)
    _unit(session, floor, 10, 8 - wide_m, 20, 16)

    assert bool(_walls(session)) is shared


def test_floors_are_told_apart(session: Session, floor: Any) -> None:
    building = session.get(Building, floor.building_id)
    above = factories.make_floor(session, building=building, level_index=1)
    _unit(session, floor, 0, 0, 10, 8)
    _unit(session, above, 10, 0, 20, 8)

    assert _walls(session) == {}


def test_plain_sql_redraws_moves_and_removes(session: Session, floor: Any) -> None:
    building = session.get(Building, floor.building_id)
    above = factories.make_floor(session, building=building, level_index=1)
    one, other = _unit(session, floor, 0, 0, 10, 8), _unit(session, floor, 12, 0, 20, 8)
    assert _walls(session) == {}

    redrawn = to_shape(_room(floor, 10, 2, 20, 8)).wkt
    session.execute(
        text("UPDATE units SET geom = ST_GeomFromText(:geom, 4326) WHERE id = :id"),
        {"geom": redrawn, "id": other.id},
    )
    assert _walls(session) == {_pair(one, other): pytest.approx(6, abs=0.01)}

    session.execute(
        text("UPDATE units SET floor_id = :floor WHERE id = :id"),
        {"floor": above.id, "id": other.id},
    )
    assert _walls(session) == {}

    session.execute(
        text("UPDATE units SET floor_id = :floor WHERE id = :id"),
        {"floor": floor.id, "id": other.id},
    )
    assert len(_walls(session)) == 1

    session.execute(
        text("UPDATE units SET usable = '[2020-01-01,2027-01-01)' WHERE id = :id"), {"id": one.id}
    )
    assert len(_walls(session)) == 1
    session.execute(
        text("UPDATE units SET usable = '[2027-01-01,)' WHERE id = :id"), {"id": other.id}
    )
    assert _walls(session) == {}


def test_a_claim_does_not_measure_walls(session: Session, floor: Any) -> None:
    """The row is written by every claim; walls are measured when it is drawn anew."""
    one, other = _unit(session, floor, 0, 0, 10, 8), _unit(session, floor, 10, 0, 20, 8)
    session.execute(text("UPDATE unit_walls SET shared_wall_m = 1"))
    session.execute(text("UPDATE units SET version = version + 1"))
    assert _walls(session) == {_pair(one, other): 1}

    session.execute(text("SELECT refresh_unit_walls(ARRAY(SELECT id FROM floors))"))
    assert _walls(session) == {_pair(one, other): pytest.approx(8, abs=0.01)}


def test_a_loader_may_measure_once_at_the_end(session: Session, floor: Any) -> None:
    session.execute(text("SET LOCAL space_relay.walls = 'later'"))
    one, other = _unit(session, floor, 0, 0, 10, 8), _unit(session, floor, 10, 0, 20, 8)
    assert _walls(session) == {}

    session.execute(text("SELECT refresh_unit_walls(ARRAY[CAST(:id AS uuid)])"), {"id": floor.id})
    assert list(_walls(session)) == [_pair(one, other)]


def test_parts_of_a_split_are_neighbours_of_each_other_and_of_who_was_beside_them(
    session: Session, floor: Any
) -> None:
    whole = _unit(session, floor, 0, 0, 20, 8, usable=Range(date(2020, 1, 1), None))
    beside = _unit(session, floor, 20, 0, 30, 8)
    order = Split(date(2028, 1, 1), [Part("east"), Part("west")], shares=[1, 1])
    split_unit(session, ADMIN, whole.code, order)
    parts = session.scalars(select(Unit).where(Unit.code.in_(["east", "west"]))).all()

    walls = _walls(session)

    # The whole until that day, its parts from then on; never the whole and a part.
    assert _pair(whole, beside) in walls
    assert _pair(*parts) in walls
    assert sum(beside.id in pair for pair in walls) == 2
    assert len(walls) == 3


def test_of_two_who_draw_at_once_the_second_sees_the_first(own_engine: Engine) -> None:
    with Session(own_engine) as session:
        floor = factories.make_floor(session)
        session.commit()
        one_room, other_room = _room(floor, 0, 0, 10, 8), _room(floor, 10, 0, 20, 8)
        waiting = threading.Thread(target=_draw, args=(own_engine, floor.id, other_room))
        factories.make_unit(session, floor=floor, geom=one_room)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        session.commit()
        waiting.join(20)

        assert len(_walls(session)) == 1


def _draw(engine: Engine, floor_id: UUID, room: Any) -> None:
    with Session(engine) as session:
        factories.make_unit(session, floor=session.get(Floor, floor_id), geom=room)
        session.commit()


# --- passages between buildings ----------------------------------------------------------------


def _link(session: Session, one: Any, other: Any, **values: Any) -> BuildingLink:
    first, second = sorted([one, other], key=lambda building: building.id)
    row: BuildingLink = factories.add(
        session,
        BuildingLink(
            **{
                "park_id": first.park_id,
                "building_a_id": first.id,
                "level_a": 0,
                "building_b_id": second.id,
                "level_b": 0,
                **MADE_UP,
                **values,
            }
        ),
    )
    return row


@pytest.fixture
def buildings(session: Session) -> tuple[Any, Any]:
    """Two buildings of one park, each with a ground floor."""
    park = factories.make_park(session)
    made = [
        factories.make_building(session, parcel=factories.make_parcel(session, park_id=park.id))
        for _ in range(2)
    ]
    for building in made:
        factories.make_floor(session, building=building)
    return made[0], made[1]


def test_a_passage_joins_floors_that_are_there(
    session: Session, buildings: tuple[Any, Any]
) -> None:
    _link(session, *buildings)

    for level in ("level_a", "level_b"):
        with pytest.raises(DBAPIError, match=f"{level}_floors"), session.begin_nested():
            _link(session, *buildings, **{level: 7})


def test_a_passage_stays_in_one_park(session: Session, buildings: tuple[Any, Any]) -> None:
    elsewhere = factories.make_building(session)
    factories.make_floor(session, building=elsewhere)

    with pytest.raises(DBAPIError, match="park_id_buildings"):
        _link(session, buildings[0], elsewhere)


def test_a_passage_is_recorded_once_and_joins_two(
    session: Session, buildings: tuple[Any, Any]
) -> None:
    first = _link(session, *buildings)
    values = {"building_a_id": first.building_b_id, "building_b_id": first.building_a_id}

    with pytest.raises(DBAPIError, match="ck_building_links_in_order"), session.begin_nested():
        _link(session, *buildings, **values)
    with pytest.raises(DBAPIError, match="uq_building_links"), session.begin_nested():
        _link(session, *buildings)


def test_a_building_tells_its_passages(
    session: Session, client: TestClient, buildings: tuple[Any, Any]
) -> None:
    one, other = buildings
    _link(session, one, other, source="a drawing", confidence="published", synthetic=False)
    session.commit()

    for building, beyond in ((one, other), (other, one)):
        (link,) = client.get(f"/api/v1/buildings/{building.code}").json()["links"]
        assert link["building"]["code"] == beyond.code
        assert (link["level_index"], link["other_level_index"]) == (0, 0)
        assert (link["source"], link["synthetic"]) == ("a drawing", False)


def _noted(session: Session) -> set[UUID]:
    """Buildings of which the log of changes heard in this transaction."""
    return set(session.scalars(text("SELECT building_id FROM space_changes")))


def test_who_follows_space_hears_of_walls_and_passages(
    session: Session, floor: Any, buildings: tuple[Any, Any]
) -> None:
    _unit(session, floor, 0, 0, 10, 8)
    _unit(session, floor, 10, 0, 20, 8)
    link = _link(session, *buildings)
    both = {building.id for building in buildings}
    for change, heard in (
        ("UPDATE unit_walls SET shared_wall_m = 2", {floor.building_id}),
        ("DELETE FROM unit_walls", {floor.building_id}),
        ("SELECT refresh_unit_walls(ARRAY(SELECT id FROM floors))", {floor.building_id}),
        ("SELECT refresh_unit_walls(ARRAY(SELECT id FROM floors))", set()),
        (f"UPDATE building_links SET source = 'b' WHERE id = '{link.id}'", both),  # noqa: S608
        (f"DELETE FROM building_links WHERE id = '{link.id}'", both),  # noqa: S608
    ):
        session.execute(text("DELETE FROM space_changes"))
        session.execute(text(change))
        assert _noted(session) == heard, change
