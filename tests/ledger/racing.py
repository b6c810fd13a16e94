"""Many callers at once, over a real socket or in real sessions, and what they left behind."""

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import pytest
import uvicorn
from fastapi import FastAPI
from psycopg import errors as driver_errors
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.database.roles import APP, PUBLIC
from app.main import create_app
from app.settings import Settings
from tests import factories as make

RACERS = 32
HOLDS = "/api/v1/holds"
#: Far more than a race takes; a storm of deadlocks and retries would take longer.
SECONDS_A_RACE_MAX = 20.0
#: Major versions of PostgreSQL on which SERIALIZABLE through a GiST index was seen to let write
#: skew through, by the tests of this folder. Others may do so too: nobody has looked.
SKEWS_THROUGH_GIST = {15}
#: Enough for every racer to lose to every other one, twice; whoever needs more is starved.
_TRIES = 2 * RACERS
_Result = TypeVar("_Result")


def rounds(short: int, long: int = 500) -> pytest.MarkDecorator:
    """Run a test with ``rounds`` of so many: few each time, many in the long run."""
    patient = [pytest.mark.long, pytest.mark.timeout(3600)]
    return pytest.mark.parametrize(
        "rounds", [pytest.param(short, id="short"), pytest.param(long, id="long", marks=patient)]
    )


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
    """The application on a free port of this machine, as it is served; yields the port."""
    usual: dict[str, Any] = {"log_level": "ERROR", "two_person_rule": False, "rate_limits": {}}
    configured = Settings(**(usual | settings))
    url = engine.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        known, public = (
            stack.enter_context(
                disposed(make_engine(url, lock_timeout_ms=configured.lock_timeout_ms, role=role))
            )
            for role in (APP, PUBLIC)
        )
        app = create_app(known, configured, public_engine=public)
        yield stack.enter_context(listening(app))


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    """An engine whose connections are closed at the end."""
    yield engine
    engine.dispose()


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", access_log=False))
    # Named TCP, or asyncio leaves Nagle's algorithm on: each answer then waits 40 ms for its body.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
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


class Caller:
    """A caller with one connection, open from the start and kept between calls."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()

    def post(self, call: Call) -> Reply:
        headers = {"Content-Type": "application/json", **call.headers}
        started = time.perf_counter()
        self._connection.request("POST", call.path, json.dumps(call.body), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - started
        got = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, got.get("content-type", ""), got, body, seconds)

    def close(self) -> None:
        self._connection.close()


def race(port: int, calls: Sequence[Call]) -> list[Reply]:
    """Send all calls at once, each on a connection of its own that is open before the start."""
    with ExitStack() as opened:

        def job(call: Call) -> Callable[[], Reply]:
            caller = opened.enter_context(closing(Caller(port)))
            return lambda: caller.post(call)

        return at_once([job(call) for call in calls])


@contextmanager
def sessions(engine: Engine, isolation: str, count: int = RACERS) -> Iterator[list[Connection]]:
    """Database sessions at one isolation level, open from the start."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(engine.connect()).execution_options(isolation_level=isolation)
            for _ in range(count)
        ]


def until_serialised(work: Callable[[], _Result]) -> _Result:
    """Do ``work`` again as long as it loses a race of serialisation or a deadlock.

    Raises:
        AssertionError: it lost more often than there is reason to.
    """
    for _ in range(_TRIES):
        try:
            return work()
        except DBAPIError as error:
            if not isinstance(
                error.orig, (driver_errors.SerializationFailure, driver_errors.DeadlockDetected)
            ):
                raise
            time.sleep(random.uniform(0, 0.01))  # noqa: S311
    raise AssertionError(f"lost {_TRIES} times in a row")


def prepare(
    engine: Engine, units: int = 1, **terms: object
) -> tuple[list[UUID], list[dict[str, str]]]:
    """Units on one floor, and the headers of as many firms as there are racers."""
    with Session(engine, expire_on_commit=False) as session:
        floor = make.make_floor(session)
        made = [
            make.make_unit(session, floor=floor, slot=slot, slots=units, **terms).id
            for slot in range(units)
        ]
        firms = [make.firm_headers(session, make.make_company(session)) for _ in range(RACERS)]
        session.commit()
    return made, firms


def year(number: int) -> dict[str, str]:
    """A period of its own for each round, so that one unit serves them all."""
    return {"from": f"{2030 + number}-01-01", "until": f"{2031 + number}-01-01"}


def overbooked_days(engine: Engine) -> int:
    """Days and instants at which a unit was promised beyond its capacity, now or ever.

    Counted without the functions under test.
    """
    with engine.connect() as connection:
        found = connection.scalar(
            text(
                # A peak is reached on a day on which some claim begins, and at an instant at
                # which belief in some claim does: the past counts as much as the present.
                "SELECT count(*) FROM (SELECT DISTINCT a.unit_id, lower(a.period) AS day,"
                " lower(b.live) AS instant FROM claims a JOIN claims b"
                " ON b.unit_id = a.unit_id AND b.period && a.period AND b.live && a.live) d"
                " JOIN units u ON u.id = d.unit_id WHERE u.capacity < ("
                "SELECT sum(c.quantity) FROM claims c WHERE c.unit_id = d.unit_id"
                " AND c.period @> d.day AND c.live @> d.instant)"
            )
        )
    return int(found or 0)


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
