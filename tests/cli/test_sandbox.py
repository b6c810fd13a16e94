"""The sandbox and the keys that sign tokens, on the command line."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from app.database.engine import make_engine
from app.seeding.sandbox import UNITS, sandbox_url
from tests.conftest import ROOT, Databases


def test_the_sandbox_is_made_once_and_signing_keys_are_replaced(
    databases: Databases, empty_template: str, tmp_path: Path
) -> None:
    name = databases.create(empty_template)
    url = databases.url(name)

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "app", *words],
            cwd=ROOT,
            env=os.environ | {"SPACE_RELAY_DATABASE_URL": url, "SPACE_RELAY_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run("sandbox") == "the sandbox is ready"
    assert run("sandbox") == "the sandbox was ready already"
    first, second = (run("token", "replace-signing-key") for _ in range(2))
    assert run("seal-anew").startswith("0 contacts, 0 applications")

    assert re.fullmatch(r"[\w-]{43}", first)
    assert first != second
    engines = [make_engine(one, pool_size=1) for one in (url, sandbox_url(url))]
    with engines[0].connect() as live, engines[1].connect() as sandbox:
        counted = text("SELECT count(*) FROM units")
        assert (live.scalar(counted), sandbox.scalar(counted)) == (0, UNITS)
        signs = text("SELECT kid FROM signing_keys WHERE retired_at IS NULL")
        assert live.scalars(signs).all() == [second]
        told = text("SELECT action, subject_id FROM audit_entries ORDER BY sequence")
        assert [tuple(row) for row in live.execute(told)] == [
            ("signing_key.replaced", first),
            ("signing_key.replaced", second),
            ("secrets.sealed_anew", None),
        ]
    for engine in engines:
        engine.dispose()
    databases.drop(name)
