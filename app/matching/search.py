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
        return np.flatnonzero(self.masks == np.int64(1) << BITS[constraint.key])

    def funnel(self) -> tuple[tuple[Constraint, int], ...]:
        """How many units are left after each constraint, applied in the table's order."""
        steps = []
        seen = np.int64(0)
        for constraint in self.active:
            seen |= np.int64(1) << BITS[constraint.key]
            steps.append((constraint, int(np.count_nonzero((self.masks & seen) == 0))))
        return tuple(steps)

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
