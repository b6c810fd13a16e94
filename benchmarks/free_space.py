"""Free space over a big park: HTTP against the very same SQL run raw through psycopg.

Both sides answer the same seeded questions in the same run, in turns, and their answers are
compared first. What is printed is the ratio of their rates: how much of the database's speed
reaches a client.

    python3 dev.py bench free_space
    python3 dev.py bench free_space --units 20000 --rounds 3 --seconds 2
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from sqlalchemy import Engine, event, func, select, text
from sqlalchemy.orm import Session

from app.database.cluster import Cluster
from app.database.engine import make_engine
from app.database.migrate import upgrade
from app.database.paging import PageRequest
from app.database.session import transaction
from app.kernel.terms import UnitType
from app.ledger.asked import FreeSpaceSearch
from app.ledger.free_space import free_space_statement
from app.models.space import Unit
from app.seeding.bulk_plan import LET_PCT
from app.seeding.service import generate_park

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 100
TYPES = (UnitType.ACCELERATION, UnitType.PILOT, UnitType.HQ_RD, UnitType.PRODUCTION)


@dataclass(frozen=True)
class Question:
    """One question, as a path for HTTP and as SQL with its parameters for psycopg."""

    path: str
    geojson: bool
    sql: str
    parameters: dict[str, Any]


def questions(engine: Engine, count: int, seed: int, *, geojson: bool) -> list[Question]:
    """Seeded questions: a type, a least area and load, a box, from a day on."""
    chooser = random.Random(seed)  # noqa: S311 - repeatable, not secret
    with Session(engine) as session:
        west, south, east, north = session.execute(
            select(
                *(
                    func.min(func.ST_XMin(Unit.geom)),
                    func.min(func.ST_YMin(Unit.geom)),
                    func.max(func.ST_XMax(Unit.geom)),
                    func.max(func.ST_YMax(Unit.geom)),
                )
            )
        ).one()
        made = []
        for _ in range(count):
            share = chooser.uniform(0.2, 0.5)
            x = chooser.uniform(west, west + (east - west) * (1 - share))
            y = chooser.uniform(south, south + (north - south) * (1 - share))
            box = tuple(
                round(value, 6)
                for value in (x, y, x + (east - west) * share, y + (north - south) * share)
            )
            kind = chooser.choice(TYPES)
            least = chooser.choice(("300", "600", "1000"))
            start = date(2027, chooser.randint(1, 12), 1)
            path = "/api/v1/free-space?" + urlencode(
                {
                    "type": kind.value,
                    "min_area_m2": least,
                    "min_floor_load_kn_m2": "3",
                    "bbox": ",".join(map(str, box)),
                    "from": start.isoformat(),
                    "limit": LIMIT,
                    "f": "geojson" if geojson else "json",
                }
            )
            search = FreeSpaceSearch(
                start=start,
                unit_types=(kind,),
                min_area_m2=Decimal(least),
                min_floor_load_kn_m2=Decimal(3),
                bbox=(box[0], box[1], box[2], box[3]),
            )
            statement = free_space_statement(search, {}, PageRequest(LIMIT), geojson=geojson)
            sql, parameters = as_sent(session, statement)
            made.append(Question(path, geojson, sql, parameters))
    return made


def as_sent(session: Session, statement: Any) -> tuple[str, dict[str, Any]]:
    """The text and parameters that reach the driver."""
    sent: list[tuple[str, dict[str, Any]]] = []
    connection = session.connection()

    def note(_c: Any, _cursor: Any, sql: str, parameters: Any, _x: Any, _many: bool) -> None:
        sent.append((sql, dict(parameters)))

    event.listen(connection, "before_cursor_execute", note)
    session.execute(statement)
    event.remove(connection, "before_cursor_execute", note)
    return sent[0]


@contextmanager
def server(url: str, **settings: str) -> Iterator[int]:
    """The real server in a process of its own, on a free loopback port: the port."""
    with serving(url, **settings) as (port, _pid):
        yield port


@contextmanager
def serving(url: str, **settings: str) -> Iterator[tuple[int, int]]:
    """The real server's port and process; ``settings`` are variables of its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", str(port)],
        env={
            **os.environ,
            "SPACE_RELAY_DATABASE_URL": url,
            "SPACE_RELAY_LOG_LEVEL": "ERROR",
            "SPACE_RELAY_RATE_LIMITS": "{}",
            **settings,
        },
        cwd=ROOT,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise TimeoutError("the server did not start in 60 s")
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def http_client(port: int) -> Callable[[Question], bytes]:
    """Asks over one kept-alive connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(question: Question) -> bytes:
        connection.request("GET", question.path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{answer.status} {body[:500]!r}")
        return body

    return ask


def raw_client(url: str) -> Callable[[Question], bytes]:
    """Runs the SQL over one connection with the server's own session settings."""
    connection = psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True
    )
    connection.execute("SET plan_cache_mode = 'force_custom_plan'; SET jit = off")

    def ask(question: Question) -> bytes:
        rows = connection.execute(question.sql, question.parameters).fetchall()
        return ",".join(row[0] for row in rows[:LIMIT]).encode()

    return ask


def rate(
    make: Callable[[], Callable[[Question], bytes]],
    asked: Sequence[Question],
    clients: int,
    seconds: float,
) -> tuple[float, list[float]]:
    """Answers a second and each answer's milliseconds, with ``clients`` asking at once."""
    took: list[float] = []
    askers = [make() for _ in range(clients)]
    deadline = time.perf_counter() + seconds

    def work(ask: Callable[[Question], bytes], offset: int) -> None:
        place = offset
        while (started := time.perf_counter()) < deadline:
            ask(asked[place % len(asked)])
            took.append((time.perf_counter() - started) * 1000)
            place += 1

    threads = [
        threading.Thread(target=work, args=(ask, i * len(asked) // clients))
        for i, ask in enumerate(askers)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / (time.perf_counter() - started), took


def require_equal(asked: Sequence[Question], port: int, url: str) -> int:
    """Refuse to measure what does not answer alike; returns how many rows were compared."""
    over_http, raw = http_client(port), raw_client(url)
    rows = 0
    for question in asked:
        answer = json.loads(over_http(question))
        same = json.loads(b"[" + raw(question) + b"]")
        if answer["features" if question.geojson else "items"] != same:
            raise AssertionError(f"HTTP and SQL disagree on {question.path}")
        rows += len(same)
    return rows


def prepared(units: int, seed: int, *, let_pct: int = LET_PCT) -> Cluster:
    """A private PostGIS with that many generated units, kept for the next run."""
    home = f"bench-{units}-{seed}" + (f"-let-{let_pct}" if let_pct != LET_PCT else "")
    cluster = Cluster(ROOT / ".space-relay" / home, durable=False)
    cluster.start()
    engine = make_engine(cluster.url, pool_size=2, statement_timeout_ms=3_600_000)
    with engine.connect() as connection:
        upgrade(connection)
    with Session(engine) as session:
        there = session.scalar(select(func.count()).select_from(Unit)) or 0
        if there == 0:
            started = time.perf_counter()
            with transaction(session):
                generate_park(session, units=units, seed=seed, let_pct=let_pct)
            print(f"generated {units:,} units in {time.perf_counter() - started:.0f} s")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()
    return cluster


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options = parser.parse_args()
    cluster = prepared(options.units, options.seed)
    try:
        measure(cluster.url, options)
    finally:
        cluster.stop()


def measure(url: str, options: argparse.Namespace) -> None:
    """Both sides in turns, then the medians."""
    engine = make_engine(url, pool_size=2)
    with engine.connect() as connection:
        units, claims = connection.execute(
            text("SELECT (SELECT count(*) FROM units), (SELECT count(*) FROM claims)")
        ).one()
    print(f"{units:,} units, {claims:,} claims, {options.questions} questions, limit {LIMIT}")
    with server(url) as port:
        for geojson in (False, True):
            asked = questions(engine, options.questions, options.seed, geojson=geojson)
            rows = require_equal(asked, port, url)
            print(f"\n{'GeoJSON' if geojson else 'JSON'}: {rows:,} rows compared equal")
            for clients in (1, 8):
                sides: dict[str, list[float]] = {"http": [], "raw": []}
                times: dict[str, list[float]] = {"http": [], "raw": []}
                for _ in range(options.rounds):
                    for side, make in (
                        ("raw", lambda: raw_client(url)),
                        ("http", lambda: http_client(port)),
                    ):
                        per_second, took = rate(make, asked, clients, options.seconds)
                        sides[side].append(per_second)
                        times[side].extend(took)
                ratio = statistics.median(
                    h / r for h, r in zip(sides["http"], sides["raw"], strict=True)
                )
                print(
                    f"  {clients} client{'s' if clients > 1 else ' '}:"
                    f"  HTTP/raw = {ratio:.2f}"
                    f"   HTTP {statistics.median(sides['http']):.0f}/s"
                    f" p50 {quantile(times['http'], 50):.1f} ms"
                    f" p95 {quantile(times['http'], 95):.1f} ms"
                    f"   raw {statistics.median(sides['raw']):.0f}/s"
                    f" p50 {quantile(times['raw'], 50):.1f} ms"
                )
    engine.dispose()


def quantile(values: Sequence[float], percent: int) -> float:
    """The value below which ``percent`` % of ``values`` lie."""
    return statistics.quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    main()
