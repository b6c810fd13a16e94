"""Writers in a process of their own: each holds a free unit and gives it back, again and again.

python -m benchmarks.matching.writers URL WRITERS SECONDS REST
"""

import random
import sys
import threading
import time
from uuid import uuid4

import psycopg

_UNITS = """
SELECT u.id, u.park_id, u.capacity FROM units u TABLESAMPLE SYSTEM (0.5)
WHERE NOT EXISTS (SELECT FROM claims c WHERE c.unit_id = u.id AND c.live @> now()) LIMIT 2000"""
_HOLD = """
INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind, quantity, whole, period,
    live, placed_by, synthetic)
VALUES (%s, %s, %s, (SELECT id FROM companies LIMIT 1), 'hold', %s, true, '[2040-01-01,2041-01-01)',
    tstzrange(clock_timestamp(), clock_timestamp() + interval '1 hour'), 'benchmark', true)
RETURNING id, pg_current_xact_id()::text"""
_RELEASE = """
UPDATE claims SET live = tstzrange(lower(live), clock_timestamp()), closed_by = 'benchmark'
WHERE id = %s RETURNING pg_current_xact_id()::text"""


def main() -> None:
    """Print each transaction with the monotonic clock when its commit had returned."""
    url, writers, seconds, rest = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:])
    dsn = url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(dsn) as connection:
        units = connection.execute(_UNITS).fetchall()
    commits: list[tuple[str, float]] = []
    deadline = time.monotonic() + seconds

    def work(seed: int) -> None:
        chooser = random.Random(seed)  # noqa: S311 - repeatable, not secret
        mine = units[seed::writers]
        with psycopg.connect(dsn, autocommit=True) as connection:
            while time.monotonic() < deadline:
                unit, park, capacity = chooser.choice(mine)
                row = connection.execute(_HOLD, [uuid4(), park, unit, capacity]).fetchone()
                assert row is not None  # noqa: S101 - RETURNING of one row
                commits.append((row[1], time.monotonic()))
                time.sleep(rest)
                given = connection.execute(_RELEASE, [row[0]]).fetchone()
                assert given is not None  # noqa: S101 - RETURNING of one row
                commits.append((given[0], time.monotonic()))
                time.sleep(rest)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for transaction, at in commits:
        print(transaction, at)


if __name__ == "__main__":
    main()
