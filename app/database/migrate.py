"""Brings a database to the schema this code needs, and says how far it is."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.database.roles import ensure_roles

_ALEMBIC_INI = Path(__file__).resolve().parents[2] / "alembic.ini"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, over an open connection where one is given."""
    config = Config(str(_ALEMBIC_INI))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Migrate up to ``revision``, and see that everything has its owner and grants.

    Safe to call from several processes at once.

    Raises:
        RolesMissingError: the database's roles are not there, and this login may not create them.
    """
    ensure_roles(connection)
    command.upgrade(alembic_config(connection), revision)


def heads() -> set[str]:
    """The revisions this code expects."""
    return set(ScriptDirectory.from_config(alembic_config()).get_heads())


def is_current(connection: Connection) -> bool:
    """Whether the database is at the revisions this code expects."""
    return set(MigrationContext.configure(connection).get_current_heads()) == heads()


def readiness(engine: Engine) -> dict[str, str]:
    """``ok``, or what is wrong, for the database and for its schema."""
    try:
        with engine.connect() as connection:
            current = is_current(connection)
    except SQLAlchemyError:
        return {"database": "does not answer", "migrations": "unknown"}
    return {"database": "ok", "migrations": "ok" if current else "run `space-relay migrate`"}
