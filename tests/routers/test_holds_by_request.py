"""A hold or lease that names a request is judged by it, on the space as it is at that moment."""

import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from app.models.claim import Claim
from app.models.space import Building, Unit
from app.security.actors import Role
from tests import factories as make
from tests.ledger.racing import Call, race, serving

HOLDS, LEASES, REQUESTS = "/api/v1/holds", "/api/v1/leases", "/api/v1/space-requests"
DAYS = {"from": "2027-01-01", "until": "2030-01-01"}
WISH: dict[str, Any] = {
    "unit_type": "pilot",
    "from": "2027-01-01",
    "latest_from": "2027-07-01",
    "term_months": 24,
}


class FixedClock:
    """Noon in Shanghai on 1 November 2026."""

    def now(self) -> datetime:
        return datetime(2026, 11, 1, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fixed_day(request: pytest.FixtureRequest) -> None:
    if "client" in request.fixturenames:
        app = request.getfixturevalue("client").app
        assert isinstance(app, FastAPI)
        app.state.clock = FixedClock()


class Firm:
    """A firm with a request, and staff beside it."""

    def __init__(self, client: TestClient, session: Session, **wish: Any) -> None:
        self.client, self.session = client, session
        company = make.make_company(session)
        self.headers = make.firm_headers(session, company)
        made = client.post(REQUESTS, headers=self.headers, json=WISH | wish)
        assert made.status_code == 201, made.text
        self.request_id = made.json()["id"]
        session.commit()  # a refused write rolls back to here

    def body(self, *units: Any, **members: Any) -> dict[str, Any]:
        asked = [
            {"unit_id": str(unit.id)}
            if isinstance(unit, Unit)
            else {"unit_id": str(unit[0].id), "quantity": unit[1]}
            for unit in units
        ]
        return {"units": asked, **DAYS, "space_request_id": self.request_id, **members}

    def hold(self, *units: Any, **members: Any) -> Any:
        return self.hold_as(self.headers, *units, **members)

    def hold_as(self, headers: dict[str, str], *units: Any, **members: Any) -> Any:
        return self.client.post(HOLDS, headers=headers, json=self.body(*units, **members))

    def not_met(self, *units: Any, **members: Any) -> list[str]:
        """The constraints for which the hold is refused; none: it is held, and let go again."""
        answer = self.hold(*units, **members)
        if answer.status_code == 201:
            path = answer.headers["location"]
            assert self.client.post(f"{path}/release", headers=self.headers).status_code == 200
            self.session.commit()
            return []
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/request-not-met")
        found: list[str] = answer.json()["not_met"]
        return found


def claims_count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Claim)) or 0


def test_a_stale_search_misleads_nobody(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session, floor_load_kn_m2=Decimal("7.85"))
    firm = Firm(client, session, min_floor_load_kn_m2=7.5)
    found = client.post(f"{REQUESTS}/{firm.request_id}/matches", headers=firm.headers, json={})
    assert [item["units"][0]["id"] for item in found.json()["items"]] == [str(unit.id)]

    session.execute(update(Unit).where(Unit.id == unit.id).values(floor_load_kn_m2=3.43))
    session.commit()
    answer = firm.hold(unit)

    assert answer.status_code == 409, answer.text
    problem = answer.json()
    assert problem["type"] == "/problems/request-not-met"
    assert problem["not_met"] == ["min_floor_load_kn_m2"]
    broken = [one for one in problem["verdicts"] if not one["fits"]]
    assert [(one["constraint"], one["need"], one["have"], one["margin"]) for one in broken] == [
        ("min_floor_load_kn_m2", 7.5, 3.43, -4.07)
    ]
    assert problem["detail"] == broken[0]["words_en"]
    assert (
        problem["detail_zh"]
        == broken[0]["words_zh"]
        == ("楼面荷载 3.43 kN/m²，要求不低于 7.5 kN/m²，相差 4.07 kN/m²")
    )
    assert {one["constraint"] for one in problem["verdicts"] if one["fits"]} >= {
        "unit_type",
        "availability",
        "term_months",
    }
    assert problem["rules_version"].startswith("constraints ")
    assert claims_count(session) == 0

    session.execute(update(Unit).where(Unit.id == unit.id).values(floor_load_kn_m2=7.5))
    session.commit()
    assert firm.hold(unit).status_code == 201


def test_without_a_request_nothing_is_judged(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session, unit_type="production")
    firm = Firm(client, session)
    assert firm.not_met(unit) == ["unit_type"]
    assert firm.not_met(unit, space_request_id=None) == []


def test_what_is_accepted_is_kept_and_shown_from_hold_to_lease(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session, area_m2="900.00", clear_height_m=Decimal("3.00"))
    firm = Firm(client, session, min_area_m2=1_000, min_clear_height_m=4)
    agent = make.staff_headers(session, Role.AGENT)
    session.commit()

    assert firm.not_met(unit, accepting=["min_area_m2"]) == ["min_clear_height_m"]
    accepted = ["min_area_m2", "min_clear_height_m"]
    held = firm.hold(unit, accepting=accepted)
    assert held.status_code == 201, held.text
    assert held.json()["accepting"] == accepted
    path = held.headers["location"]
    extended = client.post(f"{path}/extend", headers=firm.headers, json={"hours": 1})
    lease = client.post(f"{path}/confirm", headers=agent, json={})

    assert extended.json()["accepting"] == accepted
    assert lease.status_code == 200, lease.text
    assert lease.json()["accepting"] == accepted
    assert client.get(path, headers=firm.headers).json()["accepting"] == accepted


def test_law_is_waived_by_a_manager_or_by_nobody(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session, biosafety_level=1)
    firm = Firm(client, session, biosafety_level=2)
    agent, manager = (make.staff_headers(session, role) for role in (Role.AGENT, Role.MANAGER))
    session.commit()
    accepting = ["biosafety_level"]

    assert firm.not_met(unit) == accepting
    for headers in (firm.headers, agent):
        refused = firm.hold_as(headers, unit, accepting=accepting)
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/not-allowed")
    assert firm.hold_as(manager, unit, accepting=accepting).status_code == 201


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"accepting": ["steam", "charm"]}, "/accepting/1"),
        ({"accepting": ["steam"], "space_request_id": None}, "/accepting"),
    ],
)
def test_only_constraints_of_a_request_can_be_accepted(
    client: TestClient, session: Session, members: dict[str, Any], pointer: str
) -> None:
    unit = make.make_unit(session)
    refused = Firm(client, session).hold(unit, **members)
    assert refused.status_code == 422, refused.text
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]


def test_the_days_ordered_are_those_judged(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    firm = Firm(client, session)
    assert firm.not_met(unit, **{"from": "2027-07-01"}) == []
    assert firm.not_met(unit, **{"from": "2027-07-02"}) == ["availability"]
    assert firm.not_met(unit, until=None) == []
    assert firm.not_met(unit, until="2029-01-01") == []
    assert firm.not_met(unit, until="2028-12-31") == ["availability"]
    late = firm.hold(unit, **{"from": "2027-07-02", "until": "2028-01-01"}).json()
    assert late["detail"] == (
        "it is ordered from 2027-07-02, later than the latest start 2027-07-01;"
        " it is ordered until 2028-01-01, less than the 24 months wanted"
    )
    assert "晚于最晚起租日" in late["detail_zh"]
    assert firm.not_met(unit, until="2028-01-01", accepting=["availability"]) == []


def test_the_part_ordered_is_judged_and_not_the_part_that_would_be_offered(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(
        session,
        divisible=True,
        min_part=Decimal(200),
        rent_cny_per_m2_day=Decimal("3.0000"),
        power_kva=Decimal("200.0"),
    )
    firm = Firm(
        client, session, min_area_m2=500, max_area_m2=1_000, max_rent_cny_per_year=1_000_000
    )
    assert firm.not_met((unit, 800)) == []
    assert firm.not_met((unit, 400)) == ["min_area_m2"]
    assert firm.not_met((unit, 1_000)) == ["max_rent_cny_per_year"]
    assert firm.not_met(unit) == ["max_area_m2", "max_rent_cny_per_year"]


def test_places_are_counted_as_ordered(client: TestClient, session: Session) -> None:
    room = make.make_unit(
        session,
        unit_type="incubation",
        capacity_measure="place",
        capacity=Decimal(20),
        divisible=True,
        min_part=Decimal(1),
        rent_cny_per_m2_day=None,
        rent_cny_per_place_month=Decimal("1500.00"),
    )
    firm = Firm(client, session, unit_type="incubation", places=4, max_rent_cny_per_year=72_000)
    assert firm.not_met((room, 4)) == []
    assert firm.not_met((room, 3)) == ["places"]
    assert firm.not_met((room, 5)) == ["max_rent_cny_per_year"]


def test_several_units_are_judged_together(client: TestClient, session: Session) -> None:
    floor = make.make_floor(session)
    units = [
        make.make_unit(
            session,
            floor=floor,
            slot=slot,
            slots=3,
            area_m2="1000.00",
            freight_lift_t=Decimal(3) if slot == 0 else Decimal(1),
            floor_load_kn_m2=Decimal("3.43") if slot == 2 else Decimal("7.85"),
        )
        for slot in range(3)
    ]
    firm = Firm(client, session, min_area_m2=2_000, min_freight_lift_t=2, min_floor_load_kn_m2=7.5)

    assert firm.not_met(units[0]) == ["min_area_m2"]
    assert firm.not_met(*units[:2]) == []
    assert firm.not_met(*units[1:]) == ["min_floor_load_kn_m2", "min_freight_lift_t"]
    whole = Firm(client, session, whole_floor=True)
    assert whole.not_met(*units[:2]) == ["whole_floor"]
    assert whole.not_met(*units) == []


def test_a_unit_is_judged_as_it_is_on_the_first_day_ordered(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session, area_m2="2000.00")
    make.make_change(
        session,
        unit,
        date(2027, 4, 1),
        capacity=Decimal(900),
        leasable_area_m2=Decimal(900),
        internal_area_m2=Decimal(700),
    )
    firm = Firm(client, session, min_area_m2=1_000)
    assert firm.not_met(unit, **{"from": "2027-04-01"}) == ["min_area_m2"]
    assert firm.not_met(unit, **{"from": "2027-01-01"}) == []


def test_a_lease_without_a_hold_is_judged_the_same(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session, unit_type="production")
    firm = Firm(client, session)
    staff = make.staff_headers(session)
    session.commit()

    refused = client.post(LEASES, headers=staff, json=firm.body(unit))
    assert (refused.status_code, refused.json()["not_met"]) == (409, ["unit_type"])
    signed = client.post(LEASES, headers=staff, json=firm.body(unit, accepting=["unit_type"]))
    assert signed.status_code == 201, signed.text
    assert signed.json()["accepting"] == ["unit_type"]


def test_power_promised_to_others_is_not_there_any_more(
    client: TestClient, session: Session
) -> None:
    floor = make.make_floor(session)
    units = [
        make.make_unit(session, floor=floor, slot=slot, slots=2, power_kva=Decimal("600.0"))
        for slot in range(2)
    ]
    session.execute(
        update(Building)
        .where(Building.id == floor.building_id)
        .values(power_capacity_kva=Decimal("1000.0"))
    )
    firm = Firm(client, session, min_power_kva=500)
    assert firm.not_met(units[0]) == []
    assert firm.hold(units[0]).status_code == 201
    session.commit()
    refused = firm.hold(units[1])
    assert refused.json()["not_met"] == ["power_left"]
    said = next(one for one in refused.json()["verdicts"] if one["constraint"] == "power_left")
    assert (said["have"], said["need"]) == (400, "500 kVA")
    # After the other has left there is enough.
    assert firm.not_met(units[1], **{"from": "2030-01-01", "until": None}) == ["availability"]


def test_two_who_race_for_the_last_power_of_a_building_get_it_once(own_engine: Engine) -> None:
    with Session(own_engine) as session:
        floor = make.make_floor(session)
        units = [
            make.make_unit(session, floor=floor, slot=slot, slots=8, power_kva=Decimal("600.0"))
            for slot in range(8)
        ]
        session.execute(update(Building).values(power_capacity_kva=Decimal("1000.0")))
        firms = [make.firm_headers(session, make.make_company(session)) for _ in units]
        ids = [str(unit.id) for unit in units]
        session.commit()
    with serving(own_engine) as port:
        wishes = race(port, [Call(REQUESTS, WISH | {"min_power_kva": 500}, one) for one in firms])
        calls = [
            Call(
                HOLDS,
                {"units": [{"unit_id": unit}], **DAYS, "space_request_id": wish.json()["id"]},
                headers,
            )
            for unit, wish, headers in zip(ids, wishes, firms, strict=True)
        ]
        replies = race(port, calls)

    statuses = sorted(reply.status for reply in replies)
    assert statuses == [201] + [409] * 7
    assert all(
        reply.json()["not_met"] == ["power_left"] for reply in replies if reply.status == 409
    )


def test_needs_do_not_change_under_the_check(own_engine: Engine) -> None:
    """The request is locked from the check to the end: who changes its needs waits."""
    with Session(own_engine) as session:
        unit_id = str(make.make_unit(session).id)
        firm = make.firm_headers(session, make.make_company(session))
        session.commit()
    with serving(own_engine) as port:
        (wish,) = race(port, [Call(REQUESTS, WISH, firm)])
        request_id = wish.json()["id"]
        with Session(own_engine) as changing:
            changing.execute(
                text("UPDATE space_requests SET version = version + 1 WHERE id = :id"),
                {"id": request_id},
            )
            body = {"units": [{"unit_id": unit_id}], **DAYS, "space_request_id": request_id}
            replies: list[Any] = []
            waiting = threading.Thread(
                target=lambda: replies.extend(race(port, [Call(HOLDS, body, firm)]))
            )
            waiting.start()
            waiting.join(0.5)
            assert waiting.is_alive()
            changing.execute(
                text(
                    "UPDATE space_requests SET needs = (SELECT jsonb_agg(CASE need->>'key'"
                    " WHEN 'unit_type' THEN need || '{\"value\": \"production\"}' ELSE need END)"
                    " FROM jsonb_array_elements(needs) AS need) WHERE id = :id"
                ),
                {"id": request_id},
            )
            changing.commit()
            waiting.join()
    assert [reply.status for reply in replies] == [409]
    assert replies[0].json()["not_met"] == ["unit_type"]


def test_an_area_drawn_and_an_iso_class_are_needs_like_others(
    client: TestClient, session: Session
) -> None:
    # The ground of every made-up park lies in this square.
    square = [[121.5, 31.1], [121.7, 31.1], [121.7, 31.3], [121.5, 31.3], [121.5, 31.1]]
    elsewhere = [[lon + 1, lat] for lon, lat in square]
    unit = make.make_unit(session, cleanroom_grade="C")
    for ring, iso_class, not_met in (
        (square, 7, []),
        (square, 6, ["cleanroom_iso_class"]),
        (elsewhere, 8, ["within"]),
    ):
        area = {"type": "Polygon", "coordinates": [ring]}
        firm = Firm(client, session, within=area, cleanroom_iso_class=iso_class)
        assert firm.not_met(unit) == not_met
    listed = client.get(f"{REQUESTS}/{firm.request_id}", headers=firm.headers).json()["needs"]
    drawn = next(need for need in listed if need["key"] == "within")
    assert drawn["value"] == area
    assert drawn["words_en"].startswith("inside the area drawn: ")
    refused = client.post(
        REQUESTS,
        headers=firm.headers,
        json=WISH | {"within": {"type": "Polygon", "coordinates": [square[:3]]}},
    )
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-shape")


def test_units_that_lie_apart_are_no_answer_to_a_request(
    client: TestClient, session: Session
) -> None:
    one, other = make.make_unit(session), make.make_unit(session)
    firm = Firm(client, session, min_area_m2=float(one.capacity) + 1)
    refused = firm.hold(one, other)
    assert refused.status_code == 409
    assert refused.json()["not_met"] == ["together"]
    assert "不相连" in refused.json()["detail_zh"]
    assert firm.hold(one, other, accepting=["together"]).status_code == 201


def test_units_side_by_side_are(client: TestClient, session: Session) -> None:
    floor = make.make_floor(session)
    one, other = (make.make_unit(session, floor=floor, slot=slot, slots=2) for slot in (0, 1))
    firm = Firm(client, session, min_area_m2=float(one.capacity) + 1)
    assert firm.hold(one, other).status_code == 201
