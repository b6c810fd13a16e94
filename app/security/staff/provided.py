"""Accounts of people who sign in at the identity provider; groups there give role and parks here.

An account belongs to one person at one provider, by the provider's own name of the person. It is
never joined to another account by an e-mail address, which may change hands.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.models.staff import StaffAccount
from app.security.actors import NotAllowedError, Role
from app.security.audit.actions import Action
from app.security.staff import sessions
from app.security.staff.accounts import (
    OF_EVERYTHING,
    Place,
    find_parks,
    last_administrator,
    normalised_email,
    normalised_staff_number,
    note_own,
    other_administrators,
    place_details,
    place_of,
    put_in_place,
)
from app.security.staff.errors import SignInRefusedError
from app.security.staff.oidc import Identity, OidcConfig
from app.security.staff.policy import StaffPolicy
from app.security.staff.second_factor import Factor
from app.security.staff.sessions import Browser
from app.security.staff.sign_in import note_signed_in


def sign_in_provided(
    session: Session,
    config: OidcConfig,
    identity: Identity,
    browser: Browser,
    *,
    replaces: str | None,
    policy: StaffPolicy,
    now: datetime,
) -> str:
    """Start a session for who the provider says it is; returns its token.

    The account is made at the first sign-in; role and parks follow the groups at each.

    Raises:
        NotAllowedError: none of the person's groups has a role here, or the role takes a second
            factor and the provider saw none.
        SignInRefusedError: the account is disabled.
        AccountExistsError: another account has the e-mail address, or is in use with the staff
            number.
        LastAdministratorError: the groups would leave nobody to make administrators.
    """
    with transaction(session):
        place = _place(session, config, identity)
        if policy.needs_second_factor(place.role) and not identity.second_factor:
            raise NotAllowedError(
                "your role takes a second factor, and the identity provider saw none",
                detail_zh="您的角色要求第二验证因素，请在身份认证服务中启用",
            )
        account = _account(session, identity, place, now)
        if replaces is not None:
            sessions.end_by_token(session, replaces, now)
        token = sessions.start(
            session,
            account,
            browser,
            second_factor=identity.second_factor,
            now=now,
            policy=policy,
        )
        note_signed_in(session, account, Factor.PROVIDER if identity.second_factor else None)
    return token


def _place(session: Session, config: OidcConfig, identity: Identity) -> Place:
    """The highest role that a group gives, in the parks of all groups that give it."""
    given = [config.groups[name] for name in identity.groups if name in config.groups]
    if not given:
        raise NotAllowedError(
            "none of your groups at the identity provider has a role here",
            detail_zh="您在身份认证服务中的用户组未对应任何角色",
        )
    role = max((one.role for one in given), key=list(Role).index)
    lists = [one.parks for one in given if one.role is role]
    codes = [code for parks in lists if parks is not None for code in parks]
    return Place(role, find_parks(session, None if None in lists else codes))


def _account(session: Session, identity: Identity, place: Place, now: datetime) -> StaffAccount:
    account = session.scalar(
        select(StaffAccount)
        .where(
            StaffAccount.oidc_issuer == identity.issuer,
            StaffAccount.oidc_subject == identity.subject,
        )
        .with_for_update()
    )
    number = identity.staff_number
    staff_number = None if number is None else normalised_staff_number(number)
    if account is None:
        account = StaffAccount(
            email=normalised_email(identity.email),
            staff_number=staff_number,
            name=identity.name,
            oidc_issuer=identity.issuer,
            oidc_subject=identity.subject,
        )
        put_in_place(account, place)
        session.add(account)
        session.flush()
        details = {**place_details(place), "identity_provider": True}
        note_own(session, account, Action.STAFF_INVITED, details)
        return account
    if account.disabled_at is not None:
        raise SignInRefusedError("this account is disabled", detail_zh="该账号已停用")
    account.staff_number = staff_number or account.staff_number
    before = place_of(account)
    if before != place:
        if before == OF_EVERYTHING and not other_administrators(session, account.id):
            raise last_administrator()
        put_in_place(account, place)
        sessions.end_all(session, account.id, now)
        details = {"before": place_details(before), "after": place_details(place)}
        note_own(session, account, Action.STAFF_CHANGED, details)
    return account
