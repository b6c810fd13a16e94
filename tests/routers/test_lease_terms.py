"""The money of leases over HTTP: terms as they were believed, payments that add up to the fen."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.ledger.rent.schedule import cash_schedule
from app.ledger.tenancy import cash
from app.security.actors import Role
from tests import factories as make

LEASES = "/api/v1/leases"
HOLDS = "/api/v1/holds"
YEAR = {"from": "2027-01-15", "until": "2028-01-15"}
LEVEL = {"first_rate": "3", "day_count": "actual", "payment_months": 12}


def signed(
    client: TestClient, session: Session, units: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """A lease of a new firm, signed by a manager."""
    company = make.make_company(session)
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    body = {"units": units, **YEAR, "company_id": str(company.id), **more}
    answer = client.post(LEASES, json=body, headers=manager)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def schedule(client: TestClient, session: Session, lease: dict[str, Any], **asked: Any) -> Any:
    staff = make.staff_headers(session)
    session.commit()
    answer = client.get(f"{LEASES}/{lease['id']}/schedule", params=asked, headers=staff)
    assert answer.status_code == 200, answer.text
    return answer.json()


def adds_up(money: dict[str, Any]) -> bool:
    amounts = [Decimal(one["amount_cny"]) for one in money["instalments"]]
    return sum(amounts) == Decimal(money["total_cny"]) and all(
        one["amount_cny"] == f"{Decimal(one['amount_cny']):.2f}" for one in money["instalments"]
    )


def test_a_whole_lease_by_hand(client: TestClient, session: Session) -> None:
    """1,234.56 m² internal; a free fit-out of 45 days; +3 % after a year; quarters in advance."""
    unit = make.make_unit(session, area_m2="1500", internal_area_m2=Decimal("1234.56"))
    lease = signed(
        client,
        session,
        [{"unit_id": str(unit.id)}],
        until="2028-04-15",
        terms={
            "basis": "internal",
            "day_count": "actual",
            "payment_months": 3,
            "due_days_before": 7,
            "first_rate": "3.2",
            "escalation": {"every_months": 12, "pct": "3"},
            "rent_free": [{"from": "2027-01-15", "until": "2027-03-01"}],
            "deposit": {"months": "3"},
        },
    )

    money = schedule(client, session, lease)

    # 15 January to 15 April is 90 days, 45 of them free; then 91, 92, 92, and 91 at 3.296.
    assert [(one["from"], one["due_on"]) for one in money["instalments"]] == [
        ("2027-01-15", "2027-01-08"),
        ("2027-04-15", "2027-04-08"),
        ("2027-07-15", "2027-07-08"),
        ("2027-10-15", "2027-10-08"),
        ("2028-01-15", "2028-01-08"),
    ]
    day = Decimal("1234.56") * Decimal("3.2")
    dearer = Decimal("1234.56") * Decimal("3.296")
    exact = [day * 45, day * 91, day * 92, day * 92, dearer * 91]
    assert [Decimal(one["amount_cny"]) for one in money["instalments"]] == [
        Decimal("177776.64"),
        Decimal("359503.87"),
        Decimal("363454.47"),  # 363,454.464, and what was rounded away before: .64, .512, .976
        Decimal("363454.46"),
        Decimal("370288.99"),
    ]
    assert money["total_cny"] == "1634478.43"
    assert abs(sum(exact) - Decimal("1634478.43")) <= Decimal("0.005")
    assert adds_up(money)
    # Three months of 365 / 12 days.
    assert money["deposit_cny"] == f"{(day * 365 / 12 * 3).quantize(Decimal('0.01'))}"
    first = money["instalments"][0]
    assert (first["days"], first["free_days"]) == (90, 45)
    assert [(line["rent_free"], line["days"], line["rate"]) for line in first["lines"]] == [
        (True, 45, "0"),
        (False, 45, "3.2000"),
    ]
    assert {line["quantity"] for line in first["lines"]} == {"1234.56"}
    assert (money["currency"], money["basis"], money["basis_zh"]) == (
        "CNY",
        "internal",
        "套内建筑面积",
    )


def test_money_is_text_and_comes_back_as_it_was_said(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    terms = {
        "steps": [
            {"from": "2027-01-15", "rate": "3.2000"},
            {"from": "2027-07-15", "rate": "3.3"},
        ],
        "deposit": {"amount_cny": "123456.70"},
        "breaks": [
            {"on": "2027-07-15", "by": "either", "notice_days": 90, "penalty_months": "1.5"}
        ],
    }

    lease = signed(client, session, [{"unit_id": str(unit.id)}], terms=terms)

    shown = lease["terms"]
    assert shown["steps"] == terms["steps"]
    assert shown["deposit"] == {"amount_cny": "123456.70", "months": None}
    assert shown["breaks"] == terms["breaks"]
    assert schedule(client, session, lease)["deposit_cny"] == "123456.70"


@pytest.mark.parametrize(
    ("basis", "quantity", "billed"),
    [
        ("leasable", None, "2000.00"),
        ("internal", None, "1640.00"),
        ("leasable", 700, "700.00"),
        ("internal", 700, "574.00"),
        ("internal", "333.33", "273.33"),  # 273.3306
    ],
)
def test_a_part_is_billed_on_its_share_of_the_area(
    client: TestClient, session: Session, basis: str, quantity: Any, billed: str
) -> None:
    unit = make.make_unit(session, divisible=True, min_part=300, remainder_rule="any")
    lease = signed(
        client,
        session,
        [{"unit_id": str(unit.id), "quantity": quantity}],
        terms={**LEVEL, "basis": basis},
    )

    money = schedule(client, session, lease)

    (only,) = money["instalments"]
    assert only["lines"][0]["quantity"] == billed
    assert money["total_cny"] == f"{Decimal(billed) * 3 * 365:.2f}"


def test_places_are_billed_by_the_place_and_month(client: TestClient, session: Session) -> None:
    room = make.make_unit(
        session,
        capacity_measure="place",
        capacity=40,
        divisible=True,
        min_part=1,
    )
    lease = signed(
        client,
        session,
        [{"unit_id": str(room.id), "quantity": 12}],
        terms={"basis": "places", "first_rate": "1500", "payment_months": 1},
    )

    money = schedule(client, session, lease)

    assert {one["amount_cny"] for one in money["instalments"]} == {"18000.00"}
    assert (len(money["instalments"]), money["total_cny"]) == (12, "216000.00")


def test_two_units_add_up_and_an_extension_goes_on_with_the_rise(
    client: TestClient, session: Session
) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=2, area_m2="1000") for n in (0, 1)]
    lease = signed(
        client,
        session,
        [{"unit_id": str(unit.id)} for unit in units],
        terms={**LEVEL, "escalation": {"every_months": 12, "pct": "10"}},
    )
    assert schedule(client, session, lease)["total_cny"] == f"{2000 * 3 * 365}.00"

    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    client.post(f"{LEASES}/{lease['id']}/extend", json={"until": "2029-01-15"}, headers=manager)

    money = schedule(client, session, lease)
    assert [one["amount_cny"] for one in money["instalments"]] == [
        f"{2000 * 3 * 365}.00",
        f"{Decimal('3.3') * 2000 * 366:.2f}",
    ]
    client.post(
        f"{LEASES}/{lease['id']}/terminate",
        json={"on": "2028-01-16", "reason": "协商一致"},
        headers=manager,
    )
    cut = schedule(client, session, lease)
    assert [one["amount_cny"] for one in cut["instalments"]] == [
        f"{2000 * 3 * 365}.00",
        "6600.00",
    ]
    assert adds_up(money)
    assert adds_up(cut)


def test_a_late_correction_keeps_the_old_answer(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    lease = signed(client, session, [{"unit_id": str(unit.id)}])
    manager = make.staff_headers(session, Role.MANAGER)
    path = f"{LEASES}/{lease['id']}"
    session.commit()

    def instant() -> str:
        found: str = session.execute(select(func.clock_timestamp())).scalar_one().isoformat()
        return found

    def record(rate: str) -> None:
        answer = client.post(
            f"{path}/terms", json={"terms": {**LEVEL, "first_rate": rate}}, headers=manager
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["terms"]["first_rate"] == rate

    def total(as_of: str | None = None) -> str:
        asked = {} if as_of is None else {"as_of": as_of}
        answer = client.get(f"{path}/schedule", params=asked, headers=manager)
        if answer.status_code == 404:
            return str(answer.json()["type"])
        return str(answer.json()["total_cny"])

    without = instant()
    record("3")
    first = instant()
    record("4")
    corrected = instant()
    client.post(
        f"{path}/terminate", json={"on": "2027-01-16", "reason": "协商一致"}, headers=manager
    )

    assert total(without) == "/problems/no-lease-terms"
    assert total(first) == f"{3 * 2000 * 365}.00"
    assert total(corrected) == f"{4 * 2000 * 365}.00"
    assert total() == "8000.00"
    read = client.get(f"{path}/terms", params={"as_of": first}, headers=manager).json()
    assert read["terms"]["first_rate"] == "3"
    assert read["known_from"] < first
    now = client.get(f"{path}/terms", headers=manager).json()
    assert now["terms"]["first_rate"] == "4"
    assert now["known_from"] > first


def test_the_area_is_that_known_at_the_instant(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    lease = signed(
        client, session, [{"unit_id": str(unit.id)}], terms={**LEVEL, "basis": "internal"}
    )
    before = session.execute(select(func.clock_timestamp())).scalar_one()
    unit.internal_area_m2 = Decimal(1700)
    session.commit()

    assert schedule(client, session, lease)["total_cny"] == f"{1700 * 3 * 365}.00"
    then = schedule(client, session, lease, as_of=before.isoformat())
    assert then["total_cny"] == f"{1640 * 3 * 365}.00"


def test_a_hold_is_confirmed_on_terms_or_not_at_all(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    agent, firm = make.staff_headers(session, Role.AGENT), make.firm_headers(session, company)
    session.commit()
    body = {"units": [{"unit_id": str(unit.id)}], **YEAR}
    path = client.post(HOLDS, json=body, headers=firm).headers["location"]
    late = {**LEVEL, "rent_free": [{"from": "2027-12-01", "until": "2028-02-01"}]}

    refused = client.post(f"{path}/confirm", json={"terms": late}, headers=agent)
    state = client.get(path, headers=firm).json()["state"]
    answer = client.post(f"{path}/confirm", json={"terms": LEVEL}, headers=agent)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/terms/rent_free/0/until"
    assert state == "held"
    assert answer.status_code == 200, answer.text
    assert answer.json()["terms"]["first_rate"] == "3"
    assert schedule(client, session, answer.json())["total_cny"] == f"{3 * 2000 * 365}.00"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({}, "/terms/steps"),
    ({"first_rate": "3", "steps": [{"from": "2027-01-15", "rate": "3"}]}, "/terms/first_rate"),
    (
        {
            "steps": [{"from": "2027-01-15", "rate": "3"}],
            "escalation": {"every_months": 12, "pct": "3"},
        },
        "/terms/escalation",
    ),
    ({"steps": [{"from": "2027-02-01", "rate": "3"}]}, "/terms/steps/0/from"),
    ({"first_rate": "3.00001"}, "/terms/first_rate"),
    ({"first_rate": "-1"}, "/terms/first_rate"),
    ({"first_rate": "NaN"}, "/terms/first_rate"),
    ({"first_rate": "1e9"}, "/terms/first_rate"),
    ({"first_rate": "3", "payment_months": 4}, "/terms/payment_months"),
    ({"first_rate": "3", "currency": "USD"}, "/terms/currency"),
    ({"first_rate": "3", "basis": "places"}, "/terms/basis"),
    ({"first_rate": "3", "basis": "places", "day_count": "actual"}, "/terms/day_count"),
    ({"first_rate": "3", "deposit": {}}, "/terms/deposit"),
    ({"first_rate": "3", "deposit": {"months": "2", "amount_cny": "5"}}, "/terms/deposit"),
    ({"first_rate": "3", "breaks": [{"on": "2028-01-15", "by": "tenant"}]}, "/terms/breaks/0/on"),
    ({"first_rate": "3", "rent_fee": []}, "/terms/rent_fee"),
    (
        {
            "first_rate": "3",
            "steps": [],
            "rent_free": [{"from": "2027-02-01", "until": "2027-02-01"}],
        },
        "/terms/rent_free/0/until",
    ),
    (
        {"steps": [{"from": "2027-01-15", "rate": "3"}] * 101},
        "/terms/steps",
    ),
    (
        {"first_rate": "999999", "escalation": {"every_months": 1, "pct": "99"}},
        "/terms/escalation/pct",
    ),
]


@pytest.mark.parametrize(("terms", "pointer"), FAULTS)
def test_unsound_terms_are_refused_where_they_are_wrong(
    client: TestClient, session: Session, terms: dict[str, Any], pointer: str
) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    body = {"units": [{"unit_id": str(unit.id)}], **YEAR, "company_id": str(company.id)}

    answer = client.post(LEASES, json={**body, "terms": terms}, headers=manager)
    lease = client.post(LEASES, json=body, headers=manager).json()
    later = client.post(f"{LEASES}/{lease['id']}/terms", json={"terms": terms}, headers=manager)

    for refused in (answer, later):
        assert refused.status_code == 422, refused.text
        faults = refused.json()["errors"]
        assert pointer in [fault["pointer"] for fault in faults], faults
        assert all(fault["detail_zh"] for fault in faults)


def test_rises_are_not_more_than_a_list_may_hold(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    answer = client.post(
        LEASES,
        json={
            "units": [{"unit_id": str(unit.id)}],
            "from": "2027-01-15",
            "until": "2047-01-15",
            "company_id": str(make.make_company(session).id),
            "terms": {"first_rate": "3", "escalation": {"every_months": 2, "pct": "1"}},
        },
        headers=make.staff_headers(session, Role.MANAGER),
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/terms/escalation/every_months"


def test_a_lease_without_an_end_is_asked_with_a_horizon_that_changes_no_amount(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    lease = signed(
        client,
        session,
        [{"unit_id": str(unit.id)}],
        until=None,
        terms={"first_rate": "3", "escalation": {"every_months": 5, "pct": "2"}},
    )
    staff = make.staff_headers(session)
    session.commit()
    path = f"{LEASES}/{lease['id']}/schedule"

    refused = client.get(path, headers=staff)
    endless = client.get(path, params={"until": "2999-01-01"}, headers=staff)
    short = schedule(client, session, lease, until="2028-01-01")
    longer = schedule(client, session, lease, until="2029-01-01")

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "until")
    assert endless.status_code == 422
    assert short["instalments"] == longer["instalments"][: len(short["instalments"])]
    assert len(longer["instalments"]) > len(short["instalments"])
    assert adds_up(short)
    assert adds_up(longer)


def test_more_payments_than_a_century_are_asked_in_parts(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    lease = signed(
        client,
        session,
        [{"unit_id": str(unit.id)}],
        until="2999-01-01",
        terms={"first_rate": "3", "payment_months": 1},
    )
    staff = make.staff_headers(session)
    session.commit()

    refused = client.get(f"{LEASES}/{lease['id']}/schedule", headers=staff)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "until")
    part = schedule(client, session, lease, until="2126-12-01")
    assert len(part["instalments"]) == 1199


def test_rent_by_the_place_is_not_asked_of_what_was_remade_into_square_metres(
    client: TestClient, session: Session
) -> None:
    room = make.make_unit(
        session, capacity_measure="place", capacity=Decimal(2000), divisible=True, min_part=1
    )
    lease = signed(
        client, session, [{"unit_id": str(room.id)}], terms={"basis": "places", "first_rate": "9"}
    )
    room.capacity_measure = "m2"
    staff = make.staff_headers(session)
    session.commit()

    refused = client.get(f"{LEASES}/{lease['id']}/schedule", headers=staff)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/terms/basis"


def test_payments_that_do_not_add_up_are_never_answered(
    client: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the sum: a schedule that lost a fen is an error of ours, not an answer."""
    unit = make.make_unit(session)
    lease = signed(client, session, [{"unit_id": str(unit.id)}], terms=LEVEL)
    right = cash_schedule

    def a_fen_short(*args: Any, **more: Any) -> Any:
        made = right(*args, **more)
        return type(made)(made.currency, made.instalments, made.total_cny - Decimal("0.01"))

    staff = make.staff_headers(session)
    session.commit()
    monkeypatch.setattr(cash, "cash_schedule", a_fen_short)

    assert client.get(f"{LEASES}/{lease['id']}/schedule", headers=staff).status_code == 500


def test_a_lease_over_a_change_of_size_is_billed_for_each_side(
    client: TestClient, session: Session
) -> None:
    """As re-measured from 15 July on: 1,640 m² internal before, 1,500 m² after."""
    unit = make.make_unit(session)
    lease = signed(
        client, session, [{"unit_id": str(unit.id)}], terms={**LEVEL, "basis": "internal"}
    )
    make.make_change(session, unit, date(2027, 7, 15), internal_area_m2=Decimal(1500))
    session.commit()

    money = schedule(client, session, lease)

    lines = [(line["days"], line["quantity"]) for line in money["instalments"][0]["lines"]]
    assert lines == [(181, "1640.00"), (184, "1500.00")]
    assert money["total_cny"] == f"{(181 * 1640 + 184 * 1500) * 3}.00"
