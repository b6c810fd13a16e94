"""What a body may be, and what browsers are told: depth, other sites' pages, and TLS."""

import json
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.routers import middleware
from app.routers.middleware import LEVELS_MAX, is_too_deep
from tests.factories import firm_headers, make_company

SEARCH = "/api/v1/free-space/search"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(session: Session, make_client: Callable[..., TestClient]) -> TestClient:
    return make_client(session)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("levels", [LEVELS_MAX + 1, 1_000, 100_000])
@pytest.mark.parametrize("opened", ["[", '{"a":'])
def test_a_deep_body_is_refused_before_anything_reads_it(
    client: TestClient, levels: int, opened: str
) -> None:
    answer = client.post(SEARCH, content=opened * levels, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-json")
    assert str(LEVELS_MAX) in answer.json()["detail"]


def test_what_is_not_deep_is_read(client: TestClient) -> None:
    flat = {"f": '[{"' * 500, "g": [[]] * 500}
    assert not is_too_deep(json.dumps(flat).encode())
    assert not is_too_deep(nested(LEVELS_MAX).encode())
    assert is_too_deep(nested(LEVELS_MAX + 1).encode())
    answer = client.post(SEARCH, content=nested(LEVELS_MAX), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")


def test_without_the_limit_a_deep_body_reaches_what_reads_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control arm."""
    monkeypatch.setattr(middleware, "is_too_deep", lambda _: False)
    answer = client.post(SEARCH, content=nested(LEVELS_MAX + 1), headers=JSON)
    assert answer.status_code == 422


def test_pages_of_other_sites_may_read_what_is_public_and_nothing_else(
    client: TestClient, session: Session
) -> None:
    firm = firm_headers(session, make_company(session))
    session.commit()
    origin = {"Origin": "https://map.example.com"}
    public = client.get("/api/v1/units", params={"f": "geojson"}, headers=origin)
    assert public.headers["access-control-allow-origin"] == "*"
    assert "ETag" in public.headers["access-control-expose-headers"]
    others = [
        client.get("/api/v1/units", headers=origin | firm),
        client.get("/api/v1/space-requests", headers=origin | firm),
        client.get("/api/v1/space-requests", headers=origin),
        client.get("/api/v1/units", headers=origin | {"Cookie": "__Host-space_relay=x"}),
        client.post(SEARCH, headers=origin, json={}),
        client.options("/api/v1/holds", headers=origin | {"Access-Control-Request-Method": "POST"}),
        client.get("/metrics", headers=origin),
    ]
    told = [name for one in others for name in one.headers if name.startswith("access-control")]
    assert told == []


def test_tls_is_insisted_on_where_it_is_used(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session)
    assert "strict-transport-security" not in client.get("/api/v1/zones").headers
    secure = client.get("https://testserver/api/v1/zones")
    assert secure.headers["strict-transport-security"] == "max-age=31536000"
    silent = make_client(session, hsts_seconds=0).get("https://testserver/api/v1/zones")
    assert "strict-transport-security" not in silent.headers
