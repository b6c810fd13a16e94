"""When several units are free together, against going through the days one by one."""

import calendar
from datetime import date

import numpy as np
import pytest

from app.matching.columns import NEVER
from app.matching.engine.bundles.find import find_bundles
from app.matching.engine.program import Program
from tests.matching.bundles.worlds import (
    DAY,
    FREE,
    TODAY,
    Steps,
    Unit,
    World,
    eligible_of,
    path,
    program_of,
)


def free_on(steps: Steps, day: int) -> bool:
    """Whether all of a unit is free on a day from today."""
    before = [share for start, share in steps if start <= day]
    return bool(before) and before[-1] == 1.0


def after(day: date, months: int) -> date:
    """The day so many months on, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def day_by_day(calendars: list[Steps], slack: int, months: int) -> tuple[int, int] | None:
    """The first day in time from which all are free for the term, and when they no longer are."""
    horizon = max(start for steps in calendars for start, _ in steps) + 1
    for start in range(slack + 1):
        end = (after(date.fromordinal(DAY + start), months) - TODAY).days
        if all(free_on(steps, day) for steps in calendars for day in range(start, end)):
            days = range(end, horizon + end)
            taken = (day for day in days if not all(free_on(steps, day) for steps in calendars))
            over = next(taken, None)
            return DAY + start, NEVER if over is None else DAY + over
    return None


def random_calendar(rng: np.random.Generator) -> Steps:
    count = int(rng.integers(1, 7))
    days = sorted(int(day) for day in rng.choice(700, count, replace=False))
    return tuple((day, float(rng.choice([1.0, 1.0, 0.5, 0.0]))) for day in days)


def found_days(program: Program, size: int) -> tuple[int, int] | None:
    bundles = find_bundles(program, eligible_of(program))
    for one in bundles.candidates(program.segment):
        if len(one.rows) == size:
            return one.first_day, one.until
    return None


def random_calendars(seed: int) -> tuple[list[Steps], int, int]:
    rng = np.random.default_rng(seed)
    calendars = [random_calendar(rng) for _ in range(rng.integers(2, 5))]
    return calendars, int(rng.integers(0, 700)), int(rng.integers(1, 7))


def of_all(calendars: list[Steps], slack: int, months: int) -> tuple[int, int] | None:
    """What the kernels say of a floor with all these units in a row."""
    units = [Unit(0, free=free) for free in calendars]
    segment = World([(0, 0)], units, path(len(units))).segment
    return found_days(program_of(segment, slack, months), len(units))


@pytest.mark.parametrize("seed", range(150))
def test_common_stretches_are_those_of_going_through_the_days(seed: int) -> None:
    case = random_calendars(seed)

    assert of_all(*case) == day_by_day(*case)


def test_the_random_calendars_have_common_stretches_now_and_later_and_none() -> None:
    found = [day_by_day(*random_calendars(seed)) for seed in range(150)]

    assert sum(one is None for one in found) > 20
    assert sum(one is not None and one[0] > DAY for one in found) > 10
    assert sum(one is not None and one[1] < NEVER for one in found) > 10


def test_the_latest_of_the_first_days_is_told_from_the_common_one() -> None:
    def latest_of_each(calendars: list[Steps], slack: int, months: int) -> tuple[int, int] | None:
        each = [day_by_day([one], slack, months) for one in calendars]
        known = [one for one in each if one is not None]
        if len(known) < len(each):
            return None
        return max(first for first, _ in known), min(until for _, until in known)

    cases = [random_calendars(seed) for seed in range(150)]

    assert any(of_all(*case) != latest_of_each(*case) for case in cases)


def test_two_leases_that_end_in_the_window_make_a_bundle_that_is_not_there_today() -> None:
    calendars: list[Steps] = [((0, 0.0), (40, 1.0)), ((0, 0.0), (90, 1.0), (600, 0.0))]

    assert of_all(calendars, 0, 12) is None
    assert of_all(calendars, 89, 12) is None
    assert of_all(calendars, 90, 12) == (DAY + 90, DAY + 600)


def test_a_part_of_a_unit_that_is_free_makes_no_bundle() -> None:
    assert of_all([FREE, ((0, 0.5),)], 365, 12) is None
