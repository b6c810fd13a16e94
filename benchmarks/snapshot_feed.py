"""How long a commit takes to be visible in the snapshot that follows the database.

Writers commit claims on units of their own as fast as they can; each waits until the followed
snapshot has seen its transaction. ``commit_to_visible`` is called by the benchmark of matching.
"""

import random
import statistics
import threading
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import Engine

from app.demand.rules import load_rules
from app.matching.snapshots.follow import Follower

_UNITS = """
SELECT id FROM units u TABLESAMPLE SYSTEM (20) WHERE upper_inf(usable)
    AND NOT EXISTS (
        SELECT FROM claims WHERE unit_id = u.id AND coalesce(upper(period), 'infinity') > %s)
LIMIT %s"""
# Behind all other claims, a day apart: nothing is ever refused.
_CLAIM = """
INSERT INTO claims (commitment_id, park_id, unit_id, kind, quantity, whole, period, live, placed_by)
SELECT gen_random_uuid(), park_id, id, 'works', capacity, true,
    daterange(%(day)s, %(day)s + 1), tstzrange(clock_timestamp(), NULL), 'benchmark'
FROM units WHERE id = %(unit)s"""
_FIRST_DAY = date(2100, 1, 1)
_DATA = Path(__file__).resolve().parent.parent / "data"


@dataclass(frozen=True)
class Seen:
    """Milliseconds from the end of a commit until it was visible; and commits a second."""

    p50_ms: float
    p95_ms: float
    most_ms: float
    commits: int
    commits_a_second: float


def commit_to_visible(
    engine: Engine,
    *,
    writers: int = 8,
    seconds: float = 5.0,
    pause_seconds: float = 0.0,
    folder: Path | None = None,
    seed: int = 1,
) -> Seen:
    """Measure with so many writers; ``pause_seconds`` is what each rests between commits."""
    options = dict(engine.dialect.create_connect_args(engine.url)[1])
    follower = Follower(engine, load_rules(_DATA).building, folder)
    follower.start()
    waits: list[float] = []
    try:
        follower.current(120.0)
        with psycopg.connect(**options) as connection:
            units = [row[0] for row in connection.execute(_UNITS, [_FIRST_DAY, writers * 2_000])]
        until = time.monotonic() + seconds

        def write(number: int) -> None:
            rng = random.Random(seed * 1_000 + number)  # noqa: S311 - repeatable, not secret
            mine = units[number::writers]
            days = [0] * len(mine)
            with psycopg.connect(**options, autocommit=True) as connection:
                while time.monotonic() < until:
                    place = rng.randrange(len(mine))
                    days[place] += 2
                    day = _FIRST_DAY + timedelta(days=days[place])
                    with connection.transaction():
                        connection.execute(_CLAIM, {"day": day, "unit": mine[place]})
                        said = connection.execute("SELECT pg_current_xact_id()::text").fetchall()
                    committed = time.perf_counter()
                    if not follower.wait_for(int(said[0][0]), 30.0):
                        raise TimeoutError("a commit was not seen")
                    waits.append((time.perf_counter() - committed) * 1_000)
                    time.sleep(pause_seconds)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        follower.stop()
    ranked = statistics.quantiles(waits, n=100)
    return Seen(ranked[49], ranked[94], max(waits), len(waits), len(waits) / seconds)
