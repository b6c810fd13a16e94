"""Coordinate reference systems: what is asked in, and answered in.

Everything is stored in degrees (EPSG:4326). Coordinates go over the wire in the order that the
authority of the system gives its axes: latitude first for EPSG:4326, northing first for EPSG:4549.
CRS84 is longitude first, and what everybody gets who asks for nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from geoalchemy2.shape import from_shape
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely import MultiPolygon, Polygon, box, get_parts, segmentize, transform, union_all
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ColumnElement, func

from app.geo.datums import DATUMS, box_to_wgs84, to_wgs84
from app.kernel.terms import SourceDatum
from app.ogc.errors import bad_parameter

STORED_SRID = 4326
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_CRS84_WITH_HEIGHT = "http://www.opengis.net/def/crs/OGC/0/CRS84h"
_EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
#: Where the one that the installation adds is described.
LOCAL_PATH = "/ogc/crs/local"

#: Decimal places of coordinates: a centimetre in degrees, a millimetre in metres.
_DECIMALS_OF_DEGREES, _DECIMALS_OF_METRES = 7, 3
#: Pieces that an edge of a box is cut into before it is bent onto the earth.
_PIECES = 16
_BOX, _BOX_WITH_HEIGHTS = 4, 6
_MOST_LON, _MOST_LAT = 180, 90


@dataclass(frozen=True, slots=True)
class Crs:
    """One system. ``flipped``: its coordinates are written y first.

    ``definition`` is PROJ or WKT text where the authority has no number for it; ``srid`` is then 0.
    ``datum`` is other than WGS 84 for what no authority has defined: degrees of Chinese web maps.
    """

    uri: str
    srid: int
    flipped: bool
    definition: str = ""
    name: str = ""
    datum: SourceDatum = SourceDatum.WGS84

    @property
    def label(self) -> str:
        """A short name that no other system has here."""
        return str(self.srid) if self.datum is SourceDatum.WGS84 else self.datum.value

    @property
    def degrees(self) -> bool:
        """Whether its coordinates are longitudes and latitudes."""
        return not self.definition and self.srid in _GEOGRAPHIC

    @property
    def decimals(self) -> int:
        """Decimal places that its coordinates are written with."""
        return _DECIMALS_OF_DEGREES if self.degrees else _DECIMALS_OF_METRES


_GEOGRAPHIC = frozenset({STORED_SRID, 4490})

STORAGE = Crs(_CRS84, STORED_SRID, flipped=False, name="WGS 84, longitude first")
CRSES: Mapping[str, Crs] = {
    one.uri: one
    for one in (
        STORAGE,
        Crs(f"{_EPSG}4326", 4326, flipped=True, name="WGS 84"),
        Crs(f"{_EPSG}4490", 4490, flipped=True, name="CGCS2000"),
        Crs(f"{_EPSG}4549", 4549, flipped=True, name="CGCS2000 / 3-degree GK CM 120E"),
        Crs(f"{_EPSG}4550", 4550, flipped=True, name="CGCS2000 / 3-degree GK CM 123E"),
        Crs(f"{_EPSG}3857", 3857, flipped=False, name="Web Mercator"),
    )
}


def local_crs(definition: str, name: str, base: str) -> Crs:
    """A system of the installation's own, by PROJ or WKT text; its x is written first.

    Raises:
        ValueError: the text is not that of a system.
    """
    try:
        CRS.from_user_input(definition)
    except ProjError as error:
        raise ValueError("not the PROJ or WKT text of a coordinate reference system") from error
    return Crs(f"{base}{LOCAL_PATH}", 0, flipped=False, definition=definition, name=name)


def crs_of(uri: str, known: Mapping[str, Crs] = CRSES, parameter: str = "crs") -> Crs:
    """The system that a caller names.

    Raises:
        BadParameterError: it is not offered.
    """
    found = known.get(uri.strip("[]"))
    if found is None:
        listed = ", ".join(known)
        raise bad_parameter(
            parameter,
            f"coordinates are offered in {listed}",
            f"可用的坐标参考系为 {listed}",
        )
    return found


def asked_crs(given: Mapping[str, str], parameter: str, known: Mapping[str, Crs] = CRSES) -> Crs:
    """The system that a parameter names, or ``datum``; longitude and latitude where neither is.

    Raises:
        BadParameterError: it is not offered, or both are given.
    """
    if "datum" not in given:
        return crs_of(given[parameter], known, parameter) if parameter in given else STORAGE
    if parameter in given:
        raise bad_parameter(
            "datum",
            f"not together with {parameter}: coordinates in a datum are longitude, then latitude",
            f"不可与 {parameter} 同时给出：给出 datum 时坐标为经度在前、纬度在后",
        )
    datum = DATUMS.get(given["datum"])
    if datum is None:
        listed = ", ".join(DATUMS)
        raise bad_parameter("datum", f"one of {listed}", f"应为 {listed} 之一")
    # The two differ by less than a metre, and by nothing that is known.
    return STORAGE if datum is SourceDatum.CGCS2000 else replace(STORAGE, datum=datum)


def to_crs(geometry: ColumnElement[Any], crs: Crs) -> ColumnElement[Any]:
    """A stored geometry in another system, its coordinates in the order that they are written.

    A datum that only web maps have is none that the database knows: app/geo/display.py.
    """
    if crs.definition:
        geometry = func.ST_Transform(geometry, crs.definition)
    elif crs.srid != STORED_SRID:
        geometry = func.ST_Transform(geometry, crs.srid)
    return func.ST_FlipCoordinates(geometry) if crs.flipped else geometry


def to_stored(shape: BaseGeometry, crs: Crs) -> BaseGeometry:
    """A caller's geometry, in the order and system that it was written in, in degrees.

    Raises:
        ValueError: some of it is outside the area in which the system can be used.
    """

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = (points[:, 1], points[:, 0]) if crs.flipped else (points[:, 0], points[:, 1])
        if not crs.degrees:
            x, y = _transformer(crs).transform(x, y)
        return to_wgs84(np.column_stack([x, y]), crs.datum)

    found = transform(shape, moved)
    if not all(map(math.isfinite, found.bounds)):
        raise ValueError("outside the area of the coordinate reference system")
    return found


def read_box(text: str, crs: Crs = STORAGE, parameter: str = "bbox") -> BaseGeometry:
    """The ``bbox`` of a caller as a shape in degrees; heights are dropped.

    A box in degrees whose west is greater than its east crosses the 180th meridian.

    Raises:
        BadParameterError: it is not four or six numbers in order, or not on this part of the earth.
    """
    numbers = _numbers(text, parameter)
    if len(numbers) == _BOX_WITH_HEIGHTS:
        numbers = [*numbers[:2], *numbers[3:5]]
    first, second, third, fourth = numbers
    x, y = ((second, fourth), (first, third)) if crs.flipped else ((first, third), (second, fourth))
    if y[0] > y[1] or (x[0] > x[1] and not crs.degrees):
        raise bad_parameter(
            parameter, "lower corner first, then the upper one", "应先写左下角，再写右上角"
        )
    if crs.degrees:
        return _moved(_box_of_degrees(x, y, parameter), crs.datum)
    if not crs.definition and max(map(abs, numbers)) <= _MOST_LON:
        # No park is within two hundred metres of where a system of the authority begins.
        raise bad_parameter(
            parameter,
            f"these look like degrees, and {crs.uri} is in metres: longitude and latitude in WGS 84"
            f" come without `{parameter}-crs`",
            f"看似经纬度，而 {crs.uri} 以米为单位；WGS 84 经纬度无须 {parameter}-crs",
        )
    drawn = box(first, second, third, fourth)
    longest = max(third - first, fourth - second) or 1.0
    try:
        return to_stored(segmentize(drawn, longest / _PIECES), crs)
    except (ValueError, ProjError, ShapelyError) as error:
        raise bad_parameter(
            parameter,
            "outside the area in which this coordinate reference system can be used",
            "超出该坐标参考系的适用范围",
        ) from error


def meets(geometry: ColumnElement[Any], shape: BaseGeometry) -> ColumnElement[bool]:
    """That a stored geometry touches a shape in degrees."""
    if isinstance(shape, Polygon) and shape.equals(box(*shape.bounds)):
        # An envelope is quicker to test, and easier to read in a plan.
        return func.ST_Intersects(geometry, func.ST_MakeEnvelope(*shape.bounds, STORED_SRID))
    return func.ST_Intersects(geometry, from_shape(shape, srid=STORED_SRID))


def _box_of_degrees(x: tuple[float, float], y: tuple[float, float], parameter: str) -> BaseGeometry:
    (west, east), (south, north) = x, y
    if max(map(abs, x)) > _MOST_LON or max(map(abs, y)) > _MOST_LAT:
        raise bad_parameter(
            parameter,
            "longitudes are -180 to 180 and latitudes -90 to 90, in the order of the axes of the"
            " coordinate reference system that is named, longitude first where none is",
            "经度须在 -180 至 180、纬度须在 -90 至 90 之间；"
            "次序依所声明的坐标参考系，未声明时经度在前",
        )
    if west <= east:
        return box(west, south, east, north)
    return MultiPolygon([box(west, south, _MOST_LON, north), box(-_MOST_LON, south, east, north)])


def _moved(drawn: BaseGeometry, datum: SourceDatum) -> BaseGeometry:
    """The boxes in WGS 84 that hold those of a box in a datum."""
    if datum is SourceDatum.WGS84:
        return drawn
    return union_all([box(*box_to_wgs84(part.bounds, datum)) for part in get_parts(drawn)])


def _numbers(text: str, parameter: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in {_BOX, _BOX_WITH_HEIGHTS} or not all(map(math.isfinite, numbers)):
        raise bad_parameter(
            parameter,
            "four or six finite numbers, apart by commas: the lower corner, then the upper one",
            "应为 4 个或 6 个以逗号分隔的数值：先左下角，再右上角",
        )
    return numbers


@lru_cache
def _transformer(crs: Crs) -> Transformer:
    source = CRS.from_user_input(crs.definition or crs.srid)
    return Transformer.from_crs(source, STORED_SRID, always_xy=True)
