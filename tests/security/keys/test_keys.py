"""Firms' keys: nobody gains by them what they had not, and no secret is kept."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from app.models.access import Credential
from app.onboarding.expiring import tell_expiring
from app.security.actors import Role, Scope
from app.security.keys import service
from tests.clocks import SetClock, set_clock
from tests.factories import firm_headers, make_company, staff_headers

KEYS = "/api/v1/keys"
COMPANIES = "/api/v1/companies"


@pytest.fixture
def clock(client: TestClient) -> SetClock:
    return set_clock(client)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def issue(client: TestClient, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    made = client.post(KEYS, headers=headers, json={"label": "tests", **body})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def works(client: TestClient, key: str) -> bool:
    return client.get(COMPANIES, headers=bearer(key)).status_code == 200


def test_a_firm_issues_no_more_than_it_has(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    company = make_company(session)
    own = firm_headers(session, company, (Scope.KEYS_WRITE, Scope.REQUESTS_READ))

    made = issue(client, own, scopes=["requests:read"])
    more = client.post(KEYS, headers=own, json={"label": "x", "scopes": ["holds:write"]})
    all_own = issue(client, own)

    assert made["scopes"] == ["requests:read"]
    assert made["company_id"] == str(company.id)
    assert works(client, made["key"])
    assert more.status_code == 403
    assert more.json()["scope"] == "holds:write"
    assert sorted(all_own["scopes"]) == ["keys:write", "requests:read"]
    assert datetime.fromisoformat(made["expires_at"]) == clock.now() + timedelta(days=365)
    # The new one may not issue at all, and is told what it lacks.
    refused = client.post(KEYS, headers=bearer(made["key"]), json={"label": "x"})
    assert (refused.status_code, refused.json()["scope"]) == (403, "keys:write")


def test_rotating_gives_away_no_key_that_may_do_more(client: TestClient, session: Session) -> None:
    company = make_company(session)
    firm_headers(session, company)  # may do everything
    session.commit()
    small = firm_headers(session, company, (Scope.KEYS_WRITE,))
    listed = client.get(KEYS, headers=small).json()["items"]
    great = next(one for one in listed if len(one["scopes"]) > 1)

    refused = client.post(f"{KEYS}/{great['id']}/rotate", headers=small)

    assert refused.status_code == 403
    assert refused.json()["scope"] in great["scopes"]


def test_both_secrets_work_until_the_overlap_ends(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    first = issue(client, firm_headers(session, make_company(session)))
    admin = bearer(first["key"])

    rotated = client.post(
        f"{KEYS}/{first['id']}/rotate", headers=admin, json={"overlap_hours": 2}
    ).json()

    assert rotated["client_id"] == first["client_id"]
    assert rotated["key"] != first["key"]
    assert (works(client, first["key"]), works(client, rotated["key"])) == (True, True)
    clock.pass_by(hours=2, seconds=-1)
    assert works(client, first["key"])
    clock.pass_by(seconds=1)
    assert (works(client, first["key"]), works(client, rotated["key"])) == (False, True)
    assert (
        client.get(f"{KEYS}/{first['id']}", headers=bearer(rotated["key"])).json()["previous_until"]
        is None
    )


def test_a_second_rotation_ends_the_first_secret(client: TestClient, session: Session) -> None:
    first = issue(client, firm_headers(session, make_company(session)))
    rotate = f"{KEYS}/{first['id']}/rotate"
    second = client.post(rotate, headers=bearer(first["key"])).json()["key"]
    third = client.post(rotate, headers=bearer(second)).json()["key"]

    assert [works(client, key) for key in (first["key"], second, third)] == [False, True, True]


def test_revoking_ends_both_secrets_and_an_ended_key_stays_ended(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    admin = firm_headers(session, make_company(session))
    made = issue(client, admin, expires_in_days=1)
    rotated = client.post(f"{KEYS}/{made['id']}/rotate", headers=admin).json()
    revoked = client.post(f"{KEYS}/{made['id']}/revoke", headers=admin).json()

    assert revoked["state"] == "revoked"
    assert (works(client, made["key"]), works(client, rotated["key"])) == (False, False)
    again = client.post(f"{KEYS}/{made['id']}/rotate", headers=admin)
    assert again.json()["type"] == "/problems/key-ended"

    short = issue(client, admin, expires_in_days=1)
    clock.pass_by(days=1)
    assert not works(client, short["key"])
    shown = client.get(f"{KEYS}/{short['id']}", headers=admin).json()
    assert shown["state"] == "expired"


def test_a_repeated_call_makes_one_key_and_no_secret_is_kept(
    client: TestClient, session: Session
) -> None:
    headers = firm_headers(session, make_company(session)) | {"Idempotency-Key": "once"}
    first = client.post(KEYS, headers=headers, json={"label": "x"})
    again = client.post(KEYS, headers=headers, json={"label": "x"})

    assert first.headers["cache-control"] == "no-store"
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json() | {"key": None}
    secret = first.json()["key"].split("_", 3)[3]
    kept = session.scalars(
        text(
            "SELECT convert_from(body, 'UTF8') FROM idempotent_answers"
            " UNION ALL SELECT c::text FROM credentials c"
        )
    ).all()
    assert len(kept) >= 2
    assert first.json()["client_id"] in "".join(kept)
    assert secret not in "".join(kept)


def test_another_firms_key_is_not_there(client: TestClient, session: Session) -> None:
    other = make_company(session)
    theirs = issue(client, firm_headers(session, other))
    mine = firm_headers(session, make_company(session))

    answers = [
        client.get(f"{KEYS}/{theirs['id']}", headers=mine),
        client.post(f"{KEYS}/{theirs['id']}/rotate", headers=mine),
        client.post(f"{KEYS}/{theirs['id']}/revoke", headers=mine),
        client.get(KEYS, headers=mine, params={"company_id": str(other.id)}),
        client.post(KEYS, headers=mine, json={"label": "x", "company_id": str(other.id)}),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert works(client, theirs["key"])
    listed = client.get(KEYS, headers=mine).json()["items"]
    assert {one["company_id"] for one in listed} != {str(other.id)}
    assert theirs["id"] not in {one["id"] for one in listed}


def test_managers_issue_for_a_firm_and_agents_do_not(client: TestClient, session: Session) -> None:
    company = make_company(session)
    body = {"label": "x", "company_id": str(company.id)}
    manager = staff_headers(session, Role.MANAGER)

    made = client.post(KEYS, headers=manager, json=body)

    assert made.status_code == 201, made.text
    assert client.post(KEYS, headers=manager, json={"label": "x"}).status_code == 422
    assert client.post(KEYS, headers=staff_headers(session, Role.AGENT), json=body).status_code == (
        403
    )
    listed = client.get(KEYS, headers=manager, params={"company_id": str(company.id)}).json()
    assert [one["id"] for one in listed["items"]] == [made.json()["id"]]
    # Staff's own tokens are not firms' keys.
    staff_id = session.scalar(select(Credential.id).where(Credential.kind == "staff").limit(1))
    assert client.get(f"{KEYS}/{staff_id}", headers=manager).status_code == 404


def test_a_firm_is_told_once_of_a_key_that_expires(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    admin = firm_headers(session, make_company(session))
    made = issue(client, admin, expires_in_days=20)

    assert tell_expiring(session, clock.now()) == 0
    clock.pass_by(days=7)
    assert [tell_expiring(session, clock.now()) for _ in range(2)] == [1, 0]
    # Rotated, it has another end, and is told of when that comes near.
    client.post(f"{KEYS}/{made['id']}/rotate", headers=admin, json={"expires_in_days": 5})
    assert tell_expiring(session, clock.now()) == 1
    client.post(f"{KEYS}/{made['id']}/revoke", headers=admin)
    assert session.scalar(select(func.count()).select_from(text("webhook_events"))) == 2


def test_a_firm_has_so_many_live_keys_at_most_whoever_issues_them(
    own_engine: Engine,
    make_client: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "KEYS_MAX", 4)
    client = make_client(own_engine)
    with Session(own_engine) as session:
        company = make_company(session)
        headers, manager = firm_headers(session, company), staff_headers(session, Role.MANAGER)
        session.commit()
        company_id = str(company.id)

    def one(number: int) -> int:
        if number % 2:
            body = {"label": "x", "company_id": company_id}
            return client.post(KEYS, headers=manager, json=body).status_code
        return client.post(KEYS, headers=headers, json={"label": "x"}).status_code

    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(one, range(8)))

    assert sorted(answers) == [201] * 3 + [409] * 5
    last = client.get(KEYS, headers=headers).json()["items"][0]
    assert client.post(f"{KEYS}/{last['id']}/revoke", headers=headers).status_code == 200
    assert one(0) == 201
    assert client.post(KEYS, headers=headers, json={"label": "x"}).json()["type"] == (
        "/problems/keys-full"
    )


@pytest.mark.parametrize(
    ("scope", "sees"),
    [(Scope.REQUESTS_READ, True), (Scope.HOLDS_WRITE, True), (Scope.KEYS_WRITE, False)],
)
def test_the_ledger_is_for_keys_that_read_or_hold(
    client: TestClient, session: Session, scope: Scope, *, sees: bool
) -> None:
    headers = firm_headers(session, make_company(session), (scope,))
    session.commit()

    for path in ("holds", "leases", "queue-entries", "rights", "claims"):
        answer = client.get(f"/api/v1/{path}", headers=headers)
        assert answer.status_code == (200 if sees else 403), (path, answer.text)
