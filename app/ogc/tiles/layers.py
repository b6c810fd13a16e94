"""What tiles show of each collection, from which zoom on: one declared table.

Far away units are not drawn one by one: their parks, and nearer their buildings, are points with
totals. A point is in exactly one tile of a zoom, so that the totals of its tiles sum to all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.ogc.collection import Collection
from app.ogc.collections import COLLECTIONS
from app.ogc.fields import Kind
from app.ogc.tiles.grid import MOST_ZOOM

#: The most that a layer and a tile have; beyond that the smallest features go first, and the
#: answer says so.
MOST_FEATURES, MOST_BYTES = 10_000, 500_000
#: Zooms from which floors are shown unless one level is asked for: they lie on each other.
_FLOORS_FROM, _ALL_FLOORS_FROM = 15, 17


@dataclass(frozen=True, slots=True)
class Total:
    """A total of what lies in a place: SQL over the rows of the collection."""

    name: str
    sql: str
    title: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a tile.

    ``attributes`` are names of the collection's fields, by the zoom from which they are told. With
    a ``place`` (a table) it is points instead, one for each of those with features in it, with
    ``totals``. ``sparse_from``: the zoom from which it is also shown where no level is asked for.
    """

    id: str
    collection: Collection
    title: str
    first: int
    last: int = MOST_ZOOM
    attributes: Mapping[str, int] | None = None
    place: Literal["parks", "buildings"] | None = None
    totals: tuple[Total, ...] = ()
    sparse_from: int = 0

    def names(self, zoom: int) -> tuple[str, ...]:
        """The attributes that are told at a zoom."""
        return tuple(name for name, first in (self.attributes or {}).items() if zoom >= first)

    @property
    def fields(self) -> dict[str, str]:
        """All attributes, as TileJSON describes them."""
        if self.place is not None:
            named = {
                "code": "String; 编码 Code",
                "name_zh": "String; 名称 Name zh",
                "name_en": "String; 英文名称 Name en",
            }
            return named | {total.name: total.title for total in self.totals}
        fields = self.collection.fields
        return {
            name: f"{_JSON[fields[name].kind]}; {fields[name].title_zh} {fields[name].title_en}"
            + (f", {fields[name].unit}" if fields[name].unit else "")
            for name in self.names(MOST_ZOOM)
        }


_JSON = {
    kind: {"number": "Number", "integer": "Number", "boolean": "Boolean"}.get(
        kind.json_type, "String"
    )
    for kind in Kind
}
_NAMES = {"code": 0, "name_zh": 0, "name_en": 0}
_UNIT = {
    "code": 15,
    "unit_type": 15,
    "leasable_area_m2": 15,
    "level_index": 15,
    "capacity": 15,
    "capacity_measure": 15,
    "physical_state": 15,
    "name_zh": 16,
    "name_en": 16,
    "floor_load_kn_m2": 16,
    "clear_height_m": 16,
}
_COUNTED = Total("units_count", "count(*)", "Number; 单元数 Units", whole=True)
_LET = (
    _COUNTED,
    Total(
        "leasable_area_m2",
        "sum(units.leasable_area_m2)",
        "Number; 计租面积 Leasable area, m2",
    ),
    Total(
        "places",
        "sum(units.capacity) FILTER (WHERE units.capacity_measure = 'place')",
        "Number; 工位数 Places",
    ),
)
_FREE = (
    _COUNTED,
    Total(
        "free_area_m2",
        "sum(free.free_quantity) FILTER (WHERE units.capacity_measure = 'm2')",
        "Number; 可用面积 Free area, m2",
    ),
    Total(
        "free_places",
        "sum(free.free_quantity) FILTER (WHERE units.capacity_measure = 'place')",
        "Number; 可用工位数 Free places",
    ),
)


def _plain(id_: str, first: int, attributes: Mapping[str, int], sparse_from: int = 0) -> Layer:
    one = COLLECTIONS[id_]
    return Layer(
        id_,
        one,
        f"{one.title_zh} {one.title_en}",
        first,
        attributes=attributes,
        sparse_from=sparse_from,
    )


def _aggregated(
    id_: str, totals: tuple[Total, ...], attributes: Mapping[str, int]
) -> tuple[Layer, ...]:
    one = COLLECTIONS[id_]
    title = f"{one.title_zh} {one.title_en}"
    return (
        Layer(f"{id_}_parks", one, f"各园区{title} by park", 0, 12, place="parks", totals=totals),
        Layer(
            f"{id_}_buildings",
            one,
            f"各楼宇{title} by building",
            13,
            14,
            place="buildings",
            totals=totals,
        ),
        _plain(id_, 15, attributes),
    )


#: Of each collection, by its id.
TILESETS: Mapping[str, tuple[Layer, ...]] = {
    "zones": (_plain("zones", 5, {**_NAMES, "layout_role": 5, "district": 9}),),
    "parks": (_plain("parks", 8, {**_NAMES, "layout_role": 8, "carrier_type": 11}),),
    "parcels": (
        _plain(
            "parcels",
            11,
            {"code": 11, "land_use_code": 11, "grade": 11, "tenure": 13, "name_zh": 13},
        ),
    ),
    "plots": (
        _plain(
            "plots",
            9,
            {
                "code": 9,
                "programme_code": 9,
                "programme_name_zh": 9,
                "programme_name_en": 9,
                "land_use_code": 13,
            },
        ),
    ),
    "buildings": (
        _plain(
            "buildings",
            12,
            {
                "code": 12,
                "name_zh": 13,
                "name_en": 13,
                "physical_state": 12,
                "floors_above": 13,
                "height_m": 13,
                "gross_floor_area_m2": 15,
            },
        ),
    ),
    "floors": (
        _plain(
            "floors",
            _FLOORS_FROM,
            dict.fromkeys(
                ("code", "level_index", "level_name", "floor_load_kn_m2", "clear_height_m"), 15
            ),
            _ALL_FLOORS_FROM,
        ),
    ),
    "units": _aggregated("units", _LET, _UNIT),
    "free_space": _aggregated(
        "free_space",
        _FREE,
        {**_UNIT, "free_from": 15, "free_until": 15, "free_quantity": 15},
    ),
}
#: The map of everything.
MAP_ID = "space-relay"
#: In the order in which a map draws them. Of units far away only what is free is told.
MAP_LAYERS: tuple[Layer, ...] = (
    *(layer for name in ("zones", "parks", "parcels", "buildings") for layer in TILESETS[name]),
    *TILESETS["floors"],
    TILESETS["units"][-1],
    *TILESETS["free_space"],
)
