"""Made-up units and demands for properties, and a slow oracle that shares no code with the core."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from random import Random
from typing import Any

from app.demand.rules import SpaceTerms, Spread
from app.matching.demand import Demand
from app.matching.snapshot import COLUMNS, Kind, ParkInfo, Units, build
from app.matching.special import LandNeed, PlacesNeed, Window
from app.matching.table import BY_KEY

Row = dict[str, Any]
#: Few values, so that needs and units often meet exactly at the boundary.
GRID = (0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 24.0, 36.0, 100.0, 1500.0, 5000.0)
DAY = date(2027, 1, 1)
DAYS = tuple(DAY + timedelta(days=30 * step) for step in range(8))
PARKS = {
    "alpha": ParkInfo("alpha", frozenset({"alpha"}), frozenset({"core"})),
    "beta": ParkInfo("beta", frozenset({"beta", "alpha"}), frozenset({"core"})),
    "gamma": ParkInfo("gamma", frozenset({"gamma"}), frozenset({"south", "core"})),
    "delta": ParkInfo("delta", frozenset({"delta"}), frozenset({"north"})),
}
LAND_USES = ("M1", "M2", "M1/M4", "C65+C8", "M3")
TERMS = SpaceTerms(Spread(6, 9, 12), 3, Spread(2.0, 3.0, 4.0), "tests", "assumption")


def seeded(seed: int) -> Random:
    """A generator that repeats itself; nothing here is secret."""
    return Random(seed)  # noqa: S311


def make_row(rng: Random, number: int, known: float = 0.85) -> Row:
    """A unit; ``known`` is the chance that a value is recorded."""
    park = PARKS[rng.choice(sorted(PARKS))]
    row: Row = {
        "id": f"id-{number:04}",
        "code": f"unit-{number:04}",
        "park_code": park.code,
        "park_codes": sorted(park.park_codes),
        "zone_codes": sorted(park.zone_codes),
        "land_use_code": rng.choice(LAND_USES),
    }
    for name, column in COLUMNS.items():
        row[name] = _value(rng, column.kind, column.order) if rng.random() < known else None
    row["unit_type"] = rng.choice(COLUMNS["unit_type"].order[:3])
    row["capacity_measure"] = rng.choice(("m2", "place"))
    row["leasable_area_m2"] = rng.choice(GRID[1:])
    row["capacity"] = rng.choice(GRID[1:])
    row["special_goods_import_pilot"] = rng.random() < 0.5
    row["is_ground_floor"] = rng.random() < 0.5
    row["level_index"] = float(rng.choice((-1, 0, 1, 5)))
    return row


def _value(rng: Random, kind: Kind, order: tuple[str, ...]) -> Any:
    if kind is Kind.NUMBER:
        return rng.choice(GRID)
    if kind is Kind.RANK:
        return rng.choice(order)
    return rng.choice((True, False)) if kind is Kind.FLAG else rng.choice(DAYS)


def make_world(seed: int, size: int = 40, known: float = 0.85) -> list[Row]:
    """Units, the same for the same seed."""
    rng = seeded(seed)
    return [make_row(rng, number, known) for number in range(size)]


def units_of(rows: list[Row]) -> Units:
    """The rows as columns."""
    return build(rows, PARKS)


def make_need(rng: Random, key: str) -> Any:
    """A need that switches one constraint on."""
    special: dict[str, Callable[[], Any]] = {
        "unit_type": lambda: rng.choice(COLUMNS["unit_type"].order[:3]),
        "availability": lambda: Window(DAY, rng.choice(DAYS), 12),
        "term_months": lambda: rng.choice((1, 24, 36, 100)),
        "land_use": lambda: LandNeed(
            "工艺",
            "process",
            frozenset(rng.sample(("M1", "M2", "M3", "M4", "C65"), rng.randint(0, 3))),
            frozenset({"alpha"}) if rng.random() < 0.3 else None,
        ),
        "fire_storey": lambda: rng.choice(("jia", "yi", "bing")),
        "zones": lambda: PlacesNeed(
            tuple(rng.sample(("core", "north", "south"), rng.randint(1, 2)))
        ),
        "parks": lambda: PlacesNeed(tuple(rng.sample(sorted(PARKS), rng.randint(1, 2)))),
        "near": lambda: {"lon": 121.6, "lat": 31.2, "within_m": rng.choice(GRID[1:])},
    }
    if key in special:
        return special[key]()
    if key in _FLAGS or key.startswith("whole_"):
        return True
    if key in _LADDERS:
        return rng.choice(_LADDERS[key])
    return rng.choice(GRID[1:])


def make_demand(seed: int, *, hard: int = 3, soft: int = 3) -> Demand:
    """A demand with some hard and some soft needs, always with a window."""
    rng = seeded(seed)
    keys = [key for key in BY_KEY if key != "availability"]
    chosen = rng.sample(keys, hard + soft)
    window = Window(DAY, rng.choice(DAYS), 12)
    return Demand(
        hard={
            "availability": window,
            **{key: make_need(rng, key) for key in chosen[:hard]},
        },
        soft={key: make_need(rng, key) for key in chosen[hard:]},
        window=window,
        terms=TERMS,
        rules_version="tests",
        target_area_m2=rng.choice((None, *GRID[1:])),
    )


def with_hard(demand: Demand, hard: Mapping[str, Any]) -> Demand:
    """The same demand with other hard needs."""
    return Demand(
        hard=hard,
        soft=demand.soft,
        window=demand.window,
        terms=demand.terms,
        rules_version=demand.rules_version,
        target_area_m2=demand.target_area_m2,
    )


# ---- the oracle: plain Python over plain rows -------------------------------------------------

_LADDERS = {
    "fire_hazard_class": ("wu", "ding", "bing", "yi", "jia"),
    "cleanroom_grade": ("D", "C", "B", "A"),
    "animal_facility": ("conventional", "spf"),
    "isotope_class": ("bing", "yi", "jia"),
    "vibration_class": ("VC-A", "VC-B", "VC-C", "VC-D", "VC-E"),
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


def satisfies(row: Row, key: str, need: Any) -> bool:
    """Whether a row satisfies one need, the slow and plain way."""
    if key in _AT_LEAST:
        have = row[_AT_LEAST[key]]
        return have is not None and have >= need
    if key in _AT_MOST or (key.startswith("max_") and key.endswith("_distance_m")):
        have = row[_AT_MOST.get(key, key.removeprefix("max_"))]
        return have is not None and have <= need
    if key in _FLAGS:
        return row[_FLAGS[key]] is True
    if key in _LADDERS:
        have, ladder = row[key], _LADDERS[key]
        return have is not None and ladder.index(have) >= ladder.index(need)
    return _SPECIAL[key](row, need)


def _storey(row: Row, need: str) -> bool:
    if need not in {"jia", "yi"}:
        return True
    if row["level_index"] < 0:
        return False
    floors, height = row["floors_above"], row["height_m"]
    single = floors is not None and floors <= 1
    return need == "yi" or single or (height is not None and height <= 24)


def _land(row: Row, need: LandNeed) -> bool:
    parts = {part for whole in row["land_use_code"].split("+") for part in whole.split("/")}
    placed = need.only_parks is None or bool(set(row["park_codes"]) & need.only_parks)
    return bool(parts & need.codes) and placed


def _term(row: Row, need: int) -> bool:
    low, high = row["min_term_months"], row["max_term_months"]
    return (low is None or low <= need) and (high is None or high >= need)


_SPECIAL: dict[str, Callable[[Row, Any], bool]] = {
    "unit_type": lambda row, need: row["unit_type"] == need,
    "places": lambda row, need: row["capacity_measure"] == "place" and row["capacity"] >= need,
    "availability": lambda row, need: (
        row["free_from"] is not None and row["free_from"] <= need.latest
    ),
    "term_months": _term,
    "land_use": _land,
    "fire_storey": _storey,
    "zones": lambda row, need: bool(set(row["zone_codes"]) & set(need.codes)),
    "parks": lambda row, need: bool(set(row["park_codes"]) & set(need.codes)),
    "near": lambda row, need: (
        row["near_distance_m"] is not None and row["near_distance_m"] <= need["within_m"]
    ),
    "whole_floor": lambda row, _need: row["units_on_floor"] == 1,
    "whole_building": lambda row, _need: row["units_in_building"] == 1,
}
