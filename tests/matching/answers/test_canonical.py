"""The same answer is the same bytes, here, in the database and in another language's JSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.matching.answers.canonical import canonical, first_difference, plain

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
