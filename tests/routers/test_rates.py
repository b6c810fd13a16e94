"""Rate limits: who is counted with whom, what the headers say, and when a caller may go on."""

import re
from collections.abc import Callable
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.routers import rates
from app.routers.dependencies import SESSION_COOKIE
from app.routers.rates import WINDOW_S, Rate, Throttle, Windows, rate_of
from app.settings import Settings
from tests.clocks import set_clock
from tests.factories import firm_headers, make_company, staff_headers

MakeClient = Callable[..., TestClient]
JSON = {"Content-Type": "application/json"}
LIMITS = {"tiles": 4, "public-read": 3, "read": 2, "write": 2, "sign-in": 1, "expensive": 1}


def standing(answer: Any) -> tuple[str, int, int]:
    """The policy's name, calls left and seconds, as the header says."""
    found = re.fullmatch(r'"([a-z-]+)";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found, answer.headers["ratelimit"]
    return found[1], int(found[2]), int(found[3])


def test_a_caller_is_told_and_refused_and_goes_on_when_it_was_told(
    session: Session, make_client: MakeClient
) -> None:
    client = make_client(session, rate_limits=LIMITS)
    clock = set_clock(client)
    seen = []
    for _ in range(3):
        answer = client.get("/api/v1/zones")
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"public-read";q=3;w=60'
        seen.append(standing(answer))
        clock.pass_by(seconds=10)
    assert seen == [("public-read", 2, 60), ("public-read", 1, 50), ("public-read", 0, 40)]

    refused = client.get("/api/v1/zones")
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "30"
    assert standing(refused) == ("public-read", 0, 30)
    problem = refused.json()
    assert problem["type"] == "/problems/quota-exceeded"
    assert problem["violated-policies"] == ["public-read"]
    assert "30 秒后" in problem["detail_zh"]
    assert refused.headers["x-request-id"] == problem["request_id"]

    clock.pass_by(seconds=29.5)
    assert client.get("/api/v1/zones").status_code == 429
    clock.pass_by(seconds=0.5)
    assert client.get("/api/v1/zones").status_code == 200


def test_each_credential_has_its_own_share_and_cannot_spend_anothers(
    session: Session, make_client: MakeClient
) -> None:
    one, other = (firm_headers(session, make_company(session)) for _ in range(2))
    session.commit()
    client = make_client(session, rate_limits=LIMITS)
    set_clock(client)

    def ask(headers: dict[str, str]) -> int:
        status: int = client.get("/api/v1/space-requests", headers=headers).status_code
        return status

    # The first call with a key finds out whose it is, and counts for the address.
    assert [ask(one), ask(one), ask(one), ask(one)] == [200, 200, 200, 429]
    # Its neighbour behind the same address still has a share, and so have the public.
    assert [ask(other), ask(other), ask(other), ask(other)] == [200, 200, 200, 429]
    assert client.get("/api/v1/zones").status_code == 200


def test_more_keys_of_a_firm_are_no_more_calls(session: Session, make_client: MakeClient) -> None:
    company = make_company(session)
    keys = [firm_headers(session, company) for _ in range(3)]
    session.commit()
    client = make_client(session, rate_limits=LIMITS | {"read": 4})
    set_clock(client)

    # The first call with each key finds out whose it is, and counts for the address.
    answers = [client.get("/api/v1/space-requests", headers=key) for key in keys * 3]

    assert [answer.status_code for answer in answers].count(429) == 2
    assert [answer.status_code for answer in answers[-2:]] == [429, 429]


def test_a_throttle_that_knows_addresses_alone_lets_one_firm_keep_another_out(
    session: Session, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control arm of the proof above."""
    monkeypatch.setattr(Throttle, "_learn", lambda *_: None)
    one, other = (firm_headers(session, make_company(session)) for _ in range(2))
    session.commit()
    client = make_client(session, rate_limits=LIMITS)
    set_clock(client)
    callers = [one, one, other]
    answers = [client.get("/api/v1/space-requests", headers=caller) for caller in callers]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_guessed_credentials_count_for_the_address_they_come_from(
    session: Session, make_client: MakeClient
) -> None:
    """Each guess is another credential: were it a caller of its own, guessing had no limit."""
    client = make_client(session, rate_limits=LIMITS)
    set_clock(client)
    guesses = [
        client.get(
            "/api/v1/space-requests", headers={"Authorization": f"Bearer sr_live_{number:08}_x"}
        ).status_code
        for number in range(4)
    ]
    assert guesses == [401, 401, 429, 429]


def test_probes_are_never_refused(session: Session, make_client: MakeClient) -> None:
    client = make_client(session, rate_limits=LIMITS)
    set_clock(client)
    answers = [client.get("/healthz") for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any("ratelimit" in answer.headers for answer in answers)


def test_refusals_of_all_kinds_say_where_the_caller_stands(
    session: Session, make_client: MakeClient
) -> None:
    headers = staff_headers(session)
    session.commit()
    client = make_client(session, rate_limits=dict.fromkeys(LIMITS, 50))
    answers = [
        client.get("/api/v1/nothing-here"),
        client.get("/api/v1/space-requests"),
        client.get("/api/v1/zones", params={"limit": "x"}),
        client.post("/api/v1/holds", headers=headers | JSON, content=b"{"),
        client.post("/api/v1/holds", headers=headers, content=b"x" * 1_100_000),
    ]
    assert [answer.status_code for answer in answers] == [404, 401, 422, 400, 413]
    assert all("ratelimit" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "query", "public", "expected"),
    [
        ("GET", "/api/v1/zones", "", True, Rate.PUBLIC_READ),
        ("HEAD", "/api/v1/units", "", False, Rate.READ),
        ("GET", "/api/v1/units", "limit=2&as_of=2026-01-01", True, Rate.EXPENSIVE),
        ("GET", "/api/v1/units", "has_as_of=1", True, Rate.PUBLIC_READ),
        ("POST", "/api/v1/holds", "", False, Rate.WRITE),
        ("DELETE", "/api/v1/session", "", False, Rate.WRITE),
        ("POST", "/api/v1/session", "", True, Rate.SIGN_IN),
        ("POST", "/oauth/token", "", True, Rate.SIGN_IN),
        ("POST", "/api/v1/applications", "", True, Rate.SIGN_IN),
        ("POST", "/api/v1/applications/1/approve", "", False, Rate.WRITE),
        ("POST", "/api/v1/invitations/accept", "", True, Rate.SIGN_IN),
        ("POST", "/api/v1/staff/accept-invitation", "", True, Rate.SIGN_IN),
        ("POST", "/api/v1/space-requests/1/matches", "", False, Rate.EXPENSIVE),
        ("POST", "/api/v1/match-receipts/1/replay", "", False, Rate.EXPENSIVE),
        ("POST", "/api/v1/webhook-endpoints/1/replay", "", False, Rate.WRITE),
        ("GET", "/ogc/xyz/space-relay/14/13727/6694.mvt", "datetime=2027-03-01", True, Rate.TILES),
        ("GET", "/ogc/tiles/WebMercatorQuad/14/6694/13727", "", False, Rate.TILES),
        ("GET", "/ogc/collections/units/tiles/WebMercatorQuad/14/1/2", "", True, Rate.TILES),
        ("GET", "/ogc/xyz/units/14/1/2.mvt", "as_of=2026-01-01T00:00:00Z", True, Rate.EXPENSIVE),
        ("GET", "/ogc/tiles/WebMercatorQuad/tilejson", "", True, Rate.PUBLIC_READ),
        ("GET", "/ogc/collections/tiles/items", "", True, Rate.PUBLIC_READ),
        ("GET", "/readyz", "", True, None),
    ],
)
def test_classes_of_calls(
    method: str, path: str, query: str, public: bool, expected: Rate | None
) -> None:
    assert rate_of(method, path, query, public=public) is expected


def test_every_class_has_calls_and_a_limit(document: dict[str, Any]) -> None:
    """A route that moves takes its row of the table along, or this says so."""
    found = {
        rate_of(method.upper(), path, "", public=public)
        for path, item in document["paths"].items()
        for method in item
        for public in (True, False)
    }
    assert found == {*Rate, None}
    allowed = get_args(get_args(Settings.model_fields["rate_limits"].annotation)[0])
    assert set(Settings().rate_limits) == set(Rate) == set(allowed)


def test_a_map_is_looked_at_beside_everything_else(
    session: Session, make_client: MakeClient
) -> None:
    """Tiles use up nothing of what reads may, and have a bound of their own."""
    client = make_client(session, rate_limits=LIMITS)
    set_clock(client)
    tiles = [client.get(f"/ogc/xyz/zones/10/857/{row}.mvt") for row in range(416, 421)]
    reads = [client.get("/api/v1/zones") for _ in range(4)]
    assert [answer.status_code for answer in tiles][-2:] == [204, 429]
    assert standing(tiles[0]) == ("tiles", 3, 60)
    assert [answer.status_code for answer in reads] == [200, 200, 200, 429]


def test_by_default_a_person_looks_at_a_map_for_as_long_as_he_likes() -> None:
    """Two screens of thirty tiles every three seconds, from an office of two behind one address."""
    windows = Windows(Settings().rate_limits["tiles"])
    asked = [(second, tile) for second in range(300) if second % 3 == 0 for tile in range(60)]
    assert all(windows.count("office", float(second)).allowed for second, _ in asked)
    # The control: as they were counted before, the map had holes within half a minute.
    before = Windows(Settings().rate_limits["public-read"])
    held = [before.count("office", float(second)).allowed for second, _ in asked]
    assert held.index(False) == 600


def test_a_stream_of_calls_gets_its_share_of_every_window() -> None:
    windows = Windows(10)
    let_through = [at for at in range(600) if windows.count("a", at / 2).allowed]
    assert len(let_through) == 10 * 300 // WINDOW_S
    assert windows.count("b", 299.5).allowed


def test_windows_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers come and go by the million, and take no memory with them."""
    windows = Windows(10)
    for number in range(1_000):
        windows.count(f"caller {number}", float(number))
    assert len(windows) == WINDOW_S
    monkeypatch.setattr(rates, "_CALLERS_MAX", 50)
    for number in range(1_000):
        windows.count(f"crowd {number}", 2_000.0)
    assert len(windows) <= 50


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    windows = Windows(1)
    assert windows.count("a", 1_000_000.0).allowed
    assert not windows.count("a", 1_000_001.0).allowed
    assert windows.count("a", 5.0).allowed


def test_processes_share_the_limits(own_engine: Engine, make_client: MakeClient) -> None:
    client = make_client(own_engine, rate_limits=LIMITS, rate_limit_processes=3)
    assert client.get("/api/v1/zones").headers["ratelimit-policy"] == '"public-read";q=1;w=60'


def test_nobody_is_believed_who_is_not_named() -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=["*"])
    assert Settings().trusted_proxies == []


@pytest.mark.parametrize("nothing", [{"Cookie": f"{SESSION_COOKIE}="}, {"Authorization": ""}])
def test_who_shows_an_empty_credential_shows_none(
    session: Session, make_client: MakeClient, nothing: dict[str, str]
) -> None:
    client = make_client(session, rate_limits=LIMITS)
    # Of known callers; the public has a role, a pool and limits of its own.
    served: Any = client.app
    served.state.sessions = None

    for left in (2, 1, 0):
        answer = client.get("/api/v1/zones", headers=nothing)
        assert (answer.status_code, standing(answer)[:2]) == (200, ("public-read", left))
    assert client.get("/api/v1/zones", headers=nothing).status_code == 429


@pytest.mark.parametrize("spelt", ["as_of", "%61s_of", "as%5Fof"])
def test_a_call_costs_the_same_however_it_is_spelt(
    session: Session, make_client: MakeClient, spelt: str
) -> None:
    client = make_client(session, rate_limits=LIMITS)

    answer = client.get(
        f"/api/v1/units?{spelt}=2026-01-01T00:00:00Z", headers=staff_headers(session)
    )

    assert (answer.status_code, standing(answer)[0]) == (200, "expensive"), answer.text
