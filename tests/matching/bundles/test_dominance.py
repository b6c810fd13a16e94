"""What is dropped is no loss, and what is kept no repetition: by brute force."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.matching.engine.bundles.dominance import keep_undominated
from app.matching.engine.bundles.find import Bundles, find_bundles
from app.matching.segment import Truths
from tests.matching.bundles.test_find import random_world
from tests.matching.bundles.worlds import Unit, World, eligible_of, grid, path, program_of

Set = frozenset[int]
Scores = dict[Set, int]
Keep = Callable[[Scores], set[Set]]
SEEDS = range(60)


def world_of(seed: int) -> World:
    """Floors with walls in turn with random small buildings."""
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        units = [Unit(0, area_m2=float(rng.integers(40, 90))) for _ in range(8)]
        return World([(0, 0)], units, grid(2, 4))
    if seed % 3 == 1:
        # Three buildings in a chain of passages, so that what is linked has parts in two of them.
        floors = [(building, level) for building in range(3) for level in range(2)]
        units = [Unit(floor) for floor in range(6) for _ in range(2)]
        walls = [(2 * floor, 2 * floor + 1) for floor in range(6)]
        return World(floors, units, walls, [(2, 1, 0, 1), (1, 0, 0, 0)])
    return random_world(rng, most=16)


def scored(seed: int) -> tuple[Bundles, Truths, NDArray[np.int64], Scores]:
    """All feasible candidates with scores by chance, coarse ones, so that many are equal."""
    rng = np.random.default_rng(seed)
    program = program_of(world_of(seed).segment, 600, 6, min_area_m2=float(rng.integers(50, 200)))
    bundles = find_bundles(program, eligible_of(program))
    low, high = program.kind_rows
    units = np.array([row for row in range(low, high) if rng.random() < 0.3], dtype=np.int64)
    scores = rng.integers(0, 12, len(bundles)) * 1000
    unit_scores = rng.integers(0, 8, len(units)) * 1000
    by_set = {
        frozenset(map(int, bundles.rows(at))): int(scores[at]) for at in range(len(bundles))
    } | {frozenset({int(row)}): int(one) for row, one in zip(units, unit_scores, strict=True)}
    assert len(by_set) == len(bundles) + len(units)
    stays = keep_undominated(program.segment, bundles, scores, units, unit_scores)
    return bundles, stays, units, by_set


def kept_in(bundles: Bundles, stays: Truths, units: NDArray[np.int64]) -> set[Set]:
    kept = {frozenset(map(int, bundles.rows(int(at)))) for at in np.flatnonzero(stays)}
    return kept | {frozenset({int(row)}) for row in units}


def faults(scores: Scores, kept: set[Set]) -> list[str]:
    """What is wrong with what was kept, by the definition."""
    wrong = []
    for one, score in scores.items():
        as_good = [other for other in scores if other < one and scores[other] >= score]
        if one in kept and as_good:
            wrong.append(f"kept {sorted(one)}, though a part of it is as good")
        if one not in kept and not any(other in kept for other in as_good):
            wrong.append(f"dropped {sorted(one)}, though no part of it that is kept is as good")
    return wrong


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_dropped_has_a_part_as_good_that_is_kept_and_nothing_kept_has(seed: int) -> None:
    bundles, stays, units, scores = scored(seed)

    assert faults(scores, kept_in(bundles, stays, units)) == []


def test_the_random_scores_keep_some_and_drop_some() -> None:
    stays = np.concatenate([stays for _, stays, _, _ in map(scored, SEEDS)])

    assert stays.sum() > 100
    assert (~stays).sum() > 100


def only_if_better(scores: Scores) -> set[Set]:
    """Wrong: a part must score more, not as much."""
    return {one for one in scores if not any(o < one and scores[o] > scores[one] for o in scores)}


def only_by_units(scores: Scores) -> set[Set]:
    """Wrong: bundles are held against single units alone."""
    units = [one for one in scores if len(one) == 1]
    return {one for one in scores if not any(o < one and scores[o] >= scores[one] for o in units)}


def also_by_itself(scores: Scores) -> set[Set]:
    """Wrong: a bundle is no strict part of itself."""
    return {one for one in scores if not any(o <= one and scores[o] >= scores[one] for o in scores)}


def by_any_that_meets(scores: Scores) -> set[Set]:
    """Wrong: it takes a part, not only something in common."""
    return {
        one
        for one in scores
        if not any(o & one and len(o) < len(one) and scores[o] >= scores[one] for o in scores)
    }


@pytest.mark.parametrize(
    "wrong", [only_if_better, only_by_units, also_by_itself, by_any_that_meets]
)
def test_a_wrong_dominance_is_found_out(wrong: Keep) -> None:
    all_scores = [scores for *_, scores in map(scored, SEEDS)]

    assert any(faults(scores, wrong(scores)) for scores in all_scores)


def test_a_larger_bundle_stays_only_if_it_is_better_than_all_its_parts() -> None:
    segment = World([(0, 0)], [Unit(0) for _ in range(3)], path(3)).segment
    program = program_of(segment)
    bundles = find_bundles(program, eligible_of(program))
    by_rows = {tuple(map(int, bundles.rows(at))): at for at in range(3)}
    scores = np.zeros(3, dtype=np.int64)
    scores[[by_rows[0, 1], by_rows[1, 2], by_rows[0, 1, 2]]] = 5, 7, 7
    none = np.zeros(0, dtype=np.int64)

    def stays(scores: NDArray[np.int64], units: NDArray[np.int64], points: int) -> set[int]:
        alone = np.full(len(units), points)
        return set(np.flatnonzero(keep_undominated(segment, bundles, scores, units, alone)))

    assert stays(scores, none, 0) == {by_rows[0, 1], by_rows[1, 2]}
    assert stays(scores, np.array([0]), 5) == {by_rows[1, 2]}
    scores[by_rows[0, 1, 2]] = 8
    assert stays(scores, np.array([0]), 5) == {by_rows[1, 2], by_rows[0, 1, 2]}


def test_no_bundles_at_all_are_no_trouble() -> None:
    segment = World([(0, 0)], [Unit(0)]).segment
    program = program_of(segment)
    bundles = find_bundles(program, eligible_of(program))
    none = np.zeros(0, dtype=np.int64)

    assert len(keep_undominated(segment, bundles, none, none, none)) == 0
