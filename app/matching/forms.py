"""The few forms that every rule takes when it is made ready for a demand. Pure.

A rule says what it needs in words; made ready for one demand and one segment it is one of these.
The kernels know the forms and no rule; the rules know the forms and no kernel.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import COLUMNS, HIGHEST


@dataclass(frozen=True, slots=True)
class Interval:
    """``low <= cell <= high`` on a column of units; unknown cells never lie within.

    ``or_unknown``: an unknown cell is let pass all the same (an unset limit is no limit).
    """

    column: str
    low: int
    high: int
    or_unknown: bool = False

    @staticmethod
    def at_least(column: str, need: float) -> "Interval":
        """The column's number is the need or more."""
        return Interval(column, COLUMNS[column].at_least(need), HIGHEST)

    @staticmethod
    def at_most(column: str, need: float) -> "Interval":
        """The column's number is the need or less."""
        return Interval(column, COLUMNS[column].width.unknown + 1, COLUMNS[column].at_most(need))

    @staticmethod
    def exactly(column: str, cell: int) -> "Interval":
        """The cell is this one."""
        return Interval(column, cell, cell)


@dataclass(frozen=True, slots=True)
class Intervals:
    """All of these hold."""

    all_of: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """What is decided by the building: ``ok`` has one truth for each building of the segment."""

    ok: NDArray[np.bool_]


class Own(Enum):
    """Rules with a kernel of their own: they read more than one cell of the unit."""

    #: A free stretch long enough begins on the latest start or before.
    AVAILABILITY = "availability"
    #: Nothing else is on the floors taken, or in the buildings.
    WHOLE_FLOOR = "whole_floor"
    WHOLE_BUILDING = "whole_building"
    #: The rent of a year, 分, is at most ``limit``.
    RENT_A_YEAR = "rent_a_year"
    #: The need for power, tenths of kVA (or of W/m² times the area), is left in the building.
    POWER_LEFT = "power_left"


@dataclass(frozen=True, slots=True)
class Special:
    """A rule with a kernel of its own.

    ``limit`` is in the rule's grain: 分 for ``RENT_A_YEAR``; tenths of kVA for ``POWER_LEFT``,
    whose ``limit_per_m2`` are tenths of W/m² that are asked for each m² taken (the larger counts).
    """

    own: Own
    limit: int = 0
    limit_per_m2: int = 0


Form = Interval | Intervals | Ground | Special
