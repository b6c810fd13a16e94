"""Writes rows with COPY, in the text form PostgreSQL reads."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from psycopg import Cursor, sql
from psycopg.rows import TupleRow

from app.kernel.period import Period
from app.seeding.records import Json, Record, Since, columns

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_BATCH = 500


def encoded(row: Record) -> bytes:
    """One row in COPY's text form, with its line end."""
    return encoded_values(getattr(row, name) for name in columns(type(row)))


def encoded_values(values: Iterable[object]) -> bytes:
    """Values of one row in COPY's text form, with the line end."""
    return ("\t".join(_text(value) for value in values) + "\n").encode()


def copy_rows(
    cursor: Cursor[TupleRow], rows: Sequence[Record], progress: Callable[[int], None]
) -> None:
    """Send rows of one table; ``progress`` hears how many were sent so far."""
    if not rows:
        return
    kind = type(rows[0])
    copy_lines(cursor, kind.table, columns(kind), _batches(rows, progress))


def copy_lines(
    cursor: Cursor[TupleRow], table: str, names: Sequence[str], chunks: Iterable[bytes]
) -> None:
    """Send lines in COPY's text form for the columns named."""
    columns_named = sql.SQL(", ").join(map(sql.Identifier, names))
    parts = {"to": sql.Identifier(table), "columns": columns_named}
    # PostgreSQL refuses COPY where row policies bind whoever sends: then by way of another table.
    bound = cursor.execute("SELECT row_security_active(%s)", [table]).fetchone() == (True,)
    if bound:
        parts["by_way_of"] = sql.Identifier(f"copied_{table}")
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE {by_way_of} ON COMMIT DROP AS"
                " SELECT {columns} FROM {to} WITH NO DATA"
            ).format(**parts)
        )
    first = parts["by_way_of"] if bound else parts["to"]
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(first, columns_named)) as copy:
        for chunk in chunks:
            copy.write(chunk)
    if bound:
        cursor.execute(
            sql.SQL("INSERT INTO {to} ({columns}) SELECT {columns} FROM {by_way_of}").format(
                **parts
            )
        )
        cursor.execute(sql.SQL("DROP TABLE {by_way_of}").format(**parts))


def _batches(rows: Sequence[Record], progress: Callable[[int], None]) -> Iterable[bytes]:
    sent = 0
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        yield b"".join(map(encoded, part))
        sent += len(part)
        progress(sent)


def _text(value: object) -> str:  # noqa: C901, PLR0911 - one return per kind of value
    match value:
        case None:
            return "\\N"
        case bool():
            return "t" if value else "f"
        case str():
            return value.translate(_ESCAPES)
        case int() | Decimal() | UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Period():
            return f"[{value.start},{value.end or ''})"
        case Since():
            return f'["{value.start.astimezone(UTC).isoformat()}",)'
        case Json(content):
            return json.dumps(content, ensure_ascii=False).translate(_ESCAPES)
        case tuple():
            return "{" + ",".join(_quoted(str(item)) for item in value) + "}"
    raise TypeError(f"no column takes a {type(value).__name__}")


def _quoted(item: str) -> str:
    """An array element; its quotes and backslashes are escaped once more for COPY itself."""
    inner = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'.translate(_ESCAPES)
