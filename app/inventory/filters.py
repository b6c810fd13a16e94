"""What may be asked of a listing: query parameters, documented where they are declared."""

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.kernel.terms import GeometryQuality, LayoutRole, SourceDatum
from app.kernel.written import WrittenDay, WrittenInstant

#: A code, an id or a word as a caller writes it; PostgreSQL has no NUL character.
Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
#: Areas and other sizes as a caller writes them.
Size = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


#: A civil day in Shanghai, in a range in which days can be counted on without overflow.
Day = Annotated[WrittenDay, Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))]
#: An instant as of which something was known.
Instant = Annotated[
    WrittenInstant,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2999, 12, 31, tzinfo=UTC)),
]
#: In which datum places are asked about, and shown on maps.
Datum = Annotated[
    SourceDatum,
    Field(
        description="坐标基准: datum of the places in the question, and of the geometries of a"
        " GeoJSON answer (which then says so in its member `datum`). GCJ02 suits Amap, BD09 Baidu;"
        " areas and distances are those on the ground, and positions in plain JSON stay WGS84"
    ),
]


class Wanted(BaseModel):
    """Base of what may be asked: an unknown parameter is refused, never ignored."""

    model_config = ConfigDict(extra="forbid")

    q: Word | None = Field(
        default=None, description="text that the code or a name in either language contains"
    )
    synthetic: bool | None = Field(
        default=None, description="true: only made-up rows; false: only real ones"
    )
    datum: Datum = SourceDatum.WGS84


class PlacedWanted(Wanted):
    """What may be asked of things with a geometry."""

    geometry_quality: list[GeometryQuality] = Field(
        default=[], description="how far the geometry may be trusted; repeat for several"
    )
    bbox: str | None = Field(
        default=None,
        max_length=200,
        description="west,south,east,north in degrees: what touches this box",
    )
    near: str | None = Field(
        default=None,
        max_length=100,
        description="lon,lat in degrees, together with `within_m`",
    )
    within_m: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        allow_inf_nan=False,
        description="metres from `near` on the ellipsoid; things that the circle touches",
    )


class AreaWanted(BaseModel):
    """A range of areas."""

    min_area_m2: Size | None = Field(default=None, description="smallest area, m²")
    max_area_m2: Size | None = Field(default=None, description="largest area, m²")


class KnownWanted(BaseModel):
    """For which days, and as known when."""

    start: Day | None = Field(
        default=None,
        alias="from",
        description="first day asked about; the day of `as_of`, else today, unless told. Facts are"
        " those of the first day on which the thing exists",
        examples=["2027-01-01"],
    )
    until: Day | None = Field(
        default=None,
        description="first day not asked about; the day after `from` unless told",
        examples=["2027-07-01"],
    )
    as_of: Instant | None = Field(
        default=None,
        description="as known at this instant; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )


class InZone(BaseModel):
    """Where in the layout."""

    zone: Word | None = Field(default=None, description="code or id of a zone")
    district: Word | None = Field(
        default=None, description="行政区 in Chinese as the data write it, e.g. 浦东新区"
    )
    layout_role: list[LayoutRole] = Field(
        default=[], description="part in the 1+5+X layout of the park; repeat for several"
    )


class InPark(InZone):
    """Where, down to the park."""

    park: Word | None = Field(
        default=None, description="code or id of a park; parks that lie in it are included"
    )


class InProgramme(InPark):
    """Where, or as part of which programme."""

    programme: Word | None = Field(
        default=None, description="code or id of a programme; its projects are included"
    )


class InParcel(InProgramme):
    """Where, down to the parcel."""

    parcel: Word | None = Field(default=None, description="code or id of a parcel")


class InBuilding(InParcel):
    """Where, down to the building."""

    building: Word | None = Field(default=None, description="code or id of a building")


class InFloor(InBuilding):
    """Where, down to the floor."""

    floor: Word | None = Field(default=None, description="code or id of a floor")
