"""The followed snapshot is the database's state, whatever happens in between."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from geoalchemy2.shape import to_shape
from shapely import box
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.matching.segment import Snapshot
from app.matching.snapshots.changes import forget_changes_before
from app.matching.snapshots.follow import Follower, calendars_since
from app.matching.snapshots.load import connection_of, load, read_version
from app.models.space import Building, Unit
from tests.factories import geometry, make_building, make_claim, make_floor, make_parcel, make_unit
from tests.matching.snapshots.same import told
from tests.matching.snapshots.worlds import (
    DAY,
    RULES,
    make_facility,
    make_link,
    make_world,
    seeded,
    take,
)

SOON_SECONDS = 10.0


@contextmanager
def following(engine: Engine, folder: Path | None = None, **options: Any) -> Iterator[Follower]:
    follower = Follower(engine, RULES, folder, **options)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def committed(session: Session) -> int:
    """Commit, and tell the transaction's number."""
    number = session.scalar(text("SELECT pg_current_xact_id()::text"))
    session.commit()
    return int(number)


def fresh(engine: Engine) -> Snapshot:
    with Session(engine) as session, connection_of(session) as connection:
        version = read_version(connection)
        since = calendars_since(version)
        loaded = load([connection], version.taken_at, rules=RULES, since=since)
        return Snapshot((loaded.segment,), version)


def seen(follower: Follower, number: int) -> Snapshot:
    assert follower.wait_for(number, SOON_SECONDS)
    return follower.current()


def let(engine: Engine, unit: Unit, first: date = DAY, until: date | None = None) -> int:
    with Session(engine) as session:
        make_claim(session, session.merge(unit), first, until)
        return committed(session)


@pytest.fixture
def units(own_engine: Engine) -> list[Unit]:
    with Session(own_engine, expire_on_commit=False) as session:
        made = make_world(session, 7, buildings=4)
        session.commit()
        return made


@pytest.fixture
def empty_unit(own_engine: Engine, units: list[Unit]) -> Unit:
    with Session(own_engine, expire_on_commit=False) as session:
        made = make_unit(session)
        session.commit()
        return made


def halves(parcel: Any) -> list[Any]:
    """Room for two buildings on a plot."""
    west, south, east, north = to_shape(parcel.geom).bounds
    middle, gap = (west + east) / 2, (east - west) / 10
    return [
        geometry(box(west, south, middle - gap, north)),
        geometry(box(middle + gap, south, east, north)),
    ]


def free_from(snapshot: Snapshot, unit: Unit) -> list[int]:
    """The steps of a unit."""
    for segment in snapshot.segments:
        for row in (segment.fid == unit.fid).nonzero()[0]:
            if not segment.buildings.stale[segment.building_of(int(row))]:
                return [free for _, free in segment.calendar(int(row))]
    raise AssertionError("the unit is not there")


def test_what_is_committed_is_seen_and_the_rest_stays(own_engine: Engine, empty_unit: Unit) -> None:
    with following(own_engine) as follower:
        before = follower.current()
        number = let(own_engine, empty_unit)
        after = seen(follower, number)

        assert free_from(before, empty_unit) != free_from(after, empty_unit)
        assert after.segments[0].cells is before.segments[0].cells
        assert len(after.segments) == 2
        assert told(after) == told(fresh(own_engine))


def test_a_transaction_that_commits_late_is_not_lost(
    own_engine: Engine, units: list[Unit], empty_unit: Unit
) -> None:
    with following(own_engine) as follower, Session(own_engine) as late:
        follower.current()
        make_claim(late, late.merge(empty_unit), DAY, None)
        low = late.scalar(text("SELECT max(seq) FROM space_changes"))
        with Session(own_engine) as quick:
            make_unit(quick)
            seen(follower, committed(quick))
        with Session(own_engine) as reader:
            passed = reader.scalar(text("SELECT max(seq) FROM space_changes"))
            number = committed(late)
            # The control: whoever had polled by sequence has passed it already.
            new = text("SELECT count(*) FROM space_changes WHERE seq > :passed")
            assert low < passed
            assert reader.scalar(new, {"passed": passed}) == 0

        assert told(seen(follower, number)) == told(fresh(own_engine))
        assert free_from(follower.current(), empty_unit)[-1] == 0


def test_what_is_rolled_back_leaves_nothing(own_engine: Engine, empty_unit: Unit) -> None:
    with following(own_engine) as follower:
        before = follower.current()
        with Session(own_engine) as session:
            make_claim(session, session.merge(empty_unit), DAY, None)
            session.rollback()
        with Session(own_engine) as session:
            make_claim(session, session.merge(empty_unit), DAY, None)
            inner = session.begin_nested()
            make_claim(session, make_unit(session), DAY, None)
            inner.rollback()
            number = committed(session)

        after = seen(follower, number)

        assert {key for key in told(after) if key[0] == "unit"} == {
            key for key in told(before) if key[0] == "unit"
        }
        assert told(after) == told(fresh(own_engine))


def test_what_lapses_is_free_again_though_nobody_writes(
    own_engine: Engine, empty_unit: Unit
) -> None:
    with following(own_engine, fresh_seconds=30.0) as follower:
        follower.current()
        with Session(own_engine) as session:
            now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
            ends = now + timedelta(seconds=1)
            make_claim(
                session,
                session.merge(empty_unit),
                DAY,
                None,
                kind="hold",
                live=Range(now, ends),
            )
            taken = free_from(seen(follower, committed(session)), empty_unit)
        deadline = time.monotonic() + SOON_SECONDS
        while free_from(follower.current(), empty_unit) == taken:
            assert time.monotonic() < deadline
            time.sleep(0.02)

        assert follower.current().version.taken_at >= ends
        assert follower.current().version.taken_at < ends + timedelta(seconds=5)
        assert told(follower.current()) == told(fresh(own_engine))


def test_a_lost_connection_loses_nothing(own_engine: Engine, empty_unit: Unit) -> None:
    with following(own_engine) as follower:
        follower.current()
        with Session(own_engine) as session:
            ended = session.scalar(
                text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE application_name = 'space-relay-snapshot'"
                    " AND datname = current_database()"
                )
            )
        number = let(own_engine, empty_unit)

        assert ended >= 1  # those that read the first may not be gone yet
        assert told(seen(follower, number)) == told(fresh(own_engine))


def test_where_the_log_was_trimmed_everything_is_read_anew(
    own_engine: Engine, units: list[Unit], empty_unit: Unit, tmp_path: Path
) -> None:
    with following(own_engine, tmp_path) as follower:
        follower.current()
    let(own_engine, empty_unit)
    with Session(own_engine) as session:
        make_unit(session)
        session.commit()
        later: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        assert forget_changes_before(session, later) >= 1
        session.commit()

    with following(own_engine, tmp_path) as follower:
        assert told(follower.current()) == told(fresh(own_engine))
        assert len(follower.current().segments) == 1


def test_a_saved_snapshot_is_caught_up_with(
    own_engine: Engine, units: list[Unit], empty_unit: Unit, tmp_path: Path
) -> None:
    with following(own_engine, tmp_path) as follower:
        follower.current()
    let(own_engine, empty_unit)

    with following(own_engine, tmp_path) as follower:
        found = follower.current()

    assert len(found.segments) == 2
    assert told(found) == told(fresh(own_engine))


def test_all_that_space_is_made_of_is_followed(own_engine: Engine, units: list[Unit]) -> None:
    unit = units[0]
    with Session(own_engine) as session:
        session.execute(text("UPDATE units SET floor_load_kn_m2 = NULL"))
        session.commit()
    steps = (
        "UPDATE floors SET floor_load_kn_m2 = 12.34 WHERE id = :floor",
        "UPDATE buildings SET height_m = 77 WHERE id = :building",
        "UPDATE parcels SET land_use_code = 'M3' WHERE id = :parcel",
        "UPDATE parks SET special_goods_import_pilot = special_goods_import_pilot IS NOT true",
        "UPDATE zones SET code = code || '-new'",
        "DELETE FROM shared_facilities",
        "UPDATE units SET floor_load_kn_m2 = 3.21 WHERE id = :unit",
    )
    with Session(own_engine) as session:
        building = session.get_one(Building, unit.building_id)
    places = {
        "floor": unit.floor_id,
        "building": building.id,
        "parcel": building.parcel_id,
        "unit": unit.id,
    }
    with following(own_engine) as follower:
        before = told(follower.current())
        for step in steps:
            with Session(own_engine) as session:
                session.execute(text(step), places)
                number = committed(session)
            after = told(seen(follower, number))
            assert after == told(fresh(own_engine)), step
            assert after != before, step
            before = after


def test_many_buildings_that_change_at_once_are_read_together(
    own_engine: Engine, units: list[Unit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.matching.snapshots.changes.FEW_BUILDINGS", 1)
    with following(own_engine) as follower:
        before = told(follower.current())
        with Session(own_engine) as session:
            session.execute(text("UPDATE units SET rent_cny_per_m2_day = 7.89"))
            number = committed(session)
        found = seen(follower, number)

    assert len(found.segments) == 2
    assert told(found) == told(fresh(own_engine)) != before


def test_new_space_comes_and_old_space_goes(own_engine: Engine, units: list[Unit]) -> None:
    with following(own_engine) as follower:
        follower.current()
        with Session(own_engine, expire_on_commit=False) as session:
            make_facility(session, "hospital", 121.6, 31.2)
            building = make_building(session)
            unit = make_unit(session, floor=make_floor(session, building=building))
            number = committed(session)
        assert told(seen(follower, number)) == told(fresh(own_engine))
        with Session(own_engine) as session:
            for table, place in (
                ("units", unit.id),
                ("floors", unit.floor_id),
                ("buildings", building.id),
            ):
                session.execute(text(f"DELETE FROM {table} WHERE id = :id"), {"id": place})  # noqa: S608
            number = committed(session)
        assert told(seen(follower, number)) == told(fresh(own_engine))


def test_linked_buildings_are_always_in_one_layer(own_engine: Engine, units: list[Unit]) -> None:
    with following(own_engine) as follower:
        follower.current()
        with Session(own_engine, expire_on_commit=False) as session:
            parcel = make_parcel(session)
            pair = [make_building(session, parcel=parcel, geom=half) for half in halves(parcel)]
            for building in pair:
                make_floor(session, building=building)
            make_link(session, *pair)
            seen(follower, committed(session))
        with Session(own_engine) as session:
            session.execute(
                text("UPDATE buildings SET height_m = 9 WHERE id = :id"), {"id": pair[0].id}
            )
            found = seen(follower, committed(session))

    newest = found.segments[-1].buildings
    assert {pair[0].fid, pair[1].fid} <= set(newest.fid.tolist())
    assert len(newest.links) == 1
    assert told(found) == told(fresh(own_engine))


def test_a_number_that_was_never_given_out_is_not_waited_for(
    own_engine: Engine, units: list[Unit]
) -> None:
    with following(own_engine) as follower:
        follower.current()
        begun = time.monotonic()
        assert not follower.wait_for(10**15, 60)
        assert time.monotonic() - begun < SOON_SECONDS


@pytest.mark.parametrize("folds", [False, True])
def test_eight_writers_race_and_nothing_is_lost(
    own_engine: Engine, folds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folds:
        # As small as can be, so that layers are many and everything is read anew all the time.
        monkeypatch.setattr("app.matching.snapshots.layers._SMALL_UNITS", 3)
        monkeypatch.setattr("app.matching.snapshots.layers._MUCH_LARGER", 1)
        monkeypatch.setattr("app.matching.snapshots.follow._NEWER_UNITS", 25)
        monkeypatch.setattr("app.matching.snapshots.follow._RESTS", 0)
    with Session(own_engine, expire_on_commit=False) as session:
        units = make_world(session, 11, buildings=8)
        session.commit()
    numbers: list[int] = []

    def write(seed: int) -> None:
        rng = seeded(seed)
        for _ in range(6):
            with Session(own_engine) as session:
                for unit in rng.sample(units, 2):
                    found = session.get_one(Unit, unit.id, with_for_update=True)
                    take(session, rng, found)
                if rng.random() < 0.2:
                    session.rollback()
                else:
                    numbers.append(committed(session))

    with following(own_engine) as follower:
        before = told(follower.current())
        writers = [threading.Thread(target=write, args=(seed,)) for seed in range(8)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            told(follower.current())  # no building is ever live twice
            time.sleep(0.05)
        found = told(seen(follower, max(numbers)))

    assert found == told(fresh(own_engine))
    assert found != before


def test_an_old_transaction_keeps_nobody_waiting(own_engine: Engine, empty_unit: Unit) -> None:
    with Session(own_engine) as old:
        old.execute(text("SELECT pg_current_xact_id()"))
        with following(own_engine) as follower:
            assert follower.current(8).segments
            assert follower.wait_for(let(own_engine, empty_unit), 5)
        old.rollback()


def test_a_log_that_does_not_say_where_it_begins_keeps_readers_busy(
    own_engine: Engine, empty_unit: Unit
) -> None:
    # The control: without the row that the migration wrote, nothing can be shown.
    with Session(own_engine) as session:
        session.execute(text("DELETE FROM space_changes"))
        session.commit()
    with Session(own_engine) as old:
        old.execute(text("SELECT pg_current_xact_id()"))
        with following(own_engine) as follower:
            follower.current(8)
            assert not follower.wait_for(let(own_engine, empty_unit), 1)
        old.rollback()
