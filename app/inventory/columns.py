"""Columns that several listings share, as SQL text by the name they are shown under.

Every piece is a constant of our own code: what a caller sends is bound by the filters, never
written here.
"""

from enum import unique
from typing import Any

from sqlalchemy import ColumnElement, DateTime, literal_column

from app.kernel.terms import Confidence, GeometryQuality, SourceDatum, Term

#: Name of a member → the SQL that gives its value.
Columns = dict[str, str]
#: Members that are instants, in whatever listing: JSON has them as all answers do.
_INSTANTS = frozenset({"known_from", "known_until"})


@unique
class AreaStandard(Term):
    """What an area counts: figures of different standards are never added or compared."""

    LEASABLE = "leasable", "计租面积", "Leasable area"
    INTERNAL = "internal", "套内建筑面积", "Internal area"
    GROSS_FLOOR = "gross_floor", "建筑面积", "Gross floor area"
    TARGET_FLOOR = "target_floor", "目标建筑面积", "Target floor area"
    PLANNED_FLOOR = "planned_floor", "规划建筑面积", "Planned floor area"
    PUBLISHED_LETTABLE = "published_lettable", "公布可租面积", "Published lettable area"
    PUBLISHED_LAND = "published_land", "公布占地面积", "Published land area"
    GEOMETRIC = "geometric", "图上面积", "Area of the drawn outline"


#: How areas that no row describes were got.
AS_PUBLISHED = "'as given by the source'"
AS_DRAWN = "'geodesic area of the outline on the ellipsoid'"


def plain(table: str, *names: str) -> Columns:
    """Columns under their own names."""
    return {name: f"{table}.{name}" for name in names}


def words(column: str, vocabulary: type[Term]) -> Columns:
    """The Chinese and English words of a coded column."""
    name = column.rpartition(".")[2]
    return {
        f"{name}_zh": _case(column, {term.value: term.zh for term in vocabulary}),
        f"{name}_en": _case(column, {term.value: term.en for term in vocabulary}),
    }


def coded(column: str, vocabulary: type[Term]) -> Columns:
    """A coded column, and its words in both languages."""
    return {column.rpartition(".")[2]: column, **words(column, vocabulary)}


def named(table: str, *extra: str) -> str:
    """A row of ``table`` as an object, so that no second call is needed to show its name."""
    members = ("id", "code", "name_zh", "name_en", *extra)
    return _object({member: f"{table}.{member}" for member in members})


def nullable(key: str, shown: str) -> str:
    """``shown``, or null where ``key`` is null."""
    return f"CASE WHEN {key} IS NOT NULL THEN {shown} END"


def area(
    standard: AreaStandard,
    column: str,
    *,
    method: str = AS_PUBLISHED,
    measured_on: str = "NULL::date",
    tolerance_pct: str = "NULL::numeric",
) -> str:
    """One area with what it counts and how it was got; nothing where it is not known."""
    entry = _object(
        {
            "standard": _text(standard.value),
            "name_zh": _text(standard.zh),
            "name_en": _text(standard.en),
            "area_m2": f"round(({column})::numeric, 2)",
            "method": method,
            "measured_on": measured_on,
            "tolerance_pct": tolerance_pct,
        }
    )
    return f"CASE WHEN {column} IS NOT NULL THEN {entry}::text END"


def drawn_area(table: str) -> str:
    """The area of the outline, which is never the legal one."""
    return area(AreaStandard.GEOMETRIC, f"{table}.geometric_area_m2", method=AS_DRAWN)


def areas(*entries: str) -> Columns:
    """The list of the areas that are known."""
    return {"areas": f"('[' || concat_ws(',', {', '.join(entries)}) || ']')::json"}


def drawn_area_flat(table: str) -> Columns:
    """The outline's area as a plain number."""
    return {"geometric_area_m2": f"round({table}.geometric_area_m2::numeric, 2)"}


def position(table: str) -> Columns:
    """Longitude and latitude of a point inside the outline."""
    point = f"ST_PointOnSurface({table}.geom)"
    return {"position": f"ST_AsGeoJSON({point}, 7)::json -> 'coordinates'"}


def outline(table: str) -> str:
    """The geometry as RFC 7946 wants it: outer rings counter-clockwise."""
    return f"ST_ForcePolygonCCW({table}.geom)"


def provenance(table: str) -> Columns:
    """Where a row comes from."""
    return {
        **plain(table, "source"),
        **coded(f"{table}.confidence", Confidence),
        **plain(table, "synthetic"),
    }


def placed(table: str) -> Columns:
    """Where a row comes from, and how far its outline may be trusted."""
    return {
        **provenance(table),
        **coded(f"{table}.geometry_quality", GeometryQuality),
        **plain(table, "position_accuracy_m"),
        **coded(f"{table}.source_datum", SourceDatum),
    }


def placed_flat(table: str) -> Columns:
    """The same as codes only, for tools."""
    return plain(
        table,
        "source",
        "confidence",
        "synthetic",
        "geometry_quality",
        "position_accuracy_m",
        "source_datum",
    )


def parents_flat(**tables: str) -> Columns:
    """Code and names of parents, each under ``<parent>_``."""
    return {
        f"{parent}_{column}": f"{table}.{column}"
        for parent, table in tables.items()
        for column in ("code", "name_zh", "name_en")
    }


def joined_texts(table: str, column: str) -> Columns:
    """A list of texts as one text, because a cell of an attribute table holds one value."""
    return {column: f"array_to_string({table}.{column}, '; ')"}


def labelled(columns: Columns) -> list[ColumnElement[Any]]:
    """The columns as SQLAlchemy takes them."""
    return [
        literal_column(sql, DateTime(timezone=True) if name in _INSTANTS else None).label(name)
        for name, sql in columns.items()
    ]


def _object(members: Columns) -> str:
    listed = ", ".join(f"'{name}', {sql}" for name, sql in members.items())
    return f"json_build_object({listed})"


def _text(value: str) -> str:
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _case(column: str, texts: dict[str, str]) -> str:
    branches = " ".join(f"WHEN {_text(code)} THEN {_text(said)}" for code, said in texts.items())
    return f"CASE {column} {branches} END"
