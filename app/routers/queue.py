"""The line for space that is taken: join, see one's place, leave."""

import json
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.database.paging import PageRequest
from app.inventory.filters import Instant
from app.inventory.known import require_past
from app.kernel.errors import InvalidInputError, NotFoundError
from app.kernel.terms import QueueOutcome
from app.ledger.errors import TermNotOfferedError
from app.ledger.orders import Order
from app.ledger.queue.errors import (
    AlreadyInLineError,
    LeftLineError,
    LineLimitReachedError,
    NoSuchEntryError,
)
from app.ledger.queue.line import QueueState
from app.ledger.queue.service import (
    EntrySearch,
    LineLimits,
    Waiting,
    get_entry,
    join_line,
    leave_line,
    list_entries,
)
from app.routers.dependencies import (
    UPDATED_SINCE,
    ActorDep,
    ClockDep,
    Filters,
    IdPath,
    SessionDep,
    WriterDep,
)
from app.routers.holds import Nothing
from app.routers.leases import ORDER_PROBLEMS, OrderIn
from app.routers.problems import problems
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/queue-entries", tags=["ledger"])

#: A unit of the reference data that is let for years.
_EXAMPLE_UNIT_ID = "e80816aa-7260-59ac-b05c-01983fe93ae1"
_EXAMPLE_COMPANY_ID = "6ec6a136-c713-57ae-a8f8-280a362a76e0"


class EntryIn(OrderIn):
    """Units to wait for: all of them or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "units": [{"unit_id": _EXAMPLE_UNIT_ID}],
                    "from": "2030-01-01",
                    "until": "2034-01-01",
                    "company_id": _EXAMPLE_COMPANY_ID,
                }
            ]
        }
    )


class EntryUnit(BaseModel):
    """A unit that is waited for."""

    unit_id: UUID
    unit_code: str
    park_id: UUID
    quantity: float | None = Field(description="in the unit's own measure; null is all of it")


class EntryOut(BaseModel):
    """A place in line. Who else waits is not said; how many do is."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID
    company_id: UUID
    space_request_id: UUID | None
    units: list[EntryUnit]
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")
    state: QueueState
    state_zh: str = Field(examples=["排队中"])
    position: int | None = Field(description="1 is next; null out of the line")
    in_line: int = Field(description="how many wait for some of the same space, this one included")
    joined_at: datetime
    offer_hours: int = Field(description="how long an offer stands")
    offered_at: datetime | None
    offer_expires_at: datetime | None = Field(
        description="hold the space before this instant, or lose the place"
    )
    left_at: datetime | None
    outcome: QueueOutcome | None
    outcome_zh: str | None
    commitment_id: UUID | None = Field(description="the hold that came of it")


class EntryPage(BaseModel):
    """One page."""

    items: list[EntryOut]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )


class EntriesQuery(Filters):
    """Query parameters of the listing."""

    unit: UUID | None = Field(default=None, description="id of a unit that is waited for")
    company: UUID | None = Field(default=None, description="id of a company")
    in_line: bool | None = Field(
        default=None, description="true: those that have not left; false: those that have"
    )
    as_of: Instant | None = Field(
        default=None, description="how they stood at this instant; now unless told"
    )
    limit: int = Field(default=100, ge=1, le=1_000, description="rows a page")
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )
    updated_since: str | None = Field(default=None, max_length=500, description=UPDATED_SINCE)


def _out(one: Waiting) -> EntryOut:
    return EntryOut(
        id=one.entry.id,
        company_id=one.entry.company_id,
        space_request_id=one.space_request_id,
        units=[
            EntryUnit(
                unit_id=line.unit_id,
                unit_code=line.unit_code,
                park_id=line.park_id,
                quantity=None if line.quantity is None else float(line.quantity),
            )
            for line in one.lines
        ],
        **{"from": one.entry.start},
        until=one.entry.end,
        state=one.standing.state,
        state_zh=one.standing.state.zh,
        position=one.standing.position,
        in_line=one.in_line,
        joined_at=one.entry.joined_at,
        offer_hours=one.entry.offer_hours,
        offered_at=one.standing.offered_at,
        offer_expires_at=one.standing.offer_expires_at,
        left_at=one.entry.left_at if one.outcome else None,
        outcome=one.outcome,
        outcome_zh=one.outcome.zh if one.outcome else None,
        commitment_id=one.commitment_id,
    )


def _order(body: EntryIn) -> Order:
    order = body.order()
    if order.clearing_days:
        raise InvalidInputError("a place in line takes no clearing days; give them with the hold")
    return order


@router.post(
    "",
    status_code=201,
    response_model=EntryOut,
    summary="Join the line 加入排队",
    responses=problems(
        AlreadyInLineError, LineLimitReachedError, TermNotOfferedError, *ORDER_PROBLEMS
    ),
)
def join_queue(
    body: EntryIn, request: Request, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Wait for space that is taken.

    When it falls free, whoever joined first is offered it for `offer_hours`: hold it in that time,
    or it goes to the next in line.
    """
    of = request.app.state.settings
    limits = LineLimits(of.queue_offer_hours, of.queue_entries_per_company_max)
    order = _order(body)
    return write(
        lambda: _out(join_line(session, actor, order, limits)),
        location=lambda made: f"/api/v1/queue-entries/{made.id}",
    )


@router.get(
    "",
    summary="List places in line 查询排队",
    responses=problems(InvalidInputError, NotSignedInError, NotFoundError),
)
def list_queue(
    wanted: Annotated[EntriesQuery, Query()], session: SessionDep, actor: ActorDep, clock: ClockDep
) -> EntryPage:
    """Firms see their own places; staff those for units of their parks."""
    require_past(wanted.as_of, clock.now())
    search = EntrySearch(
        unit=wanted.unit, company_id=wanted.company, in_line=wanted.in_line, as_of=wanted.as_of
    )
    found, page = list_entries(
        session, actor, search, PageRequest(wanted.limit, wanted.cursor, wanted.updated_since)
    )
    return EntryPage(
        items=[_out(one) for one in found],
        next_cursor=page.next_cursor,
        **json.loads(f"{{{page.members}}}"),
    )


@router.get(
    "/{entry_id}",
    summary="Read a place in line 查看排队",
    responses=problems(NoSuchEntryError, NotSignedInError, NotAllowedError),
)
@shown_alone
def read_queue_entry(entry_id: IdPath, session: SessionDep, actor: ActorDep) -> EntryOut:
    """One place in line, and how it stands now."""
    return _out(get_entry(session, actor, entry_id))


@router.post(
    "/{entry_id}/leave",
    response_model=EntryOut,
    summary="Leave the line 退出排队",
    responses=problems(LeftLineError, NoSuchEntryError, NotSignedInError, NotAllowedError),
)
def leave_queue(
    entry_id: IdPath,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
    _body: Nothing = None,
) -> Response:
    """Give up a place in line, and an offer if there is one."""
    return write(lambda: _out(leave_line(session, actor, entry_id)), status=200)
