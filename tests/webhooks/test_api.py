"""Webhooks over HTTP, from a firm's key to a verified "your request now matches"."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from app.database.session import session_factory, transaction
from app.ledger.orders import database_now
from app.ledger.telling import tell_what_time_brings
from app.models.access import IdempotentAnswer
from app.models.audit import AuditEntry
from app.models.webhook import WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.security.actors import Scope
from app.security.audit.actions import Action
from app.webhooks.events import PAYLOADS, EventType, reference_page
from app.webhooks.sending import Sender, sending
from tests.conftest import ROOT
from tests.factories import ANY, firm_headers, make_company
from tests.matching.answers.test_watching import World as Watched
from tests.webhooks.receivers import Rebinding, Receiver, answer, receiving

ENDPOINTS, EVENTS = "/api/v1/webhook-endpoints", "/api/v1/webhook-events"
HOLDS, QUEUE = "/api/v1/holds", "/api/v1/queue-entries"
ALL = [one.value for one in EventType if one is not EventType.PING]


class World(Watched):
    """A firm that watches a request, and its receiver."""

    def __init__(self, engine: Engine, client: TestClient, stack: ExitStack) -> None:
        super().__init__(engine, client)
        self.receiver: Receiver = stack.enter_context(receiving(answer(204)))
        state = self.app.state
        self.sender = Sender(session_factory(engine), state.sealer, allow_loopback=True)

    @property
    def app(self) -> FastAPI:
        assert isinstance(self.client.app, FastAPI)
        return self.client.app

    def post(self, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        made = self.client.post(path, json=body, headers=self.firm | headers)
        assert made.is_success, made.text
        found: dict[str, Any] = made.json()
        return found

    def endpoint(self, *events: str) -> dict[str, Any]:
        return self.post(
            ENDPOINTS, {"url": self.receiver.url, "events": list(events or ALL), "label": "test"}
        )

    def told(self, secret: str) -> list[dict[str, Any]]:
        """What arrived, verified, since the last time; each as the document declares it."""
        self.sender.send_due()
        got, self.receiver.got = self.receiver.got, []
        found = [one.verified(secret) for one in got]
        for one in found:
            self.conforms(one)
        return found

    def conforms(self, message: dict[str, Any]) -> None:
        document = self.app.openapi()
        body = document["webhooks"][message["type"]]["post"]["requestBody"]
        schema = body["content"]["application/json"]["schema"]
        jsonschema.validate(
            message,
            {**schema, "components": document["components"]},
            cls=jsonschema.Draft202012Validator,
            format_checker=jsonschema.FormatChecker(),
        )

    def time_brings(self, later: timedelta = timedelta(0)) -> int:
        with Session(self.engine) as session, transaction(session):
            return tell_what_time_brings(session, database_now(session) + later)


@pytest.fixture
def world(
    own_engine: Engine, make_client: Callable[..., TestClient], tmp_path: Path
) -> Iterator[World]:
    client = make_client(own_engine, webhook_allow_loopback=True, home=tmp_path)
    with ExitStack() as stack:
        yield World(own_engine, client, stack)


def test_from_a_key_to_a_verified_match(world: World) -> None:
    made = world.endpoint("request.matched", "request.no_longer_matched")
    path, secret = f"{ENDPOINTS}/{made['id']}", made["secret"]
    with sending(world.sender):
        tried = world.post(f"{path}/test")
    assert [one["outcome"] for one in tried["attempts"]] == ["delivered"]
    assert world.receiver.got.pop().verified(secret)["type"] == "ping"
    assert world.client.get(path, headers=world.firm).json()["verified_at"] is not None

    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    unit = world.units[1]
    world.let(unit)
    world.watch()
    (gone,) = world.told(secret)
    world.change(
        "UPDATE claims SET live = tstzrange(lower(live), clock_timestamp()), closed_by = 'tests'"
    )
    world.watch()
    (come,) = world.told(secret)

    assert (gone["type"], come["type"]) == ("request.no_longer_matched", "request.matched")
    data = come["data"]
    assert data["request_id"] == request
    assert data["units"] == [{"id": str(unit.id), "code": unit.code}]
    assert "现符合该需求" in data["words_zh"]
    # Nobody is named: neither the firm itself nor who was in the way.
    assert "测试企业" not in json.dumps([gone, come], ensure_ascii=False)
    seen = world.client.get(data["href"], headers=world.firm)
    assert seen.json()["items"][0]["words_zh"] == data["words_zh"]
    assert world.watch() == 0
    assert world.told(secret) == []


def test_what_becomes_of_a_hold_is_told(world: World) -> None:
    made = world.endpoint()
    units = [{"unit_id": str(world.units[0].id)}]
    days = {"from": "2031-01-01", "until": "2036-01-01"}
    asked = {"units": units, **days, "expires_in_hours": 72}

    first = world.post(HOLDS, asked)
    (placed,) = world.told(made["secret"])
    world.post(f"{HOLDS}/{first['id']}/release")
    (released,) = world.told(made["secret"])
    second = world.post(HOLDS, asked)
    world.told(made["secret"])
    confirmed = world.client.post(f"{HOLDS}/{second['id']}/confirm", headers=world.staff)
    both = world.told(made["secret"])

    assert placed["type"] == "hold.placed"
    assert placed["data"]["units"] == [{"id": units[0]["unit_id"], "code": world.units[0].code}]
    assert placed["data"]["expires_at"] == first["expires_at"]
    assert (released["type"], released["data"]["hold_id"]) == ("hold.released", first["id"])
    assert confirmed.status_code == 200
    assert sorted(one["type"] for one in both) == ["hold.confirmed", "lease.signed"]
    lease = next(one["data"] for one in both if one["type"] == "lease.signed")
    assert (lease["lease_id"], lease["until"]) == (second["id"], "2036-01-01")
    for one in (placed, released, *both):
        assert world.client.get(one["data"]["href"], headers=world.firm).status_code == 200


def test_what_time_brings_is_told_once(world: World) -> None:
    made = world.endpoint()
    days = {"from": "2031-01-01", "until": "2036-01-01"}
    asked = {"units": [{"unit_id": str(world.units[0].id)}], **days}
    world.post(HOLDS, asked | {"expires_in_hours": 72})
    short = {"units": [{"unit_id": str(world.units[1].id)}], **days, "expires_in_hours": 12}
    world.post(HOLDS, short)
    world.told(made["secret"])

    assert world.time_brings() == 0
    # The short one was told its end when it was placed.
    assert [world.time_brings(timedelta(hours=49)) for _ in range(2)] == [2, 0]
    told = world.told(made["secret"])
    assert sorted(one["type"] for one in told) == ["hold.expired", "hold.expiring"]
    assert [world.time_brings(timedelta(hours=73)) for _ in range(2)] == [1, 0]
    assert [one["type"] for one in world.told(made["secret"])] == ["hold.expired"]


def test_whose_turn_it_is_is_told(world: World) -> None:
    made = world.endpoint()
    with Session(world.engine, expire_on_commit=False) as session:
        other = firm_headers(session, make_company(session))
        session.commit()
    asked = {
        "units": [{"unit_id": str(world.units[0].id)}],
        "from": "2031-01-01",
        "until": "2036-01-01",
    }
    held = world.client.post(HOLDS, json=asked, headers=other).json()
    entry = world.post(QUEUE, asked)
    assert world.time_brings() == 0
    world.client.post(f"{HOLDS}/{held['id']}/release", headers=other)

    assert [world.time_brings(), world.time_brings()] == [1, 0]
    (offered,) = world.told(made["secret"])
    assert (offered["type"], offered["data"]["entry_id"]) == ("queue.offered", entry["id"])


def test_another_firm_finds_nothing(world: World) -> None:
    made = world.endpoint()
    with Session(world.engine, expire_on_commit=False) as session:
        other = firm_headers(session, make_company(session))
        narrow = firm_headers(session, world.company, (Scope.REQUESTS_READ,))
        session.commit()
    path = f"{ENDPOINTS}/{made['id']}"
    calls = [
        ("GET", path, None),
        ("PATCH", path, {"enabled": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate-secret", None),
        ("POST", f"{path}/test", None),
        ("GET", f"{path}/deliveries", None),
        ("POST", f"{path}/replay", {"since": "2026-01-01T00:00:00Z"}),
    ]

    for method, address, body in calls:
        call: dict[str, Any] = {"method": method, "url": address, "json": body}
        assert world.client.request(**call, headers=other).status_code == 404, call
        assert world.client.request(**call, headers=narrow).status_code == 403, call
        assert world.client.request(**call).status_code == 401, call
        if method != "GET":
            assert world.client.request(**call, headers=world.staff).status_code == 403, call
    for address in (ENDPOINTS, EVENTS):
        assert world.client.get(address, headers=other).json()["items"] == []
    assert world.client.get(path, headers=world.firm).json()["enabled"]


def test_a_secret_is_shown_once_and_kept_sealed(world: World) -> None:
    # Some receivers are told apart by a secret in the query.
    url = f"{world.receiver.url}?token=of-the-receiver"
    body = {"url": url, "events": ["hold.placed"]}
    once = {"Idempotency-Key": "endpoint-1"}
    made = world.post(ENDPOINTS, body, **once)
    again = world.post(ENDPOINTS, body, **once)
    path = f"{ENDPOINTS}/{made['id']}"
    rotated = world.post(f"{path}/rotate-secret")

    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    assert (again["id"], again.get("secret")) == (made["id"], None)
    assert rotated["secret"] != made["secret"]
    with Session(world.engine) as session:
        sealed = session.scalars(select(WebhookEndpoint)).one()
        kept = [one.body for one in session.scalars(select(IdempotentAnswer))]
        kept += [sealed.secret_sealed, sealed.previous_sealed or b""]
        told = session.scalars(
            select(AuditEntry.details).where(AuditEntry.action == Action.WEBHOOK_ADDED)
        ).one()
    assert (told["url"], sealed.url) == (world.receiver.url, url)
    for secret in (made["secret"], rotated["secret"]):
        assert all(secret.encode() not in one for one in kept)
        assert secret not in world.client.get(path, headers=world.firm).text
        assert secret not in world.client.get(ENDPOINTS, headers=world.firm).text

    world.post(
        HOLDS,
        {
            "units": [{"unit_id": str(world.units[0].id)}],
            "from": "2031-01-01",
            "until": "2036-01-01",
        },
    )
    world.sender.send_due()
    (got,) = world.receiver.got
    assert got.verified(made["secret"]) == got.verified(rotated["secret"])


def test_what_was_missed_is_sent_again_with_its_id(world: World) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    asked = {"from": "2031-01-01", "until": "2036-01-01"}
    for unit in world.units[:2]:
        world.post(HOLDS, {"units": [{"unit_id": str(unit.id)}], **asked})
    made = world.endpoint("hold.placed", "hold.expired")
    path = f"{ENDPOINTS}/{made['id']}"
    events = world.client.get(EVENTS, headers=world.firm).json()["items"]
    assert world.told(made["secret"]) == []

    assert world.post(f"{path}/replay", {"event_id": events[0]["id"]})["deliveries"] == 1
    world.sender.send_due()
    assert world.post(f"{path}/replay", {"since": began.isoformat()})["deliveries"] == 2
    world.sender.send_due()

    ids = [got.headers["webhook-id"] for got in world.receiver.got]
    assert ids.count(events[0]["id"]) == 2
    assert sorted(set(ids)) == sorted(one["id"] for one in events)
    log = world.client.get(f"{path}/deliveries", headers=world.firm).json()["items"]
    assert sorted(len(one["attempts"]) for one in log) == [1, 2]
    page = world.client.get(EVENTS, headers=world.firm, params={"limit": 1}).json()
    rest = {"limit": 1, "cursor": page["next_cursor"]}
    assert world.client.get(EVENTS, headers=world.firm, params=rest).json()["items"] == events[1:]


def test_a_disabled_endpoint_is_sent_nothing_until_it_is_enabled(world: World) -> None:
    made = world.endpoint("hold.placed")
    path = f"{ENDPOINTS}/{made['id']}"
    asked = {"from": "2031-01-01", "until": "2036-01-01"}
    world.post(HOLDS, {"units": [{"unit_id": str(world.units[0].id)}], **asked})

    stopped = world.client.patch(path, json={"enabled": False}, headers=world.firm | ANY).json()
    world.post(HOLDS, {"units": [{"unit_id": str(world.units[1].id)}], **asked})
    assert (stopped["enabled"], stopped["disabled_reason"]) == (False, "by_firm")
    assert world.told(made["secret"]) == []
    refused = world.client.post(f"{path}/test", headers=world.firm)
    assert refused.json()["type"].endswith("webhook-endpoint-disabled")

    world.client.patch(path, json={"enabled": True}, headers=world.firm | ANY)
    since = {"since": stopped["created_at"]}
    assert world.post(f"{path}/replay", since)["deliveries"] == 2
    assert len(world.told(made["secret"])) == 2
    world.client.delete(path, headers=world.firm)
    with Session(world.engine) as session:
        assert session.scalars(select(WebhookDelivery)).all() == []
        assert len(session.scalars(select(WebhookEvent)).all()) == 2


def test_an_endpoint_is_where_nothing_inside_is(world: World) -> None:
    for url in ("https://169.254.169.254/", "http://hooks.example.com/", "https://a@b.example/"):
        body = {"url": url, "events": ["hold.placed"]}
        refused = world.client.post(ENDPOINTS, json=body, headers=world.firm)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/url"
    body = {"url": world.receiver.url, "events": ["ping"]}
    assert world.client.post(ENDPOINTS, json=body, headers=world.firm).status_code == 422
    for _ in range(10):
        world.endpoint()
    body = {"url": world.receiver.url, "events": ["hold.placed"]}
    refused = world.client.post(ENDPOINTS, json=body, headers=world.firm)
    assert refused.json()["type"].endswith("webhook-endpoint-limit")


def named(world: World, *, url: str) -> Any:
    body = {"url": url, "events": ["hold.placed"]}
    return world.client.post(ENDPOINTS, json=body, headers=world.firm)


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        (["10.0.0.1"], 422),
        (["1.1.1.1", "169.254.169.254"], 422),
        (["::ffff:127.0.0.1"], 422),
        # Control.
        (["1.1.1.1", "2606:4700::1111"], 201),
    ],
)
def test_a_name_that_leads_inside_is_refused_when_it_is_given(
    world: World, monkeypatch: pytest.MonkeyPatch, addresses: list[str], status: int
) -> None:
    good = named(world, url="https://hooks.example.com/").json()
    asked = Rebinding(addresses)
    monkeypatch.setattr("app.routers.webhooks.resolve", asked)
    url = "https://10.0.0.1.nip.example/hook"

    made = named(world, url=url)
    one = f"{ENDPOINTS}/{good['id']}"
    headers = {**world.firm, "If-Match": "*"}
    changed = world.client.patch(one, json={"url": url}, headers=headers)
    # What is not about the address asks nobody.
    asked.asked = 0
    other = world.client.patch(one, json={"label": "x"}, headers=headers)

    assert (made.status_code, changed.status_code) == (status, 200 if status == 201 else status)
    assert (other.status_code, asked.asked) == (200, 0)
    if status != 201:
        assert made.json()["errors"][0]["pointer"] == "/url"
        assert not set(addresses) & set(made.text.split('"')), "who asks learns no addresses"


def test_a_resolver_that_fails_or_hangs_keeps_nobody_from_registering(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is judged at each delivery; what cannot be known now is no fault of the firm's."""
    monkeypatch.setattr("app.webhooks.transport.REGISTERING_SECONDS", 0.1)
    ended = Event()

    def fail(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    def hang(_host: str, _port: int) -> list[str]:
        ended.wait(20)
        return ["10.0.0.1"]

    monkeypatch.setattr("app.routers.webhooks.resolve", fail)
    assert named(world, url="https://down.example.com/").status_code == 201
    monkeypatch.setattr("app.routers.webhooks.resolve", hang)
    began = time.monotonic()
    # More than there are places for: the rest wait for nobody.
    assert {named(world, url="https://slow.example.com/").status_code for _ in range(6)} == {201}
    assert time.monotonic() - began < 10
    ended.set()


@pytest.mark.parametrize(
    "body",
    [{}, {"event_id": str(UUID(int=1)), "since": "2026-01-01T00:00:00Z"}],
    ids=["neither", "both"],
)
def test_a_replay_says_which_events(world: World, body: dict[str, str]) -> None:
    one = f"{ENDPOINTS}/{world.endpoint()['id']}"

    refused = world.client.post(f"{one}/replay", json=body, headers=world.firm)

    said = refused.json()
    assert (refused.status_code, said["type"]) == (422, "/problems/invalid-input")
    assert [fault["pointer"] for fault in said["errors"]] == ["/event_id", "/since"]
    assert "Value error" not in refused.text
    assert "event_id" in said["detail"]
    assert "二者取其一" in said["detail_zh"]


def test_a_test_that_no_sender_takes_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.webhooks.log._UNTIL_TAKEN_SECONDS", 0.1)
    made = world.endpoint()

    tried = world.post(f"{ENDPOINTS}/{made['id']}/test")

    assert (tried["state"], tried["attempts"]) == ("pending", [])


def test_every_event_is_in_the_openapi_document_and_on_the_page(world: World) -> None:
    document = world.app.openapi()

    assert set(document["webhooks"]) == {one.value for one in EventType} == set(PAYLOADS)
    page = ROOT / "docs" / "reference" / "webhook-events.md"
    assert page.read_text(encoding="utf-8") == reference_page(), (
        "write it anew: python -c 'from app.webhooks.events import reference_page;"
        ' print(reference_page(), end="")\' > docs/reference/webhook-events.md'
    )


def test_the_receiver_of_the_guide_verifies_what_is_sent(world: World, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "howto" / "webhooks.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "receiver.py").write_text(code, encoding="utf-8")
    url = f"http://127.0.0.1:{_free_port()}/"
    made = world.post(ENDPOINTS, {"url": url, "events": ["hold.placed"]})
    started = subprocess.Popen(
        [sys.executable, str(tmp_path / "receiver.py")],
        env={**os.environ, "SECRET": made["secret"], "PORT": url.split(":")[2].strip("/")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with sending(world.sender):
            for _ in range(20):  # until it listens
                tried = world.post(f"{ENDPOINTS}/{made['id']}/test")
                if tried["attempts"][0]["outcome"] == "delivered":
                    break
        assert tried["attempts"][0]["status"] == 204
        assert started.stdout is not None
        said = started.stdout.readline()
    finally:
        started.kill()
        started.communicate()
    assert said.split()[:2] == [tried["event_id"], "ping"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
