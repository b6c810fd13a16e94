"""Ask the holders of rights, write down what they say, end rights, check offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import DATERANGE, TSTZRANGE, Range
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day, rfc3339
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.kernel.terms import NoticeAnswer
from app.ledger.errors import UnknownUnitError
from app.ledger.orders import database_now
from app.ledger.rights.binding import HeldRight
from app.ledger.rights.clearing import ANSWERS, Judgement, Offer, judge_offer, require_company
from app.ledger.rights.days import shared
from app.ledger.rights.errors import (
    NoSuchRightError,
    NoticeAnsweredError,
    NoticeLapsedError,
    RightEndedError,
    no_such_right,
)
from app.ledger.rights.ground import RIGHT_KINDS
from app.models.right import Right, RightNotice
from app.models.space import Unit
from app.security.actors import Actor, Role

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Question:
    """What a holder is asked: may the space go to a company (None: to anyone) for these days?"""

    period: Period
    company_id: UUID | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A right as its row has it, locked."""

    right: HeldRight
    granted_at: datetime


def _standing(session: Session, actor: Actor, right_id: UUID) -> _Read:
    """A right that has not ended, its row locked.

    Raises:
        NoSuchRightError: there is none.
        RightEndedError: it was ended.
    """
    row = session.execute(
        select(
            *(Right.__table__.c[name] for name in ("park_id", "kind", "company_id", "rank")),
            *(Right.__table__.c[name] for name in ("binds", "notice_days", "known", "closed_by")),
        )
        .where(Right.id == right_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise no_such_right(right_id)
    actor.require_park(row.park_id)
    if row.closed_by is not None:
        raise RightEndedError(
            f"the right was ended at {rfc3339(row.known.upper)}",
            detail_zh="该权利此前已终止",
        )
    window = Period(row.binds.lower, row.binds.upper)
    held = HeldRight(
        right_id, RIGHT_KINDS[row.kind], row.company_id, row.rank, window, row.notice_days
    )
    return _Read(held, row.known.lower)


def end_right(session: Session, actor: Actor, right_id: UUID) -> None:
    """End a right: from now on it binds nothing.

    Raises:
        RightEndedError: it was ended before.
    """
    actor.require_staff(Role.MANAGER)
    found = _standing(session, actor, right_id)
    # Should the clock have been set back, belief still moves forwards.
    now = max(database_now(session), found.granted_at + _MICROSECOND)
    session.execute(
        update(Right)
        .where(Right.id == right_id)
        .values(
            known=func.tstzrange(func.lower(Right.known), literal(now), type_=TSTZRANGE),
            closed_by=actor.label,
        )
        .execution_options(synchronize_session=False)
    )


def ask_holder(session: Session, actor: Actor, right_id: UUID, question: Question) -> UUID:
    """Write down that the holder was asked today; the notice's id.

    The holder may answer until ``notice_days`` days from today; silence is a waiver after that.

    Raises:
        RightEndedError: there is nobody to ask any more.
    """
    actor.require_staff(Role.AGENT)
    return _insert_notice(session, actor, right_id, question, {})


def record_waiver(session: Session, actor: Actor, right_id: UUID, question: Question) -> UUID:
    """Write down that the holder has waived; the id of the notice that says so.

    Raises:
        RightEndedError: there is nothing to waive any more.
    """
    actor.require_staff(Role.MANAGER)
    said = {"answer": NoticeAnswer.WAIVED.value, "answered_by": actor.label}
    return _insert_notice(session, actor, right_id, question, said)


def _insert_notice(
    session: Session, actor: Actor, right_id: UUID, question: Question, said: Mapping[str, Any]
) -> UUID:
    right = _standing(session, actor, right_id).right
    if question.company_id == right.holder:
        raise InvalidInputError(
            "the holder needs nobody's leave to take the space",
            [Fault("/company_id", "is the holder", detail_zh="是权利人本身")],
            detail_zh="权利人自用无需征询",
        )
    if question.company_id is not None:
        require_company(session, question.company_id)
    if shared(right.window, question.period) is None:
        raise InvalidInputError(
            f"the right binds no day of that; its window is {right.window}",
            [
                Fault(
                    "/from", "shares no day with the right's window", detail_zh="与约束期无共同日期"
                )
            ],
            detail_zh=f"该权利在所询日期无约束，其约束期为 {right.window}",
        )
    now = database_now(session)
    notice_id = uuid4()
    session.execute(
        insert(RightNotice).values(
            id=notice_id,
            right_id=right_id,
            company_id=question.company_id,
            period=literal(Range(question.period.start, question.period.end), DATERANGE),
            asked_at=now,
            due_on=civil_day(now) + timedelta(days=right.notice_days),
            reference=question.reference,
            recorded_by=actor.label,
            **said,
            **({"answered_at": now} if said else {}),
        )
    )
    return notice_id


def answer_notice(
    session: Session,
    actor: Actor,
    right_id: UUID,
    notice_id: UUID,
    *,
    answer: NoticeAnswer,
    reference: str | None = None,
) -> None:
    """Write down what the holder said: once.

    Raises:
        NoticeAnsweredError: the answer is there.
        NoticeLapsedError: the holder wants the space, and the time to say so is over.
    """
    actor.require_staff(Role.MANAGER)
    row = session.execute(
        select(RightNotice.answer, RightNotice.due_on, Right.park_id)
        .join(Right, Right.id == RightNotice.right_id)
        .where(RightNotice.id == notice_id, RightNotice.right_id == right_id)
        .with_for_update(of=RightNotice)
    ).one_or_none()
    if row is None:
        raise NoSuchRightError(
            f"the right {right_id} has no notice {notice_id}",
            detail_zh=f"该权利没有编号为 {notice_id} 的征询",
        )
    actor.require_park(row.park_id)
    if row.answer is not None:
        raise NoticeAnsweredError(
            f"the answer is {row.answer}; ask anew if it has changed",
            detail_zh=f"已答复：{ANSWERS[row.answer].zh}；如有变化请重新征询",
        )
    now = database_now(session)
    if answer is NoticeAnswer.EXERCISED and row.due_on < civil_day(now):
        raise NoticeLapsedError(
            f"the answer was due on {row.due_on}; silence until then was a waiver",
            detail_zh=f"答复期限为 {row.due_on}，逾期视为放弃",
        )
    session.execute(
        update(RightNotice)
        .where(RightNotice.id == notice_id)
        .values(
            answer=answer.value,
            answered_at=now,
            answered_by=actor.label,
            reference=func.coalesce(literal(reference), RightNotice.reference),
        )
        .execution_options(synchronize_session=False)
    )


def check_offer(session: Session, actor: Actor, offer: Offer) -> Judgement:
    """What would stand against an offer now; nothing is written.

    Raises:
        UnknownUnitError: a unit does not exist.
    """
    actor.require_staff()
    require_company(session, offer.company_id)
    parks = {
        row.id: row.park_id
        for row in session.execute(
            select(Unit.id, Unit.park_id).where(Unit.id.in_(list(offer.unit_ids)))
        )
    }
    missing = [place for place, one in enumerate(offer.unit_ids) if one not in parks]
    if missing:
        raise UnknownUnitError(
            f"there is no unit {offer.unit_ids[missing[0]]}",
            [Fault(f"/units/{place}", "no such unit", detail_zh="没有该房源") for place in missing],
            detail_zh=f"没有编号为 {offer.unit_ids[missing[0]]} 的房源",
        )
    for park_id in sorted(set(parks.values())):
        actor.require_park(park_id)
    return judge_offer(session, offer, database_now(session))
