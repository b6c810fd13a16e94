"""Invitations: whoever holds the token gets the firm's first key, once and within a week."""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, case, insert, literal, select, update
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page
from app.database.session import constraint_error
from app.kernel.errors import Kind, NotFoundError, SpaceRelayError
from app.models.firm_access import Invitation
from app.onboarding.schemas import AcceptIn, InvitationMadeOut, InvitationOut, InvitationState
from app.security.actors import ANONYMOUS, Actor, Role, Scope
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.security.credentials import make_firm_key
from app.security.digests import digest_of
from app.security.keys.schemas import DAYS_DEFAULT, KeyIssuedOut
from app.security.keys.service import shown_issued

VALID_FOR = timedelta(days=7)
_TOKEN_PREFIX = "sr_invite_"  # noqa: S105 - what every token begins with


class InvitationNotValidError(SpaceRelayError):
    """No invitation with this token can be accepted: the answer does not say why."""

    slug, title, kind = "invitation-not-valid", "The invitation is not valid", Kind.NOT_FOUND
    title_zh = "邀请无效"


class InvitationEndedError(SpaceRelayError):
    """The invitation was accepted, so there is nothing to take back."""

    slug, title, kind = "invitation-accepted", "The invitation was accepted", Kind.CONFLICT
    title_zh = "邀请已被接受"


constraint_error(
    "fk_invitations_company_id_companies",
    lambda _detail: NotFoundError("there is no such company", detail_zh="没有该企业"),
)


def invite(
    session: Session,
    actor: Actor,
    company_id: UUID,
    *,
    scopes: Collection[Scope] | None,
    now: datetime,
    application_id: UUID | None = None,
) -> tuple[InvitationMadeOut, str]:
    """An invitation of a registered firm, and its token.

    Raises:
        NotFoundError: there is no such firm.
    """
    actor.require_staff(Role.MANAGER)
    token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
    invitation_id = uuid4()
    session.execute(
        insert(Invitation).values(
            id=invitation_id,
            company_id=company_id,
            application_id=application_id,
            token_sha256=digest_of(token),
            scopes=[scope.value for scope in dict.fromkeys(scopes or Scope)],
            invited_by=actor.label,
            created_at=now,
            expires_at=now + VALID_FOR,
        )
    )
    text = fetch_one(session, _columns(now).where(Invitation.id == invitation_id))
    return InvitationMadeOut.model_validate_json(text or ""), token


def list_invitations(
    session: Session, actor: Actor, page: PageRequest, *, company_id: UUID | None, now: datetime
) -> Page:
    """Invitations, newest first."""
    actor.require_staff(Role.MANAGER)
    query = _columns(now)
    if company_id is not None:
        query = query.where(Invitation.company_id == company_id)
    return fetch_page(
        session,
        query,
        order=[
            Sort(Invitation.created_at.expression, descending=True),
            Sort(Invitation.id.expression, descending=True),
        ],
        page=page,
        scope=f"invitations:{company_id}",
    )


def revoke(session: Session, actor: Actor, invitation_id: UUID, *, now: datetime) -> InvitationOut:
    """Take an invitation back. Again: the same answer.

    Raises:
        InvitationEndedError: it was accepted; the key is what can be revoked.
        NotFoundError: there is none.
    """
    actor.require_staff(Role.MANAGER)
    session.execute(
        update(Invitation)
        .where(
            Invitation.id == invitation_id,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    text = fetch_one(session, _columns(now).where(Invitation.id == invitation_id))
    if text is None:
        raise NotFoundError("there is no such invitation", detail_zh="没有该邀请")
    found = InvitationOut.model_validate_json(text)
    if found.state is InvitationState.ACCEPTED:
        raise InvitationEndedError(
            "the invitation was accepted; revoke the key that came of it",
            detail_zh="邀请已被接受，请吊销由此签发的密钥",
        )
    return found


def accept(session: Session, body: AcceptIn, *, now: datetime) -> tuple[KeyIssuedOut, str]:
    """The firm's first key, and its text. Of two who accept at once, one gets it.

    Raises:
        InvitationNotValidError: the token is unknown, used, taken back or too old.
    """
    accepted = session.execute(
        update(Invitation)
        .where(
            Invitation.token_sha256 == digest_of(body.token),
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(accepted_at=now)
        .returning(Invitation.id, Invitation.company_id, Invitation.scopes)
    ).one_or_none()
    if accepted is None:
        raise InvitationNotValidError(
            "the invitation is unknown, used or too old; ask for another",
            detail_zh="邀请不存在、已使用或已过期，请重新索取",
        )
    credential, text = make_firm_key(
        session,
        company_id=accepted.company_id,
        label=body.label,
        scopes=accepted.scopes,
        expires_at=now + timedelta(days=DAYS_DEFAULT),
        issued_by=f"invitation:{accepted.id}",
    )
    made = shown_issued(session, credential.id, now)
    record(
        session,
        ANONYMOUS,
        Action.INVITATION_ACCEPTED,
        park_id=None,
        subject_type="invitation",
        subject_id=accepted.id,
        company_id=accepted.company_id,
        details={"client_id": made.client_id},
    )
    return made, text


def _columns(now: datetime) -> Select[Any]:
    state = case(
        (Invitation.accepted_at.is_not(None), InvitationState.ACCEPTED.value),
        (Invitation.revoked_at.is_not(None), InvitationState.REVOKED.value),
        (Invitation.expires_at <= literal(now), InvitationState.EXPIRED.value),
        else_=InvitationState.OPEN.value,
    )
    columns: tuple[Any, ...] = (
        Invitation.id,
        Invitation.company_id,
        Invitation.application_id,
        Invitation.scopes,
        state.label("state"),
        Invitation.invited_by,
        Invitation.created_at,
        Invitation.expires_at,
        Invitation.accepted_at,
        Invitation.revoked_at,
    )
    return select(*columns)
