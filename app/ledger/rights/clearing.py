"""Before space is promised: every senior right on it is cleared, or the promise is refused."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.kernel.terms import NoticeAnswer
from app.ledger.rights.binding import (
    Ask,
    Cleared,
    Notice,
    Unclear,
    all_answered_on,
    bindings,
    in_turn,
    judge,
)
from app.ledger.rights.errors import RightNotClearedError
from app.ledger.rights.ground import meetings
from app.models.company import Company
from app.models.right import RightClearance, RightNotice
from app.security.actors import Actor
from app.security.rows import whole_ledger

#: Answers by what the column holds.
ANSWERS = {answer.value: answer for answer in NoticeAnswer}
#: A right that binds a promise, and the notice that proves it cleared.
Clearance = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Offer:
    """Space that is to be promised to a company for a period."""

    company_id: UUID
    unit_ids: Sequence[UUID]
    period: Period


@dataclass(frozen=True, slots=True)
class Judgement:
    """The rights that bind an offer: those that are cleared, and whom else to ask."""

    cleared: tuple[Cleared, ...]
    ask: tuple[Ask, ...]


def judge_offer(session: Session, offer: Offer, now: datetime) -> Judgement:
    """What stands against an offer now; nothing is written."""
    with whole_ledger(session):
        met = meetings(session, offer.unit_ids, offer.company_id, offer.period)
        binding = bindings(met, offer.company_id, offer.period)
        if not binding:
            return Judgement((), ())
        notices = read_notices(session, [one.right.id for one in binding])
    today = civil_day(now)
    verdicts = [judge(one, notices, offer.company_id, today) for one in binding]
    unclear = [verdict for verdict in verdicts if isinstance(verdict, Unclear)]
    return Judgement(
        tuple(verdict for verdict in verdicts if isinstance(verdict, Cleared)),
        tuple(in_turn(unclear, offer.period.start, today)),
    )


def clear_rights(session: Session, actor: Actor, offer: Offer, now: datetime) -> list[Clearance]:
    """Refuse an offer that a senior right binds; else the notices that prove that none does.

    Call it under the locks of the units, and write the proofs with ``record_clearances``.

    Raises:
        RightNotClearedError: with whom to ask, in which order, by when; to firms, only how many.
    """
    judgement = judge_offer(session, offer, now)
    if judgement.ask:
        raise _refusal(session, actor, judgement.ask)
    return [(one.right.id, one.notice.id) for one in judgement.cleared]


def record_clearances(session: Session, commitment_id: UUID, cleared: Sequence[Clearance]) -> None:
    """Write down why a promise could be made though rights bound its space."""
    if cleared:
        rows = [
            {"commitment_id": commitment_id, "right_id": right_id, "notice_id": notice_id}
            for right_id, notice_id in cleared
        ]
        # A lease that is extended may rest on the same notice again.
        with whole_ledger(session):
            session.execute(insert(RightClearance).on_conflict_do_nothing(), rows)


def read_notices(session: Session, right_ids: Collection[UUID]) -> list[Notice]:
    """All that the holders of rights were asked."""
    found = session.execute(
        select(
            *(
                RightNotice.__table__.c[name]
                for name in ("id", "right_id", "company_id", "due_on", "answer", "answered_at")
            ),
            func.lower(RightNotice.period).label("start"),
            func.upper(RightNotice.period).label("until"),
        ).where(RightNotice.right_id.in_(right_ids))
    )
    return [
        Notice(
            row.id,
            row.right_id,
            row.company_id,
            Period(row.start, row.until),
            row.due_on,
            None if row.answer is None else ANSWERS[row.answer],
            row.answered_at,
        )
        for row in found
    ]


def _refusal(session: Session, actor: Actor, asks: Sequence[Ask]) -> RightNotClearedError:
    expected = all_answered_on(asks)
    count = len(asks)
    if not actor.is_staff:
        # Who has a right, and who asked whom, is nobody else's business.
        return RightNotClearedError(
            f"{count} right{'s' * (count > 1)} of others must be cleared first; ask the park",
            detail_zh=f"有 {count} 项他人权利须先行征询，请联系园区",
            rights_count=count,
            answers_expected_on=_day(expected),
        )
    return RightNotClearedError(
        f"{count} right{'s' * (count > 1)} must be cleared first; ask the holders in this order",
        detail_zh=f"有 {count} 项权利须先行征询，请按顺序征询权利人",
        rights_count=count,
        answers_expected_on=_day(expected),
        ask=asks_shown(session, asks),
    )


def asks_shown(session: Session, asks: Sequence[Ask]) -> list[dict[str, Any]]:
    """The steps as staff see them."""
    holders = named_companies(session, {ask.right.holder for ask in asks})
    return [
        {
            "order": ask.order,
            "right_id": str(ask.right.id),
            "kind": ask.right.kind.value,
            "kind_zh": ask.right.kind.zh,
            "holder": holders[ask.right.holder],
            "rank": ask.right.rank,
            "notice_days": ask.right.notice_days,
            "state": ask.state.value,
            "asked": None
            if ask.notice is None
            else {"notice_id": str(ask.notice.id), "due_on": ask.notice.due_on.isoformat()},
            "ask_by": _day(ask.ask_by),
            "answer_due_on": _day(ask.answer_due_on),
        }
        for ask in asks
    ]


def named_companies(
    session: Session, company_ids: Collection[UUID]
) -> Mapping[UUID, dict[str, str]]:
    """Companies with their names, for staff."""
    found = session.execute(
        select(Company.id, Company.name_zh, Company.name_en).where(Company.id.in_(company_ids))
    )
    return {
        row.id: {"company_id": str(row.id), "name_zh": row.name_zh, "name_en": row.name_en}
        for row in found
    }


def require_company(session: Session, company_id: UUID | None) -> UUID:
    """A company that exists.

    Raises:
        InvalidInputError: none is named, or there is none.
    """
    if company_id is None:
        raise InvalidInputError(
            "name the company",
            [Fault("/company_id", "needed here", detail_zh="此处必填")],
            detail_zh="请指明 company_id",
        )
    if session.scalar(select(Company.id).where(Company.id == company_id)) is None:
        raise InvalidInputError(
            f"there is no company {company_id}",
            [Fault("/company_id", "no such company", detail_zh="没有该企业")],
            detail_zh=f"没有编号为 {company_id} 的企业",
        )
    return company_id


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
