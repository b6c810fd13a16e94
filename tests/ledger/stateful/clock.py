"""A clock of the database's that can be put forward.

The ledger dates everything by the database's clock. Functions of the same names in a schema that is
searched before PostgreSQL's own stand in for it: in queries, in functions and in triggers alike.
"""

from datetime import datetime

from sqlalchemy import Connection, Engine, text

_FUNCTION = """
    CREATE FUNCTION moved.{clock}() RETURNS timestamptz LANGUAGE sql STABLE AS $$
        SELECT pg_catalog.{clock}() + hours * interval '1 hour' FROM moved.by $$"""


def install(engine: Engine) -> None:
    """Give a database of the test's own a clock that ``advance`` moves."""
    with engine.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        for statement in (
            "CREATE SCHEMA moved",
            "CREATE TABLE moved.by (hours double precision NOT NULL)",
            "INSERT INTO moved.by VALUES (0)",
            _FUNCTION.format(clock="clock_timestamp"),
            _FUNCTION.format(clock="statement_timestamp"),
            f'ALTER DATABASE "{name}" SET search_path = moved, pg_catalog, public',
        ):
            connection.execute(text(statement))
    engine.dispose()  # the search path is read when a connection is opened


def advance(connection: Connection, hours: float) -> None:
    """Put the clock forward; over a connection that commits by itself."""
    connection.execute(text("UPDATE moved.by SET hours = hours + :more"), {"more": hours})


def read(connection: Connection) -> datetime:
    """What the clock shows."""
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found
