"""What firms are told of: their endpoints, what happened, and how each telling went."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class WebhookEndpoint(Base):
    """回调地址: where a firm wants to be told, and of what."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True
    )
    url: Mapped[str]
    label: Mapped[str] = mapped_column(server_default=text("''"), comment="the firm's own word")
    events: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="what it is told of")
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(comment="by_firm | failing | gone")
    verified_at: Mapped[datetime | None] = mapped_column(
        comment="when this address first took a delivery"
    )
    failing_since: Mapped[datetime | None] = mapped_column(
        comment="the first failure after which nothing arrived"
    )
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary, comment="what signs, encrypted")
    previous_sealed: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="what signs beside it after a rotation, encrypted"
    )
    previous_until: Mapped[datetime | None] = mapped_column(comment="when that one ends")
    created_at: Mapped[datetime]
    created_by: Mapped[str]

    __table_args__ = (
        CheckConstraint("cardinality(events) > 0", name="told_of_something"),
        CheckConstraint(
            "disabled_reason IN ('by_firm', 'failing', 'gone')", name="disabled_reason_known"
        ),
        CheckConstraint(
            "enabled = (disabled_at IS NULL) AND enabled = (disabled_reason IS NULL)",
            name="disabled_whole",
        ),
        CheckConstraint(
            "(previous_sealed IS NULL) = (previous_until IS NULL)", name="previous_ends"
        ),
    )


class WebhookEvent(Base):
    """回调事件: something happened that its firm may want to know. Written with what happened."""

    __tablename__ = "webhook_events"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="RESTRICT"))
    type: Mapped[str]
    at: Mapped[datetime] = mapped_column(comment="when it happened")
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="as its type declares it")
    mark: Mapped[str | None] = mapped_column(
        unique=True, comment="what is told once, however often it is found"
    )

    __table_args__ = (
        Index("ix_webhook_events_company_id_at_id", "company_id", "at", "id"),
        Index("ix_webhook_events_at", "at"),
    )


class WebhookDelivery(Base):
    """投递: one event on its way to one endpoint."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="RESTRICT"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"))
    endpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE")
    )
    state: Mapped[str] = mapped_column(
        server_default=text("'pending'"), comment="pending | delivered | failed"
    )
    tries: Mapped[int] = mapped_column(
        SmallInteger, server_default=text("0"), comment="since it was last asked for"
    )
    due_at: Mapped[datetime] = mapped_column(comment="when it is sent next")
    lease: Mapped[UUID | None] = mapped_column(comment="whoever is sending it")
    lease_until: Mapped[datetime | None] = mapped_column(
        comment="from when another may send it, should that one never answer"
    )
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state_known"),
        CheckConstraint("(lease IS NULL) = (lease_until IS NULL)", name="lease_ends"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended_whole"),
        CheckConstraint("state = 'pending' OR lease IS NULL", name="ended_is_not_sent"),
        Index(
            "ix_webhook_deliveries_endpoint_id_due_at",
            "endpoint_id",
            "due_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_webhook_deliveries_endpoint_id_created_at", "endpoint_id", "created_at", "id"),
    )


class WebhookAttempt(Base):
    """投递尝试: one sending and what came of it. Written once."""

    __tablename__ = "webhook_attempts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="RESTRICT"))
    delivery_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(comment="delivered, or why not")
    status: Mapped[int | None] = mapped_column(SmallInteger, comment="of the answer, if one came")
    duration_ms: Mapped[int]
    answer: Mapped[str | None] = mapped_column(comment="how an answer that refused it begins")

    __table_args__ = (CheckConstraint("duration_ms >= 0", name="duration_not_negative"),)
