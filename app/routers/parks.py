"""Parks over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.features import ParkProperties
from app.inventory.parks import ParksWanted, get_park, list_parks
from app.inventory.schemas import ItemPage, ParkOut
from app.routers.dependencies import GeoJsonDep, Paging, Query, SessionDep, get_actor
from app.routers.listings import (
    IdOrCode,
    ItemQueryDep,
    answer_item,
    answer_page,
    item_responses,
    page_responses,
)

router = APIRouter(prefix="/api/v1/parks", tags=["inventory"], dependencies=[Depends(get_actor)])


class ParksQuery(ParksWanted, Paging):
    """What to list, and which page of it."""


@router.get("", response_model=ItemPage[ParkOut], responses=page_responses(ParkProperties))
def show_parks(
    request: Request,
    session: SessionDep,
    asked: Annotated[ParksQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List parks, with blocks, 四至, nested parks and what lies in them.

    Example: `GET /api/v1/parks?zone=core_zhangjiang`
    """
    page = list_parks(session, asked, asked.page(geojson=geojson), geojson=geojson)
    return answer_page(request, page, geojson=geojson)


@router.get("/{id_or_code}", response_model=ParkOut, responses=item_responses(ParkProperties))
def show_park(
    request: Request,
    session: SessionDep,
    id_or_code: IdOrCode,
    _asked: ItemQueryDep,
    geojson: GeoJsonDep,
) -> Response:
    """One park.

    Example: `GET /api/v1/parks/gene_island`
    """
    row = get_park(session, id_or_code, geojson=geojson)
    return answer_item(request, row, geojson=geojson)
