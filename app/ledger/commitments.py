"""Holds and leases as they are read: the rows of one promise that nothing took the place of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, aliased

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
    """One unit of a commitment, for days on which the unit is of one size."""

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
    company_id: UUID | None
    space_request_id: UUID | None


@dataclass(frozen=True, slots=True)
class Commitment:
    """One promise to one company, as it stood at ``as_of``.

    ``clearing`` are the days after its own that nobody may use, until the space is clean;
    ``accepting`` the rules of its space request that were knowingly waived when it was made.
    """

    id: UUID
    as_of: datetime
    held_at: datetime | None
    leased_at: datetime | None
    leased_until: date | None
    terminated_at: datetime | None
    lines: tuple[CommitmentLine, ...]
    clearing: tuple[CommitmentLine, ...] = ()
    accepting: tuple[str, ...] = ()

    @property
    def all_lines(self) -> tuple[CommitmentLine, ...]:
        """Its own days and the clearing after them."""
        return (*self.lines, *self.clearing)

    @property
    def period(self) -> Range[date]:
        """From the first day of any unit to the last of any."""
        starts = [line.period.lower for line in self.lines if line.period.lower is not None]
        ends = [line.period.upper for line in self.lines]
        return Range(min(starts), None if None in ends else max(end for end in ends if end))

    @property
    def newest(self) -> CommitmentLine:
        """The line written last: it tells what became of the whole.

        All lines are placed and closed together; one may have been left behind where units merged.
        """
        since = {line.live.lower: line for line in self.lines if line.live.lower is not None}
        return since[max(since)]

    @property
    def hold_state(self) -> HoldState:
        """What has become of the hold."""
        if self.leased_at is not None:
            return HoldState.LEASED
        if self.newest.closed_by is not None:
            return HoldState.RELEASED
        return HoldState.HELD if is_live(self.newest, self.as_of) else HoldState.EXPIRED

    @property
    def lease_state(self) -> LeaseState:
        """Whether the lease stands."""
        if not any(is_live(line, self.as_of) for line in self.lines):
            return LeaseState.CANCELLED
        ends, was_to_end = self.period.upper, self.leased_until
        shorter = ends is not None and (was_to_end is None or ends < was_to_end)
        return LeaseState.TERMINATED if shorter else LeaseState.SIGNED


def get_commitment(
    session: Session, actor: Actor, commitment_id: UUID, kind: ClaimKind
) -> Commitment:
    """A hold or a lease with its units; a hold that became a lease is both.

    Raises:
        NoSuchCommitmentError: there is none of this kind, or it is not the caller's to see.
    """
    actor.require_ledger_reader()
    found = read_commitment(session, commitment_id)
    require_visible(actor, commitment_id, found.lines)
    since = found.leased_at if kind is ClaimKind.LEASE else found.held_at
    if since is None:
        raise no_such_commitment(commitment_id)
    return found


def read_commitment(session: Session, commitment_id: UUID) -> Commitment:
    """The rows of a commitment that nothing took the place of, and when it was held and leased.

    Raises:
        NoSuchCommitmentError: there is none.
    """
    later = aliased(Claim)
    found = session.execute(
        select(*_LINE)
        .join(Unit, Unit.id == Claim.unit_id)
        .where(
            Claim.commitment_id == commitment_id,
            ~select(later.id).where(later.supersedes_id == Claim.id).exists(),
        )
        .order_by(Unit.code, func.lower(Claim.period), Claim.id)
    ).all()
    if not found:
        raise no_such_commitment(commitment_id)
    lines = [CommitmentLine(*tuple(row)) for row in found]
    # Where some rows stand, those that were closed for good are history.
    past = session.execute(_PAST, {"commitment_id": commitment_id}).one()
    as_of, held_at, leased_at, leased_until, leased_openly, terminated_at, accepting, whole = past
    if not whole:
        # Some of it lies in other parks: half a promise is none that could be judged or changed.
        raise no_such_commitment(commitment_id)
    standing = [line for line in lines if is_live(line, as_of)] or lines
    return Commitment(
        id=commitment_id,
        as_of=as_of,
        held_at=held_at,
        leased_at=leased_at,
        leased_until=None if leased_openly else leased_until,
        terminated_at=terminated_at,
        lines=tuple(line for line in standing if line.kind != ClaimKind.CLEARING.value),
        clearing=tuple(line for line in standing if line.kind == ClaimKind.CLEARING.value),
        accepting=tuple(accepting),
    )


#: The columns of a ``CommitmentLine``, in its order.
_ELSEWHERE = {
    "claim_id": Claim.__table__.c.id,
    "unit_code": Unit.__table__.c.code,
    "capacity_measure": Unit.__table__.c.capacity_measure,
}
_LINE: tuple[ColumnElement[Any], ...] = tuple(
    _ELSEWHERE[name] if name in _ELSEWHERE else Claim.__table__.c[name]
    for name in CommitmentLine.__dataclass_fields__
)

#: When a commitment was first held and leased, until when it was leased when it was signed, when
#: it was last ended early (by its event, or, closed with nothing after it, by its last row), what
#: its first rows accepted, and whether all its rows are seen.
_PAST = text("""
    WITH rows AS (
        SELECT kind, period, live, supersedes_id, id, accepting FROM claims
        WHERE commitment_id = :commitment_id
    ), firsts AS (
        SELECT min(lower(live)) FILTER (WHERE kind = 'hold') AS held_at,
            min(lower(live)) FILTER (WHERE kind = 'lease') AS leased_at
        FROM rows
    )
    SELECT clock_timestamp(), held_at, leased_at,
        (SELECT max(upper(period)) FROM rows WHERE kind = 'lease' AND lower(live) = leased_at),
        (SELECT bool_or(upper_inf(period)) FROM rows
            WHERE kind = 'lease' AND lower(live) = leased_at),
        coalesce(
            (SELECT max(recorded_at) FROM lease_events
                WHERE commitment_id = :commitment_id AND kind = 'terminated'),
            (SELECT max(upper(live)) FROM rows WHERE kind = 'lease'
                HAVING NOT bool_or(upper_inf(live)))),
        (SELECT accepting FROM rows ORDER BY lower(live), id LIMIT 1),
        (SELECT count(*) FROM rows)
            = (SELECT count(*) FROM occupancy WHERE commitment_id = :commitment_id)
    FROM firsts""")


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
