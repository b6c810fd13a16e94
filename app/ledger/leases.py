"""Leases: space promised for good, and their end."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import ClaimKind, LeaseEventKind, Term
from app.ledger.commitments import Commitment, CommitmentLine, read_commitment
from app.ledger.errors import LeaseEndedError
from app.ledger.holds import confirm_hold
from app.ledger.lease_events import record_event
from app.ledger.orders import Check, Order, company_of, database_now, locked_units
from app.ledger.rent.terms import BreakParty, EarlyBreak
from app.ledger.telling import tell_of_lease
from app.ledger.tenancy.days import (
    cleared_after,
    clearing_days,
    clearing_rows,
    standing_lease,
)
from app.ledger.tenancy.errors import NoSuchBreakError
from app.ledger.tenancy.schema import TermsStated, require_sound
from app.ledger.tenancy.terms import (
    find_terms,
    require_countable,
    require_sound_for,
    write_terms,
)
from app.ledger.writing import (
    close,
    insert_claims,
    note_open_again,
    note_placed,
    promise,
    superseding,
)
from app.security.actors import Actor, Role


class EndedBy(Term):
    """Who ends a lease before its time."""

    AGREED = "agreed", "协商一致", "Agreed by both"
    TENANT = "tenant", "承租方", "The tenant"
    LANDLORD = "landlord", "出租方", "The landlord"


_PARTIES = {EndedBy.TENANT: BreakParty.TENANT, EndedBy.LANDLORD: BreakParty.LANDLORD}


def sign_lease(
    session: Session,
    actor: Actor,
    order: Order,
    stated: TermsStated | None = None,
    *,
    check: Check | None = None,
) -> Commitment:
    """Lease units to a company without a hold before it, on terms if they are known.

    ``check`` judges an order that names a space request.

    Raises:
        UnitOccupiedError: some unit has too little free on some day; nothing is leased.
        InvalidInputError: the terms do not fit the lease.
    """
    actor.require_staff(Role.MANAGER)
    company_id = company_of(session, actor, order)
    if stated is not None:
        require_sound(stated, order.period)
    units = locked_units(session, actor, order)
    now = database_now(session)
    made = promise(
        session,
        actor,
        order,
        company_id=company_id,
        units=units,
        live=Range(now, None),
        check=check,
    )
    note_placed(session, {order.space_request_id}, now)
    if stated is not None:
        require_countable(made, stated)
        write_terms(session, actor, made.id, stated, now)
    tell_of_lease(session, made)
    return made


def confirm_with_terms(
    session: Session, actor: Actor, commitment_id: UUID, stated: TermsStated | None
) -> Commitment:
    """Turn a live hold into a lease, on terms if they are known.

    Raises:
        HoldExpiredError: too late.
        InvalidInputError: the terms do not fit the lease; the hold stays.
    """
    made = confirm_hold(session, actor, commitment_id)
    if stated is not None:
        require_sound_for(made, stated)
        write_terms(session, actor, commitment_id, stated, made.as_of)
    return made


def terminate_lease(
    session: Session,
    actor: Actor,
    commitment_id: UUID,
    on: date,
    by: EndedBy = EndedBy.AGREED,
) -> Commitment:
    """End a lease before its time: ``on`` is the first day not leased.

    The rows are closed and superseded by shorter ones. On its first day a lease is undone: the
    rows are only closed. A party that ends it alone needs a break of the terms for that day.

    Raises:
        InvalidInputError: ``on`` lies before the lease.
        LeaseEndedError: it ends no later than ``on`` as it is.
        NoSuchBreakError: the terms have no such break, or it is too late to give notice.
    """
    actor.require_staff(Role.MANAGER)
    made, now, leased = standing_lease(session, actor, commitment_id)
    starts, ends = made.period.lower, made.period.upper
    if starts is None:
        raise LeaseEndedError("the lease has no first day", detail_zh="租约无起始日")
    if on < starts:
        raise InvalidInputError(
            f"the lease starts on {starts}; give that day to undo it, or a later one to end it",
            [Fault("/on", f"not before {starts}", detail_zh=f"不得早于 {starts}")],
            detail_zh=f"租约自 {starts} 起；填该日表示撤销租约，填其后日期表示提前终止",
        )
    longer = [line for line in leased if line.period.upper is None or line.period.upper > on]
    if not longer:
        raise LeaseEndedError(
            f"the lease ends on {ends} as it is",
            detail_zh=f"租约本就于 {ends} 到期",
            until=ends.isoformat() if ends else None,
        )
    if by in _PARTIES:
        _require_break(session, commitment_id, on, _PARTIES[by], civil_day(now))
    cut = [line for line in longer if line.period.lower is not None and line.period.lower < on]
    # Of every unit it had from then on: one may have been split or merged since, and its children
    # are cleared on their own days.
    had = list({line.unit_id: line for line in longer}.values()) if cut else []
    after = cleared_after(session, had, on, clearing_days(made))
    close(session, actor, (*longer, *made.clearing), now)
    live = Range(now, None)
    rows = [*_cut_short(actor, made, cut, on, live), *clearing_rows(actor, made, had, after, live)]
    insert_claims(session, rows)
    record_event(session, actor, made, LeaseEventKind.TERMINATED, on=on, now=now)
    if on == starts:
        note_open_again(session, {line.space_request_id for line in leased}, now)
    return read_commitment(session, commitment_id)


def _cut_short(
    actor: Actor,
    made: Commitment,
    lines: Sequence[CommitmentLine],
    on: date,
    live: Range[datetime],
) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        cut = Range(line.period.lower, on)
        yield superseding(actor, made.id, line, kind=ClaimKind.LEASE.value, live=live, period=cut)


def _require_break(
    session: Session, commitment_id: UUID, on: date, by: BreakParty, today: date
) -> None:
    """Refuse a party that ends a lease alone without a break that lets it.

    Raises:
        NoSuchBreakError: with the breaks that there are.
    """
    known = find_terms(session, commitment_id)
    breaks = () if known is None else known.stated.early_breaks()
    theirs = [one for one in breaks if one.on == on and one.by in {by, BreakParty.EITHER}]
    if any(_last_notice(one) >= today for one in theirs):
        return
    late = f"; notice for {on} was due by {max(map(_last_notice, theirs))}" if theirs else ""
    late_zh = f"；{on} 的解约通知期限已过" if theirs else ""
    raise NoSuchBreakError(
        f"the terms do not let the {by} end the lease on {on}{late};"
        " end it on a day that they name, or by agreement",
        detail_zh=f"租约条款不允许{by.zh}于 {on} 单方解约{late_zh}；"
        "请改用条款约定的日期，或协商一致",
        breaks=[
            {
                "on": one.on.isoformat(),
                "by": one.by.value,
                "notice_days": one.notice_days,
                "notice_by": _last_notice(one).isoformat(),
                "penalty_months": format(one.penalty_months, "f"),
            }
            for one in breaks
        ],
    )


def _last_notice(one: EarlyBreak) -> date:
    return one.on - timedelta(days=one.notice_days)
