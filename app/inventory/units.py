"""Units: what is let. Who has which when is the ledger's to say."""

from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import ColumnElement, Date, FromClause, case, func, literal
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
from app.inventory.filters import AreaWanted, InFloor, KnownWanted, PlacedWanted, Word
from app.inventory.known import Window, in_force, known_at, known_units
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
from app.inventory.technical import TechnicalMinima, technical_conditions
from app.kernel.terms import (
    AnimalFacility,
    CapacityMeasure,
    CarrierType,
    CleanroomGrade,
    FireHazardClass,
    IsotopeClass,
    PhysicalState,
    UnitType,
    VibrationClass,
)
from app.models.space import Building, Floor, Parcel, Park, Zone

_U = known_units
_F = Floor.__table__
_B = Building.__table__
_P = Parcel.__table__
_K = Park.__table__
_Z = Zone.__table__

_TERMS = plain(
    "units",
    "divisible",
    "min_part",
    "rent_cny_per_m2_day",
    "rent_cny_per_place_month",
    "min_term_months",
    "max_term_months",
)
_USABLE = {"usable_from": "lower(units.usable)", "usable_until": "upper(units.usable)"}
_KNOWN = {
    "valid_from": "lower(units.valid)",
    "valid_until": "upper(units.valid)",
    "known_from": "units.known_from",
}
_BUILT = plain(
    "units",
    "is_ground_floor",
    "clear_height_m",
    "floor_load_kn_m2",
    "power_kva",
    "power_density_w_m2",
    "freight_lift_t",
    "hoist_opening",
    "dual_power_feed",
    "steam",
    "gas",
    "purified_water",
    "waste_water_t_per_day",
    "cold_storage_m2",
    "biosafety_level",
)
_CLASSES = {
    "units.cleanroom_grade": CleanroomGrade,
    "units.fire_hazard_class": FireHazardClass,
    "units.animal_facility": AnimalFacility,
    "units.isotope_class": IsotopeClass,
    "units.vibration_class": VibrationClass,
}
_MEASURED = {
    "method": "units.area_method",
    "measured_on": "units.area_measured_on",
    "tolerance_pct": "units.area_tolerance_pct",
}


#: Units with the floor that each is on.
WITH_FLOORS = _U.join(_F, _F.c.id == _U.c.floor_id)


def with_buildings(
    source: FromClause, building_id: ColumnElement[UUID], park_id: ColumnElement[UUID]
) -> FromClause:
    """A table that has these columns, joined with the building and all that is around it."""
    return (
        source.join(_B, _B.c.id == building_id)
        .join(_P, _P.c.id == _B.c.parcel_id)
        .join(_K, _K.c.id == park_id)
        .join(_Z, _Z.c.id == _K.c.zone_id)
    )


LISTING = Listing(
    singular="unit",
    table=_U,
    joined=with_buildings(WITH_FLOORS, _U.c.building_id, _U.c.park_id),
    members={
        **plain("units", "id", "code", "name_zh", "name_en"),
        **coded("units.unit_type", UnitType),
        **coded("units.carrier_type", CarrierType),
        **coded("units.physical_state", PhysicalState),
        **_USABLE,
        **_KNOWN,
        "capacity": "units.capacity",
        **coded("units.capacity_measure", CapacityMeasure),
        **areas(
            area(AreaStandard.LEASABLE, "units.leasable_area_m2", **_MEASURED),
            area(AreaStandard.INTERNAL, "units.internal_area_m2", **_MEASURED),
            drawn_area("units"),
        ),
        **_TERMS,
        **_BUILT,
        **{
            name: sql
            for column, vocabulary in _CLASSES.items()
            for name, sql in coded(column, vocabulary).items()
        },
        "zone": named("zones"),
        "park": named("parks", "district"),
        "parcel": named("parcels", "land_use_code"),
        "building": named("buildings"),
        "floor": (
            "json_build_object('id', floors.id, 'code', floors.code,"
            " 'level_index', floors.level_index, 'level_name', floors.level_name)"
        ),
        **position("units"),
        **placed("units"),
    },
    properties={
        **plain("units", "id", "fid", "code", "name_zh", "name_en", "unit_type"),
        **words("units.unit_type", UnitType),
        **plain("units", "carrier_type", "physical_state"),
        **_USABLE,
        **_KNOWN,
        **plain("units", "capacity", "capacity_measure"),
        **plain("units", "leasable_area_m2", "internal_area_m2"),
        **drawn_area_flat("units"),
        **plain("units", "area_method", "area_measured_on", "area_tolerance_pct"),
        **_TERMS,
        **_BUILT,
        **{column.partition(".")[2]: column for column in _CLASSES},
        **parents_flat(zone="zones", park="parks"),
        "district": "parks.district",
        "parcel_code": "parcels.code",
        "land_use_code": "parcels.land_use_code",
        "building_code": "buildings.code",
        "building_name_zh": "buildings.name_zh",
        "floor_code": "floors.code",
        **plain("floors", "level_index", "level_name"),
        **placed_flat("units"),
    },
    outline=outline("units"),
    sorts={"code": _U.c.code, "area": _U.c.leasable_area_m2, "capacity": _U.c.capacity},
    key="terms_id",
)


class UnitsWanted(KnownWanted, TechnicalMinima, AreaWanted, InFloor, PlacedWanted):
    """Which units."""

    type: list[UnitType] = Field(default=[], description="kind of space; repeat for several")
    carrier_type: list[CarrierType] = Field(
        default=[], description="rung of the ladder of carriers; repeat for several"
    )
    physical_state: list[PhysicalState] = Field(
        default=[], description="what is built; repeat for several"
    )
    capacity_measure: CapacityMeasure | None = Field(
        default=None, description="what the capacity counts: m² or places"
    )
    land_use_code: Word | None = Field(
        default=None, description="规划用地性质 of the parcel, e.g. M1"
    )
    level: int | None = Field(
        default=None, ge=-20, le=200, description="`level_index` of the floor; 0 is the ground"
    )
    min_level: int | None = Field(default=None, ge=-20, le=200, description="lowest `level_index`")
    max_level: int | None = Field(default=None, ge=-20, le=200, description="highest `level_index`")
    sort: Literal["code", "-code", "area", "-area", "capacity", "-capacity"] = Field(
        default="code", description="order; `-` is descending; `area` is the leasable area"
    )


def list_units(
    session: Session, wanted: UnitsWanted, window: Window, page: PageRequest, *, geojson: bool
) -> Page:
    """One page of the units that exist on some day of the window."""
    places = find_places(session, wanted)
    conditions = [
        *in_force(window),
        *shared_conditions(_U, wanted),
        *park_conditions(_U.c.park_id, places),
        *programme_conditions(_U.c.building_id, places),
        *exact_conditions(places, building=_U.c.building_id, floor=_U.c.floor_id),
        *related(_U.c.park_id, _K, *one_of(_K.c.layout_role, wanted.layout_role)),
        *related(
            _U.c.building_id,
            _B,
            *exact_conditions(places, parcel=_B.c.parcel_id),
            *related(_B.c.parcel_id, _P, *same(_P.c.land_use_code, wanted.land_use_code)),
        ),
        *related(
            _U.c.floor_id,
            _F,
            *same(_F.c.level_index, wanted.level),
            *at_least(_F.c.level_index, wanted.min_level),
            *at_most(_F.c.level_index, wanted.max_level),
        ),
        *area_conditions(_U.c.leasable_area_m2, wanted),
        *technical_conditions(_U, wanted),
        *one_of(_U.c.unit_type, wanted.type),
        *one_of(_U.c.carrier_type, wanted.carrier_type),
        *one_of(_U.c.physical_state, wanted.physical_state),
        *same(_U.c.capacity_measure, wanted.capacity_measure),
    ]
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_unit(session: Session, id_or_code: str, window: Window, *, geojson: bool) -> str:
    """One unit as JSON text, with the facts of the window's first day.

    A unit that does not exist on that day yet, or no more, is shown as it will be first, or as it
    was last: its ``valid_from`` and ``valid_until`` say so.
    """
    day = literal(window.first, Date)
    valid = _U.c.valid
    nearest = (
        valid.op("@>")(day).desc(),
        (func.lower(valid) > day).desc().nulls_last(),
        case((func.lower(valid) > day, func.lower(valid))),
        func.lower(valid).desc().nulls_last(),
    )
    return get_row(
        session,
        LISTING,
        id_or_code,
        geojson=geojson,
        conditions=[known_at(_U, window.as_of)],
        nearest=nearest,
    )
