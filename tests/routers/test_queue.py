"""The line over HTTP: who waits, whose turn it is, and what nobody is told."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.ledger import writing
from app.models.company import Company
from app.models.queue import QueueEntry, QueueWant
from app.models.space import Unit
from app.security.actors import Role
from tests import factories as make
from tests.ledger.racing import at_once

QUEUE = "/api/v1/queue-entries"
HOLDS = "/api/v1/holds"
YEAR = {"from": "2031-01-01", "until": "2032-01-01"}
DAYS = Range(date(2031, 1, 1), date(2032, 1, 1))


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def order(*units: Unit, quantity: int | None = None, **members: Any) -> dict[str, Any]:
    part = {} if quantity is None else {"quantity": quantity}
    return {"units": [{"unit_id": str(unit.id), **part} for unit in units], **YEAR, **members}


def waits(
    session: Session,
    company: Company,
    unit: Unit,
    hours_ago: float,
    *,
    quantity: int | None = None,
) -> QueueEntry:
    """A company that joined the line some hours ago."""
    entry = make.add(
        session,
        QueueEntry(
            company_id=company.id,
            period=DAYS,
            offer_hours=48,
            joined_at=ago(hours_ago),
            joined_by="tests",
        ),
    )
    make.add(session, QueueWant(entry_id=entry.id, unit_id=unit.id, quantity=quantity))
    found: QueueEntry = entry
    return found


def held_until(session: Session, unit: Unit, hours_ago: float) -> None:
    """A hold of somebody else that lapsed some hours ago."""
    make.make_claim(
        session,
        unit,
        date(2031, 1, 1),
        date(2032, 1, 1),
        kind="hold",
        live=Range(ago(hours_ago + 100), ago(hours_ago)),
    )


class World:
    """A unit, and firms with their keys."""

    def __init__(self, session: Session, firms: int = 3) -> None:
        self.unit = make.make_unit(session)
        self.companies = [make.make_company(session) for _ in range(firms)]
        self.keys = [make.firm_headers(session, one) for one in self.companies]
        self.staff = make.staff_headers(session)
        session.commit()


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def join(client: TestClient, body: dict[str, Any], key: dict[str, str]) -> dict[str, Any]:
    answer = client.post(QUEUE, json=body, headers=key)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_next_in_line_is_offered_what_is_released(client: TestClient, world: World) -> None:
    first, second, third = world.keys
    held = client.post(HOLDS, json=order(world.unit), headers=first).json()
    waiting = [join(client, order(world.unit), key) for key in (second, third)]
    assert [(one["state"], one["position"], one["in_line"]) for one in waiting] == [
        ("waiting", 1, 1),
        ("waiting", 2, 2),
    ]

    client.post(f"{HOLDS}/{held['id']}/release", headers=first)

    places = [
        client.get(f"{QUEUE}/{one['id']}", headers=key).json()
        for one, key in zip(waiting, (second, third), strict=True)
    ]
    assert [one["state"] for one in places] == ["offered", "waiting"]
    lasts = datetime.fromisoformat(places[0]["offer_expires_at"]) - datetime.fromisoformat(
        places[0]["offered_at"]
    )
    assert lasts == timedelta(hours=48)


def test_only_the_one_whose_turn_it_is_may_hold_and_then_leaves_the_line(
    client: TestClient, world: World
) -> None:
    first, second, third = world.keys
    held = client.post(HOLDS, json=order(world.unit), headers=first).json()
    mine = join(client, order(world.unit), second)
    client.post(f"{HOLDS}/{held['id']}/release", headers=first)

    for other in (first, third):
        refused = client.post(HOLDS, json=order(world.unit), headers=other)
        assert refused.status_code == 409
        problem = refused.json()
        assert problem["type"] == "/problems/others-first"
        assert problem["unit_ids"] == [str(world.unit.id)]
        assert str(world.companies[1].id) not in refused.text
        assert world.companies[1].name_zh not in refused.text
    taken = client.post(HOLDS, json=order(world.unit), headers=second)

    assert taken.status_code == 201
    after = client.get(f"{QUEUE}/{mine['id']}", headers=second).json()
    assert (after["state"], after["outcome"]) == ("left", "taken")
    assert after["commitment_id"] == taken.json()["id"]
    assert after["position"] is None


def test_a_lease_signed_directly_waits_its_turn_too(client: TestClient, world: World) -> None:
    first, second, _ = world.keys
    held = client.post(HOLDS, json=order(world.unit), headers=first).json()
    join(client, order(world.unit), second)
    client.post(f"{HOLDS}/{held['id']}/release", headers=first)

    body = order(world.unit, company_id=str(world.companies[2].id))
    refused = client.post("/api/v1/leases", json=body, headers=world.staff)

    assert refused.json()["type"] == "/problems/others-first"


def test_who_lets_an_offer_lapse_is_passed_and_the_next_one_is_offered(
    client: TestClient, session: Session, world: World
) -> None:
    held_until(session, world.unit, hours_ago=60)
    slow, quick = (
        waits(session, company, world.unit, joined)
        for company, joined in zip(world.companies, (90, 80), strict=False)
    )
    session.commit()

    listed = client.get(QUEUE, params={"unit": str(world.unit.id)}, headers=world.staff)
    states = {one["id"]: one for one in listed.json()["items"]}

    assert states[str(slow.id)]["state"] == "passed"
    assert states[str(slow.id)]["position"] is None
    assert states[str(quick.id)]["state"] == "offered"
    offered_at = datetime.fromisoformat(states[str(quick.id)]["offered_at"])
    assert abs(offered_at - ago(12)) < timedelta(minutes=5)
    # Out of line for good: the space is the next one's to take, not the late one's.
    late = client.post(HOLDS, json=order(world.unit), headers=world.keys[0])
    assert late.json()["type"] == "/problems/others-first"
    assert client.post(HOLDS, json=order(world.unit), headers=world.keys[1]).status_code == 201


def test_the_line_is_shown_as_it_stood(client: TestClient, session: Session, world: World) -> None:
    held_until(session, world.unit, hours_ago=60)
    for company, joined in zip(world.companies, (90, 80), strict=False):
        waits(session, company, world.unit, joined)
    session.commit()

    def states(hours_ago: float) -> list[str]:
        asked = {"unit": str(world.unit.id), "as_of": ago(hours_ago).isoformat()}
        answer = client.get(QUEUE, params=asked, headers=world.staff)
        return [one["state"] for one in answer.json()["items"]]

    assert [states(hours) for hours in (95, 85, 70, 50, 11)] == [
        [],
        ["waiting"],
        ["waiting", "waiting"],
        ["offered", "waiting"],
        ["passed", "offered"],
    ]
    future = {"as_of": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    assert client.get(QUEUE, params=future, headers=world.staff).status_code == 422


def test_a_hold_that_lapsed_by_itself_offers_the_space_without_a_sweeper(
    client: TestClient, session: Session, world: World
) -> None:
    held_until(session, world.unit, hours_ago=1)
    waits(session, world.companies[1], world.unit, hours_ago=5)
    session.commit()

    assert client.post(HOLDS, json=order(world.unit), headers=world.keys[0]).status_code == 409
    assert client.post(HOLDS, json=order(world.unit), headers=world.keys[1]).status_code == 201


def test_parts_are_offered_side_by_side_and_the_rest_is_anyones(
    client: TestClient, session: Session
) -> None:
    world = World(session)
    hall = make.make_unit(session, divisible=True, min_part=Decimal(100))
    session.commit()
    first, second, third = world.keys
    held = client.post(HOLDS, json=order(hall), headers=first).json()
    join(client, order(hall, quantity=1500), second)
    client.post(f"{HOLDS}/{held['id']}/release", headers=first)

    too_much = client.post(HOLDS, json=order(hall, quantity=600), headers=third)
    beside = client.post(HOLDS, json=order(hall, quantity=500), headers=third)

    assert too_much.json()["type"] == "/problems/others-first"
    assert beside.status_code == 201


def test_leaving_gives_the_offer_to_the_next(client: TestClient, world: World) -> None:
    first, second, third = world.keys
    held = client.post(HOLDS, json=order(world.unit), headers=first).json()
    one, two = (join(client, order(world.unit), key) for key in (second, third))
    client.post(f"{HOLDS}/{held['id']}/release", headers=first)

    left = client.post(f"{QUEUE}/{one['id']}/leave", headers=second)
    again = client.post(f"{QUEUE}/{one['id']}/leave", headers=second)

    assert (left.json()["state"], left.json()["outcome"]) == ("left", "withdrawn")
    assert again.json()["type"] == "/problems/left-line"
    assert client.get(f"{QUEUE}/{two['id']}", headers=third).json()["state"] == "offered"


def test_a_company_stands_in_one_line_once_and_in_so_many_at_most(
    session: Session, make_client: Any
) -> None:
    world, more = World(session), [make.make_unit(session) for _ in range(2)]
    for unit in (world.unit, *more):
        make.make_claim(session, unit, date(2030, 1, 1), date(2033, 1, 1))
    session.commit()
    client = make_client(session, queue_entries_per_company_max=2)
    key = world.keys[0]
    first = join(client, order(world.unit), key)

    twice = client.post(QUEUE, json=order(world.unit), headers=key)
    join(client, order(more[0]), key)
    third = client.post(QUEUE, json=order(more[1]), headers=key)

    assert twice.json()["type"] == "/problems/already-in-line"
    assert twice.json()["entry_id"] == first["id"]
    assert third.json()["type"] == "/problems/line-limit-reached"


def test_days_that_are_gone_cannot_be_waited_for(client: TestClient, world: World) -> None:
    body = order(world.unit) | {"from": "2021-01-01", "until": "2031-01-01"}

    refused = client.post(QUEUE, json=body, headers=world.keys[0])

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/from"


def test_what_is_free_or_ones_own_is_not_waited_for(client: TestClient, world: World) -> None:
    free = client.post(QUEUE, json=order(world.unit), headers=world.keys[0])
    client.post(HOLDS, json=order(world.unit), headers=world.keys[0])
    own = client.post(QUEUE, json=order(world.unit), headers=world.keys[0])

    assert (free.status_code, free.json()["type"]) == (409, "/problems/space-is-free")
    assert (own.status_code, own.json()["type"]) == (409, "/problems/already-held")
    assert client.get(QUEUE, headers=world.keys[0]).json()["items"] == []


@pytest.mark.parametrize(
    ("size", "from_day"),
    [(2200, date(2026, 1, 1)), (1900, date(2026, 1, 1)), (4000, date(2040, 1, 1))],
)
def test_a_new_measurement_changes_no_turn_that_was(
    client: TestClient, session: Session, size: int, from_day: date
) -> None:
    """Who waits goes on waiting, and who was passed stays passed, whatever is measured later."""
    world = World(session, firms=4)
    hall = make.make_unit(session, divisible=True, min_part=Decimal(100))
    make.make_claim(session, hall, date(2030, 1, 1), date(2033, 1, 1))
    part = waits(session, world.companies[0], hall, hours_ago=72, quantity=150)
    held_until(session, world.unit, hours_ago=60)
    late = waits(session, world.companies[2], world.unit, hours_ago=85)
    session.commit()

    def states() -> dict[str, Any]:
        listed = client.get(QUEUE, headers=world.staff).json()["items"]
        return {one["id"]: (one["state"], one["offered_at"]) for one in listed}

    before = states()
    assert before[str(part.id)][0] == "waiting"
    assert before[str(late.id)][0] == "passed"
    for unit in (hall, world.unit):
        body = {
            "effective_on": str(from_day),
            "leasable_area_m2": size,
            "internal_area_m2": size * 4 // 5,
            "method": "实测",
        }
        answer = client.post(f"/api/v1/units/{unit.id}/remeasure", json=body, headers=world.staff)
        assert answer.status_code in {200, 201}, answer.text

    assert states() == before


def test_a_planned_measurement_lets_nobody_past_an_open_offer(
    client: TestClient, session: Session
) -> None:
    world = World(session)
    hall = make.make_unit(session, divisible=True, min_part=Decimal(100))
    session.commit()
    first, second, third = world.keys
    held = client.post(HOLDS, json=order(hall), headers=first).json()
    join(client, order(hall, quantity=1500), second)
    client.post(f"{HOLDS}/{held['id']}/release", headers=first)
    body = {
        "effective_on": "2040-01-01",
        "leasable_area_m2": 1000,
        "internal_area_m2": 800,
        "method": "实测",
    }
    assert client.post(
        f"/api/v1/units/{hall.id}/remeasure", json=body, headers=world.staff
    ).status_code in {200, 201}

    refused = client.post(HOLDS, json=order(hall, quantity=1000), headers=third)

    assert refused.json()["type"] == "/problems/others-first"
    assert client.post(HOLDS, json=order(hall, quantity=1500), headers=second).status_code == 201


def test_whole_places_only(client: TestClient, session: Session, world: World) -> None:
    benches = make.make_unit(
        session,
        capacity_measure="place",
        capacity=Decimal(20),
        divisible=True,
        min_part=Decimal(1),
    )
    session.commit()
    halves = {"units": [{"unit_id": str(benches.id), "quantity": 2.5}], **YEAR}

    refused = client.post(HOLDS, json=halves, headers=world.keys[0])

    assert (refused.status_code, refused.json()["type"]) == (
        422,
        "/problems/quantity-not-allowed",
    )
    assert client.post(HOLDS, json=order(benches, quantity=2), headers=world.keys[0]).is_success


def test_days_that_are_gone_make_no_term_longer(client: TestClient, session: Session) -> None:
    world = World(session)
    let = make.make_unit(session, min_term_months=24)
    session.commit()
    soon = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
    gone = {"units": [{"unit_id": str(let.id)}], "from": "2021-01-01", "until": "2024-01-01"}
    nearly = gone | {"until": soon}

    elapsed = client.post(HOLDS, json=gone, headers=world.keys[0])
    short = client.post(HOLDS, json=nearly, headers=world.keys[0])
    recorded = client.post(
        HOLDS, json=nearly | {"company_id": str(world.companies[0].id)}, headers=world.staff
    )

    assert elapsed.status_code == 422
    assert elapsed.json()["errors"][0]["pointer"] == "/until"
    assert short.json()["type"] == "/problems/term-not-offered"
    assert recorded.status_code == 201


def test_firms_see_their_own_places_and_nothing_of_others(
    client: TestClient, session: Session, world: World
) -> None:
    make.make_claim(session, world.unit, date(2030, 1, 1), date(2033, 1, 1))
    session.commit()
    mine = join(client, order(world.unit), world.keys[0])
    theirs = join(client, order(world.unit), world.keys[1])
    elsewhere = make.make_park(session)
    stranger = make.staff_headers(session, Role.AGENT, park_ids=[elsewhere.id])
    session.commit()

    listed = client.get(QUEUE, headers=world.keys[0])

    assert [one["id"] for one in listed.json()["items"]] == [mine["id"]]
    assert str(world.companies[1].id) not in listed.text
    other = client.get(f"{QUEUE}/{theirs['id']}", headers=world.keys[0])
    assert other.status_code == 404
    assert client.post(f"{QUEUE}/{theirs['id']}/leave", headers=world.keys[0]).status_code == 404
    assert client.get(QUEUE).status_code == 401
    assert client.get(QUEUE, headers=stranger).json()["items"] == []
    assert client.get(f"{QUEUE}/{mine['id']}", headers=stranger).status_code == 404


class TestExtending:
    """How long a hold may be kept depends on who asks."""

    @pytest.fixture
    def held(self, client: TestClient, world: World) -> dict[str, Any]:
        answer = client.post(HOLDS, json=order(world.unit), headers=world.keys[0])
        placed: dict[str, Any] = answer.json()
        return placed

    def extend(
        self, client: TestClient, held: dict[str, Any], hours: int, key: dict[str, str]
    ) -> Any:
        return client.post(f"{HOLDS}/{held['id']}/extend", json={"hours": hours}, headers=key)

    @pytest.mark.parametrize(
        ("role", "most"), [(None, 168), (Role.AGENT, 336), (Role.MANAGER, 720)]
    )
    def test_the_role_says_how_long(
        self,
        client: TestClient,
        session: Session,
        world: World,
        held: dict[str, Any],
        *,
        role: Role | None,
        most: int,
    ) -> None:
        key = world.keys[0] if role is None else make.staff_headers(session, role)
        session.commit()

        too_long = self.extend(client, held, most - 72 + 1, key)
        longer = self.extend(client, held, most - 72, key)

        assert (too_long.status_code, too_long.json()["type"]) == (403, "/problems/hold-too-long")
        assert longer.status_code == 200, longer.text
        answer = longer.json()
        assert (answer["id"], answer["state"]) == (held["id"], "held")
        assert answer["placed_at"] == held["placed_at"]
        lasts = datetime.fromisoformat(answer["expires_at"]) - datetime.fromisoformat(
            held["placed_at"]
        )
        assert lasts == timedelta(hours=most)

    def test_a_firm_cannot_keep_it_from_those_who_wait(
        self, client: TestClient, world: World, held: dict[str, Any]
    ) -> None:
        join(client, order(world.unit), world.keys[1])

        refused = self.extend(client, held, 1, world.keys[0])

        assert refused.json()["type"] == "/problems/others-wait"
        assert self.extend(client, held, 1, world.staff).status_code == 200
        assert self.extend(client, held, 1, world.keys[2]).status_code == 404

    def test_an_extended_hold_is_confirmed_and_released_like_any(
        self, client: TestClient, session: Session, world: World, held: dict[str, Any]
    ) -> None:
        self.extend(client, held, 10, world.keys[0])

        leased = client.post(f"{HOLDS}/{held['id']}/confirm", headers=world.staff)

        assert leased.status_code == 200, leased.text
        again = self.extend(client, held, 1, world.staff)
        assert again.json()["type"] == "/problems/hold-confirmed"
        live = session.execute(
            text("SELECT count(*) FROM claims WHERE live @> clock_timestamp() AND kind = 'lease'")
        ).scalar_one()
        assert live == 1


class TestRemainder:
    """What a part leaves behind can still be let, where that is the rule."""

    @pytest.fixture
    def hall(self, session: Session) -> Unit:
        unit = make.make_unit(session, divisible=True, min_part=Decimal(300))
        session.commit()
        return unit

    def test_a_part_may_not_leave_a_sliver_on_any_day(
        self, client: TestClient, session: Session, world: World, hall: Unit
    ) -> None:
        # 1,000 m² are taken in the second half of the year only.
        make.make_claim(
            session, hall, date(2031, 7, 1), date(2032, 7, 1), quantity=Decimal(1000), whole=False
        )
        session.commit()

        refused = client.post(HOLDS, json=order(hall, quantity=800), headers=world.keys[0])

        assert refused.status_code == 422
        problem = refused.json()
        assert problem["type"] == "/problems/remainder-too-small"
        assert (problem["free_quantity"], problem["smallest_part"]) == (1000, 300)
        assert problem["errors"][0]["pointer"] == "/units/0/quantity"
        for quantity in (700, 300):
            assert (
                client.post(
                    HOLDS, json=order(hall, quantity=quantity), headers=world.keys[0]
                ).status_code
                == 201
            )

    def test_all_that_is_left_may_be_taken(
        self, client: TestClient, world: World, hall: Unit
    ) -> None:
        client.post(HOLDS, json=order(hall, quantity=1500), headers=world.keys[0])

        rest = client.post(HOLDS, json=order(hall, quantity=500), headers=world.keys[1])

        assert rest.status_code == 201, rest.text

    def test_where_the_rule_is_any_slivers_may_stay(
        self, client: TestClient, session: Session, world: World
    ) -> None:
        hall = make.make_unit(session, divisible=True, min_part=Decimal(300), remainder_rule="any")
        session.commit()

        answer = client.post(HOLDS, json=order(hall, quantity=1900), headers=world.keys[0])

        assert answer.status_code == 201, answer.text


def held_by_how_many(
    engine: Engine, make_client: Any, monkeypatch: pytest.MonkeyPatch, *, fair: bool
) -> list[int]:
    """The statuses of ten firms and the one in line, which all want the space at once."""
    with Session(engine, expire_on_commit=False) as session:
        world = World(session, firms=11)
        held_until(session, world.unit, hours_ago=1)
        waits(session, world.companies[0], world.unit, hours_ago=5)
        session.commit()
    if not fair:
        monkeypatch.setattr(writing, "require_turn", lambda *_: None)
    client = make_client(engine)
    jobs = [
        lambda key=key: client.post(HOLDS, json=order(world.unit), headers=key).status_code
        for key in [*world.keys[1:], world.keys[0]]
    ]
    return at_once(jobs)


def test_in_a_race_the_one_in_line_wins(
    own_engine: Engine, make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert held_by_how_many(own_engine, make_client, monkeypatch, fair=True) == [409] * 10 + [201]


def test_without_the_line_the_race_goes_to_another(
    own_engine: Engine, make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: of ten and one, chance prefers the ten; several rounds make sure of it."""
    winners: list[UUID | int] = []
    for _ in range(4):
        statuses = held_by_how_many(own_engine, make_client, monkeypatch, fair=False)
        winners.append(statuses.index(201))
    assert winners != [10] * 4
