"""Pages that lose no row: keyset cursors, and rows that PostgreSQL itself writes as JSON.

Rows are never parsed in this process. The database builds the JSON text of each row and it is
passed through, which costs a fraction of building objects and serialising them again.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    Numeric,
    Select,
    SmallInteger,
    String,
    Subquery,
    Uuid,
    and_,
    bindparam,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from app.database.changes import Since, horizon
from app.database.opaque import hide, reveal
from app.kernel.errors import Fault, InvalidInputError

#: Decimal places of longitude and latitude: 1e-7 degrees is about a centimetre.
COORDINATE_DECIMALS = 7
#: What the values in cursors are hidden for: some are numbers that count everybody's rows.
_PURPOSE = "cursor"
#: What the rows of a page are called where ``details`` are put beside them.
FOUND = "found"
#: More digits than any numeric column of ours has.
_MOST_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Sort:
    """One column of an order. The expression must never be null."""

    expression: ColumnElement[Any]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many rows, and after which one."""

    limit: int
    cursor: str | None = None
    #: The ``changes_cursor`` of an earlier answer: only what was written since.
    updated_since: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as JSON texts, and the cursor of the next page."""

    rows: list[str]
    next_cursor: str | None
    #: Further members of the page, as JSON text.
    members: str = ""

    def as_items(self, extra: str = "") -> bytes:
        """``{"items": […], "next_cursor": …}``; ``extra`` is further members, as JSON text."""
        more = "".join(f",{one}" for one in (self.members, extra) if one)
        listed = ",".join(self.rows)
        return f'{{"items":[{listed}],"next_cursor":{json.dumps(self.next_cursor)}{more}}}'.encode()

    def as_feature_collection(self, next_href: str | None, extra: str = "") -> bytes:
        """An RFC 7946 FeatureCollection; the next page is a link, as in OGC API Features."""
        links = [{"rel": "next", "type": "application/geo+json", "href": next_href}]
        shown = json.dumps(links if next_href else [], ensure_ascii=False)
        more = f",{extra}" if extra else ""
        features = ",".join(self.rows)
        return (
            f'{{"type":"FeatureCollection","features":[{features}],'
            f'"numberReturned":{len(self.rows)},"links":{shown}{more}}}'
        ).encode()


def fetch_page(
    session: Session,
    query: Select[Any],
    *,
    order: Sequence[Sort],
    page: PageRequest,
    scope: str,
    geojson: bool = False,
    details: Callable[[Subquery], Select[Any]] | None = None,
    wrote: Callable[[Since], ColumnElement[bool]] | None = None,
) -> Page:
    """One page of ``query`` in ``order``, each row as JSON text.

    Args:
        session: where to ask.
        query: its column labels are the JSON members, in order. A column labelled ``geometry`` is
            left out of plain JSON and becomes the feature's geometry in GeoJSON, where a column
            labelled ``id`` becomes the feature's id.
        order: unique as a whole, so that every row has its place.
        page: size and cursor.
        scope: names the listing and its filters; a cursor is refused in another scope.
        geojson: whether rows are GeoJSON features.
        details: where ``query`` only finds rows: from the page of its columns, the columns to
            show. Rows that are not of the page are then neither joined nor carried through a sort.
        wrote: whether a row was written since; the first page then has a ``changes_cursor``.

    Raises:
        InvalidInputError: the cursor is not one of this listing's, or ``updated_since`` not one
            of this database.
    """
    members = ""
    if wrote is not None:
        stands = horizon(session, page.updated_since)
        # Of the first page alone: what is written while further ones are read comes after it.
        token = None if page.cursor else stands.token
        members = f'"changes_cursor":{json.dumps(token)}'
        if stands.since is not None:
            query = query.where(wrote(stands.since))
            scope = f"{scope} since {page.updated_since}"
    if page.cursor is not None:
        # What no veil hides is no cursor at all, and refused as such.
        plain = reveal(session, _PURPOSE, page.cursor)
        page = replace(page, cursor=_encoded(plain or ""))
    statement = page_statement(
        query, order=order, page=page, scope=scope, geojson=geojson, details=details
    )
    fetched = session.execute(statement).all()
    shown = fetched[: page.limit]
    more = len(fetched) > page.limit
    return Page(
        rows=[row[0] for row in shown],
        next_cursor=hide(session, _PURPOSE, _cursor_text(shown[-1][1:], scope), alike=True)
        if more
        else None,
        members=members,
    )


def page_statement(
    query: Select[Any],
    *,
    order: Sequence[Sort],
    page: PageRequest,
    scope: str,
    geojson: bool = False,
    details: Callable[[Subquery], Select[Any]] | None = None,
) -> Select[Any]:
    """The one statement behind ``fetch_page``: JSON text, then the sort keys; a row too many.

    Raises:
        InvalidInputError: the cursor is not one of this listing's.
    """
    paged = query.add_columns(
        *(sort.expression.label(f"_sort_{place}") for place, sort in enumerate(order))
    )
    if page.cursor is not None:
        paged = paged.where(after_row(order, decoded_cursor(page.cursor, scope, order)))
    paged = paged.order_by(
        *(sort.expression.desc() if sort.descending else sort.expression.asc() for sort in order)
    ).limit(page.limit + 1)
    sorts = [f"_sort_{place}" for place in range(len(order))]
    if details is not None:
        found = paged.subquery(FOUND)
        paged = details(found).add_columns(*(found.c[sort] for sort in sorts))
    # Named as text: to have the subquery's own columns made for it takes longer than all the rest.
    columns = paged.selected_columns
    shown = [column for column in columns if column.name not in sorts]
    keys: list[ColumnElement[Any]] = [
        literal_column(f"q.{sort}", columns[sort].type) for sort in sorts
    ]
    # The outer order repeats the inner one: SQL promises nothing about a subquery's order.
    return (
        select(_row_text(shown, geojson=geojson), *keys)
        .select_from(paged.subquery("q"))
        .order_by(
            *(
                key.desc() if sort.descending else key.asc()
                for key, sort in zip(keys, order, strict=True)
            )
        )
    )


def fetch_one(session: Session, query: Select[Any], *, geojson: bool = False) -> str | None:
    """The one row of ``query`` as JSON text, or None."""
    rows = query.limit(1).subquery("q")
    row = _row_text(list(rows.c), geojson=geojson)
    text: str | None = session.scalar(select(row).select_from(rows))
    return text


def instant_text(sql: str) -> str:
    """SQL for an instant's text, as all answers write it: RFC 3339 in UTC, with a ``Z``.

    Of its own accord PostgreSQL would write ``+00:00`` into JSON.
    """
    form = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
    return f"replace(to_char({sql} AT TIME ZONE 'UTC', {form}), '.000000Z', 'Z')"


def _row_text(shown: Sequence[ColumnElement[Any]], *, geojson: bool) -> ColumnElement[str]:
    # The names are labels written in our own code, never a caller's text.
    fields = ", ".join(_field(one) for one in shown if one.name != "geometry")
    row = f"(SELECT row_to_json(r) FROM (SELECT {fields}) r)"  # noqa: S608
    if geojson:
        geometry = f"ST_AsGeoJSON(q.geometry, {COORDINATE_DECIMALS})::json"
        row = (
            f"json_build_object('type', 'Feature', 'id', q.id, 'geometry', {geometry},"
            f" 'properties', {row})"
        )
    return literal_column(f"{row}::text")


def _field(column: ColumnElement[Any]) -> str:
    sql = f'q."{column.name}"'
    return f'{instant_text(sql)} AS "{column.name}"' if isinstance(column.type, DateTime) else sql


def after_row(order: Sequence[Sort], values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after ``values``."""
    bound = [
        bindparam(None, value, type_=sort.expression.type)
        for sort, value in zip(order, values, strict=True)
    ]
    keys = [sort.expression for sort in order]
    if len({sort.descending for sort in order}) == 1:
        # A row comparison is one range of an index; a chain of ORs is not.
        row, last = tuple_(*keys), tuple_(*bound)
        return row < last if order[0].descending else row > last
    steps: list[ColumnElement[bool]] = []
    for place, sort in enumerate(order):
        equal = [key == value for key, value in zip(keys[:place], bound, strict=False)]
        further = keys[place] < bound[place] if sort.descending else keys[place] > bound[place]
        steps.append(and_(*equal, further))
    first = keys[0] <= bound[0] if order[0].descending else keys[0] >= bound[0]
    return and_(first, or_(*steps))


def _fingerprint(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:12]


def encoded_cursor(values: Sequence[Any], scope: str) -> str:
    """The cursor of the page after a row with these values of its order, for all to read."""
    return _encoded(_cursor_text(values, scope))


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _cursor_text(values: Sequence[Any], scope: str) -> str:
    plain = [
        value if value is None or isinstance(value, (int, float, str)) else str(value)
        for value in values
    ]
    return json.dumps([_fingerprint(scope), *plain], ensure_ascii=False, separators=(",", ":"))


def decoded_cursor(cursor: str, scope: str, order: Sequence[Sort]) -> list[Any]:
    """The values that a cursor was made of.

    Raises:
        InvalidInputError: it is not of this scope and order.
    """
    refusal = InvalidInputError(
        "the cursor is not from this listing with these filters; start again without a cursor",
        [
            Fault(
                "cursor",
                "take next_cursor of the page before, with the same filters",
                "query",
                "须取自上一页的 next_cursor，且筛选条件不变",
            )
        ],
        detail_zh="cursor 不属于此列表与这些筛选条件，请去掉 cursor 从第一页开始",
    )
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        fingerprint, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if fingerprint != _fingerprint(scope) or len(values) != len(order):
            raise refusal
        return [_typed(value, sort.expression) for value, sort in zip(values, order, strict=True)]
    except (ValueError, TypeError, ArithmeticError, binascii.Error, RecursionError) as error:
        raise refusal from error


def _typed(value: Any, expression: ColumnElement[Any]) -> Any:
    """A value as its column has it; what no row of ours could hold is refused."""
    for kind, read in _READERS:
        if isinstance(expression.type, kind):
            return read(value)
    return _text(value) if isinstance(value, str) else _number(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    value.encode()  # refuses what is no Unicode, as lone surrogates are not
    if "\0" in value:
        raise ValueError("PostgreSQL has no NUL character")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("not a number")
    if not isfinite(value):
        raise ValueError("not a number that is compared")
    return value


def _real(value: Any) -> float:
    return float(_number(value))


def _decimal(value: Any) -> Decimal:
    number = Decimal(value if isinstance(value, str) else str(_number(value)))
    digits = len(number.as_tuple().digits)
    if not number.is_finite() or max(digits, abs(number.adjusted())) > _MOST_DIGITS:
        raise ValueError("not a number of a column")
    return number


def _whole(bits: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError("not a whole number")
        if not -(2**bits) <= value < 2**bits:
            raise ValueError("beyond the column's range")
        return value

    return read


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(_text(value))
    if instant.tzinfo is None:
        raise ValueError("an instant has a time zone")
    return instant


#: How a cursor's values are read, by the type of their column; the narrower type first.
_READERS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...] = (
    (SmallInteger, _whole(15)),
    (BigInteger, _whole(63)),
    (Integer, _whole(31)),
    (Numeric, _decimal),
    (Float, _real),
    (Uuid, lambda value: UUID(_text(value))),
    (DateTime, _instant),
    (Date, lambda value: date.fromisoformat(_text(value))),
    (String, _text),
)
