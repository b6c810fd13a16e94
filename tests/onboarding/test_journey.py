"""From an application to a token that ends: what a firm and the staff do, one after the other."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.models.audit import AuditEntry
from app.models.company import Company
from app.models.firm_access import Application
from app.security.actors import Role
from tests.clocks import SetClock, set_clock
from tests.factories import credit_code, make_company, make_unit, staff_headers

APPLICATIONS, INVITATIONS = "/api/v1/applications", "/api/v1/invitations"
KEYS, REQUESTS = "/api/v1/keys", "/api/v1/space-requests"
EMAIL = "canary.person@applicant.example"


@pytest.fixture
def clock(client: TestClient) -> SetClock:
    return set_clock(client)


def application(serial: int, **values: Any) -> dict[str, Any]:
    return {
        "company_name": "示例细胞（合成）",
        "unified_social_credit_code": credit_code(serial),
        "purpose": "接入排期系统",
        "contact_email": EMAIL,
        **values,
    }


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def invited(client: TestClient, staff: dict[str, str], company_id: Any) -> dict[str, Any]:
    made = client.post(INVITATIONS, headers=staff, json={"company_id": str(company_id)})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def accept(client: TestClient, token: str) -> Any:
    return client.post(f"{INVITATIONS}/accept", json={"token": token})


def test_from_an_application_to_a_token_that_ends(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    make_unit(session)
    manager = staff_headers(session, Role.MANAGER)

    # 申请
    applied = client.post(APPLICATIONS, json=application(9_100_001))
    assert applied.status_code == 202, applied.text
    secret = {"Application-Secret": applied.json()["status_secret"]}
    assert client.get(applied.headers["location"], headers=secret).json()["state"] == "received"

    # 审核
    waiting = client.get(APPLICATIONS, headers=manager, params={"state": "received"}).json()
    assert [one["id"] for one in waiting["items"]] == [applied.json()["id"]]
    approved = client.post(f"{applied.headers['location']}/approve", headers=manager)
    assert approved.status_code == 201, approved.text
    assert approved.json()["linked"] is False
    assert client.get(applied.headers["location"], headers=secret).json()["state"] == "approved"

    # 首个密钥
    accepted = accept(client, approved.json()["token"])
    assert accepted.status_code == 201, accepted.text
    first = accepted.json()
    assert first["key"].startswith("sr_live_")
    assert first["company_id"] == approved.json()["company_id"]

    # 需求与匹配
    asked = client.post(
        REQUESTS,
        headers=bearer(first["key"]),
        json={
            "unit_type": "pilot",
            "min_area_m2": 1500,
            "max_area_m2": 2500,
            "from": "2027-01-01",
            "latest_from": "2027-06-01",
            "term_months": 36,
        },
    )
    assert asked.status_code == 201, asked.text
    matched = client.post(f"{asked.headers['location']}/matches", headers=bearer(first["key"]))
    assert matched.status_code == 200, matched.text
    assert matched.json()["items"][0]["rank"] == 1

    # 轮换
    rotated = client.post(
        f"{KEYS}/{first['id']}/rotate", headers=bearer(first["key"]), json={"overlap_hours": 1}
    ).json()
    both = [client.get(REQUESTS, headers=bearer(key)) for key in (first["key"], rotated["key"])]
    assert [one.status_code for one in both] == [200, 200]
    clock.pass_by(hours=1)
    assert client.get(REQUESTS, headers=bearer(first["key"])).status_code == 401

    # 令牌, 吊销
    token = client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(rotated["client_id"], rotated["key"]),
    ).json()["access_token"]
    assert client.get(asked.headers["location"], headers=bearer(token)).status_code == 200
    client.post(f"{KEYS}/{first['id']}/revoke", headers=manager)
    assert client.get(asked.headers["location"], headers=bearer(token)).status_code == 401
    assert client.get(REQUESTS, headers=bearer(rotated["key"])).status_code == 401

    done = session.scalars(select(AuditEntry.action).order_by(AuditEntry.sequence)).all()
    assert done == [
        "application.approved",
        "invitation.accepted",
        "request.filed",
        "key.rotated",
        "credential.revoked",
    ]


def test_the_contact_is_sealed_and_shown_with_stars_unless_revealed(
    client: TestClient, session: Session
) -> None:
    manager, agent = staff_headers(session, Role.MANAGER), staff_headers(session, Role.AGENT)
    applied = client.post(APPLICATIONS, json=application(9_100_002))
    where = applied.headers["location"]
    because = {"reason": "发送邀请"}

    listed = client.get(APPLICATIONS, headers=manager)
    revealed = client.post(f"{where}/reveal-contact", headers=manager, json=because)
    refused = client.post(f"{where}/reveal-contact", headers=agent, json=because)

    assert applied.json()["contact_masked"] == "c***@a***.example"
    assert EMAIL not in applied.text + listed.text
    assert (revealed.status_code, revealed.json()) == (200, {"contact_email": EMAIL})
    assert revealed.headers["cache-control"] == "no-store"
    assert refused.status_code == 403
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.reason) == ("applicant.revealed", "发送邀请")
    # In the database: sealed, and nowhere else.
    tables = ("applications", "audit_entries", "idempotent_answers")
    kept = [session.scalars(text(f"SELECT t::text FROM {name} t")).all() for name in tables]  # noqa: S608
    assert EMAIL not in json.dumps(kept) + (
        session.scalars(select(Application)).one().contact_masked or ""
    )
    assert EMAIL.encode() not in (session.scalars(select(Application.contact_sealed)).one() or b"")


def test_only_the_secret_shows_an_application(client: TestClient) -> None:
    one, other = (client.post(APPLICATIONS, json=application(n)) for n in (9_100_003, 9_100_004))

    for secret in (other.json()["status_secret"].encode(), b"x", "秘".encode()):
        hidden = client.get(one.headers["location"], headers={b"Application-Secret": secret})
        assert hidden.status_code == 404
    assert client.get(one.headers["location"]).status_code == 422
    assert client.get(APPLICATIONS).status_code == 401


def test_an_applicant_learns_nothing_of_who_is_known(client: TestClient, session: Session) -> None:
    known = make_company(session)
    answers = [
        client.post(APPLICATIONS, json=application(n))
        for n in (9_100_005, int(known.unified_social_credit_code[10:17]))
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    shapes = [{name: value is None for name, value in one.json().items()} for one in answers]
    assert shapes[0] == shapes[1]


def test_a_firm_that_is_known_is_linked_and_decided_once(
    client: TestClient, session: Session
) -> None:
    manager = staff_headers(session, Role.MANAGER)
    known = make_company(session)
    serial = int(known.unified_social_credit_code[10:17])
    where = client.post(APPLICATIONS, json=application(serial)).headers["location"]

    shown = client.get(APPLICATIONS, headers=manager).json()["items"][0]
    assert shown["known_company"] == {"id": str(known.id), "name_zh": known.name_zh}
    # A credit code is no secret: that it is another firm's must be seen before anybody is let in.
    another = make_company(session)
    session.commit()
    for body in (None, {"company_id": str(another.id)}):
        unseen = client.post(f"{where}/approve", headers=manager, json=body)
        assert (unseen.status_code, unseen.json()["type"]) == (409, "/problems/company-known")
    approved = client.post(
        f"{where}/approve", headers=manager, json={"company_id": str(known.id)}
    ).json()
    again = client.post(f"{where}/approve", headers=manager)
    refused = client.post(f"{where}/refuse", headers=manager, json={"reason": "信息不符"})

    assert (approved["linked"], approved["company_id"]) == (True, str(known.id))
    for late in (again, refused):
        assert late.json()["type"] == "/problems/application-decided"
    assert len(session.scalars(select(Company.id)).all()) == 2


def test_a_refusal_says_why_and_lets_nobody_in(client: TestClient, session: Session) -> None:
    manager = staff_headers(session, Role.MANAGER)
    applied = client.post(APPLICATIONS, json=application(9_100_006))
    where = applied.headers["location"]

    assert (
        client.post(f"{where}/refuse", headers=manager, json={"reason": "信息不符"}).status_code
        == 200
    )

    secret = {"Application-Secret": applied.json()["status_secret"]}
    told = client.get(where, headers=secret).json()
    assert (told["state"], told["reason"]) == ("refused", "信息不符")
    assert client.get(INVITATIONS, headers=manager).json()["items"] == []


def test_an_invitation_works_once_in_time_and_unless_taken_back(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    manager = staff_headers(session, Role.MANAGER)
    company = make_company(session)
    used, late, back = (invited(client, manager, company.id) for _ in range(3))

    assert accept(client, used["token"]).status_code == 201
    taken_back = client.post(f"{INVITATIONS}/{back['id']}/revoke", headers=manager)
    assert taken_back.json()["state"] == "revoked"
    too_late = client.post(f"{INVITATIONS}/{used['id']}/revoke", headers=manager)
    assert too_late.json()["type"] == "/problems/invitation-accepted"
    clock.pass_by(days=7)
    for token in (used["token"], late["token"], back["token"], "sr_invite_x"):
        refused = accept(client, token)
        assert refused.json()["type"] == "/problems/invitation-not-valid"
        assert refused.status_code == 404
    listed = client.get(INVITATIONS, headers=manager).json()["items"]
    assert {one["id"]: one["state"] for one in listed} == {
        used["id"]: "accepted",
        late["id"]: "expired",
        back["id"]: "revoked",
    }
    assert "sr_invite_" not in json.dumps(listed)


def test_a_seven_day_invitation_works_on_the_seventh_day(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    made = invited(client, staff_headers(session, Role.MANAGER), make_company(session).id)
    clock.pass_by(days=7, seconds=-1)

    assert accept(client, made["token"]).status_code == 201


def test_tokens_and_secrets_are_kept_as_hashes_only(client: TestClient, session: Session) -> None:
    manager = staff_headers(session, Role.MANAGER) | {"Idempotency-Key": "one"}
    applied = client.post(APPLICATIONS, json=application(9_100_007)).json()
    where = f"{APPLICATIONS}/{applied['id']}/approve"
    approved = client.post(where, headers=manager)
    again = client.post(where, headers=manager)
    key = accept(client, approved.json()["token"]).json()["key"]

    assert again.json() == approved.json() | {"token": None}
    tables = ("applications", "invitations", "credentials", "audit_entries")
    kept = [session.scalars(text(f"SELECT t::text FROM {name} t")).all() for name in tables]  # noqa: S608
    kept.append(
        session.scalars(text("SELECT convert_from(body, 'UTF8') FROM idempotent_answers")).all()
    )
    said = json.dumps(kept)
    assert all(kept)
    for secret in (applied["status_secret"], approved.json()["token"], key):
        assert secret not in said


def test_staff_below_managers_and_firms_let_nobody_in(client: TestClient, session: Session) -> None:
    company = make_company(session)
    applied = client.post(APPLICATIONS, json=application(9_100_008))
    firm = accept(
        client, invited(client, staff_headers(session, Role.MANAGER), company.id)["token"]
    ).json()
    for headers in (staff_headers(session, Role.AGENT), bearer(firm["key"])):
        answers = [
            client.get(APPLICATIONS, headers=headers),
            client.post(f"{applied.headers['location']}/approve", headers=headers),
            client.post(
                f"{applied.headers['location']}/refuse", headers=headers, json={"reason": "no way"}
            ),
            client.get(INVITATIONS, headers=headers),
            client.post(INVITATIONS, headers=headers, json={"company_id": str(company.id)}),
        ]
        assert [answer.status_code for answer in answers] == [403] * len(answers)
