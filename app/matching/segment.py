"""The units a demand is judged against, column by column. Pure and immutable.

A ``Segment`` is some buildings with everything in them; a building is never in two halves, because
what can be taken together lies within a building (or within linked ones, which count as one here).
A ``Snapshot`` is one or more segments that together are all space at one instant: a large one that
was read once, and a small one with the buildings that changed since. Buildings that a newer segment
holds are ``stale`` in the older one, and nothing in them is found there.

Rows (units) are sorted by kind of space, then by building code, level and the unit's number; equal
scores are settled in that order. The units of one kind on one floor are a ``group`` of consecutive
rows. A unit whose size changes on a day to come has a row for each size; ``era`` says for which
first days a row is the unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import AT, BY_WIDTH, COLUMNS, NEVER, Column, Width, rank_of

Small = NDArray[np.int8]
Middle = NDArray[np.int16]
Large = NDArray[np.int32]
Wide = NDArray[np.int64]
Truths = NDArray[np.bool_]
Cells = NDArray[np.integer]
Rows = NDArray[np.int64]

#: Units of one group whose walls are known to each other; those beyond take part in no bundle
#: except that of the whole floor.
GROUP_MOST = 32
#: Most groups are no larger: what is beyond is kept apart.
_NEAR_MOST = np.uint32(8)
_NEAR_BITS = np.uint32(0xFF)


@dataclass(frozen=True, slots=True)
class ParkInfo:
    """A park with the codes it answers to: its own and those of the parks and zones around it."""

    code: str
    park_codes: frozenset[str]
    zone_codes: frozenset[str]
    special_goods_import_pilot: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """Which transactions a snapshot has seen, as ``pg_snapshot`` says it, and when it was read."""

    xmin: int
    xmax: int
    in_flight: frozenset[int]
    taken_at: datetime

    def sees(self, transaction: int) -> bool:
        """Whether a transaction's writes are in it.

        >>> from datetime import UTC
        >>> read = Version(10, 20, frozenset({12}), datetime(2026, 1, 1, tzinfo=UTC))
        >>> read.sees(9), read.sees(12), read.sees(13), read.sees(20)
        (True, False, True, False)
        """
        if transaction < self.xmin:
            return True
        return transaction < self.xmax and transaction not in self.in_flight

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.in_flight)))}"


@dataclass(frozen=True, slots=True)
class Buildings:
    """One entry for each building, sorted by code.

    Attributes:
        fid: the database's number.
        code: the building's code.
        park, land_use: places in ``Segment.parks`` and ``Segment.land_use_codes``.
        centre: longitude and latitude of its middle, shape ``(n_buildings, 2)``, degrees.
        distances: centimetres to the nearest facility of each type of ``FACILITIES``, shape
            ``(n_facilities, n_buildings)``; unknown where there is none.
        height, floors_above: hundredths of metres, and floors; for words.
        power_kva: tenths of kVA that the building is fed with; unknown where not recorded.
        power_at, power_day, power_used: tenths of kVA promised with the units that are taken:
            building *b* has ``power_used[i]`` taken from ``power_day[i]`` on, until the next, for
            *i* from ``power_at[b]`` to ``power_at[b + 1]``; nothing before the first.
        links: rows ``(building, building, level_index, level_index)`` that a passage joins.
        stale: whether a newer segment holds the building.
    """

    fid: Large
    code: tuple[str, ...]
    park: Large
    land_use: Large
    centre: NDArray[np.float64]
    distances: Large
    height: Large
    floors_above: Middle
    power_kva: Large
    power_at: Large
    power_day: Large
    power_used: Large
    links: Large
    stale: Truths


@dataclass(frozen=True, slots=True)
class Floors:
    """One entry for each floor, sorted by building, then from the lowest up."""

    fid: Large
    building: Large
    level_index: Middle


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Groups:
    """The units of one kind on one floor: rows ``start[g]`` to ``start[g + 1]``.

    One is equal to itself alone, and stays where only ``Buildings.stale`` becomes another: what is
    worked out once of a segment's arrays is kept by it.

    Sorted as rows are: by kind, building, level. ``of_kind[rank]`` and ``of_kind[rank + 1]`` bound
    the groups of a kind of space.
    """

    start: Large
    floor: Large
    of_kind: Large


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Segment:
    """Some buildings with their floors and units; one is equal to itself alone.

    Attributes:
        parks, land_use_codes: what buildings refer to.
        cells: by width, a matrix of shape ``(n_columns, n_units)`` in the order of ``BY_WIDTH``.
        fid: the database's number of each unit.
        floor: each unit's place in ``floors``.
        neighbours: bit *j* is set where the unit shares a wall with the *j*-th of its group, of the
            first eight; ``far_row`` are the rows, ascending, that share one with any behind them,
            and ``far_bits`` those bits. ``neighbours_of`` has both.
        era: each unit's place in ``era_from`` and ``era_until``: first days (inclusive, exclusive)
            for which the row is the unit. Outside them the row is not there.
        step_at, step_day, step_free: unit *u* has ``step_free[i]`` hundredths of its measure free
            from ``step_day[i]`` on, until the next, for *i* from ``step_at[u]`` to
            ``step_at[u + 1]``; nothing is free before the first. The last goes on for ever. Most
            units have none: all of such a unit is free from ``first_free`` on, for ever.
    """

    parks: tuple[ParkInfo, ...]
    land_use_codes: tuple[str, ...]
    buildings: Buildings
    floors: Floors
    groups: Groups
    cells: Mapping[Width, Cells]
    fid: Large
    floor: Large
    neighbours: NDArray[np.uint8]
    far_row: Large
    far_bits: NDArray[np.uint32]
    era: Middle
    era_from: Large
    era_until: Large
    step_at: Large
    step_day: Large
    step_free: Large

    def __len__(self) -> int:
        return len(self.fid)

    def column(self, name: str) -> Cells:
        """One column's cells, shape ``(n_units,)``."""
        width, place = AT[name]
        cells: Cells = self.cells[width][place]
        return cells

    def cell(self, name: str, row: int) -> int:
        """One cell: of a single unit several times as fast as by way of its column."""
        width, place = AT[name]
        return int(self.cells[width][place, row])

    def rows_of(self, unit_type: str) -> tuple[int, int]:
        """The first row of a kind of space, and the first behind it."""
        rank = rank_of("unit_type", unit_type)
        low, high = self.groups.of_kind[rank], self.groups.of_kind[rank + 1]
        return int(self.groups.start[low]), int(self.groups.start[high])

    def value(self, name: str, row: int) -> object:
        """One value as a person knows it; None where unknown."""
        return COLUMNS[name].value(self.cell(name, row))

    def calendar(self, row: int) -> list[tuple[int, int]]:
        """From which days on how much of a unit is free, until the next; nothing before."""
        low, high = int(self.step_at[row]), int(self.step_at[row + 1])
        if low < high:
            days, free = self.step_day[low:high].tolist(), self.step_free[low:high].tolist()
            return list(zip(days, free, strict=True))
        first = int(self.column("first_free")[row])
        return [] if first == NEVER else [(first, int(self.column("capacity")[row]))]

    def neighbours_of(self, rows: Rows) -> NDArray[np.uint32]:
        """Of each row, a bit for each unit of its group with which it shares a wall."""
        bits = self.neighbours[rows].astype(np.uint32)
        if len(self.far_row):
            place = np.minimum(np.searchsorted(self.far_row, rows), len(self.far_row) - 1)
            far = self.far_row[place] == rows
            bits[far] |= self.far_bits[place[far]]
        return bits

    def building_of(self, row: int) -> int:
        """The place of a unit's building."""
        return int(self.floors.building[self.floor[row]])

    def place_of(self, row: int) -> tuple[str, int, int]:
        """What units of one kind are sorted by, whichever segment they are in."""
        floor = int(self.floor[row])
        return (
            self.buildings.code[int(self.floors.building[floor])],
            int(self.floors.level_index[floor]),
            int(self.fid[row]),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = [
            *self.cells.values(),
            *(getattr(self, name) for name in _ARRAYS),
            *(
                value
                for part in (self.buildings, self.floors, self.groups)
                for name in part.__slots__
                if isinstance(value := getattr(part, name), np.ndarray)
            ),
        ]
        return sum(array.nbytes for array in arrays)


_ARRAYS = (
    *("fid", "floor", "neighbours", "far_row", "far_bits", "era", "era_from", "era_until"),
    *("step_at", "step_day", "step_free"),
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All space at one instant; a building is live in exactly one of the segments."""

    segments: tuple[Segment, ...]
    version: Version


@dataclass(slots=True)
class Raw:
    """What a segment is assembled from, in any order.

    ``units`` has an array for each of ``COLUMNS`` (in cells; ``first_free`` is worked out), and
    ``fid``, ``floor`` (place in ``floors``), ``applies_from``, ``applies_until`` (days).
    ``buildings`` and ``floors`` have the arrays of ``Buildings`` (without those of power in time,
    links and stale) and of ``Floors`` in any order; places refer to the raw order.

    ``steps`` are ``(unit, day, free)``, ``power`` are ``(building, day, used)``; both sorted by
    their first two, one entry a day. ``walls`` are pairs of units, ``links`` rows of
    ``(building, building, level, level)``. Units are raw places.
    """

    parks: tuple[ParkInfo, ...]
    land_use_codes: tuple[str, ...]
    buildings: Mapping[str, NDArray[np.generic]]
    floors: Mapping[str, NDArray[np.generic]]
    units: Mapping[str, NDArray[np.generic]]
    steps: tuple[Large, Large, Large]
    power: tuple[Large, Large, Large] = field(default_factory=lambda: (_none(), _none(), _none()))
    walls: tuple[Large, Large] = field(default_factory=lambda: (_none(), _none()))
    links: Large = field(default_factory=lambda: np.zeros((0, 4), dtype=np.int32))


def _none() -> Large:
    return np.zeros(0, dtype=np.int32)


def assemble(raw: Raw) -> Segment:
    """Sort, link and freeze the raw arrays.

    Raises:
        ValueError: a unit has no free steps at all but is wanted, or numbers exceed their cells.
    """
    building_codes = np.asarray(raw.buildings["code"], dtype=object)
    building_order = np.array(
        sorted(range(len(building_codes)), key=lambda place: str(building_codes[place])),
        dtype=np.int64,
    )
    building_at = _inverse(building_order)
    floor_building = building_at[raw.floors["building"].astype(np.int64)]
    floor_level = raw.floors["level_index"].astype(np.int64)
    floor_order = np.lexsort((floor_level, floor_building))
    floor_at = _inverse(floor_order)

    kinds = raw.units["unit_type"].astype(np.int64)
    unit_floor = floor_at[raw.units["floor"].astype(np.int64)]
    fid = _numbers(raw.units["fid"])
    # One key for what sorts most: kind and floor; numbers and eras settle the rest.
    order = np.lexsort(
        (raw.units["applies_from"], fid, kinds * (len(floor_order) + 1) + unit_floor)
    )
    unit_at = _inverse(order)

    cells = {width: _matrix(raw, width, order) for width in Width}
    floor = unit_floor[order].astype(np.int32)
    steps = _runs(unit_at[raw.steps[0].astype(np.int64)], raw.steps[1:], len(order))
    power = _runs(building_at[raw.power[0].astype(np.int64)], raw.power[1:], len(building_order))
    kind_of_row = cells[Width.SMALL][BY_WIDTH[Width.SMALL].index("unit_type")].astype(np.int64)
    groups = _groups(kind_of_row, floor)
    _set_first_free(cells, steps)
    steps = _unlike_first_free(cells, steps)
    neighbours = _neighbours(raw.walls, unit_at, groups, len(order))
    far_row = np.flatnonzero(neighbours >> _NEAR_MOST)
    era, era_from, era_until = _eras(raw.units, order)
    links = raw.links.copy()
    if len(links):
        links[:, :2] = building_at[links[:, :2].astype(np.int64)]
    b = raw.buildings
    buildings = Buildings(
        fid=_frozen(_numbers(b["fid"])[building_order], np.int32),
        code=tuple(str(building_codes[place]) for place in building_order),
        park=_frozen(b["park"][building_order], np.int32),
        land_use=_frozen(b["land_use"][building_order], np.int32),
        centre=_frozen(b["centre"][building_order], np.float64),
        distances=_frozen(b["distances"][:, building_order], np.int32),
        height=_frozen(b["height"][building_order], np.int32),
        floors_above=_frozen(b["floors_above"][building_order], np.int16),
        power_kva=_frozen(b["power_kva"][building_order], np.int32),
        power_at=power[0],
        power_day=power[1],
        power_used=power[2],
        links=_frozen(links, np.int32),
        stale=_frozen(np.zeros(len(building_order)), np.bool_),
    )
    return Segment(
        parks=raw.parks,
        land_use_codes=raw.land_use_codes,
        buildings=buildings,
        floors=Floors(
            fid=_frozen(_numbers(raw.floors["fid"])[floor_order], np.int32),
            building=_frozen(floor_building[floor_order], np.int32),
            level_index=_frozen(floor_level[floor_order], np.int16),
        ),
        groups=groups,
        cells={width: _frozen(matrix, width.value) for width, matrix in cells.items()},
        fid=_frozen(fid[order], np.int32),
        floor=_frozen(floor, np.int32),
        neighbours=_frozen(neighbours & _NEAR_BITS, np.uint8),
        far_row=_frozen(far_row, np.int32),
        far_bits=_frozen(neighbours[far_row] & ~_NEAR_BITS, np.uint32),
        era=era,
        era_from=era_from,
        era_until=era_until,
        step_at=steps[0],
        step_day=steps[1],
        step_free=steps[2],
    )


def _inverse(order: Rows) -> Rows:
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return places


def _matrix(raw: Raw, width: Width, order: Rows) -> Cells:
    names = BY_WIDTH[width]
    matrix: Cells = np.empty((len(names), len(order)), dtype=width.value)
    for place, name in enumerate(names):
        if name == "first_free":
            matrix[place] = NEVER
        else:
            matrix[place] = raw.units[name][order]
    return matrix


def _runs(owner: Rows, values: tuple[Large, ...], count: int) -> tuple[Large, Large, Large]:
    """Entries sorted by their owners, and where each owner's begin; days stay in order."""
    order = np.argsort(owner, kind="stable")
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=count), out=starts[1:])
    days, levels = (value[order] for value in values)
    return _frozen(starts, np.int32), _frozen(days, np.int32), _frozen(levels, np.int32)


def _groups(kinds: Wide, floor: Large) -> Groups:
    count = len(floor)
    if not count:
        return Groups(
            _frozen(np.zeros(1), np.int32),
            _frozen(np.zeros(0), np.int32),
            _frozen(np.zeros(_kind_count() + 2), np.int32),
        )
    begins = np.ones(count, dtype=np.bool_)
    begins[1:] = (kinds[1:] != kinds[:-1]) | (floor[1:] != floor[:-1])
    start = np.flatnonzero(begins)
    of_kind = np.searchsorted(kinds[start], np.arange(_kind_count() + 2))
    return Groups(
        _frozen(np.append(start, count), np.int32),
        _frozen(floor[start], np.int32),
        _frozen(of_kind, np.int32),
    )


def _kind_count() -> int:
    return len(COLUMNS["unit_type"].order)


def _set_first_free(cells: Mapping[Width, Cells], steps: tuple[Large, Large, Large]) -> None:
    large = cells[Width.LARGE]
    names = BY_WIDTH[Width.LARGE]
    capacity, least = large[names.index("capacity")], large[names.index("min_part")]
    lets = np.where(least == Width.LARGE.unknown, capacity, least)
    step_at, days, free = steps
    owner = np.repeat(np.arange(len(lets)), np.diff(step_at))
    open_to_all = free >= lets[owner]
    np.minimum.at(large[names.index("first_free")], owner[open_to_all], days[open_to_all])


def _unlike_first_free(
    cells: Mapping[Width, Cells], steps: tuple[Large, Large, Large]
) -> tuple[Large, Large, Large]:
    """The steps of units that are not simply free as a whole from their first free day on."""
    large, names = cells[Width.LARGE], BY_WIDTH[Width.LARGE]
    step_at, days, free = steps
    counts = np.diff(step_at)
    single = np.flatnonzero(counts == 1)
    at = step_at[single]
    plain = (free[at] == large[names.index("capacity"), single]) & (
        days[at] == large[names.index("first_free"), single]
    )
    kept = np.ones(len(days), dtype=np.bool_)
    kept[at[plain]] = False
    counts[single[plain]] = 0
    starts = np.zeros(len(step_at), dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    return _frozen(starts, np.int32), _frozen(days[kept], np.int32), _frozen(free[kept], np.int32)


def _numbers(fids: NDArray[np.generic]) -> Wide:
    """The database's numbers, which must not exceed 32 bits."""
    wide = fids.astype(np.int64)
    if len(wide) and wide.max() > np.iinfo(np.int32).max:
        raise ValueError("numbers beyond 32 bits")
    return wide


def _eras(units: Mapping[str, NDArray[np.generic]], order: Rows) -> tuple[Middle, Large, Large]:
    low = units["applies_from"][order].astype(np.int64)
    high = units["applies_until"][order].astype(np.int64)
    # Both as one number, so that the few distinct pairs are found by one sort.
    distinct, era = np.unique(low * (NEVER + 1) + high, return_inverse=True)
    if len(distinct) > np.iinfo(np.int16).max:
        raise ValueError("too many days on which units change their terms")
    return (
        _frozen(era, np.int16),
        _frozen(distinct // (NEVER + 1), np.int32),
        _frozen(distinct % (NEVER + 1), np.int32),
    )


def _neighbours(
    walls: tuple[Large, Large], unit_at: Rows, groups: Groups, count: int
) -> NDArray[np.uint32]:
    shared = np.zeros(count, dtype=np.uint32)
    if len(walls[0]):
        group_of = np.repeat(np.arange(len(groups.floor)), np.diff(groups.start))
        one, other = (unit_at[ends.astype(np.int64)] for ends in walls)
        for left, right in ((one, other), (other, one)):
            place = right - groups.start[group_of[right]]
            near = (group_of[left] == group_of[right]) & (place < GROUP_MOST)
            near &= left - groups.start[group_of[left]] < GROUP_MOST
            bits = np.left_shift(np.uint32(1), place[near].astype(np.uint32))
            np.bitwise_or.at(shared, left[near], bits)
    return shared


def _frozen(array: NDArray[np.generic], dtype: type[np.generic]) -> NDArray:  # type: ignore[type-arg]
    made = np.ascontiguousarray(array, dtype=dtype)
    if made is array or made.base is not None:
        made = made.copy()
    made.setflags(write=False)
    return made


def empty_column(column: Column, count: int) -> Cells:
    """A column in which nothing is known."""
    cells: Cells = np.full(count, column.width.unknown, dtype=column.width.value)
    return cells
