"""Signing in with a password, and with a second factor where there is one.

An answer to somebody who is not let in tells nothing: neither whether there is such an account, nor
what of it was wrong, nor, by its time, any of the two.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.models.staff import StaffAccount
from app.security.actors import ANONYMOUS, Actor
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.security.sealing import Sealer
from app.security.staff import sessions
from app.security.staff.accounts import note_own
from app.security.staff.errors import SecondFactorNeededError, SignInRefusedError
from app.security.staff.passwords import Passwords
from app.security.staff.policy import StaffPolicy
from app.security.staff.second_factor import Factor, show_second_factor
from app.security.staff.sessions import Browser
from app.security.staff.throttle import begin_attempt, forgive


@dataclass(frozen=True, slots=True)
class Gate:
    """What signing in is done with."""

    passwords: Passwords
    sealer: Sealer
    policy: StaffPolicy


@dataclass(frozen=True, slots=True)
class SignIn:
    """What somebody gave to sign in, and from where.

    ``code`` is a one-time code or a recovery code; ``replaces`` the token of a session that the
    new one takes the place of.
    """

    email: str
    password: str
    code: str | None
    browser: Browser
    replaces: str | None = None


def sign_in(session: Session, gate: Gate, given: SignIn, now: datetime) -> str:
    """Start a session; the returned token goes into the cookie and nowhere else.

    The session shows all rows. It does its own transactions, because what was refused is counted
    and written down.

    Raises:
        SignInRefusedError: no such account, or the password or the code is wrong.
        SecondFactorNeededError: all is right so far, and there was no code.
        TooManyAttemptsError: there were too many attempts of late.
    """
    login = given.email.strip().lower()
    attempt = begin_attempt(session, login, given.browser.address, now)
    known = session.execute(
        select(StaffAccount.id, StaffAccount.password_hash).where(StaffAccount.email == login)
    ).one_or_none()
    session.rollback()  # no connection is kept while the password is hashed
    right, anew = gate.passwords.verify(
        given.password, None if known is None else known.password_hash
    )
    if known is None or not right:
        with transaction(session):
            note_refusal(session, None if known is None else known.id, "password")
        raise refused()
    with transaction(session):
        account = locked(session, known.id)
        # Changed meanwhile, the password that was compared says nothing.
        lets_in = account.password_hash == known.password_hash and account.disabled_at is None
        waits_for_code = lets_in and account.totp_secret is not None and given.code is None
        factor = None
        if lets_in and account.totp_secret is not None and given.code is not None:
            factor = show_second_factor(session, gate.sealer, account, given.code, now)
        token = None
        if lets_in and (account.totp_secret is None or factor is not None):
            account.password_hash = anew or account.password_hash
            if given.replaces is not None:
                sessions.end_by_token(session, given.replaces, now)
            token = sessions.start(
                session,
                account,
                given.browser,
                second_factor=factor is not None,
                now=now,
                policy=gate.policy,
            )
            forgive(session, attempt, whole_account=True)
            note_signed_in(session, account, factor)
        elif waits_for_code:
            forgive(session, attempt, whole_account=False)
        else:
            note_refusal(session, account.id, "second factor, or disabled")
    if token is not None:
        return token
    if waits_for_code:
        raise SecondFactorNeededError(
            "send the one-time code of your authenticator app, or a recovery code",
            detail_zh="请输入身份验证器中的动态验证码，或使用恢复码",
        )
    raise refused()


def refused() -> SignInRefusedError:
    """The one answer to all that is wrong."""
    return SignInRefusedError(
        "the e-mail address, the password or the code is wrong, or the account is not in use",
        detail_zh="邮箱、密码或验证码不正确，或账号未启用",
    )


def locked(session: Session, account_id: UUID) -> StaffAccount:
    """The account as it is now, until the transaction ends."""
    return session.scalars(
        select(StaffAccount)
        .where(StaffAccount.id == account_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def note_signed_in(session: Session, account: StaffAccount, factor: Factor | None) -> None:
    """Write down that somebody signed in, and whether a recovery code was used up for it."""
    actions = [Action.SIGNED_IN]
    if factor is Factor.RECOVERY_CODE:
        actions.append(Action.RECOVERY_CODE_USED)
    shown = {"second_factor": None if factor is None else factor.value}
    for action in actions:
        note_own(session, account, action, shown)


def note_refusal(
    session: Session, account_id: UUID | None, why: str, who: Actor = ANONYMOUS
) -> None:
    """Write down that somebody was not let in; no address, which would be kept for ever."""
    record(
        session,
        who,
        Action.SIGN_IN_REFUSED,
        park_id=None,
        subject_type="staff_account",
        subject_id=account_id,
        details={"why": why},
    )
