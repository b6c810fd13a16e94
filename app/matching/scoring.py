"""How good a fitting unit is: an additive value function, exact in whole numbers. Pure.

Each criterion gives a value from 0 to 1000 (thousandths) and has a weight in hundredths; the score
is the sum of weight times value, from 0 to ``SCALE``. Nothing is rounded after that, so the
contributions sum to the score exactly. Bounds are declared, never taken from the other candidates:
a unit's score does not change because another appears.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demand.needs import number_text
from app.kernel.terms import PhysicalState
from app.matching.constraints import Words
from app.matching.demand import Demand
from app.matching.snapshot import Rows, Units
from app.matching.table import BY_KEY

Points = NDArray[np.int64]
FULL = 1000
SCALE = 100 * FULL

#: Thousandths for how much is built, by physical state (planning assumption).
READINESS = {
    PhysicalState.PLANNED: 0,
    PhysicalState.UNDER_CONSTRUCTION: 300,
    PhysicalState.SHELL: 700,
    PhysicalState.FITTED: FULL,
}
#: Columns whose spare over the hard need counts as headroom, with the need's key.
HEADROOM = (
    ("min_floor_load_kn_m2", "floor_load_kn_m2"),
    ("min_clear_height_m", "clear_height_m"),
    ("min_power_density_w_m2", "power_density_w_m2"),
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One part of the score: ``values`` has shape ``(n_rows,)``, 0 to 1000."""

    key: str
    name_zh: str
    name_en: str
    weight: int
    values: Callable[[Units, Demand, Rows], Points]
    says: Callable[[Units, Demand, int], Words]


def exact(points: int) -> Decimal:
    """Points out of ``SCALE`` as a decimal number from 0 to 1.

    >>> exact(73_420)
    Decimal('0.7342')
    """
    return (Decimal(points) / SCALE).normalize()


def score_rows(units: Units, demand: Demand, rows: Rows) -> Points:
    """The scores of rows, in points out of ``SCALE``."""
    total = np.zeros(len(rows), dtype=np.int64)
    for criterion in CRITERIA:
        total += criterion.weight * criterion.values(units, demand, rows)
    return total


def values_of(units: Units, demand: Demand, row: int) -> list[tuple[Criterion, int]]:
    """Each criterion's value for one row, in thousandths."""
    rows = np.array([row], dtype=np.int64)
    return [(one, int(one.values(units, demand, rows)[0])) for one in CRITERIA]


def _share(numerator: NDArray[np.float64], denominator: float) -> Points:
    """Thousandths of a ratio, rounded down, within 0 to 1; unknown is 0."""
    ratio = np.nan_to_num(numerator / denominator, nan=0.0, posinf=1.0, neginf=0.0)
    return np.floor(np.clip(ratio, 0.0, 1.0) * FULL).astype(np.int64)


def _full(rows: Rows) -> Points:
    return np.full(len(rows), FULL, dtype=np.int64)


def _wishes(units: Units, demand: Demand, rows: Rows) -> Points:
    if not demand.soft:
        return _full(rows)
    met = np.zeros(len(rows), dtype=np.int64)
    for key, need in demand.soft.items():
        met += BY_KEY[key].holds(units, need)[rows]
    return met * FULL // len(demand.soft)


def _wishes_said(units: Units, demand: Demand, row: int) -> Words:
    if not demand.soft:
        return "没有可选需求", "nothing was wished beyond the hard needs"
    one = units.taken([row])
    met = [key for key, need in demand.soft.items() if BY_KEY[key].holds(one, need)[0]]
    missed = [BY_KEY[key] for key in demand.soft if key not in met]
    zh = f"可选需求满足 {len(met)}/{len(demand.soft)} 项"
    en = f"{len(met)} of {len(demand.soft)} wishes are met"
    if missed:
        zh += "；未满足：" + "、".join(one.name_zh for one in missed)
        en += "; not met: " + ", ".join(one.name_en for one in missed)
    return zh, en


def _area_target(demand: Demand) -> tuple[float, float] | None:
    """The area aimed at and the distance from it at which the value is 0, m²."""
    low, high = demand.asked.get("min_area_m2"), demand.asked.get("max_area_m2")
    target = demand.target_area_m2
    if target is None:
        known = [bound for bound in (low, high) if bound is not None]
        if not known:
            return None
        target = sum(known) / len(known)
    reach = max(
        target - low if low is not None else 0.0, high - target if high is not None else 0.0
    )
    return target, reach or target


def _area_fit(units: Units, demand: Demand, rows: Rows) -> Points:
    aim = _area_target(demand)
    if aim is None:
        return _full(rows)
    target, reach = aim
    off = np.abs(units.columns["leasable_area_m2"][rows] - target)
    return _share(reach - off, reach)


def _area_said(units: Units, demand: Demand, row: int) -> Words:
    aim = _area_target(demand)
    area = number_text(units.value("leasable_area_m2", row))
    if aim is None:
        return f"面积 {area} m²，未提出面积要求", f"{area} m²; no area was asked for"
    target = number_text(aim[0])
    return f"面积 {area} m²，理想 {target} m²", f"{area} m², {target} m² aimed at"


def _rent(units: Units, demand: Demand, rows: Rows) -> Points:
    band = demand.terms.rent_cny_per_m2_day
    return _share(band.high - units.columns["rent_cny_per_m2_day"][rows], band.high - band.low)


def _rent_said(units: Units, demand: Demand, row: int) -> Words:
    band = demand.terms.rent_cny_per_m2_day
    rent = units.value("rent_cny_per_m2_day", row)
    if rent is None:
        return "租金未记录", "the rent is not recorded"
    zh = f"租金 {rent:g} 元/㎡·天，同类常见 {band.low:g}–{band.high:g}"
    en = f"rent is {rent:g} CNY/m²·day, usually {band.low:g}–{band.high:g} for such space"
    return zh, en


def _start(units: Units, demand: Demand, rows: Rows) -> Points:
    start, latest = demand.window.start.toordinal(), demand.window.latest.toordinal()
    free_from = units.columns["free_from"][rows].astype(np.float64)
    return _share(latest - free_from + 1, latest - start + 1)


def _start_said(units: Units, demand: Demand, row: int) -> Words:
    free_from = units.value("free_from", row)
    start = demand.window.start
    return f"{free_from} 起可用，希望 {start}", f"free from {free_from}, wanted from {start}"


_READINESS_BY_RANK = np.array([0, *(READINESS[state] for state in PhysicalState)], dtype=np.int64)


def _readiness(units: Units, _demand: Demand, rows: Rows) -> Points:
    values: Points = _READINESS_BY_RANK[units.columns["physical_state"][rows]]
    return values


def _readiness_said(units: Units, _demand: Demand, row: int) -> Words:
    value = units.value("physical_state", row)
    state = next((one for one in PhysicalState if one.value == value), None)
    return ("交付状态未记录", "state not recorded") if state is None else (state.zh, state.en)


def _headroom(units: Units, demand: Demand, rows: Rows) -> Points:
    asked = [(demand.hard[key], column) for key, column in HEADROOM if key in demand.hard]
    if not asked:
        return _full(rows)
    parts = [_share(units.columns[column][rows] - need, need) for need, column in asked]
    total: Points = np.sum(parts, axis=0) // len(parts)
    return total


def _headroom_said(units: Units, demand: Demand, row: int) -> Words:
    asked = [(key, column) for key, column in HEADROOM if key in demand.hard]
    if not asked:
        return "没有荷载、净高或配电的硬性要求", "no hard need of load, height or power"
    said: list[tuple[str, str]] = []
    for key, column in asked:
        spare: Any = BY_KEY[key].margin(units.value(column, row), demand.hard[key])
        text = f"{number_text(spare)} {BY_KEY[key].unit}"
        said.append(
            (f"{BY_KEY[key].name_zh}富余 {text}", f"{text} of {BY_KEY[key].name_en} to spare")
        )
    return "；".join(zh for zh, _ in said), "; ".join(en for _, en in said)


#: The declared criteria; weights are hundredths and sum to 100.
CRITERIA: tuple[Criterion, ...] = (
    Criterion("wishes", "可选需求", "Wishes met", 30, _wishes, _wishes_said),
    Criterion("area_fit", "面积贴合", "Area fit", 20, _area_fit, _area_said),
    Criterion("rent", "租金", "Rent", 20, _rent, _rent_said),
    Criterion("start", "起租时间", "Start", 15, _start, _start_said),
    Criterion("readiness", "交付状态", "Readiness", 10, _readiness, _readiness_said),
    Criterion("headroom", "技术富余", "Headroom", 5, _headroom, _headroom_said),
)
