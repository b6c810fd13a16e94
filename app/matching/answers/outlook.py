"""Whether there is space to grow: next door, in the building, in the same park, when it is needed.

The pipeline says what is needed next and when; the calendars say what is free by then. Pure.

Planning is by quarters: growth is looked at on the first day of one, so that what is free then is
worked out once for all requests of that quarter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from app.demand.needs import number_text
from app.demand.pipeline import RANK, StageEntry, standing
from app.demand.rules import Rules
from app.kernel.period import months_after
from app.kernel.terms import Modality, PipelineStage, UnitType
from app.matching.answers.kept import Kept
from app.matching.columns import QUANTITY_GRAIN, Width, rank_of
from app.matching.engine.candidates import Candidate
from app.matching.engine.measures import Relay
from app.matching.rules.demand import Growth
from app.matching.segment import Large, Rows, Segment, Snapshot

#: Hundredths of m² by place.
Areas = NDArray[np.int64]
_MONTHS_A_QUARTER = 3
_UNKNOWN = Width.LARGE.unknown


def growth_of(
    modality: Modality,
    stage: PipelineStage,
    history: Sequence[StageEntry],
    rules: Rules,
    today: date,
) -> Growth | None:
    """What the pipeline says will be needed after the stage that space is asked for.

    Args:
        modality: of the asset.
        stage: that the request is about.
        history: of the asset, in recorded order.
        rules: what each stage needs.
        today: the civil day in Shanghai; nothing is needed before it.

    Returns:
        The first later stage with a date that needs other space than this one; None without one.
    """
    now = rules.row(modality, stage, None)
    for entry in standing(history):
        row = rules.row(modality, entry.stage, None)
        if RANK[entry.stage] <= RANK[stage] or row is None or row is now:
            continue
        needed = months_after(entry.entered_on, -round(row.lead_time_months.high))
        day = quarter_of(max(needed, months_after(today, _MONTHS_A_QUARTER)))
        area = number_text(row.area_m2.mode)
        return Growth(
            unit_type=row.unit_type,
            area_m2=row.area_m2.mode,
            from_day=day,
            words_zh=f"管线预计 {entry.entered_on} 进入{entry.stage.zh}，"
            f"约 {day} 起需要{row.unit_type.zh}空间 {area} m²",
            words_en=f"the pipeline enters {entry.stage.en} on {entry.entered_on}: about {area} m²"
            f" of {row.unit_type.en} space from {day}",
        )
    return None


def quarter_of(day: date) -> date:
    """The first day of the quarter of a day.

    >>> quarter_of(date(2028, 8, 15))
    datetime.date(2028, 7, 1)
    """
    return date(day.year, day.month - (day.month - 1) % _MONTHS_A_QUARTER, 1)


def free_area(segment: Segment, unit_type: UnitType, day: int) -> Areas:
    """What is free of a kind of space on a day by building, whatever is stale.

    Args:
        segment: some buildings.
        unit_type: the kind.
        day: an ordinal.
    """
    low, high = segment.rows_of(unit_type)
    rows = np.arange(low, high)
    areas = _free_of_rows(segment, rows, day)
    building = segment.floors.building[segment.floor[low:high]]
    # Sums of hundredths of m² stay far below 2^53, so that floating point adds them exactly.
    summed = np.bincount(building, weights=areas, minlength=len(segment.buildings.fid))
    return summed.astype(np.int64)


def _free_of_rows(segment: Segment, rows: Rows, day: int) -> Areas:
    """Hundredths of m² that are free in each row on a day; rows that are not the unit have none."""
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    capacity = segment.column("capacity")[rows].astype(np.int64)
    free = np.where(segment.column("first_free")[rows] <= day, capacity, 0)
    begins, ends = segment.step_at[rows], segment.step_at[rows + 1]
    stepped = np.flatnonzero(begins < ends)
    if len(stepped):
        free[stepped] = _stepped(segment, begins[stepped], ends[stepped], day)
    era = segment.era[rows]
    in_force = (segment.era_from[era] <= day) & (day < segment.era_until[era])
    area = segment.column("leasable_area_m2")[rows].astype(np.int64)
    counts = in_force & (area != _UNKNOWN) & (capacity > 0)
    return np.where(counts, area * free // np.maximum(capacity, 1), 0).astype(np.int64)


def _stepped(segment: Segment, begins: Large, ends: Large, day: int) -> Areas:
    """What is free on a day by steps ``begins`` to ``ends``; each has one at least."""
    first = int(begins.min())
    started = np.zeros(int(ends.max()) - first + 1, dtype=np.int64)
    np.cumsum(segment.step_day[first : first + len(started) - 1] <= day, out=started[1:])
    known = started[ends - first] - started[begins - first]
    last = np.maximum(begins + known - 1, first)
    return np.where(known > 0, segment.step_free[last], 0)


_kept: Kept[Areas] = Kept(most=64)


def _areas_of(segment: Segment, unit_type: UnitType, day: int) -> Areas:
    key = unit_type.value, day
    return _kept.of(segment.step_day, key, lambda: free_area(segment, unit_type, day))


def park_areas(snapshot: Snapshot, growth: Growth) -> dict[str, int]:
    """Hundredths of m² of the kind needed next that are free on that day, by park."""
    total: dict[str, int] = {}
    day = growth.from_day.toordinal()
    for segment in snapshot.segments:
        areas = _areas_of(segment, growth.unit_type, day) * ~segment.buildings.stale
        by_park = np.bincount(
            segment.buildings.park, weights=areas, minlength=len(segment.parks)
        ).astype(np.int64)
        for park, area in zip(segment.parks, by_park, strict=True):
            total[park.code] = total.get(park.code, 0) + int(area)
    return total


def relay_values(snapshot: Snapshot, growth: Growth, total: Mapping[str, int]) -> list[Relay]:
    """How much of what is needed next its park will have, thousandths by building, by segment.

    ``total`` is as from ``park_areas``.
    """
    need = max(round(growth.area_m2 * QUANTITY_GRAIN), 1)
    return [
        np.array(
            [min(1000, total[park.code] * 1000 // need) for park in segment.parks] or [0],
            dtype=np.int16,
        )[segment.buildings.park]
        for segment in snapshot.segments
    ]


@dataclass(frozen=True, slots=True)
class Reach:
    """What is free by then within a reach of the space, m²; ``enough``: all that is needed."""

    where: str
    zh: str
    en: str
    area_m2: float
    enough: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """Space to grow from one candidate on, from near to far.

    ``includes_own``: what is needed next is of the same kind, so that the space itself counts.
    """

    growth: Growth
    reaches: tuple[Reach, ...]
    includes_own: bool
    words_zh: str
    words_en: str


def outlook_of(
    segment: Segment, candidate: Candidate, growth: Growth, parks: Mapping[str, int]
) -> Outlook:
    """The space to grow from a candidate on.

    Args:
        segment: of the candidate's rows.
        candidate: the space.
        growth: what is needed next.
        parks: as from ``park_areas``.
    """
    own = np.array(candidate.rows, dtype=np.int64)
    floors = np.unique(segment.floor[own])
    buildings = np.unique(segment.floors.building[floors])
    low, high = segment.rows_of(growth.unit_type)
    includes_own = low <= candidate.rows[0] < high
    on_floor = _rows_on(segment, growth.unit_type, floors, floors + 1)
    inside = _rows_on(
        segment,
        growth.unit_type,
        np.searchsorted(segment.floors.building, buildings),
        np.searchsorted(segment.floors.building, buildings, side="right"),
    )
    codes = {segment.parks[place].code for place in segment.buildings.park[buildings]}
    areas = {
        **(
            {"next_door": _area(segment, _neighbours(segment, own), growth)} if includes_own else {}
        ),
        "same_floor": _area(segment, on_floor, growth),
        "same_building": _area(segment, inside, growth),
        "same_park": sum(parks.get(code, 0) for code in codes) / QUANTITY_GRAIN,
    }
    reaches = tuple(
        Reach(where, *_WHERE[where], area, enough=area >= growth.area_m2)
        for where, area in areas.items()
    )
    zh, en = _words(growth, reaches, includes_own=includes_own)
    return Outlook(growth, reaches, includes_own, zh, en)


_WHERE = {
    "next_door": ("隔壁", "next door"),
    "same_floor": ("同层", "on the same floor"),
    "same_building": ("同楼", "in the same building"),
    "same_park": ("同园区", "in the same park"),
}


def _rows_on(
    segment: Segment, unit_type: UnitType, low: NDArray[np.integer], high: NDArray[np.integer]
) -> Rows:
    """Rows of a kind on floors ``low[i]`` to ``high[i]``; of a kind, rows go floor by floor."""
    rank = rank_of("unit_type", unit_type.value)
    first, last = segment.groups.of_kind[rank], segment.groups.of_kind[rank + 1]
    floor_of_group = segment.groups.floor[first:last]
    begins = segment.groups.start[first + np.searchsorted(floor_of_group, low)]
    ends = segment.groups.start[first + np.searchsorted(floor_of_group, high)]
    return np.concatenate([np.arange(*span) for span in zip(begins, ends, strict=True)])


def _area(segment: Segment, rows: Rows, growth: Growth) -> float:
    free = _free_of_rows(segment, rows, growth.from_day.toordinal())
    return int(free.sum()) / QUANTITY_GRAIN


def _neighbours(segment: Segment, own: Rows) -> Rows:
    """The rows themselves and those that share a wall with one of them."""
    found = set(own.tolist())
    groups = np.searchsorted(segment.groups.start, own, side="right") - 1
    shared = segment.neighbours_of(own).tolist()
    for group, bits in zip(groups, shared, strict=True):
        start = int(segment.groups.start[group])
        found.update(start + place for place in range(bits.bit_length()) if bits >> place & 1)
    return np.array(sorted(found), dtype=np.int64)


def _words(growth: Growth, reaches: Iterable[Reach], *, includes_own: bool) -> tuple[str, str]:
    own_zh, own_en = ("（含本空间）", ", this space included") if includes_own else ("", "")
    reaches = list(reaches)
    best = next((one for one in reaches if one.enough), reaches[-1])
    area = number_text(best.area_m2)
    verdict_zh, verdict_en = ("，足够", ", enough") if best.enough else ("，不足", ", not enough")
    return (
        f"{growth.words_zh}；届时{best.zh}可用 {area} m²{own_zh}{verdict_zh}",
        f"{growth.words_en}; {area} m² will be free {best.en}{own_en}{verdict_en}",
    )
