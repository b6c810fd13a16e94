"""Vector tiles and map styles over HTTP."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request, Response

from app.database.session import Session
from app.kernel.clock import civil_day
from app.kernel.errors import NotFoundError
from app.ogc.collections import COLLECTIONS
from app.ogc.documents import JSON, extents
from app.ogc.errors import BadParameterError
from app.ogc.styles.map_style import map_style, styles
from app.ogc.tiles.asked import MAP, Question, Tileset, find_tileset, read_question
from app.ogc.tiles.documents import (
    COUNTS,
    MVT,
    STYLE,
    TRUNCATED,
    describe_tileset,
    grid,
    grids,
    opening,
    tilejson,
    tilesets,
)
from app.ogc.tiles.encode import Encoded, Totals, encode, is_shown, places_in
from app.ogc.tiles.grid import GRID_ID, Tile, read_tile, require_grid
from app.ogc.tiles.kept import KeptTiles
from app.ogc.tiles.layers import MAP_ID
from app.routers.dependencies import bearer_scheme, cookie_scheme, in_sandbox, is_public
from app.routers.ogc.landing import FormatOnly
from app.routers.ogc.serving import (
    answer,
    as_public,
    base_of,
    crses,
    in_session,
    now_of,
    parameters_of,
    with_parameters,
)
from app.routers.problems import problems
from app.security.actors import NotSignedInError

_Result = TypeVar("_Result")

router = APIRouter(
    prefix="/ogc",
    tags=["OGC API"],
    dependencies=[Depends(bearer_scheme), Depends(cookie_scheme)],
    responses=problems(BadParameterError, NotFoundError, NotSignedInError),
)

CollectionId = Annotated[str, Path(description=f"图层: {', '.join(COLLECTIONS)}")]
GridId = Annotated[str, Path(description=f"瓦片网格: {GRID_ID}", examples=[GRID_ID])]
TilesetId = Annotated[str, Path(description=f"图层 or {MAP_ID} (全图层 all layers)")]
StyleId = Annotated[str, Path(description=f"样式: {MAP_ID}", examples=[MAP_ID])]
Number = Annotated[str, Path(description="whole number from 0 on")]
_TILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {MVT: {"schema": {"type": "string", "format": "binary"}}},
        "description": f"Mapbox Vector Tile; {COUNTS} says what was found and what is in it,"
        f" {TRUNCATED} whether the smallest features were left out",
    },
    204: {"description": "空瓦片: nothing is there"},
    304: {"description": "unchanged since the ETag in `If-None-Match`"},
}


@router.get("/tiles", dependencies=[FormatOnly], summary="瓦片集 Tilesets of all layers")
async def show_ogc_tilesets(request: Request) -> Response:
    """The tilesets that show all layers together."""
    return answer(tilesets(base_of(request), MAP), JSON)


@router.get("/tiles/{grid_id}", dependencies=[FormatOnly], summary="瓦片集 Tileset of all layers")
async def show_ogc_tileset(request: Request, grid_id: GridId) -> Response:
    """All about the tiles that show all layers together."""
    return await _tileset(request, MAP, grid_id)


@router.get("/tiles/{grid_id}/tilejson", summary="TileJSON of all layers")
async def show_ogc_tilejson(request: Request, grid_id: GridId) -> Response:
    """TileJSON of the tiles that show all layers together, for the days that are asked about."""
    return await _tilejson(request, MAP, grid_id)


@router.get("/tiles/{grid_id}/{z}/{row}/{col}", responses=_TILE, summary="瓦片 Tile of all layers")
async def show_ogc_tile(
    request: Request, grid_id: GridId, z: Number, row: Number, col: Number
) -> Response:
    """A vector tile with a layer for each collection; takes `datetime`, `as_of` and `level`.

    Example: `GET /ogc/tiles/WebMercatorQuad/14/6694/13727?datetime=2027-03-01`
    """
    require_grid(grid_id)
    return await _tile(request, MAP, read_tile(z, col, row))


@router.get(
    "/collections/{collection_id}/tiles", dependencies=[FormatOnly], summary="瓦片集 Tilesets"
)
async def show_ogc_collection_tilesets(request: Request, collection_id: CollectionId) -> Response:
    """The tilesets of a collection."""
    return answer(tilesets(base_of(request), find_tileset(collection_id)), JSON)


@router.get(
    "/collections/{collection_id}/tiles/{grid_id}",
    dependencies=[FormatOnly],
    summary="瓦片集 Tileset",
)
async def show_ogc_collection_tileset(
    request: Request, collection_id: CollectionId, grid_id: GridId
) -> Response:
    """All about the tiles of a collection."""
    return await _tileset(request, find_tileset(collection_id), grid_id)


@router.get("/collections/{collection_id}/tiles/{grid_id}/tilejson", summary="TileJSON")
async def show_ogc_collection_tilejson(
    request: Request, collection_id: CollectionId, grid_id: GridId
) -> Response:
    """TileJSON of a collection's tiles, with the filters that are given here."""
    return await _tilejson(request, find_tileset(collection_id), grid_id)


@router.get(
    "/collections/{collection_id}/tiles/{grid_id}/{z}/{row}/{col}",
    responses=_TILE,
    summary="瓦片 Tile",
)
async def show_ogc_collection_tile(  # noqa: PLR0917  (the address has that many parts)
    request: Request,
    collection_id: CollectionId,
    grid_id: GridId,
    z: Number,
    row: Number,
    col: Number,
) -> Response:
    """A vector tile of a collection; takes the filters of its items.

    Units and free space are totals by park (to zoom 12) and by building (13 and 14) before they
    are drawn one by one.

    Example: `GET /ogc/collections/free_space/tiles/WebMercatorQuad/15/13389/27454?unit_type=pilot`
    """
    require_grid(grid_id)
    return await _tile(request, find_tileset(collection_id), read_tile(z, col, row))


@router.get("/xyz/{tileset_id}/{z}/{x}/{y}.mvt", responses=_TILE, summary="XYZ 瓦片 Plain XYZ tile")
async def show_ogc_xyz_tile(
    request: Request, tileset_id: TilesetId, z: Number, x: Number, y: Number
) -> Response:
    """The same tiles in the order that plain web maps ask in: column before row.

    Example: `GET /ogc/xyz/free_space/15/27454/13389.mvt`
    """
    return await _tile(request, _tileset_of(tileset_id), read_tile(z, x, y))


@router.get("/tileMatrixSets", dependencies=[FormatOnly], summary="瓦片网格 The grids of tiles")
async def show_ogc_tile_matrix_sets(request: Request) -> Response:
    """The grids that tiles are cut by."""
    return answer(grids(base_of(request)), JSON)


@router.get(
    "/tileMatrixSets/{grid_id}", dependencies=[FormatOnly], summary="瓦片网格 The grid of tiles"
)
async def show_ogc_tile_matrix_set(request: Request, grid_id: GridId) -> Response:  # noqa: ARG001
    """The definition of the grid, as far as tiles are made."""
    require_grid(grid_id)
    return answer(grid(), JSON)


@router.get("/styles", dependencies=[FormatOnly], summary="地图样式 Map styles")
async def show_ogc_styles(request: Request) -> Response:
    """The styles for maps."""
    return answer(styles(base_of(request)), JSON)


@router.get(
    "/styles/{style_id}",
    responses={200: {"content": {STYLE: {"schema": {"type": "object"}}}}},
    summary="地图样式 A map style",
)
async def show_ogc_style(request: Request, style_id: StyleId) -> Response:
    """A style for MapLibre: units by kind, what is free in full colour, with Chinese labels.

    Takes `datetime`, `as_of` and `level`, as its tiles do.

    Example: `GET /ogc/styles/space-relay?datetime=2027-03-01`
    """
    if style_id != MAP_ID:
        raise NotFoundError(f"the style is {MAP_ID}", detail_zh=f"可用的样式为 {MAP_ID}")
    parameters = [pair for pair in parameters_of(request) if pair != ("f", "json")]
    read_question(MAP, parameters, now=now_of(request), known=crses(request))

    def work(session: Session) -> Response:
        centre = opening(session, extents(session)["parks"])
        query = with_parameters("", parameters)
        level = dict(parameters).get("level")
        return answer(map_style(base_of(request), centre, query, level), STYLE)

    return await in_session(request, work)


def _tileset_of(id_: str) -> Tileset:
    return MAP if id_ == MAP_ID else find_tileset(id_)


async def _tileset(request: Request, tileset: Tileset, grid_id: str) -> Response:
    require_grid(grid_id)

    def work(session: Session) -> Response:
        box = extents(session)[tileset.id if tileset.collection else "zones"]
        centre = opening(session, box)
        return answer(describe_tileset(base_of(request), tileset, box, centre), JSON)

    return await in_session(request, work)


async def _tilejson(request: Request, tileset: Tileset, grid_id: str) -> Response:
    require_grid(grid_id)
    # What cannot be asked of tiles is refused here already.
    parameters = parameters_of(request)
    read_question(tileset, parameters, now=now_of(request), known=crses(request))

    def work(session: Session) -> Response:
        box = extents(session)[tileset.id if tileset.collection else "zones"]
        query = with_parameters("", parameters)
        centre = opening(session, box)
        return answer(tilejson(base_of(request), tileset, box, centre, query), JSON)

    return await in_session(request, work)


async def _tile(request: Request, tileset: Tileset, tile: Tile) -> Response:
    question = read_question(
        tileset, parameters_of(request), now=now_of(request), known=crses(request)
    )
    if not is_public(request):
        # A credential that is shown must be good; the tiles are the same for everyone.
        await in_session(request, lambda _session: None)
    state = request.app.state
    kept: KeptTiles = state.sandbox_tiles if in_sandbox(request) else state.tiles

    async def look() -> str:
        return await as_public(request, kept.versions.look)

    async def make() -> Encoded:
        return await _make(request, kept, question, tile)

    key = (tileset.id, tile, question.asked)
    encoded = await kept.tile(key, look, make)
    if is_public(request):
        state.asked_tiles.remember(request.scope, key, civil_day(now_of(request)))
    return answer_tile(request, encoded)


async def _make(request: Request, kept: KeptTiles, question: Question, tile: Tile) -> Encoded:
    """The tile as it is now; what it has totals of is summed first, unless it was."""

    async def look() -> str:
        return await kept.current(lambda: as_public(request, kept.versions.look))

    async def ask(work: Callable[[Session], _Result]) -> _Result:
        return await as_public(request, work)

    totals = {}
    if any(layer.place and is_shown(layer, tile, question) for layer, _ in question.layers):
        for layer, selection, places in await ask(
            lambda session: places_in(session, question, tile)
        ):
            totals[layer.id] = await kept.totals.of(layer, selection, places, look, ask)
    return await in_session(request, lambda session: _made(session, question, tile, totals))


def _made(session: Session, question: Question, tile: Tile, totals: Totals) -> Encoded:
    return encode(session, question, tile, totals)


def answer_tile(request: Request, encoded: Encoded) -> Response:
    """A tile, or that it is as the caller has it."""
    gzipped = "gzip" in request.headers.get("accept-encoding", "")
    # The same tile compressed is other bytes.
    tag = f'"{encoded.tag}{"-gzip" if gzipped else ""}"'
    headers = {
        # May be kept by anyone, who asks each time whether it still holds.
        "Cache-Control": "public, no-cache",
        "ETag": tag,
        "Vary": "Accept-Encoding",
        COUNTS: ", ".join(
            f"{layer.layer};matched={layer.matched};returned={layer.returned}"
            for layer in encoded.layers
        ),
        TRUNCATED: "?1" if encoded.dropped else "?0",
    }
    known = [
        one.strip().removeprefix("W/")
        for one in request.headers.get("if-none-match", "").split(",")
    ]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if not encoded.length:
        return Response(status_code=204, headers=headers)
    if gzipped:
        headers["Content-Encoding"] = "gzip"
        return Response(encoded.gzipped, media_type=MVT, headers=headers)
    return Response(encoded.plain, media_type=MVT, headers=headers)
