"""The product as it is run: a server process, its PostgreSQL, and a supervisor that restarts it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from app.database import checks
from app.database.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("-m", "app")


def postmaster(home: Path) -> int:
    """Process id of the PostgreSQL server on the data of ``home``; 0 while there is none."""
    for record in (*home.glob("data-*/postmaster.pid"), *_elsewhere(home)):
        try:
            return int(record.read_text().split()[0])
        except (FileNotFoundError, IndexError):
            continue
    return 0


def _elsewhere(home: Path) -> list[Path]:
    # Where the user of the server may not enter the folder, its data is in another.
    noted = home / "location"
    if not noted.exists():
        return []
    return list(Path(noted.read_text().strip()).glob("data-*/postmaster.pid"))


class Site:
    """One server on a port of its own, started again whenever it ends, as by a supervisor.

    Args:
        home: with the cluster that holds the data.
        cluster: the running server to use; None lets the product run it by itself.
        program: what Python is to run.
    """

    def __init__(
        self, home: Path, cluster: Cluster | None = None, program: tuple[str, ...] = PRODUCT
    ) -> None:
        self.home = home
        # Below those that connections begin at: who calls before the server listens could else be
        # given its port, and reach itself.
        self.port = checks.free_port(20_000 + os.getpid() % 10_000)
        self._command = [sys.executable, *program, "serve", "--port", str(self.port)]
        self._environment = {
            **{key: value for key, value in os.environ.items() if "SPACE_RELAY" not in key},
            "SPACE_RELAY_HOME": str(home),
            "SPACE_RELAY_LOG_LEVEL": "ERROR",
            "SPACE_RELAY_HELD_UNITS_PER_COMPANY_MAX": "1000000",
            "SPACE_RELAY_RATE_LIMITS": "{}",
            "PYTHONFAULTHANDLER": "1",
        }
        self._heard = home / "server-stderr.txt"
        if cluster is not None:
            self._environment["SPACE_RELAY_DATABASE_URL"] = cluster.url
        self._process = self._spawn()
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise)

    def __enter__(self) -> Self:
        self._supervisor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._process.send_signal(signal.SIGTERM)
        self._supervisor.join(60)
        assert not self._supervisor.is_alive(), "the server did not end when told to"

    def kill_server(self) -> None:
        """SIGKILL, at this instant."""
        self._process.kill()

    def last_words(self) -> str:
        """Ends the server, and says what it wrote and where each of its threads was."""
        process = self._process  # the supervisor starts another
        process.send_signal(signal.SIGABRT)
        process.wait(10)
        return self._heard.read_text("utf-8", "replace")[-20_000:]

    def kill_postgres(self) -> None:
        """SIGKILL of the postmaster, at this instant; returns when another has taken its place."""
        before = postmaster(self.home)
        assert before, "there is no postmaster to kill"
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: postmaster(self.home) not in {0, before}, "a new postmaster", 60)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with self._heard.open("ab") as heard:
            return subprocess.Popen(self._command, cwd=ROOT, env=self._environment, stderr=heard)

    def _supervise(self) -> None:
        while True:
            self._process.wait()
            if self._over.wait(0.1):
                return
            self._process = self._spawn()


def wait_until(condition: Callable[[], object], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no sign of {what} for {seconds} s"
        time.sleep(0.01)
