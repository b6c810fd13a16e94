"""Seeded draws: the same seed and name give the same values on every machine."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeVar

import numpy as np

from app.seeding.reference import Span, Triangle

_Value = TypeVar("_Value")


class Draw:
    """A stream of draws that depends on the seed and a name only.

    Streams of their own keep one site's values the same when another site is edited.
    """

    def __init__(self, seed: int, name: str) -> None:
        """``name`` tells streams of one seed apart."""
        self.random = np.random.default_rng([seed, zlib.crc32(name.encode())])

    def chance(self, percent: float) -> bool:
        """True in ``percent`` of the draws."""
        return bool(self.random.random() * 100 < percent)

    def between(self, span: Span, step: str) -> Decimal:
        """A value of the span, rounded to ``step`` such as ``"0.01"``."""
        low, high = float(span.low), float(span.high)
        return rounded(low + (high - low) * float(self.random.random()), step)

    def triangular(self, triangle: Triangle) -> float:
        """A value of the triangular distribution."""
        low, high = float(triangle.low), float(triangle.high)
        if low == high:
            return low
        return float(self.random.triangular(low, float(triangle.mode), high))

    def pick(self, values: Sequence[_Value]) -> _Value:
        """One of the values, all alike."""
        return values[int(self.random.integers(len(values)))]

    def weighted(self, weights: Mapping[_Value, int]) -> _Value:
        """One of the keys by weight."""
        values = list(weights)
        running = np.cumsum([weights[value] for value in values])
        place = int(np.searchsorted(running, self.random.random() * running[-1], side="right"))
        return values[place]

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both possible."""
        return int(self.random.integers(low, high + 1))

    def day(self, first: date, last: date) -> date:
        """A day from ``first`` to ``last``, both possible."""
        return first + timedelta(days=self.whole(0, (last - first).days))


def rounded(value: float, step: str) -> Decimal:
    """The value in decimal, rounded to ``step``."""
    return Decimal(repr(value)).quantize(Decimal(step))


def add_months(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or the last one there is up to the 28th."""
    at = day.year * 12 + day.month - 1 + months
    return date(at // 12, at % 12 + 1, min(day.day, 28))
