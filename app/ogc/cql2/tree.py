"""What a filter says, once read: the same tree from text and from JSON, of bounded size.

Every part knows where it stood, so that what is wrong with it can be said of the place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from app.ogc.errors import BadParameterError, bad_parameter

#: Characters of a filter; a polygon of a thousand points fits in.
MAX_LENGTH = 32_768
#: Properties, values, operators and functions together.
MAX_PARTS = 1_000
#: How deep they nest. Tools that join conditions two by two nest one deeper for each.
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a query parameter: the character in a text, from 0, or a JSON pointer."""

    parameter: str
    where: int | str | None = None

    def refused(self, detail: str, detail_zh: str) -> BadParameterError:
        """The error that says what is wrong at this place."""
        match self.where:
            case int(character):
                at, at_zh = f"character {character + 1}: ", f"第 {character + 1} 个字符："
            case str(pointer) if pointer:
                at, at_zh = f"{pointer}: ", f"{pointer}："
            case _:
                at, at_zh = "", ""
        return bad_parameter(self.parameter, at + detail, at_zh + detail_zh)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that the caller wrote."""

    place: Place
    value: str | bool | Decimal | date | datetime


@dataclass(frozen=True, slots=True)
class Property:
    """The value of a property of the feature."""

    place: Place
    name: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Days or instants, both ends included; None is open."""

    place: Place
    start: "Literal | Property | None"
    end: "Literal | Property | None"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A geometry that the caller wrote: the members of a GeoJSON geometry, or ``bbox``; unread."""

    place: Place
    members: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Listed:
    """Several values."""

    place: Place
    items: tuple["Node", ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function (its name in small letters) and what it is applied to."""

    place: Place
    operator: str
    arguments: tuple["Node", ...]
    depth: int


Node = Literal | Property | Interval | Drawn | Listed | Call


class Builder:
    """Makes parts, and refuses those that are one too many or too deep."""

    def __init__(self) -> None:
        """Nothing is made yet."""
        self._parts = 0

    def literal(self, place: Place, value: str | bool | Decimal | date | datetime) -> Literal:
        """A value.

        Raises:
            BadParameterError: a text that no database keeps, or a number beyond all measure.
        """
        self._count(place)
        if isinstance(value, str):
            require_storable(place, value)
        elif isinstance(value, Decimal):
            require_measured(place, value)
        return Literal(place, value)

    def property(self, place: Place, name: str) -> Property:
        """A property, known or not."""
        self._count(place)
        return Property(place, name)

    def interval(self, place: Place, start: Node | None, end: Node | None) -> Interval:
        """An interval between two dates, instants or properties."""
        self._count(place)
        if not isinstance(start, Literal | Property | None) or not isinstance(
            end, Literal | Property | None
        ):
            raise place.refused(
                "an interval is between dates, timestamps or properties:"
                " INTERVAL('2027-03-01', '..')",
                "区间的两端应为日期、时刻或属性：INTERVAL('2027-03-01', '..')",
            )
        return Interval(place, start, end)

    def drawn(self, place: Place, members: Mapping[str, object]) -> Drawn:
        """A geometry."""
        self._count(place)
        return Drawn(place, members)

    def listed(self, place: Place, items: Sequence[Node]) -> Listed:
        """A list of values."""
        return Listed(place, tuple(items), self._depth(place, items))

    def call(self, place: Place, operator: str, arguments: Sequence[Node]) -> Call:
        """An operator or function with its arguments."""
        self._count(place)
        return Call(place, operator.lower(), tuple(arguments), self._depth(place, arguments))

    def _count(self, place: Place) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise place.refused(
                f"at most {MAX_PARTS} properties, values and operators; ask in several calls",
                f"属性、值与运算符合计至多 {MAX_PARTS} 个，请分多次查询",
            )

    def _depth(self, place: Place, children: Sequence[Node]) -> int:
        depth = 1 + max((c.depth for c in children if isinstance(c, Call | Listed)), default=0)
        if depth > MAX_DEPTH:
            raise too_deep(place)
        return depth


def too_deep(place: Place) -> BadParameterError:
    """The error for what nests too deep."""
    return place.refused(
        f"nested deeper than {MAX_DEPTH} levels; leave out brackets that are not needed",
        f"嵌套超过 {MAX_DEPTH} 层，请去掉多余的括号",
    )


def require_length(parameter: str, text: str) -> None:
    """Refuse a filter that is too long to be read.

    Raises:
        BadParameterError: it is.
    """
    if len(text) > MAX_LENGTH:
        raise Place(parameter).refused(
            f"at most {MAX_LENGTH} characters", f"至多 {MAX_LENGTH} 个字符"
        )


def require_storable(place: Place, text: str) -> None:
    """Refuse a text that PostgreSQL cannot hold, and that therefore no row has.

    Raises:
        BadParameterError: it has a NUL or half a character.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise place.refused(
            "a text without NUL and without lone surrogates", "文本含无法存储的字符"
        )


_MOST_DIGITS = 30


def require_measured(place: Place, number: Decimal) -> None:
    """Refuse a number that measures nothing: more than 30 digits before or after the point.

    Raises:
        BadParameterError: it is one.
    """
    if not number.is_finite() or (
        number != 0
        and (number.adjusted() >= _MOST_DIGITS or int(number.as_tuple().exponent) < -_MOST_DIGITS)
    ):
        raise place.refused(
            f"a number has at most {_MOST_DIGITS} digits before the point, and as many after it",
            f"数值的整数与小数部分各至多 {_MOST_DIGITS} 位",
        )


def day_or_instant(place: Place, text: str) -> date | datetime:
    """A date (2027-03-01) or, with a time zone, an instant (2027-03-01T00:00:00Z).

    Raises:
        BadParameterError: it is neither.
    """
    read = instant_in if "T" in text.upper() else day_in
    return read(place, text)


def day_in(place: Place, text: str) -> date:
    """A date.

    Raises:
        BadParameterError: it is none.
    """
    try:
        if len(text) == len("2027-03-01"):
            return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a civil day
    except ValueError:
        pass
    raise place.refused(
        "a date is written year-month-day, as '2027-03-01'", "日期应写作 '2027-03-01'（年-月-日）"
    )


def instant_in(place: Place, text: str) -> datetime:
    """An instant.

    Raises:
        BadParameterError: it is none, or says no time zone.
    """
    instant = None
    try:
        if text[4:5] == "-" and text[10:11].upper() == "T" and text[16:17] == ":":
            instant = datetime.fromisoformat(text.upper())
            instant.astimezone(UTC)  # which the first and last years may not have
    except (ValueError, OverflowError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise place.refused(
            "an instant is written with its time zone, as '2027-03-01T00:00:00Z'",
            "时刻须带时区，如 '2027-03-01T00:00:00Z' 或 '2027-03-01T08:00:00+08:00'",
        )
    return instant
