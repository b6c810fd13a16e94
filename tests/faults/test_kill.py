"""kill -9 of the server and of PostgreSQL in a storm of writes: nothing told is lost or doubled."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import psycopg
import pytest

from app.database.cluster import Cluster
from tests.faults.checker import Row, Verdict, judge, overbooked
from tests.faults.site import Site, wait_until
from tests.faults.storm import Journal, Storm, World, send

#: What we promise is 10 s on a machine of our own. Nearly all of it is Python importing the
#: application, so that neighbours on the same cores stretch it; hence more, for the usual kill,
#: and more again for the worst.
SECONDS_UNTIL_BACK_USUAL, SECONDS_UNTIL_BACK_WORST = 20.0, 60.0

arms = pytest.mark.parametrize(
    ("kills", "embedded"),
    [
        pytest.param(1, True, id="short"),
        *(
            pytest.param(25, embedded, id=name, marks=[pytest.mark.long, pytest.mark.timeout(3600)])
            for name, embedded in (("long-own-postgres", True), ("long-postgres-apart", False))
        ),
    ],
)


def until_back(storm: Storm, kill: Callable[[], object], *, by_process: bool) -> float:
    """Seconds from a kill to the first write that is acknowledged again."""
    killed = time.monotonic()
    kill()
    # Backends that outlive the postmaster may still answer; by now they are gone.
    replaced = 0.0 if by_process else time.monotonic()
    wait_until(
        lambda: storm.first_success(asked_after=killed, came_after=replaced) is not None,
        "an acknowledged write",
        SECONDS_UNTIL_BACK_WORST,
    )
    back = storm.first_success(asked_after=killed, came_after=replaced)
    assert back is not None
    return back - killed


def wait_for_bookings(site: Site, storm: Storm, more: int = 20) -> None:
    journal = storm.journal
    had = len(journal.bookings)
    try:
        wait_until(lambda: len(journal.bookings) >= had + more, f"{more} bookings", 60)
    except AssertionError as error:
        error.add_note(
            f"{had} bookings before, {len(journal.bookings)} now, {len(journal.answers)} answers,"
            f" {journal.refusals} refusals, {journal.repeats} repeats, {storm.alive} clients alive;"
            f" unexpected: {journal.unexpected[-5:]}\n{site.last_words()}"
        )
        raise


def judged(home: Path, world: World, journal: Journal) -> Verdict:
    """The verdict on a storm that is over, by a server that started on its files since."""
    with Cluster(home) as cluster:
        return judge(cluster.url, world, journal)


@arms
def test_what_was_acknowledged_survives_every_kill_and_service_comes_back_by_itself(
    home: Path,
    make_world: Callable[[], World],
    record_testsuite_property: Callable[[str, object], None],
    *,
    kills: int,
    embedded: bool,
) -> None:
    world, chance = make_world(), random.Random(kills)  # noqa: S311
    back: dict[str, list[float]] = {"server": [], "postgres": []}
    with ExitStack() as stack:
        cluster = None if embedded else stack.enter_context(Cluster(home))
        site = stack.enter_context(Site(home, cluster))
        with Storm(site.port, world, seed=kills) as storm:
            for victim in chance.sample(["server", "postgres"] * kills, 2 * kills):
                wait_for_bookings(site, storm)
                time.sleep(chance.uniform(0.0, 1.0))
                by_process = victim == "server"
                kill = site.kill_server if by_process else site.kill_postgres
                back[victim].append(until_back(storm, kill, by_process=by_process))
            wait_for_bookings(site, storm)
        journal = storm.journal
        for call, status, body in chance.sample(journal.answers, 50):
            assert send(site.port, call) == (status, body), "a key forgot its answer"

    assert judged(home, world, journal) == Verdict()
    assert journal.refusals, "nobody wanted the same space"
    assert journal.repeats, "no call was repeated"
    assert {booking.state for booking in journal.bookings} == {"held", "leased", "released"}
    for victim, seconds in back.items():
        record_testsuite_property(f"back_after_{victim}_kill_seconds_median", median(seconds))
        record_testsuite_property(f"back_after_{victim}_kill_seconds_max", max(seconds))
        assert median(seconds) <= SECONDS_UNTIL_BACK_USUAL
    record_testsuite_property("acknowledged_in_storm_of_kills", len(journal.answers))


@pytest.mark.long
def test_the_checker_finds_what_commits_that_do_not_wait_for_the_disk_lose(
    home: Path, make_world: Callable[[], World]
) -> None:
    """The control of what is lost: the same storm and kill over a database that says yes early."""
    world = make_world()
    with Cluster(home) as cluster:
        answer_early(cluster)
        try:
            with Site(home, cluster) as site, Storm(site.port, world, seed=7) as storm:
                # Commits wake the writer for each page they fill; asleep for good it writes none.
                writer = wal_writer(cluster)
                os.kill(writer, signal.SIGSTOP)
                wait_for_bookings(site, storm, 60)
                os.kill(writer, signal.SIGKILL)
                site.kill_postgres()
            verdict = judge(cluster.url, world, storm.journal)
        finally:
            answer_early(cluster, False)

    assert verdict.lost
    assert verdict.overbooked == []


def wal_writer(cluster: Cluster) -> int:
    """Process id of the one that writes down what commits did not wait for."""
    with psycopg.connect(cluster.url.replace("+psycopg", "")) as link:
        found = link.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
        ((pid,),) = found.fetchall()
    return int(pid)


def answer_early(cluster: Cluster, early: bool = True) -> None:
    """Acknowledge commits before they are written down, and write down late."""
    with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as link:
        link.execute(
            "ALTER ROLE CURRENT_USER SET synchronous_commit = off"
            if early
            else "ALTER ROLE CURRENT_USER RESET synchronous_commit"
        )
        for name, value in (("wal_writer_delay", "10s"), ("wal_writer_flush_after", "1GB")):
            link.execute(
                f"ALTER SYSTEM SET {name} = '{value}'" if early else f"ALTER SYSTEM RESET {name}"
            )
        link.execute("SELECT pg_reload_conf()")


@pytest.mark.long
def test_the_checker_finds_what_repeated_calls_double_where_no_key_is_kept(
    home: Path, make_world: Callable[[], World]
) -> None:
    """The control of what is doubled: the same storm, without a kill, over a forgetful product."""
    world = make_world()
    with (
        Site(home, program=("-m", "tests.faults.unrepeatable")) as site,
        Storm(site.port, world, seed=8) as storm,
    ):
        wait_for_bookings(site, storm, 80)

    verdict = judged(home, world, storm.journal)

    assert verdict.doubled
    assert verdict.overbooked == []


HALF = Row(
    commitment="one",
    unit="unit",
    company="firm",
    kind="lease",
    quantity=Decimal(600),
    start=date(2030, 1, 1),
    until=date(2031, 1, 1),
    believed_from=datetime(2026, 1, 1, tzinfo=UTC),
    believed_until=datetime(9999, 1, 1, tzinfo=UTC),
    capacity=Decimal(1000),
)
LATER = HALF.believed_from + timedelta(days=1)


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        pytest.param(HALF, replace(HALF, believed_from=LATER), 1, id="same-days"),
        pytest.param(HALF, replace(HALF, start=date(2030, 12, 31)), 1, id="the-last-day"),
        pytest.param(HALF, replace(HALF, start=HALF.until, until=date.max), 0, id="the-day-after"),
        pytest.param(HALF, replace(HALF, quantity=Decimal(400)), 0, id="just-full"),
        pytest.param(HALF, replace(HALF, unit="other"), 0, id="another-unit"),
        pytest.param(
            replace(HALF, believed_until=LATER),
            replace(HALF, believed_from=LATER),
            0,
            id="superseded",
        ),
        pytest.param(
            replace(HALF, believed_until=LATER + timedelta(seconds=1)),
            replace(HALF, believed_from=LATER),
            1,
            id="still-believed",
        ),
    ],
)
def test_the_checker_sees_each_day_promised_beyond_capacity(
    first: Row, second: Row, found: int
) -> None:
    assert len(overbooked([first, second])) == found
    assert len(overbooked([second, first])) == found
