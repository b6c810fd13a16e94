"""A collection of features: what it is called, what its features have, and where its rows are."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import NoneType
from typing import Any, get_args
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnClause, ColumnElement, FromClause
from sqlalchemy.sql import visitors
from sqlalchemy.sql.selectable import NamedFromClause

from app.inventory.columns import Columns
from app.inventory.drawing.domains import JOINED
from app.ogc.fields import Field, Kind
from app.ogc.words import CODES, titles_of, unit_of


class Geometry(StrEnum):
    """What the outlines of a collection are."""

    POLYGON = "Polygon"
    MULTI_POLYGON = "MultiPolygon"


@dataclass(frozen=True, slots=True)
class When:
    """Days from ``start`` up to but not including ``until`` (None: open), as known at ``as_of``.

    The days are civil days in Shanghai; without ``as_of`` it is what is known now.
    """

    start: date
    until: date | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """What tells of each row, dearly, whether it belongs: a lateral join of the name ``alias``.

    ``beside`` makes it for ``table`` or for a subquery that has the columns ``needed``; ``joined``
    is ``table`` with all that the fields' SQL names but the check. A page puts rows in order first
    and checks them until it is full; the planner would check them all, and then sort.
    """

    alias: str
    table: FromClause
    joined: FromClause
    needed: tuple[str, ...]
    beside: Callable[[FromClause], FromClause]


@dataclass(frozen=True, slots=True, eq=False)
class Parents:
    """What is shown of many rows alike: those with the same values in the columns ``by``.

    ``near`` are the rows with all that is shown of each alone; ``around`` joins the rest, which has
    the aliases ``names``, to whatever has the columns ``by``. A page writes it once, not for each
    row.
    """

    by: tuple[ColumnClause[Any], ...]
    names: frozenset[str]
    near: FromClause
    around: Callable[[FromClause], FromClause]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Where the features of a collection are, for the days and the instant that are asked about.

    ``table`` is what finds them: cheap, with an index on the outline. ``shown`` is the same joined
    with all that the fields' SQL names besides; one row of it has each value of ``row``, which is
    also a column of ``table``. ``key`` is the feature's number, ``outline`` its geometry in degrees
    (EPSG:4326), possibly null. ``conditions`` hold for the collection as a whole. A ``check`` is
    part of both tables, and told apart for pages. ``parents`` are what ``shown`` has beside
    ``table``, where rows share it.
    """

    table: FromClause
    shown: FromClause
    row: ColumnElement[Any]
    key: ColumnElement[int]
    outline: ColumnElement[Any]
    conditions: tuple[ColumnElement[bool], ...] = ()
    check: Check | None = None
    parents: Parents | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """One kind of feature.

    ``rows`` says where they are. ``outside`` are the aliases that only ``Rows.shown`` has: a field
    whose SQL names one of them cannot be tested on ``Rows.table``. Of a ``temporal`` collection
    other days show other features; the rest match any day. Without a day asked about it shows
    today, or if ``onwards`` all days from today on. The features of an ``editable`` one may be
    drawn. Up to ``counted`` features are counted without being asked to; beyond that it is dear.
    """

    id: str
    title_zh: str
    title_en: str
    description: str
    fields: Mapping[str, Field]
    geometry: Geometry
    rows: Callable[[When], Rows] = field(repr=False)
    outside: frozenset[str] = frozenset()
    temporal: bool = False
    onwards: bool = False
    editable: bool = False
    counted: int = 10_000

    #: The fields that may be asked about, and sorted by.
    queryables: Mapping[str, Field] = field(init=False, repr=False)
    sortables: Mapping[str, Field] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort out the fields."""
        for name, wanted in (("queryables", "queryable"), ("sortables", "sortable")):
            chosen = {key: one for key, one in self.fields.items() if getattr(one, wanted)}
            object.__setattr__(self, name, chosen)

    def needs_outside(self, sql: str) -> bool:
        """Whether SQL of our own names a table that only ``Rows.shown`` has."""
        return names_any(sql, self.outside)


def names_any(sql: str, aliases: AbstractSet[str]) -> bool:
    """Whether SQL of our own names a table by one of these aliases."""
    return not aliases.isdisjoint(_aliases(sql))


def aliases_in(expression: ColumnElement[Any]) -> frozenset[str]:
    """The names of all tables that an expression is of."""
    found: set[str] = set()
    for part in visitors.iterate(expression):
        if isinstance(part, ColumnClause):
            if part.is_literal:
                found.update(_aliases(part.name))
            elif isinstance(part.table, NamedFromClause):
                found.add(part.table.name)
    return frozenset(found)


def _aliases(sql: str) -> list[str]:
    return re.findall(r"\b(\w+)\.", sql)


_KINDS: Mapping[type, Kind] = {
    bool: Kind.TRUTH,
    date: Kind.DAY,
    datetime: Kind.INSTANT,
    float: Kind.NUMBER,
    int: Kind.WHOLE,
    str: Kind.TEXT,
    UUID: Kind.ID,
}
#: The number of a feature is its id; a property of the same name would hide it in some tools.
_NO_PROPERTY = frozenset({"fid", "geometry"})


def declare_fields(columns: Columns, *models: type[BaseModel]) -> dict[str, Field]:
    """The fields that show these columns; the models say of which type they are."""
    types = {name: info.annotation for model in models for name, info in model.model_fields.items()}
    return {
        name: _field(name, sql, types[name])
        for name, sql in columns.items()
        if name not in _NO_PROPERTY
    }


def _field(name: str, sql: str, annotation: Any) -> Field:
    choices = get_args(annotation) or (annotation,)
    kind = next(_KINDS[one] for one in choices if one in _KINDS)
    title_zh, title_en = titles_of(name)
    return Field(
        name,
        sql,
        kind,
        title_zh,
        title_en,
        unit=unit_of(name) if kind in {Kind.NUMBER, Kind.WHOLE} else "",
        codes=CODES.get(name),
        joined=name in JOINED,
        sortable=kind is not Kind.ID,
        nullable=NoneType in choices,
    )
