"""Small made-up segments with everything a unit can be, and demands that meet them at the edges."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np

from app.kernel.terms import UnitType
from app.matching.columns import COLUMNS, FACILITIES, NEVER, Column, Kind, Width
from app.matching.engine.program import Program, make_program
from app.matching.rules.demand import Demand, Growth, Window
from app.matching.rules.table import BY_KEY, CONSTRAINTS
from app.matching.segment import Raw, Segment, Snapshot, Version, assemble
from tests.matching.rules.worlds import (
    DAY,
    GRID,
    LAND_USES,
    PARKS,
    TERMS,
    make_need,
    seeded,
)

#: Days on which calendars change, and eras begin and end.
DAYS = tuple(DAY + timedelta(days=45 * step) for step in range(-4, 16))
KINDS = COLUMNS["unit_type"].order[:2]
_UNKNOWN = Width.LARGE.unknown
#: The constraints that every demand has.
ALWAYS = ("unit_type", "availability")
_OTHERS = tuple(key for key in BY_KEY if key not in ALWAYS)
#: Needs that seldom refuse everything, so that something is left for the others.
_MILD = (
    *("min_area_m2", "max_area_m2", "places", "term_months", "min_power_kva", "min_clear_height_m"),
    *("max_rent_cny_per_m2_day", "max_rent_cny_per_year", "power_left", "hoist_opening", "zones"),
    *("whole_floor", "physical_state", "min_floor_load_kn_m2", "min_cold_storage_m2"),
)


def make_segment(seed: int, buildings: int = 8, suffix: str = "", *, easy: bool = False) -> Segment:
    """Some buildings; ``suffix`` is of their codes. In an easy one most units are free."""
    return assemble(make_raw(seed, buildings, suffix, easy=easy))


def make_raw(seed: int, buildings: int = 8, suffix: str = "", *, easy: bool = False) -> Raw:
    """The same, not yet assembled."""
    known = 0.9
    rng = seeded(seed)
    floors = [
        (building, level)
        for building in range(buildings)
        for level in rng.sample((-1, 0, 1, 5), rng.randint(1, 3))
    ]
    units: list[dict[str, int]] = []
    steps: list[tuple[int, int, int]] = []
    for floor in range(len(floors)):
        for _ in range(rng.choice((1, 1, 2, 4, 6))):
            for era in _eras(rng):
                unit = _unit(rng, known) | {"floor": floor, "fid": len(units) + 1} | era
                steps += [(len(units), *step) for step in _calendar(rng, unit, easy=easy)]
                units.append(unit)
    power = [
        (building, day.toordinal(), rng.choice(GRID) * 10)
        for building in range(buildings)
        for day in DAYS
        if rng.random() < 0.25
    ]
    return Raw(
        parks=PARKS,
        land_use_codes=LAND_USES,
        buildings=_buildings(rng, buildings, known, suffix),
        floors={
            "fid": np.arange(len(floors)) + 1,
            "building": np.array([building for building, _ in floors]),
            "level_index": np.array([level for _, level in floors]),
        },
        units={name: np.array([unit[name] for unit in units]) for name in units[0]},
        steps=_columns_of(steps),
        power=_columns_of(power),
        walls=_walls(rng, units),
    )


def with_stale(segment: Segment, seed: int) -> Segment:
    """Some of its buildings belong to a newer segment."""
    rng = np.random.default_rng(seed)
    stale = rng.random(len(segment.buildings.fid)) < 0.2
    return replace(segment, buildings=replace(segment.buildings, stale=stale))


def make_demand(seed: int, *, easy: bool = False) -> Demand:
    """A demand with some needs, hard and soft; an easy one asks for much space and little else."""
    rng = seeded(seed)
    if easy:
        demand = make_demand(seed)
        kept = {key: demand.hard[key] for key in ALWAYS}
        return replace(demand, hard={**kept, "min_area_m2": rng.choice((1.0, 100.0, 6000.0))})
    hard = {key: make_need(rng, key) for key in rng.sample(_MILD, rng.choice((0, 0, 1, 1, 2, 5)))}
    hard |= {key: make_need(rng, key) for key in rng.sample(_OTHERS, rng.choice((0, 0, 0, 1, 12)))}
    soft = {key: make_need(rng, key) for key in rng.sample(_OTHERS, rng.randint(0, 5))}
    start = rng.choice(DAYS[3:9])
    window = Window(
        start, start + timedelta(days=rng.choice((0, 100, 300))), rng.choice((1, 6, 12))
    )
    hard |= {"unit_type": rng.choice(KINDS), "availability": window}
    return Demand(
        hard=hard,
        soft=soft,
        window=window,
        terms=TERMS,
        rules_version="tests",
        target_area_m2=rng.choice((None, None, 2.0, 7.55, 100.0)),
        weights=rng.choice(({}, {"wishes": 50, "rent": 25, "area_fit": 25}, {"relay": 100})),
        growth=rng.choice((None, Growth(UnitType.PILOT, 500.0, DAY, "扩张", "growth"))),
    )


def programs(count: int, *, easy: bool = False) -> Iterator[Program]:
    """Demands on segments, one of each seed."""
    for seed in range(count):
        segment = with_stale(make_segment(seed, easy=easy), seed)
        yield make_program(segment, make_demand(seed, easy=easy), CONSTRAINTS)


def make_snapshot(seed: int, *, easy: bool = False) -> Snapshot:
    """Two segments whose buildings lie between each other's."""
    older = with_stale(make_segment(seed, suffix="-a", easy=easy), seed)
    newer = make_segment(seed + 1_000_000, buildings=4, suffix="-b", easy=easy)
    taken_at = datetime(2027, 1, 1, tzinfo=UTC)
    return Snapshot((older, newer), Version(1, 1, frozenset(), taken_at))


def shuffled(raw: Raw, seed: int) -> Raw:
    """The same world with its rows read in another order."""
    rng = np.random.default_rng(seed)
    buildings, floors, units = (
        rng.permutation(len(part["fid"])) for part in (raw.buildings, raw.floors, raw.units)
    )
    now = {
        name: np.argsort(order) for name, order in (("b", buildings), ("f", floors), ("u", units))
    }

    def entries(columns: Any, at: Any) -> Any:
        moved = at[columns[0].astype(np.int64)].astype(np.int32)
        order = np.lexsort((columns[1], moved))
        return moved[order], columns[1][order], columns[2][order]

    return replace(
        raw,
        buildings={
            name: cells[:, buildings] if name == "distances" else cells[buildings]
            for name, cells in raw.buildings.items()
        },
        floors={
            name: now["b"][cells[floors]] if name == "building" else cells[floors]
            for name, cells in raw.floors.items()
        },
        units={
            name: now["f"][cells[units]] if name == "floor" else cells[units]
            for name, cells in raw.units.items()
        },
        steps=entries(raw.steps, now["u"]),
        power=entries(raw.power, now["b"]),
        walls=(now["u"][raw.walls[0]].astype(np.int32), now["u"][raw.walls[1]].astype(np.int32)),
    )


def relay_of(segment: Segment, seed: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A made-up outlook for every building."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1001, len(segment.buildings.fid)).astype(np.int16)


def _eras(rng: Random) -> list[dict[str, int]]:
    """Mostly one for ever; else the unit is another from a day on, or ends, or is yet to be."""
    day = rng.choice(DAYS[4:10]).toordinal()
    always = {"applies_from": 0, "applies_until": NEVER}
    before = {"applies_from": 0, "applies_until": day}
    after = {"applies_from": day, "applies_until": NEVER}
    return rng.choice(([always],) * 8 + ([before, after], [before], [after]))


def _unit(rng: Random, known: float) -> dict[str, int]:
    unit = {
        name: _cell(rng, column) if rng.random() < known else column.width.unknown
        for name, column in COLUMNS.items()
        if name != "first_free"
    }
    for name, words in (("unit_type", KINDS), ("capacity_measure", ("m2", "m2", "place"))):
        unit[name] = COLUMNS[name].cell(rng.choice(words))
    for name in ("leasable_area_m2", "capacity", "physical_state", "is_ground_floor"):
        unit[name] = _cell(rng, COLUMNS[name])
    area, capacity = (max(50, unit[name]) for name in ("leasable_area_m2", "capacity"))
    by_place = unit["capacity_measure"] == COLUMNS["capacity_measure"].cell("place")
    unit["leasable_area_m2"], unit["capacity"] = area, capacity if by_place else area
    unit["min_part"] = _UNKNOWN
    if rng.random() < 0.5:
        unit["min_part"] = max(1, unit["capacity"] // rng.choice((1, 2, 3, 10)))
    unit["keeps_lettable_remainder"] = int(rng.random() < 0.6)
    unit["rent_cny_per_place_month"] = _UNKNOWN
    if by_place and rng.random() < 0.7:
        unit["rent_cny_per_place_month"] = rng.choice((50_000, 123_456))
    return unit


def _cell(rng: Random, column: Column) -> int:
    if column.kind is Kind.NUMBER:
        return column.cell(rng.choice((*GRID, 6.25, 33.33)))
    if column.kind is Kind.RANK:
        return rng.randint(1, len(column.order))
    return rng.randint(0, 1)


def _calendar(rng: Random, unit: dict[str, int], *, easy: bool) -> list[tuple[int, int]]:
    """Steps of what is free: never, once, or as often as claims come and go."""
    capacity, least = unit["capacity"], unit["min_part"]
    if easy and rng.random() < 0.8:
        return [(rng.choice(DAYS[:9]).toordinal(), capacity)]
    levels = [0, capacity]
    if least != _UNKNOWN:
        levels += [least, capacity - least, capacity - 1, capacity // 2]
    days = sorted(rng.sample(DAYS, rng.choice((0, 1, 1, 1, 3, 5))))
    return [(day.toordinal(), max(0, rng.choice([*levels[-5:], capacity]))) for day in days]


def _buildings(rng: Random, count: int, known: float, suffix: str) -> dict[str, Any]:
    def maybe(value: int) -> int:
        return value if rng.random() < known else _UNKNOWN

    return {
        "fid": np.arange(count) + 1,
        "code": np.array([f"b-{(7 * place) % 101:03}{suffix}" for place in range(count)]),
        "park": np.array([rng.randrange(len(PARKS)) for _ in range(count)]),
        "land_use": np.array([rng.randrange(len(LAND_USES)) for _ in range(count)]),
        "centre": np.array([(121.5 + rng.random() / 4, 31.125 + rng.random() / 4)] * count),
        "distances": np.array(
            [[maybe(round(rng.choice(GRID) * 100)) for _ in range(count)] for _ in FACILITIES]
        ),
        "height": np.full(count, 2400),
        "floors_above": np.full(count, 6),
        "power_kva": np.array([maybe(round(rng.choice(GRID) * 20)) for _ in range(count)]),
    }


def _walls(rng: Random, units: list[dict[str, int]]) -> Any:
    """Most units of a floor share a wall with the next."""
    one = [
        place
        for place, unit in enumerate(units[1:])
        if unit["floor"] == units[place]["floor"] and rng.random() < 0.8
    ]
    return np.array(one, dtype=np.int32), np.array(one, dtype=np.int32) + np.int32(1)


def _columns_of(entries: list[tuple[int, int, Any]]) -> Any:
    table = np.array(entries, dtype=np.int32).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
