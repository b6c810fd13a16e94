"""How much of a single unit is offered: all of it, a part, or some of its places. Pure.

There is one offer a unit. Of a divisible unit it is the quantity nearest to what is aimed at that
may be let: at least the smallest part, within the bounds asked for, and leaving behind nothing or
as much as can still be let (where the unit's rule says so). Where no quantity will do it is the
whole unit, which then says by itself what is wrong with it.
"""

from typing import NamedTuple

from app.matching.columns import COLUMNS, QUANTITY_GRAIN, RENT_DAYS_A_YEAR, Width, rank_of
from app.matching.engine.compiled import step
from app.matching.rules.demand import Demand

#: The cell of "let by the place".
BY_PLACE = rank_of("capacity_measure", "place")
UNKNOWN = Width.LARGE.unknown
#: More than any unit has.
UNBOUNDED = Width.LARGE.most
_RENT_GRAINS_A_FEN = 10_000
_MONTHS_A_YEAR = 12
_AREA = COLUMNS["leasable_area_m2"]


class Wanted(NamedTuple):
    """How much of a divisible unit a demand would take, in hundredths.

    ``places`` counts places (0: none are asked for); ``low``, ``high`` and ``aim`` are of m²
    (``aim`` 0: no area is asked for).
    """

    places: int = 0
    low: int = 0
    high: int = UNBOUNDED
    aim: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether units are offered only whole."""
        return not self.places and not self.aim


def wanted(demand: Demand) -> Wanted:
    """What a demand would take of a divisible unit.

    Only hard needs bound it; it aims at the target, else at the middle of the bounds asked for, as
    the score does. Whoever must have a floor or a building to themselves takes no part of one.
    """
    if {"whole_floor", "whole_building"} & demand.hard.keys():
        return Wanted()
    hard, asked = demand.hard, demand.asked
    bounds = [asked[key] for key in ("min_area_m2", "max_area_m2") if key in asked]
    aim = demand.target_area_m2
    if aim is None and bounds:
        aim = sum(bounds) / len(bounds)
    low, high = hard.get("min_area_m2"), hard.get("max_area_m2")
    return Wanted(
        places=int(hard.get("places", 0)) * QUANTITY_GRAIN,
        low=0 if low is None else _AREA.at_least(low),
        high=UNBOUNDED if high is None else _AREA.at_most(high),
        aim=0 if aim is None else _AREA.cell(aim),
    )


@step
def quantity_offered(
    capacity: int, min_part: int, by_place: bool, keeps_remainder: bool, want: Wanted
) -> int:
    """Hundredths of a unit that are offered."""
    low, high, aim = want.low, want.high, want.aim
    if by_place:
        low, high, aim = want.places, UNBOUNDED, want.places
    if min_part == UNKNOWN or aim == 0:
        return capacity
    low, high = max(low, min_part), min(high, capacity)
    if low > high:
        return capacity
    quantity = min(max(aim, low), high)
    if keeps_remainder and 0 < capacity - quantity < min_part:
        return capacity - min_part if capacity - min_part >= low else capacity
    return quantity


@step
def share(cell: int, quantity: int, capacity: int) -> int:
    """A part's share of a column that is summed, rounded half up; unknown stays unknown."""
    if quantity == capacity or cell == UNKNOWN:
        return cell
    return (cell * quantity + capacity // 2) // capacity


@step
def rent_a_year(
    rent_m2_day: int, rent_place_month: int, area: int, quantity: int, capacity: int
) -> int:
    """Rent of a year, 分, rounded half up; -1 where no rent is known.

    Exact up to 9 × 10¹² CNY a year: the share is taken before the product outgrows 64 bits.
    """
    if capacity <= 0:
        return -1
    if rent_place_month != UNKNOWN:
        return (rent_place_month * quantity * _MONTHS_A_YEAR + QUANTITY_GRAIN // 2) // (
            QUANTITY_GRAIN
        )
    if min(rent_m2_day, area) == UNKNOWN:
        return -1
    rent = rent_m2_day * RENT_DAYS_A_YEAR
    taken, rest = (area * quantity) // capacity, (area * quantity) % capacity
    grains = rent * taken + (rent * rest) // capacity
    return (grains + _RENT_GRAINS_A_FEN // 2) // _RENT_GRAINS_A_FEN
