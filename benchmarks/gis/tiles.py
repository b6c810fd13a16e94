"""Vector tiles: made anew, and from the cache."""

import math
import random
from collections.abc import Sequence
from urllib.parse import urlencode

import mapbox_vector_tile

from benchmarks.gis.common import Compared, Side, extent, line, over_http, ratio
from benchmarks.gis.common import measure as in_turns

#: At 15 ours shows each unit, as tipg does at every zoom; at 14 and 12 sums by building and park.
ZOOMS = (15, 14, 12)
CLIENTS = (1, 8)
_TILES, _QUESTIONS = 24, 5_000
_ROOT = "/ogc/collections/units/tiles/WebMercatorQuad"


def measure(compared: Compared, seed: int) -> None:
    """Each zoom with one client and eight, every question new to both; then one tile kept."""
    for zoom in ZOOMS:
        _measure(compared, zoom, _tiles(compared, zoom, seed))


def _measure(compared: Compared, zoom: int, tiles: Sequence[tuple[int, int]]) -> None:
    names = _properties(compared.port, tiles)
    own = [f"{_ROOT}/{zoom}/{row}/{column}" for column, row in tiles]
    others = [compared.tipg.tile(zoom, column, row, names) for column, row in tiles]
    tipg = Side("tipg", lambda: over_http(compared.tipg.port, _new(others)))
    ours = Side("ours, new", lambda: over_http(compared.port, _new(own)))
    kept = Side("ours, kept", lambda: over_http(compared.port, own))
    print(f"\ntiles, zoom {zoom}: {len(tiles)} tiles, with {', '.join(names)}")
    for clients in CLIENTS:
        in_turns([ours, kept, tipg], _QUESTIONS, clients, compared.rounds, compared.seconds)
        print(f"  {clients} client{'s' if clients > 1 else ''}")
        print(line(tipg))
        print(line(ours, {"is": ratio(ours, tipg)}) + "   target 2")
        print(line(kept, {"is": ratio(kept, tipg)}) + "   target 20")


def _new(paths: Sequence[str]) -> list[str]:
    """The same tiles asked for with a filter that is another each time, and lets all pass."""
    least = random.random()  # noqa: S311 - only to be another
    made = []
    for number in range(_QUESTIONS):
        path = paths[number % len(paths)]
        condition = urlencode({"filter": f"leasable_area_m2 >= {(least + number) / 1e6:.9f}"})
        made.append(f"{path}{'&' if '?' in path else '?'}{condition}")
    return made


def _tiles(compared: Compared, zoom: int, seed: int) -> list[tuple[int, int]]:
    """Columns and rows of seeded tiles inside the park."""
    chooser = random.Random(seed)  # noqa: S311 - repeatable, not secret
    west, south, east, north = extent(compared.engine)
    return [
        _tile_at(zoom, chooser.uniform(west, east), chooser.uniform(south, north))
        for _ in range(_TILES)
    ]


def _tile_at(zoom: int, lon: float, lat: float) -> tuple[int, int]:
    """Column and row of the tile of WebMercatorQuad that a place lies in."""
    across = 1 << zoom
    y = math.asinh(math.tan(math.radians(lat)))
    return int((lon + 180) / 360 * across), int((1 - y / math.pi) / 2 * across)


def _properties(port: int, tiles: Sequence[tuple[int, int]]) -> list[str]:
    """The attributes that units have in our tiles: tipg is asked for the same."""
    column, row = tiles[0]
    body = over_http(port, [f"{_ROOT}/{ZOOMS[0]}/{row}/{column}"])(0)
    layers = mapbox_vector_tile.decode(body)
    names = {name for one in layers.values() for f in one["features"] for name in f["properties"]}
    return sorted(names)
