"""What a lease says about money: rates, free days, payment, breaks, deposit. Pure.

Money is Decimal in CNY. Days are civil days in Asia/Shanghai and every range is half-open: from
its first day up to but not including ``until``. app.ledger.rent.checks says which terms are sound.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from app.kernel.terms import Term

#: A quantity billed is below this, with at most so many decimals: sums of them stay exact.
QUANTITY_BELOW = Decimal(10) ** 12
QUANTITY_DECIMALS = 4


class AreaBasis(Term):
    """What the rent is counted on."""

    LEASABLE = "leasable", "计租面积", "Leasable area"
    INTERNAL = "internal", "套内建筑面积", "Internal floor area"
    PLACES = "places", "工位数", "Places"


class DayCount(Term):
    """How days become rent.

    ``ACTUAL``: rate per m² and day, times m², times days.

    ``MONTH_365_12``: each month costs the same, rate per m² and day times m² times 365 / 12, in
    leap years too. A month is one of the lease, counted from its first day, so that a lease from
    the 15th pays whole months from 15th to 15th. Part of a month (the broken end of the lease, or
    the days before a change of rate, quantity or rent-free) counts its days over the days of that
    month of the lease. Rent by the place is by the month already, and takes no 365 / 12.
    """

    ACTUAL = "actual", "按实际天数", "Actual days"
    MONTH_365_12 = "month_365_12", "按月（日租金×365÷12）", "Months of 365/12 days"


class BreakParty(Term):
    """Who may end a lease early."""

    TENANT = "tenant", "承租方", "Tenant"
    LANDLORD = "landlord", "出租方", "Landlord"
    EITHER = "either", "任一方", "Either party"


@dataclass(frozen=True, slots=True)
class RentStep:
    """The rate from a day on: CNY per m² and day, or per place and month where PLACES are let."""

    start: date
    rate: Decimal


@dataclass(frozen=True, slots=True)
class RentFree:
    """装修免租期: days without rent, anywhere in the term."""

    start: date
    until: date


@dataclass(frozen=True, slots=True)
class EarlyBreak:
    """提前解约: the lease may end so that ``on`` is the first day not leased.

    ``penalty_months`` is in months of the rent then due. A break that nobody has used yet changes
    no instalment.
    """

    on: date
    notice_days: int
    by: BreakParty
    penalty_months: Decimal


@dataclass(frozen=True, slots=True)
class Deposit:
    """押金: an amount, or a number of months of the first step's rent; one of the two."""

    amount_cny: Decimal | None = None
    months: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RentTerms:
    """The money side of a lease.

    Rent is paid in advance, ``payment_months`` at a time counted from the lease's first day, and
    falls due ``due_days_before`` days before the first day that it pays for.
    """

    basis: AreaBasis
    day_count: DayCount
    payment_months: int
    steps: tuple[RentStep, ...]
    rent_free: tuple[RentFree, ...] = ()
    breaks: tuple[EarlyBreak, ...] = ()
    deposit: Deposit | None = None
    due_days_before: int = 0
    currency: str = "CNY"

    def month_rate(self, rate: Decimal) -> Fraction:
        """What a step's rate makes in a whole month: exact CNY per m² or place.

        >>> step = RentStep(date(2027, 1, 1), Decimal("2.4"))
        >>> RentTerms(AreaBasis.LEASABLE, DayCount.ACTUAL, 3, (step,)).month_rate(step.rate)
        Fraction(73, 1)
        """
        by_the_month = self.basis is AreaBasis.PLACES
        return Fraction(rate) if by_the_month else Fraction(rate) * 365 / 12


@dataclass(frozen=True, slots=True)
class BilledQuantity:
    """How much is billed over which days, m² or places; ``until`` None is for as long as let.

    Pieces that overlap add up, as those of two rooms do; a day that no piece covers bills nothing.

    Raises:
        ValueError: it ends before it starts, or the quantity is negative or has too many digits.
    """

    start: date
    until: date | None
    quantity: Decimal

    def __post_init__(self) -> None:
        if self.until is not None and self.until <= self.start:
            raise ValueError(f"billed days must end after they start: {self.start} .. {self.until}")
        if not is_plain(self.quantity, decimals=QUANTITY_DECIMALS, below=QUANTITY_BELOW):
            raise ValueError(f"not a quantity to bill: {self.quantity}")


def is_plain(number: Decimal, *, decimals: int, below: Decimal) -> bool:
    """Whether a number is from 0 up to ``below``, written with no more than so many decimals.

    >>> is_plain(Decimal("2.5000"), decimals=4, below=Decimal(10))
    True
    >>> any(is_plain(Decimal(text), decimals=4, below=Decimal(10)) for text in ("-1", "10", "NaN"))
    False
    """
    exponent = number.as_tuple().exponent
    # A word in place of the exponent is an infinity or no number at all.
    return isinstance(exponent, int) and exponent >= -decimals and 0 <= number < below
