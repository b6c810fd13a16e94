"""What is found hangs together; what somebody names does only as bundles do."""

import numpy as np
import pytest

from app.matching.engine.bundles.find import find_bundles
from app.matching.engine.bundles.together import hang_together
from tests.matching.bundles.test_find import random_needs, random_world
from tests.matching.bundles.worlds import DAY, Unit, World, eligible_of, program_of

#: Two buildings: A of three floors with two, two and one units, B of two floors with one and two.
WORLD = World(
    floors=[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)],
    units=[Unit(floor) for floor in (0, 0, 1, 1, 2, 3, 4, 4)],
    walls=[(0, 1), (6, 7)],
    links=[(0, 1, 2, 0)],
)


def rows_of(*numbers: int) -> list[int]:
    fids = WORLD.segment.fid.tolist()
    return sorted(fids.index(number + 1) for number in numbers)


@pytest.mark.parametrize(
    ("named", "together"),
    [
        ((0,), True),
        ((0, 1), True),
        ((2, 3), True),  # all of a floor, though no wall is known
        ((0, 2), False),  # a half of each of two floors
        ((0, 1, 2), True),  # a floor and some of the next
        ((0, 1, 2, 3, 4), True),
        ((0, 1, 4), False),  # the floor between is another's
        ((2, 0, 4), False),  # two floors in part
        ((4, 5), True),  # whole floors that the passage joins
        ((4, 5, 6, 7), True),
        ((0, 1, 5), False),  # the passage does not begin there
        ((4, 5, 6), False),  # some of a floor beyond a passage
        ((6, 7), True),
    ],
)
def test_a_named_set(named: tuple[int, ...], together: bool) -> None:
    assert hang_together(WORLD.segment, rows_of(*named), DAY) is together


def test_whatever_is_found_hangs_together() -> None:
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        program = program_of(random_world(rng).segment, **random_needs(rng))
        for one in find_bundles(program, eligible_of(program)).candidates(program.segment):
            found += 1
            assert hang_together(program.segment, one.rows, program.start)
    assert found > 100
