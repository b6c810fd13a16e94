"""The SQL functions that say what is free, against a plain day-by-day model."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.models.space import Unit
from tests import factories as make

DAY_0 = date(2027, 1, 1)
INSTANT_0 = datetime(2026, 1, 1, tzinfo=UTC)
CAPACITY = 10
#: Days and instants of the model: all that a plan may reach, and some after.
HORIZON, INSTANTS = 50, 12


@dataclass(frozen=True)
class Plan:
    """A claim to try; days and instants are counted from zero, and None is open."""

    quantity: int
    first: int
    days: int | None
    believed: int
    lasts: int | None

    def takes(self, day: int) -> bool:
        return self.first <= day and (self.days is None or day < self.first + self.days)

    def is_believed(self, instant: int) -> bool:
        return self.believed <= instant and (
            self.lasts is None or instant < self.believed + self.lasts
        )

    def meets(self, other: "Plan") -> bool:
        """Whether there is an instant at which both are believed."""
        return any(self.is_believed(k) and other.is_believed(k) for k in range(3 * INSTANTS))


def maybe(most: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(1, most)


plans = st.lists(
    st.builds(
        Plan,
        quantity=st.integers(1, CAPACITY),
        first=st.integers(0, 20),
        days=maybe(20),
        believed=st.integers(0, INSTANTS - 1),
        lasts=maybe(INSTANTS),
    ),
    max_size=10,
)


@pytest.fixture
def places(session: Session) -> Unit:
    """A room of ten places, usable from the model's first day on."""
    return make.make_unit(
        session,
        capacity_measure="place",
        capacity=Decimal(CAPACITY),
        divisible=True,
        min_part=Decimal(1),
        usable=Range(DAY_0, None),
    )


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def instant(number: int) -> datetime:
    return INSTANT_0 + timedelta(days=number)


def accepted_by_database(session: Session, unit: Unit, plan: Plan) -> bool:
    end = None if plan.days is None else day(plan.first + plan.days)
    closes = None if plan.lasts is None else instant(plan.believed + plan.lasts)
    try:
        with session.begin_nested():
            make.make_claim(
                session,
                unit,
                day(plan.first),
                end,
                quantity=Decimal(plan.quantity),
                live=Range(instant(plan.believed), closes),
            )
    except DBAPIError:
        return False
    return True


def accepted_by_model(before: list[Plan], plan: Plan) -> bool:
    """No day may be promised beyond the capacity by claims whose beliefs meet the new one's."""
    rivals = [one for one in before if one.meets(plan)]
    return all(
        plan.quantity + sum(one.quantity for one in rivals if one.takes(number)) <= CAPACITY
        for number in range(HORIZON)
        if plan.takes(number)
    )


def taken(claims: list[Plan], number: int, known: int) -> int:
    return sum(one.quantity for one in claims if one.takes(number) and one.is_believed(known))


def free_in_database(session: Session, unit: Unit, need: int, known: int) -> set[int]:
    found = session.execute(
        text(
            "SELECT lower(days), upper(days) FROM units,"
            " unnest(free_days(id, capacity, usable, :need, :known)) AS days WHERE id = :id"
        ),
        {"need": need, "known": instant(known), "id": unit.id},
    )
    stretches = [(start, end or day(HORIZON)) for start, end in found]
    return {
        number
        for number in range(HORIZON)
        if any(start <= day(number) < end for start, end in stretches)
    }


def peak_in_database(session: Session, unit: Unit, first: int, days: int, known: int) -> int:
    found = session.execute(
        text(
            "SELECT peak_quantity(:id, daterange(:first, :last), tstzrange(:known, :known, '[]'))"
        ),
        {
            "id": unit.id,
            "first": day(first),
            "last": day(first + days),
            "known": instant(known),
        },
    )
    return int(found.scalar_one())


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    tried=plans,
    need=st.integers(1, CAPACITY),
    known=st.integers(0, INSTANTS),
    first=st.integers(0, 25),
    days=st.integers(1, 20),
)
@example(  # one ends on the day on which the next starts: five and five never meet
    tried=[Plan(6, 0, 10, 0, None), Plan(6, 10, None, 0, None)], need=5, known=1, first=0, days=20
)
@example(  # three of four that never meet: the peak is four, not their sum
    tried=[Plan(4, 3 * n, 3, 0, None) for n in range(4)], need=6, known=1, first=0, days=12
)
def test_free_days_and_peaks_are_those_of_a_plain_model(
    session: Session,
    places: Unit,
    *,
    tried: list[Plan],
    need: int,
    known: int,
    first: int,
    days: int,
) -> None:
    example_rows = session.begin_nested()
    kept: list[Plan] = []
    for plan in tried:
        expected = accepted_by_model(kept, plan)
        assert accepted_by_database(session, places, plan) is expected, plan
        kept += [plan] if expected else []

    expected_free = {n for n in range(HORIZON) if taken(kept, n, known) <= CAPACITY - need}
    expected_peak = max(taken(kept, n, known) for n in range(first, first + days))

    assert free_in_database(session, places, need, known) == expected_free
    assert peak_in_database(session, places, first, days, known) == expected_peak
    example_rows.rollback()


def test_the_model_itself_would_see_an_overbooked_day(session: Session, places: Unit) -> None:
    """The control: with the guard off, the database takes what the model refuses."""
    session.execute(text("ALTER TABLE claims DISABLE TRIGGER claims_checked"))
    first, second = Plan(6, 0, 10, 0, None), Plan(6, 9, None, 0, None)

    assert accepted_by_database(session, places, first)
    assert accepted_by_database(session, places, second)

    assert not accepted_by_model([first], second)
    assert taken([first, second], 9, 1) > CAPACITY


def test_a_unit_out_of_use_is_not_free(session: Session) -> None:
    unit = make.make_unit(
        session,
        capacity_measure="place",
        capacity=Decimal(CAPACITY),
        divisible=True,
        min_part=Decimal(1),
        usable=Range(day(5), day(9)),
    )

    assert free_in_database(session, unit, 1, 0) == {5, 6, 7, 8}
