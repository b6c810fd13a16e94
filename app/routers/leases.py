"""Leases: space that is promised for good. Also what holds and leases have in common."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.inventory.filters import Day
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.kernel.period import Period
from app.kernel.terms import CapacityMeasure, ClaimKind, LeaseEventKind
from app.kernel.written import WrittenBody, WrittenReason
from app.ledger import leases as ledger
from app.ledger.approvals.errors import ApprovalPendingError
from app.ledger.approvals.service import Asked
from app.ledger.approvals.terms import Decision
from app.ledger.commitments import Commitment, LeaseState
from app.ledger.errors import (
    LeaseEndedError,
    NoSuchCommitmentError,
    OutsideUsableDaysError,
    QuantityNotAllowedError,
    RemainderTooSmallError,
    UnitOccupiedError,
    UnknownUnitError,
)
from app.ledger.leases import EndedBy
from app.ledger.orders import Order, Wanted
from app.ledger.queue.errors import OthersFirstError
from app.ledger.rights.errors import RightNotClearedError
from app.ledger.tenancy.errors import (
    LeaseHandedBackError,
    LeaseNotHandedBackError,
    LeaseStillRunsError,
    NoSuchBreakError,
)
from app.ledger.tenancy.handover import clear, hand_back, hand_over
from app.ledger.tenancy.record import LeaseRecord, get_record, recorded
from app.ledger.tenancy.renewal import extend_lease as prolong_lease
from app.ledger.tenancy.schema import TermsStated
from app.matching.answers.recheck import RequestNotMetError, by_request
from app.routers.dependencies import ActorDep, IdPath, SessionDep, WriterDep
from app.routers.problems import problems
from app.routers.space_requests import RulesDep
from app.routers.two_persons import ASKED_RESPONSE, TwoPersonsDep
from app.routers.versions import shown_alone
from app.security.actors import Actor, NotAllowedError, NotSignedInError, PersonNeededError

router = APIRouter(prefix="/api/v1/leases", tags=["ledger"])

#: Two units and a firm of the reference data, whose ids are the same everywhere.
EXAMPLE_ID = "7dc67324-9ca8-5e88-be8b-5e6ea0437a72"
OTHER_EXAMPLE_ID = "438325d2-508e-5957-a74c-c1039ef2e9e7"
EXAMPLE_COMPANY_ID = "6ec6a136-c713-57ae-a8f8-280a362a76e0"
UNITS_MAX = 100
CLEARING_DAYS_MAX = 1_000
TERMS_EXAMPLE: dict[str, Any] = {
    "basis": "leasable",
    "day_count": "month_365_12",
    "payment_months": 3,
    "due_days_before": 7,
    "first_rate": "3.2000",
    "escalation": {"every_months": 12, "pct": "3"},
    "rent_free": [{"from": "2027-01-01", "until": "2027-04-01"}],
    "breaks": [{"on": "2029-01-01", "by": "tenant", "notice_days": 180, "penalty_months": "3"}],
    "deposit": {"months": "3"},
}
ORDER_EXAMPLE: dict[str, Any] = {
    "units": [{"unit_id": EXAMPLE_ID}],
    "from": "2027-01-01",
    "until": "2030-01-01",
}

#: Of whatever names units and days.
ORDER_PROBLEMS = (
    UnknownUnitError,
    OutsideUsableDaysError,
    QuantityNotAllowedError,
    InvalidInputError,
    NotFoundError,
    NotSignedInError,
    NotAllowedError,
)
#: Of what takes them, too: a place in line takes nothing.
PROMISE_PROBLEMS = (
    UnitOccupiedError,
    RemainderTooSmallError,
    RightNotClearedError,
    OthersFirstError,
    *ORDER_PROBLEMS,
)


class UnitIn(WrittenBody):
    """A unit, or a part of it."""

    model_config = ConfigDict(extra="forbid")

    unit_id: UUID = Field(description="`id` of an item of /api/v1/free-space")
    quantity: Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)] | None = Field(
        default=None,
        description="in the unit's own measure (m² or places); all of it unless told",
        examples=[500],
    )


class OrderIn(WrittenBody):
    """Units for a period: all of them or none."""

    model_config = ConfigDict(extra="forbid")

    units: list[UnitIn] = Field(
        min_length=1, max_length=UNITS_MAX, description="房源: all of them or none"
    )
    start: Day = Field(alias="from", description="first day of use 起始日", examples=["2027-01-01"])
    until: Day | None = Field(
        default=None,
        description="first day after use, exclusive; open unless told 截止日（不含）",
        examples=["2030-01-01"],
    )
    space_request_id: UUID | None = Field(
        default=None, description="the company's request that this answers"
    )
    company_id: UUID | None = Field(
        default=None,
        description="on whose behalf, for staff; a firm always acts for itself",
    )
    clearing_days: int = Field(
        default=0,
        ge=0,
        le=CLEARING_DAYS_MAX,
        description="清退期: days kept after `until` until the space is clean for whoever is next",
        examples=[30],
    )

    def order(self) -> Order:
        """What the ledger is asked.

        Raises:
            InvalidInputError: the period ends before it starts.
        """
        if self.until is not None and self.until <= self.start:
            raise InvalidInputError(
                "until must be after from; it is the first day not included",
                [Fault("/until", "must be after from")],
            )
        return Order(
            units=[Wanted(unit.unit_id, unit.quantity) for unit in self.units],
            period=Period(self.start, self.until),
            company_id=self.company_id,
            space_request_id=self.space_request_id,
            clearing_days=self.clearing_days,
        )


class PromiseIn(OrderIn):
    """An order that takes the units, and is judged by the space request that it names."""

    accepting: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=60)] = Field(
        default_factory=list,
        description="明知不符仍接受的约束: keys of the request's constraints that the space need"
        " not meet; those of law and safety only for staff from manager upwards",
        examples=[["min_area_m2"]],
    )

    def order(self) -> Order:
        """What the ledger is asked.

        Raises:
            InvalidInputError: the period ends before it starts, or there is nothing to accept.
        """
        if self.accepting and self.space_request_id is None:
            raise InvalidInputError(
                "only constraints of a space request can be accepted; name the request",
                [Fault("/accepting", "needs space_request_id", detail_zh="须同时给出需求编号")],
                detail_zh="accepting 仅用于有 space_request_id 的情形",
            )
        accepted = tuple(dict.fromkeys(self.accepting))
        return replace(super().order(), accepting=accepted)


class LeaseIn(PromiseIn):
    """A lease that no hold came before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **ORDER_EXAMPLE,
                    "units": [{"unit_id": OTHER_EXAMPLE_ID}],
                    "company_id": EXAMPLE_COMPANY_ID,
                    "terms": TERMS_EXAMPLE,
                }
            ]
        }
    )

    terms: TermsStated | None = Field(
        default=None, description="租约条款: rent, deposit and breaks; may be recorded later"
    )


class TerminateIn(WrittenBody):
    """When a lease ends before its time, and who ends it."""

    model_config = ConfigDict(extra="forbid")

    on: Day = Field(
        description="first day not leased any more 退租日（当日起不再占用）",
        examples=["2028-07-01"],
    )
    by: EndedBy = Field(
        default=EndedBy.AGREED,
        description="a party that ends it alone needs a break of the terms on this day, and must"
        " be in time with its notice",
    )
    reason: WrittenReason = Field(
        description="why 原因: shown to whoever approves, and kept in the audit trail; no personal"
        " data",
        examples=["双方协商一致"],
    )


class ExtendLeaseIn(WrittenBody):
    """Until when a lease goes on."""

    model_config = ConfigDict(extra="forbid")

    until: Day = Field(
        description="first day after the lease, exclusive 续租至（不含）", examples=["2033-01-01"]
    )
    terms: TermsStated | None = Field(
        default=None,
        description="terms of the whole lease from its first day on; as they are unless told",
    )


class OnDayIn(WrittenBody):
    """The day it is about."""

    model_config = ConfigDict(extra="forbid")

    on: Day = Field(
        description="civil day in Shanghai, today or before 日期", examples=["2026-11-02"]
    )


class HandBackIn(OnDayIn):
    """When the tenant gave the space back, and how long clearing takes."""

    clearing_days: int | None = Field(
        default=None,
        ge=0,
        le=CLEARING_DAYS_MAX,
        description="清退期: days of clearing from `on`; as agreed unless told. More than agreed is"
        " for managers",
        examples=[30],
    )


class ClaimLine(BaseModel):
    """What the commitment takes of one unit, on days on which the unit is of one size."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID = Field(description="the row of /api/v1/claims")
    unit_id: UUID
    unit_code: str
    park_id: UUID
    quantity: float = Field(description="in the unit's own measure")
    capacity_measure: CapacityMeasure
    whole: bool = Field(description="all of the unit")
    kind: ClaimKind
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")


class CommitmentOut(BaseModel):
    """What holds and leases have in common."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID = Field(description="stays the same from hold to lease to its end")
    company_id: UUID
    space_request_id: UUID | None
    accepting: list[str] = Field(
        description="明知不符仍接受的约束: constraints of the request waived when it was made"
    )
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")
    claims: list[ClaimLine]


class LeaseEventOut(BaseModel):
    """Something that happened to a lease."""

    kind: LeaseEventKind
    kind_zh: str
    on: date = Field(description="the day it is about")
    recorded_at: datetime = Field(description="since when it is known")


class LeaseOut(CommitmentOut):
    """A lease."""

    state: LeaseState
    state_zh: str = Field(examples=["已签约"])
    signed_at: datetime
    signed_until: date | None = Field(
        description="原到期日: where it was to end when signed, exclusive; null is open"
    )
    terminated_at: datetime | None = Field(description="when it was ended before its time")
    handed_over_on: date | None = Field(description="交付日")
    handed_back_on: date | None = Field(description="退租交还日: first day the tenant had not")
    cleared_on: date | None = Field(description="清退完成日: first day on which it was clean")
    clearing_until: date | None = Field(description="清退期 to this day, exclusive; null is none")
    next_start: date | None = Field(
        description="下一承租方最早起租日: first day that the lease and its clearing leave free;"
        " null: the lease has no end"
    )
    events: list[LeaseEventOut] = Field(description="what happened, as it became known")
    terms: TermsStated | None = Field(description="租约条款; null where none are recorded")


def common(made: Commitment) -> dict[str, Any]:
    """The members of ``CommitmentOut``."""
    first = made.lines[0]
    return {
        "id": made.id,
        "company_id": first.company_id,
        "space_request_id": first.space_request_id,
        "accepting": list(made.accepting),
        "from": made.period.lower,
        "until": made.period.upper,
        "claims": claim_lines(made),
    }


def claim_lines(made: Commitment) -> list[ClaimLine]:
    """The rows of a commitment as they are shown."""
    return [
        ClaimLine(
            id=line.claim_id,
            unit_id=line.unit_id,
            unit_code=line.unit_code,
            park_id=line.park_id,
            quantity=float(line.quantity),
            capacity_measure=line.capacity_measure,
            whole=line.whole,
            kind=line.kind,
            **{"from": line.period.lower},
            until=line.period.upper,
        )
        for line in made.all_lines
    ]


def lease_out(lease: LeaseRecord) -> LeaseOut:
    """A lease as it is shown."""
    made, story = lease.made, lease.story
    return LeaseOut(
        **common(made),
        state=lease.state,
        state_zh=lease.state.zh,
        signed_at=made.leased_at,
        signed_until=made.leased_until,
        terminated_at=None if made.lease_state is LeaseState.SIGNED else made.terminated_at,
        handed_over_on=story.handed_over_on,
        handed_back_on=story.handed_back_on,
        cleared_on=story.cleared_on,
        clearing_until=lease.clearing_until,
        next_start=lease.next_start,
        events=[
            LeaseEventOut(
                kind=event.kind, kind_zh=event.kind.zh, on=event.on, recorded_at=event.recorded_at
            )
            for event in story.events
        ],
        terms=None if lease.terms is None else lease.terms.stated,
    )


def shown_lease(session: SessionDep, made: Commitment) -> LeaseOut:
    """A lease that was just written, as it is shown."""
    return lease_out(recorded(session, made))


def terminated(session: SessionDep, actor: Actor, lease_id: UUID, body: TerminateIn) -> LeaseOut:
    """A lease ended as asked, as it is shown."""
    made = ledger.terminate_lease(session, actor, lease_id, body.on, body.by)
    return shown_lease(session, made)


CHANGE_PROBLEMS = (LeaseEndedError, NoSuchCommitmentError, NotSignedInError, NotAllowedError)
_LONGER = (UnitOccupiedError, OutsideUsableDaysError, QuantityNotAllowedError, InvalidInputError)


@router.post(
    "",
    status_code=201,
    response_model=LeaseOut,
    summary="Lease without a hold 直接签约",
    responses=problems(RequestNotMetError, *PROMISE_PROBLEMS),
)
def create_lease(
    body: LeaseIn, session: SessionDep, actor: ActorDep, rules: RulesDep, write: WriterDep
) -> Response:
    """Lease units to a company at once. For staff from manager upwards.

    A lease that names a space request is judged by it, as a hold is.
    """
    check = by_request(rules)
    return write(
        lambda: shown_lease(
            session, ledger.sign_lease(session, actor, body.order(), body.terms, check=check)
        ),
        location=lambda made: f"/api/v1/leases/{made.id}",
    )


@router.get(
    "/{lease_id}",
    summary="Read a lease 查看租约",
    responses=problems(NoSuchCommitmentError, NotSignedInError, NotAllowedError),
)
@shown_alone
def read_lease(lease_id: IdPath, session: SessionDep, actor: ActorDep) -> LeaseOut:
    """A lease of one's own company, or of one's parks."""
    return lease_out(get_record(session, actor, lease_id))


@router.post(
    "/{lease_id}/terminate",
    response_model=LeaseOut,
    summary="End a lease early 提前终止租约",
    responses=ASKED_RESPONSE
    | problems(
        *(PersonNeededError, ApprovalPendingError, NoSuchBreakError, InvalidInputError),
        *CHANGE_PROBLEMS,
    ),
)
def terminate_lease(
    lease_id: IdPath,
    body: TerminateIn,
    session: SessionDep,
    actor: ActorDep,
    by_two: TwoPersonsDep,
) -> Response:
    """End a lease on a day; on its first day it is undone. Takes two managers of the park.

    The first call answers 202 with what would happen, and changes nothing; it is done when another
    manager approves it (POST /api/v1/approvals/{id}/approve).

    By agreement any day will do. A party that ends it alone needs a break of the lease's terms.
    """
    asked = Asked(
        Decision.TERMINATE_LEASE,
        subject=str(lease_id),
        body=body.model_dump(mode="json"),
        reason=body.reason,
    )
    return by_two(asked, lambda: terminated(session, actor, lease_id, body), status=200)


@router.post(
    "/{lease_id}/extend",
    response_model=LeaseOut,
    summary="Extend a lease 续租",
    responses=problems(
        *_LONGER, RightNotClearedError, OthersFirstError, LeaseHandedBackError, *CHANGE_PROBLEMS
    ),
)
def extend_lease(
    lease_id: IdPath, body: ExtendLeaseIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Prolong a lease under the same id, and move the clearing after it. For managers upwards.

    When some unit has too little free on some of the days, nothing is changed, and the answer
    names the days in `conflicts`.
    """
    return write(
        lambda: shown_lease(
            session, prolong_lease(session, actor, lease_id, body.until, body.terms)
        ),
        status=200,
    )


@router.post(
    "/{lease_id}/hand-over",
    response_model=LeaseOut,
    summary="Hand the space over 交付",
    responses=problems(InvalidInputError, *CHANGE_PROBLEMS),
)
def hand_lease_over(
    lease_id: IdPath, body: OnDayIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Record that the tenant got the space; sent again, it corrects the day. For agents upwards."""
    return write(
        lambda: shown_lease(session, hand_over(session, actor, lease_id, body.on)), status=200
    )


@router.post(
    "/{lease_id}/hand-back",
    response_model=LeaseOut,
    summary="Hand the space back 退租交还",
    responses=problems(*_LONGER, LeaseStillRunsError, *CHANGE_PROBLEMS),
)
def hand_lease_back(
    lease_id: IdPath, body: HandBackIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Record that the tenant gave the space back, and start the clearing. For agents upwards.

    Clearing for longer than agreed keeps the space from others, and is for managers. Not before
    the lease ends: end it first. After it ended, the tenant held over: the lease is prolonged to
    that day, if nobody else has the space by then.
    """
    return write(
        lambda: shown_lease(
            session, hand_back(session, actor, lease_id, body.on, body.clearing_days)
        ),
        status=200,
    )


@router.post(
    "/{lease_id}/cleared",
    response_model=LeaseOut,
    summary="Clearing is done 清退完成",
    responses=problems(*_LONGER, LeaseNotHandedBackError, *CHANGE_PROBLEMS),
)
def record_cleared(
    lease_id: IdPath, body: OnDayIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Record that the space is clean: the next tenant may start on this day. For agents upwards.

    Sooner than agreed, the days left are free at once. Later, the clearing is prolonged, if nobody
    else has the space by then.
    """
    return write(lambda: shown_lease(session, clear(session, actor, lease_id, body.on)), status=200)
