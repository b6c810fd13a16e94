"""What happens to units themselves: new terms and measurements, splits, mergers; and their life."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from app.database.paging import PageRequest
from app.inventory.features import UnitVersionProperties
from app.inventory.schemas import ItemPage, UnitVersionOut
from app.kernel.errors import InvalidInputError, NotFoundError
from app.ledger.approvals.errors import ApprovalPendingError
from app.ledger.approvals.service import Asked
from app.ledger.approvals.terms import Decision
from app.ledger.units.changing import Change, change_terms, remeasure
from app.ledger.units.errors import (
    DuplicateUnitCodeError,
    NotAPartitionError,
    UnitChangesLaterError,
    UnitClaimsBlockError,
    UnitRetiredError,
    UnitsDoNotMergeError,
)
from app.ledger.units.history import unit_history
from app.ledger.units.merging import Merger, merge_units
from app.ledger.units.splitting import split_unit
from app.ledger.units.versions import unit_versions
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ClockDep,
    GeoJsonDep,
    Query,
    SessionDep,
    WriterDep,
)
from app.routers.listings import IdOrCode, answer_page, page_responses
from app.routers.problems import problems
from app.routers.two_persons import ASKED_RESPONSE, TwoPersonsDep
from app.routers.unit_event_forms import (
    EventIn,
    HistoryPage,
    HistoryQuery,
    MergeIn,
    RemeasureIn,
    SplitIn,
    TermsIn,
    UnitEventOut,
    VersionsQuery,
    event_out,
)
from app.security.actors import Actor, NotAllowedError, NotSignedInError, PersonNeededError

router = APIRouter(prefix="/api/v1/units", tags=["inventory"])

_CHANGE_PROBLEMS = (
    UnitClaimsBlockError,
    UnitRetiredError,
    InvalidInputError,
    NotFoundError,
    NotSignedInError,
    NotAllowedError,
)


@router.post(
    "/merge",
    status_code=201,
    response_model=UnitEventOut,
    summary="Merge units 合并房源",
    responses=problems(UnitsDoNotMergeError, DuplicateUnitCodeError, *_CHANGE_PROBLEMS),
)
def merge(body: MergeIn, session: SessionDep, actor: ActorDep, write: WriterDep) -> Response:
    """Make one unit of several that touch, from a day on. For managers upwards.

    Each must be free from that day on, or one hold or lease must have the whole of all of them on
    the same days: it then has the whole of what they become. Where they differ the weaker value
    holds, amounts are added up, and what somebody has to decide (rent, terms, type) is asked for.
    """
    order = Merger(
        effective_on=body.effective_on,
        units=body.units,
        code=body.code,
        name_zh=body.name_zh,
        name_en=body.name_en,
        facts=body.facts.given("/facts"),
        reason=body.reason,
        dry_run=body.dry_run,
    )
    return write(lambda: event_out(merge_units(session, actor, order)), status=_status(body))


@router.post(
    "/{id_or_code}/terms",
    status_code=201,
    response_model=UnitEventOut,
    summary="Change a unit's terms 变更条件",
    responses=problems(*_CHANGE_PROBLEMS),
)
def change_unit_terms(
    id_or_code: IdOrCode, body: TermsIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Change rent, terms, names or technical values for a range of days. For agents upwards.

    Days before `effective_on` and after `until` stay as they are; what was known before stays
    known as it was.
    """
    change = Change(
        effective_on=body.effective_on,
        changes=body.changes.given("/changes"),
        until=body.until,
        reason=body.reason,
        dry_run=body.dry_run,
    )
    return write(
        lambda: event_out(change_terms(session, actor, id_or_code, change)),
        status=_status(body),
    )


@router.post(
    "/{id_or_code}/remeasure",
    status_code=201,
    response_model=UnitEventOut,
    summary="Re-measure a unit 面积重测（预测→实测）",
    responses=ASKED_RESPONSE | problems(PersonNeededError, ApprovalPendingError, *_CHANGE_PROBLEMS),
)
def remeasure_unit(
    id_or_code: IdOrCode,
    body: RemeasureIn,
    session: SessionDep,
    actor: ActorDep,
    by_two: TwoPersonsDep,
) -> Response:
    """Give a unit its measured areas from a day on. Takes two managers of the park.

    The first call answers 202 with what would happen, and changes nothing; it is done when another
    manager approves it (POST /api/v1/approvals/{id}/approve). A dry run takes nobody else.

    Who has the whole of it has the whole of the new size; parts stay as they are. Refused, with the
    promises named, where the parts taken would not fit.
    """

    def work() -> UnitEventOut:
        return remeasured(session, actor, id_or_code, body)

    if body.dry_run:
        return by_two(None, work, status=200)
    asked = Asked(
        Decision.REMEASURE_UNIT,
        subject=id_or_code,
        body=body.model_dump(mode="json"),
        reason=body.reason,
    )
    return by_two(asked, work, status=201, told=_rehearsed)


@router.post(
    "/{id_or_code}/split",
    status_code=201,
    response_model=UnitEventOut,
    summary="Split a unit 拆分房源",
    responses=problems(
        NotAPartitionError, DuplicateUnitCodeError, UnitChangesLaterError, *_CHANGE_PROBLEMS
    ),
)
def split(
    id_or_code: IdOrCode, body: SplitIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Make several units of one from a day on. For managers upwards.

    The children tile the unit: give their outlines, or a `line`, or `shares`. Holds and leases of
    the whole go on with the whole of each child, under the same ids; partial ones are refused, with
    their names, unless `assign` says which child takes them on.
    """
    order = body.split()
    return write(
        lambda: event_out(split_unit(session, actor, id_or_code, order)), status=_status(body)
    )


@router.get(
    "/{id_or_code}/history",
    response_model=None,
    summary="A unit's life 房源历史",
    responses={
        200: {"model": HistoryPage},
        **problems(InvalidInputError, NotFoundError, NotSignedInError),
    },
)
def show_history(
    id_or_code: IdOrCode,
    asked: Annotated[HistoryQuery, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
) -> Response:
    """What happened to a unit, in the order in which it came to be known.

    Anyone reads what happened to the unit itself, firms their own holds and leases besides, staff
    of the park everything and who did it.
    """
    page = unit_history(
        session,
        actor,
        id_or_code,
        page=PageRequest(asked.limit, asked.cursor),
        as_of=asked.as_of,
        now=clock.now(),
    )
    return Response(page.as_items(), media_type=JSON)


@router.get(
    "/{id_or_code}/versions",
    response_model=ItemPage[UnitVersionOut],
    summary="All facts of a unit over its days 房源版本",
    responses={
        **page_responses(UnitVersionProperties),
        **problems(InvalidInputError, NotFoundError),
    },
)
def show_versions(
    request: Request,
    id_or_code: IdOrCode,
    asked: Annotated[VersionsQuery, Query()],
    session: SessionDep,
    _actor: ActorDep,
    clock: ClockDep,
    *,
    geojson: GeoJsonDep,
) -> Response:
    """A unit's facts for all days, as known at `as_of`; or with `all=true` all that ever was.

    `valid_from` and `valid_until` are the days for which a row holds, `known_from` and
    `known_until` the instants between which it was believed. `known_until` is told with `all=true`
    only: an answer as of an instant does not tell what came after it.
    """
    page = unit_versions(
        session,
        id_or_code,
        asked.page(geojson=geojson),
        as_of=asked.as_of,
        every=asked.all,
        now=clock.now(),
        geojson=geojson,
    )
    return answer_page(request, page, geojson=geojson)


def remeasured(session: SessionDep, actor: Actor, name: str, body: RemeasureIn) -> UnitEventOut:
    """A unit's new areas as asked, as they are shown."""
    change = Change(
        effective_on=body.effective_on,
        changes=body.changes(),
        reason=body.reason,
        dry_run=body.dry_run,
    )
    return event_out(remeasure(session, actor, name, change))


def _rehearsed(made: UnitEventOut) -> dict[str, Any]:
    """An event that was taken back, as a dry run shows it."""
    taken_back = {"dry_run": True, "event_id": None, "recorded_at": None}
    return made.model_dump(mode="json", by_alias=True) | taken_back


def _status(body: EventIn) -> int:
    return 200 if body.dry_run else 201
