"""A dump that is restored is the same database: no rule is left behind."""

import subprocess
from pathlib import Path

from sqlalchemy import create_engine, text

from app.database.binaries import find_binaries
from tests.conftest import Databases

RULES = """
SELECT tgrelid::regclass::text || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT conrelid::regclass::text || ' ' || conname FROM pg_constraint WHERE conrelid <> 0"""


def rules_of(databases: Databases, name: str) -> set[str]:
    engine = create_engine(databases.url(name))
    with engine.connect() as connection:
        found = set(connection.scalars(text(RULES)))
    engine.dispose()
    return found


def run(program: str, *arguments: str) -> str:
    path = find_binaries().program(program)
    done = subprocess.run([str(path), *arguments], check=False, capture_output=True, text=True)
    return done.stderr


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def test_every_rule_is_restored(databases: Databases, empty_template: str, tmp_path: Path) -> None:
    dump, restored = tmp_path / "backup.dump", databases.create()
    run("pg_dump", "-Fc", "-f", str(dump), plain(databases.url(empty_template)))
    errors = run("pg_restore", "-d", plain(databases.url(restored)), str(dump))
    assert "not unique" not in errors
    there = rules_of(databases, empty_template)
    assert any("units_walls_redrawn" in one for one in there)
    assert rules_of(databases, restored) >= there
    databases.drop(restored)
