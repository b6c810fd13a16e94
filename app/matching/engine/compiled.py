"""How kernels are compiled: kept on disk, without the interpreter's lock, allocating nothing. Pure.

Of a function that allocates nothing numba need not count who holds which of some forty arrays, at
every call and branch; that would cost several times the work itself. Whatever a kernel writes to is
allocated by its caller.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    # Nothing is divided by what could be 0.
    "error_model": "numpy",
    "_nrt": False,
}


def kernel(function: Function) -> Function:
    """A compiled function."""
    compiled: Function = njit(**_OPTIONS)(function)
    return compiled


def step(function: Function) -> Function:
    """A small compiled function that becomes a part of every kernel that calls it."""
    compiled: Function = njit(**_OPTIONS, forceinline=True)(function)
    return compiled
