"""Decisions that take two people (双人复核): what waits, and what a second person says."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.database.paging import PageRequest
from app.database.session import Session, transaction
from app.kernel.errors import InvalidInputError
from app.kernel.written import WrittenBody, WrittenReason
from app.ledger.approvals import service
from app.ledger.approvals.errors import (
    ApprovalDecidedError,
    ApprovalExpiredError,
    ApprovalVoidError,
    NoSuchApprovalError,
    OwnApprovalError,
)
from app.ledger.approvals.listing import (
    ApprovalOut,
    ApprovalPage,
    get_approval,
    list_approvals,
)
from app.ledger.approvals.terms import ApprovalState, Decision
from app.routers.audited import Call, note
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ClockDep,
    Filters,
    IdPath,
    SessionDep,
    WriterDep,
)
from app.routers.leases import TerminateIn, terminated
from app.routers.problems import problems
from app.routers.unit_event_forms import RemeasureIn
from app.routers.unit_events import remeasured
from app.routers.versions import shown_alone
from app.security.actors import Actor, NotAllowedError, NotSignedInError, PersonNeededError
from app.security.audit.actions import Action
from app.security.audit.trail import record

router = APIRouter(prefix="/api/v1/approvals", tags=["ledger"])

Work = Callable[[Session, Actor, UUID, Mapping[str, Any]], BaseModel]


class ApprovalsQuery(Filters):
    """Query parameters of the list."""

    state: ApprovalState | None = Field(
        default=None, description="how far it is; all unless told", examples=["pending"]
    )
    limit: int = Field(default=100, ge=1, le=1_000, description="rows a page")
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )


class ApproveIn(WrittenBody):
    """What a second person says besides yes."""

    model_config = ConfigDict(extra="forbid")

    reason: WrittenReason | None = Field(default=None, description="复核意见; no personal data")


class RefuseIn(WrittenBody):
    """Why it is not to be done."""

    model_config = ConfigDict(extra="forbid")

    reason: WrittenReason = Field(
        description="不通过的原因; no personal data", examples=["面积与实测报告不符"]
    )


_READ = problems(NoSuchApprovalError, NotSignedInError, NotAllowedError)
_DECIDE = (
    NoSuchApprovalError,
    ApprovalDecidedError,
    ApprovalExpiredError,
    NotSignedInError,
    NotAllowedError,
)


@router.get(
    "",
    response_model=ApprovalPage,
    summary="List decisions that take two people 查询双人复核",
    responses=problems(InvalidInputError, NotSignedInError, NotAllowedError),
)
def show_approvals(
    asked: Annotated[ApprovalsQuery, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
) -> Response:
    """What waits for a second person, and what became of the rest, newest first. For staff."""
    page = list_approvals(
        session, actor, asked.state, PageRequest(asked.limit, asked.cursor), clock.now()
    )
    return Response(page.as_items(), media_type=JSON)


@router.get("/{approval_id}", summary="Read a decision 查看双人复核", responses=_READ)
@shown_alone
def show_approval(
    approval_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep
) -> ApprovalOut:
    """What was asked for, by whom, and what would happen. For staff of the park."""
    return get_approval(session, actor, approval_id, clock.now())


@router.post(
    "/{approval_id}/approve",
    response_model=ApprovalOut,
    summary="Approve and do it 复核通过",
    responses=problems(
        *(OwnApprovalError, PersonNeededError, ApprovalVoidError, InvalidInputError), *_DECIDE
    ),
)
def approve_approval(
    approval_id: IdPath,
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    *,
    write: WriterDep,
    body: ApproveIn | None = None,
) -> Response:
    """Do what was asked for. For managers of the park, and never for the one who asked.

    Takes a person: a session, or a token that belongs to an account. Accounts of which one lately
    invited or reset the other, or one person both, are not two persons', nor are two with the same
    staff number.

    It is judged anew: what cannot be done any more is refused with the problem that the call itself
    would have, and waits on. Where its lease or unit has changed since, in any way, it is void.
    """

    def work() -> ApprovalOut:
        now = clock.now()
        pending = service.to_decide(session, actor, approval_id, now)
        said = None if body is None else body.reason
        of = request.app.state.settings
        service.approve(
            session,
            actor,
            pending,
            said,
            held_for=timedelta(days=of.second_person_days),
            numbers_needed=of.second_person_numbers,
            now=now,
        )
        operation, do = _WORK[Decision.of(pending.decision)]
        made = do(session, actor, pending.subject_id, pending.body)
        kept = json.dumps(pending.body, ensure_ascii=False).encode()
        # Leads from the lease or unit to who had asked for it, whom firms are not told.
        also = {"approval_id": str(approval_id)}
        note(session, Call(operation, actor, body=kept, also=also), made)
        return get_approval(session, actor, approval_id, now)

    try:
        return write(work, status=200)
    except ApprovalVoidError:
        # What was refused is rolled back; that it is void is to be known to everyone.
        with transaction(session):
            _write_down_void(session, actor, approval_id, clock)
        raise


@router.post(
    "/{approval_id}/refuse",
    response_model=ApprovalOut,
    summary="Refuse, or take back 复核不通过或撤回",
    responses=problems(InvalidInputError, *_DECIDE),
)
def refuse_approval(
    approval_id: IdPath,
    body: RefuseIn,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    *,
    write: WriterDep,
) -> Response:
    """Nothing is done. For managers of the park; who asked takes it back so."""

    def work() -> ApprovalOut:
        now = clock.now()
        pending = service.to_decide(session, actor, approval_id, now)
        service.refuse(session, actor, pending, body.reason, now)
        return get_approval(session, actor, approval_id, now)

    return write(work, status=200)


def _terminate(
    session: Session, actor: Actor, subject_id: UUID, body: Mapping[str, Any]
) -> BaseModel:
    return terminated(session, actor, subject_id, TerminateIn.model_validate(body))


def _remeasure(
    session: Session, actor: Actor, subject_id: UUID, body: Mapping[str, Any]
) -> BaseModel:
    return remeasured(session, actor, str(subject_id), RemeasureIn.model_validate(body))


#: The operation that asks for it, and what does it.
_WORK: Mapping[Decision, tuple[str, Work]] = {
    Decision.TERMINATE_LEASE: ("terminate_lease", _terminate),
    Decision.REMEASURE_UNIT: ("remeasure_unit", _remeasure),
}


def _write_down_void(session: Session, actor: Actor, approval_id: UUID, clock: ClockDep) -> None:
    lost = service.void(session, actor, approval_id, clock.now())
    if lost is not None:
        record(
            session,
            actor,
            Action.APPROVAL_VOIDED,
            park_id=lost.park_id,
            subject_type="approval",
            subject_id=approval_id,
            company_id=lost.company_id,
        )
