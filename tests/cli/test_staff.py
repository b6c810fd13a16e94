"""The first administrator is made on the command line, and signs in."""

import json
import stat
from pathlib import Path

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from app import cli
from app.database.session import transaction
from app.kernel.clock import SystemClock
from app.models.staff import StaffAccount
from app.security.credentials import authenticate
from app.security.demo import ensure_demo
from app.security.rows import system
from app.security.sealing import Sealer
from app.security.staff.accounts import accept, state_of
from app.security.staff.errors import SignInRefusedError
from app.security.staff.sessions import Browser
from app.security.staff.sign_in import Gate, SignIn, sign_in
from app.settings import Settings
from tests.security.staff.conftest import PASSWORD, cheap_gate

NOWHERE = Browser(None, None)


@pytest.fixture
def command(own_engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    url = own_engine.url.render_as_string(hide_password=False)
    configured = Settings(database_url=SecretStr(url), home=tmp_path)
    monkeypatch.setattr(cli, "settings", lambda: configured)
    return CliRunner()


def test_the_first_administrator_is_invited_and_disabled(
    command: CliRunner, own_engine: Engine, tmp_path: Path
) -> None:
    email, now = "first.admin@example.invalid", SystemClock().now()
    gate = cheap_gate()

    def run(*words: str, code: int = 0) -> str:
        done = command.invoke(cli.app, ["staff", *words])
        assert done.exit_code == code, done.output
        return done.stdout.strip()

    lost = run("invite", email, "--role", "admin")
    token = run("invite", email)
    assert lost != token
    assert stat.S_IMODE((tmp_path / "secret.keys").stat().st_mode) == 0o600
    with Session(own_engine) as session:
        with transaction(session):
            account = accept(session, token, PASSWORD, passwords=gate.passwords, now=now)
        assert (account.role, account.park_ids, state_of(account)) == ("admin", None, "active")
        given = SignIn(email, PASSWORD, None, NOWHERE)
        assert sign_in(session, gate, given, now)

        run("reset-second-factor", email)
        run("disable", email, code=1)  # the last one stays
        second = run("invite", "second.admin@example.invalid", "--role", "admin")
        with transaction(session):
            accept(session, second, PASSWORD, passwords=gate.passwords, now=now)
        run("disable", email)
        with pytest.raises(SignInRefusedError):
            sign_in(session, gate, given, now)
    run("disable", "nobody@example.invalid", code=1)
    run("invite", "no address", code=1)
    run("invite", "x@example.invalid", "--park", "atlantis", code=1)


def test_the_demonstration_has_an_account_that_lets_in_and_is_made_once(
    own_seeded_engine: Engine, tmp_path: Path
) -> None:
    gate, clock = cheap_gate(), SystemClock()

    def made(by: Gate = gate) -> tuple[bool, dict[str, str]]:
        demo = ensure_demo(session, tmp_path, "http://127.0.0.1:8000", clock, by)
        account: dict[str, str] = json.loads(demo.path.read_text(encoding="utf-8"))["account"]
        return demo.fresh, account

    with Session(own_seeded_engine) as session:
        system(session)
        fresh, account = made()
        assert fresh
        assert made() == (False, account)
        assert account["email"].endswith("@example.invalid")
        code = pyotp.TOTP(account["totp_secret"]).at(clock.now())
        given = SignIn(account["email"], account["password"], code, NOWHERE)
        assert sign_in(session, gate, given, clock.now())

        # Another key opens nothing: the account is made anew.
        fresh, another = made(cheap_gate("00000002"))
        assert fresh
        assert another["password"] != account["password"]
        accounts = session.scalars(select(StaffAccount)).all()
        emails = {one.email for one in accounts}
        assert emails == {account["email"], "demo.manager@example.invalid"}
        # Its two tokens are two persons', who decide together what takes two.
        tokens = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))["staff"]
        persons = {
            authenticate(session, token, clock.now()).require_person() for token in tokens.values()
        }
        assert len(persons) == 2


def test_a_new_key_is_a_line_that_is_taken(command: CliRunner) -> None:
    line = command.invoke(cli.app, ["secret-key"]).stdout.strip()
    Sealer.of(Settings(secret_key=SecretStr(line))).check()
