"""The sandbox: same calls, another database, and nothing of the one in the other."""

from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.database.roles import APP, PUBLIC
from app.database.session import transaction
from app.demand.rules import load_rules
from app.kernel.clock import SystemClock
from app.main import create_app
from app.matching.answers.fit_out import load_fit_out
from app.matching.answers.question import Tables
from app.matching.answers.watching import watch
from app.security.actors import Actor, ActorKind
from app.security.rows import bind, system
from app.seeding.sandbox import (
    UNITS,
    SandboxNotPossibleError,
    create_database,
    prepare,
    sandbox_exists,
    sandbox_url,
)
from app.settings import Settings
from tests.conftest import Databases
from tests.factories import firm_headers, make_company, make_unit, staff_headers

SANDBOX, KEYS, REQUESTS = "/api/v1/sandbox", "/api/v1/keys", "/api/v1/space-requests"
UNIT_LIST, HOLDS = "/api/v1/units", "/api/v1/holds"
ASKED = {
    "unit_type": "pilot",
    "min_area_m2": 800,
    "max_area_m2": 3000,
    "from": "2027-06-01",
    "latest_from": "2028-06-01",
    "term_months": 36,
}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class World(NamedTuple):
    """A live database and the sandbox beside it."""

    live: Engine
    sandbox: Engine
    unit_id: str


@pytest.fixture(scope="module")
def world(databases: Databases, empty_template: str) -> Iterator[World]:
    name = databases.create(empty_template)
    live = make_engine(databases.url(name), pool_size=8)
    assert not sandbox_exists(live)
    create_database(live)
    create_database(live)  # a second time changes nothing
    assert sandbox_exists(live)
    sandbox = make_engine(sandbox_url(databases.url(name)), pool_size=8)
    assert prepare(sandbox)
    assert not prepare(sandbox)
    with Session(live) as session:
        unit_id = str(make_unit(session).id)
        session.commit()
    yield World(live, sandbox, unit_id)
    live.dispose()
    sandbox.dispose()
    databases.drop(name)


class Served(NamedTuple):
    """The same databases as they are served: by roles that the policies bind."""

    live: Engine
    public: Engine
    sandbox: Engine


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    engines = [
        make_engine(engine.url.render_as_string(hide_password=False), pool_size=8, role=role)
        for engine, role in ((world.live, APP), (world.live, PUBLIC), (world.sandbox, APP))
    ]
    yield Served(*engines)
    for engine in engines:
        engine.dispose()


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(log_level="ERROR", snapshot_dir=home / "snapshots", home=home)
    app = create_app(
        served.live, settings, public_engine=served.public, sandbox_engine=served.sandbox
    )
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


class Firm(NamedTuple):
    """A firm's headers here and there."""

    id: str
    live: dict[str, str]
    test: dict[str, str]


@pytest.fixture
def new_firm(world: World, client: TestClient) -> Callable[[], Firm]:
    def make() -> Firm:
        with Session(world.live) as session:
            company = make_company(session)
            live, company_id = firm_headers(session, company), str(company.id)
            session.commit()
        made = client.post(f"{SANDBOX}/keys", headers=live, json={})
        assert made.status_code == 201, made.text
        assert made.json()["key"].startswith("sr_test_")
        return Firm(company_id, live, bearer(made.json()["key"]))

    return make


@pytest.fixture
def staff(world: World) -> dict[str, str]:
    with Session(world.live) as session:
        headers = staff_headers(session)
        session.commit()
    return headers


def ask_and_hold(client: TestClient, headers: dict[str, str]) -> tuple[str, str, str]:
    """The addresses of a request and of a hold on its best match, and the unit."""
    asked = client.post(REQUESTS, headers=headers, json=ASKED)
    assert asked.status_code == 201, asked.text
    matched = client.post(f"{asked.headers['location']}/matches", headers=headers)
    assert matched.json()["items"], matched.text
    unit_id = matched.json()["items"][0]["units"][0]["id"]
    order = {"units": [{"unit_id": unit_id}], "from": "2027-06-01", "until": "2030-06-01"}
    held = client.post(HOLDS, headers=headers, json=order)
    assert held.status_code == 201, held.text
    return asked.headers["location"], held.headers["location"], unit_id


def count(connection: Connection, *tables: str) -> list[int]:
    return [
        connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
        for table in tables
    ]


def test_each_sees_its_own_space_and_none_of_the_other(
    client: TestClient, world: World, new_firm: Callable[[], Firm], staff: dict[str, str]
) -> None:
    firm = new_firm()

    made_up = client.get(UNIT_LIST, headers=firm.test, params={"limit": 1000}).json()["items"]

    assert len(made_up) == UNITS
    assert all(one["synthetic"] for one in made_up)
    for headers in (firm.live, staff, {}):
        listed = client.get(UNIT_LIST, headers=headers).json()["items"]
        assert [one["id"] for one in listed] == [world.unit_id]
        gone = client.get(f"{UNIT_LIST}/{made_up[0]['id']}", headers=headers)
        assert gone.status_code == 404
    assert client.get(f"{UNIT_LIST}/{world.unit_id}", headers=firm.test).status_code == 404


def test_what_is_asked_and_held_in_it_is_nowhere_else(
    client: TestClient, world: World, new_firm: Callable[[], Firm], staff: dict[str, str]
) -> None:
    firm, other = new_firm(), new_firm()

    request, hold, _ = ask_and_hold(client, firm.test)

    assert client.get(request, headers=firm.test).status_code == 200
    for headers in (firm.live, other.test, other.live, staff):
        assert client.get(request, headers=headers).status_code == 404
        assert client.get(hold, headers=headers).status_code == 404
    with world.live.connect() as connection:
        assert count(connection, "space_requests", "claims") == [0, 0]


def test_firms_see_nothing_of_each_other_in_it(
    client: TestClient, served: Served, new_firm: Callable[[], Firm]
) -> None:
    """Competitors try their programs in one database, and learn nothing of each other there."""
    firm, other = new_firm(), new_firm()
    request, hold, _ = ask_and_hold(client, firm.test)
    ids = {address.rsplit("/", 1)[1] for address in (request, hold)} | {firm.id}

    def shown(headers: dict[str, str]) -> set[str]:
        """Which of the firm's things the listings of a caller tell of."""
        paths = (
            REQUESTS,
            HOLDS,
            KEYS,
            "/api/v1/claims",
            "/api/v1/companies",
            "/api/v1/queue-entries",
        )
        listed = [client.get(path, headers=headers, params={"limit": 1000}) for path in paths]
        assert {one.status_code for one in listed} == {200}
        return {one for one in ids for answer in listed if one in answer.text}

    assert shown(firm.test) == ids
    assert shown(other.test) == set()
    # And whatever a query forgot, the database would not; the control forgets to say who asks.
    asking = Actor(kind=ActorKind.FIRM, label="other", company_id=UUID(other.id))
    with Session(served.sandbox) as session:
        bind(session, asking)
        assert count(session.connection(), "space_requests", "claims") == [0, 0]
        session.rollback()
        system(session)
        assert min(count(session.connection(), "space_requests", "claims")) > 0


def test_keys_and_tokens_are_good_where_they_belong(
    client: TestClient, new_firm: Callable[[], Firm]
) -> None:
    firm = new_firm()

    born = client.post(KEYS, headers=firm.test, json={"label": "child"}).json()
    token = client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(born["client_id"], born["key"]),
    ).json()["access_token"]

    assert born["key"].startswith("sr_test_")
    listed = client.get(KEYS, headers=firm.live).json()["items"]
    assert born["id"] not in {one["id"] for one in listed}
    in_sandbox = client.get(UNIT_LIST, headers=bearer(token), params={"limit": 1000})
    assert len(in_sandbox.json()["items"]) == UNITS
    # The live one has its own, though it has signed nothing yet.
    assert len(client.get("/.well-known/jwks.json").json()["keys"]) == 2
    live = firm.live["Authorization"].removeprefix("Bearer ")
    for disguise in (
        born["key"].replace("sr_test_", "sr_live_"),
        live.replace("sr_live_", "sr_test_"),
    ):
        assert client.get(REQUESTS, headers=bearer(disguise)).status_code == 401


def test_a_reset_puts_all_back_but_the_keys_and_not_under_anothers_hands(
    client: TestClient, world: World, new_firm: Callable[[], Firm]
) -> None:
    firm, other = new_firm(), new_firm()
    assert client.get(REQUESTS, headers=other.test).status_code == 200
    _, _, unit_id = ask_and_hold(client, firm.test)

    assert client.post(f"{SANDBOX}/reset", headers=firm.live).status_code == 403
    busy = client.post(f"{SANDBOX}/reset", headers=firm.test)
    assert (busy.status_code, busy.json()["type"]) == (409, "/problems/sandbox-in-use")
    with world.sandbox.begin() as connection:
        connection.execute(
            text(
                "UPDATE credentials SET last_used_at = now() - interval '16 minutes'"
                " WHERE company_id <> :mine"
            ),
            {"mine": firm.id},
        )
        was = count(connection, "pristine.claims")
        assert count(connection, "claims") > was
    done = client.post(f"{SANDBOX}/reset", headers=firm.test)

    assert done.status_code == 200, done.text
    assert client.get(SANDBOX).json() == done.json()
    with world.sandbox.connect() as connection:
        assert count(connection, "claims", "space_requests", "units") == [*was, 0, UNITS]
    # Free again, and the search has seen it.
    asked = client.post(REQUESTS, headers=firm.test, json=ASKED)
    matched = client.post(
        f"{asked.headers['location']}/matches",
        headers=firm.test,
        json={"k": 20, "min_version": asked.headers["x-space-version"]},
    ).json()
    offered = {unit["id"] for offer in matched["items"] for unit in offer["units"]}
    assert unit_id in offered
    with world.live.connect() as connection:
        assert count(connection, "units") == [1]


def test_the_rules_of_the_ledger_are_back_after_a_reset(world: World) -> None:
    rules = text(
        "SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger"
        " WHERE NOT tgisinternal"
        " UNION ALL SELECT concat_ws(' ', relname, relrowsecurity, relforcerowsecurity)"
        " FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    with world.sandbox.begin() as connection:
        before = set(connection.scalars(rules))
        connection.execute(text("SELECT sandbox_rules(false)"))
        assert set(connection.scalars(rules)) != before
        connection.execute(text("SELECT sandbox_reset()"))
        assert set(connection.scalars(rules)) == before
    with world.live.connect() as connection:
        assert set(connection.scalars(rules)) == before


def test_nothing_in_the_live_database_can_empty_it(world: World) -> None:
    named = text("SELECT count(*) FROM pg_proc WHERE proname ^@ 'sandbox_'")
    with world.live.connect() as live, world.sandbox.connect() as sandbox:
        assert live.scalar(named) == 0
        assert sandbox.scalar(named) == 3


def test_without_a_sandbox_its_keys_are_refused(
    make_client: Callable[[Engine], TestClient], world: World, new_firm: Callable[[], Firm]
) -> None:
    firm = new_firm()
    without = make_client(world.live)

    assert without.get(SANDBOX).json()["available"] is False
    assert without.get(REQUESTS, headers=firm.test).status_code == 401
    refused = without.post(f"{SANDBOX}/keys", headers=firm.live, json={})
    assert refused.json()["type"] == "/problems/no-sandbox"


def test_a_call_asks_one_database(
    client: TestClient, served: Served, new_firm: Callable[[], Firm]
) -> None:
    firm = new_firm()
    asked: list[str] = []
    for engine in served:
        event.listen(
            engine,
            "before_cursor_execute",
            lambda connection, *_: asked.append(connection.engine.url.database),
        )
    sandbox, live = served.sandbox.url.database, served.live.url.database
    for headers, expected in ((firm.test, sandbox), (firm.live, live), ({}, live)):
        for path in (UNIT_LIST, "/api/v1/free-space", REQUESTS, "/api/v1/claims", "/api/v1/parks"):
            asked.clear()
            answer = client.get(path, headers=headers)
            assert answer.status_code in {200, 401}, answer.text
            assert set(asked) <= {expected}, path
        assert asked


def test_a_login_that_may_not_make_one_is_told_what_an_administrator_types(world: World) -> None:
    with world.live.begin() as connection:
        connection.execute(text("CREATE ROLE may_little LOGIN"))
    name = f"{world.live.url.database}_sandbox"
    little = make_engine(
        world.live.url.set(username="may_little").render_as_string(hide_password=False),
        pool_size=1,
    )
    other = make_engine(little.url.set(database="postgres").render_as_string(False), pool_size=1)
    try:
        create_database(little)  # there is one
        with pytest.raises(SandboxNotPossibleError, match="may not create") as refused:
            create_database(other)
        assert 'CREATE DATABASE "postgres_sandbox"' in refused.value.remedy
        assert name not in refused.value.remedy
    finally:
        little.dispose()
        other.dispose()
        with world.live.begin() as connection:
            connection.execute(text("DROP ROLE may_little"))


def test_holding_and_releasing_in_the_sandbox_tells_of_a_match(
    client: TestClient, world: World, served: Served, new_firm: Callable[[], Firm]
) -> None:
    """What the guide says a firm sees there, without waiting for the minute to turn."""
    tables = Tables(load_rules(Settings().data_dir), load_fit_out(Settings().data_dir))

    def look() -> None:
        with Session(served.sandbox) as session:
            system(session)
            with transaction(session):
                watch(session, tables=tables, now=SystemClock().now())

    firm = new_firm()
    look()
    asked = client.post(REQUESTS, headers=firm.test, json=ASKED).headers["location"]
    matched = client.post(f"{asked}/matches", headers=firm.test).json()
    unit_id = matched["items"][0]["units"][0]["id"]
    look()
    order = {"units": [{"unit_id": unit_id}], "from": "2027-06-01", "until": "2030-06-01"}
    held = client.post(HOLDS, headers=firm.test, json=order)
    look()
    client.post(f"{held.headers['location']}/release", headers=firm.test)
    look()

    events = client.get("/api/v1/webhook-events", headers=firm.test).json()["items"]
    turned = [
        one["type"]
        for one in reversed(events)
        if one["type"].startswith("request.")
        and unit_id in {unit["id"] for unit in one["data"]["units"]}
    ]
    # What the firm took itself was no loss to it; that it is free again is news.
    assert turned == ["request.matched"]
    with world.live.connect() as connection:
        assert count(connection, "webhook_events") == [0]
