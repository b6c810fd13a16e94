"""What tools read about tiles before they ask for any: tilesets, TileJSON, the grid."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models.space import Building
from app.ogc.asked import names_taken
from app.ogc.collections import COLLECTIONS
from app.ogc.documents import JSON, link
from app.ogc.tiles.asked import MAP_PARAMETERS, Tileset
from app.ogc.tiles.grid import GRID, GRID_CRS, GRID_ID, GRID_URI, MOST_ZOOM
from app.ogc.tiles.layers import MAP_ID, MOST_BYTES, MOST_FEATURES, Layer

Document = dict[str, Any]
Box = tuple[float, float, float, float]
Position = tuple[float, float]

#: The zoom at which maps open: what is free in each building is seen, and the park around it.
OPENING_ZOOM = 14
MVT = "application/vnd.mapbox-vector-tile"
STYLE = "application/vnd.mapbox.style+json"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
#: The header that says of each layer how many features were found and how many are in the tile.
COUNTS, TRUNCATED = "Tile-Layers", "Tile-Truncated"
LIMITS_ZH = (
    f"每层至多 {MOST_FEATURES} 个要素、每块至多 {MOST_BYTES} 字节；超出时先舍去最小的要素，"
    f"并在响应头 {TRUNCATED} 与 {COUNTS} 中说明"
)
LIMITS_EN = (
    f"a layer has at most {MOST_FEATURES} features and a tile {MOST_BYTES} bytes before it is"
    f" compressed; beyond that the smallest features go first, and the headers {TRUNCATED} and"
    f" {COUNTS} say so"
)


def tilesets(base: str, tileset: Tileset) -> Document:
    """The tilesets there are of a collection or of everything: one."""
    own = f"{base}{tileset.path}/tiles"
    return {
        "links": [link(own, "self", JSON, "this document")],
        "tilesets": [
            {
                "title": tileset.title,
                **_KIND,
                "links": [link(f"{own}/{GRID_ID}", "self", JSON, tileset.title), _grid_link(base)],
            }
        ],
    }


def opening(session: Session, box: Box) -> Position:
    """Where a map opens (degrees): amid the buildings of the park that has the most.

    The middle of ``box``, if nothing stands: of all there is it may be a field between two parks.
    """
    west, south, east, north = box
    most = (
        select(func.ST_Centroid(func.ST_Extent(Building.geom)).label("middle"))
        .where(Building.geom.is_not(None))
        .group_by(Building.park_id)
        .order_by(func.count().desc(), Building.park_id)
        .limit(1)
        .subquery()
    )
    found = session.execute(select(func.ST_X(most.c.middle), func.ST_Y(most.c.middle))).first()
    return ((west + east) / 2, (south + north) / 2) if found is None else (found[0], found[1])


def describe_tileset(base: str, tileset: Tileset, box: Box, centre: Position) -> Document:
    """All about a tileset, whose features lie in ``box``; maps open on ``centre`` (degrees)."""
    own = f"{base}{tileset.path}/tiles/{GRID_ID}"
    item = link(f"{own}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", "item", MVT, "瓦片 tiles")
    return {
        "title": tileset.title,
        "description": f"{tileset.description} {LIMITS_ZH}. {LIMITS_EN}.",
        **_KIND,
        "links": [
            link(own, "self", JSON, "this document"),
            item | {"templated": True},
            link(f"{own}/tilejson", "describedby", JSON, "TileJSON"),
            _grid_link(base),
            link(f"{base}{tileset.path}" or base, f"{_REL}/geodata", JSON, tileset.title),
        ],
        "tileMatrixSetLimits": [
            {
                "tileMatrix": str(zoom),
                "minTileRow": 0,
                "maxTileRow": 2**zoom - 1,
                "minTileCol": 0,
                "maxTileCol": 2**zoom - 1,
            }
            for zoom in range(MOST_ZOOM + 1)
        ],
        "boundingBox": {
            "lowerLeft": list(box[:2]),
            "upperRight": list(box[2:]),
            "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        },
        "centerPoint": {
            "coordinates": list(centre),
            "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
            "tileMatrix": str(OPENING_ZOOM),
        },
        "layers": [
            {
                "id": layer.id,
                "title": layer.title,
                "description": _described(layer),
                "dataType": "vector",
                "minTileMatrix": str(layer.first),
                "maxTileMatrix": str(layer.last),
                "propertiesSchema": {
                    "type": "object",
                    "properties": {name: {"title": title} for name, title in layer.fields.items()},
                },
            }
            for layer in tileset.layers
        ],
    }


def tilejson(base: str, tileset: Tileset, box: Box, centre: Position, query: str) -> Document:
    """TileJSON 3.0; ``query`` is what was asked, with a question mark before it if anything.

    ``box`` and ``centre`` as for :func:`describe_tileset`.
    """
    own = f"{base}{tileset.path}/tiles/{GRID_ID}"
    return {
        "tilejson": "3.0.0",
        "name": tileset.title,
        "description": f"{tileset.description} {LIMITS_ZH}. {LIMITS_EN}.",
        "scheme": "xyz",
        "tiles": [f"{own}/{{z}}/{{y}}/{{x}}{query}"],
        "minzoom": min(layer.first for layer in tileset.layers),
        "maxzoom": MOST_ZOOM,
        "bounds": list(box),
        "center": [*centre, OPENING_ZOOM],
        "vector_layers": [
            {
                "id": layer.id,
                "description": _described(layer),
                "minzoom": layer.first,
                "maxzoom": layer.last,
                "fields": layer.fields,
                # Of our own: the features are totals, one for each of these.
                **({"aggregated_by": layer.place} if layer.place else {}),
            }
            for layer in tileset.layers
        ],
        # Of our own too, as the specification allows.
        "limits": {"most_features_per_layer": MOST_FEATURES, "most_bytes": MOST_BYTES},
    }


def grids(base: str) -> Document:
    """The grids there are: one."""
    own = f"{base}/tileMatrixSets"
    return {
        "links": [link(own, "self", JSON, "this document")],
        "tileMatrixSets": [
            {
                "id": GRID_ID,
                "title": GRID.title,
                "uri": GRID_URI,
                "crs": GRID_CRS,
                "links": [link(f"{own}/{GRID_ID}", "self", JSON, "the definition")],
            }
        ],
    }


def grid() -> Document:
    """The grid, as far as tiles are made."""
    found: Document = GRID.model_dump(mode="json", exclude_none=True)
    found["tileMatrices"] = found["tileMatrices"][: MOST_ZOOM + 1]
    return found


def tile_paths() -> Document:
    """The operations on tiles, as OpenAPI 3.0 has them."""
    found: Document = {
        "/tileMatrixSets": _get("tile_matrix_sets", "瓦片网格 The grids of tiles"),
        f"/tileMatrixSets/{GRID_ID}": _get("tile_matrix_set", "瓦片网格 The grid of tiles"),
        "/styles": _get("styles", "地图样式 The styles of maps"),
        f"/styles/{MAP_ID}": _get(
            "style",
            "地图样式 A style for MapLibre",
            STYLE,
            [{"$ref": f"#/components/parameters/{name}"} for name in sorted(MAP_PARAMETERS)],
        ),
    }
    for one in (None, *COLLECTIONS.values()):
        own = f"/collections/{one.id}/tiles" if one else "/tiles"
        name = one.id if one else "map"
        title = f"{one.title_zh} {one.title_en}" if one else "全图层 All layers"
        taken = names_taken(one) - {"datum"} if one else MAP_PARAMETERS
        shared = [
            {"$ref": f"#/components/parameters/{parameter}"}
            for parameter in sorted(taken)
            if one is None or parameter not in one.queryables
        ]
        found |= {
            own: _get(f"{name}_tilesets", f"瓦片集 Tilesets: {title}"),
            f"{own}/{GRID_ID}": _get(f"{name}_tileset", f"瓦片集 Tileset: {title}"),
            f"{own}/{GRID_ID}/tilejson": _get(
                f"{name}_tilejson", f"TileJSON: {title}", parameters=shared
            ),
            f"{own}/{GRID_ID}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": _get(
                f"{name}_tile",
                f"瓦片 Tile: {title}",
                MVT,
                [
                    {
                        "name": number,
                        "in": "path",
                        "required": True,
                        "schema": {"type": "integer", "minimum": 0},
                    }
                    for number in ("tileMatrix", "tileRow", "tileCol")
                ]
                + shared,
            ),
        }
    return found


_KIND = {"dataType": "vector", "crs": GRID_CRS, "tileMatrixSetURI": GRID_URI}


def _grid_link(base: str) -> Document:
    href = f"{base}/tileMatrixSets/{GRID_ID}"
    return link(href, f"{_REL}/tiling-scheme", JSON, "瓦片网格 the grid")


def _described(layer: Layer) -> str:
    if layer.place:
        return f"{layer.title}: 每处一点，各项为合计; one point each, with totals"
    if layer.sparse_from > layer.first:
        return f"{layer.title}; zoom {layer.sparse_from}+ unless one `level` is asked for"
    return layer.title


def _get(
    name: str, summary: str, media_type: str = JSON, parameters: list[Document] | None = None
) -> Document:
    refusal = {"$ref": "#/components/responses/problem"}
    schema = {"type": "string", "format": "binary"} if media_type == MVT else {"type": "object"}
    empty = {"204": {"description": "空瓦片: nothing is there"}} if media_type == MVT else {}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "tags": ["tiles"],
            **({"parameters": parameters} if parameters else {}),
            "responses": {
                "200": {"description": summary, "content": {media_type: {"schema": schema}}},
                **empty,
                "400": refusal,
                "404": refusal,
                "default": refusal,
            },
        }
    }
