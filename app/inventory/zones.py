"""Zones: the 1, the 5 and the X of the layout."""

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
    outline,
    placed,
    placed_flat,
    plain,
    position,
    words,
)
from app.inventory.filters import AreaWanted, PlacedWanted, Word
from app.inventory.listing import Listing, get_row, list_page
from app.inventory.places import find_places
from app.inventory.predicates import area_conditions, one_of, same, shared_conditions
from app.inventory.totals import PARK_TOTALS, PARK_TOTALS_FLAT, park_totals
from app.kernel.terms import LayoutRole
from app.models.space import Zone

_Z = Zone.__table__
_AREA = func.coalesce(_Z.c.published_area_m2, cast(_Z.c.geometric_area_m2, Numeric(14, 2)))
_TOTALS = park_totals("SELECT p.id FROM parks p WHERE p.zone_id = zones.id")
_TEXTS = plain("zones", "district", "management_area")

LISTING = Listing(
    singular="zone",
    table=_Z,
    joined=_Z.join(_TOTALS, true()),
    members={
        **plain("zones", "id", "code", "name_zh", "name_en", "seq"),
        **coded("zones.layout_role", LayoutRole),
        **_TEXTS,
        **plain("zones", "focus_sectors"),
        **areas(area(AreaStandard.PUBLISHED_LAND, "zones.published_area_m2"), drawn_area("zones")),
        **plain("zones", "published_area_note"),
        "totals": PARK_TOTALS,
        **position("zones"),
        **placed("zones"),
    },
    properties={
        **plain("zones", "id", "fid", "code", "name_zh", "name_en", "seq", "layout_role"),
        **words("zones.layout_role", LayoutRole),
        **_TEXTS,
        **joined_texts("zones", "focus_sectors"),
        **plain("zones", "published_area_m2"),
        **drawn_area_flat("zones"),
        **PARK_TOTALS_FLAT,
        **placed_flat("zones"),
    },
    outline=outline("zones"),
    sorts={"code": _Z.c.code, "seq": _Z.c.seq, "area": func.coalesce(_AREA, 0)},
)


class ZonesWanted(AreaWanted, PlacedWanted):
    """Which zones."""

    layout_role: list[LayoutRole] = Field(
        default=[], description="part in the 1+5+X layout; repeat for several"
    )
    district: Word | None = Field(
        default=None, description="行政区 in Chinese as the data write it, e.g. 浦东新区"
    )
    sort: Literal["code", "-code", "seq", "-seq", "area", "-area"] = Field(
        default="code",
        description="order; `-` is descending; `area` is the published area, or else the drawn one",
    )


def list_zones(session: Session, wanted: ZonesWanted, page: PageRequest, *, geojson: bool) -> Page:
    """One page of zones."""
    find_places(session, wanted)
    conditions = [
        *shared_conditions(_Z, wanted),
        *area_conditions(_AREA, wanted),
        *one_of(_Z.c.layout_role, wanted.layout_role),
        *same(_Z.c.district, wanted.district),
    ]
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_zone(session: Session, id_or_code: str, *, geojson: bool) -> str:
    """One zone as JSON text."""
    return get_row(session, LISTING, id_or_code, geojson=geojson)
