"""Days, instants, numbers and flags as callers write them.

Pydantic would also take numbers for seconds since 1970: ``20270101`` would be a day of that year,
and nobody would be told. Neither is ``true`` one person, nor ``"80"`` a number of JSON.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

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


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        message = "write it as 2027-01-31T09:00:00Z"
        raise PydanticKnownError("datetime_parsing", {"error": message}) from None


#: A civil day, written ``2027-01-31``.
WrittenDay = Annotated[date, BeforeValidator(_day)]
#: An instant with its offset, written as RFC 3339 has it: ``2027-01-31T09:00:00+08:00``; in UTC
#: from then on.
WrittenInstant = Annotated[AwareDatetime, BeforeValidator(_instant), AfterValidator(_in_utc)]

#: Why something is done, in a person's words; not spaces alone.
WrittenReason = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


def _as_written(schema: Any) -> Any:
    """A schema, or a part of one, whose numbers and flags are taken in no other type."""
    if isinstance(schema, list | tuple):
        return type(schema)(_as_written(one) for one in schema)
    if not isinstance(schema, dict):
        return schema
    match schema.get("type"):
        case "int":
            return core_schema.no_info_before_validator_function(_integer, schema)
        case "float":
            return core_schema.no_info_before_validator_function(_number, schema)
        case "bool":
            return schema | {"strict": True}
    # The keys of an object are text.
    apart = {"keys_schema", "serialization", "metadata"}
    return {key: part if key in apart else _as_written(part) for key, part in schema.items()}


def _integer(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise PydanticKnownError("int_type")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise PydanticKnownError("float_type")
    return value


class WrittenBody(BaseModel):
    """Base of what is sent as JSON: its numbers are numbers, its flags ``true`` or ``false``.

    ``80.0`` is an integer of JSON. Queries, which are text, are no bodies.
    """

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler, /
    ) -> CoreSchema:
        """As any model's, but for its numbers and flags."""
        schema: CoreSchema = _as_written(handler(source))
        return schema
