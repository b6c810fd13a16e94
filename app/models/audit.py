"""Who did, saw and decided what: a chain of hashes for each park, and one for the house."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class AuditEntry(Base):
    """审计记录: one thing that somebody did, saw or decided. Never changed.

    Rows are added by the function ``audit_append`` and by nothing else.

    It outlives what it is about, so nothing is referenced.
    """

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True, comment="order of listing; not hashed"
    )
    park_id: Mapped[UUID | None] = mapped_column(comment="whose chain; null: the house's own")
    sequence: Mapped[int] = mapped_column(BigInteger, comment="1, 2, 3 … in its chain")
    at: Mapped[datetime] = mapped_column(comment="never before the entry before it")
    actor: Mapped[str] = mapped_column(comment="label of who did it")
    actor_kind: Mapped[str]
    account_id: Mapped[UUID | None] = mapped_column(comment="of the person, where one signed in")
    company_id: Mapped[UUID | None] = mapped_column(comment="the firm that did it or is concerned")
    action: Mapped[str] = mapped_column(comment="a word of app/security/audit/actions.py")
    subject_type: Mapped[str]
    subject_id: Mapped[str | None]
    reason: Mapped[str | None] = mapped_column(comment="as whoever did it gave it")
    # json, not jsonb: it keeps the text to the letter, and the text is what was hashed.
    details: Mapped[dict[str, Any]] = mapped_column(
        JSON, comment="canonical JSON; no personal data"
    )
    request_id: Mapped[str | None] = mapped_column(comment="X-Request-ID of the call")
    previous_hash: Mapped[bytes] = mapped_column(
        LargeBinary, comment="of the entry before; 32 zero bytes before the first"
    )
    hash: Mapped[bytes] = mapped_column(
        LargeBinary, comment="SHA-256 of the canonical JSON of all other members but id"
    )

    __table_args__ = (
        UniqueConstraint("park_id", "sequence", postgresql_nulls_not_distinct=True),
        Index("ix_audit_entries_subject_type_subject_id_id", "subject_type", "subject_id", "id"),
        Index("ix_audit_entries_company_id_id", "company_id", "id"),
        CheckConstraint(
            "actor_kind IN ('public', 'firm', 'staff', 'system')", name="actor_kind_known"
        ),
        CheckConstraint("sequence > 0", name="sequence_from_one"),
        CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name="hashes_whole"
        ),
        CheckConstraint("octet_length(details::text) <= 16384", name="details_short"),
    )
