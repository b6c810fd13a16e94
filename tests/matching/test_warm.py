"""After warming up, nothing that is asked of the kernels has to be compiled."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

#: In a process of its own: others here may have compiled more, or less.
_COUNT = """
import importlib, pkgutil, sys
import app.matching.engine as engine
from numba.core.dispatcher import Dispatcher

def signatures():
    found = {}
    for module in pkgutil.walk_packages(engine.__path__, "app.matching.engine."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Dispatcher):
                name = f"{value.py_func.__module__}.{value.py_func.__name__}"
                found[name] = len(value.signatures)
    return found

from app.matching import warm
if "cold" not in sys.argv:
    warm.warm_up()
before = signatures()
from app.matching.segment import Snapshot, Version
from tests.matching.big import demands, million
from datetime import UTC, datetime
read = Version(1, 1, frozenset(), datetime(2027, 1, 1, tzinfo=UTC))
snapshot = Snapshot((million(units=4000),), read)
for demand in demands(12):
    warm.search(snapshot, demand, 5, table=warm.CONSTRAINTS)
    warm.ask_why_not(snapshot, demand)
after = signatures()
print(sorted(name for name in after if after[name] > before.get(name, 0)))
"""


def compiled_later(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return done.stdout.strip()


def test_nothing_is_compiled_for_the_first_firm() -> None:
    assert compiled_later() == "[]"


def test_without_warming_up_much_would_be() -> None:
    assert "scan" in compiled_later("cold")
