"""Segments laid over each other: a large one, and newer ones with what changed since.

A building is live in the newest layer that holds it; the older ones' copies are stale. Layers are
immutable; each step makes new ones that share their arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.matching.segment import Large, Rows, Segment, Wide
from app.matching.snapshots.joining import joined
from app.matching.snapshots.load import Loaded
from app.matching.snapshots.reading import NEVER_US

#: Layers of so many units are always made one with the next.
_SMALL_UNITS = 256
#: And larger ones, unless they are so many times as large: each unit is moved a few times only.
_MUCH_LARGER = 4


@dataclass(frozen=True, slots=True)
class Layer:
    """A segment, and when its buildings turn.

    Attributes:
        segment: some buildings, stale where a newer layer holds them.
        turns_us: as in ``Loaded``; never, where stale.
        fids: the buildings' numbers, ascending, and
        places: where those are in the segment.
    """

    segment: Segment
    turns_us: Wide
    fids: Large
    places: Rows

    @classmethod
    def of(cls, loaded: Loaded) -> "Layer":
        """A layer of what was read."""
        fid = loaded.segment.buildings.fid
        places = np.argsort(fid)
        return cls(loaded.segment, loaded.turns_us, fid[places], places)

    def turned(self, now_us: int) -> Large:
        """Numbers of the live buildings that are another by now, though nobody wrote them."""
        return self.segment.buildings.fid[self.turns_us <= now_us]

    def under(self, newer: Large) -> "Layer":
        """The same below a layer that holds these buildings."""
        found = np.minimum(np.searchsorted(self.fids, newer), len(self.fids) - 1)
        place = self.places[found[self.fids[found] == newer]] if len(self.fids) else found[:0]
        buildings = self.segment.buildings
        if buildings.stale[place].all():
            return self
        stale, turns_us = buildings.stale.copy(), self.turns_us.copy()
        stale[place], turns_us[place] = True, NEVER_US
        stale.setflags(write=False)
        segment = replace(self.segment, buildings=replace(buildings, stale=stale))
        return replace(self, segment=segment, turns_us=turns_us)


Layers = tuple[Layer, ...]


def laid(layers: Sequence[Layer], loaded: Loaded) -> Layers:
    """The layers with a newer one on top; but for the large one, they stay while they live.

    The newest are made one as long as they are not much larger than those above them together: so
    there are ever only a few.
    """
    fids = loaded.segment.buildings.fid
    base, *others = (layer.under(fids) for layer in layers)
    below = [layer for layer in others if not layer.segment.buildings.stale.all()]
    parts = [Layer.of(loaded)]
    units = len(loaded.segment)
    while below and len(below[-1].segment) <= max(_SMALL_UNITS, _MUCH_LARGER * units):
        parts.insert(0, below.pop())
        units += len(parts[0].segment)
    return (base, *below, _one(parts))


def _one(parts: Sequence[Layer]) -> Layer:
    if len(parts) == 1:
        return parts[0]
    segment = joined([part.segment for part in parts])
    buildings = segment.buildings
    turns_us = np.full(len(buildings.fid), NEVER_US)
    places = np.argsort(buildings.fid)
    fids = buildings.fid[places]
    for part in parts:
        live = ~part.segment.buildings.stale
        found = np.searchsorted(fids, part.segment.buildings.fid[live])
        turns_us[places[found]] = part.turns_us[live]
    return Layer(segment, turns_us, fids, places)
