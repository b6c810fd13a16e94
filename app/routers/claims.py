"""Claims: the ledger's rows."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.database.paging import PageRequest
from app.inventory.filters import Day, Instant
from app.inventory.known import require_past
from app.kernel.errors import InvalidInputError, NotFoundError
from app.kernel.terms import CapacityMeasure, ClaimKind
from app.ledger.claims import ClaimSearch
from app.ledger.claims import list_claims as find_claims
from app.routers.dependencies import JSON, ActorDep, ClockDep, Filters, SessionDep
from app.routers.problems import problems
from app.security.actors import NotSignedInError

router = APIRouter(prefix="/api/v1/claims", tags=["ledger"])


class ClaimsQuery(Filters):
    """Query parameters of the listing."""

    unit: UUID | None = Field(default=None, description="id of a unit")
    company: UUID | None = Field(default=None, description="id of a company")
    kind: list[ClaimKind] = Field(
        default=[],
        max_length=4,
        description="why days are taken; repeat for several 占用类型",
    )
    start: Day | None = Field(
        default=None, alias="from", description="claims that take some day from this one on"
    )
    until: Day | None = Field(default=None, description="claims that take some day before this one")
    as_of: Instant | None = Field(
        default=None,
        description="what was believed at this instant; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )
    limit: int = Field(default=100, ge=1, le=1_000, description="rows a page")
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )


class ClaimOut(BaseModel):
    """A quantity of one unit for a period, and since when it is believed."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    commitment_id: UUID = Field(description="the hold or lease it belongs to")
    kind: ClaimKind
    kind_zh: str
    kind_en: str
    unit_id: UUID
    unit_code: str
    park_id: UUID
    park_code: str
    company_id: UUID | None
    space_request_id: UUID | None
    quantity: float = Field(description="in the unit's own measure")
    capacity_measure: CapacityMeasure
    capacity_measure_zh: str
    capacity_measure_en: str
    whole: bool
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")
    known_from: datetime = Field(description="since when it is believed")
    known_until: datetime | None = Field(
        description="when it lapses by itself, as a hold does; null where it stands until closed"
    )
    supersedes_id: UUID | None = Field(description="the claim that this one took the place of")
    synthetic: bool
    company_name_zh: str | None = Field(default=None, description="for staff only")
    company_name_en: str | None = Field(default=None, description="for staff only")
    placed_by: str | None = Field(default=None, description="for staff only")


class ClaimList(BaseModel):
    """One page."""

    items: list[ClaimOut]
    next_cursor: str | None


@router.get(
    "",
    summary="List claims 查询占用",
    response_model=None,
    responses={
        200: {"model": ClaimList},
        **problems(InvalidInputError, NotSignedInError, NotFoundError),
    },
)
def list_claims(
    wanted: Annotated[ClaimsQuery, Query()], session: SessionDep, actor: ActorDep, clock: ClockDep
) -> Response:
    """Firms see their own claims; staff those of their parks, with the companies' names."""
    require_past(wanted.as_of, clock.now())
    search = ClaimSearch(
        unit=wanted.unit,
        company_id=wanted.company,
        kinds=tuple(wanted.kind),
        start=wanted.start,
        until=wanted.until,
        as_of=wanted.as_of,
    )
    page = find_claims(session, actor, search, PageRequest(wanted.limit, wanted.cursor))
    return Response(page.as_items(), media_type=JSON)
