"""Refusals leave a line that says at what they may have been an attempt, and many one more."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.routers.attempts import MANY
from app.security.actors import Role
from tests import factories as make
from tests.logs import as_in_production

GUESSED = {"Authorization": "Bearer sr_live_guessed_x"}


@contextmanager
def heard(*events: str) -> Iterator[list[dict[str, Any]]]:
    """The lines of these events, once what is done within is done."""
    lines: list[dict[str, Any]] = []
    with as_in_production() as log:
        yield lines
    told = (json.loads(line) for line in log.getvalue().splitlines())
    lines += [one for one in told if one["event"] in events]


def test_each_refusal_says_what_it_may_have_been(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session, rate_limits={"expensive": 1}, max_body_bytes=2_000)
    viewer = make.staff_headers(session, Role.VIEWER)
    session.commit()
    json_ = {"Content-Type": "application/json"}

    with heard("attempt") as lines:
        client.get("/api/v1/companies", headers=GUESSED)
        client.get("/api/v1/audit-entries", headers=viewer)
        client.get("/api/v1/units/none", headers=viewer)
        client.request("TRACE", "/api/v1/units")
        client.get("/api/v1/units", params={"limit": "0"})
        client.post("/api/v1/companies", content=b'{"', headers=viewer | json_)
        client.post("/api/v1/companies", content=b" " * 5_000, headers=viewer | json_)
        client.post("/oauth/token", data={"grant_type": "client_credentials"})
        for _ in range(2):
            client.get("/api/v1/kpis")
        client.get("/api/v1/units")  # control: what is answered leaves none

    at = [(one["at"], one["problem"]) for one in lines]
    assert at == [
        ("authentication", "not-signed-in"),
        ("authorisation", "not-allowed"),
        ("enumeration", "not-found"),
        ("enumeration", "method-not-allowed"),
        ("input", "invalid-request"),
        ("input", "malformed-json"),
        ("input", "body-too-large"),
        ("authentication", None),  # OAuth has refusals of its own form
        ("authentication", "not-signed-in"),
        ("automation", "quota-exceeded"),
    ]
    assert {one["address"] for one in lines} == {"testclient"}
    assert lines[1]["caller"] == f"staff:{viewer['Authorization'].split('_')[2]}"


def test_a_step_that_the_rules_refuse_is_told_too(client: TestClient, session: Session) -> None:
    staff = make.staff_headers(session, Role.AGENT)
    session.commit()
    body = {"name_zh": "示例生物", "unified_social_credit_code": make.credit_code(9_000_101)}

    with heard("attempt") as lines:
        answers = [client.post("/api/v1/companies", json=body, headers=staff) for _ in range(2)]

    assert [one.status_code for one in answers] == [201, 409]
    assert [(one["at"], one["problem"]) for one in lines] == [("rules", "company-exists")]


@pytest.mark.parametrize("refusals", [MANY - 1, MANY])
def test_who_is_refused_again_and_again_is_told_of_once(
    session: Session, make_client: Callable[..., TestClient], refusals: int
) -> None:
    client = make_client(session, hsts_seconds=1)  # an application that nobody else was refused by

    with heard("many attempts") as lines:
        for _ in range(refusals):
            client.get("/api/v1/companies", headers=GUESSED)
        if refusals == MANY:
            for _ in range(5):
                client.get("/api/v1/companies", headers=GUESSED)

    assert [one["address"] for one in lines] == ["testclient"] * (refusals == MANY)


def test_callers_are_counted_apart(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session, hsts_seconds=1)
    viewers = [make.staff_headers(session, Role.VIEWER) for _ in range(3)]
    session.commit()

    with heard("many attempts") as lines:
        for number in range(MANY):
            client.get("/api/v1/audit-entries", headers=viewers[number % 3])

    assert lines == []
