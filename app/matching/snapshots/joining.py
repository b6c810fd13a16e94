"""Several segments made one, without the database: what is live in each. Pure.

A building is whole in one segment, and so are the buildings that passages join to it: their arrays
are taken as they are, and sorted anew together.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import BY_WIDTH, NEVER
from app.matching.segment import Large, ParkInfo, Raw, Rows, Segment, Truths, assemble
from app.matching.snapshots.calendars import Steps

_Arrays = dict[str, NDArray[np.generic]]
_LINK_ENDS = 2


def joined(segments: Sequence[Segment]) -> Segment:
    """One segment of the buildings that are live in exactly one of these."""
    parks = {park.code: park for segment in segments for park in segment.parks}
    codes = sorted({code for segment in segments for code in segment.land_use_codes})
    ordered = tuple(parks[code] for code in sorted(parks))
    parts = []
    begins = _Begins()
    for segment in segments:
        part = _live_part(segment, ordered, codes)
        parts.append(begins.moved(part))
    return assemble(
        Raw(
            parks=ordered,
            land_use_codes=tuple(codes),
            buildings=_together(part.buildings for part in parts),
            floors=_together(part.floors for part in parts),
            units=_together(part.units for part in parts),
            steps=_runs_together([part.steps for part in parts]),
            power=_runs_together([part.power for part in parts]),
            walls=(
                _one([part.walls[0] for part in parts]),
                _one([part.walls[1] for part in parts]),
            ),
            links=np.concatenate([part.links for part in parts]),
        )
    )


class _Begins:
    """Where the next part's buildings, floors and units begin."""

    def __init__(self) -> None:
        self._buildings = self._floors = self._units = 0

    def moved(self, part: Raw) -> Raw:
        """A part whose places are those behind all parts before it."""
        building, floor, unit = self._buildings, self._floors, self._units
        self._buildings += len(part.buildings["fid"])
        self._floors += len(part.floors["fid"])
        self._units += len(part.units["fid"])
        links = part.links.copy()
        links[:, :_LINK_ENDS] += building
        return Raw(
            parks=part.parks,
            land_use_codes=part.land_use_codes,
            buildings=part.buildings,
            floors={**part.floors, "building": part.floors["building"] + building},
            units={**part.units, "floor": part.units["floor"] + floor},
            steps=(part.steps[0] + unit, *part.steps[1:]),
            power=(part.power[0] + building, *part.power[1:]),
            walls=(part.walls[0] + unit, part.walls[1] + unit),
            links=links,
        )


def _live_part(segment: Segment, parks: Sequence[ParkInfo], codes: Sequence[str]) -> Raw:
    """What ``assemble`` made a segment of, of its live buildings alone."""
    buildings, floors = segment.buildings, segment.floors
    live = ~buildings.stale
    floor_lives = live[floors.building]
    rows = np.flatnonzero(floor_lives[segment.floor])
    building_at, floor_at = _places(live), _places(floor_lives)
    park_at = {park.code: place for place, park in enumerate(parks)}
    park = np.array([park_at[one.code] for one in segment.parks], dtype=np.int32)
    code_at = np.array([codes.index(one) for one in segment.land_use_codes], dtype=np.int32)
    names = np.array(buildings.code, dtype=object)
    links = buildings.links[live[buildings.links[:, :_LINK_ENDS]].all(axis=1)]
    links[:, :_LINK_ENDS] = building_at[links[:, :_LINK_ENDS]]
    era = segment.era[rows]
    return Raw(
        parks=(),
        land_use_codes=(),
        buildings={
            "code": names[live],
            "park": park[buildings.park[live]],
            "land_use": code_at[buildings.land_use[live]],
            "distances": buildings.distances[:, live],
            **{
                name: getattr(buildings, name)[live]
                for name in ("fid", "centre", "height", "floors_above", "power_kva")
            },
        },
        floors={
            "fid": floors.fid[floor_lives],
            "building": building_at[floors.building[floor_lives]],
            "level_index": floors.level_index[floor_lives],
        },
        units={
            **_cells(segment, rows),
            "fid": segment.fid[rows],
            "floor": floor_at[segment.floor[rows]],
            "applies_from": segment.era_from[era],
            "applies_until": segment.era_until[era],
        },
        steps=_steps(segment, rows),
        power=_runs(
            np.flatnonzero(live), buildings.power_at, buildings.power_day, buildings.power_used
        ),
        walls=_walls(segment, rows),
        links=links,
    )


def _places(kept: Truths) -> Large:
    """Where each is among those that are kept."""
    return (np.cumsum(kept) - 1).astype(np.int32)


def _cells(segment: Segment, rows: Rows) -> _Arrays:
    found: _Arrays = {}
    for width, names in BY_WIDTH.items():
        found |= zip(names, segment.cells[width][:, rows], strict=True)
    return found


def _steps(segment: Segment, rows: Rows) -> Steps:
    """The calendars of rows; each of the many that have no steps of their own has one."""
    owner, days, free = _runs(rows, segment.step_at, segment.step_day, segment.step_free)
    first_free = segment.column("first_free")[rows]
    plain = np.flatnonzero(
        (segment.step_at[rows] == segment.step_at[rows + 1]) & (first_free != NEVER)
    )
    capacity = segment.column("capacity")[rows]
    return (
        np.concatenate([owner, plain.astype(np.int32)]),
        np.concatenate([days, first_free[plain]]),
        np.concatenate([free, capacity[plain]]),
    )


def _runs(owners: Rows, at: Large, days: Large, levels: Large) -> Steps:
    """The entries of some owners, who are told by their places among these."""
    counts = at[owners + 1] - at[owners]
    owner = np.repeat(np.arange(len(owners), dtype=np.int32), counts)
    first = np.cumsum(counts) - counts
    entry = np.arange(len(owner)) - first[owner] + at[owners][owner]
    return owner, days[entry], levels[entry]


def _walls(segment: Segment, rows: Rows) -> tuple[Large, Large]:
    """Pairs of places in ``rows``, the lower first."""
    bits = segment.neighbours_of(rows)
    groups = segment.groups.start
    begins = groups[np.searchsorted(groups, rows, side="right") - 1]
    ones, others = [], []
    for bit in range(int(bits.max(initial=0)).bit_length()):
        one = np.flatnonzero((bits >> np.uint32(bit) & np.uint32(1)).astype(np.bool_))
        other = begins[one] + bit
        lower = rows[one] < other
        ones.append(one[lower])
        # A group is of one floor, so that all of it is here.
        others.append(np.searchsorted(rows, other[lower]))
    return _one(ones), _one(others)


def _one(parts: Sequence[Rows | Large]) -> Large:
    return np.concatenate([np.zeros(0, dtype=np.int32), *parts]).astype(np.int32)


def _together(parts: Iterable[Mapping[str, NDArray[np.generic]]]) -> _Arrays:
    """Arrays by name, one behind the other along their last axis but that of points."""
    several = list(parts)
    return {
        name: np.concatenate([part[name] for part in several], axis=1 if name == "distances" else 0)
        for name in several[0]
    }


def _runs_together(parts: Sequence[Steps]) -> Steps:
    owners, days, levels = zip(*parts, strict=True)
    return _one(owners), _one(days), _one(levels)
