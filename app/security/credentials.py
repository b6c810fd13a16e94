"""Issues and checks credentials. Secrets are random 32 bytes; only their SHA-256 is kept.

A fast hash is right here because the secret has 256 bits of entropy: nothing can be guessed.
"""

import base64
import hmac
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.kernel.errors import NotFoundError
from app.models.access import Credential
from app.models.company import Company
from app.models.space import Park
from app.models.staff import StaffAccount
from app.security.actors import (
    ANONYMOUS,
    Actor,
    ActorKind,
    NotAllowedError,
    NotSignedInError,
    Role,
    Scope,
)
from app.security.digests import digest_of

STAFF_PREFIX, LIVE_PREFIX, TEST_PREFIX = "sr_staff", "sr_live", "sr_test"
_PARTS = 4
#: ``last_used_at`` is written at most this often, so that reads stay reads.
_LAST_USED_GRAIN = timedelta(minutes=5)


def issue_staff_token(
    session: Session,
    *,
    role: Role,
    label: str,
    park_ids: Sequence[UUID] | None = None,
    expires_at: datetime | None = None,
    account: StaffAccount | None = None,
) -> str:
    """A new staff token; the returned text is shown once and kept nowhere.

    ``account``: the person it belongs to. It ends when that person may no longer do what it allows.

    Raises:
        NotAllowedError: it would allow more than the account.
    """
    if account is not None and not _within(account, role, park_ids):
        raise NotAllowedError(
            "a token allows no more than the account that it belongs to",
            detail_zh="令牌权限不得超出其所属账号",
        )
    return _issue(
        session,
        Credential(
            kind=ActorKind.STAFF,
            prefix=STAFF_PREFIX,
            role=role,
            label=label,
            park_ids=None if park_ids is None else list(park_ids),
            account_id=None if account is None else account.id,
            expires_at=expires_at,
        ),
    )


def issue_firm_key(
    session: Session,
    *,
    company_id: UUID,
    label: str,
    scopes: Sequence[Scope] = tuple(Scope),
    expires_at: datetime | None = None,
) -> str:
    """A new API key of a firm; the returned text is shown once and kept nowhere."""
    _, text = make_firm_key(
        session, company_id=company_id, label=label, scopes=scopes, expires_at=expires_at
    )
    return text


def make_firm_key(
    session: Session,
    *,
    company_id: UUID,
    label: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    prefix: str = LIVE_PREFIX,
    issued_by: str | None = None,
) -> tuple[Credential, str]:
    """The row of a new API key, and its text, which is shown once and kept nowhere."""
    credential = Credential(
        kind=ActorKind.FIRM,
        prefix=prefix,
        company_id=company_id,
        label=label,
        scopes=[str(scope) for scope in scopes],
        expires_at=expires_at,
        issued_by=issued_by,
    )
    return credential, _issue(session, credential)


def rotate(
    session: Session,
    credential: Credential,
    *,
    expires_at: datetime,
    now: datetime,
    overlap: timedelta,
) -> str:
    """Give a credential a new secret; the one before stays good for ``overlap``.

    A secret from before an earlier rotation ends now.
    """
    text = _new_text(credential)
    credential.previous_sha256 = credential.secret_sha256
    credential.previous_until = min(now + overlap, credential.expires_at or now + overlap)
    credential.secret_sha256 = digest_of(text)
    credential.rotated_at, credential.expires_at = now, expires_at
    session.flush()
    return text


def authenticate(session: Session, bearer: str | None, now: datetime) -> Actor:
    """The actor behind a bearer text; the public when there is none.

    Raises:
        NotSignedInError: a text was given, and it is no valid credential.
    """
    if bearer is None:
        return ANONYMOUS
    credential = find_valid(session, bearer, now)
    if credential is None:
        raise NotSignedInError("the credential is unknown, expired or revoked; ask for a new one")
    return actor_of(session, credential, now)


def find_valid(session: Session, text: str, now: datetime) -> Credential | None:
    """The credential that has this text now; None: it is no valid credential's."""
    parts = text.split("_", _PARTS - 1)
    if len(parts) != _PARTS or not text.isascii() or not parts[2].isalnum():
        return None
    credential = session.scalar(select(Credential).where(Credential.key_id == parts[2]))
    # Compare even when the key is unknown, so that the time taken tells nothing.
    given = digest_of(text)
    current = credential.secret_sha256 if credential else bytes(32)
    previous = credential.previous_sha256 if credential else None
    is_current = hmac.compare_digest(current, given)
    is_previous = hmac.compare_digest(previous or bytes(32), given)
    if credential is None or not holds(credential, now):
        return None
    if credential.account_id is not None:
        account = session.get_one(StaffAccount, credential.account_id)
        if not _within(account, Role(credential.role or Role.VIEWER), credential.park_ids):
            return None
    until = credential.previous_until
    overlaps = is_previous and until is not None and now < until
    return credential if is_current or overlaps else None


def holds(credential: Credential, now: datetime) -> bool:
    """Whether a credential is neither revoked nor expired."""
    return credential.revoked_at is None and (
        credential.expires_at is None or now < credential.expires_at
    )


def actor_of(
    session: Session, credential: Credential, now: datetime, scopes: Collection[str] | None = None
) -> Actor:
    """Who calls with a valid credential; ``scopes``: with no more than these. The use is noted."""
    _note_use(session, credential, now)
    if credential.kind == ActorKind.FIRM:
        granted = frozenset(credential.scopes)
        return Actor(
            kind=ActorKind.FIRM,
            label=f"firm:{credential.key_id}",
            company_id=credential.company_id,
            scopes=granted if scopes is None else granted & frozenset(scopes),
            key_id=credential.key_id,
        )
    park_ids = credential.park_ids
    return Actor(
        kind=ActorKind.STAFF,
        label=f"staff:{credential.key_id}",
        role=Role(credential.role or Role.VIEWER),
        park_ids=None if park_ids is None else frozenset(park_ids),
        account_id=credential.account_id,
    )


def find_company(session: Session, text: str) -> UUID:
    """The id of the company with this id or unified social credit code.

    Raises:
        NotFoundError: there is none.
    """
    try:
        same: ColumnElement[bool] = Company.id == UUID(text)
    except ValueError:
        same = Company.unified_social_credit_code == text.strip().upper()
    found = session.scalar(select(Company.id).where(same))
    if found is None:
        raise NotFoundError(
            f"no company has the id or unified social credit code {text}",
            detail_zh=f"没有编号或统一社会信用代码为 {text} 的企业",
        )
    return found


def find_parks(session: Session, codes: Sequence[str]) -> list[UUID]:
    """The ids of parks by their codes.

    Raises:
        NotFoundError: a code is no park's.
    """
    rows = session.execute(select(Park.code, Park.id).where(Park.code.in_(codes)))
    found: dict[str, UUID] = {row.code: row.id for row in rows}
    unknown = [code for code in codes if code not in found]
    if unknown:
        raise NotFoundError(
            f"no park has the code {unknown[0]}", detail_zh=f"没有代码为 {unknown[0]} 的园区"
        )
    return list(found.values())


def revoke(session: Session, key_id: str, now: datetime) -> bool:
    """End a credential; False when there is none of that id still valid."""
    ended = session.scalar(
        update(Credential)
        .where(Credential.key_id == key_id, Credential.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(Credential.id)
    )
    return ended is not None


def _within(account: StaffAccount, role: Role, park_ids: Sequence[UUID] | None) -> bool:
    """Whether an account is in use and allows this role in these parks."""
    parks = account.park_ids
    there = parks is None or (park_ids is not None and set(park_ids) <= set(parks))
    return account.disabled_at is None and Role(account.role).includes(role) and there


def _issue(session: Session, credential: Credential) -> str:
    # Base32 for the id: the separator "_" cannot appear in it.
    credential.key_id = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    text = _new_text(credential)
    credential.secret_sha256 = digest_of(text)
    session.add(credential)
    session.flush()
    return text


def _new_text(credential: Credential) -> str:
    return f"{credential.prefix}_{credential.key_id}_{secrets.token_urlsafe(32)}"


def _note_use(session: Session, credential: Credential, now: datetime) -> None:
    last = credential.last_used_at
    if last is not None and now - last < _LAST_USED_GRAIN:
        return
    # A transaction of its own: a write that is refused later must not undo it, nor hold its lock.
    with transaction(session):
        session.execute(
            update(Credential).where(Credential.id == credential.id).values(last_used_at=now)
        )
