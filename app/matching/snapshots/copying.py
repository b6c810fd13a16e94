"""Whole numbers out of the database and into arrays, millions at a time.

``COPY … (FORMAT BINARY)`` of fields that are never null and of one width each is an array already:
it only has to be said where in a row each number stands. Small numbers travel side by side in words
of eight bytes, because the server pays by the field. The driver's own loop takes longer over a row
than the server does, so messages are taken from libpq directly.
"""

import select
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import ClientCursor, Connection, errors
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Columns = dict[str, NDArray[Any]]

_WORD = 8
#: Before the first row: signature, flags, and the length of an extension that is not there.
_HEADER = 19
#: Behind the last row: minus one instead of a number of fields.
_TRAILER = 2
#: Of a row: how many fields it has. Of a field: its length.
_COUNT, _LENGTH = 2, 4
#: Rows are turned into columns in pieces that stay in the processor's cache.
_PIECE_BYTES = 1 << 20
#: Of a UUID, two numbers are made.
_UUID = 16
_UUID_PARTS = np.dtype([("high", ">u8"), ("low", ">u8")])


@dataclass(frozen=True, slots=True)
class Field:
    """A whole number in SQL and how many bytes hold it: 1, 2, 4 or 8; or a UUID: 16.

    Attributes:
        name: of the column that is made of it.
        sql: of its value.
        width: bytes.
        unknown: what stands for NULL; without it the value is never null. Other values are not
            negative then.
        words: the value is a word, or true or false, and its number is by this list.
    """

    name: str
    sql: str
    width: int
    unknown: int | None = None
    words: tuple[tuple[str, int], ...] = ()


class Layout:
    """Fields in words: what is selected, and where each number then stands in a row."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.names = [field.name for field in fields]
        words = _words(fields)
        self.chosen = ", ".join(_word_sql(word) for word in words)
        self.packed = " || ".join(
            f"{'uuid_send' if word[0].width == _UUID else 'int8send'}({_word_sql(word)})"
            for word in words
        )
        self.copied = _row(words, _COUNT, _LENGTH)
        self.plain = _row(words, 0, 0)


def read_columns(
    connection: Connection[Any], layout: Layout, source: str, parameters: Mapping[str, Any]
) -> Columns:
    """The fields of all rows of ``source`` (``FROM …``), one array each; for very many rows.

    Raises:
        psycopg.Error: the database refused or could not go on.
        ValueError: no transaction is open on the connection.
    """
    statement = f"COPY (SELECT {layout.chosen} {source}) TO STDOUT (FORMAT BINARY)"
    query = ClientCursor(connection).mogrify(statement, parameters).encode()
    pieces = [
        _columns(layout, np.frombuffer(piece, dtype=layout.copied))
        for piece in _pieces(connection, query)
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in layout.names}


def packed_sql(layout: Layout, source: str) -> str:
    """SQL of the fields of all rows of ``source`` in one value, as a COPY would send them."""
    return f"SELECT string_agg({layout.packed}, '') {source}"


def unpacked(layout: Layout, packed: bytes | None) -> Columns:
    """The value of ``packed_sql``, one array for each field."""
    return _columns(layout, np.frombuffer(packed or b"", dtype=layout.plain))


def _columns(layout: Layout, rows: NDArray[np.void]) -> Columns:
    return {name: rows[name].astype(rows.dtype[name].newbyteorder("=")) for name in layout.names}


def _words(fields: Sequence[Field]) -> list[list[Field]]:
    """Fields that share a word; wide ones first, so that each stands at a multiple of its width."""
    words: list[list[Field]] = []
    left = 0
    for field in sorted(fields, key=lambda field: -field.width):
        if left < field.width:
            words.append([])
            left = max(_WORD, field.width)
        words[-1].append(field)
        left -= field.width
    return words


def _row(words: Sequence[Sequence[Field]], before: int, before_each: int) -> np.dtype[np.void]:
    """The type of a row, with so many bytes before it, and before each word."""
    names, formats, offsets = [], [], []
    offset = before
    for word in words:
        offset += before_each
        begins = offset
        for field in word:
            names.append(field.name)
            formats.append(_UUID_PARTS if field.width == _UUID else f">i{field.width}")
            offsets.append(offset)
            offset += field.width
        offset = begins + max(_WORD, offset - begins)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": offset})


def _word_sql(word: Sequence[Field]) -> str:
    """The first field in the highest bytes, as they are sent."""
    if word[0].width == _UUID:
        return word[0].sql
    placed = []
    shift = _WORD * 8
    for field in word:
        shift -= field.width * 8
        placed.append(f"({_placed(field, shift)})")
    return " | ".join(placed)


def _placed(field: Field, shift: int) -> str:
    """SQL of a field at its place in a word of 64 bits; constants are placed here already."""
    if field.words:
        cases = " ".join(
            f"WHEN {word} THEN {_bits(cell, field, shift)}" for word, cell in field.words
        )
        return f"CASE {field.sql} {cases} ELSE {_bits(field.unknown or 0, field, shift)} END"
    value = f"({field.sql})::int8"
    if field.unknown is not None:
        return f"coalesce({value} << {shift}, {_bits(field.unknown, field, shift)})"
    return f"({value} & {(1 << field.width * 8) - 1}) << {shift}" if field.width < _WORD else value


def _bits(cell: int, field: Field, shift: int) -> str:
    """A constant at its place, as a signed number of 64 bits."""
    bits = (cell & (1 << field.width * 8) - 1) << shift
    return f"'{bits - (1 << 64) if bits >> 63 else bits}'::int8"


def _pieces(connection: Connection[Any], query: bytes) -> Iterator[bytearray]:
    """The rows that a COPY sends, many whole rows at a time; the last piece may have none."""
    pgconn = connection.pgconn
    # The driver opens transactions for its own statements only.
    if pgconn.transaction_status != TransactionStatus.INTRANS:
        raise ValueError("reads within a transaction that is open")
    pgconn.send_query(query)
    while pgconn.flush():
        _wait(pgconn)
    _expect(connection, _result(pgconn), ExecStatus.COPY_OUT)
    piece = bytearray()
    skipped = _HEADER
    while True:
        size, message = pgconn.get_copy_data(1)
        if size > 0:
            piece += message
            if len(piece) >= _PIECE_BYTES:
                yield piece[skipped:]
                piece, skipped = bytearray(), 0
        elif size == 0:
            _wait(pgconn)
        else:
            break
    _expect(connection, _result(pgconn), ExecStatus.COMMAND_OK)
    while _result(pgconn) is not None:
        pass
    yield piece[skipped:-_TRAILER]


def _wait(pgconn: PGconn) -> None:
    select.select([pgconn.socket], [], [])
    pgconn.consume_input()


def _result(pgconn: PGconn) -> PGresult | None:
    while pgconn.is_busy():
        _wait(pgconn)
    return pgconn.get_result()


def _expect(connection: Connection[Any], result: PGresult | None, status: ExecStatus) -> None:
    if result is None or result.status != status:
        while _result(connection.pgconn) is not None:
            pass
        if result is None:
            raise errors.OperationalError("the connection gave no answer")
        raise errors.error_from_result(result, encoding=connection.info.encoding)
