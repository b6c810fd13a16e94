"""Codes of other things that a caller names: refused if there is no such thing.

A page without features is read as "nothing is free there", also where a code was mistyped. Who
filters by an expression (CQL2) compares texts, and hears nothing of this.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union
from sqlalchemy.orm import Session

from app.models.programme import Programme
from app.models.space import Building, Floor, Parcel, Park, Zone
from app.ogc.asked import Parameters
from app.ogc.collection import Collection
from app.ogc.errors import bad_parameter

_PARKS = Park.__table__.c
_DISTRICTS = union(select(Zone.__table__.c.district), select(_PARKS.district)).subquery("districts")
#: Parameters that name other things, by what these are called there; and their Chinese names.
REFERENCES: Mapping[str, tuple[ColumnElement[str], ColumnElement[str] | None]] = {
    "building_code": (Building.__table__.c.code, Building.__table__.c.name_zh),
    "district": (_DISTRICTS.c.district, None),
    "floor_code": (Floor.__table__.c.code, None),
    "parcel_code": (Parcel.__table__.c.code, Parcel.__table__.c.name_zh),
    "parent_park_code": (_PARKS.code, _PARKS.name_zh),
    "park_code": (_PARKS.code, _PARKS.name_zh),
    "programme_code": (Programme.__table__.c.code, Programme.__table__.c.name_zh),
    "zone_code": (Zone.__table__.c.code, Zone.__table__.c.name_zh),
}
#: Names that are looked through for those that may have been meant, and that are told.
_LOOKED_AT, _TOLD = 1_000, 3


def require_references(session: Session, collection: Collection, parameters: Parameters) -> None:
    """Refuse a parameter that names something that the caller can see none of.

    Whether it is not there or not the caller's to see makes no difference: the same rows are asked.

    Raises:
        BadParameterError: the first such parameter, and what may have been meant.
    """
    for name, value in parameters:
        if name not in REFERENCES or name not in collection.queryables:
            continue
        own, title = REFERENCES[name]
        if session.execute(select(own).where(own == value).limit(1)).first() is not None:
            continue
        codes = list(session.scalars(_likely(own, value)))
        by_letters = {code.lower(): code for code in codes}
        near = [by_letters[one] for one in get_close_matches(value.lower(), by_letters, n=_TOLD)]
        if title is not None and value and not near:
            called = select(own).where(func.strpos(title, value) > 0).order_by(own).limit(_TOLD)
            near = list(session.scalars(called))
        shown = value[:100]
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        meant_zh = f"，是否指 {' 或 '.join(near)}？" if near else ""
        raise bad_parameter(
            name,
            f"there is none with {shown!r}{meant}",
            f"没有 {shown}{meant_zh}",
        )


def _likely(own: ColumnElement[str], value: str) -> Select[Any]:
    """The names that may have been meant, those with the same beginning first."""
    beginning = value[: (len(value) + 1) // 2].lower()
    alike = func.starts_with(func.lower(own), beginning)
    return select(own).order_by(alike.desc(), own).limit(_LOOKED_AT)
