"""One-time codes (RFC 6238), and the codes that stand in for them when the telephone is lost."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import pyotp
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from app.models.staff import RecoveryCode, StaffAccount
from app.security.sealing import SealBrokenError, Sealer

ISSUER = "Space Relay"
RECOVERY_CODES = 10
#: 128 bits: a fast hash is enough, since nothing can be guessed.
_RECOVERY_BYTES = 16
#: Clocks of telephones may be off by one step of 30 seconds.
_DRIFT_STEPS = 1


class Factor(StrEnum):
    """What was shown beside the password."""

    ONE_TIME_CODE = "one-time code"
    RECOVERY_CODE = "recovery code"
    #: Shown at the identity provider.
    PROVIDER = "identity provider"


class Digest(StrEnum):
    """With which hash codes are made. Some authenticator apps know SHA-1 alone."""

    SHA1 = "sha1"
    SHA256 = "sha256"


_HASHES: Mapping[Digest, Callable[..., Any]] = {
    Digest.SHA1: hashlib.sha1,
    Digest.SHA256: hashlib.sha256,
}
#: Characters of five bits: as long as the hash is (RFC 6238, section 5.1).
_SECRET_CHARACTERS: Mapping[Digest, int] = {Digest.SHA1: 32, Digest.SHA256: 52}


@dataclass(frozen=True, slots=True)
class OneTimeSecret:
    """What codes are made of: base32 as authenticator apps take it, and with which hash."""

    base32: str
    digest: Digest

    @classmethod
    def new(cls, digest: Digest) -> Self:
        """A new one, as long as its hash."""
        return cls(pyotp.random_base32(_SECRET_CHARACTERS[digest]), digest)

    @classmethod
    def read(cls, written: bytes) -> Self:
        """One as ``written`` wrote it; what names no hash is of before there was a choice."""
        name, _, base32 = written.decode().rpartition(":")
        return cls(base32, Digest(name or Digest.SHA1))

    def written(self) -> bytes:
        """The secret as it is sealed."""
        return f"{self.digest}:{self.base32}".encode()

    def totp(self) -> pyotp.TOTP:
        """What makes its codes."""
        return pyotp.TOTP(self.base32, digest=_HASHES[self.digest])

    def provisioning_uri(self, email: str) -> str:
        """The ``otpauth:`` address that authenticator apps read from a QR code."""
        return self.totp().provisioning_uri(name=email, issuer_name=ISSUER)


def sealed(sealer: Sealer, account_id: UUID, secret: OneTimeSecret) -> bytes:
    """The secret as it is kept."""
    return sealer.seal(_purpose(account_id), secret.written())


def is_secret(sealer: Sealer, account_id: UUID, kept: bytes, secret: OneTimeSecret) -> bool:
    """Whether ``kept`` is this secret, sealed with a key that is still known."""
    with suppress(SealBrokenError):
        return OneTimeSecret.read(sealer.open(_purpose(account_id), kept)) == secret
    return False


def matching_step(sealer: Sealer, account_id: UUID, kept: bytes, code: str, now: datetime) -> int:
    """The 30-second step that ``code`` is of, by the sealed secret ``kept``; -1: of none."""
    totp = OneTimeSecret.read(sealer.open(_purpose(account_id), kept)).totp()
    try:
        return totp.verify_and_get_timecode(code, for_time=now, valid_window=_DRIFT_STEPS)
    except pyotp.OTPVerificationError:
        return -1


def show_second_factor(
    session: Session, sealer: Sealer, account: StaffAccount, code: str, now: datetime
) -> Factor | None:
    """Take a one-time code, whose step is then past, or a recovery code, which is then used up.

    The caller holds the account's row locked. None: it is neither.
    """
    kept = account.totp_secret
    if kept is None:
        return None
    plain = "".join(code.split())
    step = matching_step(sealer, account.id, kept, plain, now)
    if step > (account.totp_last_step or 0):
        account.totp_last_step = step
        if not sealer.is_current(kept):
            secret = sealer.open(_purpose(account.id), kept)
            account.totp_secret = sealer.seal(_purpose(account.id), secret)
        session.flush()
        return Factor.ONE_TIME_CODE
    used = session.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.account_id == account.id,
            RecoveryCode.code_sha256 == _sha256(plain),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.account_id)
    )
    return None if used is None else Factor.RECOVERY_CODE


def make_recovery_codes(session: Session, account_id: UUID) -> list[str]:
    """New codes in place of all earlier ones; shown once and kept nowhere."""
    codes = [
        base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().rstrip("=")
        for _ in range(RECOVERY_CODES)
    ]
    session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    session.execute(
        insert(RecoveryCode),
        [{"account_id": account_id, "code_sha256": _sha256(code)} for code in codes],
    )
    return ["-".join(code[place : place + 4] for place in range(0, len(code), 4)) for code in codes]


def recovery_codes_left(session: Session, account_id: UUID) -> int:
    """How many recovery codes are still good."""
    return (
        session.scalar(
            select(func.count()).where(
                RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None)
            )
        )
        or 0
    )


def seal_anew(session: Session, sealer: Sealer) -> int:
    """Seal with today's key what was sealed with earlier ones; returns of how many accounts."""
    count = 0
    for account in session.scalars(
        select(StaffAccount).order_by(StaffAccount.id).with_for_update()
    ):
        purpose, before = _purpose(account.id), (account.totp_secret, account.totp_pending)
        account.totp_secret, account.totp_pending = (sealer.anew(purpose, one) for one in before)
        count += before != (account.totp_secret, account.totp_pending)
    session.flush()
    return count


def forget_second_factor(session: Session, account: StaffAccount) -> None:
    """Take the second factor off an account, with its recovery codes."""
    forget_pending(account)
    account.totp_secret = account.totp_last_step = None
    session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account.id))
    session.flush()


def forget_pending(account: StaffAccount) -> None:
    """Await no first code any more."""
    account.totp_pending = account.totp_pending_until = None


def _purpose(account_id: UUID) -> str:
    return f"totp:{account_id}"


def _sha256(code: str) -> bytes:
    return hashlib.sha256(code.replace("-", "").upper().encode()).digest()
