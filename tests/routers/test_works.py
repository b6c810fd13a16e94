"""Works and out-of-service periods over HTTP: nobody's promise, and yet nobody else's days."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.security.actors import Role
from tests import factories as make

WORKS, FREE, LEASES = "/api/v1/works", "/api/v1/free-space", "/api/v1/leases"
DAYS = {"from": "2027-03-01", "until": "2027-06-01"}


def free(client: TestClient) -> list[tuple[str, str | None]]:
    asked = {"from": "2027-01-01", "until": "2030-01-01"}
    items = client.get(FREE, params=asked).json()["items"]
    return [(item["free_from"], item["free_until"]) for item in items]


@pytest.mark.parametrize(("kind", "zh"), [("works", "施工"), ("out_of_service", "停用")])
def test_works_keep_days_that_nobody_can_have(
    client: TestClient, session: Session, kind: str, zh: str
) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    agent = make.staff_headers(session, Role.AGENT)
    manager = make.staff_headers(session, Role.MANAGER)
    firm = make.firm_headers(session, company)
    session.commit()
    body = {"units": [{"unit_id": str(unit.id)}], **DAYS, "kind": kind}

    answer = client.post(WORKS, json=body, headers=agent)

    assert answer.status_code == 201, answer.text
    works = answer.json()
    assert answer.headers["location"] == f"{WORKS}/{works['id']}"
    assert (works["kind"], works["kind_zh"], works["cancelled"]) == (kind, zh, False)
    assert (works["from"], works["until"]) == ("2027-03-01", "2027-06-01")
    assert client.get(answer.headers["location"], headers=agent).json() == works
    assert free(client) == [("2027-01-01", "2027-03-01")]
    lease = {
        "units": [{"unit_id": str(unit.id)}],
        "from": "2027-05-31",
        "until": "2028-06-01",
        "company_id": str(company.id),
    }
    refused = client.post(LEASES, json=lease, headers=manager)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/unit-occupied")
    signed = client.post(LEASES, json={**lease, "from": "2027-06-01"}, headers=manager)
    assert signed.status_code == 201
    assert client.get("/api/v1/claims", headers=firm).json()["items"] != []
    listed = client.get("/api/v1/claims", params={"kind": kind}, headers=agent).json()["items"]
    assert [(row["company_id"], row["kind"]) for row in listed] == [(None, kind)]
    assert client.get("/api/v1/claims", params={"kind": kind}, headers=firm).json()["items"] == []


def test_works_do_not_begin_where_somebody_is(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, date(2027, 1, 1), date(2027, 5, 1))
    agent = make.staff_headers(session, Role.AGENT)
    session.commit()
    body = {"units": [{"unit_id": str(unit.id)}], **DAYS}

    refused = client.post(WORKS, json=body, headers=agent)
    after = client.post(WORKS, json={**body, "from": "2027-05-01"}, headers=agent)

    assert refused.json()["conflicts"][0]["periods"] == [
        {"from": "2027-03-01", "until": "2027-05-01", "free_quantity": 0.0}
    ]
    assert after.status_code == 201


def test_works_that_end_sooner_free_their_days_at_once(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    agent = make.staff_headers(session, Role.AGENT)
    session.commit()
    body = {"units": [{"unit_id": str(unit.id)}], **DAYS}
    path = client.post(WORKS, json=body, headers=agent).headers["location"]

    def end(on: str) -> Any:
        return client.post(f"{path}/end", json={"on": on}, headers=agent)

    assert end("2027-02-28").json()["errors"][0]["pointer"] == "/on"
    assert end("2027-06-01").json()["type"] == "/problems/works-already-ended"
    ended = end("2027-04-01")
    assert (ended.status_code, ended.json()["until"]) == (200, "2027-04-01")
    assert free(client) == [("2027-01-01", "2027-03-01")]
    undone = end("2027-03-01").json()
    assert undone["cancelled"] is True
    assert free(client) == [("2027-01-01", None)]
    assert end("2027-03-01").json()["type"] == "/problems/works-already-ended"


def test_open_works_on_a_part_leave_the_rest(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=500)
    agent = make.staff_headers(session, Role.AGENT)
    session.commit()
    body = {
        "units": [{"unit_id": str(unit.id), "quantity": 800}],
        "from": "2027-03-01",
        "kind": "out_of_service",
    }

    works = client.post(WORKS, json=body, headers=agent)

    assert works.status_code == 201, works.text
    assert works.json()["until"] is None
    found = client.get(FREE, params={"from": "2027-03-01"}).json()["items"]
    assert [item["free_quantity"] for item in found] == [1200]


def test_works_are_for_staff_of_the_park(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    works = make.make_claim(session, unit, date(2028, 1, 1), date(2028, 2, 1), kind="works")
    lease = make.make_claim(session, unit, date(2029, 1, 1), date(2030, 2, 1))
    agent = make.staff_headers(session, Role.AGENT)
    callers = [
        ({}, 401),
        (make.firm_headers(session, company), 403),
        (make.staff_headers(session, Role.VIEWER), 403),
        (make.staff_headers(session, Role.ADMIN, park_ids=[uuid4()]), 403),
    ]
    session.commit()
    body = {"units": [{"unit_id": str(unit.id)}], **DAYS}

    for headers, status in callers:
        assert client.post(WORKS, json=body, headers=headers).status_code == status
        path = f"{WORKS}/{works.commitment_id}"
        end = client.post(f"{path}/end", json={"on": "2028-01-15"}, headers=headers)
        # Works in another park are none.
        assert end.status_code == (404 if headers is callers[3][0] else status)
    viewer = callers[2][0]
    assert client.get(f"{WORKS}/{works.commitment_id}", headers=viewer).status_code == 200
    for id_ in (lease.commitment_id, uuid4()):
        assert client.get(f"{WORKS}/{id_}", headers=agent).status_code == 404
        ended = client.post(f"{WORKS}/{id_}/end", json={"on": "2029-06-01"}, headers=agent)
        assert ended.status_code == 404


def test_works_need_days_in_order_and_a_kind(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    agent = make.staff_headers(session, Role.AGENT)
    session.commit()
    body = {"units": [{"unit_id": str(unit.id)}], **DAYS}
    for wrong, pointer in (
        ({"until": "2027-03-01"}, "/until"),
        ({"kind": "lease"}, "/kind"),
        ({"note": "paint"}, "/note"),
        ({"units": []}, "/units"),
    ):
        answer = client.post(WORKS, json={**body, **wrong}, headers=agent)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer
