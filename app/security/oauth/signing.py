"""The keys that sign access tokens: made here, sealed in the database, replaced without a gap."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from joserfc.jwk import ECKey
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.database.session import transaction, wait_for_turn
from app.models.firm_access import SigningKey
from app.security.sealing import Sealer

#: ECDSA over P-256 with SHA-256: every library of tokens knows it, and its keys are small.
ALGORITHM = "ES256"
_CURVE = "P-256"
#: Longest a token lives, and so how long a key that signs no more still verifies.
TOKEN_LIFE = timedelta(minutes=15)
#: How old the public keys may be that are shown.
PUBLISHED_FOR = timedelta(seconds=10)


class Published:
    """The public keys as they were read a moment ago: whoever asks keeps nobody waiting."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._lock = Lock()
        self._read: tuple[datetime, list[dict[str, Any]]] | None = None

    def keys(self, read: Callable[[], list[dict[str, Any]]], now: datetime) -> list[dict[str, Any]]:
        """The keys, by ``read`` where they are older than ``PUBLISHED_FOR``.

        One caller at a time reads; the others have what was read before, if anything was.
        """
        before = self._read
        if before is not None:
            is_fresh = abs(now - before[0]) < PUBLISHED_FOR
            if is_fresh or self._lock.locked():
                return before[1]
        with self._lock:
            known = self._read
            if known is None or known is before:
                known = self._read = (now, read())
            return known[1]


def signer(session: Session, sealer: Sealer, now: datetime) -> ECKey:
    """The private key that signs today, made when there is none."""
    newest = session.scalar(
        select(SigningKey)
        .where(SigningKey.retired_at.is_(None))
        .order_by(SigningKey.created_at.desc())
        .limit(1)
    )
    if newest is None:
        return _make(session, sealer, now)
    return ECKey.import_key(
        json.loads(sealer.open(_purpose(newest.kid), newest.private_sealed)),
        {"kid": newest.kid, "use": "sig", "alg": ALGORITHM},
    )


def verifier(session: Session, kid: str, now: datetime) -> ECKey | None:
    """The public key of this id while tokens that it signed may live; else None."""
    public = session.scalar(
        select(SigningKey.public).where(SigningKey.kid == kid, _still_verifies(now))
    )
    return None if public is None else ECKey.import_key(public)


def published(session: Session, now: datetime) -> list[dict[str, Any]]:
    """The public keys as a JWK set lists them, the one that signs today first."""
    return list(
        session.scalars(
            select(SigningKey.public)
            .where(_still_verifies(now))
            .order_by(SigningKey.retired_at.desc().nulls_first(), SigningKey.created_at.desc())
        )
    )


def published_ever(session: Session, sealer: Sealer, now: datetime) -> list[dict[str, Any]]:
    """The public keys; where there is none yet, the first is made, before any token is.

    Whoever checks tokens reads the keys when it starts, which may be before the first token.
    """
    found = published(session, now)
    if not found:
        with transaction(session):
            # Of several that find none at once, one makes it.
            wait_for_turn(session, "first signing key")
            signer(session, sealer, now)
        found = published(session, now)
    return found


def replace_signer(session: Session, sealer: Sealer, now: datetime) -> str:
    """Make a new key that signs from now on; returns its id.

    Those before it still verify for as long as the tokens that they signed live.
    """
    session.execute(
        update(SigningKey).where(SigningKey.retired_at.is_(None)).values(retired_at=now)
    )
    return str(_make(session, sealer, now).kid)


def seal_anew(session: Session, sealer: Sealer) -> int:
    """Seal with today's key what was sealed with earlier ones; returns how many keys."""
    count = 0
    for key in session.scalars(select(SigningKey).with_for_update()):
        if not sealer.is_current(key.private_sealed):
            private = sealer.open(_purpose(key.kid), key.private_sealed)
            key.private_sealed = sealer.seal(_purpose(key.kid), private)
            count += 1
    session.flush()
    return count


def _make(session: Session, sealer: Sealer, now: datetime) -> ECKey:
    key = ECKey.generate_key(_CURVE, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    kid = str(key.kid)
    private = json.dumps(key.as_dict(private=True)).encode()
    session.add(
        SigningKey(
            kid=kid,
            private_sealed=sealer.seal(_purpose(kid), private),
            public=dict(key.as_dict(private=False)),
            created_at=now,
        )
    )
    session.flush()
    return key


def _purpose(kid: str) -> str:
    return f"signing key:{kid}"


def _still_verifies(now: datetime) -> Any:
    return or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > now - TOKEN_LIFE)
