"""Every claim about giving way is solved again by the reference, on made-up worlds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.matching.engine.kernel import asked_of, units_of
from app.matching.engine.masks import violations
from app.matching.engine.whynot import amounts, relaxations
from app.matching.engine.whynot.amounts import Amounts, find_amounts, smallest
from app.matching.engine.whynot.histogram import Histogram
from app.matching.engine.whynot.relaxations import find_relaxations
from app.matching.engine.whynot.rows import count_fitting, rows_opened, rows_within
from app.matching.rules.demand import Demand
from app.matching.segment import Segment
from tests.matching.whynot.worlds import (
    fitting,
    make_demand,
    make_places_demand,
    make_segments,
    refusals_of,
)

SEEDS = range(12)


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    made: int = request.param
    return made


@pytest.fixture
def segments(seed: int) -> tuple[Segment, Segment]:
    return make_segments(seed)


@pytest.fixture
def refusals(seed: int, segments: tuple[Segment, Segment]) -> Histogram:
    return refusals_of(segments, make_demand(seed))


def test_giving_way_opens_what_is_claimed_and_keeping_any_need_does_not(
    seed: int, segments: tuple[Segment, Segment], refusals: Histogram
) -> None:
    demand = refusals.programs[0].demand
    now = fitting(segments, demand, frozenset())
    assert refusals.feasible == now
    at_least = now + (1, 4)[seed % 2]

    found = find_relaxations(refusals, at_least=at_least, named=4)

    assert found.at_least == at_least
    for one in found.cheapest:
        keys = frozenset(constraint.key for constraint in one.constraints)
        assert not any(constraint.never_relax for constraint in one.constraints)
        assert fitting(segments, demand, keys) == now + one.opens >= at_least
        for kept in keys:
            assert fitting(segments, demand, keys - {kept}) < at_least


@pytest.mark.parametrize("wanted", [1, 5])
def test_amounts_open_what_is_claimed_and_taking_one_back_does_not(
    segments: tuple[Segment, Segment], refusals: Histogram, wanted: int
) -> None:
    now = refusals.feasible
    found = find_relaxations(refusals, at_least=now + wanted, named=3)
    for one in found.cheapest:
        told = find_amounts(refusals, one, wanted)

        assert solved(segments, told) == now + told.opens >= now + wanted
        for change in told.changes:
            assert solved_but(segments, told, change.constraint.key, change.need) < now + wanted


def test_amounts_are_said_in_full(refusals: Histogram) -> None:
    for one in find_relaxations(refusals, at_least=refusals.feasible + 1).cheapest:
        for change in find_amounts(refusals, one).changes:
            if isinstance(change.give, float):
                assert change.give == round(change.give, 2)


def solved(segments: Sequence[Segment], told: Amounts) -> int:
    return fitting(segments, told.demand, told.waived)


def solved_but(segments: tuple[Segment, Segment], told: Amounts, key: str, need: Any) -> int:
    """With one need as it was."""
    back = told.demand.hard[key] if key in told.waived else need
    hard = {**told.demand.hard, key: back}
    window = back if key == "availability" else told.demand.window
    demand = replace(told.demand, hard=hard, window=window)
    return fitting(segments, demand, told.waived - {key})


def test_more_units_need_no_smaller_amounts(refusals: Histogram) -> None:
    for one in find_relaxations(refusals, at_least=refusals.feasible + 1).cheapest:
        opened = [find_amounts(refusals, one, wanted).opens for wanted in (1, 3, 10**6)]
        assert 1 <= opened[0] <= opened[1] <= opened[2] == one.opens


def test_as_many_rows_fit_again_as_of_all_rows(refusals: Histogram) -> None:
    rng = np.random.default_rng(0)
    for program, masks in zip(refusals.programs, refusals.rows, strict=True):
        units, asked = units_of(program.segment), asked_of(program)
        again = violations(program)
        for waived in rng.integers(0, 1 << len(program.active), size=40, dtype=np.uint64):
            # Nearly all bits waived, so that there are rows to be counted.
            waived |= np.uint64(int(rng.integers(0, 1 << len(program.active))))  # noqa: PLW2901
            rows = np.flatnonzero(rng.random(len(masks)) < 0.5)
            expected = np.count_nonzero(again[rows] & ~waived == 0)
            assert count_fitting(rows, waived, units, asked) == expected


def test_rows_that_a_set_opens_are_found_among_those_of_the_kind(refusals: Histogram) -> None:
    for program, masks in zip(refusals.programs, refusals.rows, strict=True):
        for bit in range(len(program.active)):
            for waived in (1 << bit, (1 << len(program.active)) - 1 - (1 << bit)):
                expected = np.flatnonzero((masks != 0) & (masks & ~np.uint64(waived) == 0))
                assert rows_opened(program, masks, waived).tolist() == expected.tolist()


def test_smallest_takes_the_first_by_every_key() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        keys = [rng.integers(0, 4, size=30).astype(float) for _ in range(2)]
        count = int(rng.integers(1, 31))
        expected = np.lexsort((np.arange(30), keys[1], keys[0]))[:count]
        assert sorted(smallest(count, *keys)) == sorted(expected)


def test_rooms_that_offer_fewer_places_fit_for_that_alone() -> None:
    assert wrong_claims(rooms()) == 0


# ---- control arms: what is broken is found out ---------------------------------------------------


def rooms() -> list[tuple[Sequence[Segment], Demand]]:
    """Rooms let by the place, a budget, and more places wanted than it pays for."""
    return [(make_segments(seed, 600), make_places_demand()) for seed in range(3)]


def wrong_claims(worlds: Sequence[tuple[Sequence[Segment], Demand]]) -> int:
    """In how many worlds the reference contradicts what amounts are claimed to open."""
    wrong = 0
    for segments, demand in worlds:
        refusals = refusals_of(segments, demand)
        now = refusals.feasible
        told = [
            find_amounts(refusals, one, 1)
            for one in find_relaxations(refusals, at_least=now + 1, named=3).cheapest
        ]
        wrong += any(solved(segments, one) != now + one.opens for one in told)
    return wrong


def test_amounts_that_are_not_solved_again_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amounts, "count_fitting", lambda rows, _waived, _units, _asked: len(rows))
    assert wrong_claims(rooms()) > 0


def test_forgetting_that_parts_change_size_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        amounts, "rows_that_may", lambda masks, waived, _units, _asked: rows_within(masks, waived)
    )
    assert wrong_claims(rooms()) > 0


def test_a_histogram_that_forgets_never_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = relaxations.smallest_sets
    monkeypatch.setattr(
        relaxations,
        "smallest_sets",
        lambda masks, counts, _never, least: right(masks, counts, 0, least),
    )
    found = [
        find_relaxations(refusals_of(make_segments(seed), make_demand(seed, needs=9)), named=50)
        for seed in SEEDS
    ]
    assert any(
        constraint.never_relax
        for one in found
        for relaxation in one.cheapest
        for constraint in relaxation.constraints
    )
