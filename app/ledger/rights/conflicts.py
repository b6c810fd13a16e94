"""Whether a right may be granted beside those that stand. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from app.kernel.period import Period
from app.kernel.terms import RightKind, Term
from app.ledger.rights.binding import HeldRight
from app.ledger.rights.days import shared

FIRST_RANK = 1


class ConflictReason(Term):
    """Why a right cannot be granted as asked."""

    NOT_NAMED = "not_named", "未在 behind 中列明", "It comes first, and is not named in `behind`"
    SAME_RANK = "same_rank", "顺位相同", "It has the same rank"
    NOT_BEHIND = "not_behind", "顺位在既有权利之前", "It stands already, and would come second"
    MUST_TAKE = "must_take", "两方均须承租", "Two holders cannot both have to take the same space"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A right that stands in the way, and why."""

    right: HeldRight
    reason: ConflictReason


def meeting(window: Period, on_its_ground: Iterable[HeldRight]) -> list[HeldRight]:
    """Of the rights on the same ground, those that share a day with ``window``."""
    return [right for right in on_its_ground if shared(window, right.window)]


def rank_behind(met: Iterable[HeldRight]) -> int:
    """The first rank behind all of them."""
    return max((right.rank for right in met), default=FIRST_RANK - 1) + 1


def conflicts(
    kind: RightKind,
    company_id: UUID,
    rank: int,
    behind: Collection[UUID],
    met: Iterable[HeldRight],
) -> list[Conflict]:
    """Why a right may not be granted beside those it meets; none if it may.

    ``behind`` are the rights that whoever grants it names as senior.
    """
    found = []
    for right in met:
        reason = _reason(kind, company_id, rank, behind, right)
        if reason is not None:
            found.append(Conflict(right, reason))
    return found


def _reason(
    kind: RightKind, company_id: UUID, rank: int, behind: Collection[UUID], right: HeldRight
) -> ConflictReason | None:
    if kind is right.kind is RightKind.MUST_TAKE and right.holder != company_id:
        return ConflictReason.MUST_TAKE
    if rank == right.rank:
        return ConflictReason.SAME_RANK
    if rank < right.rank:
        return ConflictReason.NOT_BEHIND
    return None if right.id in behind else ConflictReason.NOT_NAMED
