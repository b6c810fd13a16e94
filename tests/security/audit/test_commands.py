"""`space-relay audit`, and the hourly export of heads, as an operator meets them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from app.cli import app
from app.database.session import transaction
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.settings import settings
from app.worker import make_worker
from tests import factories as make


@pytest.fixture
def park(own_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The code of a park with three entries, in the database that commands are told of."""
    url = own_engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("SPACE_RELAY_DATABASE_URL", url)
    monkeypatch.setenv("SPACE_RELAY_HOME", str(tmp_path))
    monkeypatch.setenv("SPACE_RELAY_AUDIT_HEADS_FILE", str(tmp_path / "heads.jsonl"))
    settings.cache_clear()
    with Session(own_engine) as session:
        made = make.make_park(session)
        code: str = made.code
        for number in range(3):
            record(
                session,
                "tests",
                Action.UNIT_SPLIT,
                park_id=made.id,
                subject_type="unit",
                subject_id=str(number),
            )
        session.commit()
    yield code
    settings.cache_clear()


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words])


def _tamper(engine: Engine, statement: str) -> None:
    with Session(engine) as session, transaction(session):
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(statement))


def test_the_first_tampered_entry_is_named_and_the_exit_is_1(own_engine: Engine, park: str) -> None:
    whole = _run("verify")
    assert (whole.exit_code, "3 entries in 1 chains" in whole.stdout) == (0, True), whole.output

    _tamper(own_engine, "UPDATE audit_entries SET subject_id = 'x' WHERE sequence = 2")

    for words in (("verify",), ("verify", "--park", park)):
        found = _run(*words)
        assert found.exit_code == 1
        assert f"park {park}, sequence 2: its members are not those" in found.stderr
    assert _run("verify", "--park", "house").exit_code == 0


def test_heads_kept_elsewhere_find_what_was_cut_off(
    own_engine: Engine, park: str, tmp_path: Path
) -> None:
    url = own_engine.url.render_as_string(hide_password=False)
    with make_worker(own_engine, url).open() as queue:
        queue.configure_task("export_audit_heads").defer(timestamp=0)
        queue.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)
    kept = tmp_path / "heads.jsonl"
    # The hour's own run may have come due as well.
    (line,) = set(kept.read_text("utf-8").splitlines())
    assert f"{line}\n" == _run("head").stdout
    assert json.loads(line)["sequence"] == 3
    _tamper(own_engine, "DELETE FROM audit_entries WHERE sequence = 3")

    assert _run("verify").exit_code == 0  # why heads are kept elsewhere
    found = _run("verify", "--heads", str(kept))

    assert found.exit_code == 1
    assert f"park {park}, sequence 3: it is missing" in found.stderr
