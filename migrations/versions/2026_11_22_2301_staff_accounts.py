"""Staff accounts, their second factors, and their sessions.

Locks nothing but the tables it makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

#: Children before their parents.
TABLES = ("sign_in_failures", "staff_sessions", "staff_recovery_codes", "staff_accounts")


def _instant(name: str, *, nullable: bool = False, **more: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, **more)


def upgrade() -> None:
    op.create_table(
        "staff_accounts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email", sa.Text(), nullable=False, comment="the login name, normalised"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="viewer | agent | manager | admin"),
        sa.Column(
            "park_ids",
            sa.ARRAY(sa.Uuid()),
            nullable=True,
            comment="parks the person works for; null means all",
        ),
        sa.Column("password_hash", sa.Text(), nullable=True, comment="argon2id; null: never set"),
        sa.Column(
            "oidc_issuer",
            sa.Text(),
            nullable=True,
            comment="identity provider of an account that has no password here",
        ),
        sa.Column(
            "oidc_subject", sa.Text(), nullable=True, comment="the provider's name of the person"
        ),
        sa.Column("totp_secret", sa.LargeBinary(), nullable=True, comment="sealed"),
        sa.Column(
            "totp_last_step",
            sa.BigInteger(),
            nullable=True,
            comment="30-second step of the last code taken; none up to it is taken again",
        ),
        sa.Column(
            "totp_pending",
            sa.LargeBinary(),
            nullable=True,
            comment="sealed; a secret whose first code is still awaited",
        ),
        sa.Column(
            "invitation_sha256",
            sa.LargeBinary(),
            nullable=True,
            comment="of the token that sets a password, once",
        ),
        _instant("invitation_expires_at", nullable=True),
        _instant("created_at", server_default=sa.text("now()")),
        _instant("disabled_at", nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'agent', 'manager', 'admin')",
            name=op.f("ck_staff_accounts_role_known"),
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_staff_accounts_email_normalised")),
        sa.CheckConstraint(
            "(oidc_issuer IS NULL) = (oidc_subject IS NULL)",
            name=op.f("ck_staff_accounts_provider_and_person"),
        ),
        sa.CheckConstraint(
            "oidc_issuer IS NULL OR password_hash IS NULL AND invitation_sha256 IS NULL",
            name=op.f("ck_staff_accounts_signs_in_one_way"),
        ),
        sa.CheckConstraint(
            "(invitation_sha256 IS NULL) = (invitation_expires_at IS NULL)",
            name=op.f("ck_staff_accounts_invitation_ends"),
        ),
        sa.CheckConstraint("cardinality(park_ids) > 0", name=op.f("ck_staff_accounts_some_park")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_accounts_email")),
        sa.UniqueConstraint("invitation_sha256", name=op.f("uq_staff_accounts_invitation_sha256")),
        sa.UniqueConstraint(
            "oidc_issuer", "oidc_subject", name=op.f("uq_staff_accounts_oidc_issuer_oidc_subject")
        ),
    )
    op.create_table(
        "staff_recovery_codes",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("code_sha256", sa.LargeBinary(), nullable=False),
        _instant("used_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["staff_accounts.id"],
            name=op.f("fk_staff_recovery_codes_account_id_staff_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "code_sha256", name=op.f("pk_staff_recovery_codes")),
    )
    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "second_factor",
            sa.Boolean(),
            nullable=False,
            comment="whether one was shown at sign-in",
        ),
        _instant("created_at"),
        _instant("last_seen_at"),
        _instant("expires_at", comment="ends then, however busy"),
        _instant("ended_at", nullable=True),
        sa.Column("address", sa.Text(), nullable=True, comment="from where it was signed in"),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "expires_at > created_at", name=op.f("ck_staff_sessions_ends_after_it_begins")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["staff_accounts.id"],
            name=op.f("fk_staff_sessions_account_id_staff_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_sessions")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_staff_sessions_token_sha256")),
    )
    op.create_index(op.f("ix_staff_sessions_account_id"), "staff_sessions", ["account_id"])
    op.create_table(
        "sign_in_failures",
        sa.Column(
            "subject_sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="of the account's or the address's name",
        ),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _instant("last_at"),
        _instant("blocked_until", nullable=True),
        sa.PrimaryKeyConstraint("subject_sha256", name=op.f("pk_sign_in_failures")),
    )
    op.create_index(op.f("ix_sign_in_failures_last_at"), "sign_in_failures", ["last_at"])
    # No firm is in them, and no firm's call has any business in them.
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"""
            CREATE POLICY {table}_rows ON {table} TO space_relay_app
            USING ((SELECT current_setting('app.audience', true)) IN ('staff', 'system'))""")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
