"""Who did, saw and decided what (审计记录), for managers and, of their own, for firms."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.database.paging import PageRequest
from app.inventory.filters import Instant, Word
from app.kernel.errors import InvalidInputError, NotFoundError
from app.routers.dependencies import JSON, ActorDep, Filters, SessionDep
from app.routers.problems import problems
from app.security.actors import NotAllowedError, NotSignedInError
from app.security.audit.actions import Action
from app.security.audit.listing import EntriesWanted, list_entries

router = APIRouter(prefix="/api/v1/audit-entries", tags=["security"])


class EntriesQuery(Filters):
    """Query parameters of the list."""

    park: Word | None = Field(
        default=None, max_length=100, description="code or id of the park whose chain it is in"
    )
    action: list[Action] = Field(
        default=[], max_length=50, description="what was done; repeat for several 操作"
    )
    subject_type: Word | None = Field(
        default=None, max_length=100, description="kind of thing 对象类别", examples=["lease"]
    )
    subject: Word | None = Field(
        default=None, max_length=200, description="id of the thing it was done to 对象"
    )
    actor: Word | None = Field(
        default=None, max_length=200, description="label of who did it 操作人"
    )
    company: UUID | None = Field(default=None, description="id of the firm concerned 企业")
    start: Instant | None = Field(
        default=None,
        alias="from",
        description="at this instant or later",
        examples=["2026-11-01T00:00:00Z"],
    )
    until: Instant | None = Field(default=None, description="before this instant")
    limit: int = Field(default=100, ge=1, le=1_000, description="rows a page")
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )


class AuditEntryOut(BaseModel):
    """One thing that somebody did, saw or decided."""

    model_config = ConfigDict(extra="forbid")

    park_id: UUID | None = Field(description="whose chain; null: the house's own")
    park_code: str | None
    sequence: int | None = Field(description="1, 2, 3 … in its chain; for staff only")
    at: datetime
    actor: str = Field(description="who did it; firms see staff as `staff`")
    actor_kind: str = Field(description="public, firm, staff or system")
    account_id: UUID | None = Field(description="of the person who signed in; for staff only")
    company_id: UUID | None = Field(description="the firm that did it or is concerned")
    action: Action
    action_zh: str = Field(examples=["提前终止租约"])
    action_en: str
    subject_type: str
    subject_id: str | None
    reason: str | None = Field(description="as whoever did it gave it; for staff only")
    details: dict[str, Any] = Field(description="no personal data")
    request_id: str | None = Field(description="X-Request-ID of the call; for staff only")
    previous_hash: str | None = Field(
        description="of the entry before, hexadecimal; for staff only"
    )
    hash: str | None = Field(
        description="SHA-256 of the canonical JSON of the entry, hexadecimal; for staff only",
    )


class EntriesPage(BaseModel):
    """One page."""

    items: list[AuditEntryOut]
    next_cursor: str | None


@router.get(
    "",
    response_model=EntriesPage,
    summary="List the audit trail 查询审计记录",
    responses=problems(InvalidInputError, NotFoundError, NotSignedInError, NotAllowedError),
)
def show_entries(
    asked: Annotated[EntriesQuery, Query()], session: SessionDep, actor: ActorDep
) -> Response:
    """Who did, saw and decided what, newest first.

    Managers see the entries of their parks, and those of every park the house's own chain too. A
    firm sees the entries that concern it, without the names and reasons of staff. Nothing that is
    written here is ever changed: `space-relay audit verify` says so, or names the first entry that
    is not as it was.
    """
    wanted = EntriesWanted(
        park=asked.park,
        actions=tuple(asked.action),
        subject_type=asked.subject_type,
        subject_id=asked.subject,
        actor=asked.actor,
        company_id=asked.company,
        start=asked.start,
        until=asked.until,
    )
    page = list_entries(session, actor, wanted, PageRequest(asked.limit, asked.cursor))
    return Response(page.as_items(), media_type=JSON)
