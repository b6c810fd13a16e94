"""The command line, as a person types it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.database.checks import free_port
from app.database.cluster import Cluster
from tests.conftest import Databases

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(databases: Databases, seeded_template: str, tmp_path: Path) -> Run:
    """Runs `space-relay` on a database that holds the reference data."""
    url = databases.url(databases.create(seeded_template))

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", *words],
            cwd=ROOT,
            env={
                **os.environ,
                "SPACE_RELAY_DATABASE_URL": url,
                "SPACE_RELAY_HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return command


def test_seeding_twice_says_that_there_is_nothing_to_do(run: Run) -> None:
    done = run("seed")

    assert done.returncode == 0, done.stderr
    assert "already loaded" in done.stdout
    assert re.search(r"standard_plants_m2 +5000000\.00", done.stdout)
    assert re.search(r"units\.pilot\.count +\d+", done.stdout)


def test_tokens_are_issued_shown_once_and_revoked(run: Run) -> None:
    issued = run("token", "staff", "--role", "viewer", "--park", "gene_island")
    assert issued.returncode == 0, issued.stderr
    token = issued.stdout.strip()
    assert re.fullmatch(r"sr_staff_[a-z2-7]+_[\w-]{43}", token)

    assert run("token", "revoke", token.split("_")[2]).returncode == 0
    again = run("token", "revoke", token.split("_")[2])
    assert again.returncode == 1
    assert "no valid credential" in again.stderr


def test_a_park_or_firm_that_does_not_exist_gets_one_sentence(run: Run) -> None:
    for words in (
        ("token", "staff", "--park", "atlantis"),
        ("token", "firm", "--company", "91990000MA0000000X"),
    ):
        done = run(*words)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


def test_the_api_document_needs_no_database() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "export-openapi"],
        cwd=ROOT,
        env={**os.environ, "SPACE_RELAY_DATABASE_URL": "postgresql://nowhere.invalid/none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"openapi": "3.1.0"' in done.stdout


def test_a_second_server_on_one_private_postgis_is_refused(tmp_path: Path) -> None:
    with Cluster(tmp_path, durable=False):
        done = subprocess.run(
            [sys.executable, "-m", "app", "serve", "--port", str(free_port(20_000))],
            cwd=ROOT,
            env={
                **{k: v for k, v in os.environ.items() if k != "SPACE_RELAY_DATABASE_URL"},
                "SPACE_RELAY_HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert "Another Space Relay is running" in done.stderr
    assert "SPACE_RELAY_HOME" in done.stderr
