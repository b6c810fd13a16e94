"""What stops the private cluster is said in one sentence, with the line to type."""

import os
import pwd
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from app.database import binaries
from app.database.binaries import find_binaries
from app.database.cluster import Cluster, ClusterError


def fake_postgres(
    folder: Path, version: str, postgis: str | None = None, *, initdb: str = "exit 0"
) -> Path:
    """Programs that say they are of ``version``; ``initdb`` is what that one does."""
    share = folder / "share"
    bindir = folder / "bin"
    (share / "extension").mkdir(parents=True)
    bindir.mkdir()
    if postgis is not None:
        control = share / "extension/postgis.control"
        control.write_text(f"default_version = '{postgis}'\n")
    says = {
        "postgres": f"echo 'postgres (PostgreSQL) {version} (Debian)'",
        "pg_config": f"echo {share}",
        "initdb": initdb,
        "psql": "exit 0",
    }
    for name, script in says.items():
        (bindir / name).write_text(f"#!/bin/sh\n{script}\n")
        (bindir / name).chmod(0o755)
    return bindir


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which PostgreSQL is nowhere, until a test puts it somewhere."""
    monkeypatch.delenv("SPACE_RELAY_PG_BINDIR", raising=False)
    monkeypatch.setattr(binaries, "_PLACES", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    return monkeypatch


def test_nothing_installed(only: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError) as caught:
        find_binaries()

    assert caught.value.message == "PostgreSQL is not installed."
    assert "SPACE_RELAY_DATABASE_URL" in caught.value.remedy


def test_the_remedy_is_a_line_for_apt_where_there_is_apt(
    only: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    apt = tmp_path / "apt-cache"
    apt.write_text(
        "#!/bin/sh\n"
        "echo 'postgresql-14-postgis-3 - old'\n"
        "echo 'postgresql-16-postgis-3 - good'\n"
        "echo 'postgresql-17-postgis-3 - newest'\n"
    )
    apt.chmod(0o755)
    (tmp_path / "apt-get").symlink_to(apt)
    only.setenv("PATH", str(tmp_path))

    assert binaries.apt_packages()[0] == "postgresql-17"
    assert binaries.apt_packages(16)[1] == "postgresql-16-postgis-3"
    assert binaries.apt_packages(14)[0] == "postgresql-17"
    with pytest.raises(ClusterError) as caught:
        find_binaries()
    assert "apt-get install -y --no-install-recommends postgresql-17 " in caught.value.remedy


def test_a_closed_folder_on_path_is_passed_by(only: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = fake_postgres(tmp_path, "16.1", "3.4.0")
    # A name too long is refused by the system for root as well.
    only.setenv("PATH", os.pathsep.join(["/" + "n" * 300, str(real)]))

    assert find_binaries().bindir == real


def test_a_folder_without_a_server(only: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only.setenv("SPACE_RELAY_PG_BINDIR", str(tmp_path))

    with pytest.raises(ClusterError, match="there is no PostgreSQL server in it"):
        find_binaries()


@pytest.mark.parametrize(
    ("version", "postgis", "said"),
    [
        ("14.9", "3.4.0", r"PostgreSQL 14\.9 in .* is too old; Space Relay needs 15 or newer"),
        ("16.1", None, r"PostgreSQL 16\.1 is in .*, but it has no PostGIS"),
        ("16.1", "3.1.4", r"PostGIS 3\.1\.4 of PostgreSQL 16\.1 is too old"),
    ],
)
def test_too_old_or_without_postgis(
    only: pytest.MonkeyPatch, tmp_path: Path, version: str, postgis: str | None, said: str
) -> None:
    only.setenv("SPACE_RELAY_PG_BINDIR", str(fake_postgres(tmp_path, version, postgis)))

    with pytest.raises(ClusterError, match=said):
        find_binaries()


def test_the_newest_that_has_postgis_is_taken(only: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_postgres(tmp_path / "15", "15.4", "3.3.2")
    fitting = fake_postgres(tmp_path / "16", "16beta2", "3.4.0")
    fake_postgres(tmp_path / "17", "17.0")
    only.setattr(binaries, "_PLACES", (f"{tmp_path}/*/bin",))

    found = find_binaries()

    assert (found.bindir, found.major, found.postgis) == (fitting, 16, "3.4.0")


def test_data_of_a_version_that_is_gone(open_folder: Path) -> None:
    home = open_folder / "old-data"
    (home / "data-9").mkdir(parents=True)

    with pytest.raises(ClusterError) as caught:
        Cluster(home).start()

    assert "was made by PostgreSQL 9, and only that version can read it" in caught.value.message
    assert f"mv {home}/data-9 {home}/data-9.old" in caught.value.remedy


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ('could not write to file "/srv/x": No space left on device', "The disk that holds /srv/x"),
        ("initdb: error: invalid locale settings", "does not know the locale C.UTF-8"),
        ("initdb: error: something new", "could not be made: initdb: error: something new"),
    ],
)
def test_database_files_that_cannot_be_made(
    only: pytest.MonkeyPatch, open_folder: Path, tmp_path_factory: pytest.TempPathFactory,
    failure: str, said: str,
) -> None:  # fmt: skip
    folder = open_folder / tmp_path_factory.mktemp("postgres").name
    bindir = fake_postgres(folder, "16.1", "3.4.0", initdb=f"echo '{failure}' >&2; exit 1")
    only.setenv("SPACE_RELAY_PG_BINDIR", str(bindir))

    with pytest.raises(ClusterError) as caught:
        Cluster(folder / "home").start()

    assert said in caught.value.message
    assert not list((folder / "home").glob("*data-*")), "nothing half made is left"


def test_a_full_disk_is_seen_before_anything_is_written(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    home = open_folder / "full"

    with pytest.raises(ClusterError) as caught:
        Cluster(home).start()

    assert caught.value.message == f"The disk that holds {home} is full."
    assert caught.value.remedy.startswith(f"df -h {home}")


def test_a_server_that_refuses_is_quoted(made_home: Path) -> None:
    (data,) = made_home.glob("data-*")
    configuration = data / "postgresql.auto.conf"
    kept = configuration.read_text()
    configuration.write_text(kept + "work_mem = 'much'\n")
    try:
        with pytest.raises(ClusterError) as caught:
            Cluster(made_home, durable=False).start()
    finally:
        configuration.write_text(kept)

    assert "PostgreSQL did not start: configuration file" in caught.value.message
    assert caught.value.remedy == f"tail -n 20 {made_home}/postgres.log"


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ClusterError) as caught:
        Cluster(tmp_path / "file/home").start()

    assert str(tmp_path / "file") in caught.value.message


def test_no_user_to_run_as(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", nobody)

    with pytest.raises(ClusterError) as caught:
        Cluster(open_folder / "nobody").start()

    assert "refuses to run as root" in caught.value.message
    assert caught.value.remedy.startswith("useradd")
