"""A dry run answers what would be done, or why not, and leaves nothing behind."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.routers import dependencies
from app.security.idempotency import Answer
from tests.factories import firm_headers, make_company, make_unit, staff_headers

API = "/api/v1"
MakeClient = Callable[..., TestClient]
DAYS = {"from": "2031-01-01", "until": "2033-01-01"}
DRY = {"dry_run": "true"}
_COUNTS = text(
    "SELECT relname, (xpath('/row/c/text()', query_to_xml("
    "format('SELECT count(*) AS c FROM %I.%I', nspname, relname), false, true, '')))[1]::text"
    " AS rows"
    " FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE relkind = 'r' AND nspname IN ('public', 'jobs')"
)


def everything(engine: Engine) -> dict[str, str]:
    """How many rows each table has."""
    with engine.connect() as connection:
        return {row.relname: row.rows for row in connection.execute(_COUNTS)}


@pytest.fixture
def rehearse(own_engine: Engine, make_client: MakeClient) -> Callable[[], list[Any]]:
    """Rehearses writes of several rooms, with keys to repeat them by."""
    with Session(own_engine) as session:
        company, unit = make_company(session), make_unit(session)
        firm, staff = firm_headers(session, company), staff_headers(session)
        order = {"units": [{"unit_id": str(unit.id)}], **DAYS}
        company_id = str(company.id)
        session.commit()
    client = make_client(own_engine, webhook_allow_loopback=True)
    client.get(f"{API}/holds", headers=firm)
    client.get(f"{API}/holds", headers=staff)
    hook = {"url": "http://127.0.0.1:9999/x", "events": ["hold.placed"]}
    asked = {"unit_type": "pilot", "min_area_m2": 500, "from": "2031-01-01"}
    calls = [
        ("holds", firm, order),
        ("leases", staff, order | {"company_id": company_id}),
        ("space-requests", firm, asked),
        ("webhook-endpoints", firm, hook),
        ("keys", firm, {"label": "second", "scopes": ["requests:read"]}),
        (f"companies/{company_id}/pipeline-assets", firm, {"name": "CT-1", "modality": "car_t"}),
    ]

    def all_of_them() -> list[Any]:
        return [
            client.post(
                f"{API}/{path}",
                headers=headers | {"Idempotency-Key": path},
                json=body,
                params=DRY,
            )
            for path, headers, body in calls
        ]

    return all_of_them


def test_nothing_stays_of_it(own_engine: Engine, rehearse: Callable[[], list[Any]]) -> None:
    before = everything(own_engine)
    answers = rehearse()
    assert [answer.status_code for answer in answers] == [200] * 6, [a.text for a in answers]
    assert {answer.headers["dry-run"] for answer in answers} == {"true"}
    assert everything(own_engine) == before
    # What was made up for it is not shown: no secret that no row knows.
    assert [answer.json().get("secret") for answer in answers] == [None] * 6
    assert [answer.json().get("key") for answer in answers] == [None] * 6
    assert [
        name for answer in answers for name in ("location", "etag") if name in answer.headers
    ] == []


def test_a_rehearsal_that_commits_is_seen(
    own_engine: Engine, rehearse: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control arm."""

    def commits(session: Session, work: Callable[[], Answer]) -> Answer:
        with transaction(session):
            return work()

    monkeypatch.setattr(dependencies, "rehearse", commits)
    before = everything(own_engine)
    rehearse()
    assert everything(own_engine) != before


def test_it_refuses_what_the_call_would_refuse_and_keys_stay_free(
    session: Session, make_client: MakeClient
) -> None:
    unit, company = make_unit(session), make_company(session)
    firm = firm_headers(session, company)
    other = firm_headers(session, make_company(session))
    session.commit()
    client = make_client(session)
    order = {"units": [{"unit_id": str(unit.id)}], **DAYS}
    key = {"Idempotency-Key": "the hold"}

    tried = client.post(f"{API}/holds", params=DRY, headers=firm | key, json=order)
    assert tried.json()["state"] == "held"
    done = client.post(f"{API}/holds", headers=firm | key, json=order)
    assert (done.status_code, "idempotency-replayed" in done.headers) == (201, False)
    late = client.post(f"{API}/holds", params=DRY, headers=other, json=order)
    assert (late.status_code, late.json()["type"]) == (409, "/problems/unit-occupied")
    hold = f"{API}/holds/{done.json()['id']}"
    stale = client.post(f"{hold}/release", params=DRY, headers=firm | {"If-Match": '"0"'})
    assert stale.status_code == 412
    freed = client.post(f"{hold}/release", params=DRY, headers=firm)
    assert freed.json()["state"] == "released"
    assert client.get(hold, headers=firm).json()["state"] == "held"


def test_what_cannot_be_undone_is_not_rehearsed(session: Session, make_client: MakeClient) -> None:
    staff = staff_headers(session)
    session.commit()
    client = make_client(session)
    approve = f"{API}/approvals/00000000-0000-0000-0000-000000000001/approve"
    refused = client.post(approve, params=DRY, headers=staff)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "dry_run")
