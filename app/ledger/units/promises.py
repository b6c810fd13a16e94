"""What is promised of units that change: who it is, what follows, and what stands in the way."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.inventory.pieces import Piece, Pieces, runs
from app.ledger.commitments import CommitmentLine
from app.ledger.units.errors import UnitClaimsBlockError
from app.ledger.units.facts import size
from app.ledger.writing import close, insert_claims, superseding
from app.models.claim import Claim
from app.models.company import Company
from app.models.space import Unit
from app.security.actors import Actor

_NAMED_MAX = 3


@dataclass(frozen=True)
class Standing:
    """A row of the ledger that is believed now, and whose it is."""

    line: CommitmentLine
    commitment_id: UUID
    company_name_zh: str | None
    company_name_en: str | None

    def before(self, day: date) -> Range[date] | None:
        """Its days before a day."""
        return _or_none(self.line.period.intersection(Range(None, day)))

    def since(self, day: date) -> Range[date] | None:
        """Its days from a day on."""
        return _or_none(self.line.period.intersection(Range(day, None)))


@dataclass(frozen=True)
class Target:
    """Where a claim goes: a unit, and its pieces."""

    unit_id: UUID
    code: str
    pieces: Pieces


@dataclass(frozen=True)
class Blocker:
    """A promise that stands in the way, for staff."""

    commitment_id: UUID
    kind: str
    company_id: UUID | None
    company_name_zh: str | None
    company_name_en: str | None
    unit_code: str
    start: date | None
    until: date | None
    quantity: Decimal
    why: str
    why_zh: str


@dataclass(frozen=True)
class MovedClaim:
    """A promise, or some of its days, as it stands after the change."""

    commitment_id: UUID
    kind: str
    from_unit_code: str
    unit_code: str
    start: date | None
    until: date | None
    quantity: Decimal
    whole: bool


@dataclass
class Moves:
    """Rows to close and rows to write, so that promises follow the units they are about."""

    closed: list[Standing] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    told: list[MovedClaim] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)

    def put(
        self, actor: Actor, claim: Standing, to: Target, days: Range[date], now: datetime
    ) -> None:
        """A claim's ``days`` on a unit, in the unit's sizes; the whole where it had the whole."""
        for stretch in runs(to.pieces, days.lower, days.upper, size):
            capacity = stretch.facts["capacity"]
            quantity = capacity if claim.line.whole else claim.line.quantity
            same_unit = to.unit_id == claim.line.unit_id
            whole = claim.line.whole or (not same_unit and quantity == capacity)
            period = Range(stretch.start, stretch.end)
            row = superseding(
                actor,
                claim.commitment_id,
                claim.line,
                kind=claim.line.kind,
                live=Range(now, claim.line.live.upper),
                period=period,
            )
            self.rows.append({**row, "unit_id": to.unit_id, "quantity": quantity, "whole": whole})
            self.told.append(
                MovedClaim(
                    claim.commitment_id,
                    claim.line.kind,
                    claim.line.unit_code,
                    to.code,
                    period.lower,
                    period.upper,
                    quantity,
                    whole,
                )
            )

    def block(self, claim: Standing, why: str, why_zh: str) -> None:
        """Note that a promise stands in the way."""
        line = claim.line
        self.blockers.append(
            Blocker(
                claim.commitment_id,
                line.kind,
                line.company_id,
                claim.company_name_zh,
                claim.company_name_en,
                line.unit_code,
                line.period.lower,
                line.period.upper,
                line.quantity,
                why,
                why_zh,
            )
        )

    def require_none_blocks(self) -> None:
        """Refuse the change while promises stand in its way.

        Raises:
            UnitClaimsBlockError: it names them all.
        """
        if not self.blockers:
            return
        first = self.blockers[:_NAMED_MAX]
        more = len(self.blockers) - len(first)
        said = "; ".join(
            f"{one.kind} {one.commitment_id} of {one.company_name_en or 'the park'} on"
            f" {one.unit_code} from {one.start} until {one.until or 'further notice'}: {one.why}"
            for one in first
        )
        said_zh = "；".join(
            f"{one.company_name_zh or '园区'} 自 {one.start} 至 {one.until or '另行通知'}"
            f" 占用 {one.unit_code}：{one.why_zh}"
            for one in first
        )
        raise UnitClaimsBlockError(
            said + (f"; and {more} more" if more else ""),
            detail_zh=said_zh + (f"；另有 {more} 项" if more else ""),
            blockers=[_told(one) for one in self.blockers],
        )

    def close(self, session: Session, actor: Actor, now: datetime) -> None:
        """Close what is superseded; before the units change."""
        if self.closed:
            close(session, actor, [claim.line for claim in self.closed], now)

    def write(self, session: Session) -> None:
        """Write what supersedes it; after the units have changed."""
        insert_claims(session, self.rows)


def standing_claims(session: Session, unit_ids: Sequence[UUID], now: datetime) -> list[Standing]:
    """The rows of units that are believed now, by unit and first day."""
    columns = [
        Unit.code if name == "unit_code"
        else Unit.capacity_measure if name == "capacity_measure"
        else Claim.id if name == "claim_id"
        else getattr(Claim, name)
        for name in CommitmentLine.__dataclass_fields__
    ]  # fmt: skip
    found = session.execute(
        select(*columns, Claim.commitment_id, Company.name_zh, Company.name_en)
        .join(Unit, Unit.id == Claim.unit_id)
        .outerjoin(Company, Company.id == Claim.company_id)
        .where(Claim.unit_id.in_(unit_ids), Claim.live.contains(now))
        .order_by(Unit.code, func.lower(Claim.period), Claim.id)
    )
    return [Standing(CommitmentLine(*row[:-3]), *row[-3:]) for row in map(tuple, found)]


def resized(actor: Actor, claims: Sequence[Standing], to: Target, now: datetime) -> Moves:
    """What becomes of a unit's promises when its pieces do: the whole stays the whole.

    Rows are cut where the size changes. Parts that no longer fit on some day stand in the way.
    """
    moves = Moves()
    for claim in claims:
        line = claim.line
        stretches = runs(to.pieces, line.period.lower, line.period.upper, size)
        capacities = {stretch.facts["capacity"] for stretch in stretches}
        if len(stretches) > 1 or (line.whole and capacities != {line.quantity}):
            moves.closed.append(claim)
            moves.put(actor, claim, to, line.period, now)
    parts = [claim for claim in claims if not claim.line.whole]
    for claim in overfull([(claim, claim.line.period) for claim in parts], to.pieces):
        moves.block(
            claim,
            "the parts taken would no longer fit",
            "变更后容量不足以容纳已占用部分",
        )
    return moves


def overfull(
    parts: Sequence[tuple[Standing, Range[date]]], pieces: Sequence[Piece]
) -> list[Standing]:
    """The claims of days on which more is taken than there is."""
    edges = {period.lower for _, period in parts} | {piece.start for piece in pieces}
    found: dict[UUID, Standing] = {}
    for day in sorted(edge for edge in edges if edge is not None):
        piece = next((one for one in pieces if one.holds_on(day)), None)
        taken = [claim for claim, period in parts if period.contains(day)]
        total = sum((claim.line.quantity for claim in taken), Decimal())
        if taken and (piece is None or total > piece.facts["capacity"]):
            found |= {claim.line.claim_id: claim for claim in taken}
    return list(found.values())


def _told(blocker: Blocker) -> dict[str, Any]:
    told = asdict(blocker)
    told["from"] = told.pop("start")
    told["quantity"] = float(blocker.quantity)
    return told


def _or_none(period: Range[date]) -> Range[date] | None:
    return None if period.isempty else period
