"""No kernel reads or writes beside its arrays: the oracles' cases, with numba's check of bounds on.

The check costs time and is off where the service runs, as nothing of a caller's ever is an index.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Where kernels are compared with oracles over random worlds.
CASES = ("tests/matching/engine", "tests/matching/bundles", "tests/matching/whynot")
_OVERRUNS = """
import numpy as np
from app.matching.engine.compiled import kernel

@kernel
def beside(values, place):
    return values[place]

beside(np.zeros(4), 4)
"""


def checked(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Python over kernels that were compiled anew with, or without, the check of bounds."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NUMBA_CACHE_DIR": str(folder),
            "NUMBA_BOUNDSCHECK": str(int(check)),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_kernels_stay_within_their_arrays(tmp_path: Path) -> None:
    itself = f"--ignore={Path(__file__).relative_to(ROOT)}"
    options = ("-q", "-p", "no:cacheprovider", "-n", "0", itself)

    done = checked(tmp_path, "-m", "pytest", *options, *CASES)

    assert done.returncode == 0, done.stdout[-4000:]
    assert any(tmp_path.rglob("*.nbc")), "kernels were compiled for this, and not found elsewhere"


@pytest.mark.long
def test_control_a_kernel_that_leaves_its_array_is_found_out(tmp_path: Path) -> None:
    script = tmp_path / "overruns.py"
    script.write_text(_OVERRUNS, "utf-8")

    found = checked(tmp_path / "with", str(script))
    unseen = checked(tmp_path / "without", str(script), check=False)

    assert "IndexError: index is out of bounds" in found.stderr
    assert unseen.returncode == 0, "what runs where the service runs goes unseen"
