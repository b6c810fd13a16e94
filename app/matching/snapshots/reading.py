"""What a segment is made of, read out of the database: everything, or a few buildings.

Everything is copied, a table at a time. A few buildings are one statement, so that they
cost one way there and back, and are of one instant whatever the transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from app.matching.columns import COLUMNS, NEVER, POWER_GRAIN, QUANTITY_GRAIN, Column, Kind, Width
from app.matching.snapshots.copying import (
    Columns,
    Field,
    Layout,
    packed_sql,
    read_columns,
    unpacked,
)

Connection = psycopg.Connection[Any]
_Row = tuple[Any, ...]

#: The instant that never comes, in microseconds since 1970.
NEVER_US = int(np.iinfo(np.int64).max)
#: More are read as if they were all: planning does not matter then.
FEW_BUILDINGS = 64
#: Height of a building: hundredths of metres.
HEIGHT_GRAIN = 100


def _ordinal(day: str) -> str:
    """SQL of ``date.toordinal()``."""
    return f"({day} - DATE '0001-01-01' + 1)"


def _turns(begins: str, ends: str) -> str:
    """SQL of when a row will be believed, or believed no more: microseconds since 1970.

    Negative where it is not believed yet; ``NEVER_US`` where it will be for ever.
    """
    return (
        f"CASE WHEN {begins} <= %(as_of)s THEN CASE WHEN isfinite({ends})"
        f" THEN (extract(epoch FROM {ends}) * 1000000)::int8 ELSE {NEVER_US} END"
        f" ELSE -(extract(epoch FROM {begins}) * 1000000)::int8 END"
    )


def _cell(column: Column, sql: str) -> Field:
    """The field of a column's cell, from SQL of its value."""
    width = column.width
    size, unknown = np.dtype(width.value).itemsize, width.unknown
    if column.kind is Kind.RANK:
        words = tuple((f"'{word}'", place) for place, word in enumerate(column.order, start=1))
        return Field(column.name, sql, size, unknown, words)
    if column.kind is Kind.FLAG:
        return Field(column.name, sql, size, unknown, (("true", 1), ("false", 0)))
    scaled = sql if column.grain == 1 else f"({sql}) * {column.grain}"
    return Field(
        column.name,
        f"least(coalesce(({scaled})::int8, {width.unknown}), {width.most})",
        size,
    )


#: A unit's own value of each column that is read; "its floor's" and "its building's" come later.
_VALUES = {
    # What is let by the m² has as much of it.
    "leasable_area_m2": "CASE u.capacity_measure WHEN 'place' THEN u.leasable_area_m2 END",
    "keeps_lettable_remainder": "u.remainder_rule = 'lettable'",
    "power_density_w_m2": "coalesce(u.power_density_w_m2,"
    " round(u.power_kva * 1000 / u.leasable_area_m2, 1))",
    "power_kva": "coalesce(u.power_kva,"
    " round(u.power_density_w_m2 * u.leasable_area_m2 / 1000, 1))",
    # Of a room let by the place, its rent by the m² is worked out from the places'.
    "rent_cny_per_m2_day": "coalesce(u.rent_cny_per_m2_day, CASE u.capacity_measure"
    " WHEN 'place' THEN round(u.rent_cny_per_place_month * u.capacity * 12 / 365"
    " / u.leasable_area_m2, 4) END)",
    "rent_cny_per_place_month": "CASE WHEN u.rent_cny_per_m2_day IS NULL"
    " AND u.capacity_measure = 'place' THEN u.rent_cny_per_place_month END",
}
_WORKED_OUT = frozenset({"storey_class", "first_free"})
OF_FLOORS = ("floor_load_kn_m2", "clear_height_m")
OF_BUILDINGS = (
    *("freight_lift_t", "hoist_opening", "steam", "gas", "purified_water", "dual_power_feed"),
)


def _cells(names: Collection[str], alias: str, values: Mapping[str, str]) -> list[Field]:
    return [_cell(COLUMNS[name], values.get(name, f"{alias}.{name}")) for name in names]


_UNIT_LAYOUT = Layout(
    (
        Field("id", "u.id", 16),
        Field("fid", "u.fid", 8),
        Field("floor", "u.floor_id", 16),
        Field("usable_from", _ordinal("lower(u.usable)"), 4),
        Field("usable_until", f"coalesce({_ordinal('upper(u.usable)')}, {NEVER})", 4),
        # Facts that never change hold from day 0 on.
        Field(
            "valid_from",
            "CASE WHEN lower_inf(u.valid) OR NOT isfinite(lower(u.valid)) THEN 0"
            f" ELSE {_ordinal('lower(u.valid)')} END",
            4,
        ),
        Field(
            "valid_until",
            f"CASE WHEN upper_inf(u.valid) OR NOT isfinite(upper(u.valid)) THEN {NEVER}"
            f" ELSE {_ordinal('upper(u.valid)')} END",
            4,
        ),
        Field("turns_us", _turns("u.known_from", "u.known_until"), 8),
        *_cells([name for name in COLUMNS if name not in _WORKED_OUT], "u", _VALUES),
    )
)
_UNITS = """
FROM unit_terms u
WHERE (u.known_until IS NULL OR u.known_until > %(as_of)s)"""

_FLOOR_LAYOUT = Layout(
    (
        Field("id", "f.id", 16),
        Field("building", "f.building_id", 16),
        Field("fid", "f.fid", 8),
        Field("level_index", "f.level_index", 2),
        *_cells(OF_FLOORS, "f", {}),
    )
)
_FLOORS = "FROM floors f WHERE true"

_BUILDING_LAYOUT = Layout(
    (
        Field("id", "b.id", 16),
        Field("fid", "b.fid", 8),
        Field(
            "height",
            f"coalesce((b.height_m * {HEIGHT_GRAIN})::int8, {Width.LARGE.unknown})",
            4,
        ),
        Field("floors_above", "b.floors_above", 2),
        Field(
            "power_kva",
            f"least(coalesce((b.power_capacity_kva * {POWER_GRAIN})::int8, {Width.LARGE.unknown}),"
            f" {Width.LARGE.most})",
            4,
        ),
        *_cells(OF_BUILDINGS, "b", {}),
    )
)
_BUILDINGS = "FROM buildings b WHERE true"
#: What of buildings is no whole number.
_PLACES = """
SELECT b.fid, b.code AS building, k.code AS park, p.land_use_code,
    ST_X(ST_Centroid(b.geom)) AS lon, ST_Y(ST_Centroid(b.geom)) AS lat
FROM buildings b JOIN parcels p ON p.id = b.parcel_id JOIN parks k ON k.id = b.park_id
WHERE true"""

_PARKS = """
WITH RECURSIVE around AS (
    SELECT id AS park_id, code, parent_park_id, zone_id, special_goods_import_pilot FROM parks
    WHERE CAST(%(buildings)s AS uuid[]) IS NULL
        OR id IN (SELECT park_id FROM buildings WHERE id = ANY (%(buildings)s))
    UNION
    SELECT around.park_id, p.code, p.parent_park_id, p.zone_id, p.special_goods_import_pilot
    FROM around JOIN parks p ON p.id = around.parent_park_id
)
SELECT k.code, array_agg(DISTINCT around.code) AS parks, array_agg(DISTINCT z.code) AS zones,
    coalesce(bool_or(around.special_goods_import_pilot), false) AS is_pilot
FROM around JOIN zones z ON z.id = around.zone_id JOIN parks k ON k.id = around.park_id
GROUP BY k.code"""
_FACILITIES = "SELECT facility_type, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM shared_facilities"

_CLAIM_LAYOUT = Layout(
    (
        Field("unit", "c.unit_id", 16),
        Field("first", _ordinal("lower(c.period)"), 4),
        Field("until", f"coalesce({_ordinal('upper(c.period)')}, {NEVER})", 4),
        Field("quantity", f"least((c.quantity * {QUANTITY_GRAIN})::int8, {Width.LARGE.most})", 4),
        Field("turns_us", _turns("lower(c.live)", "upper(c.live)"), 8),
    )
)
# What they are of is told by its id and found here: joining a million takes the server longer.
_CLAIMS = """
FROM {claims} c WHERE (upper_inf(c.live) OR upper(c.live) > %(as_of)s)"""
#: Claims as a snapshot saw them. Transactions that are still to come are of another life: of a
#: database that was restored here; what they made is simply there.
_SEEN_CLAIMS = """(
    SELECT unit_id, period, quantity,
        CASE WHEN closed_xid IS NULL OR pg_visible_in_snapshot(closed_xid, %(version)s::pg_snapshot)
            OR closed_xid >= pg_snapshot_xmax(pg_current_snapshot())
            THEN live ELSE tstzrange(lower(live), was_to_lapse_at) END AS live
    FROM occupancy WHERE pg_visible_in_snapshot(made_xid, %(version)s::pg_snapshot)
        OR made_xid >= pg_snapshot_xmax(pg_current_snapshot())
)"""

_WALL_LAYOUT = Layout((Field("one", "w.unit_id", 16), Field("other", "w.neighbour_id", 16)))
_WALLS = "FROM unit_walls w WHERE true"
_IN_BUILDINGS = " AND {} IN (SELECT id FROM units WHERE building_id = ANY (%(buildings)s))"
_LINK_LAYOUT = Layout(
    (
        Field("one", "a.fid", 8),
        Field("other", "b.fid", 8),
        Field("level_of_one", "l.level_a", 2),
        Field("level_of_other", "l.level_b", 2),
    )
)
_LINKS = """
FROM building_links l JOIN buildings a ON a.id = l.building_a_id
JOIN buildings b ON b.id = l.building_b_id WHERE true"""


@dataclass(slots=True)
class Read:
    """What came out of the database."""

    units: Columns
    floors: Columns
    buildings: Columns
    claims: Columns
    walls: Columns
    links: Columns
    places: list[tuple[Any, ...]]
    parks: list[tuple[Any, ...]]
    facilities: list[tuple[Any, ...]]


def read(
    connections: Sequence[Connection],
    as_of: datetime,
    buildings: Collection[UUID] | None,
    version: str | None = None,
) -> Read:
    """What is believed at an instant of all buildings, or of some.

    Args:
        connections: that see the same; statements are shared out among them.
        as_of: the instant.
        buildings: ids; None for all.
        version: claims as this snapshot saw them, in PostgreSQL's words.
    """
    parameters = {
        "as_of": as_of,
        "version": version,
        "buildings": None if buildings is None else list(buildings),
    }
    sees_claims = version is None
    if buildings is None or len(buildings) > FEW_BUILDINGS:
        copies, queries = _sources(sees_claims, of_some=buildings is not None)
        return _read_all(connections, copies, queries, parameters)
    return read_some(connections[0], _ASKED, "", parameters, sees_claims=sees_claims)[1]


_ASKED = "asked AS MATERIALIZED (SELECT %(buildings)s::uuid[] AS ids, %(as_of)s AS as_of)"


def read_some(
    connection: Connection,
    asked: str,
    told: str,
    parameters: Mapping[str, Any],
    *,
    sees_claims: bool = True,
) -> tuple[_Row, Read]:
    """A few buildings by one statement, with what else it is to tell.

    Args:
        connection: where to ask.
        asked: SQL of common table expressions; one is ``asked``, a row of ``ids`` and ``as_of``.
        told: SQL of columns, each with a comma behind it.
        parameters: of both.
        sees_claims: as they are; else as ``version`` of the parameters saw them.
    """
    statement: Any = _few_statement(asked, told, sees_claims)
    # Prepared, because planning takes longer than reading.
    row = connection.cursor(binary=True).execute(statement, parameters, prepare=True).fetchall()[0]
    copies, queries = _sources(sees_claims, of_some=True)
    behind = len(row) - len(copies) - len(queries)
    values = iter(row[behind:])
    answers: dict[str, Any] = {
        name: unpacked(layout, next(values)) for name, (layout, _) in copies.items()
    }
    answers |= {name: [tuple(one.values()) for one in next(values) or ()] for name in queries}
    return row[:behind], Read(**answers)


@cache
def _few_statement(asked: str, told: str, sees_claims: bool) -> str:
    copies, queries = _sources(sees_claims, of_some=True)
    reads = [f"({packed_sql(layout, source)})" for layout, source in copies.values()]
    reads += [f"(SELECT json_agg(q) FROM ({query}) q)" for query in queries.values()]  # noqa: S608  (our own)
    names = {
        "as_of": "(SELECT as_of FROM asked)",
        "buildings": "(SELECT ids FROM asked)::uuid[]",
        "version": "%(version)s",
    }
    return f"WITH RECURSIVE {asked} SELECT {told} {', '.join(reads) % names}"


@cache
def _sources(
    sees_claims: bool,
    *,
    of_some: bool,
) -> tuple[Mapping[str, tuple[Layout, str]], Mapping[str, str]]:
    """What is copied, the longest first, and what is no whole number."""

    def within(*columns: str) -> str:
        if not of_some:
            return ""
        return "".join(f" AND {column} = ANY (%(buildings)s)" for column in columns)

    def of_units(column: str) -> str:
        return _IN_BUILDINGS.format(column) if of_some else ""

    claims = _CLAIMS.format(claims="occupancy" if sees_claims else _SEEN_CLAIMS)
    copies = {
        "units": (_UNIT_LAYOUT, _UNITS + within("u.building_id")),
        "claims": (_CLAIM_LAYOUT, claims + of_units("c.unit_id")),
        "walls": (_WALL_LAYOUT, _WALLS + of_units("w.unit_id")),
        "floors": (_FLOOR_LAYOUT, _FLOORS + within("f.building_id")),
        "buildings": (_BUILDING_LAYOUT, _BUILDINGS + within("b.id")),
        "links": (_LINK_LAYOUT, _LINKS + within("a.id", "b.id")),
    }
    queries = {
        "places": _PLACES + within("b.id"),
        "parks": _PARKS,
        "facilities": _FACILITIES,
    }
    return copies, queries


def _read_all(
    connections: Sequence[Connection],
    copies: Mapping[str, tuple[Layout, str]],
    queries: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> Read:
    """Statement by statement, shared out among the connections."""
    free = list(connections)

    def run(name: str) -> Any:
        connection = free.pop()
        try:
            if name in copies:
                return read_columns(connection, *copies[name], parameters)
            return connection.execute(queries[name], parameters).fetchall()
        finally:
            free.append(connection)

    names = [*copies, *queries]
    if len(connections) == 1:
        return Read(**{name: run(name) for name in names})
    with ThreadPoolExecutor(len(connections)) as pool:
        return Read(**dict(zip(names, pool.map(run, names), strict=True)))
