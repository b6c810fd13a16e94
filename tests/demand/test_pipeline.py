"""Stage histories: dates in order, facts before wishes, and only forwards."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.demand.pipeline import RANK, StageEntry, current, faults, standing, upcoming
from app.kernel.terms import PIPELINE_LADDER, PipelineStage

TODAY = date(2026, 11, 1)
PRECLINICAL, IND, PHASE_1, PHASE_2 = PIPELINE_LADDER[1:5]


def fact(stage: PipelineStage, day: date) -> StageEntry:
    return StageEntry(stage, day)


def wish(stage: PipelineStage, day: date) -> StageEntry:
    return StageEntry(stage, day, expected=True)


HISTORY = [fact(PRECLINICAL, date(2025, 1, 1)), fact(IND, date(2026, 3, 1))]


def test_the_stage_is_the_furthest_fact_and_the_next_is_the_nearest_target() -> None:
    history = [*HISTORY, wish(PHASE_1, date(2027, 6, 1)), wish(PHASE_2, date(2029, 1, 1))]

    assert current(history) == fact(IND, date(2026, 3, 1))
    assert upcoming(history) == wish(PHASE_1, date(2027, 6, 1))
    assert current([]) is None
    assert upcoming(HISTORY) is None


def test_a_later_target_replaces_an_earlier_one_and_a_fact_replaces_both() -> None:
    moved = [*HISTORY, wish(PHASE_1, date(2027, 6, 1)), wish(PHASE_1, date(2027, 9, 1))]

    assert upcoming(moved) == wish(PHASE_1, date(2027, 9, 1))
    done = [*moved, fact(PHASE_1, date(2026, 10, 1)), wish(PHASE_1, date(2027, 12, 1))]
    assert current(done) == fact(PHASE_1, date(2026, 10, 1))
    assert upcoming(done) is None


def test_a_future_day_is_no_fact_and_a_past_day_no_target() -> None:
    future = faults(HISTORY, [fact(PHASE_1, date(2026, 11, 2))], TODAY)
    past = faults(HISTORY, [wish(PHASE_1, date(2026, 10, 31))], TODAY)

    assert [one.pointer for one in future + past] == ["/entered_on", "/entered_on"]
    assert "expected: true" in future[0].detail
    assert not faults(HISTORY, [fact(PHASE_1, TODAY), wish(PHASE_2, TODAY)], TODAY, "/stages")


def test_a_history_never_goes_back() -> None:
    back = faults(HISTORY, [fact(PRECLINICAL, TODAY)], TODAY)
    twice = faults(HISTORY, [fact(IND, TODAY)], TODAY)
    early = faults(HISTORY, [fact(PHASE_1, date(2026, 2, 1))], TODAY)
    crossed = faults(
        HISTORY,
        [wish(PHASE_1, date(2028, 1, 1)), wish(PHASE_2, date(2027, 1, 1))],
        TODAY,
        "/stages",
    )

    assert back[0].pointer == twice[0].pointer == "/stage"
    assert "cannot come" in early[0].detail
    assert crossed[0].pointer == "/stages/1/entered_on"


def test_a_stage_may_be_entered_before_its_target_and_skip_others() -> None:
    planned = [*HISTORY, wish(PHASE_1, date(2027, 6, 1))]

    assert not faults(planned, [fact(PHASE_1, TODAY)], TODAY)
    assert not faults(planned, [fact(PHASE_2, TODAY)], TODAY)


def test_a_target_date_between_two_facts_does_not_hide_their_order() -> None:
    history = [fact(IND, TODAY), wish(PHASE_1, TODAY)]

    assert faults(history, [fact(PHASE_2, TODAY - timedelta(days=1))], TODAY)
    assert not faults(history, [fact(PHASE_2, TODAY)], TODAY)


ENTRIES = st.lists(
    st.builds(
        StageEntry,
        st.sampled_from(PIPELINE_LADDER),
        st.integers(-900, 900).map(lambda days: TODAY + timedelta(days=days)),
        st.booleans(),
    ),
    max_size=12,
)


@given(ENTRIES)
def test_whatever_is_offered_the_facts_that_stay_climb_the_ladder(
    offered: list[StageEntry],
) -> None:
    history: list[StageEntry] = []
    for entry in offered:
        if not faults(history, [entry], TODAY):
            history.append(entry)

    facts = [one for one in standing(history) if not one.expected]
    assert [one.entered_on for one in facts] == sorted(one.entered_on for one in facts)
    assert all(one.entered_on <= TODAY for one in facts)
    now, following = current(history), upcoming(history)
    if now is not None and following is not None:
        assert RANK[following.stage] > RANK[now.stage]
        assert following.entered_on >= TODAY
