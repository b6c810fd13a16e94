"""What was worked out of a segment's arrays, kept as long as it is asked for. Pure.

A segment whose buildings changed is another, and yet has the arrays of before: so what depends on
an array alone is kept by the array itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_Made = TypeVar("_Made")


class Kept(Generic[_Made]):
    """The answers last asked for, ``most`` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, tuple[NDArray[np.generic], _Made]] = OrderedDict()
        self._lock = Lock()

    def of(self, array: NDArray[Any], key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What was made of an array under a key, made now if need be."""
        # The array is kept beside the answer, so that no later one has its number.
        known = id(array), key
        with self._lock:
            held = self._found.get(known)
            if held is not None:
                self._found.move_to_end(known)
                return held[1]
        made = make()
        with self._lock:
            self._found[known] = array, made
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return made
