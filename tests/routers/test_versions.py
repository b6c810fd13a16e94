"""ETag and If-Match: what is read is what is changed, or nothing is."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.main import ROUTERS
from app.routers import versions
from app.routers.versions import Precondition, Shown
from tests.factories import ANY, firm_headers, make_company, make_unit, staff_headers

API = "/api/v1"
SHOWN = Shown.by(route for router in ROUTERS for route in router.routes)
#: Calls with an id in their path that change nothing that is read alone with an ETag, and why.
WITHOUT = {
    "merge": "units change by events on a day, judged by the ledger as it is then",
    "change_unit_terms": "an event on a day",
    "remeasure_unit": "an event on a day",
    "split": "an event on a day",
    "replay_match_receipt": "writes nothing",
    "approve_application": "its GET is the applicant's own; who decides second is refused",
    "refuse_application": "the same",
    "reveal_applicant": "writes nothing but the trail",
    "revoke_invitation": "has no GET of its own; ending it twice is refused",
    "restore_former_feature": "what it replaces is kept, and put back in the same way",
    "end_staff_session": "has no GET of its own; a session ends once",
}
LATER = {"from": "2031-01-01", "until": "2033-01-01"}


@pytest.fixture
def client(session: Session, make_client: Callable[..., TestClient]) -> TestClient:
    return make_client(session)


def test_every_call_that_changes_one_thing_takes_if_match() -> None:
    """A route that is added below a path with an id names its GET by its path, or its reason."""
    unsafe = [
        route
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "{" in route.path and "GET" not in (route.methods or ())
    ]
    without = {route.name for route in unsafe if SHOWN.nearest(route.path) is None}
    assert without | {"merge"} == set(WITHOUT)
    overwriting = [
        route
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and {"PUT", "PATCH"} & (route.methods or set())
    ]
    assert len(overwriting) >= 6
    assert [route.path for route in overwriting if SHOWN.nearest(route.path) is None] == []


def test_a_write_answers_with_the_etag_that_the_next_read_has(
    client: TestClient, session: Session
) -> None:
    company, unit = make_company(session), make_unit(session)
    staff, firm = staff_headers(session), firm_headers(session, company)
    session.commit()

    def same(path: str, answer: Any) -> str:
        assert answer.is_success, answer.text
        read = client.get(path, headers=staff)
        assert read.headers["etag"] == answer.headers["etag"]
        tag: str = read.headers["etag"]
        return tag

    order = {"units": [{"unit_id": str(unit.id)}], **LATER}
    held = client.post(f"{API}/holds", headers=firm, json=order)
    hold = f"{API}/holds/{held.json()['id']}"
    first = same(hold, held)
    second = same(hold, client.post(f"{hold}/extend", headers=firm, json={"hours": 1}))
    assert first != second

    stale = client.post(f"{hold}/release", headers=firm | {"If-Match": first})
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/changed-meanwhile")
    assert stale.json()["etag"] == second
    assert client.get(hold, headers=firm).json()["state"] == "held"

    once = firm | {"If-Match": f'"other", W/{second}', "Idempotency-Key": "release"}
    released = client.post(f"{hold}/release", headers=once)
    third = same(hold, released)
    # What was done is answered again, though the tag is an old one by now.
    again = client.post(f"{hold}/release", headers=once)
    assert (again.status_code, again.headers["etag"]) == (200, third)
    assert again.headers["idempotency-replayed"] == "true"

    leased = client.post(
        f"{API}/leases", headers=staff, json=order | {"company_id": str(company.id)}
    )
    lease = f"{API}/leases/{leased.json()['id']}"
    tag = same(lease, leased)
    longer = client.post(
        f"{lease}/extend", headers=staff | {"If-Match": tag}, json={"until": "2034-01-01"}
    )
    assert same(lease, longer) != tag


def test_what_overwrites_says_what_was_read(client: TestClient, session: Session) -> None:
    admin = staff_headers(session)
    firm = firm_headers(session, make_company(session))
    session.commit()
    policy, body = f"{API}/match-policy", {"weights": {"rent": 30, "wishes": 20}}
    tag = client.get(policy, headers=admin).headers["etag"]

    silent = client.put(policy, headers=admin, json=body)
    assert (silent.status_code, silent.json()["type"]) == (428, "/problems/etag-needed")
    assert client.get(policy, headers=admin).headers["etag"] == tag
    # Who may not write hears that first.
    assert client.put(policy, headers=firm, json=body).status_code == 403

    written = client.put(policy, headers=admin | {"If-Match": tag}, json=body)
    assert written.status_code == 200, written.text
    assert client.put(policy, headers=admin | {"If-Match": tag}, json=body).status_code == 412
    assert client.put(policy, headers=admin | ANY, json=body).status_code == 200


@pytest.mark.parametrize("locked", [True, False])
def test_of_two_who_read_the_same_one_writes(
    own_engine: Engine,
    make_client: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
    *,
    locked: bool,
) -> None:
    """The control arm compares without waiting its turn, and loses one of the two changes."""
    with Session(own_engine) as session:
        admin = staff_headers(session)
        session.commit()
    client = make_client(own_engine)
    policy = f"{API}/match-policy"
    tag = client.get(policy, headers=admin).headers["etag"]
    compare = Precondition._compare

    def slowly(self: Precondition, resource: str) -> None:
        compare(self, resource)
        time.sleep(0.3)

    monkeypatch.setattr(Precondition, "_compare", slowly)
    if not locked:
        monkeypatch.setattr(versions, "wait_for_turn", lambda *_: None)

    def write(rent: int) -> int:
        body = {"weights": {"rent": rent, "wishes": 50 - rent}}
        status: int = client.put(policy, headers=admin | {"If-Match": tag}, json=body).status_code
        return status

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(write, [0, 30]))
    assert statuses == ([200, 412] if locked else [200, 200])
