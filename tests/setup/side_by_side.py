"""Who runs what when several workers share the tests: `pytest -n 3`.

Each worker has a server and session fixtures of its own, so that tests of different workers meet
nowhere but on the processors.
"""

from pathlib import Path, PurePosixPath
from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
#: Races, kills and whatever waits for processes: one after another, so that at most the tests of
#: other files, each of which is busy with one thing, are beside them.
_ALONE = (
    *("tests/faults/*", "tests/setup/*", "test_race*.py"),
    *("tests/ledger/test_bundles.py", "tests/ledger/test_gist_skew.py"),
)
#: Folders whose tests share a world that takes long to make.
_TOGETHER = ("tests/inventory", "tests/journeys", "tests/seeding")
#: Files of few tests that take long. They begin first, lest one worker is left with them; a file
#: that is missing here costs time and nothing else.
_LONG = (
    "tests/fuzz/test_every_operation.py",
    *("tests/seeding", "tests/cli/test_commands.py", "tests/ledger/test_calendars.py"),
    *("tests/journeys", "tests/ledger/stateful/test_machine.py"),
    *("tests/ledger/units/test_as_of.py", "tests/routers/test_as_of.py"),
    *("tests/kpis/test_compute.py", "tests/routers/test_openapi.py"),
)
_ORDER = ("alone", *_LONG)


def room(nodeid: str) -> str:
    """What a test is run together with, on one worker: its file as a rule."""
    path = PurePosixPath(nodeid.partition("::")[0])
    if any(path.match(pattern) for pattern in _ALONE):
        return "alone"
    return next((folder for folder in _TOGETHER if path.is_relative_to(folder)), str(path))


class Rooms(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker a room at a time: long ones first, then those of most tests."""

    def _split_scope(self, nodeid: str) -> str:
        return room(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        first = min(self.workqueue, key=lambda name: (*_ORDER, name).index(name))
        self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)
