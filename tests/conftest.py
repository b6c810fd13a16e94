"""A real PostGIS for the whole run: schema by migrations once, rolled back after each test."""

import fcntl
import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app.database.cluster import Cluster
from app.database.engine import make_engine, normalised_url
from app.database.migrate import upgrade
from app.database.roles import APP, PUBLIC
from app.main import create_app
from app.matching.snapshots.source import ReadAnew
from app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
# What the suite keeps (the application, its routes, the tests) is large, and to look through it for
# garbage as often as Python would takes a tenth of the run.
gc.set_threshold(50_000, 20, 20)
#: The day on which the demonstration's leases are drawn; tests use it as "today".
DATA_DAY = "2026-11-01"


def pytest_configure() -> None:
    """What tests start ends on SIGINT, though a run in the background is born to ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is loaded by now stays until the end, and is not looked through for garbage again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Share the tests out as `side_by_side` says, unless `--dist` asks for something else."""
    if config.getoption("dist") != "load":
        return None
    from tests.setup.side_by_side import Rooms  # noqa: PLC0415 - xdist is there, or nobody calls

    return Rooms(config, log)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A throw-away PostGIS, or the one that SPACE_RELAY_TEST_DATABASE_URL names."""
    given = os.environ.get("SPACE_RELAY_TEST_DATABASE_URL")
    if given:
        yield normalised_url(given)
        return
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_memory()) as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(folder), durable=False) as cluster:
            yield cluster.url


_PREFIX = "space-relay-tests-"
#: The servers of two workers were seen to take a fifth of this in a part of the suite.
_MEMORY_BYTES = 4 << 30


def _memory() -> Path | None:
    """A folder in memory, if there is one with room: databases come and go ten times as fast."""
    folder = Path("/dev/shm")  # noqa: S108 - each run makes a folder of its own in it
    if not folder.is_dir() or shutil.disk_usage(folder).free < _MEMORY_BYTES:
        return None
    for left in folder.glob(f"{_PREFIX}*"):  # by a run that was killed
        with suppress(OSError), (left / "alive.lock").open("rb") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(alive.fileno()).st_mtime > 60:  # else it may be starting
                shutil.rmtree(left, ignore_errors=True)
    return folder


class Databases:
    """Makes databases on the test server, quickly, as copies of others."""

    def __init__(self, server_url: str) -> None:
        self._url = make_url(server_url)
        self._admin = create_engine(
            self._url.set(database="postgres"), isolation_level="AUTOCOMMIT"
        )
        self._made: list[str] = []

    def create(self, template: str | None = None) -> str:
        name = f"test_{uuid4().hex[:12]}"
        # The default writes the whole copy to the log as well, which no test would ever recover.
        copied = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        with self._admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"{copied}'))
        self._made.append(name)
        return name

    def url(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        with self._admin.connect() as connection:
            for gone in (name, f"{name}_sandbox"):
                connection.execute(text(f'DROP DATABASE IF EXISTS "{gone}" WITH (FORCE)'))
        self._made.remove(name)

    def close(self) -> None:
        for name in list(self._made):
            self.drop(name)
        self._admin.dispose()


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    made = Databases(server_url)
    yield made
    made.close()


@pytest.fixture(scope="session")
def empty_template(databases: Databases) -> str:
    """A migrated database without rows, with no connection left open."""
    name = databases.create()
    engine = make_engine(databases.url(name), pool_size=2, statement_timeout_ms=60_000)
    with engine.connect() as connection:
        upgrade(connection)
    engine.dispose()
    return name


@pytest.fixture(scope="session")
def seeded_template(databases: Databases, empty_template: str) -> str:
    """A database with all reference data, with no connection left open."""
    from app.seeding.service import seed  # noqa: PLC0415  (only tests that need it pay for it)

    name = databases.create(empty_template)
    engine = make_engine(databases.url(name), pool_size=2, statement_timeout_ms=120_000)
    with Session(engine) as session:
        seed(session, ROOT / "data")
        session.commit()
    engine.dispose()
    return name


def _engine(databases: Databases, name: str) -> Iterator[Engine]:
    engine = make_engine(databases.url(name), pool_size=40, statement_timeout_ms=60_000)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def engine(databases: Databases, empty_template: str) -> Iterator[Engine]:
    """An engine on one shared database without rows; use ``session``, which rolls back."""
    yield from _engine(databases, databases.create(empty_template))


@pytest.fixture(scope="session")
def seeded_engine(databases: Databases, seeded_template: str) -> Iterator[Engine]:
    """An engine on one shared database with all reference data; use it through roll-backs."""
    yield from _engine(databases, databases.create(seeded_template))


@pytest.fixture
def own_engine(databases: Databases, empty_template: str) -> Iterator[Engine]:
    """An engine on a database of the test's own, where commits stay and sessions may race."""
    name = databases.create(empty_template)
    yield from _engine(databases, name)
    databases.drop(name)


@pytest.fixture
def own_seeded_engine(databases: Databases, seeded_template: str) -> Iterator[Engine]:
    """Like ``own_engine``, with all reference data."""
    name = databases.create(seeded_template)
    yield from _engine(databases, name)
    databases.drop(name)


def _rolled_back(engine: Engine) -> Iterator[Session]:
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            yield session
        outer.rollback()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session whose commits are real to the code under test and gone after the test."""
    yield from _rolled_back(engine)


@pytest.fixture
def seeded_session(seeded_engine: Engine) -> Iterator[Session]:
    """Like ``session``, on the reference data."""
    yield from _rolled_back(seeded_engine)


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The OpenAPI document, which depends on nothing but the code; not to be changed."""
    if not _documents:
        engine = make_engine("postgresql://nowhere/none")
        _documents.append(create_app(engine, Settings()).openapi())
        engine.dispose()
    return _documents[0]


#: At most one: it takes longer to make than most tests.
_documents: list[dict[str, Any]] = []


def _with_the_document(app: FastAPI) -> FastAPI:
    """Hands out what another application made of the same routes."""
    make = app.openapi

    def document() -> dict[str, Any]:
        if not _documents:
            _documents.append(make())
        return _documents[0]

    app.openapi = document  # type: ignore[method-assign]
    return app


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[[Session | Engine], TestClient]]:
    """Makes clients of the application, over a test's session (rolled back) or its own engine."""
    opened: list[TestClient] = []
    lent: list[FastAPI] = []
    engines: list[Engine] = []

    def serving(engine: Engine, role: str, pool_size: int) -> Engine:
        url = engine.url.render_as_string(hide_password=False)
        engines.append(
            make_engine(url, pool_size=pool_size, statement_timeout_ms=60_000, role=role)
        )
        return engines[-1]

    def make(database: Session | Engine, **settings: object) -> TestClient:
        engine = database if isinstance(database, Engine) else database.get_bind().engine
        usual: dict[str, Any] = {
            "log_level": "ERROR",
            "snapshot_dir": tmp_path / "snapshots",
            # What a lease or a unit comes to is one thing, who may decide it another.
            "two_person_rule": False,
            # Tests call as fast as they can, each as a caller of many others.
            "rate_limits": {},
        }
        configured = Settings(**(usual | settings))
        if isinstance(database, Engine):
            engine = serving(engine, APP, configured.pool_size)
            public = serving(engine, PUBLIC, configured.public_pool_size)
            app = create_app(engine, configured, public_engine=public)
        else:
            app = create_app(engine, configured)
        app = _with_the_document(app)
        if not settings:
            app = _warm(app)
            lent.append(app)
        if isinstance(database, Session):
            app.state.sessions = lambda: _Borrowed(database, APP)
            app.state.public_sessions = lambda: _Borrowed(database, PUBLIC)
            app.state.snapshots = ReadAnew()
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
    for engine in engines:
        engine.dispose()
    _idle.extend(lent)


#: Applications with the usual settings whose test is over. A new one builds each route when it is
#: first called, which takes longer than most calls of a test.
_idle: list[FastAPI] = []


def _warm(fresh: FastAPI) -> FastAPI:
    """An application that served another test, with all that ``fresh`` knows; or ``fresh``."""
    if not _idle:
        return fresh
    app = _idle.pop()
    # Only the folder for snapshots differs, and the state that is handed over knows it.
    same = {"snapshot_dir": fresh.state.settings.snapshot_dir}
    if app.state.settings.model_copy(update=same) != fresh.state.settings:
        return fresh
    app.state = fresh.state
    app.dependency_overrides = {}
    return app


class _Borrowed:
    """Hands the test's own session to the application, as one of its roles; and takes it back."""

    def __init__(self, session: Session, role: str) -> None:
        self._session, self._role = session, role

    def __enter__(self) -> Session:
        event.listen(self._session, "after_begin", self._act)
        if self._session.in_transaction():
            self._act(self._session, None, self._session.connection())
        return self._session

    def __exit__(self, *_: object) -> None:
        self._session.rollback()
        event.remove(self._session, "after_begin", self._act)
        self._session.info.clear()
        # What was released into the test's own transaction outlives the application's.
        connection = self._session.get_bind()
        assert isinstance(connection, Connection)
        _unseen(connection, "RESET ROLE")
        _unseen(connection, "SELECT set_config('app.audience', '', true)")

    def _act(self, _session: Session, _transaction: object, connection: Connection) -> None:
        _unseen(connection, f"SET LOCAL ROLE {self._role}")


def _unseen(connection: Connection, statement: str) -> None:
    """Run a statement of the tests' own, past those who count the application's."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(statement)


@pytest.fixture
def client(session: Session, make_client: Callable[[Session], TestClient]) -> TestClient:
    """A client of the application on an empty, rolled-back database."""
    return make_client(session)


@pytest.fixture
def seeded_client(
    seeded_session: Session, make_client: Callable[[Session], TestClient]
) -> TestClient:
    """A client of the application on the reference data, rolled back."""
    return make_client(seeded_session)
