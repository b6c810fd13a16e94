"""Constraints that the building decides: where it stands, and on what land. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from app.demand.drawn import area_km2
from app.demand.needs import listed, number_text, within_a_sentence
from app.kernel.terms import FacilityType
from app.matching.columns import DISTANCE_GRAIN, FACILITIES, Width
from app.matching.forms import Ground
from app.matching.rules.constraint import Combining, Constraint, Words
from app.matching.rules.families import Bound, as_is, flag_says, no_margin, shown
from app.matching.segment import Groups, ParkInfo, Rows, Segment

_UNKNOWN_DISTANCE = Width.LARGE.unknown
_GEOD = Geod(ellps="WGS84")
#: Nothing on WGS 84 bends more than the meridian does at the equator, which has this radius.
_LEAST_RADIUS_M = 6_335_439.0
#: Farther than this the bend is not reckoned with, and more than rounding makes of a distance.
_FAR_M, _SLACK_M = 1_000_000.0, 1e-4
#: PostGIS rounds distances to this many parts of a metre, and so do we.
_NANOMETRES = 1e8


@dataclass(frozen=True, slots=True)
class LandNeed:
    """Land-use codes on which the process may stand, and where alone if the rules say so."""

    process_zh: str
    process_en: str
    codes: frozenset[str]
    only_parks: frozenset[str] | None
    park_names: Mapping[str, Words] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlacesNeed:
    """Codes of zones or parks of which any will do, and the names of all that may be spoken of."""

    codes: tuple[str, ...]
    names: Mapping[str, Words] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AreaNeed:
    """An area drawn on the map, WGS 84."""

    shape: BaseGeometry


def land_use_parts(code: str) -> frozenset[str]:
    """The codes of a mixed plot: it allows what any of its parts allows.

    >>> sorted(land_use_parts("C65+C8"))
    ['C65', 'C8']
    """
    return frozenset(code.replace("+", "/").split("/"))


def _park_of(segment: Segment, row: int) -> ParkInfo:
    return segment.parks[int(segment.buildings.park[segment.building_of(row)])]


def _by_park(segment: Segment, test: Callable[[ParkInfo], bool]) -> NDArray[np.bool_]:
    truths = np.array([test(park) for park in segment.parks], dtype=np.bool_)
    found: NDArray[np.bool_] = np.take(truths, segment.buildings.park)
    return found


def land_use_rule() -> Constraint:
    """The plot's planned use allows the process."""

    def form(segment: Segment, need: Any) -> Ground:
        allowed = np.array(
            [bool(land_use_parts(code) & need.codes) for code in segment.land_use_codes],
            dtype=np.bool_,
        )
        truths: NDArray[np.bool_] = np.take(allowed, segment.buildings.land_use)
        if need.only_parks is not None:
            truths = truths & _by_park(
                segment, lambda park: bool(park.park_codes & need.only_parks)
            )
        return Ground(truths)

    def params(need: Any) -> dict[str, Any]:
        return {
            "land_use_codes": sorted(need.codes),
            "land_use_parks": sorted(need.only_parks or ()),
            "land_use_anywhere": need.only_parks is None,
        }

    def have(segment: Segment, row: int) -> Any:
        return segment.land_use_codes[segment.buildings.land_use[segment.building_of(row)]]

    def says(have: Any, need: Any, fits: bool) -> Words:
        verdict_zh, verdict_en = ("允许", "allows") if fits else ("不允许", "does not allow")
        if not fits and land_use_parts(have) & need.codes:
            verdict_zh, verdict_en = "在本园不允许", "in this park does not allow"
        only_zh = only_en = ""
        if need.only_parks is not None:
            parks_zh, parks_en = listed(sorted(need.only_parks), need.park_names)
            only_zh = f"（仅限化工集中区：{parks_zh}）"
            only_en = f" (only in the chemical zones: {parks_en})"
        return (
            f"地块规划用地 {have} {verdict_zh}{need.process_zh}{only_zh}",
            f"the plot's land use {have} {verdict_en} {need.process_en}{only_en}",
        )

    return Constraint(
        key="land_use",
        name_zh="用地性质与工艺相容",
        name_en="land use",
        unit="",
        combining=Combining.PER_UNIT,
        form=form,
        sql="string_to_array(replace(c.land_use_code, '+', '/'), '/')"
        " && CAST(:land_use_codes AS text[])"
        " AND (:land_use_anywhere OR c.park_codes && CAST(:land_use_parks AS text[]))",
        params=params,
        have=have,
        margin=no_margin,
        says=says,
        wants=lambda need: " / ".join(sorted(need.codes)) or "—",
        relax_cost=9,
        never_relax=True,
        source="data/needs/land_use.toml, after the Shanghai control-plan codes",
        confidence="assumption",
    )


def pilot_rule() -> Constraint:
    """The park is on the list of the special-goods import pilot."""
    zh, en = "园区入境特殊物品试点", "special-goods import pilot of the park"
    return Constraint(
        key="special_goods_import_pilot",
        name_zh=zh,
        name_en=en,
        unit="",
        combining=Combining.PER_UNIT,
        form=lambda segment, _need: Ground(
            _by_park(segment, lambda park: park.special_goods_import_pilot)
        ),
        sql="c.special_goods_import_pilot",
        params=lambda _need: {},
        have=lambda segment, row: _park_of(segment, row).special_goods_import_pilot,
        margin=no_margin,
        says=flag_says(zh, en),
        wants=as_is,
        source="the pilot list of the customs; an attribute of the park",
        confidence="published",
    )


def in_places_rule(key: str, zh: str, en: str) -> Constraint:
    """The unit's park, one around it, or its zone is one of those wanted; ``key`` says which."""
    column = f"{key[:-1]}_codes"

    def form(segment: Segment, need: Any) -> Ground:
        wanted = frozenset(need.codes)
        return Ground(_by_park(segment, lambda park: bool(getattr(park, column) & wanted)))

    def have(segment: Segment, row: int) -> Any:
        park = _park_of(segment, row)
        # The park itself first, then those around it.
        codes = sorted(getattr(park, column), key=lambda code: (code != park.code, code))
        return ", ".join(codes) or None

    def says(have: Any, need: Any, fits: bool) -> Words:
        has_zh, has_en = shown(None) if have is None else listed(have.split(", "), need.names)
        wants_zh, wants_en = listed(need.codes, need.names)
        verdict_zh, verdict_en = ("属于", "within") if fits else ("不属于", "outside")
        return (
            f"所在{zh}（{has_zh}）{verdict_zh}意向{zh}：{wants_zh}",
            f"it lies in {has_en}, {verdict_en} the {en} wanted: {wants_en}",
        )

    def give(need: Any, have: Any) -> Any:
        codes = have.split(", ")
        return (
            need
            if set(codes) & set(need.codes)
            else PlacesNeed((*need.codes, codes[0]), need.names)
        )

    return Constraint(
        key=key,
        name_zh=f"意向{zh}",
        name_en=f"{en} wanted",
        unit="",
        combining=Combining.PER_UNIT,
        form=form,
        sql=f"c.{column} && CAST(:{key} AS text[])",
        params=lambda need: {key: list(need.codes)},
        have=have,
        margin=no_margin,
        says=says,
        wants=lambda need: ", ".join(need.codes),
        give=give,
        source="the firm's need against the published layout of zones and parks",
    )


def metres_to(centres: NDArray[np.float64], point: Mapping[str, float]) -> NDArray[np.float64]:
    """Metres on the ellipsoid from each centre (degrees, shape ``(n, 2)``) to a point."""
    count = len(centres)
    *_, metres = _GEOD.inv(
        centres[:, 0], centres[:, 1], np.full(count, point["lon"]), np.full(count, point["lat"])
    )
    found: NDArray[np.float64] = np.round(np.asarray(metres) * _NANOMETRES) / _NANOMETRES
    return found


class Places(NamedTuple):
    """Where buildings are in space, from the southernmost to the northernmost.

    ``centres`` are longitudes and latitudes, shape ``(n, 2)``; ``order`` has their places and
    ``xyz`` metres from the middle of the earth, the last along its axis, shape ``(3, n)``.
    """

    centres: NDArray[np.float64]
    order: Rows
    xyz: NDArray[np.float64]


#: Of each segment, worked out once for it.
_PLACES: WeakKeyDictionary[Groups, Places] = WeakKeyDictionary()


def places_of(centres: NDArray[np.float64]) -> Places:
    """Longitudes and latitudes, shape ``(n, 2)``, as places on the ellipsoid."""
    xyz = _xyz(centres)
    order = np.argsort(xyz[2], kind="stable")
    return Places(centres, order, np.ascontiguousarray(xyz[:, order]))


def is_near(places: Places, point: Mapping[str, float]) -> NDArray[np.bool_]:
    """Which centres are near enough.

    Geodesics are dear, so they are measured only where the straight way through the earth leaves it
    open, which is hardly ever. A geodesic is no shorter than the straight way between its ends; and
    as it nowhere bends more than a circle of ``_LEAST_RADIUS_M``, its ends are no nearer to each
    other than those of an equally long arc of that circle (Schur's comparison of curves).
    """
    within = point["within_m"]
    here = _xyz(np.array([[point["lon"], point["lat"]]]))[:, 0]
    most = within + _SLACK_M
    low, high = np.searchsorted(places.xyz[2], (here[2] - most, here[2] + most))
    x, y, z = places.xyz[:, low:high] - here[:, None]
    squared = x * x + y * y + z * z
    arc = 2 * _LEAST_RADIUS_M * math.sin(min(within, _FAR_M) / (2 * _LEAST_RADIUS_M))
    truths = np.zeros(len(places.order), dtype=np.bool_)
    truths[places.order[low:high]] = squared < max(0.0, arc - _SLACK_M) ** 2
    is_open = (squared >= max(0.0, arc - _SLACK_M) ** 2) & (squared <= most * most)
    if is_open.any():
        left = places.order[low:high][is_open]
        truths[left] = metres_to(places.centres[left], point) <= within
    return truths


def _xyz(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres from the middle of the earth, shape ``(3, n)``."""
    lon, lat = np.radians(centres).T
    across = _GEOD.a / np.sqrt(1 - _GEOD.es * np.sin(lat) ** 2)
    return np.stack(
        [
            across * np.cos(lat) * np.cos(lon),
            across * np.cos(lat) * np.sin(lon),
            across * (1 - _GEOD.es) * np.sin(lat),
        ]
    )


@lru_cache(maxsize=1 << 14)
def _metres_between(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """Whole millimetres between two places; offers share buildings, and requests ask again."""
    # One pair of plain numbers, which costs a fraction of arrays of one.
    *_, metres = _GEOD.inv(lon, lat, other_lon, other_lat)
    found: float = round(round(metres * _NANOMETRES) / _NANOMETRES, 3)
    return found


def near_rule() -> Constraint:
    """The building's centre is within a distance of a point."""
    name = "距意向位置", "distance from the point wanted"
    bound = Bound(name, "m", upwards=False)

    def form(segment: Segment, need: Any) -> Ground:
        centres = segment.buildings.centre
        places = _PLACES.get(segment.groups)
        if places is None or places.centres is not centres:
            places = _PLACES[segment.groups] = places_of(centres)
        return Ground(is_near(places, need))

    def have(segment: Segment, row: int, need: Any) -> Any:
        lon, lat = segment.buildings.centre[segment.building_of(row)].tolist()
        return _metres_between(lon, lat, need["lon"], need["lat"])

    def beyond(segment: Segment, need: Any, buildings: Rows) -> NDArray[np.float64]:
        metres = metres_to(segment.buildings.centre[buildings], need)
        missing: NDArray[np.float64] = np.maximum(metres - need["within_m"], 0)
        return missing

    return Constraint(
        key="near",
        name_zh=name[0],
        name_en=name[1],
        unit=bound.unit,
        combining=Combining.PER_UNIT,
        form=form,
        sql="ST_Distance(c.centre::geography,"
        " ST_SetSRID(ST_MakePoint(:near_lon, :near_lat), 4326)::geography) <= :near_within_m",
        params=lambda need: {f"near_{name}": need[name] for name in ("lon", "lat", "within_m")},
        have=_nothing,
        have_for=have,
        beyond=beyond,
        margin=lambda have, need: bound.margin(have, need["within_m"]),
        says=lambda have, need, fits: bound.says(have, need["within_m"], fits),
        wants=lambda need: need["within_m"],
        # Up to the next whole metre: what is shown was rounded.
        give=lambda need, have: {**need, "within_m": max(need["within_m"], math.floor(have) + 1)},
        source="the firm's need; geodesic distance on WGS 84 from the building's centre",
    )


def within_rule() -> Constraint:
    """The building's centre lies inside an area drawn on the map, or on its border."""

    def form(segment: Segment, need: Any) -> Ground:
        shapely.prepare(need.shape)
        centres = segment.buildings.centre
        return Ground(shapely.intersects_xy(need.shape, centres[:, 0], centres[:, 1]))

    def have(segment: Segment, row: int) -> Any:
        lon, lat = segment.buildings.centre[segment.building_of(row)]
        return f"{lon:.5f}, {lat:.5f}"

    def says(have: Any, need: Any, fits: bool) -> Words:
        size = number_text(area_km2(need.shape))
        verdict_zh, verdict_en = ("位于", "inside") if fits else ("不在", "outside")
        inner_zh = "之内" if fits else "内"
        return (
            f"楼宇中心（{have}）{verdict_zh}所画范围（{size} km²）{inner_zh}",
            f"the building's centre ({have}) lies {verdict_en} the area drawn ({size} km²)",
        )

    return Constraint(
        key="within",
        name_zh="所画范围",
        name_en="area drawn",
        unit="",
        combining=Combining.PER_UNIT,
        form=form,
        sql="ST_Covers(ST_GeomFromWKB(:within, 4326), c.centre)",
        params=lambda need: {"within": shapely.to_wkb(need.shape)},
        have=have,
        margin=no_margin,
        says=says,
        wants=lambda need: f"{number_text(area_km2(need.shape))} km²",
        source="the firm's need; the building's centre against the area, WGS 84",
    )


def _nothing(_segment: Segment, _row: int) -> None:
    return None


def facility_within(facility: FacilityType) -> Constraint:
    """The nearest facility of a type is at most so many metres away from the building."""
    key, column = f"max_{facility.value}_distance_m", f"{facility.value}_distance_m"
    place = FACILITIES.index(facility)
    name = f"距最近{facility.zh}", f"distance to the nearest {within_a_sentence(facility.en)}"
    bound = Bound(name, "m", upwards=False)

    def form(segment: Segment, need: Any) -> Ground:
        centimetres = segment.buildings.distances[place]
        known = centimetres != _UNKNOWN_DISTANCE
        # Needs finer than the centimetre are rounded down.
        most = (Decimal(str(need)) * DISTANCE_GRAIN).to_integral_value(ROUND_FLOOR)
        return Ground(known & (centimetres <= int(most)))

    def have(segment: Segment, row: int) -> Any:
        centimetres = int(segment.buildings.distances[place, segment.building_of(row)])
        return None if centimetres == _UNKNOWN_DISTANCE else centimetres / DISTANCE_GRAIN

    def beyond(segment: Segment, need: Any, buildings: Rows) -> NDArray[np.float64]:
        centimetres = segment.buildings.distances[place, buildings]
        metres = np.where(centimetres == _UNKNOWN_DISTANCE, np.nan, centimetres / DISTANCE_GRAIN)
        missing: NDArray[np.float64] = np.maximum(metres - need, 0)
        return missing

    return Constraint(
        key=key,
        name_zh=name[0],
        name_en=name[1],
        unit=bound.unit,
        combining=Combining.PER_UNIT,
        form=form,
        sql=f"c.{column} <= :{key}",
        params=lambda need: {key: need},
        have=have,
        margin=bound.margin,
        says=bound.says,
        wants=as_is,
        give=bound.give,
        beyond=beyond,
        source="the firm's need; geodesic distance on WGS 84 from the building's centre",
    )
