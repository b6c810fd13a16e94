"""Unified social credit codes: what is refused, and how clearly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.demand.credit_code import ALPHABET, check_character, checked_credit_code
from app.kernel.errors import InvalidInputError
from tests.factories import credit_code

BODIES = st.text(ALPHABET, min_size=17, max_size=17)


def test_a_code_is_trimmed_and_set_in_capitals() -> None:
    code = credit_code(42)

    assert checked_credit_code(f"  {code.lower()} ") == code


def test_a_published_code_holds() -> None:
    # One that is widely shown as an example; not made by our own function.
    assert checked_credit_code("91350100M000100Y43") == "91350100M000100Y43"


@given(BODIES, st.integers(0, 16), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_caught(body: str, place: int, other: str) -> None:
    code = body + check_character(body)
    slip = code[:place] + other + code[place + 1 :]

    if slip == code:
        assert checked_credit_code(slip) == code
    else:
        with pytest.raises(InvalidInputError):
            checked_credit_code(slip)


@given(BODIES)
def test_the_refusal_says_which_character_is_expected(body: str) -> None:
    expected = check_character(body)
    wrong = next(one for one in ALPHABET if one != expected)

    with pytest.raises(InvalidInputError) as refused:
        checked_credit_code(body + wrong)

    fault = refused.value.faults[0]
    assert fault.pointer == "/unified_social_credit_code"
    assert f"must be {expected!r}, not {wrong!r}" in fault.detail


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "this one has 0"),
        ("9199000", "this one has 7"),
        (credit_code(1) + "0", "this one has 19"),
        ("9199000" + "O" + credit_code(1)[8:], "character 8 is 'O'"),
        ("９" + credit_code(1)[1:], "character 1 is"),
    ],
)
def test_length_and_characters_are_named(text: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        checked_credit_code(text)
