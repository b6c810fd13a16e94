"""Lease terms as they are written in JSON and kept, and the rent terms that they come to.

What was said is kept, not what it comes to: a rise of 3 % every year goes on when the lease is
prolonged. Money is text in JSON, so that no reader makes a binary fraction of it.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PlainSerializer

from app.inventory.filters import Day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period, months_after
from app.kernel.written import WrittenBody
from app.ledger.rent.checks import DAYS_AHEAD_MAX, check_terms
from app.ledger.rent.escalation import stepped
from app.ledger.rent.terms import (
    AreaBasis,
    BreakParty,
    DayCount,
    Deposit,
    EarlyBreak,
    RentFree,
    RentStep,
    RentTerms,
)

#: No list of a lease's terms is longer, whether written out or worked out.
ENTRIES_MAX = 100
POINTER = "/terms"

_plain_text = PlainSerializer(lambda number: format(number, "f"), return_type=str, when_used="json")
Rate = Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=4), _plain_text]
Amount = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2), _plain_text]
Months = Annotated[Decimal, Field(ge=0, max_digits=5, decimal_places=2), _plain_text]
Percent = Annotated[Decimal, Field(ge=0, lt=100, decimal_places=4), _plain_text]


class _Stated(WrittenBody):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)


class StepStated(_Stated):
    """A rate, and the day from which it counts."""

    start: Day = Field(alias="from", description="first day of this rate")
    rate: Rate = Field(
        description="元/㎡·天 CNY per m² and day; per place and month where `basis` is places",
        examples=["3.2000"],
    )


class EscalationStated(_Stated):
    """递增: how the first rate rises."""

    every_months: int = Field(ge=1, le=1_200, description="months between two rises")
    pct: Percent = Field(description="% over the rate before", examples=["3"])


class RentFreeStated(_Stated):
    """免租期: days without rent."""

    start: Day = Field(alias="from", description="first day without rent")
    until: Day = Field(description="first day with rent again")


class BreakStated(_Stated):
    """提前解约: a day on which the lease may be ended before its time."""

    on: Day = Field(description="first day not leased, if the break is used")
    by: BreakParty = Field(description="who may use it")
    notice_days: int = Field(
        default=0, ge=0, le=DAYS_AHEAD_MAX, description="days that notice is given before `on`"
    )
    penalty_months: Months = Field(
        default=Decimal(0), description="违约金, in months of the rent then due"
    )


class DepositStated(_Stated):
    """押金: an amount, or a number of months of the first rate."""

    amount_cny: Amount | None = Field(default=None, description="元")
    months: Months | None = Field(default=None, description="months of the first rate")


class TermsStated(_Stated):
    """租约条款: the money side of a lease. Money is written as text, exact."""

    currency: Literal["CNY"] = Field(default="CNY", description="only CNY 人民币")
    basis: AreaBasis = Field(
        default=AreaBasis.LEASABLE,
        description="计租依据: the areas that rent is counted on, or places",
    )
    day_count: DayCount = Field(
        default=DayCount.MONTH_365_12,
        description="`actual`: rate × m² × days; `month_365_12`: each month of the lease is"
        " rate × m² × 365 / 12 (rent by the place is always by the month)",
    )
    payment_months: int = Field(
        default=3,
        ge=1,
        le=12,
        description="months paid at a time, in advance: 1, 2, 3, 6 or 12",
    )
    due_days_before: int = Field(
        default=0, ge=0, le=DAYS_AHEAD_MAX, description="days before a payment's first day"
    )
    steps: list[StepStated] = Field(
        default=[],
        max_length=ENTRIES_MAX,
        description="rates by their first days; or `first_rate` instead",
    )
    first_rate: Rate | None = Field(
        default=None, description="the rate from the first day on; or `steps` instead"
    )
    escalation: EscalationStated | None = Field(
        default=None, description="how `first_rate` rises; level unless told"
    )
    rent_free: list[RentFreeStated] = Field(
        default=[], max_length=ENTRIES_MAX, description="装修免租期: periods without rent"
    )
    breaks: list[BreakStated] = Field(
        default=[], max_length=ENTRIES_MAX, description="days on which a party may end the lease"
    )
    deposit: DepositStated | None = Field(default=None, description="押金; none unless told")

    def early_breaks(self) -> tuple[EarlyBreak, ...]:
        """The days on which the lease may be ended before its time."""
        return tuple(
            EarlyBreak(one.on, one.notice_days, one.by, one.penalty_months) for one in self.breaks
        )

    def rent_terms(self, term: Period, *, until: date | None = None) -> RentTerms:
        """What this comes to for a lease over ``term``.

        ``until`` is a horizon: where the lease has no end, rises are worked out so far and a
        year more, since a payment that starts before it is shown whole.

        Raises:
            InvalidInputError: the rate is said twice or never, or the rises are too many.
        """
        return RentTerms(
            basis=self.basis,
            day_count=self.day_count,
            payment_months=self.payment_months,
            steps=self._steps(term, until),
            rent_free=tuple(RentFree(one.start, one.until) for one in self.rent_free),
            breaks=self.early_breaks(),
            deposit=None
            if self.deposit is None
            else Deposit(self.deposit.amount_cny, self.deposit.months),
            due_days_before=self.due_days_before,
            currency=self.currency,
        )

    def _steps(self, term: Period, until: date | None) -> tuple[RentStep, ...]:
        self._require_one_rate()
        if self.first_rate is None:
            return tuple(RentStep(one.start, one.rate) for one in self.steps)
        if self.escalation is None:
            return (RentStep(term.start, self.first_rate),)
        last = term.end or months_after(until or term.start, 12)
        months = (last.year - term.start.year) * 12 + last.month - term.start.month
        if months > ENTRIES_MAX * self.escalation.every_months:
            raise _refused(
                Fault(
                    f"{POINTER}/escalation/every_months",
                    f"makes more than {ENTRIES_MAX} rates until {last}; rise less often",
                    detail_zh=f"至 {last} 将产生超过 {ENTRIES_MAX} 档租金，请降低递增频率",
                )
            )
        return stepped(
            self.first_rate,
            self.escalation.every_months,
            self.escalation.pct,
            term,
            until=last,
            pointer=f"{POINTER}/escalation",
        )

    def _require_one_rate(self) -> None:
        if self.steps and self.first_rate is not None:
            raise _refused(
                Fault(
                    f"{POINTER}/first_rate",
                    "either steps or first_rate, not both",
                    detail_zh="steps 与 first_rate 只能填一项",
                )
            )
        if not self.steps and self.first_rate is None:
            raise _refused(
                Fault(
                    f"{POINTER}/steps",
                    "at least one step, or first_rate",
                    detail_zh="须填 steps 或 first_rate",
                )
            )
        if self.escalation is not None and self.first_rate is None:
            raise _refused(
                Fault(
                    f"{POINTER}/escalation",
                    "needs first_rate; steps say their rates themselves",
                    detail_zh="须与 first_rate 同时填写",
                )
            )


def require_sound(stated: TermsStated, term: Period) -> None:
    """Refuse terms that contradict themselves, or that reach outside the lease.

    Raises:
        InvalidInputError: with a fault for each rule broken, below ``/terms``.
    """
    check_terms(stated.rent_terms(term), term, POINTER)


def _refused(fault: Fault) -> InvalidInputError:
    return InvalidInputError(
        f"the rent terms break a rule: {fault.pointer} {fault.detail}",
        [fault],
        detail_zh=f"租金条款不符合规则：{fault.pointer} {fault.detail_zh}",
    )
