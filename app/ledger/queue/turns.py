"""Whose turn it is: nobody takes what is on offer to those in line before."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NoReturn
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
from app.ledger.queue.log import Line, in_shares, read_line, shares_of, takes_all
from app.ledger.queue.room import Room, Span
from app.models.queue import QueueEntry
from app.security.actors import Actor

_LIVE = text("""
    SELECT unit_id, quantity, lower(period), upper(period) FROM occupancy
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
        line.standings,
        line.entries,
        line.capacity,
        company_id=company_id,
        unit_ids={*units, *map(shares_of, units)},
    )
    refused = [part for part in slices if not _fits(session, part, reserved, now)]
    if refused:
        _refuse(line, company_id, refused, reserved)
    by_unit = {part.unit.id: part.unit.capacity for part in slices}
    return open_offer_of(
        line.standings,
        line.entries,
        line.capacity,
        company_id=company_id,
        wanted=in_shares(
            Wanted(one.unit_id, None if one.quantity == by_unit[one.unit_id] else one.quantity)
            for one in order.units
        ),
        period=Period(order.period.start, order.period.end),
    )


def _refuse(
    line: Line, company_id: UUID, refused: Sequence[Slice], reserved: Sequence[Reserved]
) -> NoReturn:
    units = {part.unit.id for part in refused}
    theirs = {*units, *map(shares_of, units)}
    opens_at = min(one.offer_expires_at for one in reserved if one.unit_id in theirs)
    starts = [part.period.lower for part in refused if part.period.lower is not None]
    days: Range[date] = Range(min(starts), None)
    own = [one for one in line.meeting(units, days) if one.company_id == company_id]
    position = line.standings[own[0].id].position if own else None
    first, until = refused[0].unit.code, opens_at.isoformat()
    way_out = "join the line at /api/v1/queue-entries"
    way_out_zh = "请加入排队"
    if position is not None:
        way_out = f"the company is number {position} in line"
        way_out_zh = f"该企业目前排第 {position} 位"
    raise OthersFirstError(
        f"unit {first} is free, and offered to companies that were in line before until"
        f" {until} at least; {way_out}",
        unit_ids=sorted(map(str, units)),
        offered_until=until,
        position=position,
        detail_zh=f"房源 {first} 正由排队在前的企业优先选择，至少至 {until}；{way_out_zh}",
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
    if part.period.lower is None:
        return False
    offered = [one for one in reserved if part.period.overlaps(Range(one.start, one.end))]
    others = [one for one in offered if one.unit_id == part.unit.id]
    shares = [one for one in offered if one.unit_id == shares_of(part.unit.id)]
    if not shares:
        return True
    if any(takes_all(one) for one in shares) or part.quantity == part.unit.capacity:
        return False
    live = [
        Span(*row) for row in session.execute(_LIVE, {"units": [part.unit.id], "now": now}).all()
    ]
    wanted = Span(part.unit.id, part.quantity, part.period.lower, part.period.upper)
    spans = [*live, *(Span(one.unit_id, one.quantity, one.start, one.end) for one in others)]
    room = Room({part.unit.id: part.unit.capacity}, [*spans, wanted])
    room.take(room.stretch(span) for span in spans)
    return room.shortage([room.stretch(wanted)]) is None
