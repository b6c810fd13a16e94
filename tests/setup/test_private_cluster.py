"""The private PostgreSQL: where it lives, who owns it, and that it never outlives us."""

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.database.cluster import Cluster, ClusterError
from tests.setup.conftest import Holder, ask, eventually, is_gone, run_script

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def cluster(made_home: Path) -> Iterator[Cluster]:
    with Cluster(made_home, durable=False) as running:
        yield running


def family(pid: int) -> list[int]:
    """The server and its children; each backend leads a session of its own."""
    members = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid:
            members.append(int(stat.parent.name))
    return members


def modes_above(folder: Path) -> list[int]:
    return [parent.stat().st_mode for parent in folder.parents]


def test_the_database_has_postgis_speaks_utf8_and_listens_on_no_network(cluster: Cluster) -> None:
    assert ask(cluster, "SELECT postgis_lib_version()") >= "3.3"
    assert ask(cluster, "SELECT count(*) FROM pg_extension WHERE extname = 'btree_gist'") == "1"
    assert ask(cluster, "SHOW server_encoding") == "UTF8"
    assert ask(cluster, "SHOW listen_addresses") == ""
    assert ask(cluster, "SHOW max_connections") == "100"
    assert ask(cluster, "SELECT upper('é园')") == "É园"


def test_only_throw_away_clusters_are_careless(made_home: Path) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    with Cluster(made_home) as cluster:
        assert [ask(cluster, f"SHOW {name}") for name in names] == ["on"] * 3
    with Cluster(made_home, durable=False) as cluster:
        assert [ask(cluster, f"SHOW {name}") for name in names] == ["off"] * 3


def test_the_server_is_no_root_and_its_socket_is_private(cluster: Cluster) -> None:
    owner = Path(f"/proc/{cluster.pid}").stat().st_uid
    sockets = Path(ask(cluster, "SHOW unix_socket_directories"))

    assert owner != 0
    assert AS_ROOT or owner == os.geteuid()
    assert sockets.stat().st_uid == owner
    assert sockets.stat().st_mode & 0o777 == 0o700


def test_a_home_the_server_user_cannot_enter_keeps_its_data_elsewhere(
    tmp_path: Path, system_folder: Path
) -> None:
    tmp_path.chmod(0o700)
    home = tmp_path / "checkout/.space-relay"
    before = modes_above(home.parent)

    with Cluster(home, durable=False) as cluster:
        data = Path(ask(cluster, "SHOW data_directory"))

    assert modes_above(home.parent) == before
    if AS_ROOT:
        assert data.parent.parent == system_folder
        assert (home / "location").read_text().strip() == str(data.parent)
    else:
        assert data.parent == home
    cluster.destroy()
    assert not data.exists()
    assert not (home / "location").exists()


@pytest.mark.parametrize("copied", [False, True])
def test_a_moved_checkout_keeps_its_data_and_a_copy_does_not_share_it(
    tmp_path: Path, system_folder: Path, copied: bool
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    base = system_folder / "0123456789ab"
    (base / "data-15").mkdir(parents=True)
    (base / "home").write_text(f"{old}\n")
    for home in (old, new) if copied else (new,):
        home.mkdir()
        (home / "location").write_text(f"{base}\n")

    found = Cluster(new).describe()

    assert (str(base) in found) is not copied


def test_a_location_outside_the_system_folder_is_not_followed(
    tmp_path: Path, system_folder: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "data-15").mkdir(parents=True)
    (elsewhere / "home").write_text(f"{tmp_path}\n")
    (tmp_path / "location").write_text(f"{elsewhere}\n")

    assert str(elsewhere) not in Cluster(tmp_path).describe()


def test_what_killed_test_runs_left_is_swept_and_nothing_else(
    tmp_path: Path, system_folder: Path
) -> None:
    for name, home, marked in (
        ("left-over", tmp_path / "gone", True),
        ("still-there", tmp_path, True),
        ("somebodys-data", tmp_path / "unmounted", False),
    ):
        (system_folder / name).mkdir(parents=True)
        (system_folder / name / "home").write_text(f"{home}\n")
        if marked:
            (system_folder / name / "throw-away").touch()
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)

    with Cluster(home, durable=False) as cluster:
        assert cluster.is_running()
    cluster.destroy()

    swept = {"left-over"} if AS_ROOT else set()
    assert {path.name for path in system_folder.iterdir()} == {
        "left-over",
        "still-there",
        "somebodys-data",
    } - swept


def test_committed_rows_survive_the_servers_sudden_death(made_home: Path) -> None:
    with Cluster(made_home) as cluster:
        run_script(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
        first = cluster.pid
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: not cluster.is_running(), 5)

        cluster.start()

        assert cluster.pid != first
        assert ask(cluster, "SELECT answer FROM kept") == "42"
        run_script(cluster, "DROP TABLE kept")


def test_a_zombie_with_the_servers_number_does_not_stop_the_next_start(
    made_home: Path, hold: Callable[[Path], Holder]
) -> None:
    holder = hold(made_home)
    dead, _ = holder.ready()
    os.kill(dead, signal.SIGKILL)
    assert eventually(lambda: is_gone(dead), 5)
    assert Path(f"/proc/{dead}").exists(), "its parent sleeps, so it must be a zombie"

    with Cluster(made_home, durable=False) as cluster:
        assert not cluster.attached
        assert ask(cluster, "SELECT 1") == "1"


def test_a_record_that_names_a_strangers_process_is_a_leftover(made_home: Path) -> None:
    with Cluster(made_home, durable=False) as cluster:
        data = Path(ask(cluster, "SHOW data_directory"))
        record = (data / "postmaster.pid").read_text().splitlines()
    record[0] = str(os.getpid())
    (data / "postmaster.pid").write_text("\n".join(record) + "\n")

    with Cluster(made_home, durable=False) as again:
        assert ask(again, "SELECT 1") == "1"


def test_the_server_ends_cleanly_when_its_parent_is_killed(
    made_home: Path, hold: Callable[[Path], Holder]
) -> None:
    holder = hold(made_home)
    server, _ = holder.ready()
    processes = family(server)
    (data,) = made_home.glob("data-*")
    assert (data / "postmaster.pid").exists()

    os.kill(holder.process.pid, signal.SIGKILL)

    assert eventually(lambda: all(map(is_gone, processes)), 2)
    assert not (data / "postmaster.pid").exists()
    said = (made_home / "postgres.log").read_text().rpartition("--- start of")[2]
    assert "database system is shut down" in said


def test_of_two_starts_at_once_one_makes_the_server_and_both_use_it(
    made_home: Path, hold: Callable[[Path], Holder]
) -> None:
    holders = [hold(made_home), hold(made_home)]
    answers = [holder.ready() for holder in holders]

    assert answers[0][0] == answers[1][0]
    assert sorted(attached for _, attached in answers) == [False, True]
    with Cluster(made_home, durable=False) as third:
        assert third.attached
        assert ask(third, "SELECT 1") == "1"
    assert not is_gone(answers[0][0]), "who attaches does not stop it"


def test_ctrl_c_reaches_the_program_and_the_server_ends_after_it(
    made_home: Path, hold: Callable[[Path], Holder]
) -> None:
    holder = hold(made_home)
    server, _ = holder.ready()

    os.killpg(holder.process.pid, signal.SIGINT)

    assert holder.process.stdout is not None
    assert holder.process.stdout.readline() == "True\n", "still up while the program winds down"
    assert holder.process.wait(10) == 0
    assert is_gone(server)


def test_stop_leaves_no_process_and_no_socket(made_home: Path) -> None:
    with Cluster(made_home, durable=False) as cluster:
        server, sockets = cluster.pid, Path(ask(cluster, "SHOW unix_socket_directories"))
        with psycopg.connect(cluster.url.replace("+psycopg", "")):
            processes = family(server)
            assert len(processes) > 3
            cluster.stop()

    assert all(map(is_gone, processes))
    assert not sockets.exists()
    assert not cluster.is_running()
    assert "not running" in cluster.describe()
    with pytest.raises(ClusterError, match="not running"):
        _ = cluster.url


def test_it_is_not_started_from_a_thread_whose_end_would_end_it(made_home: Path) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            Cluster(made_home, durable=False).start()
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert [str(error) for error in caught] == [
        "a cluster must be started from the main thread, see Cluster"
    ]


def test_a_long_temporary_folder_or_a_squatter_does_not_stop_it(
    made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Cluster(made_home, durable=False) as cluster:
        usual = Path(ask(cluster, "SHOW unix_socket_directories"))
    long = tmp_path / ("long" * 25)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    usual.mkdir(mode=0o755)
    try:
        with Cluster(made_home, durable=False) as cluster:
            taken = Path(ask(cluster, "SHOW unix_socket_directories"))
    finally:
        usual.rmdir()

    assert taken.parent == usual.parent
    assert taken.name.startswith(f"{usual.name}-")


def test_a_cluster_in_use_is_not_destroyed(cluster: Cluster, made_home: Path) -> None:
    with pytest.raises(ClusterError, match="still runs"):
        Cluster(made_home).destroy()

    assert ask(cluster, "SELECT 1") == "1"
