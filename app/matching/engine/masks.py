"""Which hard constraints every unit breaks with its own offer, and which sets occur. Pure.

Almost all rows are judged by passes over columns; those whose verdict takes more are judged once
more, one by one.
"""

from typing import NamedTuple

import numpy as np

from app.matching.columns import NEVER
from app.matching.engine.compiled import kernel, step
from app.matching.engine.kernel import (
    AREA,
    CAPACITY,
    FIRST_FREE,
    MEASURE,
    MIN_PART,
    Asked,
    Bytes,
    Masks,
    Spans,
    Units,
    asked_of,
    days_refused,
    free_from,
    is_enough,
    offered,
    refuse_rows,
    spans_of,
    step_on,
    sums_refused,
    terms_refused,
    units_of,
)
from app.matching.engine.parts import BY_PLACE, UNKNOWN
from app.matching.engine.program import ABSENT, Program
from app.matching.segment import Rows, Truths, Wide

#: Rows that are gone through at a time: their planes stay in the nearest cache.
_BLOCK = 2048
_PLANES = 8
_ABSENT = np.uint64(ABSENT)
_NOTHING = np.uint64(0)
#: Entries of the table of masks, at first.
_TABLE = 1 << 14
_SCATTER = np.uint64(0x9E3779B97F4A7C15)


def violations(program: Program, rows: range | None = None) -> Masks:
    """What every unit breaks with its own offer: one mask for each row of the segment.

    Args:
        program: the demand on the segment.
        rows: consecutive rows, of all that there are if None.

    Returns:
        Compact masks, shape ``(len(rows),)``. ``ABSENT`` is set where the row is not there by the
        window's start; what else is set then means nothing.
    """
    segment = program.segment
    picked = range(len(segment)) if rows is None else rows
    masks: Masks = np.empty(len(picked), dtype=np.uint64)
    units, asked = units_of(segment), asked_of(program)
    buildings = len(segment.buildings.fid) if asked.power_left else 0
    scratch = _Scratch(
        np.empty((_PLANES, _BLOCK), dtype=np.uint8),
        np.empty(_BLOCK, dtype=np.bool_),
        np.full(buildings, -NEVER, dtype=np.int64),
        np.full(buildings, -NEVER, dtype=np.int64),
        np.empty(buildings, dtype=np.int64),
    )
    _bound_power(units, asked.start, scratch)
    _violations(picked.start, units, spans_of(segment), asked, scratch, masks)
    return masks


def distinct(masks: Masks) -> tuple[Masks, Wide, Rows]:
    """The sets of broken constraints that occur, without those of absent rows.

    Returns:
        The masks ascending, how many units have each, and the place of the first that has.
    """
    table = _table(_TABLE)
    place = _count(masks, 0, table)
    while place < len(masks):
        wider = _table(4 * len(table.keys))
        _move(table, wider)
        table = wider
        place = _count(masks, place, table)
    used = np.flatnonzero(table.counts)
    used = used[np.argsort(table.keys[used])]
    return table.keys[used], table.counts[used], table.first[used]


class _Scratch(NamedTuple):
    """What a block is worked out in.

    Attributes:
        planes: bit ``i % 8`` of plane ``i // 8`` is the mask's bit *i*.
        unsure: whether a row needs more than a pass over columns: a part of it is offered, its
            calendar has several steps, or its building's power depends on the days.
        least, most: of each building, what is left of its power on the days when least and when
            most of it is, tenths of kVA; empty where no rule asks.
        place: the step of each building's power on the first day asked for.
    """

    planes: Bytes
    unsure: Truths
    least: Wide
    most: Wide
    place: Wide


@kernel
def _violations(  # noqa: PLR0917  (a kernel's arguments are arrays)
    first: int, units: Units, spans: Spans, asked: Asked, scratch: _Scratch, masks: Masks
) -> None:
    by_quantity = asked.rent_a_year | asked.whole_floor | asked.whole_building
    for test in range(len(asked.sums.bit)):
        by_quantity |= asked.sums.mark[test]
    by_day = asked.availability | asked.power_left
    span = power_span = 0
    for begun in range(0, len(masks), _BLOCK):
        low = first + begun
        block = masks[begun : min(begun + _BLOCK, len(masks))]
        span = _ground_of(span, low, spans, asked.ground, block)
        _eras(low, units, asked, block)
        _intervals(low, units, asked, scratch.planes, block)
        _calendars(low, units, asked, scratch.unsure, block)
        _own_rules(low, units, asked, block)
        if asked.power_left:
            power_span = _power_of(power_span, low, units, spans, asked, scratch, block)
        for i in range(len(block)):
            row = low + i
            if not scratch.unsure[i] or block[i] & _ABSENT:
                continue
            quantity = offered(row, units, asked.want)
            if quantity < units.large[CAPACITY, row]:
                block[i] &= ~by_quantity
                block[i] |= sums_refused(row, quantity, units, asked.sums)
                block[i] |= terms_refused(row, quantity, units, asked)
            if asked.power_left or units.large[FIRST_FREE, row] <= asked.latest:
                first_day, _ = free_from(row, quantity, units, asked)
                block[i] &= ~by_day
                block[i] |= days_refused(row, quantity, first_day, units, asked)


@kernel
def _ground_of(span: int, low: int, spans: Spans, ground: Masks, block: Masks) -> int:
    """Fill a block with what the buildings break; the span in which the next block begins."""
    high = low + len(block)
    row = low
    while row < high:
        while spans.start[span + 1] <= row:
            span += 1
        behind = min(high, spans.start[span + 1])
        block[row - low : behind - low] = ground[spans.building[span]]
        row = behind
    return span


@kernel
def _eras(low: int, units: Units, asked: Asked, block: Masks) -> None:
    if not asked.live.all():
        for i in range(len(block)):
            block[i] |= _NOTHING if asked.live[units.era[low + i]] else _ABSENT


@kernel
def _intervals(low: int, units: Units, asked: Asked, planes: Bytes, block: Masks) -> None:
    """Interval tests on a block of whole units."""
    planes[:] = 0
    used = 0
    for test in range(len(asked.tests.bit)):
        bit = asked.tests.bit[test]
        used = max(used, bit // 8)
        one, plane = np.uint8(1 << (bit % 8)), planes[bit // 8]
        refuse_rows(units, asked.tests, test, low, low + len(block), one, plane)
    for plane in range(used + 1):
        shift = np.uint64(8 * plane)
        for i in range(len(block)):
            block[i] |= np.uint64(planes[plane, i]) << shift


@kernel
def _calendars(low: int, units: Units, asked: Asked, unsure: Truths, block: Masks) -> None:
    """Availability of units of one step that are let whole: the day they first fall free."""
    high = low + len(block)
    days, least = units.large[FIRST_FREE, low:high], units.large[MIN_PART, low:high]
    measure = units.small[MEASURE, low:high]
    begins, ends = units.step_at[low:high], units.step_at[low + 1 : high + 1]
    by_m2, by_place = asked.want.aim > 0, asked.want.places > 0
    # Once the latest start has passed, no day is early enough.
    over = asked.start > asked.latest
    for i in range(len(block)):
        block[i] |= asked.availability if over | (days[i] > asked.latest) else _NOTHING
    for i in range(len(block)):
        divisible = least[i] != UNKNOWN
        parted = divisible & (by_place if measure[i] == BY_PLACE else by_m2)
        # A divisible unit falls free by the part, even where it is let whole.
        unsteady = (ends[i] - begins[i] > 1) | divisible
        unsure[i] = parted | (unsteady & (days[i] <= asked.latest))


@kernel
def _own_rules(low: int, units: Units, asked: Asked, block: Masks) -> None:
    """The year's rent and whole floors and buildings, on a block of whole units."""
    if asked.rent_a_year or asked.whole_floor or asked.whole_building:
        for i in range(len(block)):
            quantity = units.large[CAPACITY, low + i]
            block[i] |= terms_refused(low + i, quantity, units, asked)


@kernel
def _power_of(  # noqa: PLR0917  (a kernel's arguments are arrays)
    span: int, low: int, units: Units, spans: Spans, asked: Asked, scratch: _Scratch, block: Masks
) -> int:
    """Power left for a block of whole units; the span in which the next block begins.

    Units of one step begin on the day that they fall free, or the first that is asked for: the
    building's step on that day is known, and mostly says what every day after it says.
    """
    high = low + len(block)
    row = low
    while row < high:
        while spans.start[span + 1] <= row:
            span += 1
        behind = min(high, spans.start[span + 1])
        building = spans.building[span]
        fed = int(units.power_kva[building])
        begins, ends = units.power_at[building], units.power_at[building + 1]
        least, most = scratch.least[building], scratch.most[building]
        for i in range(row - low, behind - low):
            area = units.large[AREA, low + i]
            if area == UNKNOWN or not is_enough(most, area, asked):
                block[i] |= asked.power_left
                continue
            if is_enough(least, area, asked) or scratch.unsure[i]:
                continue
            first, place = units.large[FIRST_FREE, low + i], units.power_place[low + i]
            if first <= asked.start:
                place = scratch.place[building]
            now = fed - (units.power_used[place] if place >= begins else 0)
            later = fed - (units.power_peak[max(place, begins)] if begins < ends else 0)
            steady = units.step_at[low + i + 1] - units.step_at[low + i] <= 1
            steady &= units.large[MIN_PART, low + i] == UNKNOWN
            if not steady or first == NEVER:
                scratch.unsure[i] = True
            elif not is_enough(now, area, asked):
                block[i] |= asked.power_left
            elif not is_enough(min(now, later), area, asked):
                scratch.unsure[i] = True
        row = behind
    return span


@kernel
def _bound_power(units: Units, start: int, scratch: _Scratch) -> None:
    """What each building has left of its power from a day on, at least and at most."""
    for building in range(len(scratch.least)):
        fed = np.int64(units.power_kva[building])
        if fed == UNKNOWN:
            continue
        low, high = units.power_at[building], units.power_at[building + 1]
        place = step_on(start, low, high, units.power_day)
        scratch.place[building] = place
        # Nothing is promised before the first step.
        least = most = fed - (units.power_used[place] if place >= low else 0)
        for later in range(place + 1, high):
            left = fed - units.power_used[later]
            least, most = min(least, left), max(most, left)
        scratch.least[building], scratch.most[building] = least, most


class _Table(NamedTuple):
    """A hash table of masks; the key of an empty entry is absent, as no counted mask is."""

    keys: Masks
    counts: Wide
    first: Rows


def _table(size: int) -> _Table:
    return _Table(
        np.full(size, _ABSENT), np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    )


@kernel
def _count(masks: Masks, place: int, table: _Table) -> int:
    """Count masks from a place on until the table is half full: the place that was reached."""
    room = len(table.keys) // 2
    for slot in range(len(table.keys)):
        room -= table.counts[slot] > 0
    while place < len(masks) and room > 0:
        mask = masks[place]
        if mask < _ABSENT:
            slot = _slot(mask, table.keys)
            if table.counts[slot] == 0:
                table.keys[slot], table.first[slot] = mask, place
                room -= 1
            table.counts[slot] += 1
        place += 1
    return place


@step
def _slot(mask: np.uint64, keys: Masks) -> int:
    """Where a mask is in the table, or may be put; an odd number scatters neighbouring masks."""
    most = len(keys) - 1
    slot = int((mask * _SCATTER) >> np.uint64(40)) & most
    while keys[slot] != mask and keys[slot] != _ABSENT:
        slot = (slot + 1) & most
    return slot


@kernel
def _move(table: _Table, wider: _Table) -> None:
    for old in range(len(table.keys)):
        if table.counts[old]:
            slot = _slot(table.keys[old], wider.keys)
            wider.keys[slot] = table.keys[old]
            wider.counts[slot] = table.counts[old]
            wider.first[slot] = table.first[old]
