"""What happened to leases after they were signed; rows are only ever added."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.kernel.terms import LeaseEventKind
from app.ledger.commitments import Commitment
from app.models.lease import LeaseEvent
from app.security.actors import Actor


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a lease, the day it is about, and since when it is known."""

    kind: LeaseEventKind
    on: date
    recorded_at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to a lease, in the order in which it became known.

    Of two that say the same of different days, the later corrects the earlier.
    """

    events: tuple[Event, ...]

    @property
    def handed_over_on(self) -> date | None:
        """交付: when the tenant got the space."""
        return _last_day(self.events, LeaseEventKind.HANDED_OVER)

    @property
    def handed_back_on(self) -> date | None:
        """退租交还: when the tenant gave it back."""
        return _last_day(self.events, LeaseEventKind.HANDED_BACK)

    @property
    def cleared_on(self) -> date | None:
        """清退完成: the first day on which it was clean, of the last time it was handed back."""
        back = [
            place
            for place, event in enumerate(self.events)
            if event.kind is LeaseEventKind.HANDED_BACK
        ]
        return _last_day(self.events[back[-1] :], LeaseEventKind.CLEARED) if back else None

    @property
    def was_cut_short(self) -> bool:
        """Whether the last change of the lease's end was that it was ended early."""
        changes = {LeaseEventKind.EXTENDED, LeaseEventKind.TERMINATED}
        ends = [event.kind for event in self.events if event.kind in changes]
        return bool(ends) and ends[-1] is LeaseEventKind.TERMINATED


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


def read_story(session: Session, commitment_id: UUID) -> Story:
    """All that is known to have happened to a lease."""
    rows = session.execute(
        select(LeaseEvent.kind, LeaseEvent.on, LeaseEvent.recorded_at, LeaseEvent.note)
        .where(LeaseEvent.commitment_id == commitment_id)
        .order_by(LeaseEvent.recorded_at, LeaseEvent.id)
    )
    kinds = {kind.value: kind for kind in LeaseEventKind}
    return Story(tuple(Event(kinds[row.kind], *row[1:]) for row in rows))


def _last_day(events: Sequence[Event], kind: LeaseEventKind) -> date | None:
    return next((event.on for event in reversed(events) if event.kind is kind), None)
