"""In which parks things are, where what is written down about them does not say."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.space import Unit


def parks_of_units(session: Session, unit_ids: Sequence[UUID]) -> Collection[UUID | None]:
    """The parks in which some of the units are."""
    return set(session.scalars(select(Unit.park_id).where(Unit.id.in_(unit_ids)).distinct()))
