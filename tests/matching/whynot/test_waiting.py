"""Units that fit but for the days, against the reference's calendars."""

from dataclasses import replace

import numpy as np
import pytest

from app.matching.columns import NEVER
from app.matching.engine.judge import candidate_of
from app.matching.engine.program import ABSENT
from app.matching.engine.whynot import waiting
from app.matching.engine.whynot.histogram import Histogram, Place
from app.matching.engine.whynot.waiting import find_waiting, window_of
from tests.matching.whynot.worlds import make_demand, make_segments, refusals_of

SEEDS = range(12)


def made(seed: int) -> Histogram:
    """A demand of few needs that aims at a small area, so that parts are offered."""
    demand = make_demand(seed, needs=seed % 2)
    hard = {**demand.hard, "min_area_m2": 60.0}
    return refusals_of(make_segments(seed, 400), replace(demand, hard=hard, target_area_m2=None))


def wrong_waits() -> int:
    """In how many worlds the waiting units are not those that the reference finds."""
    wrong = 0
    for seed in SEEDS:
        refusals = made(seed)
        days = {}
        for at, (program, masks) in enumerate(zip(refusals.programs, refusals.rows, strict=True)):
            bit = program.bit("availability")
            assert bit is not None
            for row in range(len(masks)):
                if int(masks[row]) == 1 << bit:
                    days[Place(at, row)] = candidate_of(program, row).first_day
        plain = sorted(days, key=lambda place: (days[place], refusals.order(place)))
        found = find_waiting(refusals, 5)
        wrong += (
            [one.place for one in found.soonest] != plain[:5]
            or [one.first_day for one in found.soonest] != [days[place] for place in plain[:5]]
            or found.units != len(days)
            or found.never != list(days.values()).count(NEVER)
            or dict(found.by_day)
            != {day: list(days.values()).count(day) for day in days.values() if day != NEVER}
        )
    return wrong


def test_those_that_wait_are_those_of_the_reference() -> None:
    assert wrong_waits() == 0
    assert sum(find_waiting(made(seed)).units for seed in SEEDS) > 50


def test_units_that_break_more_than_the_days_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        waiting,
        "rows_opened",
        lambda _program, masks, days: np.flatnonzero(masks & np.uint64(days | ABSENT) == days),
    )
    assert wrong_waits() > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_unit_is_free_when_the_last_spell_before_is_over(seed: int) -> None:
    refusals = made(seed)
    for one in find_waiting(refusals).soonest:
        start, over = window_of(refusals.programs[one.place.segment])
        assert one.spells
        assert all(start <= spell.first_day < spell.until for spell in one.spells)
        assert all(
            before.until < after.first_day or before.taken != after.taken
            for before, after in zip(one.spells, one.spells[1:], strict=False)
        )
        if one.first_day < over:
            assert one.first_day in {spell.until for spell in one.spells}
