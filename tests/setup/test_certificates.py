"""The deployment's logins, against a real server: a certificate of one's own, or nothing."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from urllib.parse import urlencode

import pytest
from cryptography import x509
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError
from typer.testing import CliRunner

from app.cli import app
from app.database import cluster
from app.database.checks import free_port
from app.database.cluster import Cluster, find_binaries, service_account
from app.database.engine import make_engine
from app.database.migrate import is_current, upgrade
from app.database.roles import APP, OWNER, PUBLIC
from app.security.certificates import (
    AUTHORITY,
    CERTIFICATE,
    DATABASE,
    KEY,
    LOGINS,
    ends_at,
    make_certificates,
)
from tests.setup.conftest import ROOT

HOST = "127.0.0.1"
NOW = datetime.now(tz=UTC).replace(microsecond=0)
LASTS = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Deployed:
    """A server that was set up with the deployment's own files."""

    port: int
    folder: Path
    rules: Path
    superuser_url: str

    def __call__(
        self, login: str, database: str = "space_relay", shows: str | None = "", **more: str
    ) -> str:
        """The URL of a login that shows its own certificate, another's, or (None) none."""
        shown = {} if shows is None else files_of(self.folder, shows or login)
        options = {"sslmode": "verify-full"} | shown | more
        return f"postgresql+psycopg://{login}@{HOST}:{self.port}/{database}?{urlencode(options)}"

    @contextmanager
    def ruled(self, rules: str) -> Iterator[None]:
        """The server meanwhile lets in whom these rules say."""
        before = self.rules.read_text("utf-8")
        for text_ in (rules + before, before):
            self.rules.write_text(text_, "utf-8")
            said(self.superuser_url, "SELECT pg_reload_conf()")
            sleep(0.3)  # it reads them when it gets round to it
            if text_ != before:
                yield


def files_of(folder: Path, login: str) -> dict[str, str]:
    """What a client of the database shows."""
    names = {"sslrootcert": AUTHORITY, "sslcert": CERTIFICATE, "sslkey": KEY}
    return {option: str(folder / login / name) for option, name in names.items()}


@pytest.fixture(scope="module")
def reached() -> Iterator[Deployed]:
    """A server as it is deployed."""
    with (
        tempfile.TemporaryDirectory(prefix="space-relay-tls-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        runs_as = service_account().uid if os.geteuid() == 0 else os.geteuid()
        make_certificates(folder, HOST, LASTS, NOW, {DATABASE: runs_as})
        # One rule more, for the superuser of this machine's own cluster.
        rules = folder / "pg_hba.conf"
        deployed = (ROOT / "deploy" / "pg_hba.conf").read_text("utf-8")
        rules.write_text(f"local all {cluster.ROLE} trust\n{deployed}", "utf-8")
        rules.chmod(0o644)
        port = free_port(20_000)
        patch.setattr(cluster, "_PORT", port)
        patch.setattr(cluster, "_SOCKET_NAME", f".s.PGSQL.{port}")
        own = folder / DATABASE
        served = {
            "port": str(port),
            "listen_addresses": HOST,
            "hba_file": str(rules),
            "ssl": "on",
            "ssl_min_protocol_version": "TLSv1.3",
            "ssl_ca_file": str(own / AUTHORITY),
            "ssl_cert_file": str(own / CERTIFICATE),
            "ssl_key_file": str(own / KEY),
        }
        patch.setattr(cluster, "_SETTINGS", cluster._SETTINGS | served)
        home = folder / "home"
        home.mkdir()
        home.chmod(0o755)
        with Cluster(home, durable=False) as running:
            subprocess.run(
                [
                    *(find_binaries().program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"),
                    *("-f", ROOT / "deploy" / "logins.sql", running.url.replace("+psycopg", "")),
                ],
                check=True,
                capture_output=True,
            )

            yield Deployed(port, folder, rules, running.url)


def said(url: str, statement: str = "SELECT current_user", role: str | None = None) -> object:
    """What the database answers to a client of this URL."""
    engine = make_engine(url, pool_size=1, statement_timeout_ms=60_000, role=role)
    try:
        with engine.connect() as connection:
            return connection.scalar(text(statement))
    finally:
        engine.dispose()


def test_each_login_comes_in_with_its_own_certificate(reached: Deployed) -> None:
    for login in LOGINS:
        assert said(reached(login)) == login
        assert said(reached(login), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


def test_nobody_comes_in_otherwise(reached: Deployed, tmp_path: Path) -> None:
    make_certificates(tmp_path, HOST, LASTS, NOW, {})  # of an authority of its own
    elsewhere = files_of(tmp_path, "server")
    refused = {
        "another login's certificate": reached("migrator", shows="server"),
        "no certificate": reached("server", shows=None, sslmode="require"),
        "a password": reached("server", shows=None, sslmode="require").replace(
            "server@", "server:server@"
        ),
        "without TLS": reached("server", shows=None, sslmode="disable"),
        "the superuser": reached(cluster.ROLE, shows="migrator"),
        "the image's superuser": reached("postgres", shows="migrator"),
        "the public to the sandbox": reached("visitor", "space_relay_sandbox"),
        "a certificate of another authority": reached(
            "server", sslcert=elsewhere["sslcert"], sslkey=elsewhere["sslkey"]
        ),
        "a server of another authority": reached("server", sslrootcert=elsewhere["sslrootcert"]),
    }

    def who_comes_in() -> list[str]:
        came_in = []
        for how, url in refused.items():
            try:
                said(url)
            except OperationalError:
                continue
            came_in.append(how)
        return came_in

    assert who_comes_in() == []
    # Control: under rules that ask for no certificate, this would say who comes in.
    with reached.ruled("host all all all trust\n"):
        assert {"no certificate", "a password", "without TLS"} <= set(who_comes_in())
    assert who_comes_in() == []


def test_the_logins_do_what_their_parts_do_and_no_more(reached: Deployed) -> None:
    for database in ("space_relay", "space_relay_sandbox"):
        engine = make_engine(
            reached("migrator", database), pool_size=1, statement_timeout_ms=120_000
        )
        with engine.connect() as connection:
            upgrade(connection)
            assert is_current(connection)
        engine.dispose()
    units = "SELECT count(*) FROM units"

    for login in ("server", "worker"):
        assert said(reached(login), units, APP) == 0
        assert said(reached(login, "space_relay_sandbox"), units, APP) == 0
    assert said(reached("visitor"), units, PUBLIC) == 0
    for login, role in (("server", OWNER), ("worker", OWNER), ("visitor", APP)):
        with pytest.raises(ProgrammingError, match="permission denied"):
            said(reached(login), units, role)
    for login in ("server", "worker", "visitor"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            said(reached(login), "CREATE TABLE planted ()")


def test_the_command_makes_them_once_and_anew_when_told(tmp_path: Path) -> None:
    command = ["certificates", str(tmp_path / "tls"), "--days", "30"]

    made = CliRunner().invoke(app, command)
    first = (tmp_path / "tls" / "server" / CERTIFICATE).read_bytes()
    again = CliRunner().invoke(app, command)
    second = (tmp_path / "tls" / "server" / CERTIFICATE).read_bytes()
    renewed = CliRunner().invoke(app, command, env={"RENEW_CERTIFICATES": "yes"})
    third = (tmp_path / "tls" / "server" / CERTIFICATE).read_bytes()

    assert [one.exit_code for one in (made, again, renewed)] == [0, 0, 0], made.output
    assert first == second
    assert first != third
    shutil.rmtree(tmp_path / "tls" / "worker")
    assert ends_at(tmp_path / "tls") is None


def test_they_end_are_for_one_use_and_their_keys_for_one_reader(tmp_path: Path) -> None:
    make_certificates(tmp_path, "database", timedelta(days=90), NOW, {})

    assert ends_at(tmp_path) == NOW + timedelta(days=90)
    serials = set()
    for name in (DATABASE, *LOGINS):
        part = tmp_path / name
        assert stat.S_IMODE((part / KEY).stat().st_mode) == 0o600
        certificate = x509.load_pem_x509_certificate((part / CERTIFICATE).read_bytes())
        authority = x509.load_pem_x509_certificate((part / AUTHORITY).read_bytes())
        certificate.verify_directly_issued_by(authority)
        use = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [one._name for one in use] == ["serverAuth" if name == DATABASE else "clientAuth"]
        serials.add(certificate.serial_number)
    assert len(serials) == len(LOGINS) + 1
    # Nobody can sign another: the authority's key is in none of the folders.
    keys = [
        path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()
    ]
    assert len(keys) == len(LOGINS) + 1
