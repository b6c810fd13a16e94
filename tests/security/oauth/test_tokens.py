"""Access tokens: taken only whole, ours, in time, and while their key lives."""

import base64
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.security.actors import Scope
from app.security.oauth import signing
from tests.clocks import SetClock, set_clock
from tests.factories import firm_headers, make_company, staff_headers

TOKEN, KEYS, COMPANIES = "/oauth/token", "/api/v1/keys", "/api/v1/companies"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def clock(client: TestClient) -> SetClock:
    return set_clock(client)


@pytest.fixture
def key(client: TestClient, session: Session, clock: SetClock) -> dict[str, Any]:
    headers = firm_headers(session, make_company(session))
    made: dict[str, Any] = client.post(KEYS, headers=headers, json={"label": "x"}).json()
    return made


def basic(key: dict[str, Any]) -> tuple[str, str]:
    return key["client_id"], key["key"]


def token_of(client: TestClient, key: dict[str, Any], **more: str) -> str:
    answer = client.post(TOKEN, data=GRANT | more, auth=basic(key))
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


def status(client: TestClient, token: str, path: str = COMPANIES) -> int:
    return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_lives_fifteen_minutes_and_carries_what_was_asked(
    client: TestClient, key: dict[str, Any], clock: SetClock
) -> None:
    answer = client.post(TOKEN, data=GRANT | {"scope": "requests:read"}, auth=basic(key))

    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    assert told["scope"] == "requests:read"
    token = told["access_token"]
    assert status(client, token) == 200
    assert status(client, token, KEYS) == 403  # the key may, the token may not
    clock.pass_by(seconds=899)
    assert status(client, token) == 200
    clock.pass_by(seconds=1)
    refused = client.get(COMPANIES, headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["type"] == "/problems/not-signed-in"


def test_revoking_the_key_ends_its_tokens_at_once(client: TestClient, key: dict[str, Any]) -> None:
    token = token_of(client, key)
    assert status(client, token) == 200

    revoked = client.post(
        f"{KEYS}/{key['id']}/revoke", headers={"Authorization": f"Bearer {token}"}
    )

    assert revoked.status_code == 200
    assert status(client, token) == 401
    assert client.post(TOKEN, data=GRANT, auth=basic(key)).json()["error"] == "invalid_client"


def test_the_published_keys_check_a_token_and_outlive_a_rotation(
    client: TestClient, session: Session, key: dict[str, Any], clock: SetClock
) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    old = token_of(client, key)
    clock.pass_by(minutes=1)
    signing.replace_signer(session, app.state.sealer, clock.now())
    new = token_of(client, key)

    published = client.get("/.well-known/jwks.json").json()["keys"]
    by_id = {one["kid"]: ECKey.import_key(one) for one in published}

    assert len(by_id) == 2
    assert all("d" not in one for one in published)
    for token in (old, new):
        kid = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]
        claims = jwt.decode(token, by_id[kid], algorithms=["ES256"]).claims
        assert claims["iss"] == app.state.issuer
        assert claims["aud"] == "space-relay"
        assert claims["sub"] == key["client_id"]
        assert status(client, token) == 200
    clock.pass_by(minutes=15)
    assert [one["kid"] for one in client.get("/.well-known/jwks.json").json()["keys"]] == [
        json.loads(base64.urlsafe_b64decode(new.split(".")[0] + "=="))["kid"]
    ]


def test_the_first_key_is_published_before_the_first_token(
    client: TestClient, key: dict[str, Any]
) -> None:
    """Whoever checks tokens may read the keys before there is any."""
    (published,) = client.get("/.well-known/jwks.json").json()["keys"]

    token = token_of(client, key)

    told = jwt.decode(token, ECKey.import_key(published), algorithms=["ES256"])
    assert (told.header["kid"], told.claims["sub"]) == (published["kid"], key["client_id"])


def test_of_many_who_find_no_key_one_makes_it(
    own_engine: Engine, make_client: Callable[..., TestClient]
) -> None:
    processes = [make_client(own_engine) for _ in range(3)]
    with ThreadPoolExecutor(len(processes)) as crowd:
        answers = list(crowd.map(lambda one: one.get("/.well-known/jwks.json"), processes))

    assert {len(one.json()["keys"]) for one in answers} == {1}
    assert len({one.text for one in answers}) == 1


def test_forged_and_foreign_tokens_are_refused(
    client: TestClient, session: Session, key: dict[str, Any], clock: SetClock
) -> None:
    """Each is the good token but for one thing; the good one, made the same way, is taken."""
    app = client.app
    assert isinstance(app, FastAPI)
    ours = signing.signer(session, app.state.sealer, clock.now())
    now = int(clock.now().timestamp())
    claims: dict[str, Any] = {
        "iss": app.state.issuer,
        "aud": "space-relay",
        "sub": key["client_id"],
        "iat": now,
        "exp": now + 900,
        "jti": "1",
        "scope": "requests:read",
    }
    header = {"alg": "ES256", "kid": ours.kid, "typ": "at+jwt"}

    def signed(signer: Any = ours, head: dict[str, Any] | None = None, **changed: Any) -> str:
        used = header | (head or {})
        told = {name: value for name, value in (claims | changed).items() if value is not None}
        return jwt.encode(used, told, signer, algorithms=[used["alg"]])

    assert status(client, signed()) == 200

    good = signed()
    head, body, signature = good.split(".")
    unsigned_head = _encoded(json.dumps(header | {"alg": "none"}).encode())
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    forged = {
        "no signature": f"{unsigned_head}.{body}.",
        "no signature, same text": f"{unsigned_head}.{body}.{signature}",
        "public key as secret": _by_hmac(header | {"alg": "HS256"}, body, ours.as_pem()),
        "a stranger's key under our id": signed(stranger),
        "an unknown key": signed(stranger, {"kid": stranger.kid}),
        "no key id": jwt.encode(
            {"alg": "ES256", "typ": "at+jwt"},
            claims,
            ECKey.import_key(ours.as_pem(private=True)),
            algorithms=["ES256"],
        ),
        "key id of another type": _by_hmac(header | {"kid": 7}, body, b"x"),
        "a key that brings itself": signed(stranger, {"jwk": stranger.as_dict(private=False)}),
        "not an access token": signed(head={"typ": "JWT"}),
        "another audience": signed(aud="somebody-else"),
        "the sandbox's": signed(aud="space-relay-sandbox"),
        "another issuer": signed(iss="https://elsewhere.example"),
        "expired": signed(exp=now),
        "no end": signed(exp=None),
        "an end that is no number": signed(exp="never"),
        "from the future": signed(iat=now + 60),
        "no audience": signed(aud=None),
        "no id": signed(jti=None),
        "an unknown client": signed(sub=uuid4().hex),
        "a changed claim": f"{head}.{_changed(body)}.{signature}",
        "garbage": "a.b.c",
        "nothing": "..",
        "deep": "[" * 900 + ".b.c",
        "long": f"{head}.{'A' * 6000}.{signature}",
    }
    taken = {name: status(client, token) for name, token in forged.items()}
    assert taken == dict.fromkeys(forged, 401)


def _encoded(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def _by_hmac(header: dict[str, Any], body: str, secret: bytes) -> str:
    signed = f"{_encoded(json.dumps(header).encode())}.{body}"
    return f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _changed(body: str) -> str:
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["scope"] += " keys:write"
    return _encoded(json.dumps(claims).encode())


def test_refusals_have_the_form_of_the_rfc(
    client: TestClient, session: Session, key: dict[str, Any]
) -> None:
    in_body = {"client_id": key["client_id"], "client_secret": key["key"]}
    staff = staff_headers(session)["Authorization"].removeprefix("Bearer ")
    wrong = key["client_id"], key["key"][:-1] + "_"
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"data": GRANT, "auth": wrong}, 401, "invalid_client"),
        ({"data": GRANT, "auth": ("aaaaaaaaaaaaaaaa", key["key"])}, 401, "invalid_client"),
        ({"data": GRANT}, 401, "invalid_client"),
        ({"data": GRANT, "auth": (staff.split("_")[2], staff)}, 401, "invalid_client"),
        ({"data": GRANT | {"client_id": "x\0", "client_secret": "sr_live_\0_x"}}, 401,
         "invalid_client"),
        ({"data": GRANT, "headers": {"Authorization": "Basic !"}}, 401, "invalid_client"),
        ({"data": GRANT, "headers": {"Authorization": f"Bearer {key['key']}"}}, 401,
         "invalid_client"),
        ({"data": GRANT | in_body, "auth": basic(key)}, 400, "invalid_request"),
        ({"data": in_body}, 400, "invalid_request"),
        ({"json": GRANT | in_body}, 400, "invalid_request"),
        ({"data": {"grant_type": "password"} | in_body}, 400, "unsupported_grant_type"),
        ({"data": GRANT | in_body | {"scope": "everything"}}, 400, "invalid_scope"),
        ({"data": GRANT | in_body | {"scope": ""}}, 400, "invalid_scope"),
        (
            {"content": "grant_type=client_credentials&grant_type=client_credentials",
             "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            400,
            "invalid_request",
        ),
    ]  # fmt: skip
    for sent, expected, error in cases:
        refused = client.post(TOKEN, **sent)
        assert (refused.status_code, refused.json()["error"]) == (expected, error), sent
        assert refused.headers["content-type"] == "application/json"
        assert ("www-authenticate" in refused.headers) == (expected == 401)
    assert client.post(TOKEN, data=GRANT | in_body).status_code == 200


def test_a_token_has_no_more_than_its_key_has_left(
    client: TestClient, session: Session, clock: SetClock
) -> None:
    admin = firm_headers(session, make_company(session), (Scope.KEYS_WRITE,))
    short = client.post(KEYS, headers=admin, json={"label": "x", "expires_in_days": 1}).json()
    clock.pass_by(days=1, minutes=-5)

    answer = client.post(TOKEN, data=GRANT, auth=basic(short)).json()

    assert answer["expires_in"] == 300


def test_clients_find_everything_out_by_themselves(client: TestClient) -> None:
    told = client.get("/.well-known/oauth-authorization-server").json()

    assert told["issuer"] == "http://127.0.0.1:8000"
    assert told["token_endpoint"] == told["issuer"] + TOKEN
    assert told["grant_types_supported"] == ["client_credentials"]
    assert told["scopes_supported"] == [scope.value for scope in Scope]


def test_published_keys_are_read_now_and_then_by_one_caller_at_a_time() -> None:
    """So that a crowd which asks for them takes no connection, and nobody's place at the gate."""
    published = signing.Published()
    reads: list[int] = []
    began, go_on = Event(), Event()
    start = datetime(2027, 1, 1, tzinfo=UTC)

    def read() -> list[dict[str, Any]]:
        reads.append(len(reads))
        if len(reads) > 1:
            began.set()
            assert go_on.wait(10)
        return [{"kid": str(len(reads))}]

    def kid(seconds: float) -> str:
        (found,) = published.keys(read, start + timedelta(seconds=seconds))
        return str(found["kid"])

    assert {kid(seconds) for seconds in (0, 1, 9.9)} == {"1"}
    with ThreadPoolExecutor(1) as slow:
        second = slow.submit(kid, 10)
        assert began.wait(10)
        # While one reads, the others have what was read before.
        assert kid(10) == "1"
        go_on.set()
        assert second.result() == "2"
    assert (kid(11), len(reads)) == ("2", 2)
