"""Input that no honest caller sends, and that once did more harm than a refusal."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.ledger.units.splitting import Part, Split, split_unit
from app.security.actors import Actor, ActorKind, Role
from tests import factories as make
from tests.authz.world import NEEDS

ADMIN = Actor(kind=ActorKind.STAFF, label="tests", role=Role.ADMIN)


def test_the_last_instant_there_is_cannot_be_asked(client: TestClient, session: Session) -> None:
    code = make.make_unit(session).code
    session.commit()
    for path in ("units", f"units/{code}", "free-space"):
        answer = client.get(f"/api/v1/{path}", params={"as_of": "9999-12-31T23:59:59Z"})
        assert answer.status_code == 422, path
        assert answer.json()["errors"][0]["pointer"] == "as_of"


@pytest.mark.parametrize("written", ["20270101", "1798761600", "0", 1798761600, 20270101.0])
def test_a_number_is_neither_a_day_nor_an_instant(
    client: TestClient, session: Session, written: Any
) -> None:
    firm = make.firm_headers(session, make.make_company(session))
    session.commit()
    # The control: what fields are made of reads one of these as a day of 1970, and says nothing.
    assert TypeAdapter(datetime).validate_python("20270101").year == 1970

    days = client.get("/api/v1/free-space", params={"from": written})
    instant = client.get("/api/v1/units", params={"as_of": written})
    asked = client.post("/api/v1/space-requests", json=NEEDS | {"from": written}, headers=firm)

    for answer, pointer in ((days, "from"), (instant, "as_of"), (asked, "/from")):
        assert answer.status_code == 422, answer.text
        assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


def test_an_outline_of_thousands_of_corners_is_refused(
    client: TestClient, session: Session
) -> None:
    unit, staff = make.make_unit(session), make.staff_headers(session)
    session.commit()
    teeth = [[121.6 + n / 1e6, 31.2 + (n % 2) / 1e5] for n in range(600)]
    ring = [*teeth, [121.6006, 31.3], [121.6, 31.3], teeth[0]]
    body = {
        "effective_on": "2027-01-01",
        "leasable_area_m2": 2000,
        "internal_area_m2": 1600,
        "method": "实测",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }

    answer = client.post(f"/api/v1/units/{unit.code}/remeasure", json=body, headers=staff)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/geometry/coordinates"


def right(client: TestClient, staff: dict[str, str], **body: Any) -> Any:
    asked = {"kind": "renewal", "from": "2032-01-01", "until": "2033-01-01", "notice_days": 30}
    return client.post("/api/v1/rights", json=asked | body, headers=staff)


def test_no_rank_is_left_behind_the_last(client: TestClient, session: Session) -> None:
    unit, staff = make.make_unit(session), make.staff_headers(session)
    holders = [str(make.make_company(session).id) for _ in range(2)]
    session.commit()
    units = [str(unit.id)]
    last = right(client, staff, units=units, company_id=holders[0], rank=32_767)

    behind = right(client, staff, units=units, company_id=holders[1], behind=[last.json()["id"]])

    assert behind.status_code == 422, behind.text
    assert behind.json()["errors"][0]["pointer"] == "/rank"


def test_a_tenant_of_a_split_unit_may_be_given_priority_to_renew(
    client: TestClient, session: Session
) -> None:
    unit, staff = make.make_unit(session), make.staff_headers(session)
    lease = make.make_claim(session, unit, date(2027, 1, 1), date(2032, 1, 1))
    parts = [Part(f"{unit.code}-{letter}", leasable_m2=Decimal(1000)) for letter in "AB"]
    split_unit(session, ADMIN, unit.code, Split(date(2029, 1, 1), parts, shares=[0.5, 0.5]))
    session.commit()

    granted = right(client, staff, lease_id=str(lease.commitment_id))

    assert granted.status_code == 201, granted.text


@pytest.mark.parametrize(
    ("method", "path", "taken"),
    [
        ("PATCH", "/api/v1/holds", "GET, POST"),
        ("DELETE", "/api/v1/holds/00000000-0000-4000-8000-000000000000", "GET"),
        # Not the account whose id is "sessions".
        ("PATCH", "/api/v1/staff/sessions", "DELETE, GET"),
        ("GET", "/api/v1/rights/check", "POST"),
    ],
)
def test_a_wrong_method_is_told_which_are_right(
    client: TestClient, method: str, path: str, taken: str
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == taken
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"].endswith("/method-not-allowed")


def test_who_is_nobody_is_told_so_before_accounts_are_locked(
    own_engine: Engine, make_client: Callable[[Engine], TestClient]
) -> None:
    """The public's role of the database may not read them: it was a 500."""
    client = make_client(own_engine)

    answer = client.patch(
        f"/api/v1/staff/{uuid4()}", json={"role": "admin"}, headers={"If-Match": "*"}
    )

    assert answer.status_code == 401, answer.text
