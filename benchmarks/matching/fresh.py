"""The snapshot: how large, how quickly read and started, and how soon it shows a commit.

Starting is measured in a process of its own, from its first instruction to the first answer, with
the kernels compiled and the snapshot kept on disk, as after any restart but the first. How soon a
commit shows is measured with writers in a process of their own: each commits a hold and gives it
back, again and again, and notes when each commit returned; the follower notes when it showed which
transactions.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from app.demand.rules import load_rules
from app.matching.segment import Version
from app.matching.snapshots.follow import Follower
from benchmarks.matching.common import ROOT, Park, line, milliseconds

WRITERS = 8
SECONDS = 20.0
#: Rest of a writer between two commits.
THINKING_SECONDS = 0.04
STARTS = 3


def measure(park: Park) -> None:
    """Load, size, start, visibility."""
    print("\nsnapshot")
    loads = [milliseconds(park.read) for _ in range(3)]
    segment = park.snapshot.segments[0]
    per_million = segment.nbytes / len(segment)
    print(f"  {len(segment):,} units, {per_million:.1f} MB for each 1,000,000   target 100")
    line("full load from the database", loads, "3,000")
    with tempfile.TemporaryDirectory() as folder:
        _start(park, folder)
        line("start to first answer", [_start(park, folder) for _ in range(STARTS)], "5,000")
        _visible(park, Path(folder))


def _start(park: Park, folder: str) -> float:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.matching.start", park.url, folder, str(park.units)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return (float(done.stdout.split()[-1]) - started) * 1000


def _visible(park: Park, folder: Path) -> None:
    follower = Follower(park.engine, load_rules(ROOT / "data").building, folder)
    shown: list[tuple[float, Version]] = []
    ending = threading.Event()

    def watch() -> None:
        last: Version | None = None
        while not ending.is_set():
            version = follower.current().version
            if version is not last:
                shown.append((time.monotonic(), version))
                last = version
            time.sleep(0.0005)

    follower.start()
    follower.current()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.matching.writers", park.url),
                *map(str, (WRITERS, SECONDS, THINKING_SECONDS)),
            ],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        time.sleep(0.5)
    finally:
        ending.set()
        watcher.join()
        follower.stop()
    commits = [(int(xid), float(at)) for xid, at in map(str.split, done.stdout.splitlines())]
    waits = []
    for xid, at in commits:
        first = next((when for when, version in shown if version.sees(xid)), None)
        if first is None:
            raise AssertionError(f"transaction {xid} was never shown")
        waits.append(max(0.0, (first - at) * 1000))
    print(f"  {len(commits):,} commits by {WRITERS} writers in {SECONDS:.0f} s")
    line("commit returned → shown", waits, "p95 20")
