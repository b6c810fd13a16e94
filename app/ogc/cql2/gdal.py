"""Filters as GDAL writes them, as CQL2.

GDAL leaves a condition to the server whole if the API document offers the language ``cql-text``, a
draft of CQL2; else equality alone, and of a comparison with a date property it makes the parameter
``datetime``, which is another question (decision 0024). What it writes differs from CQL2 in how
dates, truth values and comparisons without case are written.
"""

import re
from collections.abc import Mapping

from app.ogc.cql2.tree import require_length
from app.ogc.fields import Field, Kind

LANGUAGE = "cql-text"

_TEXT = r"'(?:[^']|'')*+'"
#: A text is passed over whole, so that nothing is found inside of it. GDAL names no property but
#: on the left, and writes no other literals.
_COMPARED = re.compile(
    r"(?P<name>\b\w+\b) (?P<operator>=|<>|<=|>=|<|>|LIKE|ILIKE)"
    rf" (?P<value>{_TEXT}|[-+.\w]+)|{_TEXT}"
)
#: A day has a T behind it, an instant its hour and perhaps the rest.
_DAY = re.compile(r"'(\d{4}-\d{2}-\d{2})T'")
_INSTANT = re.compile(r"'(\d{4}-\d{2}-\d{2}T\d{2})(:\d{2})?(:\d{2})?Z'")
_TRUTH = {"0": "FALSE", "1": "TRUE"}


def as_cql2(text: str, queryables: Mapping[str, Field], parameter: str) -> str:
    """CQL2 of what GDAL wrote; what is not as it writes is left, for the parser to judge.

    Raises:
        BadParameterError: it is too long.
    """
    require_length(parameter, text)

    def said(found: re.Match[str]) -> str:
        name, operator, value = found["name"], found["operator"], found["value"]
        field = queryables.get(name or "")
        if field is None:
            return found[0]
        if operator == "ILIKE":
            return f"CASEI({name}) LIKE CASEI({value})"
        return f"{name} {operator} {_value(value, field.kind)}"

    return _COMPARED.sub(said, text)


def _value(value: str, kind: Kind) -> str:
    if kind is Kind.TRUTH:
        return _TRUTH.get(value, value)
    day, instant = _DAY.fullmatch(value), _INSTANT.fullmatch(value)
    if kind is Kind.DAY and day:
        return f"DATE('{day[1]}')"
    if kind is Kind.INSTANT and day:
        return f"TIMESTAMP('{day[1]}T00:00:00Z')"
    if kind is Kind.INSTANT and instant:
        hour, minute, second = instant[1], instant[2] or ":00", instant[3] or ":00"
        return f"TIMESTAMP('{hour}{minute}{second}Z')"
    return value
