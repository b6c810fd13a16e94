"""Which units fit, which do not and by which constraints: exact, over all units. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.matching.constraints import Constraint
from app.matching.demand import Demand
from app.matching.scoring import score_rows
from app.matching.snapshot import Mask, Rows, Units
from app.matching.table import BITS, CONSTRAINTS

Violations = NDArray[np.int64]

#: Where the space is wanted; the funnel begins with these.
PLACE = ("zones", "parks", "near")
#: What and where: the units of the kind asked for in the wished place.
_FRAME = (*PLACE, "unit_type")
#: Sets of needs up to this size are tried together.
TOGETHER = 3


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Needs that free units when given up together, and none when any of them is kept."""

    constraints: tuple[Constraint, ...]
    units_freed: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every unit judged. ``masks[i]`` has a constraint's bit set where unit *i* breaks it."""

    masks: Violations
    active: tuple[Constraint, ...]

    @property
    def feasible(self) -> Rows:
        """Rows of the units that break nothing, ascending."""
        return np.flatnonzero(self.masks == 0)

    def broken_by(self, row: int) -> tuple[Constraint, ...]:
        """The constraints that a unit breaks, in the table's order."""
        mask = int(self.masks[row])
        return tuple(one for one in self.active if mask >> BITS[one.key] & 1)

    def blocked_by(self, constraint: Constraint) -> int:
        """How many units a constraint refuses."""
        return int(np.count_nonzero(self.masks >> BITS[constraint.key] & 1))

    def blocked_alone_by(self, constraint: Constraint) -> Rows:
        """Rows of the units that only this constraint refuses."""
        return np.flatnonzero(self.masks == 1 << BITS[constraint.key])

    def blocked_in_place_by(self, constraint: Constraint) -> int:
        """How many units of the kind asked for in the wished place a constraint refuses.

        The kind, or a wish for a place, is itself counted over the units that meet the others.
        """
        others = sum(
            1 << BITS[one.key] for one in self.active if one.key in _FRAME and one != constraint
        )
        broken = self.masks >> BITS[constraint.key] & 1
        return int(np.count_nonzero(broken[(self.masks & others) == 0]))

    def funnel(self) -> tuple[tuple[Constraint, int], ...]:
        """How many units are left after each constraint: places first, then in table order."""
        steps = []
        seen = 0
        for constraint in sorted(self.active, key=lambda one: one.key not in PLACE):
            seen |= 1 << BITS[constraint.key]
            steps.append((constraint, int(np.count_nonzero((self.masks & seen) == 0))))
        return tuple(steps)

    def relaxations(self, count: int) -> list[Relaxation]:
        """The smallest sets of needs that free a unit when given up together, cheapest first.

        Exact: a set frees the units whose broken constraints all lie in it, so every smallest set
        is what some unit breaks, and the distinct masks with their counts say it all. Sets with a
        constraint that no firm may wave, or with more than ``TOGETHER`` of them, are left out.
        """
        distinct, counts = np.unique(self.masks, return_counts=True)
        never = sum(1 << BITS[one.key] for one in self.active if one.never_relax)
        open_to_it = [
            int(mask)
            for mask in distinct
            if mask and not mask & never and int(mask).bit_count() <= TOGETHER
        ]
        found = []
        for mask in open_to_it:
            if any(other != mask and other & mask == other for other in open_to_it):
                continue
            inside = (distinct != 0) & (distinct & ~np.int64(mask) == 0)
            found.append(
                Relaxation(
                    tuple(one for one in self.active if mask >> BITS[one.key] & 1),
                    int(counts[inside].sum()),
                )
            )
        found.sort(key=_least_given_up)
        return found[:count]

    def nearest_misses(self, count: int) -> list[int]:
        """Rows of refused units, fewest broken constraints first, then cheapest, then by code."""
        refused = np.flatnonzero(self.masks)
        broken = np.zeros(len(self.masks), dtype=np.int64)
        cost = np.zeros(len(self.masks), dtype=np.int64)
        for constraint in self.active:
            hit = self.masks >> BITS[constraint.key] & 1
            broken += hit
            cost += hit * constraint.relax_cost
        order = np.lexsort((refused, cost[refused], broken[refused]))
        return [int(row) for row in refused[order][:count]]


def _least_given_up(one: Relaxation) -> tuple[int, int, int, list[int]]:
    cost = sum(constraint.relax_cost for constraint in one.constraints)
    bits = [BITS[constraint.key] for constraint in one.constraints]
    return cost, len(one.constraints), -one.units_freed, bits


def evaluate(units: Units, demand: Demand, table: Sequence[Constraint] = CONSTRAINTS) -> Evaluation:
    """Judge every unit by every hard constraint of a demand."""
    active = tuple(constraint for constraint in table if constraint.key in demand.hard)
    masks = np.zeros(len(units), dtype=np.int64)
    for constraint in active:
        broken: Mask = ~constraint.holds(units, demand.hard[constraint.key])
        masks |= broken.astype(np.int64) << BITS[constraint.key]
    masks.setflags(write=False)
    return Evaluation(masks=masks, active=active)


def top_k(units: Units, demand: Demand, evaluation: Evaluation, k: int) -> list[tuple[int, int]]:
    """The best feasible units as (row, score in ``scoring.SCALE``), ties by unit code."""
    rows = evaluation.feasible
    scores = score_rows(units, demand, rows)
    # Rows ascend with codes, so the row settles ties.
    order = np.lexsort((rows, -scores))[:k]
    return [(int(rows[place]), int(scores[place])) for place in order]
