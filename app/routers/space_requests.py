"""Space requests over HTTP."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.demand import requests
from app.demand.request_schemas import NeedsIn, SpaceRequestIn, SpaceRequestOut, SpaceRequestPage
from app.demand.requests import RequestClosedError
from app.demand.rules import Rules, load_rules
from app.kernel.errors import NotFoundError
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ChangesPaging,
    ClockDep,
    IdPath,
    Query,
    SessionDep,
    WriterDep,
)
from app.routers.problems import problems
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/space-requests", tags=["demand"])


async def get_rules(request: Request) -> Rules:
    """The tables that needs are derived from."""
    return load_rules(request.app.state.settings.data_dir)


RulesDep = Annotated[Rules, Depends(get_rules)]


class RequestFilters(ChangesPaging):
    """What to list."""

    company_id: UUID | None = Field(default=None, description="of this firm")
    state: Literal["open", "placed", "withdrawn"] | None = Field(
        default=None, description="in this state: 待匹配, 已落位, 已撤回"
    )


@router.post(
    "",
    status_code=201,
    response_model=SpaceRequestOut,
    responses=problems(NotSignedInError, NotAllowedError, NotFoundError),
)
def create_request(
    body: SpaceRequestIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    rules: RulesDep,
    write: WriterDep,
) -> Response:
    """Ask for space. What is left open is derived from the product and its stage.

    The answer shows every need with its provenance; PUT …/needs overrules any of them.
    """
    return write(
        lambda: requests.create_request(session, actor, body, rules=rules, now=clock.now()),
        location=lambda made: f"/api/v1/space-requests/{made.id}",
    )


@router.get(
    "", response_model=SpaceRequestPage, responses=problems(NotSignedInError, NotAllowedError)
)
def list_requests(
    filters: Annotated[RequestFilters, Query()], session: SessionDep, actor: ActorDep
) -> Response:
    """List requests, newest first: staff see all, a firm its own."""
    page = requests.list_requests(
        session,
        actor,
        filters.page(geojson=False),
        company_id=filters.company_id,
        state=filters.state,
    )
    return Response(page.as_items(), media_type=JSON)


@router.get("/{request_id}", responses=problems(NotSignedInError, NotAllowedError, NotFoundError))
@shown_alone
def get_request(request_id: IdPath, session: SessionDep, actor: ActorDep) -> SpaceRequestOut:
    """One request; its version is the ETag."""
    return requests.get_request(session, actor, request_id)


@router.put(
    "/{request_id}/needs",
    response_model=SpaceRequestOut,
    responses=problems(NotSignedInError, NotAllowedError, NotFoundError, RequestClosedError),
)
def replace_needs(
    request_id: IdPath,
    body: NeedsIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    rules: RulesDep,
    write: WriterDep,
) -> Response:
    """Overrule needs: the whole of what the firm states; what is left out is derived anew.

    Send the ETag read as `If-Match`, and a change made by someone else in between is kept.
    """
    return write(
        lambda: requests.replace_needs(
            session, actor, request_id, body, rules=rules, now=clock.now()
        ),
        status=200,
    )


@router.post(
    "/{request_id}/withdraw",
    status_code=200,
    response_model=SpaceRequestOut,
    responses=problems(NotSignedInError, NotAllowedError, NotFoundError, RequestClosedError),
)
def withdraw_request(
    request_id: IdPath,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Withdraw a request (撤回需求). Refused while space is held or let for it.

    A placed request whose lease was cancelled or is over may be withdrawn too.
    """
    return write(
        lambda: requests.withdraw_request(session, actor, request_id, now=clock.now()),
        status=200,
    )


@router.post(
    "/{request_id}/reopen",
    status_code=200,
    response_model=SpaceRequestOut,
    responses=problems(
        NotSignedInError,
        NotAllowedError,
        NotFoundError,
        RequestClosedError,
    ),
)
def reopen_request(
    request_id: IdPath,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Open a withdrawn request again (重新开启), or a placed one whose lease is cancelled or over.

    Its needs stay as they are. If its window has passed by then, the matches say so; PUT …/needs
    gives it another.
    """
    return write(
        lambda: requests.reopen_request(session, actor, request_id, now=clock.now()),
        status=200,
    )
