"""How good a unit or a part of one is, worked out while it is looked at. Pure.

What ``scoring`` says of any candidate, a kernel says of a single unit, from the same ramps: most
of what fits is never among the best, and need not be written down to find that out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import BY_WIDTH, Width
from app.matching.engine.compiled import step
from app.matching.engine.kernel import (
    AREA,
    CAPACITY,
    RENT,
    UNKNOWN_OF_WIDTH,
    Asked,
    Units,
    cell_at,
    days_refused,
    terms_refused,
)
from app.matching.engine.parts import UNKNOWN, share
from app.matching.segment import Wide

#: Thousandths: the value of what could not be better.
FULL = 1000
_STATE = BY_WIDTH[Width.SMALL].index("physical_state")
_UNKNOWN_STATE = Width.SMALL.unknown
#: How many bits of a byte are set.
_BITS_SET = np.array([byte.bit_count() for byte in range(256)])
_BYTE, _EIGHT = np.uint64(255), np.uint64(8)


class Ramp(NamedTuple):
    """What a cell is worth: ``high - |times * cell - aim|`` out of ``whole``, from 0 to all of it.

    Cells are never negative; an unknown one is worth nothing.
    """

    high: int = 0
    whole: int = 1
    times: int = 1
    aim: int = 0


class Scale(NamedTuple):
    """What the points of a unit by itself are worked out from: see ``scoring.CRITERIA``.

    Attributes:
        always: points that every unit has.
        of_wishes, of_area, of_rent, of_start, of_readiness, of_headroom, of_relay: hundredths; 0
            where all units have the same, which is in ``always`` then.
        wishes: how many there are.
        wished: them, as if they were asked for.
        area, rent, start: of the area taken, the rent by the m² and the first day.
        readiness: thousandths by rank of the physical state.
        headroom: width and row of a column and its ramp, in each row.
        relay: thousandths, of each building.
    """

    always: int
    of_wishes: int
    wishes: int
    wished: Asked
    of_area: int
    area: Ramp
    of_rent: int
    rent: Ramp
    of_start: int
    start: Ramp
    of_readiness: int
    readiness: Wide
    of_headroom: int
    headroom: Wide
    of_relay: int
    relay: NDArray[np.int16]


@step
def points_of(  # noqa: PLR0917  (a kernel's arguments are arrays)
    row: int,
    building: int,
    quantity: int,
    first_day: int,
    missed: np.uint64,
    units: Units,
    scale: Scale,
    least: int,
) -> int:
    """The points of a unit or a part of it; less than none where they are ``least`` or fewer.

    ``missed`` are the bits of the wishes that its cells do not meet.
    """
    points = scale.always
    if scale.of_wishes:
        met = _met(row, building, quantity, first_day, missed, units, scale)
        points += scale.of_wishes * floor_of(met * FULL, scale.wishes)
    if scale.of_relay:
        points += scale.of_relay * scale.relay[building]
    area = share(units.large[AREA, row], quantity, units.large[CAPACITY, row])
    if area != UNKNOWN:
        points += scale.of_area * _worth(area, scale.area)
    rent = units.large[RENT, row]
    if rent != UNKNOWN:
        points += scale.of_rent * _worth(rent, scale.rent)
    points += scale.of_start * _worth(first_day, scale.start)
    if points + FULL * (scale.of_readiness + scale.of_headroom) <= least:
        return -1
    state = units.small[_STATE, row]
    if state != _UNKNOWN_STATE:
        points += scale.of_readiness * scale.readiness[state]
    if scale.of_headroom:
        points += scale.of_headroom * _spare(row, units, scale.headroom)
    return points if points > least else -1


@step
def _worth(cell: int, ramp: Ramp) -> int:
    part = min(max(ramp.high - abs(ramp.times * cell - ramp.aim), 0), ramp.whole)
    return floor_of(part * FULL, ramp.whole)


@step
def floor_of(number: int, whole: int) -> int:
    """A ratio rounded down; so far below 2⁵² this is exact, and much faster than whole numbers."""
    return int(number / whole)


@step
def _met(  # noqa: PLR0917  (as above)
    row: int,
    building: int,
    quantity: int,
    first_day: int,
    missed: np.uint64,
    units: Units,
    scale: Scale,
) -> int:
    """How many wishes are met."""
    wished, met = scale.wished, scale.wishes
    missed |= terms_refused(row, quantity, units, wished)
    missed |= days_refused(row, quantity, first_day, units, wished)
    if len(wished.ground):
        missed |= wished.ground[building]
    while missed:
        met -= _BITS_SET[missed & _BYTE]
        missed >>= _EIGHT
    return met


@step
def _spare(row: int, units: Units, headroom: Wide) -> int:
    """The mean of what the columns that were asked for have to spare, thousandths."""
    total = 0
    for place in range(len(headroom)):
        width, column, high, whole, times, aim = headroom[place]
        cell = cell_at(width, column, row, units)
        if cell != UNKNOWN_OF_WIDTH[width]:
            total += _worth(cell, Ramp(high, whole, times, aim))
    return floor_of(total, len(headroom))
