"""Leases: space that is promised for good. Also what holds and leases have in common."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.inventory.filters import Day
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.kernel.period import Period
from app.kernel.terms import CapacityMeasure, ClaimKind
from app.ledger import leases as ledger
from app.ledger.commitments import Commitment, LeaseState, get_commitment
from app.ledger.errors import (
    LeaseEndedError,
    NoSuchCommitmentError,
    OutsideUsableDaysError,
    QuantityNotAllowedError,
    UnitOccupiedError,
    UnknownUnitError,
)
from app.ledger.orders import Order, Wanted
from app.routers.dependencies import ActorDep, IdPath, SessionDep, WriterDep
from app.routers.problems import problems
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/leases", tags=["ledger 台账"])

#: Two units and a firm of the reference data, whose ids are the same everywhere.
EXAMPLE_ID = "5c32360f-2e5b-55e8-bc19-cf20441a4609"
OTHER_EXAMPLE_ID = "2a39b77a-d6b3-52ce-80ae-e46dd83bc7be"
EXAMPLE_COMPANY_ID = "6ec6a136-c713-57ae-a8f8-280a362a76e0"
UNITS_MAX = 100
ORDER_EXAMPLE: dict[str, Any] = {
    "units": [{"unit_id": EXAMPLE_ID}],
    "from": "2027-01-01",
    "until": "2030-01-01",
}

ORDER_PROBLEMS = (
    UnitOccupiedError,
    UnknownUnitError,
    OutsideUsableDaysError,
    QuantityNotAllowedError,
    InvalidInputError,
    NotFoundError,
    NotSignedInError,
    NotAllowedError,
)


class UnitIn(BaseModel):
    """A unit, or a part of it."""

    model_config = ConfigDict(extra="forbid")

    unit_id: UUID = Field(description="`id` of an item of /api/v1/free-space")
    quantity: Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)] | None = Field(
        default=None,
        description="in the unit's own measure (m² or places); all of it unless told",
        examples=[500],
    )


class OrderIn(BaseModel):
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
        le=1_000,
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


class LeaseIn(OrderIn):
    """A lease that no hold came before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **ORDER_EXAMPLE,
                    "units": [{"unit_id": OTHER_EXAMPLE_ID}],
                    "company_id": EXAMPLE_COMPANY_ID,
                }
            ]
        }
    )


class TerminateIn(BaseModel):
    """When a lease ends before its time."""

    model_config = ConfigDict(extra="forbid")

    on: Day = Field(
        description="first day not leased any more 退租日（当日起不再占用）",
        examples=["2028-07-01"],
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
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")
    claims: list[ClaimLine]


class LeaseOut(CommitmentOut):
    """A lease."""

    state: LeaseState
    state_zh: str = Field(examples=["已签约"])
    signed_at: datetime
    signed_until: date | None = Field(
        description="原到期日: where it was to end when signed, exclusive; null is open"
    )
    terminated_at: datetime | None = Field(description="when it was ended before its time")


def common(made: Commitment) -> dict[str, Any]:
    """The members of ``CommitmentOut``."""
    first = made.lines[0]
    return {
        "id": made.id,
        "company_id": first.company_id,
        "space_request_id": first.space_request_id,
        "from": made.period.lower,
        "until": made.period.upper,
        "claims": [
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
        ],
    }


def lease_out(made: Commitment) -> LeaseOut:
    """A lease as it is shown."""
    return LeaseOut(
        **common(made),
        state=made.lease_state,
        state_zh=made.lease_state.zh,
        signed_at=made.leased_at,
        signed_until=made.leased_until,
        terminated_at=made.terminated_at,
    )


@router.post(
    "",
    status_code=201,
    response_model=LeaseOut,
    summary="Lease without a hold 直接签约",
    responses=problems(*ORDER_PROBLEMS),
)
def create_lease(body: LeaseIn, session: SessionDep, actor: ActorDep, write: WriterDep) -> Response:
    """Lease units to a company at once. For staff from manager upwards."""
    return write(
        lambda: lease_out(ledger.sign_lease(session, actor, body.order())),
        location=lambda made: f"/api/v1/leases/{made.id}",
    )


@router.get(
    "/{lease_id}",
    summary="Read a lease 查看租约",
    responses=problems(NoSuchCommitmentError, NotSignedInError, NotAllowedError),
)
def read_lease(lease_id: IdPath, session: SessionDep, actor: ActorDep) -> LeaseOut:
    """A lease of one's own company, or of one's parks."""
    return lease_out(get_commitment(session, actor, lease_id, ClaimKind.LEASE))


@router.post(
    "/{lease_id}/terminate",
    response_model=LeaseOut,
    summary="End a lease early 提前终止租约",
    responses=problems(LeaseEndedError, NoSuchCommitmentError, NotSignedInError, NotAllowedError),
)
def terminate_lease(
    lease_id: IdPath, body: TerminateIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """End a lease on a day; on its first day it is undone. For managers upwards."""
    return write(
        lambda: lease_out(ledger.terminate_lease(session, actor, lease_id, body.on)),
        status=200,
    )
