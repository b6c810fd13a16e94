"""What it costs that audit entries are chained: entries a second, chained against plain.

Each transaction writes one row of work (an UPDATE of a row of the client's own) and then its entry,
on a durable PostgreSQL. Three arms, in turns:

- ``plain``: the same entry into a copy of the table, without hash, number or lock;
- ``spread``: chained, each client in the chain of a park of its own;
- ``one``: chained, all clients in the chain of one park. They take turns from the entry to the end
  of the transaction, which waits for the disk: the price of a chain without a fork.

Printed is each arm's rate as a ratio to the plain arm of the same round, and the time that one
entry takes by itself. Exits with 1 if a chain does not hold afterwards.

    python3 dev.py bench audit
    python3 dev.py bench audit --rounds 1 --seconds 1
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.database.cluster import Cluster
from app.database.engine import make_engine
from app.database.migrate import upgrade
from app.security.audit.actions import Action
from app.security.audit.chain import verify
from app.security.audit.trail import record

CLIENTS = (1, 32)
_PLAIN_TABLE = """
    CREATE TABLE plain_entries (LIKE audit_entries INCLUDING DEFAULTS INCLUDING IDENTITY);
    CREATE INDEX ON plain_entries (subject_type, subject_id, id);
    CREATE INDEX ON plain_entries (company_id, id);
    ALTER TABLE plain_entries ADD PRIMARY KEY (id);
    CREATE TABLE work (id integer PRIMARY KEY, done integer NOT NULL) WITH (fillfactor = 50);
    INSERT INTO work SELECT number, 0 FROM generate_series(0, 31) number"""
_PLAIN = text(
    "INSERT INTO plain_entries (park_id, sequence, at, actor, actor_kind, action, subject_type,"
    " subject_id, details, previous_hash, hash) VALUES (:park, 1, clock_timestamp(), 'bench',"
    " 'system', 'hold.placed', 'hold', :subject, :details, :hash, :hash)"
)
_WORK = text("UPDATE work SET done = done + 1 WHERE id = :id")
_DETAILS = '{"expires_at":"2027-01-01T00:00:00Z","from":"2027-01-01","until":"2030-01-01"}'

Write = Callable[[Session, int], None]


def _plain(session: Session, _client: int) -> None:
    session.execute(
        _PLAIN,
        {"park": _PARKS[0], "subject": str(uuid4()), "details": _DETAILS, "hash": bytes(32)},
    )


def _chained(session: Session, park_id: UUID) -> None:
    record(
        session,
        "bench",
        Action.HOLD_PLACED,
        park_id=park_id,
        subject_type="hold",
        subject_id=uuid4(),
        details={"expires_at": "2027-01-01T00:00:00Z", "from": "2027-01-01", "until": "2030-01-01"},
    )


_PARKS = [uuid4() for _ in range(max(CLIENTS))]
ARMS: dict[str, Write] = {
    "plain": _plain,
    "spread": lambda session, client: _chained(session, _PARKS[client]),
    "one": lambda session, _: _chained(session, _PARKS[0]),
}


def rate(engine: Engine, write: Write, clients: int, seconds: float) -> float:
    """Transactions a second of ``clients`` that write as fast as they can."""
    ready = threading.Barrier(clients)

    def work(client: int) -> int:
        with Session(engine) as session:
            ready.wait()
            done, until = 0, time.perf_counter() + seconds
            while time.perf_counter() < until:
                session.execute(_WORK, {"id": client})
                write(session, client)
                session.commit()
                done += 1
            return done

    with ThreadPoolExecutor(clients) as crowd:
        return sum(crowd.map(work, range(clients))) / seconds


def entry_seconds(engine: Engine, write: Write, entries: int = 500) -> float:
    """The median time of one entry in a long transaction, seconds."""
    times = []
    with Session(engine) as session:
        for _ in range(entries):
            started = time.perf_counter()
            write(session, 0)
            times.append(time.perf_counter() - started)
        session.rollback()
    return statistics.median(times)


def run(engine: Engine, rounds: int, seconds: float) -> bool:
    """Measure and print; whether every chain holds."""
    for name, write in ARMS.items():
        print(f"one entry, {name:<7} {entry_seconds(engine, write) * 1e6:8.0f} µs")
    for clients in CLIENTS:
        rates: dict[str, list[float]] = {name: [] for name in ARMS}
        for _ in range(rounds):
            for name, write in ARMS.items():
                rates[name].append(rate(engine, write, clients, seconds))
        print(f"\n{clients} clients, transactions a second with one entry each")
        for name, found in rates.items():
            ratios = [one / plain for one, plain in zip(found, rates["plain"], strict=True)]
            print(
                f"  {name:<7} {statistics.median(found):8.0f}/s"
                f"   {statistics.median(ratios):5.2f} of plain"
            )
    with Session(engine) as session:
        started = time.perf_counter()
        verdict = verify(session)
        taken = time.perf_counter() - started
    print(f"\nverified {verdict.entries} entries at {verdict.entries / taken:.0f}/s")
    return verdict.tampering is None


def main() -> int:
    """Measure on a private cluster."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="space-relay-audit-") as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(folder)) as cluster:
            engine = make_engine(cluster.url, pool_size=max(CLIENTS) + 2)
            with engine.connect() as connection:
                upgrade(connection)
                connection.execute(text(_PLAIN_TABLE))
                connection.commit()
            holds = run(engine, options.rounds, options.seconds)
            engine.dispose()
        cluster.destroy()
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
