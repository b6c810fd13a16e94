"""How far each need of a set must give way for so many units to fit. Pure.

Of the units that a set of needs opens, those count first whose largest shortfall is smallest, then
those whose shortfalls sum to less, then by row order. The first so many of them say what each need
has to become: what is nearest to it and accepts all of them. The changed demand is then solved
again on the rows that it can concern, so what is claimed to open does open: where a need changes
how large a part of a unit is taken, units may fit or fail for that alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np

from app.matching.engine.judge import candidate_of, judge_one
from app.matching.engine.kernel import asked_of, units_of
from app.matching.engine.program import Program, program_of
from app.matching.engine.whynot.histogram import Histogram, Place, bits_of
from app.matching.engine.whynot.relaxations import Relaxation
from app.matching.engine.whynot.rows import count_fitting, offers_of, rows_opened, rows_that_may
from app.matching.engine.whynot.shortfall import buildings_of, shortfalls
from app.matching.forms import Form, Ground
from app.matching.rules.constraint import Constraint
from app.matching.rules.demand import Demand, Window
from app.matching.segment import Rows, Segment

#: Needs by which the size of a part is chosen: changing them changes what units offer.
_BOUNDS = frozenset({"min_area_m2", "max_area_m2"})
_SIZES = _BOUNDS | {"places"}
_HUNDREDTH = Decimal("0.01")
#: Times that more units are taken in when parts of another size fail.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What one need has to become; None where it has to be given up."""

    constraint: Constraint
    need: Any
    give: Any | None


@dataclass(frozen=True, slots=True)
class Amounts:
    """How far the needs of one set give way, and how many units that do not fit now fit then.

    ``demand`` is what would be asked then; of it, the ``waived`` constraints are not applied.
    """

    changes: tuple[Change, ...]
    opens: int
    demand: Demand
    waived: frozenset[str]


def find_amounts(histogram: Histogram, relaxation: Relaxation, wanted: int = 1) -> Amounts:
    """The smallest changes of a set's needs that open at least so many units.

    Where the set opens fewer than ``wanted`` in all, as many as it does; where it opens bundles
    alone, its needs have to be given up.

    Args:
        histogram: what units break.
        relaxation: the set.
        wanted: units to open.
    """
    wanted = min(wanted, relaxation.opens)
    taken = wanted
    for _ in range(_TRIES if wanted else 0):
        nearest = _nearest(histogram, relaxation.mask, taken)
        found = _applied(histogram, relaxation, _changes(histogram, relaxation, nearest))
        if found.opens >= wanted:
            return found
        taken += wanted - found.opens
    wholly = [Change(one, _need(histogram, one), None) for one in relaxation.constraints]
    return _applied(histogram, relaxation, wholly)


def _need(histogram: Histogram, constraint: Constraint) -> Any:
    return histogram.programs[0].demand.hard[constraint.key]


@dataclass(frozen=True, slots=True)
class _Near:
    """A unit that a set opens, and how far it is from fitting: by bit of the set, and in all."""

    place: Place
    missing: dict[int, float]
    farthest: float
    together: float


def _nearest(histogram: Histogram, waived: int, count: int) -> list[_Near]:
    """The first so many units that a set opens, over all segments."""
    found = [
        near
        for at in range(len(histogram.programs))
        for near in _nearest_of(histogram, at, waived, count)
    ]
    found.sort(key=lambda one: (one.farthest, one.together, histogram.order(one.place)))
    return found[:count]


def _nearest_of(histogram: Histogram, at: int, waived: int, count: int) -> list[_Near]:
    program, masks = histogram.programs[at], histogram.rows[at]
    rows = rows_opened(program, masks, waived)
    offers = offers_of(rows, units_of(program.segment), asked_of(program))
    bits = list(bits_of(waived))
    missing = np.zeros((len(bits), len(rows)))
    for line, bit in enumerate(bits):
        broken = (masks[rows] >> np.uint64(bit)) & np.uint64(1) == 1
        missing[line] = shortfalls(program, bit, offers, broken)
    farthest, together = missing.max(axis=0), missing.sum(axis=0)
    return [
        _Near(
            Place(at, int(rows[place])),
            dict(zip(bits, missing[:, place].tolist(), strict=True)),
            float(farthest[place]),
            float(together[place]),
        )
        for place in smallest(count, farthest, together)
    ]


def smallest(count: int, *keys: np.ndarray[Any, np.dtype[np.float64]]) -> Rows:
    """The places of the smallest entries by the first key, then the next, then their place.

    In no order. No key is sorted as a whole.

    >>> sorted(smallest(2, np.array([3.0, 1.0, 3.0, 3.0]), np.array([1.0, 9.0, 0.0, 0.0])).tolist())
    [1, 2]
    """
    open_to_it = np.arange(len(keys[0]))
    chosen = []
    for key in keys:
        if len(open_to_it) <= count:
            break
        values = key[open_to_it]
        last = np.partition(values, count - 1)[count - 1]
        chosen.append(open_to_it[values < last])
        open_to_it = open_to_it[values == last]
        count -= len(chosen[-1])
    return np.concatenate([*chosen, open_to_it[:count]])


def _changes(
    histogram: Histogram, relaxation: Relaxation, nearest: Sequence[_Near]
) -> list[Change]:
    """What each need has to become to accept all of some units."""
    return [
        Change(
            constraint,
            _need(histogram, constraint),
            _given(histogram, bit, [one for one in nearest if one.missing[bit]]),
        )
        for bit, constraint in zip(bits_of(relaxation.mask), relaxation.constraints, strict=True)
    ]


def _given(histogram: Histogram, bit: int, nearest: Sequence[_Near]) -> Any | None:
    """The need that accepts what some units have that break it; None where no need does."""
    constraint = histogram.active[bit]
    need = _need(histogram, constraint)
    if constraint.give is None or any(np.isinf(one.missing[bit]) for one in nearest):
        return None
    given = need
    for one in nearest:
        program = histogram.programs[one.place.segment]
        candidate = candidate_of(program, one.place.row)
        have = judge_one(program, constraint, program.forms[bit], need, candidate).have
        given = constraint.give(given, have)
    return _as_shown(need, given)


def _as_shown(need: Any, given: Any) -> Any:
    """The changed need as people read it: finer numbers give way up to the next hundredth.

    >>> _as_shown(4.1, 4.2229), _as_shown(300.0, 250.555), _as_shown("B", "D")
    (4.23, 250.55, 'D')
    """
    if not isinstance(given, float) or given == need:
        return given
    outward = ROUND_CEILING if given > need else ROUND_FLOOR
    return float(Decimal(str(given)).quantize(_HUNDREDTH, outward))


def _applied(histogram: Histogram, relaxation: Relaxation, changes: Sequence[Change]) -> Amounts:
    """The changed demand, and how many more units fit it: solved again where it can matter."""
    given = {one.constraint.key: one.give for one in changes if one.give is not None}
    waived = frozenset(one.constraint.key for one in changes if one.give is None)
    demand = _given_way(histogram.programs[0].demand, given)
    not_applied = sum(1 << bit for bit, one in enumerate(histogram.active) if one.key in waived)
    resized = bool(given.keys() & _SIZES)
    # What fits as it is fits then too, unless other parts are offered.
    fits = 0 if resized else histogram.feasible
    for program, masks in zip(histogram.programs, histogram.rows, strict=True):
        units = units_of(program.segment)
        if resized:
            rows = rows_that_may(masks, np.uint64(relaxation.mask), units, asked_of(program))
        else:
            rows = rows_opened(program, masks, relaxation.mask)
        again = asked_of(_again(program, demand, given, rows))
        fits += count_fitting(rows, np.uint64(not_applied), units, again)
    return Amounts(tuple(changes), fits - histogram.feasible, demand, waived)


def _given_way(demand: Demand, given: dict[str, Any]) -> Demand:
    """The demand with some needs changed; it aims at the area that it aimed at before."""
    window: Window = given.get("availability", demand.window)
    target = demand.target_area_m2
    if target is None and given.keys() & _BOUNDS:
        target = demand.asked.get("min_area_m2", demand.asked.get("max_area_m2"))
    return replace(demand, hard={**demand.hard, **given}, window=window, target_area_m2=target)


def _again(program: Program, demand: Demand, given: dict[str, Any], rows: Rows) -> Program:
    """The changed demand on the same segment, right for these rows.

    Rules whose needs did not change are not remade; distances are measured where the rows are.
    """
    forms = tuple(
        _made(constraint, program.segment, given[constraint.key], rows)
        if constraint.key in given
        else form
        for constraint, form in zip(program.active, program.forms, strict=True)
    )
    return program_of(program.segment, demand, program.active, forms, program.wishes)


def _made(constraint: Constraint, segment: Segment, need: Any, rows: Rows) -> Form:
    """A rule's form for another need; one on distances of buildings is right for some rows."""
    if constraint.beyond is None:
        return constraint.form(segment, need)
    buildings = buildings_of(segment, rows)
    ok = np.zeros(len(segment.buildings.fid), dtype=np.bool_)
    ok[buildings] = constraint.beyond(segment, need, buildings) == 0
    return Ground(ok)
