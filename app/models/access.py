"""Who may call, which writes were already answered, and which reference data is loaded."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class Credential(Base):
    """A staff token or a firm's API key. Only the SHA-256 of its secret is kept."""

    __tablename__ = "credentials"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    key_id: Mapped[str] = mapped_column(unique=True, comment="the public part of the credential")
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    kind: Mapped[str] = mapped_column(comment="staff | firm")
    role: Mapped[str | None] = mapped_column(comment="viewer | agent | manager | admin, for staff")
    company_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True, comment="for a firm's key"
    )
    park_ids: Mapped[list[UUID] | None] = mapped_column(
        ARRAY(Uuid), comment="parks a staff token is for; null means all"
    )
    account_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="RESTRICT"),
        index=True,
        comment="the person a staff token belongs to; null: a program's",
    )
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    label: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    prefix: Mapped[str] = mapped_column(comment="what the credential's text begins with")
    previous_sha256: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="the secret before the last rotation"
    )
    previous_until: Mapped[datetime | None] = mapped_column(comment="when that one ends")
    rotated_at: Mapped[datetime | None]
    issued_by: Mapped[str | None] = mapped_column(comment="who asked for it")

    __table_args__ = (
        CheckConstraint("prefix IN ('sr_staff', 'sr_live', 'sr_test')", name="prefix_known"),
        CheckConstraint("(kind = 'staff') = (prefix = 'sr_staff')", name="prefix_of_kind"),
        CheckConstraint(
            "(previous_sha256 IS NULL) = (previous_until IS NULL)", name="previous_ends"
        ),
        CheckConstraint("kind IN ('staff', 'firm')", name="kind_known"),
        CheckConstraint("role IN ('viewer', 'agent', 'manager', 'admin')", name="role_known"),
        CheckConstraint("(kind = 'firm') = (company_id IS NOT NULL)", name="firm_has_company"),
        CheckConstraint("(kind = 'staff') = (role IS NOT NULL)", name="staff_has_role"),
        CheckConstraint("account_id IS NULL OR kind = 'staff'", name="person_is_staff"),
    )


class IdempotentAnswer(Base):
    """The answer already given to a write that carried an Idempotency-Key."""

    __tablename__ = "idempotent_answers"

    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(comment="method and path")
    granted: Mapped[list[str]] = mapped_column(
        ARRAY(Text), comment="what the caller was allowed; who is allowed less is not answered"
    )
    body_digest: Mapped[bytes] = mapped_column(
        LargeBinary, comment="keyed hash: whoever reads it cannot try bodies out"
    )
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class ReferenceLoad(Base):
    """Which reference data is loaded, by the hash of its files."""

    __tablename__ = "reference_loads"

    name: Mapped[str] = mapped_column(primary_key=True)
    content_sha256: Mapped[str]
    seed: Mapped[int | None]
    totals: Mapped[dict[str, Any]] = mapped_column(JSONB)
    loaded_at: Mapped[datetime] = mapped_column(server_default=func.now())
