"""One way to write an answer down, so that the same answer is the same bytes. Pure.

Members are sorted, nothing is spaced, text is UTF-8 and a number that is whole is written whole
(``3``, never ``3.0``): what a database or another language reads and writes again stays the same.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


def plain(value: Any) -> Any:
    """A value as JSON knows it: days and ids as text, whole numbers without decimals.

    >>> plain({"a": 2.0, "b": (Decimal("0.25"), date(2027, 1, 1))})
    {'a': 2, 'b': [0.25, '2027-01-01']}
    """
    match value:
        case Mapping():
            made: Any = {str(key): plain(one) for key, one in value.items()}
        case Enum():
            made = value.value
        case None | bool() | str():
            made = value
        case int() | float() | Decimal():
            made = int(value) if value == int(value) else float(value)
        case date():
            made = value.isoformat()
        case UUID():
            made = str(value)
        case frozenset() | set():
            made = sorted(plain(one) for one in value)
        case _:
            made = [plain(one) for one in value]
    return made


def canonical(value: Any) -> bytes:
    """The one text of a value that JSON knows (see ``plain``), as UTF-8.

    Raises:
        ValueError: a number in it is not finite.

    >>> canonical({"b": 1, "a": "中"}).decode()
    '{"a":"中","b":1}'
    """
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode()


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
