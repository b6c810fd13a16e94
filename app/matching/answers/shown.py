"""What people see of units: names and places, read in one statement; facts come from the segment.

Nothing here says who uses a unit, or did.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.inventory.known import IN_FORCE_FROM
from app.matching.answers.canonical import Members, plain
from app.matching.answers.schemas import UnitRef
from app.matching.columns import QUANTITY_GRAIN
from app.matching.segment import Segment
from app.models.space import Unit

Shown = Mapping[int, Mapping[str, Any]]

_NAMES = (
    "id",
    "code",
    "name_zh",
    "name_en",
    "level_index",
    "level_name",
    "geometry_quality",
    "synthetic",
)
_FACTS = (
    "unit_type",
    "capacity_measure",
    "physical_state",
    "capacity",
    "leasable_area_m2",
)
_SHOWN = f"""
SELECT u.fid, u.id, u.code, u.name_zh, u.name_en, f.level_index, f.level_name, u.synthetic,
    u.geometry_quality,
    b.id AS building_id, b.code AS building_code, b.name_zh AS building_name_zh,
    b.name_en AS building_name_en, k.id AS park_id, k.code AS park_code, k.name_zh AS park_name_zh,
    k.name_en AS park_name_en, z.id AS zone_id, z.code AS zone_code, z.name_zh AS zone_name_zh,
    z.name_en AS zone_name_en
FROM unit_terms u JOIN floors f ON f.id = u.floor_id JOIN buildings b ON b.id = u.building_id
JOIN parks k ON k.id = u.park_id JOIN zones z ON z.id = k.zone_id
WHERE u.id IN (SELECT id FROM units WHERE fid = ANY (CAST(:fids AS bigint[])))
    AND {IN_FORCE_FROM}"""  # noqa: S608  (our own condition)


def read_shown(session: Session, fids: Iterable[int], start: date, as_of: datetime) -> Shown:
    """Names and places of units by number, as of the first day on which each is there.

    Args:
        session: where to read.
        fids: the database's numbers of units.
        start: first day asked about.
        as_of: the instant whose knowledge is used.
    """
    wanted = sorted(set(fids))
    if not wanted:
        return {}
    asked = {"fids": wanted, "start": start, "as_of": as_of}
    return {row["fid"]: dict(row) for row in session.execute(text(_SHOWN), asked).mappings()}


def unit_shown(shown: Shown, segment: Segment, row: int, quantity: int) -> Members:
    """One unit as it is offered.

    Args:
        shown: with the unit's number.
        segment: of the row.
        row: the unit.
        quantity: hundredths of its measure that are offered.
    """
    names = shown[int(segment.fid[row])]
    by_place = segment.value("rent_cny_per_place_month", row)
    by_m2 = segment.value("rent_cny_per_m2_day", row)
    return {
        **{name: names[name] for name in _NAMES},
        **{name: plain(segment.value(name, row)) for name in _FACTS},
        # Of a room let by the place, the rent by the m² is worked out and not what is asked.
        "rent_cny_per_m2_day": None if by_place is not None else plain(by_m2),
        "rent_cny_per_place_month": plain(by_place),
        "quantity": plain(quantity / QUANTITY_GRAIN),
        **{place: _place(names, place) for place in ("zone", "park", "building")},
    }


def _place(names: Mapping[str, Any], place: str) -> Members:
    return {name: names[f"{place}_{name}"] for name in ("id", "code", "name_zh", "name_en")}


def unit_refs(session: Session, fids: Iterable[int]) -> Mapping[int, UnitRef]:
    """Ids and codes of units by number; neither ever changes."""
    wanted = sorted(set(fids))
    query = select(Unit.fid, Unit.id, Unit.code).where(Unit.fid.in_(wanted))
    return {fid: UnitRef(id=id_, code=code) for fid, id_, code in session.execute(query)}
