"""Holds: space kept for a company for a while. They lapse by themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.clock import rfc3339
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import ClaimKind
from app.ledger.commitments import Commitment, is_live, no_such_commitment, read_commitment
from app.ledger.errors import (
    HoldConfirmedError,
    HoldExpiredError,
    HoldLimitReachedError,
    HoldReleasedError,
    HoldTooLongError,
    OthersWaitError,
)
from app.ledger.orders import (
    Check,
    Order,
    company_of,
    database_now,
    days_left,
    locked_units,
    require_offered_term,
)
from app.ledger.queue.log import read_line
from app.ledger.telling import tell_of_hold, tell_of_lease
from app.ledger.writing import (
    close,
    insert_claims,
    locked_commitment,
    note_placed,
    promise,
    superseding,
)
from app.models.claim import Claim
from app.models.company import Company
from app.security.actors import Actor, Role, Scope
from app.security.rows import whole_ledger
from app.webhooks.events import EventType


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How long a hold lasts, and how many units a company may hold at a time."""

    hours_default: int
    hours_max: int
    held_units_max: int
    total_hours_firm_max: int
    total_hours_agent_max: int
    total_hours_manager_max: int

    def total_hours_max(self, actor: Actor) -> int:
        """How long the caller may keep a hold in all, however often it is extended."""
        if not actor.is_staff:
            return self.total_hours_firm_max
        if actor.role in {Role.MANAGER, Role.ADMIN}:
            return self.total_hours_manager_max
        return self.total_hours_agent_max


def hold_units(
    session: Session,
    actor: Actor,
    order: Order,
    limits: HoldLimits,
    hours: int | None = None,
    *,
    check: Check | None = None,
) -> Commitment:
    """Hold units for a company; the hold lapses by itself after ``hours``.

    ``check`` judges an order that names a space request.

    Raises:
        UnitOccupiedError: some unit has too little free on some day; nothing is held.
        HoldLimitReachedError: the company has too many live holds.
    """
    actor.require_firm_scope_or_staff(Scope.HOLDS_WRITE)
    lasts_hours = limits.hours_default if hours is None else hours
    if lasts_hours > limits.hours_max:
        raise InvalidInputError(
            f"a hold lasts at most {limits.hours_max} hours",
            [Fault("/expires_in_hours", f"at most {limits.hours_max}")],
            detail_zh=f"锁定期最长 {limits.hours_max} 小时",
        )
    company_id = company_of(session, actor, order)
    # Holders of one company queue here, always before any unit, so that the count stays true.
    session.execute(
        select(Company.id).where(Company.id == company_id).with_for_update(key_share=True)
    )
    units = locked_units(session, actor, order)
    now = database_now(session)
    if not actor.is_staff:
        # Days that are gone are no part of a term: else an early start would shorten any.
        require_offered_term(units, days_left(order.period, now))
    live = Range(now, now + timedelta(hours=lasts_hours))
    _require_fewer_held(session, company_id, len(units), now, limits.held_units_max)
    made = promise(
        session, actor, order, company_id=company_id, units=units, live=live, check=check
    )
    tell_of_hold(session, made, EventType.HOLD_PLACED)
    return made


def confirm_hold(session: Session, actor: Actor, commitment_id: UUID) -> Commitment:
    """Turn a live hold into a lease of the same units, quantities and days.

    Raises:
        HoldExpiredError: too late.
    """
    actor.require_staff(Role.AGENT)
    held, now = locked_commitment(session, actor, commitment_id)
    _require_live_hold(held, now)
    close(session, actor, held.all_lines, now)
    as_lease = {ClaimKind.HOLD.value: ClaimKind.LEASE.value}
    insert_claims(
        session,
        [
            superseding(
                actor,
                commitment_id,
                line,
                kind=as_lease.get(line.kind, line.kind),
                live=Range(now, None),
            )
            for line in held.all_lines
        ],
    )
    note_placed(session, {line.space_request_id for line in held.lines}, now)
    made = read_commitment(session, commitment_id)
    tell_of_hold(session, made, EventType.HOLD_CONFIRMED)
    tell_of_lease(session, made)
    return made


def extend_hold(
    session: Session, actor: Actor, commitment_id: UUID, limits: HoldLimits, hours: int
) -> Commitment:
    """Let a live hold last ``hours`` more than it does; how long in all depends on the role.

    Raises:
        HoldTooLongError: longer than the caller may keep a hold.
        OthersWaitError: a firm asks, and others are in line for the space.
    """
    actor.require_firm_scope_or_staff(Scope.HOLDS_WRITE)
    held, now = locked_commitment(session, actor, commitment_id)
    _require_live_hold(held, now)
    expires_at = held.newest.live.upper
    if expires_at is None or held.held_at is None:
        raise no_such_commitment(commitment_id)
    lasts_until = expires_at + timedelta(hours=hours)
    most = limits.total_hours_max(actor)
    latest = held.held_at + timedelta(hours=most)
    if lasts_until > latest:
        raise HoldTooLongError(
            f"the hold was placed at {rfc3339(held.held_at)} and may be kept for {most} hours,"
            f" until {rfc3339(latest)}; staff of a higher role may extend it further",
            latest=rfc3339(latest),
            total_hours_max=most,
            detail_zh=f"该锁定最长可保留 {most} 小时，至 {rfc3339(latest)}；"
            "更长时间须由更高权限的员工办理",
        )
    if not actor.is_staff and _others_wait(session, held, now):
        raise OthersWaitError(
            "others are in line for this space; ask the park to extend the hold",
            detail_zh="已有企业在排队等候该空间，请联系园区办理延期",
        )
    close(session, actor, held.all_lines, now)
    insert_claims(
        session,
        [
            superseding(actor, held.id, line, kind=line.kind, live=Range(now, lasts_until))
            for line in held.all_lines
        ],
    )
    return read_commitment(session, commitment_id)


def _others_wait(session: Session, held: Commitment, now: datetime) -> bool:
    line = read_line(session, {one.unit_id for one in held.lines}, now)
    return line is not None and line.is_wanted(
        {one.unit_id for one in held.lines}, held.period, besides=held.lines[0].company_id
    )


def release_hold(session: Session, actor: Actor, commitment_id: UUID) -> Commitment:
    """Give a live hold back before its time.

    Raises:
        HoldExpiredError: it had lapsed already.
    """
    actor.require_firm_scope_or_staff(Scope.HOLDS_WRITE)
    held, now = locked_commitment(session, actor, commitment_id)
    _require_live_hold(held, now)
    close(session, actor, held.all_lines, now)
    made = read_commitment(session, commitment_id)
    tell_of_hold(session, made, EventType.HOLD_RELEASED)
    return made


def _require_live_hold(held: Commitment, now: datetime) -> None:
    if held.held_at is None:
        raise no_such_commitment(held.id)
    if held.leased_at is not None:
        raise HoldConfirmedError(
            "the hold was confirmed before; it is a lease now",
            detail_zh="该锁定此前已确认，现为租约",
        )
    line = held.newest
    if line.closed_by is not None:
        raise HoldReleasedError(
            "the hold was released before; place a new one", detail_zh="该锁定已释放，请重新锁定"
        )
    if not is_live(line, now):
        raise HoldExpiredError(
            f"the hold expired at {line.live.upper}; place a new one if the space is still free",
            expired_at=rfc3339(line.live.upper) if line.live.upper else None,
            detail_zh="锁定已过期；如仍空置，请重新锁定",
        )


def _require_fewer_held(
    session: Session, company_id: UUID, more: int, now: datetime, most: int
) -> None:
    # Units are counted, not holds: one hold may take many.
    with whole_ledger(session):
        held = session.execute(
            select(func.count()).where(
                Claim.company_id == company_id,
                Claim.kind == ClaimKind.HOLD.value,
                Claim.live.contains(now),
            )
        ).scalar_one()
    if held + more > most:
        raise HoldLimitReachedError(
            f"the company holds {held} units and may hold {most}; confirm or release some",
            detail_zh=f"该企业已锁定 {held} 个房源，上限 {most} 个；请先确认或释放",
            held_units=held,
            held_units_max=most,
        )
