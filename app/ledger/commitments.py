"""Holds and leases as they are read: the last row of each unit of one promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range, distinct_on
from sqlalchemy.orm import Session

from app.kernel.terms import ClaimKind, Term
from app.ledger.errors import (
    NoSuchCommitmentError,
)
from app.models.claim import Claim
from app.models.space import Unit
from app.security.actors import Actor


class HoldState(Term):
    """What has become of a hold; worked out, never stored."""

    HELD = "held", "锁定中", "Held"
    LEASED = "leased", "已签约", "Leased"
    RELEASED = "released", "已释放", "Released"
    EXPIRED = "expired", "已过期", "Expired"


class LeaseState(Term):
    """Whether a lease stands; worked out, never stored."""

    SIGNED = "signed", "已签约", "Signed"
    TERMINATED = "terminated", "提前终止", "Ended early"
    CANCELLED = "cancelled", "未生效即终止", "Ended before it started"


@dataclass(frozen=True, slots=True)
class CommitmentLine:
    """One unit of a commitment, as it was last written."""

    claim_id: UUID
    unit_id: UUID
    unit_code: str
    park_id: UUID
    capacity_measure: str
    quantity: Decimal
    whole: bool
    kind: str
    period: Range[date]
    live: Range[datetime]
    closed_by: str | None
    company_id: UUID
    space_request_id: UUID | None


@dataclass(frozen=True, slots=True)
class Commitment:
    """One promise to one company, as it stood at ``as_of``."""

    id: UUID
    as_of: datetime
    held_at: datetime | None
    leased_at: datetime | None
    leased_until: date | None
    terminated_at: datetime | None
    lines: tuple[CommitmentLine, ...]

    @property
    def hold_state(self) -> HoldState:
        """What has become of the hold."""
        if self.leased_at is not None:
            return HoldState.LEASED
        if self.lines[0].closed_by is not None:
            return HoldState.RELEASED
        return HoldState.HELD if is_live(self.lines[0], self.as_of) else HoldState.EXPIRED

    @property
    def lease_state(self) -> LeaseState:
        """Whether the lease stands."""
        if not any(is_live(line, self.as_of) for line in self.lines):
            return LeaseState.CANCELLED
        return LeaseState.SIGNED if self.terminated_at is None else LeaseState.TERMINATED


def get_commitment(
    session: Session, actor: Actor, commitment_id: UUID, kind: ClaimKind
) -> Commitment:
    """A hold or a lease with its units; a hold that became a lease is both.

    Raises:
        NoSuchCommitmentError: there is none of this kind, or it is not the caller's to see.
    """
    actor.require_signed_in()
    found = read_commitment(session, commitment_id)
    require_visible(actor, commitment_id, found.lines)
    since = found.leased_at if kind is ClaimKind.LEASE else found.held_at
    if since is None:
        raise no_such_commitment(commitment_id)
    return found


def read_commitment(session: Session, commitment_id: UUID) -> Commitment:
    """The last row written for each unit of a commitment.

    Raises:
        NoSuchCommitmentError: there is none.
    """
    of_kind = {
        kind: func.min(func.lower(Claim.live))
        .filter(Claim.kind == kind.value)
        .over(partition_by=Claim.unit_id)
        for kind in (ClaimKind.HOLD, ClaimKind.LEASE)
    }
    # Ending a lease early only ever shortens it, so the longest row is the one that was signed.
    leased = Claim.kind == ClaimKind.LEASE.value
    found = session.execute(
        select(
            Claim.id.label("claim_id"),
            Claim.unit_id,
            Unit.code.label("unit_code"),
            Claim.park_id,
            Unit.capacity_measure,
            Claim.quantity,
            Claim.whole,
            Claim.kind,
            Claim.period,
            Claim.live,
            Claim.closed_by,
            Claim.company_id,
            Claim.space_request_id,
            func.clock_timestamp().label("as_of"),
            of_kind[ClaimKind.HOLD].label("held_at"),
            of_kind[ClaimKind.LEASE].label("leased_at"),
            func.max(func.upper(Claim.period))
            .filter(leased)
            .over(partition_by=Claim.unit_id)
            .label("leased_until"),
            func.bool_or(func.upper_inf(Claim.period))
            .filter(leased)
            .over(partition_by=Claim.unit_id)
            .label("leased_openly"),
        )
        .join(Unit, Unit.id == Claim.unit_id)
        .where(Claim.commitment_id == commitment_id)
        .ext(distinct_on(Claim.unit_id))
        .order_by(Claim.unit_id, func.lower(Claim.live).desc())
    ).all()
    if not found:
        raise no_such_commitment(commitment_id)
    # A lease closed with no row after it was undone; one with a later row was cut short.
    newest = max(found, key=lambda row: row.live.lower)
    terminated_at = None
    if newest.leased_at is not None:
        later = newest.live.lower if newest.live.lower > newest.leased_at else None
        terminated_at = newest.live.upper or later
    fields = tuple(CommitmentLine.__dataclass_fields__)
    return Commitment(
        id=commitment_id,
        as_of=found[0].as_of,
        held_at=found[0].held_at,
        leased_at=found[0].leased_at,
        leased_until=None if found[0].leased_openly else found[0].leased_until,
        terminated_at=terminated_at,
        lines=tuple(
            sorted(
                (CommitmentLine(*(getattr(row, name) for name in fields)) for row in found),
                key=lambda line: line.unit_code,
            )
        ),
    )


def require_visible(actor: Actor, commitment_id: UUID, lines: Sequence[CommitmentLine]) -> None:
    """Refuse those who may not see a commitment: firms as if it did not exist."""
    if not actor.is_staff and any(line.company_id != actor.company_id for line in lines):
        raise no_such_commitment(commitment_id)
    for line in lines:
        actor.require_park(line.park_id)


def no_such_commitment(commitment_id: UUID) -> NoSuchCommitmentError:
    """The same words whether there is none or it is another firm's."""
    return NoSuchCommitmentError(
        f"there is none with the id {commitment_id}, or it is not yours",
        detail_zh=f"没有编号为 {commitment_id} 的记录，或无权查看",
    )


def is_live(line: CommitmentLine, now: datetime) -> bool:
    """Whether a row is believed at an instant."""
    return line.live.upper is None or line.live.upper > now
