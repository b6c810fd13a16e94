"""Claims by 32 clients at once: the safe ledger against an unsafe check-then-insert, side by side.

Everybody wants 40 % of a unit for a year, so two fit and the third must be refused. Four arms, in
turns, each on units of its own and on a durable PostgreSQL (every commit waits for the disk):

- ``naive``: reads what is taken and inserts if there is room, into a copy of the table that has
  its indexes but no triggers, exclusion constraint or foreign keys. What most booking code does;
- ``insert``: a plain INSERT into the ledger's table, whose triggers lock and check;
- ``service``: ``hold_units`` on a session, as the API calls it;
- ``http``: the same through ``POST /api/v1/holds`` with an Idempotency-Key.

Printed are calls answered a second (placed or refused), as a ratio to the naive arm of the same
round, each call's time, and on how many unit-days each arm promised more than there is. Exits
with 1 if the ledger overbooked, or if the naive arm never did: then the load proved nothing.

    python3 dev.py bench claims
    python3 dev.py bench claims --rounds 1 --seconds 2
"""

import argparse
import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from app.database.cluster import Cluster
from app.database.engine import make_engine
from app.database.migrate import upgrade
from app.database.session import session_factory, transaction, with_retries
from app.kernel.period import Period
from app.ledger.errors import UnitOccupiedError
from app.ledger.holds import HoldLimits, hold_units
from app.ledger.orders import Order, Wanted
from app.security.actors import Actor, ActorKind, Role
from app.security.credentials import issue_staff_token
from app.seeding.service import generate_park
from benchmarks.free_space import quantile, server

CLIENTS = 32
LOADS = {"hot": 10, "spread": 1_000}
ARMS = ("naive", "insert", "service", "http")
#: Beyond all generated leases, and short of the last year that a date can name.
FIRST_YEAR, LAST_YEAR = 2200, 9990
#: Calls for each unit and year: two fit, so half of them must be refused.
CALLS_PER_UNIT_YEAR = 4
LIMITS = HoldLimits(
    hours_default=72,
    hours_max=720,
    held_units_max=1_000_000,
    total_hours_firm_max=168,
    total_hours_agent_max=336,
    total_hours_manager_max=720,
)
#: What the ledger's own belts raise when a plain INSERT asks for too much.
_REFUSED = psycopg.errors.IntegrityError


class Place(NamedTuple):
    """A unit and how much of it everybody wants."""

    unit: UUID
    park: UUID
    capacity: Decimal
    quantity: Decimal


@dataclass(frozen=True)
class Wish:
    """One call: 40 % of a unit for a year."""

    place: Place
    company: UUID
    year: int


#: Asks for a wish: True when it was placed, False when there was no room.
Client = Callable[[Wish], bool]


@dataclass
class Figures:
    """What one arm did under one load."""

    per_second: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    placed: int = 0
    overbooked: int = 0


@dataclass
class Ground:
    """What one arm claims under one load; its years are used up as it goes."""

    places: Sequence[Place]
    companies: Sequence[UUID]
    numbers: Iterator[int] = field(default_factory=count)

    def wish(self, chance: random.Random) -> Wish:
        """The next call: any unit, in one of the two years that are open for claims."""
        passed = next(self.numbers) // (CALLS_PER_UNIT_YEAR * len(self.places))
        year = FIRST_YEAR + passed + chance.randrange(2)
        if year > LAST_YEAR:
            raise OverflowError("out of years; use fewer rounds or seconds")
        return Wish(chance.choice(self.places), chance.choice(self.companies), year)


_INSERT = """
    INSERT INTO {table} (commitment_id, park_id, unit_id, company_id, kind, quantity, whole, period,
        live, placed_by)
    VALUES (gen_random_uuid(), %(park)s, %(unit)s, %(company)s, 'hold', %(quantity)s, false,
        daterange(%(start)s, %(until)s),
        tstzrange(clock_timestamp(), clock_timestamp() + interval '72 hours'), 'bench')
"""
# All periods are whole years, so the sum of what overlaps is the peak.
_TAKEN = """
    SELECT coalesce(sum(quantity), 0) FROM naive_claims
    WHERE unit_id = %(unit)s AND period && daterange(%(start)s, %(until)s)
        AND live @> clock_timestamp()
"""
_OVERBOOKED = """
    SELECT count(*) FROM (SELECT DISTINCT unit_id, lower(period) AS day FROM {table}
        WHERE unit_id = ANY (:units)) AS d
    JOIN units u ON u.id = d.unit_id WHERE u.capacity < (
        SELECT sum(c.quantity) FROM {table} c
        WHERE c.unit_id = d.unit_id AND c.period @> d.day AND c.live @> clock_timestamp())
"""

_FREE_FOR_GOOD = text("""
    SELECT id FROM units WHERE upper_inf(usable) AND NOT EXISTS (
        SELECT FROM claims c WHERE c.unit_id = units.id
        AND c.period && daterange(make_date(:year, 1, 1), NULL))
    ORDER BY id LIMIT :most
""")
_MAKE_DIVISIBLE = text("""
    UPDATE units SET divisible = true, min_part = round(capacity / 10, 2)
    WHERE id = ANY (:units) RETURNING id, park_id, capacity, round(capacity * 0.4, 2)
""")


def _parameters(wish: Wish) -> dict[str, object]:
    return {
        "park": wish.place.park,
        "unit": wish.place.unit,
        "company": wish.company,
        "quantity": wish.place.quantity,
        "start": date(wish.year, 1, 1),
        "until": date(wish.year + 1, 1, 1),
    }


@contextmanager
def naive_client(url: str) -> Iterator[Client]:
    """Check, then insert."""
    with _link(url) as link:

        def ask(wish: Wish) -> bool:
            parameters = _parameters(wish)
            with link.transaction():
                row = link.execute(_TAKEN, parameters).fetchone()
                taken = row[0] if row else 0
                if taken + wish.place.quantity > wish.place.capacity:
                    return False
                link.execute(_INSERT.format(table="naive_claims"), parameters)
                return True

        yield ask


@contextmanager
def insert_client(url: str) -> Iterator[Client]:
    """Insert, and let the table's triggers refuse."""
    with _link(url) as link:

        def ask(wish: Wish) -> bool:
            try:
                link.execute(_INSERT.format(table="claims"), _parameters(wish))
            except _REFUSED:
                return False
            return True

        yield ask


@contextmanager
def service_client(sessions: sessionmaker[Session]) -> Iterator[Client]:
    """Hold units as the API does, without HTTP."""
    actor = Actor(ActorKind.STAFF, "bench", role=Role.AGENT)

    def ask(wish: Wish) -> bool:
        order = Order(
            units=[Wanted(wish.place.unit, wish.place.quantity)],
            period=Period(date(wish.year, 1, 1), date(wish.year + 1, 1, 1)),
            company_id=wish.company,
        )

        def once() -> None:
            with sessions() as session, transaction(session):
                hold_units(session, actor, order, LIMITS)

        try:
            with_retries(once)
        except UnitOccupiedError:
            return False
        return True

    yield ask


@contextmanager
def http_client(port: int, token: str) -> Iterator[Client]:
    """Hold units over one kept-alive connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(wish: Wish) -> bool:
        body = {
            "units": [{"unit_id": str(wish.place.unit), "quantity": float(wish.place.quantity)}],
            "company_id": str(wish.company),
            "from": f"{wish.year}-01-01",
            "until": f"{wish.year + 1}-01-01",
        }
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": str(uuid4()),
        }
        connection.request("POST", "/api/v1/holds", json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == http.client.CREATED:
            return True
        if answer.status == http.client.CONFLICT and b"unit-occupied" in said:
            return False
        raise RuntimeError(f"{answer.status} {said[:500]!r}")

    try:
        yield ask
    finally:
        connection.close()


@contextmanager
def _link(url: str) -> Iterator[psycopg.Connection]:
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(plain, autocommit=True) as link:
        link.execute("SET timezone = 'UTC'")
        yield link


def measure(
    figures: Figures, ground: Ground, clients: Sequence[Client], seconds: float, seed: int
) -> float:
    """Let all clients claim for a while; returns calls answered a second."""
    took: list[float] = []
    placed: list[bool] = []
    failures: list[Exception] = []
    deadline = time.perf_counter() + seconds

    def work(ask: Client, chance: random.Random) -> None:
        try:
            while (started := time.perf_counter()) < deadline:
                placed.append(ask(ground.wish(chance)))
                took.append((time.perf_counter() - started) * 1000)
        except Exception as error:  # noqa: BLE001 - raised again below, in the main thread
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(ask, random.Random(f"{seed} {number}")))  # noqa: S311
        for number, ask in enumerate(clients)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    rate = len(took) / (time.perf_counter() - started)
    figures.per_second.append(rate)
    figures.milliseconds.extend(took)
    figures.placed += sum(placed)
    return rate


def prepare(engine: Engine) -> dict[tuple[str, str], Ground]:
    """Units that are free for good, a share of them for each arm and load; and the naive table."""
    needed = len(ARMS) * sum(LOADS.values())
    with Session(engine) as session, transaction(session):
        generate_park(session, units=2 * needed, seed=1)
    with engine.begin() as connection:
        units = connection.execute(_FREE_FOR_GOOD, {"year": FIRST_YEAR, "most": needed}).scalars()
        rows = connection.execute(_MAKE_DIVISIBLE, {"units": list(units)})
        places = [Place(*row) for row in rows]
        if len(places) < needed:
            raise ValueError(f"only {len(places)} of {needed} units are free")
        companies = list(connection.execute(text("SELECT id FROM companies ORDER BY id")).scalars())
        connection.execute(text("CREATE TABLE naive_claims (LIKE claims INCLUDING ALL)"))
        excluding = connection.execute(
            text(
                "SELECT conname FROM pg_constraint"
                " WHERE conrelid = 'naive_claims'::regclass AND contype = 'x'"
            )
        ).scalars()
        for name in list(excluding):
            connection.execute(text(f'ALTER TABLE naive_claims DROP CONSTRAINT "{name}"'))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    shares = iter(places)
    return {
        (load, arm): Ground([next(shares) for _ in range(units)], companies[place :: len(ARMS)])
        for load, units in LOADS.items()
        for place, arm in enumerate(ARMS)
    }


def overbooked(engine: Engine, arm: str, ground: Ground) -> int:
    """Unit-days on which an arm promised more than there is."""
    table = "naive_claims" if arm == "naive" else "claims"
    with engine.connect() as connection:
        found = connection.scalar(
            text(_OVERBOOKED.format(table=table)),
            {"units": [place.unit for place in ground.places]},
        )
    return int(found or 0)


def report(load: str, figures: Mapping[str, Figures]) -> None:
    """One line for each arm."""
    print(f"\n{load}: {LOADS[load]:,} units")
    for arm, its in figures.items():
        ratio = statistics.median(
            mine / naive
            for mine, naive in zip(its.per_second, figures["naive"].per_second, strict=True)
        )
        print(
            f"  {arm:<8} {ratio:5.2f} x naive   {statistics.median(its.per_second):6.0f} calls/s"
            f"   p50 {quantile(its.milliseconds, 50):6.1f} ms"
            f"   p99 {quantile(its.milliseconds, 99):7.1f} ms"
            f"   {its.placed:,} of {len(its.milliseconds):,} placed"
            f"   overbooked {its.overbooked}"
        )


def run(cluster: Cluster, rounds: int, seconds: float) -> dict[str, dict[str, Figures]]:
    """All arms in turns, under each load."""
    engine = make_engine(cluster.url, pool_size=CLIENTS, statement_timeout_ms=60_000)
    with engine.connect() as connection:
        upgrade(connection)
    grounds = prepare(engine)
    with Session(engine) as session, transaction(session):
        token = issue_staff_token(session, role=Role.AGENT, label="bench")
    found = {load: {arm: Figures() for arm in ARMS} for load in LOADS}
    with ExitStack() as stack:
        port = stack.enter_context(server(cluster.url))
        sessions = session_factory(engine)
        makers: dict[str, Callable[[], AbstractContextManager[Client]]] = {
            "naive": lambda: naive_client(cluster.url),
            "insert": lambda: insert_client(cluster.url),
            "service": lambda: service_client(sessions),
            "http": lambda: http_client(port, token),
        }
        for turn in range(rounds):
            for load in LOADS:
                for arm in ARMS:
                    with ExitStack() as opened:
                        clients = [opened.enter_context(makers[arm]()) for _ in range(CLIENTS)]
                        measure(found[load][arm], grounds[load, arm], clients, seconds, turn)
    for (load, arm), ground in grounds.items():
        found[load][arm].overbooked = overbooked(engine, arm, ground)
    engine.dispose()
    return found


def main() -> int:
    """Measure, print, and say whether the ledger held where the naive arm did not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    options = parser.parse_args()
    # Thousands of holds for each company are not what the limit is for.
    os.environ["SPACE_RELAY_HELD_UNITS_PER_COMPANY_MAX"] = str(LIMITS.held_units_max)
    with tempfile.TemporaryDirectory(prefix="space-relay-claims-") as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(folder)) as cluster:
            found = run(cluster, options.rounds, options.seconds)
        cluster.destroy()
    print(f"\n{CLIENTS} clients, {options.rounds} rounds of {options.seconds:g} s for each arm")
    for load, figures in found.items():
        report(load, figures)
    safe = not any(
        its.overbooked for load in found.values() for arm, its in load.items() if arm != "naive"
    )
    powerful = found["hot"]["naive"].overbooked > 0
    return 0 if safe and powerful else 1


if __name__ == "__main__":
    sys.exit(main())
