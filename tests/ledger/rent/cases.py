"""Leases drawn at random, and an oracle that counts their rent day by day."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from hypothesis import strategies as st

from app.kernel.period import Period
from app.ledger.rent.checks import PAYMENT_MONTHS
from app.ledger.rent.schedule import CashSchedule, cash_schedule
from app.ledger.rent.terms import (
    AreaBasis,
    BilledQuantity,
    DayCount,
    RentFree,
    RentStep,
    RentTerms,
)

DAY = timedelta(days=1)
LONGEST = 500


@dataclass(frozen=True)
class Case:
    terms: RentTerms
    start: date
    end: date
    billed: tuple[BilledQuantity, ...]

    @property
    def term(self) -> Period:
        return Period(self.start, self.end)

    def schedule(self) -> CashSchedule:
        return cash_schedule(self.terms, self.term, self.billed)

    def with_terms(self, **changed: object) -> "Case":
        return replace(self, terms=replace(self.terms, **changed))  # type: ignore[arg-type]


def plain(low: int, high: int, decimals: int) -> st.SearchStrategy[Decimal]:
    scaled = st.integers(low * 10**decimals, high * 10**decimals)
    return scaled.map(lambda whole: Decimal(whole).scaleb(-decimals))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Ends of months and leap days come often; pieces overlap, leave gaps and stick out."""
    year, month = draw(st.integers(2027, 2029)), draw(st.integers(1, 12))
    length = calendar.monthrange(year, month)[1]
    start = date(year, month, draw(st.sampled_from([1, 15, 28, length - 1, length])))
    days = draw(st.integers(1, LONGEST))
    inside = st.integers(0, days - 1)
    basis = draw(st.sampled_from(AreaBasis))
    counts = [DayCount.MONTH_365_12] if basis is AreaBasis.PLACES else list(DayCount)
    later = sorted(draw(st.sets(st.integers(1, days), max_size=3)) - {days})
    steps = tuple(
        RentStep(start + DAY * after, draw(plain(0, 9, 4)))
        for after in [draw(st.integers(-9, 0)), *later]
    )
    marks = sorted(draw(st.sets(inside | st.just(days), max_size=4)))
    free = zip(marks[::2], marks[1::2], strict=False)
    billed = [
        BilledQuantity(
            start + DAY * after,
            None if ends is None else start + DAY * (after + ends),
            draw(plain(0, 2_000, 2)),
        )
        for after, ends in draw(
            st.lists(
                st.tuples(st.integers(-9, days), st.none() | st.integers(1, days + 9)),
                min_size=1,
                max_size=4,
            )
        )
    ]
    return Case(
        RentTerms(
            basis=basis,
            day_count=draw(st.sampled_from(counts)),
            payment_months=draw(st.sampled_from(PAYMENT_MONTHS)),
            steps=steps,
            rent_free=tuple(RentFree(start + DAY * one, start + DAY * two) for one, two in free),
            due_days_before=draw(st.sampled_from([0, 7, 15])),
        ),
        start,
        start + DAY * days,
        tuple(billed),
    )


def on_month(anchor: date, months: int) -> date:
    """The same day, months later, found by walking month by month."""
    year, month = anchor.year, anchor.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return date(year, month, min(anchor.day, calendar.monthrange(year, month)[1]))


def rent_of_day(case: Case, day: date) -> Fraction:
    """Exact CNY for one day, from the terms alone."""
    terms = case.terms
    if any(free.start <= day < free.until for free in terms.rent_free):
        return Fraction(0)
    rate = Fraction([step.rate for step in terms.steps if step.start <= day][-1])
    quantity = sum(
        Fraction(piece.quantity)
        for piece in case.billed
        if piece.start <= day and (piece.until is None or day < piece.until)
    )
    if terms.day_count is DayCount.ACTUAL:
        return rate * quantity
    month = 0
    while on_month(case.start, month + 1) <= day:
        month += 1
    length = (on_month(case.start, month + 1) - on_month(case.start, month)).days
    by_month = rate if terms.basis is AreaBasis.PLACES else rate * 365 / 12
    return by_month * quantity / length


def oracle(case: Case) -> list[tuple[date, Decimal]]:
    """The first day and the amount of each instalment, day by day."""
    due: list[tuple[date, Decimal]] = []
    exact, paid, day, number = Fraction(0), Decimal(0), case.start, 0
    while day < case.end:
        first, number = day, number + 1
        after = on_month(case.start, number * case.terms.payment_months)
        while day < min(after, case.end):
            exact += rent_of_day(case, day)
            day += DAY
        rounded = half_up(exact)
        due.append((first, rounded - paid))
        paid = rounded
    return due


def half_up(exact: Fraction) -> Decimal:
    with localcontext() as context:
        # A tie ends after the third decimal, so that so many digits show every one.
        context.prec = 60
        number = Decimal(exact.numerator) / Decimal(exact.denominator)
        return number.quantize(Decimal("0.01"), ROUND_HALF_UP)


def amounts(made: CashSchedule) -> Sequence[Decimal]:
    return [one.amount_cny for one in made.instalments]


def exact_of(made: CashSchedule) -> Fraction:
    return sum((line.exact_cny for one in made.instalments for line in one.lines), Fraction(0))
