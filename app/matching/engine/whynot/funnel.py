"""How each need narrows what there is, and which units come nearest. Pure."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from app.matching.engine.whynot.histogram import Histogram, Masks, Place
from app.matching.engine.whynot.relaxations import prices_of
from app.matching.rules.constraint import Constraint

#: Where the space is wanted; the funnel begins with these.
PLACE = frozenset({"zones", "parks", "near", "within"})
#: What and where: the units of the kind asked for in the wished place.
FRAME = PLACE | {"unit_type"}


@dataclass(frozen=True, slots=True)
class Blocker:
    """What one constraint refuses, in units.

    Attributes:
        constraint: which.
        blocks: units that break it.
        blocks_in_place: those among them of the kind asked for in the wished place. The kind, or a
            wish for a place, is itself counted over the units that meet the others.
        blocks_alone: units that break nothing else.
        before, left: units in the funnel before it and after it.
        example: the first unit that breaks nothing else; None where there is none.
    """

    constraint: Constraint
    blocks: int
    blocks_in_place: int
    blocks_alone: int
    before: int
    left: int
    example: Place | None


def funnel(histogram: Histogram) -> tuple[tuple[Constraint, int], ...]:
    """How many units are left after each constraint: places first, then in table order."""
    bits = sorted(range(len(histogram.active)), key=lambda bit: not _is_place(histogram, bit))
    steps, seen = [], 0
    for bit in bits:
        seen |= 1 << bit
        left = int(histogram.counts[histogram.masks & np.uint64(seen) == 0].sum())
        steps.append((histogram.active[bit], left))
    return tuple(steps)


def _is_place(histogram: Histogram, bit: int) -> bool:
    return histogram.active[bit].key in PLACE


def blockers(histogram: Histogram) -> tuple[Blocker, ...]:
    """What each constraint refuses, in the funnel's order; those that refuse nothing left out."""
    bit_of = {one.key: bit for bit, one in enumerate(histogram.active)}
    frame = sum(1 << bit for key, bit in bit_of.items() if key in FRAME)
    found = []
    before = histogram.units
    for constraint, left in funnel(histogram):
        bit = bit_of[constraint.key]
        alone = 1 << bit
        blocks = histogram.breaking(bit)
        if blocks:
            blocker = Blocker(
                constraint=constraint,
                blocks=blocks,
                blocks_in_place=histogram.breaking(bit, frame & ~alone),
                blocks_alone=histogram.having(alone),
                before=before,
                left=left,
                example=histogram.first(alone),
            )
            found.append(blocker)
        before = left
    return tuple(found)


def nearest_misses(histogram: Histogram, count: int) -> list[Place]:
    """The refused units that come nearest, at most ``count``.

    Fewest broken constraints first, then those in the wished place, then the cheapest by what the
    table declares, then in order.
    """
    wanted, ranks = _nearest_masks(histogram, count)
    found: list[tuple[int, tuple[int, str, int, int], Place]] = []
    for at, of_segment in enumerate(histogram.rows):
        for row in _rows_having(of_segment, wanted, ranks, count):
            place = Place(at, int(row))
            rank = ranks[np.searchsorted(wanted, of_segment[row])]
            found.append((int(rank), histogram.order(place), place))
    return [place for _, _, place in sorted(found)[:count]]


def _nearest_masks(histogram: Histogram, count: int) -> tuple[Masks, NDArray[np.int64]]:
    """The masks, ascending, that the nearest units have, and how near each is, from 0."""
    refused = histogram.masks != 0
    masks, counts = histogram.masks[refused], histogram.counts[refused]
    prices = prices_of(histogram.active, {})
    bits = np.arange(len(prices), dtype=np.uint64)
    cost = ((masks[:, None] >> bits) & np.uint64(1)).astype(np.int64) @ prices
    broken = np.bitwise_count(masks).astype(np.int64)
    place = sum(1 << bit for bit, one in enumerate(histogram.active) if one.key in PLACE)
    elsewhere = (masks & np.uint64(place) != 0).astype(np.int64)
    most = prices.sum() + 1
    _, rank = np.unique((2 * broken + elsewhere) * most + cost, return_inverse=True)
    order = np.argsort(rank, kind="stable")
    enough = int(np.searchsorted(np.cumsum(counts[order]), count))
    last = rank[order[min(enough, len(order) - 1)]] if len(order) else -1
    near = rank <= last
    return masks[near], rank[near].astype(np.int64)


@njit(cache=True, nogil=True)
def _rows_having(
    masks: Masks, wanted: Masks, ranks: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """Rows that have one of the ascending wanted masks; of each rank the first few, ascending."""
    bits = np.uint64(0)
    for mask in wanted:
        bits |= mask
    taken = np.zeros(len(wanted), dtype=np.int64)
    found = np.empty(len(wanted) * most, dtype=np.int64)
    count = 0
    for row in range(len(masks)):
        if masks[row] & ~bits != 0 or masks[row] == 0:
            continue
        place = np.searchsorted(wanted, masks[row])
        if place == len(wanted) or wanted[place] != masks[row]:
            continue
        rank = ranks[place]
        if taken[rank] < most:
            taken[rank] += 1
            found[count] = row
            count += 1
    return found[:count].copy()
