"""Schedules worked out by hand, with the arithmetic beside each figure."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from app.kernel.errors import InvalidInputError
from app.kernel.period import Period
from app.ledger.rent.deposit import deposit_cny
from app.ledger.rent.escalation import stepped
from app.ledger.rent.schedule import CashSchedule, cash_schedule
from app.ledger.rent.terms import (
    AreaBasis,
    BilledQuantity,
    DayCount,
    Deposit,
    RentFree,
    RentStep,
    RentTerms,
)
from tests.ledger.rent.cases import amounts

START = date(2027, 1, 1)


def terms(rate: str = "3", start: date = START, **changed: Any) -> RentTerms:
    given: dict[str, Any] = {
        "basis": AreaBasis.LEASABLE,
        "day_count": DayCount.ACTUAL,
        "payment_months": 3,
        "steps": (RentStep(start, Decimal(rate)),),
    }
    return RentTerms(**{**given, **changed})


def let(quantity: str, start: date = START, until: date | None = None) -> BilledQuantity:
    return BilledQuantity(start, until, Decimal(quantity))


def cny(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


def starts(made: CashSchedule) -> list[date]:
    return [one.start for one in made.instalments]


def test_a_plain_year_by_the_day() -> None:
    made = cash_schedule(terms("2.5"), Period(START, date(2028, 1, 1)), [let("1000")])

    # 2.5 x 1000 = 2,500 a day; quarters of 90, 91, 92 and 92 days.
    assert amounts(made) == cny("225000.00", "227500.00", "230000.00", "230000.00")
    assert made.total_cny == Decimal("912500.00")  # 365 x 2,500
    assert made.currency == "CNY"
    assert [one.number for one in made.instalments] == [1, 2, 3, 4]
    assert str(made.instalments[0].amount_cny) == "225000.00"


def test_a_leap_february_has_a_29th_by_the_day_and_costs_no_more_by_the_month() -> None:
    term = Period(date(2028, 2, 1), date(2028, 4, 1))
    by_day = terms("1.2", date(2028, 2, 1), payment_months=1)
    by_month = terms("1.2", date(2028, 2, 1), payment_months=1, day_count=DayCount.MONTH_365_12)

    # 1.2 x 100 = 120 a day: 29 and 31 days. By the month 120 x 365 / 12 = 3,650 each.
    assert amounts(cash_schedule(by_day, term, [let("100", term.start)])) == cny("3480", "3720")
    assert amounts(cash_schedule(by_month, term, [let("100", term.start)])) == cny("3650", "3650")


def test_a_lease_from_the_31st_pays_from_the_last_day_of_short_months_and_does_not_drift() -> None:
    start = date(2028, 1, 31)
    made = cash_schedule(
        terms("1", start, payment_months=1, due_days_before=10),
        Period(start, date(2028, 5, 31)),
        [let("10", start)],
    )

    assert starts(made) == [start, date(2028, 2, 29), date(2028, 3, 31), date(2028, 4, 30)]
    assert [one.days for one in made.instalments] == [29, 31, 30, 31]
    assert amounts(made) == cny("290", "310", "300", "310")
    assert [one.due_on for one in made.instalments] == [
        *(date(2028, 1, 21), date(2028, 2, 19), date(2028, 3, 21), date(2028, 4, 20))
    ]


def test_a_rent_free_first_quarter_is_listed_and_costs_nothing() -> None:
    free = RentFree(START, date(2027, 4, 1))
    made = cash_schedule(terms(rent_free=(free,)), Period(START, date(2027, 7, 1)), [let("200.50")])

    # Then 91 days of 3 x 200.50 = 601.50.
    assert amounts(made) == cny("0", "54736.50")
    first, second = made.instalments
    assert (first.days, first.free_days, second.days, second.free_days) == (90, 90, 91, 0)
    assert [(line.rate, line.is_free, line.exact_text) for line in first.lines] == [
        (Decimal(0), True, "0")
    ]


def test_a_step_and_free_days_in_the_middle_of_a_payment_part_its_lines() -> None:
    steps = (RentStep(START, Decimal(3)), RentStep(date(2027, 2, 15), Decimal("3.3333")))
    free = RentFree(date(2027, 3, 1), date(2027, 3, 11))
    made = cash_schedule(
        terms(steps=steps, rent_free=(free,)), Period(START, date(2027, 4, 1)), [let("123.45")]
    )

    (only,) = made.instalments
    assert [(line.start, line.days, line.rate, line.exact_text) for line in only.lines] == [
        (START, 45, Decimal(3), "16665.75"),  # 45 x 3 x 123.45
        (date(2027, 2, 15), 14, Decimal("3.3333"), "5760.94239"),  # 14 x 3.3333 x 123.45
        (date(2027, 3, 1), 10, Decimal(0), "0"),
        (date(2027, 3, 11), 21, Decimal("3.3333"), "8641.413585"),  # 21 x 3.3333 x 123.45
    ]
    assert made.total_cny == Decimal("31068.11")  # 31,068.105975
    assert (only.days, only.free_days) == (90, 10)


def test_a_new_measurement_in_the_middle_of_a_payment_bills_each_area_for_its_days() -> None:
    on = date(2027, 2, 1)
    billed = [let("100", START, on), let("98.76", on)]
    made = cash_schedule(terms(), Period(START, date(2027, 4, 1)), billed)

    (only,) = made.instalments
    assert [(line.quantity, line.days, line.exact_text) for line in only.lines] == [
        (Decimal(100), 31, "9300"),
        (Decimal("98.76"), 59, "17480.52"),
    ]
    assert amounts(made) == cny("26780.52")


def test_days_outside_the_lease_are_not_billed() -> None:
    before = let("7", date(2026, 1, 1), date(2026, 12, 1))
    around = let("10", date(2026, 12, 1), date(2028, 1, 1))
    after = let("9", date(2027, 2, 1))
    made = cash_schedule(terms("1"), Period(START, date(2027, 2, 1)), [before, around, after])

    assert amounts(made) == cny("310")


def test_two_rooms_add_up_and_days_with_neither_are_shown_as_nothing() -> None:
    billed = [let("40", START, date(2027, 1, 21)), let("60", START, date(2027, 1, 11))]
    made = cash_schedule(terms("1"), Period(START, date(2027, 2, 1)), billed)

    assert [(line.quantity, line.days) for line in made.instalments[0].lines] == [
        *((Decimal(100), 10), (Decimal(40), 10), (Decimal(0), 11))
    ]
    assert made.total_cny == Decimal(1_400)


def test_a_lease_of_one_day() -> None:
    day = Period(date(2028, 2, 29), date(2028, 3, 1))
    by_day = cash_schedule(terms("2.5", day.start), day, [let("33.33", day.start)])
    by_month = cash_schedule(
        terms("2.5", day.start, day_count=DayCount.MONTH_365_12), day, [let("33.33", day.start)]
    )

    assert amounts(by_day) == cny("83.33")  # 83.325 rounds up
    # One day of a month of the lease from 29 February to 29 March, 29 days.
    assert by_month.instalments[0].lines[0].months == Fraction(1, 29)
    assert amounts(by_month) == cny("87.40")  # 2.5 x 33.33 x 365 / 12 / 29 = 87.3975...


def test_places_are_let_by_the_month_with_the_broken_month_by_its_days() -> None:
    start = date(2027, 1, 15)
    made = cash_schedule(
        terms(
            "1200",
            start,
            basis=AreaBasis.PLACES,
            day_count=DayCount.MONTH_365_12,
            payment_months=1,
        ),
        Period(start, date(2027, 4, 1)),
        [let("5", start)],
    )

    # 5 x 1,200 a month; the last is 15 March to 1 April, 17 days of the 31 to 15 April.
    assert amounts(made) == cny("6000", "6000", "3290.32")
    assert made.instalments[-1].lines[0].months == Fraction(17, 31)
    assert made.instalments[-1].lines[0].exact_text == "102000/31"


def test_a_third_of_a_fen_is_not_lost_but_carried() -> None:
    made = cash_schedule(
        terms(
            "0.0004",
            payment_months=1,
            day_count=DayCount.MONTH_365_12,
        ),
        Period(START, date(2027, 7, 1)),
        [let("1")],
    )

    # 0.0004 x 365 / 12 = 0.012166... a month; sums 1.21, 2.43, 3.65, 4.86, 6.08, 7.3 fen.
    assert amounts(made) == cny("0.01", "0.01", "0.02", "0.01", "0.01", "0.01")
    assert made.total_cny == Decimal("0.07")


def test_an_open_lease_is_listed_up_to_a_horizon_in_whole_payments() -> None:
    made = cash_schedule(terms("1"), Period(START), [let("10")], until=date(2027, 4, 2))

    assert [one.until for one in made.instalments] == [date(2027, 4, 1), date(2027, 7, 1)]
    assert amounts(made) == cny("900", "910")
    assert cash_schedule(terms("1"), Period(START), [let("10")], until=START).instalments == ()
    with pytest.raises(InvalidInputError) as refused:
        cash_schedule(terms("1"), Period(START), [let("10")])
    assert [(one.pointer, one.where) for one in refused.value.faults] == [("until", "query")]


def test_a_lease_cut_short_keeps_terms_that_reach_past_its_end() -> None:
    steps = (RentStep(START, Decimal(1)), RentStep(date(2028, 1, 1), Decimal(2)))
    made = cash_schedule(terms(steps=steps), Period(START, date(2027, 5, 1)), [let("10")])

    assert amounts(made) == cny("900", "300")


def test_deposits() -> None:
    term = Period(START, date(2030, 1, 1))
    # The rooms of the first day, one handed back on it and one let later.
    billed = [
        *(let("1000", START, date(2028, 1, 1)), let("234.56")),
        *(let("5", date(2026, 1, 1), START), let("9", date(2027, 1, 2))),
    ]
    free = (RentFree(START, date(2027, 4, 1)),)

    def worth(deposit: Deposit | None, rate: str = "2.4", **changed: Any) -> Decimal:
        steps = (RentStep(START, Decimal(rate)), RentStep(date(2028, 1, 1), Decimal(9_999)))
        agreed = terms(steps=steps, deposit=deposit, rent_free=free, **changed)
        return deposit_cny(agreed, term, billed)

    assert worth(None) == 0
    assert str(worth(Deposit(amount_cny=Decimal(50_000)))) == "50000.00"
    # Two months of 2.4 x 365 / 12 = 73 for the 1,234.56 m² of the first day.
    assert worth(Deposit(months=Decimal(2))) == Decimal("180245.76")
    by_place: dict[str, Any] = {
        "basis": AreaBasis.PLACES,
        "day_count": DayCount.MONTH_365_12,
    }
    assert worth(Deposit(months=Decimal("1.5")), "1000", **by_place) == Decimal("1851840.00")


def test_three_percent_a_year_is_worked_from_the_first_rate() -> None:
    steps = stepped(Decimal("3.2"), 12, Decimal(3), Period(date(2028, 2, 29), date(2033, 3, 1)))

    # 3.2 x 1.03^k, half up to four decimals: 3.39488, 3.4967264, 3.601628..., 3.709677...
    rates = cny("3.2", "3.296", "3.3949", "3.4967", "3.6016", "3.7097")
    assert [step.rate for step in steps] == rates
    assert [step.start for step in steps] == [
        *(date(2028, 2, 29), date(2029, 2, 28), date(2030, 2, 28)),
        *(date(2031, 2, 28), date(2032, 2, 29), date(2033, 2, 28)),
    ]
    flat = stepped(Decimal(3), 12, Decimal(0), Period(START), until=date(2028, 1, 1))
    assert [step.start for step in flat] == [START]


def test_steps_that_rise_make_a_sound_schedule() -> None:
    term = Period(START, date(2029, 1, 1))
    rising = terms(steps=stepped(Decimal(1), 6, Decimal(10), term), payment_months=6)

    # Half-years of 181, 184, 182 and 184 days at 1, 1.1, 1.21 and 1.331, for 10 m².
    assert amounts(cash_schedule(rising, term, [let("10")])) == cny(
        "1810", "2024", "2202.20", "2449.04"
    )


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"first_rate": Decimal("-0.1")}, "/rent/escalation/first_rate"),
        ({"pct": Decimal(100)}, "/rent/escalation/pct"),
        ({"pct": Decimal(99), "every_months": 1}, "/rent/escalation/pct"),
        ({"every_months": 0}, "/rent/escalation/every_months"),
        ({"term": Period(START)}, "/rent/escalation/until"),
    ],
)
def test_a_rise_that_makes_no_sense_is_refused(changed: dict[str, Any], pointer: str) -> None:
    given: dict[str, Any] = {
        "first_rate": Decimal(3),
        "every_months": 12,
        "pct": Decimal(3),
        "term": Period(START, date(2030, 1, 1)),
    }
    assert stepped(**given)
    with pytest.raises(InvalidInputError) as refused:
        stepped(**{**given, **changed})
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert all(fault.detail_zh for fault in refused.value.faults)
