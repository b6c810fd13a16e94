"""Sessions of signed-in staff: opaque tokens of 256 bits, of which only the SHA-256 is kept."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.kernel.errors import NotFoundError
from app.models.staff import StaffAccount, StaffSession
from app.security.actors import Actor, ActorKind, NotAllowedError, NotSignedInError, Role
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.security.digests import digest_of
from app.security.staff.policy import StaffPolicy

#: ``last_seen_at`` is written at most this often, so that reads stay reads.
_SEEN_GRAIN = timedelta(minutes=1)
_USER_AGENT_MAX = 200


class Browser(NamedTuple):
    """From where a call comes, as far as the list of sessions shows it."""

    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person in a session. ``factor_missing``: the role takes a second factor, not yet shown."""

    actor: Actor
    account: StaffAccount
    session: StaffSession
    factor_missing: bool


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session as its owner or an administrator sees it."""

    session: StaffSession
    email: str


def csrf_token(token: str) -> str:
    """What pages of a session send along, to prove that they can read its answers."""
    digest = hashlib.sha256(f"csrf:{token}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_csrf_token(token: str, given: str | None) -> bool:
    """Whether ``given`` is the session's; compared in constant time."""
    return hmac.compare_digest(csrf_token(token).encode(), (given or "").encode())


def start(
    session: Session,
    account: StaffAccount,
    browser: Browser,
    *,
    second_factor: bool,
    now: datetime,
    policy: StaffPolicy,
) -> str:
    """A new session of ``account``; the returned token goes into the cookie and nowhere else."""
    token = secrets.token_urlsafe(32)
    session.add(
        StaffSession(
            account_id=account.id,
            token_sha256=digest_of(token),
            second_factor=second_factor,
            created_at=now,
            last_seen_at=now,
            expires_at=now + policy.longest,
            address=browser.address,
            user_agent=(browser.user_agent or "")[:_USER_AGENT_MAX] or None,
        )
    )
    session.flush()
    return token


def authenticate(session: Session, token: str, now: datetime, policy: StaffPolicy) -> SignedIn:
    """Who the token belongs to.

    Raises:
        NotSignedInError: the session has ended, or never was.
    """
    found = session.execute(
        select(StaffSession, StaffAccount)
        .join(StaffAccount, StaffAccount.id == StaffSession.account_id)
        .where(StaffSession.token_sha256 == digest_of(token), *_live(now, policy))
    ).one_or_none()
    if found is None or found.StaffAccount.disabled_at is not None:
        raise NotSignedInError(
            "the session has ended; sign in again", detail_zh="会话已结束，请重新登录"
        )
    one, account = found.StaffSession, found.StaffAccount
    if now - one.last_seen_at >= _SEEN_GRAIN:
        # A transaction of its own: a write that is refused later must not undo it.
        with transaction(session):
            session.execute(
                update(StaffSession).where(StaffSession.id == one.id).values(last_seen_at=now)
            )
    actor = actor_of(account, one.id)
    needed = policy.needs_second_factor(Role(account.role))
    return SignedIn(actor, account, one, factor_missing=needed and not one.second_factor)


def actor_of(account: StaffAccount, session_id: UUID | None) -> Actor:
    """The person as a caller."""
    return Actor(
        kind=ActorKind.STAFF,
        label=f"staff:{account.id}",
        role=Role(account.role),
        park_ids=None if account.park_ids is None else frozenset(account.park_ids),
        account_id=account.id,
        session_id=session_id,
    )


def end_by_token(session: Session, token: str, now: datetime) -> None:
    """End the session of a token, if it is one."""
    session.execute(
        update(StaffSession)
        .where(StaffSession.token_sha256 == digest_of(token), StaffSession.ended_at.is_(None))
        .values(ended_at=now)
    )


def end_all(
    session: Session, account_id: UUID, now: datetime, *, keep: UUID | None = None
) -> list[UUID]:
    """End the sessions of an account, save one; the ids of those that ended."""
    ended = session.scalars(
        update(StaffSession)
        .where(
            StaffSession.account_id == account_id,
            StaffSession.ended_at.is_(None),
            StaffSession.id.is_distinct_from(keep),
        )
        .values(ended_at=now)
        .returning(StaffSession.id)
    )
    return list(ended)


def list_live(
    session: Session, actor: Actor, account_id: UUID | None, now: datetime, policy: StaffPolicy
) -> Sequence[ShownSession]:
    """The sessions that are open, the last used first: one's own, or those of an account.

    Raises:
        NotAllowedError: another's sessions, and not an administrator of every park.
    """
    if account_id is None and actor.account_id is None and actor.is_staff:
        return []  # a token has no sessions
    whose = _whose(actor, account_id)
    rows = session.execute(
        select(StaffSession, StaffAccount.email)
        .join(StaffAccount, StaffAccount.id == StaffSession.account_id)
        .where(StaffSession.account_id == whose, *_live(now, policy))
        .order_by(StaffSession.last_seen_at.desc(), StaffSession.id)
    )
    return [ShownSession(row.StaffSession, row.email) for row in rows]


def revoke_one(session: Session, actor: Actor, session_id: UUID, now: datetime) -> None:
    """End a session: one's own, or as an administrator of every park anybody's.

    Raises:
        NotFoundError: there is none, or it is not the caller's to end.
    """
    actor.require_signed_in()
    one = session.get(StaffSession, session_id, with_for_update=True)
    may = one is not None and (one.account_id == actor.account_id or _sees_everybody(actor))
    if one is None or not may:
        raise NotFoundError("no such session of yours", detail_zh="没有该会话")
    if one.ended_at is None:
        one.ended_at = now
        _note_ends(session, actor, one.account_id, [one.id])


def revoke_all(session: Session, actor: Actor, account_id: UUID | None, now: datetime) -> int:
    """End all sessions, one's own with this one, or those of an account; returns how many.

    Raises:
        NotAllowedError: another's sessions, and not an administrator of every park.
    """
    whose = _whose(actor, account_id)
    ended = end_all(session, whose, now)
    if ended:
        _note_ends(session, actor, whose, ended)
    return len(ended)


def forget_sessions_before(session: Session, instant: datetime) -> int:
    """Drop sessions that could not be used since; returns how many."""
    gone = session.execute(
        delete(StaffSession)
        .where(or_(StaffSession.ended_at < instant, StaffSession.expires_at < instant))
        .returning(StaffSession.id)
    )
    return len(gone.all())


def _note_ends(session: Session, actor: Actor, account_id: UUID, ended: Sequence[UUID]) -> None:
    record(
        session,
        actor,
        Action.SESSION_ENDED,
        park_id=None,
        subject_type="staff_account",
        subject_id=account_id,
        details={"sessions": [str(one) for one in ended]},
    )


def _whose(actor: Actor, account_id: UUID | None) -> UUID:
    actor.require_staff()
    if account_id is None or account_id == actor.account_id:
        if actor.account_id is None:
            raise NotAllowedError(
                "a token has no sessions; name the account",
                detail_zh="令牌没有会话，请指定账号",
            )
        return actor.account_id
    if not _sees_everybody(actor):
        raise NotAllowedError(
            "other people's sessions are for administrators of every park",
            detail_zh="仅全园区管理员可管理他人的会话",
        )
    return account_id


def _sees_everybody(actor: Actor) -> bool:
    return actor.role is Role.ADMIN and actor.park_ids is None


def _live(now: datetime, policy: StaffPolicy) -> tuple[ColumnElement[bool], ...]:
    return (
        StaffSession.ended_at.is_(None),
        StaffSession.expires_at > now,
        StaffSession.last_seen_at > now - policy.idle,
    )
