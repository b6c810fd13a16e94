"""What units break, counted: all that is said of refusals is read from this one table. Pure.

Bit *i* of a mask is ``active[i]``. A few thousand distinct masks stand for all units, so that what
is asked of them costs next to nothing however many units there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.matching.engine.masks import distinct, violations
from app.matching.engine.program import ABSENT, Program
from app.matching.rules.constraint import Constraint
from app.matching.segment import Segment

Masks = NDArray[np.uint64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distinct:
    """One segment's distinct masks, with how many rows have each and the first row that has it."""

    masks: Masks
    counts: Counts
    first_row: Counts


@dataclass(frozen=True, slots=True)
class Place:
    """A row of one of the programs' segments."""

    segment: int
    row: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """The distinct masks of all segments together, ascending, with how many units have each.

    Attributes:
        programs: the demand on each segment; what is active is the same in all.
        rows: what each row breaks, by segment; absent rows have ``ABSENT``.
        parts: the distinct masks of each segment by itself, without those of absent rows.
        masks, counts: shape ``(n_distinct,)``.
    """

    programs: tuple[Program, ...]
    rows: tuple[Masks, ...]
    parts: tuple[Distinct, ...]
    masks: Masks
    counts: Counts

    @property
    def active(self) -> tuple[Constraint, ...]:
        """The constraints of the bits."""
        return self.programs[0].active

    @property
    def never(self) -> int:
        """Bits that no firm may wave."""
        return self.programs[0].never

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.counts.sum())

    @property
    def feasible(self) -> int:
        """How many units break nothing."""
        return self.within(0)

    def within(self, waived: int) -> int:
        """How many units break nothing but what is waived."""
        return int(self.counts[(self.masks & ~np.uint64(waived)) == 0].sum())

    def breaking(self, bit: int, others: int = 0) -> int:
        """How many units break one constraint and none of some others."""
        broken = (self.masks >> np.uint64(bit)) & np.uint64(1) == 1
        return int(self.counts[broken & (self.masks & np.uint64(others) == 0)].sum())

    def having(self, mask: int) -> int:
        """How many units break exactly this."""
        return int(self.counts[self.masks == np.uint64(mask)].sum())

    def first(self, mask: int) -> Place | None:
        """The first unit, in row order over all segments, that breaks exactly this."""
        found = [
            Place(at, int(part.first_row[place]))
            for at, part in enumerate(self.parts)
            for place in np.flatnonzero(part.masks == np.uint64(mask))
        ]
        return min(found, key=self.order, default=None)

    def order(self, place: Place) -> tuple[int, str, int, int]:
        """What units are sorted by, whichever segment they are in."""
        return row_order(self.programs[place.segment].segment, place.row)


def row_order(segment: Segment, row: int) -> tuple[int, str, int, int]:
    """Kind of space, building code, level and number: the order that settles what is equal."""
    return (int(segment.column("unit_type")[row]), *segment.place_of(row))


def find_refusals(programs: Sequence[Program]) -> Histogram:
    """What every unit breaks, with its own offer; a program for each segment of a snapshot."""
    rows = [violations(program) for program in programs]
    return merge(programs, rows, [Distinct(*distinct(masks)) for masks in rows])


def merge(
    programs: Sequence[Program], rows: Sequence[Masks], parts: Sequence[Distinct]
) -> Histogram:
    """One histogram over the segments of a snapshot; the sequences go by segment."""
    present = tuple(_present(part) for part in parts)
    masks = np.concatenate([part.masks for part in present])
    counts = np.concatenate([part.counts for part in present])
    merged, place = np.unique(masks, return_inverse=True)
    sums = np.zeros(len(merged), dtype=np.int64)
    np.add.at(sums, place, counts)
    return Histogram(tuple(programs), tuple(rows), present, merged, sums)


def _present(part: Distinct) -> Distinct:
    here = part.masks & np.uint64(ABSENT) == 0
    return Distinct(part.masks[here], part.counts[here], part.first_row[here])


def bits_of(mask: int) -> Iterator[int]:
    """The bits that are set, lowest first.

    >>> list(bits_of(0b1010))
    [1, 3]
    """
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
