"""Accounts of the people who work for the parks, their second factors, and their sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class StaffAccount(Base):
    """员工账号: a person who signs in with a password, or at the park's identity provider."""

    __tablename__ = "staff_accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    email: Mapped[str] = mapped_column(unique=True, comment="the login name, normalised")
    name: Mapped[str]
    staff_number: Mapped[str | None] = mapped_column(
        comment="the employer's number of the person (工号); null: not known"
    )
    role: Mapped[str] = mapped_column(comment="viewer | agent | manager | admin")
    park_ids: Mapped[list[UUID] | None] = mapped_column(
        ARRAY(Uuid), comment="parks the person works for; null means all"
    )
    password_hash: Mapped[str | None] = mapped_column(comment="argon2id; null: never set")
    oidc_issuer: Mapped[str | None] = mapped_column(
        comment="identity provider of an account that has no password here"
    )
    oidc_subject: Mapped[str | None] = mapped_column(comment="the provider's name of the person")
    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary, comment="sealed")
    totp_last_step: Mapped[int | None] = mapped_column(
        BigInteger, comment="30-second step of the last code taken; none up to it is taken again"
    )
    totp_pending: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="sealed; a secret whose first code is still awaited"
    )
    totp_pending_until: Mapped[datetime | None] = mapped_column(comment="no code is taken after")
    invitation_sha256: Mapped[bytes | None] = mapped_column(
        LargeBinary, unique=True, comment="of the token that sets a password, once"
    )
    invitation_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("oidc_issuer", "oidc_subject"),
        # A person has one account at a time; who came back has a new one beside the old.
        Index(
            "uq_staff_accounts_staff_number",
            "staff_number",
            unique=True,
            postgresql_where=text("disabled_at IS NULL"),
        ),
        CheckConstraint("staff_number ~ '^[A-Z0-9-]{1,32}$'", name="staff_number_normalised"),
        CheckConstraint("role IN ('viewer', 'agent', 'manager', 'admin')", name="role_known"),
        CheckConstraint("email = lower(email)", name="email_normalised"),
        CheckConstraint(
            "(oidc_issuer IS NULL) = (oidc_subject IS NULL)", name="provider_and_person"
        ),
        CheckConstraint(
            "oidc_issuer IS NULL OR password_hash IS NULL AND invitation_sha256 IS NULL",
            name="signs_in_one_way",
        ),
        CheckConstraint(
            "(invitation_sha256 IS NULL) = (invitation_expires_at IS NULL)",
            name="invitation_ends",
        ),
        CheckConstraint("cardinality(park_ids) > 0", name="some_park"),
        CheckConstraint(
            "(totp_pending IS NULL) = (totp_pending_until IS NULL)", name="pending_factor_ends"
        ),
    )


class CredentialGift(Base):
    """Who last gave somebody a way to sign in: an invitation, or a second factor taken off.

    For a while the giver may hold the account too, so the two do not count as two persons.
    """

    __tablename__ = "staff_credential_gifts"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    given_by: Mapped[UUID] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    given_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("given_by <> account_id", name="given_by_another"),)


class RecoveryCode(Base):
    """A code that stands in for a lost second factor, once."""

    __tablename__ = "staff_recovery_codes"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    code_sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None]


class StaffSession(Base):
    """A signed-in browser. Only the SHA-256 of its token is kept."""

    __tablename__ = "staff_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), index=True
    )
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    second_factor: Mapped[bool] = mapped_column(comment="whether one was shown at sign-in")
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(comment="ends then, however busy")
    ended_at: Mapped[datetime | None]
    address: Mapped[str | None] = mapped_column(comment="from where it was signed in")
    user_agent: Mapped[str | None]

    __table_args__ = (CheckConstraint("expires_at > created_at", name="ends_after_it_begins"),)


class SignInFailure(Base):
    """How often signing in failed of late, for one account or from one address."""

    __tablename__ = "sign_in_failures"

    subject_sha256: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, comment="of the account's or the address's name"
    )
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    last_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]
