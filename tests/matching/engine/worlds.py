"""Small made-up segments with everything a unit can be, and demands that meet them at the edges."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import numpy as np

from app.kernel.terms import UnitType
from app.matching.columns import COLUMNS, FACILITIES, NEVER, Column, Kind, Width
from app.matching.engine.program import Program, make_program
from app.matching.rules.demand import Demand, Growth, Window
from app.matching.rules.table import BY_KEY, CONSTRAINTS
from app.matching.segment import Raw, Segment, assemble
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


def make_segment(seed: int, buildings: int = 8, known: float = 0.9) -> Segment:
    """Some buildings; ``known`` is the chance that a value is recorded."""
    return assemble(make_raw(seed, buildings, known))


def make_raw(seed: int, buildings: int = 8, known: float = 0.9) -> Raw:
    """The same, not yet assembled."""
    rng = seeded(seed)
    floors = [
        (building, level)
        for building in range(buildings)
        for level in rng.sample((-1, 0, 1, 5), rng.randint(1, 3))
    ]
    units: list[dict[str, int]] = []
    steps: list[tuple[int, int, int]] = []
    for floor in range(len(floors)):
        for _ in range(rng.choice((1, 1, 2, 3, 5))):
            for era in _eras(rng):
                unit = _unit(rng, known) | {"floor": floor, "fid": len(units) + 1} | era
                steps += [(len(units), *step) for step in _calendar(rng, unit)]
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
        buildings=_buildings(rng, buildings, known),
        floors={
            "fid": np.arange(len(floors)) + 1,
            "building": np.array([building for building, _ in floors]),
            "level_index": np.array([level for _, level in floors]),
        },
        units={name: np.array([unit[name] for unit in units]) for name in units[0]},
        steps=_columns_of(steps),
        power=_columns_of(power),
    )


def with_stale(segment: Segment, seed: int) -> Segment:
    """Some of its buildings belong to a newer segment."""
    rng = np.random.default_rng(seed)
    stale = rng.random(len(segment.buildings.fid)) < 0.2
    return replace(segment, buildings=replace(segment.buildings, stale=stale))


def make_demand(seed: int) -> Demand:
    """A demand with some needs, hard and soft."""
    rng = seeded(seed)
    hard = {key: make_need(rng, key) for key in rng.sample(_MILD, rng.randint(0, 5))}
    hard |= {key: make_need(rng, key) for key in rng.sample(_OTHERS, rng.choice((0, 0, 1, 12)))}
    soft = {key: make_need(rng, key) for key in rng.sample(_OTHERS, rng.randint(0, 5))}
    start = rng.choice(DAYS[3:9])
    window = Window(start, start + timedelta(days=rng.choice((0, 30, 200))), rng.choice((1, 6, 12)))
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


def programs(count: int, first: int = 0) -> Iterator[Program]:
    """Demands on segments, one of each seed."""
    for seed in range(first, first + count):
        yield make_program(with_stale(make_segment(seed), seed), make_demand(seed), CONSTRAINTS)


def relay_of(segment: Segment, seed: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A made-up outlook for every building."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1001, len(segment.buildings.fid)).astype(np.int16)


def differing(seeds: int, wrong: Callable[[int], bool]) -> int:
    """On how many seeds something is wrong."""
    return sum(wrong(seed) for seed in range(seeds))


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


def _calendar(rng: Random, unit: dict[str, int]) -> list[tuple[int, int]]:
    """Steps of what is free: never, once, or as often as claims come and go."""
    capacity, least = unit["capacity"], unit["min_part"]
    levels = [0, capacity]
    if least != _UNKNOWN:
        levels += [least, capacity - least, capacity - 1, capacity // 2]
    days = sorted(rng.sample(DAYS, rng.choice((0, 1, 1, 1, 3, 5))))
    return [(day.toordinal(), max(0, rng.choice([*levels[-5:], capacity]))) for day in days]


def _buildings(rng: Random, count: int, known: float) -> dict[str, Any]:
    def maybe(value: int) -> int:
        return value if rng.random() < known else _UNKNOWN

    return {
        "fid": np.arange(count) + 1,
        "code": np.array([f"building-{(7 * place) % 101:03}" for place in range(count)]),
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


def _columns_of(entries: list[tuple[int, int, Any]]) -> Any:
    table = np.array(entries, dtype=np.int32).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def civil(ordinal: int) -> date | None:
    """A day as people know it; None where it never comes."""
    return None if ordinal == NEVER else date.fromordinal(ordinal)
