"""What a feature has beside its outline: one declared table a collection, read by everything.

Items, filters, queryables, schemas, the API document, tiles and downloads all come from here.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Text,
    Uuid,
    literal_column,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from app.database.paging import instant_text
from app.kernel.terms import Term


class Kind(Enum):
    """How a value is written in JSON, and how SQL compares it."""

    TEXT = "string", "", Text()
    ID = "string", "uuid", Uuid()
    WHOLE = "integer", "", BigInteger()
    NUMBER = "number", "", Float()
    TRUTH = "boolean", "", Boolean()
    DAY = "string", "date", Date()
    INSTANT = "string", "date-time", DateTime(timezone=True)

    def __init__(self, json_type: str, json_format: str, sql_type: TypeEngine[Any]) -> None:
        """Three values each: JSON type, JSON format (empty: none), type of the SQL expression."""
        self.json_type = json_type
        self.json_format = json_format
        self.sql_type = sql_type


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a collection's features.

    ``sql`` is our own text over the aliases of the collection's rows; a caller's words are bound,
    never written into it. ``unit`` is of the number ("m2", "kN/m2", …; empty: it has none).
    ``codes`` are the values that a coded text may have; or several of them ``joined``.
    """

    name: str
    sql: str
    kind: Kind
    title_zh: str
    title_en: str
    unit: str = ""
    codes: type[Term] | None = None
    joined: bool = False
    queryable: bool = True
    sortable: bool = False
    nullable: bool = True

    @property
    def expression(self) -> ColumnElement[Any]:
        """The value in SQL."""
        return type_coerce(literal_column(self.sql), self.kind.sql_type)

    @property
    def shown(self) -> str:
        """The value as text of SQL that features are written by: instants as RFC 3339 has them."""
        return instant_text(self.sql) if self.kind is Kind.INSTANT else self.sql


def pattern_of(field: Field) -> str:
    """The regular expression of a property whose codes may be joined."""
    one = f"(?:{'|'.join(code.value for code in field.codes or ())})"
    return f"^{one}(?:[/+]{one})*$"
