"""What is free, from when to when and how much: one statement over units and their claims.

For each unit the answer is its first stretch of free days that starts (clipped to ``start``) no
later than ``free_by`` and before ``until``, and lasts at least ``min_days``. A day is free when as
much as is needed is not taken by claims believed at the instant ``as_of``. What is needed of a unit
is all of it when it is let only whole, else the greatest of its smallest part, ``min_quantity`` and
``min_area_m2``.

Columns of the unit are tested before its claims are read, and how much is free is worked out only
for the rows of the page: units come in order, and the limit ends the search early. What is shown of
a unit is what the inventory shows, joined to the rows of the page alone. Where a place is
asked for, its units are collected first: codes of one park lie together, so that walking all codes
in order in the hope of meeting it soon, as the planner would, can mean walking them all.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    Numeric,
    Select,
    String,
    Subquery,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.database.paging import Page, PageRequest, Sort, fetch_page, page_statement
from app.inventory.columns import labelled, plain, words
from app.inventory.known import believed, known_units
from app.inventory.listing import the_one
from app.inventory.places import Places, find_places
from app.inventory.predicates import metres_from
from app.inventory.units import LISTING
from app.kernel.terms import CapacityMeasure, CarrierType, PhysicalState
from app.ledger.asked import FreeSpaceSearch, FreeSpaceSort, Near
from app.ledger.unit_filters import place_filters, unit_filters
from app.models.claim import occupancy

#: Sorts after every rent there is; a unit without a rent per m² comes last, both ways.
_RENT_UNKNOWN_ASCENDING = Decimal("9999.9999")
_RENT_UNKNOWN_DESCENDING = Decimal(-1)

#: Totals of the rows of ``hits``. The grouping level is 3 over all, 1 by type, 2 by park.
_TOTALS = """(
    WITH counted AS (
        SELECT unit_type, park_id, grouping(unit_type, park_id) AS level, count(*) AS units,
            coalesce(sum(free_quantity) FILTER (WHERE capacity_measure = 'm2'), 0) AS area_m2,
            coalesce(sum(free_quantity) FILTER (WHERE capacity_measure = 'place'), 0) AS places
        FROM hits GROUP BY GROUPING SETS ((unit_type), (park_id), ())
    )
    SELECT json_build_object(
        'units', units, 'area_m2', area_m2, 'places', places,
        'by_type', (
            SELECT coalesce(json_agg(json_build_object(
                'unit_type', unit_type, 'units', units, 'area_m2', area_m2, 'places', places
            ) ORDER BY unit_type), '[]') FROM counted WHERE level = 1),
        'by_park', (
            SELECT coalesce(json_agg(json_build_object(
                'park_id', parks.id, 'park_code', parks.code, 'park_name_zh', parks.name_zh,
                'park_name_en', parks.name_en, 'units', units, 'area_m2', area_m2, 'places', places
            ) ORDER BY parks.code), '[]')
            FROM counted JOIN parks ON parks.id = counted.park_id WHERE level = 2)
    )::text FROM counted WHERE level = 3
)"""

_unit = known_units.c
#: What the search itself needs of a unit.
_CANDIDATE = (
    "terms_id",
    "id",
    "code",
    "usable",
    "valid",
    "capacity",
    "capacity_measure",
    "divisible",
    "min_part",
    "leasable_area_m2",
)

#: What is shown here beside what the inventory shows of a unit.
_BESIDE = labelled(plain("units", "leasable_area_m2", "internal_area_m2"))
_BESIDE_FLAT = labelled(
    words("units.carrier_type", CarrierType)
    | words("units.physical_state", PhysicalState)
    | words("units.capacity_measure", CapacityMeasure)
    | {"building_name_en": "buildings.name_en"}
)

#: What the search tells of a unit.
_TOLD = ("free_from", "free_until", "free_quantity", "distance_m")

Columns = ReadOnlyColumnCollection[str, Any]


def find_search_places(session: Session, search: FreeSpaceSearch, where: str = "query") -> Places:
    """The zone, park and programme that a search names, with all that lies in them.

    ``where`` says for faults if "query" or "body" asked.

    Raises:
        InvalidInputError: one of them does not exist.
    """
    return find_places(session, search, where=where, whole_zones=True)


def find_free_space(
    session: Session,
    search: FreeSpaceSearch,
    places: Places,
    page: PageRequest,
    *,
    geojson: bool = False,
) -> Page:
    """One page of free space in the ``places`` that the search names."""
    found, order = _found(search, places)
    return fetch_page(
        session,
        found,
        order=order,
        page=page,
        scope=search.scope(),
        geojson=geojson,
        details=_details(geojson=geojson),
    )


def free_space_statement(
    search: FreeSpaceSearch, places: Places, page: PageRequest, *, geojson: bool = False
) -> Select[Any]:
    """The whole statement that ``find_free_space`` runs, to be timed or explained."""
    found, order = _found(search, places)
    return page_statement(
        found,
        order=order,
        page=page,
        scope=search.scope(),
        geojson=geojson,
        details=_details(geojson=geojson),
    )


def free_space_totals(session: Session, search: FreeSpaceSearch, places: Places) -> str:
    """Totals of all that ``search`` finds, as JSON text: overall, by type and by park."""
    unit = _unit
    free = _first_stretch(search, unit)
    hits = (
        select(
            unit.unit_type,
            unit.park_id,
            unit.capacity_measure,
            _free_quantity(search, unit, free).label("free_quantity"),
        )
        .select_from(known_units.join(free, true()))
        .where(*unit_filters(search, places))
        .cte("hits")
    )
    found: str = session.execute(select(literal_column(_TOTALS, String)).add_cte(hits)).scalar_one()
    return found


def free_stretch(search: FreeSpaceSearch, unit: FromClause) -> FromClause:
    """Beside a unit its first free stretch, if it has one.

    ``free`` has ``free_from``, ``free_until`` and ``free_quantity``, which is worked out only where
    it is read.
    """
    first = _first_stretch(search, unit.c)
    return (
        select(
            _clipped_start(search, first.c.stretch).label("free_from"),
            func.upper(first.c.stretch).label("free_until"),
            _free_quantity(search, unit.c, first).label("free_quantity"),
        )
        .select_from(first)
        .correlate(unit)
        .lateral("free")
    )


def _found(search: FreeSpaceSearch, places: Places) -> tuple[Select[Any], list[Sort]]:
    """What the search alone tells of each unit it finds, and its order."""
    candidates = _candidates(search, places)
    free = _first_stretch(search, candidates.c)
    free_from = _clipped_start(search, free.c.stretch)
    columns = (
        candidates.c.terms_id,
        free_from.label("free_from"),
        func.upper(free.c.stretch).label("free_until"),
        _free_quantity(search, candidates.c, free).label("free_quantity"),
        *([] if search.near is None else [candidates.c.distance_m]),
    )
    by_code = Sort(candidates.c.code)
    if search.sort is FreeSpaceSort.CODE:
        order = [by_code]
    elif search.sort is FreeSpaceSort.FREE_FROM:
        order = [Sort(free_from), by_code]
    else:
        order = [Sort(candidates.c.sort_key, descending=_descends(search)), by_code]
    return select(*columns).select_from(candidates.join(free, true())), order


def _details(*, geojson: bool) -> Callable[[Subquery], Select[Any]]:
    """From the units of a page to what is shown of them."""

    def details(found: Subquery) -> Select[Any]:
        told = [found.c[name] for name in _TOLD if name in found.c]
        one = _shown_beside(geojson=geojson)
        return select(*one.c, *told).select_from(found.join(one, true()))

    return details


@cache
def _shown_beside(*, geojson: bool) -> FromClause:
    shown = LISTING.shown(geojson=geojson).add_columns(*(_BESIDE_FLAT if geojson else _BESIDE))
    return the_one(shown, _unit.terms_id)


def _candidates(search: FreeSpaceSearch, places: Places) -> Subquery:
    """The units that meet all conditions on their own columns, in order, with what is needed."""
    columns: list[ColumnElement[Any]] = [_unit[name] for name in _CANDIDATE]
    key = _sort_key(search)
    if key is not None:
        columns.append(key.label("sort_key"))
    if search.near is not None:
        columns.append(_distance(search.near).label("distance_m"))
    units: Select[Any] = select(*columns).where(*unit_filters(search, places))
    placed = bool(place_filters(search, places))
    if placed:
        units = select(units.cte("placed").prefix_with("MATERIALIZED"))
    if not _comes_in_order(search, placed=placed):
        # In order before any claim is read: the planner sorts after a join only, that is, after
        # all claims of all candidates.
        named = units.selected_columns
        by_key = [] if key is None else [named.sort_key]
        if _descends(search):
            by_key = [named.sort_key.desc()]
        units = units.order_by(*by_key, named.code)
    return units.subquery("candidates")


def _sort_key(search: FreeSpaceSearch) -> ColumnElement[Any] | None:
    """What is sorted by before the code, if the unit's row alone tells; never null."""
    rent = _unit.rent_cny_per_m2_day
    if search.sort is FreeSpaceSort.DISTANCE and search.near is not None:
        return _distance(search.near)
    keys: dict[FreeSpaceSort, ColumnElement[Any]] = {
        FreeSpaceSort.AREA: _unit.leasable_area_m2,
        FreeSpaceSort.AREA_DESCENDING: _unit.leasable_area_m2,
        FreeSpaceSort.RENT: func.coalesce(rent, _RENT_UNKNOWN_ASCENDING),
        FreeSpaceSort.RENT_DESCENDING: func.coalesce(rent, _RENT_UNKNOWN_DESCENDING),
    }
    return keys.get(search.sort)


def _distance(near: Near) -> ColumnElement[Decimal]:
    return metres_from(_unit.geom, near.longitude, near.latitude)


def _comes_in_order(search: FreeSpaceSearch, *, placed: bool) -> bool:
    """Whether an index gives the order by itself, or only the claims can tell it."""
    by_area = search.sort in {FreeSpaceSort.AREA, FreeSpaceSort.AREA_DESCENDING}
    indexed = by_area and len(search.unit_types) == 1 and not placed
    return indexed or search.sort is FreeSpaceSort.FREE_FROM


def _descends(search: FreeSpaceSearch) -> bool:
    return search.sort.value.startswith("-")


def _need(search: FreeSpaceSearch, unit: Columns) -> ColumnElement[Decimal]:
    """How much of a unit must be free on a day for the day to count."""
    # min_part is null exactly where the unit is let only whole.
    needs: list[ColumnElement[Any]] = [func.coalesce(unit.min_part, unit.capacity)]
    if search.min_quantity is not None:
        needs.append(literal(search.min_quantity, Numeric))
    if search.min_area_m2 is not None:
        area = literal(search.min_area_m2, Numeric)
        # Places come with their share of the room's area.
        places = func.ceil(area * unit.capacity / unit.leasable_area_m2)
        needs.append(case((unit.capacity_measure == CapacityMeasure.M2.value, area), else_=places))
    return func.greatest(*needs) if len(needs) > 1 else needs[0]


def _first_stretch(search: FreeSpaceSearch, unit: Columns) -> FromClause:
    instant = believed(search.as_of)
    in_parts = func.free_days(
        unit.id, unit.capacity, unit.usable, unit.valid, _need(search, unit), instant
    )
    # Of what is let only whole any claim takes its days: asked right here that takes a fifth of
    # the time, as most of the function's goes by being called.
    taken = (
        select(func.range_agg(occupancy.c.period))
        .where(occupancy.c.unit_id == unit.id, occupancy.c.live.op("@>")(instant))
        .correlate_except(occupancy)
        .scalar_subquery()
    )
    nothing = func.datemultirange()
    whole = func.datemultirange(unit.usable).op("-")(func.coalesce(taken, nothing))
    free_days = case((unit.min_part.is_(None), whole), else_=in_parts)
    stretch = func.unnest(free_days).column_valued("stretch")
    stretch.type = DATERANGE()
    start = _clipped_start(search, stretch)
    return (
        select(stretch)
        .where(
            func.lower(stretch) <= literal(search.last_start, Date),
            or_(func.upper_inf(stretch), func.upper(stretch) >= start + search.min_days),
        )
        .order_by(func.lower(stretch))
        .limit(1)
        .lateral("free")
    )


def _clipped_start(search: FreeSpaceSearch, stretch: ColumnElement[Any]) -> ColumnElement[date]:
    return func.greatest(func.lower(stretch), literal(search.start, Date), type_=Date)


def _free_quantity(
    search: FreeSpaceSearch, unit: Columns, free: FromClause
) -> ColumnElement[Decimal]:
    window = literal(Range(search.start, search.until), DATERANGE)
    within = free.c.stretch.op("*")(window)
    quantity = func.free_quantity(
        unit.id, unit.capacity, unit.valid, within, believed(search.as_of), type_=Numeric()
    )
    return case((~unit.divisible, unit.capacity), else_=quantity)
