"""Firms' keys: who may issue, see, rotate and end which. No key gives away more than it has."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, func, literal, or_, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page
from app.database.session import constraint_error, wait_for_turn
from app.kernel.errors import Fault, InvalidInputError, Kind, NotFoundError, SpaceRelayError
from app.models.access import Credential
from app.security import credentials
from app.security.actors import Actor, ActorKind, NotAllowedError, Role, Scope
from app.security.keys.schemas import KeyIn, KeyIssuedOut, KeyOut, KeyState, RotateIn

#: Keys that a firm may have at a time: for every program several, too few to hide one among them.
KEYS_MAX = 50


class KeysFullError(SpaceRelayError):
    """The firm has as many live keys as it may."""

    slug, title, kind = "keys-full", "The firm has enough keys", Kind.CONFLICT
    title_zh = "该企业的密钥已达上限"


class KeyEndedError(SpaceRelayError):
    """The key is revoked or expired, and is not brought back."""

    slug, title, kind = "key-ended", "The key is revoked or expired", Kind.CONFLICT
    title_zh = "密钥已吊销或过期"


constraint_error(
    "fk_credentials_company_id_companies",
    lambda _detail: NotFoundError("there is no such company", detail_zh="没有该企业"),
)


def issue_key(
    session: Session, actor: Actor, body: KeyIn, *, now: datetime
) -> tuple[KeyIssuedOut, str]:
    """A new key, and its text: of the caller's own firm, or of any where staff ask.

    Raises:
        InvalidInputError: staff did not say for which firm.
        NotAllowedError: a firm's key asks for a scope it lacks, or may not issue at all.
        NotFoundError: the firm is unknown, or not the caller's.
        KeysFullError: the firm has ``KEYS_MAX`` that are neither revoked nor expired.
    """
    company_id = company_asked_for(actor, body.company_id)
    _require_room(session, company_id, now)
    own: Collection[str] = tuple(Scope) if actor.is_staff else sorted(actor.scopes)
    scopes = tuple(dict.fromkeys(body.scopes or own))
    _require_scopes(actor, scopes)
    credential, text = credentials.make_firm_key(
        session,
        company_id=company_id,
        label=body.label,
        scopes=scopes,
        expires_at=now + timedelta(days=body.expires_in_days),
        prefix=_prefix(session, actor),
        issued_by=actor.label,
    )
    return shown_issued(session, credential.id, now), text


def issue_test_key(
    session: Session,
    *,
    company_id: UUID,
    label: str,
    expires_at: datetime,
    issued_by: str,
    now: datetime,
) -> tuple[KeyIssuedOut, str]:
    """A key of the sandbox, which may do everything there, and its text.

    ``session`` is of the sandbox's database.

    Raises:
        KeysFullError: the firm has ``KEYS_MAX`` there.
    """
    _require_room(session, company_id, now)
    credential, text = credentials.make_firm_key(
        session,
        company_id=company_id,
        label=label,
        scopes=tuple(Scope),
        expires_at=expires_at,
        prefix=credentials.TEST_PREFIX,
        issued_by=issued_by,
    )
    return shown_issued(session, credential.id, now), text


def company_asked_for(actor: Actor, company_id: UUID | None) -> UUID:
    """For which firm the caller asks for a key.

    Raises:
        InvalidInputError: staff did not say.
        NotAllowedError: the caller may not issue keys at all.
        NotFoundError: a firm asks for another.
    """
    require_keys_scope(actor)
    whose = company_id or actor.company_id
    if whose is None:
        raise InvalidInputError(
            "say for which firm",
            [Fault("/company_id", "staff name the firm", detail_zh="员工须注明企业")],
            detail_zh="请注明企业",
        )
    actor.require_company(whose)
    return whose


def require_keys_scope(actor: Actor) -> None:
    """Refuse whoever may not issue keys.

    Raises:
        NotAllowedError: a firm's key lacks the scope, or staff are no managers.
    """
    actor.require_firm_scope_or_staff(Scope.KEYS_WRITE, Role.MANAGER)


def list_keys(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    company_id: UUID | None = None,
    now: datetime,
) -> Page:
    """Keys, newest first: a firm sees its own, staff all.

    Raises:
        NotFoundError: a firm asks for another's.
    """
    require_keys_scope(actor)
    if company_id is not None:
        actor.require_company(company_id)
    return fetch_page(
        session,
        _shown(actor, company_id, now),
        order=[
            Sort(Credential.created_at.expression, descending=True),
            Sort(Credential.id.expression, descending=True),
        ],
        page=page,
        scope=f"keys:{company_id}",
    )


def get_key(session: Session, actor: Actor, key_id: UUID, *, now: datetime) -> KeyOut:
    """One key.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    require_keys_scope(actor)
    text = fetch_one(session, _shown(actor, None, now).where(Credential.id == key_id))
    if text is None:
        raise _unknown()
    return KeyOut.model_validate_json(text)


def rotate_key(
    session: Session, actor: Actor, key_id: UUID, body: RotateIn, *, now: datetime
) -> tuple[KeyIssuedOut, str]:
    """Give a key a new secret and a new end; the secret before stays good for the overlap.

    Raises:
        KeyEndedError: it is revoked or expired.
        NotAllowedError: it may do what the caller's key may not: its secret is not given away.
        NotFoundError: there is none, or it is not the caller's to see.
    """
    require_keys_scope(actor)
    credential = _locked(session, actor, key_id)
    if not credentials.holds(credential, now):
        raise KeyEndedError(
            "a key that is revoked or expired gets no new secret; issue another",
            detail_zh="已吊销或过期的密钥不能轮换，请另行签发",
        )
    _require_scopes(actor, credential.scopes)
    text = credentials.rotate(
        session,
        credential,
        expires_at=now + timedelta(days=body.expires_in_days),
        now=now,
        overlap=timedelta(hours=body.overlap_hours),
    )
    return shown_issued(session, credential.id, now), text


def revoke_key(session: Session, actor: Actor, key_id: UUID, *, now: datetime) -> KeyOut:
    """End a key now, with both its secrets and every token it was given. Again: the same answer.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    require_keys_scope(actor)
    credential = _locked(session, actor, key_id)
    if credential.revoked_at is None:
        credential.revoked_at = now
        session.flush()
    return get_key(session, actor, key_id, now=now)


def _require_room(session: Session, company_id: UUID, now: datetime) -> None:
    wait_for_turn(session, f"keys {company_id}")  # so that the count stays true
    live = select(func.count()).where(
        Credential.company_id == company_id,
        Credential.revoked_at.is_(None),
        or_(Credential.expires_at.is_(None), Credential.expires_at > now),
    )
    if (session.scalar(live) or 0) >= KEYS_MAX:
        raise KeysFullError(
            f"a firm has at most {KEYS_MAX} keys; revoke those that are not used",
            detail_zh=f"每家企业至多 {KEYS_MAX} 个有效密钥，请先吊销不再使用的",
        )


def _require_scopes(actor: Actor, scopes: Collection[str]) -> None:
    if actor.is_staff:
        return
    for scope in scopes:
        if scope not in actor.scopes:
            raise NotAllowedError(
                f"this key lacks the scope {scope}, so it cannot give it to another",
                detail_zh=f"该密钥没有权限 {scope}，不能授予其他密钥",
                scope=str(scope),
            )


def _prefix(session: Session, actor: Actor) -> str:
    """A key of the sandbox makes keys of the sandbox."""
    if actor.key_id is None:
        return credentials.LIVE_PREFIX
    return session.scalars(select(Credential.prefix).where(Credential.key_id == actor.key_id)).one()


def _locked(session: Session, actor: Actor, key_id: UUID) -> Credential:
    found = session.scalar(
        select(Credential)
        .where(Credential.id == key_id, Credential.kind == ActorKind.FIRM.value)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None or not (actor.is_staff or found.company_id == actor.company_id):
        raise _unknown()
    return found


def _unknown() -> NotFoundError:
    return NotFoundError(
        "no such key, or it is not yours to see", detail_zh="没有该密钥，或无权查看"
    )


def shown_issued(session: Session, credential_id: UUID, now: datetime) -> KeyIssuedOut:
    """A key that was just made, without its text."""
    text = fetch_one(session, _columns(now).where(Credential.id == credential_id))
    return KeyIssuedOut.model_validate_json(text or "")


def _shown(actor: Actor, company_id: UUID | None, now: datetime) -> Select[Any]:
    query = _columns(now).where(Credential.kind == ActorKind.FIRM.value)
    whose = company_id if actor.is_staff else actor.company_id
    return query if whose is None else query.where(Credential.company_id == whose)


def _columns(now: datetime) -> Select[Any]:
    at = literal(now)
    state = case(
        (Credential.revoked_at.is_not(None), KeyState.REVOKED.value),
        (Credential.expires_at <= at, KeyState.EXPIRED.value),
        else_=KeyState.ACTIVE.value,
    )
    columns: tuple[Any, ...] = (
        Credential.id,
        Credential.company_id,
        Credential.key_id.label("client_id"),
        func.concat(Credential.prefix, "_", Credential.key_id, "_").label("prefix"),
        Credential.label,
        Credential.scopes,
        state.label("state"),
        Credential.created_at,
        Credential.issued_by,
        Credential.expires_at,
        Credential.last_used_at,
        Credential.rotated_at,
        case((Credential.previous_until > at, Credential.previous_until)).label("previous_until"),
        Credential.revoked_at,
    )
    return select(*columns)
