"""A segment says what the candidates statement says, cell by cell and day by day."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.kernel.terms import FacilityType
from app.matching.columns import BY_WIDTH, COLUMNS, FACILITIES, NEVER, Kind, Width
from app.matching.rules.special import storey_class
from app.matching.segment import Segment
from app.matching.snapshots import candidates
from app.matching.snapshots.load import (
    connection_of,
    load,
    load_buildings,
    load_segment,
    load_snapshot,
)
from tests.matching.snapshots.worlds import DAY, RULES, make_world

STARTS = (DAY, DAY + timedelta(days=100), DAY + timedelta(days=150), DAY + timedelta(days=300))
#: What the statement says in other words, or does not say.
ELSEWHERE = {"storey_class", "first_free", "keeps_lettable_remainder", "rent_cny_per_place_month"}


def now(session: Session) -> datetime:
    found: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


def rows_at(session: Session, start: date, as_of: datetime, **asked: Any) -> list[Any]:
    values = {
        "start": start,
        "as_of": as_of,
        "term": 12,
        "places": None,
        "area_low": 0,
        "area_high": None,
        "area_aim": None,
    }
    found = session.execute(text(candidates.CANDIDATES), values | asked).mappings()
    return sorted(found, key=lambda row: row["fid"])


def in_force(segment: Segment, start: date) -> dict[int, int]:
    """Rows by the unit's number."""
    day = start.toordinal()
    low, high = segment.era_from[segment.era], segment.era_until[segment.era]
    rows = np.flatnonzero((low <= day) & (day < high))
    found = {int(segment.fid[row]): int(row) for row in rows}
    assert len(found) == len(rows)
    return found


def differences(segment: Segment, session: Session, start: date, as_of: datetime) -> list[str]:
    """Where the segment and the statement disagree."""
    expected = rows_at(session, start, as_of)
    there = in_force(segment, start)
    found = []
    if sorted(there) != [row["fid"] for row in expected]:
        found.append(f"units {sorted(there)} {[row['fid'] for row in expected]}")
    for row in expected:
        at = there.get(row["fid"])
        if at is not None:
            found += [f"{row['code']} {start} {one}" for one in _cells(segment, at, row)]
    return found


def _cells(segment: Segment, at: int, row: Any) -> Iterator[str]:
    for name, column in COLUMNS.items():
        cell = int(segment.column(name)[at])
        if name not in ELSEWHERE and cell != column.cell(row[name]):
            yield f"{name}: {cell} {column.cell(row[name])}"
    place = segment.building_of(at)
    buildings = segment.buildings
    park = segment.parks[buildings.park[place]]
    height = np.array([np.nan if row["height_m"] is None else row["height_m"]])
    level, above = (np.array([int(row[name])]) for name in ("level_index", "floors_above"))
    per_place = segment.value("rent_cny_per_place_month", at)
    rent = None
    if per_place is not None:
        rent = round(float(str(per_place)) * row["capacity"] * 12, 2)
    said = {
        "keeps": (
            segment.value("keeps_lettable_remainder", at),
            row["remainder_rule"] == "lettable",
        ),
        "storey": (
            int(segment.column("storey_class")[at]),
            int(storey_class(level, above, height, RULES)[0]),
        ),
        "park": (park.code, row["park_code"]),
        "parks": (park.park_codes, frozenset(row["park_codes"])),
        "zones": (park.zone_codes, frozenset(row["zone_codes"])),
        "pilot": (park.special_goods_import_pilot, row["special_goods_import_pilot"]),
        "land use": (
            segment.land_use_codes[buildings.land_use[place]],
            row["land_use_code"],
        ),
        "level": (int(segment.floors.level_index[segment.floor[at]]), int(row["level_index"])),
        "let by the place": (
            rent,
            row["rent_cny_per_year"] if rent is not None else None,
        ),
    }
    for what, (mine, theirs) in said.items():
        if mine != theirs:
            yield f"{what}: {mine} {theirs}"
    for kind, facility in enumerate(FACILITIES):
        metres = row[f"{facility.value}_distance_m"]
        mine = int(buildings.distances[kind, place])
        theirs = Width.LARGE.unknown if metres is None else round(metres * 100)
        if mine != theirs:
            yield f"{facility}: {mine} {theirs}"


def free_ranges(segment: Segment, row: int, need: int) -> list[tuple[int, int]]:
    """Days on which so much is free, as half-open ranges of ordinals."""
    found: list[tuple[int, int]] = []
    calendar = segment.calendar(row)
    days = [*(day for day, _ in calendar), NEVER]
    for (begins, ends), (_, free) in zip(pairwise(days), calendar, strict=True):
        if free >= need:
            if found and found[-1][1] == begins:
                found[-1] = found[-1][0], ends
            else:
                found.append((begins, ends))
    return found


def expected_ranges(session: Session, free: str, as_of: datetime) -> dict[Any, Any]:
    """The same of every row of the view, by unit and first day of its facts."""
    statement = f"""
        SELECT u.fid, lower(u.valid), u.capacity, need,
            ARRAY(SELECT lower(one) FROM unnest({free}) one),
            ARRAY(SELECT upper(one) FROM unnest({free}) one)
        FROM unit_terms u, LATERAL (SELECT least(u.capacity, n) AS need
            FROM unnest(ARRAY[0.01, 1, 3, 6, 30, 60, 69.99, 70, 98, 99.01, 100, 1e6]) n) needs
        WHERE u.known_from <= :as_of AND (u.known_until IS NULL OR u.known_until > :as_of)"""  # noqa: S608
    found: dict[Any, Any] = {}
    for fid, first, _capacity, need, low, high in session.execute(
        text(statement), {"as_of": as_of}
    ):
        ranges = [
            (begin.toordinal(), NEVER if end is None else end.toordinal())
            for begin, end in zip(low, high, strict=True)
        ]
        found[fid, first, round(need * 100)] = ranges
    return found


def of_steady_size(session: Session, expected: dict[Any, Any]) -> dict[Any, Any]:
    """Of those, the units that have one size for ever."""
    changing = set(
        session.scalars(text("SELECT fid FROM unit_terms GROUP BY fid HAVING count(*) > 1"))
    )
    return {key: ranges for key, ranges in expected.items() if key[0] not in changing}


def calendar_faults(segment: Segment, expected: dict[Any, Any]) -> list[Any]:
    """Rows whose calendar says something else."""
    rows: dict[int, list[int]] = {}
    for row in np.argsort(segment.era_from[segment.era], kind="stable"):
        rows.setdefault(int(segment.fid[row]), []).append(int(row))
    firsts: dict[int, list[Any]] = {}
    for fid, first, _need in expected:
        if first not in firsts.setdefault(fid, []):
            firsts[fid].append(first)
    faults = []
    for (fid, first, need), ranges in expected.items():
        ordered = sorted(firsts[fid], key=lambda day: day or date.min)
        row = rows[fid][ordered.index(first)]
        if free_ranges(segment, row, need) != ranges:
            faults.append((fid, first, need, free_ranges(segment, row, need), ranges))
    return faults


@pytest.mark.parametrize("seed", range(6))
def test_every_cell_is_what_the_candidates_statement_says(session: Session, seed: int) -> None:
    make_world(session, seed)
    as_of = now(session)

    segment = load_segment(session, as_of=as_of, rules=RULES)

    assert len(segment)
    for start in STARTS:
        assert differences(segment, session, start, as_of) == []


def test_a_wrong_cell_would_be_found(session: Session) -> None:
    make_world(session, 1)
    as_of = now(session)
    segment = load_segment(session, as_of=as_of, rules=RULES)
    wrong = {width: cells.copy() for width, cells in segment.cells.items()}
    wrong[Width.LARGE][BY_WIDTH[Width.LARGE].index("power_kva")] += 1

    found = differences(replace(segment, cells=wrong), session, DAY, as_of)

    assert len(found) == len(in_force(segment, DAY))
    assert all("power_kva" in one for one in found)


@pytest.mark.parametrize("seed", range(6))
def test_calendars_say_what_the_ledger_says(session: Session, seed: int) -> None:
    make_world(session, seed)
    as_of = now(session)

    segment = load_segment(session, as_of=as_of, rules=RULES)

    free = candidates._free("need")
    assert calendar_faults(segment, expected_ranges(session, free, as_of)) == []
    # Units that never change their size need no more than the ledger's own function.
    plain = expected_ranges(session, "free_days(u.id, u.capacity, u.usable, need, :as_of)", as_of)
    kept = of_steady_size(session, plain)
    assert kept
    assert calendar_faults(segment, kept) == []


def test_only_units_that_are_not_free_as_a_whole_for_ever_have_steps(session: Session) -> None:
    make_world(session, 2)
    segment = load_segment(session, as_of=now(session), rules=RULES)
    first_free, capacity = segment.column("first_free"), segment.column("capacity")

    stepped = np.diff(segment.step_at) > 0
    for row in range(len(segment)):
        whole = [(int(first_free[row]), int(capacity[row]))] if first_free[row] != NEVER else []
        assert stepped[row] == (segment.calendar(row) != whole)
    assert 0 < stepped.sum() < len(segment)


def test_a_calendar_that_believes_what_has_lapsed_would_be_found(session: Session) -> None:
    make_world(session, 2)
    as_of = now(session)
    free = candidates._free("need")
    expected = of_steady_size(session, expected_ranges(session, free, as_of))

    earlier = load_segment(session, as_of=as_of - timedelta(hours=3), rules=RULES)

    assert calendar_faults(earlier, expected)


@pytest.mark.parametrize("seed", range(3))
def test_days_that_are_gone_may_be_left_out_and_no_others(session: Session, seed: int) -> None:
    make_world(session, seed)
    as_of = now(session)
    since = DAY + timedelta(days=100)

    whole = load_segment(session, as_of=as_of, rules=RULES)
    with connection_of(session) as connection:
        short = load([connection], as_of, rules=RULES, since=since).segment

    assert len(short.step_day) < len(whole.step_day)
    for row in range(len(whole)):
        for need in (1, 3000, int(whole.column("capacity")[row])):
            mine, theirs = (
                [
                    (max(begin, since.toordinal()), end)
                    for begin, end in free_ranges(one, row, need)
                    if end > since.toordinal()
                ]
                for one in (short, whole)
            )
            assert mine == theirs


def test_power_promised_is_what_the_statement_says(session: Session) -> None:
    compared = 0
    for seed in range(4):
        make_world(session, seed)
    as_of = now(session)
    segment = load_segment(session, as_of=as_of, rules=RULES)
    buildings = segment.buildings
    there = in_force(segment, DAY)

    for row in rows_at(session, DAY, as_of):
        if row["power_left_kva"] is None:
            continue
        place = segment.building_of(there[row["fid"]])
        low, high = buildings.power_at[place], buildings.power_at[place + 1]
        first, term = row["free_from"], timedelta(days=365 + (row["free_from"].year == 2028))
        most = 0
        for step in range(low, high):
            ends = buildings.power_day[step + 1] if step + 1 < high else NEVER
            if ends > first.toordinal() and buildings.power_day[step] < (first + term).toordinal():
                most = max(most, int(buildings.power_used[step]))
        assert int(buildings.power_kva[place]) - most == round(row["power_left_kva"] * 10)
        compared += most > 0
    assert compared


def test_walls_and_passages_are_those_of_the_database(session: Session) -> None:
    for seed in range(4):
        make_world(session, seed)
    segment = load_segment(session, rules=RULES)
    start, buildings = segment.groups.start, segment.buildings

    beside, kinds = set(), segment.column("unit_type")
    for row in range(len(segment)):
        first = int(start[np.searchsorted(start, row, "right") - 1])
        bits = int(segment.neighbours_of(np.array([row]))[0])
        for bit in range(32):
            if bits >> bit & 1:
                beside.add((int(segment.fid[row]), int(segment.fid[first + bit])))
    kind_of = {int(fid): int(kind) for fid, kind in zip(segment.fid, kinds, strict=True)}
    walls = session.execute(
        text("""SELECT a.fid, b.fid FROM unit_walls w
            JOIN units a ON a.id IN (w.unit_id, w.neighbour_id)
            JOIN units b ON b.id IN (w.unit_id, w.neighbour_id) AND b.id <> a.id""")
    )
    links = session.execute(
        text("""SELECT a.fid, b.fid, l.level_a, l.level_b FROM building_links l
            JOIN buildings a ON a.id = l.building_a_id
            JOIN buildings b ON b.id = l.building_b_id""")
    )

    # Only units of one kind are of one group.
    assert beside == {(one, other) for one, other in walls if kind_of[one] == kind_of[other]}
    assert beside
    mine = {
        (int(buildings.fid[one]), int(buildings.fid[other]), int(at), int(to))
        for one, other, at, to in buildings.links
    }
    assert mine == {tuple(link) for link in links}
    assert mine


def test_a_few_buildings_are_the_same_as_among_all(session: Session) -> None:
    units = make_world(session, 3)
    as_of = now(session)
    building = units[0].building_id

    alone = load_buildings(session, [building], as_of)
    everything = load_segment(session, as_of=as_of)

    where = [
        row
        for row in range(len(everything))
        if everything.buildings.fid[everything.building_of(row)] == alone.buildings.fid[0]
    ]
    assert 0 < len(alone) < len(everything)
    assert alone.fid.tolist() == everything.fid[where].tolist()
    for name in COLUMNS:
        assert alone.column(name).tolist() == everything.column(name)[where].tolist()
    for mine, theirs in enumerate(where):
        needs = (1, int(alone.column("capacity")[mine]))
        for need in needs:
            assert free_ranges(alone, mine, need) == free_ranges(everything, theirs, need)


def test_a_version_reads_claims_as_it_saw_them(own_engine: Any) -> None:
    from tests.factories import make_claim, make_unit  # noqa: PLC0415

    with Session(own_engine) as writer, Session(own_engine) as reader:
        kept, taken = make_unit(writer), make_unit(writer)
        claim = make_claim(writer, kept, DAY, None)
        writer.commit()
        before = load_snapshot(reader, rules=RULES)
        reader.rollback()
        make_claim(writer, taken, DAY, None)
        writer.execute(
            text(
                "UPDATE claims SET live = tstzrange(lower(live), clock_timestamp()),"
                " closed_by = 'tests' WHERE id = :id"
            ),
            {"id": claim.id},
        )
        writer.commit()

        again = load_snapshot(reader, version=before.version, rules=RULES)
        later = load_snapshot(reader, rules=RULES)

    def calendar(snapshot: Any) -> Any:
        segment = snapshot.segments[0]
        return {int(segment.fid[row]): free_ranges(segment, row, 1) for row in range(len(segment))}

    assert calendar(again) == calendar(before)
    assert calendar(later) != calendar(before)
    assert again.version == before.version


def test_no_facility_is_no_distance(session: Session) -> None:
    make_world(session, 5)
    session.execute(text("DELETE FROM shared_facilities"))

    segment = load_segment(session, rules=RULES)

    assert set(segment.buildings.distances.ravel().tolist()) == {Width.LARGE.unknown}
    assert len(FACILITIES) == len(FacilityType)
    assert COLUMNS["first_free"].kind is Kind.DAY


def test_nothing_is_a_segment_too(session: Session) -> None:
    assert len(load_segment(session, buildings=[], rules=RULES)) == 0
