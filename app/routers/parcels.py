"""Parcels over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.features import ParcelProperties
from app.inventory.parcels import ParcelsWanted, get_parcel, list_parcels
from app.inventory.schemas import ItemPage, ParcelOut
from app.routers.dependencies import GeoJsonDep, Paging, Query, SessionDep, get_actor
from app.routers.listings import (
    IdOrCode,
    ItemQueryDep,
    answer_item,
    answer_page,
    item_responses,
    page_responses,
)

router = APIRouter(prefix="/api/v1/parcels", tags=["inventory"], dependencies=[Depends(get_actor)])


class ParcelsQuery(ParcelsWanted, Paging):
    """What to list, and which page of it."""


@router.get("", response_model=ItemPage[ParcelOut], responses=page_responses(ParcelProperties))
def show_parcels(
    request: Request,
    session: SessionDep,
    asked: Annotated[ParcelsQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List parcels with their planning terms.

    Example: `GET /api/v1/parcels?park=gene_island`
    """
    page = list_parcels(session, asked, asked.page(geojson=geojson), geojson=geojson)
    return answer_page(request, page, geojson=geojson)


@router.get("/{id_or_code}", response_model=ParcelOut, responses=item_responses(ParcelProperties))
def show_parcel(
    request: Request,
    session: SessionDep,
    id_or_code: IdOrCode,
    _asked: ItemQueryDep,
    geojson: GeoJsonDep,
) -> Response:
    """One parcel."""
    row = get_parcel(session, id_or_code, geojson=geojson)
    return answer_item(request, row, geojson=geojson)
