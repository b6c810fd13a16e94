"""From the tree of a filter to SQL: what is not listed here is refused, what is said is bound."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Never

from shapely import GeometryCollection
from sqlalchemy import (
    ColumnElement,
    Numeric,
    Text,
    and_,
    cast,
    func,
    literal_column,
    not_,
    or_,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Grouping

from app.ogc.cql2.gdal import LANGUAGE as GDAL
from app.ogc.cql2.gdal import as_cql2
from app.ogc.cql2.geometry import bound, read_geometry
from app.ogc.cql2.json_form import read_json
from app.ogc.cql2.temporal import RELATIONS
from app.ogc.cql2.text import read_text
from app.ogc.cql2.tree import Call, Drawn, Interval, Listed, Literal, Node, Place, Property
from app.ogc.cql2.values import Value, of_field, of_literal, written
from app.ogc.cql2.words import KINDS, nearest, nearest_fields
from app.ogc.crs import STORAGE, Crs
from app.ogc.errors import BadParameterError
from app.ogc.fields import Field, Kind

#: The name under which filters find a feature's outline.
GEOMETRY = "geometry"

_LANGUAGES = {"cql2-text": read_text, "cql2-json": read_json, GDAL: read_text}
LANGUAGES = tuple(_LANGUAGES)
_COMPARE: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operators.eq,
    "<>": operators.ne,
    "<": operators.lt,
    ">": operators.gt,
    "<=": operators.le,
    ">=": operators.ge,
}
_SPATIAL = {
    "s_intersects": func.ST_Intersects,
    "s_within": func.ST_Within,
    "s_contains": func.ST_Contains,
    "s_disjoint": func.ST_Disjoint,
    "s_equals": func.ST_Equals,
    "s_touches": func.ST_Touches,
    "s_crosses": func.ST_Crosses,
    "s_overlaps": func.ST_Overlaps,
}
_OF_COLLECTIONS = frozenset({"s_intersects", "s_disjoint"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "div", "^"})
_FOLDED = frozenset({"casei", "accenti"})
_SEVERAL = 2, None
#: How many arguments there are, from and to.
_ARGUMENTS: Mapping[str, tuple[int, int | None]] = {
    **dict.fromkeys(("and", "or"), _SEVERAL),
    **dict.fromkeys(("not", "isnull", *_FOLDED), (1, 1)),
    "between": (3, 3),
    **dict.fromkeys((*_COMPARE, "like", "in", *_ARITHMETIC, *_SPATIAL, *RELATIONS), (2, 2)),
}
#: All that can be called.
FUNCTIONS = sorted({*_FOLDED, *_SPATIAL, *RELATIONS})
_NUMBERS = frozenset({Kind.WHOLE, Kind.NUMBER})
_TIMES = frozenset({Kind.DAY, Kind.INSTANT})
#: More digits than arithmetic needs, and far fewer than cost time.
_MOST_DIGITS, _DIGITS_OF_A_QUOTIENT = 1_000, 20
_MOST_EXPONENT = 10
_COMBINING = "[\u0300-\u036f]"


def compile_filter(
    text: str,
    lang: str,
    queryables: Mapping[str, Field],
    geometry: ColumnElement[Any],
    *,
    crs: Crs = STORAGE,
    parameter: str = "filter",
) -> ColumnElement[bool]:
    """The condition that a filter says, with SQL's three values: unknown is not true.

    Args:
        text: the filter.
        lang: one of ``LANGUAGES``.
        queryables: the properties that it may name.
        geometry: the outline, in EPSG:4326; filters call it ``geometry``.
        crs: the system of the filter's coordinates.
        parameter: the query parameter, for the error.

    Raises:
        BadParameterError: the first thing that is wrong with it: where, which rule, the way out.
    """
    require_language(lang)
    if not text.strip():
        raise Place(parameter).refused(
            "empty; leave it out to get everything", "为空；如需全部请省略此参数"
        )
    tree = _LANGUAGES[lang](
        as_cql2(text, queryables, parameter) if lang == GDAL else text, parameter
    )
    return _Compiler(queryables, geometry, crs).condition(tree)


def require_language(lang: str) -> None:
    """Refuse a language that no filter is read in.

    Raises:
        BadParameterError: which there are.
    """
    if lang not in LANGUAGES:
        raise Place("filter-lang").refused(
            f"one of {', '.join(LANGUAGES)}", f"应为 {'、'.join(LANGUAGES)} 之一"
        )


class _Compiler:
    def __init__(
        self,
        queryables: Mapping[str, Field],
        geometry: ColumnElement[Any],
        crs: Crs,
    ) -> None:
        self._queryables = queryables
        self._geometry = geometry
        self._crs = crs

    def condition(self, node: Node) -> ColumnElement[bool]:
        """A part that is true or false."""
        if isinstance(node, Call) and node.operator in {"and", "or", "not"}:
            self._require_arguments(node)
            parts = [self.condition(part) for part in node.arguments]
            match node.operator:
                case "and":
                    return and_(*parts)
                case "or":
                    return or_(*parts)
            return not_(parts[0])
        value = self._value(node)
        if value.kind is not Kind.TRUTH:
            raise node.place.refused(
                f"expected a condition, found {value.said}; compare it: name = value",
                f"此处应为条件，却是{KINDS[value.kind].zh}；请加上比较，如 属性 = 值",
            )
        return value.sql

    def _value(self, node: Node) -> Value:
        match node:
            case Literal():
                return of_literal(node)
            case Property():
                return of_field(self._field(node))
            case Call():
                return self._called(node)
        raise self._misplaced(node)

    def _called(self, call: Call) -> Value:
        self._require_arguments(call)
        if call.operator in _FOLDED:
            return self._folded(call)
        if call.operator in _ARITHMETIC:
            return self._arithmetic(call)
        # In brackets: NOT f(x) IS NULL would be something else.
        return Value(Grouping(self._truth(call)), Kind.TRUTH, "a condition")

    def _truth(self, call: Call) -> ColumnElement[bool]:
        match call.operator:
            case "and" | "or" | "not":
                return self.condition(call)
            case "isnull":
                return self._anything(call.arguments[0]).is_(None)
            case "like":
                return self._like(call)
            case "in":
                return self._in(call)
            case "between":
                value, low, high = call.arguments
                return and_(
                    self._compared(call.place, ">=", value, low),
                    self._compared(call.place, "<=", value, high),
                )
        return self._related(call)

    def _related(self, call: Call) -> ColumnElement[bool]:
        if call.operator in _SPATIAL:
            return self._spatial(call)
        if call.operator in RELATIONS:
            return self._temporal(call)
        return self._compared(call.place, call.operator, *call.arguments)

    def _anything(self, node: Node) -> ColumnElement[Any]:
        """A value or a geometry."""
        if isinstance(node, Property) and node.name == GEOMETRY:
            return self._geometry
        return self._value(node).sql

    def _field(self, node: Property) -> Field:
        field = self._queryables.get(node.name)
        if field is not None:
            return field
        if node.name == GEOMETRY:
            raise node.place.refused(
                f"{GEOMETRY} is a geometry; write s_intersects({GEOMETRY}, BBOX(…))",
                f"{GEOMETRY} 是几何图形，请写作 s_intersects({GEOMETRY}, BBOX(…))",
            )
        said = node.name[:60]
        fields = [*self._queryables.values()]
        coded = [one.name for one in fields if one.codes is not None and said in [*one.codes]]
        if coded:
            raise node.place.refused(
                f"there is no property {said!r}; as a value of {' or '.join(coded)} it stands in"
                f" single quotes: '{said}'",
                f"没有属性 {said!r}；作为 {' 或 '.join(coded)} 的取值须加单引号：'{said}'",
            )
        near = nearest_fields(said, fields, GEOMETRY)
        raise node.place.refused(
            f"there is no property {said!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else "the queryables list them all"),
            f"没有属性 {said!r}；"
            + (f"是否指 {' 或 '.join(near)}？" if near else "全部属性见 queryables"),
        )

    def _require_arguments(self, call: Call) -> None:
        expected = _ARGUMENTS.get(call.operator)
        if expected is None:
            raise self._unknown(call)
        least, most = expected
        given = len(call.arguments)
        if given < least or (most is not None and given > most):
            wanted = f"{least} or more" if most is None else str(least)
            wanted_zh = f"至少 {least}" if most is None else str(least)
            raise call.place.refused(
                f"{call.operator} takes {wanted} arguments, not {given}",
                f"{call.operator} 应有 {wanted_zh} 个参数，却有 {given} 个",
            )

    def _unknown(self, call: Call) -> BadParameterError:
        said = call.operator[:60]
        if said.startswith("a_"):
            return call.place.refused(
                "no property here is a list, so there is nothing to ask with array functions;"
                " use IN",
                "此处没有数组属性，不支持数组函数；请用 IN",
            )
        near = nearest(said, FUNCTIONS) or FUNCTIONS
        return call.place.refused(
            f"there is no function {said!r}; use {', '.join(near)}",
            f"没有函数 {said!r}；可用 {'、'.join(near)}",
        )

    def _misplaced(self, node: Node) -> BadParameterError:
        if isinstance(node, Drawn):
            return node.place.refused(
                f"a geometry stands in a spatial function: s_intersects({GEOMETRY}, …)",
                f"几何图形只能用于空间函数：s_intersects({GEOMETRY}, …)",
            )
        if isinstance(node, Interval):
            return node.place.refused(
                "an interval stands in a temporal function: t_intersects(name, INTERVAL(…))",
                "区间只能用于时间函数：t_intersects(属性, INTERVAL(…))",
            )
        return node.place.refused("a list stands after IN", "列表只能用在 IN 之后")

    def _compared(
        self, place: Place, operator: str, left: Node, right: Node
    ) -> ColumnElement[bool]:
        values = self._value(left), self._value(right)
        first, second = self._fitted(place, (left, right), values)
        return _COMPARE[operator](first, second)

    def _fitted(
        self, place: Place, nodes: tuple[Node, Node], values: tuple[Value, Value]
    ) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Both sides in SQL, literals as values of what they are compared with."""
        sqls = [value.sql for value in values]
        for this, other in ((0, 1), (1, 0)):
            node, beside = nodes[this], values[other]
            field = beside.field
            if field is None or field.kind not in {Kind.TEXT, Kind.ID}:
                continue
            if isinstance(node, Literal) and isinstance(node.value, str):
                sqls[this] = written(node.place, node.value, field)
                return sqls[0], sqls[1]
        left, right = (_family(value.kind) for value in values)
        if left is not right:
            _refuse_types(place, nodes, values)
        return sqls[0], sqls[1]

    def _in(self, call: Call) -> ColumnElement[bool]:
        node, among = call.arguments
        items = among.items if isinstance(among, Listed) else ()
        if not items:
            raise among.place.refused(
                "IN takes a list of at least one value: name IN (1, 2)",
                "IN 之后应为至少一个值的列表：属性 IN (1, 2)",
            )
        value = self._value(node)
        fitted = [
            self._fitted(item.place, (node, item), (value, self._value(item))) for item in items
        ]
        return value.sql.in_([item for _, item in fitted])

    def _like(self, call: Call) -> ColumnElement[bool]:
        node, pattern = call.arguments
        value = self._value(node)
        if value.kind is not Kind.TEXT:
            raise node.place.refused(
                f"LIKE is for texts, and {value.said} is {KINDS[value.kind].en}",
                f"LIKE 只用于文本，而 {value.said} 是{KINDS[value.kind].zh}",
            )
        innermost = pattern
        while isinstance(innermost, Call) and innermost.operator in _FOLDED:
            self._require_arguments(innermost)
            innermost = innermost.arguments[0]
        said = innermost.value if isinstance(innermost, Literal) else None
        if not isinstance(said, str):
            raise pattern.place.refused(
                "a pattern is a text in single quotes: % is any text, _ any character",
                "匹配模式应为单引号中的文本：% 代表任意文本，_ 代表任意一个字符",
            )
        if (len(said) - len(said.rstrip("\\"))) % 2:
            raise pattern.place.refused(
                "a pattern does not end with a single \\; write \\\\ for a backslash",
                "匹配模式不得以单个 \\ 结尾；反斜杠写作 \\\\",
            )
        return value.sql.like(self._value(pattern).sql)

    def _folded(self, call: Call) -> Value:
        value = self._value(call.arguments[0])
        if value.kind is not Kind.TEXT:
            raise call.place.refused(
                f"{call.operator} is for texts, and {value.said} is {KINDS[value.kind].en}",
                f"{call.operator} 只用于文本，而 {value.said} 是{KINDS[value.kind].zh}",
            )
        if call.operator == "casei":
            folded = func.lower(value.sql, type_=Text())
        else:
            apart = func.normalize(value.sql, literal_column("NFD"))
            folded = func.regexp_replace(apart, _COMBINING, "", "g", type_=Text())
        return Value(folded, Kind.TEXT, f"{call.operator}(…)")

    def _arithmetic(self, call: Call) -> Value:
        values = [self._value(part) for part in call.arguments]
        for node, value in zip(call.arguments, values, strict=True):
            if value.kind not in _NUMBERS:
                raise node.place.refused(
                    f"{call.operator} is for numbers, and {value.said} is {KINDS[value.kind].en}",
                    f"{call.operator} 只用于数值，而 {value.said} 是{KINDS[value.kind].zh}",
                )
        left, right = values
        # NUMERIC throughout: it neither overflows nor cuts whole numbers short, and what would
        # divide by zero is unknown rather than an error of the whole question.
        first, second = (cast(value.sql, Numeric) for value in values)
        divisor = func.nullif(second, 0, type_=Numeric())
        match call.operator:
            case "+":
                sql, digits = first + second, max(left.digits, right.digits) + 1
            case "-":
                sql, digits = first - second, max(left.digits, right.digits) + 1
            case "*":
                sql, digits = first * second, left.digits + right.digits
            case "^":
                exponent = _exponent(call.arguments[1])
                sql, digits = func.power(first, second), left.digits * max(1, exponent)
            case operator:
                digits = left.digits + right.digits + _DIGITS_OF_A_QUOTIENT
                sql = {
                    "/": first / divisor,
                    "%": func.mod(first, divisor),
                    "div": func.div(first, divisor),
                }[operator]
        if digits > _MOST_DIGITS:
            raise call.place.refused(
                f"the result may have more than {_MOST_DIGITS} digits",
                f"计算结果可能超过 {_MOST_DIGITS} 位",
            )
        return Value(sql, Kind.NUMBER, "a calculated number", digits)

    def _spatial(self, call: Call) -> ColumnElement[bool]:
        sides = []
        for node in call.arguments:
            if isinstance(node, Property) and node.name == GEOMETRY:
                sides.append(self._geometry)
            elif isinstance(node, Drawn):
                drawn = read_geometry(node, self._crs)
                if isinstance(drawn, GeometryCollection) and call.operator not in _OF_COLLECTIONS:
                    raise node.place.refused(
                        "a collection of several kinds can only be compared with"
                        " s_intersects and s_disjoint",
                        "含多种图形的集合只能用于 s_intersects 与 s_disjoint",
                    )
                sides.append(bound(drawn))
            else:
                if isinstance(node, Property):
                    self._field(node)  # a name that does not exist is refused as such
                raise node.place.refused(
                    f"{call.operator} takes {GEOMETRY} and a geometry:"
                    f" {call.operator}({GEOMETRY}, POINT(121.6 31.2))",
                    f"{call.operator} 的参数应为 {GEOMETRY} 与几何图形："
                    f"{call.operator}({GEOMETRY}, POINT(121.6 31.2))",
                )
        return _SPATIAL[call.operator](*sides)

    def _temporal(self, call: Call) -> ColumnElement[bool]:
        ends: list[tuple[Node | None, str]] = []
        for argument in call.arguments:
            if isinstance(argument, Interval):
                ends += [(argument.start, "-infinity"), (argument.end, "infinity")]
            else:
                ends += [(argument, ""), (argument, "")]
        values = [None if node is None else self._value(node) for node, _ in ends]
        for (node, _), value in zip(ends, values, strict=True):
            if node is not None and value is not None and value.kind not in _TIMES:
                raise node.place.refused(
                    f"{call.operator} is for dates and instants, and {value.said} is"
                    f" {KINDS[value.kind].en}; write DATE('2027-03-01')",
                    f"{call.operator} 只用于日期与时刻，而 {value.said} 是"
                    f"{KINDS[value.kind].zh}；请写作 DATE('2027-03-01')",
                )
        kinds = {value.kind for value in values if value is not None} or {Kind.DAY}
        if len(kinds) > 1:
            raise call.place.refused(
                "dates go with dates, and instants with instants: DATE('2027-03-01') or"
                " TIMESTAMP('2027-03-01T00:00:00Z') throughout",
                "日期只能与日期、时刻只能与时刻相比："
                "请统一用 DATE('2027-03-01') 或 TIMESTAMP('2027-03-01T00:00:00Z')",
            )
        (kind,) = kinds
        for argument in call.arguments:
            _require_forward(argument)
        return RELATIONS[call.operator](
            *(
                cast(literal_column(f"'{open_end}'"), kind.sql_type) if value is None else value.sql
                for (_, open_end), value in zip(ends, values, strict=True)
            )
        )


def _require_forward(node: Node) -> None:
    match node:
        case Interval(_, Literal(_, date() as start), Literal(_, date() as end)) if start > end:
            raise node.place.refused(
                "an interval ends on or after its start", "区间的终点不得早于起点"
            )


def _exponent(node: Node) -> int:
    value = node.value if isinstance(node, Literal) else None
    if isinstance(value, Decimal) and value in range(_MOST_EXPONENT + 1):
        return int(value)
    raise node.place.refused(
        f"an exponent is a whole number from 0 to {_MOST_EXPONENT}",
        f"指数应为 0 至 {_MOST_EXPONENT} 的整数",
    )


def _family(kind: Kind) -> Kind:
    """Kinds of one family can be compared."""
    return Kind.NUMBER if kind is Kind.WHOLE else kind


def _refuse_types(place: Place, nodes: Sequence[Node], values: Sequence[Value]) -> Never:
    """Say what each side is, and how a literal is written so that it fits the property."""
    left, right = values
    wanted = left if isinstance(nodes[1], Literal) or not isinstance(nodes[0], Literal) else right
    example = KINDS[wanted.kind].example
    raise place.refused(
        f"{left.said} is {KINDS[left.kind].en}, and {right.said} is {KINDS[right.kind].en}: they"
        f" cannot be compared; {KINDS[wanted.kind].en} is written like {example}",
        f"{left.said} 是{KINDS[left.kind].zh}，{right.said} 是{KINDS[right.kind].zh}，不能比较；"
        f"{KINDS[wanted.kind].zh}的写法如 {example}",
    )
