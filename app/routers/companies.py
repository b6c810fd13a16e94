"""Companies and their pipelines over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from app.demand import companies
from app.demand.companies import AssetExistsError, CompanyExistsError
from app.demand.schemas import (
    NO_NUL,
    AssetIn,
    AssetOut,
    AssetPage,
    CompanyIn,
    CompanyOut,
    CompanyPage,
    StageEntryIn,
)
from app.kernel.clock import civil_day
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

router = APIRouter(prefix="/api/v1/companies", tags=["demand"])

_READ = problems(NotSignedInError, NotAllowedError, NotFoundError)


class CompanyFilters(ChangesPaging):
    """What to list."""

    name: str | None = Field(
        default=None,
        max_length=100,
        pattern=NO_NUL,
        description="part of the Chinese or English name",
    )


@router.post(
    "",
    status_code=201,
    response_model=CompanyOut,
    responses=problems(NotSignedInError, NotAllowedError, CompanyExistsError),
)
def create_company(
    body: CompanyIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Register a firm (staff). The credit code's check digit must hold."""
    return write(
        lambda: companies.create_company(session, actor, body),
        location=lambda made: f"/api/v1/companies/{made.id}",
    )


@router.get("", response_model=CompanyPage, responses=problems(NotSignedInError, NotAllowedError))
def list_companies(
    filters: Annotated[CompanyFilters, Query()], session: SessionDep, actor: ActorDep
) -> Response:
    """List firms: staff see all, a firm sees itself."""
    page = companies.list_companies(session, actor, filters.page(geojson=False), filters.name)
    return Response(page.as_items(), media_type=JSON)


@router.get("/{company_id}", responses=_READ)
@shown_alone
def get_company(company_id: IdPath, session: SessionDep, actor: ActorDep) -> CompanyOut:
    """One firm."""
    return companies.get_company(session, actor, company_id)


@router.post(
    "/{company_id}/pipeline-assets",
    status_code=201,
    response_model=AssetOut,
    responses=problems(NotSignedInError, NotAllowedError, NotFoundError, AssetExistsError),
)
def create_asset(
    company_id: IdPath,
    body: AssetIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Add a product with its dated stage history, oldest stage first."""
    today = civil_day(clock.now())
    return write(
        lambda: companies.create_asset(session, actor, company_id, body, today),
        location=lambda made: f"/api/v1/companies/{company_id}/pipeline-assets/{made.id}",
    )


@router.get("/{company_id}/pipeline-assets", response_model=AssetPage, responses=_READ)
def list_assets(
    company_id: IdPath,
    paging: Annotated[ChangesPaging, Query()],
    session: SessionDep,
    actor: ActorDep,
) -> Response:
    """List a firm's products with their histories, by name."""
    page = companies.list_assets(session, actor, company_id, paging.page(geojson=False))
    return Response(page.as_items(), media_type=JSON)


@router.get("/{company_id}/pipeline-assets/{asset_id}", responses=_READ)
@shown_alone
def get_asset(
    company_id: IdPath, asset_id: IdPath, session: SessionDep, actor: ActorDep
) -> AssetOut:
    """One product, with the stage it is in and the next that has a date."""
    return companies.get_asset(session, actor, company_id, asset_id)


@router.post(
    "/{company_id}/pipeline-assets/{asset_id}/stages",
    status_code=201,
    response_model=AssetOut,
    responses=_READ,
)
def add_stage(
    company_id: IdPath,
    asset_id: IdPath,
    body: StageEntryIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Record that a product entered a stage, or when it is meant to. History only grows."""
    today = civil_day(clock.now())
    return write(
        lambda: companies.add_stage(session, actor, company_id, asset_id, body=body, today=today)
    )
