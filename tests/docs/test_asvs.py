"""The sheet of the security standard is whole, and what it calls met is held by real tests."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.conftest import ROOT

SHEET = ROOT / "docs" / "reference" / "asvs.md"
CHAPTERS = {"V1", "V2", "V4", "V5", "V8", "V9", "V11", "V13", "V14", "V16"}
#: What these chapters have at levels 1 and 2.
REQUIREMENTS = 123
_ROW = re.compile(r"^\| (V\S+) \| (.*?) \| (.*?) \| (.*?) \|$")
_NODE = re.compile(r"`(tests/[^`:]+)::(\w+)`")


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of a file's tests; none where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef))


def rows(page: str) -> list[tuple[str, ...]]:
    """Each requirement's id, state, what it asks, and the proof or reason."""
    return [found.groups() for line in page.splitlines() if (found := _ROW.match(line))]


def wrongs(page: str) -> Iterator[str]:
    """What a sheet says that is not so, or leaves out."""
    seen: set[str] = set()
    for name, state, asked, why in rows(page):
        nodes = _NODE.findall(why)
        if name in seen:
            yield f"{name} is there twice"
        seen.add(name)
        if not re.fullmatch(r"V\d+\.\d+\.\d+", name) or name.partition(".")[0] not in CHAPTERS:
            yield f"{name} is no requirement of these chapters"
        if state not in {"met", "n/a", "open"}:
            yield f"{name} is {state}"
        if not asked:
            yield f"{name} asks nothing"
        if state == "met" and not nodes:
            yield f"{name} has no proof"
        if state != "met" and not re.search(r"\w{2}", _NODE.sub("", why).replace("So far:", "")):
            yield f"{name} has no reason"
        for file, test in nodes:
            if test not in names_in(file):
                yield f"{name} names {file}::{test}"


def test_every_row_is_proven_or_says_why_not() -> None:
    page = SHEET.read_text(encoding="utf-8")

    assert list(wrongs(page)) == []
    assert {name.partition(".")[0] for name, *_ in rows(page)} == CHAPTERS
    assert len(rows(page)) == REQUIREMENTS
    # A row that is written otherwise would be read by nobody.
    assert len(rows(page)) == page.count("\n| V")
    assert len(_NODE.findall(page)) == page.count("::")


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("| met | x | `tests/docs/test_asvs.py::test_made_up` |", "names tests/docs/test_asvs.py"),
        ("| met | x | `tests/docs/test_none.py::test_x` |", "names tests/docs/test_none.py"),
        ("| open | x | why `tests/docs/test_asvs.py::test_made_up` |", "names tests/docs"),
        ("| met | x | surely |", "has no proof"),
        ("| n/a | x |  |", "has no reason"),
        (
            "| open | x | So far: `tests/docs/test_asvs.py::test_a_row_that_is_wrong_is_found` |",
            "has no reason",
        ),
        ("| nearly | x | why |", "is nearly"),
        ("| n/a |  | none here |", "asks nothing"),
    ],
)
def test_a_row_that_is_wrong_is_found(row: str, wrong: str) -> None:
    (found,) = wrongs(f"| V1.1.1 {row}")
    assert found.startswith(f"V1.1.1 {wrong}")


def test_ids_are_of_these_chapters_and_there_once() -> None:
    good = "| met | x | `tests/docs/test_asvs.py::test_every_row_is_proven_or_says_why_not` |"

    assert list(wrongs(f"| V1.1.1 {good}")) == []
    assert list(wrongs(f"| V1.1.1 {good}\n| V1.1.1 {good}")) == ["V1.1.1 is there twice"]
    for other in ("V3.1.1", "V1.1", "V1.1.x"):
        assert list(wrongs(f"| {other} {good}")) == [f"{other} is no requirement of these chapters"]
