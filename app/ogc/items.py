"""Features of a collection, page by page, as GeoJSON that PostgreSQL itself has written.

A page is one statement and comes as one text, which is passed on unread. Rows are found first, on
the cheapest table there is, and only those of the page are joined with what is shown of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    Select,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import LateralFromClause
from sqlalchemy.types import TypeEngine

from app.database.paging import Sort, after_row, decoded_cursor, encoded_cursor
from app.kernel.errors import InvalidInputError, NotFoundError
from app.ogc.asked import Parameters, Selection, read_selection
from app.ogc.collection import Collection, Rows
from app.ogc.crs import CRSES, STORAGE, Crs, crs_of, to_crs
from app.ogc.errors import bad_parameter
from app.ogc.fields import Field, Kind

#: Features a page, unless told, and at most: what is asked beyond that is clamped.
DEFAULT_LIMIT, MOST_ITEMS = 100, 10_000
#: What pages take beside what selects.
PAGE_PARAMETERS = frozenset(
    {"limit", "cursor", "crs", "properties", "skipGeometry", "sortby", "resultType", "f"}
    # As some write it.
    | {"resulttype"}
)
#: What a single feature takes.
ITEM_PARAMETERS = frozenset({"crs", "datetime", "as_of", "f"})
_FORMATS = frozenset({"json", "geojson"})
_MOST_DIGITS = 18

#: What stands for a value that is not known while its row is put behind those that are.
_NOTHING: Mapping[Kind, tuple[TypeEngine[Any], object]] = {
    Kind.TEXT: (Text(), ""),
    Kind.WHOLE: (BigInteger(), 0),
    Kind.NUMBER: (Float(), 0.0),
    Kind.TRUTH: (Integer(), 0),
    Kind.DAY: (Date(), date(1900, 1, 1)),
    Kind.INSTANT: (DateTime(timezone=True), datetime.fromisoformat("1900-01-01T00:00:00Z")),
}

#: Kinds whose column has another type in the table than their values are compared with here.
_CAST = frozenset({Kind.WHOLE, Kind.NUMBER, Kind.TRUTH})


@dataclass(frozen=True, slots=True)
class Shape:
    """How features are to be shown, and which page of them."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    crs: Crs = STORAGE
    fields: tuple[Field, ...] = ()
    outline: bool = True
    order: tuple[Sort, ...] = ()
    #: Only how many there are.
    hits: bool = False
    #: What was asked of the order, in words.
    sortby: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A page: the features as JSON text, apart by commas; how many; where the next page begins.

    ``matched`` are all that the selection has, where they were counted.
    """

    features: str
    returned: int
    matched: int | None
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One feature as JSON text, and a tag that changes with it, in whatever system it is shown."""

    feature: str
    tag: str


def read_items(
    collection: Collection,
    parameters: Parameters,
    *,
    now: datetime,
    known: Mapping[str, Crs] = CRSES,
) -> tuple[Selection, Shape]:
    """The features that query parameters ask for, and how they are to be shown.

    Raises:
        BadParameterError: one is unknown or cannot be read.
    """
    selection = read_selection(collection, parameters, now=now, also=PAGE_PARAMETERS, known=known)
    given = dict(parameters)
    _require_format(given.get("f"))
    result_type = given.get("resultType", given.get("resulttype", "results"))
    if result_type not in {"results", "hits"}:
        raise bad_parameter("resultType", "results or hits", "应为 results 或 hits")
    skipped = given.get("skipGeometry", "false")
    if skipped not in {"true", "false"}:
        raise bad_parameter("skipGeometry", "true or false", "应为 true 或 false")
    sortby = given.get("sortby", "")
    return selection, Shape(
        limit=_limit(given.get("limit")),
        cursor=given.get("cursor"),
        crs=crs_of(given["crs"], known) if "crs" in given else STORAGE,
        fields=_fields(collection, given.get("properties")),
        outline=skipped == "false",
        order=_order(collection, selection.rows, sortby),
        hits=result_type == "hits",
        sortby=sortby,
    )


def read_item(
    collection: Collection,
    fid: str,
    parameters: Parameters,
    *,
    now: datetime,
    known: Mapping[str, Crs] = CRSES,
) -> tuple[Selection, Shape]:
    """The one feature that has this number, and how it is to be shown.

    Raises:
        BadParameterError: a parameter is unknown or cannot be read.
        NotFoundError: no feature could have this number.
    """
    taken = ITEM_PARAMETERS if collection.temporal else ITEM_PARAMETERS - {"datetime", "as_of"}
    for name, _value in parameters:
        if name not in taken:
            listed = ", ".join(sorted(taken))
            raise bad_parameter(
                name[:100],
                f"there is no such parameter; there are {listed}",
                f"没有此参数，可用的有 {listed}",
            )
    selection = read_selection(collection, parameters, now=now, also=ITEM_PARAMETERS, known=known)
    given = dict(parameters)
    _require_format(given.get("f"))
    number = int(fid) if fid.isdecimal() and fid.isascii() and len(fid) <= _MOST_DIGITS else -1
    if number < 0:
        raise _no_feature(collection, fid)
    crs = crs_of(given["crs"], known) if "crs" in given else STORAGE
    return (
        selection.where(selection.rows.key == literal(number, BigInteger)),
        Shape(crs=crs, fields=tuple(collection.fields.values())),
    )


def fetch_items(session: Session, selection: Selection, shape: Shape) -> Items:
    """One page of a selection, or only how many there are.

    Raises:
        BadParameterError: the cursor is not of this selection in this order.
    """
    if shape.hits:
        count = session.execute(selection.select(func.count())).scalar_one()
        return Items("", 0, count, None)
    row = session.execute(page_statement(selection, shape)).one()
    features, found, matched, *last = row
    more = found > shape.limit
    whole = not more and shape.cursor is None
    return Items(
        features=features or "",
        returned=min(found, shape.limit),
        matched=found if whole else matched,
        cursor=encoded_cursor(last, _scope(selection, shape)) if more else None,
    )


def page_statement(selection: Selection, shape: Shape) -> Select[Any]:
    """The one statement behind a page.

    One row: the features as text, how many were found (one more than ``limit`` if there are more),
    all that match if they were counted, and the values of the order in the last row of the page.

    Raises:
        BadParameterError: the cursor is not of this selection in this order.
    """
    order = shape.order or (Sort(selection.rows.key),)
    sorts = [sort.expression.label(f"sort_{place}") for place, sort in enumerate(order)]
    columns = (selection.rows.row.label("row"), *sorts)
    further = selection
    if shape.cursor is not None:
        scope = _scope(selection, shape)
        try:
            values = decoded_cursor(shape.cursor, scope, order)
        except InvalidInputError as error:
            raise bad_parameter(
                "cursor",
                "take it from the `next` link of the page before, with the same parameters",
                "须取自上一页的 next 链接，且其他参数不变",
            ) from error
        further = selection.where(after_row(order, values))

    def first(some: Select[Any], by: Sequence[ColumnElement[Any]]) -> Select[Any]:
        ways = [
            one.desc() if sort.descending else one.asc()
            for one, sort in zip(by, order, strict=True)
        ]
        return some.order_by(*ways).limit(shape.limit + 1)

    found = first(further.select(*columns), [sort.expression for sort in order])
    matched: ColumnElement[Any] = literal_column("NULL", Integer)
    most = selection.collection.counted
    if shape.cursor is None and most:
        counted = selection.select(*columns).limit(most + 1).cte("counted")
        counted = counted.prefix_with("MATERIALIZED")
        matched = select(func.count()).select_from(counted).scalar_subquery()
        few = first(select(counted).where(matched <= most), [counted.c[one.name] for one in sorts])
        many = found.where(matched > most)
        found = select(union_all(few.subquery().select(), many.subquery().select()).subquery())
        matched = func.nullif(matched, most + 1)
    page = found.subquery("page")
    by = [
        page.c[one.name].desc() if sort.descending else page.c[one.name].asc()
        for one, sort in zip(sorts, order, strict=True)
    ]
    place = func.row_number().over(order_by=by)
    numbered = select(*page.c, place.label("place")).subquery("numbered")
    shown = _shown(selection, shape, numbered.c.row)
    texts = func.string_agg(shown.c.feature, literal_column("','", Text))
    last = numbered.c.place == shape.limit
    return select(
        texts.aggregate_order_by(numbered.c.place),
        func.count(),
        matched,
        *(func.max(numbered.c[one.name]).filter(last) for one in sorts),
    ).select_from(numbered.outerjoin(shown, numbered.c.place <= shape.limit))


def fetch_item(session: Session, selection: Selection, shape: Shape) -> Item:
    """The one feature of a selection of one.

    Raises:
        NotFoundError: there is none.
    """
    rows = selection.rows
    stored = _feature(rows, Shape(fields=shape.fields))
    shown = _feature(rows, shape)
    row = session.execute(
        selection.select(shown.label("feature"), func.md5(stored).label("tag")).limit(1)
    ).one_or_none()
    if row is None:
        raise _no_feature(selection.collection, "of this number")
    return Item(row.feature, row.tag)


def _shown(selection: Selection, shape: Shape, row: ColumnElement[Any]) -> LateralFromClause:
    """The feature of a row of the page, as text."""
    rows = selection.rows
    feature = _feature(rows, shape).label("feature")
    source = rows.shown if _all_needed(selection.collection, shape) else rows.table
    # The planner is told that there is one: it would expect thousands in the view of units, and
    # read whole tables of floors and buildings to show a hundred.
    found = select(feature).select_from(source).where(rows.row == row)
    return found.limit(1).lateral("shown")


def _all_needed(collection: Collection, shape: Shape) -> bool:
    return any(collection.needs_outside(field.sql) for field in shape.fields)


def _feature(rows: Rows, shape: Shape) -> ColumnElement[str]:
    """A feature as JSON text. What is put together here was written as JSON by PostgreSQL."""
    members = ", ".join(f'{field.sql} AS "{field.name}"' for field in shape.fields)
    properties = "'{}'"
    if members:
        properties = f"(SELECT row_to_json(r)::text FROM (SELECT {members}) r)"  # noqa: S608
    geometry: ColumnElement[Any] = literal_column("'null'", Text)
    if shape.outline:
        # RFC 7946 wants outer rings counter-clockwise.
        outline = to_crs(func.ST_ForcePolygonCCW(rows.outline), shape.crs)
        geometry = func.coalesce(func.ST_AsGeoJSON(outline, shape.crs.decimals, 0), geometry)
    return (
        literal_column("""'{"type":"Feature","id":'""", Text)
        + cast(rows.key, Text)
        + literal_column("""',"geometry":'""", Text)
        + geometry
        + literal_column(f"""',"properties":' || {properties} || '}}'""", Text)
    )


def _scope(selection: Selection, shape: Shape) -> str:
    return f"{selection.collection.id} {selection.asked} {shape.sortby}"


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    number = int(text) if text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS else 0
    if number < 1:
        raise bad_parameter(
            "limit",
            f"a whole number from 1 on; more than {MOST_ITEMS} count as {MOST_ITEMS}",
            f"应为不小于 1 的整数，大于 {MOST_ITEMS} 时按 {MOST_ITEMS} 计",
        )
    return min(number, MOST_ITEMS)


def _fields(collection: Collection, text: str | None) -> tuple[Field, ...]:
    if text is None:
        return tuple(collection.fields.values())
    names = dict.fromkeys(filter(None, text.split(",")))
    return tuple(_named("properties", collection.fields, name) for name in names)


def _order(collection: Collection, rows: Rows, text: str) -> tuple[Sort, ...]:
    sorts: list[Sort] = []
    for part in filter(None, text.split(",")):
        descending = part.startswith("-")
        # A plus sign comes as a space, unless it was escaped.
        name = part[1:] if part[0] in "+- " else part
        field = _named("sortby", collection.sortables, name)
        sorts += _sorts(field, descending=descending)
    return (*sorts, Sort(rows.key))


def _sorts(field: Field, *, descending: bool) -> list[Sort]:
    """The order by a field; what is not known comes last, whichever way."""
    kind, nothing = _NOTHING[field.kind]
    value = cast(field.expression, kind) if field.kind in _CAST else field.expression
    if not field.nullable:
        return [Sort(value, descending=descending)]
    unknown = case((field.expression.is_(None), 1), else_=0)
    return [
        Sort(unknown),
        Sort(func.coalesce(value, literal(nothing, kind), type_=kind), descending=descending),
    ]


def _named(parameter: str, fields: Mapping[str, Field], name: str) -> Field:
    found = fields.get(name)
    if found is None:
        listed = ", ".join(fields)
        raise bad_parameter(
            parameter,
            f"there is no such property; there are {listed}",
            f"没有此属性，可用的有 {listed}",
        )
    return found


def _require_format(asked: str | None) -> None:
    if asked is not None and asked not in _FORMATS:
        raise bad_parameter("f", "json or geojson", "应为 json 或 geojson")


def _no_feature(collection: Collection, fid: str) -> NotFoundError:
    shown = fid.replace("\0", "")[:100]
    return NotFoundError(
        f"{collection.id} has no feature {shown}", detail_zh=f"图层 {collection.id} 中没有该要素"
    )
