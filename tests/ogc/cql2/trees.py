"""Filters at random, in CQL2 JSON, that are right and meet the rows often."""

from itertools import combinations_with_replacement
from typing import Any

from hypothesis import strategies as st
from shapely.geometry import mapping

from tests.ogc.cql2.rows import BOXES, DAYS, IDS, INSTANTS, NAMES, NUMBERS, Size

Tree = st.SearchStrategy[Any]
COMPARISONS = ("=", "<>", "<", ">", "<=", ">=")
SPATIAL = (
    "s_intersects",
    "s_within",
    "s_contains",
    "s_disjoint",
    "s_equals",
    "s_touches",
    "s_crosses",
    "s_overlaps",
)
TEMPORAL = (
    "t_after",
    "t_before",
    "t_disjoint",
    "t_equals",
    "t_intersects",
    "t_contains",
    "t_during",
    "t_finishedBy",
    "t_finishes",
    "t_meets",
    "t_metBy",
    "t_overlappedBy",
    "t_overlaps",
    "t_startedBy",
    "t_starts",
)


def _call(operator: str, *arguments: Tree) -> Tree:
    return st.tuples(*arguments).map(lambda args: {"op": operator, "args": [*args]})


def _property(*names: str) -> Tree:
    return st.sampled_from([{"property": name} for name in names])


_literal_numbers = st.sampled_from([float(number) for number in NUMBERS])
_plain_numbers = _property("load", "height", "level") | _literal_numbers
_numbers = st.recursive(
    _plain_numbers,
    lambda inner: st.one_of(
        *(_call(operator, inner, inner) for operator in "+-*"),
        # By powers of two and zero alone, so that quotients are exact.
        *(_call(operator, inner, _plain_numbers) for operator in ("/", "%", "div")),
        _call("^", _plain_numbers, st.sampled_from([0.0, 1.0, 2.0, 3.0])),
    ),
    max_leaves=3,
)
_texts = st.recursive(
    _property("name", "other") | st.sampled_from(NAMES),
    lambda inner: st.one_of(_call("casei", inner), _call("accenti", inner)),
    max_leaves=2,
)
_patterns = st.sampled_from([*NAMES, "%", "a%", "%ta", "b_ta", "b\\_ta", "100\\%", "_____", "净%"])
_folded_patterns = st.one_of(_patterns, _call("casei", _patterns), _call("accenti", _patterns))
_days = _property("start", "until") | st.sampled_from([{"date": str(day)} for day in DAYS])
_instants = _property("seen") | st.sampled_from(
    [{"timestamp": instant.isoformat().replace("+00:00", "Z")} for instant in INSTANTS]
)
_START, _UNTIL = {"property": "start"}, {"property": "until"}
_INTERVALS = [
    {"interval": [*ends]}
    for ends in (
        (_START, _UNTIL),
        ("..", _UNTIL),
        (_START, ".."),
        *((str(first), str(last)) for first, last in combinations_with_replacement(DAYS, 2)),
        ("2027-02-01", "2027-04-01"),
        ("..", "2027-03-02"),
        ("2027-03-02", ".."),
    )
]
_intervals = st.sampled_from(_INTERVALS)
_GEOMETRIES = [
    *map(mapping, BOXES),
    *({"bbox": [*map(float, shape.bounds)]} for shape in BOXES),
    {"type": "Point", "coordinates": [121.5, 31.5]},
    {"type": "LineString", "coordinates": [[121.0, 31.5], [124.0, 31.5]]},
    {"type": "MultiPoint", "coordinates": [[121.5, 31.5], [122.0, 32.0]]},
]
_geometries = st.sampled_from(_GEOMETRIES)
#: Each spatial and temporal function with every operand: at random some would seldom be true.
EVERY_RELATION = [
    *(
        {"op": name, "args": args}
        for name in SPATIAL
        for other in _GEOMETRIES
        for args in ([{"property": "geometry"}, other], [other, {"property": "geometry"}])
    ),
    *(
        {"op": name, "args": [_INTERVALS[0], other]}
        for name in TEMPORAL
        for other in (*_INTERVALS, _START)
    ),
]
_sizes = st.sampled_from([size.value for size in Size])


def _comparison(of: Tree) -> Tree:
    return st.one_of(*(_call(operator, of, of) for operator in COMPARISONS))


def _among(of: Tree, items: Tree) -> Tree:
    return _call("in", of, st.lists(items, min_size=1, max_size=3))


#: One condition alone.
predicates: Tree = st.one_of(
    _comparison(_numbers),
    _comparison(_texts),
    _comparison(_days),
    _comparison(_instants),
    *(_call(operator, _property("key"), st.sampled_from([*map(str, IDS)])) for operator in "=<>"),
    *(_call(operator, _property("size"), _sizes) for operator in ("=", "<>")),
    _among(_property("size"), _sizes),
    _among(_numbers, _numbers),
    _among(_texts, _texts),
    _among(_property("key"), st.sampled_from([*map(str, IDS)])),
    _call("between", _numbers, _numbers, _numbers),
    _call("between", _days, _days, _days),
    _call("like", _texts, _folded_patterns),
    _call("isNull", _numbers | _texts | _days | _property("geometry")),
    _property("flag"),
    _comparison(_property("flag") | st.booleans()),
    st.booleans(),
    *(_call(name, _property("geometry"), _geometries) for name in SPATIAL),
    *(_call(name, _geometries, _property("geometry")) for name in SPATIAL),
    *(_call(name, _days | _intervals, _days | _intervals) for name in TEMPORAL),
    *(_call(name, _intervals, _intervals) for name in TEMPORAL),
    *(_call(name, _instants, _instants) for name in TEMPORAL[:5]),
)

#: Conditions of every kind, joined by AND, OR and NOT.
filters: Tree = st.recursive(
    predicates,
    lambda inner: st.one_of(
        _call("and", inner, inner),
        _call("or", inner, inner, inner),
        _call("not", inner),
        _call("isNull", inner),
        _call("=", inner, inner),
    ),
    max_leaves=5,
)


def operators_in(node: Any) -> set[str]:
    """The operators that a filter uses."""
    if isinstance(node, list):
        return set().union(*map(operators_in, node))
    if isinstance(node, dict) and "op" in node:
        return {node["op"]} | operators_in(node["args"])
    return set()
