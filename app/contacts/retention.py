"""Erases what is kept about people once there is no more reason to keep it."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, func, literal, or_, select
from sqlalchemy.orm import Session

from app.contacts.people import wipe
from app.database.session import transaction
from app.kernel.clock import civil_day
from app.kernel.terms import ClaimKind
from app.models.claim import Claim
from app.models.company import SpaceRequest
from app.models.contact import Contact
from app.onboarding.applicants import erase_addresses
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.security.rows import system

#: Rows a transaction: each has an entry in the house's chain, whose lock others wait for.
_AT_ONCE = 500
_BY = "worker"


def erase_past(sessions: Callable[[], Session], *, months: int, now: datetime) -> int:
    """Erase contacts and applicants' addresses that are past retention; returns how many.

    A contact is kept for ``months`` after the latest of: its own last change, the last change of a
    request of its firm, the last day of its firm's leases. An applicant's address for ``months``
    after the application was decided, or made if nobody decided. Each has an entry in the audit
    trail, in the transaction that erases it.
    """
    erased = 0
    while True:
        with sessions() as session, transaction(session):
            system(session)
            done = _erase_some(session, months=months, now=now)
        erased += done
        if not done:
            return erased


def _erase_some(session: Session, *, months: int, now: datetime) -> int:
    cutoff = session.scalars(select(literal(now) - func.make_interval(0, months))).one()
    contacts = session.scalars(
        select(Contact)
        .where(Contact.erased_at.is_(None), Contact.updated_at < cutoff, *_firm_is_quiet(cutoff))
        .order_by(Contact.updated_at)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    for contact in contacts:
        wipe(contact, by=_BY, reason=f"保存期满 {months} months without a request", now=now)
    applications = erase_addresses(session, before=cutoff, now=now, at_once=_AT_ONCE)
    for contact in contacts:
        record(
            session,
            _BY,
            Action.CONTACT_EXPIRED,
            park_id=None,
            subject_type="contact",
            subject_id=contact.id,
            company_id=contact.company_id,
            details={"kept_months": months},
        )
    for application in applications:
        record(
            session,
            _BY,
            Action.APPLICANT_EXPIRED,
            park_id=None,
            subject_type="application",
            subject_id=application.id,
            company_id=application.company_id,
            details={"kept_months": months},
        )
    return len(contacts) + len(applications)


def _firm_is_quiet(cutoff: datetime) -> list[ColumnElement[bool]]:
    asked = select(SpaceRequest.id).where(
        SpaceRequest.company_id == Contact.company_id, SpaceRequest.updated_at >= cutoff
    )
    # The lease as it stands now; what it superseded no longer tells its end.
    lets = select(Claim.id).where(
        Claim.company_id == Contact.company_id,
        Claim.kind == ClaimKind.LEASE.value,
        func.upper_inf(Claim.live),
        or_(func.upper_inf(Claim.period), func.upper(Claim.period) > civil_day(cutoff)),
    )
    return [~asked.exists(), ~lets.exists()]
