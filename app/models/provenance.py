"""Columns that say where a row comes from and how far to trust it."""

from decimal import Decimal
from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import Boolean, CheckConstraint, Computed, Double, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import one_of
from app.kernel.terms import Confidence, GeometryQuality, SourceDatum

#: Coordinates are kept in EPSG:4326, longitude first.
SRID = 4326


class Provenance:
    """Where a row's facts come from."""

    source: Mapped[str] = mapped_column(
        comment="来源: who published the facts, or which rule made them"
    )
    confidence: Mapped[str] = mapped_column(comment="published | derived | assumption")
    synthetic: Mapped[bool] = mapped_column(
        Boolean, server_default=text("false"), comment="made up for demonstration"
    )


class Placed(Provenance):
    """A row with a geometry: how it was got and how far off it may be."""

    source_datum: Mapped[str] = mapped_column(
        server_default="WGS84", comment="datum the geometry was given in, before conversion"
    )
    geometry_quality: Mapped[str] = mapped_column(comment="surveyed | digitised | schematic")
    position_accuracy_m: Mapped[Decimal | None] = mapped_column(
        Numeric(10, 2), comment="how far off the position may be, metres"
    )


def provenance_checks() -> tuple[CheckConstraint, ...]:
    """The checks of ``Provenance``."""
    return (one_of("confidence", Confidence),)


def placed_checks(*, nullable: bool = False) -> tuple[CheckConstraint, ...]:
    """The checks of ``Placed``, and that the geometry is valid and not empty."""
    valid = "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)"
    return (
        *provenance_checks(),
        one_of("source_datum", SourceDatum),
        one_of("geometry_quality", GeometryQuality),
        CheckConstraint(f"geom IS NULL OR ({valid})" if nullable else valid, name="geom_valid"),
        CheckConstraint("position_accuracy_m >= 0", name="position_accuracy_not_negative"),
    )


def polygon(kind: str = "POLYGON", *, nullable: bool = False) -> Mapped[Any]:
    """A geometry column in EPSG:4326 with its GiST index."""
    column: Mapped[WKBElement] = mapped_column(
        Geometry(kind, srid=SRID, spatial_index=True, nullable=nullable),
        nullable=nullable,
        comment="EPSG:4326, longitude latitude",
    )
    return column


def geodesic_area() -> Mapped[float]:
    """A column that is always the geodesic area of ``geom`` on the ellipsoid, m²."""
    column: Mapped[float] = mapped_column(
        Double,
        Computed("ST_Area(geom::geography)", persisted=True),
        comment="图上面积: geodesic area of geom, m²; never the legal area",
    )
    return column
