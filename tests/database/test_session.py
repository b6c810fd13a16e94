"""Transactions: what is tried again, what is translated, and what is never logged."""

import threading
from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.database.session import transaction, with_retries
from app.kernel.errors import BusyError
from tests import factories as make


def _crossing(engine: Engine, first: object, second: object, meet: threading.Barrier) -> list[int]:
    """Work that locks two units, waiting for the other worker in between on its first try."""
    tries = [0]

    def work() -> None:
        tries[0] += 1
        with Session(engine) as session, transaction(session):
            session.execute(text("SET LOCAL deadlock_timeout = '100ms'"))
            for place, unit in enumerate((first, second)):
                session.execute(
                    text("UPDATE units SET version = version + 1 WHERE id = :id"), {"id": unit}
                )
                if place == 0 and tries[0] == 1:
                    meet.wait(timeout=20)

    with_retries(work)
    return tries


def test_the_loser_of_a_deadlock_tries_again_and_both_get_through(own_engine: Engine) -> None:
    with Session(own_engine) as session:
        floor = make.make_floor(session)
        one, two = (make.make_unit(session, floor=floor, slot=n, slots=2).id for n in range(2))
        session.commit()
    meet = threading.Barrier(2)
    tries: list[int] = []

    def run(first: object, second: object) -> None:
        tries.extend(_crossing(own_engine, first, second, meet))

    workers = [threading.Thread(target=run, args=pair) for pair in ((one, two), (two, one))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)

    assert sorted(tries) == [1, 2]
    with Session(own_engine) as session:
        versions = session.execute(text("SELECT version FROM units")).scalars().all()
    assert list(versions) == [2, 2]


def test_a_serialisation_race_is_lost_five_times_at_most(own_engine: Engine) -> None:
    tried = []

    def lose() -> None:
        tried.append(1)
        with Session(own_engine) as session, transaction(session):
            session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$"))

    with pytest.raises(BusyError):
        with_retries(lose)
    assert len(tried) == 5


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_sleep(30)",
        "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'lock_not_available'; END $$",
    ],
)
def test_a_time_out_is_said_to_be_busy(own_engine: Engine, statement: str) -> None:
    def wait() -> None:
        with Session(own_engine) as session, transaction(session):
            session.execute(text("SET LOCAL statement_timeout = '100ms'"))
            session.execute(text(statement))

    with pytest.raises(BusyError):
        wait()


def test_parameters_stay_out_of_errors(own_engine: Engine) -> None:
    with Session(own_engine) as session, pytest.raises(DBAPIError) as caught:
        session.execute(text("SELECT CAST(:value AS int)"), {"value": "a person's name"})
    assert "[SQL parameters hidden" in str(caught.value)


def test_the_ledger_s_isolation_level_does_not_depend_on_the_server(own_engine: Engine) -> None:
    with own_engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(
            text(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
        )
        connection.commit()
    own_engine.dispose()
    with own_engine.connect() as connection:
        level = connection.execute(text("SHOW transaction_isolation")).scalar_one()
    assert level == "read committed"


def test_what_was_leased_goes_on_when_the_unit_is_measured_anew(
    session: Session, make_client: Callable[..., object]
) -> None:
    unit = make.make_unit(session)
    lease = make.make_claim(session, unit, date(2027, 1, 1), date(2030, 1, 1))
    session.execute(
        text(
            "UPDATE units SET capacity = capacity + 1, leasable_area_m2 = leasable_area_m2 + 1"
            " WHERE id = :id"
        ),
        {"id": unit.id},
    )
    headers = make.staff_headers(session)
    session.commit()

    client = make_client(session)
    answer = client.post(  # type: ignore[attr-defined]
        f"/api/v1/leases/{lease.commitment_id}/terminate",
        json={"on": "2028-01-01", "reason": "协商一致"},
        headers=headers,
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["until"] == "2028-01-01"
