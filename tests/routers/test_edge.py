"""The edge: health, problems, limits, request ids."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.kernel.clock import SystemClock
from app.routers.dependencies import SessionDep, StatusSessionDep
from app.routers.validation_words import PATTERNS
from app.security.credentials import revoke
from tests.conftest import Databases
from tests.factories import staff_headers
from tests.logs import figures


def test_the_process_and_its_database_are_well(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    checks = {"database": "ok", "migrations": "ok", "snapshot": "ok"}
    assert ready.json() == {"ready": True, "checks": checks}


def test_an_unknown_path_is_a_problem_document(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing-here")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "/problems/not-found"
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_a_wrong_credential_is_refused_even_for_public_reads(client: TestClient) -> None:
    for value in (b"Bearer sr_live_abc_def", b"Basic abc", b"Bearer x", "Bearer 密钥".encode()):
        answer = client.get("/api/v1/units", headers={b"Authorization": value})
        assert answer.status_code == 401, value
        assert answer.headers["www-authenticate"] == "Bearer"


def test_metrics_are_there_for_prometheus(client: TestClient) -> None:
    client.get("/healthz")
    assert "space_relay_http_requests_total" in figures(client)


def test_a_body_over_the_limit_is_refused_with_and_without_a_length(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session, max_body_bytes=2_000)
    headers = staff_headers(session) | {"Content-Type": "application/json"}

    def pieces() -> Iterator[bytes]:
        for _ in range(10):
            yield b" " * 500

    declared = client.post("/api/v1/companies", content=b" " * 5_000, headers=headers)
    streamed = client.post("/api/v1/companies", content=pieces(), headers=headers)

    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems/body-too-large"


def test_a_request_id_is_taken_over_when_harmless_and_replaced_when_not(
    client: TestClient,
) -> None:
    kept = client.get("/healthz", headers={"X-Request-Id": "trace-1.2_3"})
    replaced = client.get("/healthz", headers={"X-Request-Id": "a b\tc<script>"})

    assert kept.headers["x-request-id"] == "trace-1.2_3"
    assert replaced.headers["x-request-id"] != "a b\tc<script>"


def test_answers_are_data_that_a_browser_will_not_run(client: TestClient) -> None:
    headers = client.get("/healthz").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_what_is_not_json_is_said_to_be_malformed(client: TestClient, session: Session) -> None:
    headers = staff_headers(session) | {"Content-Type": "application/json"}

    answer = client.post("/api/v1/companies", content=b'{"name_zh": ', headers=headers)

    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/malformed-json"


def test_an_unready_service_says_what_to_do(
    databases: Databases, make_client: Callable[..., TestClient]
) -> None:
    name = databases.create()
    engine = make_engine(databases.url(name), pool_size=2)
    try:
        answer = make_client(engine).get("/readyz")
    finally:
        engine.dispose()
        databases.drop(name)

    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"] == "run `space-relay migrate`"


def test_a_wrong_credential_never_becomes_a_public_caller(client: TestClient) -> None:
    assert client.get("/api/v1/units").status_code == 200
    answer = client.get("/api/v1/units", headers={"Authorization": "Bearer sr_live_nobody_x"})
    assert answer.status_code == 401


def test_credentials_expire_and_can_be_revoked(client: TestClient, session: Session) -> None:
    now = SystemClock().now()
    dead = staff_headers(session, expires_at=now - timedelta(seconds=1))
    alive = staff_headers(session)
    session.commit()
    assert client.get("/api/v1/companies", headers=dead).status_code == 401
    assert client.get("/api/v1/companies", headers=alive).status_code == 200

    key_id = alive["Authorization"].removeprefix("Bearer ").split("_")[2]
    assert revoke(session, key_id, now)

    assert client.get("/api/v1/companies", headers=alive).status_code == 401


def test_the_database_keeps_no_secret(session: Session) -> None:
    token = staff_headers(session)["Authorization"].removeprefix("Bearer ")
    secret = token.split("_", 3)[3]

    rows = session.execute(text("SELECT credentials::text FROM credentials")).scalars().all()

    assert rows
    assert not any(secret in row or secret.encode().hex() in row for row in rows)


def test_the_documentation_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for address in loaded:
        assert address.startswith("/"), address
        assert client.get(address).status_code == 200
    assert client.get("/", follow_redirects=False).headers["location"] == "/docs"


def test_a_wrong_form_is_explained_in_both_languages(client: TestClient) -> None:
    problem = client.get("/api/v1/units", params={"limit": "0", "nothing": "1"}).json()

    said = {fault["pointer"]: fault["detail_zh"] for fault in problem["errors"]}
    assert said == {"limit": "不得小于 1", "nothing": "没有这个字段，请核对名称"}
    assert "不得小于 1" in problem["detail_zh"]


def test_choices_and_patterns_are_told_in_plain_words(client: TestClient, session: Session) -> None:
    staff = staff_headers(session)
    session.commit()
    works = {"units": [], "from": "2030-01-01", "kind": "party"}
    refused = client.post("/api/v1/works", json=works, headers=staff).json()
    (kind,) = (fault for fault in refused["errors"] if fault["pointer"] == "/kind")
    assert kind["detail"].startswith("Input should be 'works'")
    assert re.fullmatch(r"应为 works(、\w+)* 或 \w+", kind["detail_zh"])
    assert "<" not in refused["detail"] + refused["detail_zh"]

    merged = {"effective_on": "2030-01-01", "units": ["a", "b"], "code": "a b"}
    refused = client.post("/api/v1/units/merge", json=merged, headers=staff).json()
    (code,) = refused["errors"]
    assert (code["detail"], code["detail_zh"]) == (
        "must not contain spaces or a slash",
        "不得含空格或“/”",
    )

    # Every pattern of the interface has words; those of decimal numbers are never checked as text.
    patterns = set(re.findall(r'"pattern":"((?:[^"\\]|\\.)*)"', client.get("/openapi.json").text))
    own = {json.loads(f'"{one}"') for one in patterns if not one.startswith("^(?!")}
    assert own
    assert own <= set(PATTERNS)


@pytest.mark.parametrize(
    ("path", "asked", "says"),
    [
        ("units", {"from": "2027-02-01", "until": "2027-01-01"}, "until 须晚于 from"),
        ("units", {"as_of": "2099-01-01T00:00:00Z"}, "as_of 不得晚于当前时刻"),
        ("units", {"park": "nowhere"}, "park 没有编码或编号为 'nowhere' 的园区，见 /api/v1/parks"),
        ("units", {"zone": "nowhere"}, "zone 没有编码或编号为 'nowhere' 的区域，见 /api/v1/zones"),
        ("units", {"bbox": "122,31,121,32"}, "bbox 西须小于东，南须小于北"),
        ("units", {"near": "121,31"}, "within_m near 须与 within_m（米）同时给出"),
        ("units", {"cursor": "bm8"}, "请去掉 cursor 从第一页开始"),
        ("units/nothing", {}, "没有编码或编号为 'nothing' 的房源"),
        ("free-space", {"from": "2027-02-01", "until": "2027-01-01"}, "until 须晚于 from"),
        ("free-space", {"near": "31.2,121.6", "within_m": "100"}, "near 经度在前"),
    ],
)
def test_refusals_say_in_chinese_what_is_wrong(
    client: TestClient, path: str, asked: dict[str, str], says: str
) -> None:
    problem = client.get(f"/api/v1/{path}", params=asked).json()
    assert says in problem["detail_zh"]
    assert all(fault["detail_zh"] for fault in problem["errors"])


def test_a_crowd_without_keys_does_not_keep_known_callers_waiting(
    own_engine: Engine, make_client: Callable[..., TestClient]
) -> None:
    with Session(own_engine) as session:
        staff = staff_headers(session)
        session.commit()
    client = make_client(own_engine, public_pool_size=2)
    app = client.app
    assert isinstance(app, FastAPI)
    entered, leave = threading.Semaphore(0), threading.Event()

    @app.get("/test/occupy")
    def occupy(_session: SessionDep) -> None:
        entered.release()
        leave.wait(timeout=30)

    crowd = [threading.Thread(target=client.get, args=("/test/occupy",)) for _ in range(30)]
    for caller in crowd:
        caller.start()
    try:
        assert entered.acquire(timeout=10)
        assert entered.acquire(timeout=10)
        assert not entered.acquire(timeout=0.3), "a third caller got a public connection"
        started = time.monotonic()
        assert client.get("/api/v1/companies", headers=staff).status_code == 200
        assert time.monotonic() - started < 5
    finally:
        leave.set()
        for caller in crowd:
            caller.join(timeout=30)


def test_a_crowd_that_asks_for_its_applications_keeps_nobody_from_signing_in(
    own_engine: Engine, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(own_engine, pool_size=6)
    app = client.app
    assert isinstance(app, FastAPI)
    entered, leave = threading.Semaphore(0), threading.Event()

    @app.get("/test/ask")
    def ask(_session: StatusSessionDep) -> None:
        entered.release()
        leave.wait(timeout=30)

    crowd = [threading.Thread(target=client.get, args=("/test/ask",)) for _ in range(10)]
    for caller in crowd:
        caller.start()
    try:
        assert all(entered.acquire(timeout=10) for _ in range(2))
        assert not entered.acquire(timeout=0.3), "a third one got a place"
        started = time.monotonic()
        known = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "x"}
        assert client.post("/oauth/token", data=known).json()["error"] == "invalid_client"
        assert client.get("/.well-known/jwks.json").status_code == 200
        assert time.monotonic() - started < 5
    finally:
        leave.set()
        for caller in crowd:
            caller.join(timeout=30)


def test_invented_methods_make_no_series_of_their_own(client: TestClient) -> None:
    client.request("BREW", "/healthz")
    metrics = figures(client)
    assert "BREW" not in metrics
    assert 'method="other"' in metrics
