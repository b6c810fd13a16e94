"""A program made ready for bundles: which units may be members, and what is asked of them. Pure.

A unit may be a member if it is there, breaks no rule that every unit must satisfy, and all of it is
free for a whole term that begins in time: units of a bundle are taken whole. What the rules on sums
bound is added up over the members, rent of a year included; a unit of which such a number is not
known makes every sum unknown, and so is no member.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.matching.columns import BY_WIDTH, COLUMNS, rank_of
from app.matching.engine.bundles.kernel import Asked, Grounds, Masks64, Members
from app.matching.engine.compiled import kernel, step
from app.matching.engine.kernel import (
    AREA,
    CAPACITY,
    RENT,
    RENT_PLACE,
    Units,
    stretch_of,
    units_of,
)
from app.matching.engine.parts import rent_a_year
from app.matching.engine.program import PER_UNIT, SUM, Program
from app.matching.forms import Ground, Own, Special
from app.matching.rules.constraint import Combining
from app.matching.segment import Cells, Large, Middle, Rows, Truths, Wide

_WIDTHS = tuple(BY_WIDTH)
_AREA = "leasable_area_m2"
_RENT = "rent a year"
#: More than any sum.
_MOST = np.iinfo(np.int64).max


class AllUnits(NamedTuple):
    """The groups of a segment, and which of their rows are there: see ``Groups``, ``Program``."""

    start: Large
    floor: Large
    of_kind: Large
    era: Middle
    live: Truths


class _Places(NamedTuple):
    """Each unit's floor, and each floor's building and level."""

    floor: Large
    building: Large
    level: Middle


def make_members(program: Program, eligible: Truths) -> tuple[Members, Asked]:
    """The members among the eligible, and what is asked of them together.

    Args:
        program: the demand on a segment.
        eligible: as in ``find_bundles``.
    """
    segment = program.segment
    units = units_of(segment)
    bounds = _bounds(program)
    rows = program.kind_rows[0] + np.flatnonzero(eligible)
    rows = rows[_near_others(program, rows, bounds[_AREA])]
    rows = rows[_passes(program, _of_each_in_a_sum(program), rows)]
    stretches = np.empty((2, len(rows)), dtype=np.int32)
    _stretches(rows, units, program.start, program.ends, stretches)
    in_time = stretches[0] <= program.latest
    rows, stretches = rows[in_time], stretches[:, in_time]
    sums = _sums(program, units, rows, bounds)
    known = (sums >= 0).all(axis=0)
    if not known.all():
        rows, stretches = rows[known], stretches[:, known]
        sums = np.ascontiguousarray(sums[:, known])
    before = np.zeros((len(sums), len(rows) + 1), dtype=np.int64)
    np.cumsum(sums, axis=1, out=before[:, 1:])
    any_bits = _bits_of_any(program)
    members = Members(
        row=rows.astype(np.int32),
        near=segment.neighbours_of(rows),
        whole=units.large[CAPACITY, rows],
        first_day=np.ascontiguousarray(stretches[0]),
        until=np.ascontiguousarray(stretches[1]),
        sums=sums,
        before=before,
        any_of=_any_of(program, any_bits, rows),
        step_at=segment.step_at,
        step_day=segment.step_day,
        step_free=segment.step_free,
    )
    low, high = np.array(list(bounds.values()), dtype=np.int64).T.copy()
    return members, _asked(program, low, high, any_bits)


def _near_others(program: Program, rows: Rows, area: tuple[int, int]) -> Truths:
    """Which of the rows have others on their floor, or next to it, that they could go with.

    Most have none, and are worth no more looking at: a bundle is of one floor, and then two of them
    are not too much and all of them enough, or it has a whole floor in it, and what is not whole
    lies next to that.
    """
    segment = program.segment
    passed = np.zeros(len(rows), dtype=np.bool_)
    if len(rows):
        places = _Places(segment.floor, segment.floors.building, segment.floors.level_index)
        cells = segment.column(_AREA)
        _mark_near(rows, places, cells, segment.era, program.live, area, passed)
    return passed


def _asked(program: Program, low: Wide, high: Wide, any_bits: Sequence[int]) -> Asked:
    buildings = program.segment.buildings
    power = program.own.get(Own.POWER_LEFT, (0, Special(Own.POWER_LEFT, -1, -1)))[1]
    aim = program.demand.target_area_m2
    # Below a bound above, more of it may always be better; without one, only up to the aim.
    enough = int(high[0]) if high[0] < _MOST else 0 if aim is None else COLUMNS[_AREA].cell(aim)
    return Asked(
        low=low,
        high=high,
        any_of=np.uint64(sum(1 << bit for bit in any_bits)),
        enough_m2=enough,
        start=program.start,
        latest=program.latest,
        ends=program.ends,
        power=power.limit,
        power_per_m2=power.limit_per_m2,
        power_kva=buildings.power_kva,
        power_at=buildings.power_at,
        power_day=buildings.power_day,
        power_used=buildings.power_used,
        whole_floors=Own.WHOLE_FLOOR in program.own,
        whole_buildings=Own.WHOLE_BUILDING in program.own,
    )


def _bounds(program: Program) -> dict[str, tuple[int, int]]:
    """Lowest and highest sums by what is added up: the area first, then the other columns."""
    tests = program.tests
    bounds: dict[str, tuple[int, int]] = {_AREA: (0, _MOST)}
    for test in np.flatnonzero(tests.combining == SUM):
        if tests.or_unknown[test]:
            raise ValueError("a sum with something unknown in it cannot be let pass")
        name = BY_WIDTH[_WIDTHS[tests.width[test]]][tests.row[test]]
        low, high = bounds.get(name, (0, _MOST))
        bounds[name] = max(low, int(tests.low[test])), min(high, int(tests.high[test]))
    if Own.RENT_A_YEAR in program.own:
        bounds[_RENT] = 0, program.own[Own.RENT_A_YEAR][1].limit
    return bounds


def _sums(
    program: Program, units: Units, rows: Rows, bounds: Mapping[str, tuple[int, int]]
) -> Wide:
    """What each row adds to each of what is bounded."""
    cells = np.empty((len(bounds), len(rows)), dtype=np.int64)
    for place, name in enumerate(bounds):
        if name == _RENT:
            _rents(rows, units, cells[place])
        else:
            cells[place] = program.segment.column(name)[rows]
    if bounds[_AREA] == (0, _MOST) and Own.POWER_LEFT not in program.own:
        # Nobody asks, so that it need not be known.
        np.maximum(cells[0], 0, out=cells[0])
    return cells


def _bits_of_any(program: Program) -> tuple[int, ...]:
    return tuple(bit for bit, one in enumerate(program.active) if one.combining is Combining.ANY)


def _any_of(program: Program, any_bits: Sequence[int], rows: Rows) -> Masks64:
    """Bits of the rules of any that each row meets."""
    segment = program.segment
    met = np.zeros(len(rows), dtype=np.uint64)
    for bit in any_bits:
        form = program.forms[bit]
        if isinstance(form, Ground):
            truths = form.ok[segment.floors.building[segment.floor[rows]]]
        else:
            truths = _passes(program, np.flatnonzero(program.tests.bit == bit), rows)
        met |= truths.astype(np.uint64) << np.uint64(bit)
    return met


def _of_each_in_a_sum(program: Program) -> Rows:
    """The tests that each unit must pass for rules on sums: places add up, m² with them do not."""
    tests = program.tests
    summed = np.array([one.combining is Combining.SUM for one in program.active])
    return np.flatnonzero((tests.combining == PER_UNIT) & summed[tests.bit])


def _passes(program: Program, tests: Rows, rows: Rows) -> Truths:
    """Which rows pass all of some interval tests."""
    every, segment = program.tests, program.segment
    passed = np.ones(len(rows), dtype=np.bool_)
    for test in tests:
        width = _WIDTHS[every.width[test]]
        cells = segment.cells[width][every.row[test]][rows]
        within = (cells >= every.low[test]) & (cells <= every.high[test])
        passed &= within | (every.or_unknown[test] & (cells == width.unknown))
    return passed


def make_grounds(program: Program, members: Members) -> Grounds:
    """Where the members are."""
    segment = program.segment
    groups, floors = segment.groups, segment.floors
    floor = segment.floor[members.row]
    begins = np.flatnonzero(np.diff(floor, prepend=-1))
    at = np.append(begins, len(floor)).astype(np.int32)
    floor = floor[begins]
    kind = rank_of("unit_type", program.demand.hard["unit_type"])
    low, high = groups.of_kind[kind], groups.of_kind[kind + 1]
    group = (low + np.searchsorted(groups.floor[low:high], floor)).astype(np.int32)
    all_units = AllUnits(groups.start, groups.floor, groups.of_kind, segment.era, program.live)
    present, of_building = np.zeros((2, len(group)), dtype=np.int32)
    is_whole = np.zeros(len(group), dtype=np.bool_)
    _presence(group, at, all_units, present, is_whole)
    building = floors.building[floor]
    if Own.WHOLE_BUILDING in program.own:
        _in_buildings(building, floors.building, all_units, of_building)
    return Grounds(
        at=at,
        start=groups.start[group],
        building=building,
        level=floors.level_index[floor],
        present=present,
        is_whole=is_whole,
        of_building=of_building,
    )


@kernel
def _mark_near(  # noqa: PLR0917  (a kernel's arguments are arrays)
    rows: Rows,
    places: _Places,
    areas: Cells,
    era: Middle,
    live: Truths,
    area: tuple[int, int],
    passed: Truths,
) -> None:
    """See ``_near_others``; rows of one floor follow each other, and floors from the lowest up."""
    below, below_from, is_whole_below = -1, 0, False
    first = 0
    while first < len(rows):
        floor = places.floor[rows[first]]
        behind, total, least, next_least = first, 0, _MOST, _MOST
        while behind < len(rows) and places.floor[rows[behind]] == floor:
            # What is not known could be anything.
            own = max(int(areas[rows[behind]]), 0)
            total += own
            if own < least:
                least, next_least = own, least
            elif own < next_least:
                next_least = own
            behind += 1
        is_whole = behind - first == _there(rows[first], places.floor, era, live)
        has_part = behind - first > 1 and area[0] <= total and least <= area[1] - next_least
        is_next = (
            below >= 0
            and places.building[below] == places.building[floor]
            and places.level[below] + 1 == places.level[floor]
        )
        if is_whole or has_part or (is_next and is_whole_below):
            passed[first:behind] = True
        if is_next and is_whole:
            passed[below_from:first] = True
        below, below_from, is_whole_below = floor, first, is_whole
        first = behind


@step
def _there(row: int, floors: Large, era: Middle, live: Truths) -> int:
    """How many rows on the floor of one and of its kind, from it on, and those before it."""
    floor, count = floors[row], 0
    place = row
    while place < len(floors) and floors[place] == floor:
        count += int(live[era[place]])
        place += 1
    place = row - 1
    while place >= 0 and floors[place] == floor:
        count += int(live[era[place]])
        place -= 1
    return count


@kernel
def _stretches(rows: Rows, units: Units, start: int, ends: Large, stretches: Large) -> None:
    """The first stretch that each row is wholly free and that holds the term, shape (2, n_rows)."""
    for place in range(len(rows)):
        row = rows[place]
        stretches[0, place], stretches[1, place] = stretch_of(
            row, units.large[CAPACITY, row], units, start, ends, 0
        )


@kernel
def _rents(rows: Rows, units: Units, rents: Wide) -> None:
    """The rent of a year of each of the rows, 分; -1 where it is not known."""
    for place in range(len(rows)):
        by_m2, by_place = units.large[RENT, rows[place]], units.large[RENT_PLACE, rows[place]]
        area, whole = units.large[AREA, rows[place]], units.large[CAPACITY, rows[place]]
        rents[place] = rent_a_year(by_m2, by_place, area, whole, whole)


@kernel
def _present(group: int, units: AllUnits) -> int:
    """How many units of a group there are."""
    count = 0
    for row in range(units.start[group], units.start[group + 1]):
        count += units.live[units.era[row]]
    return count


@kernel
def _presence(groups: Large, at: Large, units: AllUnits, present: Large, is_whole: Truths) -> None:
    """How many units of each of some groups there are, and whether their floors are all members."""
    for place in range(len(groups)):
        group = groups[place]
        present[place] = _present(group, units)
        if present[place] == at[place + 1] - at[place]:
            floor = units.floor[group]
            is_whole[place] = _on_floors(floor, floor + 1, units) == present[place]


@kernel
def _on_floors(first: int, last: int, units: AllUnits) -> int:
    """How many units of every kind there are on the floors from one up to another."""
    count = 0
    for kind in range(len(units.of_kind) - 1):
        low, high = units.of_kind[kind], units.of_kind[kind + 1]
        group = low + np.searchsorted(units.floor[low:high], first)
        while group < high and units.floor[group] < last:
            count += _present(group, units)
            group += 1
    return count


@kernel
def _in_buildings(buildings: Large, building_of: Large, units: AllUnits, counts: Large) -> None:
    """How many units of every kind there are in each of some buildings, which ascend."""
    for place in range(len(buildings)):
        if place > 0 and buildings[place] == buildings[place - 1]:
            counts[place] = counts[place - 1]
        else:
            first = np.searchsorted(building_of, buildings[place])
            last = np.searchsorted(building_of, buildings[place] + 1)
            counts[place] = _on_floors(first, last, units)
