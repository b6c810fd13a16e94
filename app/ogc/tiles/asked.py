"""What a caller asks of tiles: which layers, and which features of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.kernel.errors import NotFoundError
from app.ogc.asked import Parameters, Selection, read_selection
from app.ogc.collection import Collection
from app.ogc.collections import find_collection
from app.ogc.crs import CRSES, Crs
from app.ogc.errors import bad_parameter
from app.ogc.tiles.layers import MAP_ID, MAP_LAYERS, TILESETS, Layer

#: What every tile takes besides what its features are selected by.
FORMAT = "f"
#: What the map of everything takes: each layer what it understands of it.
MAP_PARAMETERS = frozenset({"datetime", "as_of", "level"})
_FORMATS = frozenset({"mvt"})


@dataclass(frozen=True, slots=True)
class Tileset:
    """The tiles of one collection, or (None) of the map of everything."""

    id: str
    collection: Collection | None
    layers: tuple[Layer, ...]

    @property
    def title(self) -> str:
        """What it is called."""
        if self.collection is None:
            return "园区空间 Space Relay"
        return f"{self.collection.title_zh} {self.collection.title_en}"

    @property
    def description(self) -> str:
        """What it shows."""
        if self.collection is None:
            return "全部图层合成的地图. A map of all layers."
        return self.collection.description

    @property
    def path(self) -> str:
        """Where it is, below the base."""
        return "" if self.collection is None else f"/collections/{self.id}"


@dataclass(frozen=True, slots=True)
class Question:
    """Layers to be drawn, each with the features that are asked for.

    ``asked`` says in words what is asked: in the same words it has the same answer.
    """

    tileset: Tileset
    layers: tuple[tuple[Layer, Selection], ...]
    asked: str
    one_level: bool


MAP = Tileset(MAP_ID, None, MAP_LAYERS)


def find_tileset(id_: str | None) -> Tileset:
    """The tileset of a collection; of the map of everything for None or its own name.

    Raises:
        NotFoundError: there is none.
    """
    if id_ in {None, MAP_ID}:
        return MAP
    one = find_collection(id_ or "")
    if one.id not in TILESETS:
        raise NotFoundError(f"{one.id} has no tiles", detail_zh=f"图层 {one.id} 没有瓦片")
    return Tileset(one.id, one, TILESETS[one.id])


def read_question(
    tileset: Tileset,
    parameters: Parameters,
    *,
    now: datetime,
    known: Mapping[str, Crs] = CRSES,
) -> Question:
    """What query parameters ask of tiles: of a collection, the same as of its items.

    Raises:
        BadParameterError: one is unknown, given twice, or cannot be read.
    """
    given = dict(parameters)
    if given.get(FORMAT, "mvt") not in _FORMATS:
        raise bad_parameter(FORMAT, "mvt", "应为 mvt")
    if "datum" in given:
        raise bad_parameter(
            "datum",
            "tiles are cut in WGS 84; a map over Amap or Baidu takes items as GeoJSON",
            "瓦片按 WGS 84 切分；叠加高德、百度底图请取 GeoJSON 要素",
        )
    if tileset.collection is None:
        _require_map_parameters(parameters)
    selections: dict[str, Selection] = {}
    for one in {layer.collection.id: layer.collection for layer in tileset.layers}.values():
        own = parameters if tileset.collection is not None else _understood(one, parameters)
        selections[one.id] = read_selection(
            one, own, now=now, also=frozenset({FORMAT}), known=known
        )
    asked = "\n".join(f"{name} {selection.asked}" for name, selection in selections.items())
    layers = tuple((layer, selections[layer.collection.id]) for layer in tileset.layers)
    levels = {"level", "level_index"} & given.keys()
    return Question(tileset, layers, asked, bool(levels))


def _require_map_parameters(parameters: Parameters) -> None:
    taken = MAP_PARAMETERS | {FORMAT}
    names = [name for name, _ in parameters]
    for name in names:
        if name not in taken:
            listed = ", ".join(sorted(taken))
            raise bad_parameter(
                name[:100],
                f"there is no such parameter of the map of all layers; there are {listed}",
                f"全图层瓦片没有此参数，可用的有 {listed}",
            )
        if names.count(name) > 1:
            raise bad_parameter(name, "given more than once", "重复给出")


def _understood(one: Collection, parameters: Parameters) -> Parameters:
    """What a collection of the map understands of what is asked of all of them."""
    names = {"datetime", "as_of"} if one.temporal else set()
    if "level_index" in one.fields:
        names |= {"level"}
    return [(name, value) for name, value in parameters if name in names]
