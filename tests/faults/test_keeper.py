"""The private PostgreSQL that dies: it is started anew on the same address, whatever it left."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from app.database import cluster as cluster_module
from app.database.cluster import Cluster, ClusterError
from tests.faults.site import postmaster, wait_until

#: Enough for recovery on a busy machine; a start that waits for an orphan takes longer.
SECONDS_UNTIL_BACK_MAX = 20.0


@pytest.fixture
def cluster(home: Path) -> Iterator[Cluster]:
    with Cluster(home) as running:
        yield running


def answer(cluster: Cluster) -> object:
    with psycopg.connect(cluster.url.replace("+psycopg", "")) as link:
        row = link.execute("SELECT 1").fetchone()
    return row and row[0]


def answers(cluster: Cluster) -> bool:
    with suppress(psycopg.OperationalError):
        return answer(cluster) == 1
    return False


def test_a_server_that_is_killed_again_and_again_comes_back_at_the_same_address(
    cluster: Cluster,
) -> None:
    url = cluster.url
    for _ in range(2):
        dead = cluster.pid
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: cluster.pid != dead and answers(cluster), "the server", 20)  # noqa: B023
        assert cluster.url == url
        assert not cluster.attached


def busy_backend(cluster: Cluster) -> tuple[psycopg.Connection, threading.Thread]:
    """A backend that computes without ever waiting, so that it does not see its server die."""
    link = psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True)

    def compute() -> None:
        with suppress(psycopg.OperationalError):
            link.execute("SELECT count(*) FROM generate_series(1, 30000000) a WHERE a % 7 = 3")

    thread = threading.Thread(target=compute)
    thread.start()
    with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as other:
        wait_until(
            lambda: other.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'",
                (link.info.backend_pid,),
            ).fetchone(),
            "the computation",
            10,
        )
    return link, thread


@pytest.mark.parametrize("ends_orphans", [True, False], ids=["product", "orphans-left"])
def test_a_backend_that_computes_on_does_not_hold_up_the_next_server(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, ends_orphans: bool
) -> None:
    """The second case is the control: the orphan is busy for as long as the restart takes."""
    if not ends_orphans:
        monkeypatch.setattr(cluster_module, "_end_orphans", lambda _data: None)
    link, thread = busy_backend(cluster)
    dead, orphan = cluster.pid, link.info.backend_pid
    os.kill(dead, signal.SIGKILL)

    if ends_orphans:
        wait_until(lambda: cluster.pid != dead and answers(cluster), "the server", 20)
        thread.join(SECONDS_UNTIL_BACK_MAX)
        assert not thread.is_alive()
    else:
        time.sleep(1.0)
        assert cluster.pid == dead
        os.kill(orphan, signal.SIGKILL)
        thread.join()
        wait_until(lambda: cluster.pid != dead and answers(cluster), "the server", 20)
    link.close()


def test_a_start_in_vain_is_tried_again_until_it_can_be_done(
    cluster: Cluster, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (control,) = home.glob("data-*/global/pg_control")
    dead = cluster.pid
    away = control.rename(control.with_name("away"))
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: "did not start" in caplog.text, "a start in vain", 20)
    assert not answers(cluster)

    away.rename(control)

    wait_until(lambda: "is back" in caplog.text, "the server", 20)
    assert answers(cluster)
    assert caplog.text.count("died") == 1


@pytest.mark.parametrize("after_seconds", [0.0, 0.4])
def test_who_stops_while_the_server_is_being_started_anew_leaves_none(
    home: Path, after_seconds: float
) -> None:
    cluster = Cluster(home)
    cluster.start()
    os.kill(cluster.pid, signal.SIGKILL)
    time.sleep(after_seconds)

    begun = time.monotonic()
    cluster.stop()

    assert time.monotonic() - begun < SECONDS_UNTIL_BACK_MAX
    time.sleep(0.5)
    assert "not running" in cluster.describe()
    assert not cluster.is_running()
    with pytest.raises(ClusterError, match="not running"):
        _ = cluster.url


def test_a_server_that_another_process_started_meanwhile_is_used_and_outlived(
    cluster: Cluster, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_REST_SECONDS", 1.0)
    os.kill(cluster.pid, signal.SIGKILL)
    wait_until(lambda: answers(cluster), "the server", 20)  # its next rest is a long one
    os.kill(cluster.pid, signal.SIGKILL)
    wait_until(lambda: not cluster.is_running(), "its death", 5)

    with Cluster(home, durable=False) as other:
        assert not other.attached
        wait_until(lambda: cluster.attached, "the keeper to see it", 5)
        assert answer(cluster) == 1
        theirs = postmaster(home)

    wait_until(lambda: postmaster(home) not in {0, theirs} and answers(cluster), "the server", 20)
    assert not cluster.attached


def test_a_careless_server_that_died_stays_dead(home: Path) -> None:
    """What a server without fsync had is not to be trusted, so its users must see it end."""
    with Cluster(home, durable=False) as cluster:
        os.kill(cluster.pid, signal.SIGKILL)
        time.sleep(1.5)
        assert not cluster.is_running()


def call_in_thread(action: Callable[[], None]) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def test_it_may_be_stopped_from_any_thread_while_it_is_kept_up(home: Path) -> None:
    cluster = Cluster(home)
    cluster.start()
    call_in_thread(cluster.stop)
    assert not cluster.is_running()
