"""What a filter in CQL2 JSON means, worked out row by row in plain Python.

It shares nothing with the compiler: it reads the JSON itself, and has SQL's three values, with None
for unknown.
"""

import operator
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

Row = Mapping[str, Any]
_EARLIEST, _LATEST = -1, 1


class _Ever:
    """An open end: before or after all others."""

    def __init__(self, sign: int) -> None:
        self.sign = sign

    def __lt__(self, other: object) -> bool:
        return self.sign < 0 and not self == other

    def __gt__(self, other: object) -> bool:
        return self.sign > 0 and not self == other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ever) and other.sign == self.sign

    def __hash__(self) -> int:
        return self.sign


def meaning(node: Any, row: Row) -> Any:
    """The value of a filter or of a part of it for a row."""
    match node:
        case {"op": name, "args": args}:
            return OPERATORS[name](row, *args)
        case {"property": name}:
            return _exact(row[name])
    return _written(node) if isinstance(node, dict) else _exact(node)


def _written(node: dict[str, Any]) -> Any:
    match node:
        case {"date": said}:
            return date.fromisoformat(said)
        case {"timestamp": said}:
            return datetime.fromisoformat(said)
        case {"bbox": corners}:
            return box(*corners)
    return shape(node)


def _exact(value: Any) -> Any:
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return Fraction(value) if number else value


def _and(row: Row, *args: Any) -> bool | None:
    values = [meaning(arg, row) for arg in args]
    if False in values:
        return False
    return None if None in values else True


def _or(row: Row, *args: Any) -> bool | None:
    values = [meaning(arg, row) for arg in args]
    if True in values:
        return True
    return None if None in values else False


def _not(row: Row, arg: Any) -> bool | None:
    value = meaning(arg, row)
    return None if value is None else not value


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    """Unknown if any argument is."""

    def apply(row: Row, *args: Any) -> Any:
        values = [meaning(arg, row) for arg in args]
        return None if None in values else function(*values)

    return apply


def _divided(function: Callable[[Fraction, Fraction], Any]) -> Callable[..., Any]:
    return _strict(lambda left, right: None if right == 0 else function(left, right))


def _between(row: Row, value: Any, low: Any, high: Any) -> bool | None:
    return _and(row, {"op": ">=", "args": [value, low]}, {"op": "<=", "args": [value, high]})


def _in(row: Row, value: Any, among: list[Any]) -> bool | None:
    return _or(row, *({"op": "=", "args": [value, item]} for item in among))


def _like(value: str, pattern: str) -> bool:
    parts = re.findall(r"\\.|%|_|[^\\]", pattern, re.DOTALL)
    said = {"%": ".*", "_": "."}
    built = "".join(said.get(part, re.escape(part.removeprefix("\\"))) for part in parts)
    return re.fullmatch(built, value, re.DOTALL) is not None


def _without_accents(value: str) -> str:
    apart = unicodedata.normalize("NFD", value)
    return "".join(character for character in apart if not "\u0300" <= character <= "\u036f")


def _same(value: Any) -> Any:
    """Ids are compared as texts here."""
    return value if isinstance(value, str | bool | Fraction | date | BaseGeometry) else str(value)


def _compared(function: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    return _strict(lambda left, right: function(_same(left), _same(right)))


def _spatial(name: str) -> Callable[..., Any]:
    return _strict(lambda left, right: getattr(left, name)(right))


def _ends(row: Row, node: Any) -> tuple[Any, Any]:
    if isinstance(node, dict) and "interval" in node:
        first, last = node["interval"]
        return _end(row, first, _EARLIEST), _end(row, last, _LATEST)
    value = meaning(node, row)
    return value, value


def _end(row: Row, node: Any, side: int) -> Any:
    if node == "..":
        return _Ever(side)
    if isinstance(node, str):
        return datetime.fromisoformat(node) if "T" in node else date.fromisoformat(node)
    return meaning(node, row)


def _temporal(*parts: tuple[str, Callable[[Any, Any], bool], str], any_: bool = False) -> Any:
    """Comparisons of ends, named as s and e of the first and S and E of the second."""

    def apply(row: Row, left: Any, right: Any) -> bool | None:
        ends = dict(zip("seSE", (*_ends(row, left), *_ends(row, right)), strict=True))
        values = [
            None if ends[a] is None or ends[b] is None else function(ends[a], ends[b])
            for a, function, b in parts
        ]
        decisive = bool(any_)
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    return apply


_LT, _GT, _EQ = operator.lt, operator.gt, operator.eq


def _le(left: Any, right: Any) -> bool:
    return bool(left < right or left == right)


OPERATORS: dict[str, Callable[..., Any]] = {
    "and": _and,
    "or": _or,
    "not": _not,
    "isNull": lambda row, arg: meaning(arg, row) is None,
    "between": _between,
    "in": _in,
    "like": _strict(_like),
    "casei": _strict(str.lower),
    "accenti": _strict(_without_accents),
    "=": _compared(operator.eq),
    "<>": _compared(operator.ne),
    "<": _compared(operator.lt),
    ">": _compared(operator.gt),
    "<=": _compared(operator.le),
    ">=": _compared(operator.ge),
    "+": _strict(operator.add),
    "-": _strict(operator.sub),
    "*": _strict(operator.mul),
    "^": _strict(operator.pow),
    "/": _divided(operator.truediv),
    "div": _divided(lambda left, right: Fraction(int(left / right))),
    "%": _divided(lambda left, right: left - right * int(left / right)),
    "s_intersects": _spatial("intersects"),
    "s_within": _spatial("within"),
    "s_contains": _spatial("contains"),
    "s_disjoint": _spatial("disjoint"),
    "s_equals": _spatial("equals"),
    "s_touches": _spatial("touches"),
    "s_crosses": _spatial("crosses"),
    "s_overlaps": _spatial("overlaps"),
    "t_after": _temporal(("s", _GT, "E")),
    "t_before": _temporal(("e", _LT, "S")),
    "t_contains": _temporal(("s", _LT, "S"), ("e", _GT, "E")),
    "t_disjoint": _temporal(("e", _LT, "S"), ("s", _GT, "E"), any_=True),
    "t_during": _temporal(("s", _GT, "S"), ("e", _LT, "E")),
    "t_equals": _temporal(("s", _EQ, "S"), ("e", _EQ, "E")),
    "t_finishedBy": _temporal(("s", _LT, "S"), ("e", _EQ, "E")),
    "t_finishes": _temporal(("s", _GT, "S"), ("e", _EQ, "E")),
    "t_intersects": _temporal(("s", _le, "E"), ("S", _le, "e")),
    "t_meets": _temporal(("e", _EQ, "S")),
    "t_metBy": _temporal(("s", _EQ, "E")),
    "t_overlappedBy": _temporal(("s", _GT, "S"), ("s", _LT, "E"), ("e", _GT, "E")),
    "t_overlaps": _temporal(("s", _LT, "S"), ("e", _GT, "S"), ("e", _LT, "E")),
    "t_startedBy": _temporal(("s", _EQ, "S"), ("e", _GT, "E")),
    "t_starts": _temporal(("s", _EQ, "S"), ("e", _LT, "E")),
}
