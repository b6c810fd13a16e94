"""By how much units miss a rule, as one number for rules of every kind. Pure.

What is asked for counts as one: a rent of 4.6 where 4.0 is the limit misses it by 0.15, a class two
steps too weak on a ladder of four classes by 2/3, a lease that begins half a year late by 0.5. A
rule without a measure is missed by 1. What is not known misses by infinity: no amount is enough.
"""

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import COLUMNS, HIGHEST, NEVER, Kind
from app.matching.engine.program import Program, adds_up
from app.matching.engine.whynot.rows import Offers
from app.matching.forms import Ground, Interval, Intervals, Own, Special
from app.matching.rules.constraint import Combining
from app.matching.segment import Rows, Segment, Wide

Shortfalls = NDArray[np.float64]
_DAYS_A_YEAR = 365.0


def shortfalls(program: Program, bit: int, offers: Offers, broken: NDArray[np.bool_]) -> Shortfalls:
    """By how much each offer misses one constraint; 0 where it is not broken.

    Args:
        program: the demand on the offers' segment.
        bit: of the constraint.
        offers: what units offer.
        broken: which of them break the constraint.

    Returns:
        Shape ``(n_offers,)``.
    """
    constraint, form = program.active[bit], program.forms[bit]
    missing = np.ones(len(offers.rows))
    if constraint.give is not None:
        match form:
            case Interval():
                missing = _of_interval(program, bit, form, offers)
            case Intervals():
                each = [_of_interval(program, bit, one, offers) for one in form.all_of]
                missing = np.max(each, axis=0)
            case Ground():
                missing = _of_ground(program, bit, offers.rows)
            case Special():
                missing = _of_own(program, form, offers)
    return np.where(broken, missing, 0.0)


def _of_interval(program: Program, bit: int, test: Interval, offers: Offers) -> Shortfalls:
    column = COLUMNS[test.column]
    cells = program.segment.column(test.column)[offers.rows].astype(np.int64)
    unknown = cells == column.width.unknown
    if program.active[bit].combining is Combining.SUM and adds_up(column):
        cells = _taken(program, test.column, cells, offers)
    below, above = test.low - cells, cells - test.high
    if column.kind is Kind.RANK:
        # A word or another: there is nothing between.
        steps = 0 if test.low == test.high else len(column.order) - 1
        missing = np.maximum(below, above) / steps if steps else np.full(len(cells), np.inf)
    else:
        missing = np.maximum(
            below / max(abs(test.low), 1),
            above / max(abs(test.high), 1) if test.high != HIGHEST else 0.0,
        )
    missing = np.where((below <= 0) & (above <= 0), 0.0, missing)
    missing[unknown] = 0.0 if test.or_unknown else np.inf
    return missing


def _taken(program: Program, name: str, cells: Wide, offers: Offers) -> Wide:
    """What is taken of a column with what is offered, as ``parts.share`` says it."""
    if name == "capacity":
        return offers.quantity
    capacity = program.segment.column("capacity")[offers.rows].astype(np.int64)
    taken: Wide = (cells * offers.quantity + capacity // 2) // np.maximum(capacity, 1)
    return np.where(offers.quantity == capacity, cells, taken)


def _of_ground(program: Program, bit: int, rows: Rows) -> Shortfalls:
    constraint, segment = program.active[bit], program.segment
    if constraint.beyond is None:
        return np.ones(len(rows))
    need = program.demand.hard[constraint.key]
    buildings = buildings_of(segment, rows)
    missing = np.zeros(len(segment.buildings.fid))
    asked = max(float(constraint.wants(need)), 1.0)
    missing[buildings] = constraint.beyond(segment, need, buildings) / asked
    missing[np.isnan(missing)] = np.inf
    return missing[segment.floors.building[segment.floor[rows]]]


def buildings_of(segment: Segment, rows: Rows) -> Rows:
    """The places of the buildings in which some rows are, ascending, each once."""
    there = np.zeros(len(segment.buildings.fid), dtype=np.bool_)
    there[segment.floors.building[segment.floor[rows]]] = True
    return np.flatnonzero(there)


def _of_own(program: Program, form: Special, offers: Offers) -> Shortfalls:
    if form.own is Own.AVAILABILITY:
        late = (offers.first_day - program.latest) / _DAYS_A_YEAR
        return np.where(offers.first_day == NEVER, np.inf, late)
    if form.own is Own.RENT_A_YEAR:
        over = (offers.rent - form.limit) / max(form.limit, 1)
        return np.where(offers.rent < 0, np.inf, over)
    return np.ones(len(offers.rows))
