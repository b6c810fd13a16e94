"""The search is exact: what fits, how well, and in which order, against slow plain Python."""

from collections import ChainMap, Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.matching.engine import scan, scoring
from app.matching.engine import search as search_module
from app.matching.engine.alone import Scale
from app.matching.engine.bundles.find import find_bundles
from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.engine.judge import broken, candidate_of, is_absent
from app.matching.engine.measures import Offers
from app.matching.engine.parts import BY_PLACE
from app.matching.engine.program import Program, make_program
from app.matching.engine.scan import KINDS, Fitting, fitting_of, fitting_units
from app.matching.engine.scoring import CRITERIA, contributions, score, weights_of
from app.matching.engine.search import EVERY_KIND, Found, search, top_k
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import Segment, Snapshot, assemble
from tests.matching.engine.oracle import score_of, values_of
from tests.matching.engine.worlds import (
    make_demand,
    make_raw,
    make_segment,
    make_snapshot,
    programs,
    relay_of,
    shuffled,
    with_stale,
)

WORLDS = 80
SINGLE = EVERY_KIND - {CandidateKind.BUNDLE}
Told = tuple[int, Candidate, int]


def judged(program: Program) -> list[Candidate]:
    """What fits, by the plain judge."""
    return [
        candidate
        for row in range(*program.kind_rows)
        if not is_absent(program, row)
        and not broken(program, candidate := candidate_of(program, row))
    ]


def fitting(program: Program, relay: Any = None) -> Fitting:
    """All that fits, and which rows may be members of bundles."""
    scale = scoring.scale_of(program, relay)
    return fitting_units(program, scale, len(program.segment), with_eligible=True)


def scanned(program: Program) -> list[tuple[int, int, int, int]]:
    found = fitting(program)
    columns = (found.rows, found.quantities, found.first_day, found.until)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def wrong_scans(count: int = WORLDS) -> int:
    """In how many worlds the scan finds other units, quantities or days than the judge."""
    return sum(
        scanned(program)
        != [(*one.rows, *one.quantities, one.first_day, one.until) for one in judged(program)]
        for program in programs(count)
    )


def brute_force(snapshot: Snapshot, seed: int, relays: Sequence[Any] | None) -> list[Told]:
    """Every single unit that fits, best first, by plain Python alone."""
    told: list[tuple[Any, Told]] = []
    for at, segment in enumerate(snapshot.segments):
        program = make_program(segment, make_demand(seed), CONSTRAINTS)
        for candidate in judged(program):
            points = score_of(program, candidate, relays and relays[at])
            row = candidate.rows[0]
            floor = segment.floor[row]
            place = (
                segment.buildings.code[segment.building_of(row)],
                int(segment.floors.level_index[floor]),
                int(segment.fid[row]),
            )
            told.append(((-points, place), (at, candidate, points)))
    return [one for _, one in sorted(told, key=lambda pair: pair[0])]


def told(found: Sequence[Found]) -> list[Told]:
    return [(one.segment, one.candidate, one.score) for one in found]


def wrong_answers(count: int = WORLDS, k: int = 7) -> int:
    wrong = 0
    for seed in range(count):
        snapshot = make_snapshot(seed)
        relays = [relay_of(segment, seed) for segment in snapshot.segments] if seed % 2 else None
        found = top_k(
            *(snapshot, make_demand(seed), k), table=CONSTRAINTS, kinds=SINGLE, relay_values=relays
        )
        wrong += told(found) != brute_force(snapshot, seed, relays)[:k]
    return wrong


def test_the_scan_finds_what_the_judge_finds() -> None:
    assert wrong_scans() == 0
    kinds = Counter(one.kind for program in programs(WORLDS) for one in judged(program))
    assert min(kinds[CandidateKind.UNIT], kinds[CandidateKind.PART]) > 10
    assert kinds[CandidateKind.PLACES] > 0


def test_members_of_bundles_are_those_that_break_no_rule_of_each_unit() -> None:
    for program in programs(60):
        eligible = fitting(program).eligible
        sums = sum(
            1 << bit for bit, one in enumerate(program.active) if one.combining != "per_unit"
        )
        late = 1 << (program.bit("availability") or 0)
        measure = program.segment.column("capacity_measure")
        for row, is_eligible in zip(range(*program.kind_rows), eligible, strict=True):
            mask = broken(program, candidate_of(program, row)) & ~sums & ~late
            on_time = program.segment.column("first_free")[row] <= program.latest
            # Places are a sum, of units that are each let by the place.
            by_place = "places" not in program.demand.hard or measure[row] == BY_PLACE
            expected = not mask and on_time and by_place and not is_absent(program, row)
            assert is_eligible == expected


def test_the_best_are_those_of_sorting_everything() -> None:
    assert wrong_answers() == 0


def test_every_criterion_is_the_oracles_and_contributions_sum_to_the_score() -> None:
    seen = 0
    for seed, program in enumerate(programs(WORLDS)):
        relay = relay_of(program.segment, seed)
        for candidate in judged(program)[:20]:
            parts = contributions(program, candidate, relay)
            assert {part.criterion.key: part.value for part in parts} == values_of(
                program, candidate, relay
            )
            points = score(program, Offers.of([candidate]), relay)
            assert sum(part.points for part in parts) == int(points[0])
            assert all(zh and en for part in parts for zh, en in [part.words or ("", "")])
            seen += 1
    assert seen > 100


def scored_otherwise(count: int = WORLDS) -> tuple[int, Counter[int]]:
    """Units whose points in the kernel are not those of the criteria, and all by their wishes."""
    unlike, seen = 0, Counter[int]()
    for seed in range(count):
        demand = make_demand(seed)
        if seed % 3 == 0:
            more = [make_demand(seed + later).soft for later in range(3)]
            demand = replace(demand, soft=dict(ChainMap(*map(dict, more))))
        weights = dict.fromkeys((one.key for one in CRITERIA), 12) | {"wishes": 16}
        demand = replace(demand, weights=weights)
        program = make_program(with_stale(make_segment(seed), seed), demand, CONSTRAINTS)
        relay = relay_of(program.segment, seed) if seed % 2 else None
        found = fitting(program, relay)
        again = fitting_of(program, scoring.scale_of(program, relay), np.sort(found.rows))
        assert again.points.tolist() == found.points.tolist()
        points = score(program, Offers(found.rows, found.quantities, found.first_day), relay)
        unlike += int((points != found.points).sum())
        seen[len(program.wishes)] += len(found.rows)
        kinds = [candidate_of(program, int(row)).kind for row in found.rows]
        assert [KINDS[kind] for kind in found.kinds] == kinds
        assert found.counts.tolist() == [kinds.count(kind) for kind in KINDS]
    return unlike, seen


def test_the_kernel_scores_units_as_the_criteria_do() -> None:
    unlike, seen = scored_otherwise(2 * WORLDS)
    assert unlike == 0
    assert sum(count for wishes, count in seen.items() if 0 < wishes <= 8) > 100
    assert sum(count for wishes, count in seen.items() if wishes > 8) > 20


def test_bundles_are_scored_as_the_oracle_does() -> None:
    seen = 0
    for seed, program in enumerate(programs(WORLDS, easy=True)):
        relay = relay_of(program.segment, seed)
        eligible = fitting(program).eligible
        bundles = list(find_bundles(program, eligible).candidates(program.segment))[:40]
        if bundles:
            points = score(program, Offers.of(bundles), relay)
            assert points.tolist() == [score_of(program, one, relay) for one in bundles]
            assert not any(broken(program, one) for one in bundles)
            seen += len(bundles)
    assert seen > 50


def beaten_bundles(found: Sequence[Found]) -> tuple[int, int]:
    """How many bundles are shown, and of those how many a part of them is as good as."""
    best = {(one.segment, frozenset(one.candidate.rows)): one.score for one in found}
    bundles = [(at, rows, points) for (at, rows), points in best.items() if len(rows) > 1]
    beaten = [
        any(
            at == there and others < rows and best[there, others] >= points
            for there, others in best
        )
        for at, rows, points in bundles
    ]
    return len(bundles), sum(beaten)


def test_with_bundles_no_candidate_is_beaten_by_a_part_of_it() -> None:
    shown = 0
    for seed in range(WORLDS):
        snapshot, demand = make_snapshot(seed, easy=True), make_demand(seed, easy=True)
        answer = search(snapshot, demand, 10_000, table=CONSTRAINTS)
        bundles, beaten = beaten_bundles(answer.found)
        assert beaten == 0
        shown += bundles
        counts = Counter(one.candidate.kind for one in answer.found)
        assert {kind: counts[kind] for kind in EVERY_KIND} == answer.feasible
        first = search(snapshot, demand, 5, table=CONSTRAINTS)
        assert first.found == answer.found[:5]
        assert first.feasible == answer.feasible
    assert shown > 8


def test_control_bundles_that_are_all_shown_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        search_module, "keep_undominated", lambda _segment, bundles, *_: np.ones(len(bundles), bool)
    )
    beaten = 0
    for seed in range(20):
        snapshot, demand = make_snapshot(seed, easy=True), make_demand(seed, easy=True)
        beaten += beaten_bundles(top_k(snapshot, demand, 10_000, table=CONSTRAINTS))[1]
    assert beaten > 0


def test_only_kinds_that_are_wanted_are_found() -> None:
    for seed in range(40):
        snapshot, demand = make_snapshot(seed), make_demand(seed)
        everything = top_k(snapshot, demand, 1000, table=CONSTRAINTS, kinds=SINGLE)
        for kind in SINGLE:
            found = top_k(snapshot, demand, 1000, table=CONSTRAINTS, kinds=frozenset({kind}))
            assert found == [one for one in everything if one.candidate.kind is kind]


def test_the_order_in_which_rows_were_read_changes_nothing() -> None:
    for seed in range(30):
        raw = make_raw(seed)
        one, other = assemble(raw), assemble(shuffled(raw, seed))
        assert seen_in(one, seed) == seen_in(other, seed)


def seen_in(segment: Segment, seed: int) -> list[tuple[list[int], int, int]]:
    snapshot = replace(make_snapshot(0), segments=(segment,))
    found = top_k(snapshot, make_demand(seed), 50, table=CONSTRAINTS)
    return [
        ([int(segment.fid[row]) for row in one.candidate.rows], one.candidate.first_day, one.score)
        for one in found
    ]


def test_weights_are_hundredths_of_known_criteria() -> None:
    demand = make_demand(1)
    assert sum(weights_of(replace(demand, weights={})).values()) == 100
    assert weights_of(replace(demand, weights={"rent": 100}))["wishes"] == 0
    for wrong in ({"rent": 99}, {"colour": 100}, {"rent": 150, "start": -50}):
        with pytest.raises(ValueError, match="weights"):
            weights_of(replace(demand, weights=wrong))


# ---- controls: broken on purpose, and found out ---------------------------------------------


def test_control_a_sieve_that_skips_a_test_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sieve_of = scan._sieve_of

    def forgetful(program: Program) -> Any:
        sieve = sieve_of(program)
        high, low = sieve.checks.high.copy(), sieve.checks.low.copy()
        low[-1 if sieve.shared == len(low) else sieve.shared - 1] = -(2**31) + 1
        high[-1 if sieve.shared == len(low) else sieve.shared - 1] = 2**31 - 1
        return sieve._replace(checks=sieve.checks._replace(low=low, high=high))

    monkeypatch.setattr(scan, "_sieve_of", forgetful)
    assert wrong_scans() > 0


def with_values(key: str, wrong: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
    return tuple(replace(one, values=wrong) if one.key == key else one for one in CRITERIA)


@pytest.mark.parametrize("key", [one.key for one in CRITERIA])
def test_control_a_criterion_off_by_a_thousandth_is_found_out(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = next(one.values for one in CRITERIA if one.key == key)

    def wrong(program: Program, measured: Any) -> Any:
        return np.maximum(right(program, measured) - 1, 0)

    monkeypatch.setattr(scoring, "CRITERIA", with_values(key, wrong))
    assert scored_otherwise(25)[0] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda scale: {"always": scale.always - 1},
        lambda scale: {"wishes": scale.wishes + 1},
        lambda scale: {"area": scale.area._replace(aim=scale.area.aim + 5)},
        lambda scale: {"rent": scale.rent._replace(high=scale.rent.high - 50)},
        lambda scale: {"start": scale.start._replace(high=scale.start.high - 1)},
        lambda scale: {"readiness": scale.readiness - 1},
        lambda scale: {"headroom": scale.headroom - [0, 0, 1, 0, 0, 0]},
        lambda scale: {"relay": np.maximum(scale.relay, 1) - np.int16(1)},
    ],
)
def test_control_a_scale_that_is_a_little_off_is_found_out(
    wrong: Callable[[Scale], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = scoring.scale_of

    def scale_of(program: Program, relay: Any) -> Scale:
        scale = right(program, relay)
        return scale._replace(**wrong(scale))

    monkeypatch.setattr(search_module, "scale_of", scale_of)
    assert wrong_answers(60) > 0


def test_control_ties_settled_by_segment_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        search_module, "_rank", lambda _segment, found: (-found.score, found.segment)
    )
    assert wrong_answers(60, k=50) > 0


def test_a_segment_without_units_of_the_kind_has_nothing() -> None:
    program = make_program(
        make_segment(3),
        replace(make_demand(3), hard={**make_demand(3).hard, "unit_type": "production"}),
        CONSTRAINTS,
    )
    found = fitting(program)
    assert len(found.rows) == len(found.eligible) == 0
