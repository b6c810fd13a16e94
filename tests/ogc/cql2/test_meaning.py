"""What filters mean: SQL in PostGIS against a slow evaluator that shares nothing with it."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cql2
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from sqlalchemy import Connection, column, literal_column, select, table

from app.ogc.cql2.compiler import compile_filter
from app.ogc.cql2.json_form import read_json
from app.ogc.cql2.text import read_text
from app.ogc.cql2.tree import Call, Drawn, Interval, Listed, Literal, Node, Place, Property
from tests.ogc.cql2 import slow
from tests.ogc.cql2.rows import FIELDS, ROWS
from tests.ogc.cql2.trees import EVERY_RELATION, filters, operators_in, predicates

_QUICK = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[*HealthCheck],
)


def answers(connection: Connection, lang: str, *texts: str) -> list[tuple[bool | None, ...]]:
    """Of each filter, what it says of each row."""
    rows = table("cql2_rows", column("fid")).alias("r")
    conditions = [
        compile_filter(text, lang, FIELDS, literal_column("r.geom")).label(f"said_{number}")
        for number, text in enumerate(texts)
    ]
    found = connection.execute(select(*conditions).select_from(rows).order_by(rows.c.fid))
    return [*zip(*found, strict=True)]


def worked_out(tree: Any) -> tuple[bool | None, ...]:
    return tuple(slow.meaning(tree, row) for row in ROWS)


def test_sql_says_of_each_row_what_the_slow_evaluator_says(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[object]] = defaultdict(set)

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(*args: Any) -> Any:
            value = function(*args)
            seen[name].add(value if isinstance(value, bool | None) else "value")
            return value

        return apply

    for name, function in slow.OPERATORS.items():
        monkeypatch.setitem(slow.OPERATORS, name, watched(name, function))

    def agrees(trees: Sequence[Any]) -> None:
        said = answers(connection, "cql2-json", *map(json.dumps, trees))
        assert said == [*map(worked_out, trees)]

    agrees(EVERY_RELATION)
    _QUICK(given(st.tuples(*[predicates] * 6, *[filters] * 4))(agrees))()

    # The control of the generator: every operator was tried, and came out in every way it can.
    truths = {True, False, None}
    ways = dict.fromkeys(slow.OPERATORS, truths) | {"isNull": {True, False}}
    ways |= {name: {"value", None} for name in (*"+-*/%^", "div", "casei", "accenti")}
    assert seen == ways


def test_an_evaluator_that_knows_no_unknown_is_found_out(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_valued(row: slow.Row, arg: Any) -> bool:
        return not slow.meaning(arg, row)

    monkeypatch.setitem(slow.OPERATORS, "not", two_valued)

    assert wrong_example(connection) is not None


@pytest.mark.parametrize(
    ("operator", "mistaken_for"), [("<", "<="), ("and", "or"), ("s_within", "s_intersects")]
)
def test_an_evaluator_that_is_wrong_in_one_operator_is_found_out(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, operator: str, mistaken_for: str
) -> None:
    monkeypatch.setitem(slow.OPERATORS, operator, slow.OPERATORS[mistaken_for])

    assert operator in operators_in(wrong_example(connection))


def wrong_example(connection: Connection) -> Any:
    """A filter of which SQL and the slow evaluator say different things."""
    unshrunk = settings(_QUICK, phases=[Phase.generate], max_examples=2_000)

    def differs(tree: Any) -> bool:
        return answers(connection, "cql2-json", json.dumps(tree)) != [worked_out(tree)]

    try:
        return find(filters, differs, settings=unshrunk)
    except NoSuchExample:
        return None


def test_text_and_json_mean_the_same(connection: Connection) -> None:
    """The library writes JSON as text, and reads text as JSON: our reader of text agrees."""

    @settings(_QUICK, max_examples=150)
    @given(filters)
    def agrees(tree: Any) -> None:
        text = cql2.parse_json(json.dumps(tree)).to_text()
        again = cql2.parse_text(text).to_json()
        as_text = plain(read_text(text, "filter"))
        assert as_text == plain(read_json(json.dumps(again), "filter"))
        assert answers(connection, "cql2-text", text) == [worked_out(tree)]

    agrees()


def plain(node: Node) -> object:
    """The tree without its places."""
    here = Place("")
    match node:
        case Call() | Listed():
            parts = node.arguments if isinstance(node, Call) else node.items
            return (getattr(node, "operator", "list"), [plain(part) for part in parts])
        case Interval(_, start, end):
            return [None if side is None else plain(side) for side in (start, end)]
        case Drawn(_, members):
            return json.loads(json.dumps(members, default=float))
        case Literal() | Property():
            return replace(node, place=here)
