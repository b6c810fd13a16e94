"""What is saved is what was read; nobody is led astray by anything else."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.orm import Session

from app.matching.columns import Width
from app.matching.segment import Snapshot
from app.matching.snapshots.load import Loaded, connection_of, load, read_version
from app.matching.snapshots.store import Kept, Store, database_identity
from tests.matching.snapshots.same import told
from tests.matching.snapshots.worlds import RULES, make_world

#: Maps a saved segment, reads all of it, and tells the kilobytes that this process alone has.
_MAP = """
import sys, time
from pathlib import Path
import numpy as np
from app.matching.snapshots.store import Store
kept = Store(Path(sys.argv[1]), "here", "1").newest()
cells = kept.loaded.segment.neighbours
print(int(cells.sum()), flush=True)
sys.stdin.readline()
address = cells.__array_interface__["data"][0]
found, inside = {}, False
for line in Path("/proc/self/smaps").read_text().splitlines():
    first = line.split()[0]
    if "-" in first and not first.endswith(":"):
        low, high = (int(end, 16) for end in first.split("-"))
        inside = low <= address < high
    elif inside and line.endswith(" kB"):
        found[first.rstrip(":")] = int(line.split()[1])
print(found["Rss"], found["Private_Clean"] + found["Private_Dirty"], found["Pss"])
"""


@pytest.fixture
def kept(session: Session) -> Kept:
    make_world(session, 4)
    with connection_of(session) as connection:
        version = read_version(connection)
        return Kept(load([connection], version.taken_at, rules=RULES), version)


def snapshot(kept: Kept) -> Snapshot:
    return Snapshot((kept.loaded.segment,), kept.version)


def test_what_is_saved_is_what_was_read(kept: Kept, tmp_path: Path) -> None:
    store = Store(tmp_path, "here", "1")

    saved = store.save(kept)
    found = store.newest()

    assert found is not None
    for one in (saved, found):
        assert told(snapshot(one)) == told(snapshot(kept))
        assert one.version == kept.version
        assert one.loaded.turns_us.tolist() == kept.loaded.turns_us.tolist()
    cells = found.loaded.segment.cells[Width.LARGE]
    assert type(cells) is np.ndarray
    assert not cells.flags.writeable


def test_only_the_newest_stays(kept: Kept, tmp_path: Path) -> None:
    store = Store(tmp_path, "here", "1")
    first = store.save(kept)
    taken_at = kept.version.taken_at + timedelta(days=1)
    later = Kept(kept.loaded, replace(kept.version, taken_at=taken_at))

    store.save(later)

    assert store.newest() is not None
    assert store.newest(after=kept.version.taken_at) is not None
    assert store.newest(after=later.version.taken_at) is None
    assert len([one for one in next(tmp_path.iterdir()).iterdir() if one.is_dir()]) == 1
    # Who has mapped the old one keeps it.
    assert told(snapshot(first)) == told(snapshot(kept))


def _cut(folder: Path) -> None:
    file = folder / "segment.step_day.npy"
    file.write_bytes(file.read_bytes()[:-4])


def _flip(folder: Path) -> None:
    file = folder / "cells.LARGE.npy"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def _lose(folder: Path) -> None:
    (folder / "groups.start.npy").unlink()


def _garble(folder: Path) -> None:
    (folder / "meta.json").write_text("{")


def _relabel(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"identity": "there"}))


@pytest.mark.parametrize("damage", [_cut, _flip, _lose, _garble, _relabel])
def test_what_is_damaged_is_passed_over(
    kept: Kept, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store = Store(tmp_path, "here", "1")
    store.save(kept)
    assert store.newest() is not None

    damage(next(one for one in next(tmp_path.iterdir()).iterdir() if one.is_dir()))

    assert store.newest() is None


def test_other_databases_and_rules_are_other_places(kept: Kept, tmp_path: Path) -> None:
    Store(tmp_path, "here", "1").save(kept)

    assert Store(tmp_path, "there", "1").newest() is None
    assert Store(tmp_path, "here", "2").newest() is None
    assert Store(tmp_path, "here", "1").newest() is not None


def test_a_database_knows_itself(session: Session) -> None:
    with connection_of(session) as connection:
        assert database_identity(connection) == database_identity(connection)
        assert database_identity(connection).count("-") == 3


def test_only_one_is_in_there(tmp_path: Path) -> None:
    store = Store(tmp_path, "here", "1")
    with store.alone(wait=True) as first, store.alone(wait=False) as second:
        assert (first, second) == (True, False)
    with store.alone(wait=False) as again:
        assert again


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_two_processes_share_one_copy(kept: Kept, tmp_path: Path) -> None:
    large = np.arange(4_000_000).astype(np.uint8)
    segment = kept.loaded.segment
    big = Loaded(replace(segment, neighbours=large), kept.loaded.turns_us)
    Store(tmp_path, "here", "1").save(Kept(big, kept.version))

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _MAP, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for one in processes:
        assert one.stdout is not None
        assert int(one.stdout.readline()) == int(large.sum())
    told_kb = [one.communicate("\n")[0].split() for one in processes]

    # The first to tell does so while the other one still has it mapped.
    resident, alone, share = map(int, told_kb[0])
    assert resident >= 3_900
    assert alone < resident / 10
    assert share <= resident / 2 + 100
