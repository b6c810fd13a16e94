"""Which units fit by themselves, without looking at most of them twice. Pure.

First a sieve: the rows of the kind asked for, in buildings that the ground rules leave, in blocks,
one pass for each interval test, those that refuse most first, until nothing of a block is left.
What any offer of a unit must satisfy is in it, and the first day on which it falls free. Only what
comes through is judged exactly: how much is offered, sums, the calendar, the rules of their own.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.matching.columns import NEVER, Width
from app.matching.engine.alone import Scale, points_of
from app.matching.engine.candidates import CandidateKind
from app.matching.engine.compiled import kernel, step
from app.matching.engine.kernel import (
    AREA,
    CAPACITY,
    FIRST_FREE,
    MEASURE,
    UNIT_TYPE,
    UNKNOWN_OF_WIDTH,
    Asked,
    Bytes,
    Checks,
    Masks,
    Spans,
    Units,
    asked_of,
    bears,
    cell_at,
    free_from,
    is_enough,
    least_power,
    offered,
    refuse_rows,
    spans_of,
    sums_refused,
    terms_refused,
    units_of,
)
from app.matching.engine.parts import BY_PLACE, UNBOUNDED, UNKNOWN
from app.matching.engine.program import PER_UNIT, SUM, Program
from app.matching.forms import Own
from app.matching.segment import Middle, Rows, Truths, Wide

#: What one unit is offered as.
KINDS = (CandidateKind.UNIT, CandidateKind.PART, CandidateKind.PLACES)
_UNIT, _PART, _PLACES = range(len(KINDS))
#: Of a key, the bits below the points, and all of them: no row is beyond that.
_ROW_BITS = 32
_LAST_ROW = (1 << _ROW_BITS) - 1
#: Rows that are gone through at a time: their marks stay in the nearest cache.
_BLOCK = 2048
#: Stretches of rows on which it is tried which tests refuse most, and their length.
_SAMPLES, _SAMPLE = 16, 64
_REFUSED = np.uint8(1)
_EIGHT = 8
#: Where fewer rows of a block than one in so many are left, they are looked at one by one.
_SPARSE = 24
#: Where more rows than this are refused on end, a block ends before them.
_GAP = 128
#: Of fewer rows of a block the wishes are read one by one.
_FEW = 8
_ALL_REFUSED = np.uint64(0x0101010101010101)


@dataclass(frozen=True, slots=True)
class Fitting:
    """The best units that fit by themselves, best first and of equal ones the first row first.

    Attributes:
        rows, quantities, first_day, until: as in ``Candidate``.
        kinds: places in ``KINDS``.
        points: their scores.
        counts: how many units fit, of each of ``KINDS``.
        eligible: of the rows of the kind asked for, which are there, break no rule that every unit
            must satisfy, and fall free in time; empty where nobody asked.
    """

    rows: Rows
    quantities: Wide
    first_day: Wide
    until: Wide
    kinds: Wide
    points: Wide
    counts: Wide
    eligible: Truths


class _Best(NamedTuple):
    """The best so far, and how many were seen.

    Attributes:
        keys: of the best a heap, the least first: points, and then the row's distance from the
            last one that there could be, in one number.
        used: how many they are.
        wanted: which of ``KINDS`` are looked for.
        counts: how many fit, of each of ``KINDS``.
    """

    keys: Wide
    used: Wide
    wanted: Truths
    counts: Wide


class _Sieve(NamedTuple):
    """The tests of the sieve, and what a block is worked out in.

    Attributes:
        checks: the tests; the first ``shared`` hold for members of bundles too.
        order: in which they are made.
        refused: how many rows of a sample each refuses, for each byte that it reads of a row.
        marks: which rows of a block are refused.
        through: those that are not.
        missed: which wishes each row misses.
    """

    checks: Checks
    shared: int
    order: Wide
    refused: Wide
    marks: Bytes
    through: Rows
    missed: Bytes


def fitting_units(
    program: Program,
    scale: Scale,
    most: int,
    *,
    kinds: Collection[CandidateKind] = KINDS,
    with_eligible: bool = False,
) -> Fitting:
    """The best units that break nothing with their own offer, and how many there are.

    Args:
        program: the demand on a segment.
        scale: what their points are worked out from.
        most: how many at most.
        kinds: which are wanted; all are counted.
        with_eligible: whether to say which rows may be members of bundles.
    """
    low, high = program.kind_rows
    eligible = np.zeros(high - low if with_eligible else 0, dtype=np.bool_)
    spans = spans_of(program.segment)
    first = int(np.searchsorted(spans.start, low))
    behind = int(np.searchsorted(spans.start, high))
    units, asked = units_of(program.segment), asked_of(program)
    best = _room(min(most, high - low), kinds)
    _scan((first, behind), spans, units, asked, _sieve_of(program), scale, eligible, best)
    return _fitting(best, units, asked, eligible)


def fitting_of(program: Program, scale: Scale, rows: Rows) -> Fitting:
    """Those of some rows that break nothing with their own offer, best first.

    Args:
        program: the demand on a segment.
        scale: as above.
        rows: eligible ones, each once.
    """
    units, asked = units_of(program.segment), asked_of(program)
    best = _room(len(rows), KINDS)
    _settle(rows, 0, np.zeros(0, dtype=np.uint8), units, asked, scale, best)
    return _fitting(best, units, asked, np.zeros(0, dtype=np.bool_))


def _room(most: int, kinds: Collection[CandidateKind]) -> _Best:
    return _Best(
        keys=np.zeros(max(1, most), dtype=np.int64),
        used=np.zeros(1, dtype=np.int64),
        wanted=np.array([one in kinds for one in KINDS]),
        counts=np.zeros(len(KINDS), dtype=np.int64),
    )


def _fitting(best: _Best, units: Units, asked: Asked, eligible: Truths) -> Fitting:
    keys = np.sort(best.keys[: best.used[0]])[::-1]
    rows = _LAST_ROW - (keys & _LAST_ROW)
    offers = np.empty((4, len(rows)), dtype=np.int64)
    _offer(rows, units, asked, offers)
    return Fitting(
        rows=rows,
        quantities=offers[0],
        first_day=offers[1],
        until=offers[2],
        kinds=offers[3],
        points=keys >> _ROW_BITS,
        counts=best.counts,
        eligible=eligible,
    )


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
        missed=np.empty(_BLOCK, dtype=np.uint8),
    )


@kernel
def _scan(  # noqa: PLR0917  (a kernel's arguments are arrays)
    picked: tuple[int, int],
    spans: Spans,
    units: Units,
    asked: Asked,
    sieve: _Sieve,
    scale: Scale,
    eligible: Truths,
    best: _Best,
) -> None:
    """Count what fits, and keep the best."""
    span, behind = picked
    base, last = spans.start[span], spans.start[behind]
    _put_in_order(base, last, units, sieve)
    low = base
    while low < last:
        span, low, high = _next_block(span, low, behind, spans, asked.ground, sieve.marks)
        own = eligible[low - base : high - base] if len(eligible) else eligible
        passed = _sift(low, high, units, asked.live, sieve, own)
        missed = sieve.missed[: high - low]
        if passed < _FEW or scale.wishes > _EIGHT:
            missed = missed[:0]
        else:
            _note_wishes(low, high, units, scale, missed)
        _settle(sieve.through[:passed], low, missed, units, asked, scale, best)
        low = high


@step
def _next_block(  # noqa: PLR0917  (as above)
    span: int, low: int, behind: int, spans: Spans, ground: Masks, marks: Bytes
) -> tuple[int, int, int]:
    """The next rows to go through, some of which are in buildings that the ground leaves.

    Rows in buildings that it refuses are passed over, or marked where they are few.

    Args:
        span: the run of ``low``, or one before it.
        low: the first row that was not gone through.
        behind: the run behind the last.
        spans: all of them.
        ground: of all buildings.
        marks: of the rows of the block, written.

    Returns:
        The run of the block's last row, its first row, and the one behind its last.
    """
    while span < behind and (spans.start[span + 1] <= low or ground[spans.building[span]] != 0):
        span += 1
    low = max(low, spans.start[span])
    row = high = low
    while span < behind and row < low + _BLOCK:
        end = min(spans.start[span + 1], low + _BLOCK)
        closed = ground[spans.building[span]] != 0
        if not closed:
            high = end
        elif end - high > _GAP:
            break
        for i in range(row - low, end - low):
            marks[i] = closed
        row = end
        if end == spans.start[span + 1]:
            span += 1
    return span, low, high


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


@step
def _note_wishes(low: int, high: int, units: Units, scale: Scale, missed: Bytes) -> None:
    """Of each row of a block, the wishes that its cells do not meet if it is taken whole."""
    missed[:] = 0
    tests = scale.wished.tests
    for test in range(len(tests.bit)):
        bit = np.uint8(1 << tests.bit[test])
        refuse_rows(units, tests, test, low, high, bit, missed)


@kernel
def _settle(  # noqa: PLR0917  (as above)
    through: Rows,
    low: int,
    missed: Bytes,
    units: Units,
    asked: Asked,
    scale: Scale,
    best: _Best,
) -> None:
    """Judge exactly what came through the sieve; count what fits, and keep the best.

    ``missed`` are wishes' bits of rows from ``low`` on, as ``_note_wishes`` leaves them, or none.
    """
    there, spare = -1, 0
    for row in through:
        quantity = offered(row, units, asked.want)
        broken = sums_refused(row, quantity, units, asked.sums)
        if broken or terms_refused(row, quantity, units, asked):
            continue
        first_day, _ = free_from(row, quantity, units, asked)
        if asked.availability and first_day > asked.latest:
            continue
        building = units.floor_building[units.floor[row]]
        if building != there:
            there, spare = building, least_power(building, units, asked)
        if asked.power_left and not _bears(spare, row, quantity, first_day, units, asked):
            continue
        kind = _kind(row, quantity, units)
        best.counts[kind] += 1
        if best.wanted[kind]:
            used = best.used[0]
            least = int(best.keys[0] >> _ROW_BITS) if used == len(best.keys) else -1
            if len(missed) and kind == _UNIT:
                amiss = np.uint64(missed[row - low])
            else:
                amiss = sums_refused(row, quantity, units, scale.wished.tests)
            points = points_of(row, building, quantity, first_day, amiss, units, scale, least)
            if points > least:
                _keep(np.int64(points) << _ROW_BITS | (_LAST_ROW - row), best)


@step
def _bears(  # noqa: PLR0917  (as above)
    spare: int, row: int, quantity: int, first_day: int, units: Units, asked: Asked
) -> bool:
    """As ``bears``; most need less than the building has to spare on the worst day of all."""
    area = units.large[AREA, row]
    if area != UNKNOWN and is_enough(spare, area, asked):
        return True
    return bool(bears(row, quantity, first_day, units, asked))


@step
def _kind(row: int, quantity: int, units: Units) -> int:
    if quantity == units.large[CAPACITY, row]:
        return _UNIT
    return _PLACES if units.small[MEASURE, row] == BY_PLACE else _PART


@step
def _keep(key: int, best: _Best) -> None:
    """Put a key among the best, in place of the least of them where there is no more room."""
    keys, used = best.keys, best.used[0]
    if used < len(keys):
        place = used
        while place > 0 and keys[(place - 1) // 2] > key:
            keys[place] = keys[(place - 1) // 2]
            place = (place - 1) // 2
        keys[place] = key
        best.used[0] = used + 1
        return
    place, below = 0, 1
    while below < used:
        if below + 1 < used and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= key:
            break
        keys[place] = keys[below]
        place, below = below, 2 * below + 1
    keys[place] = key


@kernel
def _offer(rows: Rows, units: Units, asked: Asked, offers: Wide) -> None:
    """How much of each row is offered, from when until when, and of which kind that is."""
    for place in range(len(rows)):
        row = rows[place]
        quantity = offered(row, units, asked.want)
        offers[0, place] = quantity
        offers[1, place], offers[2, place] = free_from(row, quantity, units, asked)
        offers[3, place] = _kind(row, quantity, units)
