"""Who was told how a feature stands, and means it by sending the same again.

QGIS sends no ``If-Match`` and shows no more of a refusal than its status; a planner presses save
once more. In this process alone: whoever comes to another one is told once more.
"""

from collections import OrderedDict
from typing import NamedTuple

#: Seconds for which a caller knows what it was told.
KNOWN_S = 600
_TOLD_MAX = 10_000


class Place(NamedTuple):
    """A caller, by its label, and the feature that it would change."""

    caller: str
    collection: str
    fid: str


class Told:
    """The tags that callers were told, the latest last."""

    def __init__(self) -> None:
        """Nobody was told anything."""
        self._tags: OrderedDict[Place, tuple[float, str]] = OrderedDict()

    def tell(self, place: Place, tag: str, now: float) -> None:
        """The caller hears the tag at ``now``, in seconds."""
        self._tags[place] = (now, tag)
        self._tags.move_to_end(place)
        if len(self._tags) > _TOLD_MAX:
            self._tags.popitem(last=False)

    def take(self, place: Place, now: float) -> str | None:
        """The tag that the caller was told within ten minutes; it counts for one call."""
        at, tag = self._tags.pop(place, (0.0, ""))
        return tag if tag and 0 <= now - at < KNOWN_S else None
