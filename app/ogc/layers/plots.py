"""Programmes' plots: the parcels that a programme's buildings stand on."""

from pydantic import Field
from sqlalchemy import literal_column, select, text, true

from app.inventory import parcels
from app.inventory.columns import plain
from app.inventory.features import OptionalArea, OptionalText, ParcelProperties
from app.models.programme import Programme, ProgrammeBuilding
from app.models.space import Building
from app.ogc.collection import Collection, Geometry, Rows, When, declare_fields


class PlotProperties(ParcelProperties):
    """计划/项目地块."""

    programme_code: str = Field(description="code of the innermost programme")
    programme_name_zh: str = Field(description="计划/项目")
    programme_name_en: str = Field(description="programme")
    programme_codes: OptionalText
    target_floor_area_m2: OptionalArea
    published_lettable_area_m2: OptionalArea
    published_land_area_m2: OptionalArea
    published_building_count: int | None = Field(description="公布楼栋数")
    published_investment_cny: float | None = Field(description="公布投资额, CNY")


_P = parcels.LISTING.table
_G, _M, _B = Programme.__table__, ProgrammeBuilding.__table__, Building.__table__

#: Of the programmes that have buildings on a parcel, the one that none of the others lies in.
_INNERMOST = (
    text("""
    SELECT p.code, p.name_zh, p.name_en, p.target_floor_area_m2, p.published_lettable_area_m2,
        p.published_land_area_m2, p.published_building_count, p.published_investment_cny
    FROM programmes p
    WHERE p.id IN (SELECT m.programme_id FROM programme_buildings m
        JOIN buildings b ON b.id = m.building_id WHERE b.parcel_id = parcels.id)
    ORDER BY EXISTS (SELECT FROM programmes project WHERE project.parent_programme_id = p.id
            AND project.id IN (SELECT m.programme_id FROM programme_buildings m
                JOIN buildings b ON b.id = m.building_id WHERE b.parcel_id = parcels.id)), p.code
    LIMIT 1""")
    .columns(literal_column("code"))
    .lateral("programme")
)
_CODES = """(SELECT string_agg(DISTINCT p.code, '; ' ORDER BY p.code)
    FROM programmes p JOIN programme_buildings m ON m.programme_id = p.id
    JOIN buildings b ON b.id = m.building_id WHERE b.parcel_id = parcels.id)"""

_ROWS = Rows(
    _P,
    parcels.LISTING.joined.join(_INNERMOST, true()),
    _P.c.id,
    _P.c.fid,
    _P.c.geom,
    (_P.c.id.in_(select(_B.c.parcel_id).join_from(_B, _M, _M.c.building_id == _B.c.id)),),
)


def _rows(_when: When) -> Rows:
    return _ROWS


PLOTS = Collection(
    "plots",
    "项目地块",
    "Programmes' plots",
    "项目楼宇所在的地块，附最内层项目的公布指标. The parcels that a programme's buildings stand on,"
    " with the published figures of the innermost programme.",
    declare_fields(
        parcels.LISTING.properties
        | {f"programme_{name}": f"programme.{name}" for name in ("code", "name_zh", "name_en")}
        | {"programme_codes": _CODES}
        | plain(
            "programme",
            "target_floor_area_m2",
            "published_lettable_area_m2",
            "published_land_area_m2",
            "published_building_count",
            "published_investment_cny",
        ),
        PlotProperties,
    ),
    Geometry.POLYGON,
    _rows,
    outside=frozenset({"parks", "zones", "programme"}),
)
