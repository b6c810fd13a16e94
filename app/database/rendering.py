"""Statements as text, for the few that are asked so often that building them anew would show.

SQLAlchemy's own cache saves the writing of a statement, not the making and the looking up of its
hundreds of parts; a page of features spends more on those than on everything else around its SQL.
So what depends on the question is rendered alone, and joined with texts that are kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.types import TypeEngine

_DIALECT = dialect()  # type: ignore[no-untyped-call]
_PLACE = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL as psycopg takes it: percent signs are doubled, values are bound by name."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)


def rendered(clause: ClauseElement, prefix: str) -> Sql:
    """A statement or expression as text; all names begin with ``prefix``.

    An expression must not rely on a statement around it, as a subquery that is correlated to it
    would.
    """
    compiled = clause.compile(dialect=_DIALECT)
    state = compiled.construct_expanded_state()  # type: ignore[attr-defined]
    processors = dict(state.processors)
    for name, bound in compiled.binds.items():  # type: ignore[attr-defined]
        processor = bound.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
        if processor is not None:
            processors.setdefault(name, processor)
    values = {
        f"{prefix}{name}": processors[name](value) if name in processors else value
        for name, value in state.parameters.items()
    }
    return Sql(_PLACE.sub(rf"%({prefix}\1)s", state.statement), values)


def type_text(kind: TypeEngine[Any]) -> str:
    """A type as it is written in SQL."""
    return kind.compile(dialect=_DIALECT)
