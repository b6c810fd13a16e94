"""What happened to leases after they were signed; rows are only ever added."""

from datetime import date, datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.kernel.terms import LeaseEventKind
from app.ledger.commitments import Commitment
from app.models.lease import LeaseEvent
from app.security.actors import Actor


def record_event(
    session: Session,
    actor: Actor,
    lease: Commitment,
    kind: LeaseEventKind,
    *,
    on: date,
    now: datetime,
    note: str | None = None,
) -> None:
    """Write down that something happened to a lease, on a day, as of now."""
    session.execute(
        insert(LeaseEvent).values(
            commitment_id=lease.id,
            park_id=lease.lines[0].park_id,
            kind=kind.value,
            on=on,
            recorded_at=now,
            recorded_by=actor.label,
            note=note,
        )
    )
