"""Contacts in full: for a reason, and written down in the transaction that looks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from app.contacts.kept import (
    found,
    indexes,
    plain_values,
    require_company,
    require_living,
    require_way,
    require_write,
    revealed,
    shown,
)
from app.contacts.schemas import (
    ApplicantOut,
    ContactInFull,
    ContactSearchIn,
    ContactsFound,
    PersonalDataOut,
)
from app.models.contact import Contact
from app.onboarding.applicants import addresses_of
from app.security.actors import Actor, Role, Scope
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.security.sealing import Sealer

_FOUND_MAX = 100


def reveal(
    session: Session, sealer: Sealer, actor: Actor, contact_id: UUID, reason: str
) -> ContactInFull:
    """A contact in full. Who looked, and why, is written down in the same transaction.

    Raises:
        ContactErasedError: there is nothing left of it.
        NotFoundError: there is none, or it is not the caller's to see.
    """
    require_write(actor)
    contact = found(session, actor, contact_id)
    require_living(contact)
    whole = revealed(sealer, contact)
    record(
        session,
        actor,
        Action.CONTACT_REVEALED,
        park_id=None,
        subject_type="contact",
        subject_id=contact.id,
        company_id=contact.company_id,
        reason=reason,
    )
    return whole


def search(session: Session, sealer: Sealer, actor: Actor, body: ContactSearchIn) -> ContactsFound:
    """Whose number or address it is, in any firm, with stars: for a person who asks about it.

    Raises:
        InvalidInputError: neither is given, or it has not the form of one.
    """
    actor.require_staff(Role.MANAGER)
    plain = plain_values(body.model_dump(include={"phone", "email"}, exclude_none=True))
    require_way(plain.get("phone"), plain.get("email"))
    same: list[ColumnElement[bool]] = []
    if "phone" in plain:
        same.append(Contact.phone_index.in_(indexes(sealer, "phone", plain["phone"])))
    if "email" in plain:
        same.append(Contact.email_index.in_(indexes(sealer, "email", plain["email"])))
    rows = session.scalars(
        select(Contact).where(or_(*same)).order_by(Contact.id).limit(_FOUND_MAX)
    ).all()
    record(
        session,
        actor,
        Action.CONTACTS_SEARCHED,
        park_id=None,
        subject_type="contact",
        subject_id=None,
        details={"found": [str(row.id) for row in rows]},
        reason=body.reason,
    )
    return ContactsFound(items=[shown(sealer, row) for row in rows])


def export(
    session: Session,
    sealer: Sealer,
    actor: Actor,
    company_id: UUID,
    *,
    reason: str,
    now: datetime,
) -> PersonalDataOut:
    """All that is kept about the people of a firm, in full. Written down like a look.

    Raises:
        NotFoundError: the firm is not the caller's to see.
    """
    actor.require_firm_scope_or_staff(Scope.CONTACTS_WRITE, Role.MANAGER)
    require_company(session, actor, company_id)
    rows = session.scalars(
        select(Contact)
        .where(Contact.company_id == company_id, Contact.erased_at.is_(None))
        .order_by(Contact.created_at, Contact.id)
    )
    made = PersonalDataOut(
        company_id=company_id,
        exported_at=now,
        contacts=[revealed(sealer, row) for row in rows],
        applicants=[
            ApplicantOut(application_id=one.application_id, email=one.email, created_at=one.at)
            for one in addresses_of(session, sealer, company_id)
        ],
    )
    record(
        session,
        actor,
        Action.PERSONAL_DATA_EXPORTED,
        park_id=None,
        subject_type="company",
        subject_id=company_id,
        company_id=company_id,
        details={"contacts": len(made.contacts), "applicants": len(made.applicants)},
        reason=reason,
    )
    return made
