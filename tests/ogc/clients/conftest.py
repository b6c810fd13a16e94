"""The real server on loopback over the demonstration's data, and what it was asked."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
import uvicorn
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.database.roles import APP, PUBLIC
from app.main import create_app
from app.settings import Settings
from tests.conftest import Databases


@dataclass
class Asked:
    """One call as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query))


@dataclass
class Served:
    """The server: where it is, what it was asked, and the database behind it."""

    port: int
    session: Session
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The landing page: the one address that a person types into a GIS."""
        return f"http://127.0.0.1:{self.port}/ogc"

    def count(self, sql: str) -> int:
        """A number that the database itself gives."""
        return int(self.session.execute(text(sql)).scalar_one())

    def pages(self, collection: str) -> list[dict[str, str]]:
        """The parameters of the calls for features of a collection, since last asked."""
        path = f"/ogc/collections/{collection}/items"
        found = [one.parameters for one in self.asked if one.path == path and one.method == "GET"]
        self.asked.clear()
        return found


@pytest.fixture(scope="package")
def gis(databases: Databases, seeded_template: str) -> Iterator[Served]:
    url = databases.url(databases.create(seeded_template))
    engines = [make_engine(url, pool_size=4, role=role) for role in (APP, PUBLIC)]
    owner = make_engine(url, pool_size=1)
    settings = Settings(log_level="ERROR", rate_limits={})
    app = create_app(engines[0], settings, public_engine=engines[1])
    asked: list[Asked] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        one = Asked(scope["method"], scope["path"], scope["query_string"].decode(), headers)
        asked.append(one)

        async def noted() -> Any:
            message = await receive()
            one.body += message.get("body", b"")
            return message

        await app(scope, noted, send)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(noting, log_level="error", access_log=False, lifespan="on")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        with Session(owner) as session:
            yield Served(listening.getsockname()[1], session, asked)
        server.should_exit = True
        thread.join()
    for engine in (*engines, owner):
        engine.dispose()
