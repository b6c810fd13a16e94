"""Unsound terms are named field by field; sound ones pass."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given

from app.kernel.errors import InvalidInputError
from app.kernel.period import Period
from app.ledger.rent.checks import check_terms, term_faults
from app.ledger.rent.schedule import cash_schedule
from app.ledger.rent.terms import (
    AreaBasis,
    BilledQuantity,
    BreakParty,
    DayCount,
    Deposit,
    EarlyBreak,
    RentFree,
    RentStep,
    RentTerms,
)
from tests.ledger.rent.cases import Case, cases

START, END = date(2027, 1, 1), date(2030, 1, 1)
TERM = Period(START, END)
STEP = RentStep(START, Decimal("3.2"))
FREE = RentFree(START, date(2027, 4, 1))
BREAK = EarlyBreak(date(2029, 1, 1), 90, BreakParty.TENANT, Decimal(2))
SOUND = RentTerms(
    AreaBasis.LEASABLE,
    DayCount.ACTUAL,
    3,
    (STEP, RentStep(date(2028, 1, 1), Decimal("3.2960"))),
    # Out of order, two of them meet, and the latest meets the end.
    (RentFree(date(2029, 12, 1), END), RentFree(date(2027, 4, 1), date(2027, 4, 8)), FREE),
    (BREAK,),
    Deposit(months=Decimal(3)),
    15,
)


def step(day: date, rate: str = "1") -> RentStep:
    return RentStep(day, Decimal(rate))


def test_sound_terms_pass() -> None:
    assert term_faults(SOUND, TERM) == []
    assert term_faults(SOUND, Period(START)) == []
    check_terms(SOUND, TERM)


@pytest.mark.parametrize(
    ("changed", "pointers"),
    [
        ({"currency": "USD"}, ["/rent/currency"]),
        ({"basis": AreaBasis.PLACES}, ["/rent/day_count"]),
        ({"payment_months": 4}, ["/rent/payment_months"]),
        ({"due_days_before": -1}, ["/rent/due_days_before"]),
        ({"steps": ()}, ["/rent/steps"]),
        ({"steps": (step(date(2027, 1, 2)),)}, ["/rent/steps/0/from"]),
        ({"steps": (STEP, STEP)}, ["/rent/steps/1/from"]),
        ({"steps": (step(date(2026, 1, 1)), STEP)}, ["/rent/steps/1/from"]),
        ({"steps": (STEP, step(END))}, ["/rent/steps/1/from"]),
        ({"steps": (step(START, "-0.01"),)}, ["/rent/steps/0/rate"]),
        ({"steps": (step(START, "1.00001"),)}, ["/rent/steps/0/rate"]),
        ({"steps": (step(START, "1E+6"),)}, ["/rent/steps/0/rate"]),
        ({"steps": (step(START, "NaN"),)}, ["/rent/steps/0/rate"]),
        ({"steps": (STEP, step(START, "sNaN"))}, ["/rent/steps/1/from", "/rent/steps/1/rate"]),
        ({"rent_free": (RentFree(START, START),)}, ["/rent/rent_free/0/until"]),
        ({"rent_free": (RentFree(date(2026, 12, 31), END),)}, ["/rent/rent_free/0/from"]),
        ({"rent_free": (RentFree(START, date(2030, 1, 2)),)}, ["/rent/rent_free/0/until"]),
        (
            {"rent_free": (RentFree(date(2027, 3, 31), END), FREE)},
            ["/rent/rent_free/0/from"],
        ),
        # The longest overlaps the last too, though the one between them in time does not.
        (
            {
                "rent_free": (
                    RentFree(date(2027, 2, 1), date(2027, 3, 1)),
                    RentFree(date(2027, 1, 4), date(2027, 1, 9)),
                    FREE,
                )
            },
            ["/rent/rent_free/1/from", "/rent/rent_free/0/from"],
        ),
        ({"breaks": (replace(BREAK, on=START),)}, ["/rent/breaks/0/on"]),
        ({"breaks": (BREAK, replace(BREAK, on=END))}, ["/rent/breaks/1/on"]),
        ({"breaks": (replace(BREAK, notice_days=-1),)}, ["/rent/breaks/0/notice_days"]),
        (
            {"breaks": (replace(BREAK, penalty_months=Decimal(-1)),)},
            ["/rent/breaks/0/penalty_months"],
        ),
        ({"deposit": Deposit()}, ["/rent/deposit"]),
        ({"deposit": Deposit(Decimal(1), Decimal(1))}, ["/rent/deposit"]),
        ({"deposit": Deposit(Decimal("0.001"))}, ["/rent/deposit/amount_cny"]),
        ({"deposit": Deposit(months=Decimal(1_000))}, ["/rent/deposit/months"]),
    ],
)
def test_each_rule_names_its_field(changed: dict[str, object], pointers: list[str]) -> None:
    broken = replace(SOUND, **changed)  # type: ignore[arg-type]

    assert [fault.pointer for fault in term_faults(broken, TERM)] == pointers
    with pytest.raises(InvalidInputError) as refused:
        check_terms(broken, TERM, "/lease/rent")
    assert [fault.pointer for fault in refused.value.faults] == [f"/lease{one}" for one in pointers]
    assert all(fault.detail and fault.detail_zh for fault in refused.value.faults)
    assert "/lease" in refused.value.detail
    assert "/lease" in refused.value.detail_zh


def test_no_schedule_is_made_of_unsound_terms() -> None:
    with pytest.raises(InvalidInputError):
        cash_schedule(replace(SOUND, steps=()), TERM, [])


@given(cases())
def test_drawn_leases_are_sound(case: Case) -> None:
    assert term_faults(case.terms, case.term) == []


@pytest.mark.parametrize("quantity", ["-1", "NaN", "Infinity", "1.00001", "1E+12"])
def test_a_quantity_is_a_plain_number(quantity: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        BilledQuantity(START, END, Decimal(quantity))


def test_billed_days_are_some_days() -> None:
    with pytest.raises(ValueError, match="end after they start"):
        BilledQuantity(START, START, Decimal(1))
