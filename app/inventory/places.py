"""From the codes a caller names to the ids that rows carry: one statement for all of them.

Listings then compare ids with constants, which the planner estimates well, instead of joining
the whole hierarchy to find a code.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    String,
    Uuid,
    any_,
    bindparam,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError
from app.models.programme import ProgrammeBuilding
from app.models.space import Building


def _and_inside(parameter: str, table: str, parent: str, first: str) -> str:
    """The rows of ``table`` that ``first`` finds, and all that lie in them."""
    return f"""SELECT '{parameter}', id FROM (
        WITH RECURSIVE within (id) AS (
            {first} UNION
            SELECT inside.id FROM {table} inside JOIN within ON inside.{parent} = within.id
        ) SELECT id FROM within
    ) found"""  # noqa: S608  (names of our own tables)


_OF_ZONE = """
    SELECT {shown} FROM zones LEFT JOIN parks ON parks.zone_id = zones.id
    WHERE zones.code = :zone OR zones.id = :zone_id"""
_PARK = "SELECT id FROM parks WHERE code = :park OR id = :park_id"
_PROGRAMME = "SELECT id FROM programmes WHERE code = :programme OR id = :programme_id"
#: Parameter → the ids it stands for. A parameter that names nothing gives no row at all; one
#: that names an empty thing gives a row without an id.
_LOOKUPS = {
    "zone": _OF_ZONE.format(shown="'zone' AS parameter, parks.id"),
    "district": """
        SELECT 'district', parks.id
        FROM (SELECT district FROM zones UNION SELECT district FROM parks) known
        LEFT JOIN parks USING (district) WHERE known.district = :district""",
    "park": _and_inside("park", "parks", "parent_park_id", _PARK),
    "programme": _and_inside("programme", "programmes", "parent_programme_id", _PROGRAMME),
    "parcel": "SELECT 'parcel', id FROM parcels WHERE code = :parcel OR id = :parcel_id",
    "building": "SELECT 'building', id FROM buildings WHERE code = :building OR id = :building_id",
    "floor": "SELECT 'floor', id FROM floors WHERE code = :floor OR id = :floor_id",
    "unit": "SELECT 'unit', id FROM units WHERE code = :unit OR id = :unit_id",
    "land_use_code": """
        SELECT 'land_use_code', NULL::uuid
        WHERE EXISTS (SELECT FROM parcels WHERE land_use_code = :land_use_code)""",
}
#: The same with the parks that lie in the zone's parks, even where they are in another zone.
_WHOLE_ZONE = _and_inside("zone", "parks", "parent_park_id", _OF_ZONE.format(shown="parks.id"))
_NOT_LISTED = {
    "district": (
        "no zone or park lies in {value!r}; districts are written as in 浦东新区",
        "没有位于 {value!r} 的区域或园区；行政区写法如 浦东新区",
    ),
    "land_use_code": (
        "no parcel has the land-use code {value!r}; see /api/v1/parcels",
        "没有用地代码为 {value!r} 的地块，见 /api/v1/parcels",
    ),
}
#: What people call each kind of place.
PLACE_WORDS = {
    "zone": "区域",
    "park": "园区",
    "programme": "计划",
    "parcel": "地块",
    "building": "楼宇",
    "floor": "楼层",
    "shared facility": "公共设施",
    "unit": "房源",
}

Places = Mapping[str, list[UUID]]


def id_or_none(text_: str) -> UUID | None:
    """The UUID a text spells in its usual form, or None: then it is a code."""
    try:
        found = UUID(text_)
    except ValueError:
        return None
    return found if str(found) == text_.lower() else None


def find_places(
    session: Session, wanted: object, *, where: str = "query", whole_zones: bool = False
) -> Places:
    """The ids behind each place that ``wanted`` names; parks and programmes with what they hold.

    Args:
        session: where to ask; nothing is asked where no place is named.
        wanted: has places as attributes, under the names of their parameters.
        where: "query" or "body": where the faults point to.
        whole_zones: a zone also stands for parks of another zone that lie in one of its own.

    Raises:
        InvalidInputError: a place is named that does not exist.
    """
    asked = {name: value for name in _LOOKUPS if (value := getattr(wanted, name, None)) is not None}
    if not asked:
        return {}
    lookups = _LOOKUPS | ({"zone": _WHOLE_ZONE} if whole_zones else {})
    query = text("\nUNION ALL\n".join(lookups[name] for name in asked))
    for name, value in asked.items():
        query = query.bindparams(bindparam(name, value, type_=String))
        if f":{name}_id" in lookups[name]:
            query = query.bindparams(bindparam(f"{name}_id", id_or_none(value), type_=Uuid))
    found: dict[str, list[UUID]] = {}
    for parameter, id_ in session.execute(query):
        found.setdefault(parameter, []).extend([id_] if id_ is not None else [])
    faults = [
        Fault(f"/{name}" if where == "body" else name, *_unknown(name, value, where))
        for name, value in asked.items()
        if name not in found
    ]
    if faults:
        raise InvalidInputError(faults[0].detail, faults)
    return found


def park_conditions(park_id: ColumnElement[UUID], places: Places) -> list[ColumnElement[bool]]:
    """That a row's park is in the zone, district and park asked for."""
    asked = [set(places[name]) for name in ("zone", "district", "park") if name in places]
    if not asked:
        return []
    return [among(park_id, sorted(set.intersection(*asked)))]


def programme_conditions(
    building_id: ColumnElement[UUID], places: Places
) -> list[ColumnElement[bool]]:
    """That a row's building counts towards the programme asked for."""
    if "programme" not in places:
        return []
    member = ProgrammeBuilding.__table__.c
    counted = select(member.building_id).where(among(member.programme_id, places["programme"]))
    # As an array it is worked out once, before the rows are touched, and can drive their index.
    return [building_id == any_(func.array(counted.scalar_subquery(), type_=ARRAY(Uuid())))]


def programme_parcel_conditions(
    parcel_id: ColumnElement[UUID], places: Places
) -> list[ColumnElement[bool]]:
    """That a building on the parcel counts towards the programme asked for."""
    building = Building.__table__.c
    counted = programme_conditions(building.id, places)
    return [parcel_id.in_(select(building.parcel_id).where(*counted))] if counted else []


def exact_conditions(places: Places, **columns: ColumnElement[UUID]) -> list[ColumnElement[bool]]:
    """That each column, given under the parameter's name, is the place asked for."""
    return [column == places[name][0] for name, column in columns.items() if name in places]


def among(column: ColumnElement[UUID], ids: list[UUID]) -> ColumnElement[bool]:
    """That ``column`` is one of ``ids``; one parameter however many there are."""
    return column == any_(literal(ids, ARRAY(Uuid())))


def _unknown(parameter: str, value: str, where: str) -> tuple[str, str, str]:
    """Detail, where, and detail in Chinese of a fault."""
    said = _NOT_LISTED.get(parameter)
    if said is not None:
        english, chinese = said
        return english.format(value=value), where, chinese.format(value=value)
    return (
        f"no {parameter} has the code or id {value!r}; see /api/v1/{parameter}s",
        where,
        f"没有编码或编号为 {value!r} 的{PLACE_WORDS[parameter]}，见 /api/v1/{parameter}s",
    )
