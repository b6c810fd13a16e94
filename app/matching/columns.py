"""Every column that a unit is judged by, declared once. Pure.

A cell is a whole number in the column's own grain, so that no comparison is ever a matter of
rounding: 7.85 kN/m² at a grain of 100 is 785. Unknown is the smallest number of the cell's type,
and no rule accepts it.

=======  ==========================================  ======================================
kind     a cell                                      a value, as a person knows it
=======  ==========================================  ======================================
number   value × grain, kept within the cell's type  a number in the unit of the column's name
rank     place in a vocabulary, from 1 (weakest)     a word of the vocabulary
flag     1 yes, 0 no                                 true or false
day      ``date.toordinal()``                        a date
=======  ==========================================  ======================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Any

import numpy as np

from app.kernel.terms import (
    STRONGEST_FIRST,
    AnimalFacility,
    CapacityMeasure,
    CleanroomGrade,
    FacilityType,
    FireHazardClass,
    IsotopeClass,
    PhysicalState,
    Term,
    UnitType,
    VibrationClass,
)

#: The day that never comes, and a bound that is none.
NEVER = np.iinfo(np.int32).max
#: Bounds of an interval that is open on that side; unknown cells lie below ``LOWEST``.
HIGHEST = int(np.iinfo(np.int64).max)


class Kind(Enum):
    """What a cell means."""

    NUMBER = "number"
    RANK = "rank"
    FLAG = "flag"
    DAY = "day"


class Width(Enum):
    """How large a cell is; ``unknown`` is the type's smallest number."""

    SMALL = np.int8
    MIDDLE = np.int16
    LARGE = np.int32

    # One of its kind: matrices are looked up by it, hundreds of times a search.
    __hash__ = object.__hash__

    @property
    def unknown(self) -> int:
        """The cell of what is not known."""
        return _LIMITS[self][0]

    @property
    def most(self) -> int:
        """The largest cell; larger values are kept as this one."""
        return _LIMITS[self][1]


#: Asked for many times a search, and slow to be asked of numpy.
_LIMITS: Mapping[Width, tuple[int, int]] = {
    width: (int(np.iinfo(width.value).min), int(np.iinfo(width.value).max)) for width in Width
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of units. ``order`` lists a rank's words, weakest first.

    ``summed``: of several units it is the sum, and of a part its share; others belong to each unit.
    """

    name: str
    kind: Kind
    width: Width
    grain: int = 1
    order: tuple[str, ...] = ()
    terms: type[Term] | None = None
    summed: bool = False

    def cell(self, value: Any) -> int:
        """The cell of a value; None is unknown. Numbers too large for it are kept as its largest.

        >>> COLUMNS["floor_load_kn_m2"].cell(7.85), COLUMNS["cleanroom_grade"].cell("D")
        (785, 1)
        """
        if value is None:
            return self.width.unknown
        if self.kind is Kind.RANK:
            return self.order.index(value) + 1
        if self.kind is Kind.FLAG:
            return int(bool(value))
        if self.kind is Kind.DAY:
            return int(value.toordinal())
        grains = (Decimal(str(value)) * self.grain).to_integral_value(ROUND_HALF_UP)
        return max(self.width.unknown + 1, min(int(grains), self.width.most))

    def value(self, cell: int) -> Any:
        """The value of a cell; None where it is unknown."""
        if cell == self.width.unknown:
            return None
        if self.kind is Kind.RANK:
            return self.order[cell - 1]
        if self.kind is Kind.FLAG:
            return bool(cell)
        if self.kind is Kind.DAY:
            return None if cell == NEVER else date.fromordinal(cell)
        return cell / self.grain

    def at_least(self, need: float) -> int:
        """The smallest cell that is ``need`` or more: finer needs than the grain are rounded up.

        >>> COLUMNS["floor_load_kn_m2"].at_least(7.851)
        786
        """
        grains = Decimal(str(need)) * self.grain
        return int(grains.to_integral_value("ROUND_CEILING"))

    def at_most(self, need: float) -> int:
        """The largest cell that is ``need`` or less: finer needs are rounded down."""
        grains = Decimal(str(need)) * self.grain
        return int(grains.to_integral_value("ROUND_FLOOR"))


def _number(name: str, width: Width, grain: int, *, summed: bool = False) -> Column:
    return Column(name, Kind.NUMBER, width, grain, summed=summed)


def _flag(name: str) -> Column:
    return Column(name, Kind.FLAG, Width.SMALL)


def _rank(name: str, terms: type[Term]) -> Column:
    ordered = reversed(STRONGEST_FIRST[terms]) if terms in STRONGEST_FIRST else iter(terms)
    return Column(
        name, Kind.RANK, Width.SMALL, order=tuple(term.value for term in ordered), terms=terms
    )


#: Every column of a unit by its name. Grains are those of the database's columns.
COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        _rank("unit_type", UnitType),
        _rank("capacity_measure", CapacityMeasure),
        _rank("physical_state", PhysicalState),
        # In the unit's own measure, m² or places; both with a grain of 100.
        _number("capacity", Width.LARGE, 100),
        # The smallest part that is let; unknown where the unit is let only whole.
        _number("min_part", Width.LARGE, 100),
        # Yes: a part must not leave behind less than the smallest part.
        _flag("keeps_lettable_remainder"),
        _number("leasable_area_m2", Width.LARGE, 100, summed=True),
        _number("min_term_months", Width.MIDDLE, 1),
        _number("max_term_months", Width.MIDDLE, 1),
        _rank("fire_hazard_class", FireHazardClass),
        # What may be made here by the storey rule: see rules.special.fire_storey.
        _number("storey_class", Width.SMALL, 1),
        _number("floor_load_kn_m2", Width.MIDDLE, 100),
        _number("clear_height_m", Width.MIDDLE, 100),
        _number("power_density_w_m2", Width.LARGE, 10),
        _number("power_kva", Width.LARGE, 10, summed=True),
        _rank("cleanroom_grade", CleanroomGrade),
        _number("biosafety_level", Width.SMALL, 1),
        _rank("animal_facility", AnimalFacility),
        _number("cold_storage_m2", Width.LARGE, 10, summed=True),
        _number("waste_water_t_per_day", Width.LARGE, 10, summed=True),
        _number("freight_lift_t", Width.MIDDLE, 100),
        _flag("hoist_opening"),
        _flag("is_ground_floor"),
        _flag("steam"),
        _flag("gas"),
        _flag("purified_water"),
        _flag("dual_power_feed"),
        _rank("isotope_class", IsotopeClass),
        _rank("vibration_class", VibrationClass),
        # By the m²; of a room let by the place, worked out from the places' rent.
        _number("rent_cny_per_m2_day", Width.LARGE, 10_000),
        # Known only where the unit is let so: the year's rent then comes from it.
        _number("rent_cny_per_place_month", Width.LARGE, 100),
        # A necessary condition, kept apart for the first sieve: the first day on which some
        # quantity that may be let is free. The calendar decides.
        Column("first_free", Kind.DAY, Width.LARGE),
    )
}

#: The columns of each width, in the order of their rows in a segment's matrices.
BY_WIDTH: Mapping[Width, tuple[str, ...]] = {
    width: tuple(column.name for column in COLUMNS.values() if column.width is width)
    for width in Width
}

#: Of each column the width of its cells, and its row in the matrix of that width.
AT: Mapping[str, tuple[Width, int]] = {
    name: (width, place) for width, names in BY_WIDTH.items() for place, name in enumerate(names)
}

#: Distances of a building from the nearest facility of each type: row order, centimetres.
FACILITIES: tuple[FacilityType, ...] = tuple(FacilityType)
#: Grain of distances: centimetres.
DISTANCE_GRAIN = 100
#: Grain of quantities in calendars: hundredths of m² or of a place.
QUANTITY_GRAIN = 100
#: Grain of kVA.
POWER_GRAIN = 10
#: Grain of money: 分.
MONEY_GRAIN = 100
#: Days in the rent of a year: 元/㎡·天 times m² times this.
RENT_DAYS_A_YEAR = 365


def rank_of(column: str, word: str) -> int:
    """The cell of a word of a vocabulary, from 1 (weakest).

    >>> rank_of("cleanroom_grade", "D"), rank_of("cleanroom_grade", "A")
    (1, 4)
    """
    return COLUMNS[column].order.index(word) + 1
