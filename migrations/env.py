"""Runs migrations: one at a time on a database, with time-outs, each in its own transaction."""

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection, text

from app.database.roles import settle
from app.models.registry import metadata

#: Any number, as long as every installation uses the same: "space relay" on a phone's keys.
MIGRATION_LOCK = 7_722_373_529


def include_object(obj, name, type_, reflected, compare_to):  # noqa: ANN001, ANN201
    """Leave PostGIS's own tables alone."""
    if type_ == "table" and reflected and compare_to is None and name == "spatial_ref_sys":
        return False
    return alembic_helpers.include_object(obj, name, type_, reflected, compare_to)


def run(connection: Connection) -> None:
    """Migrate over an open connection."""
    # Waits for another migration as long as it takes, and for nobody else's tables.
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text("SET lock_timeout = '10s'"))
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            include_object=include_object,
            process_revision_directives=alembic_helpers.writer,
            render_item=alembic_helpers.render_item,
            transaction_per_migration=True,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        settle(connection)
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()


supplied = context.config.attributes.get("connection")
if supplied is None:
    message = "run migrations with `space-relay migrate`, which knows the database"
    raise SystemExit(message)
run(supplied)
