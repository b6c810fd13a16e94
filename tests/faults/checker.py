"""Holds the table of claims against what clients were told. Uses no code and no SQL of the product.

A fault of the ledger is therefore not repeated here: rows are read plainly and judged in Python.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg

from tests.faults.storm import Booking, Journal, World

_ROWS = """
    SELECT c.commitment_id::text, c.unit_id::text, c.company_id::text, c.kind, c.quantity,
        lower(c.period), coalesce(upper(c.period), 'infinity'::date - 1),
        lower(c.live), coalesce(upper(c.live), '9999-01-01 00:00+00'), u.capacity
    FROM claims c JOIN units u ON u.id = c.unit_id
    WHERE c.unit_id = ANY (%s::uuid[])
"""
#: The kinds of the rows of a commitment, and of those of them believed now.
_EXPECTED = {
    "held": (["hold"], ["hold"]),
    "leased": (["hold", "lease"], ["lease"]),
    "released": (["hold"], []),
}


@dataclass(frozen=True)
class Row:
    """A row of the table of claims, and the capacity of its unit."""

    commitment: str
    unit: str
    company: str
    kind: str
    quantity: Decimal
    start: date
    until: date
    believed_from: datetime
    believed_until: datetime
    capacity: Decimal


@dataclass
class Verdict:
    """What is wrong, a line for each; a sound ledger gives an empty one."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    overbooked: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


def judge(url: str, world: World, journal: Journal) -> Verdict:
    """Whether what was acknowledged is there, once, and no day is promised beyond capacity."""
    rows = read_rows(url, [unit.id for unit in world.units])
    of: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of[row.commitment].append(row)
    now = datetime.now(UTC)
    told = Counter(booking.id for booking in journal.bookings)
    return Verdict(
        lost=[
            f"{booking} against {of[booking.id]}"
            for booking in journal.bookings
            if not _is_there(booking, of.get(booking.id, []), now)
        ],
        # A commitment that no key was answered with is the twin of one that was, or a hold that
        # its client was refused.
        doubled=[f"nobody was told of {one}: {of[one]}" for one in of if one not in told]
        + [f"two keys were answered with {one}" for one, times in told.items() if times > 1],
        overbooked=overbooked(rows),
        unexpected=list(journal.unexpected),
    )


def read_rows(url: str, units: Sequence[str]) -> list[Row]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as link:
        return [Row(*row) for row in link.execute(_ROWS, (list(units),)).fetchall()]


def _is_there(booking: Booking, rows: Sequence[Row], now: datetime) -> bool:
    kinds, believed = _EXPECTED[booking.state]
    same = all(
        (row.unit, row.company, row.quantity, row.start.isoformat(), row.until.isoformat())
        == (booking.unit, booking.company, booking.quantity, booking.start, booking.until)
        for row in rows
    )
    return (
        same
        and sorted(row.kind for row in rows) == kinds
        and [row.kind for row in rows if row.believed_until > now] == believed
    )


def overbooked(rows: Iterable[Row]) -> list[str]:
    """Units, instants and days at which more was believed promised than there is.

    The sum over the rectangles (days by belief) is greatest where one of them begins in belief
    and one in days, so those corners are enough.
    """
    found = []
    of: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of[row.unit].append(row)
    for unit, its in of.items():
        believed: list[Row] = []
        for row in sorted(its, key=lambda one: one.believed_from):
            instant = row.believed_from
            believed = [one for one in believed if one.believed_until > instant]
            believed.append(row)
            touching = [one for one in believed if one.start < row.until and row.start < one.until]
            for day in {max(one.start, row.start) for one in touching}:
                taken = sum(one.quantity for one in touching if one.start <= day < one.until)
                if taken > row.capacity:
                    found.append(f"{unit} on {day} at {instant}: {taken} of {row.capacity}")
    return found
