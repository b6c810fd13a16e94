"""Firms' API keys over HTTP: issue, look at, rotate and end them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response
from pydantic import Field

from app.kernel.errors import InvalidInputError, NotFoundError
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ClockDep,
    Filters,
    IdPath,
    Paging,
    Query,
    SessionDep,
    WriterDep,
)
from app.routers.problems import problems
from app.routers.shown_once import write_shown_once
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError, Scope
from app.security.keys import service
from app.security.keys.schemas import (
    KeyIn,
    KeyIssuedOut,
    KeyOut,
    KeyPage,
    RotateIn,
    ScopeList,
    ScopeOut,
)
from app.security.keys.service import KeyEndedError, KeysFullError

router = APIRouter(prefix="/api/v1/keys", tags=["access"])

_READ = problems(NotSignedInError, NotAllowedError, NotFoundError)
_SCOPES = ScopeList(items=[ScopeOut(scope=scope, zh=scope.zh, en=scope.en) for scope in Scope])


class KeyFilters(Paging):
    """What to list."""

    company_id: UUID | None = Field(default=None, description="of this firm")


@router.post(
    "",
    status_code=201,
    response_model=KeyIssuedOut,
    responses=problems(
        *(InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError), KeysFullError
    ),
)
def issue_key(
    body: KeyIn, session: SessionDep, actor: ActorDep, clock: ClockDep, write: WriterDep
) -> Response:
    """Issue an API key (签发密钥); its text is in this answer and nowhere else.

    A firm's key with the scope `keys:write` issues keys of its own firm, with at most its own
    scopes; managers issue for any firm.
    """

    def work() -> tuple[KeyIssuedOut, dict[str, str]]:
        made, key = service.issue_key(session, actor, body, now=clock.now())
        return made, {"key": key}

    return write_shown_once(write, work, location=lambda made: f"/api/v1/keys/{made.id}")


@router.get("", response_model=KeyPage, responses=_READ)
def list_keys(
    filters: Annotated[KeyFilters, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
) -> Response:
    """List keys (密钥清单), newest first, with expiry and last use; never a secret.

    A firm's key with the scope `keys:write` sees those of its firm, managers all.
    """
    page = service.list_keys(
        session,
        actor,
        filters.page(geojson=False),
        company_id=filters.company_id,
        now=clock.now(),
    )
    return Response(page.as_items(), media_type=JSON)


@router.get("/scopes", responses=problems())
def list_scopes(_none: Annotated[Filters, Query()]) -> ScopeList:
    """What a key may be allowed to do (权限说明), in words."""
    return _SCOPES


@router.get("/{key_id}", responses=_READ)
@shown_alone
def get_key(key_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep) -> KeyOut:
    """One key, without its secret."""
    return service.get_key(session, actor, key_id, now=clock.now())


@router.post(
    "/{key_id}/rotate",
    status_code=200,
    response_model=KeyIssuedOut,
    responses=problems(NotSignedInError, NotAllowedError, NotFoundError, KeyEndedError),
)
def rotate_key(
    key_id: IdPath,
    *,
    body: Annotated[RotateIn | None, Body()] = None,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Give a key a new secret (轮换密钥); both work for the overlap, a day unless told.

    Its id and scopes stay, its life begins anew. A secret from before an earlier rotation ends now.
    """

    def work() -> tuple[KeyIssuedOut, dict[str, str]]:
        made, key = service.rotate_key(session, actor, key_id, body or RotateIn(), now=clock.now())
        return made, {"key": key}

    return write_shown_once(write, work, status=200)


@router.post("/{key_id}/revoke", status_code=200, response_model=KeyOut, responses=_READ)
def revoke_key(
    key_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep, write: WriterDep
) -> Response:
    """End a key now (吊销密钥), with every token it was given. It does not come back."""
    return write(lambda: service.revoke_key(session, actor, key_id, now=clock.now()), status=200)
