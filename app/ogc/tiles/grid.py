"""The one grid that tiles are cut by: WebMercatorQuad, as every web map has it."""

from dataclasses import dataclass

import morecantile

from app.kernel.errors import NotFoundError
from app.ogc.errors import bad_parameter

GRID = morecantile.tms.get("WebMercatorQuad")
GRID_ID = "WebMercatorQuad"
GRID_URI = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
GRID_CRS = "http://www.opengis.net/def/crs/EPSG/0/3857"
SRID = 3857
#: The deepest tiles there are; maps enlarge these beyond. A step is 4 cm there.
MOST_ZOOM = 18
#: Steps along an edge of a tile, and how far what is drawn reaches over it.
STEPS, BUFFER = 4096, 64
_MOST_DIGITS = 9

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Tile:
    """One square of the grid: column ``x`` from the west and row ``y`` from the north."""

    z: int
    x: int
    y: int

    @property
    def bounds(self) -> Box:
        """West, south, east and north, in metres of Web Mercator."""
        west, south, east, north = GRID.xy_bounds(morecantile.Tile(self.x, self.y, self.z))
        return west, south, east, north

    @property
    def degrees(self) -> Box:
        """West, south, east and north, in degrees of WGS 84."""
        west, south, east, north = GRID.bounds(morecantile.Tile(self.x, self.y, self.z))
        return west, south, east, north

    @property
    def reach(self) -> Box:
        """The same with the buffer around it."""
        west, south, east, north = self.bounds
        margin = (east - west) * BUFFER / STEPS
        return west - margin, south - margin, east + margin, north + margin

    @property
    def step_m(self) -> float:
        """The least distance that is told apart in the tile, metres of Web Mercator."""
        west, _, east, _ = self.bounds
        return (east - west) / STEPS


def read_tile(z: str, x: str, y: str) -> Tile:
    """The tile that a path names.

    Raises:
        BadParameterError: one of the three is not a whole number.
        NotFoundError: the grid has no such tile, or none are made so deep.
    """
    numbers = []
    for name, value in (("tileMatrix", z), ("tileCol", x), ("tileRow", y)):
        digits = value.removeprefix("-")
        if not (digits.isdecimal() and digits.isascii()) or len(digits) > _MOST_DIGITS:
            raise bad_parameter(name, "a whole number", "应为整数")
        numbers.append(int(value))
    zoom, column, row = numbers
    if not 0 <= zoom <= MOST_ZOOM:
        raise NotFoundError(
            f"there are tiles of zoom 0 to {MOST_ZOOM}; maps enlarge the deepest ones beyond",
            detail_zh=f"瓦片级别为 0 至 {MOST_ZOOM}，更深级别由地图放大显示",
        )
    if not (0 <= column < 2**zoom and 0 <= row < 2**zoom):
        raise NotFoundError(
            f"at zoom {zoom} rows and columns are 0 to {2**zoom - 1}",
            detail_zh=f"第 {zoom} 级的行列号为 0 至 {2**zoom - 1}",
        )
    return Tile(zoom, column, row)


def require_grid(name: str) -> None:
    """Refuse any other grid.

    Raises:
        NotFoundError: it is another one.
    """
    if name != GRID_ID:
        raise NotFoundError(f"the grid is {GRID_ID}", detail_zh=f"可用的瓦片网格为 {GRID_ID}")
