"""What has been written since a listing was last asked for, whoever was writing meanwhile.

A time cannot tell: a transaction that began first may commit last, with a time that has been asked
about already. PostgreSQL numbers transactions and knows, of every snapshot, the number below which
all have ended. Rows are kept by the number of the transaction that wrote them: an answer has those
from the number that the caller was given last time, and gives the one below which nothing can come
any more. What was in flight then has a number at or above it, and is in the next answer. A row may
be told twice, and none is ever left out.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, bindparam, literal_column, text
from sqlalchemy.orm import Session

from app.database.opaque import hide, reveal
from app.kernel.errors import Fault, InvalidInputError

#: What the numbers are hidden for.
_PURPOSE = "changes"
#: Rows keep the lower half of a number.
_LOWER = (1 << 32) - 1
#: Transactions that may have begun between reading where things stand and reading rows.
_BEYOND = 1 << 20
_SNAPSHOT = text(
    "SELECT pg_snapshot_xmin(s)::text::bigint AS ended_below,"
    " pg_snapshot_xmax(s)::text::bigint AS next,"
    " (SELECT system_identifier::text FROM pg_control_system()) AS cluster,"
    " (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database"
    " FROM pg_current_snapshot() AS s"
)


@dataclass(frozen=True, slots=True)
class Since:
    """A transaction's number from which on a caller has not seen what was written."""

    number: int
    #: The first number that no transaction had when the listing was asked for.
    next: int

    def wrote(self, table: FromClause) -> ColumnElement[bool]:
        """Whether a row of a table, under the name it has in the query, was written since."""
        lower = literal_column(f"{table.name}.xmin::text::bigint", BigInteger)  # type: ignore[attr-defined]
        most = bindparam(None, self.next + _BEYOND, type_=BigInteger)
        # The highest number up to there that has this lower half.
        whole = most - (most - lower).op("&")(bindparam(None, _LOWER, type_=BigInteger))
        return whole >= bindparam(None, self.number, type_=BigInteger)


@dataclass(frozen=True, slots=True)
class Horizon:
    """Where a listing stands: what the caller has seen, and what it will have seen."""

    since: Since | None
    token: str


def horizon(session: Session, updated_since: str | None) -> Horizon:
    """Where things stand now; ask before the rows are read.

    Raises:
        InvalidInputError: the token is not of this database.
    """
    now = session.execute(_SNAPSHOT).one()
    place = [now.cluster, now.database]
    token = hide(session, _PURPOSE, json.dumps([*place, now.ended_below]))
    if updated_since is None:
        return Horizon(None, token)
    number = _number(reveal(session, _PURPOSE, updated_since), place)
    if number is None or not 0 <= number <= now.next:
        raise InvalidInputError(
            "updated_since is not from this service as it is now; begin again without it",
            [
                Fault(
                    "updated_since",
                    "take changes_cursor of the first page of an earlier answer",
                    "query",
                    "须取自之前答复第一页的 changes_cursor",
                )
            ],
            detail_zh="updated_since 不属于当前数据库，请去掉后重新全量读取",
        )
    return Horizon(Since(number, now.next), token)


def _number(said: str | None, place: list[Any]) -> int | None:
    try:
        *of, number = json.loads(said or "null")
    except (ValueError, TypeError, RecursionError):
        return None
    return number if of == place and type(number) is int else None
