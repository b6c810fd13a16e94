"""What a caller asks of a collection: from query parameters to conditions.

Items, counts, single features, tiles and downloads all read their parameters here, so that the same
words always mean the same features.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Self

from sqlalchemy import ColumnElement, Select, select

from app.inventory.known import NOT_YET_KNOWN, is_future
from app.kernel.clock import civil_day
from app.ogc.collection import Collection, Rows, When, aliases_in
from app.ogc.cql2.compiler import compile_filter, require_language
from app.ogc.cql2.values import equals
from app.ogc.crs import CRSES, Crs, asked_crs, meets, read_box
from app.ogc.errors import bad_parameter, no_such_parameter

#: What every selection takes beside the collection's own properties.
PARAMETERS = frozenset(
    {"bbox", "bbox-crs", "datetime", "datum", "filter", "filter-lang", "filter-crs"}
)
#: Days that can be counted on without overflow.
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)
#: Which of a park is looked at, by a whole map: GIS tools repeat these, given behind the address.
VIEW = ("datetime", "as_of", "level")
_OPEN = frozenset({"", ".."})

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Some features of a collection.

    ``asked`` says in words which: what was asked in the same words has the same features. They may
    all be in a box (``boxed``).
    """

    collection: Collection
    when: When
    rows: Rows
    conditions: tuple[ColumnElement[bool], ...] = ()
    asked: str = ""
    boxed: bool = False

    @classmethod
    def of(cls, collection: Collection, when: When) -> Self:
        """All features there are then."""
        return cls(collection, when, collection.rows(when))

    def where(self, *conditions: ColumnElement[bool]) -> "Selection":
        """Those of them that meet further conditions."""
        return replace(self, conditions=(*self.conditions, *conditions))

    @property
    def days(self) -> str:
        """The days as ``datetime`` names them, so that a later question can ask for the same."""
        first, until = self.when.start, self.when.until
        if until is None:
            return f"{first}/.."
        last = until - timedelta(days=1)
        return f"{first}" if first == last else f"{first}/{last}"

    def select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """The SELECT of these columns, in no order; from all that is joined only where needed."""
        source = self.rows.shown if self.needs_outside(*columns) else self.rows.table
        return select(*columns).select_from(source).where(*self.rows.conditions, *self.conditions)

    def needs_outside(self, *expressions: ColumnElement[Any]) -> bool:
        """Whether any of these, or of the conditions, is of what only ``rows.shown`` has."""
        named = (*expressions, *self.conditions)
        return any(not self.collection.outside.isdisjoint(aliases_in(one)) for one in named)


def read_selection(
    collection: Collection,
    parameters: Parameters,
    *,
    now: datetime,
    also: AbstractSet[str] = frozenset(),
    known: Mapping[str, Crs] = CRSES,
) -> Selection:
    """The features that query parameters ask for.

    Args:
        collection: of what.
        parameters: name and value of each, as they came.
        now: the present instant.
        also: further names that the caller of this function reads.
        known: the coordinate reference systems that are offered, by their URI.

    Raises:
        BadParameterError: one is unknown, given twice, or cannot be read.
    """
    given = _given(collection, parameters, also)
    when = _when(collection, given, now)
    rows = collection.rows(when)
    conditions = [
        *_in_box(given, rows, known),
        *_filtered(collection, given, rows, known),
        *_equal(collection, given),
    ]
    asked = sorted(
        (name, value) for name, value in given.items() if name not in also | {"datetime"}
    )
    return Selection(
        collection, when, rows, tuple(conditions), repr((asked, when)), boxed="bbox" in given
    )


def _given(
    collection: Collection, parameters: Parameters, also: AbstractSet[str]
) -> dict[str, str]:
    taken = names_taken(collection)
    given: dict[str, str] = {}
    for name, value in parameters:
        if name not in taken and name not in also:
            properties = collection.queryables.keys()
            raise no_such_parameter(name, (taken | also) - properties, properties)
        if name in given:
            raise bad_parameter(name, "given more than once", "重复给出")
        if "\0" in value:
            raise bad_parameter(name, "has a NUL character", "含有空字符")
        given[name] = value
    return given


@cache
def names_taken(collection: Collection) -> frozenset[str]:
    """The names of all parameters that a selection of the collection takes."""
    names = PARAMETERS | frozenset(collection.queryables)
    if collection.temporal:
        names |= {"as_of"}
    if "level_index" in collection.fields:
        names |= {"level"}
    return names


def _when(collection: Collection, given: Mapping[str, str], now: datetime) -> When:
    as_of = _as_of(given.get("as_of"), now)
    today = civil_day(as_of or now)
    text = given.get("datetime")
    if text is not None:
        start, until = read_days(text)
        return When(start or _FIRST_DAY, until, as_of)
    return When(today, None if collection.onwards else today + timedelta(days=1), as_of)


def require_view(collection: Collection, name: str, value: str, now: datetime) -> None:
    """Refuse a day, an instant or a level that no features of the collection could be asked for.

    Raises:
        BadParameterError: it cannot be read.
    """
    match name:
        case "datetime":
            read_days(value)
        case "as_of":
            _as_of(value, now)
        case _:
            _equal(collection, {name: value})


def _as_of(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    instant = _instant("as_of", text)
    if is_future(instant, now):
        raise bad_parameter("as_of", NOT_YET_KNOWN, "不得晚于当前时刻")
    return instant


def read_days(text: str) -> tuple[date | None, date | None]:
    """From the first day (None: open) up to but not including the last (None: open).

    Raises:
        BadParameterError: it is no ``datetime`` of OGC API Features.
    """
    ends = text.split("/")
    if len(ends) == 1:
        day = _day(ends[0])
        return day, day + timedelta(days=1)
    if len(ends) != 2:  # noqa: PLR2004  (an interval has two ends)
        raise _not_a_time()
    first, last = (None if end in _OPEN else _day(end) for end in ends)
    if first is not None and last is not None and first > last:
        raise bad_parameter("datetime", "the earlier end comes first", "起始时间不得晚于结束时间")
    return first, None if last is None else last + timedelta(days=1)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text) if len(text) == len("2027-03-01") else None
    except ValueError:
        raise _not_a_time() from None
    if day is None:
        day = civil_day(_instant("datetime", text))
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise bad_parameter("datetime", "from the year 1900 to 2999", "年份应在 1900 至 2999 之间")
    return day


def _instant(name: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or "T" not in text.upper():
        raise _not_a_time(name)
    return instant


def _not_a_time(name: str = "datetime") -> Exception:
    if name != "datetime":
        return bad_parameter(
            name,
            "an instant with its time zone, as 2026-11-23T08:00:00Z",
            "应为带时区的时刻，如 2026-11-23T08:00:00Z",
        )
    return bad_parameter(
        name,
        "a day (2027-03-01), an instant (2027-03-01T08:00:00Z), or two of them apart by a slash;"
        " `..` is an open end",
        "应为日期（2027-03-01）、时刻（2027-03-01T08:00:00Z），或以斜杠分隔的两者；.. 表示不限",
    )


def _in_box(
    given: Mapping[str, str], rows: Rows, known: Mapping[str, Crs]
) -> list[ColumnElement[bool]]:
    crs = asked_crs(given, "bbox-crs", known)
    return [meets(rows.outline, read_box(given["bbox"], crs))] if "bbox" in given else []


def _filtered(
    collection: Collection, given: Mapping[str, str], rows: Rows, known: Mapping[str, Crs]
) -> list[ColumnElement[bool]]:
    crs = asked_crs(given, "filter-crs", known)
    lang = given.get("filter-lang", "cql2-text")
    require_language(lang)
    if "filter" not in given:
        return []
    return [
        compile_filter(
            given["filter"],
            lang,
            collection.queryables,
            rows.outline,
            crs=crs,
        )
    ]


def _equal(collection: Collection, given: Mapping[str, str]) -> list[ColumnElement[bool]]:
    asked = [
        (collection.queryables[name], value)
        for name, value in given.items()
        if name in collection.queryables
    ]
    if "level" in given:
        level = replace(collection.fields["level_index"], name="level")
        asked.append((level, given["level"]))
    return [equals(field, value) for field, value in asked]
