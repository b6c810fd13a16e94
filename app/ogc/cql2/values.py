"""Values: of properties, of what a caller wrote, and of what a query parameter says."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Numeric, Text, literal
from sqlalchemy.sql.elements import Grouping

from app.kernel.terms import is_joined
from app.ogc.cql2.tree import (
    Literal,
    Place,
    day_in,
    instant_in,
    require_measured,
    require_storable,
)
from app.ogc.cql2.words import KINDS, allowed_codes
from app.ogc.fields import Field, Kind

_WHOLE_NUMBERS = range(-(2**63), 2**63)
#: More than any column has.
_DIGITS_OF_A_COLUMN = 40


@dataclass(frozen=True, slots=True)
class Value:
    """A value in SQL.

    ``digits`` bounds those of a number, before and after the point each; ``field`` is the property
    that it is the value of, if it is of one alone.
    """

    sql: ColumnElement[Any]
    kind: Kind
    said: str
    digits: int = 0
    field: Field | None = None


def equals(field: Field, raw: str) -> ColumnElement[bool]:
    """That a property has the value of a query parameter of its name.

    Raises:
        BadParameterError: no value of the property is written so.
    """
    return of_field(field).sql == written(Place(field.name), raw, field)


def of_field(field: Field) -> Value:
    """The value of a property."""
    # In brackets: the field's SQL may have operators of its own.
    sql = Grouping(field.expression)
    return Value(sql, field.kind, field.name, _DIGITS_OF_A_COLUMN, field)


def of_literal(node: Literal) -> Value:
    """The value that a caller wrote."""
    value = node.value
    match value:
        case bool():
            return Value(literal(value, Kind.TRUTH.sql_type), Kind.TRUTH, str(value).lower())
        case Decimal():
            exponent = int(value.as_tuple().exponent)
            digits = max(value.adjusted() + 1, -exponent, 1)
            whole = value == value.to_integral_value() and int(value) in _WHOLE_NUMBERS
            sql: ColumnElement[Any] = (
                literal(int(value), BigInteger) if whole else literal(value, Numeric())
            )
            return Value(sql, Kind.WHOLE if whole else Kind.NUMBER, f"{value:f}", digits)
        case str():
            return Value(literal(value, Text), Kind.TEXT, f"'{value[:40]}'")
        case datetime():
            return Value(literal(value, Kind.INSTANT.sql_type), Kind.INSTANT, value.isoformat())
        case date():
            return Value(literal(value, Kind.DAY.sql_type), Kind.DAY, value.isoformat())


def written(place: Place, text: str, field: Field) -> ColumnElement[Any]:
    """What a text means as a value of a property.

    Raises:
        BadParameterError: it means none.
    """
    value: object = None
    match field.kind:
        case Kind.TEXT:
            return _text(place, text, field)
        case Kind.WHOLE | Kind.NUMBER:
            number = _number(place, text)
            if number is not None:
                return of_literal(Literal(place, number)).sql
        case Kind.ID:
            value = _id(text)
        case Kind.TRUTH:
            value = {"true": True, "false": False}.get(text)
        case Kind.DAY:
            value = day_in(place, text)
        case Kind.INSTANT:
            value = instant_in(place, text)
    if value is None:
        wanted = KINDS[field.kind]
        raise place.refused(
            f"{wanted.en} is written like {wanted.example}",
            f"{wanted.zh}的写法如 {wanted.example}",
        )
    return literal(value, field.kind.sql_type)


def _text(place: Place, text: str, field: Field) -> ColumnElement[str]:
    require_storable(place, text)
    if field.codes is None or (field.joined and is_joined(text, field.codes)):
        return literal(text, Text)
    if text not in {*field.codes}:
        raise place.refused(*allowed_codes(field.name, text, field.codes))
    # Inlined, or the planner could not tell that an index on some codes serves it.
    return literal(text, Text, literal_execute=True)


def _number(place: Place, text: str) -> Decimal | None:
    try:
        number = Decimal(text) if text.isascii() and "_" not in text else None
    except ArithmeticError:
        return None
    if number is not None:
        require_measured(place, number)
    return number


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
