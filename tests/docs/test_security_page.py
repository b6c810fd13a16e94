"""The page of what is protected names every table, sealed column, secret and line of the log."""

import ast
import re
from collections.abc import Iterator

from pydantic import SecretStr
from sqlalchemy import LargeBinary, text
from sqlalchemy.orm import Session

from app.models.registry import metadata
from app.routers.attempts import ATTEMPTS, Attempt
from app.settings import Settings
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
DATA, KEYS, _, LOGS = PAGE.split("\n## ")[1:]
CLASSES = {"personal", "secret", "firm", "house", "internal", "published"}
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def _classes() -> dict[str, list[str]]:
    """The tables of each class."""
    rows = re.findall(r"^\| `(\w+)` \| ((?:`\w+` ?)+) \|$", DATA, re.MULTILINE)
    return {name: re.findall(r"`(\w+)`", tables) for name, tables in rows}


def _events() -> Iterator[str]:
    """What the application's loggers are told."""
    for file in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            of, first = node.func.value, node.args[0] if node.args else None
            is_log = isinstance(of, ast.Name) and of.id == "logger" and node.func.attr in _LEVELS
            if is_log and isinstance(first, ast.Constant):
                yield str(first.value)


def test_every_table_is_of_one_class_that_says_how_it_is_protected() -> None:
    classes = _classes()

    assert set(classes) == CLASSES
    assert sorted(name for tables in classes.values() for name in tables) == sorted(metadata.tables)
    for name in CLASSES:
        assert re.search(rf"^\| `{name}` \| \w+ \| [^|]+ \| [^|]+ \|$", DATA, re.MULTILINE), name


def test_classes_are_kept_apart_as_the_page_says(session: Session) -> None:
    """By row policies that hold for everybody, and by what the public's role may read at all."""
    rows = session.execute(
        text("""
            SELECT relname, relforcerowsecurity,
                has_any_column_privilege('space_relay_public', oid, 'SELECT')
            FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'""")
    )
    held = {name: (has_policy, is_public) for name, has_policy, is_public in rows}
    wanted = {
        **dict.fromkeys(("personal", "secret", "firm", "house"), (True, False)),
        "internal": (False, False),
        "published": (False, True),
    }
    for name, tables in _classes().items():
        assert {table: held[table] for table in tables} == dict.fromkeys(tables, wanted[name])


def test_every_sealed_column_and_every_secret_setting_is_in_the_list_of_keys() -> None:
    sealed = [
        f"`{table.name}.{column.name}`"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
        and (column.name.endswith("_sealed") or column.name in {"totp_secret", "totp_pending"})
    ]
    secrets = [
        f"`SPACE_RELAY_{name.upper()}`"
        for name, field in Settings.model_fields.items()
        if SecretStr in getattr(field.annotation, "__args__", ())
    ]

    assert len(sealed) > 5
    assert len(secrets) > 3
    assert [name for name in sealed + secrets if name not in KEYS] == []
    rows = [line for line in KEYS.splitlines() if line.startswith("| ")]
    # Each says what it may protect, how, where, by whom it is changed, and how long it lives.
    assert {line.count(" | ") for line in rows} == {5}


def test_every_attempt_that_is_logged_is_in_the_list() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\d, ]+) \| [^|]+ \|$", LOGS, re.MULTILINE)

    assert listed == [
        (one.value, one.zh, ", ".join(str(int(status)) for status in sorted(statuses)))
        for one in Attempt
        if (statuses := [status for status, at in ATTEMPTS.items() if at is one])
    ]
    assert {one for one, *_ in listed} == set(Attempt)


def test_every_event_of_the_log_is_in_the_list() -> None:
    table = LOGS[LOGS.index("| event |") :]
    listed = set(re.findall(r"`([^`]+)`", table))
    told = set(_events())

    assert {"call", "bug"} < told
    assert told - listed == set()
    assert listed - told == set()
