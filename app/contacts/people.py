"""Whom to talk to at a firm: kept encrypted and shown with stars.

Nothing here puts a value into an error, a log line or an audit entry.
"""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.contacts import values
from app.contacts.kept import (
    FIELDS,
    found,
    living,
    plain_values,
    require_company,
    require_read,
    require_way,
    require_write,
    sealed_columns,
    shown,
)
from app.contacts.schemas import Consent, ContactChangeIn, ContactIn, ContactStarred
from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.database.session import constraint_error, wait_for_turn
from app.kernel.errors import Fault, InvalidInputError, Kind, SpaceRelayError
from app.models.company import Company
from app.models.contact import Contact
from app.security.actors import Actor, Role, Scope
from app.security.sealing import Sealer

#: People a firm may have at a time: enough for any, too few to fill an export without end.
CONTACTS_MAX = 100
#: Clocks of those who write down when somebody agreed run this much ahead.
_AHEAD = timedelta(minutes=5)


class ContactExistsError(SpaceRelayError):
    """The firm has a contact with this e-mail address already."""

    slug, title, kind = "contact-exists", "The contact is kept already", Kind.CONFLICT
    title_zh = "该联系人已登记"


class ContactsFullError(SpaceRelayError):
    """The firm has as many contacts as one may have."""

    slug, title, kind = "contacts-full", "The firm has enough contacts", Kind.CONFLICT
    title_zh = "该企业联系人已达上限"


constraint_error(
    "uq_contacts_company_id_email_index",
    lambda _detail: ContactExistsError(
        "the firm has a contact with this e-mail address; correct that one",
        detail_zh="该企业已有使用此邮箱的联系人，请更正原有记录",
    ),
)


def create(
    session: Session,
    sealer: Sealer,
    actor: Actor,
    company_id: UUID,
    *,
    body: ContactIn,
    now: datetime,
) -> ContactStarred:
    """Add somebody to talk to.

    Raises:
        ContactExistsError: one with this e-mail address is there.
        ContactsFullError: the firm has ``CONTACTS_MAX``.
        InvalidInputError: a value has not the form of one, or there is no way to reach the person.
        NotFoundError: the firm is not the caller's to see.
    """
    require_write(actor)
    require_company(session, actor, company_id)
    _require_past(body.consent, now)
    wait_for_turn(session, f"contacts {company_id}")  # so that the count stays true
    there = select(func.count()).where(
        Contact.company_id == company_id, Contact.erased_at.is_(None)
    )
    if (session.scalar(there) or 0) >= CONTACTS_MAX:
        raise ContactsFullError(
            f"a firm has at most {CONTACTS_MAX} contacts; erase those that are not needed",
            detail_zh=f"每家企业至多 {CONTACTS_MAX} 位联系人，请先删除不再需要的",
        )
    contact_id = uuid4()
    plain = plain_values(body.model_dump(include=set(FIELDS)))
    require_way(plain["phone"], plain["email"])
    session.execute(
        insert(Contact).values(
            id=contact_id,
            company_id=company_id,
            role=body.role.value,
            purpose=body.purpose.value,
            created_at=now,
            created_by=actor.label,
            updated_at=now,
            updated_by=actor.label,
            synthetic=_company_is_synthetic(company_id),
            **_consent_columns(body.consent),
            **sealed_columns(sealer, contact_id, plain),
        )
    )
    return get(session, sealer, actor, contact_id)


def get(session: Session, sealer: Sealer, actor: Actor, contact_id: UUID) -> ContactStarred:
    """A contact with stars.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    require_read(actor)
    return shown(sealer, found(session, actor, contact_id))


def list_contacts(
    session: Session, sealer: Sealer, actor: Actor, company_id: UUID, page: PageRequest
) -> Page:
    """A firm's contacts with stars, the first added first; erased ones among them.

    Raises:
        NotFoundError: the firm is not the caller's to see.
    """
    require_read(actor)
    require_company(session, actor, company_id)
    page_of_ids = fetch_page(
        session,
        select(Contact.id).where(Contact.company_id == company_id),
        order=[Sort(Contact.created_at.expression), Sort(Contact.id.expression)],
        page=page,
        scope=f"contacts:{company_id}",
    )
    ids = [UUID(json.loads(row)["id"]) for row in page_of_ids.rows]
    rows = {
        one.id: shown(sealer, one)
        for one in session.scalars(select(Contact).where(Contact.id.in_(ids)))
    }
    return Page([rows[one].model_dump_json() for one in ids], page_of_ids.next_cursor)


def correct(
    session: Session,
    sealer: Sealer,
    actor: Actor,
    contact_id: UUID,
    *,
    body: ContactChangeIn,
    now: datetime,
) -> ContactStarred:
    """Put right what is wrong; what the body leaves out stays.

    Args:
        session: where the contact is.
        sealer: seals what is new.
        actor: who puts it right.
        contact_id: whose data.
        body: what is new.
        now: when.

    Raises:
        ContactErasedError: there is nothing left of it.
        InvalidInputError: a value has not the form of one, no way to reach the person would be
            left, or the purpose is another and nobody agreed to it.
        NotFoundError: there is none, or it is not the caller's to see.
    """
    require_write(actor)
    contact = living(session, actor, contact_id)
    another = body.purpose is not None and body.purpose.value != contact.purpose
    if another and body.consent is None:
        raise InvalidInputError(
            "another purpose needs another consent",
            [
                Fault(
                    "/consent",
                    "must say how this was agreed to",
                    detail_zh="变更用途须另行取得同意",
                )
            ],
        )
    given = body.model_dump(include=set(FIELDS), exclude_unset=True)
    if given.get("name", "") is None:
        raise InvalidInputError("a contact has a name", [values.name_fault()])
    for column, value in sealed_columns(sealer, contact.id, plain_values(given)).items():
        setattr(contact, column, value)
    require_way(contact.phone_sealed, contact.email_sealed)
    if body.role is not None:
        contact.role = body.role.value
    if body.purpose is not None:
        contact.purpose = body.purpose.value
    if body.consent is not None:
        _require_past(body.consent, now)
        for column, value in _consent_columns(body.consent).items():
            setattr(contact, column, value)
    contact.version += 1
    contact.updated_at, contact.updated_by = now, actor.label
    session.flush()
    return shown(sealer, contact)


def erase(
    session: Session,
    sealer: Sealer,
    actor: Actor,
    contact_id: UUID,
    *,
    reason: str,
    now: datetime,
) -> ContactStarred:
    """Erase every value for good. When, by whom and why stays, for what refers to the contact.

    Raises:
        ContactErasedError: that was done before.
        NotFoundError: there is none, or it is not the caller's to see.
    """
    actor.require_firm_scope_or_staff(Scope.CONTACTS_WRITE, Role.MANAGER)
    contact = living(session, actor, contact_id)
    wipe(contact, by=actor.label, reason=reason, now=now)
    session.flush()
    return shown(sealer, contact)


def wipe(contact: Contact, *, by: str, reason: str, now: datetime) -> None:
    """Take every value out of a row."""
    contact.name_sealed = contact.phone_sealed = contact.email_sealed = None
    contact.phone_index = contact.email_index = None
    contact.version += 1
    contact.erased_at = contact.updated_at = now
    contact.erased_by = contact.updated_by = by
    contact.erased_reason = reason


def _require_past(consent: Consent, now: datetime) -> None:
    if consent.given_at > now + _AHEAD:
        raise InvalidInputError(
            "nobody has agreed in the future",
            [Fault("/consent/given_at", "must not be in the future", detail_zh="不得晚于现在")],
        )


def _company_is_synthetic(company_id: UUID) -> Any:
    """Whoever works for a firm that is made up is made up, too."""
    return select(Company.synthetic).where(Company.id == company_id).scalar_subquery()


def _consent_columns(consent: Consent) -> dict[str, Any]:
    return {
        "consent_at": consent.given_at,
        "consent_form": consent.form.value,
        "consent_from": consent.given_by.value,
    }
