"""Accounts of staff: invited, changed and disabled by administrators, each within his parks.

Nobody changes his own account's rights, and somebody always remains who may change the others'.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, case, or_, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.database.session import constraint_error
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.models.space import Park
from app.models.staff import StaffAccount
from app.security.actors import Actor, ActorKind, NotAllowedError, Role
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.security.digests import digest_of
from app.security.staff.errors import (
    AccountExistsError,
    InvitationNotValidError,
    LastAdministratorError,
)
from app.security.staff.passwords import Passwords, require_good_password
from app.security.staff.persons import note_gift
from app.security.staff.policy import StaffPolicy
from app.security.staff.second_factor import forget_pending, forget_second_factor
from app.security.staff.sessions import actor_of, end_all

#: Who types commands on the server may do what an administrator of every park may.
COMMAND_LINE = Actor(kind=ActorKind.STAFF, label="cli", role=Role.ADMIN)
_STAFF_NUMBER = re.compile(r"[A-Z0-9-]{1,32}")
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){1,8}")

constraint_error(
    "uq_staff_accounts_email",
    lambda _: AccountExistsError(
        "there is an account of this e-mail address", detail_zh="该邮箱已有账号"
    ),
)
constraint_error(
    "uq_staff_accounts_staff_number",
    lambda _: AccountExistsError(
        "an account that is in use has this staff number: a person has one account",
        detail_zh="已有在用账号登记该工号，每人只能有一个账号",
    ),
)


class Place(NamedTuple):
    """What a person may do, and where (None: in every park)."""

    role: Role
    park_ids: frozenset[UUID] | None


#: A row of ``staff_accounts``, for those who run no SQL.
Account = StaffAccount
#: Who has this place makes administrators.
OF_EVERYTHING = Place(Role.ADMIN, None)


class ParkName(NamedTuple):
    """A park, as people call it."""

    id: UUID
    code: str
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Invited:
    """An account, and the token that sets its password once; it is shown once, kept nowhere."""

    account: StaffAccount
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of an account; None changes nothing."""

    place: Place | None = None
    disabled: bool | None = None
    staff_number: str | None = None


def normalised_email(text: str) -> str:
    """An e-mail address as a login name: lower case, plain characters.

    Raises:
        InvalidInputError: it is no such address.
    """
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise InvalidInputError(
            "this is no e-mail address of plain letters and digits",
            [Fault("/email", "as name@example.org", detail_zh="格式如 name@example.org")],
            detail_zh="邮箱地址格式不正确",
        )
    return email


def normalised_staff_number(text: str) -> str:
    """An employer's number of a person, alike however it is typed: capitals, no spaces.

    Raises:
        InvalidInputError: it has other characters than letters, digits and hyphens, or too many.
    """
    number = "".join(text.split()).upper()
    if not _STAFF_NUMBER.fullmatch(number):
        raise InvalidInputError(
            "a staff number has letters, digits and hyphens, 32 at most",
            [Fault("/staff_number", "as GI-00123", detail_zh="格式如 GI-00123")],
            detail_zh="工号由字母、数字和连字符组成，最多 32 位",
        )
    return number


def find_parks(session: Session, texts: Sequence[str] | None) -> frozenset[UUID] | None:
    """The ids of parks by ids or codes; None, every park, stays None.

    Raises:
        InvalidInputError: one of them is no park, or there is none.
    """
    if texts is None:
        return None
    found = {text: session.scalar(select(Park.id).where(_is_park(text))) for text in texts}
    unknown = [text for text, park_id in found.items() if park_id is None]
    if unknown or not found:
        wrong = unknown[0] if unknown else ""
        raise InvalidInputError(
            f"no park has the id or code {wrong!r}" if unknown else "name a park, or leave it out",
            [
                Fault(
                    "/parks",
                    "ids or codes of parks; leave it out for every park",
                    detail_zh="园区编号或代码；不填表示全部园区",
                )
            ],
            detail_zh=f"没有编号或代码为 {wrong} 的园区" if unknown else "请指定园区，或不填",
        )
    return frozenset(park_id for park_id in found.values() if park_id is not None)


def _is_park(text: str) -> ColumnElement[bool]:
    try:
        return Park.id == UUID(text)
    except ValueError:
        return Park.code == text


def park_names(session: Session, park_ids: Sequence[UUID] | None) -> list[ParkName]:
    """Parks by their ids, or all of them, by code."""
    query = select(Park.id, Park.code, Park.name_zh, Park.name_en).order_by(Park.code)
    if park_ids is not None:
        query = query.where(Park.id.in_(park_ids))
    return [ParkName(*row) for row in session.execute(query)]


def invite(
    session: Session,
    actor: Actor,
    *,
    email: str,
    name: str,
    place: Place,
    now: datetime,
    policy: StaffPolicy,
    staff_number: str | None = None,
) -> Invited:
    """Make an account whose owner is still to set a password.

    Raises:
        AccountExistsError: there is one of this address, or one in use of this staff number.
        NotAllowedError: the role or the parks are beyond the caller's.
        PersonNeededError: the caller is a program.
    """
    require_manages(actor, place)
    login = normalised_email(email)
    account = StaffAccount(email=login, name=name.strip() or login)
    put_in_place(account, place)
    if staff_number is not None:
        account.staff_number = normalised_staff_number(staff_number)
    session.add(account)
    invited = _invitation(session, account, now, policy)
    _note_giver(session, actor, account, now)
    note(session, actor, Action.STAFF_INVITED, account, place_details(place))
    return invited


def invite_again(
    session: Session, actor: Actor, account_id: UUID, now: datetime, policy: StaffPolicy
) -> Invited:
    """A new invitation, for who lost the first one or forgot the password; the earlier one ends.

    The password and the second factor stay until it is accepted.

    Raises:
        NotFoundError: no such account among those that the caller manages.
        NotAllowedError: it is the caller's own, or signs in at the identity provider.
        PersonNeededError: the caller is a program.
    """
    account = _managed(session, actor, account_id)
    if account.oidc_issuer is not None:
        raise NotAllowedError(
            "this account signs in at the identity provider and has no password here",
            detail_zh="该账号通过身份认证服务登录，没有本地密码",
        )
    invited = _invitation(session, account, now, policy)
    _note_giver(session, actor, account, now)
    note(session, actor, Action.STAFF_INVITED, account, {"again": True})
    return invited


def accept(
    session: Session, token: str, password: str, *, passwords: Passwords, now: datetime
) -> StaffAccount:
    """Set the password that an invitation is for; the invitation and all sessions end.

    Raises:
        InvitationNotValidError: it was used, has ended, or never was.
        InvalidInputError: the password is short or easily guessed.
    """
    account = session.scalar(
        select(StaffAccount)
        .where(
            StaffAccount.invitation_sha256 == digest_of(token),
            StaffAccount.invitation_expires_at > now,
            StaffAccount.disabled_at.is_(None),
        )
        .with_for_update()
    )
    if account is None:
        raise InvitationNotValidError(
            "this invitation was used or has ended; ask an administrator for a new one",
            detail_zh="邀请已使用或已过期，请联系管理员重新邀请",
        )
    require_good_password(password, (account.email, account.name))
    account.password_hash = passwords.hash(password)
    account.invitation_sha256 = account.invitation_expires_at = None
    forget_pending(account)
    end_all(session, account.id, now)
    note_own(session, account, Action.STAFF_INVITATION_ACCEPTED)
    return account


def change(
    session: Session, actor: Actor, account_id: UUID, wanted: Change, now: datetime
) -> StaffAccount:
    """Give an account another role or other parks, disable it, or enable it again.

    Its sessions end, whichever of these it is. Or say whose it is, by the staff number.

    Raises:
        NotFoundError: no such account among those that the caller manages.
        NotAllowedError: it is the caller's own, or would get more than the caller may give.
        LastAdministratorError: nobody would be left to make administrators.
    """
    actor.require_staff(Role.ADMIN)  # before anything is read that others may not read
    others = other_administrators(session, account_id)
    account = _managed(session, actor, account_id)
    before = place_of(account)
    place = wanted.place or before
    disabled = account.disabled_at is not None if wanted.disabled is None else wanted.disabled
    require_manages(actor, place)
    if before == OF_EVERYTHING and not others and (disabled or place != OF_EVERYTHING):
        raise last_administrator()
    if place != before:
        put_in_place(account, place)
        end_all(session, account.id, now)
        details = {"before": place_details(before), "after": place_details(place)}
        note(session, actor, Action.STAFF_CHANGED, account, details)
    if disabled != (account.disabled_at is not None):
        account.disabled_at = now if disabled else None
        account.invitation_sha256 = account.invitation_expires_at = None
        end_all(session, account.id, now)
        done = Action.STAFF_DISABLED if disabled else Action.STAFF_ENABLED
        note(session, actor, done, account)
    if wanted.staff_number is not None:
        account.staff_number = normalised_staff_number(wanted.staff_number)
        session.flush()
        # The number itself names a person, and the trail is kept for ever.
        note(session, actor, Action.STAFF_CHANGED, account, {"staff_number": True})
    return account


def reset_second_factor(
    session: Session, actor: Actor, account_id: UUID, now: datetime
) -> StaffAccount:
    """Take the second factor off an account whose owner lost it; its sessions end.

    Raises:
        NotFoundError: no such account among those that the caller manages.
        NotAllowedError: it is the caller's own.
        PersonNeededError: the caller is a program.
    """
    account = _managed(session, actor, account_id)
    forget_second_factor(session, account)
    end_all(session, account.id, now)
    _note_giver(session, actor, account, now)
    note(session, actor, Action.SECOND_FACTOR_RESET, account)
    return account


def list_accounts(session: Session, actor: Actor, page: PageRequest) -> Page:
    """The accounts that the caller manages, by e-mail address."""
    actor.require_staff(Role.ADMIN)
    columns: tuple[Any, ...] = (
        StaffAccount.id,
        StaffAccount.email,
        StaffAccount.name,
        StaffAccount.staff_number,
        StaffAccount.role,
        StaffAccount.park_ids,
        _state().label("state"),
        StaffAccount.totp_secret.is_not(None).label("second_factor"),
        StaffAccount.oidc_issuer.is_not(None).label("identity_provider"),
        StaffAccount.created_at,
        StaffAccount.disabled_at,
    )
    query = select(*columns).where(*_manages(actor))
    return fetch_page(
        session, query, order=[Sort(StaffAccount.__table__.c.email)], page=page, scope="staff"
    )


def get_account(session: Session, actor: Actor, account_id: UUID) -> StaffAccount:
    """One account of those that the caller manages.

    Raises:
        NotFoundError: there is no such one.
    """
    actor.require_staff(Role.ADMIN)
    account = session.scalar(
        select(StaffAccount).where(StaffAccount.id == account_id, *_manages(actor))
    )
    if account is None:
        raise _unknown()
    return account


def account_of(session: Session, email: str) -> Account | None:
    """The account of an e-mail address."""
    return session.scalar(select(StaffAccount).where(StaffAccount.email == normalised_email(email)))


def find_account(session: Session, email: str) -> Account:
    """The account of an e-mail address.

    Raises:
        NotFoundError: there is none.
    """
    account = account_of(session, email)
    if account is None:
        raise NotFoundError(f"no account has the e-mail {email}", detail_zh=f"没有账号 {email}")
    return account


def state_of(account: StaffAccount) -> str:
    """``disabled``, ``invited`` (no way to sign in yet) or ``active``."""
    if account.disabled_at is not None:
        return "disabled"
    can = account.password_hash is not None or account.oidc_subject is not None
    return "active" if can else "invited"


def place_of(account: StaffAccount) -> Place:
    """What the account's owner may do, and where."""
    park_ids = account.park_ids
    return Place(Role(account.role), None if park_ids is None else frozenset(park_ids))


def put_in_place(account: StaffAccount, place: Place) -> None:
    """Give the account's owner a role, and parks."""
    account.role = place.role
    account.park_ids = None if place.park_ids is None else sorted(place.park_ids)


def require_manages(actor: Actor, place: Place) -> None:
    """Refuse who may not give, or take, this role in these parks.

    Administrators of some parks manage everybody there but administrators; those are made by
    administrators of every park.

    Raises:
        NotAllowedError: it is beyond the caller's.
    """
    actor.require_staff(Role.ADMIN)
    if actor.park_ids is None:
        return
    within = place.park_ids is not None and place.park_ids <= actor.park_ids
    if place.role is Role.ADMIN or not within:
        raise NotAllowedError(
            "administrators of some parks manage viewers, agents and managers of these parks",
            detail_zh="部分园区管理员只能管理本园区内管理员以下的角色",
        )


def last_administrator() -> LastAdministratorError:
    """What is said to who would leave nobody to make administrators."""
    return LastAdministratorError(
        "nobody else may make administrators; make another one first",
        detail_zh="没有其他全园区管理员，请先设置另一名",
    )


def other_administrators(session: Session, account_id: UUID) -> list[UUID]:
    """Who else may make administrators, locked: two cannot remove one another at once."""
    everybody = session.scalars(
        select(StaffAccount.id)
        .where(
            StaffAccount.role == Role.ADMIN,
            StaffAccount.park_ids.is_(None),
            StaffAccount.disabled_at.is_(None),
            _can_sign_in(),
        )
        .order_by(StaffAccount.id)
        .with_for_update()
    )
    return [one for one in everybody if one != account_id]


def _managed(session: Session, actor: Actor, account_id: UUID) -> StaffAccount:
    """An account, locked, that the caller may change."""
    actor.require_staff(Role.ADMIN)
    if account_id == actor.account_id:
        raise NotAllowedError(
            "another administrator changes your account", detail_zh="本人账号须由其他管理员变更"
        )
    account = session.scalar(
        select(StaffAccount)
        .where(StaffAccount.id == account_id, *_manages(actor))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if account is None:
        raise _unknown()
    return account


def _manages(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    if actor.park_ids is None:
        return ()
    return (
        StaffAccount.role != Role.ADMIN,
        StaffAccount.park_ids.contained_by(sorted(actor.park_ids)),
    )


def _invitation(
    session: Session, account: StaffAccount, now: datetime, policy: StaffPolicy
) -> Invited:
    token = secrets.token_urlsafe(32)
    expires_at = now + policy.invitation
    account.invitation_sha256 = digest_of(token)
    account.invitation_expires_at = expires_at
    session.flush()
    return Invited(account, token, expires_at)


def _note_giver(session: Session, actor: Actor, account: StaffAccount, now: datetime) -> None:
    # Who has the server's command line could do anything to the accounts, and is the operator.
    if actor != COMMAND_LINE:
        note_gift(session, account, actor.require_person(), now)


def _state() -> ColumnElement[str]:
    return case(
        (StaffAccount.disabled_at.is_not(None), "disabled"),
        (_can_sign_in(), "active"),
        else_="invited",
    )


def _can_sign_in() -> ColumnElement[bool]:
    return or_(StaffAccount.password_hash.is_not(None), StaffAccount.oidc_subject.is_not(None))


def note(
    session: Session,
    actor: Actor,
    action: Action,
    account: StaffAccount,
    details: Mapping[str, object] | None = None,
) -> None:
    """Write down what was done to an account."""
    record(
        session,
        actor,
        action,
        park_id=None,
        subject_type="staff_account",
        subject_id=account.id,
        details=details,
    )


def note_own(
    session: Session,
    account: StaffAccount,
    action: Action,
    details: Mapping[str, object] | None = None,
) -> None:
    """Write down what somebody did to his own account, or with it."""
    note(session, actor_of(account, None), action, account, details)


def place_details(place: Place) -> dict[str, object]:
    """A place, for the audit trail."""
    park_ids = place.park_ids
    parks = None if park_ids is None else sorted(map(str, park_ids))
    return {"role": place.role.value, "park_ids": parks}


def _unknown() -> NotFoundError:
    return NotFoundError(
        "no such account among those you manage", detail_zh="您管理的账号中没有该账号"
    )
