"""The smallest sets of needs that open enough space when they are given up together. Pure.

A unit fits once everything that it breaks is given up, so a set of needs opens the units whose
masks lie within it. How many those are, for every set at once, is one sum over subsets of the
histogram; a set is smallest when it opens enough and no set with one need less does, because
giving up more never takes anything away. Exact, not approximate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from app.matching.engine.whynot.histogram import Counts, Histogram, Masks, bits_of
from app.matching.rules.constraint import Constraint

#: Up to so many needs that may be given up, all sets of them are looked at: a table of 2^20.
TABLE_BITS = 20
#: Entries of the table that lie side by side, for the low bits.
LANE_BITS = 4
LANE = 1 << LANE_BITS
#: Sets to a word, and for each of its six bits the sets of a word that are without it.
WORD = 64
WITHOUT = np.array(
    [sum(1 << place for place in range(64) if not place >> bit & 1) for bit in range(6)],
    dtype=np.uint64,
)
#: Sets that are named when nothing else is asked for.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Smallest:
    """All smallest sets, in no order.

    Attributes:
        sets: masks, shape ``(n_sets,)``.
        fits: how many units fit once a set is given up, with those that fit as it is.
        at_least: how many units fit with each at the least. Less than was asked for only where more
            than ``TABLE_BITS`` needs may be given up: the sets are then the smallest that open any.
    """

    sets: Masks
    fits: Counts
    at_least: int


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Needs that open space when given up together, and not enough when any of them is kept.

    ``cost`` is what the firm minds, ``opens`` the units that fit then and do not now, ``bundles``
    the same of bundles (``ways_out``).
    """

    mask: int
    constraints: tuple[Constraint, ...]
    cost: int
    opens: int
    bundles: int = 0


@dataclass(frozen=True, slots=True)
class Relaxations:
    """The cheapest of the smallest sets; ``sets`` are the masks of all, ``count`` of them."""

    cheapest: tuple[Relaxation, ...]
    sets: Masks
    count: int
    at_least: int


def find_relaxations(
    histogram: Histogram,
    *,
    at_least: int = 1,
    named: int = NAMED,
    costs: Mapping[str, int] | None = None,
) -> Relaxations:
    """The smallest sets of needs that together leave at least so many units that fit.

    They are ranked by the sum of what their needs cost to give up, then fewer needs, then more
    units opened, then the table's order.

    Args:
        histogram: what units break.
        at_least: how many units are to fit, with those that fit as it is.
        named: how many sets to name.
        costs: by key, what a firm minds; others cost what the table declares.

    Raises:
        ValueError: ``at_least`` is not positive.
    """
    found = smallest_sets(histogram.masks, histogram.counts, histogram.never, at_least)
    prices = prices_of(histogram.active, costs or {})
    bits = np.arange(len(prices), dtype=np.uint64)
    chosen = ((found.sets[:, None] >> bits) & np.uint64(1)).astype(np.int64)
    cost, size = chosen @ prices, chosen.sum(axis=1)
    order = np.lexsort((found.sets, -found.fits, size, cost))
    program, now = histogram.programs[0], histogram.feasible
    cheapest = tuple(
        Relaxation(
            mask=int(found.sets[place]),
            constraints=program.constraints_of(int(found.sets[place])),
            cost=int(cost[place]),
            opens=int(found.fits[place]) - now,
        )
        for place in order[:named]
    )
    return Relaxations(cheapest, found.sets, len(found.sets), found.at_least)


def prices_of(active: tuple[Constraint, ...], costs: Mapping[str, int]) -> NDArray[np.int64]:
    """What giving way costs, by bit."""
    return np.array([costs.get(one.key, one.relax_cost) for one in active], dtype=np.int64)


def smallest_sets(masks: Masks, counts: Counts, never: int, at_least: int = 1) -> Smallest:
    """All smallest sets of bits within which the masks of at least so many units lie.

    Units that break a bit of ``never`` are not there for it. Nothing is found where enough units
    fit as it is.

    Args:
        masks: distinct, shape ``(n_distinct,)``.
        counts: units of each.
        never: bits that are in no set.
        at_least: how many units must lie within a set.

    Raises:
        ValueError: ``at_least`` is not positive.
    """
    if at_least < 1:
        raise ValueError("at least one unit is to be opened")
    allowed = masks & np.uint64(never) == 0
    masks, counts = masks[allowed], counts[allowed]
    now = int(counts[masks == 0].sum())
    if now >= at_least or not len(masks):
        return Smallest(masks[:0], counts[:0], at_least)
    bits = list(bits_of(int(np.bitwise_or.reduce(masks))))
    if len(bits) > TABLE_BITS:
        order = np.lexsort((masks, np.bitwise_count(masks)))[int(now > 0) :]
        sets, opens = _minimal_masks(masks[order], counts[order])
        return Smallest(sets, now + opens, now + 1)
    used = np.array(bits, dtype=np.uint64)
    within = sums_over_subsets(spread(masks, counts, used))
    chosen = minimal_of(within, at_least)
    return Smallest(_expanded(chosen, used), within.ravel()[chosen].astype(np.int64), at_least)


def _expanded(sets: NDArray[np.int64], used: Masks) -> Masks:
    """Sets over the used bits alone as masks again."""
    chosen = (sets[:, None] >> np.arange(len(used))) & 1
    masks: Masks = (chosen.astype(np.uint64) << used).sum(axis=1, dtype=np.uint64)
    return masks


@njit(cache=True, nogil=True)
def spread(masks: Masks, counts: Counts, used: Masks) -> NDArray[np.int32]:
    """Units by the set they break, over the used bits alone; a row of ``LANE`` for each 4 bits.

    Shape ``(2 ** max(len(used) - 4, 2), LANE)``: at least one word of 64 sets.
    """
    table = np.zeros((1 << max(len(used) - LANE_BITS, 2), LANE), dtype=np.int32)
    for place in range(len(masks)):
        index = np.int64(0)
        for bit in range(len(used)):
            index |= np.int64((masks[place] >> used[bit]) & np.uint64(1)) << np.int64(bit)
        table[index >> LANE_BITS, index & (LANE - 1)] += counts[place]
    return table


@njit(cache=True, nogil=True)
def sums_over_subsets(table: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each entry becomes the sum over all subsets of its index, in place.

    The low bits are summed within a row and the others a row at a time, so that the machine adds
    many entries at once.
    """
    for row in table:
        for bit in range(LANE_BITS):
            step = 1 << bit
            for place in range(LANE):
                if place & step:
                    row[place] += row[place ^ step]
    step = 1
    while step < len(table):
        for base in range(0, len(table), 2 * step):
            for row in range(base, base + step):
                for place in range(LANE):
                    table[row + step, place] += table[row, place]
        step *= 2
    return table


@njit(cache=True, nogil=True)
def minimal_of(within: NDArray[np.int32], at_least: int) -> NDArray[np.int64]:
    """The sets with enough of which no set with one bit less has enough, ascending.

    Sixty-four sets to a word: whether a set with one bit less has enough is one shift for the six
    low bits, and one look at another word for the others.
    """
    flat = within.reshape(-1)
    enough = np.zeros(len(flat) // WORD, dtype=np.uint64)
    for place in range(len(flat)):
        if flat[place] >= at_least:
            enough[place // WORD] |= np.uint64(1) << np.uint64(place % WORD)
    found = np.empty(len(flat), dtype=np.int64)
    count = 0
    for word in range(len(enough)):
        minimal = enough[word]
        for bit in range(len(WITHOUT)):
            minimal &= ~((enough[word] & WITHOUT[bit]) << np.uint64(1 << bit))
        step = 1
        while step <= word:
            if word & step:
                minimal &= ~enough[word ^ step]
            step *= 2
        place = word * WORD
        while minimal:
            if minimal & np.uint64(1):
                found[count] = place
                count += 1
            minimal >>= np.uint64(1)
            place += 1
    return found[:count].copy()


@njit(cache=True, nogil=True)
def _minimal_masks(masks: Masks, counts: Counts) -> tuple[Masks, Counts]:
    """Of masks by their number of bits, none empty: those that take in no other; units within."""
    found = np.empty_like(masks)
    count = 0
    for mask in masks:
        minimal = True
        for place in range(count):
            if found[place] & ~mask == 0:
                minimal = False
                break
        if minimal:
            found[count] = mask
            count += 1
    sets = found[:count].copy()
    fits = np.zeros(count, dtype=np.int64)
    for place in range(count):
        for other in range(len(masks)):
            if masks[other] & ~sets[place] == 0:
                fits[place] += counts[other]
    return sets, fits
