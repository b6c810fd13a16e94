"""How kernels are compiled: kept on disk, without the interpreter's lock, allocating nothing. Pure.

Of a function that allocates nothing numba need not count who holds which of some forty arrays, at
every call and branch; that would cost several times the work itself. Whatever a kernel writes to is
allocated by its caller.

Numba looks only at a function's own file to see whether what it kept is still good; but a kernel
has the steps that it calls within it, and the places of columns as plain numbers. So what is kept
lies in a folder named after all the sources that go into kernels: no change of any can be missed.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from numba import config, njit

from app.kernel import terms
from app.matching import columns

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    # Nothing is divided by what could be 0.
    "error_model": "numpy",
    "_nrt": False,
}


def sources() -> list[Path]:
    """The files that go into kernels."""
    here = Path(__file__).parent
    return [Path(terms.__file__), Path(columns.__file__), *sorted(here.rglob("*.py"))]


def _keep_apart() -> None:
    """Tell numba where to keep what it compiles; ``NUMBA_CACHE_DIR`` may say under which folder."""
    digest = sha256(b"".join(path.read_bytes() for path in sources())).hexdigest()[:16]
    given: str = vars(config)["CACHE_DIR"]
    folder = Path(given or Path(__file__).parent / "__pycache__")
    vars(config)["CACHE_DIR"] = str(folder / f"kernels-{digest}")


_keep_apart()


def kernel(function: Function) -> Function:
    """A compiled function."""
    compiled: Function = njit(**_OPTIONS)(function)
    return compiled


def step(function: Function) -> Function:
    """A small compiled function that becomes a part of every kernel that calls it."""
    compiled: Function = njit(**_OPTIONS, forceinline=True)(function)
    return compiled
