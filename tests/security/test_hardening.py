"""What an outsider learns from failures, odd methods, odd messages and odd spellings: nothing."""

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from app import logs
from app.models.staff import RecoveryCode, StaffAccount
from app.security.actors import Role
from app.security.staff.second_factor import make_recovery_codes
from tests import factories as make
from tests.logs import as_in_production


def test_an_unforeseen_failure_says_one_sentence_and_the_calls_id(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session, max_body_bytes=2_000)  # of its own: it serves no other test
    app = client.app
    assert isinstance(app, FastAPI)

    @app.get("/test/breaks", include_in_schema=False)
    def breaks() -> None:
        secret = "a value of the inside"  # noqa: S105 - of nobody
        raise RuntimeError(secret)

    with as_in_production() as log:
        answer = client.get("/test/breaks")

    assert answer.status_code == 500
    problem = answer.json()
    assert problem.pop("request_id") == answer.headers["x-request-id"]
    assert problem == {
        "type": "/problems/error",
        "title": problem["title"],
        "title_zh": problem["title_zh"],
        "status": 500,
        "detail": problem["detail"],
        "detail_zh": problem["detail_zh"],
        "instance": "/test/breaks",
        "errors": [],
    }
    for inside in ("a value of the inside", "RuntimeError", "Traceback", ".py"):
        assert inside not in answer.text
        assert inside in log.getvalue() or inside == ".py"  # control: the log has it
    assert app.debug is False


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT"])
def test_what_was_sent_is_not_sent_back(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/v1/units", headers={"X-Planted": "planted"})

    assert answer.status_code == 405
    assert "planted" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_writes_a_line_of_his_own_into_the_log(client: TestClient, *, as_json: bool) -> None:
    written, before = StringIO(), structlog.get_config()
    structlog.configure(
        processors=logs.processors(as_json=as_json),
        logger_factory=structlog.PrintLoggerFactory(file=written),
        cache_logger_on_first_use=False,
    )
    try:
        client.get("/api/v1/units/x%0A2027-01-01%20%5Binfo%5D%20forged%0D%1B%5B2K")
    finally:
        structlog.configure(**before)

    lines = [line for line in written.getvalue().splitlines() if "forged" in line]
    assert lines
    assert all("call" in line or "refused" in line for line in lines)
    assert not re.search(r"^2027-01-01|\r|\x1b\[2K", written.getvalue(), re.MULTILINE)


def test_a_line_of_the_log_says_who_called(client: TestClient, session: Session) -> None:
    firm = make.firm_headers(session, make.make_company(session))
    staff = make.staff_headers(session, Role.VIEWER)
    session.commit()

    with as_in_production() as log:
        refused = client.get("/api/v1/audit-entries", headers=staff)
        client.get("/api/v1/companies", headers=firm)
        client.get("/api/v1/parks")
        client.get("/api/v1/companies", headers={"Authorization": "Bearer sr_live_guessed_x"})

    assert refused.status_code == 403
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    called = [(one["caller"], one["status"]) for one in lines if one["event"] == "call"]
    staff_label, firm_label = (
        f"{kind}:{headers['Authorization'].split('_')[2]}"
        for kind, headers in (("staff", staff), ("firm", firm))
    )
    assert called == [(staff_label, 403), (firm_label, 200), ("public", 200), ("public", 401)]
    of_this = [one for one in lines if one.get("problem") == "not-allowed"]
    (why,) = [one for one in of_this if one["event"] == "refused"]
    assert why["request_id"] == refused.headers["x-request-id"]


def test_answers_to_a_credential_are_kept_by_no_browser(
    client: TestClient, session: Session
) -> None:
    firm = make.firm_headers(session, make.make_company(session))
    session.commit()
    for path in ("/api/v1/companies", "/api/v1/units", "/api/v1/nothing-here"):
        assert client.get(path, headers=firm).headers["cache-control"] == "no-store"
    # Control: what everybody may read may be kept.
    assert client.get("/api/v1/units").headers["cache-control"] == "no-cache"


def test_recovery_codes_have_128_random_bits(session: Session) -> None:
    make.staff_headers(session)
    account_id = session.scalars(select(StaffAccount.id)).one()

    codes = make_recovery_codes(session, account_id)

    assert all(len(code.replace("-", "")) * 5 >= 128 for code in codes)
    assert len(set(codes)) == len(codes)
    kept = session.scalars(select(RecoveryCode.code_sha256)).all()
    assert len(kept) == len(codes)


@pytest.fixture
def served(own_engine: Engine, make_client: Callable[..., TestClient]) -> Iterator[int]:
    """The service behind its own server, as the command starts it; yields the port."""
    app = make_client(own_engine).app
    config = uvicorn.Config(app, port=0, log_level="critical", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


_SMUGGLED = b"GET /healthz?smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body", "answers"),
    [
        # Control: one message, whose end nobody doubts.
        (b"Content-Length: 2\r\n", b"{}", 1),
        (b"Content-Length: 2\r\nContent-Length: 40\r\n", b"{}" + _SMUGGLED, 1),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + _SMUGGLED, 1),
        (b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + _SMUGGLED, 1),
        (b"Content-Length: +2\r\n", b"{}" + _SMUGGLED, 1),
        (b"Content-Length : 2\r\n", b"{}" + _SMUGGLED, 1),
    ],
)
def test_where_a_message_ends_is_never_in_doubt(
    served: int, headers: bytes, body: bytes, answers: int
) -> None:
    """A message that says two ends is refused whole, and what follows it is answered by nobody."""
    with socket.create_connection(("127.0.0.1", served), timeout=3) as connection:
        connection.sendall(
            b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + headers
            + b"\r\n"
            + body
        )
        got = b""
        while piece := connection.recv(65_536):
            got += piece

    statuses = re.findall(rb"^HTTP/1\.1 (\d+)", got, re.MULTILINE)
    assert len(statuses) == answers
    assert statuses == [b"400"], got[:200]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (b"/api/v1/units/T1%2DA", b"200"),  # control: once is as good as plain
        (b"/api/v1/units/T1%252DA", b"404"),
        (b"/api/v1/units?limit=%31", b"200"),
        (b"/api/v1/units?limit=%2531", b"422"),
    ],
)
def test_what_is_encoded_twice_is_decoded_once(
    served: int, own_engine: Engine, address: bytes, status: bytes
) -> None:
    with Session(own_engine) as session:
        make.make_unit(session, code="T1-A")
        session.commit()

    with socket.create_connection(("127.0.0.1", served), timeout=10) as connection:
        connection.sendall(b"GET " + address + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = connection.recv(64)

    assert answer.split(b" ")[1] == status


def test_making_the_document_keeps_no_call_waiting(
    own_engine: Engine, make_client: Callable[..., TestClient]
) -> None:
    # With a setting of its own it is no application that has made its document for another test.
    client = make_client(own_engine, hsts_seconds=1)
    app = client.app
    assert isinstance(app, FastAPI)
    asked, go_on, made = Event(), Event(), app.openapi
    calls: list[int] = []

    def slow() -> dict[str, Any]:
        calls.append(1)
        asked.set()
        assert go_on.wait(20)
        return made()

    app.openapi = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(client.get, "/openapi.json")
        try:
            assert asked.wait(10)
            assert client.get("/healthz").status_code == 200
        finally:
            go_on.set()
        document = first.result()

    assert document.json() == made()
    assert client.get("/openapi.json").content == document.content
    assert len(calls) == 1


def test_what_libraries_log_is_a_line_of_json_like_our_own() -> None:
    written = StringIO()
    library = logging.getLogger("uvicorn.tests")
    library.propagate = False
    library.addHandler(logs.libraries(written, as_json=True))
    with structlog.contextvars.bound_contextvars(request_id="of-the-call"):
        library.warning("two\nlines of %s", "theirs")
    try:
        int("x")
    except ValueError:
        library.exception("broke")

    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "two\nlines of theirs",
        "level": "warning",
        "logger": "uvicorn.tests",
        "request_id": "of-the-call",
    }
    assert "ValueError" in second["exception"]
