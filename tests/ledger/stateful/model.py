"""What the ledger should do, said as plainly as can be: lists of rows, and loops over days.

Quantities are whole square metres, days are numbers from 0 up to ``DAYS``, and a row is believed
in a range of instants, as in the ledger.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

#: Days that are looked at; nothing reaches further.
DAYS = 40


@dataclass(frozen=True)
class Unit:
    """A unit; ``sizes`` is its capacity on each day, 0 where there is no such unit."""

    id: UUID
    sizes: tuple[int, ...]
    min_part: int | None = None
    lettable: bool = True


@dataclass(frozen=True)
class Row:
    """A quantity of a unit on days, believed from an instant to another (None: for good)."""

    commitment: UUID
    unit: UUID
    kind: str
    quantity: int
    whole: bool
    start: int
    end: int
    believed_from: datetime
    believed_until: datetime | None

    def is_live(self, now: datetime) -> bool:
        return self.believed_from <= now and (
            self.believed_until is None or now < self.believed_until
        )


@dataclass
class Model:
    """All units and all rows ever believed."""

    units: dict[UUID, Unit] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def live(self, now: datetime, commitment: UUID | None = None) -> list[Row]:
        return [
            row for row in self.rows if row.is_live(now) and commitment in {None, row.commitment}
        ]

    def taken(self, now: datetime) -> Counter[tuple[UUID, int]]:
        """How much of each unit is taken on each day."""
        found: Counter[tuple[UUID, int]] = Counter()
        for row in self.live(now):
            for day in range(row.start, row.end):
                found[row.unit, day] += row.quantity
        return found

    def free(self, now: datetime) -> dict[tuple[UUID, int], int]:
        """How much of each unit is free on each day."""
        taken = self.taken(now)
        return {
            (unit.id, day): size - taken[unit.id, day]
            for unit in self.units.values()
            for day, size in enumerate(unit.sizes)
        }

    def slices(self, unit: UUID, start: int, end: int) -> list[tuple[int, int, int]]:
        """The days cut where the size changes: from, until, size."""
        sizes = self.units[unit].sizes
        cuts = [start, *(d for d in range(start + 1, end) if sizes[d] != sizes[d - 1]), end]
        return [(a, b, sizes[a]) for a, b in pairwise(cuts)]

    def refusal(
        self,
        wanted: Mapping[UUID, int | None],
        start: int,
        end: int,
        now: datetime,
        clearing_days: int = 0,
    ) -> str | None:
        """Why units cannot be promised, as the problem's name; None when they can."""
        spans = [(start, end)] + ([(end, end + clearing_days)] if clearing_days else [])
        cut = {unit: [one for a, b in spans for one in self.slices(unit, a, b)] for unit in wanted}
        if any(size == 0 for slices in cut.values() for *_, size in slices):
            return "outside-usable-days"
        if not all(
            self._is_let_so(unit, quantity, size)
            for unit, quantity in wanted.items()
            for *_, size in cut[unit]
        ):
            return "quantity-not-allowed"
        free = self.free(now)
        if not all(
            free[unit, day] >= (size if quantity is None else quantity)
            for unit, quantity in wanted.items()
            for first, last, size in cut[unit]
            for day in range(first, last)
        ):
            return "unit-occupied"
        return self._sliver(wanted, start, end, free)

    def _is_let_so(self, unit: UUID, quantity: int | None, size: int) -> bool:
        least = self.units[unit].min_part or size
        return quantity is None or least <= quantity <= size

    def _sliver(
        self,
        wanted: Mapping[UUID, int | None],
        start: int,
        end: int,
        free: Mapping[tuple[UUID, int], int],
    ) -> str | None:
        for unit, quantity in wanted.items():
            least = self.units[unit].min_part
            if quantity is None or least is None or not self.units[unit].lettable:
                continue
            for day in range(start, end):
                rest = free[unit, day] - quantity
                if quantity < self.units[unit].sizes[day] and 0 < rest < least:
                    return "remainder-too-small"
        return None

    def promise(
        self,
        commitment: UUID,
        kind: str,
        wanted: Mapping[UUID, int | None],
        days: tuple[int, int, int],
        live: tuple[datetime, datetime | None],
    ) -> None:
        """Write a promise down; ``days`` are from, until, and how many to clear after it."""
        start, end, clearing_days = days
        for of_kind, a, b in ((kind, start, end), ("clearing", end, end + clearing_days)):
            for unit, quantity in wanted.items():
                if a == b:
                    continue
                for first, last, size in self.slices(unit, a, b):
                    asked = size if quantity is None else quantity
                    self.rows.append(
                        Row(commitment, unit, of_kind, asked, asked == size, first, last, *live)
                    )

    def close(self, rows: Iterable[Row], now: datetime) -> None:
        closing = list(rows)
        self.rows = [
            replace(row, believed_until=now) if row in closing else row for row in self.rows
        ]

    def rewrite(self, rows: Sequence[Row], now: datetime, until: datetime | None) -> None:
        """Close rows and believe the same, from now until an instant."""
        self.close(rows, now)
        self.rows += [replace(row, believed_from=now, believed_until=until) for row in rows]

    # What happens to units themselves.

    def since(self, unit: UUID, day: int, now: datetime) -> list[Row]:
        """The live rows of a unit that have days from ``day`` on."""
        return [row for row in self.live(now) if row.unit == unit and row.end > day]

    def split(self, unit: UUID, day: int, children: Sequence[UUID], now: datetime) -> None:
        """The unit ends on ``day``; its halves take on what is claimed of it."""
        parent = self.units[unit]
        halves = [size // 2 if d >= day else 0 for d, size in enumerate(parent.sizes)]
        for child in children:
            self.units[child] = replace(parent, id=child, sizes=tuple(halves))
        rows = self.since(unit, day, now)
        self._end(unit, day)
        self.close(rows, now)
        for row in rows:
            self.add(row, now, end=min(row.end, day))
            for child in children:
                self.add(row, now, unit=child, start=max(row.start, day))

    def merge(self, units: Sequence[UUID], day: int, merged: UUID, now: datetime) -> None:
        """Both units end on ``day``; what they become takes on what is claimed of both."""
        first, second = (self.units[unit] for unit in units)
        sizes = [
            a + b if d >= day else 0
            for d, (a, b) in enumerate(zip(first.sizes, second.sizes, strict=True))
        ]
        self.units[merged] = replace(first, id=merged, sizes=tuple(sizes))
        closing = [self.since(unit, day, now) for unit in units]
        for unit, rows in zip(units, closing, strict=True):
            self._end(unit, day)
            self.close(rows, now)
            for row in rows:
                self.add(row, now, end=min(row.end, day))
        for row in closing[0]:
            self.add(row, now, unit=merged, start=max(row.start, day))

    def is_mergeable(self, units: Sequence[UUID], day: int, now: datetime) -> bool:
        """Whether each has the same claims of the whole on each day, or none."""
        held = []
        for unit in units:
            rows = self.since(unit, day, now)
            if not all(row.whole for row in rows):
                return False
            held.append(
                {
                    d: (row.commitment, row.kind, row.believed_until)
                    for row in rows
                    for d in range(max(row.start, day), row.end)
                }
            )
        return held[0] == held[1]

    def remeasure(self, unit: UUID, day: int, size: int, now: datetime) -> None:
        """The unit is of another size from ``day`` on; who has the whole has the whole of it."""
        known = self.units[unit]
        sizes = tuple(size if d >= day else before for d, before in enumerate(known.sizes))
        self.units[unit] = replace(known, sizes=sizes)
        rows = [row for row in self.since(unit, day, now) if row.whole]
        self.close(rows, now)
        for row in rows:
            self.add(row, now)

    def fits(self, unit: UUID, day: int, size: int, now: datetime) -> bool:
        """Whether the parts taken from ``day`` on fit a size."""
        taken: Counter[int] = Counter()
        for row in self.since(unit, day, now):
            if not row.whole:
                taken.update(dict.fromkeys(range(max(row.start, day), row.end), row.quantity))
        return max(taken.values(), default=0) <= size

    def add(self, row: Row, now: datetime, **changes: Any) -> None:
        """Believe a row's days, or others, from now on; in the unit's own sizes if it has all."""
        wanted = replace(row, **changes)
        if wanted.start >= wanted.end:
            return
        for first, last, size in self.slices(wanted.unit, wanted.start, wanted.end):
            if size:
                quantity = size if wanted.whole else wanted.quantity
                self.rows.append(
                    replace(wanted, quantity=quantity, start=first, end=last, believed_from=now)
                )

    def _end(self, unit: UUID, day: int) -> None:
        known = self.units[unit]
        sizes = tuple(size if d < day else 0 for d, size in enumerate(known.sizes))
        self.units[unit] = replace(known, sizes=sizes)
