"""What was written since: every listing of firms tells it, and loses nothing to slow writers."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import ColumnElement, Engine, FromClause, bindparam, text, update
from sqlalchemy.orm import Session

from app.database import paging
from app.database.changes import Horizon, Since
from app.models.company import SpaceRequest
from tests.factories import ANY, firm_headers, make_company, make_unit, staff_headers

API = "/api/v1"
REQUESTS = f"{API}/space-requests"
ASKED = {"unit_type": "pilot", "min_area_m2": 500, "from": "2031-01-01"}
DAYS = {"from": "2031-01-01", "until": "2033-01-01"}
MakeClient = Callable[..., TestClient]


class _ByTime(Since):
    """The control arm: rows by the time that their writer's transaction began."""

    def wrote(self, table: FromClause) -> ColumnElement[bool]:
        asked_at = datetime.fromtimestamp(self.number / 1e6, UTC)
        return table.c.updated_at >= bindparam(None, asked_at)


def _by_time(session: Session, token: str | None) -> Horizon:
    now = session.execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1e6")).scalar_one()
    return Horizon(None if token is None else _ByTime(int(token), 0), str(int(now)))


@pytest.mark.parametrize("by_time", [False, True])
def test_a_writer_that_commits_late_is_told_of(
    own_engine: Engine,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    *,
    by_time: bool,
) -> None:
    """Two write, the first commits last: whoever asks in between and then again has both."""
    if by_time:
        monkeypatch.setattr(paging, "horizon", _by_time)
    with Session(own_engine) as session:
        firm = firm_headers(session, make_company(session))
        session.commit()
    client = make_client(own_engine)
    slow, quick = (client.post(REQUESTS, headers=firm, json=ASKED).json()["id"] for _ in range(2))
    begun = client.get(REQUESTS, headers=firm).json()["changes_cursor"]

    def touched(session: Session, request_id: str) -> None:
        session.execute(
            update(SpaceRequest)
            .where(SpaceRequest.id == request_id)
            .values(updated_at=text("transaction_timestamp()"))
        )

    def told(cursor: str) -> tuple[set[str], str]:
        answer = client.get(REQUESTS, headers=firm, params={"updated_since": cursor}).json()
        return {item["id"] for item in answer["items"]}, answer["changes_cursor"]

    with Session(own_engine) as late, Session(own_engine) as early:
        touched(late, slow)
        touched(early, quick)
        early.commit()
        first, cursor = told(begun)
        late.commit()
    second, cursor = told(cursor)
    assert quick in first
    assert (slow in first | second) is not by_time
    # Once nobody writes, nothing is told twice.
    if not by_time:
        assert told(cursor)[0] == set()


def test_every_listing_of_a_firm_tells_its_changes(
    own_engine: Engine, make_client: MakeClient
) -> None:
    with Session(own_engine) as session:
        company, unit = make_company(session), make_unit(session)
        firm, staff = firm_headers(session, company), staff_headers(session)
        own = {"company_id": str(company.id)}
        order = {"units": [{"unit_id": str(unit.id)}], **DAYS}
        session.commit()
    client = make_client(own_engine, webhook_allow_loopback=True)
    assets = f"{API}/companies/{own['company_id']}/pipeline-assets"

    def post(path: str, body: Any = None, headers: dict[str, str] = firm) -> Any:
        answer = client.post(path, headers=headers, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    request = post(REQUESTS, ASKED)
    asset = post(assets, {"name": "CT-1", "modality": "car_t"})
    cursors: dict[str, str] = {}

    def changed(path: str, **more: str) -> list[str]:
        params = {**more} | ({"updated_since": cursors[path]} if path in cursors else {})
        answer = client.get(path, headers=firm, params=params)
        assert answer.status_code == 200, answer.text
        cursors[path] = answer.json()["changes_cursor"]
        return [item["id"] for item in answer.json()["items"]]

    paths = [REQUESTS, assets, f"{API}/holds", f"{API}/leases", f"{API}/queue-entries"]
    paths += [f"{API}/webhook-events", f"{API}/companies"]
    paths += [f"{REQUESTS}/{request['id']}/match-events"]
    for path in paths:
        changed(path)
    assert {path: changed(path) for path in paths} == {path: [] for path in paths}

    needs = f"{REQUESTS}/{request['id']}/needs"
    edited = client.put(needs, headers=firm | ANY, json=ASKED | {"places": None})
    assert edited.status_code == 200, edited.text
    post(f"{assets}/{asset['id']}/stages", {"stage": "ind", "entered_on": "2026-01-01"})
    hold = post(f"{API}/holds", order)
    assert changed(REQUESTS) == [request["id"]]
    assert changed(assets) == [asset["id"]]
    assert changed(f"{API}/holds") == [hold["id"]]
    assert changed(f"{API}/webhook-events") != []
    # What ceased to stand is told too, though the listing shows what stands.
    post(f"{API}/holds/{hold['id']}/release")
    assert changed(f"{API}/holds") == [hold["id"]]
    assert changed(f"{API}/holds", state="held") == []

    lease = post(f"{API}/leases", order | own, staff)
    assert changed(f"{API}/leases") == [lease["id"]]
    post(f"{API}/leases/{lease['id']}/extend", {"until": "2034-01-01"}, staff)
    assert changed(f"{API}/leases") == [lease["id"]]
    with Session(own_engine) as session:
        other = firm_headers(session, make_company(session))
        session.commit()
    entry = post(f"{API}/queue-entries", order, other)
    assert changed(f"{API}/queue-entries") == []
    seen = client.get(f"{API}/queue-entries", headers=other)
    assert [item["id"] for item in seen.json()["items"]] == [entry["id"]]


def test_pages_belong_to_what_they_were_asked_for(
    session: Session, make_client: MakeClient
) -> None:
    firm = firm_headers(session, make_company(session))
    session.commit()
    client = make_client(session)
    first = client.get(REQUESTS, headers=firm).json()["changes_cursor"]
    for _ in range(3):
        client.post(REQUESTS, headers=firm, json=ASKED)
    page = {"updated_since": first, "limit": 2}
    one = client.get(REQUESTS, headers=firm, params=page).json()
    two = client.get(REQUESTS, headers=firm, params=page | {"cursor": one["next_cursor"]}).json()
    assert (len(one["items"]), len(two["items"])) == (2, 1)
    # Of the first page alone: a later one would pass over what is written meanwhile.
    assert one["changes_cursor"] is not None
    assert two["changes_cursor"] is None
    other = {"cursor": one["next_cursor"], "limit": 2}
    assert client.get(REQUESTS, headers=firm, params=other).status_code == 422


def test_a_token_of_another_database_is_refused(session: Session, make_client: MakeClient) -> None:
    """After a restore from a back-up numbers begin anew, and an old token would pass over rows."""
    firm = firm_headers(session, make_company(session))
    session.commit()
    client = make_client(session)
    token = client.get(REQUESTS, headers=firm).json()["changes_cursor"]
    # What stands in it only the service reads.
    assert isinstance(client.app, FastAPI)
    sealer = client.app.state.sealer
    plain = sealer.reveal("changes", token)
    cluster, database, number = json.loads(plain)
    forged = [[cluster, 1, number], ["1", database, number], [cluster, database, 2**62], [number]]
    forged += [[cluster, database, -1], [cluster, database, True], [cluster, database, "1"]]
    texts = [sealer.hide("changes", json.dumps(one)) for one in forged]
    texts += [base64.urlsafe_b64encode(plain.encode()).decode(), sealer.hide("cursor", plain)]
    # Control: what it was made of is taken.
    good = {"updated_since": sealer.hide("changes", plain)}
    assert client.get(REQUESTS, headers=firm, params=good).status_code == 200
    for text_ in [*texts, "x", str(uuid4()), "=" * 9, "é"]:
        refused = client.get(REQUESTS, headers=firm, params={"updated_since": text_})
        assert refused.status_code == 422, text_
        assert refused.json()["errors"][0]["pointer"] == "updated_since"
