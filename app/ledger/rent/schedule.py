"""The instalments of a lease, exact to the fen. Pure.

The rent due up to a day is added up exactly and rounded half up once, and an instalment is what
that rounded sum grows by. So the instalments always add up to the rounded total, none of them
looks at a later day, and each is within a fen of its own exact amount.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period, months_after
from app.ledger.rent.checks import check_terms
from app.ledger.rent.money import cny, exact_text, fen
from app.ledger.rent.terms import BilledQuantity, DayCount, RentTerms


@dataclass(frozen=True, slots=True)
class RentLine:
    """Days of an instalment over which nothing changes, and the rent that they make.

    ``rate`` is the step's, or 0 on rent-free days. ``months`` counts months of the lease where
    rent is by the month, else None. ``exact_cny`` is not rounded.
    """

    start: date
    until: date
    quantity: Decimal
    rate: Decimal
    is_free: bool
    months: Fraction | None
    exact_cny: Fraction

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.until - self.start).days

    @property
    def exact_text(self) -> str:
        """The exact amount in CNY, as a decimal number, or as a fraction where that never ends."""
        return exact_text(self.exact_cny)


@dataclass(frozen=True, slots=True)
class Instalment:
    """One payment: the days that it pays for and how it is made up."""

    number: int
    start: date
    until: date
    due_on: date
    days: int
    free_days: int
    amount_cny: Decimal
    lines: tuple[RentLine, ...]


@dataclass(frozen=True, slots=True)
class CashSchedule:
    """Payments in order of time; ``total_cny`` is their sum, to the fen."""

    currency: str
    instalments: tuple[Instalment, ...]
    total_cny: Decimal


@dataclass(frozen=True, slots=True)
class _Span:
    """Days with one quantity and one rate."""

    start: date
    until: date
    quantity: Decimal
    rate: Decimal
    is_free: bool

    def goes_on_as(self, other: "_Span") -> bool:
        """Whether the two differ in their days only."""
        return replace(other, start=self.start, until=self.until) == self


def cash_schedule(
    terms: RentTerms,
    term: Period,
    billed: Sequence[BilledQuantity],
    *,
    until: date | None = None,
) -> CashSchedule:
    """The payments of a lease over ``term``, for the quantities billed.

    ``until`` is a horizon, not a cut: payments whose days start before it are listed, each whole,
    so that a horizon never changes an amount. A lease that ends early is given as a shorter
    ``term``; terms that reach past its end are left unused, and earlier payments stay as they
    were. Billed days outside the term are not billed.

    Raises:
        InvalidInputError: the terms are unsound (``app.ledger.rent.checks``), or neither the lease
            nor the horizon has an end.
    """
    # Steps and free days past the end are no fault here: the lease may have been cut short.
    check_terms(terms, Period(term.start))
    bounds = _payment_bounds(terms, term, until)
    spans = _spans(terms, billed, bounds[0], bounds[-1])
    instalments: list[Instalment] = []
    exact, rounded = Fraction(0), 0
    for number, (first, after) in enumerate(pairwise(bounds), start=1):
        lines = tuple(_lines(terms, term.start, spans, (first, after)))
        exact += sum(line.exact_cny for line in lines)
        before, rounded = rounded, fen(exact)
        instalments.append(
            Instalment(
                number=number,
                start=first,
                until=after,
                due_on=first - timedelta(days=terms.due_days_before),
                days=sum(line.days for line in lines),
                free_days=sum(line.days for line in lines if line.is_free),
                amount_cny=cny(rounded - before),
                lines=lines,
            )
        )
    return CashSchedule(terms.currency, tuple(instalments), cny(rounded))


def months_between(anchor: date, start: date, until: date) -> Fraction:
    """Months of a lease that began on ``anchor``, a broken one by its days over its length.

    >>> months_between(date(2027, 1, 15), date(2027, 1, 15), date(2027, 4, 1))
    Fraction(79, 31)
    """
    months = Fraction(0)
    place = (start.year - anchor.year) * 12 + start.month - anchor.month
    place -= months_after(anchor, place) > start
    while (first := months_after(anchor, place)) < until:
        place += 1
        next_first = months_after(anchor, place)
        days = min(until, next_first) - max(start, first)
        months += Fraction(days.days, (next_first - first).days)
    return months


def _payment_bounds(terms: RentTerms, term: Period, until: date | None) -> list[date]:
    """The first day of each payment, and last the day after them all.

    Each is counted from the lease's first day, so that none drifts: 31 January, 28 February,
    31 March.
    """
    ends = [day for day in (term.end, until) if day is not None]
    if not ends:
        raise InvalidInputError(
            "the lease has no end: say until when its rent is wanted",
            [Fault("until", "needed where the lease has no end", "query", "租约无到期日时必填")],
            detail_zh="租约没有到期日，请用 until 指明计算到哪一天",
        )
    bounds = [term.start]
    while bounds[-1] < min(ends):
        bounds.append(months_after(term.start, len(bounds) * terms.payment_months))
    if term.end is not None:
        bounds[-1] = min(bounds[-1], term.end)
    return bounds


def _spans(
    terms: RentTerms, billed: Sequence[BilledQuantity], start: date, until: date
) -> list[_Span]:
    """The days from ``start`` to ``until``, parted only where something changes."""
    change: defaultdict[date, Decimal] = defaultdict(Decimal)
    for piece in billed:
        change[max(piece.start, start)] += piece.quantity
        if piece.until is not None:
            change[max(piece.until, start)] -= piece.quantity
    marks = {start, *change, *(step.start for step in terms.steps)}
    marks.update(day for free in terms.rent_free for day in (free.start, free.until))
    steps_start = [step.start for step in terms.steps]
    days = [*sorted(day for day in marks if start <= day < until), until]
    spans: list[_Span] = []
    quantity = Decimal(0)
    for first, after in pairwise(days):
        quantity += change.get(first, Decimal(0))
        is_free = any(free.start <= first < free.until for free in terms.rent_free)
        step = terms.steps[bisect_right(steps_start, first) - 1]
        span = _Span(first, after, quantity, Decimal(0) if is_free else step.rate, is_free)
        if spans and spans[-1].goes_on_as(span):
            spans[-1] = replace(spans[-1], until=after)
        else:
            spans.append(span)
    return spans


def _lines(
    terms: RentTerms, anchor: date, spans: Sequence[_Span], payment: tuple[date, date]
) -> Iterator[RentLine]:
    for span in spans:
        start, until = max(span.start, payment[0]), min(span.until, payment[1])
        if start >= until:
            continue
        if terms.day_count is DayCount.ACTUAL:
            months = None
            each = Fraction(span.rate) * (until - start).days
        else:
            months = months_between(anchor, start, until)
            each = terms.month_rate(span.rate) * months
        yield RentLine(
            start=start,
            until=until,
            quantity=span.quantity,
            rate=span.rate,
            is_free=span.is_free,
            months=months,
            exact_cny=each * Fraction(span.quantity),
        )
