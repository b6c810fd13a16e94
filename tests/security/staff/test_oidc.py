"""Signing in at an identity provider, and every way in which its answer may not hold."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.staff import StaffAccount
from app.security.staff.oidc import OidcConfig, OidcSettingsError, Provider
from app.security.staff.sign_in import Gate
from app.settings import Settings
from tests.factories import make_park
from tests.security.staff.conftest import Browser, Clock, Open, make_person
from tests.security.staff.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    Claims,
    IdentityProvider,
    signing_key,
)

REDIRECT = "https://park.example.invalid/api/v1/session/oidc/callback"
ROLES: dict[str, Any] = {
    "investment": {"role": "agent", "parks": ["gene"]},
    "leases": {"role": "manager", "parks": ["cell"]},
    "more leases": {"role": "manager", "parks": ["gene"]},
    "it": {"role": "admin"},
}
PERSON = {
    "sub": "f3a1",
    "email": "Chen.Agent@example.invalid",
    "name": "示例员工",
    "groups": ["investment", "unknown here"],
}


@pytest.fixture
def provider(clock: Clock) -> Iterator[IdentityProvider]:
    made = IdentityProvider()
    made.person, made.now = dict(PERSON), int(clock.at.timestamp())
    with made.serving() as serving:
        yield serving


@pytest.fixture
def browser(
    session: Session, open_browser: Open, provider: IdentityProvider, gate: Gate
) -> Browser:
    for code in ("gene", "cell"):
        make_park(session, code=code)
    session.commit()
    opened = open_browser()
    app: Any = opened.client.app
    config = OidcConfig.of(_settings(provider.issuer))
    assert config is not None
    app.state.provider = Provider(config, gate.sealer)
    return opened


def _settings(issuer: str, **more: Any) -> Settings:
    return Settings(
        oidc_issuer=issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(CLIENT_SECRET),
        oidc_redirect_url=REDIRECT,
        **({"oidc_roles": ROLES} | more),
    )


def _start(browser: Browser) -> str:
    answer = browser.call("GET", "/session/oidc/start")
    assert answer.status_code == 303, answer.text
    where: str = answer.headers["location"]
    return where


def _callback(browser: Browser, url: str) -> Response:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return browser.call("GET", parts.path.removeprefix("/api/v1"), params=query)


def _sign_in(browser: Browser, provider: IdentityProvider) -> Response:
    return _callback(browser, provider.authorize(_start(browser)))


def test_a_person_comes_in_with_the_role_and_parks_of_the_groups(
    session: Session, browser: Browser, provider: IdentityProvider, clock: Clock
) -> None:
    back = _sign_in(browser, provider)
    assert (back.status_code, back.headers["location"]) == (303, "/"), back.text
    who = browser.call("GET", "/session").json()
    assert who["account"]["email"] == "chen.agent@example.invalid"
    assert (who["role"], [park["code"] for park in who["parks"]]) == ("agent", ["gene"])

    # The groups change: role and parks follow at the next sign-in, and earlier sessions end.
    cookies = dict(browser.client.cookies)
    provider.person |= {"groups": ["leases", "more leases", "investment"], "amr": ["pwd", "mfa"]}
    clock.forward(minutes=1)
    assert _sign_in(browser, provider).status_code == 303
    who = browser.call("GET", "/session").json()
    assert (who["role"], [park["code"] for park in who["parks"]]) == ("manager", ["cell", "gene"])
    assert who["second_factor"]["missing"] is False
    browser.client.cookies.clear()
    browser.client.cookies.update(cookies)
    assert browser.call("GET", "/session").status_code == 401
    assert len(session.scalars(select(StaffAccount)).all()) == 1

    # The provider keeps password and factors; here there are none to set.
    _sign_in(browser, provider)
    browser.csrf_token = browser.call("GET", "/session").json()["csrf_token"]
    refused = browser.call("POST", "/session/second-factor", json={"password": "x"})
    assert refused.status_code == 403
    assert browser.sign_in("chen.agent@example.invalid").status_code == 401


Lie = dict[str, Any]


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"iss": "https://elsewhere.example.invalid"},
        {"aud": "another client"},
        {"aud": [CLIENT_ID, "another client"]},
        {"azp": "another client"},
        {"exp": 0},
        {"exp": None},
        {"iat": 1 << 40},
        {"sub": None},
        {"sub": ""},
        {"email": None},
    ],
    ids=str,
)
def test_claims_that_do_not_hold_let_nobody_in(
    session: Session, browser: Browser, provider: IdentityProvider, lie: Lie
) -> None:
    def spoil(claims: Claims) -> Claims:
        changed = claims | lie
        return {name: value for name, value in changed.items() if value is not None}

    provider.spoil = spoil
    _refused(session, browser, _sign_in(browser, provider))
    provider.spoil = dict  # the control: but for the lie it is good
    assert _sign_in(browser, provider).status_code == 303


@pytest.mark.parametrize(
    "how", ["unsigned", "signed_with_what_everybody_knows", "signed_by_another"]
)
def test_signatures_that_prove_nothing_let_nobody_in(
    session: Session, browser: Browser, provider: IdentityProvider, how: str
) -> None:
    provider.sign = getattr(provider, how)
    _refused(session, browser, _sign_in(browser, provider))
    provider.sign = provider.signed
    assert _sign_in(browser, provider).status_code == 303


def test_an_answer_is_good_once_and_in_the_browser_that_asked(
    session: Session, browser: Browser, provider: IdentityProvider, open_browser: Open, clock: Clock
) -> None:
    answer = provider.authorize(_start(browser))
    other = open_browser()
    _refused(session, other, _callback(other, answer))
    _start(other)
    _refused(session, other, _callback(other, answer))  # another state
    trip = dict(browser.client.cookies)
    assert _callback(browser, answer).status_code == 303
    browser.client.cookies.clear()
    browser.client.cookies.update(trip)
    assert _callback(browser, answer).status_code == 401  # the code is used up

    for wrong in ({"state": "guessed"}, {"iss": "https://elsewhere.example.invalid"}):
        answer = provider.authorize(_start(other))
        spoiled = {name: values[0] for name, values in parse_qs(urlsplit(answer).query).items()}
        refused = other.call("GET", "/session/oidc/callback", params=spoiled | wrong)
        _refused(session, other, refused, accounts=1)
    for sent in ({"error": "access_denied", "state": ""}, {}):
        assert other.call("GET", "/session/oidc/callback", params=sent).status_code == 401
    answer = provider.authorize(_start(other))
    clock.forward(minutes=11)
    provider.now = int(clock.at.timestamp())
    _refused(session, other, _callback(other, answer), accounts=1)


def test_without_the_browsers_verifier_a_code_is_worth_nothing(
    session: Session, browser: Browser, provider: IdentityProvider, open_browser: Open
) -> None:
    """Somebody who read the code on its way cannot use it, even with a sign-in of his own."""
    stolen = parse_qs(urlsplit(provider.authorize(_start(browser))).query)["code"][0]
    thief = open_browser()
    own = provider.authorize(_start(thief))
    mixed = {name: values[0] for name, values in parse_qs(urlsplit(own).query).items()}

    answer = thief.call("GET", "/session/oidc/callback", params=mixed | {"code": stolen})
    _refused(session, thief, answer)


@pytest.mark.parametrize(
    ("person", "status"),
    [
        ({"groups": ["unknown here"]}, 403),
        ({"groups": []}, 403),
        ({"groups": "it"}, 403),
        ({"groups": ["leases"]}, 403),
        ({"groups": ["leases"], "amr": ["pwd"]}, 403),
        ({"groups": ["leases"], "amr": [["mfa"], {}]}, 403),
        ({"groups": ["leases"], "amr": ["otp"]}, 303),
        ({"groups": ["it"], "amr": ["mfa"]}, 303),
    ],
    ids=str,
)
def test_groups_and_second_factors_decide_who_comes_in(
    browser: Browser, provider: IdentityProvider, person: Claims, status: int
) -> None:
    provider.person |= person
    assert _sign_in(browser, provider).status_code == status


def test_an_address_joins_no_accounts(
    session: Session, browser: Browser, provider: IdentityProvider, gate: Gate
) -> None:
    local = make_person(session, gate)
    provider.person["email"] = local.email

    refused = _sign_in(browser, provider)
    assert refused.json()["type"] == "/problems/account-exists"
    assert browser.cookie is None
    assert browser.sign_in(local.email).status_code == 200

    # The same person under another address is still the same person.
    browser.client.cookies.clear()
    provider.person["email"] = "chen@example.invalid"
    assert _sign_in(browser, provider).status_code == 303
    provider.person["email"] = "chen.new@example.invalid"
    assert _sign_in(browser, provider).status_code == 303
    assert browser.call("GET", "/session").json()["account"]["email"] == "chen@example.invalid"
    provider.person["sub"] = "somebody else"
    provider.person["email"] = "chen@example.invalid"
    assert _sign_in(browser, provider).json()["type"] == "/problems/account-exists"


def test_a_disabled_account_stays_out(
    session: Session, browser: Browser, provider: IdentityProvider, clock: Clock
) -> None:
    _sign_in(browser, provider)
    session.scalars(select(StaffAccount)).one().disabled_at = clock.at
    session.commit()

    assert browser.call("GET", "/session").status_code == 401
    assert _sign_in(browser, provider).json()["type"] == "/problems/sign-in-refused"


def test_new_keys_are_asked_for_and_not_with_every_token(
    browser: Browser, provider: IdentityProvider, clock: Clock
) -> None:
    assert _sign_in(browser, provider).status_code == 303
    provider.key = signing_key("second")
    assert _sign_in(browser, provider).status_code == 401, "asked a moment ago"
    clock.forward(minutes=2)
    provider.now = int(clock.at.timestamp())
    assert _sign_in(browser, provider).status_code == 303
    assert _sign_in(browser, provider).status_code == 303
    assert provider.asked.count("/park/keys") == 2


@pytest.mark.parametrize(
    "tells",
    [
        {"issuer": "https://elsewhere.example.invalid"},
        {"token_endpoint": "http://elsewhere.example.invalid/token"},
        {"jwks_uri": None},
    ],
    ids=str,
)
def test_a_provider_that_is_not_as_agreed_is_not_used(
    browser: Browser, provider: IdentityProvider, tells: Claims
) -> None:
    provider.tells = tells
    answer = browser.call("GET", "/session/oidc/start")
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/identity-provider-unavailable"
    provider.tells = {}
    _start(browser)


def test_the_provider_says_whose_account_it_is(
    session: Session, browser: Browser, provider: IdentityProvider, gate: Gate
) -> None:
    """Its staff number counts, so that nobody is a second person beside his own local account."""
    app: Any = browser.client.app
    config = OidcConfig.of(_settings(provider.issuer, oidc_staff_number_claim="employee"))
    assert config is not None
    app.state.provider = Provider(config, gate.sealer)
    provider.person["employee"] = "gi 42"

    assert _sign_in(browser, provider).status_code == 303

    account = session.scalars(select(StaffAccount)).one()
    assert account.staff_number == "GI42"
    provider.person |= {"sub": "another", "email": "another@example.invalid"}
    again = _sign_in(browser, provider)
    assert again.json()["type"] == "/problems/account-exists"
    # Control: without a number nobody knows that it is the same person.
    provider.person.pop("employee")
    assert _sign_in(browser, provider).status_code == 303


def test_a_key_that_is_too_short_is_not_believed(
    browser: Browser, provider: IdentityProvider, gate: Gate
) -> None:
    """RSA of 2048 bits is as strong as 112 bits, and 128 are asked for."""
    provider.key = signing_key("short", 2048)

    answer = browser.call("GET", "/session/oidc/start")

    assert answer.json()["type"] == "/problems/identity-provider-unavailable"
    # Control: an installation may say that its provider has no longer ones.
    app: Any = browser.client.app
    config = OidcConfig.of(_settings(provider.issuer, oidc_rsa_bits_min=2048))
    assert config is not None
    app.state.provider = Provider(config, gate.sealer)
    assert _sign_in(browser, provider).status_code == 303


def test_without_a_provider_there_is_none(open_browser: Open) -> None:
    browser = open_browser()
    for path in ("start", "callback"):
        assert browser.call("GET", f"/session/oidc/{path}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_algorithms": ["RS256", "none"]},
        {"oidc_algorithms": ["HS256"]},
        {"oidc_algorithms": []},
        {"oidc_redirect_url": "http://park.example.invalid/callback"},
        {"oidc_issuer": "http://elsewhere.example.invalid"},
        {"oidc_client_id": ""},
        {"oidc_roles": {}},
        {"oidc_roles": {"it": {"role": "emperor"}}},
        {"oidc_roles": {"it": {"role": "admin", "parks": []}}},
        {"oidc_roles": {"it": {"role": "admin", "park": ["gene"]}}},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused_at_the_start(wrong: dict[str, Any]) -> None:
    right = _settings("https://id.example.invalid")
    assert OidcConfig.of(right) is not None
    with pytest.raises(OidcSettingsError):
        OidcConfig.of(right.model_copy(update=wrong))


def _refused(session: Session, browser: Browser, answer: Response, *, accounts: int = 0) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["type"] == "/problems/sign-in-refused"
    assert browser.cookie is None
    assert len(session.scalars(select(StaffAccount)).all()) == accounts
