"""An administrator to try signing in with: made up, random, and on file like the other credentials.

It has its second factor already, whose secret is on file as well: an authenticator app takes it.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.staff import StaffAccount
from app.security.actors import Role
from app.security.staff import second_factor
from app.security.staff.accounts import (
    COMMAND_LINE,
    OF_EVERYTHING,
    Place,
    accept,
    invite,
    invite_again,
    put_in_place,
)
from app.security.staff.second_factor import Digest, OneTimeSecret
from app.security.staff.sign_in import Gate

#: Of a domain that never exists (RFC 2606).
EMAIL, SECOND_EMAIL = "demo.admin@example.invalid", "demo.manager@example.invalid"
_NAME, _SECOND_NAME = "演示管理员", "演示经理"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """What the account's owner would know."""

    email: str
    password: str
    totp_secret: str

    @property
    def secret(self) -> OneTimeSecret:
        """For every authenticator app there is, whatever an installation asks of its people."""
        return OneTimeSecret(self.totp_secret, Digest.SHA1)


def known_demo_account(session: Session, gate: Gate, kept: Mapping[str, str]) -> DemoAccount | None:
    """The account on file, if it still lets somebody in.

    Raises:
        KeyError: the file says too little.
    """
    known = DemoAccount(kept["email"], kept["password"], kept["totp_secret"])
    account = session.scalar(select(StaffAccount).where(StaffAccount.email == known.email))
    if account is None or account.disabled_at is not None or account.totp_secret is None:
        return None
    right, _ = gate.passwords.verify(known.password, account.password_hash)
    same = second_factor.is_secret(gate.sealer, account.id, account.totp_secret, known.secret)
    return known if right and same else None


def second_demo_account(session: Session, gate: Gate, now: datetime) -> StaffAccount:
    """A manager to be the second person, with a token; nobody signs in as it."""
    account = session.scalar(select(StaffAccount).where(StaffAccount.email == SECOND_EMAIL))
    if account is None:
        account = invite(
            session,
            COMMAND_LINE,
            email=SECOND_EMAIL,
            name=_SECOND_NAME,
            place=Place(Role.MANAGER, None),
            now=now,
            policy=gate.policy,
        ).account
    account.disabled_at = None
    put_in_place(account, Place(Role.MANAGER, None))
    return account


def make_demo_account(session: Session, gate: Gate, now: datetime) -> DemoAccount:
    """The account with a new password and a new second factor; made where there is none."""
    account = session.scalar(select(StaffAccount).where(StaffAccount.email == EMAIL))
    if account is None:
        invited = invite(
            session,
            COMMAND_LINE,
            email=EMAIL,
            name=_NAME,
            place=OF_EVERYTHING,
            now=now,
            policy=gate.policy,
        )
    else:
        account.disabled_at = None
        put_in_place(account, OF_EVERYTHING)
        invited = invite_again(session, COMMAND_LINE, account.id, now, gate.policy)
    made = DemoAccount(EMAIL, secrets.token_urlsafe(15), OneTimeSecret.new(Digest.SHA1).base32)
    account = accept(session, invited.token, made.password, passwords=gate.passwords, now=now)
    second_factor.forget_second_factor(session, account)
    account.totp_secret = second_factor.sealed(gate.sealer, account.id, made.secret)
    session.flush()
    return made
