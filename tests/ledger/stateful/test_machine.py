"""The ledger against a plain model of it, on random work; and the model against planted faults."""

import itertools
from collections.abc import Iterator, Mapping

import pytest
from _pytest.mark import ParameterSet
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests import factories as make
from tests.ledger.stateful import clock
from tests.ledger.stateful.faults import IN_PROMISES, IN_UNITS, InPython, InSql
from tests.ledger.stateful.machine import ChangeMachine, Ledger, LedgerMachine, Promises


def run(engine: Engine, kind: type[Ledger], machines: int, steps: int) -> None:
    """Run random work on a database of the test's own."""
    clock.install(engine)
    with Session(engine, expire_on_commit=False) as session:
        building = make.make_building(session)
        session.commit()
    machine = type(
        "Machine",
        (kind,),
        {"engine": engine, "building": building, "floors": itertools.count()},
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=machines,
            stateful_step_count=steps,
            deadline=None,
            # The same work on every run: what is found today is found tomorrow.
            derandomize=machines < 1000,
            # Nothing is shrunk: a clock that moved on does not move back.
            phases=(Phase.generate,),
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
    run(own_engine, LedgerMachine, machines, steps)


#: Faults that take chance more than some seconds to come upon.
HIDDEN = {
    "a lease ends a day late",
    "an extension counts from now",
    "nothing is cleared after an early end",
    "a merger takes what two promises have",
    "a split forgets the days before it",
    "a split leaves the second half free",
}


def planted(
    machine: type[Ledger], faults: Mapping[str, InPython | InSql]
) -> Iterator[ParameterSet]:
    for name, fault in faults.items():
        marks = [pytest.mark.long, pytest.mark.timeout(600)] if name in HIDDEN else []
        yield pytest.param(machine, fault, id=name, marks=marks)


@pytest.mark.parametrize(
    ("machine", "fault"), [*planted(Promises, IN_PROMISES), *planted(ChangeMachine, IN_UNITS)]
)
def test_a_planted_fault_is_found(
    own_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    machine: type[Ledger],
    fault: InPython | InSql,
) -> None:
    """The control: the same work on a ledger with one slip in it goes wrong."""
    fault.plant(own_engine, monkeypatch)

    # The answer or the days are wrong, the database has refused what the ledger let pass, or
    # nothing is left of a promise to tell its firm of.
    with pytest.raises((AssertionError, DBAPIError, IndexError)):
        run(own_engine, machine, machines=400, steps=30)
