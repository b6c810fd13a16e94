"""Over plain HTTP programs are refused, people led over; and who watches the service shows it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.orm import Session
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.routers.transport import insists_on_tls
from app.settings import Settings
from tests import factories as make
from tests.logs import as_in_production

PUBLIC_URL = "https://space.example.invalid"
#: One of each: for programs, for people, for what watches.
PROGRAMS = ("/api/v1/units", "/oauth/token", "/ogc", "/openapi.json", "/.well-known/jwks.json")
PAGES = ("/", "/docs", "/redoc", "/static-offline-docs/swagger-ui.css")


def over(client: TestClient, scheme: str) -> TestClient:
    """A client of the same service by another scheme, which neither follows nor raises."""
    return TestClient(client.app, base_url=f"{scheme}://space.example.invalid")


def test_over_plain_http_programs_are_refused_and_never_redirected(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session, public_url=PUBLIC_URL)
    firm = make.firm_headers(session, make.make_company(session))
    session.commit()

    with as_in_production() as log:
        for path in PROGRAMS:
            for method in ("GET", "POST", "OPTIONS"):
                answer = over(client, "http").request(
                    method, path, headers=firm, follow_redirects=False
                )
                assert answer.status_code == 403, (method, path)
                assert answer.json()["type"] == "/problems/tls-needed"
                assert "location" not in answer.headers

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    told = [one["with_credential"] for one in lines if one["event"] == "plain http"]
    assert told == [True] * len(PROGRAMS) * 3
    assert firm["Authorization"].split("_", 3)[3] not in log.getvalue()
    # Control: over TLS the same calls are served.
    assert over(client, "https").get("/api/v1/units", headers=firm).status_code == 200


def test_pages_for_people_are_led_over_and_probes_answered(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = over(make_client(session, public_url=PUBLIC_URL), "http")

    for path in PAGES:
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (308, f"{PUBLIC_URL}{path}")
    # Whoever posts to a page is no person who opens one.
    assert client.post("/docs", follow_redirects=False).status_code == 403
    # A path that only begins like a page is none.
    assert client.get("/docsx", follow_redirects=False).status_code == 403
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("trusted", "said", "status"),
    [
        (["testclient"], "http", 403),
        (["testclient"], "https", 200),
        # Whoever is not trusted may say what it likes.
        (["10.0.0.1"], "https", 403),
    ],
)
def test_a_trusted_proxy_says_how_the_call_came(
    session: Session,
    make_client: Callable[..., TestClient],
    *,
    trusted: list[str],
    said: str,
    status: int,
) -> None:
    """As the server runs it: uvicorn reads the header before the application does."""
    app: Any = make_client(session, public_url=PUBLIC_URL).app
    behind: Any = ProxyHeadersMiddleware(app, trusted_hosts=trusted)

    answer = TestClient(behind).get("/api/v1/units", headers={"X-Forwarded-Proto": said})

    assert answer.status_code == status
    if status == 403:
        # Whoever has just set up a proxy is told which setting names it.
        is_told = "SPACE_RELAY_TRUSTED_PROXIES" in answer.json()["detail"]
        assert is_told is (said == "https")
        assert ("SPACE_RELAY_TRUSTED_PROXIES" in answer.json()["detail_zh"]) is is_told


@pytest.mark.parametrize(
    ("settings", "insists"),
    [
        ({}, False),
        ({"public_url": "http://127.0.0.1:8000"}, False),
        ({"public_url": PUBLIC_URL}, True),
        ({"public_url": PUBLIC_URL, "require_tls": False}, False),
        ({"require_tls": True}, True),
    ],
    ids=str,
)
def test_tls_is_insisted_on_where_the_public_address_has_it(
    settings: dict[str, Any], *, insists: bool
) -> None:
    assert insists_on_tls(Settings(**settings)) is insists


def test_where_no_address_is_known_pages_are_refused_as_well(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = over(make_client(session, require_tls=True), "http")
    assert client.get("/docs", follow_redirects=False).status_code == 403


def test_figures_are_for_this_machine_unless_a_token_is_agreed(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    app = make_client(session).app

    def status(host: str, **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return TestClient(app, client=(host, 1)).get("/metrics", headers=given).status_code

    assert status("127.0.0.1") == 200
    assert status("::1") == 200
    assert status("203.0.113.7") == 404
    assert status("testclient") == 404
    # A proxy of this machine asks for somebody else.
    assert status("127.0.0.1", X_Forwarded_For="203.0.113.7") == 404
    assert status("127.0.0.1", Forwarded="for=203.0.113.7") == 404


def test_figures_are_for_whoever_shows_the_token(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    token = "figures-of-this-house-7f3a"  # noqa: S105 - of nobody
    app = make_client(session, metrics_token=SecretStr(token)).app
    far, near = (TestClient(app, client=(host, 1)) for host in ("203.0.113.7", "127.0.0.1"))

    right = {"Authorization": f"Bearer {token}"}
    assert "space_relay_http_requests_total" in far.get("/metrics", headers=right).text
    for wrong in ({}, {"Authorization": f"Bearer {token}x"}, {"Authorization": token}):
        assert far.get("/metrics", headers=wrong).status_code == 404
        assert near.get("/metrics", headers=wrong).status_code == 404, "the token alone counts"


@pytest.mark.parametrize("shown", [True, False])
def test_pages_about_the_api_are_shown_on_purpose(
    session: Session, make_client: Callable[..., TestClient], *, shown: bool
) -> None:
    client = make_client(session, api_pages=shown)
    for path in ("/docs", "/redoc"):
        assert client.get(path).status_code == (200 if shown else 404)
