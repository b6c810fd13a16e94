"""Whom to talk to at a firm. What names or reaches a person is encrypted, value by value."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import ConsentForm, ConsentSource, ContactPurpose, ContactRole


class Contact(Base):
    """联系人. Once erased the row stays, without any value, for what refers to it."""

    __tablename__ = "contacts"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="RESTRICT"))
    name_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary, comment="E.164")
    email_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_index: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="keyed hash, by which a given number is found"
    )
    email_index: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="keyed hash, by which a given address is found"
    )
    role: Mapped[str]
    purpose: Mapped[str] = mapped_column(comment="what the person agreed to")
    consent_at: Mapped[datetime]
    consent_form: Mapped[str]
    consent_from: Mapped[str]
    synthetic: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]
    erased_at: Mapped[datetime | None]
    erased_by: Mapped[str | None]
    erased_reason: Mapped[str | None]

    __table_args__ = (
        one_of("role", ContactRole),
        one_of("purpose", ContactPurpose),
        one_of("consent_form", ConsentForm),
        one_of("consent_from", ConsentSource),
        CheckConstraint(
            "(erased_at IS NULL) = (erased_by IS NULL)"
            " AND (erased_at IS NULL) = (erased_reason IS NULL)",
            name="erased_whole",
        ),
        CheckConstraint(
            "CASE WHEN erased_at IS NULL"
            " THEN name_sealed IS NOT NULL AND num_nonnulls(phone_sealed, email_sealed) > 0"
            " ELSE num_nonnulls(name_sealed, phone_sealed, email_sealed) = 0 END",
            name="erased_means_gone",
        ),
        CheckConstraint(
            "(phone_sealed IS NULL) = (phone_index IS NULL)"
            " AND (email_sealed IS NULL) = (email_index IS NULL)",
            name="found_while_there",
        ),
        UniqueConstraint("company_id", "email_index"),
        Index("ix_contacts_company_id_created_at_id", "company_id", "created_at", "id"),
        Index("ix_contacts_phone_index", "phone_index"),
        Index("ix_contacts_email_index", "email_index"),
        Index("ix_contacts_updated_at", "updated_at", postgresql_where=text("erased_at IS NULL")),
    )
