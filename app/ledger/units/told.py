"""What a change of units comes to, whether it was made or only rehearsed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.inventory.pieces import Pieces
from app.kernel.terms import UnitEventKind
from app.ledger.units.promises import Blocker, MovedClaim, Moves
from app.ledger.units.writing import Recorded


@dataclass(frozen=True)
class UnitTold:
    """A unit for some of its days. ``id`` is None for one that is not made."""

    id: UUID | None
    code: str
    part: str
    start: date | None
    until: date | None
    leasable_area_m2: Decimal
    internal_area_m2: Decimal
    capacity: Decimal
    capacity_measure: str


@dataclass(frozen=True)
class Outcome:
    """What was done, or would be. ``event`` is None where nothing was written.

    ``changes`` are the facts of one unit before and after, by column, as JSON has them.
    """

    kind: UnitEventKind
    effective_on: date
    event: Recorded | None
    units: tuple[UnitTold, ...]
    moved: tuple[MovedClaim, ...]
    blockers: tuple[Blocker, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recorded_at(self) -> datetime | None:
        """Since when it is known."""
        return None if self.event is None else self.event.at


def outcome(
    kind: UnitEventKind,
    effective_on: date,
    event: Recorded | None,
    units: Iterable[UnitTold],
    moves: Moves,
    *,
    changes: Mapping[str, Any] | None = None,
) -> Outcome:
    """The outcome; what stands in the way moves nothing."""
    moved = () if moves.blockers else tuple(moves.told)
    return Outcome(
        kind, effective_on, event, tuple(units), moved, tuple(moves.blockers), changes or {}
    )


def told_units(id_: UUID | None, code: str, part: str, pieces: Pieces) -> list[UnitTold]:
    """A unit, once for each of its pieces."""
    return [
        UnitTold(
            id_,
            code,
            part,
            piece.start,
            piece.end,
            *(piece.facts[name] for name in ("leasable_area_m2", "internal_area_m2")),
            *(piece.facts[name] for name in ("capacity", "capacity_measure")),
        )
        for piece in pieces
    ]
