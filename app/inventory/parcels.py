"""Parcels: plots with their planning terms."""

from typing import Literal

from pydantic import Field
from sqlalchemy import Numeric, cast, func
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest
from app.inventory.columns import (
    AreaStandard,
    area,
    areas,
    coded,
    drawn_area,
    drawn_area_flat,
    named,
    outline,
    parents_flat,
    placed,
    placed_flat,
    plain,
    position,
    words,
)
from app.inventory.filters import AreaWanted, InProgramme, PlacedWanted, Word
from app.inventory.listing import Listing, get_row, list_page
from app.inventory.places import find_places, park_conditions, programme_parcel_conditions
from app.inventory.predicates import area_conditions, one_of, related, same, shared_conditions
from app.kernel.terms import Tenure
from app.models.space import Parcel, Park, Zone

_P = Parcel.__table__
_K = Park.__table__
_Z = Zone.__table__
_AREA = func.coalesce(_P.c.published_area_m2, cast(_P.c.geometric_area_m2, Numeric(14, 2)))
_PLANNING = plain(
    "parcels",
    "land_use_code",
    "land_use_code_national",
    "floor_area_ratio_max",
    "building_density_max_pct",
    "green_ratio_min_pct",
    "height_limit_m",
    "mix_ratio_max_pct",
)
_GRADE = plain("parcels", "tenure_years", "grade", "grade_year")
_BUILDINGS = "(SELECT count(*) FROM buildings b WHERE b.parcel_id = parcels.id)"
_FLOOR_AREA = (
    "(SELECT coalesce(sum(b.gross_floor_area_m2), 0)"
    " FROM buildings b WHERE b.parcel_id = parcels.id)"
)

LISTING = Listing(
    singular="parcel",
    table=_P,
    joined=_P.join(_K, _K.c.id == _P.c.park_id).join(_Z, _Z.c.id == _K.c.zone_id),
    members={
        **plain("parcels", "id", "code", "name_zh", "name_en"),
        **_PLANNING,
        **coded("parcels.tenure", Tenure),
        **_GRADE,
        **areas(
            area(AreaStandard.PUBLISHED_LAND, "parcels.published_area_m2"), drawn_area("parcels")
        ),
        "totals": (
            f"json_build_object('buildings', {_BUILDINGS}, 'gross_floor_area_m2', {_FLOOR_AREA})"
        ),
        "zone": named("zones"),
        "park": named("parks", "district"),
        **position("parcels"),
        **placed("parcels"),
    },
    properties={
        **plain("parcels", "id", "fid", "code", "name_zh", "name_en"),
        **_PLANNING,
        **plain("parcels", "tenure"),
        **words("parcels.tenure", Tenure),
        **_GRADE,
        **plain("parcels", "published_area_m2"),
        **drawn_area_flat("parcels"),
        "buildings_count": _BUILDINGS,
        "gross_floor_area_m2": _FLOOR_AREA,
        **parents_flat(zone="zones", park="parks"),
        "district": "parks.district",
        **placed_flat("parcels"),
    },
    outline=outline("parcels"),
    sorts={"code": _P.c.code, "area": func.coalesce(_AREA, 0)},
)


class ParcelsWanted(AreaWanted, InProgramme, PlacedWanted):
    """Which parcels."""

    land_use_code: Word | None = Field(
        default=None, description="规划用地性质 as the plan writes it, e.g. M1 or M1/M4"
    )
    tenure: list[Tenure] = Field(default=[], description="how it is held; repeat for several")
    grade: Literal["A", "B", "C", "D"] | None = Field(
        default=None, description="grade of the land performance evaluation"
    )
    sort: Literal["code", "-code", "area", "-area"] = Field(
        default="code",
        description="order; `-` is descending; `area` is the published area, or else the drawn one",
    )


def list_parcels(
    session: Session, wanted: ParcelsWanted, page: PageRequest, *, geojson: bool
) -> Page:
    """One page of parcels."""
    places = find_places(session, wanted)
    conditions = [
        *shared_conditions(_P, wanted),
        *park_conditions(_P.c.park_id, places),
        *programme_parcel_conditions(_P.c.id, places),
        *area_conditions(_AREA, wanted),
        *related(_P.c.park_id, _K, *one_of(_K.c.layout_role, wanted.layout_role)),
        *one_of(_P.c.tenure, wanted.tenure),
        *same(_P.c.land_use_code, wanted.land_use_code),
        *same(_P.c.grade, wanted.grade),
    ]
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_parcel(session: Session, id_or_code: str, *, geojson: bool) -> str:
    """One parcel as JSON text."""
    return get_row(session, LISTING, id_or_code, geojson=geojson)
