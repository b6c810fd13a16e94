"""What a lease says beyond its units and days, and what happened to it."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import LeaseEventKind


class LeaseTerms(Base):
    """租约条款: rent, deposit and breaks of one lease, as believed in a range of instants."""

    __tablename__ = "lease_terms"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    commitment_id: Mapped[UUID]
    terms: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="money as text: amounts are decimal"
    )
    known: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    recorded_by: Mapped[str]
    closed_by: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("NOT isempty(known) AND NOT lower_inf(known)", name="known_has_start"),
        ExcludeConstraint(
            ("commitment_id", "="), ("known", "&&"), using="gist", name="ex_lease_terms_one_truth"
        ),
    )


class LeaseEvent(Base):
    """租约事件: an extension, an early end, a hand-over, a hand-back, the end of clearing."""

    __tablename__ = "lease_events"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    commitment_id: Mapped[UUID]
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str]
    on: Mapped[date] = mapped_column("on_day", comment="the day it is about")
    recorded_at: Mapped[datetime] = mapped_column(comment="since when it is known")
    recorded_by: Mapped[str]
    note: Mapped[str | None]

    __table_args__ = (
        one_of("kind", LeaseEventKind),
        Index("ix_lease_events_commitment_id", "commitment_id"),
    )
