"""Leases: space promised for good, and their end."""

from datetime import date
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.terms import ClaimKind
from app.ledger.commitments import Commitment, is_live, no_such_commitment, read_commitment
from app.ledger.errors import LeaseEndedError
from app.ledger.orders import Order, company_of, database_now, locked_units
from app.ledger.writing import (
    close,
    insert_claims,
    locked_commitment,
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

    The rows are closed and superseded by shorter ones; a lease that ends before it starts is only
    closed.

    Raises:
        LeaseEndedError: it ends no later than ``on`` as it is.
    """
    actor.require_staff(Role.MANAGER)
    made, now = locked_commitment(session, actor, commitment_id)
    if made.leased_at is None:
        raise no_such_commitment(commitment_id)
    leased = [line for line in made.lines if is_live(line, now)]
    if not leased:
        raise LeaseEndedError("the lease was ended before")
    longer = [line for line in leased if line.period.upper is None or line.period.upper > on]
    if not longer:
        ends = max(line.period.upper for line in leased if line.period.upper is not None)
        raise LeaseEndedError(f"the lease ends on {ends} as it is", until=ends.isoformat())
    close(session, actor, longer, now)
    insert_claims(
        session,
        [
            superseding(
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
    return read_commitment(session, commitment_id)
