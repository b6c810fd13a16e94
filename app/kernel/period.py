"""Half-open ranges of civil days in Asia/Shanghai."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Period:
    """Days from ``start`` up to but not including ``end``; ``end`` None is open-ended.

    A lease to 30 June 2027 is ``Period(start, date(2027, 7, 1))``, so two leases that follow each
    other meet and never overlap.

    Raises:
        ValueError: ``end`` is not after ``start``.

    >>> Period(date(2027, 1, 1), date(2027, 7, 1)).days
    181
    """

    start: date
    end: date | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"a period must end after it starts: {self.start} .. {self.end}")

    @property
    def days(self) -> int | None:
        """Number of days, or None when open-ended."""
        return None if self.end is None else (self.end - self.start).days

    def __str__(self) -> str:
        return f"[{self.start}, {self.end or '∞'})"


def months_after(day: date, months: int) -> date:
    """The same day of the month, ``months`` later (or earlier), clipped to the month's length.

    >>> months_after(date(2027, 1, 31), 1), months_after(date(2027, 3, 31), -13)
    (datetime.date(2027, 2, 28), datetime.date(2026, 2, 28))
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    next_year, next_month = divmod(year * 12 + month + 1, 12)
    length = (date(next_year, next_month + 1, 1) - date(year, month + 1, 1)).days
    return date(year, month + 1, min(day.day, length))
