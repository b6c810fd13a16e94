"""Shared facilities: places that firms want to be near."""

from typing import Literal

from pydantic import Field
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest
from app.inventory.columns import (
    coded,
    named,
    nullable,
    outline,
    parents_flat,
    placed,
    placed_flat,
    plain,
    position,
    words,
)
from app.inventory.filters import InPark, PlacedWanted
from app.inventory.listing import Listing, get_row, list_page
from app.inventory.places import find_places, park_conditions
from app.inventory.predicates import at_least, one_of, related, shared_conditions
from app.kernel.terms import FacilityType
from app.models.space import Park, SharedFacility, Unit, Zone

_S = SharedFacility.__table__
_K = Park.__table__
_Z = Zone.__table__
_U = Unit.__table__
_TABLE = "shared_facilities"
_CAPACITY = plain(_TABLE, "biosafety_level", "capacity", "capacity_unit")

LISTING = Listing(
    singular="shared facility",
    table=_S,
    joined=_S.outerjoin(_K, _K.c.id == _S.c.park_id)
    .outerjoin(_Z, _Z.c.id == _K.c.zone_id)
    .outerjoin(_U, _U.c.id == _S.c.unit_id),
    members={
        **plain(_TABLE, "id", "code", "name_zh", "name_en"),
        **coded(f"{_TABLE}.facility_type", FacilityType),
        **_CAPACITY,
        "zone": nullable("zones.id", named("zones")),
        "park": nullable("parks.id", named("parks", "district")),
        "unit": nullable("units.id", named("units")),
        **position(_TABLE),
        **placed(_TABLE),
    },
    properties={
        **plain(_TABLE, "id", "fid", "code", "name_zh", "name_en", "facility_type"),
        **words(f"{_TABLE}.facility_type", FacilityType),
        **_CAPACITY,
        **parents_flat(zone="zones", park="parks"),
        "unit_code": "units.code",
        **placed_flat(_TABLE),
    },
    outline=outline(_TABLE),
    sorts={"code": _S.c.code},
)


class FacilitiesWanted(InPark, PlacedWanted):
    """Which shared facilities."""

    type: list[FacilityType] = Field(default=[], description="kind; repeat for several")
    min_biosafety_level: int | None = Field(
        default=None, ge=1, le=4, description="biosafety level at least"
    )
    sort: Literal["code", "-code"] = Field(default="code", description="order; `-` is descending")


def list_facilities(
    session: Session, wanted: FacilitiesWanted, page: PageRequest, *, geojson: bool
) -> Page:
    """One page of shared facilities."""
    places = find_places(session, wanted)
    conditions = [
        *shared_conditions(_S, wanted),
        *park_conditions(_S.c.park_id, places),
        *related(_S.c.park_id, _K, *one_of(_K.c.layout_role, wanted.layout_role)),
        *one_of(_S.c.facility_type, wanted.type),
        *at_least(_S.c.biosafety_level, wanted.min_biosafety_level),
    ]
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_facility(session: Session, id_or_code: str, *, geojson: bool) -> str:
    """One shared facility as JSON text."""
    return get_row(session, LISTING, id_or_code, geojson=geojson)
