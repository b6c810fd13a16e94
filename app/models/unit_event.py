"""What happened to units themselves, and which became which."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import UnitEventKind


class UnitEvent(Base):
    """房源事件: a split, a merger, a new measurement or new terms, from a day on."""

    __tablename__ = "unit_events"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str]
    effective_on: Mapped[date] = mapped_column(comment="first day on which it holds")
    recorded_at: Mapped[datetime] = mapped_column(comment="since when it is known")
    recorded_by: Mapped[str] = mapped_column(comment="the actor who recorded it")
    reason: Mapped[str | None]
    changes: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="values before and after, by column"
    )

    __table_args__ = (one_of("kind", UnitEventKind),)


class UnitEventUnit(Base):
    """A unit that an event is about: its subject, or one it made or ended."""

    __tablename__ = "unit_event_units"

    event_id: Mapped[UUID] = mapped_column(
        ForeignKey("unit_events.id", ondelete="RESTRICT"), primary_key=True
    )
    unit_id: Mapped[UUID] = mapped_column(
        ForeignKey("units.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    part: Mapped[str] = mapped_column(comment="subject | parent | child")

    __table_args__ = (CheckConstraint("part IN ('subject', 'parent', 'child')", name="part_known"),)
