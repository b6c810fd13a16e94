"""The addresses that applications were made with, as personal data: shown whole, and erased."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models.firm_access import Application
from app.onboarding.applications import opened_address
from app.security.sealing import Sealer


@dataclass(frozen=True, slots=True)
class ApplicantAddress:
    """An address, and the application it came with."""

    application_id: UUID
    at: datetime
    email: str = field(repr=False)


def addresses_of(session: Session, sealer: Sealer, company_id: UUID) -> list[ApplicantAddress]:
    """The addresses that a firm applied with, the oldest first."""
    rows = session.scalars(
        select(Application)
        .where(Application.company_id == company_id, Application.contact_erased_at.is_(None))
        .order_by(Application.created_at, Application.id)
    )
    return [ApplicantAddress(row.id, row.created_at, opened_address(sealer, row)) for row in rows]


def erase_addresses(
    session: Session, *, before: datetime, now: datetime, at_once: int
) -> Sequence[Application]:
    """Erase the addresses of applications that were decided, or else made, before an instant."""
    rows = session.scalars(
        select(Application)
        .where(
            Application.contact_erased_at.is_(None),
            func.coalesce(Application.decided_at, Application.created_at) < before,
        )
        .order_by(Application.created_at)
        .limit(at_once)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.contact_sealed = row.contact_masked = None
        row.contact_erased_at = now
    return rows
