"""The money of leases: their terms, and the payments that these come to."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.inventory.filters import Day, Instant
from app.inventory.known import require_past
from app.kernel.errors import InvalidInputError
from app.kernel.written import WrittenBody
from app.ledger.errors import NoSuchCommitmentError
from app.ledger.rent.schedule import Instalment, RentLine
from app.ledger.rent.terms import AreaBasis, DayCount
from app.ledger.tenancy.cash import LeaseCash, lease_cash
from app.ledger.tenancy.errors import NoLeaseTermsError
from app.ledger.tenancy.record import get_record
from app.ledger.tenancy.schema import TermsStated
from app.ledger.tenancy.terms import KnownTerms, get_terms, set_terms
from app.routers.dependencies import (
    ActorDep,
    ClockDep,
    Filters,
    IdPath,
    SessionDep,
    WriterDep,
)
from app.routers.leases import CHANGE_PROBLEMS, TERMS_EXAMPLE, LeaseOut, shown_lease
from app.routers.problems import problems
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/leases", tags=["ledger"])


class LeaseTermsIn(WrittenBody):
    """The terms of a lease."""

    model_config = ConfigDict(extra="forbid")

    terms: TermsStated = Field(
        description="租约条款: rent, deposit and breaks", examples=[TERMS_EXAMPLE]
    )


class TermsQuery(Filters):
    """As known when."""

    as_of: Instant | None = Field(
        default=None,
        description="as known at this instant; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )


class ScheduleQuery(TermsQuery):
    """Which payments."""

    until: Day | None = Field(
        default=None,
        description="only payments whose days start before this one, each whole; needed where the"
        " lease has no end",
        examples=["2028-01-01"],
    )


class LeaseTermsOut(BaseModel):
    """Terms of a lease, and since when they are believed."""

    lease_id: UUID
    terms: TermsStated
    known_from: datetime


class RentLineOut(BaseModel):
    """Days of a payment over which nothing changes."""

    model_config = ConfigDict(serialize_by_alias=True)

    start: date = Field(alias="from")
    until: date
    days: int
    quantity: str = Field(description="m² or places that rent is counted on")
    rate: str = Field(description="CNY per m² and day, or per place and month")
    rent_free: bool
    months: str | None = Field(
        description="months of the lease, as a fraction; null where days are counted"
    )
    exact_cny: str = Field(description="not rounded; a fraction where decimals would never end")


class InstalmentOut(BaseModel):
    """One payment: the days that it pays for, and how it is made up."""

    model_config = ConfigDict(serialize_by_alias=True)

    number: int
    start: date = Field(alias="from")
    until: date
    due_on: date
    days: int
    free_days: int = Field(description="of these, without rent")
    amount_cny: str = Field(description="what the sum of all payments so far, rounded, grows by")
    lines: list[RentLineOut]


class ScheduleOut(BaseModel):
    """现金流: the payments of a lease. Amounts are exact to the fen and add up to the total."""

    model_config = ConfigDict(serialize_by_alias=True)

    lease_id: UUID
    as_of: datetime | None = Field(description="as known when; null is now")
    start: date = Field(alias="from", description="first day of the lease")
    until: date | None = Field(description="first day after it; null is open")
    currency: str
    basis: AreaBasis = Field(description="what rent is counted on")
    basis_zh: str
    day_count: DayCount
    terms_known_from: datetime
    instalments: list[InstalmentOut]
    total_cny: str = Field(description="the sum of the payments listed")
    deposit_cny: str = Field(description="押金; not part of the total")


def _terms_out(lease_id: UUID, known: KnownTerms) -> LeaseTermsOut:
    return LeaseTermsOut(
        lease_id=lease_id,
        terms=known.stated,
        known_from=known.known_from,
    )


def _schedule_out(lease_id: UUID, cash: LeaseCash, as_of: datetime | None) -> ScheduleOut:
    return ScheduleOut(
        lease_id=lease_id,
        as_of=as_of,
        **{"from": cash.term.start},
        until=cash.term.end,
        currency=cash.schedule.currency,
        basis=cash.terms.basis,
        basis_zh=cash.terms.basis.zh,
        day_count=cash.terms.day_count,
        terms_known_from=cash.known.known_from,
        instalments=[_instalment_out(one) for one in cash.schedule.instalments],
        total_cny=f"{cash.schedule.total_cny:f}",
        deposit_cny=f"{cash.deposit_cny:f}",
    )


def _instalment_out(one: Instalment) -> InstalmentOut:
    return InstalmentOut(
        number=one.number,
        **{"from": one.start},
        until=one.until,
        due_on=one.due_on,
        days=one.days,
        free_days=one.free_days,
        amount_cny=f"{one.amount_cny:f}",
        lines=[_line_out(line) for line in one.lines],
    )


def _line_out(line: RentLine) -> RentLineOut:
    return RentLineOut(
        **{"from": line.start},
        until=line.until,
        days=line.days,
        quantity=f"{line.quantity:f}",
        rate=f"{line.rate:f}",
        rent_free=line.is_free,
        months=None if line.months is None else str(line.months),
        exact_cny=line.exact_text,
    )


@router.get(
    "/{lease_id}/terms",
    summary="Read a lease's terms 查看租约条款",
    responses=problems(
        NoLeaseTermsError,
        NoSuchCommitmentError,
        InvalidInputError,
        NotSignedInError,
        NotAllowedError,
    ),
)
def read_lease_terms(
    lease_id: IdPath,
    wanted: Annotated[TermsQuery, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
) -> LeaseTermsOut:
    """The terms as known at an instant: a correction leaves the answer of before as it was."""
    require_past(wanted.as_of, clock.now())
    get_record(session, actor, lease_id)
    return _terms_out(lease_id, get_terms(session, lease_id, wanted.as_of))


@router.post(
    "/{lease_id}/terms",
    response_model=LeaseOut,
    summary="Record a lease's terms 登记租约条款",
    responses=problems(InvalidInputError, *CHANGE_PROBLEMS),
)
def record_lease_terms(
    lease_id: IdPath, body: LeaseTermsIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Record the terms, or correct them: the whole of them, from the lease's first day on.

    For managers upwards. What was recorded before stays readable with `as_of`.
    """
    return write(
        lambda: shown_lease(session, set_terms(session, actor, lease_id, body.terms)), status=200
    )


@router.get(
    "/{lease_id}/schedule",
    summary="Read a lease's payments 查看租金现金流",
    responses=problems(
        NoLeaseTermsError,
        NoSuchCommitmentError,
        InvalidInputError,
        NotSignedInError,
        NotAllowedError,
    ),
)
def read_lease_schedule(
    lease_id: IdPath,
    wanted: Annotated[ScheduleQuery, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
) -> ScheduleOut:
    """What the lease brings in, payment by payment, as known at an instant.

    The sum of the exact rents is rounded once (half up, to the fen), and each payment is what the
    rounded sum grows by: so they add up to the total, always.
    """
    require_past(wanted.as_of, clock.now())
    cash = lease_cash(session, actor, lease_id, until=wanted.until, as_of=wanted.as_of)
    return _schedule_out(lease_id, cash, wanted.as_of)
