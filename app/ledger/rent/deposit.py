"""押金: what a deposit comes to. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from app.kernel.period import Period
from app.ledger.rent.checks import check_terms
from app.ledger.rent.money import cny, fen
from app.ledger.rent.terms import BilledQuantity, RentTerms


def deposit_cny(terms: RentTerms, term: Period, billed: Sequence[BilledQuantity]) -> Decimal:
    """The deposit in CNY, 0 where none is agreed.

    A deposit in months takes the first step's rate and what is billed on the lease's first day,
    rent-free or not. A month is 365 / 12 days of rent by the day, however the rent itself counts.

    Raises:
        InvalidInputError: the terms are unsound.
    """
    check_terms(terms, Period(term.start))
    if terms.deposit is None:
        return cny(0)
    if terms.deposit.months is None:
        return cny(fen(Fraction(terms.deposit.amount_cny or 0)))
    let = sum(
        Fraction(piece.quantity)
        for piece in billed
        if piece.start <= term.start and (piece.until is None or term.start < piece.until)
    )
    return cny(fen(Fraction(terms.deposit.months) * terms.month_rate(terms.steps[0].rate) * let))
