"""A floor with rights on it, and what must hold of rights and promises, worked out by hand.

Nothing of the code under test is used to judge it: rows are read as they are, outlines are cut with
Shapely, and every day is looked at by itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from geoalchemy2.shape import to_shape
from shapely import MultiPolygon, box, from_wkb
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.period import Period
from app.kernel.terms import RightKind
from app.ledger.rights.errors import RightConflictError
from app.ledger.rights.granting import Grant, grant_right
from app.models.claim import Claim
from app.models.right import Right, RightClearance, RightFootprint, RightNotice
from app.models.space import Building, Floor, Unit
from app.security.actors import Actor, ActorKind, Role
from tests import factories as make

MANAGER = Actor(kind=ActorKind.STAFF, label="staff:tests", role=Role.MANAGER)
FIRST = date(2027, 1, 1)
SPLIT_ON = date(2028, 7, 1)
#: After every finite end of a world; what is open-ended is looked at up to here.
HORIZON = date(2033, 1, 1)
#: 0.01 m² in square degrees, near Shanghai.
SLIVER = 0.01 / 1.06e10


@dataclass
class World:
    """Four strips of a floor; the first is cut into halves on a day."""

    units: list[Unit]
    companies: list[UUID]


def make_world(session: Session, building: Building | None = None, level: int = 0) -> World:
    """Units as they come: strip 0 until it is cut, its halves from then on, strips 1 to 3."""
    building = building or make.make_building(session)
    floor = make.make_floor(session, building=building, level_index=level)
    whole = [make.make_unit(session, floor=floor, slot=slot, slots=4) for slot in range(4)]
    halves = split(session, whole[0], SPLIT_ON)
    return World([whole[0], *halves, *whole[1:]], [make.make_company(session).id for _ in range(4)])


def split(session: Session, unit: Unit, on: date, parts: int = 2) -> list[Unit]:
    """End a unit's row on a day, and add the strips that lie in its place from then on."""
    session.execute(
        text(
            "UPDATE units SET valid = valid * daterange(NULL, :on),"
            " usable = usable * daterange(NULL, :on) WHERE id = :id"
        ),
        {"on": on, "id": unit.id},
    )
    session.expire(unit)
    floor = session.get_one(Floor, unit.floor_id)
    west, south, east, north = to_shape(unit.geom).bounds
    edges = [west + (east - west) * part / parts for part in range(parts)] + [east]
    return [
        make.make_unit(
            session,
            floor=floor,
            geom=make.geometry(box(left, south, right, north)),
            area_m2="1000.00",
            usable=Range(on, None),
            valid=Range(on, None),
        )
        for left, right in pairwise(edges)
    ]


def grant_knowingly(session: Session, grant: Grant) -> UUID | None:
    """Grant a right, naming all that the refusal lists; None where it cannot be granted at all."""
    try:
        return grant_right(session, MANAGER, grant)
    except RightConflictError as refused:
        rights: Sequence[Mapping[str, Any]] = refused.facts["rights"]  # type: ignore[assignment]
        promised: Sequence[Mapping[str, Any]] = refused.facts["commitments"]  # type: ignore[assignment]
        knowing = Grant(
            kind=grant.kind,
            window=grant.window,
            notice_days=grant.notice_days,
            company_id=grant.company_id,
            unit_ids=grant.unit_ids,
            behind=[UUID(one["right_id"]) for one in rights],
            subject_to=[UUID(one["commitment_id"]) for one in promised],
        )
    try:
        return grant_right(session, MANAGER, knowing)
    except RightConflictError:
        assert grant.kind is RightKind.MUST_TAKE
        return None


def simple_grant(
    company_id: UUID,
    units: Iterable[Unit],
    window: Period,
    *,
    kind: RightKind = RightKind.FIRST_REFUSAL,
    notice_days: int = 10,
) -> Grant:
    """A right on units, behind nothing."""
    return Grant(
        kind=kind,
        notice_days=notice_days,
        company_id=company_id,
        unit_ids=[unit.id for unit in units],
        window=window,
    )


class Ground(NamedTuple):
    """A right as its rows have it."""

    right: Right
    outlines: dict[UUID, BaseGeometry]


class Piece(NamedTuple):
    """A unit's outline on days, as it is believed now."""

    floor_id: UUID
    outline: BaseGeometry
    days: Range[date]


def days(period: Range[date]) -> set[int]:
    """The days of a range, as numbers, from the first day looked at to the horizon."""
    lower = max(period.lower or FIRST, FIRST)
    upper = min(period.upper or HORIZON, HORIZON)
    return set(range(lower.toordinal(), upper.toordinal()))


def read_rights(session: Session) -> list[Ground]:
    """All rights that ever were."""
    outlines: dict[UUID, dict[UUID, BaseGeometry]] = {}
    for one in session.scalars(select(RightFootprint)):
        outlines.setdefault(one.right_id, {})[one.floor_id] = to_shape(one.geom)
    rights = session.scalars(select(Right).order_by(Right.rank, Right.id))
    return [Ground(right, outlines[right.id]) for right in rights]


def read_pieces(session: Session) -> dict[UUID, list[Piece]]:
    """The outlines of all units."""
    found: dict[UUID, list[Piece]] = {}
    for row in session.execute(
        text(
            "SELECT id, floor_id, ST_AsBinary(geom) AS wkb, lower(valid) AS first,"
            " upper(valid) AS until FROM unit_terms WHERE known_until IS NULL"
        )
    ):
        piece = Piece(row.floor_id, from_wkb(bytes(row.wkb)), Range(row.first, row.until))
        found.setdefault(row.id, []).append(piece)
    return found


def binding_days(
    rights: Sequence[Ground],
    pieces: Mapping[UUID, Sequence[Piece]],
    company_id: UUID,
    wanted: Iterable[tuple[UUID, Range[date]]],
) -> dict[UUID, set[int]]:
    """On which days each right binds an offer of units for periods: day by day, piece by piece."""
    found: dict[UUID, set[int]] = {}
    for unit_id, period in wanted:
        for piece in pieces[unit_id]:
            for right, outlines in rights:
                if right.company_id == company_id or piece.floor_id not in outlines:
                    continue
                common = piece.outline.intersection(outlines[piece.floor_id])
                if common.area <= SLIVER:
                    continue
                bound = days(period) & days(piece.days) & days(right.binds)
                for own, own_ground in rights:
                    if own.company_id == company_id and own.rank < right.rank:
                        mine = own_ground.get(piece.floor_id, MultiPolygon())
                        if common.difference(mine).area <= SLIVER:
                            bound -= days(own.binds)
                if bound:
                    found.setdefault(right.id, set()).update(bound)
    return found


def clearing_notice(
    notices: Iterable[RightNotice],
    right_id: UUID,
    company_id: UUID,
    bound: set[int],
    at: datetime,
) -> set[UUID]:
    """The notices that prove, at an instant, that a right is cleared on the days it binds."""
    today = at.astimezone(ZoneInfo("Asia/Shanghai")).date()
    about = [one for one in notices if one.right_id == right_id and one.asked_at <= at]

    def said(one: RightNotice) -> str | None:
        return one.answer if one.answered_at is not None and one.answered_at <= at else None

    fitting = [
        one for one in about if one.company_id in {None, company_id} and bound <= days(one.period)
    ]
    taken = [
        one.answered_at
        for one in about
        if said(one) == "exercised" and bound & days(one.period) and one.answered_at
    ]
    proofs = {
        one.id
        for one in fitting
        if said(one) == "waived"
        and one.answered_at
        and all(one.answered_at > instant for instant in taken)
    }
    silent = {one.id for one in fitting if said(one) is None and one.due_on < today}
    return proofs | (silent if not taken else set())


def offences(session: Session) -> list[tuple[str, UUID, UUID]]:
    """Promises that met a senior right without proof, and proofs of nothing."""
    session.expire_all()
    rights, pieces = read_rights(session), read_pieces(session)
    notices = session.scalars(select(RightNotice)).all()
    proofs: dict[tuple[UUID, UUID], list[UUID]] = {}
    for one in session.scalars(select(RightClearance)):
        proofs.setdefault((one.commitment_id, one.right_id), []).append(one.notice_id)
    found = []
    for commitment_id, rows in promised(session).items():
        at, company_id = rows[0].live.lower, rows[0].company_id
        assert at is not None
        assert company_id is not None
        stood = [one for one in rights if _stood(one.right, at)]
        wanted = [(row.unit_id, row.period) for row in rows]
        bound = binding_days(stood, pieces, company_id, wanted)
        for right_id, on_days in bound.items():
            good = clearing_notice(notices, right_id, company_id, on_days, at)
            if not good & set(proofs.pop((commitment_id, right_id), [])):
                found.append(("without proof", commitment_id, right_id))
    found += [("proof of nothing", *pair) for pair in proofs]
    return found


def promised(session: Session) -> dict[UUID, list[Claim]]:
    """The first rows of every hold and lease."""
    found: dict[UUID, list[Claim]] = {}
    for row in session.scalars(
        select(Claim).where(Claim.kind.in_(["hold", "lease"]), Claim.supersedes_id.is_(None))
    ):
        found.setdefault(row.commitment_id, []).append(row)
    return found


def disorders(session: Session) -> Iterator[tuple[UUID, UUID]]:
    """Pairs of standing rights that meet and have no order, or an order nobody named."""
    session.expire_all()
    standing = [one for one in read_rights(session) if one.right.closed_by is None]
    named = {
        (row.junior_id, row.senior_id)
        for row in session.execute(text("SELECT junior_id, senior_id FROM right_seniorities"))
    }
    for place, (one, ground) in enumerate(standing):
        for other, other_ground in standing[:place]:
            share_ground = any(
                outline.intersection(other_ground.get(floor, MultiPolygon())).area > SLIVER
                for floor, outline in ground.items()
            )
            if not share_ground or not days(one.binds) & days(other.binds):
                continue
            junior, senior = (one, other) if one.rank > other.rank else (other, one)
            both = {one.kind, other.kind} == {"must_take"} and one.company_id != other.company_id
            if one.rank == other.rank or (junior.id, senior.id) not in named or both:
                yield one.id, other.id


def _stood(right: Right, at: datetime) -> bool:
    lower, upper = right.known.lower, right.known.upper
    return lower is not None and lower <= at and (upper is None or upper > at)


def add_notice(
    session: Session,
    right_id: UUID,
    period: Range[date],
    *,
    company_id: UUID | None = None,
    due_in_days: int = 5,
    answer: str | None = None,
    minutes_ago: int = 0,
) -> RightNotice:
    """A notice of a month ago; answered, if at all, some minutes ago."""
    now = datetime.now(UTC)
    row: RightNotice = make.add(
        session,
        RightNotice(
            right_id=right_id,
            company_id=company_id,
            period=period,
            asked_at=now - timedelta(days=30),
            due_on=now.astimezone(ZoneInfo("Asia/Shanghai")).date() + timedelta(days=due_in_days),
            answer=answer,
            answered_at=None if answer is None else now - timedelta(minutes=minutes_ago),
            answered_by=None if answer is None else "tests",
            recorded_by="tests",
        ),
    )
    return row
