"""The whole way: a request's matches over HTTP from the real server, receipt and all."""

import http.client
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.demand.request_schemas import SpaceRequestIn
from app.demand.requests import create_request
from app.models.company import Company
from app.security.actors import Role
from app.security.credentials import authenticate, issue_staff_token
from benchmarks.free_space import server
from benchmarks.matching.common import K, Park, line, milliseconds
from benchmarks.matching.instances import Instance

ASKED = 50
ROUNDS = 3


def measure(park: Park) -> None:
    """Fifty requests, each asked three times over one connection, one after another."""
    now = datetime.now(UTC)
    with Session(park.engine) as session, transaction(session):
        token = issue_staff_token(session, role=Role.ADMIN, label="benchmark")
    ids = _filed(park, token, park.typical[:ASKED], now)
    print(f"\nHTTP: {len(ids)} requests, {K} matches each, every kind")
    with server(park.url) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        first = milliseconds(lambda: _ask(connection, token, ids[0]))
        print(f"  first answer {first:,.0f} ms after the server began to listen")
        for one in ids:
            _ask(connection, token, one)
        times = [
            milliseconds(lambda: _ask(connection, token, one))  # noqa: B023
            for one in ids
            for _ in range(ROUNDS)
        ]
        brief = [
            milliseconds(lambda: _ask(connection, token, one, detail="brief"))  # noqa: B023
            for one in ids
            for _ in range(ROUNDS)
        ]
        served = [json.loads(_ask(connection, token, one))["items"] != [] for one in ids]
    line("POST …/matches, all", times, "p50 10")
    line("the same, in brief", brief)
    kept = [took for place, took in enumerate(times) if served[place // ROUNDS]]
    if kept and len(kept) < len(times):
        line("those with an answer", kept)
        line("those that ask why not", [t for p, t in enumerate(times) if not served[p // ROUNDS]])


def _filed(park: Park, token: str, instances: Sequence[Instance], now: datetime) -> list[UUID]:
    with Session(park.engine) as session, transaction(session):
        actor = authenticate(session, token, now)
        company = session.scalars(select(Company.id).order_by(Company.id).limit(1)).one()
        return [
            create_request(
                session,
                actor,
                SpaceRequestIn.model_validate({**one.form, "company_id": company}),
                rules=park.rules,
                now=now,
            ).id
            for one in instances
        ]


def _ask(
    connection: http.client.HTTPConnection, token: str, request: UUID, *, detail: str = "full"
) -> bytes:
    """The whole answer, received and not yet parsed: what its reader makes of it is not ours."""
    connection.request(
        "POST",
        f"/api/v1/space-requests/{request}/matches",
        body=json.dumps({"k": K, "detail": detail}),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{answer.status} {body[:500]!r}")
    return body
