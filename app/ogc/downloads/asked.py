"""What may be downloaded: formats, how much, and in which system."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.kernel.terms import SourceDatum
from app.ogc.asked import Parameters, Selection, read_selection
from app.ogc.collection import Collection
from app.ogc.crs import CRSES, STORAGE, Crs, asked_crs
from app.ogc.errors import bad_parameter

#: Features a file, at most: for anybody, and for callers who say who they are.
PUBLIC_MOST, KNOWN_MOST = 50_000, 250_000
#: What a download takes beside what selects.
DOWNLOAD_PARAMETERS = frozenset({"f", "crs"})


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file. ``driver`` is GDAL's, of those that GDAL writes.

    ``any_crs``: whether it can be in other systems than longitude and latitude.
    """

    media_type: str
    title: str
    driver: str = ""
    any_crs: bool = True


#: By the word of ``f``, which is also the end of the file's name.
FORMATS: Mapping[str, Format] = {
    "geojson": Format("application/geo+json", "GeoJSON", any_crs=False),
    "geojsonseq": Format("application/geo+json-seq", "GeoJSON text sequence", any_crs=False),
    "csv": Format("text/csv; charset=utf-8", "CSV, Excel"),
    "fgb": Format("application/flatgeobuf", "FlatGeobuf", driver="FlatGeobuf"),
    "gpkg": Format("application/geopackage+sqlite3", "GeoPackage", driver="GPKG"),
}


@dataclass(frozen=True, slots=True)
class Download:
    """Some features of a collection as a file."""

    selection: Selection
    name: str
    crs: Crs

    @property
    def format(self) -> Format:
        """What kind of file."""
        return FORMATS[self.name]

    @property
    def disposition(self) -> str:
        """The file's name as HTTP takes it: in ASCII for old clients, in Chinese for the rest."""
        one = self.selection.collection
        days = f"_{self.selection.days.replace('/', '_')}" if one.temporal else ""
        days = days.removesuffix("_..")
        chinese = quote(f"{one.title_zh}{days}.{self.name}")
        return f"attachment; filename=\"{one.id}{days}.{self.name}\"; filename*=UTF-8''{chinese}"


def read_download(
    collection: Collection,
    parameters: Parameters,
    *,
    now: datetime,
    known: Mapping[str, Crs] = CRSES,
) -> Download:
    """The file that query parameters ask for.

    Raises:
        BadParameterError: one is unknown or cannot be read.
    """
    selection = read_selection(
        collection, parameters, now=now, also=DOWNLOAD_PARAMETERS, known=known
    )
    given = dict(parameters)
    name = given.get("f", "geojson")
    if name not in FORMATS:
        listed = ", ".join(FORMATS)
        raise bad_parameter("f", f"one of {listed}", f"应为 {listed} 之一")
    crs = asked_crs(given, "crs", known)
    if crs.datum is not SourceDatum.WGS84:
        raise bad_parameter(
            "datum",
            "files are never in the datum of a web map, because they outlive the question",
            "下载文件不提供网络地图坐标：文件离开系统后无从辨认",
        )
    if crs != STORAGE and not FORMATS[name].any_crs:
        raise bad_parameter(
            "crs",
            "GeoJSON is in longitude and latitude; take gpkg, fgb or csv for others",
            "GeoJSON 仅为经纬度；其他坐标系请用 gpkg、fgb 或 csv",
        )
    return Download(selection, name, crs)


def require_few(session: Session, download: Download, most: int) -> None:
    """Refuse a file that would be cut off.

    Raises:
        BadParameterError: there are more features than may be in it.
    """
    selection = download.selection
    some = selection.select(selection.rows.key).limit(most + 1).subquery()
    if session.execute(select(func.count()).select_from(some)).scalar_one() > most:
        raise bad_parameter(
            "filter",
            f"more than {most} features: ask for fewer by bbox, filter or a property;"
            f" up to {KNOWN_MOST} with a key",
            f"超过 {most} 个要素：请用 bbox、filter 或属性缩小范围；持密钥者至多 {KNOWN_MOST} 个",
        )
