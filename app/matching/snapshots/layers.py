"""Segments laid over each other: a large one, and newer ones with what changed since.

A building is live in the newest layer that holds it; the older ones' copies are stale. Layers are
immutable; each step makes new ones that share their arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.matching.segment import Large, Segment, Wide
from app.matching.snapshots.load import Loaded


@dataclass(frozen=True, slots=True)
class Layer:
    """A segment, when its buildings turn, and the number of the reading it came from."""

    segment: Segment
    turns_us: Wide
    reading: int

    @property
    def live_fids(self) -> Large:
        """Numbers of the buildings that no newer layer holds."""
        buildings = self.segment.buildings
        return buildings.fid[~buildings.stale]

    def turned(self, now_us: int) -> Large:
        """Numbers of the live buildings that are another by now, though nobody wrote them."""
        buildings = self.segment.buildings
        return buildings.fid[~buildings.stale & (self.turns_us <= now_us)]

    def under(self, newer: Large) -> "Layer":
        """The same below a layer that holds these buildings."""
        buildings = self.segment.buildings
        stale = buildings.stale | np.isin(buildings.fid, newer)
        stale.setflags(write=False)
        return replace(
            self, segment=replace(self.segment, buildings=replace(buildings, stale=stale))
        )


Layers = tuple[Layer, ...]

_MUCH_LARGER = 2


def laid(layers: Sequence[Layer], loaded: Loaded, reading: int) -> Layers:
    """The layers with a newer one on top; but for the large one, they stay while they live."""
    fids = loaded.segment.buildings.fid
    below = [layer.under(fids) for layer in layers]
    kept = below[:1] + [layer for layer in below[1:] if len(layer.live_fids)]
    return (*kept, Layer(loaded.segment, loaded.turns_us, reading))


def to_fold(layers: Sequence[Layer]) -> Layers:
    """The newest layers, and older ones as long as they are not much larger than those together.

    So a building is read again for a layer of twice the size, and not each time.
    """
    chosen = 1
    while chosen < len(layers) - 1:
        newer = sum(len(layer.segment) for layer in layers[-chosen:])
        if len(layers[-chosen - 1].segment) > _MUCH_LARGER * newer:
            break
        chosen += 1
    return tuple(layers[-chosen:])


def folded(layers: Sequence[Layer], parts: Layers, loaded: Loaded, reading: int) -> Layers:
    """One layer, read after ``reading``, in the place of some that were the newest then."""
    fids = loaded.segment.buildings.fid
    older = [layer.under(fids) for layer in layers if layer.reading < parts[0].reading]
    newer = [layer for layer in layers if layer.reading > reading]
    since = [layer.segment.buildings.fid for layer in newer]
    middle = Layer(loaded.segment, loaded.turns_us, reading)
    if since:
        middle = middle.under(np.concatenate(since))
    return (*older, middle, *newer)
