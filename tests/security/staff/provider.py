"""A real identity provider on loopback, which can be told to lie."""

import hashlib
import hmac
import json
import secrets
import threading
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "space-relay", "between-us-two"
Claims = dict[str, Any]


@cache
def signing_key(kid: str, bits: int = 3072) -> RSAKey:
    """A key of the provider's; long ones take a while to make."""
    return RSAKey.generate_key(bits, {"kid": kid, "use": "sig"})


class IdentityProvider:
    """Knows one person, and signs what it is told to say of him."""

    def __init__(self) -> None:
        self.key = signing_key("first")
        self.person: Claims = {}
        #: What to change of the claims, how to sign them, and what to tell of oneself.
        self.spoil: Callable[[Claims], Claims] = dict
        self.sign: Callable[[Claims], str] = self.signed
        self.tells: Claims = {}
        self.now = 0
        self.asked: list[str] = []
        self._codes: dict[str, Claims] = {}
        self._server: ThreadingHTTPServer | None = None

    @property
    def issuer(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/park"

    def signed(self, claims: Claims) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def unsigned(self, claims: Claims) -> str:
        parts = ({"alg": "none"}, claims)
        return ".".join(_encoded(json.dumps(part).encode()) for part in parts) + "."

    def signed_with_what_everybody_knows(self, claims: Claims) -> str:
        """HMAC, keyed with the public key: taken by those who let the token choose."""
        head = {"alg": "HS256", "kid": self.key.kid}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        public = self.key.as_pem(private=False)
        return f"{text}.{_encoded(hmac.digest(public, text.encode(), 'sha256'))}"

    def signed_by_another(self, claims: Claims) -> str:
        other = RSAKey.generate_key(2048, {"kid": "first"})
        return jwt.encode({"alg": "RS256", "kid": "first"}, claims, other)

    def authorize(self, url: str) -> str:
        """What a browser does that signs in there: where it is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def tokens(self, form: dict[str, str], authorization: str) -> tuple[int, Claims]:
        """The token endpoint: a code is good once, for whoever can show the verifier."""
        known = b64decode(authorization.removeprefix("Basic ")).decode()
        asked = self._codes.pop(form["code"], None)
        challenge = _encoded(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if known != f"{CLIENT_ID}:{CLIENT_SECRET}" or asked is None:
            return 400, {"error": "invalid_grant"}
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": self.now,
            "exp": self.now + 300,
            "nonce": asked["nonce"],
            **self.person,
        }
        return 200, {
            "access_token": "unused",
            "token_type": "Bearer",
            "id_token": self.sign(self.spoil(claims)),
        }

    def metadata(self) -> Claims:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        } | self.tells

    @contextmanager
    def serving(self) -> Iterator["IdentityProvider"]:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _handler(provider: IdentityProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            if self.path == "/park/.well-known/openid-configuration":
                self._answer(200, provider.metadata())
            elif self.path == "/park/keys":
                self._answer(200, {"keys": [provider.key.as_dict(private=False)]})
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(sent).items()}
            self._answer(*provider.tokens(form, self.headers.get("Authorization", "")))

        def _answer(self, status: int, body: Claims) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
