"""A score in plain fractions, that shares no code with the engine's."""

from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from app.matching.columns import COLUMNS, NEVER
from app.matching.engine.candidates import Candidate
from app.matching.engine.judge import judge_wishes
from app.matching.engine.program import Program
from app.matching.segment import Segment

DEFAULT = {
    "wishes": 30,
    "area_fit": 20,
    "rent": 20,
    "start": 10,
    "readiness": 5,
    "headroom": 5,
    "relay": 5,
    "compact": 5,
}
_READY = {"planned": 0, "under_construction": 300, "shell": 700, "fitted": 1000}
_HEADROOM = {
    "min_floor_load_kn_m2": "floor_load_kn_m2",
    "min_clear_height_m": "clear_height_m",
    "min_power_density_w_m2": "power_density_w_m2",
}


def score_of(program: Program, candidate: Candidate, relay: Any = None) -> int:
    """Points out of 100,000."""
    weights = program.demand.weights or DEFAULT
    values = values_of(program, candidate, relay)
    return sum(weights.get(key, 0) * value for key, value in values.items())


def values_of(program: Program, candidate: Candidate, relay: Any = None) -> dict[str, int]:
    """Thousandths by criterion."""
    segment = program.segment
    members = list(zip(candidate.rows, candidate.quantities, strict=True))
    areas = [_area(segment, row, quantity) for row, quantity in members]
    rents = [_known(segment, "rent_cny_per_m2_day", row) for row in candidate.rows]
    states = [segment.value("physical_state", row) for row in candidate.rows]
    return {
        "wishes": _wishes(program, candidate),
        "area_fit": _area_fit(program, sum(areas, Fraction(0))),
        "rent": _rent(program, areas, rents),
        "start": _start(program, candidate),
        "readiness": min(_READY.get(str(state), 0) for state in states),
        "headroom": _headroom(program, candidate),
        "relay": _relay(program, candidate, relay),
        "compact": _compact(program, candidate),
    }


def _thousandths(part: Fraction, whole: Fraction) -> int:
    return floor(min(max(part / whole, Fraction(0)), Fraction(1)) * 1000)


def _known(segment: Segment, name: str, row: int) -> Fraction | None:
    value: Any = segment.value(name, row)
    return None if value is None else Fraction(str(value))


def _area(segment: Segment, row: int, quantity: int) -> Fraction:
    """m², of a part its share to the hundredth, half of one up."""
    area = _known(segment, "leasable_area_m2", row)
    capacity = _known(segment, "capacity", row)
    assert area is not None
    assert capacity is not None
    if Fraction(quantity, 100) == capacity:
        return area
    return Fraction(floor(area * 100 * Fraction(quantity, 100) / capacity + Fraction(1, 2)), 100)


def _wishes(program: Program, candidate: Candidate) -> int:
    met = [finding.fits for finding in judge_wishes(program, candidate)]
    return _thousandths(Fraction(sum(met)), Fraction(len(met))) if met else 1000


def _cells(name: str, value: float) -> Fraction:
    grain = COLUMNS[name].grain
    return Fraction(floor(Fraction(str(value)) * grain + Fraction(1, 2)), grain)


def _area_fit(program: Program, area: Fraction) -> int:
    asked, target = program.demand.asked, program.demand.target_area_m2
    low, high = (
        None if asked.get(key) is None else _cells("leasable_area_m2", asked[key])
        for key in ("min_area_m2", "max_area_m2")
    )
    bounds = [bound for bound in (low, high) if bound is not None]
    if target is not None:
        aim = _cells("leasable_area_m2", target)
    elif bounds:
        aim = sum(bounds, Fraction(0)) / len(bounds)
    else:
        return 1000
    reaches = [Fraction(0)]
    reaches += [] if low is None else [aim - low]
    reaches += [] if high is None else [high - aim]
    reach = max(reaches) or aim or Fraction(1, 200)
    return _thousandths(reach - abs(area - aim), reach)


def _rent(program: Program, areas: list[Fraction], rents: list[Fraction | None]) -> int:
    known = [rent for rent in rents if rent is not None]
    if len(known) < len(rents):
        return 0
    mean = sum(rent * area for rent, area in zip(known, areas, strict=True)) / sum(areas)
    rent = Fraction(floor(mean * 10_000 + Fraction(1, 2)), 10_000)
    band = program.demand.terms.rent_cny_per_m2_day
    low, high = Fraction(str(band.low)), Fraction(str(band.high))
    return _thousandths(high - rent, high - low)


def _start(program: Program, candidate: Candidate) -> int:
    window = program.demand.window
    if candidate.first_day == NEVER:
        return 0
    days = Fraction((window.latest - window.start).days + 1)
    return _thousandths(Fraction(window.latest.toordinal() - candidate.first_day + 1), days)


def _headroom(program: Program, candidate: Candidate) -> int:
    parts = []
    for key, name in _HEADROOM.items():
        if key in program.demand.hard:
            haves = [_known(program.segment, name, row) for row in candidate.rows]
            grain = COLUMNS[name].grain
            grains = -floor(-Fraction(str(Decimal(str(program.demand.hard[key])))) * grain)
            need = Fraction(grains, grain)
            least = [have for have in haves if have is not None]
            short = len(least) < len(haves)
            spare = Fraction(-1) if short else min(least) - need
            parts.append(_thousandths(spare, need or Fraction(1, grain)))
    return sum(parts) // len(parts) if parts else 1000


def _compact(program: Program, candidate: Candidate) -> int:
    if len(candidate.rows) == 1:
        return 1000
    segment = program.segment
    if len({segment.building_of(row) for row in candidate.rows}) > 1:
        return 400
    return 900 if len({int(segment.floor[row]) for row in candidate.rows}) == 1 else 700


def _relay(program: Program, candidate: Candidate, relay: Any) -> int:
    if relay is None or program.demand.growth is None:
        return 1000
    places = {program.segment.building_of(row) for row in candidate.rows}
    return int(np.max(relay[sorted(places)]))
