"""Who is answered again by an Idempotency-Key, and what is kept to know the call by."""

import hashlib
import json
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.access import IdempotentAnswer
from app.security.actors import Actor, ActorKind, Role
from app.security.sealing import Sealer
from tests import factories as make

ONCE = {"Idempotency-Key": "once"}
BODY = json.dumps({"label": "another", "scopes": ["requests:read"]}).encode()


def issue(client: TestClient, headers: dict[str, str], **more: str) -> Any:
    sent = {**headers, **ONCE, "Content-Type": "application/json", **more}
    return client.post("/api/v1/keys", content=BODY, headers=sent)


def test_a_token_with_fewer_scopes_is_not_answered_again(
    client: TestClient, session: Session
) -> None:
    headers = make.firm_headers(session, make.make_company(session))
    session.commit()
    secret = headers["Authorization"].removeprefix("Bearer ")
    first = issue(client, headers)
    assert first.status_code == 201, first.text

    def token(**scope: str) -> dict[str, str]:
        grant = {"grant_type": "client_credentials", **scope}
        answer = client.post("/oauth/token", data=grant, auth=(secret.split("_")[2], secret))
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    narrower = issue(client, token(scope="requests:read"))
    assert (narrower.status_code, narrower.json()["type"]) == (403, "/problems/not-allowed")
    assert first.json()["id"] not in narrower.text
    # Control: all the scopes of the key are answered, by token or by key.
    for same in (token(), headers):
        again = issue(client, same)
        assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
        assert again.headers["idempotency-replayed"] == "true"


def test_bodies_are_kept_as_hashes_that_take_the_key_and_outlive_its_change(
    client: TestClient, session: Session
) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    old, new = bytes(range(32)), bytes(range(1, 33))
    app.state.sealer = Sealer(lambda: {"00000001": old})
    headers = make.firm_headers(session, make.make_company(session))
    session.commit()
    first = issue(client, headers)

    kept = session.scalars(select(IdempotentAnswer.body_digest)).one()
    assert kept != hashlib.sha256(BODY).digest()
    app.state.sealer = Sealer(lambda: {"00000002": new, "00000001": old})
    assert issue(client, headers).json()["id"] == first.json()["id"]
    # Control: without the key that wrote it, the call is not known again.
    app.state.sealer = Sealer(lambda: {"00000002": new})
    assert issue(client, headers).status_code == 422


HERE, THERE = uuid4(), uuid4()


def staff(role: Role, *parks: Any) -> Actor:
    return Actor(
        ActorKind.STAFF, "staff:x", role=role, park_ids=frozenset(parks) if parks else None
    )


@pytest.mark.parametrize(
    ("later", "is_enough"),
    [
        (staff(Role.MANAGER, HERE), True),
        (staff(Role.ADMIN, HERE, THERE), True),
        (staff(Role.AGENT, HERE), False),
        (staff(Role.MANAGER, THERE), False),
    ],
)
def test_staff_whose_role_or_parks_became_less_are_allowed_less(
    later: Actor,
    is_enough: bool,
) -> None:
    first = staff(Role.MANAGER, HERE)
    assert later.granted.issuperset(first.granted) is is_enough
    assert not first.granted.issuperset(staff(Role.VIEWER).granted)
