"""Access tokens: a firm's key is exchanged for one that lives minutes (RFC 6749 4.4, RFC 9068).

A token is signed, and still each call looks up the key that it was given for: when the key is
revoked, its tokens end with it.
"""

import binascii
import json
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, GuestProtocol
from joserfc.jwt import JWTClaimsRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.access import Credential
from app.security import credentials
from app.security.actors import Actor, ActorKind, NotSignedInError
from app.security.oauth import signing
from app.security.sealing import Sealer

#: Whom a token is for: the live service or its sandbox, after the key it was given for.
AUDIENCES: Mapping[str, str] = {
    credentials.LIVE_PREFIX: "space-relay",
    credentials.TEST_PREFIX: "space-relay-sandbox",
}
#: A token says what it is, so that no other signed text passes for one (RFC 9068, section 2.1).
_TYPE = "at+jwt"
_ID_LENGTH_MAX = 100
#: Ours have about 700 characters.
_LENGTH_MAX = 4_000


class GrantRefusedError(Exception):
    """No token is given: a code of RFC 6749, section 5.2, and a sentence."""

    def __init__(self, code: str, description: str) -> None:
        """``description`` is for the client's developer: ASCII without quotes, as the RFC wants."""
        super().__init__(description)
        self.code, self.description = code, description


@dataclass(frozen=True, slots=True)
class Grant:
    """A token as it is handed out."""

    access_token: str
    expires_in: int
    scope: str


def grant_token(
    session: Session,
    sealer: Sealer,
    *,
    client_id: str,
    client_secret: str,
    scope: str | None,
    issuer: str,
    now: datetime,
) -> Grant:
    """A token for a firm's key, for all of its scopes or the ones asked for.

    Raises:
        GrantRefusedError: the key is not valid, or lacks a scope that is asked for.
    """
    key = credentials.find_valid(session, client_secret, now)
    if key is None or key.kind != ActorKind.FIRM.value or key.key_id != client_id:
        raise GrantRefusedError("invalid_client", "the client id or secret is not valid")
    granted = key.scopes if scope is None else list(dict.fromkeys(scope.split()))
    lacking = [one for one in granted if one not in key.scopes]
    if lacking or not granted:
        raise GrantRefusedError("invalid_scope", "the key does not have every scope asked for")
    ends = now + signing.TOKEN_LIFE
    ends = min(ends, key.expires_at or ends)
    signer = signing.signer(session, sealer, now)
    issued_at, expires_at = int(now.timestamp()), int(ends.timestamp())
    allowed = " ".join(granted)
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": AUDIENCES[key.prefix],
        "sub": key.key_id,
        "client_id": key.key_id,
        "iat": issued_at,
        "exp": expires_at,
        "jti": secrets.token_urlsafe(12),
        "scope": allowed,
    }
    header = {"alg": signing.ALGORITHM, "kid": signer.kid, "typ": _TYPE}
    return Grant(
        access_token=jwt.encode(header, claims, signer, algorithms=[signing.ALGORITHM]),
        expires_in=expires_at - issued_at,
        scope=allowed,
    )


def looks_like_token(bearer: str) -> bool:
    """Whether a bearer text has the form of a token, not of a key."""
    return bearer.count(".") == 2  # noqa: PLR2004 - header, claims and signature


def actor_of(session: Session, token: str, now: datetime, *, issuer: str) -> Actor:
    """The firm behind a token, with the scopes that both the token and its key have.

    Raises:
        NotSignedInError: it is no valid token of ours, or its key is no more.
    """
    refusal = NotSignedInError(
        "the token is unknown, expired or its key revoked; ask /oauth/token for another",
        detail_zh="令牌无效、已过期或其密钥已吊销，请通过 /oauth/token 重新获取",
    )
    if len(token) > _LENGTH_MAX:
        raise refusal

    def key_of(guest: GuestProtocol) -> ECKey:
        header = guest.headers()
        kid = header.get("kid")
        if header.get("typ") != _TYPE or not isinstance(kid, str) or len(kid) > _ID_LENGTH_MAX:
            raise InvalidKeyIdError
        found = signing.verifier(session, kid, now) if kid.isascii() and "\0" not in kid else None
        if found is None:
            raise InvalidKeyIdError
        return found

    rules = JWTClaimsRegistry(
        now=int(now.timestamp()),
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "values": list(AUDIENCES.values())},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
        scope={"essential": True},
    )
    try:
        claims = jwt.decode(token, key_of, algorithms=[signing.ALGORITHM]).claims
        rules.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise refusal from error
    key = session.scalar(select(Credential).where(Credential.key_id == claims["sub"]))
    if key is None or not credentials.holds(key, now) or claims["aud"] != AUDIENCES.get(key.prefix):
        raise refusal
    return credentials.actor_of(session, key, now, str(claims["scope"]).split())


def is_of_sandbox(bearer: str) -> bool:
    """Whether a key or token says that it is the sandbox's: that is where it is looked up.

    It is believed no further: what is no valid credential there is refused.
    """
    if looks_like_token(bearer):
        return _audience_claimed(bearer) == AUDIENCES[credentials.TEST_PREFIX]
    return bearer.startswith(f"{credentials.TEST_PREFIX}_")


def _audience_claimed(token: str) -> str | None:
    try:
        padded = token.split(".")[1] + "=="
        claims: Any = json.loads(urlsafe_b64decode(padded))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return None
    audience = claims.get("aud") if isinstance(claims, dict) else None
    return audience if isinstance(audience, str) else None
