"""What signed-in staff change of their own accounts: the password and the second factor.

Each starts the session anew and ends all others: who held the account before holds nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from app.database.session import transaction
from app.models.staff import StaffAccount
from app.security.actors import NotAllowedError
from app.security.audit.actions import Action
from app.security.staff import second_factor, sessions
from app.security.staff.accounts import note_own
from app.security.staff.errors import SecondFactorNeededError
from app.security.staff.passwords import require_good_password
from app.security.staff.second_factor import OneTimeSecret
from app.security.staff.sessions import Browser, SignedIn
from app.security.staff.sign_in import Gate, locked, note_refusal, refused
from app.security.staff.throttle import Attempt, begin_attempt, forgive

#: How long the first code of a new second factor is awaited.
ENROLMENT_MAX = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that awaits its first code; shown once."""

    secret: OneTimeSecret
    provisioning_uri: str


def change_password(
    session: Session,
    gate: Gate,
    signed_in: SignedIn,
    *,
    current: str,
    new: str,
    browser: Browser,
    now: datetime,
) -> str:
    """Change the password; returns the token of the session that replaces all others.

    Raises:
        SignInRefusedError: ``current`` is wrong.
        InvalidInputError: the new one is short or easily guessed.
        NotAllowedError: the account signs in at the identity provider.
        TooManyAttemptsError: there were too many attempts of late.
    """
    account = signed_in.account
    require_good_password(new, (account.email, account.name))
    attempt = _show_password(session, gate, signed_in, current, browser=browser, now=now)
    fresh = gate.passwords.hash(new)
    with transaction(session):
        account = _unchanged(session, account)
        account.password_hash = fresh
        second_factor.forget_pending(account)
        forgive(session, attempt, whole_account=True)
        factor = signed_in.session.second_factor
        token = _start_anew(session, gate, account, browser, second_factor=factor, now=now)
        note_own(session, account, Action.STAFF_PASSWORD_SET)
    return token


def start_enrolment(
    session: Session,
    gate: Gate,
    signed_in: SignedIn,
    *,
    password: str,
    code: str | None,
    browser: Browser,
    now: datetime,
) -> Enrolment:
    """Make a second factor that counts once its first code is confirmed.

    ``code`` is one of the factor that it is to replace, where there is one.

    Raises:
        SignInRefusedError: the password or the code is wrong.
        SecondFactorNeededError: there is a second factor already, and no code.
        NotAllowedError: the account signs in at the identity provider.
        TooManyAttemptsError: there were too many attempts of late.
    """
    account = signed_in.account
    if account.totp_secret is not None and code is None:
        raise SecondFactorNeededError(
            "to replace your second factor, send a code of the one you have",
            detail_zh="更换第二验证因素须提供现有验证码",
        )
    attempt = _show_password(session, gate, signed_in, password, browser=browser, now=now)
    secret = OneTimeSecret.new(gate.policy.second_factor_digest)
    with transaction(session):
        account = _unchanged(session, account)
        shown = account.totp_secret is None or (
            code is not None
            and second_factor.show_second_factor(session, gate.sealer, account, code, now)
        )
        if shown:
            account.totp_pending = second_factor.sealed(gate.sealer, account.id, secret)
            account.totp_pending_until = now + ENROLMENT_MAX
            forgive(session, attempt, whole_account=True)
        else:
            note_refusal(session, account.id, "second factor", signed_in.actor)
    if not shown:
        raise refused()
    return Enrolment(secret, secret.provisioning_uri(account.email))


def confirm_enrolment(
    session: Session,
    gate: Gate,
    signed_in: SignedIn,
    *,
    code: str,
    browser: Browser,
    now: datetime,
) -> tuple[list[str], str]:
    """Take the first code of a new second factor.

    Returns the recovery codes, and the token of the session that replaces all others.

    Raises:
        SignInRefusedError: the code is not of the factor that was started, none was, or it was
            started too long ago.
        TooManyAttemptsError: there were too many attempts of late.
    """
    attempt = begin_attempt(session, signed_in.account.email, browser.address, now)
    codes: list[str] = []
    token = ""
    with transaction(session):
        account = locked(session, signed_in.account.id)
        pending, until, step = account.totp_pending, account.totp_pending_until, -1
        if pending is not None and until is not None and now < until:
            plain = "".join(code.split())
            step = second_factor.matching_step(gate.sealer, account.id, pending, plain, now)
        if step < 0:
            why = "first code of a second factor"
            note_refusal(session, account.id, why, signed_in.actor)
        else:
            second_factor.forget_pending(account)
            account.totp_secret, account.totp_last_step = pending, step
            codes = second_factor.make_recovery_codes(session, account.id)
            token = _start_anew(session, gate, account, browser, second_factor=True, now=now)
            forgive(session, attempt, whole_account=False)
            note_own(session, account, Action.SECOND_FACTOR_SET_UP)
    if step < 0:
        raise refused()
    return codes, token


def renew_recovery_codes(
    session: Session,
    gate: Gate,
    signed_in: SignedIn,
    *,
    code: str,
    browser: Browser,
    now: datetime,
) -> list[str]:
    """New recovery codes in place of the earlier ones.

    Raises:
        SignInRefusedError: the code is wrong, or there is no second factor.
        TooManyAttemptsError: there were too many attempts of late.
    """
    attempt = begin_attempt(session, signed_in.account.email, browser.address, now)
    codes: list[str] = []
    with transaction(session):
        account = locked(session, signed_in.account.id)
        if second_factor.show_second_factor(session, gate.sealer, account, code, now):
            codes = second_factor.make_recovery_codes(session, account.id)
            forgive(session, attempt, whole_account=False)
            note_own(session, account, Action.RECOVERY_CODES_MADE)
        else:
            note_refusal(session, account.id, "second factor", signed_in.actor)
    if not codes:
        raise refused()
    return codes


def sign_out(session: Session, signed_in: SignedIn, now: datetime) -> None:
    """End the session of the call."""
    with transaction(session):
        sessions.revoke_one(session, signed_in.actor, signed_in.session.id, now)


def _show_password(
    session: Session,
    gate: Gate,
    signed_in: SignedIn,
    password: str,
    *,
    browser: Browser,
    now: datetime,
) -> Attempt:
    """Compare the password again: the session may be in other hands by now."""
    account = signed_in.account
    if account.oidc_issuer is not None:
        raise NotAllowedError(
            "this account signs in at the identity provider, which keeps its password and factors",
            detail_zh="该账号通过身份认证服务登录，密码与验证因素由其管理",
        )
    attempt = begin_attempt(session, account.email, browser.address, now)
    right, _ = gate.passwords.verify(password, account.password_hash)
    if not right:
        with transaction(session):
            note_refusal(session, account.id, "password", signed_in.actor)
        raise refused()
    return attempt


def _unchanged(session: Session, compared: StaffAccount) -> StaffAccount:
    """The account, locked, unless its password changed since it was compared."""
    before = compared.password_hash
    account = locked(session, compared.id)
    if account.password_hash != before or account.disabled_at is not None:
        raise refused()
    return account


def _start_anew(
    session: Session,
    gate: Gate,
    account: StaffAccount,
    browser: Browser,
    *,
    second_factor: bool,
    now: datetime,
) -> str:
    sessions.end_all(session, account.id, now)
    return sessions.start(
        session, account, browser, second_factor=second_factor, now=now, policy=gate.policy
    )
