"""What the kernels say of every unit is what the plain judge says of it."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from app.matching.engine import masks as masks_module
from app.matching.engine.judge import broken, candidate_of, is_absent
from app.matching.engine.kernel import asked_of, free_from, offered, units_of
from app.matching.engine.masks import distinct, violations
from app.matching.engine.program import ABSENT, Program
from tests.matching.engine.worlds import programs

WORLDS = 80

Violations = Callable[[Program], np.ndarray]


def expected(program: Program, row: int) -> int:
    return ABSENT if is_absent(program, row) else broken(program, candidate_of(program, row))


def told(mask: int) -> int:
    return ABSENT if mask & ABSENT else mask


def wrong_worlds(said: Violations, count: int = WORLDS) -> int:
    """In how many worlds some mask is not the judge's."""
    wrong = 0
    for program in programs(count):
        masks = [told(int(mask)) for mask in said(program)]
        wrong += masks != [expected(program, row) for row in range(len(masks))]
    return wrong


def test_every_mask_is_the_judges() -> None:
    assert wrong_worlds(violations) == 0


def test_some_units_break_nothing_some_are_absent_and_all_rules_are_broken_somewhere() -> None:
    seen: Counter[str] = Counter()
    for program in programs(WORLDS):
        for mask in map(int, violations(program)):
            seen["absent"] += mask & ABSENT > 0
            seen["fits"] += mask == 0
            if not mask & ABSENT:
                seen.update(one.key for one in program.constraints_of(mask))
                seen["rules kept"] += len(program.active) - mask.bit_count()
    assert seen["absent"] > 100
    assert seen["fits"] > 100
    assert {"availability", "power_left", "max_rent_cny_per_year", "whole_floor"} <= seen.keys()
    assert {"min_area_m2", "places", "whole_building", "zones", "term_months"} <= seen.keys()


def test_rows_can_be_asked_for_in_pieces() -> None:
    for program in programs(20):
        whole = violations(program)
        half = len(whole) // 3
        pieces = [violations(program, range(half)), violations(program, range(half, len(whole)))]
        assert np.array_equal(np.concatenate(pieces), whole)


def test_what_is_offered_and_when_is_the_judges() -> None:
    kinds: Counter[str] = Counter()
    for program in programs(WORLDS):
        units, asked = units_of(program.segment), asked_of(program)
        for row in range(len(program.segment)):
            candidate = candidate_of(program, row)
            quantity = offered(row, units, asked.want)
            assert (quantity,) == candidate.quantities
            stretch = free_from(row, quantity, units, asked)
            assert stretch == (candidate.first_day, candidate.until)
            kinds[candidate.kind] += 1
    assert min(kinds["unit"], kinds["part"], kinds["places"]) > 10


def test_a_million_masks_are_counted_as_by_sorting() -> None:
    rng = np.random.default_rng(1)
    masks = (rng.integers(0, 5000, 200_000) ** 2).astype(np.uint64)
    masks[rng.random(len(masks)) < 0.1] |= np.uint64(ABSENT)
    present = masks[masks & np.uint64(ABSENT) == 0]
    found, counts, first = distinct(masks)
    values, sums = np.unique(present, return_counts=True)
    assert np.array_equal(found, values)
    assert np.array_equal(counts, sums)
    at = {int(mask): place for place, mask in reversed(list(enumerate(masks)))}
    assert first.tolist() == [at[int(mask)] for mask in found]


def test_control_a_calendar_that_forgets_the_term_is_found_out() -> None:
    def forgetful(program: Program) -> np.ndarray:
        masks = violations(program)
        segment = program.segment
        lets = np.where(
            segment.column("min_part") < 0, segment.column("capacity"), segment.column("min_part")
        )
        bit = np.uint64(1 << (program.bit("availability") or 0))
        for row in range(len(masks)):
            if any(
                day <= program.latest and free >= lets[row] for day, free in segment.calendar(row)
            ):
                masks[row] &= ~bit
        return masks

    assert wrong_worlds(forgetful, 40) > 0


@pytest.mark.parametrize("name", ["_calendars", "_own_rules", "_eras", "_ground_of"])
def test_control_masks_without_a_step_are_found_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ("_violations", "_ground_of", "_eras", "_intervals", "_calendars", "_own_rules")
    for one in steps:
        monkeypatch.setattr(masks_module, one, getattr(masks_module, one).py_func)
    assert wrong_worlds(violations, 3) == 0

    def ground_of_nothing(span: int, *others: np.ndarray) -> int:
        others[-1][:] = 0
        return span

    def nothing(*_arguments: object) -> None:
        return None

    monkeypatch.setattr(masks_module, name, {"_ground_of": ground_of_nothing}.get(name, nothing))
    assert wrong_worlds(violations, 12) > 0
