"""Reads a segment: some buildings, or all, as they were known at an instant.

A handful of set-based statements, however many units. Cells are whole numbers when they leave the
database; what a unit takes from its floor or building, distances, calendars and power are worked
out here in whole arrays. ``candidates.CANDIDATES`` says the same in SQL, row by row; the tests hold
both equal.
"""

from collections.abc import Collection, Iterator, Sequence
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
from app.matching.columns import COLUMNS, Width
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
from app.matching.snapshots.copying import Columns
from app.matching.snapshots.distances import nearest
from app.matching.snapshots.reading import (
    HEIGHT_GRAIN,
    NEVER_US,
    OF_BUILDINGS,
    OF_FLOORS,
    Connection,
    Read,
    read,
)
from app.settings import settings

_ODD, _ODDER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


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
    said, instant = connection.execute(
        "SELECT pg_current_snapshot()::text, coalesce(%s::timestamptz, clock_timestamp())", [as_of]
    ).fetchall()[0]
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
    found = read(connections, as_of, buildings, None if version is None else str(version))
    return put_together(found, rules or building_rules(), since)


class _Ids:
    """Finds rows by their ids, millions at a time: a table of places by a hash of the id."""

    def __init__(self, ids: NDArray[Any], places: Wide | None = None) -> None:
        self._bits = np.uint64(64 - max(len(ids), 1).bit_length() - 1)
        hashes = self._hash(ids)
        order = np.argsort(hashes)
        self._ids, self._places = ids[order], order if places is None else places[order]
        counts = np.bincount(hashes, minlength=1 << 64 - int(self._bits))
        self._starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])

    def find(self, wanted: NDArray[Any]) -> Wide:
        """The place of each; -1 where there is none."""
        # Most come several in a row, and those are found once.
        new = np.ones(len(wanted), dtype=np.bool_)
        new[1:] = (wanted["low"][1:] != wanted["low"][:-1]) | (
            wanted["high"][1:] != wanted["high"][:-1]
        )
        first = np.flatnonzero(new)
        return np.repeat(self._find(wanted[first]), np.diff(first, append=len(wanted)))

    def _find(self, wanted: NDArray[Any]) -> Wide:
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


def put_together(read: Read, rules: BuildingRules, since: date | None) -> Loaded:
    """A segment of what was read; see ``load``."""
    first_day = 0 if since is None else since.toordinal()
    buildings = _sorted(read.buildings, "fid")
    floors = _sorted(read.floors, "fid")
    floors["building"] = _Ids(buildings["id"]).find(floors["building"])
    floors = _only(floors, floors["building"] >= 0)
    units = read.units
    units["floor"] = _Ids(floors["id"]).find(units["floor"])
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
            steps=steps_since(free_steps(rows, taken), first_day),
            power=steps_since(
                _power(units, taken, row_on(rows, taken.unit, taken.first), building), first_day
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
        (OF_FLOORS, floors, floor),
        (OF_BUILDINGS, buildings, building),
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
        height[of_floor] / HEIGHT_GRAIN,
        rules,
    )
    units["storey_class"] = storeys[floor]


def _ground(
    read: Read, buildings: Columns
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
