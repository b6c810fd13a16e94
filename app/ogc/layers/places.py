"""Zones, parks, parcels, buildings and floors: as the inventory lists them."""

from typing import Any

from pydantic import BaseModel

from app.inventory import buildings, floors, parcels, parks, zones
from app.inventory.features import (
    BuildingProperties,
    FloorProperties,
    ParcelProperties,
    ParkProperties,
    ZoneProperties,
)
from app.inventory.listing import Listing
from app.ogc.collection import Collection, Geometry, Rows, When, declare_fields


def _collection(
    id_: str,
    titles: tuple[str, str],
    description: str,
    listing: Listing,
    properties: type[BaseModel],
    *outside: str,
    **more: Any,
) -> Collection:
    columns = listing.table.c
    rows = Rows(listing.table, listing.joined, columns.id, columns.fid, columns.geom)

    def always(_when: When) -> Rows:
        return rows

    return Collection(
        id_,
        *titles,
        description,
        declare_fields(listing.properties, properties),
        rows=always,
        outside=frozenset(outside),
        **{"geometry": Geometry.POLYGON} | more,
    )


ZONES = _collection(
    "zones",
    ("片区", "Zones"),
    "“1+5+X”布局的各片区. The zones of the 1+5+X layout, with what lies in them.",
    zones.LISTING,
    ZoneProperties,
    "totals",
    geometry=Geometry.MULTI_POLYGON,
    editable=True,
)
PARKS = _collection(
    "parks",
    ("园区", "Parks"),
    "各园区及其四至与规模. The parks, with their published edges and sizes.",
    parks.LISTING,
    ParkProperties,
    "zones",
    "parent",
    "totals",
    geometry=Geometry.MULTI_POLYGON,
    editable=True,
)
PARCELS = _collection(
    "parcels",
    ("地块", "Parcels"),
    "地块及规划条件. The plots of land, with their planning terms.",
    parcels.LISTING,
    ParcelProperties,
    "parks",
    "zones",
    editable=True,
)
BUILDINGS = _collection(
    "buildings",
    ("楼宇", "Buildings"),
    "楼宇基底、配套与面积. The footprints of buildings, with their services and areas.",
    buildings.LISTING,
    BuildingProperties,
    "parcels",
    "parks",
    "zones",
    editable=True,
)
FLOORS = _collection(
    "floors",
    ("楼层", "Floors"),
    "楼层，含荷载与净高；用 level 选层. The floors, with load and height; choose one by `level`.",
    floors.LISTING,
    FloorProperties,
    "buildings",
    "parcels",
    "parks",
    "zones",
    editable=True,
)
