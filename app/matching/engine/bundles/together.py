"""Whether units that somebody names hang together as a bundle does: see ``BundleShape``. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from app.matching.segment import Segment

#: Rows by level of one building.
_Levels = Mapping[int, Sequence[int]]


def hang_together(segment: Segment, rows: Sequence[int], day: int) -> bool:
    """Whether units are one floor's, a stack of floors, or stacks that a passage joins.

    Args:
        segment: with the buildings of the units and their links.
        rows: of the units; one alone always does.
        day: ordinal; which units share a floor is asked of those that are there on it.
    """
    if len(rows) == 1:
        return True
    buildings: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        level = int(segment.floors.level_index[segment.floor[row]])
        buildings[segment.building_of(row)][level].append(row)
    if len(buildings) == 1:
        (levels,) = buildings.values()
        return _is_stack(segment, levels, day)
    return len(buildings) == 2 and _are_linked(segment, buildings, day)  # noqa: PLR2004


def _is_stack(segment: Segment, levels: _Levels, day: int) -> bool:
    ordered = sorted(levels)
    whole = [_is_whole(segment, levels[level], day) for level in ordered]
    if len(ordered) == 1:
        return whole[0] or _is_connected(segment, levels[ordered[0]])
    if ordered[-1] - ordered[0] != len(ordered) - 1:
        return False
    rests = [place for place, is_whole in enumerate(whole) if not is_whole]
    if not rests:
        return True
    at_an_end = rests[0] in {0, len(ordered) - 1}
    return len(rests) == 1 and at_an_end and _is_connected(segment, levels[ordered[rests[0]]])


def _are_linked(segment: Segment, buildings: Mapping[int, _Levels], day: int) -> bool:
    if not all(
        _is_stack(segment, levels, day)
        and all(_is_whole(segment, rows, day) for rows in levels.values())
        for levels in buildings.values()
    ):
        return False
    return any(
        {one, other} == buildings.keys()
        and level in buildings[one]
        and other_level in buildings[other]
        for one, other, level, other_level in segment.buildings.links.tolist()
    )


def _is_whole(segment: Segment, rows: Sequence[int], day: int) -> bool:
    """Whether the rows of one floor are all units that are there."""
    there = (segment.era_from <= day) & (day < segment.era_until)
    on_floor = (segment.floor == segment.floor[rows[0]]) & there[segment.era]
    return int(on_floor.sum()) == len(rows)


def _is_connected(segment: Segment, rows: Sequence[int]) -> bool:
    """Whether the rows of one floor reach each other through walls that they share."""
    starts = segment.groups.start
    begins = {row: int(starts[starts <= row][-1]) for row in rows}
    if len(set(begins.values())) > 1:
        return False
    reached, new = {rows[0]}, [rows[0]]
    while new:
        row = new.pop()
        walls = int(segment.neighbours_of(np.array([row]))[0])
        near = {other for other in rows if walls >> min(other - begins[other], 63) & 1} - reached
        reached |= near
        new.extend(near)
    return len(reached) == len(rows)
