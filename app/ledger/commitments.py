"""Promises of space: holds that lapse by themselves, and leases.

Every write goes the same way. The units are locked in the order of their ids; only then is the
database asked what time it is; the days are checked; rows are closed and added. Whoever waits for a
lock therefore sees what the one before has written, and no two promises carry the same instant the
wrong way round. The triggers of the claims table check it all once more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import DateTime, bindparam, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import DATERANGE, Range, distinct_on
from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.kernel.period import Period
from app.kernel.terms import ClaimKind, Term
from app.ledger.errors import (
    HoldConfirmedError,
    HoldExpiredError,
    HoldLimitReachedError,
    HoldReleasedError,
    LeaseEndedError,
    NoSuchCommitmentError,
    OutsideUsableDaysError,
    QuantityNotAllowedError,
    UnitOccupiedError,
    UnknownUnitError,
)
from app.models.claim import Claim
from app.models.company import Company, SpaceRequest
from app.models.space import Unit
from app.security.actors import Actor, Role, Scope

_MICROSECOND = timedelta(microseconds=1)


class HoldState(Term):
    """What has become of a hold; worked out, never stored."""

    HELD = "held", "锁定中", "Held"
    LEASED = "leased", "已签约", "Leased"
    RELEASED = "released", "已释放", "Released"
    EXPIRED = "expired", "已过期", "Expired"


class LeaseState(Term):
    """Whether a lease stands; worked out, never stored."""

    SIGNED = "signed", "已签约", "Signed"
    CANCELLED = "cancelled", "未生效即终止", "Ended before it started"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A quantity of a unit, in its own measure; None is all of it."""

    unit_id: UUID
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Units to promise to a company for a period: all of them or none."""

    units: Sequence[Wanted]
    period: Period
    company_id: UUID | None = None
    space_request_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How long a hold lasts, and how many a company may have at a time."""

    hours_default: int
    hours_max: int
    live_per_company_max: int


class LockedUnit(NamedTuple):
    """What the checks need of a unit, read under its lock."""

    id: UUID
    park_id: UUID
    code: str
    capacity: Decimal
    capacity_measure: str
    divisible: bool
    min_part: Decimal | None
    usable: Range[date]


@dataclass(frozen=True, slots=True)
class CommitmentLine:
    """One unit of a commitment, as it was last written."""

    claim_id: UUID
    unit_id: UUID
    unit_code: str
    park_id: UUID
    capacity_measure: str
    quantity: Decimal
    whole: bool
    kind: str
    period: Range[date]
    live: Range[datetime]
    closed_by: str | None
    company_id: UUID
    space_request_id: UUID | None


@dataclass(frozen=True, slots=True)
class Commitment:
    """One promise to one company, as it stood at ``as_of``."""

    id: UUID
    as_of: datetime
    held_at: datetime | None
    leased_at: datetime | None
    terminated_at: datetime | None
    lines: tuple[CommitmentLine, ...]

    @property
    def hold_state(self) -> HoldState:
        """What has become of the hold."""
        if self.leased_at is not None:
            return HoldState.LEASED
        if self.lines[0].closed_by is not None:
            return HoldState.RELEASED
        return HoldState.HELD if _is_live(self.lines[0], self.as_of) else HoldState.EXPIRED

    @property
    def lease_state(self) -> LeaseState:
        """Whether the lease stands."""
        standing = any(_is_live(line, self.as_of) for line in self.lines)
        return LeaseState.SIGNED if standing else LeaseState.CANCELLED


def hold_units(
    session: Session, actor: Actor, order: Order, limits: HoldLimits, hours: int | None = None
) -> Commitment:
    """Hold units for a company; the hold lapses by itself after ``hours``.

    Raises:
        UnitOccupiedError: some unit has too little free on some day; nothing is held.
        HoldLimitReachedError: the company has too many live holds.
    """
    actor.require_firm_scope_or_staff(Scope.HOLDS_WRITE)
    lasts = timedelta(hours=limits.hours_default if hours is None else hours)
    if lasts > timedelta(hours=limits.hours_max):
        raise InvalidInputError(
            f"a hold lasts at most {limits.hours_max} hours",
            [Fault("/expires_in_hours", f"at most {limits.hours_max}")],
        )
    company_id = _company_of(session, actor, order)
    # Holders of one company queue here, always before any unit, so that the count stays true.
    session.execute(
        select(Company.id).where(Company.id == company_id).with_for_update(key_share=True)
    )
    units = _locked_units(session, actor, order)
    now = _now(session)
    _require_fewer_holds(session, company_id, now, limits.live_per_company_max)
    return _promise(
        session, actor, order, company_id=company_id, units=units, live=Range(now, now + lasts)
    )


def sign_lease(session: Session, actor: Actor, order: Order) -> Commitment:
    """Lease units to a company without a hold before it.

    Raises:
        UnitOccupiedError: some unit has too little free on some day; nothing is leased.
    """
    actor.require_staff(Role.MANAGER)
    company_id = _company_of(session, actor, order)
    units = _locked_units(session, actor, order)
    now = _now(session)
    made = _promise(
        session, actor, order, company_id=company_id, units=units, live=Range(now, None)
    )
    _note_placed(session, {order.space_request_id}, now)
    return made


def confirm_hold(session: Session, actor: Actor, commitment_id: UUID) -> Commitment:
    """Turn a live hold into a lease of the same units, quantities and days.

    Raises:
        HoldExpiredError: too late.
    """
    actor.require_staff(Role.AGENT)
    lines, now = _locked_lines(session, actor, commitment_id)
    _require_live_hold(lines, now)
    _close(session, actor, lines, now)
    _insert(
        session,
        [
            _values(actor, commitment_id, line, kind=ClaimKind.LEASE, live=Range(now, None))
            for line in lines
        ],
    )
    _note_placed(session, {line.space_request_id for line in lines}, now)
    return _read(session, commitment_id)


def release_hold(session: Session, actor: Actor, commitment_id: UUID) -> Commitment:
    """Give a live hold back before its time.

    Raises:
        HoldExpiredError: it had lapsed already.
    """
    actor.require_firm_scope_or_staff(Scope.HOLDS_WRITE)
    lines, now = _locked_lines(session, actor, commitment_id)
    _require_live_hold(lines, now)
    _close(session, actor, lines, now)
    return _read(session, commitment_id)


def terminate_lease(session: Session, actor: Actor, commitment_id: UUID, on: date) -> Commitment:
    """End a lease before its time: ``on`` is the first day not leased.

    The rows are closed and superseded by shorter ones; a lease that ends before it starts is only
    closed.

    Raises:
        LeaseEndedError: it ends no later than ``on`` as it is.
    """
    actor.require_staff(Role.MANAGER)
    lines, now = _locked_lines(session, actor, commitment_id)
    leased = [line for line in lines if line.kind == ClaimKind.LEASE and _is_live(line, now)]
    if not leased:
        if all(line.kind == ClaimKind.HOLD for line in lines):
            raise NoSuchCommitmentError("this is a hold, not a lease; release it instead")
        raise LeaseEndedError("the lease was ended before")
    longer = [line for line in leased if line.period.upper is None or line.period.upper > on]
    if not longer:
        ends = max(line.period.upper for line in leased if line.period.upper is not None)
        raise LeaseEndedError(f"the lease ends on {ends} as it is", until=ends.isoformat())
    _close(session, actor, longer, now)
    _insert(
        session,
        [
            _values(
                actor,
                commitment_id,
                line,
                kind=ClaimKind.LEASE,
                live=Range(now, None),
                period=Range(line.period.lower, on),
            )
            for line in longer
            if line.period.lower is not None and line.period.lower < on
        ],
    )
    return _read(session, commitment_id)


def get_commitment(
    session: Session, actor: Actor, commitment_id: UUID, kind: ClaimKind
) -> Commitment:
    """A hold or a lease with its units; a hold that became a lease is both.

    Raises:
        NoSuchCommitmentError: there is none of this kind, or it is not the caller's to see.
    """
    actor.require_signed_in()
    found = _read(session, commitment_id)
    _require_visible(actor, commitment_id, found.lines)
    since = found.leased_at if kind is ClaimKind.LEASE else found.held_at
    if since is None:
        raise _no_such(commitment_id)
    return found


def _company_of(session: Session, actor: Actor, order: Order) -> UUID:
    """Whom the promise is for: a firm itself, or the company that staff name."""
    company_id = order.company_id if order.company_id is not None else actor.company_id
    if order.space_request_id is not None:
        asker = session.scalar(
            select(SpaceRequest.company_id).where(SpaceRequest.id == order.space_request_id)
        )
        company_id = asker if company_id is None else company_id
        if asker is None or asker != company_id:
            raise NotFoundError(f"the company has no space request {order.space_request_id}")
    if company_id is None:
        raise InvalidInputError(
            "name the company on whose behalf you act",
            [Fault("/company_id", "needed with a staff token, unless a space request names it")],
        )
    actor.require_company(company_id)
    if session.scalar(select(Company.id).where(Company.id == company_id)) is None:
        raise InvalidInputError(
            f"there is no company {company_id}", [Fault("/company_id", "no such company")]
        )
    return company_id


def _locked_units(session: Session, actor: Actor, order: Order) -> list[tuple[Wanted, LockedUnit]]:
    """The units ordered, each with its row, locked in the order of their ids."""
    places: dict[UUID, int] = {}
    for place, wanted in enumerate(order.units):
        if places.setdefault(wanted.unit_id, place) != place:
            raise InvalidInputError(
                f"the unit {wanted.unit_id} is named twice; add the quantities up",
                [Fault(f"/units/{place}/unit_id", "named before")],
            )
    rows = {row.id: row for row in _lock(session, list(places))}
    missing = [place for unit_id, place in places.items() if unit_id not in rows]
    if missing:
        raise UnknownUnitError(
            f"there is no unit {order.units[missing[0]].unit_id}",
            [Fault(f"/units/{place}/unit_id", "no such unit") for place in missing],
        )
    for row in rows.values():
        actor.require_park(row.park_id)
    return [(wanted, rows[wanted.unit_id]) for wanted in order.units]


def _lock(session: Session, unit_ids: Sequence[UUID]) -> list[LockedUnit]:
    # The sort comes before the locks, so that any two bundles meet in the same order. Not FOR
    # UPDATE: that would wait for every claim that only refers to the unit.
    columns = [Unit.__table__.c[name] for name in LockedUnit._fields]
    locked = session.execute(
        select(*columns)
        .where(Unit.id.in_(unit_ids))
        .order_by(Unit.id)
        .with_for_update(key_share=True)
    )
    return [LockedUnit(*row) for row in locked]


def _now(session: Session) -> datetime:
    # The database's clock, because it is one; after the locks, because waiting takes time.
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _require_fewer_holds(session: Session, company_id: UUID, now: datetime, most: int) -> None:
    live = session.execute(
        select(func.count(Claim.commitment_id.distinct())).where(
            Claim.company_id == company_id,
            Claim.kind == ClaimKind.HOLD.value,
            Claim.live.contains(now),
        )
    ).scalar_one()
    if live >= most:
        raise HoldLimitReachedError(
            f"the company has {live} live holds, and may have {most}; confirm or release some",
            live_holds=live,
            live_holds_max=most,
        )


def _promise(
    session: Session,
    actor: Actor,
    order: Order,
    *,
    company_id: UUID,
    units: Sequence[tuple[Wanted, LockedUnit]],
    live: Range[datetime],
) -> Commitment:
    kind = ClaimKind.LEASE if live.upper is None else ClaimKind.HOLD
    period = Range(order.period.start, order.period.end)
    quantities = _quantities(units)
    _require_usable(units, period)
    _require_free(session, units, quantities, period, live)
    commitment_id = uuid4()
    _insert(
        session,
        [
            {
                "commitment_id": commitment_id,
                "park_id": row.park_id,
                "unit_id": row.id,
                "company_id": company_id,
                "space_request_id": order.space_request_id,
                "kind": kind.value,
                "quantity": quantity,
                "whole": quantity == row.capacity,
                "period": period,
                "live": live,
                "supersedes_id": None,
                "placed_by": actor.label,
            }
            for (_, row), quantity in zip(units, quantities, strict=True)
        ],
    )
    return _read(session, commitment_id)


def _quantities(units: Sequence[tuple[Wanted, LockedUnit]]) -> list[Decimal]:
    chosen = []
    for place, (wanted, row) in enumerate(units):
        quantity = row.capacity if wanted.quantity is None else wanted.quantity
        least = row.capacity if row.min_part is None else row.min_part
        if not least <= quantity <= row.capacity:
            allowed = (
                f"{least} to {row.capacity}" if row.divisible else f"{row.capacity}, all of it"
            )
            raise QuantityNotAllowedError(
                f"unit {row.code} cannot be taken in the quantity {quantity}",
                [Fault(f"/units/{place}/quantity", f"{allowed} ({row.capacity_measure})")],
                unit_id=str(row.id),
                capacity=float(row.capacity),
                smallest_part=float(least),
            )
        chosen.append(quantity)
    return chosen


def _require_usable(units: Sequence[tuple[Wanted, LockedUnit]], period: Range[date]) -> None:
    for place, (_, row) in enumerate(units):
        if not row.usable.contains(period):
            last = "" if row.usable.upper is None else f" and before {row.usable.upper}"
            raise OutsideUsableDaysError(
                f"unit {row.code} is usable from {row.usable.lower}{last}",
                [Fault(f"/units/{place}/unit_id", "not usable on all of these days")],
                unit_id=str(row.id),
                usable_from=str(row.usable.lower),
                usable_until=str(row.usable.upper) if row.usable.upper else None,
            )


_CONFLICTS = text("""
    SELECT units.id, units.code, wanted.quantity, lower(taken) AS start, upper(taken) AS until,
        units.capacity - peak_quantity(units.id, taken, tstzrange(:now, :now, '[]')) AS free
    FROM unnest(CAST(:ids AS uuid[]), CAST(:quantities AS numeric[])) AS wanted (id, quantity)
    JOIN units USING (id),
    unnest(datemultirange(CAST(:period AS daterange)) - free_days(
        units.id, units.capacity, units.usable, wanted.quantity, :now)) AS taken
    ORDER BY units.code, taken
""").bindparams(
    bindparam("now", type_=DateTime(timezone=True)), bindparam("period", type_=DATERANGE)
)


def _require_free(
    session: Session,
    units: Sequence[tuple[Wanted, LockedUnit]],
    quantities: Sequence[Decimal],
    period: Range[date],
    live: Range[datetime],
) -> None:
    found = session.execute(
        _CONFLICTS,
        {
            "ids": [row.id for _, row in units],
            "quantities": list(quantities),
            "period": period,
            "now": live.lower,
        },
    ).all()
    if not found:
        return
    # Days and quantities only: who has the space is nobody's business here.
    units_taken: dict[UUID, dict[str, Any]] = {}
    for row in found:
        taken = units_taken.setdefault(
            row.id,
            {
                "unit_id": str(row.id),
                "unit_code": row.code,
                "quantity_asked": float(row.quantity),
                "periods": [],
            },
        )
        taken["periods"].append(
            {
                "from": row.start.isoformat(),
                "until": row.until.isoformat() if row.until else None,
                "free_quantity": float(row.free),
            }
        )
    first = found[0]
    more = "" if len(units_taken) == 1 else f", and {len(units_taken) - 1} more"
    raise UnitOccupiedError(
        f"unit {first.code} has {first.free} of {first.quantity} free"
        f" from {first.start} until {first.until or 'further notice'}{more}",
        conflicts=list(units_taken.values()),
    )


def _locked_lines(
    session: Session, actor: Actor, commitment_id: UUID
) -> tuple[list[CommitmentLine], datetime]:
    """The lines of a commitment under the locks of their units, and the instant after."""
    before = _read(session, commitment_id)
    _require_visible(actor, commitment_id, before.lines)
    _lock(session, [line.unit_id for line in before.lines])
    locked = _read(session, commitment_id)
    lines = list(locked.lines)
    # Should the clock have been set back, belief still moves forwards.
    latest = max(line.live.lower for line in lines if line.live.lower is not None)
    return lines, max(locked.as_of, latest + _MICROSECOND)


def _require_live_hold(lines: Sequence[CommitmentLine], now: datetime) -> None:
    line = lines[0]
    if line.kind != ClaimKind.HOLD:
        raise HoldConfirmedError("the hold was confirmed before; it is a lease now")
    if line.closed_by is not None:
        raise HoldReleasedError("the hold was released before; place a new one")
    if not _is_live(line, now):
        raise HoldExpiredError(
            f"the hold expired at {line.live.upper}; place a new one if the space is still free",
            expired_at=line.live.upper.isoformat() if line.live.upper else None,
        )


def _close(session: Session, actor: Actor, lines: Sequence[CommitmentLine], now: datetime) -> None:
    session.execute(
        update(Claim)
        .where(Claim.id.in_([line.claim_id for line in lines]))
        .values(live=func.tstzrange(func.lower(Claim.live), literal(now)), closed_by=actor.label)
        .execution_options(synchronize_session=False)
    )


def _values(
    actor: Actor,
    commitment_id: UUID,
    line: CommitmentLine,
    *,
    kind: ClaimKind,
    live: Range[datetime],
    period: Range[date] | None = None,
) -> Mapping[str, Any]:
    """The row that supersedes ``line``."""
    return {
        "commitment_id": commitment_id,
        "park_id": line.park_id,
        "unit_id": line.unit_id,
        "company_id": line.company_id,
        "space_request_id": line.space_request_id,
        "kind": kind.value,
        "quantity": line.quantity,
        "whole": line.whole,
        "period": line.period if period is None else period,
        "live": live,
        "supersedes_id": line.claim_id,
        "placed_by": actor.label,
    }


def _insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.execute(insert(Claim), [dict(row) for row in rows])


def _note_placed(session: Session, request_ids: Collection[UUID | None], now: datetime) -> None:
    """Requests that space was leased for are no longer open."""
    session.execute(
        update(SpaceRequest)
        .where(
            SpaceRequest.id.in_([one for one in request_ids if one is not None]),
            SpaceRequest.state == "open",
        )
        .values(state="placed", version=SpaceRequest.version + 1, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def _require_visible(actor: Actor, commitment_id: UUID, lines: Sequence[CommitmentLine]) -> None:
    if not actor.is_staff and any(line.company_id != actor.company_id for line in lines):
        raise _no_such(commitment_id)
    for line in lines:
        actor.require_park(line.park_id)


def _no_such(commitment_id: UUID) -> NoSuchCommitmentError:
    return NoSuchCommitmentError(f"there is none with the id {commitment_id}, or it is not yours")


def _is_live(line: CommitmentLine, now: datetime) -> bool:
    return line.live.upper is None or line.live.upper > now


def _read(session: Session, commitment_id: UUID) -> Commitment:
    """The last row written for each unit of a commitment.

    Raises:
        NoSuchCommitmentError: there is none.
    """
    of_kind = {
        kind: func.min(func.lower(Claim.live))
        .filter(Claim.kind == kind.value)
        .over(partition_by=Claim.unit_id)
        for kind in (ClaimKind.HOLD, ClaimKind.LEASE)
    }
    found = session.execute(
        select(
            Claim.id.label("claim_id"),
            Claim.unit_id,
            Unit.code.label("unit_code"),
            Claim.park_id,
            Unit.capacity_measure,
            Claim.quantity,
            Claim.whole,
            Claim.kind,
            Claim.period,
            Claim.live,
            Claim.closed_by,
            Claim.company_id,
            Claim.space_request_id,
            func.clock_timestamp().label("as_of"),
            of_kind[ClaimKind.HOLD].label("held_at"),
            of_kind[ClaimKind.LEASE].label("leased_at"),
        )
        .join(Unit, Unit.id == Claim.unit_id)
        .where(Claim.commitment_id == commitment_id)
        .ext(distinct_on(Claim.unit_id))
        .order_by(Claim.unit_id, func.lower(Claim.live).desc())
    ).all()
    if not found:
        raise _no_such(commitment_id)
    # A later lease row, or a lease closed with none after it, is a lease cut short.
    newest = max(found, key=lambda row: row.live.lower)
    terminated_at = None
    if newest.leased_at is not None:
        later = newest.live.lower > newest.leased_at
        terminated_at = newest.live.lower if later else newest.live.upper
    fields = tuple(CommitmentLine.__dataclass_fields__)
    return Commitment(
        id=commitment_id,
        as_of=found[0].as_of,
        held_at=found[0].held_at,
        leased_at=found[0].leased_at,
        terminated_at=terminated_at,
        lines=tuple(
            sorted(
                (CommitmentLine(*(getattr(row, name) for name in fields)) for row in found),
                key=lambda line: line.unit_code,
            )
        ),
    )
