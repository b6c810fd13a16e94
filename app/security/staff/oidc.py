"""Signing in at the park's identity provider: OpenID Connect, authorization code with PKCE.

What must survive the browser's trip to the provider travels in a sealed cookie of a few minutes, so
nothing is kept here, and an answer is good only in the browser that asked.
"""

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from httpx2 import HTTPError
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet, RSAKey

from app.security.actors import Role
from app.security.sealing import SealBrokenError, Sealer
from app.security.staff.errors import IdentityProviderError, SignInRefusedError
from app.settings import Settings

logger = structlog.get_logger(__name__)

#: How long somebody may take to sign in at the provider.
TRIP_MAX = timedelta(minutes=10)
#: How long what the provider says of itself is believed.
_METADATA_MAX_AGE = timedelta(hours=1)
#: An unknown key makes us ask for the keys again, at most this often.
_KEYS_AGAIN_AFTER = timedelta(minutes=1)
_TIMEOUT_S = 5.0
_CLOCK_SKEW_S = 60
_PURPOSE = "trip to the identity provider"
#: Signatures that prove nothing where the key to check them is public, or that are none.
_NO_PROOF = ("none", "HS")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class OidcSettingsError(Exception):
    """The settings of the identity provider do not fit together."""


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """What a group of the provider stands for: a role, and codes of parks (None: every park)."""

    role: Role
    parks: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """The settings of the identity provider, checked."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_url: str
    scope: str
    groups_claim: str
    groups: Mapping[str, GroupPlace]
    staff_number_claim: str
    algorithms: tuple[str, ...]
    second_factor_amr: frozenset[str]
    rsa_bits_min: int

    @classmethod
    def of(cls, settings: Settings) -> "OidcConfig | None":
        """The configuration of an installation; None where it has no provider.

        Raises:
            OidcSettingsError: something is missing, unknown or unsafe.
        """
        if settings.oidc_issuer is None:
            return None
        for url in (settings.oidc_issuer, settings.oidc_redirect_url):
            _require_safe(url)
        if not settings.oidc_client_id or not settings.oidc_roles:
            raise OidcSettingsError("set SPACE_RELAY_OIDC_CLIENT_ID and SPACE_RELAY_OIDC_ROLES")
        weak = [name for name in settings.oidc_algorithms if name.startswith(_NO_PROOF)]
        if weak or not settings.oidc_algorithms:
            raise OidcSettingsError(f"SPACE_RELAY_OIDC_ALGORITHMS: {weak or 'none'} prove nothing")
        secret = settings.oidc_client_secret
        return cls(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            redirect_url=settings.oidc_redirect_url,
            scope=settings.oidc_scope,
            groups_claim=settings.oidc_groups_claim,
            groups={name: _group(name, place) for name, place in settings.oidc_roles.items()},
            staff_number_claim=settings.oidc_staff_number_claim,
            algorithms=tuple(settings.oidc_algorithms),
            second_factor_amr=frozenset(settings.oidc_second_factor_amr),
            rsa_bits_min=settings.oidc_rsa_bits_min,
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it was."""

    issuer: str
    subject: str
    email: str
    name: str
    groups: tuple[str, ...]
    second_factor: bool
    staff_number: str | None = None


@dataclass(slots=True)
class _Known:
    """What the provider said of itself, and when."""

    metadata: dict[str, Any]
    keys: KeySet
    at: datetime


class Provider:
    """The identity provider. Threads share one."""

    def __init__(self, config: OidcConfig, sealer: Sealer) -> None:
        """``sealer`` seals what travels in the browser."""
        self.config = config
        self._sealer = sealer
        self._known: _Known | None = None
        self._lock = Lock()

    def start(self, now: datetime) -> tuple[str, str]:
        """Where to send the browser, and what it must bring back in a cookie.

        Raises:
            IdentityProviderError: the provider does not answer.
        """
        trip = {
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
            "until": (now + TRIP_MAX).timestamp(),
        }
        metadata = self._about(now).metadata
        with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=trip["state"],
                code_verifier=trip["verifier"],
                nonce=trip["nonce"],
            )
        sealed = self._sealer.seal(_PURPOSE, json.dumps(trip).encode())
        return url, base64.urlsafe_b64encode(sealed).decode()

    def finish(self, cookie: str | None, answer: Mapping[str, str], now: datetime) -> Identity:
        """Who came back from the provider.

        Args:
            cookie: what ``start`` gave this browser.
            answer: the parameters that the provider sent it back with.
            now: the present instant.

        Raises:
            SignInRefusedError: the answer is not the one to this browser's question, the provider
                refused, or the id_token does not hold.
            IdentityProviderError: the provider does not answer.
        """
        trip = self._trip(cookie, now)
        state = answer.get("state", "")
        if not hmac.compare_digest(trip["state"].encode(), state.encode()):
            raise _refused("the answer is not to this browser's question; sign in again")
        if answer.get("iss", self.config.issuer) != self.config.issuer:
            raise _refused("the answer comes from another identity provider")
        if "code" not in answer:
            raise _refused("the identity provider did not let you in")
        about = self._about(now)
        with self._client() as client:
            try:
                tokens = client.fetch_token(
                    about.metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=answer["code"],
                    code_verifier=trip["verifier"],
                )
            except OAuthError as error:
                raise _refused("the identity provider does not know its own answer") from error
            except (HTTPError, ValueError) as error:
                raise _unavailable(error) from error
        return self._identity(self._claims(tokens.get("id_token"), trip["nonce"], now))

    def _trip(self, cookie: str | None, now: datetime) -> dict[str, Any]:
        try:
            sealed = base64.b64decode(cookie or "", altchars=b"-_", validate=True)
            trip: dict[str, Any] = json.loads(self._sealer.open(_PURPOSE, sealed))
        except (binascii.Error, SealBrokenError) as error:
            raise _refused("sign in again, in the browser in which you began") from error
        if trip["until"] < now.timestamp():
            raise _refused("signing in took too long; begin again")
        return trip

    def _claims(self, id_token: Any, nonce: str, now: datetime) -> dict[str, Any]:
        about = self._about(now)
        if not isinstance(id_token, str):
            raise _refused("the identity provider sent no id_token")
        try:
            try:
                token = jwt.decode(id_token, about.keys, algorithms=self.config.algorithms)
            except InvalidKeyIdError:
                # The provider may have changed its keys.
                about = self._about(now, keys_after=now - _KEYS_AGAIN_AFTER)
                token = jwt.decode(id_token, about.keys, algorithms=self.config.algorithms)
            jwt.JWTClaimsRegistry(
                now=int(now.timestamp()),
                leeway=_CLOCK_SKEW_S,
                iss={"essential": True, "value": self.config.issuer},
                aud={"essential": True, "value": self.config.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(token.claims)
        except (JoseError, ValueError) as error:
            raise _refused("the identity provider's answer does not hold") from error
        claims = token.claims
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.config.client_id) != self.config.client_id:
            raise _refused("the identity provider's answer is for somebody else")
        return claims

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        groups = claims.get(self.config.groups_claim)
        amr = claims.get("amr")
        shown = [str(one) for one in amr] if isinstance(amr, list) else []
        trusted = self.config.second_factor_amr
        number = claims.get(self.config.staff_number_claim)
        email = claims.get("email")
        name = str(claims.get("name") or email)
        if not isinstance(email, str) or "\0" in name + claims["sub"]:
            raise _refused("the identity provider tells no e-mail address, or nothing readable")
        return Identity(
            issuer=self.config.issuer,
            subject=claims["sub"],
            email=email,
            name=name,
            groups=tuple(str(one) for one in groups) if isinstance(groups, list) else (),
            second_factor=not trusted or any(one in trusted for one in shown),
            staff_number=str(number) if isinstance(number, str | int) else None,
        )

    def _client(self) -> Any:
        return OAuth2Client(
            client_id=self.config.client_id,
            client_secret=self.config.client_secret,
            scope=self.config.scope,
            redirect_uri=self.config.redirect_url,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
            follow_redirects=False,
        )

    def _about(self, now: datetime, *, keys_after: datetime | None = None) -> _Known:
        """What the provider says of itself, asked again when that is old."""
        oldest = max(now - _METADATA_MAX_AGE, keys_after or now - _METADATA_MAX_AGE)
        with self._lock:
            if self._known is None or self._known.at < oldest:
                self._known = self._ask(now)
            return self._known

    def _ask(self, now: datetime) -> _Known:
        issuer = self.config.issuer
        try:
            with self._client() as client:
                metadata = _document(
                    client, f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                )
                _require_same_name(metadata.get("issuer"), issuer)
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    _require_safe(str(metadata.get(name)))
                keys = _document(client, metadata["jwks_uri"])
                known = self._strong(KeySet.import_key_set({"keys": keys["keys"]}))
        except (HTTPError, JoseError, OidcSettingsError, ValueError, KeyError) as error:
            raise _unavailable(error) from error
        return _Known(metadata, known, now)

    def _strong(self, published: KeySet) -> KeySet:
        """The provider's keys but those that are too short to be believed.

        Raises:
            OidcSettingsError: none is left.
        """
        least = self.config.rsa_bits_min
        strong = [
            key
            for key in published.keys
            if not isinstance(key, RSAKey) or key.public_key.key_size >= least
        ]
        if not strong:
            raise OidcSettingsError(
                f"its RSA keys have fewer than {least} bits: have it sign with a longer one or"
                " ES256, or set SPACE_RELAY_OIDC_RSA_BITS_MIN"
            )
        return KeySet(strong)


def _require_same_name(said: object, agreed: str) -> None:
    if said != agreed:
        raise OidcSettingsError(f"it calls itself {said}, and the settings {agreed}")


def _document(client: Any, url: str) -> dict[str, Any]:
    """A JSON object that the provider publishes."""
    found = client.request("GET", url, withhold_token=True).raise_for_status().json()
    if not isinstance(found, dict):
        raise ValueError(f"{url} is no JSON object")  # noqa: TRY004 - as if it were no JSON
    return found


def _group(name: str, place: Mapping[str, str | list[str]]) -> GroupPlace:
    parks = place.get("parks")
    unknown = set(place) - {"role", "parks"}
    if unknown or not isinstance(parks, list | None) or parks == []:
        raise OidcSettingsError(f"SPACE_RELAY_OIDC_ROLES: {name} takes a role and a list of parks")
    try:
        role = Role(str(place["role"]))
    except (KeyError, ValueError) as error:
        raise OidcSettingsError(f"SPACE_RELAY_OIDC_ROLES: {name} has no role we know") from error
    return GroupPlace(role, None if parks is None else tuple(parks))


def _require_safe(url: str) -> None:
    """Refuse addresses that others on the way could read or change."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise OidcSettingsError(f"{url or 'an empty address'} is not https://…")


def _refused(detail: str) -> SignInRefusedError:
    return SignInRefusedError(detail, detail_zh="身份认证服务的登录未成功，请重新登录")


def _unavailable(why: Exception) -> IdentityProviderError:
    logger.warning("identity provider unavailable", error=repr(why))
    return IdentityProviderError(
        "the identity provider does not answer as it should; try again",
        detail_zh="身份认证服务未正常响应，请稍后重试",
    )
