"""Browsers, people and a clock that is put forward."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.orm import Session

from app.models.staff import StaffAccount
from app.routers.dependencies import SESSION_COOKIE
from app.security.actors import Role
from app.security.rows import system
from app.security.sealing import Sealer
from app.security.staff import second_factor
from app.security.staff.accounts import COMMAND_LINE, Place, accept, invite
from app.security.staff.passwords import Passwords
from app.security.staff.policy import StaffPolicy
from app.security.staff.second_factor import OneTimeSecret
from app.security.staff.sign_in import Gate
from app.settings import Settings
from tests.factories import number

PASSWORD = "seven herons over the river"  # noqa: S105 - of nobody
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


class Clock:
    """Shows what it is told."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def forward(self, **time: float) -> None:
        self.at += timedelta(**time)


def cheap_gate(key_id: str = "00000001") -> Gate:
    """As in the product, but that a hash costs next to nothing."""
    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    sealer = Sealer(lambda: {key_id: bytes(range(32))})
    return Gate(Passwords(cheap), sealer, StaffPolicy.of(Settings()))


@pytest.fixture(scope="session")
def gate() -> Gate:
    return cheap_gate()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Browser:
    """A person's browser: keeps cookies, and sends the session's word along."""

    def __init__(self, app: FastAPI, address: str) -> None:
        self.client = TestClient(
            app,
            base_url="https://park.example.invalid",
            raise_server_exceptions=False,
            client=(address, 50_000),
            follow_redirects=False,
        )
        self.csrf_token: str | None = None

    def call(self, method: str, path: str, **more: Any) -> Response:
        headers = {"Origin": "https://park.example.invalid"}
        if self.csrf_token is not None:
            headers["X-CSRF-Token"] = self.csrf_token
        headers |= more.pop("headers", {})
        answer: Response = self.client.request(method, f"/api/v1{path}", headers=headers, **more)
        return answer

    def sign_in(self, email: str, password: str = PASSWORD, code: str | None = None) -> Response:
        body = {"email": email, "password": password} | ({"code": code} if code else {})
        answer = self.call("POST", "/session", json=body)
        if answer.status_code == 200:
            self.csrf_token = answer.json()["csrf_token"]
        return answer

    @property
    def cookie(self) -> str | None:
        found: str | None = self.client.cookies.get(SESSION_COOKIE)
        return found


Open = Callable[..., Browser]


@pytest.fixture
def open_browser(
    session: Session, make_client: Callable[[Session], TestClient], gate: Gate, clock: Clock
) -> Open:
    """Opens browsers on one application."""
    app: Any = make_client(session).app
    app.state.gate, app.state.clock = gate, clock

    def open_one(address: str = "203.0.113.7") -> Browser:
        return Browser(app, address)

    return open_one


class Person:
    """An account, and what its owner knows."""

    def __init__(self, account: StaffAccount, secret: OneTimeSecret | None) -> None:
        self.account_id: UUID = account.id
        self.email = account.email
        self.secret = secret

    def code(self, at: datetime) -> str:
        assert self.secret is not None
        return self.secret.totp().at(at)


def make_person(
    session: Session,
    gate: Gate,
    role: Role = Role.AGENT,
    *,
    park_ids: frozenset[UUID] | None = None,
    second_factor_set_up: bool | None = None,
) -> Person:
    """Somebody who accepted an invitation, with a second factor where the role takes one."""
    system(session)  # no more in the name of whoever called last
    invited = invite(
        session,
        COMMAND_LINE,
        email=f"person.{number()}@example.invalid",
        name="测试员工",
        place=Place(role, park_ids),
        now=NOW,
        policy=gate.policy,
    )
    account = accept(session, invited.token, PASSWORD, passwords=gate.passwords, now=NOW)
    wanted = second_factor_set_up
    if wanted is None:
        wanted = gate.policy.needs_second_factor(role)
    secret = OneTimeSecret.new(gate.policy.second_factor_digest) if wanted else None
    if secret is not None:
        account.totp_secret = second_factor.sealed(gate.sealer, account.id, secret)
    session.commit()
    return Person(account, secret)
