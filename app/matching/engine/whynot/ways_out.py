"""The smallest sets of needs whose giving way opens anything, be it bundles of units. Pure.

A bundle has no mask of its own that could be counted: what a sum breaks depends on who is in it. So
sets that open no units are tried on bundles by solving again, those of one need first, then those
of two, and so on, the cheapest first within a size. Nothing is tried that takes in a set which
opens something already, nor where fewer than two units of the kind asked for are left that break
no rule on each unit. The number of tries is bounded; ``complete_to`` says up to which size all sets
were tried, and so up to which size it is certain that no bundle was missed.

A bundle counts where no part of it would do by itself; how it scores is not asked here. Bundles are
of the kind asked for whatever is waived, and where availability is waived their units must still
be free together on some days.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from app.matching.engine.bundles.dominance import keep_undominated
from app.matching.engine.bundles.find import find_bundles
from app.matching.engine.compiled import kernel
from app.matching.engine.program import ABSENT, FIRST_ORDINAL, Program
from app.matching.engine.whynot.histogram import Counts, Histogram, Masks
from app.matching.engine.whynot.relaxations import (
    NAMED,
    Relaxation,
    Relaxations,
    find_relaxations,
    prices_of,
)
from app.matching.forms import Intervals
from app.matching.rules.constraint import Combining
from app.matching.segment import Truths

#: Sets of needs that are tried on bundles: the more, the fewer units each try goes through; by the
#: number of units and not by the clock, so that the same question has the same answer.
TRIES_MOST, TRIES_LEAST, UNITS_TRIED = 64, 12, 4_000_000
#: Bundles that are looked at in one try: more need not be counted to say that there are many.
BUNDLES_TRIED = 1 << 14
#: How many needs are given up together for a bundle.
TOGETHER = 3
#: The form of a rule that is waived.
_KEPT_BY_ALL = Intervals(())
#: A bundle of a histogram: its segment and its rows.
Bundle = tuple[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class WaysOut:
    """The cheapest of the smallest sets.

    Attributes:
        cheapest: sets that open enough units, and sets that open none but bundles.
        count: how many sets there are in all.
        at_least: how many units fit with each that opens units, at the least.
        complete_to: no set of up to so many needs that opens bundles alone was missed.
    """

    cheapest: tuple[Relaxation, ...]
    count: int
    at_least: int
    complete_to: int


@dataclass(frozen=True, slots=True)
class Within:
    """Bundles, and whether they are all there are."""

    bundles: frozenset[Bundle]
    is_complete: bool


def find_ways_out(
    histogram: Histogram,
    *,
    at_least: int = 1,
    named: int = NAMED,
    costs: Mapping[str, int] | None = None,
    tries: int | None = None,
    with_bundles: bool = True,
) -> WaysOut:
    """The smallest sets of needs that together leave so many units that fit, or open a bundle.

    Args:
        histogram: what units break.
        at_least: how many units are to fit, with those that fit as it is.
        named: how many sets to name; of these it is counted how many bundles they open.
        costs: by key, what a firm minds; others cost what the table declares.
        tries: how many sets are tried on bundles; None for as many as the units allow.
        with_bundles: whether bundles are wanted at all.
    """
    if tries is None:
        tries = tries_for(histogram.units)
    found = find_relaxations(histogram, at_least=at_least, named=named + tries, costs=costs)
    if histogram.feasible >= at_least:
        return WaysOut((), 0, at_least, TOGETHER)
    of_units_alone = WaysOut(found.cheapest[:named], found.count, found.at_least, 0)
    if not with_bundles:
        return of_units_alone
    now = bundles_within(histogram, 0)
    if not now.is_complete:
        # Where more bundles fit already than are looked at, none that is opened could be told.
        return of_units_alone
    alone, complete_to = _of_bundles_alone(histogram, found, costs or {}, now, tries)

    def is_smallest(mask: int) -> bool:
        # What opens a bundle with less is the smaller set, though no unit opens with it.
        return not any(one.mask & ~mask == 0 for one in alone)

    of_units = [one for one in found.cheapest if is_smallest(one.mask)][:named]
    counted = [
        replace(one, bundles=len(bundles_within(histogram, one.mask).bundles - now.bundles))
        for one in of_units
    ]
    cheapest = sorted([*counted, *alone], key=_least_given_up)[:named]
    count = sum(is_smallest(int(mask)) for mask in found.sets) + len(alone)
    return WaysOut(tuple(cheapest), count, found.at_least, complete_to)


def tries_for(units: int) -> int:
    """How many sets are tried on bundles among so many units.

    >>> tries_for(5_000), tries_for(100_000), tries_for(1_000_000)
    (64, 40, 12)
    """
    return max(TRIES_LEAST, min(TRIES_MOST, UNITS_TRIED // max(units, 1)))


def _least_given_up(one: Relaxation) -> tuple[int, int, int, int, int]:
    return one.cost, len(one.constraints), -one.opens, -one.bundles, one.mask


def _of_bundles_alone(
    histogram: Histogram,
    found: Relaxations,
    costs: Mapping[str, int],
    now: Within,
    tries: int,
) -> tuple[list[Relaxation], int]:
    """Sets that open bundles and not enough units, and up to which size all sets were tried."""
    prices = prices_of(histogram.active, costs)
    opening = [int(mask) for mask in found.sets]
    alone: list[Relaxation] = []
    members = _members(histogram)
    for size in range(1, TOGETHER + 1):
        for mask in _sets_of(histogram, prices, size):
            if any(smaller & ~mask == 0 for smaller in opening) or not _has_two(members, mask):
                continue
            if tries == 0:
                return alone, size - 1
            tries -= 1
            within = bundles_within(histogram, mask)
            bundles = len(within.bundles - now.bundles)
            if not bundles and not within.is_complete:
                return alone, size - 1
            if bundles:
                opening.append(mask)
                alone.append(_relaxation(histogram, prices, mask, bundles))
    return alone, TOGETHER


def _relaxation(
    histogram: Histogram, prices: NDArray[np.int64], mask: int, bundles: int
) -> Relaxation:
    chosen = [bit for bit in range(len(prices)) if mask >> bit & 1]
    return Relaxation(
        mask=mask,
        constraints=tuple(histogram.active[bit] for bit in chosen),
        cost=int(prices[chosen].sum()),
        opens=histogram.within(mask) - histogram.feasible,
        bundles=bundles,
    )


def _sets_of(histogram: Histogram, prices: NDArray[np.int64], size: int) -> Iterator[int]:
    """Sets of so many needs that bundles may gain by, cheapest first."""
    bits = [
        bit
        for bit, one in enumerate(histogram.active)
        if not one.never_relax and one.key != "unit_type"
    ]
    sets = sorted(combinations(bits, size), key=lambda chosen: (prices[list(chosen)].sum(), chosen))
    return (sum(1 << bit for bit in chosen) for chosen in sets)


def _members(histogram: Histogram) -> tuple[Masks, Counts]:
    """What units of the kind asked for break of the rules on each unit, and how many break it."""
    kind = histogram.programs[0].bit("unit_type")
    asked = histogram.masks & np.uint64(0 if kind is None else 1 << kind) == 0
    each = np.uint64(_each_unit(histogram.programs[0]))
    masks, place = np.unique(histogram.masks[asked] & each, return_inverse=True)
    return masks, np.bincount(place, histogram.counts[asked], len(masks)).astype(np.int64)


def _has_two(members: tuple[Masks, Counts], waived: int) -> bool:
    """Whether two units are left: a bundle has two or more."""
    masks, counts = members
    return int(counts[masks & ~np.uint64(waived) == 0].sum()) > 1


def _each_unit(program: Program) -> int:
    """Bits of the rules on each unit, without that on its days: those of a bundle are its own."""
    return sum(
        1 << bit
        for bit, one in enumerate(program.active)
        if one.combining is Combining.PER_UNIT and one.key != "availability"
    )


def bundles_within(histogram: Histogram, waived: int) -> Within:
    """The bundles that break nothing but what is waived, and of which no part would do."""
    bundles: set[Bundle] = set()
    is_complete = True
    for at, (program, masks) in enumerate(zip(histogram.programs, histogram.rows, strict=True)):
        rows, all_of_them = _bundles_of(program, masks, waived)
        bundles.update((at, one) for one in rows)
        is_complete &= all_of_them
    return Within(frozenset(bundles), is_complete)


def _bundles_of(program: Program, masks: Masks, waived: int) -> tuple[list[tuple[int, ...]], bool]:
    first, behind = program.kind_rows
    eligible = np.empty(behind - first, dtype=np.bool_)
    _mark_without(np.uint64(_each_unit(program) & ~waived | ABSENT), masks[first:behind], eligible)
    found = find_bundles(_waiving(program, waived), eligible, BUNDLES_TRIED)
    if not len(found):
        return [], found.is_complete
    rows = np.unique(found.row)
    fits = rows[masks[rows] & ~np.uint64(waived) == 0]
    # Where all score the same, what a part of does as well is dropped whatever it scores.
    stays = keep_undominated(
        program.segment, found, np.ones(len(found), np.int64), fits, np.ones(len(fits), np.int64)
    )
    bundles = [tuple(found.rows(bundle).tolist()) for bundle in np.flatnonzero(stays).tolist()]
    return bundles, found.is_complete


@kernel
def _mark_without(refused: np.uint64, masks: Masks, marked: Truths) -> None:
    """Mark the rows that break none of some bits."""
    for row in range(len(masks)):
        marked[row] = masks[row] & refused == 0


def _waiving(program: Program, waived: int) -> Program:
    """The program with rules that everything keeps in place of some; bits stay where they are.

    Whoever waives the days will begin on any.
    """
    if not waived:
        return program
    days = program.bit("availability")
    on_any_day = days is not None and waived >> days & 1
    return replace(
        program,
        forms=tuple(
            _KEPT_BY_ALL if waived >> bit & 1 else form for bit, form in enumerate(program.forms)
        ),
        tests=program.tests.only(waived >> program.tests.bit & 1 == 0),
        ground=program.ground & ~np.uint64(waived),
        own={own: rule for own, rule in program.own.items() if not waived >> rule[0] & 1},
        latest=FIRST_ORDINAL + len(program.ends) - 1 if on_any_day else program.latest,
    )
