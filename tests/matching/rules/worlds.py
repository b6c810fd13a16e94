"""Made-up units for the table's twins: rows as the candidates statement has them, and as a segment.

And an oracle that judges a row in plain Python and shares no code with the table.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

import numpy as np
from shapely import Polygon, box

from app.demand.rules import SpaceTerms, Spread
from app.kernel.terms import FacilityType
from app.matching.columns import COLUMNS, NEVER, Column, Kind, Width
from app.matching.rules.demand import Demand, Window
from app.matching.rules.ground import AreaNeed, LandNeed, PlacesNeed
from app.matching.rules.own import PowerNeed
from app.matching.rules.special import IsoNeed, StoreyNeed
from app.matching.rules.table import BY_KEY
from app.matching.segment import ParkInfo, Raw, Segment, assemble

Row = dict[str, Any]
#: Few values, so that needs and units often meet exactly at the boundary.
GRID = (0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 24.0, 36.0, 100.0, 1500.0, 5000.0)
#: Needs may be finer than any column's grain.
FINER = (-0.001, 0.0, 0.0, 0.001, 0.00001)
DAY = date(2027, 1, 1)
DAYS = tuple(DAY + timedelta(days=30 * step) for step in range(-2, 8))
TERM_MONTHS = 12
PARKS = (
    ParkInfo("alpha", frozenset({"alpha"}), frozenset({"core"}), special_goods_import_pilot=True),
    ParkInfo("beta", frozenset({"beta", "alpha"}), frozenset({"core"})),
    ParkInfo("gamma", frozenset({"gamma"}), frozenset({"south", "core"})),
    ParkInfo("delta", frozenset({"delta"}), frozenset({"north"}), special_goods_import_pilot=True),
)
LAND_USES = ("M1", "M2", "M1/M4", "C65+C8", "M3")
HIGH_RISE_M, HIGH_RISE_FLOORS = 24.0, 1
TERMS = SpaceTerms(Spread(6, 9, 12), 3, Spread(2.0, 3.0, 4.0), "tests", "assumption")
DISTANCES = tuple(f"{facility.value}_distance_m" for facility in FacilityType)
#: What a row of the statement has besides the cells of a unit.
BESIDES = {
    "code": "text",
    "lon": "float8",
    "lat": "float8",
    "land_use_code": "text",
    "park_codes": "text[]",
    "zone_codes": "text[]",
    "special_goods_import_pilot": "boolean",
    "level_index": "float8",
    "floors_above": "float8",
    "height_m": "float8",
    "free_from": "date",
    "quantity": "float8",
    "units_on_floor": "float8",
    "units_in_building": "float8",
    "power_left_kva": "float8",
    "rent_cny_per_year": "float8",
    **dict.fromkeys(DISTANCES, "float8"),
}
_BUILDING = (
    *("fid", "code", "park", "land_use", "centre", "distances", "height", "floors_above"),
    "power_kva",
)
_SQL_TYPES = {Kind.NUMBER: "float8", Kind.RANK: "text", Kind.FLAG: "boolean", Kind.DAY: "date"}
_APART = {"storey_class", "first_free", "keeps_lettable_remainder", "min_part"}
_CELLS = tuple(name for name in COLUMNS if name not in _APART)
RECORD = ", ".join(
    f"{name} {kind}"
    for name, kind in {
        **BESIDES,
        **{name: _SQL_TYPES[COLUMNS[name].kind] for name in _CELLS},
    }.items()
)


@dataclass(frozen=True)
class World:
    """The same units twice: ``rows[i]`` is row ``at[i]`` of the segment."""

    rows: list[Row]
    segment: Segment
    at: list[int]


def seeded(seed: int) -> Random:
    """A generator that repeats itself; nothing here is secret."""
    return Random(seed)  # noqa: S311


def make_world(seed: int, buildings: int = 14, known: float = 0.85) -> World:
    """Some buildings with a few floors and units; ``known`` is the chance that a value is."""
    rng = seeded(seed)
    rows: list[Row] = []
    raw_buildings: dict[str, list[Any]] = {name: [] for name in _BUILDING}
    floors: list[tuple[int, int]] = []
    floor_of: list[int] = []
    power: list[tuple[int, int, int]] = []
    for place in range(buildings):
        about = _building(rng, known)
        for name, value in _raw_building(place, about).items():
            raw_buildings[name].append(value)
        used = [(day, rng.choice(GRID)) for day in DAYS if rng.random() < 0.4]
        power += [(place, day.toordinal(), round(kva * 10)) for day, kva in used]
        inside: list[Row] = []
        for level in rng.sample((-1, 0, 1, 5), rng.randint(1, 2)):
            floors.append((place, level))
            count = rng.randint(1, 2)
            for _ in range(count):
                row = _unit(rng, known) | about | {"level_index": float(level)}
                row["code"] = f"unit-{len(rows) + len(inside):04}"
                row["units_on_floor"] = float(count)
                row["power_left_kva"] = _power_left(row, used)
                floor_of.append(len(floors) - 1)
                inside.append(row)
        for row in inside:
            row["units_in_building"] = float(len(inside))
        rows += inside
    segment = assemble(_raw(rows, raw_buildings, floors, floor_of, power))
    at = {int(fid): row for row, fid in enumerate(segment.fid)}
    return World(rows, segment, [at[place + 1] for place in range(len(rows))])


def _building(rng: Random, known: float) -> Row:
    park = rng.randrange(len(PARKS))

    def maybe(value: Any) -> Any:
        return value if rng.random() < known else None

    return {
        "park": park,
        "park_codes": sorted(PARKS[park].park_codes),
        "zone_codes": sorted(PARKS[park].zone_codes),
        "special_goods_import_pilot": PARKS[park].special_goods_import_pilot,
        "land_use_code": rng.choice(LAND_USES),
        # Sixty-fourths of a degree: corners and borders of drawn areas are met exactly.
        "lon": 121.5 + rng.randrange(17) / 64,
        "lat": 31.125 + rng.randrange(17) / 64,
        "floors_above": float(rng.choice((1, 2, 8))),
        "height_m": maybe(rng.choice((10.0, 23.99, 24.0, 24.01, 36.0))),
        "fed_kva": maybe(rng.choice(GRID)),
        **{name: maybe(rng.choice((*GRID, 1234.56))) for name in DISTANCES},
    }


def _raw_building(place: int, about: Row) -> Row:
    unknown = Width.LARGE.unknown
    return {
        "fid": place + 1,
        "code": f"building-{place:03}",
        "park": about["park"],
        "land_use": LAND_USES.index(about["land_use_code"]),
        "centre": (about["lon"], about["lat"]),
        "distances": [
            unknown if about[name] is None else round(about[name] * 100) for name in DISTANCES
        ],
        "height": unknown if about["height_m"] is None else round(about["height_m"] * 100),
        "floors_above": about["floors_above"],
        "power_kva": unknown if about["fed_kva"] is None else round(about["fed_kva"] * 10),
    }


def _unit(rng: Random, known: float) -> Row:
    row: Row = {
        name: _value(rng, COLUMNS[name]) if rng.random() < known else None for name in _CELLS
    }
    row["unit_type"] = rng.choice(COLUMNS["unit_type"].order[:3])
    row["capacity_measure"] = rng.choice(("m2", "place"))
    row["physical_state"] = rng.choice(COLUMNS["physical_state"].order)
    row["leasable_area_m2"] = rng.choice(GRID[1:])
    row["capacity"] = row["quantity"] = rng.choice(GRID[1:])
    row["is_ground_floor"] = rng.random() < 0.5
    free = rng.choice((None, *DAYS))
    row["steps_from"] = free
    row["free_from"] = None if free is None else max(free, DAY)
    row["rent_cny_per_year"] = _rent(row)
    return row


def _value(rng: Random, column: Column) -> Any:
    if column.kind is Kind.NUMBER:
        grains = [one * column.grain for one in GRID]
        kept = [one for one in grains if one <= column.width.most and one.is_integer()]
        return rng.choice(kept) / column.grain
    return rng.choice(column.order) if column.kind is Kind.RANK else rng.choice((True, False))


def _rent(row: Row) -> float | None:
    by_place, by_m2 = row["rent_cny_per_place_month"], row["rent_cny_per_m2_day"]
    if by_place is not None:
        rent = Decimal(str(by_place)) * Decimal(str(row["capacity"])) * 12
    elif by_m2 is not None:
        rent = Decimal(str(by_m2)) * Decimal(str(row["leasable_area_m2"])) * 365
    else:
        return None
    return float(rent.quantize(Decimal("0.01"), ROUND_HALF_UP))


def _power_left(row: Row, used: list[tuple[date, float]]) -> float | None:
    if row["fed_kva"] is None:
        return None
    first = row["free_from"] or row_latest()
    over = date(first.year + 1, first.month, first.day)
    before = [kva for day, kva in used if day <= first][-1:]
    during = [kva for day, kva in used if first < day < over]
    return float(row["fed_kva"]) - max([0.0, *before, *during])


def row_latest() -> date:
    """Of a unit that is never free, power is judged from the latest start on."""
    return DAYS[5]


def _raw(
    rows: list[Row],
    buildings: dict[str, list[Any]],
    floors: list[tuple[int, int]],
    floor_of: list[int],
    power: list[tuple[int, int, int]],
) -> Raw:
    units: dict[str, Any] = {
        name: np.array([COLUMNS[name].cell(row[name]) for row in rows]) for name in _CELLS
    }
    units["storey_class"] = np.array([_storey_class(row) for row in rows])
    units["min_part"] = np.full(len(rows), COLUMNS["min_part"].width.unknown)
    units["keeps_lettable_remainder"] = np.zeros(len(rows))
    units["fid"] = np.arange(len(rows)) + 1
    units["floor"] = np.array(floor_of)
    units["applies_from"] = np.zeros(len(rows))
    units["applies_until"] = np.full(len(rows), NEVER)
    free = [place for place, row in enumerate(rows) if row["steps_from"] is not None]
    steps = (
        np.array(free, dtype=np.int32),
        np.array([rows[place]["steps_from"].toordinal() for place in free], dtype=np.int32),
        np.array([round(rows[place]["capacity"] * 100) for place in free], dtype=np.int32),
    )
    columns = {name: np.array(values) for name, values in buildings.items()}
    columns["distances"] = columns["distances"].T
    powers = np.array(power, dtype=np.int32).reshape(-1, 3)
    return Raw(
        parks=PARKS,
        land_use_codes=LAND_USES,
        buildings=columns,
        floors={
            "fid": np.arange(len(floors)) + 1,
            "building": np.array([building for building, _ in floors]),
            "level_index": np.array([level for _, level in floors]),
        },
        units=units,
        steps=steps,
        power=(powers[:, 0], powers[:, 1], powers[:, 2]),
    )


def _storey_class(row: Row) -> int:
    if row["level_index"] < 0:
        return 0
    low = row["floors_above"] <= HIGH_RISE_FLOORS
    return 2 if low or (row["height_m"] is not None and row["height_m"] <= HIGH_RISE_M) else 1


def _corner(rng: Random, low: int, high: int) -> float:
    return rng.randint(low, high) / 64


def _area(rng: Random) -> AreaNeed:
    west, south = 121.5 + _corner(rng, 0, 6), 31.125 + _corner(rng, 0, 6)
    east, north = west + _corner(rng, 4, 9), south + _corner(rng, 4, 9)
    hole = box(west + 1 / 64, south + 1 / 64, west + 3 / 64, south + 3 / 64)
    return AreaNeed(Polygon(box(west, south, east, north).exterior, [hole.exterior]))


def make_need(rng: Random, key: str) -> Any:
    """A need that switches one constraint on."""
    special: dict[str, Callable[[], Any]] = {
        "unit_type": lambda: rng.choice(COLUMNS["unit_type"].order[:3]),
        "availability": lambda: Window(DAY, row_latest(), TERM_MONTHS),
        "term_months": lambda: rng.choice((1, 24, 36, 100)),
        "places": lambda: rng.choice((1, 2, 5, 10, 100)),
        "land_use": lambda: LandNeed(
            "工艺",
            "process",
            frozenset(rng.sample(("M1", "M2", "M3", "M4", "C65"), rng.randint(0, 3))),
            frozenset({"alpha"}) if rng.random() < 0.3 else None,
        ),
        "fire_storey": lambda: StoreyNeed(
            rng.choice(("jia", "yi", "bing")), rng.randint(0, 2), HIGH_RISE_M, HIGH_RISE_FLOORS
        ),
        "zones": lambda: PlacesNeed(
            tuple(rng.sample(("core", "north", "south"), rng.randint(1, 2)))
        ),
        "parks": lambda: PlacesNeed(
            tuple(rng.sample([park.code for park in PARKS], rng.randint(1, 2)))
        ),
        "near": lambda: {
            "lon": 121.5 + rng.random() / 4,
            "lat": 31.125 + rng.random() / 4,
            "within_m": rng.choice((1_000.0, 5_000.0, 10_000.0, 20_000.0, 200_000.0)),
        },
        "within": lambda: _area(rng),
        "power_left": lambda: PowerNeed(*rng.choice(_POWERS)),
        "cleanroom_iso_class": lambda: IsoNeed(*rng.choice(((5, "B"), (7, "C"), (8, "D")))),
        "max_rent_cny_per_year": lambda: (
            365 * rng.choice(GRID) * rng.choice(GRID) + abs(rng.choice(FINER))
        ),
        "physical_state": lambda: rng.choice(COLUMNS["physical_state"].order),
    }
    if key in special:
        return special[key]()
    if key in _FLAGS or key.startswith("whole_"):
        return True
    if key in _LADDERS:
        return rng.choice(_LADDERS[key])
    if key == "biosafety_level":
        return rng.randint(1, 4)
    return max(0.0, rng.choice(GRID[1:]) + rng.choice(FINER))


_POWERS = ((10.0, None), (2.55, 0.01), (None, 100.0), (None, 24.01), (5.0, 7.5))


def make_demand(seed: int, keys: tuple[str, ...] = tuple(BY_KEY)) -> Demand:
    """A demand with a hard need of each key, always with a kind of space and a window."""
    rng = seeded(seed)
    needs = {key: make_need(rng, key) for key in ("unit_type", "availability", *keys)}
    window = needs["availability"]
    return Demand(hard=needs, soft={}, window=window, terms=TERMS, rules_version="tests")


# ---- the oracle: plain Python over plain rows -------------------------------------------------

_LADDERS = {
    "fire_hazard_class": ("wu", "ding", "bing", "yi", "jia"),
    "cleanroom_grade": ("D", "C", "B", "A"),
    "animal_facility": ("conventional", "spf"),
    "isotope_class": ("bing", "yi", "jia"),
    "vibration_class": ("VC-A", "VC-B", "VC-C", "VC-D", "VC-E"),
    "physical_state": ("planned", "under_construction", "shell", "fitted"),
}
_AT_LEAST = {
    "min_area_m2": "leasable_area_m2",
    "min_floor_load_kn_m2": "floor_load_kn_m2",
    "min_clear_height_m": "clear_height_m",
    "min_power_density_w_m2": "power_density_w_m2",
    "min_power_kva": "power_kva",
    "biosafety_level": "biosafety_level",
    "min_cold_storage_m2": "cold_storage_m2",
    "min_waste_water_t_per_day": "waste_water_t_per_day",
    "min_freight_lift_t": "freight_lift_t",
}
_AT_MOST = {
    "max_area_m2": "leasable_area_m2",
    "max_rent_cny_per_m2_day": "rent_cny_per_m2_day",
    "max_rent_cny_per_year": "rent_cny_per_year",
}
_FLAGS = {
    "hoist_opening": "hoist_opening",
    "ground_floor": "is_ground_floor",
    "steam": "steam",
    "gas": "gas",
    "purified_water": "purified_water",
    "dual_power_feed": "dual_power_feed",
    "special_goods_import_pilot": "special_goods_import_pilot",
}
#: Rules of a bound, which a strict comparison would break.
BOUNDS = frozenset({*_AT_LEAST, *_AT_MOST, *(key for key in BY_KEY if key.endswith("_distance_m"))})


def satisfies(row: Row, key: str, need: Any) -> bool:
    """Whether a row satisfies one need, the slow and plain way."""
    if key in _AT_LEAST:
        have = row[_AT_LEAST[key]]
        return have is not None and have >= need
    if key in BOUNDS:
        have = row[_AT_MOST.get(key, key.removeprefix("max_"))]
        return have is not None and have <= need
    if key in _FLAGS:
        return row[_FLAGS[key]] is True
    if key in _LADDERS:
        have, ladder = row[key], _LADDERS[key]
        return have is not None and ladder.index(have) >= ladder.index(need)
    return _SPECIAL[key](row, need)


def _land(row: Row, need: LandNeed) -> bool:
    parts = {part for whole in row["land_use_code"].split("+") for part in whole.split("/")}
    placed = need.only_parks is None or bool(set(row["park_codes"]) & need.only_parks)
    return bool(parts & need.codes) and placed


def _term(row: Row, need: int) -> bool:
    low, high = row["min_term_months"], row["max_term_months"]
    return (low is None or low <= need) and (high is None or high >= need)


def _iso(row: Row, need: IsoNeed) -> bool:
    ladder = _LADDERS["cleanroom_grade"]
    have: str | None = row["cleanroom_grade"]
    return have is not None and ladder.index(have) >= ladder.index(need.grade)


def _power(row: Row, need: PowerNeed) -> bool:
    left: float | None = row["power_left_kva"]
    if left is None:
        return False
    kva = math.ceil(round((need.kva or 0) * 10, 6)) / 10
    density = math.ceil(round((need.w_per_m2 or 0) * 10, 6)) / 10
    return bool(left >= max(kva, round(density * row["leasable_area_m2"] / 1000, 9)))


def _within(row: Row, need: AreaNeed) -> bool:
    # A rectangle with a rectangular hole; borders belong to the area.
    def inside(ring: Any, *, closed: bool) -> bool:
        west, south, east, north = ring.bounds
        lon, lat = row["lon"], row["lat"]
        if closed:
            return bool(west <= lon <= east and south <= lat <= north)
        return bool(west < lon < east and south < lat < north)

    assert isinstance(need.shape, Polygon)
    return inside(need.shape.exterior, closed=True) and not any(
        inside(hole, closed=False) for hole in need.shape.interiors
    )


def metres_between(row: Row, point: Row) -> float:
    """Metres on WGS 84 by Vincenty's inverse formula."""
    a, f = 6378137.0, 1 / 298.257223563
    b = a * (1 - f)
    apart = math.radians(point["lon"] - row["lon"])
    u1, u2 = (math.atan((1 - f) * math.tan(math.radians(one["lat"]))) for one in (row, point))
    lam = apart
    for _ in range(50):
        along = math.hypot(
            math.cos(u2) * math.sin(lam),
            math.cos(u1) * math.sin(u2) - math.sin(u1) * math.cos(u2) * math.cos(lam),
        )
        if along == 0:
            return 0.0
        across = math.sin(u1) * math.sin(u2) + math.cos(u1) * math.cos(u2) * math.cos(lam)
        sigma = math.atan2(along, across)
        sin_alpha = math.cos(u1) * math.cos(u2) * math.sin(lam) / along
        squared = 1 - sin_alpha**2
        middle = across - 2 * math.sin(u1) * math.sin(u2) / squared
        c = f / 16 * squared * (4 + f * (4 - 3 * squared))
        bent = sigma + c * along * (middle + c * across * (2 * middle**2 - 1))
        lam = apart + (1 - c) * f * sin_alpha * bent
    u = squared * (a**2 - b**2) / b**2
    big_a = 1 + u / 16384 * (4096 + u * (-768 + u * (320 - 175 * u)))
    big_b = u / 1024 * (256 + u * (-128 + u * (74 - 47 * u)))
    third = big_b / 6 * middle * (4 * along**2 - 3) * (4 * middle**2 - 3)
    bend = big_b * along * (middle + big_b / 4 * (across * (2 * middle**2 - 1) - third))
    return b * big_a * (sigma - bend)


_SPECIAL: dict[str, Callable[[Row, Any], bool]] = {
    "unit_type": lambda row, need: row["unit_type"] == need,
    "places": lambda row, need: row["capacity_measure"] == "place" and row["capacity"] >= need,
    "availability": lambda row, need: (
        row["free_from"] is not None and row["free_from"] <= need.latest
    ),
    "term_months": _term,
    "land_use": _land,
    "fire_storey": lambda row, need: _storey_class(row) >= need.least,
    "zones": lambda row, need: bool(set(row["zone_codes"]) & set(need.codes)),
    "parks": lambda row, need: bool(set(row["park_codes"]) & set(need.codes)),
    "near": lambda row, need: metres_between(row, need) <= need["within_m"],
    "within": _within,
    "power_left": _power,
    "cleanroom_iso_class": _iso,
    "whole_floor": lambda row, _need: row["units_on_floor"] == 1,
    "whole_building": lambda row, _need: row["units_in_building"] == 1,
}
