"""Holds over HTTP: who may, what comes back, what is refused, and what is left behind."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.demand.derive import Ask, derive_needs
from app.demand.rules import load_rules
from app.models.claim import Claim
from app.models.company import Company, SpaceRequest
from app.security.actors import Role, Scope
from tests import factories as make
from tests.ledger.racing import RACERS, Call, race, serving

HOLDS = "/api/v1/holds"
FREE = "/api/v1/free-space"
YEAR = {"from": "2027-01-01", "until": "2028-01-01"}
RULES = load_rules(Path(__file__).resolve().parents[2] / "data")


def order(*units: Any, **members: Any) -> dict[str, Any]:
    return {"units": [{"unit_id": str(unit.id)} for unit in units], **YEAR, **members}


def claims_count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Claim)) or 0


def make_request(session: Session, company: Company) -> SpaceRequest:
    """Pilot space for the year that these tests hold."""
    stated = {
        "unit_type": "pilot",
        "from": YEAR["from"],
        "latest_from": YEAR["from"],
        "term_months": 12,
    }
    needs = derive_needs(Ask(stated, date(2026, 11, 1)), RULES)
    row: SpaceRequest = make.add(
        session,
        SpaceRequest(
            company_id=company.id,
            unit_type="pilot",
            stated=stated,
            needs=[need.as_json() for need in needs],
            rules_version="tests",
        ),
    )
    return row


def free_codes(client: TestClient, **asked: Any) -> dict[str, str]:
    answer = client.get(FREE, params={**YEAR, "free_by": "2027-01-01", **asked})
    assert answer.status_code == 200, answer.text
    return {item["code"]: item["free_from"] for item in answer.json()["items"]}


def test_a_firm_holds_a_unit_and_reads_it_back(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    firm = make.firm_headers(session, company)

    answer = client.post(HOLDS, json=order(unit), headers=firm)

    assert answer.status_code == 201, answer.text
    held = answer.json()
    assert answer.headers["location"] == f"{HOLDS}/{held['id']}"
    assert held["company_id"] == str(company.id)
    assert (held["from"], held["until"]) == ("2027-01-01", "2028-01-01")
    assert (held["state"], held["state_zh"]) == ("held", "锁定中")
    assert held["claims"][0]["unit_id"] == str(unit.id)
    assert held["claims"][0]["quantity"] == 2000.0
    lasts = datetime.fromisoformat(held["expires_at"]) - datetime.fromisoformat(held["placed_at"])
    assert lasts == timedelta(hours=72)
    assert client.get(answer.headers["location"], headers=firm).json() == held


def test_a_held_unit_is_not_free_on_the_held_days_only(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    firm = make.firm_headers(session, make.make_company(session))
    session.commit()
    assert free_codes(client) == {unit.code: "2027-01-01"}

    client.post(HOLDS, json=order(unit), headers=firm)

    assert free_codes(client) == {}
    assert free_codes(client, until="2029-01-01", free_by="2028-12-31") == {unit.code: "2028-01-01"}


def test_a_hold_may_start_on_the_day_another_ends(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    firm = make.firm_headers(session, make.make_company(session))
    client.post(HOLDS, json=order(unit), headers=firm)

    touching = {**order(unit), "from": "2028-01-01", "until": "2029-01-01"}
    sharing = {**order(unit), "from": "2026-06-01", "until": "2027-01-02"}

    assert client.post(HOLDS, json=touching, headers=firm).status_code == 201
    assert client.post(HOLDS, json=sharing, headers=firm).status_code == 409


def test_the_refusal_names_days_and_what_is_free_but_no_tenant(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    tenant = make.make_company(session)
    for start, end in (
        (date(2027, 2, 1), date(2027, 3, 1)),
        (date(2027, 6, 1), date(2027, 7, 1)),
    ):
        make.make_claim(session, unit, start, end, quantity=Decimal(1800), company_id=tenant.id)
    firm = make.firm_headers(session, make.make_company(session))
    body = {**YEAR, "units": [{"unit_id": str(unit.id), "quantity": 300}]}

    answer = client.post(HOLDS, json=body, headers=firm)

    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"] == "/problems/unit-occupied"
    assert problem["conflicts"] == [
        {
            "unit_id": str(unit.id),
            "unit_code": unit.code,
            "quantity_asked": 300.0,
            "periods": [
                {"from": "2027-02-01", "until": "2027-03-01", "free_quantity": 200.0},
                {"from": "2027-06-01", "until": "2027-07-01", "free_quantity": 200.0},
            ],
        }
    ]
    assert tenant.name_zh not in answer.text
    assert str(tenant.id) not in answer.text


def test_parts_are_counted_by_their_peak_not_by_their_sum(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    for month in (2, 4, 6):
        make.make_claim(
            session, unit, date(2027, month, 1), date(2027, month + 1, 1), quantity=Decimal(1200)
        )
    firm = make.firm_headers(session, make.make_company(session))

    def hold(quantity: int) -> int:
        body = {**YEAR, "units": [{"unit_id": str(unit.id), "quantity": quantity}]}
        return client.post(HOLDS, json=body, headers=firm).status_code

    assert hold(801) == 409
    assert hold(800) == 201
    assert hold(100) == 409


def test_places_are_held_by_the_place(client: TestClient, session: Session) -> None:
    room = make.make_unit(
        session,
        unit_type="incubation",
        capacity_measure="place",
        capacity=Decimal(12),
        divisible=True,
        min_part=Decimal(1),
        area_m2="120.00",
        rent_cny_per_m2_day=None,
        rent_cny_per_place_month=Decimal(1500),
    )
    firm = make.firm_headers(session, make.make_company(session))
    body = {**YEAR, "units": [{"unit_id": str(room.id), "quantity": 5}]}

    held = client.post(HOLDS, json=body, headers=firm).json()

    assert (held["claims"][0]["quantity"], held["claims"][0]["capacity_measure"]) == (5, "place")
    (item,) = client.get(FREE, params=YEAR).json()["items"]
    assert item["free_quantity"] == 7
    assert item["capacity"] == 12


def test_a_bundle_with_one_taken_unit_leaves_nothing_behind(
    client: TestClient, session: Session
) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=3) for n in range(3)]
    make.make_claim(session, units[1], date(2027, 6, 1), None)
    firm = make.firm_headers(session, make.make_company(session))

    answer = client.post(HOLDS, json=order(*units), headers=firm)

    assert answer.status_code == 409
    assert [one["unit_id"] for one in answer.json()["conflicts"]] == [str(units[1].id)]
    assert claims_count(session) == 1
    held = client.post(HOLDS, json=order(units[0], units[2]), headers=firm).json()
    assert len(held["claims"]) == 2
    assert claims_count(session) == 3


def test_what_cannot_be_promised_is_pointed_at(client: TestClient, session: Session) -> None:
    floor = make.make_floor(session)
    whole = make.make_unit(session, floor=floor, slots=3)
    parts = make.make_unit(
        session, floor=floor, slot=1, slots=3, divisible=True, min_part=Decimal(500)
    )
    later = make.make_unit(
        session, floor=floor, slot=2, slots=3, usable=Range(date(2027, 7, 1), date(2030, 1, 1))
    )
    firm = make.firm_headers(session, make.make_company(session))
    unknown = str(uuid4())

    def one(unit_id: object, **more: Any) -> dict[str, Any]:
        return {**YEAR, "units": [{"unit_id": str(unit_id), **more}]}

    cases = [
        (one(unknown), "unknown-unit", "/units/0/unit_id"),
        (order(whole, whole), "invalid-input", "/units/1/unit_id"),
        (one(whole.id, quantity=1999), "quantity-not-allowed", "/units/0/quantity"),
        (one(parts.id, quantity=499), "quantity-not-allowed", "/units/0/quantity"),
        (one(parts.id, quantity=2001), "quantity-not-allowed", "/units/0/quantity"),
        (one(parts.id, quantity=0), "invalid-request", "/units/0/quantity"),
        (one(later.id), "outside-usable-days", "/units/0/unit_id"),
        ({**order(whole), "until": "2027-01-01"}, "invalid-input", "/until"),
        ({**order(whole), "until": "2026-01-01"}, "invalid-input", "/until"),
        ({**order(whole), "expires_in_hours": 721}, "invalid-input", "/expires_in_hours"),
        ({**order(whole), "expires_in_hours": 10**30}, "invalid-input", "/expires_in_hours"),
        ({**order(whole), "expires_in_hours": 0}, "invalid-request", "/expires_in_hours"),
        ({**order(whole), "start": "2027-01-01"}, "invalid-request", "/start"),
        ({**YEAR, "units": []}, "invalid-request", "/units"),
    ]
    for body, slug, pointer in cases:
        answer = client.post(HOLDS, json=body, headers=firm)
        assert answer.status_code == 422, body
        assert answer.json()["type"] == f"/problems/{slug}", body
        assert pointer in [fault["pointer"] for fault in answer.json()["errors"]], answer.text
    assert claims_count(session) == 0


def test_who_may_hold(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    other = make.make_company(session)
    cases: list[tuple[dict[str, str], dict[str, Any], int]] = [
        ({}, order(unit), 401),
        (make.firm_headers(session, company, (Scope.REQUESTS_READ,)), order(unit), 403),
        (make.firm_headers(session, company), order(unit, company_id=str(other.id)), 404),
        (make.staff_headers(session, Role.VIEWER), order(unit, company_id=str(company.id)), 403),
        (make.staff_headers(session, Role.AGENT), order(unit), 422),
        (make.staff_headers(session, Role.AGENT), order(unit, company_id=str(uuid4())), 422),
        (
            make.staff_headers(session, Role.AGENT, park_ids=[uuid4()]),
            order(unit, company_id=str(company.id)),
            403,
        ),
    ]
    session.commit()
    for headers, body, status in cases:
        answer = client.post(HOLDS, json=body, headers=headers)
        assert answer.status_code == status, answer.text
    assert claims_count(session) == 0

    agent = make.staff_headers(session, Role.AGENT, park_ids=[unit.park_id])
    answer = client.post(HOLDS, json=order(unit, company_id=str(company.id)), headers=agent)
    assert answer.status_code == 201
    assert answer.json()["company_id"] == str(company.id)


def test_a_hold_of_another_firm_does_not_exist(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    mine = make.firm_headers(session, make.make_company(session))
    theirs = make.firm_headers(session, make.make_company(session))
    path = client.post(HOLDS, json=order(unit), headers=mine).headers["location"]

    assert client.get(path, headers=theirs).status_code == 404
    assert client.post(f"{path}/release", headers=theirs).status_code == 404
    assert client.get(path).status_code == 401
    assert client.get(f"{HOLDS}/{uuid4()}", headers=mine).status_code == 404
    outsider = make.staff_headers(session, Role.ADMIN, park_ids=[uuid4()])
    assert client.get(path, headers=outsider).status_code == 404
    assert client.post(f"{path}/confirm", headers=outsider).status_code == 404
    assert client.get(path, headers=mine).json()["state"] == "held"


def test_staff_confirm_a_hold_and_it_keeps_its_id(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    firm, agent = make.firm_headers(session, company), make.staff_headers(session, Role.AGENT)
    wish = make_request(session, company)
    held = client.post(HOLDS, json=order(unit, space_request_id=str(wish.id)), headers=firm).json()
    path = f"{HOLDS}/{held['id']}"

    refused = client.post(f"{path}/confirm", headers=firm)
    answer = client.post(f"{path}/confirm", headers=agent, json={})

    assert refused.status_code == 403
    assert answer.status_code == 200, answer.text
    lease = answer.json()
    assert (lease["id"], lease["state"]) == (held["id"], "signed")
    assert lease["claims"][0]["id"] != held["claims"][0]["id"]
    assert client.get(f"/api/v1/leases/{held['id']}", headers=firm).json() == lease
    assert client.get(path, headers=firm).json()["state"] == "leased"
    session.refresh(wish)
    assert (wish.state, wish.version) == ("placed", 1)
    assert free_codes(client) == {}
    again = client.post(f"{path}/confirm", headers=agent)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/hold-confirmed")
    released = client.post(f"{path}/release", headers=firm)
    assert (released.status_code, released.json()["type"]) == (409, "/problems/hold-confirmed")


def test_a_released_hold_frees_the_space_and_stays_in_the_book(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    firm = make.firm_headers(session, make.make_company(session))
    path = client.post(HOLDS, json=order(unit), headers=firm).headers["location"]

    answer = client.post(f"{path}/release", headers=firm)

    assert answer.status_code == 200
    assert answer.json()["state"] == "released"
    assert free_codes(client) == {unit.code: "2027-01-01"}
    again = client.post(f"{path}/release", headers=firm)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/hold-released")
    late = client.post(f"{path}/confirm", headers=make.staff_headers(session))
    assert (late.status_code, late.json()["type"]) == (409, "/problems/hold-released")
    assert claims_count(session) == 1


def test_a_hold_lapses_at_its_instant_without_any_sweeper(
    client: TestClient, session: Session
) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    firm = make.firm_headers(session, company)
    now = session.scalar(select(func.clock_timestamp()))
    assert now is not None
    expiry = now + timedelta(seconds=3)
    hold = make.make_claim(
        session,
        unit,
        date(2027, 1, 1),
        date(2028, 1, 1),
        kind="hold",
        company_id=company.id,
        live=Range(now, expiry),
    )
    session.commit()
    path = f"{HOLDS}/{hold.commitment_id}"
    before = (free_codes(client), client.get(path, headers=firm).json()["state"])

    while datetime.now(UTC) <= expiry:
        time.sleep(0.02)

    assert before == ({}, "held")
    assert free_codes(client) == {unit.code: "2027-01-01"}
    assert client.get(path, headers=firm).json()["state"] == "expired"
    late = client.post(f"{path}/confirm", headers=make.staff_headers(session))
    assert (late.status_code, late.json()["type"]) == (409, "/problems/hold-expired")
    assert client.post(f"{path}/release", headers=firm).status_code == 409
    assert client.post(HOLDS, json=order(unit), headers=firm).status_code == 201


def test_a_company_may_not_hoard(session: Session, make_client: Any) -> None:
    client = make_client(session, held_units_per_company_max=2)
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=4) for n in range(4)]
    firm = make.firm_headers(session, make.make_company(session))
    paths = [
        client.post(HOLDS, json=order(unit), headers=firm).headers["location"] for unit in units[:2]
    ]

    answer = client.post(HOLDS, json=order(units[2]), headers=firm)

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/hold-limit-reached")
    assert answer.json()["held_units_max"] == 2
    client.post(f"{paths[0]}/release", headers=firm)
    assert client.post(HOLDS, json=order(units[2]), headers=firm).status_code == 201


def test_a_request_of_another_company_cannot_be_named(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    mine, theirs = make.make_company(session), make.make_company(session)
    wish = make_request(session, theirs)
    body = order(unit, space_request_id=str(wish.id))

    answer = client.post(HOLDS, json=body, headers=make.firm_headers(session, mine))
    by_staff = client.post(HOLDS, json=body, headers=make.staff_headers(session))

    assert answer.status_code == 404
    assert by_staff.status_code == 201
    assert by_staff.json()["company_id"] == str(theirs.id)


def test_the_same_key_gives_the_same_bytes_and_one_claim(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    firm = make.firm_headers(session, make.make_company(session)) | {"Idempotency-Key": "k-1"}

    first = client.post(HOLDS, json=order(unit), headers=firm)
    again = client.post(HOLDS, json=order(unit), headers=firm)
    other = client.post(HOLDS, json=order(unit, expires_in_hours=5), headers=firm)

    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert claims_count(session) == 1


def test_the_same_key_from_32_callers_at_once_makes_one_claim(own_engine: Engine) -> None:
    with Session(own_engine) as session:
        unit_id = make.make_unit(session).id
        firm = make.firm_headers(session, make.make_company(session))
        session.commit()
    body = {"units": [{"unit_id": str(unit_id)}], **YEAR}
    call = Call(HOLDS, body, {**firm, "Idempotency-Key": "once"})

    with serving(own_engine) as port:
        replies = race(port, [call] * RACERS)
        (after,) = race(port, [call])

    made = {reply.body for reply in replies if reply.status == 201}
    assert made == {after.body}
    assert {reply.status for reply in replies} <= {201, 409}
    for reply in replies:
        if reply.status == 409:
            assert reply.json()["type"] == "/problems/idempotency-key-in-flight"
    with own_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM claims")) == 1


def test_confirm_and_release_race_and_one_of_them_wins(own_engine: Engine) -> None:
    with Session(own_engine) as session:
        unit_id: UUID = make.make_unit(session).id
        firm = make.firm_headers(session, make.make_company(session))
        staff = make.staff_headers(session)
        session.commit()

    # Sixteen stand behind one lock; who wins is asked here, not how busy the machine is.
    with serving(own_engine, lock_timeout_ms=20_000) as port:
        body = {"units": [{"unit_id": str(unit_id)}], **YEAR}
        for _ in range(3):
            (held,) = race(port, [Call(HOLDS, body, firm)])
            path = held.headers["location"]
            calls = [Call(f"{path}/confirm", {}, staff), Call(f"{path}/release", {}, firm)] * 8
            replies = race(port, calls)
            assert sorted(reply.status for reply in replies) == [200] + [409] * 15
            lease = next(reply for reply in replies if reply.status == 200).json()
            if lease["state"] == "signed":
                (ended,) = race(
                    port,
                    [
                        Call(
                            f"/api/v1/leases/{lease['id']}/terminate",
                            {"on": "2027-01-01", "reason": "协商一致"},
                            staff,
                        )
                    ],
                )
                assert ended.json()["state"] == "cancelled"


@pytest.mark.parametrize("member", ["until", "space_request_id", "company_id", "expires_in_hours"])
def test_null_is_the_same_as_not_said(client: TestClient, session: Session, member: str) -> None:
    unit = make.make_unit(session)
    firm = make.firm_headers(session, make.make_company(session))

    answer = client.post(HOLDS, json={**order(unit), member: None}, headers=firm)

    assert answer.status_code == 201, answer.text


def test_a_firm_holds_only_for_a_term_that_is_offered_and_staff_may_agree_to_another(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session, min_term_months=36, max_term_months=60)
    company = make.make_company(session)
    firm, staff = make.firm_headers(session, company), make.staff_headers(session)
    session.commit()

    def hold(until: str, headers: dict[str, str]) -> int:
        body = {"units": [{"unit_id": str(unit.id)}], "from": "2027-01-01", "until": until}
        if headers is staff:
            body["company_id"] = str(company.id)
        answer = client.post(HOLDS, json=body, headers=headers)
        if answer.status_code == 422:
            assert answer.json()["type"] == "/problems/term-not-offered"
        elif answer.status_code == 201:
            path = answer.headers["location"]
            assert client.post(f"{path}/release", headers=headers).status_code == 200
        return answer.status_code

    assert hold("2029-12-31", firm) == 422
    assert hold("2030-01-01", firm) == 201
    assert hold("2032-01-01", firm) == 201
    assert hold("2032-01-02", firm) == 422
    assert hold("2027-02-01", staff) == 201


def test_the_limit_counts_units_however_few_the_holds(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=3) for n in range(3)]
    firm = make.firm_headers(session, make.make_company(session))
    session.commit()
    client = make_client(session, held_units_per_company_max=2)
    body = {"units": [{"unit_id": str(unit.id)} for unit in units], **YEAR}

    answer = client.post(HOLDS, json=body, headers=firm)

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/hold-limit-reached")


def test_a_request_is_placed_by_a_lease_and_open_again_when_that_is_undone(
    client: TestClient, session: Session
) -> None:
    units = [make.make_unit(session) for _ in range(2)]
    company = make.make_company(session)
    firm, staff = make.firm_headers(session, company), make.staff_headers(session)
    request = make_request(session, company)
    session.commit()
    bodies = [
        {"units": [{"unit_id": str(unit.id)}], **YEAR, "space_request_id": str(request.id)}
        for unit in units
    ]
    path = client.post(HOLDS, json=bodies[0], headers=firm).headers["location"]
    lease = client.post(f"{path}/confirm", headers=staff).json()

    refused = client.post(HOLDS, json=bodies[1], headers=firm)
    assert refused.json()["errors"][0]["pointer"] == "/space_request_id"
    undone = client.post(
        f"/api/v1/leases/{lease['id']}/terminate",
        json={"on": YEAR["from"], "reason": "协商一致"},
        headers=staff,
    )
    assert undone.json()["state"] == "cancelled"

    assert client.post(HOLDS, json=bodies[1], headers=firm).status_code == 201
