"""A million made-up units with the shape of a city's parks: for speed, and for the benchmarks.

Sixty parks of buildings of one kind each, six floors, four to twelve units a floor in two rows on a
corridor (back to back in plants), 85 % let for 30 to 3,650 days, some free twice, some let in parts
or by the place, and here and there a value that nobody recorded.
"""

from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demand.rules import SpaceTerms, Spread
from app.kernel.terms import PhysicalState
from app.matching.columns import COLUMNS, FACILITIES, Width, rank_of
from app.matching.rules.demand import Demand, Window
from app.matching.rules.ground import LandNeed
from app.matching.rules.special import StoreyNeed
from app.matching.segment import ParkInfo, Raw, Segment, assemble

#: The day on which the made-up world is looked at: 2026-11-22.
TODAY = 739_942
PARKS = 60
FLOORS = 6
LET = 0.85
KINDS = ("incubation", "acceleration", "pilot", "hq_rd", "production")
LAND_USES = ("M1", "M2", "M4", "C65", "C65+C8", "M1/M4")
_PLANT = KINDS.index("production")
_PAST = TODAY - 2000
_UNKNOWN = 0.04
#: By kind of space: usual area, m², and rent, 元/㎡·天.
_AREAS = (150.0, 500.0, 900.0, 600.0, 1800.0)
_RENTS = (2.4, 3.2, 3.6, 5.2, 2.0)

Ints = NDArray[np.int64]


def million(seed: int = 20261122, units: int = 1_000_000) -> Segment:
    """A segment of about so many units."""
    return assemble(raw_world(seed, units))


def raw_world(seed: int, units: int) -> Raw:
    """The same, not yet assembled."""
    rng = np.random.default_rng(seed)
    buildings = max(1, round(units / (FLOORS * 8)))
    kind_of_building = rng.integers(0, len(KINDS), buildings)
    floor_building = np.repeat(np.arange(buildings), FLOORS)
    on_floor = rng.integers(4, 13, len(floor_building))
    floor = np.repeat(np.arange(len(floor_building)), on_floor)
    place = np.arange(len(floor)) - np.repeat(np.cumsum(on_floor) - on_floor, on_floor)
    kind = kind_of_building[floor_building[floor]]
    columns = _columns(rng, kind, floor % FLOORS)
    return Raw(
        parks=_parks(),
        land_use_codes=LAND_USES,
        buildings=_buildings(rng, buildings),
        floors={
            "fid": np.arange(len(floor_building)),
            "building": floor_building,
            "level_index": np.tile(np.arange(FLOORS), buildings),
        },
        units={
            **columns,
            "fid": np.arange(len(floor)) + 1,
            "floor": floor,
            "applies_from": np.zeros(len(floor), dtype=np.int64),
            "applies_until": np.full(len(floor), np.iinfo(np.int32).max, dtype=np.int64),
        },
        steps=_steps(rng, columns["capacity"], columns["min_part"]),
        power=_power(rng, buildings),
        walls=_walls(floor, place, on_floor, kind),
        links=_links(kind_of_building),
    )


def demands(count: int, seed: int = 7) -> list[Demand]:
    """Demands of sixteen hard constraints and five soft ones, as different as firms are."""
    rng = np.random.default_rng(seed)
    return [_demand(rng) for _ in range(count)]


def _demand(rng: np.random.Generator) -> Demand:
    kind = int(rng.integers(0, len(KINDS)))
    area = float(np.round(_AREAS[kind] * rng.uniform(0.6, 1.6)))
    start = date.fromordinal(TODAY) + timedelta(days=int(rng.integers(0, 200)))
    window = Window(start, start + timedelta(days=int(rng.integers(30, 270))), 36)
    land = LandNeed("工艺", "process", frozenset(rng.choice(LAND_USES[:4], 3, replace=False)), None)
    rent = float(np.round(_RENTS[kind] + rng.uniform(0.0, 1.0), 2))
    hard: dict[str, Any] = {
        "unit_type": KINDS[kind],
        "availability": window,
        "term_months": window.term_months,
        "min_area_m2": np.floor(area * 0.75).item(),
        "max_area_m2": np.ceil(area * 1.3).item(),
        "land_use": land,
        "fire_hazard_class": rng.choice(["wu", "ding"]).item(),
        "fire_storey": StoreyNeed("bing", 1, 24.0, 1),
        "min_floor_load_kn_m2": rng.choice([3.5, 5.0, 7.5]).item(),
        "min_clear_height_m": rng.choice([2.8, 3.3, 4.2]).item(),
        "min_power_density_w_m2": rng.choice([60.0, 80.0]).item(),
        "min_power_kva": area * 0.04,
        "min_waste_water_t_per_day": float(rng.integers(1, 10)),
        "biosafety_level": int(rng.integers(1, 3)),
        "max_rent_cny_per_m2_day": rent,
        "near": {
            "lon": float(rng.uniform(121.4, 121.8)),
            "lat": float(rng.uniform(31.0, 31.25)),
            "within_m": float(rng.integers(10_000, 40_000)),
        },
    }
    soft = {
        "hoist_opening": True,
        "steam": True,
        "purified_water": True,
        "min_cold_storage_m2": 20.0,
        "max_hospital_distance_m": 5_000.0,
    }
    band = Spread(_RENTS[kind] - 1.0, _RENTS[kind], _RENTS[kind] + 1.0)
    return Demand(
        hard=hard,
        soft=soft,
        window=window,
        terms=SpaceTerms(Spread(12, 36, 60), 3, band, "made up", "assumption"),
        rules_version="made up",
        target_area_m2=area,
    )


def _parks() -> tuple[ParkInfo, ...]:
    return tuple(
        ParkInfo(
            f"park-{number:02}",
            frozenset({f"park-{number:02}"}),
            frozenset({f"zone-{number % 7}"}),
            special_goods_import_pilot=number % 4 == 0,
        )
        for number in range(PARKS)
    )


def _buildings(rng: np.random.Generator, count: int) -> dict[str, NDArray[Any]]:
    park = np.sort(rng.integers(0, PARKS, count))
    middle = np.stack([rng.uniform(121.3, 121.9, PARKS), rng.uniform(30.9, 31.35, PARKS)], axis=1)
    numbers = np.arange(count)
    return {
        "fid": numbers + 1,
        "code": np.array(
            [f"p{at:02}-b{number:05}" for number, at in enumerate(park)], dtype=object
        ),
        "park": park,
        "land_use": rng.integers(0, len(LAND_USES), count),
        "centre": middle[park] + rng.normal(0, 0.004, (count, 2)),
        "distances": rng.integers(20_000, 1_500_000, (len(FACILITIES), count)),
        "height": rng.integers(1800, 4000, count),
        "floors_above": np.full(count, FLOORS),
        "power_kva": _forget(rng, rng.integers(20_000, 120_000, count), "power_kva"),
    }


def _columns(rng: np.random.Generator, kind: Ints, level: Ints) -> dict[str, Ints]:
    count = len(kind)
    by_place = (kind == 0) & (rng.random(count) < 0.15)
    area = np.round(rng.lognormal(np.log(np.array(_AREAS)[kind]), 0.5) * 100)
    area = np.clip(area, 2000, 2_000_000).astype(np.int64)
    capacity = np.where(by_place, rng.integers(4, 60, count) * 100, area)
    divisible = by_place | (rng.random(count) < 0.12)
    least = np.where(by_place, 100, np.minimum(capacity, np.maximum(2000, capacity // 4)))
    unknown = Width.LARGE.unknown
    rent = np.round(rng.normal(np.array(_RENTS)[kind], 0.7) * 10_000)
    made: dict[str, Ints] = {
        "unit_type": np.array([rank_of("unit_type", word) for word in KINDS])[kind],
        "capacity_measure": np.where(
            by_place, rank_of("capacity_measure", "place"), rank_of("capacity_measure", "m2")
        ),
        "capacity": capacity,
        "min_part": np.where(divisible, least, unknown),
        "keeps_lettable_remainder": (rng.random(count) < 0.7).astype(np.int64),
        "leasable_area_m2": area,
        "rent_cny_per_m2_day": np.clip(rent, 5000, None).astype(np.int64),
        "rent_cny_per_place_month": np.where(
            by_place, rng.integers(600, 2500, count) * 100, unknown
        ),
        "is_ground_floor": (level == 0).astype(np.int64),
        "storey_class": np.where(level == 0, 3, 2),
        "physical_state": rng.choice(
            [rank_of("physical_state", state.value) for state in PhysicalState],
            count,
            p=[0.05, 0.1, 0.45, 0.4],
        ),
        "fire_hazard_class": rng.integers(1, 5, count),
        "min_term_months": rng.choice([6, 12, 24], count),
        "max_term_months": rng.choice([36, 60, 120, 180], count),
        "floor_load_kn_m2": np.where(level == 0, 1500, rng.choice([350, 500, 750, 1000], count)),
        "clear_height_m": rng.choice([280, 330, 420, 480, 600], count),
        "power_density_w_m2": rng.choice([600, 800, 1200, 2000, 3000], count),
        "cleanroom_grade": rng.choice([1, 2, 3, 4], count, p=[0.6, 0.25, 0.1, 0.05]),
        "biosafety_level": rng.choice([1, 2, 3], count, p=[0.4, 0.57, 0.03]),
        "freight_lift_t": rng.choice([100, 200, 300, 500], count),
    }
    made["power_kva"] = made["power_density_w_m2"] * area // 100_000
    made["cold_storage_m2"] = rng.integers(0, 600, count)
    made["waste_water_t_per_day"] = rng.integers(0, 400, count)
    for name in ("hoist_opening", "steam", "gas", "purified_water", "dual_power_feed"):
        made[name] = (rng.random(count) < 0.6).astype(np.int64)
    for name in ("animal_facility", "isotope_class", "vibration_class"):
        made[name] = rng.integers(1, len(COLUMNS[name].order) + 1, count)
    always = {"unit_type", "capacity_measure", "capacity", "min_part", "leasable_area_m2"}
    always |= {"rent_cny_per_place_month", "keeps_lettable_remainder", "is_ground_floor"}
    return {
        name: cells if name in always else _forget(rng, cells, name) for name, cells in made.items()
    }


def _forget(rng: np.random.Generator, cells: Ints, name: str) -> Ints:
    known = rng.random(len(cells)) >= _UNKNOWN
    return np.where(known, cells, COLUMNS[name].width.unknown)


def _steps(
    rng: np.random.Generator, capacity: Ints, least: Ints
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    count = len(capacity)
    units = np.arange(count)
    is_let = rng.random(count) < LET
    again = rng.random(count) < 0.05
    falls_free = TODAY + rng.integers(30, 3651, count)
    let_again = falls_free + rng.integers(30, 1500, count)
    free_again = let_again + rng.integers(200, 1500, count)
    divided = is_let & (least != Width.LARGE.unknown) & (rng.random(count) < 0.5)
    rest = np.maximum(least, capacity // 200 * 100)
    entries = [
        (units[~is_let], np.full(count, _PAST)[~is_let], capacity[~is_let]),
        (units[divided], np.full(count, _PAST)[divided], np.minimum(rest, capacity)[divided]),
        (units[is_let], falls_free[is_let], capacity[is_let]),
        (units[again], let_again[again], np.zeros(count, dtype=np.int64)[again]),
        (units[again], free_again[again], capacity[again]),
    ]
    unit, day, free = (
        np.concatenate(parts).astype(np.int32) for parts in zip(*entries, strict=True)
    )
    order = np.lexsort((day, unit))
    return unit[order], day[order], free[order]


def _power(
    rng: np.random.Generator, buildings: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    building = np.repeat(np.arange(buildings), 3)
    day = np.sort(TODAY + rng.integers(-500, 2500, (buildings, 3)), axis=1)
    day += np.arange(3)
    used = np.sort(rng.integers(0, 60_000, (buildings, 3)), axis=1)[:, ::-1]
    return building.astype(np.int32), day.ravel().astype(np.int32), used.ravel().astype(np.int32)


def _walls(
    floor: Ints, place: Ints, on_floor: Ints, kind: Ints
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    units = np.arange(len(floor))
    row = (on_floor[floor] + 1) // 2
    beside = (place + 1 < on_floor[floor]) & (place + 1 != row)
    across = (place + row < on_floor[floor]) & ((kind == _PLANT) | (place == 0))
    one = np.concatenate([units[beside], units[across]])
    other = np.concatenate([units[beside] + 1, (units + row)[across]])
    return one.astype(np.int32), other.astype(np.int32)


def _links(kind_of_building: Ints) -> NDArray[np.int32]:
    """Every twentieth building is joined with the next at the third floor, where kinds agree."""
    one = np.arange(0, len(kind_of_building) - 1, 20)
    one = one[kind_of_building[one] == kind_of_building[one + 1]]
    level = np.full(len(one), 2)
    return np.stack([one, one + 1, level, level], axis=1).astype(np.int32)
