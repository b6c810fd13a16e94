"""What is published to GIS tools."""

from collections.abc import Mapping

from app.kernel.errors import NotFoundError
from app.ogc.collection import Collection
from app.ogc.layers.places import BUILDINGS, FLOORS, PARCELS, PARKS, ZONES
from app.ogc.layers.plots import PLOTS
from app.ogc.layers.units import FREE_SPACE, UNITS

COLLECTIONS: Mapping[str, Collection] = {
    one.id: one for one in (ZONES, PARKS, PARCELS, PLOTS, BUILDINGS, FLOORS, UNITS, FREE_SPACE)
}


def find_collection(id_: str) -> Collection:
    """The collection with this id.

    Raises:
        NotFoundError: there is none.
    """
    found = COLLECTIONS.get(id_)
    if found is None:
        listed = ", ".join(COLLECTIONS)
        raise NotFoundError(
            f"there is no such collection; there are {listed}",
            detail_zh=f"没有这个图层，可用的有 {listed}",
        )
    return found
