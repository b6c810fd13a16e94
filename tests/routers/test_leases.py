"""Leases over HTTP: signed without a hold, read, and ended before their time."""

from datetime import date, datetime
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models.claim import Claim
from app.security.actors import Role
from tests import factories as make

LEASES = "/api/v1/leases"
FREE = "/api/v1/free-space"
TERM = {"from": "2027-01-01", "until": "2030-01-01"}


def free_from(client: TestClient, **asked: Any) -> list[tuple[str, str | None]]:
    answer = client.get(FREE, params={"from": "2027-01-01", "until": "2035-01-01", **asked})
    assert answer.status_code == 200, answer.text
    return [(item["free_from"], item["free_until"]) for item in answer.json()["items"]]


def test_a_manager_signs_a_lease_without_a_hold(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    manager = make.staff_headers(session, Role.MANAGER)
    body = {"units": [{"unit_id": str(unit.id)}], **TERM, "company_id": str(company.id)}

    answer = client.post(LEASES, json=body, headers=manager)

    assert answer.status_code == 201, answer.text
    lease = answer.json()
    assert answer.headers["location"] == f"{LEASES}/{lease['id']}"
    assert (lease["state"], lease["terminated_at"]) == ("signed", None)
    firm = make.firm_headers(session, company)
    session.commit()
    assert client.get(answer.headers["location"], headers=firm).json() == lease
    assert free_from(client) == [("2030-01-01", None)]
    twice = client.post(LEASES, json=body, headers=manager)
    assert (twice.status_code, twice.json()["type"]) == (409, "/problems/unit-occupied")
    # It was never a hold.
    assert client.get(f"/api/v1/holds/{lease['id']}", headers=firm).status_code == 404
    assert client.post(f"/api/v1/holds/{lease['id']}/release", headers=firm).status_code == 404


def test_only_managers_of_the_park_sign_and_end(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    lease = make.make_claim(
        session, unit, date(2027, 1, 1), date(2030, 1, 1), company_id=company.id
    )
    body = {"units": [{"unit_id": str(unit.id)}], **TERM, "company_id": str(company.id)}
    # A lease of another park is none.
    cases = [
        ({}, 401, 401),
        (make.firm_headers(session, company), 403, 403),
        (make.staff_headers(session, Role.AGENT), 403, 403),
        (make.staff_headers(session, Role.MANAGER, park_ids=[uuid4()]), 403, 404),
    ]
    session.commit()

    for headers, to_sign, to_end in cases:
        signed = client.post(LEASES, json=body, headers=headers)
        ended = client.post(
            f"{LEASES}/{lease.commitment_id}/terminate",
            json={"on": "2028-01-01", "reason": "协商一致"},
            headers=headers,
        )
        assert (signed.status_code, ended.status_code) == (to_sign, to_end)
    assert session.scalar(select(func.count()).select_from(Claim)) == 1


def test_an_ended_lease_frees_the_days_after_and_keeps_what_was_known(
    client: TestClient, session: Session
) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    manager = make.staff_headers(session, Role.MANAGER)
    body = {"units": [{"unit_id": str(unit.id)}], **TERM, "company_id": str(company.id)}
    before_signing = session.scalar(select(func.clock_timestamp()))
    session.commit()
    lease = client.post(LEASES, json=body, headers=manager).json()
    path = f"{LEASES}/{lease['id']}"
    while_signed = session.scalar(select(func.clock_timestamp()))

    answer = client.post(
        f"{path}/terminate", json={"on": "2028-07-01", "reason": "协商一致"}, headers=manager
    )

    assert answer.status_code == 200, answer.text
    ended = answer.json()
    assert (ended["from"], ended["until"]) == ("2027-01-01", "2028-07-01")
    assert (ended["state"], ended["signed_until"]) == ("terminated", "2030-01-01")
    assert while_signed is not None
    assert datetime.fromisoformat(ended["terminated_at"]) > while_signed
    assert ended["signed_at"] == lease["signed_at"]
    assert free_from(client) == [("2028-07-01", None)]
    assert free_from(client, as_of=while_signed) == [("2030-01-01", None)]
    assert free_from(client, as_of=before_signing) == [("2027-01-01", None)]


def test_a_lease_ended_on_its_first_day_never_was(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    lease = make.make_claim(session, unit, date(2027, 1, 1), None)
    manager = make.staff_headers(session, Role.MANAGER)
    path = f"{LEASES}/{lease.commitment_id}"

    answer = client.post(
        f"{path}/terminate", json={"on": "2027-01-01", "reason": "协商一致"}, headers=manager
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "cancelled"
    assert answer.json()["terminated_at"] is not None
    assert free_from(client) == [("2027-01-01", None)]
    again = client.post(
        f"{path}/terminate", json={"on": "2027-01-01", "reason": "协商一致"}, headers=manager
    )
    assert (again.status_code, again.json()["type"]) == (409, "/problems/lease-already-ended")


def test_a_slip_of_the_year_does_not_undo_a_lease(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    lease = make.make_claim(session, unit, date(2027, 1, 1), date(2030, 1, 1))
    manager = make.staff_headers(session, Role.MANAGER)
    path = f"{LEASES}/{lease.commitment_id}"
    session.commit()

    answer = client.post(
        f"{path}/terminate", json={"on": "2019-01-01", "reason": "协商一致"}, headers=manager
    )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/on")
    assert client.get(path, headers=manager).json()["state"] == "signed"


@pytest.mark.parametrize("on", ["2030-01-01", "2031-01-01"])
def test_a_lease_is_not_ended_later_than_it_ends(
    client: TestClient, session: Session, on: str
) -> None:
    unit = make.make_unit(session)
    lease = make.make_claim(session, unit, date(2027, 1, 1), date(2030, 1, 1))
    manager = make.staff_headers(session, Role.MANAGER)

    answer = client.post(
        f"{LEASES}/{lease.commitment_id}/terminate",
        json={"on": on, "reason": "协商一致"},
        headers=manager,
    )

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/lease-already-ended")
    assert answer.json()["until"] == "2030-01-01"


def test_a_hold_or_works_is_no_lease(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    works = make.make_claim(session, unit, date(2027, 1, 1), date(2027, 2, 1), kind="works")
    manager = make.staff_headers(session, Role.MANAGER)

    for path, body in (
        (f"{LEASES}/{works.commitment_id}/terminate", {"on": "2027-01-15", "reason": "协商一致"}),
        (f"/api/v1/holds/{works.commitment_id}/confirm", {}),
        (f"/api/v1/holds/{works.commitment_id}/release", {}),
    ):
        assert client.post(path, json=body, headers=manager).status_code == 404
    assert client.get(f"{LEASES}/{works.commitment_id}", headers=manager).status_code == 404
