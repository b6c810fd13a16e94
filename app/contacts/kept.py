"""Rows of contacts and what is in them: who may reach a row, how values are sealed and shown."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.contacts import values
from app.contacts.schemas import ContactInFull, ContactStarred
from app.kernel.errors import Fault, InvalidInputError, Kind, NotFoundError, SpaceRelayError
from app.models.company import Company
from app.models.contact import Contact
from app.security.actors import Actor, Role, Scope
from app.security.sealing import Sealer

FIELDS = ("name", "phone", "email")
_PLAIN = {
    "name": (values.plain_name, values.name_fault),
    "phone": (values.plain_phone, values.phone_fault),
    "email": (values.plain_email, values.email_fault),
}


class ContactErasedError(SpaceRelayError):
    """The contact's values were erased, for good."""

    slug, title, kind = "contact-erased", "The contact was erased", Kind.CONFLICT
    title_zh = "该联系人的信息已删除"


def require_read(actor: Actor) -> None:
    """Let agents through, and firms that may read their own data."""
    actor.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.AGENT)


def require_write(actor: Actor) -> None:
    """Let agents through, and firms whose key may deal with their contacts."""
    actor.require_firm_scope_or_staff(Scope.CONTACTS_WRITE, Role.AGENT)


def require_company(session: Session, actor: Actor, company_id: UUID) -> None:
    """Refuse a firm that is not there, or not the caller's.

    Raises:
        NotFoundError: one or the other.
    """
    actor.require_company(company_id)
    if session.scalar(select(Company.id).where(Company.id == company_id)) is None:
        raise NotFoundError(
            "no such company, or it is not yours to see", detail_zh="没有该企业，或无权查看"
        )


def require_way(phone: object, email: object) -> None:
    """Refuse somebody who cannot be reached.

    Raises:
        InvalidInputError: neither is there.
    """
    if phone is None and email is None:
        raise InvalidInputError(
            "give a phone number or an e-mail address",
            [
                Fault(
                    "/phone",
                    "must be given where there is no e-mail address",
                    detail_zh="与邮箱至少填一项",
                )
            ],
        )


def require_living(contact: Contact) -> None:
    """Refuse what was erased.

    Raises:
        ContactErasedError: it was.
    """
    if contact.erased_at is not None:
        raise ContactErasedError(
            "the contact was erased; nothing of it is kept",
            detail_zh="该联系人的信息已删除，不再保存",
            erased_at=contact.erased_at,
        )


def found(session: Session, actor: Actor, contact_id: UUID, *, lock: bool = False) -> Contact:
    """A contact, erased or not.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    query = select(Contact).where(Contact.id == contact_id)
    if not actor.is_staff:
        query = query.where(Contact.company_id == actor.company_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    contact = session.scalar(query)
    if contact is None:
        raise NotFoundError(
            "no such contact, or it is not yours to see", detail_zh="没有该联系人，或无权查看"
        )
    return contact


def living(session: Session, actor: Actor, contact_id: UUID) -> Contact:
    """A contact that is not erased, kept from others who would change it.

    Raises:
        ContactErasedError: it was erased.
        NotFoundError: there is none, or it is not the caller's to see.
    """
    contact = found(session, actor, contact_id, lock=True)
    require_living(contact)
    return contact


def plain_values(given: dict[str, str | None]) -> dict[str, str | None]:
    """Values in their one form.

    Raises:
        InvalidInputError: one has not the form; the error names the field and repeats nothing.
    """
    plain: dict[str, str | None] = {}
    faults = []
    for field, value in given.items():
        read, fault = _PLAIN[field]
        plain[field] = None if value is None else read(value)
        if value is not None and plain[field] is None:
            faults.append(fault())
    if faults:
        raise InvalidInputError("a value does not have the form of its field", faults)
    return plain


def sealed_columns(
    sealer: Sealer, contact_id: UUID, plain: dict[str, str | None]
) -> dict[str, bytes | None]:
    """The columns that values are kept in."""
    columns: dict[str, bytes | None] = {}
    for field, value in plain.items():
        columns[f"{field}_sealed"] = (
            None if value is None else sealer.seal(_purpose(field, contact_id), value.encode())
        )
        if field != "name":
            columns[f"{field}_index"] = None if value is None else indexes(sealer, field, value)[0]
    return columns


def seal_anew(session: Session, sealer: Sealer) -> int:
    """Seal with today's key what was sealed with earlier ones; returns of how many contacts."""
    count = 0
    for contact in session.scalars(select(Contact).order_by(Contact.id).with_for_update()):
        kept = [getattr(contact, f"{field}_sealed") for field in FIELDS]
        if all(one is None or sealer.is_current(one) for one in kept):
            continue
        for name, value in sealed_columns(
            sealer, contact.id, dict(_opened(sealer, contact))
        ).items():
            setattr(contact, name, value)
        count += 1
    session.flush()
    return count


def indexes(sealer: Sealer, field: str, value: str | None) -> list[bytes]:
    """By what a value is found, with each key; an address is the same in capitals."""
    return sealer.indexes(f"contact {field}", (value or "").casefold().encode())


def _purpose(field: str, contact_id: UUID) -> str:
    return f"contact {field}:{contact_id}"


def _opened(sealer: Sealer, contact: Contact) -> Iterator[tuple[str, str | None]]:
    for field in FIELDS:
        sealed: bytes | None = getattr(contact, f"{field}_sealed")
        opened = None if sealed is None else sealer.open(_purpose(field, contact.id), sealed)
        yield field, None if opened is None else opened.decode()


def shown(sealer: Sealer, contact: Contact) -> ContactStarred:
    """A contact with stars."""
    return ContactStarred(**_masked(contact, dict(_opened(sealer, contact))))


def revealed(sealer: Sealer, contact: Contact) -> ContactInFull:
    """A contact in full."""
    plain = dict(_opened(sealer, contact))
    return ContactInFull(**_masked(contact, plain), **plain)


def _masked(contact: Contact, plain: dict[str, str | None]) -> dict[str, Any]:
    name, phone, email = (plain[field] for field in FIELDS)
    return {
        "id": contact.id,
        "company_id": contact.company_id,
        "name_masked": None if name is None else values.masked_name(name),
        "phone_masked": None if phone is None else values.masked_phone(phone),
        "email_masked": None if email is None else values.masked_email(email),
        "role": contact.role,
        "purpose": contact.purpose,
        "consent": {
            "given_at": contact.consent_at,
            "form": contact.consent_form,
            "given_by": contact.consent_from,
        },
        "synthetic": contact.synthetic,
        "version": contact.version,
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
        "erased_at": contact.erased_at,
        "erased_reason": contact.erased_reason,
    }
