"""Units over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.inventory.features import UnitProperties
from app.inventory.filters import KnownWanted
from app.inventory.known import known_window
from app.inventory.schemas import ItemPage, UnitOut
from app.inventory.units import UnitsWanted, get_unit, list_units
from app.routers.dependencies import ClockDep, GeoJsonDep, Paging, Query, SessionDep, get_actor
from app.routers.listings import (
    IdOrCode,
    ItemQuery,
    answer_item,
    answer_page,
    item_responses,
    page_responses,
)

router = APIRouter(prefix="/api/v1/units", tags=["inventory"], dependencies=[Depends(get_actor)])


class UnitsQuery(UnitsWanted, Paging):
    """What to list, and which page of it."""


class UnitQuery(KnownWanted, ItemQuery):
    """Of which day, as known when, and how to show it."""


@router.get("", response_model=ItemPage[UnitOut], responses=page_responses(UnitProperties))
def show_units(
    request: Request,
    session: SessionDep,
    clock: ClockDep,
    asked: Annotated[UnitsQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """List units, whoever has them; `/api/v1/free-space` says which are free.

    Example: `GET /api/v1/units?zone=core_zhangjiang&type=pilot&min_area_m2=1500`
    """
    page = list_units(
        session,
        asked,
        known_window(asked, clock.now()),
        asked.page(geojson=geojson),
        geojson=geojson,
    )
    return answer_page(request, page, geojson=geojson)


@router.get("/{id_or_code}", response_model=UnitOut, responses=item_responses(UnitProperties))
def show_unit(
    request: Request,
    session: SessionDep,
    clock: ClockDep,
    id_or_code: IdOrCode,
    *,
    asked: Annotated[UnitQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """One unit, with the facts of the day `from` as known at `as_of`.

    Unless told, the day is that of `as_of`, else today. Of a day on which the unit is not there the
    nearest facts are shown: `valid_from` and `valid_until` say for which days they hold.
    """
    row = get_unit(session, id_or_code, known_window(asked, clock.now()), geojson=geojson)
    return answer_item(request, row, geojson=geojson)
