"""Parks, with their blocks and the parks that lie in them."""

from typing import Literal

from pydantic import Field
from sqlalchemy import Numeric, cast, func, true
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest
from app.inventory.columns import (
    AreaStandard,
    area,
    areas,
    coded,
    drawn_area,
    drawn_area_flat,
    joined_texts,
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
from app.inventory.filters import AreaWanted, InPark, PlacedWanted
from app.inventory.listing import Listing, get_row, list_page
from app.inventory.places import find_places, park_conditions
from app.inventory.predicates import area_conditions, one_of, same, shared_conditions
from app.inventory.totals import PARK_TOTALS, PARK_TOTALS_FLAT, park_totals
from app.kernel.terms import CarrierType, GeometryQuality, LayoutRole
from app.models.space import Park, Zone

_K = Park.__table__
_Z = Zone.__table__
_PARENT = _K.alias("parent")
_AREA = func.coalesce(_K.c.published_area_m2, cast(_K.c.geometric_area_m2, Numeric(14, 2)))
_TOTALS = park_totals(
    """
    WITH RECURSIVE within (id) AS (
        SELECT parks.id
        UNION
        SELECT p.id FROM parks p JOIN within ON p.parent_park_id = within.id
    ) SELECT id FROM within"""
)
_TEXTS = plain("parks", "district", "management_area")
_EDGES = ("boundary_east", "boundary_south", "boundary_west", "boundary_north")


def _edges(table: str) -> str:
    listed = ", ".join(f"'{edge.removeprefix('boundary_')}', {table}.{edge}" for edge in _EDGES)
    return f"json_build_object({listed})"


_BLOCK = ", ".join(
    f"'{name}', {sql}"
    for name, sql in {
        **plain("b", "seq", "name_zh", "name_en"),
        "boundaries": _edges("b"),
        **areas(area(AreaStandard.PUBLISHED_LAND, "b.published_area_m2"), drawn_area("b")),
        **coded("b.geometry_quality", GeometryQuality),
        **plain("b", "position_accuracy_m", "source"),
    }.items()
)
_BLOCKS = (
    f"coalesce((SELECT json_agg(json_build_object({_BLOCK}) ORDER BY b.seq)"  # noqa: S608
    " FROM park_blocks b WHERE b.park_id = parks.id), '[]'::json)"
)
_CHILDREN = (
    f"coalesce((SELECT json_agg({named('child')} ORDER BY child.code)"  # noqa: S608
    " FROM parks child WHERE child.parent_park_id = parks.id), '[]'::json)"
)

LISTING = Listing(
    singular="park",
    table=_K,
    joined=_K.join(_Z, _Z.c.id == _K.c.zone_id)
    .outerjoin(_PARENT, _PARENT.c.id == _K.c.parent_park_id)
    .join(_TOTALS, true()),
    members={
        **plain("parks", "id", "code", "name_zh", "name_en"),
        **coded("parks.layout_role", LayoutRole),
        **coded("parks.carrier_type", CarrierType),
        **_TEXTS,
        **plain("parks", "focus_sectors", "special_goods_import_pilot"),
        "zone": named("zones"),
        "parent": nullable("parks.parent_park_id", named("parent")),
        "children": _CHILDREN,
        "boundaries": _edges("parks"),
        "blocks": _BLOCKS,
        **areas(
            area(AreaStandard.PUBLISHED_LAND, "parks.published_area_m2"),
            area(AreaStandard.PLANNED_FLOOR, "parks.planned_floor_area_m2"),
            drawn_area("parks"),
        ),
        **plain("parks", "published_area_note"),
        "totals": PARK_TOTALS,
        **position("parks"),
        **placed("parks"),
    },
    properties={
        **plain("parks", "id", "fid", "code", "name_zh", "name_en", "layout_role"),
        **words("parks.layout_role", LayoutRole),
        **plain("parks", "carrier_type"),
        **words("parks.carrier_type", CarrierType),
        **_TEXTS,
        **joined_texts("parks", "focus_sectors"),
        **plain("parks", "special_goods_import_pilot"),
        **parents_flat(zone="zones"),
        "parent_park_code": "parent.code",
        **plain("parks", *_EDGES, "published_area_m2", "planned_floor_area_m2"),
        **drawn_area_flat("parks"),
        **PARK_TOTALS_FLAT,
        **placed_flat("parks"),
    },
    outline=outline("parks"),
    sorts={"code": _K.c.code, "area": func.coalesce(_AREA, 0)},
)


class ParksWanted(AreaWanted, InPark, PlacedWanted):
    """Which parks."""

    carrier_type: list[CarrierType] = Field(
        default=[], description="rung of the ladder of carriers; repeat for several"
    )
    special_goods_import_pilot: bool | None = Field(
        default=None, description="入境特殊物品 pilot or not"
    )
    sort: Literal["code", "-code", "area", "-area"] = Field(
        default="code",
        description="order; `-` is descending; `area` is the published area, or else the drawn one",
    )


def list_parks(session: Session, wanted: ParksWanted, page: PageRequest, *, geojson: bool) -> Page:
    """One page of parks."""
    places = find_places(session, wanted)
    conditions = [
        *shared_conditions(_K, wanted),
        *park_conditions(_K.c.id, places),
        *area_conditions(_AREA, wanted),
        *one_of(_K.c.layout_role, wanted.layout_role),
        *one_of(_K.c.carrier_type, wanted.carrier_type),
        *same(_K.c.special_goods_import_pilot, wanted.special_goods_import_pilot),
    ]
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_park(session: Session, id_or_code: str, *, geojson: bool) -> str:
    """One park as JSON text."""
    return get_row(session, LISTING, id_or_code, geojson=geojson)
