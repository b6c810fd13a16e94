"""Reads a segment: some buildings, or all, as they were known at an instant.

A handful of set-based statements, however many units. Cells are whole numbers when they leave the
database; what a unit takes from its floor or building, distances, calendars and power are worked
out here in whole arrays. ``candidates.CANDIDATES`` says the same in SQL, row by row; the tests hold
both equal.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.demand.rules import BuildingRules, load_rules
from app.matching.columns import COLUMNS, NEVER, POWER_GRAIN, QUANTITY_GRAIN, Column, Kind, Width
from app.matching.rules.special import storey_class
from app.matching.segment import ParkInfo, Raw, Segment, Snapshot, Version, Wide, assemble
from app.matching.snapshots.calendars import (
    Rows,
    Steps,
    Taken,
    eras,
    first_rows,
    free_steps,
    promised_steps,
    row_on,
    steps_since,
    unit_ends,
)
from app.matching.snapshots.copying import (
    Columns,
    Field,
    Layout,
    ask_few,
    read_columns,
    read_few,
)
from app.matching.snapshots.distances import nearest
from app.settings import settings

Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]

_ODD, _ODDER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)

#: The instant that never comes, in microseconds since 1970.
NEVER_US = int(np.iinfo(np.int64).max)
#: More are read as if they were all: planning does not matter then.
_FEW_BUILDINGS = 64
#: Height of a building: hundredths of metres.
_HEIGHT_GRAIN = 100


@dataclass(frozen=True, slots=True)
class Loaded:
    """A segment, and when its buildings will be another without being written.

    ``turns_us`` has, for each building of the segment, the first instant after the reading at which
    something believed lapses or something written begins to be believed: microseconds since 1970.
    """

    segment: Segment
    turns_us: Wide


def load_segment(
    session: Session,
    *,
    buildings: Collection[UUID] | None = None,
    as_of: datetime | None = None,
    version: Version | None = None,
    rules: BuildingRules | None = None,
) -> Segment:
    """Buildings with all that is in them, as the session's transaction sees them.

    Args:
        session: where to read.
        buildings: ids; None for all.
        as_of: what was believed at this instant; None for now, by the database's clock.
        version: also as this snapshot saw the claims: those of transactions that it did not see are
            left out, and closings that it did not see are undone.
        rules: what is high-rise; None for those of the settings' data.
    """
    with connection_of(session) as connection:
        taken = read_version(connection, as_of)
        return load([connection], taken.taken_at, buildings, version, rules=rules).segment


def load_buildings(
    session: Session, ids: Collection[UUID], as_of: datetime | None = None
) -> Segment:
    """A few buildings as they are now, or as they were known at an instant."""
    return load_segment(session, buildings=ids, as_of=as_of)


def load_snapshot(
    session: Session,
    *,
    as_of: datetime | None = None,
    version: Version | None = None,
    rules: BuildingRules | None = None,
) -> Snapshot:
    """All space in one segment; ``version`` reads what that snapshot saw, as of its instant."""
    with connection_of(session) as connection:
        instant = version.taken_at if as_of is None and version is not None else as_of
        taken = read_version(connection, instant)
        loaded = load([connection], taken.taken_at, None, version, rules=rules)
        return Snapshot((loaded.segment,), version or taken)


@cache
def building_rules() -> BuildingRules:
    """The rules about buildings of this installation."""
    return load_rules(settings().data_dir).building


def read_version(connection: Connection, as_of: datetime | None = None) -> Version:
    """Which transactions a transaction sees, and the instant asked about or, after that, now."""
    return told_version(ask_version(connection, as_of))


def ask_version(connection: Connection, as_of: datetime | None = None) -> Cursor:
    """The question alone, for those who have more to ask."""
    return connection.execute(
        "SELECT pg_current_snapshot()::text, coalesce(%s::timestamptz, clock_timestamp())", [as_of]
    )


def told_version(cursor: Cursor) -> Version:
    """The answer."""
    said, instant = cursor.fetchall()[0]
    return parse_version(said, instant)


def parse_version(said: str, taken_at: datetime) -> Version:
    """A version from PostgreSQL's words for a snapshot.

    >>> from datetime import UTC
    >>> str(parse_version("10:20:12,15", datetime(2026, 1, 1, tzinfo=UTC)))
    '10:20:12,15'
    """
    xmin, xmax, running = said.split(":")
    in_flight = frozenset(int(one) for one in running.split(",") if one)
    return Version(int(xmin), int(xmax), in_flight, taken_at)


@contextmanager
def connection_of(session: Session) -> Iterator[Connection]:
    """The driver's connection of a session, whose pending rows are written first."""
    session.flush()
    connection = session.connection()
    driver = connection.connection.driver_connection
    try:
        yield driver  # type: ignore[misc]
    except psycopg.Error as error:
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


# ---- what is read ------------------------------------------------------------------------------


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
_OF_FLOORS = ("floor_load_kn_m2", "clear_height_m")
_OF_BUILDINGS = (
    *("freight_lift_t", "hoist_opening", "steam", "gas", "purified_water", "dual_power_feed"),
)


def _cells(names: Collection[str], alias: str, values: Mapping[str, str]) -> list[Field]:
    return [_cell(COLUMNS[name], values.get(name, f"{alias}.{name}")) for name in names]


_UNIT_LAYOUT = Layout(
    (
        Field("id", "u.id", 16),
        Field("fid", "u.fid", 8),
        Field("floor_fid", "f.fid", 8),
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
FROM unit_terms u JOIN floors f ON f.id = u.floor_id
WHERE (u.known_until IS NULL OR u.known_until > %(as_of)s)"""

_FLOOR_LAYOUT = Layout(
    (
        Field("fid", "f.fid", 8),
        Field("building_fid", "b.fid", 8),
        Field("level_index", "f.level_index", 2),
        *_cells(_OF_FLOORS, "f", {}),
    )
)
_FLOORS = "FROM floors f JOIN buildings b ON b.id = f.building_id WHERE true"

_BUILDING_LAYOUT = Layout(
    (
        Field("fid", "b.fid", 8),
        Field(
            "height",
            f"coalesce((b.height_m * {_HEIGHT_GRAIN})::int8, {Width.LARGE.unknown})",
            4,
        ),
        Field("floors_above", "b.floors_above", 2),
        Field(
            "power_kva",
            f"least(coalesce((b.power_capacity_kva * {POWER_GRAIN})::int8, {Width.LARGE.unknown}),"
            f" {Width.LARGE.most})",
            4,
        ),
        *_cells(_OF_BUILDINGS, "b", {}),
    )
)
_BUILDINGS = "FROM buildings b WHERE true"
#: What of buildings is no whole number.
_PLACES = """
SELECT b.fid, b.code, k.code, p.land_use_code,
    ST_X(ST_Centroid(b.geom)), ST_Y(ST_Centroid(b.geom))
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
SELECT k.code, array_agg(DISTINCT around.code), array_agg(DISTINCT z.code),
    coalesce(bool_or(around.special_goods_import_pilot), false)
FROM around JOIN zones z ON z.id = around.zone_id JOIN parks k ON k.id = around.park_id
GROUP BY k.code"""
_FACILITIES = "SELECT facility_type, ST_X(geom), ST_Y(geom) FROM shared_facilities"

_CLAIM_LAYOUT = Layout(
    (
        Field("unit", "c.unit_id", 16),
        Field("first", _ordinal("lower(c.period)"), 4),
        Field("until", f"coalesce({_ordinal('upper(c.period)')}, {NEVER})", 4),
        Field("quantity", f"least((c.quantity * {QUANTITY_GRAIN})::int8, {Width.LARGE.most})", 4),
        Field("turns_us", _turns("lower(c.live)", "upper(c.live)"), 8),
    )
)
# Units are told by their ids and found here: joining a million of them takes the server longer.
_CLAIMS = """
FROM {claims} c WHERE (upper_inf(c.live) OR upper(c.live) > %(as_of)s)"""
#: Claims as a snapshot saw them. Transactions that are still to come are of another life: of a
#: database that was restored here; what they made is simply there.
_SEEN_CLAIMS = """(
    SELECT unit_id, period, quantity,
        CASE WHEN closed_xid IS NULL OR pg_visible_in_snapshot(closed_xid, %(version)s::pg_snapshot)
            OR closed_xid >= pg_snapshot_xmax(pg_current_snapshot())
            THEN live ELSE tstzrange(lower(live), was_to_lapse_at) END AS live
    FROM claims WHERE pg_visible_in_snapshot(made_xid, %(version)s::pg_snapshot)
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
class _Read:
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


def load(
    connections: Sequence[Connection],
    as_of: datetime,
    buildings: Collection[UUID] | None = None,
    version: Version | None = None,
    *,
    rules: BuildingRules | None = None,
    since: date | None = None,
) -> Loaded:
    """A segment over connections that all see the same; see ``load_segment``.

    Each connection has a transaction open; statements are shared out among them. Of calendars only
    the days from ``since`` on are asked about, so that what was before may be left out.
    """
    read = _read(connections, as_of, buildings, version)
    return _put_together(read, rules or building_rules(), 0 if since is None else since.toordinal())


def _read(
    connections: Sequence[Connection],
    as_of: datetime,
    buildings: Collection[UUID] | None,
    version: Version | None,
) -> _Read:
    parameters = {
        "as_of": as_of,
        "version": None if version is None else str(version),
        "buildings": None if buildings is None else list(buildings),
    }

    def within(*columns: str) -> str:
        if buildings is None:
            return ""
        return "".join(f" AND {column} = ANY (%(buildings)s)" for column in columns)

    def of_units(column: str) -> str:
        return "" if buildings is None else _IN_BUILDINGS.format(column)

    claims = _CLAIMS.format(claims="claims" if version is None else _SEEN_CLAIMS)
    # The longest first.
    copies = {
        "units": (_UNIT_LAYOUT, _UNITS + within("u.building_id", "f.building_id")),
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
    if buildings is None or len(buildings) > _FEW_BUILDINGS:
        return _read_all(connections, copies, queries, parameters)
    return _read_some(connections[0], copies, queries, parameters)


_Copies = Mapping[str, tuple[Layout, str]]


def _read_some(
    connection: Connection,
    copies: _Copies,
    queries: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> _Read:
    """All questions at once, and then all answers: a few buildings cost one way there and back."""
    with connection.pipeline():
        asked = {
            name: ask_few(connection, layout, source, parameters)
            for name, (layout, source) in copies.items()
        }
        told = {name: connection.execute(query, parameters) for name, query in queries.items()}
        answers: dict[str, Any] = {
            name: read_few(cursor, copies[name][0]) for name, cursor in asked.items()
        }
        answers |= {name: cursor.fetchall() for name, cursor in told.items()}
    return _Read(**answers)


def _read_all(
    connections: Sequence[Connection],
    copies: _Copies,
    queries: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> _Read:
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
        return _Read(**{name: run(name) for name in names})
    with ThreadPoolExecutor(len(connections)) as pool:
        return _Read(**dict(zip(names, pool.map(run, names), strict=True)))


class _Ids:
    """Finds units by their ids, millions at a time: a table of places by a hash of the id."""

    def __init__(self, ids: NDArray[Any], places: Wide) -> None:
        self._bits = np.uint64(64 - max(len(ids), 1).bit_length() - 1)
        hashes = self._hash(ids)
        order = np.argsort(hashes)
        self._ids, self._places = ids[order], places[order]
        counts = np.bincount(hashes, minlength=1 << 64 - int(self._bits))
        self._starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])

    def find(self, wanted: NDArray[Any]) -> Wide:
        """The place of each; -1 where there is none."""
        found = np.full(len(wanted), -1)
        hashes = self._hash(wanted)
        at, end = self._starts[hashes], self._starts[hashes + 1]
        left = np.flatnonzero(at < end)
        while len(left):
            same = self._ids[at[left]] == wanted[left]
            found[left[same]] = self._places[at[left[same]]]
            left = left[~same]
            at[left] += 1
            left = left[at[left] < end[left]]
        return found

    def _hash(self, ids: NDArray[Any]) -> Wide:
        # Ids of any kind are spread evenly: also those that begin with the time.
        mixed = ids["high"] * _ODD ^ ids["low"] * _ODDER
        hashes: Wide = (mixed * _ODD >> self._bits).astype(np.int64)
        return hashes


# ---- what is made of it ------------------------------------------------------------------------


def _put_together(read: _Read, rules: BuildingRules, since: int) -> Loaded:
    buildings = _sorted(read.buildings, "fid")
    floors = _sorted(read.floors, "fid")
    floors["building"] = _places(buildings["fid"], floors["building_fid"])
    floors = _only(floors, floors["building"] >= 0)
    units = read.units
    units["floor"] = _places(floors["fid"], units["floor_fid"])
    # Two statements may see different instants: what has no floor yet is not there yet.
    units = _only(units, units["floor"] >= 0)
    turns = np.full(len(buildings["fid"]), NEVER_US)
    _turn(turns, floors["building"][units["floor"]], units["turns_us"])
    units = _only(units, units["turns_us"] > 0)
    units = _ordered(units)
    building = floors["building"][units["floor"]].astype(np.int64)
    rows = Rows(
        *(
            units[name].astype(np.int64)
            for name in (
                *("fid", "valid_from", "valid_until", "usable_from", "usable_until"),
                "capacity",
            )
        )
    )
    first = first_rows(rows.fid)
    ids = _Ids(units["id"][first], first)
    claims = read.claims
    claims["unit"] = ids.find(claims["unit"])
    claims = _only(claims, claims["unit"] >= 0)
    _turn(turns, building[claims["unit"]], claims["turns_us"])
    claims = _only(claims, claims["turns_us"] > 0)
    taken = Taken(*(claims[name].astype(np.int64) for name in Taken._fields))

    _fill_up(units, floors, buildings, building, rules)
    units["applies_from"], units["applies_until"] = eras(rows)
    raw_buildings, parks, land_use_codes = _ground(read, buildings)
    segment = assemble(
        Raw(
            parks=parks,
            land_use_codes=land_use_codes,
            buildings=raw_buildings,
            floors=floors,
            units=units,
            steps=steps_since(free_steps(rows, taken), since),
            power=steps_since(
                _power(units, taken, row_on(rows, taken.unit, taken.first), building), since
            ),
            walls=_walls(rows, *(ids.find(read.walls[name]) for name in ("one", "other"))),
            links=_links(buildings["fid"], read.links),
        )
    )
    place = _places(buildings["fid"], segment.buildings.fid)
    return Loaded(segment, turns[place])


def _sorted(columns: Columns, by: str) -> Columns:
    order = np.argsort(columns[by])
    return {name: column[order] for name, column in columns.items()}


def _ordered(units: Columns) -> Columns:
    """By number and the first day of their facts."""
    fid, first = units["fid"], units["valid_from"]
    follows = (fid[1:] > fid[:-1]) | (fid[1:] == fid[:-1]) & (first[1:] > first[:-1])
    if follows.all():
        return units
    order = np.lexsort((first, fid))
    return {name: column[order] for name, column in units.items()}


def _only(columns: Columns, wanted: NDArray[np.bool_]) -> Columns:
    if wanted.all():
        return columns
    return {name: column[wanted] for name, column in columns.items()}


def _places(sorted_fids: NDArray[np.integer], wanted: NDArray[np.integer]) -> Wide:
    """Where each number stands; -1 where it does not."""
    found = np.searchsorted(sorted_fids, wanted)
    found[found == len(sorted_fids)] = 0
    if not len(sorted_fids):
        return np.full(len(wanted), -1)
    return np.where(sorted_fids[found] == wanted, found, -1)


def _turn(turns: Wide, building: NDArray[np.integer], turns_us: NDArray[np.integer]) -> None:
    some = np.flatnonzero(turns_us != NEVER_US)
    np.minimum.at(turns, building[some], np.abs(turns_us[some]))


def _fill_up(
    units: Columns, floors: Columns, buildings: Columns, building: Wide, rules: BuildingRules
) -> None:
    """What a unit does not say of itself, its floor or building says; and the storey rule."""
    floor = units["floor"]
    area = units["leasable_area_m2"]
    by_area = area == Width.LARGE.unknown
    area[by_area] = units["capacity"][by_area]
    for names, source, place in (
        (_OF_FLOORS, floors, floor),
        (_OF_BUILDINGS, buildings, building),
    ):
        for name in names:
            own = units[name]
            unsaid = np.flatnonzero(own == COLUMNS[name].width.unknown)
            own[unsaid] = source[name][place[unsaid]]
    height = buildings["height"].astype(np.float64)
    height[buildings["height"] == Width.LARGE.unknown] = np.nan
    of_floor = floors["building"]
    storeys = storey_class(
        floors["level_index"],
        buildings["floors_above"][of_floor],
        height[of_floor] / _HEIGHT_GRAIN,
        rules,
    )
    units["storey_class"] = storeys[floor]


def _ground(
    read: _Read, buildings: Columns
) -> tuple[dict[str, NDArray[Any]], tuple[ParkInfo, ...], tuple[str, ...]]:
    """The buildings with where they stand, the parks, and the land-use codes."""
    parks = tuple(
        ParkInfo(code, frozenset(parks), frozenset(zones), pilot)
        for code, parks, zones, pilot in sorted(read.parks)
    )
    by_fid = {row[0]: row[1:] for row in read.places}
    there = [by_fid[fid] for fid in buildings["fid"].tolist()]
    park_at = {park.code: place for place, park in enumerate(parks)}
    land_use_codes = tuple(sorted({row[2] for row in there}))
    land_use_at = {code: place for place, code in enumerate(land_use_codes)}
    centre = np.array([row[3:] for row in there], dtype=np.float64).reshape(-1, 2)
    raw: dict[str, NDArray[Any]] = {
        **buildings,
        "code": np.array([row[0] for row in there], dtype=object),
        "park": np.array([park_at[row[1]] for row in there], dtype=np.int32),
        "land_use": np.array([land_use_at[row[2]] for row in there], dtype=np.int32),
        "centre": centre,
        "distances": nearest(centre, read.facilities),
    }
    return raw, parks, land_use_codes


def _power(units: Columns, taken: Taken, claimed: Wide, building: Wide) -> Steps:
    """What is promised of each building's power: units' power, or the share that is taken of it."""
    kva, capacity = units["power_kva"].astype(np.int64), units["capacity"].astype(np.int64)
    kva[kva == Width.LARGE.unknown] = 0
    share = (kva[claimed] * taken.quantity + capacity[claimed] // 2) // capacity[claimed]
    some = share > 0
    return promised_steps(
        building[claimed][some], Taken(*(column[some] for column in taken)), share[some]
    )


def _walls(rows: Rows, ones: Wide, others: Wide) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pairs of rows; a unit of several rows has its walls in each."""
    known = (ones >= 0) & (others >= 0)
    behind = unit_ends(rows.fid)
    ends = [(units, behind[units]) for units in (ones[known], others[known])]
    counts = [high - low for low, high in ends]
    pair = np.repeat(np.arange(len(counts[0])), counts[0] * counts[1])
    within = np.arange(len(pair)) - np.searchsorted(pair, pair)
    one = ends[0][0][pair] + within // counts[1][pair]
    other = ends[1][0][pair] + within % counts[1][pair]
    return one.astype(np.int32), other.astype(np.int32)


def _links(building_fids: NDArray[np.integer], links: Columns) -> NDArray[np.int32]:
    made = np.stack(
        [
            _places(building_fids, links["one"]),
            _places(building_fids, links["other"]),
            links["level_of_one"],
            links["level_of_other"],
        ],
        axis=1,
    )
    return made[(made[:, :2] >= 0).all(axis=1)].astype(np.int32)
