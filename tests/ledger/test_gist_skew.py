"""SERIALIZABLE loses a promise that is read through a GiST index; the ledger's trigger does not.

Two sessions each look at a unit on which nothing is claimed, and each claims 600 of its 1,000 m².
Serially, the second would see the first and stop, so SERIALIZABLE has to refuse one of them. It
does where the table is read by a sequential scan or through a B-tree or SP-GiST index, and does
not where it is read through a GiST index: both commit.

Seen on PostgreSQL 15.18 and 15.20, each time; other versions have not been tried, and for those the
outcome is recorded and not judged (``SKEWS_THROUGH_GIST``). The planner must choose GiST, as it
does for a table of some size; a small one is scanned, and shows nothing. The likely cause: the
reader locks only the inner page on which its search ends; the first INSERT widens that page's key,
the second need not touch it any more, and one of the two conflicts is missed.

Ranges and shapes have no other kind of index in practice, so the ledger relies on no isolation
level. Each claim writes its unit's row, by a trigger.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from psycopg import errors as driver_errors
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.models.space import Unit
from tests import factories as make
from tests.ledger.racing import SKEWS_THROUGH_GIST, overbooked_days

#: Beyond all other units, so that the search ends on the index's upper page.
LAST_UNIT = UUID(int=2**128 - 1)
FILLER_UNITS, FILLER_CLAIMS = 20, 2000
#: As the ledger looks at a unit: by unit and days, among the claims that are believed.
LOOK = (
    "SELECT coalesce(sum(quantity), 0) FROM claims WHERE unit_id = :unit"
    " AND period && daterange('2030-01-01', '2031-01-01') AND live @> clock_timestamp()"
)
CLAIM = (
    "INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind, quantity, whole,"
    " period, live, placed_by) VALUES (gen_random_uuid(), :park, :unit, :company, 'lease', 600,"
    " false, '[2030-01-01,2031-01-01)', tstzrange(clock_timestamp(), NULL), 'tests')"
)
GIST = "USING gist (unit_id, period, live)"
SERIALIZATION_FAILURE, EXCLUSION_VIOLATION = "40001", "23P01"
#: The one index that the claims are read through, and the node of the plan that says so.
INDEXES = {
    "gist": (GIST, "Index Scan using the_one"),
    "btree": ("(unit_id)", "Index Scan using the_one"),
    "spgist": ("USING spgist (period)", "Bitmap Index Scan on the_one"),
    "none": (None, "Seq Scan on claims"),
}


@dataclass(frozen=True)
class World:
    """An empty unit of 1,000 m², among many claims on others."""

    engine: Engine
    values: dict[str, UUID]


@pytest.fixture
def world(own_engine: Engine) -> World:
    with Session(own_engine, expire_on_commit=False) as session:
        floor = make.make_floor(session)
        slots = FILLER_UNITS + 1
        terms: dict[str, Any] = {"floor": floor, "slots": slots, "area_m2": "1000.00"}
        for slot in range(FILLER_UNITS):
            make.make_unit(session, id=UUID(int=slot), slot=slot, **terms)
        empty: Unit = make.make_unit(
            session, id=LAST_UNIT, slot=FILLER_UNITS, divisible=True, min_part=100, **terms
        )
        company = make.make_company(session)
        session.execute(text("ALTER TABLE claims DISABLE TRIGGER claims_checked"))
        session.execute(
            text(
                "INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind, quantity,"
                " whole, period, live, placed_by, synthetic)"
                " SELECT gen_random_uuid(), units.park_id, units.id, :company, 'lease', 1000, true,"
                " daterange('2030-01-01'::date + n, '2030-01-02'::date + n),"
                " '[2026-01-01,)', 'tests', true"
                " FROM units, generate_series(1, :each) AS n WHERE units.id <> :empty"
            ),
            {
                "company": company.id,
                "empty": empty.id,
                "each": FILLER_CLAIMS // FILLER_UNITS,
            },
        )
        session.execute(text("ALTER TABLE claims ENABLE TRIGGER claims_checked"))
        session.commit()
    return World(own_engine, {"park": empty.park_id, "unit": empty.id, "company": company.id})


def drop_guards(engine: Engine) -> None:
    """Leave the invariant to the isolation level alone."""
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER claims_checked ON claims"))


def read_through(engine: Engine, index: str) -> None:
    """Make one index the only one there is to find a unit's claims by."""
    definition, _ = INDEXES[index]
    with engine.begin() as connection:
        found = connection.execute(
            text(
                "SELECT indexrelid::regclass::text FROM pg_index"
                " WHERE indrelid = 'claims'::regclass AND NOT indisunique AND NOT indisexclusion"
            )
        ).scalars()
        for name in found.all():
            connection.execute(text(f"DROP INDEX {name}"))
        if definition is not None:
            connection.execute(text(f"CREATE INDEX the_one ON claims {definition}"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE claims"))


def look(session: Connection, world: World, index: str) -> None:
    """Read what is taken of the unit: nothing; and make sure of the way it was read."""
    if index != "none":
        session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(session.execute(text(f"EXPLAIN {LOOK}"), world.values).scalars())
    assert INDEXES[index][1] in plan, plan
    assert session.execute(text(LOOK), world.values).scalar_one() == 0


def two_sessions(world: World, isolation: str) -> list[Connection]:
    return [world.engine.connect().execution_options(isolation_level=isolation) for _ in range(2)]


def both_look_then_both_claim(world: World, isolation: str, index: str) -> list[str]:
    """The SQLSTATEs of the refusals; none means that both have committed.

    The second claims while the first has not committed yet, and waits for it if it must.
    """
    with ExitStack() as opened:
        first, second = (opened.enter_context(one) for one in two_sessions(world, isolation))
        waiting = opened.enter_context(ThreadPoolExecutor(1))
        for one in (first, second):
            look(one, world, index)
        refused = [refusal(claim, first, world)]
        claimed = waiting.submit(refusal, claim, second, world)
        wait_until_stuck_or_done(world.engine, claimed)
        refused.append(refusal(Connection.commit, first))
        refused += [claimed.result(), refusal(Connection.commit, second)]
    return [state for state in refused if state is not None]


def claim(session: Connection, world: World) -> None:
    session.execute(text(CLAIM), world.values)


def refusal(step: Callable[..., None], session: Connection, *rest: World) -> str | None:
    """The SQLSTATE with which the database refuses a step, or None."""
    try:
        step(session, *rest)
    except DBAPIError as error:
        session.rollback()
        if not isinstance(error.orig, driver_errors.Error):
            raise
        return error.orig.sqlstate or "none"
    return None


def wait_until_stuck_or_done(engine: Engine, claimed: Future[str | None]) -> None:
    """Wait for the second to be done, or to stand in line for what the first holds."""
    stuck = text(
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    while not claimed.done():
        with engine.connect() as observer:
            if observer.scalar(stuck):
                return


def test_one_snapshot_each_is_not_enough(world: World) -> None:
    """The control on every version: at REPEATABLE READ, the same two steps overbook the unit."""
    drop_guards(world.engine)
    read_through(world.engine, "btree")

    assert both_look_then_both_claim(world, "REPEATABLE READ", "btree") == []
    assert overbooked_days(world.engine) > 0


@pytest.mark.parametrize("index", INDEXES)
def test_serializable_is_enough_but_through_gist(
    world: World, index: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    drop_guards(world.engine)
    read_through(world.engine, index)

    refused = both_look_then_both_claim(world, "SERIALIZABLE", index)

    version = world.engine.dialect.server_version_info or (0,)
    record_testsuite_property(f"skew through {index} on {version}", refused == [])
    if index != "gist":
        assert refused == [SERIALIZATION_FAILURE]
    elif version[0] in SKEWS_THROUGH_GIST:
        assert refused == [], f"{version} is safe: say so in SKEWS_THROUGH_GIST"
    assert (overbooked_days(world.engine) > 0) == (refused == [])


@pytest.mark.parametrize("index", ["gist", "btree", "none"])
@pytest.mark.parametrize(
    ("isolation", "state"),
    [
        ("READ COMMITTED", EXCLUSION_VIOLATION),
        ("REPEATABLE READ", SERIALIZATION_FAILURE),
        ("SERIALIZABLE", SERIALIZATION_FAILURE),
    ],
)
def test_the_ledger_refuses_the_second_however_it_is_read(
    world: World, isolation: str, state: str, index: str
) -> None:
    read_through(world.engine, index)

    assert both_look_then_both_claim(world, isolation, index) == [state]

    with world.engine.connect().execution_options(isolation_level=isolation) as again:
        assert refusal(claim, again, world) == EXCLUSION_VIOLATION
    assert overbooked_days(world.engine) == 0
