"""The ledger's writes. Rows are added, or their belief is closed; nothing else is ever done.

Every write goes the same way. The units are locked in the order of their ids; only then is the
database asked what time it is; the days are checked; rows are closed and added. Whoever waits for a
lock therefore sees what the one before has written. The triggers of the table check it all again.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, literal, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.terms import ClaimKind
from app.ledger.commitments import (
    Commitment,
    CommitmentLine,
    read_commitment,
    require_visible,
)
from app.ledger.errors import LedgerMovedOnError
from app.ledger.orders import (
    Check,
    LockedUnit,
    Order,
    Slice,
    Wanted,
    lock,
    require_free,
    require_lettable_remainder,
    require_usable,
    sliced,
)
from app.ledger.queue.turns import require_turn, take_up
from app.ledger.rights.clearing import Offer, clear_rights, record_clearances
from app.models.claim import Claim
from app.models.company import SpaceRequest
from app.security.actors import Actor

_MICROSECOND = timedelta(microseconds=1)


def promise(
    session: Session,
    actor: Actor,
    order: Order,
    *,
    company_id: UUID,
    units: Sequence[tuple[Wanted, LockedUnit]],
    live: Range[datetime],
    check: Check | None = None,
) -> Commitment:
    """Check an order and write it down; ``live`` open for a lease, ended for a hold.

    The units are locked, and ``live`` starts after that. An order that names a space request is
    judged by it, if ``check`` says how.
    """
    kind = ClaimKind.LEASE if live.upper is None else ClaimKind.HOLD
    period = Range(order.period.start, order.period.end)
    require_usable(session, units, Range(period.lower, order.last_day))
    kinds = {kind: sliced(session, units, period)}
    if order.clearing is not None:
        kinds[ClaimKind.CLEARING] = sliced(session, units, order.clearing)
    everything = [part for slices in kinds.values() for part in slices]
    require_free(session, everything, live)
    require_lettable_remainder(session, kinds[kind], live)
    now = live.lower
    if now is None:
        raise ValueError("belief has a beginning")
    if check is not None and order.space_request_id is not None:
        check(session, actor, order, kinds[kind], now)
    turn = require_turn(session, company_id, order, everything, now)
    offer = Offer(company_id, [row.id for _, row in units], order.period)
    cleared = clear_rights(session, actor, offer, now)
    commitment_id = uuid4()
    rows = [
        claim_row(actor, commitment_id, part, kind=of_kind, live=live)
        | {
            "company_id": company_id,
            "space_request_id": order.space_request_id,
            "accepting": list(order.accepting),
        }
        for of_kind, slices in kinds.items()
        for part in slices
    ]
    insert_claims(session, rows)
    record_clearances(session, commitment_id, cleared)
    if turn is not None:
        take_up(session, actor, turn, commitment_id, now)
    return read_commitment(session, commitment_id)


def claim_row(
    actor: Actor, commitment_id: UUID, part: Slice, *, kind: ClaimKind, live: Range[datetime]
) -> dict[str, Any]:
    """A row for what is asked of one unit; nobody's, and superseding none, unless set."""
    return {
        "commitment_id": commitment_id,
        "park_id": part.unit.park_id,
        "unit_id": part.unit.id,
        "company_id": None,
        "space_request_id": None,
        "kind": kind.value,
        "quantity": part.quantity,
        "whole": part.quantity == part.unit.capacity,
        "period": part.period,
        "live": live,
        "supersedes_id": None,
        "placed_by": actor.label,
    }


def locked_commitment(
    session: Session, actor: Actor, commitment_id: UUID
) -> tuple[Commitment, datetime]:
    """A commitment under the locks of its units, and the instant after.

    Raises:
        NoSuchCommitmentError: there is none, or it is not the caller's to see.
    """
    before = read_commitment(session, commitment_id)
    require_visible(actor, commitment_id, before.lines)
    lock(session, [line.unit_id for line in before.all_lines])
    locked = read_commitment(session, commitment_id)
    if not {line.unit_id for line in locked.all_lines} <= {
        line.unit_id for line in before.all_lines
    }:
        raise LedgerMovedOnError(
            "its units were split or merged at this moment; try again",
            detail_zh="其房源此刻正被拆分或合并，请重试",
        )
    # Should the clock have been set back, belief still moves forwards.
    latest = max(line.live.lower for line in locked.all_lines if line.live.lower is not None)
    return locked, max(locked.as_of, latest + _MICROSECOND)


def close(session: Session, actor: Actor, lines: Sequence[CommitmentLine], now: datetime) -> None:
    """End the belief in rows now."""
    session.execute(
        update(Claim)
        .where(Claim.id.in_([line.claim_id for line in lines]))
        .values(live=func.tstzrange(func.lower(Claim.live), literal(now)), closed_by=actor.label)
        .execution_options(synchronize_session=False)
    )


def superseding(
    actor: Actor,
    commitment_id: UUID,
    line: CommitmentLine,
    *,
    kind: str,
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
        "kind": kind,
        "quantity": line.quantity,
        "whole": line.whole,
        "period": line.period if period is None else period,
        "live": live,
        "supersedes_id": line.claim_id,
        "placed_by": actor.label,
    }


def insert_claims(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows."""
    if rows:
        session.execute(insert(Claim), [dict(row) for row in rows])


def note_placed(session: Session, request_ids: Collection[UUID | None], now: datetime) -> None:
    """Requests that space was leased for are no longer open."""
    _move_requests(session, request_ids, now, before="open", after="placed")


def note_open_again(session: Session, request_ids: Collection[UUID | None], now: datetime) -> None:
    """Requests whose lease was undone are open once more."""
    _move_requests(session, request_ids, now, before="placed", after="open")


def _move_requests(
    session: Session, request_ids: Collection[UUID | None], now: datetime, before: str, after: str
) -> None:
    session.execute(
        update(SpaceRequest)
        .where(
            SpaceRequest.id.in_([one for one in request_ids if one is not None]),
            SpaceRequest.state == before,
        )
        .values(state=after, version=SpaceRequest.version + 1, updated_at=now)
        .execution_options(synchronize_session=False)
    )
