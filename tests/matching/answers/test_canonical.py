"""The same answer is the same bytes, here, in the database and in another language's JSON."""

import json
import math
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.canonical import canonical
from app.matching.answers.canonical import first_difference, number, plain, written

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_reading_and_writing_again_changes_nothing(value: Any) -> None:
    written = canonical(plain(value))

    assert canonical(json.loads(written)) == written


@given(JSON)
def test_whole_numbers_are_written_whole(value: Any) -> None:
    """A database's numbers, and those of languages with one kind of them, know no ``3.0``."""
    numbers: list[float] = []
    json.loads(canonical(plain(value)), parse_float=lambda one: numbers.append(float(one)))

    assert [one for one in numbers if one.is_integer() and abs(one) < 1e300] == []


WRITTEN = st.recursive(
    st.none()
    | st.booleans()
    | TEXT
    | (st.floats(-1e15, 1e15) | st.floats(-1e-3, 1e-3) | st.integers(-(2**60), 2**60)).map(plain),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(WRITTEN)
def test_the_fast_writer_writes_the_same(value: Any) -> None:
    assert written(value) == canonical(value)


def test_the_fast_writer_by_itself_would_write_small_numbers_otherwise() -> None:
    assert written({"a": number(0.00001)}) == canonical({"a": 0.00001})
    assert written({"a": 0.00001}) != canonical({"a": 0.00001})


def test_the_fast_writer_writes_days_instants_and_ids() -> None:
    at = datetime(2026, 11, 1, 4, 5, 6, 78, tzinfo=UTC)

    assert written([date(2026, 11, 1), at, UUID(int=7)]) == canonical(
        ["2026-11-01", "2026-11-01T04:05:06.000078Z", str(UUID(int=7))]
    )
    with pytest.raises(TypeError):
        written([object()])


@given(JSON, JSON)
def test_a_difference_is_found_where_there_is_one(one: Any, other: Any) -> None:
    one, other = plain(one), plain(other)
    same = canonical(one) == canonical(other)

    assert (first_difference(one, other) is None) == same
    if not isinstance(one, (dict, list)) or not isinstance(other, type(one)):
        assert first_difference(one, other) in (None, "")


def test_the_first_difference_is_named() -> None:
    one = {"items": [{"score": 1, "margins": [True]}], "a/b": 1}

    assert first_difference(one, {**one, "a/b": 2}) == "/a~1b"
    assert first_difference(one, {"items": [{"score": 1, "margins": [1]}], "a/b": 1}) == (
        "/items/0/margins/0"
    )
    assert first_difference(one, {"items": [], "a/b": 1}) == "/items/0"


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": math.inf})
