"""Tiles as PostGIS encodes them: one statement a tile, whatever its layers."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Float,
    LargeBinary,
    Select,
    Uuid,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from app.models.space import Building, Park
from app.ogc.asked import Selection
from app.ogc.crs import STORED_SRID
from app.ogc.fields import Field, Kind
from app.ogc.tiles.asked import Question
from app.ogc.tiles.grid import BUFFER, SRID, STEPS, Tile
from app.ogc.tiles.layers import MOST_BYTES, MOST_FEATURES, Layer
from app.ogc.tiles.totals import Sums

#: From this zoom on outlines have all their corners, and are placed by degrees. In a tile of edge
#: ``a`` (metres of Web Mercator) that is straight but for ``a² / 8R``: a tenth of a step at 15,
#: half of that with each further zoom. To project each corner takes longer than to draw it.
_WHOLE_FROM = 15
#: Corners closer than this to the line without them are left out below it: half a screen's pixel.
_STEPS_APART = 4
#: Of what would fit by the mean of a tile's features; large ones take more bytes than small ones.
_SAFETY = 0.8
#: Of layers, by their id, the totals of each place.
Totals = Mapping[str, Mapping[UUID, Sums]]
NO_TOTALS: Totals = {}
#: A layer with a place, what it sums, and places of it.
Places = tuple[Layer, Selection, tuple[UUID, ...]]
_PLACES = {"parks": Park.__table__, "buildings": Building.__table__}
#: How hard it is compressed: half the time of the usual 6 for a few per cent more bytes.
_GZIP_LEVEL = 4
#: Tiles that are kept unpacked as well, of half a megabyte at most: few callers ask for those.
_PLAIN_KEPT = 64


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a tile has of a layer, and how many features there were to be drawn."""

    layer: str
    matched: int
    returned: int
    dropped: bool


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tile as it is sent, compressed; empty if there is nothing in it."""

    gzipped: bytes
    length: int
    tag: str
    layers: tuple[Drawn, ...] = field(default=())

    @property
    def plain(self) -> bytes:
        """The tile itself."""
        return _plain(self.gzipped) if self.length else b""

    @property
    def dropped(self) -> bool:
        """Whether there was more than a tile may have."""
        return any(layer.dropped for layer in self.layers)


@lru_cache(maxsize=_PLAIN_KEPT)
def _plain(gzipped: bytes) -> bytes:
    """Unpacked; half of the time that a kept tile takes who reads none that are compressed."""
    return gzip.decompress(gzipped)


def encode(
    session: Session,
    question: Question,
    tile: Tile,
    totals: Totals = NO_TOTALS,
    *,
    most_features: int = MOST_FEATURES,
    most_bytes: int = MOST_BYTES,
) -> Encoded:
    """A tile of what is asked.

    ``totals`` are those of the places in it, for each layer that shows places (``places_in``). A
    layer has at most ``most_features``, and the tile ``most_bytes`` before it is compressed:
    beyond that the smallest features are left out, and ``dropped`` says of which layers.
    """
    shown = [pair for pair in question.layers if is_shown(pair[0], tile, question)]
    if not shown:
        return _encoded(b"", ())
    most = [most_features] * len(shown)
    while True:
        row = session.execute(tile_statement(shown, tile, most, totals)).one()
        parts = [row[place : place + 3] for place in range(0, len(row), 3)]
        body = b"".join(bytes(mvt) for mvt, _, _ in parts)
        if len(body) <= most_bytes or max(most) == 1:
            break
        # Again with fewer, from layers in proportion: each is cut by its share of the tile.
        share = most_bytes * _SAFETY / len(body)
        most = [
            max(1, min(limit, int(returned * share)))
            for limit, (_, _, returned) in zip(most, parts, strict=True)
        ]
    return _encoded(
        body,
        tuple(
            Drawn(layer.id, matched, returned, dropped=matched > limit)
            for (layer, _), limit, (_, matched, returned) in zip(shown, most, parts, strict=True)
        ),
    )


def places_in(session: Session, question: Question, tile: Tile) -> list[Places]:
    """The places that a tile shows with totals, by the layers that show them."""
    return [
        (layer, selection, tuple(session.scalars(places_statement(layer, tile))))
        for layer, selection in question.layers
        if layer.place and is_shown(layer, tile, question)
    ]


def is_shown(layer: Layer, tile: Tile, question: Question) -> bool:
    """Whether a layer is drawn at the tile's zoom."""
    first = layer.first if question.one_level else max(layer.first, layer.sparse_from)
    return first <= tile.z <= layer.last


def tile_statement(
    shown: list[tuple[Layer, Selection]],
    tile: Tile,
    most: list[int],
    totals: Totals = NO_TOTALS,
) -> Select[Any]:
    """The one statement: of each layer its bytes, how many were found and how many are in it."""
    parts = [
        (
            _places(layer, totals.get(layer.id, {}), tile, limit)
            if layer.place
            else _features(layer, selection, tile, limit)
        ).lateral(layer.id)
        for (layer, selection), limit in zip(shown, most, strict=True)
    ]
    found = parts[0]
    source: Any = found
    for part in parts[1:]:
        source = source.join(part, true())
    columns = [part.c[name] for part in parts for name in ("mvt", "matched", "returned")]
    return select(*columns).select_from(source)


def _features(layer: Layer, selection: Selection, tile: Tile, most: int) -> Select[Any]:
    """Outlines of features, the largest first where there are too many."""
    rows = selection.rows
    fields = [layer.collection.fields[name] for name in layer.names(tile.z)]
    needs_outside = layer.collection.needs_outside
    attributes = [_attribute(one, needs_outside=needs_outside(one.sql)) for one in fields]
    found = (
        selection.where(_meets(rows.outline, tile))
        .select(rows.key.label("fid"), rows.outline.label("outline"), *attributes)
        .cte(f"{layer.id}_found")
        .prefix_with("MATERIALIZED")
    )
    largest = (
        select(found)
        .order_by(func.ST_Area(found.c.outline).desc(), found.c.fid)
        .limit(most)
        .subquery(f"{layer.id}_largest")
    )
    drawn = _drawn(largest.c.outline, tile)
    kept = [column for column in largest.c if column.name not in {"fid", "outline"}]
    in_tile = select(largest.c.fid, drawn.label("geom"), *kept)
    return _layer(layer, in_tile, select(func.count()).select_from(found).scalar_subquery())


def _drawn(outline: ColumnElement[Any], tile: Tile) -> ColumnElement[Any]:
    """An outline in steps of the tile, as much of it as lies there; null if nothing is left."""
    if tile.z >= _WHOLE_FROM:
        bounds = func.ST_MakeEnvelope(*tile.degrees, STORED_SRID)
        return func.ST_AsMVTGeom(outline, bounds, STEPS, BUFFER, true())
    projected = func.ST_Transform(outline, SRID)
    simple = func.ST_Simplify(projected, tile.step_m * _STEPS_APART, true())
    return func.ST_AsMVTGeom(simple, _envelope(tile.bounds), STEPS, BUFFER, true())


def places_statement(layer: Layer, tile: Tile) -> Select[Any]:
    """The ids of the places whose points are in the tile."""
    return select(_here(layer, tile).c.id)


def _here(layer: Layer, tile: Tile) -> CTE:
    """Places with their points, in one tile each: up to the next, so that none has another's."""
    place = _PLACES[layer.place or ""]
    point = func.ST_Transform(func.ST_PointOnSurface(place.c.geom), SRID)
    near = (
        select(
            place.c.id,
            place.c.fid,
            place.c.code,
            place.c.name_zh,
            place.c.name_en,
            point.label("point"),
        )
        .where(
            func.ST_Intersects(place.c.geom, func.ST_Transform(_envelope(tile.bounds), STORED_SRID))
        )
        .cte(f"{layer.id}_near")
        .prefix_with("MATERIALIZED")
    )
    west, south, east, north = tile.bounds
    x, y = func.ST_X(near.c.point), func.ST_Y(near.c.point)
    here = select(near).where(x >= west, x < east, y > south, y <= north)
    return here.cte(f"{layer.id}_here").prefix_with("MATERIALIZED")


def _places(layer: Layer, totals: Mapping[UUID, Sums], tile: Tile, most: int) -> Select[Any]:
    """Points of the places that have totals."""
    here = _here(layer, tile)
    columns = zip(*totals.values(), strict=True) if totals else ([] for _ in layer.totals)
    summed = (
        func.unnest(
            literal(list(totals), ARRAY(Uuid())),
            *(literal(list(values), ARRAY(Float())) for values in columns),
        )
        .table_valued(
            column("place_id", Uuid()), *(column(total.name, Float()) for total in layer.totals)
        )
        .render_derived(f"{layer.id}_summed")
    )
    drawn = func.ST_AsMVTGeom(here.c.point, _envelope(tile.bounds), STEPS, BUFFER, true())
    in_tile = (
        select(
            here.c.fid,
            drawn.label("geom"),
            here.c.code,
            here.c.name_zh,
            here.c.name_en,
            *(
                (cast(value, BigInteger) if total.whole else value).label(total.name)
                for total in layer.totals
                for value in (summed.c[total.name],)
            ),
        )
        .select_from(here.join(summed, summed.c.place_id == here.c.id))
        .order_by(summed.c.units_count.desc(), here.c.fid)
        .limit(most)
    )
    return _layer(layer, in_tile, literal(len(totals)))


def _layer(layer: Layer, in_tile: Select[Any], matched: ColumnElement[int]) -> Select[Any]:
    # OFFSET: else the planner would draw each twice, to see whether it is null and to encode it.
    rows = in_tile.offset(0).subquery(f"{layer.id}_tile")
    drawn = select(rows).where(rows.c.geom.is_not(None)).subquery(f"{layer.id}_drawn")
    encoded: ColumnElement[Any] = func.ST_AsMVT(
        literal_column(f"{layer.id}_drawn"),
        literal(layer.id),
        STEPS,
        "geom",
        "fid",
        type_=LargeBinary,
    )
    counted: ColumnElement[Any] = func.count()
    return select(
        encoded.label("mvt"), matched.label("matched"), counted.label("returned")
    ).select_from(drawn)


def _attribute(field_: Field, *, needs_outside: bool) -> ColumnElement[Any]:
    """A value as the encoder takes it: it would write NUMERIC as text."""
    sql = _SHORTER.get(field_.sql, field_.sql) if needs_outside else field_.sql
    value: ColumnElement[Any] = literal_column(sql)
    whole = cast(value, Float) if field_.kind is Kind.NUMBER else value
    return whole.label(field_.name)


#: What one look-up tells, for which the whole of what is joined to a unit need not be.
_SHORTER = {
    "floors.level_index": "(SELECT f.level_index FROM floors f WHERE f.id = units.floor_id)"
}


def _meets(outline: ColumnElement[Any], tile: Tile) -> ColumnElement[bool]:
    return func.ST_Intersects(outline, func.ST_Transform(_envelope(tile.reach), STORED_SRID))


def _envelope(bounds: tuple[float, float, float, float]) -> ColumnElement[Any]:
    return func.ST_MakeEnvelope(*bounds, SRID)


def _encoded(body: bytes, layers: tuple[Drawn, ...]) -> Encoded:
    tag = sha256(body).hexdigest()[:32]
    packed = gzip.compress(body, _GZIP_LEVEL, mtime=0) if body else b""
    return Encoded(packed, len(body), tag, layers)
