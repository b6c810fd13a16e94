"""Days and instants as callers write them.

Pydantic would also take numbers, for seconds since 1970: ``20270101`` would be a day of that year,
and nobody would be told.
"""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticKnownError

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}.*", re.DOTALL)


def _day(value: Any) -> Any:
    if isinstance(value, str) and _DAY.fullmatch(value) is None:
        raise PydanticKnownError("date_parsing", {"error": "write it as 2027-01-31"})
    if not isinstance(value, str | date):
        raise PydanticKnownError("date_type")
    return value


def _instant(value: Any) -> Any:
    if isinstance(value, str) and _INSTANT.fullmatch(value) is None:
        raise PydanticKnownError("datetime_parsing", {"error": "write it as 2027-01-31T09:00:00Z"})
    if not isinstance(value, str | datetime):
        raise PydanticKnownError("datetime_type")
    return value


#: A civil day, written ``2027-01-31``.
WrittenDay = Annotated[date, BeforeValidator(_day)]
#: An instant with its offset, written as RFC 3339 has it: ``2027-01-31T09:00:00+08:00``.
WrittenInstant = Annotated[AwareDatetime, BeforeValidator(_instant)]
