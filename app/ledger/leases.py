"""Leases: space promised for good, and their end."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import LeaseEventKind
from app.ledger.commitments import (
    Commitment,
    CommitmentLine,
    is_live,
    no_such_commitment,
    read_commitment,
)
from app.ledger.errors import LeaseEndedError
from app.ledger.lease_events import record_event
from app.ledger.orders import Order, company_of, database_now, locked_units
from app.ledger.writing import (
    close,
    insert_claims,
    locked_commitment,
    note_open_again,
    note_placed,
    promise,
    superseding,
)
from app.security.actors import Actor, Role


def sign_lease(session: Session, actor: Actor, order: Order) -> Commitment:
    """Lease units to a company without a hold before it.

    Raises:
        UnitOccupiedError: some unit has too little free on some day; nothing is leased.
    """
    actor.require_staff(Role.MANAGER)
    company_id = company_of(session, actor, order)
    units = locked_units(session, actor, order)
    now = database_now(session)
    made = promise(session, actor, order, company_id=company_id, units=units, live=Range(now, None))
    note_placed(session, {order.space_request_id}, now)
    return made


def terminate_lease(session: Session, actor: Actor, commitment_id: UUID, on: date) -> Commitment:
    """End a lease before its time: ``on`` is the first day not leased.

    The rows are closed and superseded by shorter ones. On its first day a lease is undone: the
    rows are only closed.

    Raises:
        InvalidInputError: ``on`` lies before the lease.
        LeaseEndedError: it ends no later than ``on`` as it is.
    """
    actor.require_staff(Role.MANAGER)
    made, now = locked_commitment(session, actor, commitment_id)
    if made.leased_at is None:
        raise no_such_commitment(commitment_id)
    leased = [line for line in made.lines if is_live(line, now)]
    if not leased:
        raise LeaseEndedError("the lease was ended before", detail_zh="租约此前已终止")
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
    close(session, actor, (*longer, *made.clearing), now)
    insert_claims(session, [*_cut_short(actor, made, longer, on, now)])
    record_event(session, actor, made, LeaseEventKind.TERMINATED, on=on, now=now)
    if on == starts:
        note_open_again(session, {line.space_request_id for line in leased}, now)
    return read_commitment(session, commitment_id)


def _cut_short(
    actor: Actor, made: Commitment, lines: Sequence[CommitmentLine], on: date, now: datetime
) -> Iterator[Mapping[str, Any]]:
    """The rows of a lease that ends on a day, and as much clearing after it as there was to be."""
    live = Range(now, None)
    for line in lines:
        if line.period.lower is None or line.period.lower >= on:
            continue
        cut = Range(line.period.lower, on)
        yield superseding(actor, made.id, line, kind=line.kind, live=live, period=cut)
        clearing = [one for one in made.clearing if one.unit_id == line.unit_id]
        days = sum(
            (one.period.upper - one.period.lower).days
            for one in clearing
            if one.period.upper and one.period.lower
        )
        if days:
            after = Range(on, on + timedelta(days=days))
            row = superseding(
                actor, made.id, clearing[0], kind=clearing[0].kind, live=live, period=after
            )
            yield {**row, "quantity": line.quantity, "whole": line.whole}
