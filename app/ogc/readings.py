"""How coordinates may have been meant that lie far off as they were said to be."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import shapely
from shapely import box
from shapely.geometry.base import BaseGeometry

from app.inventory.drawing.domains import Words
from app.ogc.crs import CRSES, STORAGE, Crs, to_stored

#: West, south, east, north of the city, degrees.
CITY = (120.85, 30.67, 122.25, 31.88)
_CITY = box(*CITY)


def hint(
    drawn: BaseGeometry, said: Crs, parameter: str, known: Mapping[str, Crs] = CRSES
) -> Words | None:
    """What to say of coordinates that would lie in the city if they were read in another way.

    Args:
        drawn: the coordinates as they came.
        said: the system that they were said to be in.
        parameter: the name of the header or parameter that says so.
        known: the systems that are offered.

    Returns:
        None: they lie there as they are, or read in no other way.
    """
    if _in_city(drawn, said):
        return None
    meant = next((crs for crs in _others(said, known) if _in_city(drawn, crs)), None)
    if meant is None:
        return None
    if meant.uri == said.uri:
        order_en, order_zh = axes(said)
        return Words(
            f"with the axes the other way round they fit: {said.uri} takes the {order_en} first",
            f"若对调两轴则吻合：{said.uri} 的坐标应{order_zh}在前",
        )
    if meant == STORAGE:
        return Words(
            f"as longitude and latitude in WGS 84 they fit: leave `{parameter}` out",
            f"若按 WGS 84 经纬度（经度在前）理解则吻合，请去掉 {parameter}",
        )
    way_en = way_zh = ""
    if meant.degrees and said.degrees:
        order_en, order_zh = axes(said)
        way_en, way_zh = f" write the {order_en} first, or", f"请将{order_zh}写在前面，或"
    elif meant not in known.values():
        # As GDAL writes GeoJSON in a system of metres.
        order_en, order_zh = axes(known[meant.uri])
        way_en, way_zh = f" write the {order_en} first, and", f"请将{order_zh}写在前面，并"
    return Words(
        f"in {meant.uri} they fit:{way_en} say `{parameter}: {meant.uri}`",
        f"若按 {meant.uri} 理解则吻合：{way_zh}声明 {parameter}: {meant.uri}",
    )


def axes(crs: Crs) -> tuple[str, str]:
    """Which of its axes a system takes first, in both languages."""
    if crs.degrees:
        return ("latitude", "纬度") if crs.flipped else ("longitude", "经度")
    return ("northing", "北向") if crs.flipped else ("easting", "东向")


def _others(said: Crs, known: Mapping[str, Crs]) -> Iterator[Crs]:
    """The ways in which coordinates may be read, the likeliest first."""
    if not said.degrees:
        yield replace(said, flipped=not said.flipped)
    others = [crs for crs in known.values() if crs.uri != said.uri]
    yield from others
    yield from (replace(crs, flipped=not crs.flipped) for crs in others if not crs.degrees)


def _in_city(drawn: BaseGeometry, crs: Crs) -> bool:
    try:
        return bool(_CITY.covers(to_stored(shapely.envelope(drawn), crs)))
    except ValueError:
        return False
