"""Shared facilities over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.facilities import FacilitiesWanted, get_facility, list_facilities
from app.inventory.features import FacilityProperties
from app.inventory.schemas import FacilityOut, ItemPage
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
    prefix="/api/v1/shared-facilities", tags=["inventory"], dependencies=[Depends(get_actor)]
)


class FacilitiesQuery(FacilitiesWanted, Paging):
    """What to list, and which page of it."""


@router.get("", response_model=ItemPage[FacilityOut], responses=page_responses(FacilityProperties))
def show_facilities(
    request: Request,
    session: SessionDep,
    asked: Annotated[FacilitiesQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List shared facilities, to ask for nearness to them.

    Example: `GET /api/v1/shared-facilities?type=metro_station`
    """
    page = list_facilities(session, asked, asked.page(geojson=geojson), geojson=geojson)
    return answer_page(request, page, geojson=geojson)


@router.get(
    "/{id_or_code}", response_model=FacilityOut, responses=item_responses(FacilityProperties)
)
def show_facility(
    request: Request,
    session: SessionDep,
    id_or_code: IdOrCode,
    _asked: ItemQueryDep,
    geojson: GeoJsonDep,
) -> Response:
    """One shared facility."""
    row = get_facility(session, id_or_code, geojson=geojson)
    return answer_item(request, row, geojson=geojson)
