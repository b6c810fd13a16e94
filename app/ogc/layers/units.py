"""Units, and what is free of them: the park as it is on the days that are asked about."""

from datetime import date, timedelta
from functools import lru_cache, partial

from pydantic import Field
from sqlalchemy import FromClause, true

from app.inventory.columns import words
from app.inventory.features import UnitProperties
from app.inventory.known import Window, in_force, known_units
from app.inventory.units import LISTING, WITH_FLOORS, with_buildings
from app.kernel.terms import CapacityMeasure, CarrierType, PhysicalState
from app.ledger.asked import FreeSpaceSearch
from app.ledger.free_space import free_stretch
from app.ledger.unit_filters import unit_filters
from app.ogc.collection import (
    Check,
    Collection,
    Geometry,
    Parents,
    Rows,
    When,
    declare_fields,
)

#: Later than any lease; ranges of days can still be counted on.
_LAST_DAY = date(2999, 12, 31)
_U = known_units.c
_BUILDINGS = frozenset({"buildings", "parcels", "parks", "zones"})
_PARENTS = _BUILDINGS | {"floors"}
#: What is read of a unit to tell when it is free.
_NEEDED = ("id", "capacity", "usable", "valid", "divisible", "min_part")
#: As units are listed, but instants are compared as such, and written as text last.
_PROPERTIES = LISTING.properties | {"known_from": "units.known_from"}


class FreeSpaceProperties(UnitProperties):
    """可用空间."""

    carrier_type_zh: str | None = Field(description="中文")
    carrier_type_en: str | None = Field(description="English")
    physical_state_zh: str = Field(description="中文")
    physical_state_en: str = Field(description="English")
    capacity_measure_zh: str = Field(description="中文")
    capacity_measure_en: str = Field(description="English")
    building_name_en: str = Field(description="building")
    free_from: date = Field(description="first day on which it is free")
    free_until: date | None = Field(description="first day on which it no longer is; null: open")
    free_quantity: float = Field(description="how much is free all that time, in its measure")


def _parents(near: FromClause) -> Parents:
    return Parents(
        (_U.building_id, _U.park_id),
        _BUILDINGS,
        near,
        lambda alike: with_buildings(alike, alike.c.building_id, alike.c.park_id),
    )


# What is asked of a day is asked again: the expressions are kept.
@lru_cache(maxsize=64)
def _units(when: When) -> Rows:
    last = _LAST_DAY if when.until is None else when.until - timedelta(days=1)
    conditions = in_force(Window(when.start, last, when.as_of))
    return Rows(
        known_units,
        LISTING.joined,
        _U.terms_id,
        _U.fid,
        _U.geom,
        tuple(conditions),
        parents=_parents(WITH_FLOORS),
    )


@lru_cache(maxsize=64)
def _free_space(when: When) -> Rows:
    search = FreeSpaceSearch(
        start=when.start,
        until=when.until,
        free_by=_LAST_DAY if when.until is None else None,
        as_of=when.as_of,
    )
    check = Check("free", known_units, LISTING.joined, _NEEDED, partial(free_stretch, search))
    free = check.beside(known_units)
    return Rows(
        check.table.join(free, true()),
        check.joined.join(free, true()),
        _U.terms_id,
        _U.fid,
        _U.geom,
        tuple(unit_filters(search, {})),
        check,
        _parents(WITH_FLOORS.join(free, true())),
    )


UNITS = Collection(
    "units",
    "房源单元",
    "Units",
    "房源单元：面积、荷载、净高与技术条件；用 datetime 与 as_of 看其他时点. What is let: areas,"
    " loads, heights and technical values; `datetime` and `as_of` show other days.",
    declare_fields(_PROPERTIES, UnitProperties),
    Geometry.POLYGON,
    _units,
    outside=_PARENTS,
    temporal=True,
)
FREE_SPACE = Collection(
    "free_space",
    "可用空间",
    "Free space",
    "在 datetime 所问之日可用的房源及其起止与数量. The units that have free space on the days of"
    " `datetime`, from when to when and how much; as the ledger knows it at `as_of`.",
    declare_fields(
        _PROPERTIES
        | words("units.carrier_type", CarrierType)
        | words("units.physical_state", PhysicalState)
        | words("units.capacity_measure", CapacityMeasure)
        | {
            "building_name_en": "buildings.name_en",
            "free_from": "free.free_from",
            "free_until": "free.free_until",
            "free_quantity": "free.free_quantity",
        },
        FreeSpaceProperties,
    ),
    Geometry.POLYGON,
    _free_space,
    outside=_PARENTS,
    temporal=True,
    onwards=True,
    # To tell whether a unit is free its claims are read: a count of many takes long.
    counted=0,
)
