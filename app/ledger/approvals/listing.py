"""Decisions that take two people, as they are read."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Select, case, literal, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page
from app.kernel.terms import Term
from app.ledger.approvals.service import no_such_approval
from app.ledger.approvals.terms import ApprovalState, Decision
from app.models.approval import Approval
from app.models.space import Park
from app.security.actors import Actor, Role


class ApprovalOut(BaseModel):
    """复核: what was asked for, what would happen, and what a second person said."""

    id: UUID
    decision: Decision = Field(description="what is to be done")
    decision_zh: str = Field(examples=["提前终止租约"])
    decision_en: str
    state: ApprovalState
    state_zh: str = Field(examples=["待复核"])
    park_id: UUID
    park_code: str
    company_id: UUID | None = Field(description="the firm concerned")
    subject_type: str = Field(description="lease or unit")
    subject_id: UUID
    body: dict[str, Any] = Field(description="of the call that waits")
    effect: dict[str, Any] = Field(
        description="what the call would have answered when it was asked for; ids of rows that it"
        " would add are not those that it will add"
    )
    reason: str | None = Field(description="of whoever asked")
    asked_by: str
    asked_at: datetime
    expires_at: datetime = Field(description="from then on nobody can approve it")
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None = Field(description="of whoever decided")


class ApprovalPage(BaseModel):
    """One page."""

    items: list[ApprovalOut]
    next_cursor: str | None


def list_approvals(
    session: Session,
    actor: Actor,
    state: ApprovalState | None,
    page: PageRequest,
    now: datetime,
) -> Page:
    """Decisions of the caller's parks, newest first."""
    query = _visible(actor, now)
    if state is not None:
        query = query.where(_state(now) == state.value)
    return fetch_page(
        session,
        query,
        order=[Sort(Approval.__table__.c.asked_at, True), Sort(Approval.__table__.c.id, True)],
        page=page,
        scope=f"approvals {state}",
    )


def get_approval(session: Session, actor: Actor, approval_id: UUID, now: datetime) -> ApprovalOut:
    """One decision.

    Raises:
        NoSuchApprovalError: there is none, or it is of a park that is not the caller's.
    """
    row = fetch_one(session, _visible(actor, now).where(Approval.id == approval_id))
    if row is None:
        raise no_such_approval()
    return ApprovalOut.model_validate_json(row)


def _visible(actor: Actor, now: datetime) -> Select[Any]:
    actor.require_staff(Role.VIEWER)
    query = select(
        Approval.id,
        Approval.decision,
        _words(Approval.decision, Decision, "zh").label("decision_zh"),
        _words(Approval.decision, Decision, "en").label("decision_en"),
        _state(now).label("state"),
        _words(_state(now), ApprovalState, "zh").label("state_zh"),
        Approval.park_id,
        Park.code.label("park_code"),
        Approval.company_id,
        Approval.subject_type,
        Approval.subject_id,
        Approval.body,
        Approval.effect,
        Approval.reason,
        Approval.asked_by,
        Approval.asked_at,
        Approval.expires_at,
        Approval.decided_by,
        Approval.decided_at,
        Approval.decision_reason,
    ).join(Park, Park.id == Approval.park_id)
    if actor.park_ids is not None:
        query = query.where(Approval.park_id.in_(actor.park_ids))
    return query


def _state(now: datetime) -> Any:
    lapsed = (Approval.state == ApprovalState.PENDING.value) & (Approval.expires_at <= now)
    return case((lapsed, literal(ApprovalState.EXPIRED.value)), else_=Approval.state)


def _words(column: Any, terms: type[Term], language: str) -> Any:
    return case({one.value: getattr(one, language) for one in terms}, value=column)
