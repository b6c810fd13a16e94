"""Rules of the house that no linter knows, each checked on the source itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Double, Numeric

from app.models.registry import metadata

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "app"
#: Endings that say in which unit a number is.
UNIT_ENDINGS = (
    *("_m2", "_m", "_kn_m2", "_kg_m2", "_kva", "_w_m2", "_t", "_t_per_day", "_pct", "_cny"),
    *("_cny_per_m2_day", "_cny_per_place_month", "_ratio_max", "_years", "_months"),
)
#: Numbers in a unit that another column of the row names.
IN_THEIR_OWN_MEASURE = {
    ("units", "capacity"),
    ("units", "min_part"),
    ("claims", "quantity"),
    ("queue_wants", "quantity"),
    ("unit_versions", "capacity"),
    ("unit_versions", "min_part"),
    ("shared_facilities", "capacity"),
}


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Each call of a file: its line, and the dotted name that is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def offences(pattern: str, allowed: set[str]) -> list[str]:
    """Calls whose name matches, outside the files that may make them."""
    return [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted(APP.rglob("*.py"))
        if str(path.relative_to(APP)) not in allowed
        for line, name in calls(path)
        if re.search(pattern, name)
    ]


def test_only_one_place_commits() -> None:
    assert offences(r"session\.commit$", {"database/session.py"}) == []


def test_only_the_clock_asks_for_the_time() -> None:
    pattern = r"(date\.today|datetime\.(now|utcnow|today)|time\.time)$"
    # The private cluster is standard library only, and waits on a monotonic clock besides.
    assert offences(pattern, {"kernel/clock.py"}) == []


def test_the_rules_are_found_when_broken(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("session.commit()\nwhen = datetime.now(UTC)\n")
    assert [name for _, name in calls(broken)] == ["session.commit", "datetime.now"]


def test_package_files_stay_empty() -> None:
    assert [str(path) for path in APP.rglob("__init__.py") if path.read_text().strip()] == []


def test_every_measured_column_names_its_unit() -> None:
    bare = [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, (Numeric, Double))
        and (table.name, column.name) not in IN_THEIR_OWN_MEASURE
        and not column.name.endswith(UNIT_ENDINGS)
    ]
    assert bare == []
