"""How long each audience may keep the database at work: through HTTP, over the server's engines."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import Query
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.cli import engines_for_requests, open_sandbox
from app.database.engine import make_engine
from app.database.migrate import upgrade
from app.main import create_app
from app.routers.dependencies import ActorDep, SessionDep
from app.security.actors import Actor, ActorKind
from app.security.rows import bind, whole_ledger
from app.seeding.sandbox import Sandbox, create_database, sandbox_url
from app.settings import Settings
from tests.conftest import Databases
from tests.factories import firm_headers, make_company, staff_headers

#: Milliseconds: as the service has them, made shorter alike, so that nobody waits.
LIMITS: dict[str, Any] = {
    "public_statement_timeout_ms": 300,
    "firm_statement_timeout_ms": 1_000,
    "statement_timeout_ms": 2_500,
    "idle_in_transaction_timeout_ms": 1_000,
}
AUDIENCES = ("public", "firm", "staff")
#: Seconds of work that are within this audience's limit and beyond that of the one before it.
WITHIN = {"public": 0.05, "firm": 0.6, "staff": 1.6}
BEYOND = {"public": WITHIN["firm"], "firm": WITHIN["staff"], "staff": 3.0}

Seconds = Annotated[float, Query()]


@dataclass(frozen=True, slots=True)
class Served:
    """The service over its own engines, and who calls it."""

    client: TestClient
    headers: dict[str, dict[str, str]]

    def works(self, audience: str, seconds: float, how: str = "statement") -> Any:
        """What a call is answered that keeps the database for so long."""
        return self.client.get(
            f"/test/{how}", params={"seconds": seconds}, headers=self.headers[audience]
        )


@pytest.fixture(scope="module")
def served(databases: Databases, empty_template: str, tmp_path_factory: Any) -> Iterator[Served]:
    name = databases.create(empty_template)
    url = databases.url(name)
    home = tmp_path_factory.mktemp("home")
    configured = Settings(
        database_url=SecretStr(url), home=home, snapshot_dir=home, rate_limits={}, **LIMITS
    )
    with engines_for_requests(configured) as (engine, public):
        app = create_app(engine, configured, public_engine=public)

        @app.get("/test/statement")
        def statement(session: SessionDep, _actor: ActorDep, seconds: Seconds) -> float:
            """Keep the database at work."""
            session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
            return seconds

        @app.get("/test/idle")
        def idle(session: SessionDep, _actor: ActorDep, seconds: Seconds) -> float:
            """Keep a transaction open and do nothing in it."""
            session.execute(text("SELECT 1"))
            time.sleep(seconds)
            session.execute(text("SELECT 1"))
            return seconds

        @app.get("/test/idle-within")
        def idle_within(session: SessionDep, _actor: ActorDep, seconds: Seconds) -> float:
            """The same in a part of a transaction, and where more rows are shown for a while."""
            session.execute(text("SELECT 1"))
            with session.begin_nested(), whole_ledger(session):
                time.sleep(seconds)
                session.execute(text("SELECT 1"))
            return seconds

        with Session(engine) as session:
            session.execute(text("SELECT set_config('app.audience', 'system', false)"))
            headers = {
                "public": {},
                "firm": firm_headers(session, make_company(session)),
                "staff": staff_headers(session),
            }
            session.commit()
        with TestClient(app, raise_server_exceptions=False) as client:
            yield Served(client, headers)
    databases.drop(name)


def test_the_limits_of_the_service_are_those_that_were_decided() -> None:
    usual = Settings()

    assert {name: getattr(usual, name) for name in LIMITS} == {
        "public_statement_timeout_ms": 2_000,
        "firm_statement_timeout_ms": 5_000,
        "statement_timeout_ms": 15_000,
        "idle_in_transaction_timeout_ms": 10_000,
    }


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_statement_that_takes_too_long_for_its_caller_is_cut_off(
    served: Served, audience: str
) -> None:
    cut_off = served.works(audience, BEYOND[audience])

    assert cut_off.status_code == 503
    assert cut_off.json()["type"] == "/problems/busy"
    assert cut_off.json()["detail_zh"]
    assert int(cut_off.headers["retry-after"]) > 0
    # Control: it is the limit of this audience that cuts off, and what is within it passes.
    assert served.works(audience, WITHIN[audience]).status_code == 200


@pytest.mark.parametrize(("short", "longer"), [("public", "firm"), ("firm", "staff")])
def test_the_same_statement_passes_for_who_may_take_longer(
    served: Served, short: str, longer: str
) -> None:
    assert served.works(short, BEYOND[short]).status_code == 503
    assert served.works(longer, BEYOND[short]).status_code == 200


def test_a_firms_limit_does_not_stay_with_its_connection(served: Served) -> None:
    """All known callers share a pool."""
    for _ in range(3):
        assert served.works("firm", BEYOND["firm"]).status_code == 503
        assert served.works("staff", BEYOND["firm"]).status_code == 200


@pytest.mark.parametrize("how", ["idle", "idle-within"])
@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_transaction_that_idles_is_cut_off_and_the_next_call_served(
    served: Served, audience: str, how: str
) -> None:
    cut_off = served.works(audience, 1.6, how)

    assert cut_off.status_code == 503
    assert cut_off.json()["type"] == "/problems/busy"
    assert served.works(audience, 0.1, how).status_code == 200


def test_the_sandbox_is_no_way_round_them(
    databases: Databases, empty_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = databases.create(empty_template)
    live = make_engine(databases.url(name), pool_size=1)
    create_database(live)
    beside = make_engine(sandbox_url(databases.url(name)), pool_size=1)
    with beside.connect() as connection:
        upgrade(connection)
    configured = Settings(database_url=SecretStr(databases.url(name)), **LIMITS)
    monkeypatch.setattr("app.cli.settings", lambda: configured)

    engine = open_sandbox(live, pool_size=1)

    assert engine is not None
    sessions = Sandbox.over(engine, configured).sessions
    firm = Actor(kind=ActorKind.FIRM, label="firm", company_id=uuid4())
    with sessions() as session:
        bind(session, firm)
        shown = [
            session.scalar(text(f"SHOW {limit}"))
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]
    for one in (engine, beside, live):
        one.dispose()
    databases.drop(name)
    assert shown == ["1s", "1s"]
