"""The ledger's rows over HTTP: whose they are to see, filters, pages, and what was known."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from fastapi.testclient import TestClient
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.routers.claims import ClaimList
from app.security.actors import Role
from tests import factories as make

CLAIMS = "/api/v1/claims"


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def test_firms_see_their_own_and_staff_those_of_their_parks(
    client: TestClient, session: Session
) -> None:
    here, there = make.make_unit(session), make.make_unit(session)
    mine, theirs = make.make_company(session), make.make_company(session)
    my_claim = make.make_claim(session, here, date(2027, 1, 1), None, company_id=mine.id)
    their_claim = make.make_claim(session, there, date(2028, 1, 1), None, company_id=theirs.id)
    works = make.make_claim(session, there, date(2027, 6, 1), date(2027, 7, 1), kind="works")
    session.commit()

    by_firm = client.get(CLAIMS, headers=make.firm_headers(session, mine))
    by_admin = client.get(CLAIMS, headers=make.staff_headers(session))
    by_agent = client.get(
        CLAIMS, headers=make.staff_headers(session, Role.AGENT, park_ids=[there.park_id])
    )

    assert client.get(CLAIMS).status_code == 401
    assert ids(by_firm) == [str(my_claim.id)]
    assert ids(by_admin) == [str(my_claim.id), str(works.id), str(their_claim.id)]
    assert ids(by_agent) == [str(works.id), str(their_claim.id)]
    assert "name_zh" not in by_firm.json()["items"][0]
    assert by_admin.json()["items"][0]["company_name_zh"] == mine.name_zh
    for answer in (by_firm, by_admin, by_agent):
        ClaimList.model_validate_json(answer.content)
    hidden = client.get(
        CLAIMS, params={"company": str(theirs.id)}, headers=make.firm_headers(session, mine)
    )
    assert hidden.status_code == 404


def test_filters_and_half_open_periods(client: TestClient, session: Session) -> None:
    unit, other = make.make_unit(session), make.make_unit(session)
    company = make.make_company(session)
    lease = make.make_claim(
        session, unit, date(2027, 1, 1), date(2028, 1, 1), company_id=company.id
    )
    works = make.make_claim(session, other, date(2028, 1, 1), None, kind="works")
    staff = make.staff_headers(session)

    def found(**asked: Any) -> list[str]:
        return ids(client.get(CLAIMS, params=asked, headers=staff))

    assert found(unit=str(unit.id)) == [str(lease.id)]
    assert found(company=str(company.id)) == [str(lease.id)]
    assert found(kind="works") == [str(works.id)]
    assert found(kind=["works", "lease"]) == [str(lease.id), str(works.id)]
    assert found(**{"from": "2028-01-01"}) == [str(works.id)]
    assert found(until="2028-01-01") == [str(lease.id)]
    assert found(**{"from": "2027-12-31", "until": "2028-01-02"}) == [str(lease.id), str(works.id)]
    assert found(unit=str(uuid4())) == []
    for wrong in ({"from": "2028-01-01", "until": "2028-01-01"}, {"kind": "squat"}, {"units": "x"}):
        assert client.get(CLAIMS, params=wrong, headers=staff).status_code == 422


def test_what_was_known_then(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    now = datetime.now(UTC)
    lapsed = make.make_claim(
        session,
        unit,
        date(2027, 1, 1),
        None,
        kind="hold",
        live=Range(now - timedelta(days=9), now - timedelta(days=6)),
    )
    lease = make.make_claim(
        session, unit, date(2027, 1, 1), None, live=Range(now - timedelta(days=2), None)
    )
    staff = make.staff_headers(session)

    def known(days_ago: int) -> list[str]:
        asked = {"as_of": (now - timedelta(days=days_ago)).isoformat()}
        return ids(client.get(CLAIMS, params=asked, headers=staff))

    assert [known(days) for days in (10, 9, 7, 6, 3, 2, 0)] == [
        [],
        [str(lapsed.id)],
        [str(lapsed.id)],
        [],
        [],
        [str(lease.id)],
        [str(lease.id)],
    ]
    assert ids(client.get(CLAIMS, headers=staff)) == [str(lease.id)]


def test_pages_lose_and_repeat_nothing(client: TestClient, session: Session) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=7) for n in range(7)]
    made = [make.make_claim(session, unit, date(2027, 1, 1), None) for unit in units]
    staff = make.staff_headers(session)
    seen: list[str] = []
    cursor: str | None = None

    while True:
        asked = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = client.get(CLAIMS, params=asked, headers=staff)
        seen += ids(answer)
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break

    assert sorted(seen) == sorted(str(claim.id) for claim in made)
    assert len(seen) == len(set(seen))
    stray = client.get(CLAIMS, params={"cursor": "bm8"}, headers=staff)
    assert stray.status_code == 422
