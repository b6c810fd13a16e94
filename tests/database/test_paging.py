"""Pages lose no row and repeat none; cursors are refused where they do not belong."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    Engine,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    insert,
    select,
)
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page
from app.kernel.errors import InvalidInputError

#: A table of every type that listings are sorted by; the first five columns repeat themselves.
_T = Table(
    "paged",
    MetaData(),
    Column("number", Numeric(14, 2), nullable=False),
    Column("real", Double, nullable=False),
    Column("small", SmallInteger, nullable=False),
    Column("day", Date, nullable=False),
    Column("moment", DateTime(timezone=True), nullable=False),
    Column("word", Text, nullable=False, unique=True),
    Column("id", Uuid, primary_key=True),
    Column("big", BigInteger, nullable=False, unique=True),
)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = ("a", "B", "张江", "é", "'; --", "%", '"', "\\", "z z", "")


def _row(n: int) -> dict[str, Any]:
    return {
        "number": n % 3 / 4,
        "real": (n % 4) / 3,
        "small": n % 5 - 2,
        "day": date(2026, 1, 1) + timedelta(days=n % 3),
        "moment": _EPOCH + timedelta(microseconds=n % 4),
        "word": f"{_WORDS[n % len(_WORDS)]}{n}",
        "id": UUID(int=n * 7919 % 2**64),
        "big": 2**60 + n,
    }


@pytest.fixture
def paged(session: Session) -> Session:
    connection = session.connection()
    _T.create(connection)
    session.execute(insert(_T), [_row(n) for n in range(29)])
    session.commit()
    return session


def _order(*names: str) -> list[Sort]:
    return [Sort(_T.c[name.removeprefix("-")], descending=name.startswith("-")) for name in names]


def _page(
    session: Session, order: Sequence[Sort], cursor: str | None, limit: int = 4, scope: str = "t"
) -> Page:
    request = PageRequest(limit=limit, cursor=cursor)
    return fetch_page(session, select(_T.c.big), order=order, page=request, scope=scope)


def _walk(session: Session, order: Sequence[Sort], limit: int = 4) -> list[int]:
    found: list[int] = []
    cursor: str | None = None
    while True:
        page = _page(session, order, cursor, limit)
        found += [json.loads(row)["big"] for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return found


_SORTED = ("number", "real", "small", "day", "moment")
_UNIQUE = ("word", "id", "big")
_ORDERS = [
    *((f"{sign}{name}",) for sign, name in product(("", "-"), _UNIQUE)),
    *(
        (f"{first}{name}", f"{second}{unique}")
        for first, name, second, unique in product(("", "-"), _SORTED, ("", "-"), ("word", "id"))
    ),
    ("number", "-day", "small", "-moment", "real", "-word"),
]


@pytest.mark.parametrize("limit", [1, 4, 28, 29, 30])
def test_pages_of_every_order_are_the_whole_in_its_order(paged: Session, limit: int) -> None:
    for names in _ORDERS:
        columns = [_T.c[name.removeprefix("-")] for name in names]
        whole = select(_T.c.big).order_by(
            *(
                column.desc() if name.startswith("-") else column.asc()
                for name, column in zip(names, columns, strict=True)
            )
        )

        assert _walk(paged, _order(*names), limit) == list(paged.scalars(whole)), names


def test_the_last_full_page_has_no_cursor(paged: Session) -> None:
    assert _page(paged, _order("big"), None, limit=29).next_cursor is None
    assert _page(paged, _order("big"), None, limit=28).next_cursor is not None
    empty = fetch_page(
        paged,
        select(_T.c.big).where(_T.c.big < 0),
        order=_order("big"),
        page=PageRequest(limit=5),
        scope="t",
    )
    assert empty == Page(rows=[], next_cursor=None)
    assert empty.as_items() == b'{"items":[],"next_cursor":null}'


def test_nothing_is_lost_or_repeated_while_others_write(own_engine: Engine) -> None:
    with Session(own_engine) as setup:
        _T.create(setup.connection())
        setup.execute(insert(_T), [_row(n) for n in range(0, 200, 2)])
        setup.commit()
    there_throughout = {2**60 + n for n in range(0, 200, 2)}
    seen: list[int] = []
    cursor: str | None = None
    fresh = iter(range(1, 200, 2))
    while True:
        with Session(own_engine) as reader:
            page = _page(reader, _order("-small", "word"), cursor, limit=7)
        seen += [json.loads(row)["big"] for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
        with Session(own_engine) as writer:  # before and after the place we have come to
            writer.execute(insert(_T), [_row(next(fresh)) for _ in range(2)])
            writer.commit()

    assert len(seen) == len(set(seen))
    assert there_throughout <= set(seen)


def test_a_page_goes_on_where_the_row_of_its_cursor_has_gone(paged: Session) -> None:
    first = _page(paged, _order("big"), None)
    last = json.loads(first.rows[-1])["big"]
    paged.execute(_T.delete().where(_T.c.big == last))

    after = _page(paged, _order("big"), first.next_cursor)

    assert [json.loads(row)["big"] for row in after.rows] == list(range(last + 1, last + 5))


def _forged(fingerprint_of: str, *values: Any) -> str:
    fingerprint = json.loads(base64.urlsafe_b64decode(fingerprint_of + "=="))[0]
    body = json.dumps([fingerprint, *values])
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "====",
        "%%%",
        "漢字",
        "bnVsbA",  # null
        "e30",  # {}
        "W10",  # []
        "WzFd",  # [1]
        base64.urlsafe_b64encode(b"[" * 1000).decode(),
        base64.urlsafe_b64encode(b'["\xff"]').decode(),
    ],
)
def test_what_is_no_cursor_is_refused(paged: Session, cursor: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        _page(paged, _order("big"), cursor)

    assert [(fault.pointer, fault.where) for fault in caught.value.faults] == [("cursor", "query")]


def test_a_cursor_of_another_listing_or_filter_is_refused(paged: Session) -> None:
    cursor = _page(paged, _order("big"), None, scope="t a=1").next_cursor

    with pytest.raises(InvalidInputError):
        _page(paged, _order("big"), cursor, scope="t a=2")


_WRONG: dict[str, list[Any]] = {
    "number": [None, True, [], {}, "NaN", "Infinity", "x", "1e999999", 10**400, "1" * 5000],
    "real": [None, True, [], "x", float("nan"), float("inf"), 10**400],
    "small": [None, True, 1.5, "1", 40_000, -(10**30)],
    "day": [None, 1, "x", "2026-13-01", "20260101T00"],
    "moment": [None, 1, "x", "2026-01-01T00:00:00"],
    "word": [None, 1, ["a"], "a\x00b", "\ud800"],
    "id": [None, 1, "x", []],
    "big": [None, 2**63, "1", 1.0],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in _WRONG.items() for value in values]
)
def test_a_forged_cursor_is_refused_and_never_a_failure(
    paged: Session, name: str, value: Any
) -> None:
    order = _order(name) if name in _UNIQUE else _order(name, "big")
    honest = _page(paged, order, None).next_cursor
    assert honest is not None

    with pytest.raises(InvalidInputError):
        _page(paged, order, _forged(honest, value, *([1] if len(order) > 1 else [])))


def test_a_cursor_of_too_few_or_too_many_values_is_refused(paged: Session) -> None:
    honest = _page(paged, _order("big"), None).next_cursor
    assert honest is not None

    wrong: tuple[tuple[int, ...], ...] = ((), (1, 2))
    for values in wrong:
        with pytest.raises(InvalidInputError):
            _page(paged, _order("big"), _forged(honest, *values))


@given(text=st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_text_as_cursor_is_ever_more_than_refused(paged: Session, text: str) -> None:
    with pytest.raises(InvalidInputError):
        _page(paged, _order("word"), text)


def test_a_row_is_json_of_its_columns_in_their_order(paged: Session) -> None:
    query = select(_T.c.word, _T.c.number, _T.c.day).where(_T.c.big == 2**60 + 2)

    assert fetch_one(paged, query) == '{"word":"张江2","number":0.50,"day":"2026-01-03"}'
    assert fetch_one(paged, query.where(_T.c.small > 99)) is None
