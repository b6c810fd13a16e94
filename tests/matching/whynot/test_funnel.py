"""What each need refuses, against counts made unit by unit."""

import pytest

from app.matching.engine.program import ABSENT
from app.matching.engine.whynot import funnel as funnel_module
from app.matching.engine.whynot import relaxations
from app.matching.engine.whynot.funnel import PLACE, blockers, funnel, nearest_misses
from app.matching.engine.whynot.histogram import Histogram, Place
from tests.matching.whynot.worlds import make_demand, make_segments, refusals_of, slow_masks

SEEDS = range(10)
Broken = dict[Place, frozenset[str]]


def made(seed: int) -> tuple[Histogram, Broken]:
    """A histogram, and the keys that each unit that is there breaks, by the reference."""
    segments, demand = make_segments(seed), make_demand(seed)
    refusals = refusals_of(segments, demand)
    broken = {
        Place(at, row): frozenset(
            one.key for bit, one in enumerate(refusals.active) if mask >> bit & 1
        )
        for at, segment in enumerate(segments)
        for row, mask in enumerate(slow_masks(segment, demand))
        if mask != ABSENT
    }
    return refusals, broken


@pytest.mark.parametrize("seed", SEEDS)
def test_the_funnel_and_the_blockers_count_units(seed: int) -> None:
    refusals, broken = made(seed)
    keys = [one.key for one in refusals.active]
    order = [key for key in keys if key in PLACE] + [key for key in keys if key not in PLACE]
    left, expected = list(broken.values()), []
    for key in order:
        left = [one for one in left if key not in one]
        expected.append((key, len(left)))
    assert [(one.key, count) for one, count in funnel(refusals)] == expected
    assert refusals.units == len(broken)
    assert refusals.feasible == expected[-1][1]

    frame = PLACE | {"unit_type"}
    for one in blockers(refusals):
        key = one.constraint.key
        others = frame - {key}
        alone = [place for place, keys in broken.items() if keys == {key}]
        assert one.blocks == sum(key in keys for keys in broken.values()) > 0
        assert one.blocks_in_place == sum(
            key in keys and not keys & others for keys in broken.values()
        )
        assert one.blocks_alone == len(alone)
        assert one.example == min(alone, key=refusals.order, default=None)
        assert one.before - one.left <= one.blocks
    assert {one.constraint.key for one in blockers(refusals)} == frozenset().union(*broken.values())


def wrong_misses() -> int:
    """In how many worlds the nearest misses are not those of a plain sort."""
    wrong = 0
    for seed in SEEDS:
        refusals, broken = made(seed)
        cost = {one.key: one.relax_cost for one in refusals.active}
        plain = sorted(
            (place for place, keys in broken.items() if keys),
            key=lambda place: (
                len(broken[place]),
                bool(broken[place] & PLACE),
                sum(cost[key] for key in broken[place]),
                refusals.order(place),
            ),
        )
        for count in (1, 4, 30, 10_000):
            wrong += nearest_misses(refusals, count) != plain[:count]
    return wrong


def test_the_nearest_misses_are_those_of_a_plain_sort() -> None:
    assert wrong_misses() == 0


def test_misses_ranked_without_their_costs_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = relaxations.prices_of
    monkeypatch.setattr(funnel_module, "prices_of", lambda active, costs: right(active, costs) * 0)
    assert wrong_misses() > 0
