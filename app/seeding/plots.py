"""Lays plots in a park, buildings on a plot, and units on a floor. Pure geometry, metres."""

import itertools
import math
from collections.abc import Iterator, Sequence

import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from app.seeding.frames import Box, Frame
from app.seeding.reference import PlotRow

#: Share of a floor that is let; the rest is core and corridor. Published for one park: 85.8 %.
LETTABLE = 0.86


def park_angle(ground: Polygon | MultiPolygon) -> float:
    """Direction of the longest edge, radians in (-pi/4, pi/4]: streets follow it."""
    plane = Frame(0.0).local(ground)
    rings = [part.exterior for part in getattr(plane, "geoms", [plane])]
    edges = [pair for ring in rings for pair in itertools.pairwise(ring.coords)]
    start, end = max(edges, key=lambda pair: math.dist(*pair))
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    return angle - math.pi / 2 * round(angle / (math.pi / 2))


def plots_in(
    ground: Polygon | MultiPolygon,
    taken: Sequence[Polygon | MultiPolygon],
    size: PlotRow,
    angle: float,
) -> Iterator[Box]:
    """Places for plots inside ``ground`` and outside ``taken``, from the middle outwards."""
    frame = Frame(angle)
    plane: BaseGeometry = frame.local(ground).buffer(-float(size.edge_m))
    for other in taken:
        plane = plane.difference(frame.local(other).buffer(float(size.edge_m)))
    shapely.prepare(plane)
    width, depth, road = float(size.width_m), float(size.depth_m), float(size.road_m)
    x0, y0, x1, y1 = plane.bounds
    columns = max(1, math.floor((x1 - x0 + road) / (width + road)))
    lines = max(1, math.floor((y1 - y0 + road) / (depth + road)))
    # The grid is centred, so that a ground just large enough takes all of it.
    left = (x0 + x1 - columns * (width + road) + road) / 2
    low = (y0 + y1 - lines * (depth + road) + road) / 2
    middle = plane.representative_point()
    cells = [
        Box(x, y, x + width, y + depth)
        for x in (left + column * (width + road) for column in range(columns))
        for y in (low + line * (depth + road) for line in range(lines))
    ]
    cells.sort(
        key=lambda cell: math.dist(
            ((cell.x0 + cell.x1) / 2, (cell.y0 + cell.y1) / 2), (middle.x, middle.y)
        )
    )
    for cell in cells:
        if plane.covers(box(cell.x0, cell.y0, cell.x1, cell.y1)):
            yield cell


def shrunk_to(cell: Box, area_m2: float) -> Box:
    """A part of the cell with this area, the full depth where that is no narrower than half."""
    width = area_m2 / cell.depth
    if width >= cell.depth / 2:
        return Box(cell.x0, cell.y0, cell.x0 + width, cell.y1)
    scale = math.sqrt(area_m2 / (cell.width * cell.depth))
    return Box(cell.x0, cell.y0, cell.x0 + cell.width * scale, cell.y0 + cell.depth * scale)


def footprints(plot: Box, areas_m2: Sequence[float]) -> list[Box]:
    """A rectangle of each area on the plot, none touching another.

    The plot is cut in two by area again and again; each piece then shrinks around its middle to
    the footprint's size, which leaves the yards between buildings.

    Raises:
        ValueError: the footprints do not fit.
    """
    total = sum(areas_m2)
    land = plot.width * plot.depth
    if total >= land:
        raise ValueError(f"footprints of {total:.0f} m² on a plot of {land:.0f} m²")
    scale = math.sqrt(total / land)
    pieces = _cut(plot, list(enumerate(areas_m2)))
    return [
        pieces[number].centred(pieces[number].width * scale, pieces[number].depth * scale)
        for number in range(len(areas_m2))
    ]


def _cut(plot: Box, areas: list[tuple[int, float]]) -> dict[int, Box]:
    if len(areas) == 1:
        return {areas[0][0]: plot}
    total = sum(area for _, area in areas)
    running = list(itertools.accumulate(area for _, area in areas))
    half = min(range(len(areas) - 1), key=lambda place: abs(running[place] - total / 2))
    share = running[half] / total
    if plot.width >= plot.depth:
        at = plot.x0 + plot.width * share
        first, second = Box(plot.x0, plot.y0, at, plot.y1), Box(at, plot.y0, plot.x1, plot.y1)
    else:
        at = plot.y0 + plot.depth * share
        first, second = Box(plot.x0, plot.y0, plot.x1, at), Box(plot.x0, at, plot.x1, plot.y1)
    return _cut(first, areas[: half + 1]) | _cut(second, areas[half + 1 :])


def units_on(floor: Box, count: int, lettable: float = LETTABLE) -> list[Box]:
    """Rooms that cover the lettable share of a floor: one, two beside a core, or along a corridor.

    Rooms lie along the floor's longer side; with three and more, a corridor runs between two rows.
    """
    if floor.depth > floor.width:
        turned = units_on(Box(floor.y0, floor.x0, floor.y1, floor.x1), count, lettable)
        return [Box(room.y0, room.x0, room.y1, room.x1) for room in turned]
    core = floor.width * (1 - lettable)
    if count == 1:
        return [Box(floor.x0 + core, floor.y0, floor.x1, floor.y1)]
    if count == 2:  # noqa: PLR2004 - two rooms share one core
        middle = (floor.x0 + floor.x1) / 2
        return [
            Box(floor.x0, floor.y0, middle - core / 2, floor.y1),
            Box(middle + core / 2, floor.y0, floor.x1, floor.y1),
        ]
    deep = floor.depth * lettable / 2
    south, north = math.ceil(count / 2), count // 2
    return [
        *_row(floor.x0, floor.x1, floor.y0, floor.y0 + deep, south),
        *_row(floor.x0, floor.x1, floor.y1 - deep, floor.y1, north),
    ]


def _row(x0: float, x1: float, y0: float, y1: float, count: int) -> Iterator[Box]:
    walls = [x0 + (x1 - x0) * place / count for place in range(count)] + [x1]
    return (Box(left, y0, right, y1) for left, right in itertools.pairwise(walls))


def walls_between(rooms: Sequence[Box]) -> Iterator[tuple[int, int, float]]:
    """Pairs of rooms of ``units_on`` that share a wall, the first one first, and its length, m.

    Such rooms touch exactly or are far apart; outlines in general are the database's to measure.
    """
    for (one, a), (other, b) in itertools.combinations(enumerate(rooms), 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        up = min(a.y1, b.y1) - max(a.y0, b.y0)
        if max(across, up) > 0 and math.isclose(min(across, up), 0, abs_tol=1e-6):
            yield one, other, max(across, up)
