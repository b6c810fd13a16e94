"""What the kernels read of a segment and of a demand, and the smallest of their steps. Pure.

The million rows are gone through in blocks that stay in the processor's nearest cache: one pass of
a block for each test, over one column, so that every pass is a plain loop over cells of one width.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import BY_WIDTH, NEVER, Width
from app.matching.engine.availability import first_stretch, term_end
from app.matching.engine.compiled import kernel, step
from app.matching.engine.parts import (
    BY_PLACE,
    UNBOUNDED,
    UNKNOWN,
    Wanted,
    quantity_offered,
    rent_a_year,
    share,
)
from app.matching.engine.program import SUM, Program, Tests, close, own_of, tests_of
from app.matching.forms import Ground, Own, Special
from app.matching.segment import Cells, Groups, Large, Middle, Rows, Segment, Truths, Wide

Bytes = NDArray[np.uint8]
Masks = NDArray[np.uint64]

_LARGE = BY_WIDTH[Width.LARGE]
_SMALL = BY_WIDTH[Width.SMALL]
CAPACITY = _LARGE.index("capacity")
MIN_PART = _LARGE.index("min_part")
AREA = _LARGE.index("leasable_area_m2")
RENT = _LARGE.index("rent_cny_per_m2_day")
RENT_PLACE = _LARGE.index("rent_cny_per_place_month")
FIRST_FREE = _LARGE.index("first_free")
UNIT_TYPE = _SMALL.index("unit_type")
MEASURE = _SMALL.index("capacity_measure")
KEEPS = _SMALL.index("keeps_lettable_remainder")
_PER_M2_IN_A_TENTH_KVA = 100_000
UNKNOWN_OF_WIDTH = np.array([width.unknown for width in (Width.SMALL, Width.MIDDLE, Width.LARGE)])
_NOBODY = np.zeros(0, dtype=np.int64)


class Spans(NamedTuple):
    """Runs of rows of one kind in one building, as rows are sorted: ``start[i]`` to ``start[i+1]``.

    ``of_kind`` bounds the runs of a kind as ``Groups.of_kind`` does those of groups.
    """

    start: Wide
    building: Large
    of_kind: Wide


class Units(NamedTuple):
    """The arrays of a segment that kernels read; see ``segment.Segment``.

    Attributes:
        power_peak: of each step of ``power_used``, the most of its building from then on.
        power_place: the step in force in each unit's building when the unit first falls free; the
            place before the building's first where none is.
    """

    small: Cells
    middle: Cells
    large: Cells
    floor: Large
    floor_building: Large
    era: Middle
    step_at: Large
    step_day: Large
    step_free: Large
    power_kva: Large
    power_at: Large
    power_day: Large
    power_used: Large
    power_peak: Large
    power_place: Large


_SPANS: WeakKeyDictionary[Groups, Spans] = WeakKeyDictionary()
#: The steps that it is of, peaks and places.
_POWER: WeakKeyDictionary[Groups, tuple[Large, Large, Large]] = WeakKeyDictionary()
#: For the eras that were asked for last: units on each floor and in each building.
_CROWDS: WeakKeyDictionary[Groups, tuple[Truths, Wide, Wide]] = WeakKeyDictionary()


def spans_of(segment: Segment) -> Spans:
    """The runs of a segment, worked out once for it."""
    found = _SPANS.get(segment.groups)
    if found is None:
        found = _SPANS[segment.groups] = _spans(segment)
    return found


def _spans(segment: Segment) -> Spans:
    groups = segment.groups
    building = segment.floors.building[groups.floor]
    begins = np.ones(len(building), dtype=np.bool_)
    begins[1:] = building[1:] != building[:-1]
    begins[groups.of_kind[groups.of_kind < len(building)]] = True
    first = np.flatnonzero(begins)
    return Spans(
        start=np.append(groups.start[first], groups.start[-1]).astype(np.int64),
        building=building[first],
        of_kind=np.searchsorted(first, groups.of_kind).astype(np.int64),
    )


def _power_of(segment: Segment) -> tuple[Large, Large]:
    """Peaks and places of power, worked out once for a segment; see ``Units``."""
    b = segment.buildings
    found = _POWER.get(segment.groups)
    if found is None or found[0] is not b.power_used:
        peak = b.power_used.copy()
        place = np.empty(len(segment), dtype=np.int32)
        first_free = segment.cells[Width.LARGE][FIRST_FREE]
        building = segment.floors.building[segment.floor]
        _note_peaks(b.power_at, peak)
        _note_places(b.power_at, b.power_day, building, first_free, place)
        found = _POWER[segment.groups] = (b.power_used, peak, place)
    return found[1:]


@kernel
def _note_peaks(power_at: Large, peak: Large) -> None:
    for building in range(len(power_at) - 1):
        for place in range(power_at[building + 1] - 2, power_at[building] - 1, -1):
            peak[place] = max(peak[place], peak[place + 1])


@kernel
def _note_places(
    power_at: Large, power_day: Large, building: Large, days: Large, place: Large
) -> None:
    for row in range(len(place)):
        low, high = power_at[building[row]], power_at[building[row] + 1]
        place[row] = step_on(days[row], low, high, power_day)


@step
def step_on(day: int, low: int, high: int, days: Large) -> int:
    """The last of the steps ``low`` to ``high`` that is not after a day; ``low - 1`` if none is."""
    while low < high:
        middle = (low + high) // 2
        if days[middle] <= day:
            low = middle + 1
        else:
            high = middle
    return low - 1


def units_of(segment: Segment) -> Units:
    """The arrays of a segment."""
    b = segment.buildings
    peak, place = _power_of(segment)
    return Units(
        small=segment.cells[Width.SMALL],
        middle=segment.cells[Width.MIDDLE],
        large=segment.cells[Width.LARGE],
        floor=segment.floor,
        floor_building=segment.floors.building,
        era=segment.era,
        step_at=segment.step_at,
        step_day=segment.step_day,
        step_free=segment.step_free,
        power_kva=b.power_kva,
        power_at=b.power_at,
        power_day=b.power_day,
        power_used=b.power_used,
        power_peak=peak,
        power_place=place,
    )


class Checks(NamedTuple):
    """Interval tests as kernels read them: see ``program.Tests``.

    ``adds_up``: it is read on the sum; ``unknown`` is the cell of what is not known, and ``mark``
    has the bit set.
    """

    width: Wide
    row: Wide
    low: Wide
    high: Wide
    or_unknown: Truths
    adds_up: Truths
    unknown: Wide
    bit: Wide
    mark: Masks


class Asked(NamedTuple):
    """A demand as kernels read it: see ``program.Program``.

    Attributes:
        tests: every interval test, each read on all of the unit.
        sums: those of the rules on sums, which read differently on a part.
        availability, rent_a_year, power_left, whole_floor, whole_building: the rules' bits; 0 where
            they are not asked for.
        rent_limit: 分 a year.
        power, power_per_m2: tenths of kVA, and of W/m².
        floor_crowd, building_crowd: how many units are there; empty where nobody asks.
    """

    tests: Checks
    sums: Checks
    want: Wanted
    start: int
    latest: int
    ends: Large
    live: Truths
    ground: Masks
    availability: np.uint64
    rent_a_year: np.uint64
    rent_limit: int
    power_left: np.uint64
    power: int
    power_per_m2: int
    whole_floor: np.uint64
    floor_crowd: Wide
    whole_building: np.uint64
    building_crowd: Wide


def _of_sums(tests: Tests) -> Rows:
    """The tests of the rules that have a test on a sum."""
    bits = set(tests.bit[tests.combining == SUM].tolist())
    return np.array(
        [at for at, bit in enumerate(tests.bit.tolist()) if bit in bits], dtype=np.int64
    )


def checks_of(tests: Tests, picked: Rows) -> Checks:
    """Some of the tests."""
    bit = tests.bit[picked]
    return Checks(
        width=tests.width[picked],
        row=tests.row[picked],
        # Still beyond every cell, and small enough to be multiplied.
        low=np.minimum(tests.low[picked], UNBOUNDED + 1),
        high=np.minimum(tests.high[picked], UNBOUNDED + 1),
        or_unknown=tests.or_unknown[picked],
        adds_up=tests.combining[picked] == SUM,
        unknown=UNKNOWN_OF_WIDTH[tests.width[picked]],
        bit=bit,
        mark=np.left_shift(np.uint64(1), bit.astype(np.uint64)),
    )


def asked_of(program: Program) -> Asked:
    """A program as kernels read it."""
    return _asked(program, program.tests, program.ground, program.own)


def wished_of(program: Program) -> Asked:
    """Its wishes, as if they were asked for; ``ground`` is empty where no building decides any."""
    forms = [form for _, form in program.wishes]
    by_ground = any(isinstance(form, Ground) for form in forms)
    ground = np.zeros(len(program.ground) if by_ground else 0, dtype=np.uint64)
    close(forms, ground)
    return _asked(
        program, tests_of([one for one, _ in program.wishes], forms), ground, own_of(forms)
    )


def _asked(
    program: Program, tests: Tests, ground: Masks, own: Mapping[Own, tuple[int, Special]]
) -> Asked:
    marks = {one: np.uint64(1 << bit) for one, (bit, _) in own.items()}
    nothing = np.uint64(0)
    forms = {one: form for one, (_, form) in own.items()}
    rent = forms.get(Own.RENT_A_YEAR, Special(Own.RENT_A_YEAR))
    power = forms.get(Own.POWER_LEFT, Special(Own.POWER_LEFT))
    floors, buildings = _NOBODY, _NOBODY
    if {Own.WHOLE_FLOOR, Own.WHOLE_BUILDING} & own.keys():
        floors, buildings = crowds(program)
    return Asked(
        tests=checks_of(tests, np.arange(len(tests))),
        sums=checks_of(tests, _of_sums(tests)),
        want=program.wanted,
        start=program.start,
        latest=program.latest,
        ends=program.ends,
        live=program.live,
        ground=ground,
        availability=marks.get(Own.AVAILABILITY, nothing),
        rent_a_year=marks.get(Own.RENT_A_YEAR, nothing),
        rent_limit=rent.limit,
        power_left=marks.get(Own.POWER_LEFT, nothing),
        power=power.limit,
        power_per_m2=power.limit_per_m2,
        whole_floor=marks.get(Own.WHOLE_FLOOR, nothing),
        floor_crowd=floors,
        whole_building=marks.get(Own.WHOLE_BUILDING, nothing),
        building_crowd=buildings,
    )


def crowds(program: Program) -> tuple[Wide, Wide]:
    """How many units are in force on each floor, and in each building, of whatever kind."""
    segment = program.segment
    last = _CROWDS.get(segment.groups)
    if last is None or not np.array_equal(last[0], program.live):
        there = segment.floor[program.live[segment.era]]
        floors = np.bincount(there, minlength=len(segment.floors.fid)).astype(np.int64)
        buildings = np.zeros(len(segment.buildings.fid), dtype=np.int64)
        np.add.at(buildings, segment.floors.building, floors)
        last = _CROWDS[segment.groups] = program.live, floors, buildings
    return last[1], last[2]


@kernel
def bounds(cells: Cells, low: int, high: int) -> Any:
    """The bounds as cells of a column; what no cell can reach becomes an empty interval."""
    info = np.iinfo(cells.dtype)
    if low > info.max or high < low:
        return cells.dtype.type(1), cells.dtype.type(0)
    return cells.dtype.type(max(low, info.min + 1)), cells.dtype.type(min(high, info.max))


@kernel
def refuse(  # noqa: PLR0917  (a kernel's arguments are arrays and bounds)
    cells: Cells, low: int, high: int, or_unknown: bool, bit: np.uint8, plane: Bytes
) -> None:
    """Set a bit of the plane where the cell does not lie within the bounds."""
    least, most = bounds(cells, low, high)
    nothing = np.uint8(0)
    if or_unknown:
        unknown = cells.dtype.type(np.iinfo(cells.dtype).min)
        for i in range(len(cells)):
            outside = ((cells[i] < least) | (cells[i] > most)) & (cells[i] != unknown)
            plane[i] |= bit if outside else nothing
    else:
        for i in range(len(cells)):
            outside = (cells[i] < least) | (cells[i] > most)
            plane[i] |= bit if outside else nothing


@kernel
def refuse_rows(  # noqa: PLR0917  (as above)
    units: Units, checks: Checks, test: int, first: int, behind: int, bit: np.uint8, plane: Bytes
) -> None:
    """One test on the rows from ``first`` up to ``behind``: the plane's first entries."""
    width, row = checks.width[test], checks.row[test]
    low, high, or_unknown = checks.low[test], checks.high[test], checks.or_unknown[test]
    if width == 0:
        refuse(units.small[row, first:behind], low, high, or_unknown, bit, plane)
    elif width == 1:
        refuse(units.middle[row, first:behind], low, high, or_unknown, bit, plane)
    else:
        refuse(units.large[row, first:behind], low, high, or_unknown, bit, plane)


@step
def cell_at(width: int, column: int, row: int, units: Units) -> int:
    """One cell, by the width of its column and the column's place among those."""
    if width == 0:
        return int(units.small[column, row])
    if width == 1:
        return int(units.middle[column, row])
    return int(units.large[column, row])


@step
def offered(row: int, units: Units, want: Wanted) -> int:
    """Hundredths of a unit that are offered."""
    return quantity_offered(
        units.large[CAPACITY, row],
        units.large[MIN_PART, row],
        units.small[MEASURE, row] == BY_PLACE,
        units.small[KEEPS, row] == 1,
        want,
    )


@step
def is_parted(row: int, units: Units, want: Wanted) -> bool:
    """Whether less than all of a unit may be offered."""
    if units.large[MIN_PART, row] == UNKNOWN:
        return False
    if units.small[MEASURE, row] == BY_PLACE:
        return want.places > 0
    return want.aim > 0


@step
def free_from(row: int, quantity: int, units: Units, asked: Asked) -> tuple[int, int]:
    """The first free stretch of so much of a unit: see ``availability.first_stretch``."""
    capacity = units.large[CAPACITY, row]
    least_left = 0
    if quantity < capacity and units.small[KEEPS, row] == 1:
        least_left = units.large[MIN_PART, row]
    return stretch_of(row, quantity, units, asked.start, asked.ends, least_left)


@step
def stretch_of(  # noqa: PLR0917  (as above)
    row: int, need: int, units: Units, start: int, ends: Large, least_left: int
) -> tuple[int, int]:
    """The first free stretch of so much of a unit: see ``availability.first_stretch``."""
    low, high = units.step_at[row], units.step_at[row + 1]
    if low < high:
        days, free = units.step_day, units.step_free
        return first_stretch(days, free, low, high, need, start, ends, least_left)
    # All of it is free from one day on, for ever.
    spare = units.large[CAPACITY, row] - need
    if need <= 0 or spare < 0 or 0 < spare < least_left:
        return NEVER, NEVER
    return max(start, units.large[FIRST_FREE, row]), NEVER


@step
def sums_refused(row: int, quantity: int, units: Units, sums: Checks) -> np.uint64:
    """Bits of the rules on sums that so much of a unit breaks."""
    broken = np.uint64(0)
    capacity = np.int64(units.large[CAPACITY, row])
    for test in range(len(sums.bit)):
        cell = cell_at(sums.width[test], sums.row[test], row, units)
        # A part has its share rounded half up: both sides times the capacity, as division is slow.
        times, half = np.int64(1), np.int64(0)
        if sums.adds_up[test]:
            times, half = capacity, capacity // 2
        taken = cell * quantity + half if times > 1 else cell
        within = (sums.low[test] * times <= taken) & (taken < (sums.high[test] + 1) * times)
        if cell == sums.unknown[test]:
            within = sums.or_unknown[test]
        broken |= sums.mark[test] if not within else np.uint64(0)
    return broken


@step
def terms_refused(row: int, quantity: int, units: Units, asked: Asked) -> np.uint64:
    """Bits of the rules on the year's rent and on having a floor or building to oneself."""
    broken = np.uint64(0)
    is_part = quantity < units.large[CAPACITY, row]
    if asked.rent_a_year:
        rent = rent_of(row, quantity, units)
        if rent < 0 or rent > asked.rent_limit:
            broken |= asked.rent_a_year
    if asked.whole_floor and (is_part or asked.floor_crowd[units.floor[row]] > 1):
        broken |= asked.whole_floor
    if asked.whole_building:
        building = units.floor_building[units.floor[row]]
        if is_part or asked.building_crowd[building] > 1:
            broken |= asked.whole_building
    return broken


@step
def days_refused(row: int, quantity: int, first_day: int, units: Units, asked: Asked) -> np.uint64:
    """Bits of the rules that depend on the days: availability, and the power that is left then."""
    broken = np.uint64(0)
    if first_day > asked.latest:
        broken |= asked.availability
    if asked.power_left and not bears(row, quantity, first_day, units, asked):
        broken |= asked.power_left
    return broken


@step
def rent_of(row: int, quantity: int, units: Units) -> int:
    """The year's rent of so much of a unit, 分; negative where it is not known."""
    return rent_a_year(
        units.large[RENT, row],
        units.large[RENT_PLACE, row],
        units.large[AREA, row],
        quantity,
        units.large[CAPACITY, row],
    )


@step
def bears(row: int, quantity: int, first_day: int, units: Units, asked: Asked) -> bool:
    """Whether a building has the power left, on all days of the term, that a unit in it needs."""
    building = units.floor_building[units.floor[row]]
    fed, area = units.power_kva[building], units.large[AREA, row]
    if min(fed, area) == UNKNOWN:
        return False
    first = asked.latest if first_day == NEVER else first_day
    taken = share(area, quantity, units.large[CAPACITY, row])
    low, high = units.power_at[building], units.power_at[building + 1]
    place = step_on(first, low, high, units.power_day)
    now = units.power_used[place] if place >= low else 0
    if not is_enough(fed - now, taken, asked):
        return False
    ever = units.power_peak[max(place, low)] if low < high else 0
    if is_enough(fed - max(now, ever), taken, asked):
        return True
    used = most_used(building, first, term_end(first, asked.ends), units)
    return bool(is_enough(fed - used, taken, asked))


@step
def least_power(building: int, units: Units, asked: Asked) -> int:
    """What a building has left, tenths of kVA, on the worst day from the window's start on.

    Much less than nothing where it is not known how much it is fed with.
    """
    low, high = units.power_at[building], units.power_at[building + 1]
    place = max(step_on(asked.start, low, high, units.power_day), low)
    most = units.power_peak[place] if low < high else 0
    return int(units.power_kva[building]) - int(most)


@step
def is_enough(left: int, area: int, asked: Asked) -> bool:
    """Whether so many tenths of kVA bear the need of an area; without the division."""
    by_area = asked.power_per_m2 * area <= left * _PER_M2_IN_A_TENTH_KVA
    return bool(by_area & (asked.power <= left))


@step
def most_used(building: int, first: int, over: int, units: Units) -> int:
    """The most of a building's power that is promised on any day from ``first`` before ``over``."""
    most = 0
    low, high = units.power_at[building], units.power_at[building + 1]
    for place in range(low, high):
        ended = place + 1 < high and units.power_day[place + 1] <= first
        if units.power_day[place] < over and not ended:
            most = max(most, units.power_used[place])
    return most
