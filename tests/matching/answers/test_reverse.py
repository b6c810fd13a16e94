"""Which requests would take a unit: the same as each request's own matches say, the other way."""

from datetime import date
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.models.space import Unit
from tests.factories import (
    firm_headers,
    make_claim,
    make_company,
    make_floor,
    make_park,
    make_unit,
    staff_headers,
)
from tests.routers.test_matches import CAR_T, FIT, REQUESTS, at_fixed_day

#: Requests that differ in what they would take of the building.
FORMS: dict[str, dict[str, Any]] = {
    "one unit": CAR_T,
    "two units": CAR_T | {"min_area_m2": 3500, "max_area_m2": 4500, "target_area_m2": 4000},
    "too large": CAR_T | {"min_area_m2": 9000, "max_area_m2": 12000},
    "too strict": CAR_T | {"biosafety_level": 3},
    "later": CAR_T | {"from": "2027-06-01", "latest_from": "2027-09-01"},
    "other space": {"unit_type": "hq_rd", "from": "2027-01-01"},
}


@pytest.fixture
def units(session: Session) -> list[Unit]:
    """Three units side by side on a floor; the last is let until June 2027."""
    floor = make_floor(session)
    made = [make_unit(session, floor=floor, slot=slot, slots=3, **FIT) for slot in range(3)]
    make_claim(session, made[2], date(2026, 1, 1), date(2027, 6, 1))
    session.commit()
    return made


@pytest.fixture
def requests(client: TestClient, session: Session, units: list[Unit]) -> dict[str, str]:
    """A request of each form, each of a firm of its own: ids by name."""
    made = {}
    for name, form in FORMS.items():
        headers = firm_headers(session, make_company(session))
        answer = at_fixed_day(client).post(REQUESTS, headers=headers, json=form)
        assert answer.status_code == 201, answer.text
        made[name] = answer.json()["id"]
    return made


def wanted_by(
    client: TestClient, headers: dict[str, str], unit: Unit, **asked: Any
) -> dict[str, Any]:
    answer = client.get(
        f"/api/v1/units/{unit.code}/matching-requests", headers=headers, params=asked
    )
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    return read


@pytest.mark.parametrize("place", range(3))
def test_it_is_what_each_requests_own_matches_say(
    client: TestClient, session: Session, units: list[Unit], requests: dict[str, str], place: int
) -> None:
    staff = staff_headers(session)
    unit = units[place]
    expected = {}
    for name, id_ in requests.items():
        answer = client.post(f"{REQUESTS}/{id_}/matches", headers=staff, json={"k": 100}).json()
        containing = [
            item for item in answer["items"] if unit.code in [one["code"] for one in item["units"]]
        ]
        if containing:
            expected[name] = containing[0]

    found = wanted_by(client, staff, unit)

    names = {id_: name for name, id_ in requests.items()}
    assert {names[one["request_id"]] for one in found["items"]} == set(expected)
    scores = [one["score"] for one in found["items"]]
    assert scores == sorted(scores, reverse=True)
    for one in found["items"]:
        same = expected[names[one["request_id"]]]
        assert one["score"] == same["score"]
        assert one["kind"] == same["kind"]
        assert [unit["code"] for unit in one["units"]] == [unit["code"] for unit in same["units"]]
        assert one["margins"] == same["margins"]
        assert one["first_day"] == same["first_day"]
    assert found["fitting_requests"] == len(expected)
    # Requests for other kinds of space are not even looked at.
    assert found["judged_requests"] == len(FORMS) - 1


def test_who_would_want_what_falls_free_in_june(
    client: TestClient, session: Session, units: list[Unit], requests: dict[str, str]
) -> None:
    staff = staff_headers(session)

    found = wanted_by(client, staff, units[2], **{"from": "2027-06-01"})
    shown = {one["request_id"]: one for one in found["items"]}

    assert requests["later"] in shown
    assert shown[requests["later"]]["first_day"] == "2027-06-01"
    assert requests["two units"] in shown
    assert shown[requests["two units"]]["kind"] == "bundle"
    assert requests["too strict"] not in shown
    later = wanted_by(client, staff, units[2], **{"from": "2027-08-01"})
    assert [one["request_id"] for one in later["items"]] == [requests["later"]]


def test_firms_see_their_own_and_staff_those_of_their_parks(
    client: TestClient, session: Session, units: list[Unit], requests: dict[str, str]
) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)
    mine = at_fixed_day(client).post(REQUESTS, headers=firm, json=CAR_T).json()["id"]

    own = wanted_by(client, firm, units[0])
    every = wanted_by(client, staff_headers(session, park_ids=[units[0].park_id]), units[0])

    assert [one["request_id"] for one in own["items"]] == [mine]
    assert own["items"][0]["company"]["name_zh"] == company.name_zh
    assert mine in [one["request_id"] for one in every["items"]]
    assert len(every["items"]) > 1
    path = f"/api/v1/units/{units[0].code}/matching-requests"
    elsewhere = staff_headers(session, park_ids=[make_park(session).id])
    assert client.get(path, headers=elsewhere).status_code == 403
    assert client.get(path).status_code == 401
    assert client.get("/api/v1/units/nowhere/matching-requests", headers=firm).status_code == 404


def test_withdrawn_requests_want_nothing(
    client: TestClient, session: Session, units: list[Unit], requests: dict[str, str]
) -> None:
    staff = staff_headers(session)
    before = wanted_by(client, staff, units[0])["fitting_requests"]

    gone = client.post(f"{REQUESTS}/{requests['one unit']}/withdraw", headers=staff)

    assert gone.status_code == 200, gone.text
    assert wanted_by(client, staff, units[0])["fitting_requests"] == before - 1
