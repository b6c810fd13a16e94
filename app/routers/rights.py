"""Rights over HTTP: who must be asked before space is offered, and what they said."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.geo.display import in_datum
from app.inventory.filters import Datum, Day, Instant, Word
from app.kernel.errors import InvalidInputError, NotFoundError
from app.kernel.terms import RightKind, SourceDatum
from app.ledger.errors import LedgerMovedOnError, UnknownUnitError
from app.ledger.rights import granting, service
from app.ledger.rights.clearing import Offer, asks_shown
from app.ledger.rights.errors import (
    NoSuchRightError,
    NoticeAnsweredError,
    NoticeLapsedError,
    RightConflictError,
    RightEndedError,
)
from app.ledger.rights.listing import RightSearch, get_right
from app.ledger.rights.listing import list_rights as find_rights
from app.ledger.rights.schemas import (
    AnswerIn,
    CheckOut,
    GrantIn,
    OfferIn,
    QuestionIn,
    RightList,
    RightOut,
)
from app.routers.dependencies import (
    GEOJSON,
    JSON,
    ActorDep,
    ClockDep,
    GeoJsonDep,
    IdPath,
    Paging,
    SessionDep,
    WriterDep,
    next_href,
)
from app.routers.holds import Nothing
from app.routers.problems import problems
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/rights", tags=["ledger"])

_WRITE_PROBLEMS = (NotSignedInError, NotAllowedError, InvalidInputError)


class RightsQuery(Paging):
    """Query parameters of the listing."""

    unit: UUID | None = Field(
        default=None, description="id of a unit: rights with some of its ground"
    )
    park: Word | None = Field(
        default=None, description="code or id of a park; parks that lie in it are included"
    )
    company: UUID | None = Field(default=None, description="id of the holder 权利人")
    kind: list[RightKind] = Field(
        default=[], max_length=len(RightKind), description="kind; repeat for several 权利类型"
    )
    start: Day | None = Field(
        default=None, alias="from", description="rights that bind some day from this one on"
    )
    until: Day | None = Field(default=None, description="rights that bind some day before this one")
    as_of: Instant | None = Field(
        default=None,
        description="what was believed at this instant; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )
    datum: Datum = SourceDatum.WGS84


@router.get(
    "",
    summary="List rights 查询权利",
    response_model=None,
    responses={
        200: {
            "model": RightList,
            "content": {GEOJSON: {"schema": {"type": "object"}}},
        },
        **problems(InvalidInputError, NotSignedInError, NotFoundError),
    },
)
def list_rights(
    wanted: Annotated[RightsQuery, Query()],
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    *,
    geojson: GeoJsonDep,
) -> Response:
    """Firms see their own rights; staff those of their parks, with the holders' names.

    As GeoJSON, each feature is a right's ground on one floor.
    """
    search = RightSearch(
        unit=wanted.unit,
        park=wanted.park,
        company_id=wanted.company,
        kinds=tuple(wanted.kind),
        start=wanted.start,
        until=wanted.until,
        as_of=wanted.as_of,
    )
    page = find_rights(
        session, actor, search, wanted.page(geojson=geojson), clock.now(), geojson=geojson
    )
    if geojson:
        href = next_href(request, page.next_cursor)
        features = in_datum(page.as_feature_collection(href), wanted.datum)
        return Response(features, media_type=GEOJSON)
    return Response(page.as_items(), media_type=JSON)


@router.post(
    "",
    status_code=201,
    response_model=RightOut,
    summary="Grant a right 授予权利",
    responses=problems(
        RightConflictError,
        UnknownUnitError,
        LedgerMovedOnError,
        NotFoundError,
        *_WRITE_PROBLEMS,
    ),
)
def grant_right(
    body: GrantIn, session: SessionDep, actor: ActorDep, clock: ClockDep, write: WriterDep
) -> Response:
    """Grant a right on the ground of units or of a lease. For managers upwards.

    Rights that it meets come first and must be named in `behind`; holds and leases of others, in
    `subject_to`. What is not named is listed in the refusal.
    """

    def work() -> RightOut:
        right_id = granting.grant_right(session, actor, body.grant())
        return _shown(session, actor, right_id, clock)

    return write(work, location=lambda made: f"/api/v1/rights/{made.id}")


@router.post(
    "/check",
    summary="Check an offer 预检要约",
    responses=problems(UnknownUnitError, *_WRITE_PROBLEMS),
)
def check_offer(body: OfferIn, session: SessionDep, actor: ActorDep) -> CheckOut:
    """Whom to ask before the space can be held or let, in which order, by when. For staff.

    Nothing is written, and whether the space is free is not looked at.
    """
    offer = Offer(body.company_id, list(dict.fromkeys(body.units)), body.period())
    found = service.check_offer(session, actor, offer)
    cleared = [{"right_id": one.right.id, "notice_id": one.notice.id} for one in found.cleared]
    return CheckOut.model_validate(
        {
            "clear": not found.ask,
            "cleared_by": cleared,
            "ask": asks_shown(session, found.ask),
        }
    )


@router.get(
    "/{right_id}",
    summary="Read a right 查看权利",
    response_model_exclude_unset=True,
    responses=problems(NoSuchRightError, NotSignedInError, NotAllowedError),
)
@shown_alone
def read_right(right_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep) -> RightOut:
    """A right of one's own company, or of one's parks, with its notices; ended ones too."""
    return _shown(session, actor, right_id, clock)


@router.post(
    "/{right_id}/end",
    response_model=RightOut,
    summary="End a right 终止权利",
    responses=problems(RightEndedError, NoSuchRightError, *_WRITE_PROBLEMS),
)
def end_right(
    right_id: IdPath,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
    _body: Nothing = None,
) -> Response:
    """From now on it binds nothing. For managers upwards."""

    def work() -> RightOut:
        service.end_right(session, actor, right_id)
        return _shown(session, actor, right_id, clock)

    return write(work, status=200)


@router.post(
    "/{right_id}/notices",
    status_code=201,
    response_model=RightOut,
    summary="Ask the holder 征询权利人",
    responses=problems(RightEndedError, NoSuchRightError, *_WRITE_PROBLEMS),
)
def ask_holder(
    right_id: IdPath,
    *,
    body: QuestionIn,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Write down that the holder was asked today. For staff, from agent upwards.

    The answer is due `notice_days` days from today; silence is a waiver after that.
    """

    def work() -> RightOut:
        service.ask_holder(session, actor, right_id, body.question())
        return _shown(session, actor, right_id, clock)

    return write(work)


@router.post(
    "/{right_id}/notices/{notice_id}/answer",
    response_model=RightOut,
    summary="Write down the answer 记录答复",
    responses=problems(NoticeAnsweredError, NoticeLapsedError, NoSuchRightError, *_WRITE_PROBLEMS),
)
def answer_notice(
    right_id: IdPath,
    notice_id: IdPath,
    *,
    body: AnswerIn,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """What the holder said, once: waived or exercised. For managers upwards."""

    def work() -> RightOut:
        service.answer_notice(
            session, actor, right_id, notice_id, answer=body.answer, reference=body.reference
        )
        return _shown(session, actor, right_id, clock)

    return write(work, status=200)


@router.post(
    "/{right_id}/waivers",
    status_code=201,
    response_model=RightOut,
    summary="Record a waiver 记录放弃",
    responses=problems(RightEndedError, NoSuchRightError, *_WRITE_PROBLEMS),
)
def record_waiver(
    right_id: IdPath,
    *,
    body: QuestionIn,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """The holder has waived without being asked first. For managers upwards."""

    def work() -> RightOut:
        service.record_waiver(session, actor, right_id, body.question())
        return _shown(session, actor, right_id, clock)

    return write(work)


def _shown(session: SessionDep, actor: ActorDep, right_id: UUID, clock: ClockDep) -> RightOut:
    return RightOut.model_validate_json(get_right(session, actor, right_id, clock.now()))
