"""The algebra of a unit's pieces: changes touch their days and no others."""

import itertools
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.inventory.pieces import (
    Facts,
    Piece,
    Pieces,
    aligned,
    amended,
    facts_on,
    joined,
    runs,
    within,
)

FIRST = date(2027, 1, 1)
SPAN = 30
#: Every day that any piece here can begin or end on, and some around.
DAYS = [FIRST + timedelta(days=n) for n in range(-3, SPAN + 3)]
days = st.integers(0, SPAN - 1).map(lambda n: FIRST + timedelta(days=n))
values = st.integers(1, 3)
changes = st.dictionaries(st.sampled_from("ab"), values, min_size=1)


@st.composite
def pieces(draw: st.DrawFn) -> Pieces:
    """A unit that begins and ends somewhere or never, with up to five pieces."""
    cuts: list[date | None] = [*sorted(draw(st.sets(days, min_size=2, max_size=6)))]
    if draw(st.booleans()):
        cuts[0] = None
    if draw(st.booleans()):
        cuts[-1] = None
    found = [
        Piece(start, end, {"a": draw(values), "b": draw(values)})
        for start, end in itertools.pairwise(cuts)
    ]
    return joined(found)


@st.composite
def spans(draw: st.DrawFn) -> tuple[date | None, date | None]:
    """Some days, perhaps since ever or for good."""
    start, end = sorted(draw(st.lists(days, min_size=2, max_size=2, unique=True)))
    return (None if draw(st.booleans()) else start), (None if draw(st.booleans()) else end)


def by_day(found: Sequence[Piece]) -> list[Facts | None]:
    return [facts_on(found, day) for day in DAYS]


Amend = Callable[[Sequence[Piece], date | None, date | None, Facts], Pieces]


def holds(
    amend: Amend, before: Pieces, span: tuple[date | None, date | None], change: Facts
) -> bool:
    """Whether an amendment does what it says, looked at day by day."""
    start, end = span
    after = amend(before, start, end, change)
    expected = [
        None
        if facts is None
        else {**facts, **change}
        if (start is None or start <= day) and (end is None or day < end)
        else facts
        for day, facts in zip(DAYS, by_day(before), strict=True)
    ]
    tiles = all(one.end == two.start for one, two in itertools.pairwise(after))
    same_ends = (after[0].start, after[-1].end) == (before[0].start, before[-1].end)
    fewest = all(one.facts != two.facts for one, two in itertools.pairwise(after))
    again = amend(after, start, end, change)
    return by_day(after) == expected and tiles and same_ends and fewest and again == after


@given(pieces(), spans(), changes)
@settings(max_examples=150, deadline=None)
def test_a_change_is_made_on_its_days_alone(
    before: Pieces, span: tuple[date | None, date | None], change: Facts
) -> None:
    assert holds(amended, before, span, change)


def _forgets_the_end(
    found: Sequence[Piece], start: date | None, _end: date | None, change: Facts
) -> Pieces:
    return amended(found, start, None, change)


def _never_joins(
    found: Sequence[Piece], start: date | None, end: date | None, change: Facts
) -> Pieces:
    before = within(found, None, start) if start else ()
    inside = [Piece(p.start, p.end, {**p.facts, **change}) for p in within(found, start, end)]
    return (*before, *inside, *(within(found, end, None) if end else ()))


def _replaces_all_facts(
    found: Sequence[Piece], start: date | None, end: date | None, change: Facts
) -> Pieces:
    gone: dict[str, Any] = {"a": 1, "b": 1}
    return amended(found, start, end, gone | dict(change))


@pytest.mark.parametrize("broken", [_forgets_the_end, _never_joins, _replaces_all_facts])
def test_broken_amendments_are_found_out(broken: Amend) -> None:
    @given(pieces(), spans(), changes)
    @settings(max_examples=500, deadline=None, database=None)
    def search(before: Pieces, span: tuple[date | None, date | None], change: Facts) -> None:
        assert holds(broken, before, span, change)

    with pytest.raises(AssertionError):
        search()


@given(pieces(), spans())
@settings(deadline=None)
def test_runs_cover_the_same_days_in_stretches_that_differ(
    found: Pieces, span: tuple[date | None, date | None]
) -> None:
    stretches = runs(found, *span, lambda facts: facts["a"])
    asked = within(found, *span)
    assert [facts and facts["a"] for facts in by_day(stretches)] == [
        facts and facts["a"] for facts in by_day(asked)
    ]
    assert all(one.facts["a"] != two.facts["a"] for one, two in itertools.pairwise(stretches))


@given(pieces(), spans(), changes, spans(), changes)
@settings(deadline=None)
def test_aligned_stretches_agree_with_each_unit(
    found: Pieces,
    first: tuple[date | None, date | None],
    one: Facts,
    second: tuple[date | None, date | None],
    two: Facts,
) -> None:
    many = [amended(found, *first, one), amended(found, *second, two)]
    for start, end, facts in aligned(many):
        inside = [
            day for day in DAYS if (start is None or start <= day) and (end is None or day < end)
        ]
        for day in inside:
            assert [facts_on(unit, day) for unit in many] == facts


def test_no_day_is_no_piece() -> None:
    with pytest.raises(ValueError, match="end after it starts"):
        Piece(FIRST, FIRST, {})
    with pytest.raises(ValueError, match="no day"):
        amended((Piece(None, None, {}),), FIRST, FIRST, {})
