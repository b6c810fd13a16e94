"""One real server with the demonstration for all that pages tell people to type."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Databases


@pytest.fixture(scope="session")
def demo_server(
    databases: Databases, seeded_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, int]]:
    """A folder with `.space-relay/demo.json` in it, and the port of its server."""
    folder = tmp_path_factory.mktemp("demo")
    name = databases.create(seeded_template)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--demo", "--port", str(port)],
        cwd=ROOT,
        env={
            **os.environ,
            "SPACE_RELAY_DATABASE_URL": databases.url(name),
            "SPACE_RELAY_HOME": str(folder / ".space-relay"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        assert process.poll() is None, process.communicate()[1]
        yield folder, port
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        databases.drop(name)
    assert process.returncode == 0


@pytest.fixture
def served(demo_server: tuple[Path, int], tmp_path: Path) -> tuple[Path, int]:
    """A folder of the test's own with the credentials of the demonstration, and the port."""
    folder, port = demo_server
    (tmp_path / ".space-relay").mkdir()
    shutil.copy(folder / ".space-relay" / "demo.json", tmp_path / ".space-relay")
    return tmp_path, port
