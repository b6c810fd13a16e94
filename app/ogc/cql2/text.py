"""Reads CQL2 text.

A parser of our own, because the libraries' fall to what a public service is sent (docs/decisions/
0025): this one takes time in proportion to the text, nests no deeper than it is told to, and says
which character it stumbled over. The tests hold it against the library's.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.ogc.cql2.geometry import LEVELS, require_positions
from app.ogc.cql2.tree import (
    MAX_DEPTH,
    Builder,
    Node,
    Place,
    day_in,
    day_or_instant,
    instant_in,
    require_length,
    too_deep,
)
from app.ogc.errors import BadParameterError

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<name>[^\W\d][\w:.]*)
      | (?P<symbol><>|<=|>=|[-+*/%^=<>(),])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_COMPARISONS = frozenset({"=", "<>", "<", ">", "<=", ">=", "like", "between", "in", "is", "not"})
#: What binds tighter has the higher number.
_OR, _AND, _NOT, _COMPARISON = 1, 2, 3, 4
_BINDING = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(_COMPARISONS, _COMPARISON),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/", "%", "div"), 6),
    "^": 7,
}
_KEYWORDS = frozenset({"and", "or", "not", "like", "between", "in", "is", "null", "div"})
_GEOMETRIES = {kind.upper(): kind for kind in (*LEVELS, "GeometryCollection")}
#: What Chinese keyboards write, and what is meant.
_FULL_WIDTH = dict(zip("（），＝＞＜‘’“”＋－；≥≤", "(),=><''\"\"+-;", strict=False)) | {
    "≥": ">=",
    "≤": "<=",
    "≠": "<>",
    "、": ",",
    "＇": "'",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    written: str
    at: int

    @property
    def word(self) -> str:
        """The symbol, or the name in small letters; nothing for values."""
        return self.written.lower() if self.kind in {"symbol", "name"} else ""


def read_text(text: str, parameter: str) -> Node:
    """The tree of a filter in CQL2 text.

    Raises:
        BadParameterError: it is none, or too large.
    """
    require_length(parameter, text)
    return _Reader(text, parameter).whole()


class _Reader:
    def __init__(self, text: str, parameter: str) -> None:
        self._text = text
        self._parameter = parameter
        self._make = Builder()
        self._depth = self._positions = 0
        self._next = self._token(0)

    def whole(self) -> Node:
        node = self._expression(0)
        if self._next.kind != "end":
            raise self._unexpected("the end, AND or OR", "结尾、AND 或 OR")
        return node

    def _expression(self, least: int) -> Node:
        """As much as binds tighter than ``least``."""
        left = self._operand()
        compared = False
        while (binding := _BINDING.get(self._next.word, 0)) > least:
            operator = self._take()
            place = self._place(operator)
            if binding == _COMPARISON:
                if compared:
                    raise place.refused(
                        "compare two things at a time: a < b AND b < c",
                        "每次只能比较两项：a < b AND b < c",
                    )
                compared = True
                left = self._comparison(operator, left)
            elif binding in {_AND, _OR}:
                parts = [left, self._expression(binding)]
                while self._next.word == operator.word:
                    self._take()
                    parts.append(self._expression(binding))
                left = self._make.call(place, operator.word, parts)
            else:
                left = self._make.call(place, operator.word, [left, self._expression(binding)])
        return left

    def _comparison(self, operator: _Token, left: Node) -> Node:
        place, word = self._place(operator), operator.word
        if word == "not":
            operator = self._take()
            if operator.word not in {"like", "between", "in"}:
                raise self._unexpected(
                    "LIKE, BETWEEN or IN after NOT",
                    "NOT 之后应为 LIKE、BETWEEN 或 IN",
                    operator,
                )
            return self._make.call(place, "not", [self._comparison(operator, left)])
        if word == "is":
            negated = self._next.word == "not"
            if negated:
                self._take()
            self._expect("null")
            empty = self._make.call(place, "isnull", [left])
            return self._make.call(place, "not", [empty]) if negated else empty
        if word == "between":
            low = self._expression(_COMPARISON)
            self._expect("and")
            return self._make.call(place, "between", [left, low, self._expression(_COMPARISON)])
        if word == "in":
            start = self._place(self._next)
            with self._brackets():
                items = self._listed()
            return self._make.call(place, "in", [left, self._make.listed(start, items)])
        return self._make.call(place, word, [left, self._expression(_COMPARISON)])

    def _operand(self) -> Node:
        token = self._take()
        place = self._place(token)
        match token.kind, token.word:
            case "number", _:
                return self._make.literal(place, Decimal(token.written))
            case "text", _:
                return self._make.literal(place, _unquoted(token))
            case "quoted", _:
                return self._make.property(place, _unquoted(token))
            case _, "-" | "+":
                return self._signed(token)
            case _, "(":
                with self._deeper(place):
                    items = self._listed()
                self._expect(")")
                return items[0] if len(items) == 1 else self._make.listed(place, items)
            case "name", _:
                return self._named(token)
        raise self._unexpected("a property, a value, a function or (", "属性、值、函数或 (", token)

    def _signed(self, sign: _Token) -> Node:
        place = self._place(sign)
        factor = Decimal(-1 if sign.word == "-" else 1)
        if self._next.kind == "number":
            return self._make.literal(place, factor * Decimal(self._take().written))
        with self._deeper(place):
            return self._make.call(place, "*", [self._make.literal(place, factor), self._operand()])

    def _named(self, token: _Token) -> Node:
        place, word, upper = self._place(token), token.word, token.written.upper()
        if word == "not":
            with self._deeper(place):
                return self._make.call(place, "not", [self._expression(_NOT)])
        called = self._next.word == "("
        if upper in _GEOMETRIES and (called or self._next.word == "z"):
            return self._make.drawn(place, self._geometry(token))
        if called and (word not in _KEYWORDS or word == "div"):  # div(a, b) is heard, too
            return self._called(token)
        if word in {"true", "false"}:
            return self._make.literal(place, word == "true")
        if word == "null":
            raise place.refused(
                "nothing equals NULL; write `name IS NULL`",
                "NULL 不能参与比较，请写作「属性 IS NULL」",
            )
        if word in _KEYWORDS:
            raise self._unexpected(
                "a property, a value, a function or (", "属性、值、函数或 (", token
            )
        return self._make.property(place, token.written)

    def _called(self, token: _Token) -> Node:
        place, word = self._place(token), token.word
        with self._brackets():
            match word:
                case "date":
                    return self._make.literal(place, day_in(place, self._quoted_text()))
                case "timestamp":
                    return self._make.literal(place, instant_in(place, self._quoted_text()))
                case "interval":
                    start = self._end_of_interval()
                    self._expect(",")
                    return self._make.interval(place, start, self._end_of_interval())
                case "bbox":
                    return self._make.drawn(place, {"bbox": self._numbers()})
            arguments = [] if self._next.word == ")" else self._listed()
        return self._make.call(place, word, arguments)

    def _end_of_interval(self) -> Node | None:
        if self._next.kind != "text":
            return self._operand()
        token = self._take()
        said, place = _unquoted(token), self._place(token)
        return None if said == ".." else self._make.literal(place, day_or_instant(place, said))

    def _quoted_text(self) -> str:
        if self._next.kind != "text":
            raise self._unexpected("a text in single quotes", "单引号中的文本")
        return _unquoted(self._take())

    def _listed(self) -> list[Node]:
        items = [self._expression(0)]
        while self._next.word == ",":
            self._take()
            items.append(self._expression(0))
        return items

    def _geometry(self, token: _Token) -> dict[str, object]:
        kind = _GEOMETRIES[token.written.upper()]
        if self._next.word == "z":
            self._take()
        if kind == "GeometryCollection":
            with self._brackets():
                parts = [self._geometry(self._take_geometry())]
                while self._next.word == ",":
                    self._take()
                    parts.append(self._geometry(self._take_geometry()))
            return {"type": kind, "geometries": parts}
        coordinates = self._coordinates(max(1, LEVELS[kind]), wrapped=kind == "MultiPoint")
        if kind == "Point":
            return {"type": kind, "coordinates": coordinates[0] if len(coordinates) == 1 else []}
        return {"type": kind, "coordinates": coordinates}

    def _take_geometry(self) -> _Token:
        if self._next.written.upper() not in _GEOMETRIES:
            raise self._unexpected("a geometry", "几何图形")
        return self._take()

    def _coordinates(self, level: int, *, wrapped: bool = False) -> list[Any]:
        """Lists of lists, ``level`` deep, of positions; a position alone may be in brackets."""
        if level == 0:
            if wrapped and self._next.word == "(":
                with self._brackets():
                    return self._position()
            return self._position()
        with self._brackets():
            parts: list[Any] = [self._coordinates(level - 1, wrapped=wrapped)]
            while self._next.word == ",":
                self._take()
                parts.append(self._coordinates(level - 1, wrapped=wrapped))
        return parts

    def _position(self) -> list[object]:
        self._positions += 1
        require_positions(self._place(self._next), self._positions)
        position: list[object] = [self._number()]
        while self._next.word not in {",", ")"}:
            position.append(self._number())
        return position

    def _numbers(self) -> list[object]:
        numbers: list[object] = [self._number()]
        while self._next.word == ",":
            self._take()
            numbers.append(self._number())
        return numbers

    def _number(self) -> float:
        sign = -1 if self._next.word == "-" else 1
        if self._next.word in {"-", "+"}:
            self._take()
        if self._next.kind != "number":
            raise self._unexpected("a number", "数值")
        return sign * float(self._take().written)

    @contextmanager
    def _brackets(self) -> Iterator[None]:
        opening = self._expect("(")
        with self._deeper(self._place(opening)):
            yield
        self._expect(")")

    @contextmanager
    def _deeper(self, place: Place) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep(place)
        yield
        self._depth -= 1

    def _expect(self, word: str) -> _Token:
        if self._next.word != word:
            raise self._unexpected(f"'{word.upper()}'", f" '{word.upper()}'")
        return self._take()

    def _take(self) -> _Token:
        taken = self._next
        if taken.kind != "end":
            self._next = self._token(taken.at + len(taken.written))
        return taken

    def _token(self, start: int) -> _Token:
        found = _TOKEN.match(self._text, start)
        if found is None or found.lastgroup is None:
            raise self._unreadable(start)
        kind = found.lastgroup
        return _Token(kind, found[kind], found.start(kind))

    def _unreadable(self, start: int) -> BadParameterError:
        at = start + len(self._text[start:]) - len(self._text[start:].lstrip())
        character = self._text[at]
        place = Place(self._parameter, at)
        if character in "'\"":
            return place.refused(
                f"the {character} is not closed; a quote inside a text is written twice: 'it''s'",
                f"引号 {character} 没有闭合；文本内的单引号应写两次：'it''s'",
            )
        meant = _FULL_WIDTH.get(character)
        if meant is not None:
            return place.refused(
                f"{character} is written {meant} here",
                f"请把全角或特殊符号 {character} 写作 {meant}",
            )
        way_out, way_out_zh = (
            ("; unequal is <>", "；不等于写作 <>") if character == "!" else ("", "")
        )
        return place.refused(
            f"{character!r} means nothing here{way_out}", f"无法识别 {character!r}{way_out_zh}"
        )

    def _unexpected(
        self, wanted: str, wanted_zh: str, found: _Token | None = None
    ) -> BadParameterError:
        token = found or self._next
        said = token.written[:40] or "the end"
        said_zh = token.written[:40] or "结尾"
        return self._place(token).refused(
            f"expected {wanted}, found {said}", f"此处应为{wanted_zh}，却是 {said_zh}"
        )

    def _place(self, token: _Token) -> Place:
        return Place(self._parameter, token.at)


def _unquoted(token: _Token) -> str:
    quote = token.written[0]
    return token.written[1:-1].replace(quote * 2, quote)
