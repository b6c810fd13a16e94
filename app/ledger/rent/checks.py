"""Which rent terms are sound, fault by fault. Pure."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.ledger.rent.terms import AreaBasis, DayCount, Deposit, EarlyBreak, RentTerms, is_plain

#: Months that one payment may cover: 月付、双月付、季付、半年付、年付.
PAYMENT_MONTHS = (1, 2, 3, 6, 12)
#: Rates have four decimals, as asking rents have.
RATE_DECIMALS = 4
RATE_BELOW_CNY = Decimal(1_000_000)
AMOUNT_BELOW_CNY = Decimal(10) ** 12
MONTHS_BELOW = Decimal(1_000)
#: No rent falls due, and no notice is given, more days ahead than this.
DAYS_AHEAD_MAX = 3_660
CURRENCY = "CNY"


def check_terms(terms: RentTerms, term: Period, pointer: str = "/rent") -> None:
    """Refuse terms that no schedule can be made of, or that reach outside the lease.

    Raises:
        InvalidInputError: with a fault for each rule broken, below ``pointer``.
    """
    faults = term_faults(terms, term, pointer)
    if faults:
        first = faults[0]
        raise InvalidInputError(
            f"the rent terms break a rule: {first.pointer} {first.detail}",
            faults,
            detail_zh=f"租金条款不符合规则：{first.pointer} {first.detail_zh}",
        )


def term_faults(terms: RentTerms, term: Period, pointer: str = "/rent") -> list[Fault]:
    """Everything wrong with rent terms for a lease over ``term``; empty when sound."""
    return [
        *_payment_faults(terms, pointer),
        *_step_faults(terms, term, f"{pointer}/steps"),
        *_rent_free_faults(terms, term, f"{pointer}/rent_free"),
        *(
            fault
            for place, one in enumerate(terms.breaks)
            for fault in _break_faults(one, term, f"{pointer}/breaks/{place}")
        ),
        *(() if terms.deposit is None else _deposit_faults(terms.deposit, f"{pointer}/deposit")),
    ]


def number_faults(pointer: str, number: Decimal, decimals: int, below: Decimal) -> Iterator[Fault]:
    """A fault unless the number is from 0 up to ``below`` with no more than so many decimals."""
    if not is_plain(number, decimals=decimals, below=below):
        yield Fault(
            pointer,
            f"from 0 to below {below:,f}, with at most {decimals} decimals",
            detail_zh=f"不小于 0 且小于 {below:,f}，小数不超过 {decimals} 位",
        )


def _payment_faults(terms: RentTerms, pointer: str) -> Iterator[Fault]:
    if terms.currency != CURRENCY:
        yield Fault(f"{pointer}/currency", f"only {CURRENCY}", detail_zh="仅支持人民币（CNY）")
    if terms.basis is AreaBasis.PLACES and terms.day_count is DayCount.ACTUAL:
        yield Fault(
            f"{pointer}/day_count",
            f"rent by the place is by the month: {DayCount.MONTH_365_12}",
            detail_zh=f"按工位计租时租金按月计：{DayCount.MONTH_365_12}",
        )
    if terms.payment_months not in PAYMENT_MONTHS:
        allowed = ", ".join(map(str, PAYMENT_MONTHS))
        yield Fault(
            f"{pointer}/payment_months", f"one of {allowed}", detail_zh=f"只能是 {allowed} 之一"
        )
    yield from _days_faults(f"{pointer}/due_days_before", terms.due_days_before)


def _days_faults(pointer: str, days: int) -> Iterator[Fault]:
    if not 0 <= days <= DAYS_AHEAD_MAX:
        yield Fault(
            pointer,
            f"from 0 to {DAYS_AHEAD_MAX} days",
            detail_zh=f"须在 0 至 {DAYS_AHEAD_MAX} 天之间",
        )


def _ended(term: Period, day: date) -> bool:
    return term.end is not None and day >= term.end


def _step_faults(terms: RentTerms, term: Period, pointer: str) -> Iterator[Fault]:
    if not terms.steps:
        yield Fault(pointer, "at least one step", detail_zh="至少一档租金")
    before: date | None = None
    for place, step in enumerate(terms.steps):
        where = f"{pointer}/{place}/from"
        if before is None:
            if step.start > term.start:
                yield Fault(
                    where,
                    f"the first step starts with the lease, by {term.start}",
                    detail_zh=f"首档租金须不晚于起租日 {term.start}",
                )
        elif step.start <= before:
            yield Fault(
                where,
                f"after the step before it, which starts on {before}",
                detail_zh=f"须晚于上一档起始日 {before}",
            )
        elif step.start <= term.start:
            yield Fault(
                where, f"after the lease's first day {term.start}", detail_zh="须晚于起租日"
            )
        if _ended(term, step.start):
            yield Fault(
                where, f"before the lease ends on {term.end}", detail_zh=f"须早于到期日 {term.end}"
            )
        before = step.start
        yield from number_faults(
            f"{pointer}/{place}/rate", step.rate, RATE_DECIMALS, RATE_BELOW_CNY
        )


def _rent_free_faults(terms: RentTerms, term: Period, pointer: str) -> Iterator[Fault]:
    taken: date | None = None
    in_order = sorted(enumerate(terms.rent_free), key=lambda one: (one[1].start, one[1].until))
    for place, free in in_order:
        start, until = f"{pointer}/{place}/from", f"{pointer}/{place}/until"
        if free.until <= free.start:
            yield Fault(until, "must be after from", detail_zh="须晚于开始日")
            continue
        if free.start < term.start:
            yield Fault(
                start,
                f"not before the lease starts on {term.start}",
                detail_zh=f"不得早于起租日 {term.start}",
            )
        if term.end is not None and free.until > term.end:
            yield Fault(
                until,
                f"not after the lease ends on {term.end}",
                detail_zh=f"不得晚于到期日 {term.end}",
            )
        if taken is not None and free.start < taken:
            yield Fault(
                start,
                f"overlaps rent-free days up to {taken}",
                detail_zh=f"与截至 {taken} 的免租期重叠",
            )
        taken = free.until if taken is None else max(taken, free.until)


def _break_faults(one: EarlyBreak, term: Period, pointer: str) -> Iterator[Fault]:
    if one.on <= term.start or _ended(term, one.on):
        yield Fault(
            f"{pointer}/on",
            f"within the lease, after its first day and before its end: {term}",
            detail_zh=f"须在租期内，晚于起租日且早于到期日：{term}",
        )
    yield from _days_faults(f"{pointer}/notice_days", one.notice_days)
    yield from number_faults(f"{pointer}/penalty_months", one.penalty_months, 2, MONTHS_BELOW)


def _deposit_faults(deposit: Deposit, pointer: str) -> Iterator[Fault]:
    if (deposit.amount_cny is None) == (deposit.months is None):
        yield Fault(
            pointer, "either an amount or a number of months", detail_zh="金额与月数须且只能填一项"
        )
    if deposit.amount_cny is not None:
        yield from number_faults(f"{pointer}/amount_cny", deposit.amount_cny, 2, AMOUNT_BELOW_CNY)
    if deposit.months is not None:
        yield from number_faults(f"{pointer}/months", deposit.months, 2, MONTHS_BELOW)
