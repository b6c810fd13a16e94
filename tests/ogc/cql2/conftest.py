"""The rows that filters are tried on, in PostGIS."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from app.database.engine import make_engine
from tests.conftest import Databases
from tests.ogc.cql2.rows import store


@pytest.fixture(scope="package")
def connection(databases: Databases) -> Iterator[Connection]:
    """A connection that sees the table ``cql2_rows``."""
    name = databases.create()
    engine = make_engine(databases.url(name), pool_size=2, statement_timeout_ms=10_000)
    with engine.connect() as connection:
        connection.execute(text("CREATE EXTENSION postgis"))
        store(connection)
        connection.commit()
        yield connection
    engine.dispose()
    databases.drop(name)
