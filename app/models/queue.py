"""Who waits for which space: the line behind holds."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import QueueOutcome


class QueueEntry(Base):
    """排队: a company's place in line for units and days; written once, and closed once."""

    __tablename__ = "queue_entries"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True
    )
    space_request_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("space_requests.id", ondelete="RESTRICT"), index=True
    )
    period: Mapped[Range[date]] = mapped_column(DATERANGE, comment="days wanted, half-open")
    offer_hours: Mapped[int] = mapped_column(comment="how long an offer to it stands")
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    commitment_id: Mapped[UUID | None] = mapped_column(comment="the hold it became")
    joined_by: Mapped[str]
    closed_by: Mapped[str | None]

    __table_args__ = (
        one_of("outcome", QueueOutcome),
        CheckConstraint("NOT isempty(period) AND NOT lower_inf(period)", name="period_has_start"),
        CheckConstraint("offer_hours > 0", name="offer_positive"),
        CheckConstraint(
            "(left_at IS NULL) = (outcome IS NULL) AND (left_at IS NULL) = (closed_by IS NULL)",
            name="left_whole",
        ),
    )


class QueueWant(Base):
    """A unit that an entry waits for, or a part of it."""

    __tablename__ = "queue_wants"

    entry_id: Mapped[UUID] = mapped_column(
        ForeignKey("queue_entries.id", ondelete="RESTRICT"), primary_key=True
    )
    unit_id: Mapped[UUID] = mapped_column(
        ForeignKey("units.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    quantity: Mapped[Decimal | None] = mapped_column(
        comment="in the unit's own measure; null is all of it"
    )

    __table_args__ = (CheckConstraint("quantity > 0", name="quantity_positive"),)
