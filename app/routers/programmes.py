"""Programmes over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.features import ProgrammeProperties
from app.inventory.programmes import ProgrammesWanted, get_programme, list_programmes
from app.inventory.schemas import ItemPage, ProgrammeOut
from app.routers.dependencies import GeoJsonDep, Paging, Query, SessionDep, get_actor
from app.routers.listings import (
    IdOrCode,
    ItemQueryDep,
    answer_item,
    answer_page,
    item_responses,
    page_responses,
)

router = APIRouter(
    prefix="/api/v1/programmes", tags=["inventory"], dependencies=[Depends(get_actor)]
)


class ProgrammesQuery(ProgrammesWanted, Paging):
    """What to list, and which page of it."""


@router.get(
    "", response_model=ItemPage[ProgrammeOut], responses=page_responses(ProgrammeProperties)
)
def show_programmes(
    request: Request,
    session: SessionDep,
    asked: Annotated[ProgrammesQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List programmes and projects: published figures beside what the buildings add up to.

    Example: `GET /api/v1/programmes?top=true`
    """
    page = list_programmes(session, asked, asked.page(geojson=geojson), geojson=geojson)
    return answer_page(request, page, geojson=geojson)


@router.get(
    "/{id_or_code}", response_model=ProgrammeOut, responses=item_responses(ProgrammeProperties)
)
def show_programme(
    request: Request,
    session: SessionDep,
    id_or_code: IdOrCode,
    _asked: ItemQueryDep,
    geojson: GeoJsonDep,
) -> Response:
    """One programme.

    Example: `GET /api/v1/programmes/standard_plants`
    """
    row = get_programme(session, id_or_code, geojson=geojson)
    return answer_item(request, row, geojson=geojson)
