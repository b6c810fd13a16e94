"""How much of each unit is free on each of its days, at one instant of a replay. Pure.

Days are cut at every start and end that occurs; between two cuts nothing changes, so one number
per piece is enough, and the least of them over a period is what the peak of its takers leaves.
All units lie one after the other in one array: two stretches meet if and only if they share a
unit and a day.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import lcm
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray


class Span(NamedTuple):
    """A quantity of a unit from ``start`` up to but not including ``end``; None is open."""

    unit_id: UUID
    quantity: Decimal
    start: date
    end: date | None


class Stretch(NamedTuple):
    """A span in pieces: ``first`` up to but not including ``last``, and whole steps."""

    first: int
    last: int
    steps: int


class Shortage(NamedTuple):
    """A piece on which fewer steps are free than are needed."""

    piece: int
    needed: int


class Room:
    """What is free, in whole steps of a quantity that divides all the others: no rounding.

    Raises:
        KeyError: a span is of a unit without a capacity.
    """

    def __init__(self, capacity: Mapping[UUID, Decimal], spans: Sequence[Span]) -> None:
        self._cuts: dict[UUID, dict[date | None, int]] = {}
        days: dict[UUID, set[date]] = {}
        for span in spans:
            cuts = days.setdefault(span.unit_id, set())
            cuts.add(span.start)
            if span.end is not None:
                cuts.add(span.end)
        amounts = {span.quantity for span in spans} | {capacity[unit_id] for unit_id in days}
        self._steps = lcm(*(amount.as_integer_ratio()[1] for amount in amounts))
        free: list[int] = []
        for unit_id, cuts in days.items():
            pieces: dict[date | None, int] = dict(
                zip(sorted(cuts), range(len(free), len(free) + len(cuts)), strict=True)
            )
            free += [self._in_steps(capacity[unit_id])] * len(cuts)
            pieces[None] = len(free)
            self._cuts[unit_id] = pieces
        # Python's own integers where 64 bits might not hold everything taken at once.
        most = sum(free) + sum(self._in_steps(span.quantity) for span in spans)
        self._free: NDArray[Any] = np.array(free, dtype=np.int64 if most < 2**62 else object)

    def stretch(self, span: Span) -> Stretch:
        """A span that was given at the beginning, in pieces."""
        pieces = self._cuts[span.unit_id]
        return Stretch(pieces[span.start], pieces[span.end], self._in_steps(span.quantity))

    def take(self, stretches: Iterable[Stretch]) -> None:
        """Count quantities as taken, whether they fit or not."""
        for first, last, steps in stretches:
            self._free[first:last] -= steps

    def give_back(self, stretches: Iterable[Stretch]) -> None:
        """Count quantities as taken no longer."""
        for first, last, steps in stretches:
            self._free[first:last] += steps

    def shortage(self, stretches: Sequence[Stretch], guess: int = -1) -> Shortage | None:
        """A piece on which too little is free, or None when all fit.

        It is ``guess`` if that is one, else the fullest piece of the first stretch that does not
        fit.
        """
        for first, last, steps in stretches:
            if first <= guess < last and self._free.item(guess) < steps:
                return Shortage(guess, steps)
        for first, last, steps in stretches:
            fullest = first + int(self._free[first:last].argmin())
            if self._free[fullest] < steps:
                return Shortage(fullest, steps)
        return None

    def is_overdrawn(self, stretch: Stretch) -> bool:
        """Whether more is taken than there is, somewhere in the stretch."""
        return bool(self._free[stretch.first : stretch.last].min() < 0)

    def zeros(self, size: int) -> NDArray[Any]:
        """Numbers of steps, to be compared with those of ``free_at``."""
        return np.zeros(size, dtype=self._free.dtype)

    def free_at(self, pieces: NDArray[np.intp]) -> NDArray[Any]:
        """Steps free on each of some pieces."""
        found: NDArray[Any] = self._free[pieces]
        return found

    def _in_steps(self, quantity: Decimal) -> int:
        numerator, denominator = quantity.as_integer_ratio()
        return numerator * (self._steps // denominator)


def meet(some: Iterable[Stretch], others: Iterable[Stretch]) -> bool:
    """Whether two wishes share a day of a unit, in whatever quantities."""
    others = list(others)
    return any(
        one.first < other.last and other.first < one.last for one in some for other in others
    )
