"""Promises whose units were split or merged under them go on like any others."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.ledger.units.merging import Merger, merge_units
from app.ledger.units.splitting import Part, Split, split_unit
from app.models.space import Unit
from app.security.actors import Actor, ActorKind, Role
from tests import factories as make

STAFF = Actor(kind=ActorKind.STAFF, label="tests", role=Role.ADMIN)
LIVE = text("""
    SELECT u.code, c.kind, lower(c.period) AS start, upper(c.period) AS until, c.quantity
    FROM claims c JOIN units u ON u.id = c.unit_id
    WHERE c.live @> clock_timestamp() ORDER BY start, u.code""")


def split(session: Session, unit: Unit, on: date) -> list[Unit]:
    codes = [f"{unit.code}-{letter}" for letter in "AB"]
    parts = [Part(code, leasable_m2=Decimal(1000)) for code in codes]
    split_unit(session, STAFF, str(unit.id), Split(on, parts, shares=[0.5, 0.5]))
    session.commit()
    return list(session.scalars(select(Unit).where(Unit.code.in_(codes)).order_by(Unit.code)))


@pytest.fixture
def lease(client: TestClient, session: Session) -> dict[str, Any]:
    """Four years of a whole unit, 60 days to clear it, split in the second year."""
    unit, company = make.make_unit(session), make.make_company(session)
    staff = make.staff_headers(session)
    session.commit()
    body = {
        "units": [{"unit_id": str(unit.id)}],
        "company_id": str(company.id),
        "from": "2027-01-01",
        "until": "2031-01-01",
        "clearing_days": 60,
    }
    signed = client.post("/api/v1/leases", json=body, headers=staff)
    assert signed.status_code == 201, signed.text
    split(session, unit, date(2028, 7, 1))
    return {"id": signed.json()["id"], "code": unit.code, "staff": staff}


def rows(session: Session) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(LIVE)]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        pytest.param(
            date(2028, 6, 1),
            [
                ("", "lease", date(2027, 1, 1), date(2028, 6, 1), 2000),
                ("", "clearing", date(2028, 6, 1), date(2028, 7, 1), 2000),
                ("-A", "clearing", date(2028, 7, 1), date(2028, 7, 31), 1000),
                ("-B", "clearing", date(2028, 7, 1), date(2028, 7, 31), 1000),
            ],
            id="clearing runs over into the children",
        ),
        pytest.param(
            date(2028, 1, 1),
            [
                ("", "lease", date(2027, 1, 1), date(2028, 1, 1), 2000),
                ("", "clearing", date(2028, 1, 1), date(2028, 3, 1), 2000),
            ],
            id="all is over before the split",
        ),
        pytest.param(
            date(2029, 1, 1),
            [
                ("", "lease", date(2027, 1, 1), date(2028, 7, 1), 2000),
                ("-A", "lease", date(2028, 7, 1), date(2029, 1, 1), 1000),
                ("-B", "lease", date(2028, 7, 1), date(2029, 1, 1), 1000),
                ("-A", "clearing", date(2029, 1, 1), date(2029, 3, 2), 1000),
                ("-B", "clearing", date(2029, 1, 1), date(2029, 3, 2), 1000),
            ],
            id="it ends in the children",
        ),
    ],
)
def test_a_lease_that_ends_early_clears_what_it_had(
    client: TestClient,
    session: Session,
    lease: dict[str, Any],
    on: date,
    expected: list[tuple[Any, ...]],
) -> None:
    answer = client.post(
        f"/api/v1/leases/{lease['id']}/terminate",
        json={"on": str(on), "reason": "协商一致"},
        headers=lease["staff"],
    )

    assert answer.status_code == 200, answer.text
    assert rows(session) == [
        (lease["code"] + suffix, kind, start, until, quantity)
        for suffix, kind, start, until, quantity in expected
    ]


def test_a_merged_hold_that_lapses_has_lapsed_not_been_released(
    client: TestClient, session: Session
) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=slot, slots=2) for slot in range(2)]
    now = datetime.now(UTC)
    commitment = make.make_claim(
        session,
        units[0],
        date(2031, 1, 1),
        date(2032, 1, 1),
        kind="hold",
        live=Range(now - timedelta(hours=1), now + timedelta(seconds=1)),
    )
    make.make_claim(
        session,
        units[1],
        date(2031, 1, 1),
        date(2032, 1, 1),
        kind="hold",
        commitment_id=commitment.commitment_id,
        company_id=commitment.company_id,
        live=commitment.live,
    )
    merge_units(
        session, STAFF, Merger(date(2030, 1, 1), [unit.code for unit in units], "merged-hold")
    )
    staff = make.staff_headers(session)
    session.commit()
    session.execute(text("SELECT pg_sleep(1)"))

    hold = f"/api/v1/holds/{commitment.commitment_id}"
    lapsed = client.get(hold, headers=staff).json()
    confirmed = client.post(f"{hold}/confirm", headers=staff)

    assert (lapsed["state"], lapsed["released_at"]) == ("expired", None)
    assert confirmed.json()["type"] == "/problems/hold-expired"
