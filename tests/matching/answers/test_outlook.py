"""Space to grow: what the pipeline needs next, and what calendars say is free by then."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from app.demand.pipeline import StageEntry
from app.demand.rules import load_rules
from app.kernel.terms import Modality, PipelineStage, UnitType
from app.matching.answers import outlook
from app.matching.columns import NEVER, Width
from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.rules.demand import Growth
from app.matching.segment import Segment, Snapshot, Version
from tests.conftest import ROOT
from tests.matching.big import TODAY, million

RULES = load_rules(ROOT / "data")
NOW = date(2026, 11, 1)
VERSION = Version(1, 1, frozenset(), datetime(2026, 11, 1, tzinfo=UTC))
KIND = UnitType.PRODUCTION
DAYS = (TODAY - 1, TODAY + 400, TODAY + 2000)


@pytest.fixture(scope="module")
def segment() -> Segment:
    return million(seed=7, units=3_000)


def free_on(segment: Segment, row: int, day: int) -> int:
    """Hundredths of m² that are free in a row on a day, read step by step."""
    level = 0
    for begins, free in segment.calendar(row):
        if begins <= day:
            level = free
    era = segment.era[row]
    area = int(segment.column("leasable_area_m2")[row])
    capacity = int(segment.column("capacity")[row])
    if not segment.era_from[era] <= day < segment.era_until[era] or area == Width.LARGE.unknown:
        return 0
    return area * level // capacity


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("kind", list(UnitType))
def test_free_areas_are_those_of_the_calendars(segment: Segment, kind: UnitType, day: int) -> None:
    expected = np.zeros(len(segment.buildings.fid), dtype=np.int64)
    for row in range(*segment.rows_of(kind)):
        expected[segment.building_of(row)] += free_on(segment, row, day)

    assert outlook.free_area(segment, kind, day).tolist() == expected.tolist()
    assert expected.any()


def growth(area_m2: float, day: int = DAYS[1]) -> Growth:
    return Growth(KIND, area_m2, date.fromordinal(day), "接力", "relay")


def test_a_park_has_what_its_buildings_have_and_stale_ones_are_somewhere_else(
    segment: Segment,
) -> None:
    """Two halves, each with the other's buildings stale, are as much as the whole."""
    half = np.arange(len(segment.buildings.fid)) % 2 == 0
    halves = tuple(
        replace(segment, buildings=replace(segment.buildings, stale=stale))
        for stale in (half, ~half)
    )
    whole = outlook.park_areas(Snapshot((segment,), VERSION), growth(1000.0))

    assert outlook.park_areas(Snapshot(halves, VERSION), growth(1000.0)) == whole
    # The control: halves that both count all would have twice as much.
    both = Snapshot((segment, segment), VERSION)
    doubled = outlook.park_areas(both, growth(1000.0))
    assert doubled == {code: 2 * area for code, area in whole.items()}


def test_values_are_shares_of_what_is_needed(segment: Segment) -> None:
    snapshot = Snapshot((segment,), VERSION)
    areas = outlook.park_areas(snapshot, growth(1.0))
    most = max(areas.values()) / 100

    (values,) = outlook.relay_values(snapshot, growth(most * 2), areas)

    for place, value in enumerate(values):
        area = areas[segment.parks[segment.buildings.park[place]].code]
        assert value == min(1000, area * 1000 // round(most * 200))
    assert values.max() == 500
    (plenty,) = outlook.relay_values(snapshot, growth(0.01), areas)
    assert set(plenty.tolist()) <= {0, 1000}


def test_an_outlook_reaches_from_next_door_to_the_park(segment: Segment) -> None:
    low, _ = segment.rows_of(KIND)
    row = next(row for row in range(low, low + 500) if segment.neighbours[row])
    candidate = Candidate(
        CandidateKind.UNIT, (row,), (int(segment.column("capacity")[row]),), TODAY, NEVER
    )
    wanted = growth(2000.0)
    parks = outlook.park_areas(Snapshot((segment,), VERSION), wanted)

    found = outlook.outlook_of(segment, candidate, wanted, parks)

    near = [row]
    group = int(np.searchsorted(segment.groups.start, row, side="right")) - 1
    near += [
        int(segment.groups.start[group]) + place
        for place in range(32)
        if int(segment.neighbours_of(np.array([row]))[0]) >> place & 1
    ]
    areas = {one.where: one.area_m2 for one in found.reaches}
    assert areas["next_door"] == sum(free_on(segment, one, DAYS[1]) for one in near) / 100
    assert areas["next_door"] <= areas["same_floor"] <= areas["same_building"]
    assert areas["same_building"] <= areas["same_park"]
    assert [one.enough for one in found.reaches] == [one.area_m2 >= 2000.0 for one in found.reaches]
    assert found.includes_own
    other = outlook.outlook_of(segment, candidate, replace(wanted, unit_type=UnitType.HQ_RD), parks)
    assert not other.includes_own
    assert [one.where for one in other.reaches] == ["same_floor", "same_building", "same_park"]


def test_the_pipeline_says_what_is_needed_next() -> None:
    history = [
        StageEntry(PipelineStage.IND, date(2026, 3, 1)),
        StageEntry(PipelineStage.PHASE_1, date(2027, 9, 1), expected=True),
        StageEntry(PipelineStage.PHASE_2, date(2029, 3, 1), expected=True),
        StageEntry(PipelineStage.PHASE_3, date(2031, 8, 15), expected=True),
    ]

    found = outlook.growth_of(Modality.CAR_T, PipelineStage.PHASE_1, history, RULES, NOW)

    # Phase II is served by the space of phase I; phase III needs a plant, 18 months ahead.
    assert found is not None
    assert (found.unit_type, found.area_m2) == (UnitType.PRODUCTION, 10_000)
    assert found.from_day == date(2030, 1, 1)
    assert "III期临床" in found.words_zh
    assert outlook.growth_of(Modality.CAR_T, PipelineStage.PHASE_3, history, RULES, NOW) is None
    assert outlook.growth_of(Modality.CAR_T, PipelineStage.PHASE_1, history[:2], RULES, NOW) is None


def test_what_should_have_begun_is_needed_from_the_next_quarter_on() -> None:
    history = [
        StageEntry(PipelineStage.PHASE_1, date(2026, 3, 1)),
        StageEntry(PipelineStage.PHASE_3, date(2027, 1, 1), expected=True),
    ]

    found = outlook.growth_of(Modality.CAR_T, PipelineStage.PHASE_1, history, RULES, NOW)

    assert found is not None
    assert found.from_day == date(2027, 1, 1)
