"""Arithmetic of half-open periods; ``end`` None is never."""

from collections.abc import Iterable, Iterator

from app.kernel.period import Period


def shared(one: Period, other: Period) -> Period | None:
    """The days that both have, or None.

    >>> from datetime import date
    >>> shared(Period(date(2027, 1, 1)), Period(date(2026, 1, 1), date(2027, 3, 1)))
    Period(start=datetime.date(2027, 1, 1), end=datetime.date(2027, 3, 1))
    """
    start = max(one.start, other.start)
    ends = [end for end in (one.end, other.end) if end is not None]
    end = min(ends, default=None)
    return None if end is not None and end <= start else Period(start, end)


def contains(outer: Period, inner: Period) -> bool:
    """Whether every day of ``inner`` is one of ``outer``.

    >>> from datetime import date
    >>> contains(Period(date(2027, 1, 1)), Period(date(2027, 1, 1), date(2027, 3, 1)))
    True
    """
    return shared(outer, inner) == inner


def without(periods: Iterable[Period], cut: Period) -> Iterator[Period]:
    """The days of ``periods`` that are not in ``cut``.

    >>> from datetime import date
    >>> [str(part) for part in without([Period(date(2027, 1, 1))], Period(date(2027, 2, 1)))]
    ['[2027-01-01, 2027-02-01)']
    """
    for period in periods:
        common = shared(period, cut)
        if common is None:
            yield period
            continue
        if period.start < common.start:
            yield Period(period.start, common.start)
        if common.end is not None and common.end != period.end:
            yield Period(common.end, period.end)
