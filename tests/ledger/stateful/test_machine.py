"""The ledger against a plain model of it, on random work; and the model against planted faults."""

import itertools

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests import factories as make
from tests.ledger.stateful import clock
from tests.ledger.stateful.faults import FAULTS
from tests.ledger.stateful.machine import LedgerMachine


def run(engine: Engine, machines: int, steps: int, *, phases: tuple[Phase, ...]) -> None:
    """Run random work on a database of the test's own."""
    clock.install(engine)
    with Session(engine, expire_on_commit=False) as session:
        building = make.make_building(session)
        session.commit()
    machine = type(
        "Machine",
        (LedgerMachine,),
        {"engine": engine, "building": building, "floors": itertools.count()},
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=machines,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


@pytest.mark.parametrize(
    ("machines", "steps"),
    [
        pytest.param(25, 30, id="short"),
        pytest.param(1000, 50, id="long", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
def test_the_ledger_does_what_the_model_says(own_engine: Engine, machines: int, steps: int) -> None:
    run(own_engine, machines, steps, phases=(Phase.generate,))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(
    own_engine: Engine, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The control: the same work on a ledger with one slip in it goes wrong."""
    FAULTS[fault].plant(own_engine, monkeypatch)

    # The answer or the days are wrong, or the database has refused what the ledger let pass.
    with pytest.raises((AssertionError, DBAPIError)):
        run(own_engine, machines=300, steps=40, phases=(Phase.generate,))
