"""One way to write an answer down, so that the same answer is the same bytes. Pure.

Members are sorted, nothing is spaced, text is UTF-8 and a number that is whole is written whole
(``3``, never ``3.0``): what a database or another language reads and writes again stays the same.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from app.kernel.canonical import canonical

#: A value of an answer as JSON knows it, by the names of its members.
Members = dict[str, Any]
#: Below this a number is written with an exponent, which every writer of JSON does in its own way.
_LEAST_PLAIN = 1e-4


class _Tiny(float):
    """A number close to nothing: ``written`` must not leave it to a writer of its own mind."""


def plain(value: Any) -> Any:
    """A value as JSON knows it: days and ids as text, whole numbers without decimals.

    >>> plain({"a": 2.0, "b": (Decimal("0.25"), date(2027, 1, 1))})
    {'a': 2, 'b': [0.25, '2027-01-01']}
    """
    match value:
        # What there is most of comes first.
        case Enum():
            made: Any = value.value
        case None | bool() | str():
            made = value
        case int() | float() | Decimal():
            made = number(value)
        case date():
            made = value.isoformat()
        case UUID():
            made = str(value)
        case Mapping():
            made = {str(key): plain(one) for key, one in value.items()}
        case frozenset() | set():
            made = sorted(plain(one) for one in value)
        case _:
            made = [plain(one) for one in value]
    return made


def number(value: float | Decimal) -> int | float:
    """A number as JSON writes it: whole ones without decimals.

    Raises:
        ValueError, OverflowError: it is not finite.

    >>> number(3.0), number(Decimal("0.25"))
    (3, 0.25)
    """
    whole = int(value)
    if value == whole:
        return whole
    found = float(value)
    return found if abs(found) >= _LEAST_PLAIN else _Tiny(found)


def written(value: Any) -> bytes:
    """The same text several times as fast, of values whose numbers are all from ``number``.

    Days, instants in UTC and ids may stand as they are. Nothing else is checked: a number that is
    not finite would be written as null.

    >>> written({"b": number(0.00002), "a": date(2027, 1, 1)}).decode()
    '{"a":"2027-01-01","b":2e-05}'
    """
    return orjson.dumps(value, default=_by_python, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)


def _by_python(value: Any) -> orjson.Fragment:
    if not isinstance(value, _Tiny):
        raise TypeError(f"JSON knows no {type(value).__name__}")
    return orjson.Fragment(canonical(value))


def sha256_of(value: Any) -> str:
    """SHA-256 of the one text of a value, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def first_difference(one: Any, other: Any) -> str | None:
    """A JSON pointer to the first place where two values differ; None where they do not.

    >>> first_difference({"items": [{"score": 1}]}, {"items": [{"score": 2}]})
    '/items/0/score'
    """
    return next(_differences(one, other, ""), None)


def _differences(one: Any, other: Any, pointer: str) -> Iterator[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted(one.keys() | other.keys()):
            here = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            if key in one and key in other:
                yield from _differences(one[key], other[key], here)
            else:
                yield here
    elif _listed(one) and _listed(other):
        for place in range(max(len(one), len(other))):
            here = f"{pointer}/{place}"
            if place < len(one) and place < len(other):
                yield from _differences(one[place], other[place], here)
            else:
                yield here
    elif one != other or isinstance(one, bool) != isinstance(other, bool):
        yield pointer


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
