"""What may be asked of the key figures, and the periods that a question stands for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import unique
from itertools import pairwise

from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period, months_after
from app.kernel.terms import Term, UnitType

#: More periods than this are refused: ten years of quarters.
MOST_PERIODS = 40
_ONE_DAY = timedelta(days=1)


@unique
class GroupBy(Term):
    """Whose figures are told apart."""

    ZONE = "zone", "区", "Zone"
    PARK = "park", "园区", "Park"
    PROGRAMME = "programme", "计划", "Programme"
    TYPE = "type", "空间类型", "Unit type"
    NONE = "none", "合计", "All together"


@unique
class Every(Term):
    """How the days asked about are cut into periods."""

    QUARTER = "quarter", "季度", "Quarter"
    YEAR = "year", "年", "Year"
    NONE = "none", "不分期", "One period"


#: Months of a period, and how many of them are shown where ``from`` is not given.
_MONTHS = {Every.QUARTER: 3, Every.YEAR: 12, Every.NONE: 12}
_SHOWN = {Every.QUARTER: 8, Every.YEAR: 4, Every.NONE: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiSearch:
    """Which figures. ``zone``, ``park`` and ``programme`` are codes or ids."""

    group_by: GroupBy = GroupBy.NONE
    start: date | None = None
    until: date | None = None
    every: Every = Every.QUARTER
    zone: str | None = None
    park: str | None = None
    programme: str | None = None
    types: tuple[UnitType, ...] = ()
    as_of: datetime | None = None


def periods(search: KpiSearch, as_of: datetime) -> list[Period]:
    """The days asked about, cut at the first days of quarters or years.

    Unless told, they end with the day of ``as_of`` and reach back eight quarters, four years, or
    to the first of January.

    Raises:
        InvalidInputError: there are no days, or too many periods.
    """
    until = search.until or civil_day(as_of) + _ONE_DAY
    first = search.start or _usual_first(search.every, until)
    if until <= first:
        raise InvalidInputError(
            "until must be after from",
            [Fault("until", "must be after from", "query", "须晚于 from")],
            detail_zh="until 须晚于 from",
        )
    cuts = [first, *_starts(search.every, first, until), until]
    if len(cuts) > MOST_PERIODS + 1:
        raise InvalidInputError(
            f"that is more than {MOST_PERIODS} periods",
            [
                Fault(
                    "from",
                    f"at most {MOST_PERIODS} periods up to until",
                    "query",
                    f"至 until 最多 {MOST_PERIODS} 期",
                )
            ],
            detail_zh=f"超过 {MOST_PERIODS} 期",
        )
    return [Period(start, end) for start, end in pairwise(cuts)]


def _starts(every: Every, first: date, until: date) -> Iterator[date]:
    """The first days of quarters or years strictly between two days; stops when it is enough."""
    if every is Every.NONE:
        return
    start = _start_of(every, first)
    for _ in range(MOST_PERIODS + 1):
        start = months_after(start, _MONTHS[every])
        if start >= until:
            return
        yield start


def _start_of(every: Every, day: date) -> date:
    months = _MONTHS[every]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def _usual_first(every: Every, until: date) -> date:
    return months_after(_start_of(every, until - _ONE_DAY), -_MONTHS[every] * (_SHOWN[every] - 1))
