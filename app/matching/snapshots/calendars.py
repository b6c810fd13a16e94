"""What is free of each unit from which day on, from what is taken of it. Pure.

A day on which nothing is taken of a unit has all of it free, however large it is then; of any other
day it is that day's size less what is taken, which is always less than all.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import NEVER, Width
from app.matching.segment import Large, Wide

_DAY_BITS = 32
_DAY_MASK = (1 << _DAY_BITS) - 1


class Rows(NamedTuple):
    """Units, sorted by their numbers and the first day of their facts; days are ordinals.

    ``valid_from`` (0: always) and ``valid_until`` bound the days on which the facts hold; a unit
    that changes its size has a row for each size. Quantities are hundredths of its own measure.
    """

    fid: Wide
    valid_from: Wide
    valid_until: Wide
    usable_from: Wide
    usable_until: Wide
    capacity: Wide


class Taken(NamedTuple):
    """Quantities that are taken from a day on until another, of units by their first rows."""

    unit: Wide
    first: Wide
    until: Wide
    quantity: Wide


Steps = tuple[Large, Large, Large]


def free_steps(rows: Rows, taken: Taken) -> Steps:
    """``(row, day, free)``: so much is free from this day on, until the row's next.

    Sorted by row and day. Nothing is free before the first; a row that is never free has none.
    """
    # A unit of several rows is taken in each of them.
    claim, row = _spread(taken.unit, unit_ends(rows.fid)[taken.unit])
    first = np.maximum(taken.first[claim], rows.usable_from[row])
    until = np.minimum(taken.until[claim], rows.usable_until[row])
    lasts = first < until
    row, first, until = row[lasts], first[lasts], until[lasts]
    quantity = taken.quantity[claim][lasts]
    sized, size_first, size_until, more = _other_sizes(rows)
    # Most units are taken once and change in nothing else: there is nothing to be added up.
    is_plain = (np.bincount(row, minlength=len(rows.fid)) <= 1) & (rows.usable_until == NEVER)
    is_plain[sized] = False
    once = is_plain[row]
    plain = _plain_steps(rows, is_plain, row[once], first[once], until[once], quantity[once])
    others, several = np.flatnonzero(~is_plain), ~once
    edges = _Edges()
    edges.add(row[several], first[several], used=quantity[several])
    edges.add(row[several], until[several], used=-quantity[several])
    edges.add(sized, size_first, size=more)
    edges.add(sized, size_until, size=-more)
    # Days on which it may be used: a mark for each row, so that every row has a first edge.
    edges.add(others, rows.usable_from[others], open_=1)
    edges.add(others, rows.usable_until[others], open_=-1)
    at, day, used, size, is_open = edges.levels(len(rows.fid))
    capacity = rows.capacity[at]
    some = np.clip(capacity + size - used, 0, capacity - 1)
    free = np.where(is_open > 0, np.where(used > 0, some, capacity), 0)
    return _by_row(plain, _changes(at, day, free))


def _plain_steps(  # noqa: PLR0917  (arrays of claims, side by side)
    rows: Rows, is_plain: NDArray[np.bool_], row: Wide, first: Wide, until: Wide, quantity: Wide
) -> Steps:
    """Steps of units of which something is taken once, or never."""
    begins = is_plain.copy()
    # What is taken from the first day on was never free before.
    begins[row[first == rows.usable_from[row]]] = False
    capacity = rows.capacity[row]
    left = np.clip(capacity - quantity, 0, capacity - 1)
    stays = (left > 0) | (first > rows.usable_from[row])
    ends = until != NEVER
    free = np.flatnonzero(begins)
    return _by_row(
        _steps(free, rows.usable_from[free], rows.capacity[free]),
        _steps(row[stays], first[stays], left[stays]),
        _steps(row[ends], until[ends], capacity[ends]),
    )


def _steps(at: Wide, day: Wide, level: Wide) -> Steps:
    most = Width.LARGE.most
    return at.astype(np.int32), day.astype(np.int32), np.minimum(level, most).astype(np.int32)


def _by_row(*several: Steps) -> Steps:
    """Steps of several, by their rows; of a row those of the earlier come first."""
    at, days, levels = (np.concatenate(parts) for parts in zip(*several, strict=True))
    order = np.argsort(at, kind="stable")
    return at[order], days[order], levels[order]


def promised_steps(owner: Wide, taken: Taken, amount: Wide) -> Steps:
    """``(owner, day, used)``: so much is promised from this day on, until the owner's next."""
    edges = _Edges()
    edges.add(owner, taken.first, used=amount)
    edges.add(owner, taken.until, used=-amount)
    at, day, used, _, _ = edges.levels(int(owner.max()) + 1 if len(owner) else 0)
    return _changes(at, day, used)


def steps_since(steps: Steps, day: int) -> Steps:
    """The same from a day on: of what was before, only what still holds then is kept."""
    at, days, levels = steps
    kept = np.ones(len(at), dtype=np.bool_)
    kept[:-1] = (at[1:] != at[:-1]) | (days[1:] > day)
    at, days, levels = at[kept], days[kept], levels[kept]
    # What begins with nothing need not be said.
    first = np.append(True, at[1:] != at[:-1])[: len(at)]
    said = ~first | (levels != 0)
    return at[said], days[said], levels[said]


def first_rows(fid: Wide) -> Wide:
    """The first row of each unit."""
    return np.flatnonzero(np.append(True, fid[1:] != fid[:-1])[: len(fid)])


def unit_ends(fid: Wide) -> Wide:
    """For each row, the one behind the last of its unit."""
    ends = np.append(first_rows(fid)[1:], len(fid))
    return np.repeat(ends, np.diff(ends, prepend=0))[: len(fid)]


def row_on(rows: Rows, unit: Wide, day: Wide) -> Wide:
    """The row of a unit, told by its first, whose facts hold on a day, or will next."""
    ends = unit_ends(rows.fid)[unit]
    found = unit.copy()
    for place in np.flatnonzero(ends - unit > 1):
        later = rows.valid_until[unit[place] : ends[place]] > day[place]
        found[place] += int(np.argmax(later)) if later.any() else len(later) - 1
    return found


def eras(rows: Rows) -> tuple[Wide, Wide]:
    """First days (inclusive, exclusive) of windows for which each row is the unit.

    The facts that hold on a window's first day count, or else the first that will. So a row takes
    over when the one before it is over.
    """
    begins = np.zeros(len(rows.fid), dtype=np.int64)
    follows = rows.fid[1:] == rows.fid[:-1]
    begins[1:][follows] = rows.valid_until[:-1][follows]
    return begins, np.minimum(rows.valid_until, rows.usable_until)


def _other_sizes(rows: Rows) -> tuple[Wide, Wide, Wide, Wide]:
    """Where a unit is of another size: its row, on which days, and by how much more."""
    first = first_rows(rows.fid)
    ends = unit_ends(rows.fid)[first]
    several = np.flatnonzero(ends - first > 1)
    unit, row = _spread(first[several], ends[several])
    pair, other = _spread(first[several][unit], ends[several][unit])
    row = row[pair]
    differs = rows.capacity[other] != rows.capacity[row]
    row, other = row[differs], other[differs]
    more = rows.capacity[other] - rows.capacity[row]
    return row, rows.valid_from[other], rows.valid_until[other], more


def _spread(low: Wide, high: Wide) -> tuple[Wide, Wide]:
    """Every place of every range: which range it is of, and the place."""
    counts = high - low
    which = np.repeat(np.arange(len(low)), counts)
    starts = np.cumsum(counts) - counts
    return which, np.arange(len(which)) - starts[which] + low[which]


class _Edges:
    """Days on which something changes, by owner, in any order."""

    def __init__(self) -> None:
        self._parts: list[tuple[Wide, Wide, Wide | int, Wide | int, int]] = []

    def add(
        self, owner: Wide, day: Wide, *, used: Wide | int = 0, size: Wide | int = 0, open_: int = 0
    ) -> None:
        """What changes on these days; a day that never comes changes nothing."""
        self._parts.append((owner, day, used, size, open_))

    def levels(self, owners: int) -> tuple[Wide, Wide, Wide, Wide, Wide]:
        """Owner, day, and what all changes up to the end of the day come to; one entry a day."""
        keys = np.concatenate([(owner << _DAY_BITS) | day for owner, day, *_ in self._parts])
        comes = np.flatnonzero(keys & _DAY_MASK != NEVER)
        keys = keys[comes]
        order = np.argsort(keys, kind="stable")
        keys, comes = keys[order], comes[order]
        last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        at, day = keys[last] >> _DAY_BITS, keys[last] & _DAY_MASK
        starts = np.searchsorted(at, np.arange(owners))
        sums = (self._sum(place, comes, last, starts, at) for place in (2, 3, 4))
        return (at, day, *sums)

    def _sum(
        self, place: int, comes: Wide, last: NDArray[np.bool_], starts: Wide, at: Wide
    ) -> Wide:
        if all(isinstance(part[place], int) and part[place] == 0 for part in self._parts):
            return np.zeros(len(at), dtype=np.int64)
        changes = np.concatenate(
            [np.broadcast_to(np.asarray(part[place]), part[0].shape) for part in self._parts]
        )
        running = np.cumsum(changes[comes])[last]
        # What the owners before came to.
        before = np.concatenate([np.zeros(1, dtype=np.int64), running])[starts]
        level: Wide = running - before[at]
        return level


def _changes(at: Wide, day: Wide, level: Wide) -> Steps:
    """Entries at which the level is another than before; it begins at nothing."""
    before = np.zeros(len(at), dtype=np.int64)
    follows = at[1:] == at[:-1]
    before[1:][follows] = level[:-1][follows]
    differs = level != before
    return _steps(at[differs], day[differs], level[differs])
