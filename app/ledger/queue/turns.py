"""Whose turn it is: nobody takes what is on offer to those in line before."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.period import Period
from app.kernel.terms import QueueOutcome
from app.ledger.orders import Order, Slice
from app.ledger.queue.errors import OthersFirstError
from app.ledger.queue.line import (
    Entry,
    Reserved,
    Wanted,
    open_offer_of,
    reserved_for_others,
)
from app.ledger.queue.log import read_line
from app.ledger.queue.room import Room, Span
from app.models.queue import QueueEntry
from app.security.actors import Actor

_LIVE = text("""
    SELECT unit_id, quantity, lower(period), upper(period) FROM claims
    WHERE unit_id = ANY (CAST(:units AS uuid[])) AND live @> :now""")


def require_turn(
    session: Session, company_id: UUID, order: Order, slices: Sequence[Slice], now: datetime
) -> Entry | None:
    """The company's own entry whose open offer the order takes up, if it has one.

    The units are locked, and what the order asks for is free.

    Raises:
        OthersFirstError: what is free is offered to others in line.
    """
    units = {part.unit.id for part in slices}
    line = read_line(session, units, now)
    if line is None:
        return None
    reserved = reserved_for_others(
        line.standings, line.entries, line.capacity, company_id=company_id, unit_ids=units
    )
    refused = [part for part in slices if not _fits(session, part, reserved, now)]
    if refused:
        opens_at = min(
            one.offer_expires_at
            for one in reserved
            if one.unit_id in {part.unit.id for part in refused}
        )
        first = refused[0].unit.code
        raise OthersFirstError(
            f"unit {first} is free, and offered to companies that were in line before you until"
            f" {opens_at.isoformat()} at least; join the line at /api/v1/queue-entries",
            unit_ids=sorted(str(part.unit.id) for part in refused),
            offered_until=opens_at.isoformat(),
            detail_zh=f"房源 {first} 正由排队在前的企业优先选择，至少至 {opens_at.isoformat()}；"
            "请加入排队",
        )
    return open_offer_of(
        line.standings,
        line.entries,
        line.capacity,
        company_id=company_id,
        wanted=[Wanted(one.unit_id, one.quantity) for one in order.units],
        period=Period(order.period.start, order.period.end),
    )


def take_up(
    session: Session, actor: Actor, entry: Entry, commitment_id: UUID, now: datetime
) -> None:
    """An entry leaves the line with what it waited for."""
    session.execute(
        update(QueueEntry)
        .where(QueueEntry.id == entry.id)
        .values(
            left_at=now,
            outcome=QueueOutcome.TAKEN.value,
            commitment_id=commitment_id,
            closed_by=actor.label,
        )
        .execution_options(synchronize_session=False)
    )


def _fits(session: Session, part: Slice, reserved: Sequence[Reserved], now: datetime) -> bool:
    """Whether a slice fits beside the live claims and what is offered to others."""
    offered = [
        Span(one.unit_id, one.quantity, one.start, one.end)
        for one in reserved
        if one.unit_id == part.unit.id and _meets(part.period, one.start, one.end)
    ]
    if not offered:
        return True
    live = [
        Span(*row) for row in session.execute(_LIVE, {"units": [part.unit.id], "now": now}).all()
    ]
    if part.period.lower is None:
        return False
    wanted = Span(part.unit.id, part.quantity, part.period.lower, part.period.upper)
    capacity: dict[UUID, Decimal] = {part.unit.id: part.unit.capacity}
    room = Room(capacity, [*live, *offered, wanted])
    room.take(room.stretch(span) for span in (*live, *offered))
    return room.shortage([room.stretch(wanted)]) is None


def _meets(period: Range[date], start: date, end: date | None) -> bool:
    return bool(period.overlaps(Range(start, end)))
