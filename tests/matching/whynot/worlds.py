"""Small made-up worlds in two segments, demands that few units meet, and the slow way to judge."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from app.demand.rules import SpaceTerms, Spread
from app.matching.engine.judge import broken, candidate_of, is_absent
from app.matching.engine.program import ABSENT, make_program
from app.matching.engine.whynot.histogram import Histogram, find_refusals
from app.matching.rules.constraint import Constraint
from app.matching.rules.demand import Demand, Window
from app.matching.rules.ground import LandNeed, PlacesNeed
from app.matching.rules.own import PowerNeed
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import Segment, assemble
from tests.matching.big import TODAY, raw_world

TERMS = SpaceTerms(Spread(6, 9, 12), 3, Spread(2.0, 3.0, 4.0), "tests", "assumption")
START = date.fromordinal(TODAY)
_POINT = {"lon": 121.6, "lat": 31.1}


def make_segments(seed: int, units: int = 160) -> tuple[Segment, Segment]:
    """Two segments of about so many units in all; in the first, every fifth building is stale."""
    one, other = (_segment(seed * 2, units * 3 // 4), _segment(seed * 2 + 1, units // 4))
    stale = np.arange(len(one.buildings.fid)) % 5 == 4
    return replace(one, buildings=replace(one.buildings, stale=stale)), other


def _segment(seed: int, units: int) -> Segment:
    """Half of all units are let in parts, from a fifth of them up: sizes of parts matter here."""
    raw = raw_world(seed, units)
    capacity = raw.units["capacity"].astype(np.int64)
    parted = np.random.default_rng(seed).random(len(capacity)) < 0.5
    least = np.where(parted, np.maximum(capacity // 5, 1), raw.units["min_part"])
    return assemble(replace(raw, units={**raw.units, "min_part": least}))


def make_demand(seed: int, needs: int | None = None) -> Demand:
    """A demand with its kind, its days and some more needs, each hard enough to refuse many."""
    rng = np.random.default_rng(seed)
    needs = 2 + seed % 5 if needs is None else needs
    pick: Callable[..., Any] = lambda *values: values[rng.integers(len(values))]  # noqa: E731
    window = Window(START, START + timedelta(days=int(pick(0, 60, 400))), int(pick(12, 36)))
    least = float(pick(80, 300, 900))
    choices: dict[str, Any] = {
        "min_area_m2": least,
        "max_area_m2": least + float(pick(0, 60, 400)),
        "places": int(pick(5, 20, 40)),
        "term_months": window.term_months,
        "land_use": LandNeed("工艺", "process", frozenset(pick(("M1",), ("M1", "C65"))), None),
        "biosafety_level": int(pick(2, 3)),
        "min_floor_load_kn_m2": float(pick(5, 7.5, 10)),
        "min_clear_height_m": float(pick(3.3, 4.8)),
        "min_power_kva": float(pick(20, 80, 200)),
        "cleanroom_grade": str(pick("C", "B")),
        "min_cold_storage_m2": float(pick(10, 40)),
        "min_freight_lift_t": float(pick(2, 5)),
        "steam": True,
        "hoist_opening": True,
        "zones": PlacesNeed(tuple(pick(("zone-1",), ("zone-2", "zone-3")))),
        "near": {**_POINT, "within_m": float(pick(3000, 15_000))},
        "max_metro_station_distance_m": float(pick(800, 5000)),
        "max_rent_cny_per_m2_day": float(pick(1.8, 3.0)),
        "max_rent_cny_per_year": float(pick(100_000, 600_000)),
        "whole_floor": True,
        "power_left": PowerNeed(float(pick(200, 4000)), pick(None, 120.0)),
        "physical_state": str(pick("fitted", "shell")),
    }
    known = {one.key for one in CONSTRAINTS}
    keys = rng.choice(sorted(choices.keys() & known), size=needs, replace=False)
    kind = str(pick("incubation", "acceleration", "pilot", "production"))
    return Demand(
        hard={"unit_type": kind, "availability": window, **{str(k): choices[k] for k in keys}},
        soft={},
        window=window,
        terms=TERMS,
        rules_version="tests",
        target_area_m2=pick(None, None, least + 20),
    )


def make_places_demand() -> Demand:
    """Thirty places on a budget of 200,000 CNY a year, with years to wait."""
    window = Window(START, START + timedelta(days=2000), 12)
    hard = {
        "unit_type": "incubation",
        "availability": window,
        "places": 30,
        "max_rent_cny_per_year": 200_000.0,
    }
    return Demand(hard=hard, soft={}, window=window, terms=TERMS, rules_version="tests")


def refusals_of(segments: Sequence[Segment], demand: Demand) -> Histogram:
    """What every unit breaks."""
    return find_refusals([make_program(segment, demand, CONSTRAINTS) for segment in segments])


def slow_masks(
    segment: Segment, demand: Demand, table: Sequence[Constraint] = CONSTRAINTS
) -> list[int]:
    """What each row breaks, judged one by one by the reference."""
    program = make_program(segment, demand, table)
    return [
        ABSENT if is_absent(program, row) else broken(program, candidate_of(program, row))
        for row in range(len(segment))
    ]


def fitting(segments: Sequence[Segment], demand: Demand, waived: frozenset[str]) -> int:
    """How many units fit when some rules are not applied: solved again by the reference."""
    table = [one for one in CONSTRAINTS if one.key not in waived]
    return sum(slow_masks(segment, demand, table).count(0) for segment in segments)
