"""Clusters of these tests: files in throw-away folders, every process ended by its id."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.database import cluster as cluster_module
from app.database.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]

# Starts a cluster, says which process serves it and whether it is its own, then waits.
HOLDER = """
import sys, time
from pathlib import Path
from app.database.cluster import Cluster
cluster = Cluster(Path(sys.argv[1]), durable=False)
cluster.start()
try:
    print(cluster.pid, cluster.attached, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.3)
    print(cluster.is_running(), flush=True)
cluster.stop()
"""


def ask(cluster: Cluster, statement: str) -> str:
    """The first column of the first row."""
    with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as link:
        row = link.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])


def run_script(cluster: Cluster, statements: str) -> None:
    with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as link:
        link.execute(statements.encode())


def is_gone(pid: int) -> bool:
    """Whether the process ended, be it as a zombie that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in {"Z", "X"}


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="space-relay-setup-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def made_home(open_folder: Path) -> Path:
    """A home whose database files are there and whose server is down."""
    home = open_folder / "园区 with spaces"
    with Cluster(home, durable=False):
        pass
    return home


@pytest.fixture
def system_folder(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for /var/lib/space-relay, which belongs to real checkouts."""
    folder = open_folder / "var-lib"
    monkeypatch.setattr(cluster_module, "SYSTEM_FOLDER", folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hold() -> Iterator[Callable[[Path], "Holder"]]:
    """Starts processes that each hold a cluster, and ends what is left of them."""
    begun: list[Holder] = []

    def begin(home: Path) -> Holder:
        begun.append(Holder(home))
        return begun[-1]

    yield begin
    for holder in begun:
        holder.kill()
    for holder in begun:
        assert eventually(holder.left_nothing, 5)


class Holder:
    """A process that started a cluster."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.server = 0

    def ready(self) -> tuple[int, bool]:
        """The server's process id, and whether it belongs to another holder."""
        assert self.process.stdout is not None
        pid, attached = self.process.stdout.readline().split()
        self.server = int(pid)
        return self.server, attached == "True"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def left_nothing(self) -> bool:
        return self.server == 0 or is_gone(self.server)
