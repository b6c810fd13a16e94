"""The rules of rights against brute force: every day looked at by itself."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from app.kernel.period import Period
from app.kernel.terms import NoticeAnswer, RightKind
from app.ledger.rights.binding import (
    AskState,
    Binding,
    Cleared,
    HeldRight,
    Meeting,
    Notice,
    Unclear,
    all_answered_on,
    bindings,
    in_turn,
    judge,
)
from app.ledger.rights.conflicts import ConflictReason, conflicts, meeting, rank_behind

DAY_0 = date(2027, 1, 1)
HORIZON = 14
COMPANIES = [UUID(int=number) for number in range(1, 5)]
ME = COMPANIES[0]


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def days_of(period: Period) -> set[int]:
    """The days of a period up to a horizon that lies after every finite end."""
    end = HORIZON if period.end is None else (period.end - DAY_0).days
    return set(range((period.start - DAY_0).days, end))


@st.composite
def periods(draw: st.DrawFn) -> Period:
    start = draw(st.integers(0, 8))
    length = draw(st.none() | st.integers(1, 10 - start))
    return Period(day(start), None if length is None else day(start + length))


@st.composite
def rights(draw: st.DrawFn, number: int) -> HeldRight:
    return HeldRight(
        id=UUID(int=100 + number),
        kind=draw(st.sampled_from(RightKind)),
        holder=draw(st.sampled_from(COMPANIES)),
        rank=draw(st.integers(1, 6)),
        window=draw(periods()),
        notice_days=draw(st.integers(0, 4)),
    )


@st.composite
def worlds(draw: st.DrawFn) -> list[Meeting]:
    held = [draw(rights(number)) for number in range(draw(st.integers(0, 5)))]
    own = [right for right in held if right.holder == ME]
    some_own = st.lists(st.sampled_from(own), unique=True) if own else st.just([])
    # A right may meet several units of the offer, or one unit in several pieces.
    return [
        Meeting(right, right.window, tuple(draw(some_own)))
        for right in held
        for _ in range(draw(st.integers(1, 2)))
    ]


@given(worlds(), periods())
def test_a_right_binds_the_days_that_no_senior_right_of_the_company_shields(
    met: list[Meeting], period: Period
) -> None:
    expected: dict[UUID, set[int]] = {}
    for one in met:
        for number in days_of(period) & days_of(one.days):
            shielded = any(
                own.rank < one.right.rank and number in days_of(own.window) for own in one.under
            )
            if one.right.holder != ME and not shielded:
                expected.setdefault(one.right.id, set()).add(number)

    found = bindings(met, ME, period)

    assert {
        one.right.id: set().union(*(days_of(days) for days in one.days)) for one in found
    } == expected
    turns = [(one.right.rank, one.right.id) for one in found]
    assert turns == sorted(turns)


@st.composite
def notices(draw: st.DrawFn, right_id: UUID) -> list[Notice]:
    answers = st.none() | st.sampled_from(NoticeAnswer)
    made = []
    for number in range(draw(st.integers(0, 5))):
        answer = draw(answers)
        made.append(
            Notice(
                id=UUID(int=1_000 + number),
                right_id=draw(st.sampled_from([right_id, right_id, UUID(int=999)])),
                company_id=draw(st.sampled_from([None, *COMPANIES[:2]])),
                period=draw(periods()),
                due_on=day(draw(st.integers(-3, 3))),
                answer=answer,
                # Of several answers none was given at the instant of another.
                answered_at=answer and datetime(2026, 1, 1 + number, tzinfo=UTC),
            )
        )
    return draw(st.permutations(made))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Binding, list[Notice]]:
    right = draw(rights(0))
    days = draw(st.lists(periods(), min_size=1, max_size=2))
    return Binding(right, tuple(days)), draw(notices(right.id))


@settings(max_examples=150)
@given(cases())
def test_a_right_is_cleared_by_the_last_word_or_by_silence(
    case: tuple[Binding, list[Notice]],
) -> None:
    binding, said = case
    today = day(0)
    bound = set().union(*(days_of(days) for days in binding.days))
    about = [one for one in said if one.right_id == binding.right.id]
    fits = {
        one.id for one in about if one.company_id in {None, ME} and bound <= days_of(one.period)
    }
    # Replay what was said, in the order it was said.
    last_word: Notice | None = None
    for one in sorted(
        (one for one in about if one.answered_at), key=lambda one: one.answered_at or DAY_0
    ):
        takes = one.answer is NoticeAnswer.EXERCISED and bound & days_of(one.period)
        waives = one.answer is NoticeAnswer.WAIVED and one.id in fits
        if takes or waives:
            last_word = one
    silent = sorted((one.due_on, one.id) for one in about if one.id in fits and one.answer is None)

    verdict = judge(binding, said, ME, today)

    if last_word is not None and last_word.answer is NoticeAnswer.WAIVED:
        assert verdict == Cleared(binding.right, last_word)
    elif last_word is not None:
        assert verdict == Unclear(binding.right, AskState.EXERCISED, last_word)
    elif not silent:
        assert verdict == Unclear(binding.right, AskState.TO_ASK)
    else:
        (first,) = (one for one in about if one.id == silent[0][1])
        lapsed = first.due_on < today
        assert verdict == (
            Cleared(binding.right, first)
            if lapsed
            else Unclear(binding.right, AskState.ASKED, first)
        )


def chain(unclear: list[Unclear], start: date) -> list[date | None]:
    """When each answer comes in, if whoever is to be asked is asked on the day of the last one."""
    now, due = start, list[date | None]()
    for one in unclear:
        if one.state is AskState.EXERCISED or one.notice is not None:
            due.append(one.notice.due_on if one.notice and one.state is AskState.ASKED else None)
        else:
            due.append(now + timedelta(days=one.right.notice_days))
        now = max([now, *(one for one in due[-1:] if one)])
    return due


@st.composite
def lines(draw: st.DrawFn) -> list[Unclear]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        right, state = draw(rights(number)), draw(st.sampled_from(AskState))
        due_on = day(draw(st.integers(0, 6)))
        notice = Notice(UUID(int=1_000 + number), right.id, None, Period(day(9)), due_on)
        made.append(Unclear(right, state, None if state is AskState.TO_ASK else notice))
    return made


@given(lines(), st.integers(0, 20))
def test_whoever_asks_by_the_day_has_all_answers_before_the_first_day(
    unclear: list[Unclear], lead: int
) -> None:
    today, first_day = day(0), day(lead)

    asks = in_turn(unclear, first_day, today)

    assert [ask.right for ask in asks] == [one.right for one in unclear]
    assert [ask.order for ask in asks] == list(range(1, len(unclear) + 1))
    assert [ask.answer_due_on for ask in asks] == chain(unclear, today)
    for place, ask in enumerate(asks):
        if ask.state is not AskState.TO_ASK:
            assert ask.ask_by is None
            continue
        still = [one for one in unclear[place:] if one.state is AskState.TO_ASK]
        in_time = [
            number
            for number in range(-30, 21)
            if all(due < first_day for due in chain(still, day(number)) if due)
        ]
        assert ask.ask_by == day(max(in_time))
    taken = any(one.state is AskState.EXERCISED for one in unclear)
    expected = all_answered_on(asks)
    assert (expected is None) == taken
    if expected is not None:
        assert expected == max(due for due in chain(unclear, today) if due)


def test_the_order_to_ask_by_hand() -> None:
    """Ten days, then five: for 1 March 2027 the first is asked by 13 February."""
    first = HeldRight(UUID(int=1), RightKind.FIRST_OFFER, COMPANIES[1], 1, Period(DAY_0), 10)
    second = HeldRight(UUID(int=2), RightKind.EXPANSION, COMPANIES[2], 2, Period(DAY_0), 5)
    unclear = [Unclear(one, AskState.TO_ASK) for one in (first, second)]

    asks = in_turn(unclear, date(2027, 3, 1), date(2027, 2, 1))

    assert [ask.ask_by for ask in asks] == [date(2027, 2, 13), date(2027, 2, 23)]
    assert [ask.answer_due_on for ask in asks] == [date(2027, 2, 11), date(2027, 2, 16)]


def test_the_holder_of_rank_2_asks_rank_1_only() -> None:
    one, two, three = (
        HeldRight(UUID(int=rank), RightKind.EXPANSION, COMPANIES[rank], rank, Period(DAY_0), 5)
        for rank in (1, 2, 3)
    )
    met = [Meeting(right, right.window, (two,)) for right in (one, two, three)]

    found = bindings(met, two.holder, Period(day(1), day(5)))

    assert [binding.right for binding in found] == [one]


@st.composite
def grants(draw: st.DrawFn) -> list[tuple[HeldRight, bool, bool]]:
    """Rights in the order asked for: with a rank of their own or behind; naming all or not."""
    return [
        (draw(rights(number)), draw(st.booleans()), draw(st.booleans()))
        for number in range(draw(st.integers(1, 8)))
    ]


@settings(max_examples=100)
@given(grants(), st.data())
def test_rights_that_stand_side_by_side_have_an_order_that_was_named(
    asked: list[tuple[HeldRight, bool, bool]], data: st.DataObject
) -> None:
    standing: list[HeldRight] = []
    for wanted, behind_all, names_all in asked:
        met = meeting(wanted.window, standing)
        assert {one.id for one in met} == {
            one.id for one in standing if days_of(one.window) & days_of(wanted.window)
        }
        rank = rank_behind(met) if behind_all else wanted.rank
        ids = [one.id for one in met]
        named = ids if names_all or not ids else data.draw(st.lists(st.sampled_from(ids)))

        found = conflicts(wanted.kind, wanted.holder, rank, named, met)

        allowed = all(
            one.id in named
            and one.rank < rank
            and not (one.kind is wanted.kind is RightKind.MUST_TAKE and one.holder != wanted.holder)
            for one in met
        )
        assert (not found) == allowed
        assert {one.right.id for one in found} <= set(ids)
        if not found:
            standing.append(
                HeldRight(
                    wanted.id, wanted.kind, wanted.holder, rank, wanted.window, wanted.notice_days
                )
            )
    for place, later in enumerate(standing):
        for earlier in standing[:place]:
            if days_of(later.window) & days_of(earlier.window):
                assert earlier.rank < later.rank
                both = {earlier.kind, later.kind} == {RightKind.MUST_TAKE}
                assert not (both and earlier.holder != later.holder)


def test_each_reason_by_hand() -> None:
    standing = HeldRight(UUID(int=9), RightKind.MUST_TAKE, ME, 2, Period(DAY_0), 5)

    def reason(kind: RightKind, company: UUID, rank: int, *behind: UUID) -> list[ConflictReason]:
        return [one.reason for one in conflicts(kind, company, rank, behind, [standing])]

    renewal, other = RightKind.RENEWAL, COMPANIES[1]
    assert reason(renewal, other, 3, standing.id) == []
    assert reason(renewal, other, 3) == [ConflictReason.NOT_NAMED]
    assert reason(renewal, other, 2, standing.id) == [ConflictReason.SAME_RANK]
    assert reason(renewal, other, 1, standing.id) == [ConflictReason.NOT_BEHIND]
    assert reason(RightKind.MUST_TAKE, other, 3, standing.id) == [ConflictReason.MUST_TAKE]
    assert reason(RightKind.MUST_TAKE, ME, 3, standing.id) == []
