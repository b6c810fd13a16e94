"""How a firm comes to its first key, and the keys that sign tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class Application(Base):
    """开通申请: a firm asks to be let in. Staff decide once."""

    __tablename__ = "applications"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_name: Mapped[str]
    unified_social_credit_code: Mapped[str]
    purpose: Mapped[str] = mapped_column(comment="what the firm wants the service for")
    contact_sealed: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="the e-mail address to write to, encrypted"
    )
    contact_masked: Mapped[str | None] = mapped_column(comment="the same with most of it starred")
    contact_erased_at: Mapped[datetime | None]
    status_secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(
        server_default="received", comment="received | approved | refused"
    )
    reason: Mapped[str | None] = mapped_column(comment="why it was refused")
    company_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True, comment="once approved"
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("state IN ('received', 'approved', 'refused')", name="state_known"),
        CheckConstraint(
            "(state = 'received') = (decided_at IS NULL)"
            " AND (decided_at IS NULL) = (decided_by IS NULL)",
            name="decided_by_somebody",
        ),
        CheckConstraint(
            "(state = 'approved') = (company_id IS NOT NULL)", name="approved_is_a_company"
        ),
        CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="refused_says_why"),
        CheckConstraint(
            "(contact_sealed IS NULL) = (contact_erased_at IS NOT NULL)", name="contact_erased"
        ),
    )


class Invitation(Base):
    """邀请: whoever holds its token gets the firm's first key, once."""

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True
    )
    application_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("applications.id", ondelete="RESTRICT"), index=True
    )
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    invited_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("accepted_at IS NULL OR revoked_at IS NULL", name="ended_once"),
    )


class SigningKey(Base):
    """签名密钥: a private key that signs access tokens, sealed, and its public half."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True, comment="the thumbprint of RFC 7638")
    private_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    public: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="as JWK")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    retired_at: Mapped[datetime | None] = mapped_column(
        comment="from when it signs no more; tokens it signed before end by themselves"
    )
