"""A real server on a real socket, and callers that all start at once."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn
from sqlalchemy import Engine, create_engine, text

from app.main import create_app
from app.settings import Settings

RACERS = 32
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Call:
    """One POST."""

    path: str
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What came back, and how long it took."""

    status: int
    content_type: str
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving(engine: Engine, **settings: Any) -> Iterator[int]:
    """The application on a free port of this machine; yields the port."""
    app = create_app(engine, Settings(log_level="ERROR", **settings))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", access_log=False))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def at_once(jobs: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Run all jobs in threads of their own, started together."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], _Result]) -> _Result:
        gate.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def race(port: int, calls: Sequence[Call]) -> list[Reply]:
    """Send all calls at once, each on a connection of its own that is open before the start."""
    return at_once([_caller(port, call) for call in calls])


def _caller(port: int, call: Call) -> Callable[[], Reply]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    headers = {"Content-Type": "application/json", **call.headers}

    def send() -> Reply:
        started = time.perf_counter()
        connection.request("POST", call.path, json.dumps(call.body), headers)
        answer = connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - started
        connection.close()
        got = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, got.get("content-type", ""), got, body, seconds)

    return send


def slowest(replies: Sequence[Reply], share: float = 0.99) -> float:
    """The time within which ``share`` of the replies came, seconds."""
    ordered = sorted(reply.seconds for reply in replies)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def deadlocks(engine: Engine) -> int:
    """Deadlocks the server has broken in this database; all its sessions end to be counted."""
    url = engine.url
    engine.dispose()
    other = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with other.connect() as connection:
            for _ in range(100):
                left = connection.scalar(
                    text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name"),
                    {"name": url.database},
                )
                if not left:
                    break
                time.sleep(0.02)
            found = connection.scalar(
                text("SELECT deadlocks FROM pg_stat_database WHERE datname = :name"),
                {"name": url.database},
            )
            return int(found or 0)
    finally:
        other.dispose()
