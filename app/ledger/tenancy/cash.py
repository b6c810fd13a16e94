"""The rent of a lease as it was known at an instant: days, areas and terms of that instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.inventory.known import believed, known_at
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.kernel.period import Period
from app.kernel.terms import CapacityMeasure, ClaimKind
from app.ledger.commitments import get_commitment
from app.ledger.rent.deposit import deposit_cny
from app.ledger.rent.schedule import CashSchedule, cash_schedule
from app.ledger.rent.terms import AreaBasis, BilledQuantity, RentTerms
from app.ledger.tenancy.schema import POINTER
from app.ledger.tenancy.terms import KnownTerms, get_terms
from app.models.claim import Claim
from app.models.space import Unit, unit_terms
from app.security.actors import Actor

#: A schedule of more payments than this is asked for in parts: a century, month by month.
PAYMENTS_MAX = 1_200
_FEN = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class LetPiece:
    """A quantity of one unit, on days on which the unit's areas are the same."""

    unit_id: UUID
    unit_code: str
    days: Range[date]
    quantity: Decimal
    capacity: Decimal
    capacity_measure: str
    leasable_area_m2: Decimal
    internal_area_m2: Decimal

    def billed(self, basis: AreaBasis) -> Decimal:
        """How much of it rent is counted on: m² or places.

        A part takes its share of the unit's area, rounded half up to 0.01 m².

        Raises:
            InvalidInputError: rent by the place, of a unit that is let by the square metre.
        """
        if self.capacity_measure == CapacityMeasure.PLACE.value:
            if basis is AreaBasis.PLACES:
                return self.quantity
        elif basis is AreaBasis.PLACES:
            raise InvalidInputError(
                f"unit {self.unit_code} is not let by the place; correct the terms' basis",
                [Fault(f"{POINTER}/basis", "leasable or internal", detail_zh="请改为按面积计租")],
                detail_zh=f"房源 {self.unit_code} 不按工位出租，请更正计租依据",
            )
        whole = self.leasable_area_m2 if basis is AreaBasis.LEASABLE else self.internal_area_m2
        return (whole * self.quantity / self.capacity).quantize(_FEN, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class LeaseCash:
    """What a lease brings in, and out of what it was worked."""

    terms: RentTerms
    known: KnownTerms
    term: Period
    schedule: CashSchedule
    deposit_cny: Decimal


def lease_cash(
    session: Session,
    actor: Actor,
    commitment_id: UUID,
    *,
    until: date | None = None,
    as_of: datetime | None = None,
) -> LeaseCash:
    """The payments of a lease and their total, as known at an instant.

    ``until`` is a horizon: payments whose days start before it, each whole.

    Raises:
        NoSuchCommitmentError: there is no such lease, or it is not the caller's to see.
        NotFoundError: it was not leased at that instant.
        NoLeaseTermsError: its rent was not known at that instant.
        InvalidInputError: the lease has no end and there is no horizon, or too many payments.
    """
    get_commitment(session, actor, commitment_id, ClaimKind.LEASE)
    pieces = let_pieces(session, commitment_id, as_of)
    known = get_terms(session, commitment_id, as_of)
    term = _term(pieces)
    _require_few(term, until, known.stated.payment_months)
    terms = known.stated.rent_terms(term, until=until)
    billed = [
        BilledQuantity(piece.days.lower, piece.days.upper, piece.billed(terms.basis))
        for piece in pieces
        if piece.days.lower is not None
    ]
    schedule = cash_schedule(terms, term, billed, until=until)
    if sum(one.amount_cny for one in schedule.instalments) != schedule.total_cny:
        raise ArithmeticError(f"the payments of lease {commitment_id} do not add up")
    return LeaseCash(terms, known, term, schedule, deposit_cny(terms, term, billed))


def let_pieces(session: Session, commitment_id: UUID, as_of: datetime | None) -> list[LetPiece]:
    """What a lease takes, with the areas of its units, as known at an instant.

    Raises:
        NotFoundError: it took nothing, or the units' areas were not known.
    """
    claim, terms = Claim.__table__.c, unit_terms.c
    days = claim.period.op("*")(terms.valid)
    found = session.execute(
        select(
            claim.unit_id,
            Unit.code,
            func.coalesce(days, claim.period),
            claim.quantity,
            terms.capacity,
            terms.capacity_measure,
            terms.leasable_area_m2,
            terms.internal_area_m2,
        )
        .select_from(
            Claim.__table__.join(Unit.__table__, Unit.id == claim.unit_id).outerjoin(
                unit_terms,
                (terms.id == claim.unit_id)
                & known_at(unit_terms, as_of)
                & terms.valid.op("&&")(claim.period),
            )
        )
        .where(
            claim.commitment_id == commitment_id,
            claim.kind == ClaimKind.LEASE.value,
            claim.live.op("@>")(believed(as_of)),
        )
        .order_by(Unit.code, func.lower(claim.period))
    ).all()
    if not found or any(row.capacity is None for row in found):
        raise NotFoundError(
            "nothing was leased at that instant, or its area was not known",
            detail_zh="该时刻无生效租约，或面积未知",
        )
    return [LetPiece(*row) for row in found]


def _term(pieces: Sequence[LetPiece]) -> Period:
    starts = min(piece.days.lower for piece in pieces if piece.days.lower is not None)
    ends = [piece.days.upper for piece in pieces]
    return Period(starts, None if None in ends else max(end for end in ends if end))


def _require_few(term: Period, until: date | None, payment_months: int) -> None:
    last = min((day for day in (term.end, until) if day is not None), default=term.start)
    months = (last.year - term.start.year) * 12 + last.month - term.start.month
    if months > PAYMENTS_MAX * payment_months:
        raise InvalidInputError(
            f"the schedule has more than {PAYMENTS_MAX} payments; give an earlier until",
            [
                Fault(
                    "until",
                    f"at most {PAYMENTS_MAX} payments",
                    "query",
                    f"付款期数不超过 {PAYMENTS_MAX}",
                )
            ],
            detail_zh=f"付款期数超过 {PAYMENTS_MAX}，请用 until 指明较早的日期",
        )
