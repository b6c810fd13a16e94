"""Files of features as text, row by row as the database reads them: no file is held in memory."""

import csv
import io
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, text
from sqlalchemy.orm import Session

from app.kernel.clock import rfc3339
from app.kernel.errors import BusyError
from app.ogc.crs import STORAGE, Crs, to_crs
from app.ogc.downloads.asked import Download
from app.ogc.items import feature_text

#: To be closed by whoever takes them.
Pieces = Generator[bytes, None, None]

#: Rows read at a time, and bytes sent at a time.
_ROWS, _PIECE_BYTES = 500, 1 << 16
#: Seconds that a file may take, to read and to be sent.
SECONDS = 300
#: Excel reads a file as UTF-8 only if it begins so; everything else leaves it out.
_MARK = "\ufeff"
#: What Excel takes for a formula, unless it is a number.
_FORMULA, _NUMBER = re.compile(r"^[=+\-@\t\r]"), re.compile(r"^[+-]?\d+(\.\d+)?$")


def geojson(session: Session, download: Download, most: int) -> Pieces:
    """An RFC 7946 FeatureCollection, piece by piece."""
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        yield '{"type":"FeatureCollection","features":[\n'
        for feature in _features(session, download, most):
            yield f",\n{feature}" if count else feature
            count += 1
        yield f'\n],"numberReturned":{count}}}\n'

    return _pieces(lines())


def geojson_sequence(session: Session, download: Download, most: int) -> Pieces:
    """An RFC 8142 sequence: one feature a line, each after a record separator."""
    return _pieces(f"\x1e{one}\n" for one in _features(session, download, most))


def comma_separated(session: Session, download: Download, most: int) -> Pieces:
    """A table with the outline as WKT in its last column; GDAL and QGIS find it by its name."""

    def well_known_text(outline: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.ST_AsText(outline, download.crs.decimals)

    def lines() -> Iterator[str]:
        sink = io.StringIO()
        writer = csv.writer(sink)
        writer.writerow(["fid", *download.selection.collection.fields, "WKT"])
        yield _MARK
        for row in values(session, download, most, well_known_text):
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
            fid, outline, *others = row
            writer.writerow(map(_cell, (fid, *others, outline)))
        yield sink.getvalue()

    return _pieces(lines())


def values(
    session: Session,
    download: Download,
    most: int,
    written: Callable[[ColumnElement[Any]], ColumnElement[Any]],
) -> Iterator[Sequence[Any]]:
    """Each feature's number, its outline as ``written`` writes it, and its fields in order.

    Coordinates are east first, whatever the order of the system's axes: files are read so.
    """
    selection = download.selection
    fields = selection.collection.fields.values()
    shown: list[ColumnElement[Any]] = [one.expression for one in fields]
    outline = func.ST_ForcePolygonCCW(selection.rows.outline)
    drawn = written(to_crs(outline, _east_first(download.crs)))
    statement = selection.select(selection.rows.key, drawn, *shown)
    return iter(_read(session, statement.limit(most)))


def _east_first(crs: Crs) -> Crs:
    return Crs(crs.uri, crs.srid, flipped=False, definition=crs.definition, name=crs.name)


def _features(session: Session, download: Download, most: int) -> Iterator[str]:
    selection = download.selection
    fields = tuple(selection.collection.fields.values())
    statement = selection.select(feature_text(selection.rows, fields, STORAGE)).limit(most)
    return (row[0] for row in _read(session, statement))


def _read(session: Session, statement: Select[Any]) -> Iterable[Sequence[Any]]:
    """The rows through a cursor of the database."""
    # All rows are wanted, not the first tenth, for which cursors are planned.
    session.execute(text("SELECT set_config('cursor_tuple_fraction', '1', true)"))
    until = time.monotonic() + SECONDS
    # Whoever stops reading closes the cursor with this generator.
    with session.execute(statement, execution_options={"yield_per": _ROWS}) as rows:
        for row in rows:
            if time.monotonic() > until:
                raise BusyError("the file took too long; ask for fewer features")
            yield row


def _pieces(lines: Iterable[str]) -> Pieces:
    """The same text in pieces that are worth sending."""
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= _PIECE_BYTES:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.match(value):
        return f"'{value}"
    return value
