"""Properties of the search: exact, monotone, and the same for the same input."""

from decimal import Decimal
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.demand.rules import SpaceTerms
from app.matching.explain import blockers, contributions, verdicts, ways_out
from app.matching.scoring import CRITERIA, SCALE, exact
from app.matching.search import PLACE, evaluate, top_k
from app.matching.snapshot import COLUMNS, Kind
from app.matching.table import BY_KEY
from tests.matching.worlds import (
    DAY,
    Row,
    make_demand,
    make_need,
    make_world,
    satisfies,
    seeded,
    units_of,
    with_hard,
)

SEEDS = st.integers(0, 2**32)
PROPERTY = settings(max_examples=60, deadline=None)


def oracle_reasons(row: Row, hard: dict[str, object]) -> set[str]:
    return {key for key, need in hard.items() if not satisfies(row, key, need)}


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_adding_a_constraint_never_adds_a_match(world: int, asked: int) -> None:
    units, demand = units_of(make_world(world)), make_demand(asked)
    rng = seeded(asked)
    key = rng.choice([key for key in BY_KEY if key not in demand.hard])
    stricter = with_hard(demand, {**demand.hard, key: make_need(rng, key)})

    before = set(evaluate(units, demand).feasible)
    after = set(evaluate(units, stricter).feasible)

    assert after <= before


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_every_refusal_has_a_reason_and_every_reason_is_true(world: int, asked: int) -> None:
    rows, demand = make_world(world), make_demand(asked, hard=6)
    units = units_of(rows)
    evaluation = evaluate(units, demand)
    feasible = set(evaluation.feasible.tolist())

    for place, row in enumerate(rows):
        reasons = {
            one.constraint for one in verdicts(units, demand, evaluation, place, broken_only=True)
        }
        assert reasons == oracle_reasons(row, dict(demand.hard))
        assert bool(reasons) == (place not in feasible)


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_lifting_all_its_reasons_makes_a_unit_fit(world: int, asked: int) -> None:
    units, demand = units_of(make_world(world)), make_demand(asked, hard=6)
    evaluation = evaluate(units, demand)

    for place in evaluation.nearest_misses(len(units)):
        reasons = {one.key for one in evaluation.broken_by(place)}
        kept = {key: need for key, need in demand.hard.items() if key not in reasons}
        assert place in evaluate(units, with_hard(demand, kept)).feasible
        for reason in reasons:
            partly = {**kept, reason: demand.hard[reason]}
            assert place not in evaluate(units, with_hard(demand, partly)).feasible


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_the_order_in_which_units_come_changes_nothing(world: int, asked: int) -> None:
    rows, demand = make_world(world), make_demand(asked, hard=1)
    shuffled = rows[:]
    seeded(asked).shuffle(shuffled)

    def answer(given_rows: list[Row]) -> list[tuple[str, int]]:
        units = units_of(given_rows)
        best = top_k(units, demand, evaluate(units, demand), 10)
        return [(units.codes[row], score) for row, score in best]

    assert answer(rows) == answer(shuffled) == answer(rows)


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_the_best_come_first_and_none_better_is_left_out(world: int, asked: int) -> None:
    units, demand = units_of(make_world(world)), make_demand(asked, hard=1)
    evaluation = evaluate(units, demand)
    everyone = top_k(units, demand, evaluation, len(units))
    few = top_k(units, demand, evaluation, 5)

    assert {row for row, _ in everyone} == set(evaluation.feasible.tolist())
    assert everyone == sorted(everyone, key=lambda one: (-one[1], units.codes[one[0]]))
    assert few == everyone[:5]


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_contributions_sum_to_the_score_exactly(world: int, asked: int) -> None:
    units, demand = units_of(make_world(world)), make_demand(asked, hard=1)
    for row, score in top_k(units, demand, evaluate(units, demand), 5):
        parts = contributions(units, demand, row)
        assert sum((part.contribution for part in parts), Decimal(0)) == exact(score)
        assert sum(part.weight for part in parts) == 1
        for part in parts:
            assert part.contribution == part.weight * part.value
            assert 0 <= part.value <= 1
            # The wire's JSON numbers have the very same digits.
            assert Decimal(repr(float(part.contribution))) == part.contribution
            assert part.words_zh
            assert part.words_en
        assert 0 <= score <= SCALE


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_a_stronger_unit_never_loses(world: int, asked: int) -> None:
    demand = make_demand(asked, hard=2)
    # Size and the landlord's limits are matters of fit, not of strength.
    fit = {"min_area_m2", "max_area_m2", "places", "term_months", "unit_type", "fire_storey"}
    demand = with_hard(demand, {key: need for key, need in demand.hard.items() if key not in fit})
    rng = seeded(world)
    weak = make_world(world, size=1)[0]
    strong = weak | {"id": "strong", "code": "strong"}
    for name in rng.sample(sorted(STRONGER), 8):
        strong[name] = STRONGER[name]

    units = units_of([weak, strong])
    evaluation = evaluate(units, demand)
    scores = dict(top_k(units, demand, evaluation, 2))
    at = {code: row for row, code in enumerate(units.codes)}

    if at[weak["code"]] in scores:
        assert scores[at["strong"]] >= scores[at[weak["code"]]]


#: For each column a value that no other beats.
STRONGER: Row = (
    {
        name: column.order[-1] if column.kind is Kind.RANK else 9_999.0
        for name, column in COLUMNS.items()
        if column.kind in (Kind.NUMBER, Kind.RANK)
        and name
        not in {
            "unit_type",
            "capacity_measure",
            "leasable_area_m2",
            "capacity",
            "quantity",
            "min_term_months",
            "max_term_months",
            "level_index",
            "floors_above",
            "height_m",
        }
    }
    | {name: 0.0 for name in COLUMNS if name.endswith("_distance_m") or name.startswith("rent_")}
    | {name: True for name, column in COLUMNS.items() if column.kind is Kind.FLAG}
    | {"free_from": DAY, "units_on_floor": 1.0, "units_in_building": 1.0}
)


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_what_blocks_is_counted_truly(world: int, asked: int) -> None:
    rows, demand = make_world(world), make_demand(asked, hard=4)
    units = units_of(rows)
    evaluation = evaluate(units, demand)
    reasons = [oracle_reasons(row, dict(demand.hard)) for row in rows]

    found = blockers(evaluation)

    order = sorted((key for key in BY_KEY if key in demand.hard), key=lambda key: key not in PLACE)
    blocking = [key for key in order if any(key in each for each in reasons)]
    assert [one.constraint.key for one in found] == blocking
    applied: set[str] = set()
    for one in found:
        key = one.constraint.key
        applied.add(key)
        frame = {*PLACE, "unit_type"} - {key}
        assert one.blocks == sum(key in each for each in reasons)
        assert one.blocks_in_place == sum(key in each and not each & frame for each in reasons)
        assert one.blocks_alone == sum({key} == each for each in reasons)
        assert one.left == sum(not each & applied for each in reasons)
        if one.example_row is not None:
            assert reasons[one.example_row] == {key}
    feasible = len(evaluation.feasible)
    assert (found[-1].left if found else len(rows)) == feasible


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_needs_that_together_free_a_unit_are_found_exactly(world: int, asked: int) -> None:
    rows, demand = make_world(world, size=12), make_demand(asked, hard=6)
    evaluation = evaluate(units_of(rows), demand)
    reasons = [oracle_reasons(row, dict(demand.hard)) for row in rows]
    free = sorted(key for key in demand.hard if not BY_KEY[key].never_relax)
    slow: dict[frozenset[str], int] = {}
    for size in (1, 2, 3):
        for chosen in combinations(free, size):
            freed = sum(bool(each) and each <= set(chosen) for each in reasons)
            if freed and not any(smaller < set(chosen) for smaller in slow):
                slow[frozenset(chosen)] = freed

    quick = evaluation.relaxations(1_000)

    assert {frozenset(one.key for one in way.constraints): way.units_freed for way in quick} == slow
    costs = [sum(one.relax_cost for one in way.constraints) for way in quick]
    assert costs == sorted(costs)
    assert evaluation.relaxations(5) == quick[:5]


def test_ways_out_are_named_where_no_single_need_frees_a_unit() -> None:
    row = make_world(1, size=1)[0] | {"steam": False, "gas": False, "biosafety_level": 1.0}
    demand = with_hard(make_demand(1), {"steam": True, "gas": True})
    for hard, said in (
        ({"steam": True, "gas": True}, ["giving way on steam and gas together frees 1 unit"]),
        ({"steam": True}, []),
        ({"steam": True, "biosafety_level": 2}, []),
    ):
        evaluation = evaluate(units_of([row]), with_hard(demand, hard))
        ways = ways_out(evaluation, blockers(evaluation))
        assert [one.words_en for one in ways] == said
        assert all(one.needs == ("steam", "gas") for one in ways)
        assert all(one.words_zh == "同时放宽“蒸汽”“燃气”，可多出 1 个单元" for one in ways)


@PROPERTY
@given(world=SEEDS, asked=SEEDS)
def test_near_misses_have_the_fewest_reasons(world: int, asked: int) -> None:
    rows, demand = make_world(world), make_demand(asked, hard=5)
    evaluation = evaluate(units_of(rows), demand)
    counts = [len(oracle_reasons(row, dict(demand.hard))) for row in rows]

    shown = evaluation.nearest_misses(5)

    assert [counts[row] for row in shown] == sorted(count for count in counts if count)[:5]


def test_weights_are_declared_and_sum_to_one() -> None:
    assert sum(one.weight for one in CRITERIA) == 100
    assert len({one.key for one in CRITERIA}) == len(CRITERIA)


def test_no_units_at_all_is_an_answer() -> None:
    demand = make_demand(1)
    units = units_of([])
    evaluation = evaluate(units, demand)

    assert top_k(units, demand, evaluation, 3) == []
    assert blockers(evaluation) == []
    assert evaluation.relaxations(5) == []
    assert isinstance(demand.terms, SpaceTerms)
