"""Which units break no rule that every unit must satisfy: a pass over those of the kind. Pure."""

import numpy as np
from numba import njit

from app.matching.engine.kernel import (
    FIRST_FREE,
    Bytes,
    Checks,
    Masks,
    Spans,
    Units,
    checks_of,
    refuse,
    refuse_rows,
    spans_of,
    units_of,
)
from app.matching.engine.program import PER_UNIT, Program
from app.matching.rules.constraint import Combining
from app.matching.segment import Truths

#: Rows that are gone through at a time: they stay in the nearest cache.
_BLOCK = 2048
_REFUSED = np.uint8(1)


def eligible_units(program: Program) -> Truths:
    """For each row of ``program.kind_rows``, whether it may be in a bundle as far as columns say.

    It is there, breaks no rule that every unit must satisfy, and something of it falls free in
    time; its calendar decides whether all of it does.
    """
    segment = program.segment
    first, last = program.kind_rows
    refused = np.zeros(last - first, dtype=np.uint8)
    enough = sum(
        1 << bit for bit, one in enumerate(program.active) if one.combining is Combining.ANY
    )
    _refuse(
        first,
        program.latest,
        units_of(segment),
        spans_of(segment),
        checks_of(program.tests, program.tests.combining == PER_UNIT),
        program.ground & ~np.uint64(enough),
        program.live,
        refused,
    )
    eligible: Truths = refused == 0
    return eligible


@njit(cache=True, nogil=True)
def _refuse(  # noqa: PLR0917  (a kernel's arguments are arrays and bounds)
    first: int,
    latest: int,
    units: Units,
    spans: Spans,
    checks: Checks,
    ground: Masks,
    live: Truths,
    refused: Bytes,
) -> None:
    era, all_live = units.era, live.all()
    free = units.large[FIRST_FREE]
    for begun in range(0, len(refused), _BLOCK):
        plane = refused[begun : begun + _BLOCK]
        low, high = first + begun, first + begun + len(plane)
        refuse(free[low:high], 0, latest, False, _REFUSED, plane)
        for test in range(len(checks.bit)):
            refuse_rows(units, checks, test, low, high, _REFUSED, plane)
        if not all_live:
            for i in range(len(plane)):
                plane[i] |= np.uint8(not live[era[low + i]])
    start, building = spans.start, spans.building
    span = np.searchsorted(start, first, side="right") - 1
    while span < len(building) and start[span] < first + len(refused):
        if ground[building[span]]:
            begin, behind = start[span] - first, start[span + 1] - first
            refused[max(0, begin) : behind] = _REFUSED
        span += 1
