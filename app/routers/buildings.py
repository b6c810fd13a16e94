"""Buildings over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.buildings import BuildingsWanted, get_building, list_buildings
from app.inventory.features import BuildingProperties
from app.inventory.schemas import BuildingOut, ItemPage
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
    prefix="/api/v1/buildings", tags=["inventory"], dependencies=[Depends(get_actor)]
)


class BuildingsQuery(BuildingsWanted, Paging):
    """What to list, and which page of it."""


@router.get("", response_model=ItemPage[BuildingOut], responses=page_responses(BuildingProperties))
def show_buildings(
    request: Request,
    session: SessionDep,
    asked: Annotated[BuildingsQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List buildings with their services and areas.

    Example: `GET /api/v1/buildings?park=gene_island`
    """
    page = list_buildings(session, asked, asked.page(geojson=geojson), geojson=geojson)
    return answer_page(request, page, geojson=geojson)


@router.get(
    "/{id_or_code}", response_model=BuildingOut, responses=item_responses(BuildingProperties)
)
def show_building(
    request: Request,
    session: SessionDep,
    id_or_code: IdOrCode,
    _asked: ItemQueryDep,
    geojson: GeoJsonDep,
) -> Response:
    """One building."""
    row = get_building(session, id_or_code, geojson=geojson)
    return answer_item(request, row, geojson=geojson)
