"""Whether two snapshots say the same of every unit, whatever layers it lies in."""

from typing import Any

import numpy as np

from app.matching.columns import COLUMNS, FACILITIES
from app.matching.segment import Segment, Snapshot


def told(snapshot: Snapshot) -> dict[Any, Any]:
    """All that a snapshot says, by the numbers that the database knows."""
    found: dict[Any, Any] = {}
    for segment in snapshot.segments:
        for key, value in _told(segment).items():
            assert key not in found, f"{key} is live twice"
            found[key] = value
    return found


def _told(segment: Segment) -> dict[Any, Any]:
    buildings = segment.buildings
    found: dict[Any, Any] = {}
    for place in range(len(buildings.fid)):
        if not buildings.stale[place]:
            found["building", int(buildings.fid[place])] = _building(segment, place)
    for row in range(len(segment)):
        place = segment.building_of(row)
        if not buildings.stale[place]:
            era = int(segment.era[row])
            found["unit", int(segment.fid[row]), int(segment.era_from[era])] = _unit(segment, row)
    return found


def _building(segment: Segment, place: int) -> Any:
    buildings = segment.buildings
    low, high = buildings.power_at[place], buildings.power_at[place + 1]
    links = {
        (int(buildings.fid[one]), int(buildings.fid[other]), int(at), int(to))
        for one, other, at, to in buildings.links
        if place in {one, other}
    }
    return (
        buildings.code[place],
        segment.parks[buildings.park[place]],
        segment.land_use_codes[buildings.land_use[place]],
        buildings.centre[place].tolist(),
        [int(buildings.distances[kind, place]) for kind in range(len(FACILITIES))],
        [int(one[place]) for one in (buildings.height, buildings.floors_above)],
        int(buildings.power_kva[place]),
        buildings.power_day[low:high].tolist(),
        buildings.power_used[low:high].tolist(),
        frozenset(links),
    )


def _unit(segment: Segment, row: int) -> Any:
    group = next(
        place
        for place in range(len(segment.groups.floor))
        if segment.groups.start[place] <= row < segment.groups.start[place + 1]
    )
    start = int(segment.groups.start[group])
    size = int(segment.groups.start[group + 1]) - start
    walls = int(segment.neighbours_of(np.array([row]))[0])
    beside = [
        int(segment.fid[start + other]) for other in range(min(size, 32)) if walls >> other & 1
    ]
    return (
        [int(segment.column(name)[row]) for name in COLUMNS],
        int(segment.floors.fid[segment.floor[row]]),
        int(segment.era_until[segment.era[row]]),
        segment.calendar(row),
        beside,
    )
