"""Units read under their locks and written down: what was believed is closed, never edited."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from geoalchemy2.shape import from_shape, to_shape
from sqlalchemy import false, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.inventory.pieces import Piece, Pieces
from app.inventory.places import id_or_none
from app.kernel.errors import NotFoundError
from app.kernel.terms import UnitEventKind
from app.ledger.orders import database_now, lock
from app.ledger.units.errors import UnitRetiredError
from app.ledger.units.facts import FACTS, IDENTITY
from app.models.provenance import SRID
from app.models.space import Floor, Unit, UnitVersion, unit_terms
from app.models.unit_event import UnitEvent, UnitEventUnit
from app.security.actors import Actor

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class KnownUnit:
    """A unit as it is believed now: who it is, and its pieces in the order of their days."""

    id: UUID
    fid: int
    park_id: UUID
    building_id: UUID
    floor_id: UUID
    code: str
    version: int
    known_from: datetime
    pieces: Pieces

    @property
    def usable(self) -> Range[date]:
        """Days on which it exists and may be used; the same in every piece."""
        usable: Range[date] = self.pieces[-1].facts["usable"]
        return usable


@dataclass(frozen=True)
class Recorded:
    """An event that was written down."""

    id: UUID
    kind: UnitEventKind
    effective_on: date
    at: datetime


@contextmanager
def rehearsed(session: Session, *, dry_run: bool) -> Iterator[None]:
    """Do the work; of a dry run nothing stays, neither rows nor locks."""
    if not dry_run:
        yield
        return
    # Locks taken after a savepoint go when it is rolled back.
    attempt = session.begin_nested()
    try:
        yield
    finally:
        if attempt.is_active:
            attempt.rollback()


def locked_units(
    session: Session, actor: Actor, names: Sequence[str], *, reshaping: bool = False
) -> tuple[list[KnownUnit], datetime]:
    """Units by id or code, under their locks, in the order named; and the instant after.

    ``reshaping`` locks their floors first, so that no two outlines are drawn there at a time.

    Raises:
        NotFoundError: there is no such unit.
    """
    found = [_find(session, name) for name in names]
    for unit in found:
        actor.require_park(unit.park_id)
    if reshaping:
        floors = sorted({unit.floor_id for unit in found})
        session.execute(
            select(Floor.id)
            .where(Floor.id.in_(floors))
            .order_by(Floor.id)
            .with_for_update(key_share=True)
        )
    ids = [unit.id for unit in found]
    lock(session, ids)
    now = database_now(session)
    known = {unit.id: unit for unit in _read(session, ids)}
    # Should the clock have been set back, belief still moves forwards.
    latest = max(unit.known_from for unit in known.values())
    return [known[id_] for id_ in ids], max(now, latest + _MICROSECOND)


def require_lasting(session: Session, unit: KnownUnit) -> None:
    """Refuse a unit that ends by a split or a merger.

    Raises:
        UnitRetiredError: it does; the error names what it becomes.
    """
    ends_on = unit.pieces[-1].end
    if ends_on is None:
        return
    mine, other = UnitEventUnit.__table__.alias("mine"), UnitEventUnit.__table__.alias("other")
    became = session.execute(
        select(Unit.id, Unit.code)
        .join(other, other.c.unit_id == Unit.id)
        .join(mine, mine.c.event_id == other.c.event_id)
        .where(mine.c.unit_id == unit.id, mine.c.part == "parent", other.c.part == "child")
        .order_by(Unit.code)
    ).all()
    codes = ", ".join(one.code for one in became)
    raise UnitRetiredError(
        f"unit {unit.code} ends on {ends_on}; from then on it is {codes or 'no more'}",
        detail_zh=f"房源 {unit.code} 至 {ends_on} 止，其后为 {codes or '（无）'}",
        ends_on=ends_on.isoformat(),
        successors=[{"id": str(one.id), "code": one.code} for one in became],
    )


def rewrite(session: Session, unit: KnownUnit, pieces: Pieces, now: datetime) -> None:
    """Believe ``pieces`` of the unit from now on; what was believed stays as it was known.

    Claims that the new pieces have no room for are closed before, and the new ones come after.
    """
    *earlier, last = pieces
    *earlier_before, last_before = unit.pieces
    gone = [piece.start for piece in earlier_before if piece not in earlier]
    if gone:
        starts = [start for start in gone if start is not None]
        lowest = func.lower(UnitVersion.valid)
        session.execute(
            update(UnitVersion)
            .where(
                UnitVersion.id == unit.id,
                func.upper_inf(UnitVersion.known),
                or_(lowest.in_(starts), lowest.is_(None) if None in gone else false()),
            )
            .values(known=func.tstzrange(func.lower(UnitVersion.known), literal(now)))
            .execution_options(synchronize_session=False)
        )
    if last != last_before:
        session.execute(
            update(Unit)
            .where(Unit.id == unit.id)
            .values(**_columns(last), known_from=now)
            .execution_options(synchronize_session=False)
        )
    written = [piece for piece in earlier if piece not in earlier_before]
    _insert_earlier(session, unit, written, now)


def add_unit(
    session: Session, like: KnownUnit, code: str, pieces: Pieces, now: datetime, *, id_: UUID
) -> None:
    """A new unit on the floor of another, believed from now on."""
    *earlier, last = pieces
    places = {name: getattr(like, name) for name in ("park_id", "building_id", "floor_id")}
    fid = session.execute(
        insert(Unit)
        .values(id=id_, code=code, known_from=now, **places, **_columns(last))
        .returning(Unit.fid)
    ).scalar_one()
    unit = KnownUnit(id=id_, fid=fid, code=code, version=0, known_from=now, pieces=pieces, **places)
    _insert_earlier(session, unit, earlier, now)


def record_event(
    session: Session,
    actor: Actor,
    kind: UnitEventKind,
    *,
    effective_on: date,
    now: datetime,
    park_id: UUID,
    units: Sequence[tuple[UUID, str]],
    changes: Mapping[str, Any],
    reason: str | None,
) -> Recorded:
    """Write down what happened to units, each with its part in it."""
    event = Recorded(uuid4(), kind, effective_on, now)
    session.execute(
        insert(UnitEvent).values(
            id=event.id,
            park_id=park_id,
            kind=kind.value,
            effective_on=effective_on,
            recorded_at=now,
            recorded_by=actor.label,
            reason=reason,
            changes=changes,
        )
    )
    session.execute(
        insert(UnitEventUnit),
        [{"event_id": event.id, "unit_id": id_, "part": part} for id_, part in units],
    )
    return event


def _find(session: Session, name: str) -> Any:
    id_ = id_or_none(name)
    found = None
    if "\0" not in name:
        found = session.execute(
            select(Unit.id, Unit.park_id, Unit.floor_id).where(
                Unit.code == name if id_ is None else Unit.id == id_
            )
        ).one_or_none()
    if found is None:
        shown = name.replace("\0", "")[:100]
        raise NotFoundError(
            f"no unit has the code or id {shown!r}",
            detail_zh=f"没有编码或编号为 {shown!r} 的单元",
        )
    return found


def _read(session: Session, ids: Sequence[UUID]) -> Iterator[KnownUnit]:
    terms = unit_terms.c
    rows = session.execute(
        select(
            *(terms[name] for name in (*IDENTITY, "version", "known_from", "valid", *FACTS))
        ).where(terms.id.in_(ids), terms.known_until.is_(None))
    ).mappings()
    by_unit: dict[UUID, list[Any]] = {}
    for row in rows:
        by_unit.setdefault(row["id"], []).append(row)
    for found in by_unit.values():
        found.sort(key=lambda row: row["valid"].lower or date.min)
        last = found[-1]
        yield KnownUnit(
            **{name: last[name] for name in IDENTITY},
            version=max(row["version"] for row in found),
            known_from=max(row["known_from"] for row in found),
            pieces=tuple(
                Piece(
                    row["valid"].lower,
                    row["valid"].upper,
                    {name: row[name] for name in FACTS} | {"geom": to_shape(row["geom"])},
                )
                for row in found
            ),
        )


def _columns(piece: Piece) -> dict[str, Any]:
    return {
        **piece.facts,
        "geom": from_shape(piece.facts["geom"], srid=SRID),
        "valid": Range(piece.start, piece.end),
    }


def _insert_earlier(
    session: Session, unit: KnownUnit, pieces: Sequence[Piece], now: datetime
) -> None:
    if pieces:
        identity = {name: getattr(unit, name) for name in (*IDENTITY, "version")}
        session.execute(
            insert(UnitVersion),
            [{**identity, **_columns(piece), "known": Range(now, None)} for piece in pieces],
        )
