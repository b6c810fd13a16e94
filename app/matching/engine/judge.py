"""What fits and what does not, rule by rule, in plain Python: the reference of every kernel. Pure.

The kernels judge millions of units and say which bits are broken; this judges one candidate and
says what it has and by how much, and shares no code with them. How a rule reads on several units,
or on a part of one, is its ``combining``: every unit, the sum, or any one.
"""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from app.matching.columns import (
    COLUMNS,
    MONEY_GRAIN,
    NEVER,
    POWER_GRAIN,
    RENT_DAYS_A_YEAR,
    Width,
    rank_of,
)
from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.engine.program import FIRST_ORDINAL, Program, adds_up
from app.matching.forms import Form, Ground, Interval, Intervals, Own, Special
from app.matching.rules.constraint import Combining, Constraint
from app.matching.segment import Segment

_PLACE = rank_of("capacity_measure", "place")
_UNKNOWN = Width.LARGE.unknown
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


class Finding(NamedTuple):
    """One rule on one candidate.

    Attributes:
        constraint: the rule.
        fits: whether the candidate satisfies it.
        have: what it has, as a person knows it: of several units the sum, or what the unit has
            that decides (the weakest, or of rules that one unit can satisfy for all, the best).
        margin: by how much a known value is better than the need (negative: worse).
    """

    constraint: Constraint
    fits: bool
    have: Any
    margin: float | None


def judge(program: Program, candidate: Candidate) -> tuple[Finding, ...]:
    """Every hard constraint on a candidate, in the table's order."""
    return tuple(
        judge_one(program, constraint, form, program.demand.hard[constraint.key], candidate)
        for constraint, form in zip(program.active, program.forms, strict=True)
    )


def judge_wishes(program: Program, candidate: Candidate) -> tuple[Finding, ...]:
    """Every soft constraint on a candidate, in the table's order."""
    return tuple(
        judge_one(program, constraint, form, program.demand.soft[constraint.key], candidate)
        for constraint, form in program.wishes
    )


def broken(program: Program, candidate: Candidate) -> int:
    """The mask of the hard constraints that a candidate breaks."""
    return sum(
        1 << bit
        for bit, (constraint, form) in enumerate(zip(program.active, program.forms, strict=True))
        if not holds(program, constraint, form, candidate)
    )


def is_absent(program: Program, row: int) -> bool:
    """Whether a row is not there: another row is the unit by then, or a newer segment has it."""
    segment = program.segment
    era = segment.era[row]
    in_force = segment.era_from[era] <= program.start < segment.era_until[era]
    return not in_force or bool(segment.buildings.stale[segment.building_of(row)])


def candidate_of(program: Program, row: int) -> Candidate:
    """What a unit offers by itself."""
    capacity = program.segment.cell("capacity", row)
    quantity = _quantity_of(program, row)
    first_day, until = stretch_of(program, (row,), (quantity,))
    kind = CandidateKind.UNIT
    if quantity < capacity:
        by_place = program.segment.cell("capacity_measure", row) == _PLACE
        kind = CandidateKind.PLACES if by_place else CandidateKind.PART
    return Candidate(kind, (row,), (quantity,), first_day, until)


def stretch_of(program: Program, rows: Sequence[int], quantities: Sequence[int]) -> tuple[int, int]:
    """The first days on which so much of all these units is free for the whole term.

    Returns:
        The first day, and the first day on which it is over, as in ``Candidate``.
    """
    segment = program.segment
    calendars = [
        _open_days(segment, row, quantity) for row, quantity in zip(rows, quantities, strict=True)
    ]
    changes = sorted({day for calendar in calendars for day in calendar} | {program.start})
    days = [day for day in changes if day >= program.start]
    free = [all(_at(calendar, day) for calendar in calendars) for day in days]
    begun: int | None = None
    for day, is_free in [*zip(days, free, strict=True), (NEVER, False)]:
        if is_free and begun is None:
            begun = day
        elif not is_free and begun is not None:
            if day == NEVER or day >= _term_end(program, begun):
                return begun, day
            begun = None
    return NEVER, NEVER


def judge_one(
    program: Program, constraint: Constraint, form: Form, need: Any, candidate: Candidate
) -> Finding:
    """One rule, hard or soft, on a candidate."""
    if isinstance(form, Special):
        if form.own is Own.POWER_LEFT:
            have, margin = _power(program, form, candidate)
            return Finding(constraint, margin is not None and margin >= 0, have, margin)
        fits, have = _own_holds(program, form, candidate), _own_have(program, form, candidate)
        return Finding(constraint, fits, have, _margin(constraint, have, need))
    total = _total_of(program, constraint, form, candidate)
    if total is not None:
        fits, have = holds(program, constraint, form, candidate), total[0]
        return Finding(constraint, fits, have, _margin(constraint, have, need))
    members = [_member(program, constraint, form, need, row) for row in candidate.rows]
    if len(members) == 1:
        return members[0]
    # What is not judged on the sum is met by all of them, or by one.
    of_any = constraint.combining is Combining.ANY
    met = [one.fits for one in members]
    deciding = (max if of_any else min)(members, key=_how_well)
    return Finding(constraint, any(met) if of_any else all(met), deciding.have, deciding.margin)


def holds(program: Program, constraint: Constraint, form: Form, candidate: Candidate) -> bool:
    """Whether a candidate satisfies a rule."""
    match form:
        case Interval():
            return _within(program.segment, (form,), constraint.combining, candidate)
        case Intervals():
            return _within(program.segment, form.all_of, constraint.combining, candidate)
        case Ground():
            truths = [bool(form.ok[place]) for place in _buildings(program, candidate)]
            return any(truths) if constraint.combining is Combining.ANY else all(truths)
        case Special():
            return _own_holds(program, form, candidate)


def _within(
    segment: Segment, tests: Sequence[Interval], combining: Combining, candidate: Candidate
) -> bool:
    if combining is Combining.ANY:
        return any(_meets(segment, tests, row) for row in candidate.rows)
    if combining is Combining.PER_UNIT:
        return all(_meets(segment, tests, row) for row in candidate.rows)
    for one in tests:
        if adds_up(COLUMNS[one.column]):
            if not _lies_within(one, total_cell(segment, one.column, candidate)):
                return False
        elif not all(_meets(segment, (one,), row) for row in candidate.rows):
            return False
    return True


def _meets(segment: Segment, tests: Sequence[Interval], row: int) -> bool:
    """Whether a unit by itself meets some tests."""
    for one in tests:  # noqa: SIM110  (all() takes twice as long)
        if not _lies_within(one, segment.cell(one.column, row)):
            return False
    return True


def _lies_within(test: Interval, cell: int) -> bool:
    if cell == COLUMNS[test.column].width.unknown:
        return test.or_unknown
    return test.low <= cell <= test.high


def total_cell(segment: Segment, column: str, candidate: Candidate) -> int:
    """The sum of what is taken of a column; unknown where that of one unit is."""
    cells = [
        _taken(segment, column, row, quantity)
        for row, quantity in zip(candidate.rows, candidate.quantities, strict=True)
    ]
    unknown = COLUMNS[column].width.unknown
    return unknown if unknown in cells else sum(cells)


def _taken(segment: Segment, column: str, row: int, quantity: int) -> int:
    """What is taken of a column with so much of a unit, half of a grain rounded up."""
    cell, capacity = segment.cell(column, row), segment.cell("capacity", row)
    if column == "capacity":
        return quantity
    if cell == COLUMNS[column].width.unknown or quantity == capacity:
        return cell
    return (2 * cell * quantity + capacity) // (2 * capacity)


def _own_holds(program: Program, form: Special, candidate: Candidate) -> bool:
    match form.own:
        case Own.AVAILABILITY:
            return candidate.first_day <= program.latest
        case Own.WHOLE_FLOOR | Own.WHOLE_BUILDING:
            return _crowd(program, form, candidate) == len(candidate.rows) and all(
                quantity == program.segment.cell("capacity", row)
                for row, quantity in zip(candidate.rows, candidate.quantities, strict=True)
            )
        case Own.RENT_A_YEAR:
            rent = rent_of_year(program.segment, candidate)
            return rent is not None and rent <= form.limit
        case Own.POWER_LEFT:
            _, margin = _power(program, form, candidate)
            return margin is not None and margin >= 0


def _own_have(program: Program, form: Special, candidate: Candidate) -> Any:
    match form.own:
        case Own.AVAILABILITY:
            day = candidate.first_day
            return None if day == NEVER else date.fromordinal(day)
        case Own.WHOLE_FLOOR | Own.WHOLE_BUILDING:
            return _crowd(program, form, candidate)
        case Own.RENT_A_YEAR:
            rent = rent_of_year(program.segment, candidate)
            return None if rent is None else rent / MONEY_GRAIN
        case Own.POWER_LEFT:
            return _power(program, form, candidate)[0]


def rent_of_year(segment: Segment, candidate: Candidate) -> int | None:
    """The rent of a year, 分; None where that of a unit is not known."""
    total = 0
    for row, quantity in zip(candidate.rows, candidate.quantities, strict=True):
        capacity = segment.cell("capacity", row)
        by_place = segment.cell("rent_cny_per_place_month", row)
        by_m2, area = (
            segment.cell(name, row) for name in ("rent_cny_per_m2_day", "leasable_area_m2")
        )
        if by_place != _UNKNOWN:
            total += _half_up(by_place * quantity * 12, 100)
        elif _UNKNOWN not in (by_m2, area):
            total += _half_up(by_m2 * area * RENT_DAYS_A_YEAR * quantity, capacity * 10_000)
        else:
            return None
    return total


def power_left(program: Program, building: int, first_day: int) -> int | None:
    """Tenths of kVA that a building has left on every day of the term; None where not recorded.

    A candidate that is never free is judged over the term that begins on the latest start.
    """
    b = program.segment.buildings
    fed = int(b.power_kva[building])
    if fed == _UNKNOWN:
        return None
    first = program.latest if first_day == NEVER else first_day
    over = _term_end(program, first)
    used = 0
    low, high = int(b.power_at[building]), int(b.power_at[building + 1])
    for place in range(low, high):
        until = int(b.power_day[place + 1]) if place + 1 < high else NEVER
        if b.power_day[place] < over and until > first:
            used = max(used, int(b.power_used[place]))
    return fed - used


def _power(
    program: Program, form: Special, candidate: Candidate
) -> tuple[float | None, float | None]:
    """How many kVA are left, and by how many that exceeds what is needed, where it is tightest."""
    places = _buildings(program, candidate)
    left = {place: power_left(program, place, candidate.first_day) for place in places}
    known = [one for one in left.values() if one is not None]
    have = sum(known) / POWER_GRAIN if len(known) == len(left) else None
    spare = []
    for place in places:
        inside = [
            (row, quantity)
            for row, quantity in zip(candidate.rows, candidate.quantities, strict=True)
            if program.segment.building_of(row) == place
        ]
        areas = [_taken(program.segment, "leasable_area_m2", *one) for one in inside]
        remaining = left[place]
        if remaining is None or _UNKNOWN in areas:
            return have, None
        # Tenths of W/m² times hundredths of m² are 10⁻⁵ of the tenths of kVA asked for.
        spare.append(remaining + (-form.limit_per_m2 * sum(areas)) // 100_000)
    return have, min(*spare, sum(known) - form.limit) / POWER_GRAIN


def _crowd(program: Program, form: Special, candidate: Candidate) -> int:
    """How many units there are on the candidate's floors, or in its buildings."""
    segment, groups = program.segment, program.segment.groups
    if form.own is Own.WHOLE_FLOOR:
        first = np.unique(segment.floor[list(candidate.rows)]).astype(np.int64)
        behind = first + 1
    else:
        places, buildings = _buildings(program, candidate), segment.floors.building
        first, behind = (np.searchsorted(buildings, places, side=side) for side in _SIDES)
    count = 0
    for low, high in pairwise(groups.of_kind.tolist()):
        # Of a kind, the groups go floor by floor.
        floors = groups.floor[low:high]
        begins = groups.start[low + np.searchsorted(floors, first)].tolist()
        ends = groups.start[low + np.searchsorted(floors, behind)].tolist()
        for span in zip(begins, ends, strict=True):
            count += sum(not is_absent(program, row) for row in range(*span))
    return count


def _total_of(
    program: Program, constraint: Constraint, form: Form, candidate: Candidate
) -> tuple[Any] | None:
    """What is had in all, of a rule on a sum; None where the rule is none, or the unit is whole."""
    segment = program.segment
    if constraint.combining is not Combining.SUM or not isinstance(form, Interval | Intervals):
        return None
    tests = (form,) if isinstance(form, Interval) else form.all_of
    column = next((one.column for one in tests if adds_up(COLUMNS[one.column])), None)
    if column is None or candidate.kind is CandidateKind.UNIT:
        return None
    total = total_cell(segment, column, candidate)
    others = tuple(one for one in tests if not adds_up(COLUMNS[one.column]))
    counts = _within(segment, others, Combining.PER_UNIT, candidate)
    if not counts or total == COLUMNS[column].width.unknown:
        return (None,)
    return (total / COLUMNS[column].grain,)


def _member(
    program: Program,
    constraint: Constraint,
    form: Interval | Intervals | Ground,
    need: Any,
    row: int,
) -> Finding:
    """One rule on all of a unit."""
    segment = program.segment
    match form:
        case Interval():
            fits = _meets(segment, (form,), row)
        case Intervals():
            fits = _meets(segment, form.all_of, row)
        case Ground():
            fits = bool(form.ok[segment.building_of(row)])
    have = constraint.has(segment, row, need)
    return Finding(constraint, fits, have, _margin(constraint, have, need))


def _how_well(finding: Finding) -> tuple[bool, bool, float]:
    """Units that break a rule come before those that keep it, unknown ones first of all."""
    margin = finding.margin
    return finding.fits, finding.have is not None, 0.0 if margin is None else margin


def _margin(constraint: Constraint, have: Any, need: Any) -> float | None:
    return None if have is None else constraint.margin(have, need)


def _buildings(program: Program, candidate: Candidate) -> list[int]:
    return sorted({program.segment.building_of(row) for row in candidate.rows})


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _term_end(program: Program, first_day: int) -> int:
    """The first day after a term; it is never over where it begins past the table of days."""
    place = first_day - FIRST_ORDINAL
    return int(program.ends[place]) if place < len(program.ends) else NEVER


def _quantity_of(program: Program, row: int) -> int:
    """How much of a unit is offered: see ``parts``."""
    segment, want = program.segment, program.wanted
    capacity, least = (segment.cell(name, row) for name in ("capacity", "min_part"))
    by_place = segment.cell("capacity_measure", row) == _PLACE
    asked = want.places if by_place else want.aim
    if least == _UNKNOWN or not asked:
        return capacity
    low = max(least, want.places if by_place else want.low)
    high = capacity if by_place else min(capacity, want.high)
    if low > high:
        return capacity
    nearest = sorted((low, asked, high))[1]
    if _may_leave(segment, row, capacity - nearest):
        return nearest
    return capacity - least if low <= capacity - least else capacity


def _may_leave(segment: Segment, row: int, rest: int) -> bool:
    """Whether so much may stay free beyond what is taken."""
    least = segment.cell("min_part", row)
    keeps = least != _UNKNOWN and segment.cell("keeps_lettable_remainder", row) == 1
    return rest == 0 or (rest > 0 and (not keeps or rest >= least))


def _open_days(segment: Segment, row: int, quantity: int) -> dict[int, bool]:
    """By the days on which the unit's calendar changes: whether so much can be had from then on."""
    return {
        day: quantity > 0 and _may_leave(segment, row, free - quantity)
        for day, free in segment.calendar(row)
    }


def _at(calendar: dict[int, bool], day: int) -> bool:
    before = [change for change in calendar if change <= day]
    return bool(before) and calendar[max(before)]
