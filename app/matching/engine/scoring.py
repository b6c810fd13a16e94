"""How good a fitting candidate is: an additive value function, exact in whole numbers. Pure.

Each criterion gives a value from 0 to 1000 (thousandths) and has a weight in hundredths; the score
is the sum of weight times value, from 0 to ``SCALE``. Nothing is rounded after that, so the
contributions sum to the score exactly. Bounds are declared, never taken from the other candidates:
a candidate's score does not change because another appears.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demand.needs import named, number_text
from app.kernel.terms import PhysicalState
from app.matching.columns import COLUMNS, NEVER
from app.matching.engine.alone import FULL, Ramp, Scale
from app.matching.engine.candidates import Candidate
from app.matching.engine.kernel import wished_of
from app.matching.engine.measures import (
    COMPACT,
    HEADROOM,
    PLACES,
    UNKNOWN,
    Measures,
    Offers,
    Relay,
    measure,
)
from app.matching.engine.parts import UNBOUNDED
from app.matching.engine.program import Program
from app.matching.rules.constraint import Words
from app.matching.rules.demand import Demand
from app.matching.segment import Wide

Points = NDArray[np.int64]
SCALE = 100 * FULL

#: Thousandths for how much is built, by physical state (planning assumption).
READINESS: Mapping[PhysicalState, int] = {
    PhysicalState.PLANNED: 0,
    PhysicalState.UNDER_CONSTRUCTION: 300,
    PhysicalState.SHELL: 700,
    PhysicalState.FITTED: FULL,
}
_AREA = COLUMNS["leasable_area_m2"]
_RENT = COLUMNS["rent_cny_per_m2_day"]
_STATES = COLUMNS["physical_state"].order
#: By rank; the last entry, where ``UNKNOWN`` points, is that of no known state.
_READINESS = np.array([0, *(READINESS[named(PhysicalState, one)] for one in _STATES), 0])
_NO_RELAY: Relay = np.zeros(0, dtype=np.int16)

_COMPACT_WORDS: Mapping[int, Words] = dict(
    zip(
        COMPACT,
        (
            ("单一房源", "one unit"),
            ("同层相邻", "units side by side on one floor"),
            ("同楼上下相连", "floors of one building, one above the other"),
            ("分处连廊相通的两栋楼", "in two buildings that a passage joins"),
        ),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One part of the score; for units by themselves see ``scale_of`` and ``alone.points_of`` too.

    ``values`` are thousandths, one for each candidate; ``says`` tells of the first candidate.
    """

    key: str
    name_zh: str
    name_en: str
    weight: int
    values: Callable[[Program, Measures], Points]
    says: Callable[[Program, Measures], Words]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a criterion adds to a candidate's score: ``weight`` times ``value`` points.

    ``words`` is None where nobody asked for them.
    """

    criterion: Criterion
    weight: int
    value: int
    words: Words | None

    @property
    def points(self) -> int:
        """Out of ``SCALE``."""
        return self.weight * self.value


def exact(points: int) -> Decimal:
    """Points out of ``SCALE`` as a decimal number from 0 to 1.

    >>> exact(73_420)
    Decimal('0.7342')
    """
    return (Decimal(points) / SCALE).normalize()


def weights_of(demand: Demand) -> Mapping[str, int]:
    """Hundredths by criterion: the demand's own, or the default set.

    Raises:
        ValueError: they name no criterion, or do not sum to 100.

    >>> sum(one.weight for one in CRITERIA)
    100
    """
    if not demand.weights:
        return {one.key: one.weight for one in CRITERIA}
    known = {one.key for one in CRITERIA}
    if not demand.weights.keys() <= known or min(demand.weights.values()) < 0:
        raise ValueError(f"weights are of {sorted(known)}, none below 0")
    if sum(demand.weights.values()) != 100:  # noqa: PLR2004  (hundredths)
        raise ValueError(f"weights sum to 100, not to {sum(demand.weights.values())}")
    return {key: demand.weights.get(key, 0) for key in known}


def score(program: Program, offers: Offers, relay: Relay | None = None) -> Points:
    """The scores of candidates, in points out of ``SCALE``; ``relay`` as in ``measure``."""
    weights = weights_of(program.demand)
    measured = measure(program, offers, relay)
    total = np.zeros(len(offers), dtype=np.int64)
    for criterion in CRITERIA:
        if weights[criterion.key]:
            total += weights[criterion.key] * criterion.values(program, measured)
    return total


def scale_of(program: Program, relay: Relay | None = None) -> Scale:
    """The same for units by themselves, as a kernel reads it; ``relay`` as in ``measure``."""
    weights = weights_of(program.demand)
    area, headroom = _area_ramp(program), _headroom_ramps(program)
    known_relay = relay is not None and program.demand.growth is not None
    same_for_all = {
        "wishes": not program.wishes,
        "area_fit": area is None,
        "headroom": not headroom,
        "relay": not known_relay,
        # One unit hangs together with itself.
        "compact": True,
    }
    columns = dict(HEADROOM)
    return Scale(
        always=FULL * sum(weights[key] for key, is_same in same_for_all.items() if is_same),
        of_wishes=0 if same_for_all["wishes"] else weights["wishes"],
        wishes=len(program.wishes),
        wished=wished_of(program),
        of_area=0 if area is None else weights["area_fit"],
        area=area or Ramp(),
        of_rent=weights["rent"],
        rent=_rent_ramp(program),
        of_start=weights["start"],
        start=_start_ramp(program),
        of_readiness=weights["readiness"],
        readiness=_READINESS,
        of_headroom=0 if same_for_all["headroom"] else weights["headroom"],
        headroom=np.array(
            [(*PLACES[columns[key]], *ramp) for key, ramp in headroom.items()],
            dtype=np.int64,
        ).reshape(-1, 2 + len(Ramp._fields)),
        of_relay=weights["relay"] if known_relay else 0,
        relay=relay if relay is not None and known_relay else _NO_RELAY,
    )


def contributions(
    program: Program, candidate: Candidate, relay: Relay | None = None
) -> tuple[Contribution, ...]:
    """What each criterion adds to a candidate's score; the points sum to it exactly."""
    (found,) = contributions_of(program, [candidate], relay)
    return found


def contributions_of(
    program: Program,
    candidates: Sequence[Candidate],
    relay: Relay | None = None,
    *,
    in_words: bool = True,
) -> list[tuple[Contribution, ...]]:
    """The same for several candidates, measured together, in words or in numbers alone."""
    if not candidates:
        return []
    weights = weights_of(program.demand)
    measured = measure(program, Offers.of(candidates), relay)
    values = [criterion.values(program, measured).tolist() for criterion in CRITERIA]
    alone = [measured.one(place) for place in range(len(candidates))]
    return [
        tuple(
            Contribution(
                criterion,
                weights[criterion.key],
                of_all[place],
                criterion.says(program, one) if in_words else None,
            )
            for criterion, of_all in zip(CRITERIA, values, strict=True)
        )
        for place, one in enumerate(alone)
    ]


def _thousandths(ramp: Ramp, cells: Wide) -> Points:
    """What a ramp makes of cells; of unknown ones nothing."""
    part = np.clip(ramp.high - np.abs(ramp.times * cells - ramp.aim), 0, ramp.whole)
    return np.where(cells == UNKNOWN, 0, part * FULL // ramp.whole)


def _wishes(_program: Program, measured: Measures) -> Points:
    if not measured.met:
        return np.full(len(measured), FULL, dtype=np.int64)
    met = np.zeros(len(measured), dtype=np.int64)
    for truths in measured.met:
        met += truths
    return met * FULL // len(measured.met)


def _wishes_said(program: Program, measured: Measures) -> Words:
    if not measured.met:
        return "没有可选需求", "nothing was wished beyond the hard needs"
    pairs = list(zip(program.wishes, measured.met, strict=True))
    missed = [one for (one, _), truths in pairs if not truths[0]]
    met = len(pairs) - len(missed)
    zh = f"可选需求满足 {met}/{len(pairs)} 项"
    en = f"{met} of {len(pairs)} wishes are met"
    if missed:
        zh += "；未满足：" + "、".join(one.name_zh for one in missed)
        en += "; not met: " + ", ".join(one.name_en for one in missed)
    return zh, en


def _area_aim(demand: Demand) -> tuple[int, int] | None:
    """The area aimed at and the distance from it at which the value is 0, both in 1/200 m².

    A target, or the middle of the bounds; 0 is at the farther bound, or at twice the area.
    """
    low, high = (
        None if bound is None else 2 * _AREA.cell(bound)
        for bound in (demand.asked.get("min_area_m2"), demand.asked.get("max_area_m2"))
    )
    known = [bound for bound in (low, high) if bound is not None]
    if demand.target_area_m2 is not None:
        target = 2 * _AREA.cell(demand.target_area_m2)
    elif known:
        target = sum(known) // len(known)
    else:
        return None
    below = 0 if low is None else target - low
    above = 0 if high is None else high - target
    return target, max(below, above, 0) or max(1, target)


def _area_ramp(program: Program) -> Ramp | None:
    aim = _area_aim(program.demand)
    return None if aim is None else Ramp(high=aim[1], whole=aim[1], times=2, aim=aim[0])


def _area_fit(program: Program, measured: Measures) -> Points:
    ramp = _area_ramp(program)
    if ramp is None:
        return np.full(len(measured), FULL, dtype=np.int64)
    return _thousandths(ramp, measured.area)


def _area_said(program: Program, measured: Measures) -> Words:
    aim = _area_aim(program.demand)
    area = int(measured.area[0])
    if area == UNKNOWN:
        return "面积未记录", "the area is not recorded"
    have = number_text(area / _AREA.grain)
    if aim is None:
        return f"面积 {have} m²，未提出面积要求", f"{have} m²; no area was asked for"
    target = number_text(aim[0] / (2 * _AREA.grain))
    return f"面积 {have} m²，理想 {target} m²", f"{have} m², {target} m² aimed at"


def _rent_ramp(program: Program) -> Ramp:
    band = program.demand.terms.rent_cny_per_m2_day
    low, high = _RENT.cell(band.low), _RENT.cell(band.high)
    return Ramp(high=high, whole=max(1, high - low))


def _rent(program: Program, measured: Measures) -> Points:
    return _thousandths(_rent_ramp(program), measured.rent)


def _rent_said(program: Program, measured: Measures) -> Words:
    band = program.demand.terms.rent_cny_per_m2_day
    cell = int(measured.rent[0])
    if cell == UNKNOWN:
        return "租金未记录", "the rent is not recorded"
    rent = cell / _RENT.grain
    return (
        f"租金 {rent:g} 元/㎡·天，同类常见 {band.low:g}–{band.high:g}",
        f"rent is {rent:g} CNY/m²·day, usually {band.low:g}–{band.high:g} for such space",
    )


def _start_ramp(program: Program) -> Ramp:
    days = program.latest - program.start + 1
    return Ramp(high=program.latest + 1 if days > 0 else 0, whole=max(1, days))


def _start(program: Program, measured: Measures) -> Points:
    return _thousandths(_start_ramp(program), measured.first_day)


def _start_said(program: Program, measured: Measures) -> Words:
    first, wanted = int(measured.first_day[0]), program.demand.window.start
    if first == NEVER:
        return (
            f"没有足够长的空档，希望 {wanted} 起",
            f"never free for so long, wanted from {wanted}",
        )
    day = date.fromordinal(first)
    return f"{day} 起可用，希望 {wanted}", f"free from {day}, wanted from {wanted}"


def _readiness(_program: Program, measured: Measures) -> Points:
    values: Points = _READINESS[measured.state]
    return values


def _readiness_said(_program: Program, measured: Measures) -> Words:
    rank = int(measured.state[0])
    if rank == UNKNOWN:
        return "交付状态未记录", "state not recorded"
    state = named(PhysicalState, _STATES[rank - 1])
    return state.zh, state.en


def _headroom_ramps(program: Program) -> Mapping[str, Ramp]:
    """By the needs' keys; all cells are below what is aimed at, so that more is always better."""
    needs = {
        key: COLUMNS[column].at_least(program.demand.hard[key])
        for key, column in HEADROOM
        if key in program.demand.hard
    }
    return {
        key: Ramp(high=UNBOUNDED - need, whole=max(1, need), aim=UNBOUNDED)
        for key, need in needs.items()
    }


def _headroom(program: Program, measured: Measures) -> Points:
    if not measured.spare:
        return np.full(len(measured), FULL, dtype=np.int64)
    total = np.zeros(len(measured), dtype=np.int64)
    for key, ramp in _headroom_ramps(program).items():
        total += _thousandths(ramp, measured.spare[key])
    return total // len(measured.spare)


def _headroom_said(program: Program, measured: Measures) -> Words:
    if not measured.spare:
        return "没有荷载、净高或配电的硬性要求", "no hard need of load, height or power"
    said: list[Words] = []
    for key, column in HEADROOM:
        if key not in measured.spare:
            continue
        one = next(one for one in program.active if one.key == key)
        have = int(measured.spare[key][0])
        if have == UNKNOWN:
            said.append((f"{one.name_zh}未记录", f"{one.name_en} is not recorded"))
            continue
        spare: Any = one.margin(have / COLUMNS[column].grain, program.demand.hard[key])
        text = f"{number_text(spare)} {one.unit}"
        said.append((f"{one.name_zh}富余 {text}", f"{text} of {one.name_en} to spare"))
    return "；".join(zh for zh, _ in said), "; ".join(en for _, en in said)


def _compact(_program: Program, measured: Measures) -> Points:
    return measured.compact


def _compact_said(_program: Program, measured: Measures) -> Words:
    return _COMPACT_WORDS[int(measured.compact[0])]


def _relay(_program: Program, measured: Measures) -> Points:
    return measured.relay


def _relay_said(program: Program, measured: Measures) -> Words:
    growth = program.demand.growth
    if growth is None:
        return "管线未提示后续空间需求", "no pipeline says that more space will be needed"
    value = int(measured.relay[0]) // 10
    area, kind = f"{number_text(growth.area_m2)} m²", growth.unit_type
    zh = f"{growth.from_day} 起需{kind.zh}空间约 {area}（{growth.words_zh}）"
    en = f"from {growth.from_day} about {area} of {kind.en} space ({growth.words_en})"
    return f"接力前景 {value}/100：{zh}", f"relay outlook {value}/100: {en}"


#: The declared criteria; weights are hundredths and sum to 100.
CRITERIA: tuple[Criterion, ...] = (
    Criterion("wishes", "可选需求", "Wishes met", 30, _wishes, _wishes_said),
    Criterion("area_fit", "面积贴合", "Area fit", 20, _area_fit, _area_said),
    Criterion("rent", "租金", "Rent", 20, _rent, _rent_said),
    Criterion("start", "起租时间", "Start", 10, _start, _start_said),
    Criterion("readiness", "交付状态", "Readiness", 5, _readiness, _readiness_said),
    Criterion("headroom", "技术富余", "Headroom", 5, _headroom, _headroom_said),
    Criterion("relay", "接力前景", "Relay outlook", 5, _relay, _relay_said),
    Criterion("compact", "空间紧凑", "Compactness", 5, _compact, _compact_said),
)
