"""Bundles that a part of them is as good as are not worth showing. Pure.

A bundle is dropped iff some feasible candidate of some, not all, of its units scores at least as
much. Whatever was dropped itself need not be looked at: what it was dropped for is in it too, and
scores no less. So bundles are gone through from the best score down, the smaller first among equal
ones, and each is held against those kept before it and against its units by themselves.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from app.matching.engine.bundles.find import SHAPES, Bundles
from app.matching.engine.bundles.kernel import Masks64
from app.matching.engine.candidates import BundleShape
from app.matching.segment import Large, Rows, Segment, Truths, Wide

_LINKED = SHAPES.index(BundleShape.LINKED)
#: Rows modulo this are the bits of a bundle's signature.
_BITS = 64


def keep_undominated(
    segment: Segment,
    bundles: Bundles,
    scores: NDArray[np.integer],
    unit_rows: NDArray[np.integer],
    unit_scores: NDArray[np.integer],
) -> Truths:
    """Which bundles stay; candidates of one unit always do.

    Args:
        segment: that the rows are of.
        bundles: every feasible bundle; of only some of them, more than need be are kept.
        scores: of the bundles; like those of units never negative.
        unit_rows: rows of the feasible candidates of one unit (whole, in part or by places),
            ascending.
        unit_scores: of those.
    """
    stays = np.zeros(len(bundles), dtype=np.bool_)
    better = np.flatnonzero(_best_of_units(bundles, unit_rows, unit_scores) < scores)
    home = _homes(segment, bundles)[better]
    size = np.diff(bundles.at)[better]
    order = better[np.lexsort((size, -scores[better], home))]
    ends = np.flatnonzero(np.diff(np.sort(home), append=-1)) + 1
    _keep(order, ends, bundles.at, bundles.row, _signatures(bundles.at, bundles.row), stays)
    return stays


def _best_of_units(
    bundles: Bundles, unit_rows: NDArray[np.integer], unit_scores: NDArray[np.integer]
) -> Wide:
    """The best score of a unit of each bundle by itself; -1 where none is feasible so."""
    if not len(unit_rows) or not len(bundles):
        return np.full(len(bundles), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(unit_rows, bundles.row), len(unit_rows) - 1)
    alone = np.where(unit_rows[place] == bundles.row, unit_scores[place], -1).astype(np.int64)
    best: Wide = np.maximum.reduceat(alone, bundles.at[:-1])
    return best


def _homes(segment: Segment, bundles: Bundles) -> Large:
    """A building for each bundle, the same for all that could be part of one another."""
    home = np.arange(len(segment.buildings.fid), dtype=np.int32)
    first, last = (
        segment.floors.building[segment.floor[bundles.row[ends]]]
        for ends in (bundles.at[:-1], bundles.at[1:] - 1)
    )
    linked = bundles.shape == _LINKED
    _join(first[linked], last[linked], home)
    homes: Large = home[first]
    return homes


@njit(cache=True, nogil=True)
def _join(one: Large, other: Large, home: Large) -> None:
    """Give linked buildings one home, however long the chain of them."""
    for pair in range(len(one)):
        left, right = one[pair], other[pair]
        while home[left] != left:
            left = home[left]
        while home[right] != right:
            right = home[right]
        home[max(left, right)] = min(left, right)
    for building in range(len(home)):
        # Homes come before those they are home to, and so are settled.
        home[building] = home[home[building]]


@njit(cache=True, nogil=True)
def _signatures(at: Large, row: Large) -> Masks64:
    """A few bits of each bundle: those of a part of it are among them."""
    signatures = np.zeros(len(at) - 1, np.uint64)
    for bundle in range(len(signatures)):
        for place in range(at[bundle], at[bundle + 1]):
            signatures[bundle] |= np.uint64(1) << np.uint64(row[place] % _BITS)
    return signatures


@njit(cache=True, nogil=True)
def _is_part(one: int, other: int, at: Large, row: Large) -> bool:
    """Whether all rows of a bundle are in another."""
    place = at[other]
    for mine in range(at[one], at[one + 1]):
        while place < at[other + 1] and row[place] < row[mine]:
            place += 1
        if place == at[other + 1] or row[place] != row[mine]:
            return False
    return True


@njit(cache=True, nogil=True)
def _keep(  # noqa: PLR0917  (a kernel's arguments are arrays)
    order: Rows, ends: Rows, at: Large, row: Large, signatures: Masks64, stays: Truths
) -> None:
    """Mark the bundles that stay; ``ends`` are where the next home begins in the order."""
    kept = np.empty(len(order), np.int64)
    begin = 0
    for end in ends:
        count = 0
        for place in range(begin, end):
            bundle = order[place]
            size = at[bundle + 1] - at[bundle]
            stays[bundle] = True
            for earlier in range(count):
                part = kept[earlier]
                if (
                    at[part + 1] - at[part] < size
                    and signatures[part] & ~signatures[bundle] == 0
                    and _is_part(part, bundle, at, row)
                ):
                    stays[bundle] = False
                    break
            if stays[bundle]:
                kept[count] = bundle
                count += 1
        begin = end
