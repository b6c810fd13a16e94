"""Buildings: footprints, services and published areas."""

from typing import Literal

from pydantic import Field
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
from app.inventory.filters import AreaWanted, InParcel, PlacedWanted, Word
from app.inventory.listing import Listing, get_row, list_page
from app.inventory.places import (
    exact_conditions,
    find_places,
    park_conditions,
    programme_conditions,
)
from app.inventory.predicates import area_conditions, one_of, related, same, shared_conditions
from app.kernel.terms import CarrierType, PhysicalState
from app.models.space import Building, Parcel, Park, Zone

_B = Building.__table__
_P = Parcel.__table__
_K = Park.__table__
_Z = Zone.__table__
_SERVICES = plain(
    "buildings",
    "delivered_on",
    "floors_above",
    "floors_below",
    "height_m",
    "power_capacity_kva",
    "dual_power_feed",
    "freight_lift_t",
    "hoist_opening",
    "steam",
    "gas",
    "purified_water",
    "waste_water_t_per_day",
)
_UNITS = "(SELECT count(*) FROM units u WHERE u.building_id = buildings.id)"
_FLOORS = "(SELECT count(*) FROM floors f WHERE f.building_id = buildings.id)"
_LEASABLE = (
    "(SELECT coalesce(sum(u.leasable_area_m2), 0) FROM units u WHERE u.building_id = buildings.id)"
)
_PROGRAMMES = (
    f"coalesce((SELECT json_agg({named('p')} ORDER BY p.code)"  # noqa: S608
    " FROM programme_buildings m JOIN programmes p ON p.id = m.programme_id"
    " WHERE m.building_id = buildings.id), '[]'::json)"
)
_PROGRAMME_CODES = (
    "(SELECT string_agg(p.code, '; ' ORDER BY p.code)"
    " FROM programme_buildings m JOIN programmes p ON p.id = m.programme_id"
    " WHERE m.building_id = buildings.id)"
)
_LINKS = f"""coalesce((
    SELECT json_agg(json_build_object(
        'level_index', here.level_index, 'level_name', here.level_name,
        'other_level_index', there.level_index, 'other_level_name', there.level_name,
        'building', {named("beyond")},
        'source', l.source, 'confidence', l.confidence, 'synthetic', l.synthetic
    ) ORDER BY here.level_index, beyond.code, there.level_index)
    FROM building_links l
    CROSS JOIN LATERAL (VALUES
        (l.building_a_id, l.level_a, l.building_b_id, l.level_b),
        (l.building_b_id, l.level_b, l.building_a_id, l.level_a)
    ) AS way (from_id, from_level, to_id, to_level)
    JOIN floors here ON (here.building_id, here.level_index) = (way.from_id, way.from_level)
    JOIN floors there ON (there.building_id, there.level_index) = (way.to_id, way.to_level)
    JOIN buildings beyond ON beyond.id = way.to_id
    WHERE way.from_id = buildings.id
), '[]'::json)"""  # noqa: S608

LISTING = Listing(
    singular="building",
    table=_B,
    joined=_B.join(_P, _P.c.id == _B.c.parcel_id)
    .join(_K, _K.c.id == _B.c.park_id)
    .join(_Z, _Z.c.id == _K.c.zone_id),
    members={
        **plain("buildings", "id", "code", "name_zh", "name_en"),
        **coded("buildings.carrier_type", CarrierType),
        **coded("buildings.physical_state", PhysicalState),
        **_SERVICES,
        **areas(
            area(AreaStandard.GROSS_FLOOR, "buildings.gross_floor_area_m2"),
            drawn_area("buildings"),
        ),
        "totals": (
            f"json_build_object('floors', {_FLOORS}, 'units', {_UNITS},"
            f" 'leasable_area_m2', {_LEASABLE})"
        ),
        "programmes": _PROGRAMMES,
        "links": _LINKS,
        "zone": named("zones"),
        "park": named("parks", "district"),
        "parcel": named("parcels", "land_use_code"),
        **position("buildings"),
        **placed("buildings"),
    },
    properties={
        **plain("buildings", "id", "fid", "code", "name_zh", "name_en"),
        **plain("buildings", "carrier_type", "physical_state"),
        **words("buildings.physical_state", PhysicalState),
        **_SERVICES,
        **plain("buildings", "gross_floor_area_m2"),
        **drawn_area_flat("buildings"),
        "floors_count": _FLOORS,
        "units_count": _UNITS,
        "leasable_area_m2": _LEASABLE,
        "programme_codes": _PROGRAMME_CODES,
        **parents_flat(zone="zones", park="parks"),
        "district": "parks.district",
        "parcel_code": "parcels.code",
        "land_use_code": "parcels.land_use_code",
        **placed_flat("buildings"),
    },
    outline=outline("buildings"),
    sorts={"code": _B.c.code, "area": _B.c.gross_floor_area_m2},
)


class BuildingsWanted(AreaWanted, InParcel, PlacedWanted):
    """Which buildings."""

    carrier_type: list[CarrierType] = Field(
        default=[], description="rung of the ladder of carriers; repeat for several"
    )
    physical_state: list[PhysicalState] = Field(
        default=[], description="what is built; repeat for several"
    )
    land_use_code: Word | None = Field(
        default=None, description="规划用地性质 of the parcel, e.g. M1"
    )
    sort: Literal["code", "-code", "area", "-area"] = Field(
        default="code", description="order; `-` is descending; `area` is the gross floor area"
    )


def list_buildings(
    session: Session, wanted: BuildingsWanted, page: PageRequest, *, geojson: bool
) -> Page:
    """One page of buildings."""
    places = find_places(session, wanted)
    conditions = [
        *shared_conditions(_B, wanted),
        *park_conditions(_B.c.park_id, places),
        *programme_conditions(_B.c.id, places),
        *exact_conditions(places, parcel=_B.c.parcel_id),
        *area_conditions(_B.c.gross_floor_area_m2, wanted),
        *related(_B.c.park_id, _K, *one_of(_K.c.layout_role, wanted.layout_role)),
        *one_of(_B.c.carrier_type, wanted.carrier_type),
        *one_of(_B.c.physical_state, wanted.physical_state),
        *related(_B.c.parcel_id, _P, *same(_P.c.land_use_code, wanted.land_use_code)),
    ]
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_building(session: Session, id_or_code: str, *, geojson: bool) -> str:
    """One building as JSON text."""
    return get_row(session, LISTING, id_or_code, geojson=geojson)
