"""The one place that knows what time it is."""

from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Something that tells the present instant, in UTC."""

    def now(self) -> datetime:
        """The present instant, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.now(UTC)


def civil_day(instant: datetime) -> date:
    """The civil day in Shanghai at an instant.

    >>> civil_day(datetime(2026, 12, 31, 16, 30, tzinfo=UTC))
    datetime.date(2027, 1, 1)
    """
    return instant.astimezone(SHANGHAI).date()


def rfc3339(instant: datetime) -> str:
    """An instant as every answer writes it: in UTC, with a ``Z``.

    >>> rfc3339(datetime(2027, 1, 1, 0, 30, tzinfo=SHANGHAI))
    '2026-12-31T16:30:00Z'
    """
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
