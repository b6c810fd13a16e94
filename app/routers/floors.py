"""Floors over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.features import FloorProperties
from app.inventory.floors import FloorsWanted, get_floor, list_floors
from app.inventory.schemas import FloorOut, ItemPage
from app.routers.dependencies import GeoJsonDep, Paging, Query, SessionDep, get_actor
from app.routers.listings import (
    IdOrCode,
    ItemQueryDep,
    answer_item,
    answer_page,
    item_responses,
    page_responses,
)

router = APIRouter(prefix="/api/v1/floors", tags=["inventory"], dependencies=[Depends(get_actor)])


class FloorsQuery(FloorsWanted, Paging):
    """What to list, and which page of it."""


@router.get("", response_model=ItemPage[FloorOut], responses=page_responses(FloorProperties))
def show_floors(
    request: Request,
    session: SessionDep,
    asked: Annotated[FloorsQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List floors with load and height.

    Example: `GET /api/v1/floors?park=gene_island&min_floor_load_kn_m2=7.5`
    """
    page = list_floors(session, asked, asked.page(geojson=geojson), geojson=geojson)
    return answer_page(request, page, geojson=geojson)


@router.get("/{id_or_code}", response_model=FloorOut, responses=item_responses(FloorProperties))
def show_floor(
    request: Request,
    session: SessionDep,
    id_or_code: IdOrCode,
    _asked: ItemQueryDep,
    geojson: GeoJsonDep,
) -> Response:
    """One floor."""
    row = get_floor(session, id_or_code, geojson=geojson)
    return answer_item(request, row, geojson=geojson)
