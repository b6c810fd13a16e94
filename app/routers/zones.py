"""Zones over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.features import ZoneProperties
from app.inventory.schemas import ItemPage, ZoneOut
from app.inventory.zones import ZonesWanted, get_zone, list_zones
from app.routers.dependencies import GeoJsonDep, Paging, Query, SessionDep, get_actor
from app.routers.listings import (
    IdOrCode,
    ItemQueryDep,
    answer_item,
    answer_page,
    item_responses,
    page_responses,
)

router = APIRouter(prefix="/api/v1/zones", tags=["inventory"], dependencies=[Depends(get_actor)])


class ZonesQuery(ZonesWanted, Paging):
    """What to list, and which page of it."""


@router.get("", response_model=ItemPage[ZoneOut], responses=page_responses(ZoneProperties))
def show_zones(
    request: Request,
    session: SessionDep,
    asked: Annotated[ZonesQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List the zones of the "1+5+X" layout, with what lies in them.

    Example: `GET /api/v1/zones?layout_role=core`
    """
    page = list_zones(session, asked, asked.page(geojson=geojson), geojson=geojson)
    return answer_page(request, page, geojson=geojson)


@router.get("/{id_or_code}", response_model=ZoneOut, responses=item_responses(ZoneProperties))
def show_zone(
    request: Request,
    session: SessionDep,
    id_or_code: IdOrCode,
    _asked: ItemQueryDep,
    geojson: GeoJsonDep,
) -> Response:
    """One zone.

    Example: `GET /api/v1/zones/core_zhangjiang`
    """
    row = get_zone(session, id_or_code, geojson=geojson)
    return answer_item(request, row, geojson=geojson)
