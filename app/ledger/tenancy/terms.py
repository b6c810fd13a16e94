"""The terms of leases as they are kept: what was believed stays readable after a correction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.clock import rfc3339
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.kernel.terms import CapacityMeasure
from app.ledger.commitments import Commitment, read_commitment
from app.ledger.rent.terms import AreaBasis
from app.ledger.tenancy.days import standing_lease
from app.ledger.tenancy.errors import NoLeaseTermsError
from app.ledger.tenancy.schema import POINTER, TermsStated, require_sound
from app.models.lease import LeaseTerms
from app.security.actors import Actor, Role

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class KnownTerms:
    """Terms, and since when they are believed."""

    stated: TermsStated
    known_from: datetime


def find_terms(
    session: Session, commitment_id: UUID, as_of: datetime | None = None
) -> KnownTerms | None:
    """The terms believed at an instant, else now; None where none were."""
    known = LeaseTerms.known
    believed = func.upper_inf(known) if as_of is None else known.op("@>")(literal(as_of))
    row = session.execute(
        select(LeaseTerms.terms, func.lower(known)).where(
            LeaseTerms.commitment_id == commitment_id, believed
        )
    ).one_or_none()
    return None if row is None else KnownTerms(TermsStated.model_validate(row[0]), row[1])


def get_terms(session: Session, commitment_id: UUID, as_of: datetime | None = None) -> KnownTerms:
    """The same.

    Raises:
        NoLeaseTermsError: none were believed.
    """
    found = find_terms(session, commitment_id, as_of)
    if found is None:
        when = "" if as_of is None else f" as known at {rfc3339(as_of)}"
        raise NoLeaseTermsError(
            f"no terms are recorded for this lease{when};"
            f" a manager records them at /api/v1/leases/{commitment_id}/terms",
            detail_zh="该租约未登记租金条款，请由经理登记",
        )
    return found


def set_terms(
    session: Session, actor: Actor, commitment_id: UUID, stated: TermsStated
) -> Commitment:
    """Record the terms of a lease, or correct them.

    Raises:
        InvalidInputError: they are unsound for the days agreed.
        LeaseEndedError: the lease was undone.
    """
    actor.require_staff(Role.MANAGER)
    made, now, _ = standing_lease(session, actor, commitment_id)
    require_sound_for(made, stated)
    write_terms(session, actor, commitment_id, stated, now)
    return read_commitment(session, commitment_id)


def require_sound_for(made: Commitment, stated: TermsStated) -> None:
    """Refuse terms that do not fit the days and units of a lease.

    Raises:
        InvalidInputError: with a fault for each rule broken, below ``/terms``.
    """
    require_sound(stated, agreed_term(made))
    require_countable(made, stated)


def agreed_term(made: Commitment) -> Period:
    """The days that the parties agreed on: of a lease cut short, those before the cut too."""
    period, signed_until = made.period, made.leased_until
    if period.lower is None:
        raise ValueError("a lease has a first day")
    if period.upper is None or signed_until is None:
        return Period(period.lower)
    return Period(period.lower, max(period.upper, signed_until))


def require_countable(made: Commitment, stated: TermsStated) -> None:
    """Refuse rent by the place for what is let by the square metre.

    Raises:
        InvalidInputError: naming the first such unit.
    """
    if stated.basis is not AreaBasis.PLACES:
        return
    for line in made.lines:
        if line.capacity_measure != CapacityMeasure.PLACE.value:
            raise InvalidInputError(
                f"unit {line.unit_code} is not let by the place; count its rent on an area",
                [
                    Fault(
                        f"{POINTER}/basis",
                        f"unit {line.unit_code} has no places: leasable or internal",
                        detail_zh=f"房源 {line.unit_code} 不按工位出租，请选计租面积或套内面积",
                    )
                ],
                detail_zh=f"房源 {line.unit_code} 不按工位出租",
            )


def write_terms(
    session: Session, actor: Actor, commitment_id: UUID, stated: TermsStated, now: datetime
) -> None:
    """Close what was believed and write what is; the lease is locked."""
    before = find_terms(session, commitment_id)
    if before is not None:
        # Should the clock have been set back, belief still moves forwards.
        now = max(now, before.known_from + _MICROSECOND)
        session.execute(
            update(LeaseTerms)
            .where(LeaseTerms.commitment_id == commitment_id, func.upper_inf(LeaseTerms.known))
            .values(
                known=func.tstzrange(func.lower(LeaseTerms.known), literal(now)),
                closed_by=actor.label,
            )
            .execution_options(synchronize_session=False)
        )
    session.execute(
        insert(LeaseTerms).values(
            commitment_id=commitment_id,
            terms=stated.model_dump(mode="json"),
            known=Range(now, None),
            recorded_by=actor.label,
        )
    )
