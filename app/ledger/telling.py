"""Tells a firm what became of its holds, its leases and its place in a line."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from app.kernel.clock import SHANGHAI, civil_day
from app.ledger.commitments import Commitment
from app.ledger.queue.line import QueueState
from app.ledger.queue.log import read_line
from app.models.queue import QueueEntry, QueueWant
from app.models.space import Unit
from app.webhooks.events import EventType
from app.webhooks.outbox import Announcement, announce, announce_all

#: How long before its end a firm is told that a hold will lapse.
EXPIRING = timedelta(days=1)
#: How far back what lapsed is still told, after nobody looked for a while.
_LOOKS_BACK = timedelta(days=2)

_HOLD_WORDS = {
    EventType.HOLD_PLACED: ("已锁定", "held until"),
    EventType.HOLD_CONFIRMED: ("锁定已转为租约", "the hold became a lease"),
    EventType.HOLD_RELEASED: ("锁定已释放", "the hold was given back"),
    EventType.HOLD_EXPIRING: ("锁定即将到期", "the hold lapses at"),
    EventType.HOLD_EXPIRED: ("锁定已到期", "the hold lapsed at"),
}

#: Holds that nobody closed and that end within a day, or did a short while ago.
_ENDING = text("""
    SELECT c.commitment_id, c.company_id, max(upper(c.live)) AS ends, min(lower(c.live)) AS since,
        json_agg(DISTINCT jsonb_build_object('id', u.id, 'code', u.code)) AS units
    FROM claims c JOIN units u ON u.id = c.unit_id
    WHERE c.kind = 'hold' AND c.closed_by IS NULL
        AND upper(c.live) > :now - CAST(:back AS interval)
        AND upper(c.live) <= :now + CAST(:ahead AS interval)
    GROUP BY c.commitment_id, c.company_id""")


def tell_of_hold(session: Session, made: Commitment, event: EventType) -> None:
    """Tell the firm what was just done with its hold, in the transaction that does it."""
    company_id = made.lines[0].company_id
    if company_id is None:
        return
    ends = made.newest.live.upper if event is EventType.HOLD_PLACED else None
    announce(session, company_id, event, _hold(event, made.id, _units(made), ends))


def tell_of_lease(session: Session, made: Commitment) -> None:
    """Tell the firm that its lease is signed, in the transaction that signs it."""
    company_id = made.lines[0].company_id
    if company_id is None:
        return
    units, starts, until = _units(made), made.period.lower, made.period.upper
    codes = "+".join(one["code"] for one in units)
    said = {
        "lease_id": made.id,
        "units": units,
        "starts": starts,
        "until": until,
        "words_zh": f"{codes} 租约已签，自 {starts} 起",
        "words_en": f"{codes}: the lease is signed, from {starts}",
        "href": f"/api/v1/leases/{made.id}",
    }
    announce(session, company_id, EventType.LEASE_SIGNED, said)


def tell_what_time_brings(session: Session, now: datetime) -> int:
    """Tell of holds that lapse or lapsed, and of offers made to who waits; each once.

    For a job that looks every minute, in a session that is shown all rows. ``now`` is the
    database's present instant.

    Returns:
        How much was told that had not been told before.
    """
    return announce_all(session, [*_endings(session, now), *_offers(session, now)])


def _endings(session: Session, now: datetime) -> Iterator[Announcement]:
    asked = {"now": now, "back": _LOOKS_BACK, "ahead": EXPIRING}
    for row in session.execute(_ENDING, asked):
        if row.ends <= now:
            event = EventType.HOLD_EXPIRED
        elif row.ends - row.since > EXPIRING:
            event = EventType.HOLD_EXPIRING
        else:
            continue  # the firm was told its end when it placed it, less than a day before
        yield Announcement(
            row.company_id,
            event,
            _hold(event, row.commitment_id, row.units, row.ends),
            mark=f"{event}:{row.commitment_id}:{row.ends.isoformat()}",
        )


def _offers(session: Session, now: datetime) -> Iterator[Announcement]:
    wants = session.execute(
        select(QueueWant.entry_id, func.array_agg(QueueWant.unit_id).label("unit_ids"))
        .join(QueueEntry, QueueEntry.id == QueueWant.entry_id)
        .where(
            QueueEntry.left_at.is_(None),
            or_(
                func.upper_inf(QueueEntry.period),
                func.upper(QueueEntry.period) > civil_day(now),
            ),
        )
        .group_by(QueueWant.entry_id)
    )
    unit_ids: dict[UUID, list[UUID]] = {row.entry_id: row.unit_ids for row in wants}
    rows = session.execute(
        select(Unit.id, Unit.code).where(
            Unit.id.in_({one for units in unit_ids.values() for one in units})
        )
    )
    codes = {row.id: row.code for row in rows}
    seen: set[UUID] = set()
    for entry_id, units in unit_ids.items():
        line = None if entry_id in seen else read_line(session, units, now)
        if line is None:
            continue
        for entry in line.entries:
            seen.add(entry.id)
            standing = line.standings.get(entry.id)
            if (
                entry.id not in unit_ids
                or standing is None
                or standing.state is not QueueState.OFFERED
                or standing.offered_at is None
                or standing.offer_expires_at is None
            ):
                continue
            named = [{"id": one, "code": codes[one]} for one in unit_ids[entry.id]]
            what = "+".join(sorted(str(one["code"]) for one in named))
            until = _shown(standing.offer_expires_at)
            yield Announcement(
                entry.company_id,
                EventType.QUEUE_OFFERED,
                {
                    "entry_id": entry.id,
                    "units": named,
                    "offered_at": standing.offered_at,
                    "offer_expires_at": standing.offer_expires_at,
                    "words_zh": f"{what} 轮到您优先选择，至 {until}",
                    "words_en": f"{what} is offered to you until {until}",
                    "href": f"/api/v1/queue-entries/{entry.id}",
                },
                mark=f"queue.offered:{entry.id}:{standing.offered_at.isoformat()}",
            )


def _hold(
    event: EventType, id_: UUID, units: Sequence[dict[str, Any]], ends: datetime | None
) -> dict[str, Any]:
    codes = "+".join(sorted(str(one["code"]) for one in units))
    zh, en = _HOLD_WORDS[event]
    at_zh, at_en = ("", "") if ends is None else (f"（{_shown(ends)}）", f" {_shown(ends)}")
    return {
        "hold_id": id_,
        "units": units,
        "expires_at": ends,
        "words_zh": f"{codes} {zh}{at_zh}",
        "words_en": f"{codes}: {en}{at_en}",
        "href": f"/api/v1/holds/{id_}",
    }


def _units(made: Commitment) -> list[dict[str, Any]]:
    codes = {line.unit_id: line.unit_code for line in made.lines}
    return [{"id": id_, "code": code} for id_, code in codes.items()]


def _shown(instant: datetime) -> str:
    return f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
