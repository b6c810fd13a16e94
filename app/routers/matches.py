"""Matches over HTTP."""

from fastapi import APIRouter

from app.kernel.errors import InvalidInputError, NotFoundError
from app.matching.schemas import MatchesOut, MatchIn
from app.matching.service import find_matches
from app.routers.dependencies import ActorDep, ClockDep, IdPath, SessionDep
from app.routers.problems import problems
from app.routers.space_requests import RulesDep
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/space-requests", tags=["matching"])


@router.post(
    "/{request_id}/matches",
    responses=problems(InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError),
)
def match(
    request_id: IdPath,
    *,
    body: MatchIn | None = None,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    rules: RulesDep,
) -> MatchesOut:
    """The best units for a request, each with what it scores and why it fits.

    Where fewer than `k` units fit, `blocked_by` says how many units each need blocks,
    `relaxations` which needs would have to give way together where no single one is enough, and
    `near_misses` which units came closest. `notes` says so when the request's latest start has
    passed. Nothing is written and nobody's tenants are named.
    """
    asked = body or MatchIn()
    return find_matches(session, actor, request_id, asked, rules=rules, now=clock.now())
