"""Floors, which carry load and height."""

from typing import Literal

from pydantic import Field
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest
from app.inventory.columns import (
    AreaStandard,
    area,
    areas,
    drawn_area,
    drawn_area_flat,
    named,
    outline,
    parents_flat,
    placed,
    placed_flat,
    plain,
    position,
)
from app.inventory.filters import AreaWanted, InBuilding, PlacedWanted, Size
from app.inventory.listing import Listing, get_row, list_page
from app.inventory.places import (
    exact_conditions,
    find_places,
    park_conditions,
    programme_conditions,
)
from app.inventory.predicates import (
    area_conditions,
    at_least,
    at_most,
    one_of,
    related,
    same,
    shared_conditions,
)
from app.models.space import Building, Floor, Parcel, Park, Zone

_F = Floor.__table__
_B = Building.__table__
_P = Parcel.__table__
_K = Park.__table__
_Z = Zone.__table__
_LEVEL = plain("floors", "level_index", "level_name")
_BUILT = plain(
    "floors",
    "storey_height_m",
    "clear_height_m",
    "floor_load_kn_m2",
    "published_floor_load_kg_m2",
)
_UNITS = "(SELECT count(*) FROM units u WHERE u.floor_id = floors.id)"
_LEASABLE = (
    "(SELECT coalesce(sum(u.leasable_area_m2), 0) FROM units u WHERE u.floor_id = floors.id)"
)

LISTING = Listing(
    singular="floor",
    table=_F,
    joined=_F.join(_B, _B.c.id == _F.c.building_id)
    .join(_P, _P.c.id == _B.c.parcel_id)
    .join(_K, _K.c.id == _F.c.park_id)
    .join(_Z, _Z.c.id == _K.c.zone_id),
    members={
        **plain("floors", "id", "code"),
        **_LEVEL,
        **_BUILT,
        **areas(area(AreaStandard.GROSS_FLOOR, "floors.gross_floor_area_m2"), drawn_area("floors")),
        "totals": f"json_build_object('units', {_UNITS}, 'leasable_area_m2', {_LEASABLE})",
        "zone": named("zones"),
        "park": named("parks", "district"),
        "parcel": named("parcels", "land_use_code"),
        "building": named("buildings"),
        **position("floors"),
        **placed("floors"),
    },
    properties={
        **plain("floors", "id", "fid", "code"),
        **_LEVEL,
        **_BUILT,
        **plain("floors", "gross_floor_area_m2"),
        **drawn_area_flat("floors"),
        "units_count": _UNITS,
        "leasable_area_m2": _LEASABLE,
        **parents_flat(zone="zones", park="parks"),
        "district": "parks.district",
        "parcel_code": "parcels.code",
        "land_use_code": "parcels.land_use_code",
        "building_code": "buildings.code",
        "building_name_zh": "buildings.name_zh",
        **placed_flat("floors"),
    },
    outline=outline("floors"),
    sorts={"code": _F.c.code, "area": _F.c.gross_floor_area_m2, "level": _F.c.level_index},
)


class FloorsWanted(AreaWanted, InBuilding, PlacedWanted):
    """Which floors."""

    level: int | None = Field(
        default=None, ge=-20, le=200, description="`level_index`; 0 is the ground floor"
    )
    min_level: int | None = Field(default=None, ge=-20, le=200, description="lowest `level_index`")
    max_level: int | None = Field(default=None, ge=-20, le=200, description="highest `level_index`")
    min_clear_height_m: Size | None = Field(default=None, description="净高 at least, m")
    min_floor_load_kn_m2: Size | None = Field(
        default=None, description="楼面活荷载 at least, kN/m² (1,000 kg/m² is 9.81)"
    )
    sort: Literal["code", "-code", "area", "-area", "level", "-level"] = Field(
        default="code", description="order; `-` is descending; `area` is the gross floor area"
    )


def list_floors(
    session: Session, wanted: FloorsWanted, page: PageRequest, *, geojson: bool
) -> Page:
    """One page of floors."""
    places = find_places(session, wanted)
    conditions = [
        *shared_conditions(_F, wanted),
        *park_conditions(_F.c.park_id, places),
        *programme_conditions(_F.c.building_id, places),
        *exact_conditions(places, building=_F.c.building_id),
        *related(_F.c.building_id, _B, *exact_conditions(places, parcel=_B.c.parcel_id)),
        *area_conditions(_F.c.gross_floor_area_m2, wanted),
        *related(_F.c.park_id, _K, *one_of(_K.c.layout_role, wanted.layout_role)),
        *same(_F.c.level_index, wanted.level),
        *at_least(_F.c.level_index, wanted.min_level),
        *at_most(_F.c.level_index, wanted.max_level),
        *at_least(_F.c.clear_height_m, wanted.min_clear_height_m),
        *at_least(_F.c.floor_load_kn_m2, wanted.min_floor_load_kn_m2),
    ]
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_floor(session: Session, id_or_code: str, *, geojson: bool) -> str:
    """One floor as JSON text."""
    return get_row(session, LISTING, id_or_code, geojson=geojson)
