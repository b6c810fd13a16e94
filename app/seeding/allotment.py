"""Shares of a total that add up to it exactly. Whole numbers in, whole numbers out.

Areas are counted in centi-m² (0.01 m²), which is what the tables keep.
"""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

CENTI = Decimal("0.01")
_HALVINGS = 200


def centi(area_m2: Decimal) -> int:
    """Centi-m² of an area in m².

    >>> centi(Decimal("136666.67"))
    13666667
    """
    return int((area_m2 * 100).to_integral_exact())


def square_metres(area_centi_m2: int) -> Decimal:
    """The area in m², to two decimals.

    >>> square_metres(13666667)
    Decimal('136666.67')
    """
    return Decimal(area_centi_m2) * CENTI


def allot(total: int, weights: Sequence[float] | NDArray[np.float64]) -> list[int]:
    """Share ``total`` by weight; what rounding leaves goes to the largest remainders.

    >>> allot(100, [1, 1, 1])
    [34, 33, 33]
    """
    exact = np.asarray(weights, dtype=np.float64)
    exact = exact / exact.sum() * total
    shares = np.floor(exact).astype(np.int64)
    left = total - int(shares.sum())
    first = np.argsort(-(exact - shares), kind="stable")[:left]
    shares[first] += 1
    return [int(share) for share in shares]


def allot_within(
    total: int, weights: NDArray[np.float64], low: Sequence[int], high: Sequence[int]
) -> list[int]:
    """Share ``total`` by weight, each share between its own bounds.

    Raises:
        ValueError: the bounds leave no room for the total.

    >>> allot_within(100, np.array([1.0, 8.0, 1.0]), [20, 0, 0], [50, 50, 50])
    [25, 50, 25]
    """
    lowest, highest = np.asarray(low, dtype=np.int64), np.asarray(high, dtype=np.int64)
    if not int(lowest.sum()) <= total <= int(highest.sum()):
        raise ValueError(
            f"{total} cannot be shared between {int(lowest.sum())} and {int(highest.sum())}"
        )
    # The shares grow with the scale, so the scale that meets the total is found by halving.
    small, large = 0.0, float(np.max(highest)) / float(np.min(weights))
    for _ in range(_HALVINGS):
        middle = (small + large) / 2
        if np.clip(weights * middle, lowest, highest).sum() < total:
            small = middle
        else:
            large = middle
    shares = np.floor(np.clip(weights * small, lowest, highest)).astype(np.int64)
    left = total - int(shares.sum())
    while left:
        room = np.flatnonzero(shares < highest if left > 0 else shares > lowest)
        step = 1 if left > 0 else -1
        chosen = room[: abs(left)]
        shares[chosen] += step
        left -= step * len(chosen)
    return [int(share) for share in shares]
