"""A demand made ready for one segment: what the kernels read. Pure.

Bits are compact: bit *i* of every mask here is ``active[i]``, in the table's order. So few bits are
in use that whole tables over all sets of them are small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import BY_WIDTH, COLUMNS, NEVER, Column, Width
from app.matching.engine.parts import Wanted, wanted
from app.matching.forms import Form, Ground, Interval, Intervals, Own, Special
from app.matching.rules.constraint import Combining, Constraint
from app.matching.rules.demand import Demand
from app.matching.segment import Large, Segment

#: Masks are 64 bits wide; the last bit marks what is not there (``Program.ground`` and ``live``).
ACTIVE_MOST = 63
ABSENT_BIT = 63
ABSENT = 1 << ABSENT_BIT
_WIDTHS = (Width.SMALL, Width.MIDDLE, Width.LARGE)
_COMBININGS = (Combining.PER_UNIT, Combining.SUM, Combining.ANY)
PER_UNIT, SUM, ANY = range(3)
#: First and last day of the table of terms' ends.
FIRST_DAY, LAST_DAY = np.datetime64("1990-01-01"), np.datetime64("2120-01-01")
#: ``date.toordinal()`` of the first entry of ``ends``.
FIRST_ORDINAL = int((FIRST_DAY - np.datetime64("0001-01-01")).astype(np.int64)) + 1


@dataclass(frozen=True, slots=True)
class Tests:
    """Interval tests, one entry each: where the cells are, their bounds, and what they decide.

    ``width`` is 0, 1, 2 for cells of 8, 16, 32 bits and ``row`` the row of that matrix; ``bit`` is
    compact; ``combining`` is ``PER_UNIT``, ``SUM`` or ``ANY``: ``SUM`` only on columns that add up,
    each unit of a sum must satisfy the rule's other tests.
    """

    width: NDArray[np.int64]
    row: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    or_unknown: NDArray[np.bool_]
    bit: NDArray[np.int64]
    combining: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bit)

    def only(self, picked: NDArray[np.bool_]) -> "Tests":
        """Some of them; ``picked`` has a truth for each."""
        return Tests(*(getattr(self, name)[picked] for name in Tests.__slots__))


@dataclass(frozen=True, slots=True)
class Program:
    """A demand on one segment.

    Attributes:
        active: the hard constraints in the table's order; bit *i* is ``active[i]``.
        forms: their forms on this segment.
        tests: the interval tests among them.
        wishes: the soft constraints in the table's order with their forms on this segment.
        wanted: how much of a divisible unit is offered.
        ground: broken bits of each building, uint64, shape ``(n_buildings,)``; stale buildings have
            ``ABSENT`` set.
        live: which eras of the segment hold the window's start; rows of others are absent.
        own: the rules with a kernel of their own, with their bits.
        never: bits that no firm may wave.
        kind_rows: first row and the one behind the last of the kind of space asked for.
        start, latest: first and last day on which the lease may begin, ordinals.
        ends: the first day after a term that begins on day ``FIRST_ORDINAL + i``.
    """

    segment: Segment
    demand: Demand
    active: tuple[Constraint, ...]
    forms: tuple[Form, ...]
    tests: Tests
    wishes: tuple[tuple[Constraint, Form], ...]
    wanted: Wanted
    ground: NDArray[np.uint64]
    live: NDArray[np.bool_]
    own: Mapping[Own, tuple[int, Special]]
    never: int
    kind_rows: tuple[int, int]
    start: int
    latest: int
    ends: Large

    def bit(self, key: str) -> int | None:
        """The bit of a constraint; None where it is not asked for."""
        return next((bit for bit, one in enumerate(self.active) if one.key == key), None)

    def constraints_of(self, mask: int) -> tuple[Constraint, ...]:
        """The constraints of a mask, in the table's order."""
        return tuple(one for bit, one in enumerate(self.active) if mask >> bit & 1)


def make_program(segment: Segment, demand: Demand, table: Sequence[Constraint]) -> Program:
    """Make a demand ready for a segment.

    Raises:
        ValueError: more constraints or wishes are active than a mask has bits.
    """
    active = tuple(one for one in table if one.key in demand.hard)
    most = max(len(active), len(demand.soft))
    if most > ACTIVE_MOST:
        raise ValueError(f"{most} constraints are active, at most {ACTIVE_MOST} can be")
    forms = tuple(one.form(segment, demand.hard[one.key]) for one in active)
    wishes = tuple(
        (one, one.form(segment, demand.soft[one.key])) for one in table if one.key in demand.soft
    )
    return program_of(segment, demand, active, forms, wishes)


def program_of(
    segment: Segment,
    demand: Demand,
    active: tuple[Constraint, ...],
    forms: tuple[Form, ...],
    wishes: tuple[tuple[Constraint, Form], ...],
) -> Program:
    """A demand on a segment whose rules are made ready: ``forms`` are those of ``active``."""
    ground = segment.buildings.stale.astype(np.uint64) << np.uint64(ABSENT_BIT)
    close(forms, ground)
    window = demand.window
    start = window.start.toordinal()
    return Program(
        segment=segment,
        demand=demand,
        active=active,
        forms=forms,
        tests=tests_of(active, forms),
        wishes=wishes,
        wanted=wanted(demand),
        ground=ground,
        live=(segment.era_from <= start) & (start < segment.era_until),
        own=own_of(forms),
        never=sum(1 << bit for bit, one in enumerate(active) if one.never_relax),
        kind_rows=segment.rows_of(demand.hard["unit_type"]),
        start=start,
        latest=window.latest.toordinal(),
        ends=term_ends(window.term_months),
    )


def adds_up(column: Column) -> bool:
    """Whether several units have the sum of a column, and a part its share.

    The capacity does: a part of it is the quantity taken.
    """
    return column.summed or column.name == "capacity"


def combined(combining: Combining, column: Column) -> int:
    """How a rule reads on one of its columns: ``PER_UNIT``, ``SUM`` or ``ANY``."""
    if combining is Combining.SUM and not adds_up(column):
        return PER_UNIT
    return _COMBININGS.index(combining)


def close(forms: Sequence[Form], ground: NDArray[np.uint64]) -> None:
    """Set the bits of the forms that a building decides where it breaks them."""
    for bit, form in enumerate(forms):
        if isinstance(form, Ground):
            ground |= (~form.ok).astype(np.uint64) << np.uint64(bit)


def own_of(forms: Sequence[Form]) -> Mapping[Own, tuple[int, Special]]:
    """The forms with a kernel of their own, with their bits."""
    return MappingProxyType(
        {form.own: (bit, form) for bit, form in enumerate(forms) if isinstance(form, Special)}
    )


def tests_of(active: Sequence[Constraint], forms: Sequence[Form]) -> Tests:
    """The interval tests among the forms of some constraints; a constraint's place is its bit."""
    entries: list[tuple[Interval, int]] = []
    for bit, form in enumerate(forms):
        if isinstance(form, Interval):
            entries.append((form, bit))
        elif isinstance(form, Intervals):
            entries.extend((one, bit) for one in form.all_of)
    columns = [COLUMNS[one.column] for one, _ in entries]
    widths = [_WIDTHS.index(column.width) for column in columns]
    rows = [BY_WIDTH[column.width].index(column.name) for column in columns]
    # A bound above all cells of the column bounds nothing; unknown cells lie below every bound.
    lows = [
        max(one.low, column.width.unknown + 1)
        for (one, _), column in zip(entries, columns, strict=True)
    ]
    return Tests(
        width=np.array(widths, dtype=np.int64),
        row=np.array(rows, dtype=np.int64),
        low=np.array(lows, dtype=np.int64),
        high=np.array([one.high for one, _ in entries], dtype=np.int64),
        or_unknown=np.array([one.or_unknown for one, _ in entries], dtype=np.bool_),
        bit=np.array([bit for _, bit in entries], dtype=np.int64),
        combining=np.array(
            [
                combined(active[bit].combining, column)
                for (_, bit), column in zip(entries, columns, strict=True)
            ],
            dtype=np.int64,
        ),
    )


@lru_cache(maxsize=64)
def term_ends(months: int) -> Large:
    """For every day, the first day after a term of months that begins on it.

    A day that the last month lacks is that month's last, as in PostgreSQL and ``kernel.period``.
    """
    days = np.arange(FIRST_DAY, LAST_DAY)
    month = days.astype("datetime64[M]")
    in_month = (days - month.astype("datetime64[D]")).astype(np.int64)
    ends_in = month + np.timedelta64(months, "M")
    last = ((ends_in + 1).astype("datetime64[D]") - ends_in.astype("datetime64[D]")).astype(
        np.int64
    ) - 1
    ends = ends_in.astype("datetime64[D]") + np.minimum(in_month, last)
    ordinals = (ends - FIRST_DAY).astype(np.int64) + FIRST_ORDINAL
    table: Large = np.minimum(ordinals, NEVER).astype(np.int32)
    table.setflags(write=False)
    return table
