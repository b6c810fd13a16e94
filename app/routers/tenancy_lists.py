"""Leases and holds in lists, as staff and firms look for them."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.kernel.clock import civil_day
from app.kernel.errors import InvalidInputError, NotFoundError
from app.kernel.terms import CapacityMeasure, RightKind, UnitType
from app.ledger.commitments import HoldState, LeaseState
from app.ledger.tenancy.asked import HoldsWanted, LeasesWanted
from app.ledger.tenancy.listing import list_holds as find_holds
from app.ledger.tenancy.listing import list_leases as find_leases
from app.routers.dependencies import JSON, ActorDep, ClockDep, SessionDep
from app.routers.problems import problems
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1", tags=["ledger"])

_SEMANTICS = """
One row for each {thing}, with the units it takes as `lines`. Conditions on units (places, `type`,
technical minima) are met when one of its units meets all of them. Days are half-open: `until` is
the first day not included, and `ends_until` is not included either. With `as_of` the answer is what
was known at that instant.

Firms see their own; staff those of their parks, with the companies' names.
"""


class RightOnLine(BaseModel):
    """A right that binds the unit on some day from today on."""

    model_config = ConfigDict(extra="forbid")

    right_id: UUID
    kind: RightKind
    kind_zh: str
    company_id: UUID = Field(description="权利人: the holder")
    company_name_zh: str
    company_name_en: str
    rank: int = Field(description="顺位: 1 is asked first")
    start: date = Field(alias="from", description="first day of use that it binds")
    until: date | None = Field(description="exclusive; null is open")
    notice_days: int = Field(description="days the holder has to answer when asked")
    overlap_m2: float = Field(description="ground of the unit that it lies on")


class LineOut(BaseModel):
    """What is taken of one unit, and what the unit is known to be on the last of these days."""

    model_config = ConfigDict(extra="forbid")

    claim_id: UUID = Field(description="the row of /api/v1/claims")
    unit_id: UUID
    unit_code: str
    unit_type: UnitType
    park_id: UUID
    park_code: str
    building_code: str
    floor_code: str
    floor_level: str = Field(description="as shown: 1F, B1")
    level_index: int = Field(description="0 is the ground floor")
    quantity: float = Field(description="in the unit's own measure")
    capacity_measure: CapacityMeasure
    whole: bool
    floor_load_kn_m2: float | None = Field(description="楼面活荷载, kN/m²")
    clear_height_m: float | None = Field(description="净高, m")
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")


class LeaseLineOut(LineOut):
    """What a lease takes of one unit."""

    rights: list[RightOnLine] | None = Field(
        default=None, description="with `include=rights`, for staff: in the order of asking"
    )


class TenancyRow(BaseModel):
    """What leases and holds have in common."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    state_zh: str
    company_id: UUID
    company_name_zh: str | None = Field(default=None, description="for staff only")
    company_name_en: str | None = Field(default=None, description="for staff only")
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")
    clearing_until: date | None = Field(description="清退期 to this day, exclusive")


class LeaseRow(TenancyRow):
    """A lease."""

    state: LeaseState
    signed_at: datetime
    signed_until: date | None = Field(description="where it was to end when signed")
    handed_over_on: date | None
    handed_back_on: date | None
    lines: list[LeaseLineOut]


class HoldRow(TenancyRow):
    """A hold."""

    state: HoldState
    placed_at: datetime
    expires_at: datetime | None = Field(
        description="when it lapses; null when it was released or became a lease"
    )
    lines: list[LineOut]


class LeaseList(BaseModel):
    """One page."""

    items: list[LeaseRow]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )


class HoldList(BaseModel):
    """One page."""

    items: list[HoldRow]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )


_PROBLEMS = problems(InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError)


@router.get(
    "/leases",
    summary="List leases 查询租约",
    description=_SEMANTICS.format(thing="lease"),
    response_model=None,
    responses={200: {"model": LeaseList}, **_PROBLEMS},
)
def list_leases(
    wanted: Annotated[LeasesWanted, Query()], session: SessionDep, actor: ActorDep, clock: ClockDep
) -> Response:
    """Leases by their end, their units and their companies."""
    now = clock.now()
    page = find_leases(session, actor, wanted.require_sound(now), civil_day(now))
    return Response(page.as_items(), media_type=JSON)


@router.get(
    "/holds",
    summary="List holds 查询锁定",
    description=_SEMANTICS.format(thing="hold"),
    response_model=None,
    responses={200: {"model": HoldList}, **_PROBLEMS},
)
def list_holds(
    wanted: Annotated[HoldsWanted, Query()], session: SessionDep, actor: ActorDep, clock: ClockDep
) -> Response:
    """Holds by their end, their units and their companies."""
    page = find_holds(session, actor, wanted.require_sound(clock.now()))
    return Response(page.as_items(), media_type=JSON)
