"""Rights as they are read: now or as known at an instant, as rows or as ground on a map."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    Select,
    Subquery,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page, instant_text
from app.inventory.columns import coded, labelled
from app.inventory.known import believed, future_faults, known_at, known_units
from app.inventory.places import find_places
from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import NoticeAnswer, RightKind
from app.ledger.rights.errors import no_such_right
from app.ledger.rights.ground import SLIVER_M2
from app.models.company import Company
from app.models.right import Right, RightFootprint
from app.models.space import Floor, Park, unit_terms
from app.security.actors import Actor

_right = Right.__table__.c

_FLOORS = """(SELECT coalesce(json_agg(json_build_object(
        'id', floors.id, 'code', floors.code, 'level_name', floors.level_name,
        'area_m2', round(ST_Area(f.geom::geography)::numeric, 2)) ORDER BY floors.code), '[]')
    FROM right_footprints f JOIN floors ON floors.id = f.floor_id WHERE f.right_id = rights.id)"""
#: The units of the first day on which the right can still bind, as known at the instant asked for.
_UNITS = f"""(SELECT coalesce(json_agg(json_build_object(
        'id', u.id, 'code', u.code, 'overlap_m2', round(o.overlap_m2::numeric, 2))
        ORDER BY u.code), '[]')
    FROM right_footprints f
    JOIN unit_terms u ON u.floor_id = f.floor_id AND u.geom && f.geom
    CROSS JOIN LATERAL (
        SELECT ST_Area(ST_Intersection(u.geom, f.geom)::geography) AS overlap_m2) o
    WHERE f.right_id = rights.id AND ST_Relate(u.geom, f.geom, 'T********')
        AND o.overlap_m2 > {SLIVER_M2}
        AND u.known_from <= asked.instant
        AND (u.known_until IS NULL OR u.known_until > asked.instant)
        AND u.valid @> greatest(asked.day, lower(rights.binds)))"""  # noqa: S608
_PLAIN = (
    {"id": "rights.id"}
    | coded("rights.kind", RightKind)
    | {
        "park_id": "rights.park_id",
        "park_code": "parks.code",
        "company_id": "rights.company_id",
        "from": "lower(rights.binds)",
        "until": "upper(rights.binds)",
        "notice_days": "rights.notice_days",
        "rank": "rights.rank",
        "lease_id": "rights.commitment_id",
        "known_from": "lower(rights.known)",
    }
)
_SHOWN = _PLAIN | {"floors": _FLOORS, "units": _UNITS}
_NAMES = {"company_name_zh": "companies.name_zh", "company_name_en": "companies.name_en"}
_FOR_STAFF = {
    **_NAMES,
    "note": "rights.note",
    "recorded_by": "rights.recorded_by",
}
_FEATURE = {
    **_PLAIN,
    "id": "rights.id || ':' || right_footprints.floor_id",
    "right_id": "rights.id",
    "floor_id": "right_footprints.floor_id",
    "floor_code": "floors.code",
    "level_name": "floors.level_name",
    "area_m2": "round(ST_Area(right_footprints.geom::geography)::numeric, 2)",
    "geometry": "ST_ForcePolygonCCW(right_footprints.geom)",
}

_ANSWER = coded("n.answer", NoticeAnswer)
_NOTICE = {
    "id": "n.id",
    "from": "lower(n.period)",
    "until": "upper(n.period)",
    "asked_at": instant_text("n.asked_at"),
    "due_on": "n.due_on",
    **_ANSWER,
    "answered_at": instant_text("n.answered_at"),
}
_NOTICE_FOR_STAFF = {
    "company_id": "n.company_id",
    "reference": "n.reference",
    "recorded_by": "n.recorded_by",
    "answered_by": "n.answered_by",
}


def _notices(members: dict[str, str]) -> str:
    listed = ", ".join(f"'{name}', {sql}" for name, sql in members.items())
    return f"""(SELECT coalesce(json_agg(json_build_object({listed})
        ORDER BY n.asked_at, n.id), '[]')
    FROM right_notices n WHERE n.right_id = rights.id)"""  # noqa: S608  (names of our own)


_CLEARED = """(SELECT coalesce(json_agg(json_build_object(
        'commitment_id', c.commitment_id, 'notice_id', c.notice_id)
        ORDER BY c.commitment_id, c.notice_id), '[]')
    FROM right_clearances c WHERE c.right_id = rights.id)"""
_BEHIND = """(SELECT coalesce(json_agg(s.senior_id ORDER BY s.senior_id), '[]')
    FROM right_seniorities s WHERE s.junior_id = rights.id)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RightSearch:
    """Which rights. ``start`` and ``until`` (exclusive) ask for rights that share a day."""

    unit: UUID | None = None
    park: str | None = None
    company_id: UUID | None = None
    kinds: tuple[RightKind, ...] = ()
    start: date | None = None
    until: date | None = None
    as_of: datetime | None = None


def list_rights(
    session: Session,
    actor: Actor,
    search: RightSearch,
    page: PageRequest,
    now: datetime,
    *,
    geojson: bool = False,
) -> Page:
    """Rights believed at ``as_of`` (else now), by their first day; as GeoJSON, by floor.

    Firms get their own, staff those of their parks; only staff get names.

    Raises:
        InvalidInputError: the days are the wrong way round, or ``as_of`` is yet to come.
    """
    actor.require_ledger_reader()
    if search.company_id is not None:
        actor.require_company(search.company_id)
    faults = []
    if search.start and search.until and search.until <= search.start:
        faults.append(Fault("until", "must be after from", "query", "须晚于 from"))
    faults += future_faults(search.as_of, now)
    if faults:
        raise InvalidInputError(
            "; ".join(f"{fault.pointer} {fault.detail}" for fault in faults), faults
        )
    conditions = _filters(session, actor, search)
    asked = _asked(search.as_of, now)
    scope = f"rights {geojson} {actor.label} {asdict(search)!r}"
    order = [Sort(func.lower(_right.binds, type_=Date)), Sort(_right.id)]
    if geojson:
        return fetch_page(
            session,
            _features(actor).where(*conditions),
            order=[*order, Sort(RightFootprint.__table__.c.floor_id)],
            page=page,
            scope=scope,
            geojson=True,
        )

    def details(found: Subquery) -> Select[Any]:
        return _shown(actor, asked).join(found, found.c.id == _right.id)

    return fetch_page(
        session,
        select(_right.id).where(*conditions),
        order=order,
        page=page,
        scope=scope,
        details=details,
    )


def get_right(session: Session, actor: Actor, right_id: UUID, now: datetime) -> str:
    """A right with all its notices, as JSON text; to its holder without whom they were about.

    Raises:
        NoSuchRightError: there is none, or it is not the caller's to see.
    """
    actor.require_ledger_reader()
    park_id = session.scalar(
        select(_right.park_id).where(
            _right.id == right_id,
            true() if actor.is_staff else _right.company_id == actor.company_id,
        )
    )
    if park_id is None:
        raise no_such_right(right_id)
    actor.require_park(park_id)
    notice = _NOTICE | (_NOTICE_FOR_STAFF if actor.is_staff else {})
    more = {"known_until": "upper(rights.known)", "notices": _notices(notice)}
    if actor.is_staff:
        more |= {"closed_by": "rights.closed_by", "behind": _BEHIND, "cleared_for": _CLEARED}
    query = _shown(actor, _asked(None, now)).add_columns(*labelled(more))
    row = fetch_one(session, query.where(_right.id == right_id))
    if row is None:
        raise no_such_right(right_id)
    return row


def _asked(as_of: datetime | None, now: datetime) -> Subquery:
    """The instant of knowledge, and its day."""
    return select(
        believed(as_of).label("instant"), literal(civil_day(as_of or now), Date).label("day")
    ).subquery("asked")


def _shown(actor: Actor, asked: Subquery) -> Select[Any]:
    columns = _SHOWN | (_FOR_STAFF if actor.is_staff else {})
    return select(*labelled(columns)).select_from(
        Right.__table__.join(Park.__table__, Park.id == _right.park_id)
        .join(Company.__table__, Company.id == _right.company_id)
        .join(asked, true())
    )


def _features(actor: Actor) -> Select[Any]:
    columns = _FEATURE | (_NAMES if actor.is_staff else {})
    return select(*labelled(columns)).select_from(
        Right.__table__.join(Park.__table__, Park.id == _right.park_id)
        .join(Company.__table__, Company.id == _right.company_id)
        .join(RightFootprint.__table__, RightFootprint.right_id == _right.id)
        .join(Floor.__table__, Floor.id == RightFootprint.floor_id)
    )


def _filters(session: Session, actor: Actor, search: RightSearch) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = [_right.known.op("@>")(believed(search.as_of))]
    if not actor.is_staff:
        filters.append(_right.company_id == actor.company_id)
    elif actor.park_ids is not None:
        filters.append(_right.park_id.in_(sorted(actor.park_ids)))
    places = find_places(session, _Named(search.park))
    if "park" in places:
        filters.append(_right.park_id.in_(places["park"]))
    if search.unit is not None:
        filters.append(_lies_on(search.unit, search.as_of))
    if search.company_id is not None:
        filters.append(_right.company_id == search.company_id)
    if search.kinds:
        filters.append(_right.kind.in_([kind.value for kind in search.kinds]))
    if search.start is not None or search.until is not None:
        days = Range(search.start, search.until)
        filters.append(_right.binds.op("&&")(literal(days, DATERANGE)))
    return filters


@dataclass(frozen=True, slots=True)
class _Named:
    park: str | None


def _lies_on(unit_id: UUID, as_of: datetime | None) -> ColumnElement[bool]:
    """That a right has ground of a unit, as its last outline was known."""
    unit, footprint = known_units.c, RightFootprint.__table__.c
    later = unit_terms.alias("later")
    has_later = select(1).where(
        later.c.id == unit_id, known_at(later, as_of), later.c.valid.op(">>")(unit.valid)
    )
    overlap: ColumnElement[float] = literal_column(
        "ST_Area(ST_Intersection(units.geom, right_footprints.geom)::geography)"
    )
    return (
        select(footprint.right_id)
        .where(
            footprint.right_id == _right.id,
            unit.id == unit_id,
            known_at(known_units, as_of),
            ~has_later.exists(),
            unit.floor_id == footprint.floor_id,
            func.ST_Relate(unit.geom, footprint.geom, "T********"),
            overlap > SLIVER_M2,
        )
        .correlate(Right.__table__)
        .exists()
    )
