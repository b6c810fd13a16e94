"""Roles are made where there are none, by whoever may, and asked for where nobody may."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app.database.cluster import Cluster
from app.database.engine import make_engine
from app.database.migrate import is_current, upgrade
from app.database.roles import APP, OWNER, PUBLIC, ROLES, RolesMissingError, ensure_roles, lacking
from app.security.rows import system
from app.seeding.service import generate_park
from tests.conftest import Databases
from tests.security.rows_world import counted

EXTENSIONS = ("postgis", "btree_gist")


@contextmanager
def acting_as(engine: Engine, login: str) -> Iterator[Connection]:
    """A connection as if ``login`` had logged in."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET SESSION AUTHORIZATION {login}")
        connection.commit()
        yield connection
        connection.rollback()
        connection.exec_driver_sql("RESET SESSION AUTHORIZATION")
        connection.commit()


@pytest.fixture
def login(databases: Databases, empty_template: str) -> Iterator[tuple[Engine, str]]:
    """A login that is nobody, and a database that it owns, with the extensions in it."""
    name = databases.create()
    login = f"login_{name}"
    engine = make_engine(databases.url(name), pool_size=1, statement_timeout_ms=60_000)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {login}")
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {login}")
        for extension in EXTENSIONS:
            connection.exec_driver_sql(f"CREATE EXTENSION {extension}")
        connection.commit()
    yield engine, login
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {login}")
        connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        connection.exec_driver_sql(f"DROP ROLE {login}")
        connection.commit()
    engine.dispose()
    databases.drop(name)


def test_a_login_that_may_not_make_them_says_what_is_missing(login: tuple[Engine, str]) -> None:
    with acting_as(*login) as connection:
        assert lacking(connection) == list(ROLES)
        connection.rollback()
        with pytest.raises(RolesMissingError):
            ensure_roles(connection)


def test_a_login_that_was_granted_them_migrates_and_loads(login: tuple[Engine, str]) -> None:
    """What an administrator does once is enough: no superuser is needed after it."""
    engine, name = login
    with engine.connect() as connection:
        connection.exec_driver_sql(f"GRANT {', '.join(ROLES)} TO {name}")
        connection.commit()
    with acting_as(engine, name) as connection:
        assert lacking(connection) == []
        connection.rollback()
        upgrade(connection)
        upgrade(connection)
        assert is_current(connection)
        connection.rollback()
        with Session(connection) as session:
            # Policies bind who loads, too: what is refused as COPY goes by way of another table.
            assert session.scalar(text("SELECT row_security_active('claims')"))
            system(session)
            generate_park(session, units=200, seed=1)
            assert counted(session, "claims") > 0
            session.execute(text(f"SET LOCAL ROLE {APP}"))
            assert counted(session, "claims") > 0
            session.rollback()


@pytest.mark.long
def test_they_are_made_once_by_several_databases_at_once() -> None:
    """In a cluster that knows none of them, by a login that may create roles and little else."""
    with tempfile.TemporaryDirectory(prefix="space-relay-roles-") as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(folder), durable=False) as cluster:
            url = make_url(cluster.url)
            admin = create_engine(url, isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                assert set(connection.scalars(text("SELECT rolname FROM pg_roles"))).isdisjoint(
                    ROLES
                )
                connection.exec_driver_sql("CREATE ROLE migrator CREATEROLE")
                for number in range(3):
                    connection.exec_driver_sql(f"CREATE DATABASE d{number} OWNER migrator")
            admin.dispose()
            at_once = Barrier(3)

            def opened(number: int) -> Engine:
                return make_engine(
                    url.set(database=f"d{number}").render_as_string(hide_password=False),
                    statement_timeout_ms=120_000,
                )

            def make_roles(number: int) -> None:
                engine = opened(number)
                with engine.connect() as connection:
                    for extension in EXTENSIONS:
                        connection.exec_driver_sql(f"CREATE EXTENSION {extension}")
                    connection.commit()
                with acting_as(engine, "migrator") as connection:
                    at_once.wait(timeout=60)
                    ensure_roles(connection)
                engine.dispose()

            def migrate(number: int) -> str:
                engine = opened(number)
                with acting_as(engine, "migrator") as connection:
                    upgrade(connection)
                    owner = (
                        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'claims'"
                    )
                    found: str = connection.execute(text(owner)).scalar_one()
                with engine.connect() as connection:
                    for role in (APP, PUBLIC):
                        connection.exec_driver_sql(f"SET ROLE {role}")
                        connection.exec_driver_sql("SELECT count(*) FROM units")
                engine.dispose()
                return found

            with ThreadPoolExecutor(3) as pool:
                list(pool.map(make_roles, range(3)))
            assert [migrate(number) for number in range(3)] == [OWNER] * 3
        cluster.destroy()
