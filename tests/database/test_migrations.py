"""Migrations: one line of them, up from nothing, down to nothing, and the same as the models."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from app.database.engine import make_engine
from app.database.migrate import alembic_config, is_current, readiness, upgrade
from app.models.registry import metadata
from tests.conftest import ROOT, Databases

#: Everything the schema is made of, as PostgreSQL itself describes it, save what extensions own.
_CATALOGUE = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
            col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
            AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "options": """
        SELECT relname, reloptions FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace""",
}
_ADDED_BY_HAND = {
    "functions": """
        SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')""",
    "triggers": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
}
#: What `space-relay migrate` does, without the rest of the command line.
_MIGRATE = """
import sys
from app.database.engine import make_engine
from app.database.migrate import upgrade
with make_engine(sys.argv[1], pool_size=1).connect() as connection:
    upgrade(connection)
"""
_POLICIES = "SELECT policyname, tablename FROM pg_policies WHERE schemaname = 'public'"
_OF_OTHERS = {"spatial_ref_sys", "alembic_version"}


def _described(connection: Connection, queries: dict[str, str]) -> dict[str, set[tuple[str, ...]]]:
    return {
        name: {
            tuple(map(str, row))
            for row in connection.execute(text(query))
            if row[0] not in _OF_OTHERS
        }
        for name, query in queries.items()
    }


@pytest.fixture
def bare_engine(databases: Databases) -> Iterator[Engine]:
    """An engine on a database without so much as an extension."""
    name = databases.create()
    engine = make_engine(databases.url(name), pool_size=8, statement_timeout_ms=60_000)
    yield engine
    engine.dispose()
    databases.drop(name)


def test_there_is_one_head_and_one_line_to_it() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    revisions = list(scripts.walk_revisions())

    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1
    assert all(not isinstance(one.down_revision, (tuple, list)) for one in revisions)


def test_every_migration_says_what_it_locks() -> None:
    for one in ScriptDirectory.from_config(alembic_config()).walk_revisions():
        assert "lock" in (one.module.__doc__ or "").lower(), one.path


def test_up_from_nothing_down_to_nothing_and_up_again(bare_engine: Engine) -> None:
    everything = {**_CATALOGUE, **_ADDED_BY_HAND}
    assert readiness(bare_engine)["migrations"] != "ok"
    with bare_engine.connect() as connection:
        upgrade(connection)
        assert is_current(connection)
        first = _described(connection, everything)
        connection.commit()

        command.downgrade(alembic_config(connection), "base")
        left = _described(connection, everything)
        assert {name: found for name, found in left.items() if found} == {}
        assert set(inspect(connection).get_table_names()) <= _OF_OTHERS
        connection.commit()

        upgrade(connection)
        upgrade(connection)  # a second time changes nothing
        assert _described(connection, everything) == first
    assert readiness(bare_engine) == {"database": "ok", "migrations": "ok"}


def test_alembic_finds_nothing_to_add(engine: Engine) -> None:
    with engine.connect() as connection:
        command.check(alembic_config(connection))  # raises when models and schema differ


def test_migrations_make_what_the_models_say(bare_engine: Engine) -> None:
    with bare_engine.connect() as connection:
        upgrade(connection)
        migrated = _described(connection, _CATALOGUE)
        # What is added by hand, and hangs on more than one table.
        connection.execute(text("DROP VIEW unit_terms, occupancy"))
        for name, table in connection.execute(text(_POLICIES)).all():
            connection.execute(text(f"DROP POLICY {name} ON {table}"))
        metadata.drop_all(connection)  # functions that checks call stay
        metadata.create_all(connection)
        fresh = _described(connection, _CATALOGUE)

    for kind, rows in fresh.items():
        assert migrated[kind] == rows, kind


def test_processes_that_migrate_at_once_take_turns(bare_engine: Engine) -> None:
    url = bare_engine.url.render_as_string(hide_password=False)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _MIGRATE, url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]

    said = [racer.communicate(timeout=60)[0] for racer in racers]

    assert [racer.returncode for racer in racers] == [0, 0], said
    with bare_engine.connect() as connection:
        assert is_current(connection)
