"""Free space: which units can be had, from when to when, and how much of each."""

import json
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.geo.datums import shape_to_wgs84
from app.geo.display import in_datum
from app.geo.shapes import polygon_from_geojson, require_position
from app.inventory.filters import Datum, Day, Instant
from app.inventory.places import Places
from app.inventory.predicates import Box, box_in_wgs84, position_in_wgs84
from app.inventory.schemas import UnitOut
from app.kernel.clock import Clock, civil_day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import CapacityMeasure, CleanroomGrade, FireHazardClass, SourceDatum, UnitType
from app.kernel.written import WrittenBody
from app.ledger.asked import MOST_LATITUDE, FreeSpaceSearch, FreeSpaceSort, Near
from app.ledger.free_space import find_free_space, find_search_places, free_space_totals
from app.routers.dependencies import (
    GEOJSON,
    JSON,
    ActorDep,
    ClockDep,
    GeoJsonDep,
    Paging,
    SessionDep,
    next_href,
)
from app.routers.problems import problems
from app.security.actors import NotSignedInError

router = APIRouter(prefix="/api/v1", tags=["free space"])

#: A code, an id or a word; PostgreSQL's text has no NUL.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Amount = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]
Degrees = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
_NUMBER = r"-?\d{1,3}(?:\.\d{1,15})?"

SEMANTICS = """
For each unit the answer is its **first stretch of free days** that starts no later than `free_by`
(and before `until`) and lasts at least `min_days`; days before `from` are cut off. So units that
fall free inside the window are found too, each with its own `free_from`. `free_until` is the first
day on which the space is taken again (`null`: open), which may lie after `until`.

A day counts as free when as much as is needed is free on it: the whole unit where it is let only
whole, else the greatest of its smallest part (`min_part`), `min_quantity` and `min_area_m2`.
`free_quantity` is what is free on every day from `free_from` to `free_until`, or to `until` if that
comes first. For space that is free on all days of a period, set `from`, `until`, `free_by` = `from`
and `min_days` to its length.

Everything is worked out from the claims in the ledger as they are believed at `as_of`; a hold that
has expired binds nothing. A technical minimum is met only by a value that is known.

查询可用空间：返回每个单元在窗口内首段连续空闲期（`free_from` 含，`free_until` 不含）及可用数量；
窗口内将要腾空的单元也会列出。所有结果均由台账实时计算，不含任何租户信息。
"""


class FreeSpaceFilters(Paging):
    """What is asked for, in the query and in the body alike."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    start: Day | None = Field(
        default=None,
        alias="from",
        description="first day of the window; the day of `as_of`, else today, unless told",
        examples=["2027-01-01"],
    )
    until: Day | None = Field(
        default=None,
        description="first day after the window; open unless told",
        examples=["2028-01-01"],
    )
    free_by: Day | None = Field(
        default=None,
        description="latest day on which the stretch may start; `until`, else `from`, unless told",
    )
    min_days: int = Field(
        default=1, ge=1, le=36_525, description="continuous free days needed, from `free_from` on"
    )
    type: list[UnitType] = Field(
        default=[], max_length=5, description="kinds of space; repeat for several 空间类型"
    )
    min_quantity: Amount | None = Field(
        default=None, description="least free quantity, in the unit's own measure (m² or places)"
    )
    min_area_m2: Amount | None = Field(
        default=None,
        description="least free leasable area, m²; places count with their share of the room",
    )
    max_area_m2: Amount | None = Field(
        default=None, description="largest leasable area, m²; of divisible units a part will do"
    )
    zone: Name | None = Field(
        default=None, description="code or id of a zone; its parks and the parks inside them"
    )
    park: Name | None = Field(
        default=None, description="code or id of a park; the parks inside it too"
    )
    programme: Name | None = Field(
        default=None, description="code or id of a programme; its projects too"
    )
    datum: Datum = SourceDatum.WGS84
    within_m: float | None = Field(
        default=None,
        gt=0,
        le=200_000,
        allow_inf_nan=False,
        description="at most this many metres from `near`, on the ellipsoid",
    )
    min_floor_load_kn_m2: Amount | None = Field(default=None, description="楼面活荷载 ≥, kN/m²")
    min_clear_height_m: Amount | None = Field(default=None, description="净高 ≥, m")
    min_power_density_w_m2: Amount | None = Field(default=None, description="电力密度 ≥, W/m²")
    min_power_kva: Amount | None = Field(default=None, description="配电 ≥, kVA")
    cleanroom_grade: CleanroomGrade | None = Field(
        default=None, description="GMP grade as fitted, this one or stricter (A is strictest)"
    )
    min_biosafety_level: int | None = Field(
        default=None, ge=1, le=4, description="biosafety level as fitted, at least"
    )
    ground_floor: bool | None = Field(
        default=None, description="true: only on the ground floor; false: only above or below it"
    )
    freight_lift: bool | None = Field(
        default=None, description="true: only with a freight lift; false: only without 货梯"
    )
    min_freight_lift_t: Amount | None = Field(default=None, description="货梯载重 ≥, t")
    fire_hazard_class: FireHazardClass | None = Field(
        default=None,
        description="class of the process: units designed for it or a more dangerous one"
        " 生产的火灾危险性类别（甲最危险）",
    )
    max_rent_cny_per_m2_day: Amount | None = Field(default=None, description="租金 ≤, 元/㎡·天")
    as_of: Instant | None = Field(
        default=None,
        description="an instant in the past: what was known then; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )
    sort: FreeSpaceSort | None = Field(
        default=None,
        description="`-` is descending; `distance` needs `near`, and is the usual order with it;"
        " else it is `code`",
    )
    totals: bool = Field(
        default=False, description="true: also totals of all that is found, by type and by park"
    )

    def search(self, clock: Clock, **places: Any) -> FreeSpaceSearch:
        """What the ledger is asked."""
        own = {
            name: getattr(self, name)
            for name in FreeSpaceSearch.__dataclass_fields__
            if name not in {"start", "unit_types", "bbox", "polygon", "near", "sort"}
        }
        usual = FreeSpaceSort.CODE if places.get("near") is None else FreeSpaceSort.DISTANCE
        return FreeSpaceSearch(
            start=self.start or civil_day(self.as_of or clock.now()),
            unit_types=tuple(self.type),
            sort=self.sort or usual,
            **own,
            **places,
        )


class FreeSpaceQuery(FreeSpaceFilters):
    """Query parameters of the listing."""

    bbox: str | None = Field(
        default=None,
        pattern=f"^{_NUMBER}(,{_NUMBER}){{3}}$",
        description="west,south,east,north in degrees: what touches it",
        examples=["121.58,31.18,121.66,31.23"],
    )
    near: str | None = Field(
        default=None,
        pattern=f"^{_NUMBER},{_NUMBER}$",
        description="longitude,latitude in degrees",
        examples=["121.60,31.20"],
    )


class PolygonIn(WrittenBody):
    """An RFC 7946 geometry: longitude first, at most 10,000 positions. It is never repaired."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "type": "Polygon",
                    "coordinates": [
                        [[121.58, 31.18], [121.66, 31.18], [121.66, 31.23], [121.58, 31.18]]
                    ],
                }
            ]
        },
    )

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any] = Field(
        description="rings of [longitude, latitude], each closed, or a list of such polygons"
    )


class FreeSpaceBody(WrittenBody, FreeSpaceFilters):
    """The same filters as JSON, with a polygon."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": "2027-01-01",
                    "type": ["pilot"],
                    "min_area_m2": 1500,
                    "sort": "area",
                    "polygon": {
                        "type": "Polygon",
                        "coordinates": [
                            [
                                [121.5, 31.1],
                                [121.7, 31.1],
                                [121.7, 31.3],
                                [121.5, 31.3],
                                [121.5, 31.1],
                            ]
                        ],
                    },
                }
            ]
        },
    )

    bbox: tuple[Degrees, Degrees, Degrees, Degrees] | None = Field(
        default=None, description="[west, south, east, north] in degrees"
    )
    near: tuple[Degrees, Degrees] | None = Field(
        default=None, description="[longitude, latitude] in degrees"
    )
    polygon: PolygonIn | None = Field(default=None, description="units that touch this area")


class FreeSpaceItem(UnitOut):
    """A unit as `/api/v1/units` shows it, and its first stretch of free days."""

    unit_type: UnitType
    capacity_measure: CapacityMeasure = Field(description="what capacity and quantities count")
    free_from: date = Field(description="first free day of the window")
    free_until: Day | None = Field(description="first day taken again; null is open")
    free_quantity: float = Field(description="free on every day of the stretch in the window")
    distance_m: float | None = Field(default=None, description="from `near`, where it is given")
    leasable_area_m2: float = Field(description="计租面积, m²; as in `areas`")
    internal_area_m2: float = Field(description="套内建筑面积, m²; as in `areas`")


class Sums(BaseModel):
    """How much is free: m² of units measured in m², and places of the others."""

    model_config = ConfigDict(extra="forbid")

    units: int
    area_m2: float = Field(description="free m², of units whose capacity is an area")
    places: float = Field(description="free places, of units whose capacity is places")


class TypeSums(Sums):
    """Sums of one type."""

    unit_type: UnitType


class ParkSums(Sums):
    """Sums of one park, without the parks inside it."""

    park_id: UUID
    park_code: str
    park_name_zh: str
    park_name_en: str


class FreeSpaceTotals(Sums):
    """Sums of all that is found, not only of the page."""

    by_type: list[TypeSums]
    by_park: list[ParkSums]


class FreeSpaceList(BaseModel):
    """One page."""

    model_config = ConfigDict(extra="forbid")

    items: list[FreeSpaceItem]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last")
    totals: FreeSpaceTotals | None = Field(default=None, description="where `totals` is true")


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": FreeSpaceList,
        "content": {
            GEOJSON: {
                "schema": {
                    "type": "object",
                    "description": "RFC 7946 FeatureCollection: properties as those of"
                    " /api/v1/units, and those of the stretch of free days",
                }
            }
        },
    },
    **problems(NotSignedInError, InvalidInputError),
}


@router.get(
    "/free-space",
    summary="List free space 查询可用空间",
    description=SEMANTICS,
    response_model=None,
    responses=_ANSWERS,
)
def list_free_space(
    wanted: Annotated[FreeSpaceQuery, Query()],
    request: Request,
    session: SessionDep,
    _actor: ActorDep,
    clock: ClockDep,
    geojson: GeoJsonDep,
) -> Response:
    """Units with days free in the window. Open to all."""
    box = _numbers(wanted.bbox)
    near = _numbers(wanted.near)
    search = wanted.search(clock, bbox=_box(box, wanted.datum), near=_near(near, wanted, "query"))
    search.require_sound(clock.now())
    places = find_search_places(session, search)
    page = find_free_space(session, search, places, wanted.page(geojson=geojson), geojson=geojson)
    extra = _totals(session, search, places, asked=wanted.totals)
    if geojson:
        href = next_href(request, page.next_cursor)
        features = in_datum(page.as_feature_collection(href, extra), wanted.datum)
        return Response(features, media_type=GEOJSON)
    return Response(page.as_items(extra), media_type=JSON)


@router.post(
    "/free-space/search",
    summary="Search free space in a polygon 按范围查询可用空间",
    description=SEMANTICS,
    response_model=None,
    responses=_ANSWERS,
)
def search_free_space(
    wanted: FreeSpaceBody,
    session: SessionDep,
    _actor: ActorDep,
    clock: ClockDep,
    geojson: GeoJsonDep,
) -> Response:
    """The same search with a GeoJSON polygon. Writes nothing; open to all."""
    as_features = geojson or wanted.f == "geojson"
    drawn = wanted.polygon
    polygon = (
        polygon_from_geojson(drawn.type, drawn.coordinates, pointer="/polygon") if drawn else None
    )
    if polygon is not None:
        polygon = shape_to_wgs84(polygon, wanted.datum)
    near = _near(wanted.near, wanted, "body")
    box = _box(wanted.bbox, wanted.datum)
    search = wanted.search(clock, bbox=box, near=near, polygon=polygon)
    search.require_sound(clock.now(), "body")
    places = find_search_places(session, search, "body")
    page = find_free_space(
        session, search, places, wanted.page(geojson=as_features), geojson=as_features
    )
    extra = _totals(session, search, places, asked=wanted.totals)
    if as_features:
        # A link cannot carry a body: the next page is this body again, with this cursor.
        cursor = f'"next_cursor":{json.dumps(page.next_cursor)}'
        members = ",".join(part for part in (cursor, extra) if part)
        features = in_datum(page.as_feature_collection(None, members), wanted.datum)
        return Response(features, media_type=GEOJSON)
    return Response(page.as_items(extra), media_type=JSON)


def _totals(session: SessionDep, search: FreeSpaceSearch, places: Places, *, asked: bool) -> str:
    return f'"totals":{free_space_totals(session, search, places)}' if asked else ""


def _numbers(text: str | None) -> tuple[float, ...] | None:
    return tuple(float(part) for part in text.split(",")) if text else None


def _box(corners: tuple[float, ...] | None, datum: SourceDatum) -> Box | None:
    if corners is None:
        return None
    west, south, east, north = corners
    # What is the wrong way round, or no latitude, stays so and is refused as such.
    usable = west <= east and -MOST_LATITUDE <= south <= north <= MOST_LATITUDE
    return box_in_wgs84((west, south, east, north), datum) if usable else Box(*corners)


def _near(position: tuple[float, ...] | None, wanted: FreeSpaceFilters, where: str) -> Near | None:
    slash = "/" if where == "body" else ""
    within_m = wanted.within_m
    if position is None:
        if within_m is not None:
            raise InvalidInputError(
                "within_m needs near",
                [Fault(f"{slash}within_m", "needs near", where, "须与 near 同时给出")],
            )
        return None
    longitude, latitude = position
    require_position(longitude, latitude, pointer=f"{slash}near", where=where)
    return Near(*position_in_wgs84(longitude, latitude, wanted.datum), within_m)
