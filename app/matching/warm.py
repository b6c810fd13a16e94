"""Compiles every kernel once, on a world of nine units: no firm waits for a compiler. Pure.

Compiled kernels are kept on disk beside their sources; whoever installs the service runs this once,
and every process after that finds them ready.
"""

from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from app.demand.rules import SpaceTerms, Spread
from app.kernel.terms import UnitType
from app.matching.answers.outlook import park_areas, relay_values
from app.matching.columns import COLUMNS, FACILITIES, NEVER, rank_of
from app.matching.engine.search import search
from app.matching.engine.whynot.amounts import find_amounts
from app.matching.engine.whynot.funnel import blockers, nearest_misses
from app.matching.engine.whynot.histogram import find_refusals
from app.matching.engine.whynot.waiting import find_waiting
from app.matching.engine.whynot.ways_out import find_ways_out
from app.matching.rules.demand import Demand, Growth, Window
from app.matching.rules.ground import PlacesNeed
from app.matching.rules.own import PowerNeed
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import ParkInfo, Raw, Segment, Snapshot, Version, assemble, empty_column

_DAY = date(2027, 1, 1)
_AREA_M2 = 100.0
_PER_FLOOR, _FLOORS, _BUILDINGS = 2, 2, 2


def warm_up() -> None:
    """Ask once for everything that is ever asked of the kernels."""
    snapshot = Snapshot((_world(),), Version(1, 1, frozenset(), datetime(2027, 1, 1, tzinfo=UTC)))
    for growth in (None, Growth(UnitType.PILOT, 2 * _AREA_M2, _DAY, "量产", "production")):
        for area_m2 in (0.5 * _AREA_M2, 1.5 * _AREA_M2, 3.5 * _AREA_M2, 100 * _AREA_M2):
            demand = _demand(area_m2, growth)
            relay = None
            if growth is not None:
                relay = relay_values(snapshot, growth, park_areas(snapshot, growth))
            search(snapshot, demand, 3, table=CONSTRAINTS, relay_values=relay)
            ask_why_not(snapshot, demand)


def ask_why_not(snapshot: Snapshot, demand: Demand) -> None:
    """Everything that is asked where too little fits."""
    answer = search(snapshot, demand, 1, table=CONSTRAINTS)
    refusals = find_refusals(answer.programs)
    blockers(refusals)
    nearest_misses(refusals, 3)
    find_waiting(refusals)
    for way in find_ways_out(refusals, at_least=refusals.feasible + 1).cheapest:
        find_amounts(refusals, way, 1)


def _demand(area_m2: float, growth: Growth | None) -> Demand:
    window = Window(_DAY, date(2027, 6, 1), 12)
    return Demand(
        hard={
            "unit_type": "pilot",
            "availability": window,
            "term_months": window.term_months,
            "min_area_m2": area_m2,
            "max_area_m2": 2 * area_m2,
            "min_floor_load_kn_m2": 5.0,
            "min_power_kva": 1.0,
            "power_left": PowerNeed(1.0, None),
            "min_freight_lift_t": 1.0,
            "max_rent_cny_per_year": 1e9,
            "max_rent_cny_per_m2_day": 9.0,
            "parks": PlacesNeed(("warm",)),
            "whole_floor": True,
            "whole_building": True,
        }
        if area_m2 > 3 * _AREA_M2
        else {
            "unit_type": "pilot",
            "availability": window,
            "min_area_m2": area_m2,
            "max_area_m2": 3 * area_m2,
            "min_floor_load_kn_m2": 5.0,
            "power_left": PowerNeed(None, 1.0),
            "max_rent_cny_per_year": 1e9,
        },
        soft={"steam": True, "min_cold_storage_m2": 1.0, "max_hospital_distance_m": 5000.0},
        window=window,
        terms=SpaceTerms(Spread(6, 12, 24), 3, Spread(1, 2, 3), "made up", "assumption"),
        rules_version="made up",
        target_area_m2=area_m2,
        growth=growth,
    )


def _world() -> Segment:
    floors = _FLOORS * _BUILDINGS
    units = floors * _PER_FLOOR + 1
    floor = np.minimum(np.arange(units) // _PER_FLOOR, floors - 1)
    numbers: NDArray[np.int64] = np.arange(units)
    known = {
        "unit_type": rank_of("unit_type", "pilot"),
        "capacity_measure": rank_of("capacity_measure", "m2"),
        "physical_state": rank_of("physical_state", "shell"),
        **{
            name: COLUMNS[name].cell(value)
            for name, value in (
                ("capacity", _AREA_M2),
                ("leasable_area_m2", _AREA_M2),
                ("floor_load_kn_m2", 7.5),
                ("power_kva", 10.0),
                ("freight_lift_t", 2.0),
                ("rent_cny_per_m2_day", 2.0),
                ("steam", True),
            )
        },
    }
    columns = {name: empty_column(column, units) for name, column in COLUMNS.items()}
    for name, cell in known.items():
        columns[name][:] = cell
    # The last one may be let in parts.
    columns["min_part"][-1] = COLUMNS["min_part"].cell(10.0)
    columns["keeps_lettable_remainder"][:] = 1
    day = np.full(units, _DAY.toordinal() - 365, dtype=np.int32)
    return assemble(
        Raw(
            parks=(ParkInfo("warm", frozenset({"warm"}), frozenset()),),
            land_use_codes=("M1",),
            buildings={
                "fid": np.arange(_BUILDINGS),
                "code": np.array([f"warm-{at}" for at in range(_BUILDINGS)], dtype=object),
                "park": np.zeros(_BUILDINGS, dtype=np.int64),
                "land_use": np.zeros(_BUILDINGS, dtype=np.int64),
                "centre": np.full((_BUILDINGS, 2), (121.6, 31.2)),
                "distances": np.full((len(FACILITIES), _BUILDINGS), 100_000),
                "height": np.full(_BUILDINGS, 1000),
                "floors_above": np.full(_BUILDINGS, _FLOORS),
                "power_kva": np.full(_BUILDINGS, 10_000),
            },
            floors={
                "fid": np.arange(floors),
                "building": np.repeat(np.arange(_BUILDINGS), _FLOORS),
                "level_index": np.tile(np.arange(_FLOORS), _BUILDINGS),
            },
            units={
                **columns,
                "fid": numbers,
                "floor": floor,
                "applies_from": np.zeros(units, dtype=np.int64),
                "applies_until": np.full(units, NEVER, dtype=np.int64),
            },
            steps=(
                np.arange(units, dtype=np.int32),
                day,
                columns["capacity"].astype(np.int32),
            ),
            power=(
                np.zeros(1, dtype=np.int32),
                np.array([_DAY.toordinal()], dtype=np.int32),
                np.array([10], dtype=np.int32),
            ),
            walls=(
                np.arange(0, units - 1, _PER_FLOOR, dtype=np.int32),
                np.arange(1, units, _PER_FLOOR, dtype=np.int32),
            ),
            links=np.array([[0, 1, 0, 0]], dtype=np.int32),
        )
    )
