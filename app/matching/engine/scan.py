"""Which units fit by themselves, without looking at most of them twice. Pure.

First a sieve: the rows of the kind asked for, in buildings that the ground rules leave, in blocks,
one pass for each interval test, those that refuse most first, until nothing of a block is left.
What any offer of a unit must satisfy is in it, and the first day on which it falls free. Only what
comes through is judged exactly: how much is offered, sums, the calendar, the rules of their own.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.matching.columns import NEVER, Width
from app.matching.engine.compiled import kernel, step
from app.matching.engine.kernel import (
    FIRST_FREE,
    UNIT_TYPE,
    UNKNOWN_OF_WIDTH,
    Asked,
    Bytes,
    Checks,
    Masks,
    Spans,
    Units,
    asked_of,
    cell_at,
    days_refused,
    free_from,
    offered,
    refuse_rows,
    spans_of,
    sums_refused,
    terms_refused,
    units_of,
)
from app.matching.engine.parts import UNBOUNDED
from app.matching.engine.program import PER_UNIT, SUM, Program
from app.matching.forms import Own
from app.matching.segment import Large, Middle, Rows, Truths, Wide

#: Rows that are gone through at a time: their marks stay in the nearest cache.
_BLOCK = 2048
#: Stretches of rows on which it is tried which tests refuse most, and their length.
_SAMPLES, _SAMPLE = 16, 64
_REFUSED = np.uint8(1)
_EIGHT = 8
#: Where fewer rows of a block than one in so many are left, they are looked at one by one.
_SPARSE = 24
_ALL_REFUSED = np.uint64(0x0101010101010101)


@dataclass(frozen=True, slots=True)
class Fitting:
    """Units that fit, rows ascending, with how much of each is offered and when.

    Attributes:
        rows, quantities, first_day, until: as in ``Candidate``.
        eligible: of the rows of the kind asked for, which are there, break no rule that every unit
            must satisfy, and fall free in time; empty where nobody asked.
    """

    rows: Wide
    quantities: Wide
    first_day: Wide
    until: Wide
    eligible: Truths


class _Sieve(NamedTuple):
    """The tests of the sieve, and what a block is worked out in.

    Attributes:
        checks: the tests; the first ``shared`` hold for members of bundles too.
        order: in which they are made.
        refused: how many rows of a sample each refuses, for each byte that it reads of a row.
        marks: which rows of a block are refused.
        through: those that are not.
    """

    checks: Checks
    shared: int
    order: Wide
    refused: Wide
    marks: Bytes
    through: Rows


def fitting_units(program: Program, *, with_eligible: bool = False) -> Fitting:
    """Every unit that breaks nothing with its own offer.

    Args:
        program: the demand on a segment.
        with_eligible: whether to say which rows may be members of bundles.
    """
    low, high = program.kind_rows
    eligible = np.zeros(high - low if with_eligible else 0, dtype=np.bool_)
    spans = spans_of(program.segment)
    first = int(np.searchsorted(spans.start, low))
    behind = int(np.searchsorted(spans.start, high))
    found = np.empty((high - low, 4), dtype=np.int32)
    count = _scan(
        (first, behind),
        spans,
        units_of(program.segment),
        asked_of(program),
        _sieve_of(program),
        eligible,
        found,
    )
    rows, quantities, first_day, until = found[:count].T.astype(np.int64)
    return Fitting(rows, quantities, first_day, until, eligible)


def _sieve_of(program: Program) -> _Sieve:
    """What any offer must satisfy; a part may have less than the whole, but never more."""
    tests = program.tests
    by_unit = tests.combining == PER_UNIT
    # The rows are of the kind asked for.
    is_kind = by_unit & (tests.width == 0) & (tests.row == UNIT_TYPE)
    shared, others = np.flatnonzero(by_unit & ~is_kind), np.flatnonzero(~by_unit)
    order = np.concatenate([shared, others])
    high = np.minimum(tests.high[order], UNBOUNDED)
    if not program.wanted.is_whole:
        high[tests.combining[order] == SUM] = UNBOUNDED
    latest = program.latest if Own.AVAILABILITY in program.own else NEVER
    nothing = np.zeros(0, dtype=np.int64)
    width = np.append(2, tests.width[order])
    checks = Checks(
        width=width,
        row=np.append(FIRST_FREE, tests.row[order]),
        low=np.append(Width.LARGE.unknown + 1, tests.low[order]),
        high=np.append(latest, high),
        or_unknown=np.append(False, tests.or_unknown[order]),
        adds_up=np.zeros(0, dtype=np.bool_),
        unknown=UNKNOWN_OF_WIDTH[width],
        bit=nothing,
        mark=nothing.astype(np.uint64),
    )
    return _Sieve(
        checks=checks,
        shared=1 + len(shared),
        order=np.arange(1 + len(order)),
        refused=np.zeros(1 + len(order), dtype=np.int64),
        marks=np.empty(_BLOCK, dtype=np.uint8),
        through=np.empty(_BLOCK, dtype=np.int64),
    )


@kernel
def _scan(  # noqa: PLR0917  (a kernel's arguments are arrays)
    picked: tuple[int, int],
    spans: Spans,
    units: Units,
    asked: Asked,
    sieve: _Sieve,
    eligible: Truths,
    found: Large,
) -> int:
    """Write what fits; how many do."""
    span, behind = picked
    base, last = spans.start[span], spans.start[behind]
    _put_in_order(base, last, units, sieve)
    count = 0
    for low in range(base, last, _BLOCK):
        high = min(low + _BLOCK, last)
        span, is_open = _mark_closed(low, high, span, spans, asked.ground, sieve.marks)
        if is_open:
            own = eligible[low - base : high - base] if len(eligible) else eligible
            passed = _sift(low, high, units, asked.live, sieve, own)
            count = _settle(sieve.through[:passed], units, asked, found, count)
    return count


@step
def _mark_closed(  # noqa: PLR0917  (as above)
    low: int, high: int, span: int, spans: Spans, ground: Masks, marks: Bytes
) -> tuple[int, bool]:
    """Mark the rows of a block in buildings that the ground refuses.

    Returns:
        The run in which the next block begins, and whether any row of this one is left.
    """
    is_open = False
    row = low
    while row < high:
        while spans.start[span + 1] <= row:
            span += 1
        behind = min(high, spans.start[span + 1])
        closed = ground[spans.building[span]] != 0
        is_open |= not closed
        for i in range(row - low, behind - low):
            marks[i] = closed
        row = behind
    return span, is_open


@kernel
def _put_in_order(low: int, high: int, units: Units, sieve: _Sieve) -> None:
    """The tests that refuse most for the bytes they read first; members' before the others."""
    stride = max(_SAMPLE, (high - low) // _SAMPLES)
    marks, refused, order = sieve.marks[:_SAMPLE], sieve.refused, sieve.order
    for test in range(len(order)):
        for begun in range(low, high, stride):
            over = min(begun + _SAMPLE, high)
            marks[:] = 0
            refuse_rows(units, sieve.checks, test, begun, over, _REFUSED, marks)
            for i in range(over - begun):
                refused[test] += marks[i]
        place = test
        least = sieve.shared if test >= sieve.shared else 0
        refused[test] = (refused[test] << 2) >> sieve.checks.width[test]
        while place > least and refused[order[place - 1]] < refused[test]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = test


@kernel
def _sift(  # noqa: PLR0917  (as above)
    low: int, high: int, units: Units, live: Truths, sieve: _Sieve, eligible: Truths
) -> int:
    """Write the unmarked rows of a block that no test of the sieve refuses; how many there are."""
    size = high - low
    # Whole words: what lies behind the block is refused.
    words = (size + _EIGHT - 1) // _EIGHT
    marks = sieve.marks[:size]
    sieve.marks[size : words * _EIGHT] = _REFUSED
    _mark_absent(units.era[low:high], live, marks)
    place, left = 0, size
    while place < len(sieve.order) and left * _SPARSE > size:
        if place == sieve.shared:
            _note(marks, eligible)
        refuse_rows(units, sieve.checks, sieve.order[place], low, high, _REFUSED, marks)
        left = size - _sum(marks)
        place += 1
    if place == sieve.shared:
        _note(marks, eligible)
    as_words = sieve.marks[: words * _EIGHT].view(np.uint64)
    count = _compact(low, as_words, sieve.marks, sieve.through)
    while place < len(sieve.order) and count:
        count = _pick(units, sieve.checks, sieve.order[place], sieve.through, count)
        place += 1
        if place == sieve.shared and len(eligible):
            for i in range(count):
                eligible[sieve.through[i] - low] = True
    return count


@step
def _mark_absent(eras: Middle, live: Truths, marks: Bytes) -> None:
    for era in range(len(live)):
        if not live[era]:
            for i in range(len(marks)):
                marks[i] |= eras[i] == era


@step
def _note(marks: Bytes, eligible: Truths) -> None:
    for i in range(len(eligible)):
        eligible[i] = marks[i] == 0


@step
def _pick(units: Units, checks: Checks, test: int, through: Rows, count: int) -> int:
    """Of some rows those that a test does not refuse, in their order: how many are left."""
    width, column = checks.width[test], checks.row[test]
    low, high = checks.low[test], checks.high[test]
    kept = 0
    for i in range(count):
        cell = cell_at(width, column, through[i], units)
        within = (low <= cell) & (cell <= high)
        if cell == checks.unknown[test]:
            within = checks.or_unknown[test]
        through[kept] = through[i]
        kept += within
    return kept


@step
def _sum(marks: Bytes) -> int:
    refused = 0
    for i in range(len(marks)):
        refused += marks[i]
    return refused


@step
def _compact(low: int, words: Masks, marks: Bytes, through: Rows) -> int:
    """The places without a mark; words in which all are marked are passed over at once."""
    count = 0
    for word in range(len(words)):
        if words[word] != _ALL_REFUSED:
            for i in range(word * _EIGHT, (word + 1) * _EIGHT):
                if marks[i] == 0:
                    through[count] = low + i
                    count += 1
    return count


@kernel
def _settle(through: Rows, units: Units, asked: Asked, found: Large, count: int) -> int:
    """Judge exactly what came through the sieve; how many fit up to here."""
    for row in through:
        quantity = offered(row, units, asked.want)
        broken = sums_refused(row, quantity, units, asked.sums)
        if broken or terms_refused(row, quantity, units, asked):
            continue
        first_day, until = free_from(row, quantity, units, asked)
        if not days_refused(row, quantity, first_day, units, asked):
            found[count, 0], found[count, 1] = row, quantity
            found[count, 2], found[count, 3] = first_day, until
            count += 1
    return count
