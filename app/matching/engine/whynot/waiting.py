"""Units that fit but for the days: when each can be had, and what keeps it until then. Pure."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from app.matching.columns import NEVER
from app.matching.engine.kernel import asked_of, units_of
from app.matching.engine.program import FIRST_ORDINAL, Program
from app.matching.engine.whynot.amounts import smallest
from app.matching.engine.whynot.histogram import Histogram, Place
from app.matching.engine.whynot.rows import Offers, offers_of, rows_opened

#: Units that are named.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Spell:
    """Days on which too little of a unit is free, or what would be left could not be let.

    ``until`` may be ``NEVER``.
    ``taken`` is what is not free of it on those days, hundredths of the unit's measure.
    """

    first_day: int
    until: int
    taken: int


@dataclass(frozen=True, slots=True)
class Waiter:
    """A unit that fits but for the days.

    ``quantity`` hundredths of its measure are free for the whole term from ``first_day`` on;
    ``NEVER``: on no day. ``spells`` are what is in the way from the window's start until the end of
    a term that begins on its last day.
    """

    place: Place
    quantity: int
    first_day: int
    spells: tuple[Spell, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """All units that fit but for the days.

    ``by_day`` has how many can be had from each day on, ``never`` of how many no free stretch is
    long enough; ``soonest`` are the first of them, by day and then in row order.
    """

    units: int
    by_day: tuple[tuple[int, int], ...]
    never: int
    soonest: tuple[Waiter, ...]


def window_of(program: Program) -> tuple[int, int]:
    """From the window's start until the end of a term that begins on its last day, ordinals."""
    last = max(program.latest, program.start) - FIRST_ORDINAL
    return program.start, int(program.ends[last]) if last < len(program.ends) else NEVER


def find_waiting(histogram: Histogram, named: int = NAMED) -> Waiting:
    """The units that break availability and nothing else."""
    bit = histogram.programs[0].bit("availability")
    waived = 0 if bit is None else 1 << bit
    days: Counter[int] = Counter()
    found: list[Waiter] = []
    for at, (program, masks) in enumerate(zip(histogram.programs, histogram.rows, strict=True)):
        rows = rows_opened(program, masks, waived)
        offers = offers_of(rows, units_of(program.segment), asked_of(program))
        distinct, counts = np.unique(offers.first_day, return_counts=True)
        days.update(dict(zip(distinct.tolist(), counts.tolist(), strict=True)))
        found += [
            _waiter(program, at, offers, int(place))
            for place in smallest(named, offers.first_day.astype(np.float64))
        ]
    found.sort(key=lambda one: (one.first_day, histogram.order(one.place)))
    never = days.pop(NEVER, 0)
    return Waiting(days.total() + never, tuple(sorted(days.items())), never, tuple(found[:named]))


def _waiter(program: Program, at: int, offers: Offers, place: int) -> Waiter:
    row, quantity = int(offers.rows[place]), int(offers.quantity[place])
    return Waiter(
        Place(at, row), quantity, int(offers.first_day[place]), _spells(program, row, quantity)
    )


def _spells(program: Program, row: int, quantity: int) -> tuple[Spell, ...]:
    """Days of the window on which a quantity cannot be had; days alike are one spell."""
    segment = program.segment
    start, over = window_of(program)
    capacity = int(segment.column("capacity")[row])
    keeps = quantity < capacity and segment.value("keeps_lettable_remainder", row)
    least_left = int(segment.column("min_part")[row]) if keeps else 0
    calendar = segment.calendar(row)
    # Nothing is free before the first step, and the last goes on for ever.
    days = [0, *(day for day, _ in calendar), NEVER]
    levels = [0, *(free for _, free in calendar)]
    spells: list[Spell] = []
    for (day, until), free in zip(pairwise(days), levels, strict=True):
        spare = free - quantity
        if spare == 0 or spare >= max(least_left, 0) or until <= start or day >= over:
            continue
        first, taken = max(day, start), capacity - free
        if spells and (spells[-1].until, spells[-1].taken) == (first, taken):
            spells[-1] = Spell(spells[-1].first_day, until, taken)
        else:
            spells.append(Spell(first, until, taken))
    return tuple(spells)
