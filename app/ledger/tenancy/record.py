"""A lease as it is shown: its days, what happened to it, and its terms."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy.orm import Session

from app.kernel.terms import ClaimKind
from app.ledger.commitments import Commitment, LeaseState, get_commitment
from app.ledger.lease_events import Story, read_story
from app.ledger.tenancy.days import clearing_until
from app.ledger.tenancy.terms import KnownTerms, find_terms
from app.security.actors import Actor


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """All that is known of a lease."""

    made: Commitment
    story: Story
    terms: KnownTerms | None

    @property
    def state(self) -> LeaseState:
        """Whether the lease stands; cut short also where it had been prolonged before."""
        if self.made.lease_state is LeaseState.SIGNED and self.story.was_cut_short:
            return LeaseState.TERMINATED
        return self.made.lease_state

    @property
    def clearing_until(self) -> date | None:
        """The first day after the clearing; None where there is none."""
        return clearing_until(self.made)

    @property
    def next_start(self) -> date | None:
        """The first day that the lease leaves to the next tenant; None: it has no end."""
        return self.clearing_until or self.made.period.upper


def get_record(session: Session, actor: Actor, commitment_id: UUID) -> LeaseRecord:
    """A lease of one's own company, or of one's parks.

    Raises:
        NoSuchCommitmentError: there is none, or it is not the caller's to see.
    """
    return recorded(session, get_commitment(session, actor, commitment_id, ClaimKind.LEASE))


def recorded(session: Session, made: Commitment) -> LeaseRecord:
    """A lease with what happened to it and its terms."""
    return LeaseRecord(made, read_story(session, made.id), find_terms(session, made.id))
