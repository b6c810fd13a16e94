"""The ledger against plain SQL: what a careless or hostile statement cannot do."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from psycopg import errors as driver_errors
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.models.claim import Claim
from tests import factories as make

START, END = date(2027, 1, 1), date(2028, 1, 1)


def refused(
    session: Session, name: str, attack: Callable[..., Any], *args: Any, **values: Any
) -> None:
    """``attack`` breaks the constraint ``name``, and leaves nothing behind."""
    with pytest.raises(DBAPIError) as caught, session.begin_nested():
        attack(*args, **values)
    cause = caught.value.orig
    assert isinstance(cause, driver_errors.Error)
    assert cause.diag.constraint_name == name, cause


def sql(session: Session, statement: str, **values: Any) -> Any:
    return session.execute(text(statement), values)


def test_a_claim_cannot_be_deleted_or_truncated(session: Session) -> None:
    make.make_claim(session, make.make_unit(session), START, END)

    refused(session, "claims_keep_history", sql, session, "DELETE FROM claims")
    refused(session, "claims_keep_history", sql, session, "TRUNCATE claims")


@pytest.mark.parametrize(
    "change",
    [
        "quantity = quantity - 1",
        "period = daterange('2027-01-01', '2027-02-01')",
        "company_id = NULL, kind = 'works'",
        "kind = 'hold'",
        "unit_id = gen_random_uuid()",
        "commitment_id = gen_random_uuid()",
        "placed_by = 'someone else'",
        "live = tstzrange('2020-01-01', NULL)",
        "live = tstzrange(lower(live), clock_timestamp() + interval '1 hour')",
        "live = 'empty', closed_by = 'x'",
        "live = tstzrange(NULL, clock_timestamp()), closed_by = 'x'",
        "closed_by = 'x'",
        "live = tstzrange(lower(live), clock_timestamp())",
        "was_to_lapse_at = clock_timestamp()",
        "closed_by = 'x', live = tstzrange(lower(live), now()), was_to_lapse_at = now()",
    ],
)
def test_a_claim_cannot_be_edited(session: Session, change: str) -> None:
    make.make_claim(session, make.make_unit(session), START, END)

    refused(
        session,
        "claims_only_close",
        sql,
        session,
        f"UPDATE claims SET {change}",  # noqa: S608
    )


def test_a_claim_is_closed_now_and_once_and_never_as_of_earlier(session: Session) -> None:
    make.make_claim(session, make.make_unit(session), START, END)
    close = "UPDATE claims SET closed_by = 'x', live = tstzrange(lower(live), {})"

    refused(
        session,
        "claims_only_close",
        sql,
        session,
        close.format("clock_timestamp() - interval '1 hour'"),
    )
    sql(session, close.format("clock_timestamp()"))
    refused(session, "claims_only_close", sql, session, close.format("clock_timestamp()"))


def test_what_a_claim_was_to_lapse_at_is_kept_when_it_is_closed(session: Session) -> None:
    unit, now = make.make_unit(session), datetime.now(UTC)
    lapses = now + timedelta(days=2)
    live = Range(now - timedelta(days=1), lapses)
    make.make_claim(session, unit, START, END, kind="hold", live=live)

    sql(
        session,
        "UPDATE claims SET closed_by = 'x', live = tstzrange(lower(live), clock_timestamp())",
    )

    assert sql(session, "SELECT was_to_lapse_at FROM claims").scalar_one() == lapses


def test_a_claim_that_stands_lapses_when_its_belief_ends(session: Session) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)

    refused(
        session,
        "ck_claims_lapse_kept_when_closed",
        make.make_claim,
        session,
        make.make_unit(session),
        START,
        END,
        was_to_lapse_at=soon,
    )


def test_an_expired_hold_cannot_be_closed_or_brought_back(session: Session) -> None:
    now = datetime.now(UTC)
    past = Range(now - timedelta(days=3), now - timedelta(days=1))
    make.make_claim(session, make.make_unit(session), START, END, kind="hold", live=past)

    for upper in ("clock_timestamp()", "clock_timestamp() + interval '1 day'"):
        refused(
            session,
            "claims_only_close",
            sql,
            session,
            f"UPDATE claims SET closed_by = 'x', live = tstzrange(lower(live), {upper})",  # noqa: S608
        )


def test_a_unit_is_not_claimed_twice_on_one_day(session: Session) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, START, END)
    last_day = END - timedelta(days=1)

    refused(
        session,
        "claims_within_capacity",
        make.make_claim,
        session,
        unit,
        last_day,
        END + timedelta(days=9),
    )
    make.make_claim(session, unit, END, None)


def test_without_its_trigger_the_exclusion_constraint_still_stands(session: Session) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, START, END)
    sql(session, "ALTER TABLE claims DISABLE TRIGGER claims_checked")

    refused(session, "ex_claims_whole_unit", make.make_claim, session, unit, START, None)


def test_parts_add_up_to_the_capacity_and_no_further(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    make.make_claim(session, unit, START, END, quantity=Decimal(1500))
    make.make_claim(session, unit, START, END, quantity=Decimal(500))

    refused(
        session,
        "claims_within_capacity",
        make.make_claim,
        session,
        unit,
        START,
        END,
        quantity=Decimal(100),
    )


def test_one_statement_with_many_rows_cannot_overbook_either(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    company = make.make_company(session)

    def at_once() -> None:
        sql(
            session,
            "INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind, quantity,"
            " whole, period, live, placed_by)"
            " SELECT gen_random_uuid(), :park, :unit, :company, 'lease', 800, false,"
            " '[2027-01-01,2028-01-01)', tstzrange(now(), NULL), 'x'"
            " FROM generate_series(1, 3)",
            park=unit.park_id,
            unit=unit.id,
            company=company.id,
        )

    refused(session, "claims_within_capacity", at_once)


def test_copy_cannot_overbook_either(session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    row = (uuid4(), unit.park_id, unit.id, company.id, "lease", 2000, True)

    def copied() -> None:
        cursor = session.connection().connection.cursor()
        with cursor.copy(
            "COPY claims (commitment_id, park_id, unit_id, company_id, kind, quantity, whole,"
            " period, live, placed_by, synthetic) FROM STDIN"
        ) as copy:
            for _ in range(2):
                copy.write_row((*row, "[2027-01-01,2028-01-01)", "[2026-01-01,)", "x", True))

    with pytest.raises(driver_errors.ExclusionViolation) as caught:
        copied()
    assert caught.value.diag.constraint_name == "claims_within_capacity"


def test_a_claim_stays_within_the_days_a_unit_is_usable(session: Session) -> None:
    unit = make.make_unit(session, usable=Range(START, END))

    for start, end in ((START - timedelta(days=1), END), (START, END + timedelta(days=1))):
        refused(
            session,
            "claims_while_usable",
            make.make_claim,
            session,
            unit,
            start,
            end,
        )
    refused(session, "claims_while_usable", make.make_claim, session, unit, START, None)
    make.make_claim(session, unit, START, END)


@pytest.mark.parametrize(
    ("terms", "quantity"),
    [
        ({}, Decimal(500)),
        ({}, Decimal(2001)),
        ({"divisible": True, "min_part": Decimal(300)}, Decimal(299)),
        ({"divisible": True, "min_part": Decimal(300)}, Decimal(2001)),
    ],
)
def test_a_quantity_the_unit_does_not_give_is_refused(
    session: Session, terms: dict[str, Any], quantity: Decimal
) -> None:
    unit = make.make_unit(session, **terms)

    refused(
        session,
        "claims_quantity_allowed",
        make.make_claim,
        session,
        unit,
        START,
        END,
        quantity=quantity,
    )


def test_whole_says_the_truth(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))

    for quantity, whole in ((unit.capacity, False), (Decimal(500), True)):
        refused(
            session,
            "claims_quantity_allowed",
            make.make_claim,
            session,
            unit,
            START,
            END,
            quantity=quantity,
            whole=whole,
        )


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"period": Range(empty=True)}, "ck_claims_period_has_start"),
        ({"period": Range(None, END)}, "claims_while_usable"),
        ({"live": Range(empty=True)}, "ck_claims_live_has_start"),
        ({"live": Range(None, None)}, "ck_claims_live_has_start"),
        ({"kind": "hold"}, "ck_claims_hold_expires"),
        ({"kind": "squat"}, "ck_claims_kind_known"),
        ({"company_id": None}, "ck_claims_promised_to_someone"),
    ],
)
def test_a_claim_without_sense_is_refused(
    session: Session, values: dict[str, Any], name: str
) -> None:
    unit = make.make_unit(session)
    company = make.make_company(session)
    whole: dict[str, Any] = {
        "commitment_id": uuid4(),
        "park_id": unit.park_id,
        "unit_id": unit.id,
        "company_id": company.id,
        "kind": "lease",
        "quantity": unit.capacity,
        "whole": True,
        "period": Range(START, END),
        "live": Range(datetime(2026, 1, 1, tzinfo=UTC), None),
        "placed_by": "tests",
        "synthetic": True,
    }

    refused(session, name, make.add, session, Claim(**(whole | values)))


def test_nobody_believes_a_claim_before_it_is_made(session: Session) -> None:
    unit = make.make_unit(session)
    later = datetime.now(UTC) + timedelta(minutes=1)

    refused(
        session,
        "claims_believed_now",
        make.make_claim,
        session,
        unit,
        START,
        END,
        live=Range(later, None),
    )


def test_nothing_real_was_believed_before_it_was_written(session: Session) -> None:
    unit = make.make_unit(session)
    yesterday = Range(datetime.now(UTC) - timedelta(days=1), None)

    refused(
        session,
        "claims_believed_now",
        make.make_claim,
        session,
        unit,
        START,
        END,
        live=yesterday,
        synthetic=False,
    )


def test_nothing_is_closed_as_of_a_far_day(session: Session) -> None:
    make.make_claim(session, make.make_unit(session), START, END)

    refused(
        session,
        "claims_only_close",
        sql,
        session,
        "UPDATE claims SET closed_by = 'x', live = tstzrange(lower(live), '2999-01-01')",
    )


def test_a_claim_bumps_its_units_version(session: Session) -> None:
    unit = make.make_unit(session)

    make.make_claim(session, unit, START, END)

    session.refresh(unit)
    assert unit.version == 1


def test_a_unit_keeps_what_it_promised_when_its_terms_change(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    make.make_claim(session, unit, START, END, quantity=Decimal(1500))

    for change in (
        "capacity = 1499, leasable_area_m2 = 1499, internal_area_m2 = 1000",
        "usable = daterange('2020-01-01', '2027-12-31')",
        "usable = daterange('2027-01-02', NULL)",
    ):
        refused(
            session,
            "units_keep_promises",
            sql,
            session,
            f"UPDATE units SET {change}",  # noqa: S608
        )
    sql(session, "UPDATE units SET usable = daterange('2027-01-01', '2028-01-01')")
