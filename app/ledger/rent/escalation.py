"""租金递增: steps that rise by a percentage every so many months. Pure."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period, months_after
from app.ledger.rent.checks import RATE_BELOW_CNY, RATE_DECIMALS, number_faults
from app.ledger.rent.terms import RentStep

PCT_MAX = Decimal(100)


def stepped(
    first_rate: Decimal,
    every_months: int,
    pct: Decimal,
    term: Period,
    *,
    until: date | None = None,
    pointer: str = "/rent/escalation",
) -> tuple[RentStep, ...]:
    """Steps from the lease's first day, each ``pct`` percent over the one before.

    Each rate is worked from the first and then rounded half up to 0.0001, so that no rounding is
    carried from step to step. Where the lease has no end, steps are made up to ``until``.

    Raises:
        InvalidInputError: a number is out of bounds, a rate grows out of bounds, or neither the
            lease nor ``until`` is an end.

    >>> rise = stepped(Decimal(3), 12, Decimal(3), Period(date(2027, 1, 1), date(2030, 1, 1)))
    >>> [str(step.rate) for step in rise]
    ['3.0000', '3.0900', '3.1827']
    """
    ends = [day for day in (term.end, until) if day is not None]
    _check(first_rate, every_months, pct, ends, pointer)
    steps: list[RentStep] = []
    start, exact, rise = term.start, Fraction(first_rate), 1 + Fraction(pct) / 100
    while not steps or start < min(ends):
        step = RentStep(start, _rounded(exact))
        if step.rate >= RATE_BELOW_CNY:
            raise _refused(
                [
                    Fault(
                        f"{pointer}/pct",
                        f"takes the rate from {step.start} to {RATE_BELOW_CNY:,f} or more",
                        detail_zh=f"使 {step.start} 起的租金单价达到 {RATE_BELOW_CNY:,f} 或以上",
                    )
                ]
            )
        steps.append(step)
        start, exact = months_after(term.start, len(steps) * every_months), exact * rise
    return tuple(steps)


def _rounded(rate: Fraction) -> Decimal:
    return Decimal(floor(rate * 10**RATE_DECIMALS + Fraction(1, 2))).scaleb(-RATE_DECIMALS)


def _check(
    first_rate: Decimal, every_months: int, pct: Decimal, ends: list[date], pointer: str
) -> None:
    faults = [
        *number_faults(f"{pointer}/first_rate", first_rate, RATE_DECIMALS, RATE_BELOW_CNY),
        *number_faults(f"{pointer}/pct", pct, RATE_DECIMALS, PCT_MAX),
    ]
    if every_months < 1:
        faults.append(Fault(f"{pointer}/every_months", "at least 1 month", detail_zh="至少 1 个月"))
    if not ends:
        faults.append(
            Fault(
                f"{pointer}/until",
                "needed where the lease has no end",
                detail_zh="租约无到期日时必填",
            )
        )
    if faults:
        raise _refused(faults)


def _refused(faults: list[Fault]) -> InvalidInputError:
    first = faults[0]
    return InvalidInputError(
        f"the rent cannot rise so: {first.pointer} {first.detail}",
        faults,
        detail_zh=f"租金递增条款不符合规则：{first.pointer} {first.detail_zh}",
    )
