"""Decisions that take two people: what one asked for, and what another one said."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class Approval(Base):
    """复核: a call that is kept until a second person decides it. Decided once; else unchanged."""

    __tablename__ = "approvals"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"))
    company_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True, comment="the firm concerned"
    )
    decision: Mapped[str] = mapped_column(comment="what is to be done, as lease.terminate")
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    subject_version: Mapped[str] = mapped_column(
        comment="of the subject when it was asked for; another one makes this void"
    )
    body: Mapped[dict[str, Any]] = mapped_column(JSON, comment="of the call that is kept")
    effect: Mapped[dict[str, Any]] = mapped_column(JSON, comment="the answer of its rehearsal")
    reason: Mapped[str | None]
    asked_by: Mapped[str]
    asked_account_id: Mapped[UUID | None]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="pending")
    decided_by: Mapped[str | None]
    decided_account_id: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("decision IN ('lease.terminate', 'unit.remeasure')", name="decision_known"),
        CheckConstraint("state IN ('pending', 'approved', 'refused', 'void')", name="state_known"),
        CheckConstraint(
            "(state = 'pending') = (decided_at IS NULL)"
            " AND (decided_at IS NULL) = (decided_by IS NULL)",
            name="decided_by_somebody",
        ),
        CheckConstraint(
            "state <> 'approved' OR (decided_by <> asked_by"
            " AND (decided_account_id <> asked_account_id) IS NOT FALSE)",
            name="two_persons",
        ),
        # What nobody decided in time waits no longer, and nothing writes that down.
        ExcludeConstraint(
            ("subject_id", "="),
            (text("tstzrange(asked_at, expires_at)"), "&&"),
            using="gist",
            where=text("state = 'pending'"),
            name="ex_approvals_one_pending",
        ),
        Index("ix_approvals_park_id_asked_at_id", "park_id", "asked_at", "id"),
        Index("ix_approvals_subject_id", "subject_id"),
    )
