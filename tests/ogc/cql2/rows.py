"""A small table with every kind of property, full of unknowns, and the same rows in Python."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from shapely import box
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, text

from app.kernel.terms import Term
from app.ogc.fields import Field, Kind

#: What the rows and the filters say, so that they meet often.
NAMES = ("Alpha", "alpha", "ALPHÉ", "beta", "b_ta", "100%", "净高", "it's", "")
NUMBERS = (Decimal(-2), Decimal(0), Decimal("0.5"), Decimal(1), Decimal(2), Decimal(4))
DAYS = tuple(date(2027, 3, 1) + timedelta(days=step) for step in range(4))
INSTANTS = tuple(datetime(2027, 3, 1, hour, tzinfo=UTC) for hour in range(4))
IDS = tuple(UUID(int=number) for number in range(1, 4))
BOXES = (
    *(
        box(121 + x, 31 + y, 121 + x + size, 31 + y + size)
        for x in (0, 1)
        for y in (0, 1)
        for size in (1, 2)
    ),
    box(125, 35, 126, 36),  # alone
)
COUNT = 60


class Size(Term):
    """A coded property."""

    SMALL = "small", "小", "Small size"
    LARGE = "large", "大", "Large size"


FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field("name", "r.name", Kind.TEXT, "名称", "Name"),
        Field("other", "r.other", Kind.TEXT, "别名", "Other name"),
        Field("size", "r.size", Kind.TEXT, "规模", "Size", codes=Size),
        # Two are not one name, so that they would come apart without brackets.
        Field("load", "r.load + 0", Kind.NUMBER, "楼面荷载", "Load", unit="kN/m2"),
        Field("height", "r.height", Kind.NUMBER, "净高", "Clear height", unit="m"),
        Field("level", "r.level", Kind.WHOLE, "楼层", "Level"),
        Field("flag", "r.flag OR false", Kind.TRUTH, "可分割", "Divisible"),
        Field("start", "r.start", Kind.DAY, "起始日", "Start"),
        Field("until", "r.until", Kind.DAY, "终止日", "Until"),
        Field("seen", "r.seen", Kind.INSTANT, "时刻", "Seen"),
        Field("key", "r.key", Kind.ID, "编号", "Key"),
    )
}

_TABLE = """CREATE TEMPORARY TABLE cql2_rows (fid int PRIMARY KEY, name text, other varchar,
    size text, load numeric(9, 2), height float8, level smallint, flag boolean, start date,
    until date, seen timestamptz, key uuid, geom geometry(Polygon, 4326))"""
_ROW = """INSERT INTO cql2_rows VALUES (:fid, :name, :other, :size, :load, :height, :level, :flag,
    :start, :until, :seen, :key, ST_GeomFromText(:geometry, 4326))"""


def _make_rows() -> list[dict[str, Any]]:
    """The rows; each value is unknown in a part of them."""
    random = Random(25)  # noqa: S311 - no secret

    def some(values: Any) -> Any:
        return random.choice([*values, *[None] * (1 + len(values) // 4)])

    return [
        {
            "fid": fid,
            "name": some(NAMES),
            "other": some(NAMES),
            "size": some([size.value for size in Size]),
            "load": some(NUMBERS),
            "height": some([float(number) for number in NUMBERS]),
            "level": some([-2, 0, 1, 2, 4]),
            "flag": some([True, False]),
            "start": some(DAYS),
            "until": some(DAYS),
            "seen": some(INSTANTS),
            "key": some(IDS),
            "geometry": some(BOXES),
        }
        for fid in range(COUNT)
    ]


ROWS = _make_rows()


def store(connection: Connection) -> None:
    """Write the rows into a table that goes with the connection."""
    connection.execute(text(_TABLE))

    def said(value: object) -> object:
        return value.wkt if isinstance(value, BaseGeometry) else value

    connection.execute(text(_ROW), [{k: said(v) for k, v in row.items()} for row in ROWS])
