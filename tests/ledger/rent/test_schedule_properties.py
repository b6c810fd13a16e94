"""What holds of every schedule, and proof that these checks catch schedules made wrongly."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from app.kernel.period import months_after
from app.ledger.rent import schedule
from app.ledger.rent.schedule import CashSchedule, Instalment, cash_schedule
from app.ledger.rent.terms import RentFree, RentStep
from tests.ledger.rent.cases import DAY, Case, amounts, cases, exact_of, half_up, oracle

PROPERTY = settings(max_examples=80, deadline=None)
#: A wrong schedule has to be told from a right one within so many draws.
HUNT = settings(
    max_examples=400, deadline=None, database=None, derandomize=True, phases=[Phase.generate]
)

Make = Callable[[Case], CashSchedule]


def right(case: Case) -> CashSchedule:
    return case.schedule()


def adds_up(case: Case, make: Make) -> bool:
    made = make(case)
    return sum(amounts(made)) == made.total_cny == half_up(exact_of(made))


def agrees_with_oracle(case: Case, make: Make) -> bool:
    made = make(case)
    return [(one.start, one.amount_cny) for one in made.instalments] == oracle(case)


def keeps_what_was_due(case: Case, make: Make) -> bool:
    """Ending the lease where a payment starts leaves all payments before as they were."""
    whole = make(case).instalments
    return all(
        make(replace(case, end=one.start)).instalments == whole[: one.number - 1]
        for one in whole[1:]
    )


@PROPERTY
@given(cases())
def test_instalments_add_up_to_the_exact_total_rounded_once(case: Case) -> None:
    assert adds_up(case, right)


@PROPERTY
@given(cases())
def test_every_amount_is_that_of_counting_day_by_day(case: Case) -> None:
    assert agrees_with_oracle(case, right)


@PROPERTY
@given(cases())
def test_ending_a_lease_at_a_payment_changes_none_before(case: Case) -> None:
    assert keeps_what_was_due(case, right)


@PROPERTY
@given(cases(), st.data())
def test_ending_a_lease_on_any_day_changes_no_whole_payment(
    case: Case, data: st.DataObject
) -> None:
    end = data.draw(st.dates(case.start + DAY, case.end))
    whole = [one for one in right(case).instalments if one.until <= end]
    assert list(right(replace(case, end=end)).instalments[: len(whole)]) == whole


@PROPERTY
@given(cases(), st.data())
def test_a_horizon_lists_the_first_payments_unchanged(case: Case, data: st.DataObject) -> None:
    until = data.draw(st.dates(case.start, case.end + DAY))
    listed = cash_schedule(case.terms, case.term, case.billed, until=until)
    expected = [one for one in right(case).instalments if one.start < until]
    assert list(listed.instalments) == expected
    assert listed.total_cny == sum(one.amount_cny for one in expected)


@PROPERTY
@given(cases())
def test_days_follow_each_other_and_add_up(case: Case) -> None:
    instalments = right(case).instalments
    assert (instalments[0].start, instalments[-1].until) == (case.start, case.end)
    assert all(one.until == after.start for one, after in pairwise(instalments))
    assert sum(one.days for one in instalments) == (case.end - case.start).days
    free = sum((free.until - free.start).days for free in case.terms.rent_free)
    assert sum(one.free_days for one in instalments) == free
    for one in instalments:
        assert (one.lines[0].start, one.lines[-1].until) == (one.start, one.until)
        assert all(line.until == after.start for line, after in pairwise(one.lines))
        assert one.due_on == one.start - DAY * case.terms.due_days_before
        assert one.amount_cny >= 0
        assert abs(Fraction(one.amount_cny) - sum(line.exact_cny for line in one.lines)) <= (
            Fraction("0.01")
        )


@PROPERTY
@given(cases())
def test_a_line_is_free_and_worth_nothing_on_rent_free_days_only(case: Case) -> None:
    for one in right(case).instalments:
        for line in one.lines:
            days = (line.start, line.until - DAY)
            free = [
                any(free.start <= day < free.until for free in case.terms.rent_free) for day in days
            ]
            assert free == [line.is_free] * 2
            assert not line.is_free or line.rate == line.exact_cny == 0


@PROPERTY
@given(cases(), st.data())
def test_the_order_of_billed_pieces_is_of_no_account(case: Case, data: st.DataObject) -> None:
    shuffled = tuple(data.draw(st.permutations(case.billed)))
    assert right(replace(case, billed=shuffled)) == right(case)


@PROPERTY
@given(cases(), st.data())
def test_a_piece_cut_in_two_bills_the_same_in_the_same_lines(
    case: Case, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(case.billed) - 1))
    piece = case.billed[place]
    last = piece.until or case.end + DAY * 9
    day = data.draw(st.dates(piece.start, max(piece.start, last - DAY)))
    if day == piece.start:
        day += DAY
    if piece.until is not None and day >= piece.until:
        return
    halves = (replace(piece, until=day), replace(piece, start=day))
    refined = (*case.billed[:place], *halves, *case.billed[place + 1 :])
    assert right(replace(case, billed=refined)) == right(case)


def remade(made: CashSchedule, paid: list[Decimal]) -> CashSchedule:
    instalments: list[Instalment] = [
        replace(one, amount_cny=amount) for one, amount in zip(made.instalments, paid, strict=True)
    ]
    return replace(made, instalments=tuple(instalments))


def rounds_each_alone(case: Case) -> CashSchedule:
    made = right(case)
    exact = [sum((line.exact_cny for line in one.lines), Fraction(0)) for one in made.instalments]
    return remade(made, [half_up(one) for one in exact])


def corrects_the_last(case: Case) -> CashSchedule:
    """Adds up, at the price of a last payment that moves when the lease is cut."""
    made = rounds_each_alone(case)
    *first, _ = amounts(made)
    return remade(made, [*first, made.total_cny - sum(first)])


def free_a_day_longer(case: Case) -> CashSchedule:
    return right(
        case.with_terms(
            rent_free=tuple(
                RentFree(free.start, min(free.until + DAY, case.end))
                for free in case.terms.rent_free[-1:]
            )
        )
        if case.terms.rent_free
        else case
    )


def steps_wait_for_the_next_payment(case: Case) -> CashSchedule:
    begins = [one.start for one in right(case).instalments]
    steps: dict[date, RentStep] = {}
    for step in case.terms.steps:
        on = next((day for day in begins if day >= step.start), None)
        if on is not None:
            steps[on] = replace(step, start=on)
    return right(case.with_terms(steps=tuple(steps.values())))


def keeps_the_first_quantity(case: Case) -> CashSchedule:
    return right(replace(case, billed=tuple(replace(piece, until=None) for piece in case.billed)))


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (adds_up, rounds_each_alone),
        (keeps_what_was_due, corrects_the_last),
        (agrees_with_oracle, rounds_each_alone),
        (agrees_with_oracle, corrects_the_last),
        (agrees_with_oracle, free_a_day_longer),
        (agrees_with_oracle, steps_wait_for_the_next_payment),
        (agrees_with_oracle, keeps_the_first_quantity),
    ],
)
def test_a_schedule_made_wrongly_is_found_out(
    law: Callable[[Case, Make], bool], wrong: Make
) -> None:
    found = find(cases(), lambda case: not law(case, wrong), settings=HUNT)

    assert law(found, right)


def test_a_schedule_whose_months_drift_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_the_month_before(day: date, months: int) -> date:
        for _ in range(months):
            day = months_after(day, 1)
        return day

    monkeypatch.setattr(schedule, "months_after", from_the_month_before)
    found = find(
        cases(),
        lambda case: not agrees_with_oracle(case, right),
        settings=HUNT,
    )
    monkeypatch.undo()

    assert agrees_with_oracle(found, right)


@PROPERTY
@given(st.dates(date(2027, 1, 1), date(2029, 1, 1)), st.lists(st.integers(1, 400), max_size=4))
def test_months_of_parts_are_the_months_of_the_whole(anchor: date, parts: list[int]) -> None:
    marks = [anchor]
    for days in parts:
        marks.append(marks[-1] + DAY * days)
    whole = schedule.months_between(anchor, anchor, marks[-1])
    assert sum(schedule.months_between(anchor, *two) for two in pairwise(marks)) == whole
    assert schedule.months_between(anchor, anchor, months_after(anchor, len(parts))) == len(parts)
