"""Features of a collection, page by page, as GeoJSON that PostgreSQL itself has written.

The features of a page come as one text, which is passed on unread. Its rows are found first, on the
cheapest table there is, by a statement that is planned for what is asked; what is shown of them is
joined by another, which is the same for all pages and planned once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Float,
    FromClause,
    Integer,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, Grouping, KeyedColumnElement
from sqlalchemy.types import TypeEngine

from app.database.engine import AS_BYTES
from app.database.paging import Sort, after_row, decoded_cursor, encoded_cursor
from app.database.rendering import Sql, rendered, type_text
from app.kernel.errors import InvalidInputError, NotFoundError
from app.ogc.asked import Parameters, Selection, read_selection
from app.ogc.collection import Check, Collection, Rows, aliases_in, names_any
from app.ogc.crs import CRSES, STORAGE, Crs, asked_crs, to_crs
from app.ogc.errors import bad_parameter, no_such_parameter
from app.ogc.fields import Field, Kind
from app.ogc.kept_features import Kept, KeptFeatures

#: Features a page, unless told, and at most: what is asked beyond that is clamped.
DEFAULT_LIMIT, MOST_ITEMS = 100, 10_000
#: What pages take beside what selects.
PAGE_PARAMETERS = frozenset(
    {"limit", "cursor", "crs", "properties", "skipGeometry", "sortby", "resultType", "f"}
    # As some write it.
    | {"resulttype"}
)
#: What a single feature takes.
ITEM_PARAMETERS = frozenset({"crs", "datum", "datetime", "as_of", "f"})
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

#: Has what comes later in the transaction planned once a connection, not for each question.
_PLANNED_ONCE = "set_config('plan_cache_mode', 'force_generic_plan', true)"
#: What the statement saw of others; null where its own transaction has written something.
_SEEN = "CASE WHEN pg_current_xact_id_if_assigned() IS NULL THEN pg_current_snapshot()::text END"
#: Stands between features, and in none of them: JSON as PostgreSQL writes it here has no line ends.
APART = b",\n"
_APART_SQL = "E',\\n'"
#: For what is sought in a box, in its transaction. Kind and size of space go together, which the
#: planner does not know: it would read a hundred thousand entries of their index, and intersect
#: them with the few thousand in the box, where testing those takes a third of the time.
BY_PLACE_ALONE = "SET LOCAL enable_bitmapscan = off"
#: Rows that are put in order before they are checked.
_GATHERED = 10_000
#: Where the caller's conditions, and that few rows were found, are put into texts that are kept.
_ASKED, _FEW = "{asked}", "{few}"
#: Kinds whose column has another type in the table than their values are compared with here.
_CAST = frozenset({Kind.WHOLE, Kind.NUMBER, Kind.TRUTH})


@dataclass(frozen=True, slots=True)
class Shape:
    """How features are to be shown, and which page of them."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    crs: Crs = STORAGE
    #: None: all of them.
    properties: tuple[str, ...] | None = None
    outline: bool = True
    #: Names of properties apart by commas; the number of the feature comes last in every order.
    sortby: str = ""
    #: Only how many there are.
    hits: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A page: the features as JSON in UTF-8, ``APART``; how many; where the next one begins.

    ``matched`` are all that the selection has, where they were counted.
    """

    features: bytes
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
    return selection, Shape(
        limit=_limit(given.get("limit")),
        cursor=given.get("cursor"),
        crs=asked_crs(given, "crs", known),
        properties=_properties(collection, given.get("properties")),
        outline=skipped == "false",
        sortby=_sortby(collection, given.get("sortby", "")),
        hits=result_type == "hits",
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
            raise no_such_parameter(name, taken)
    selection = read_selection(collection, parameters, now=now, also=ITEM_PARAMETERS, known=known)
    given = dict(parameters)
    _require_format(given.get("f"))
    number = int(fid) if fid.isdecimal() and fid.isascii() and len(fid) <= _MOST_DIGITS else -1
    if number < 0:
        raise _no_feature(collection, fid)
    crs = asked_crs(given, "crs", known)
    return (
        selection.where(selection.rows.key == literal(number, BigInteger)),
        Shape(crs=crs),
    )


def fetch_items(
    session: Session, selection: Selection, shape: Shape, kept: KeptFeatures | None = None
) -> Items:
    """One page of a selection, or only how many there are.

    What is ``kept`` of its features is not written anew.

    Raises:
        BadParameterError: the cursor is not of this selection in this order.
    """
    if shape.hits:
        count = session.execute(selection.select(func.count())).scalar_one()
        return Items(b"", 0, count, None)
    connection = session.connection()
    most = _gathered(selection, shape)
    if selection.boxed:
        connection.exec_driver_sql(BY_PLACE_ALONE)
    find = find_statement(selection, shape, counting=most > 0)
    found_rows = connection.exec_driver_sql(find.text, dict(find.values))
    page, found, matched, seen, instant, *last, _ = found_rows.one()
    if most and matched > most:
        # Too many to count, or to put in order by hand: an index may know which come first.
        find = find_statement(selection, shape, counting=False)
        found_rows = connection.exec_driver_sql(find.text, dict(find.values))
        page, found, matched, seen, instant, *last, _ = found_rows.one()
    if not page:
        return Items(b"", 0, 0 if shape.cursor is None else None, None)
    # What a transaction has itself written, others do not see: it is then told no snapshot.
    if kept is None or seen is None:
        features, returned = _written(session, selection, shape, page)
    else:
        current = kept.current(session, seen, instant)
        features, returned = _kept_or_written(session, selection, shape, page, current)
    more = found > shape.limit
    whole = not more and shape.cursor is None
    return Items(
        features=features,
        returned=returned,
        matched=found if whole else matched if selection.collection.counted else None,
        cursor=encoded_cursor(last, _scope(selection, shape)) if more else None,
    )


def _written(session: Session, selection: Selection, shape: Shape, page: str) -> tuple[bytes, int]:
    """The features of a page as the database writes them now, and how many there still are."""
    show = show_statement(selection, shape, page)
    connection = session.connection()
    shown = connection.exec_driver_sql(show.text, dict(show.values), execution_options=AS_BYTES)
    features, returned = shown.one()
    return features or b"", returned


def _kept_or_written(
    session: Session, selection: Selection, shape: Shape, page: str, kept: Kept
) -> tuple[bytes, int]:
    """The same, where only what is not kept is written."""
    rows = page[1:-1].split(",")
    way = (selection.collection.id, selection.when, shape.properties, shape.outline, shape.crs)
    features = kept.find(way, rows)
    missing = [row for row, feature in zip(rows, features, strict=True) if feature is None]
    if missing:
        text, returned = _written(session, selection, shape, f"{{{','.join(missing)}}}")
        if returned < len(missing):
            # Some are gone since they were found, and which of them the text does not tell.
            return _written(session, selection, shape, page)
        written = text.split(APART)
        kept.keep(way, dict(zip(missing, written, strict=True)))
        fresh = iter(written)
        return APART.join(next(fresh) if one is None else one for one in features), len(rows)
    return APART.join(filter(None, features)), len(rows)


def find_statement(selection: Selection, shape: Shape, *, counting: bool) -> Sql:
    """The statement that finds the rows of a page, as it is sent: our own text, values bound.

    One row: the page's rows in order (as PostgreSQL writes an array), how many were found (one more
    than ``limit`` if there are more), how many match, the snapshot and the instant of the
    statement, the values of the order in the last row of the page, and a word. It is planned for
    what is asked; what comes after it in its transaction is not.

    Where ``counting``, rows are gathered first, up to a number. What is counted is then also what
    the page is taken of, so that it costs one search and not two; one more than that number says
    that there are more, and that the page is not the right one. What must be checked is gathered
    unchecked, put in order, and checked until the page is full. Else nobody knows how many match.

    Raises:
        BadParameterError: the cursor is not of this selection in this order.
    """
    collection, rows = selection.collection, selection.rows
    order = _order(collection, rows, shape.sortby)
    conditions = list(selection.conditions)
    if shape.cursor is not None:
        conditions.append(_after(selection, shape, order))
    ways = ", ".join(
        f"sort_{place}{' DESC' if sort.descending else ''}" for place, sort in enumerate(order)
    )
    first = f"ORDER BY {ways} LIMIT %(limit)s + 1"
    check = rows.check if counting else None
    apart = None if check is None else _apart(check, order, conditions)
    if apart is None:
        check = None
    before, after = apart or (tuple(conditions), ())
    outside = any(
        not collection.outside.isdisjoint(aliases_in(one))
        for one in (*before, *(sort.expression for sort in order))
    )
    find = _find_sql(collection, rows, shape.sortby, outside, check)
    asked = rendered(and_(true(), *before), "asked_")
    sought = find.text.replace(_ASKED, asked.text)
    values: dict[str, Any] = {**find.values, **asked.values, "limit": shape.limit}
    if counting:
        matched = "(SELECT count(*) FROM found)"
        taken = "SELECT * FROM found"
        if check is not None:
            checked = _check_sql(collection, rows, shape.sortby, check)
            then = rendered(and_(true(), *after), "then_")
            taken = checked.text.replace(_FEW, f"{matched} <= %(most)s").replace(_ASKED, then.text)
            values |= {**checked.values, **then.values}
        values["most"] = _gathered(selection, shape)
        page = f"found AS MATERIALIZED ({sought} LIMIT %(most)s + 1), page AS ({taken} {first})"
        mode = f"CASE WHEN {matched} <= %(most)s THEN {_PLANNED_ONCE} END"
    else:
        page = f"page AS ({sought} {first})"
        matched, mode = "NULL::bigint", _PLANNED_ONCE
    on_page = "FILTER (WHERE place <= %(limit)s)"
    last = ", ".join(
        f"max(sort_{place}) FILTER (WHERE place = %(limit)s)" for place in range(len(order))
    )
    return Sql(
        f"WITH {page} SELECT (array_agg(numbered.row ORDER BY place) {on_page})::text, count(*),"  # noqa: S608
        f" {matched}, {_SEEN}, statement_timestamp(), {last}, {mode}"
        f" FROM (SELECT page.*, row_number() OVER (ORDER BY {ways}) AS place FROM page) numbered",
        values,
    )


def show_statement(selection: Selection, shape: Shape, page: str) -> Sql:
    """The statement that shows these rows, as it is sent: features as text, and how many.

    Its text says nothing of what was asked. So the driver prepares it once a connection, and to
    plan it anew for each page would take longer than to run it.
    """
    rows = selection.rows
    shown = _shown_sql(selection.collection, rows, shape.properties, shape.outline, shape.crs)
    return Sql(shown.text, {**shown.values, "page": page})


def fetch_item(session: Session, selection: Selection, shape: Shape) -> Item:
    """The one feature of a selection of one.

    Raises:
        NotFoundError: there is none.
    """
    rows = selection.rows
    fields = tuple(selection.collection.fields.values())
    stored = feature_text(rows, fields, STORAGE)
    shown = feature_text(rows, fields, shape.crs)
    row = session.execute(
        selection.select(shown.label("feature"), func.md5(stored).label("tag")).limit(1)
    ).one_or_none()
    if row is None:
        raise _no_feature(selection.collection, "of this number")
    return Item(row.feature, row.tag)


def _gathered(selection: Selection, shape: Shape) -> int:
    """How many rows at most are gathered before they are put in order; 0: none are."""
    if selection.rows.check is not None:
        # Of all rows an index knows which come first.
        return _GATHERED if selection.conditions else 0
    return selection.collection.counted if shape.cursor is None else 0


def _apart(
    check: Check, order: Sequence[Sort], conditions: Iterable[ColumnElement[bool]]
) -> tuple[tuple[ColumnElement[bool], ...], tuple[ColumnElement[bool], ...]] | None:
    """The conditions on the rows themselves, and those on what the check tells.

    None: one mixes them, or the order is of what the check tells; then all must be checked.
    """
    of_check = frozenset({check.alias})
    before, after = [], []
    for one in _flat(conditions):
        aliases = aliases_in(one)
        if aliases.isdisjoint(of_check):
            before.append(one)
        elif aliases == of_check:
            after.append(one)
        else:
            return None
    if any(not aliases_in(sort.expression).isdisjoint(of_check) for sort in order):
        return None
    return tuple(before), tuple(after)


def _flat(conditions: Iterable[ColumnElement[bool]]) -> Iterator[ColumnElement[bool]]:
    """Conditions that all must hold, one by one."""
    for one in conditions:
        inner = one.element if isinstance(one, Grouping) else one
        if isinstance(inner, BooleanClauseList) and inner.operator is operators.and_:
            yield from _flat(inner.clauses)
        else:
            yield one


# What of a page does not depend on the caller's own words is rendered once and kept.
@lru_cache(maxsize=256)
def _find_sql(
    collection: Collection, rows: Rows, sortby: str, outside: bool, check: Check | None
) -> Sql:
    """What finds rows, with a place for the caller's conditions; unchecked, if there is a check."""
    columns = _columns(collection, rows, sortby)
    source = rows.shown if outside else rows.table
    if check is not None:
        source = check.joined if outside else check.table
        columns += [check.table.c[name] for name in check.needed]
    asked = literal_column(_ASKED, Boolean)
    return rendered(select(*columns).select_from(source).where(*rows.conditions, asked), "find_")


@lru_cache(maxsize=256)
def _check_sql(collection: Collection, rows: Rows, sortby: str, check: Check) -> Sql:
    """What checks, in order, the rows that were found, with places for conditions."""
    columns = _columns(collection, rows, sortby)
    needed = [check.table.c[name] for name in check.needed]
    found = table("found", *(column(one.name, one.type) for one in (*columns, *needed)))
    order = zip(columns[1:], _order(collection, rows, sortby), strict=True)
    ways = [
        found.c[one.name].desc() if sort.descending else found.c[one.name] for one, sort in order
    ]
    few = select(found).where(literal_column(_FEW, Boolean)).order_by(*ways).subquery("in_order")
    return rendered(
        select(*(few.c[one.name] for one in columns))
        .select_from(few.join(check.beside(few), true()))
        .where(literal_column(_ASKED, Boolean)),
        "check_",
    )


def _columns(collection: Collection, rows: Rows, sortby: str) -> list[KeyedColumnElement[Any]]:
    """What is found of a row: what tells it apart, and what it is sorted by."""
    order = _order(collection, rows, sortby)
    sorts = [sort.expression.label(f"sort_{place}") for place, sort in enumerate(order)]
    return [rows.row.label("row"), *sorts]


@lru_cache(maxsize=256)
def _shown_sql(
    collection: Collection,
    rows: Rows,
    properties: tuple[str, ...] | None,
    outline: bool,
    crs: Crs,
) -> Sql:
    """The features of the rows of a page as one text in their order, and how many.

    What rows have of their parents, many have alike, and it is written once: of a thousand units
    a third of the time would go into the names of sixty buildings.

    The planner is told that there is one row of each: it would expect thousands in the view of
    units, and read whole tables of floors and buildings to show a hundred.
    """
    names = tuple(collection.fields) if properties is None else properties
    fields = [collection.fields[name] for name in names]
    crs_shown = crs if outline else None
    parents = rows.parents
    of_parents = [] if parents is None else [f for f in fields if names_any(f.sql, parents.names)]
    own = [one for one in fields if one not in of_parents]
    outside = any(collection.needs_outside(one.sql) for one in own)
    if parents is None or not of_parents:
        source = rows.shown if outside else rows.table
        page = _of_page(rows, source, feature_text(rows, fields, crs_shown))
        return Sql(
            f"SELECT string_agg(feature, {_APART_SQL} ORDER BY place), count(*)"  # noqa: S608
            f" FROM ({page.text}) page",
            page.values,
        )
    start, end = _feature_halves(rows, own, of_parents, crs_shown)
    page = _of_page(rows, parents.near if outside else rows.table, start, *parents.by)
    alike = table("alike", *(column(one.name, one.type) for one in parents.by))
    around = rendered(
        select(*alike.c, end.label("ending")).select_from(parents.around(alike)), "around_"
    )
    listed = ", ".join(one.name for one in parents.by)
    return Sql(
        f"WITH page AS ({page.text}), alike AS (SELECT DISTINCT {listed} FROM page),"  # noqa: S608
        f" around AS MATERIALIZED ({around.text})"
        f" SELECT string_agg(feature || ending, {_APART_SQL} ORDER BY place), count(*)"
        f" FROM page JOIN around USING ({listed})",
        {**page.values, **around.values},
    )


def _of_page(
    rows: Rows, source: FromClause, feature: ColumnElement[str], *more: ColumnElement[Any]
) -> Sql:
    """The rows of the page with their places, each as ``feature``."""
    one = rendered(
        select(feature.label("feature"), *more)
        .select_from(source)
        .where(rows.row == literal_column("numbered.row", rows.row.type))
        .limit(1),
        "shown_",
    )
    return Sql(
        f"SELECT numbered.place, one.* FROM unnest(%(page)s::{type_text(rows.row.type)}[])"  # noqa: S608
        f" WITH ORDINALITY AS numbered(row, place) CROSS JOIN LATERAL ({one.text}) one",
        one.values,
    )


def feature_text(rows: Rows, fields: Sequence[Field], crs: Crs | None) -> ColumnElement[str]:
    """A feature as JSON text, without its outline if ``crs`` is None.

    What is put together here was written as JSON by PostgreSQL.
    """
    return _feature_start(rows, crs) + _members(fields) + literal_column("'}'", Text)


def _feature_halves(
    rows: Rows, own: Sequence[Field], of_parents: Sequence[Field], crs: Crs | None
) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """A feature up to what it has of its parents, and from there on."""
    start, end = _feature_start(rows, crs), _members(of_parents)
    if own:
        start += func.left(_members(own), -1)
        end = literal_column("','", Text) + func.substr(end, 2)
    return start, end + literal_column("'}'", Text)


def _feature_start(rows: Rows, crs: Crs | None) -> ColumnElement[str]:
    geometry: ColumnElement[Any] = literal_column("'null'", Text)
    if crs is not None:
        # RFC 7946 wants outer rings counter-clockwise.
        outline = to_crs(func.ST_ForcePolygonCCW(rows.outline), crs)
        geometry = func.coalesce(func.ST_AsGeoJSON(outline, crs.decimals, 0), geometry)
    return (
        literal_column("""'{"type":"Feature","id":'""", Text)
        + cast(rows.key, Text)
        + literal_column("""',"geometry":'""", Text)
        + geometry
        + literal_column("""',"properties":'""", Text)
    )


def _members(fields: Sequence[Field]) -> ColumnElement[str]:
    """The fields as a JSON object."""
    listed = ", ".join(f'{field.shown} AS "{field.name}"' for field in fields)
    if not listed:
        return literal_column("'{}'", Text)
    return literal_column(f"(SELECT row_to_json(r)::text FROM (SELECT {listed}) r)", Text)  # noqa: S608


def _after(selection: Selection, shape: Shape, order: Sequence[Sort]) -> ColumnElement[bool]:
    """That a row comes after the last one of the page before."""
    try:
        values = decoded_cursor(shape.cursor or "", _scope(selection, shape), order)
    except InvalidInputError as error:
        raise bad_parameter(
            "cursor",
            "take it from the `next` link of the page before, with the same parameters",
            "须取自上一页的 next 链接，且其他参数不变",
        ) from error
    return after_row(order, values)


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


def _properties(collection: Collection, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = dict.fromkeys(filter(None, text.split(",")))
    return tuple(_named("properties", collection.fields, name).name for name in names)


def _sortby(collection: Collection, text: str) -> str:
    """The names that are sorted by, each known and once, those with ``-`` descending."""
    ways: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        # A plus sign comes as a space, unless it was escaped.
        name = part[1:] if part[0] in "+- " else part
        ways.setdefault(_named("sortby", collection.sortables, name).name, part[0])
    return ",".join(f"-{name}" if way == "-" else name for name, way in ways.items())


@lru_cache(maxsize=256)
def _order(collection: Collection, rows: Rows, sortby: str) -> tuple[Sort, ...]:
    sorts: list[Sort] = []
    for part in filter(None, sortby.split(",")):
        field = collection.sortables[part.removeprefix("-")]
        sorts += _sorts(field, descending=part.startswith("-"))
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
