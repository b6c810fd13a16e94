"""Companies and pipelines over HTTP: who may do what, and what the answers say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.security.actors import Role, Scope
from tests.factories import credit_code, firm_headers, make_company, staff_headers

COMPANIES = "/api/v1/companies"


class FixedClock:
    """Noon in Shanghai on 1 November 2026."""

    def now(self) -> datetime:
        return datetime(2026, 11, 1, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fixed_day(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    app.state.clock = FixedClock()


def new_company(serial: int, **values: Any) -> dict[str, Any]:
    return {
        "name_zh": "示例生物（合成）",
        "unified_social_credit_code": credit_code(serial),
        "headcount_now": 12,
        **values,
    }


def test_staff_register_a_firm_and_find_it_again(client: TestClient, session: Session) -> None:
    staff = staff_headers(session, Role.AGENT)

    made = client.post(COMPANIES, headers=staff, json=new_company(9_000_001))

    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{COMPANIES}/{made.json()['id']}"
    assert client.get(made.headers["location"], headers=staff).json() == made.json()
    listed = client.get(COMPANIES, headers=staff, params={"name": "示例生物"}).json()
    assert (listed["items"], listed["next_cursor"]) == ([made.json()], None)


def test_the_same_code_twice_is_a_conflict(client: TestClient, session: Session) -> None:
    staff = staff_headers(session)
    client.post(COMPANIES, headers=staff, json=new_company(9_000_002))

    again = client.post(COMPANIES, headers=staff, json=new_company(9_000_002))

    assert again.status_code == 409
    assert again.json()["type"] == "/problems/company-exists"


def test_a_wrong_check_digit_is_refused_with_the_right_one(
    client: TestClient, session: Session
) -> None:
    code = credit_code(9_000_003)
    slip = code[:-1] + ("0" if code[-1] != "0" else "1")

    answer = client.post(
        COMPANIES,
        headers=staff_headers(session),
        json=new_company(1, unified_social_credit_code=slip),
    )

    assert answer.status_code == 422
    fault = answer.json()["errors"][0]
    assert fault["pointer"] == "/unified_social_credit_code"
    assert f"must be '{code[-1]}'" in fault["detail"]


def test_who_may_not(client: TestClient, session: Session) -> None:
    own, other = make_company(session), make_company(session)
    firm, viewer = firm_headers(session, own), staff_headers(session, Role.VIEWER)
    session.commit()  # a refused write rolls back to here

    assert client.get(COMPANIES).status_code == 401
    assert client.post(COMPANIES, json=new_company(9_000_004)).status_code == 401
    assert client.post(COMPANIES, headers=firm, json=new_company(9_000_004)).status_code == 403
    assert client.post(COMPANIES, headers=viewer, json=new_company(9_000_004)).status_code == 403
    assert client.get(f"{COMPANIES}/{other.id}", headers=firm).status_code == 404
    assert client.get(f"{COMPANIES}/{own.id}", headers=firm).status_code == 200
    listed = client.get(COMPANIES, headers=firm).json()["items"]
    assert [item["id"] for item in listed] == [str(own.id)]
    foreign = f"{COMPANIES}/{other.id}/pipeline-assets"
    assert client.get(foreign, headers=firm).status_code == 404
    posted = client.post(foreign, headers=firm, json={"name": "X", "modality": "car_t"})
    assert posted.status_code == 404


def test_a_key_without_the_scope_does_not_write(client: TestClient, session: Session) -> None:
    company = make_company(session)
    reader = firm_headers(session, company, (Scope.REQUESTS_READ,))

    answer = client.post(
        f"{COMPANIES}/{company.id}/pipeline-assets",
        headers=reader,
        json={"name": "X", "modality": "car_t"},
    )

    assert answer.status_code == 403


def test_unknown_members_are_refused(client: TestClient, session: Session) -> None:
    answer = client.post(
        COMPANIES, headers=staff_headers(session), json=new_company(9_000_005, nmae="slip")
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/nmae"


def test_a_firm_keeps_its_pipeline(client: TestClient, session: Session) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)
    assets = f"{COMPANIES}/{company.id}/pipeline-assets"

    made = client.post(
        assets,
        headers=firm,
        json={
            "name": "CT-101",
            "modality": "car_t",
            "indication": "r/r B-ALL",
            "stages": [
                {"stage": "ind", "entered_on": "2026-03-01"},
                {"stage": "phase_1", "entered_on": "2028-01-01", "expected": True},
            ],
        },
    )

    assert made.status_code == 201, made.text
    asset = made.json()
    assert (asset["current_stage"], asset["next_stage"]) == ("ind", "phase_1")
    assert asset["next_stage_on"] == "2028-01-01"
    assert client.get(f"{assets}/{asset['id']}", headers=firm).json() == asset
    assert client.get(assets, headers=firm).json()["items"] == [asset]

    entered = client.post(
        f"{assets}/{asset['id']}/stages",
        headers=firm,
        json={"stage": "phase_1", "entered_on": "2026-11-01"},
    )
    assert entered.status_code == 201
    assert entered.json()["current_stage"] == "phase_1"
    assert len(entered.json()["stages"]) == 3


@pytest.mark.parametrize(
    ("entry", "pointer"),
    [
        ({"stage": "phase_1", "entered_on": "2026-11-02"}, "/entered_on"),
        ({"stage": "phase_1", "entered_on": "2026-10-01", "expected": True}, "/entered_on"),
        ({"stage": "discovery", "entered_on": "2026-10-01"}, "/stage"),
        ({"stage": "cured", "entered_on": "2026-10-01"}, "/stage"),
    ],
)
def test_a_history_that_does_not_hold_is_refused(
    client: TestClient, session: Session, entry: dict[str, Any], pointer: str
) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)
    assets = f"{COMPANIES}/{company.id}/pipeline-assets"
    asset = client.post(
        assets,
        headers=firm,
        json={
            "name": "CT-102",
            "modality": "car_t",
            "stages": [{"stage": "ind", "entered_on": "2026-03-01"}],
        },
    ).json()

    answer = client.post(f"{assets}/{asset['id']}/stages", headers=firm, json=entry)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert client.get(f"{assets}/{asset['id']}", headers=firm).json() == asset


def test_a_product_name_is_used_once(client: TestClient, session: Session) -> None:
    company = make_company(session)
    staff = staff_headers(session)
    path = f"{COMPANIES}/{company.id}/pipeline-assets"
    body = {"name": "CT-103", "modality": "car_t"}
    client.post(path, headers=staff, json=body)

    again = client.post(path, headers=staff, json=body)

    assert again.status_code == 409
    assert again.json()["type"] == "/problems/pipeline-asset-exists"
