"""The one text of a value, so that the same value is the same bytes. Pure."""

import json
from typing import Any


def canonical(value: Any) -> bytes:
    """The one JSON text of a value, as UTF-8: members sorted, nothing spaced.

    Raises:
        ValueError: a number in it is not finite.

    >>> canonical({"b": 1, "a": "中"}).decode()
    '{"a":"中","b":1}'
    """
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode()
