"""The few rows that an answer is about, picked out of all and judged again one by one. Pure."""

from typing import NamedTuple

import numpy as np
from numba import njit

from app.matching.engine.kernel import (
    Asked,
    Checks,
    Units,
    cell_at,
    days_refused,
    free_from,
    is_parted,
    offered,
    rent_of,
    sums_refused,
    terms_refused,
)
from app.matching.engine.program import ABSENT
from app.matching.engine.whynot.histogram import Masks
from app.matching.segment import Rows, Wide

_ABSENT = np.uint64(ABSENT)


class Offers(NamedTuple):
    """What units offer by themselves, one entry each.

    Attributes:
        rows: of one segment.
        quantity: hundredths of the unit's measure.
        first_day: of the first free stretch that holds the term, ordinals; ``NEVER`` if none does.
        rent: 分 a year; negative where not known.
    """

    rows: Rows
    quantity: Wide
    first_day: Wide
    rent: Wide


@njit(cache=True, nogil=True)
def rows_within(masks: Masks, waived: np.uint64) -> Rows:
    """Rows that break something, and nothing but what is waived; ascending."""
    count = 0
    for mask in masks:
        count += (mask & ~waived == 0) & (mask != 0)
    found = np.empty(count, dtype=np.int64)
    count = 0
    for row in range(len(masks)):
        if masks[row] & ~waived == 0 and masks[row] != 0:
            found[count] = row
            count += 1
    return found


@njit(cache=True, nogil=True)
def rows_that_may(masks: Masks, waived: np.uint64, units: Units, asked: Asked) -> Rows:
    """Rows that may fit when some needs change and, with them, the parts that units offer.

    A row that is let whole must break nothing but what is waived; of one that is let in parts,
    what is judged by its part may be broken too. ``asked`` is the demand as it was.
    """
    by_part = waived | redone(asked)
    found = np.empty(len(masks), dtype=np.int64)
    count = 0
    for row in range(len(masks)):
        if masks[row] & ~by_part == 0 and (
            masks[row] & ~waived == 0 or is_parted(row, units, asked.want)
        ):
            found[count] = row
            count += 1
    return found[:count].copy()


@njit(cache=True, nogil=True)
def redone(asked: Asked) -> np.uint64:
    """Bits of the rules that are judged by what a unit offers."""
    bits = asked.availability | asked.rent_a_year | asked.power_left
    bits |= asked.whole_floor | asked.whole_building
    for mark in asked.sums.mark:
        bits |= mark
    return bits


@njit(cache=True, nogil=True)
def offers_of(rows: Rows, units: Units, asked: Asked) -> Offers:
    """What some units offer."""
    found = Offers(rows, np.empty_like(rows), np.empty_like(rows), np.empty_like(rows))
    for place in range(len(rows)):
        quantity = offered(rows[place], units, asked.want)
        first_day, _ = free_from(rows[place], quantity, units, asked)
        found.quantity[place] = quantity
        found.first_day[place] = first_day
        found.rent[place] = rent_of(rows[place], quantity, units)
    return found


@njit(cache=True, nogil=True)
def masks_of(rows: Rows, units: Units, asked: Asked) -> Masks:
    """What some units break, as ``masks.violations`` says it of all."""
    by_offer = redone(asked)
    masks = np.empty(len(rows), dtype=np.uint64)
    for place in range(len(rows)):
        row = rows[place]
        mask = asked.ground[units.floor_building[units.floor[row]]]
        if not asked.live[units.era[row]]:
            mask |= _ABSENT
        for test in range(len(asked.tests.bit)):
            if _fails(row, test, units, asked.tests):
                mask |= asked.tests.mark[test]
        quantity = offered(row, units, asked.want)
        first_day, _ = free_from(row, quantity, units, asked)
        mask &= ~by_offer
        mask |= sums_refused(row, quantity, units, asked.sums)
        mask |= terms_refused(row, quantity, units, asked)
        masks[place] = mask | days_refused(row, quantity, first_day, units, asked)
    return masks


@njit(cache=True, nogil=True)
def _fails(row: int, test: int, units: Units, tests: Checks) -> bool:
    """Whether all of a unit fails one interval test."""
    cell = cell_at(tests.width[test], tests.row[test], row, units)
    if cell == tests.unknown[test]:
        return not tests.or_unknown[test]
    return bool(cell < tests.low[test] or cell > tests.high[test])
