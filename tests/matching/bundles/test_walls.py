"""A segment's bits of neighbours are the walls that were declared, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from app.matching.segment import GROUP_MOST, Segment
from tests.matching.bundles.worlds import Unit, World, grid, path, scattered

Pairs = set[tuple[int, int]]


def pairs_in(segment: Segment) -> Pairs:
    """Pairs of units by their numbers, read from the bits on both sides."""
    groups = segment.groups
    found = set()
    for group, first in enumerate(groups.start[:-1]):
        rows = np.arange(first, groups.start[group + 1])
        for row, walls in zip(rows, segment.neighbours_of(rows).tolist(), strict=True):
            for bit in range(GROUP_MOST):
                if walls >> bit & 1:
                    found.add((int(segment.fid[row]) - 1, int(segment.fid[first + bit]) - 1))
    return found


def both_ways(walls: list[tuple[int, int]]) -> Pairs:
    return {*walls, *((other, one) for one, other in walls)}


@pytest.mark.parametrize("seed", range(30))
def test_neighbours_are_the_walls_within_a_kind_of_a_floor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = ("pilot", "hq_rd")
    # Units in any order: neither floors nor kinds come sorted.
    units = [Unit(int(rng.integers(3)), kind=kinds[rng.integers(2)]) for _ in range(24)]
    walls = scattered(24, 0.3, rng)
    segment = World([(1, 0), (0, 1), (0, 0)], units, walls).segment
    within = [
        (one, other)
        for one, other in walls
        if (units[one].floor, units[one].kind) == (units[other].floor, units[other].kind)
    ]

    assert pairs_in(segment) == both_ways(within)
    assert pairs_in(segment) != both_ways(walls)


def test_rooms_that_touch_at_a_corner_have_no_wall_in_common() -> None:
    segment = World([(0, 0)], [Unit(0) for _ in range(9)], grid(3, 3)).segment

    assert pairs_in(segment) == both_ways(grid(3, 3))
    assert (0, 4) not in pairs_in(segment)


def test_units_beyond_the_bits_have_no_neighbours() -> None:
    count = GROUP_MOST + 8
    segment = World([(0, 0)], [Unit(0) for _ in range(count)], path(count)).segment

    assert pairs_in(segment) == both_ways(path(GROUP_MOST))
    # Most of them lie beyond the bits that every unit has; without the others they are not found.
    assert len(segment.far_row) > len(segment) // 2
    near = replace(segment, far_row=segment.far_row[:0], far_bits=segment.far_bits[:0])
    assert pairs_in(near) < pairs_in(segment)
