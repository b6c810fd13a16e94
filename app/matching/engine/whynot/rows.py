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
from app.matching.engine.program import Program
from app.matching.engine.whynot.histogram import Masks
from app.matching.segment import Rows, Wide


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


def rows_opened(program: Program, masks: Masks, waived: int) -> Rows:
    """Rows that break something, and nothing but what is waived; ascending."""
    kind = program.bit("unit_type")
    if kind is None or waived >> kind & 1:
        return rows_within(masks, np.uint64(waived))
    # All other rows are of another kind.
    first, behind = program.kind_rows
    return first + rows_within(masks[first:behind], np.uint64(waived))


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
def count_fitting(rows: Rows, waived: np.uint64, units: Units, asked: Asked) -> int:
    """How many of some units break nothing but what is waived, each with its own offer."""
    count = 0
    # What is judged by the offer is dear, and left for those that pass the rest.
    alone = ~(waived | redone(asked))
    for row in rows:
        if not asked.live[units.era[row]]:
            continue
        if asked.ground[units.floor_building[units.floor[row]]] & alone != 0:
            continue
        if _fails_any(row, alone, units, asked.tests):
            continue
        quantity = offered(row, units, asked.want)
        broken = sums_refused(row, quantity, units, asked.sums)
        broken |= terms_refused(row, quantity, units, asked)
        if broken & ~waived != 0:
            continue
        first_day, _ = free_from(row, quantity, units, asked)
        count += days_refused(row, quantity, first_day, units, asked) & ~waived == 0
    return count


@njit(cache=True, nogil=True)
def _fails_any(row: int, bits: np.uint64, units: Units, tests: Checks) -> bool:
    """Whether all of a unit fails one of the interval tests of some bits."""
    for test in range(len(tests.bit)):
        if tests.mark[test] & bits != 0 and _fails(row, test, units, tests):
            return True
    return False


@njit(cache=True, nogil=True)
def _fails(row: int, test: int, units: Units, tests: Checks) -> bool:
    """Whether all of a unit fails one interval test."""
    cell = cell_at(tests.width[test], tests.row[test], row, units)
    if cell == tests.unknown[test]:
        return not tests.or_unknown[test]
    return bool(cell < tests.low[test] or cell > tests.high[test])
