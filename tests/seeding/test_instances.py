"""The published requests of the benchmark are what their description says."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from app.demand.rules import Rules, load_rules
from app.kernel.terms import UnitType
from app.matching.rules.compile import compile_demand
from app.seeding.bulk_types import BULK_TYPES
from benchmarks.matching.instances import TODAY, Instance, hard, typical
from tests.seeding.conftest import DATA

LARGEST_M2 = {
    kind.value: max(float(one.unit_m2) for one in BULK_TYPES if one.unit_type == kind)
    for kind in UnitType
}
Draw = Callable[..., Sequence[Instance]]


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules(DATA)


@pytest.mark.parametrize("draw", [typical, hard])
def test_each_has_sixteen_constraints_and_five_wishes(draw: Draw, rules: Rules) -> None:
    found = draw(1_000_000)

    assert len(found) == len({one.name for one in found}) == 200
    for one in found:
        demand = compile_demand(one.needs(rules), rules, TODAY)
        assert (len(demand.hard), len(demand.soft)) == (16, 5), one.name
        assert demand.unchecked == ()


@pytest.mark.parametrize("draw", [typical, hard])
def test_the_same_seed_draws_the_same_and_another_does_not(draw: Draw) -> None:
    assert draw(1_000_000) == draw(1_000_000)
    assert draw(1_000_000) != draw(1_000_000, seed=2)


def _asks_for_more_than_a_unit(one: Instance) -> bool:
    return bool(one.form["min_area_m2"] > LARGEST_M2[one.form["unit_type"]])


@pytest.mark.parametrize("draw", [typical, hard])
def test_only_bundles_serve_what_is_larger_than_every_unit(draw: Draw) -> None:
    found = draw(1_000_000)

    assert all(one.only_bundles == _asks_for_more_than_a_unit(one) for one in found)
    # Control arm: with the areas of one unit, none would be.
    smaller = [replace(one, form={**one.form, "min_area_m2": 1.0}) for one in found]
    assert not any(_asks_for_more_than_a_unit(one) for one in smaller)


def test_three_of_ten_hard_ones_are_for_bundles_alone() -> None:
    assert sum(one.only_bundles for one in hard(1_000_000)) == 60
    assert {one.form["unit_type"] for one in hard(1_000_000) if one.only_bundles} == set(LARGEST_M2)
