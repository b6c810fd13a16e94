"""Which rights bind an offer, which of them are cleared, and whom to ask by when. Pure.

An offer is space for a company and a period. A right binds it on the days that both have, save
those on which the company itself has a right on the same ground that comes first. A right that
binds is cleared by one notice to its holder that covers all these days: waived, or left without
an answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.kernel.period import Period
from app.kernel.terms import NoticeAnswer, RightKind
from app.ledger.rights.days import contains, shared, without


@dataclass(frozen=True, slots=True)
class HeldRight:
    """A right; of two that meet, the one of the smaller rank is asked first."""

    id: UUID
    kind: RightKind
    holder: UUID
    rank: int
    window: Period
    notice_days: int


@dataclass(frozen=True, slots=True)
class Meeting:
    """A right on one unit of the offer.

    ``days`` are those of its window on which the unit lies on its ground. ``under`` are the rights
    of the company itself whose ground holds all that the two share.
    """

    right: HeldRight
    days: Period
    under: tuple[HeldRight, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """The holder of a right was asked; ``company_id`` None is about an offer to anyone."""

    id: UUID
    right_id: UUID
    company_id: UUID | None
    period: Period
    due_on: date
    answer: NoticeAnswer | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """A right that binds an offer, and the days on which it does."""

    right: HeldRight
    days: tuple[Period, ...]


class AskState(StrEnum):
    """How far the asking has come."""

    TO_ASK = "to_ask"
    ASKED = "asked"
    EXERCISED = "exercised"


@dataclass(frozen=True, slots=True)
class Cleared:
    """A right that binds, and the notice that clears it."""

    right: HeldRight
    notice: Notice


@dataclass(frozen=True, slots=True)
class Unclear:
    """A right that binds and is not cleared; ``notice`` is the one that runs or was exercised."""

    right: HeldRight
    state: AskState
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One step of the way to an offer.

    ``ask_by`` is the last day to ask, so that this answer and all later ones come in before the
    offer's first day; None where nothing is left to ask. ``answer_due_on`` is when the answer
    comes in, if whoever is left is asked in turn from today; None where the holder has taken it.
    """

    order: int
    right: HeldRight
    state: AskState
    notice: Notice | None
    ask_by: date | None
    answer_due_on: date | None


def bindings(meetings: Iterable[Meeting], company_id: UUID, period: Period) -> list[Binding]:
    """The rights that bind an offer of ``period`` to the company, in the order of asking."""
    days: dict[UUID, list[Period]] = {}
    rights: dict[UUID, HeldRight] = {}
    for meeting in meetings:
        right = meeting.right
        common = shared(meeting.days, period)
        if common is None or right.holder == company_id:
            continue
        left = [common]
        for own in meeting.under:
            if own.rank < right.rank:
                left = list(without(left, own.window))
        if left:
            rights[right.id] = right
            days.setdefault(right.id, []).extend(left)
    return [
        Binding(right, tuple(days[right.id])) for right in sorted(rights.values(), key=turn_to_ask)
    ]


def turn_to_ask(right: HeldRight) -> tuple[int, UUID]:
    """The order of asking; rights of one rank do not meet, so that any order does for them."""
    return right.rank, right.id


def judge(
    binding: Binding, notices: Iterable[Notice], company_id: UUID, today: date
) -> Cleared | Unclear:
    """Whether a right is cleared for the company on all days on which it binds.

    An exercise on any of these days stands against everyone, and against silence, until a waiver
    is recorded after it.
    """
    right = binding.right
    about = [one for one in notices if one.right_id == right.id]
    exercised = [
        one
        for one in about
        if one.answer is NoticeAnswer.EXERCISED
        and any(shared(one.period, days) for days in binding.days)
    ]
    since = max((_answered(one) for one in exercised), default=None)
    fitting = [
        one
        for one in about
        if one.company_id in {None, company_id}
        and all(contains(one.period, days) for days in binding.days)
    ]
    waived = [
        one
        for one in fitting
        if one.answer is NoticeAnswer.WAIVED and (since is None or _answered(one) > since)
    ]
    if waived:
        return Cleared(right, max(waived, key=_answered))
    if exercised:
        return Unclear(right, AskState.EXERCISED, max(exercised, key=_answered))
    first = min(
        (one for one in fitting if one.answer is None),
        key=lambda one: (one.due_on, one.id),
        default=None,
    )
    if first is None:
        return Unclear(right, AskState.TO_ASK)
    # The last day for an answer is still the holder's.
    return Cleared(right, first) if first.due_on < today else Unclear(right, AskState.ASKED, first)


def _answered(notice: Notice) -> datetime:
    if notice.answered_at is None:
        raise ValueError(f"notice {notice.id} has an answer but no instant of it")
    return notice.answered_at


def in_turn(unclear: Sequence[Unclear], first_day: date, today: date) -> list[Ask]:
    """Whom to ask, in which order, by when: one after the other, on the day of the last answer."""
    latest: dict[UUID, date] = {}
    ask_by = first_day - timedelta(days=1)
    for one in reversed(unclear):
        if one.state is AskState.TO_ASK:
            ask_by -= timedelta(days=one.right.notice_days)
            latest[one.right.id] = ask_by
    asks, day = [], today
    for order, one in enumerate(unclear, start=1):
        due: date | None = None
        if one.state is AskState.TO_ASK:
            due = day + timedelta(days=one.right.notice_days)
        elif one.state is AskState.ASKED and one.notice is not None:
            due = one.notice.due_on
        day = day if due is None else max(day, due)
        asks.append(Ask(order, one.right, one.state, one.notice, latest.get(one.right.id), due))
    return asks


def all_answered_on(asks: Sequence[Ask]) -> date | None:
    """The day by which all answers are in; None where a holder has taken the space."""
    due = [ask.answer_due_on for ask in asks]
    return None if None in due else max(day for day in due if day is not None)
