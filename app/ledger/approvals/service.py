"""Decisions that take two people (双人复核): one asks, another one decides, then the work is done.

What is asked for is rehearsed at once, so that what cannot be done is refused at once and the
second person reads what would happen. When it is approved it is judged anew, in the transaction
that does it. If what it is about has changed since in any way, it is void: nobody approves what
they have not read.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from app.kernel.clock import rfc3339
from app.ledger.approvals.errors import (
    ApprovalDecidedError,
    ApprovalExpiredError,
    ApprovalPendingError,
    ApprovalVoidError,
    NoSuchApprovalError,
    OwnApprovalError,
)
from app.ledger.approvals.terms import ApprovalState, Decision
from app.ledger.units.writing import locked_units, rehearsed
from app.ledger.writing import locked_commitment
from app.models.approval import Approval
from app.models.claim import Claim
from app.models.lease import LeaseEvent, LeaseTerms
from app.security.actors import Actor, Role
from app.security.staff.persons import are_two_persons, staff_numbers


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done.

    Attributes:
        decision: which kind of thing.
        subject: id of the lease, or id or code of the unit.
        body: the call's body as JSON values; the work is done from it when it is approved.
        reason: why, for whoever decides.
    """

    decision: Decision
    subject: str
    body: Mapping[str, Any]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a decision is about, read under the locks that the work takes too."""

    type: str
    id: UUID
    park_id: UUID
    company_id: UUID | None
    version: str


def ask(
    session: Session,
    actor: Actor,
    asked: Asked,
    rehearse: Callable[[], Mapping[str, Any]],
    *,
    valid_for: timedelta,
    now: datetime,
) -> UUID:
    """Keep a call until a second person decides it; the id of what is to be decided.

    ``rehearse`` does the work and returns what would be answered; nothing of it stays.

    Raises:
        NotAllowedError: the caller is no manager of the park.
        PersonNeededError: the caller is a program.
        ApprovalPendingError: something waits to be decided of the same lease or unit.
        SpaceRelayError: whatever the work itself is refused with.
    """
    actor.require_staff(Role.MANAGER)
    asking = actor.require_person()
    subject = _locked(session, actor, asked.decision, asked.subject, asked.body)
    _require_none_pending(session, subject, now)
    with rehearsed(session, dry_run=True):
        effect = rehearse()
    approval_id = uuid4()
    session.execute(
        insert(Approval).values(
            id=approval_id,
            park_id=subject.park_id,
            company_id=subject.company_id,
            decision=asked.decision.value,
            subject_type=subject.type,
            subject_id=subject.id,
            subject_version=subject.version,
            body=dict(asked.body),
            effect=dict(effect),
            reason=asked.reason,
            asked_by=actor.label,
            asked_account_id=asking,
            asked_at=now,
            expires_at=now + valid_for,
        )
    )
    return approval_id


def _require_none_pending(session: Session, subject: Subject, now: datetime) -> None:
    """Refuse to ask twice: whichever is approved first makes the other one void."""
    waits = session.execute(
        select(Approval.id, Approval.expires_at).where(
            Approval.subject_id == subject.id,
            Approval.state == ApprovalState.PENDING.value,
            Approval.expires_at > now,
        )
    ).first()
    if waits is not None:
        raise ApprovalPendingError(
            f"/api/v1/approvals/{waits.id} waits to be decided of this {subject.type}; have it"
            " approved or refused first, or take it back",
            detail_zh=f"该对象已有待复核事项 /api/v1/approvals/{waits.id}，"
            "请先由第二人复核，或由提请人撤回",
            approval_id=str(waits.id),
            expires_at=rfc3339(waits.expires_at),
        )


def to_decide(session: Session, actor: Actor, approval_id: UUID, now: datetime) -> Approval:
    """A decision under its lock, if it can still be made by a manager of the park.

    Raises:
        NoSuchApprovalError: there is none, or it is of a park that is not the caller's.
        ApprovalDecidedError: somebody decided before.
        ApprovalExpiredError: it is too late.
    """
    actor.require_staff(Role.MANAGER)
    found = session.scalar(
        select(Approval)
        .where(Approval.id == approval_id)
        .with_for_update()
        # What the session read before it waited for the lock is of before.
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise no_such_approval()
    if actor.park_ids is not None and found.park_id not in actor.park_ids:
        raise no_such_approval()
    if found.state != ApprovalState.PENDING:
        raise ApprovalDecidedError(
            f"it was decided before, and is {found.state}",
            detail_zh="该事项此前已有结论",
            state=found.state,
            decided_at=None if found.decided_at is None else rfc3339(found.decided_at),
        )
    if found.expires_at <= now:
        raise ApprovalExpiredError(
            "nobody decided in time; ask for it again",
            detail_zh="逾期未复核，请重新提请",
            expired_at=rfc3339(found.expires_at),
        )
    return found


def approve(
    session: Session,
    actor: Actor,
    pending: Approval,
    reason: str | None,
    *,
    held_for: timedelta,
    numbers_needed: bool,
    now: datetime,
) -> None:
    """Write down that a second person approves; the work is to follow in this transaction.

    Takes the locks of the work, so that what the work finds is what was read here.

    Args:
        session: where the work is done.
        actor: who approves.
        pending: what waits, under its lock.
        reason: what is said besides yes.
        held_for: how long before it was asked for whoever gave an account a way to sign in may
            hold the account too.
        numbers_needed: whether both must be known by a staff number.
        now: the present instant.

    Raises:
        PersonNeededError: the caller is a program.
        OwnApprovalError: it is the one who asked, or may be the same person.
        ApprovalVoidError: what it is about has changed.
    """
    deciding, asking = actor.require_person(), pending.asked_account_id
    if asking is None or asking == deciding:
        raise OwnApprovalError(
            "you asked for this yourself; another manager of the park has to approve it"
            if asking
            else "a token that is nobody's asked for this; ask for it again as a person",
            detail_zh="此事项由您本人提请，须由本园区另一位经理复核"
            if asking
            else "提请所用令牌不属于任何账号，请以本人账号重新提请",
        )
    _require_two_numbers(session, asking, deciding, needed=numbers_needed)
    if not are_two_persons(session, asking, deciding, since=pending.asked_at - held_for):
        raise OwnApprovalError(
            f"within {held_for.days} days before this was asked for, one of the two accounts was"
            " invited or reset by the other one, or both by the same person; a manager of whom that"
            " is not so has to approve it",
            detail_zh=f"提请前 {held_for.days} 天内，两个账号之一由另一方邀请或重置，"
            "或均由同一人邀请或重置，须由其他经理复核",
        )
    decision = Decision.of(pending.decision)
    subject = _locked(session, actor, decision, str(pending.subject_id), pending.body)
    if subject.version != pending.subject_version:
        raise ApprovalVoidError(
            "what this is about has changed since it was asked for; ask for it again",
            detail_zh="提请之后所涉事项已变化，请重新提请",
            subject_type=pending.subject_type,
            subject_id=str(pending.subject_id),
        )
    _decide(session, actor, pending.id, ApprovalState.APPROVED, reason=reason, now=now)


def _require_two_numbers(session: Session, asking: UUID, deciding: UUID, *, needed: bool) -> None:
    """Refuse one person who has two accounts, and, where numbers are needed, whoever has none."""
    of_asking, of_deciding = staff_numbers(session, [asking, deciding])
    if needed and (of_asking is None or of_deciding is None):
        raise OwnApprovalError(
            "both accounts must have a staff number, so that they are known to be two persons';"
            " an administrator enters it",
            detail_zh="双方账号均须登记工号，以确认并非同一人；请管理员登记",
        )
    if of_asking is not None and of_asking == of_deciding:
        raise OwnApprovalError(
            "both accounts are yours by their staff number; another manager of the park has to"
            " approve it",
            detail_zh="两个账号登记的工号相同，属同一人，须由本园区另一位经理复核",
        )


def refuse(session: Session, actor: Actor, pending: Approval, reason: str, now: datetime) -> None:
    """Write down that it is refused; by the one who asked: taken back."""
    _decide(session, actor, pending.id, ApprovalState.REFUSED, reason=reason, now=now)


def void(session: Session, actor: Actor, approval_id: UUID, now: datetime) -> Approval | None:
    """Write down that it was found void; None where somebody was quicker."""
    pending = session.scalar(
        select(Approval)
        .where(Approval.id == approval_id, Approval.state == ApprovalState.PENDING.value)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if pending is not None:
        _decide(session, actor, approval_id, ApprovalState.VOID, reason=None, now=now)
    return pending


def no_such_approval() -> NoSuchApprovalError:
    """The one answer for what is not there and what is not the caller's."""
    return NoSuchApprovalError(
        "there is no such approval, or it is of another park",
        detail_zh="没有该复核事项，或不属于您的园区",
    )


def _decide(
    session: Session,
    actor: Actor,
    approval_id: UUID,
    state: ApprovalState,
    *,
    reason: str | None,
    now: datetime,
) -> None:
    session.execute(
        update(Approval)
        .where(Approval.id == approval_id)
        .values(
            state=state.value,
            decided_by=actor.label,
            decided_account_id=actor.account_id,
            decided_at=now,
            decision_reason=reason,
        )
        .execution_options(synchronize_session=False)
    )


def _locked(
    session: Session, actor: Actor, decision: Decision, name: str, body: Mapping[str, Any]
) -> Subject:
    """What it is about, under the locks that the work takes, in the order in which it does."""
    if decision is Decision.REMEASURE_UNIT:
        redrawn = body.get("geometry") is not None
        (unit,), _ = locked_units(session, actor, [name], reshaping=redrawn)
        # Every change of the unit counts its version on, and of what is promised of it.
        return Subject("unit", unit.id, unit.park_id, None, str(unit.version))
    made, _ = locked_commitment(session, actor, UUID(name))
    line = made.lines[0]
    return Subject(
        "lease", made.id, line.park_id, line.company_id, _lease_version(session, made.id)
    )


def _lease_version(session: Session, commitment_id: UUID) -> str:
    """When and how often anything of a lease last came to be known: rows only add up or close."""
    claims = select(
        func.count(),
        func.count(Claim.closed_by),
        func.max(func.lower(Claim.live)),
    ).where(Claim.commitment_id == commitment_id)
    terms = select(func.max(func.lower(LeaseTerms.known))).where(
        LeaseTerms.commitment_id == commitment_id
    )
    events = select(func.count(), func.max(LeaseEvent.recorded_at)).where(
        LeaseEvent.commitment_id == commitment_id
    )
    parts = [part for query in (claims, terms, events) for part in session.execute(query).one()]
    return json.dumps(parts, default=datetime.isoformat)
