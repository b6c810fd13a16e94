"""Holds: space kept for a company while it decides. They lapse by themselves."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic import ConfigDict, Field

from app.kernel.errors import InvalidInputError
from app.kernel.terms import ClaimKind
from app.kernel.written import WrittenBody
from app.ledger import holds as ledger
from app.ledger.commitments import Commitment, HoldState, get_commitment
from app.ledger.errors import (
    HoldConfirmedError,
    HoldExpiredError,
    HoldLimitReachedError,
    HoldReleasedError,
    HoldTooLongError,
    NoSuchCommitmentError,
    OthersWaitError,
    TermNotOfferedError,
)
from app.ledger.holds import HoldLimits
from app.ledger.leases import confirm_with_terms
from app.ledger.tenancy.schema import TermsStated
from app.matching.answers.recheck import RequestNotMetError, by_request
from app.routers.dependencies import ActorDep, IdPath, SessionDep, WriterDep
from app.routers.leases import (
    ORDER_EXAMPLE,
    PROMISE_PROBLEMS,
    CommitmentOut,
    LeaseOut,
    PromiseIn,
    common,
    shown_lease,
)
from app.routers.problems import problems
from app.routers.space_requests import RulesDep
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/holds", tags=["ledger"])

_CHANGE = (
    HoldExpiredError,
    HoldReleasedError,
    HoldConfirmedError,
    NoSuchCommitmentError,
    NotSignedInError,
    NotAllowedError,
)
_CHANGE_PROBLEMS = problems(*_CHANGE)


class HoldIn(PromiseIn):
    """Units to hold: all of them or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [ORDER_EXAMPLE]})

    expires_in_hours: int | None = Field(
        default=None,
        ge=1,
        description="how long the hold lasts unless confirmed; 72 unless told 锁定时长（小时）",
        examples=[72],
    )


class ExtendIn(WrittenBody):
    """How much longer."""

    model_config = ConfigDict(extra="forbid")

    hours: int = Field(
        ge=1, le=24 * 365, description="hours added to its end 延长小时数", examples=[24]
    )


class NothingIn(WrittenBody):
    """Nothing needs to be said; `{}` or no body at all."""

    model_config = ConfigDict(extra="forbid")


Nothing = Annotated[NothingIn | None, Body()]


class ConfirmIn(WrittenBody):
    """The lease's terms, where they are known; `{}` or no body at all where not."""

    model_config = ConfigDict(extra="forbid")

    terms: TermsStated | None = Field(
        default=None, description="租约条款: rent, deposit and breaks; may be recorded later"
    )


class HoldOut(CommitmentOut):
    """A hold."""

    state: HoldState
    state_zh: str = Field(examples=["锁定中"])
    placed_at: datetime
    expires_at: datetime | None = Field(
        description="when it lapses; null when it was released or became a lease"
    )
    released_at: datetime | None = Field(description="when it was given back before its time")


def hold_out(made: Commitment) -> HoldOut:
    """A hold as it is shown."""
    ended = made.newest.live.upper
    return HoldOut(
        **common(made),
        state=made.hold_state,
        state_zh=made.hold_state.zh,
        placed_at=made.held_at,
        expires_at=ended if made.hold_state in {HoldState.HELD, HoldState.EXPIRED} else None,
        released_at=ended if made.hold_state is HoldState.RELEASED else None,
    )


def _limits(request: Request) -> HoldLimits:
    of = request.app.state.settings
    return HoldLimits(
        hours_default=of.hold_hours_default,
        hours_max=of.hold_hours_max,
        held_units_max=of.held_units_per_company_max,
        total_hours_firm_max=of.hold_total_hours_firm_max,
        total_hours_agent_max=of.hold_total_hours_agent_max,
        total_hours_manager_max=of.hold_total_hours_manager_max,
    )


@router.post(
    "",
    status_code=201,
    response_model=HoldOut,
    summary="Hold units 锁定房源",
    responses=problems(
        HoldLimitReachedError, RequestNotMetError, TermNotOfferedError, *PROMISE_PROBLEMS
    ),
)
def create_hold(
    body: HoldIn,
    request: Request,
    rules: RulesDep,
    *,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
) -> Response:
    """Hold units while the company decides. The hold lapses by itself at `expires_at`.

    When some unit has too little free on some of the days, nothing is held, and the answer names
    the days in `conflicts`. A hold that names a space request is judged by it, on the space as it
    is at this moment: what does not fit is refused, unless `accepting` names it.
    """
    limits, check = _limits(request), by_request(rules)
    return write(
        lambda: hold_out(
            ledger.hold_units(
                session, actor, body.order(), limits, body.expires_in_hours, check=check
            )
        ),
        location=lambda made: f"/api/v1/holds/{made.id}",
    )


@router.get(
    "/{hold_id}",
    summary="Read a hold 查看锁定",
    responses=problems(NoSuchCommitmentError, NotSignedInError, NotAllowedError),
)
@shown_alone
def read_hold(hold_id: IdPath, session: SessionDep, actor: ActorDep) -> HoldOut:
    """A hold of one's own company, or of one's parks, and what has become of it."""
    return hold_out(get_commitment(session, actor, hold_id, ClaimKind.HOLD))


@router.post(
    "/{hold_id}/confirm",
    response_model=LeaseOut,
    summary="Confirm a hold as a lease 锁定转租约",
    responses=problems(InvalidInputError, *_CHANGE),
)
def confirm_hold(
    hold_id: IdPath,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
    body: Annotated[ConfirmIn | None, Body()] = None,
) -> Response:
    """Turn a hold into a lease with the same id. For staff of the park, from agent upwards."""
    stated = None if body is None else body.terms
    return write(
        lambda: shown_lease(session, confirm_with_terms(session, actor, hold_id, stated)),
        status=200,
    )


@router.post(
    "/{hold_id}/extend",
    response_model=HoldOut,
    summary="Extend a hold 延长锁定",
    responses=problems(HoldTooLongError, OthersWaitError, *_CHANGE),
)
def extend_hold(
    hold_id: IdPath,
    body: ExtendIn,
    request: Request,
    *,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
) -> Response:
    """Let a hold last longer. How long in all depends on who asks: a firm, an agent, a manager.

    A firm cannot extend while others are in line for the space.
    """
    limits = _limits(request)
    return write(
        lambda: hold_out(ledger.extend_hold(session, actor, hold_id, limits, body.hours)),
        status=200,
    )


@router.post(
    "/{hold_id}/release",
    response_model=HoldOut,
    summary="Release a hold 释放锁定",
    responses=_CHANGE_PROBLEMS,
)
def release_hold(
    hold_id: IdPath,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
    _body: Nothing = None,
) -> Response:
    """Give a hold back before its time. For the firm that holds, and for staff of the park."""
    return write(lambda: hold_out(ledger.release_hold(session, actor, hold_id)), status=200)
