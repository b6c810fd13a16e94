"""Secrets come from the environment or from files that others may not read, and must be secrets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from app import cli
from app.database.checks import check_database
from app.security.sealing import new_key_line
from app.security.weak import weak_secrets
from app.settings import SettingError, Settings, settings

STRONG = "kestrel-4471-hovers"
URL = "postgresql://space@db.example.invalid/space"


@pytest.fixture(autouse=True)
def read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("SPACE_RELAY_HOME", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


def secret_file(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("name", ["database_url", "public_database_url", "oidc_client_secret"])
def test_a_secret_is_read_from_its_file_unless_the_environment_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variable = f"SPACE_RELAY_{name.upper()}"
    monkeypatch.setenv(f"{variable}_FILE", str(secret_file(tmp_path, f"{STRONG}\n", 0o440)))

    assert getattr(Settings(), name) == SecretStr(STRONG)
    assert STRONG not in repr(Settings())
    monkeypatch.setenv(variable, "from the environment")
    assert getattr(Settings(), name) == SecretStr("from the environment")


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (STRONG, 0o604, "Others may read"),
        (STRONG, 0o644, "Others may read"),
        (STRONG, 0o620, "Others may read"),
        ("", 0o600, "does not hold one line"),
        (f"{STRONG}\n{STRONG}", 0o600, "does not hold one line"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(
    tmp_path: Path, content: str, mode: int, said: str
) -> None:
    path = secret_file(tmp_path, content, mode)

    with pytest.raises(SettingError, match=said) as caught:
        Settings(database_url_file=path)
    assert STRONG not in str(caught.value) + caught.value.remedy


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        Settings(oidc_client_secret_file=tmp_path / "missing")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("postgres", "everybody knows"),
        ("Postgres123!", "everybody knows"),
        ("CHANGEME", "everybody knows"),
        ("space", "everybody knows"),
        ("kestrel-447", "fewer than 12"),
        ("abababababab", "repeats"),
        (STRONG, None),
    ],
)
def test_what_anybody_could_guess_is_named_and_not_repeated(password: str, why: str | None) -> None:
    url = SecretStr(URL.replace("space@", f"space:{password}@"))
    query = SecretStr(f"{URL}?password={password}")
    for weak in (
        weak_secrets(Settings(database_url=url)),
        weak_secrets(Settings(database_url=query)),
        weak_secrets(Settings(public_database_url=url)),
        weak_secrets(Settings(oidc_client_id="space", oidc_client_secret=SecretStr(password))),
    ):
        assert len(weak) == (why is not None)
        for one in weak:
            assert why is not None
            assert why in one.why
            assert "space:" not in " ".join(one)
    assert weak_secrets(Settings(database_url=SecretStr(URL))) == []


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_nothing_starts_on_a_secret_that_everybody_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setattr(cli, "database_url", None)  # it does not come to that
    monkeypatch.setenv("SPACE_RELAY_DATABASE_URL", URL.replace("space@", "space:postgres@"))

    done = run(command)

    assert done.exit_code == 1
    said = done.output + capsys.readouterr().err
    assert "SPACE_RELAY_DATABASE_URL: its password is one that everybody knows." in said


def test_the_doctor_names_secrets_that_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPACE_RELAY_OIDC_CLIENT_SECRET", "changeme")
    keys = secret_file(tmp_path, new_key_line(), 0o644)
    monkeypatch.setenv("SPACE_RELAY_SECRET_KEY_FILE", str(keys))

    done = run("doctor")

    said = done.output + capsys.readouterr().out
    assert done.exit_code == 1
    assert "MISS  Secrets" in said
    assert "SPACE_RELAY_OIDC_CLIENT_SECRET: the secret is one that everybody knows" in said
    assert f"chmod 600 {keys}" in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://space:%zz{}@127.0.0.1:1/space",
        "postgresql://space:{} and a space@127.0.0.1:1/space",
        "mysql://space:{}@127.0.0.1:1/space",
        "space:{}@127.0.0.1",
        "postgresql://space:{}@127.0.0.1:1/space",
    ],
)
def test_the_doctor_repeats_no_password_of_a_url_it_cannot_use(url: str) -> None:
    check = check_database(url.format(STRONG))

    assert not check.good
    assert check.found
    assert "kestrel" not in str(check)


@pytest.mark.parametrize("name", ["POOL_SIZE", "OIDC_ROLES", "PUBLIC_URL"])
def test_a_secret_in_the_wrong_place_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(f"SPACE_RELAY_{name}", STRONG)
    monkeypatch.setattr("sys.argv", ["space-relay", "doctor"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    written = capsys.readouterr()
    assert ended.value.code == 1
    assert f"SPACE_RELAY_{name}" in written.err.upper()
    assert STRONG not in written.out + written.err
    assert "Traceback" not in written.err
