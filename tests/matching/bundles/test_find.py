"""Bundles as the kernels find them against every set of units held against the definition."""

from typing import Any

import numpy as np
import pytest

from app.matching.engine.bundles.find import find_bundles
from app.matching.engine.candidates import BundleShape
from app.matching.engine.program import Program
from app.matching.engine.scan import fitting_units
from app.matching.engine.scoring import scale_of
from app.matching.rules.own import PowerNeed
from app.matching.segment import Truths
from tests.matching.bundles.oracle import CONTROLS, Found, Oracle
from tests.matching.bundles.worlds import (
    FREE,
    Steps,
    Unit,
    World,
    eligible_of,
    grid,
    path,
    program_of,
    ring,
    scattered,
    star,
)

SEEDS = range(150)


def found_in(program: Program, eligible: Truths | None = None) -> Found:
    bundles = find_bundles(program, eligible_of(program) if eligible is None else eligible)
    assert bundles.is_complete
    found: Found = {}
    for one in bundles.candidates(program.segment):
        assert one.rows not in found, "found twice"
        assert list(one.rows) == sorted(one.rows)
        assert one.quantities == tuple(program.segment.column("capacity")[list(one.rows)])
        found[one.rows] = one.first_day, one.until, one.shape
    return found


def random_free(rng: np.random.Generator) -> Steps:
    """Free now, later, twice, in part before, or never again."""
    later, again, back = sorted(int(day) for day in rng.choice(900, 3, replace=False) + 1)
    kinds: list[Steps] = [
        *[FREE] * 6,
        ((later, 1.0),),
        ((0, 1.0), (again, 0.0), (back, 1.0)),
        ((0, 0.5), (later, 1.0)),
        ((0, 1.0), (again, 0.0)),
    ]
    return kinds[rng.integers(len(kinds))]


def random_walls(rng: np.random.Generator, places: list[int]) -> list[tuple[int, int]]:
    count = len(places)
    shapes = [path(count), ring(count), star(count), scattered(count, 0.5, rng), []]
    walls = shapes[rng.integers(len(shapes))]
    return [(places[one], places[other]) for one, other in walls]


def random_world(rng: np.random.Generator, most: int = 11) -> World:
    """One or two buildings of a few floors with a few units each, most of the kind asked for."""
    floors = [
        (building, level)
        for building in range(int(rng.integers(1, 3)))
        for level in range(-1, int(rng.integers(1, 4)))
        if rng.random() < 0.9
    ] or [(0, 0)]
    units: list[Unit] = []
    walls: list[tuple[int, int]] = []
    for floor in range(len(floors)):
        places = list(range(len(units), min(most, len(units) + int(rng.integers(1, 5)))))
        walls += random_walls(rng, places)
        units += [random_unit(rng, floor) for _ in places]
    one, other = ([level for at, level in floors if at == building] for building in range(2))
    links = [
        (0, 1, int(rng.choice(one)), int(rng.choice(other))) for _ in range(3) if one and other
    ]
    links += [(there, here, at, level) for here, there, level, at in links[:1]]
    buildings = 1 + floors[-1][0]
    return World(
        floors=floors,
        units=units,
        walls=walls,
        links=links,
        power={at: float(rng.integers(10, 60)) for at in range(buildings) if rng.random() < 0.9},
        used=[
            (at, int(rng.integers(0, 600)), float(rng.integers(0, 30))) for at in range(buildings)
        ],
        stale=frozenset({0}) if rng.random() < 0.05 else frozenset(),
    )


def random_unit(rng: np.random.Generator, floor: int) -> Unit:
    def maybe(value: Any, share: float = 0.05) -> Any:
        return None if rng.random() < share else value

    split = rng.random()
    return Unit(
        floor=floor,
        area_m2=maybe(float(rng.choice([50, 80, 100.5])), 0.02),
        kind="pilot" if rng.random() < 0.93 else "hq_rd",
        free=random_free(rng),
        more={
            "power_kva": maybe(float(rng.integers(1, 9))),
            "cold_storage_m2": maybe(float(rng.integers(0, 9))),
            "rent_cny_per_m2_day": maybe(float(rng.choice([2, 3, 4]))),
            "freight_lift_t": maybe(float(rng.choice([1, 2]))),
            "is_ground_floor": rng.random() < 0.4,
            "floor_load_kn_m2": maybe(float(rng.choice([5, 7.5, 10], p=[0.1, 0.5, 0.4]))),
        },
        applies=(1, 800_000) if split < 0.95 else (739_999, 800_000),
    )


def random_needs(rng: np.random.Generator) -> dict[str, Any]:
    """Some needs of each way of combining, so that often something is found, and not everything."""
    everything: dict[str, Any] = {
        "min_area_m2": float(rng.integers(90, 400)),
        "max_area_m2": float(rng.integers(250, 800)),
        "min_power_kva": float(rng.integers(5, 20)),
        "min_cold_storage_m2": float(rng.integers(2, 20)),
        "min_freight_lift_t": 2.0,
        "ground_floor": True,
        "min_floor_load_kn_m2": 7.5,
        "max_rent_cny_per_year": float(rng.integers(100_000, 700_000)),
        "power_left": PowerNeed(
            None if rng.random() < 0.3 else float(rng.integers(5, 50)),
            None if rng.random() < 0.3 else float(rng.integers(50, 150)),
        ),
        "whole_floor": True,
        "whole_building": True,
    }
    shares = dict.fromkeys(everything, 0.15) | {"min_area_m2": 0.7, "max_area_m2": 0.5}
    shares |= {"whole_floor": 0.1, "whole_building": 0.1}
    needs = {key: need for key, need in everything.items() if rng.random() < shares[key]}
    if "power_left" in needs and needs["power_left"] == PowerNeed(None, None):
        del needs["power_left"]
    slack, term = (0, 200, 700)[rng.integers(3)], (6, 12, 24)[rng.integers(3)]
    target = None if rng.random() < 0.5 else float(rng.integers(100, 500))
    return {**needs, "slack_days": slack, "term_months": term, "target_m2": target}


def random_case(seed: int) -> tuple[World, Program]:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    return world, program_of(world.segment, **random_needs(rng))


@pytest.mark.parametrize("seed", SEEDS)
def test_bundles_are_every_set_that_meets_the_definition(seed: int) -> None:
    world, program = random_case(seed)

    assert found_in(program) == Oracle(world, program).bundles()


@pytest.mark.parametrize("seed", SEEDS)
def test_units_that_the_scan_lets_through_and_those_of_the_judge_make_the_same_bundles(
    seed: int,
) -> None:
    _, program = random_case(seed)
    scanned = fitting_units(program, scale_of(program), 1, with_eligible=True).eligible

    assert found_in(program, scanned) == found_in(program)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 11_000, 500))
def test_bundles_are_every_set_that_meets_the_definition_at_length(first: int) -> None:
    for seed in range(first, first + 500):
        world, program = random_case(seed)

        assert found_in(program) == Oracle(world, program).bundles(), seed


def test_the_random_cases_have_bundles_of_every_shape_and_cases_without_any() -> None:
    shapes: dict[BundleShape | None, int] = {}
    without = 0
    for seed in SEEDS:
        found = found_in(random_case(seed)[1])
        without += not found
        for *_, shape in found.values():
            shapes[shape] = shapes.get(shape, 0) + 1

    assert all(shapes[shape] >= 20 for shape in BundleShape), shapes
    assert 0 < without < len(SEEDS) * 2 / 3


@pytest.mark.parametrize("control", CONTROLS)
def test_a_wrong_definition_is_told_from_the_right_one(control: type[Oracle]) -> None:
    assert any(
        found_in(program) != control(world, program).bundles()
        for world, program in map(random_case, SEEDS)
    )


FLOORS = {
    "row": (12, path(12)),
    "ring": (11, ring(11)),
    "hall": (9, star(9)),
    "back to back": (12, grid(3, 4)),
    "apart": (8, [(0, 1), (2, 3), (3, 4), (6, 7)]),
    "no walls": (4, []),
    "all with all": (10, scattered(10, 1.0, np.random.default_rng(0))),
    **{f"any {n}": (12, scattered(12, 0.2, np.random.default_rng(n))) for n in range(4)},
}


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("needs", [{}, {"min_area_m2": 350.0, "max_area_m2": 500.0}])
def test_sets_of_a_floor_are_all_that_hang_together(name: str, needs: dict[str, Any]) -> None:
    count, walls = FLOORS[name]
    world = World([(0, 0)], [Unit(0) for _ in range(count)], walls)
    program = program_of(world.segment, **needs)

    assert found_in(program) == Oracle(world, program).bundles()


@pytest.mark.parametrize(
    ("count", "walls", "sizes"),
    [
        # Sets of 2 to 6 that hang together, known from counting by hand: n - size + 1 in a row.
        (14, path(14), {2: 13, 3: 12, 4: 11, 5: 10, 6: 9, 14: 1}),
        (13, ring(13), {2: 13, 3: 13, 4: 13, 5: 13, 6: 13, 13: 1}),
        (8, path(8), {2: 7, 3: 6, 4: 5, 5: 4, 6: 3, 7: 2, 8: 1}),
        (40, path(40), {2: 31, 3: 30, 4: 29, 5: 28, 6: 27, 40: 1}),
    ],
)
def test_of_many_units_only_small_sets_and_all_of_them(
    count: int, walls: list[tuple[int, int]], sizes: dict[int, int]
) -> None:
    world = World([(0, 0)], [Unit(0) for _ in range(count)], walls)

    found = found_in(program_of(world.segment))

    assert {size: sum(len(rows) == size for rows in found) for size in sizes} == sizes
    assert len(found) == sum(sizes.values())


def test_many_units_beside_other_space_are_tried_whole_only_where_they_hang_together() -> None:
    beside = Unit(0, kind="hq_rd")
    joined = World([(0, 0)], [Unit(0) for _ in range(13)] + [beside], path(13))
    apart = World([(0, 0)], [Unit(0) for _ in range(13)] + [beside], path(12))

    assert max(map(len, found_in(program_of(joined.segment)))) == 13
    assert max(map(len, found_in(program_of(apart.segment)))) == 6


def test_rooms_that_touch_at_a_corner_do_not_hang_together() -> None:
    corners = [(0, 4), (1, 3), (1, 5), (2, 4), (3, 7), (4, 6), (4, 8), (5, 7)]
    units = [Unit(0) for _ in range(9)]
    world, wrong = World([(0, 0)], units, grid(3, 3)), World([(0, 0)], units, grid(3, 3) + corners)
    program, by_corners = program_of(world.segment), program_of(wrong.segment)
    expected = Oracle(world, program).bundles()

    assert found_in(program) == expected
    assert found_in(by_corners) != expected


def test_too_many_bundles_are_cut_off_and_said_to_be() -> None:
    program = program_of(World([(0, 0)], [Unit(0) for _ in range(8)], path(8)).segment)

    cut, exact = (find_bundles(program, eligible_of(program), most) for most in (5, 28))

    assert len(cut) == 5
    assert not cut.is_complete
    assert len(exact) == 28
    assert exact.is_complete
    assert list(cut.row) == list(exact.row[: len(cut.row)])


def test_units_by_the_m2_add_no_places_though_they_are_called_eligible() -> None:
    by_place = {"capacity_measure": "place"}
    units = [Unit(0, area_m2=10.0, more=by_place), Unit(0, area_m2=10.0, more=by_place), Unit(0)]
    program = program_of(World([(0, 0)], units, path(3)).segment, places=15)

    assert set(found_in(program, np.ones(3, dtype=bool))) == {(0, 1)}


def test_nothing_eligible_is_no_bundle() -> None:
    program = program_of(World([(0, 0)], [Unit(0), Unit(0)], path(2)).segment)

    assert len(find_bundles(program, np.zeros(2, dtype=bool))) == 0
