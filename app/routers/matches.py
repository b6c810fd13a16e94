"""Matches over HTTP: the best space for a request, and the requests for a space."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from app.inventory.filters import Day
from app.kernel.errors import BusyError, InvalidInputError, NotFoundError
from app.matching.answers import reverse, service, watching
from app.matching.answers.fit_out import load_fit_out
from app.matching.answers.question import Tables
from app.matching.answers.reverse import WantedByList
from app.matching.answers.schemas import MatchesOut, MatchEventPage, MatchIn
from app.matching.answers.service import ReceiptOut, ReplayOut
from app.matching.snapshots.source import Snapshots
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ChangesPaging,
    ClockDep,
    Filters,
    IdPath,
    SessionDep,
    in_sandbox,
)
from app.routers.listings import IdOrCode
from app.routers.problems import problems
from app.routers.space_requests import RulesDep
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1", tags=["matching"])


# What waits for nothing is async: a thread for each would take longer than the work.
async def get_tables(request: Request, rules: RulesDep) -> Tables:
    """The tables that answers are made with."""
    return Tables(rules, load_fit_out(request.app.state.settings.data_dir))


async def get_snapshots(request: Request) -> Snapshots:
    """Where answers look at space."""
    state = request.app.state
    snapshots: Snapshots = (state.sandbox if in_sandbox(request) else state).snapshots
    return snapshots


TablesDep = Annotated[Tables, Depends(get_tables)]
SnapshotsDep = Annotated[Snapshots, Depends(get_snapshots)]


@router.post(
    "/space-requests/{request_id}/matches",
    response_model=MatchesOut,
    responses=problems(
        InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError, BusyError
    ),
)
def match(
    request_id: IdPath,
    *,
    body: MatchIn | None = None,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    tables: TablesDep,
    snapshots: SnapshotsDep,
) -> Response:
    """The best space for a request, each offer with what it scores and why it fits.

    Offers are whole units, parts of units, places, and units that hang together. Where fewer than
    `k` fit, `blocked_by` says how many units each need blocks, `relaxations` the smallest sets of
    needs that would open space and by how much each must give way, `waiting` what fits and is let,
    and from when, and `near_misses` which units came closest. `notes` says so when the request's
    latest start has passed. Every answer is kept as a receipt. Nobody's tenants are named, except
    to staff of their parks.
    """
    asked = body or MatchIn()
    answered = service.find_matches(
        session, actor, request_id, asked, tables=tables, snapshots=snapshots, now=clock.now()
    )
    return Response(answered.body, media_type=JSON)


@router.get(
    "/space-requests/{request_id}/match-events",
    response_model=MatchEventPage,
    responses=problems(InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError),
)
def list_match_events(
    request_id: IdPath,
    page: Annotated[ChangesPaging, Query()],
    session: SessionDep,
    actor: ActorDep,
) -> Response:
    """What began or ceased to fit a request (匹配变化) since it was filed, newest first.

    Open requests are judged anew when space changes or falls free; each event says which
    constraints turned, before and after.
    """
    found = watching.list_events(session, actor, request_id, page.page(geojson=False))
    return Response(found.as_items(), media_type=JSON)


class WantedQuery(Filters):
    """From which day on a unit is looked at, and how many requests are shown."""

    start: Day | None = Field(
        default=None,
        alias="from",
        description="look at the unit from this day on; today unless told",
        examples=["2027-06-01"],
    )
    limit: int = Field(default=20, ge=1, le=100, description="requests shown, best first")


@router.get(
    "/units/{id_or_code}/matching-requests",
    responses=problems(InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError),
)
def list_matching_requests(
    id_or_code: IdOrCode,
    wanted: Annotated[WantedQuery, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    *,
    tables: TablesDep,
    snapshots: SnapshotsDep,
) -> WantedByList:
    """Which open requests would take a unit (反向匹配), alone or with units around it, best first.

    Staff see the requests of all firms, for units of their parks; a firm's key its own requests.

    Example: `GET /api/v1/units/{id}/matching-requests?from=2027-06-01`
    """
    return reverse.matching_requests(
        session,
        actor,
        id_or_code,
        start=wanted.start,
        limit=wanted.limit,
        tables=tables,
        snapshots=snapshots,
        now=clock.now(),
    )


@router.get(
    "/match-receipts/{receipt_id}",
    response_model=ReceiptOut,
    responses=problems(NotSignedInError, NotAllowedError, NotFoundError),
)
def show_match_receipt(receipt_id: IdPath, session: SessionDep, actor: ActorDep) -> Response:
    """One answer with all that it follows from (匹配回执), and the hash over all of it.

    A firm's key sees the receipts of its own requests; those that name other firms are for staff.
    """
    return Response(service.show_receipt(session, actor, receipt_id), media_type=JSON)


@router.post(
    "/match-receipts/{receipt_id}/replay",
    responses=problems(NotSignedInError, NotAllowedError, NotFoundError),
)
def replay_match_receipt(
    receipt_id: IdPath, session: SessionDep, actor: ActorDep, tables: TablesDep
) -> ReplayOut:
    """Read the ledger as it was, work the answer out anew, and compare it byte for byte (重算).

    Nothing is written. Where a table of rules has another version by now, nothing is worked out,
    and that is said.
    """
    return service.replay_receipt(session, actor, receipt_id, tables=tables)
