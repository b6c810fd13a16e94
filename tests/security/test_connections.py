"""The page of who talks to whom is whole: by the code that connects, and by what it does."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.security.actors import Role
from app.webhooks.transport import resolve
from tests import factories as make
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
CONNECTIONS = PAGE.split("\n## ")[3]
#: What a program connects to something with.
ABLE = frozenset(
    (
        *("aiohttp", "asyncpg", "ftplib", "http.client", "httpcore", "httpcore2", "httpx"),
        *("httpx2", "imaplib", "poplib", "requests", "smtplib", "socket", "ssl", "telnetlib"),
        *("urllib.request", "urllib3", "xmlrpc", "paramiko"),
        *("authlib.integrations.httpx_client", "sqlalchemy.create_engine"),
    )
)
#: Of libraries that are also there for work on a connection that is open: what opens one.
OPENING = frozenset({"psycopg.connect", "Connection.connect", "procrastinate.PsycopgConnector"})


def imports(source: str) -> Iterator[str]:
    """Dotted names of what a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{one.name}" for one in node.names)


def connects(source: str) -> bool:
    """Whether a module has what connections are made with."""
    return any(
        any(name == able or name.startswith(f"{able}.") for able in ABLE)
        for name in imports(source)
    ) or any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and f"{node.value.id}.{node.attr}" in OPENING
        for node in ast.walk(ast.parse(source))
    )


def test_every_module_that_connects_is_on_the_page() -> None:
    listed = set(re.findall(r"`(app(?:\.\w+)+)`", CONNECTIONS))
    found = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in (ROOT / "app").rglob("*.py")
        if connects(file.read_text(encoding="utf-8"))
    }

    assert found == listed


def test_a_module_that_would_connect_is_found() -> None:
    for source in (
        "import httpx2",
        "from urllib.request import urlopen",
        "def late():\n    import smtplib",
        "from sqlalchemy import create_engine, text",
        "import socket as harmless",
        "import psycopg\nwith psycopg.connect('') as opened: ...",
    ):
        assert connects(source), source
    assert not connects("import psycopg\nfrom sqlalchemy import text\nlost = psycopg.Error")


_heard: list[list[Any]] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if _heard and event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        _heard[-1].append(arguments)


@contextmanager
def overheard() -> Iterator[list[Any]]:
    """Whom Python's own sockets are asked to reach meanwhile. Those of libpq are not Python's."""
    if not _hooked:
        sys.addaudithook(_listen)  # which cannot be taken off again
        _hooked.append(True)
    heard: list[Any] = []
    _heard.append(heard)
    try:
        yield heard
    finally:
        _heard.remove(heard)


_hooked: list[bool] = []


def test_calls_reach_nothing_but_the_database(
    seeded_session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(seeded_session)
    company = make.make_company(seeded_session)
    firm = make.firm_headers(seeded_session, company)
    staff = make.staff_headers(seeded_session, Role.ADMIN)
    seeded_session.commit()
    endpoint = {"url": "https://hooks.example.invalid/space", "event_types": ["request.matched"]}

    with overheard() as heard:
        answers = [
            client.get("/api/v1/free-space", params={"limit": "5"}),
            client.get("/ogc/collections/units/items", params={"limit": "5"}),
            client.get("/ogc/collections/units/tiles/WebMercatorQuad/12/1664/3430"),
            client.get("/docs"),
            client.get("/api/v1/companies", headers=firm),
            client.post("/api/v1/webhook-endpoints", json=endpoint, headers=firm),
            client.get("/api/v1/kpis", headers=staff),
        ]

    assert heard == []
    assert [one.status_code for one in answers if one.status_code >= 500] == []
    assert answers[0].status_code == 200
    # Control: what asks a resolver is heard.
    with overheard() as heard:
        resolve("127.0.0.1", 443)
    assert heard
