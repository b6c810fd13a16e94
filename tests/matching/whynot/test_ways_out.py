"""Sets that open bundles: every set of a few needs is tried here, and each bundle is judged."""

from itertools import combinations

import numpy as np
import pytest

from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.engine.judge import broken, stretch_of
from app.matching.engine.program import Program, make_program
from app.matching.engine.whynot import ways_out
from app.matching.engine.whynot.amounts import find_amounts
from app.matching.engine.whynot.histogram import Histogram
from app.matching.engine.whynot.relaxations import find_relaxations
from app.matching.engine.whynot.ways_out import TOGETHER, bundles_within, find_ways_out
from app.matching.rules.demand import Demand, Window
from app.matching.rules.ground import PlacesNeed
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import Segment
from tests.matching.whynot.worlds import START, TERMS, make_segments, refusals_of

SEEDS = range(6)


def large_demand(seed: int) -> Demand:
    """More area than one unit has, for which two together may do."""
    window = Window(START, START.replace(year=2030), 12)
    hard = {
        "unit_type": "pilot",
        "availability": window,
        "min_area_m2": 2500.0 + 300 * seed,
        "max_area_m2": 3500.0 + 300 * seed,
        "max_rent_cny_per_m2_day": 4.2,
        "max_rent_cny_per_year": 6_000_000.0,
        "min_clear_height_m": 3.3,
        "biosafety_level": 2,
        "steam": True,
        "hoist_opening": True,
        "zones": PlacesNeed(("zone-1", "zone-2", "zone-3")),
    }
    return Demand(hard=hard, soft={}, window=window, terms=TERMS, rules_version="tests")


def made(seed: int) -> tuple[tuple[Segment, Segment], Histogram]:
    segments = make_segments(seed, 1200)
    return segments, refusals_of(segments, large_demand(seed))


def sets_of(refusals: Histogram) -> list[int]:
    bits = [bit for bit, one in enumerate(refusals.active) if not one.never_relax]
    return [
        sum(1 << bit for bit in chosen)
        for size in range(1, TOGETHER + 1)
        for chosen in combinations(bits, size)
    ]


def every_set_tried(refusals: Histogram, at_least: int) -> dict[int, int]:
    """Sets that open bundles and not enough units, none taking in another that opens either."""
    now = bundles_within(refusals, 0).bundles
    opening = [int(mask) for mask in find_relaxations(refusals, at_least=at_least).sets]
    found: dict[int, int] = {}
    for mask in sets_of(refusals):
        if any(smaller & ~mask == 0 for smaller in [*opening, *found]):
            continue
        bundles = len(bundles_within(refusals, mask).bundles - now)
        if bundles:
            found[mask] = bundles
    return found


def missed(seeds: range = SEEDS) -> tuple[int, int]:
    """In how many worlds not the right sets are found, and how many sets there are in all."""
    wrong = count = 0
    for seed in seeds:
        _, refusals = made(seed)
        at_least = refusals.feasible + 1
        found = find_ways_out(refusals, at_least=at_least, named=10_000, tries=10_000)
        expected = every_set_tried(refusals, at_least)
        alone = {one.mask: one.bundles for one in found.cheapest if not one.opens}
        wrong += alone != expected or found.complete_to != TOGETHER
        count += len(expected)
    return wrong, count


def test_no_set_that_opens_bundles_is_missed() -> None:
    wrong, count = missed()
    assert wrong == 0
    assert count > 0


def test_a_search_that_thinks_too_few_are_left_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ways_out, "_has_two", lambda _members, mask: mask & 1)
    assert missed()[0] > 0


def wrong_bundles(seed: int) -> int:
    """How many bundles do not fit once their set is given up, or have a part that fits then."""
    segments, refusals = made(seed)
    wrong = 0
    for one in find_ways_out(refusals, at_least=refusals.feasible + 1).cheapest:
        keys = {constraint.key for constraint in one.constraints}
        table = [rule for rule in CONSTRAINTS if rule.key not in keys]
        found = bundles_within(refusals, one.mask).bundles
        wrong += len(found - bundles_within(refusals, 0).bundles) != one.bundles
        for at, rows in found:
            program = make_program(segments[at], refusals.programs[at].demand, table)
            fits = any(int(refusals.rows[at][row]) & ~one.mask == 0 for row in rows)
            part = any(set(other) < set(rows) for there, other in found if there == at)
            wrong += fits or part or broken(program, candidate(program, rows)) != 0
    return wrong


def test_each_bundle_fits_once_the_set_is_given_up_and_no_part_of_it_does() -> None:
    assert sum(map(wrong_bundles, SEEDS)) == 0


def test_bundles_with_parts_that_fit_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ways_out, "keep_undominated", lambda _segment, found, *_: np.ones(len(found), np.bool_)
    )
    assert sum(map(wrong_bundles, SEEDS)) > 0


def candidate(program: Program, rows: tuple[int, ...]) -> Candidate:
    whole = tuple(int(program.segment.column("capacity")[row]) for row in rows)
    first_day, until = stretch_of(program, rows, whole)
    return Candidate(CandidateKind.BUNDLE, rows, whole, first_day, until)


def test_when_tries_run_out_it_is_said_how_far_they_came() -> None:
    _, refusals = made(0)
    at_least = refusals.feasible + 1
    few = find_ways_out(refusals, at_least=at_least, tries=3)
    assert few.complete_to == 0
    assert few.count <= find_ways_out(refusals, at_least=at_least, tries=10_000).count


def test_a_set_that_opens_bundles_alone_has_no_amounts() -> None:
    for seed in SEEDS:
        _, refusals = made(seed)
        found = find_ways_out(refusals, at_least=refusals.feasible + 1, named=100)
        for one in found.cheapest:
            if not one.opens:
                told = find_amounts(refusals, one)
                assert told.opens == 0
                assert all(change.give is None for change in told.changes)


def test_no_set_takes_in_another() -> None:
    pairs = 0
    for seed in SEEDS:
        _, refusals = made(seed)
        masks = [one.mask for one in find_ways_out(refusals, at_least=1, named=50).cheapest]
        for one, other in combinations(masks, 2):
            pairs += 1
            assert one & other not in {one, other}
        # Of units alone some would: what opens them may take in what opens a bundle.
    assert pairs > 0
