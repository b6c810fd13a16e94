"""Applications, invitations, keys that rotate, and keys that sign tokens.

Locks credentials while its few rows are given a prefix, companies for an instant, for their keys,
and nothing else but the tables it makes.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

#: Firms have no business with these: they show a secret at the gate, where the system looks.
_AUDIENCE = "(SELECT current_setting('app.audience', true))"
_FIRM = "(SELECT nullif(current_setting('app.firm_id', true), '')::uuid)"
_ROWS = {
    # A firm is told what is kept of whoever applied for it.
    "applications": f"{_AUDIENCE} IN ('staff', 'system') OR company_id = {_FIRM}",
    "invitations": f"{_AUDIENCE} IN ('staff', 'system')",
    "signing_keys": f"{_AUDIENCE} = 'system'",
}
_CHECKS = {
    "prefix_known": "prefix IN ('sr_staff', 'sr_live', 'sr_test')",
    "prefix_of_kind": "(kind = 'staff') = (prefix = 'sr_staff')",
    "previous_ends": "(previous_sha256 IS NULL) = (previous_until IS NULL)",
}


def _added() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("prefix", sa.Text(), comment="what the credential's text begins with"),
        sa.Column(
            "previous_sha256", sa.LargeBinary(), comment="the secret before the last rotation"
        ),
        sa.Column("previous_until", sa.DateTime(timezone=True), comment="when that one ends"),
        sa.Column("rotated_at", sa.DateTime(timezone=True)),
        sa.Column("issued_by", sa.Text(), comment="who asked for it"),
    )


def upgrade() -> None:
    for column in _added():
        op.add_column("credentials", column)
    op.execute(
        "UPDATE credentials SET prefix = CASE kind WHEN 'staff' THEN 'sr_staff' ELSE 'sr_live' END"
    )
    op.alter_column("credentials", "prefix", nullable=False)
    for name, rule in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_credentials_{name}"), "credentials", rule)
    op.create_table(
        "applications",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("company_name", sa.Text(), nullable=False),
        sa.Column("unified_social_credit_code", sa.Text(), nullable=False),
        sa.Column(
            "purpose", sa.Text(), nullable=False, comment="what the firm wants the service for"
        ),
        sa.Column(
            "contact_sealed",
            sa.LargeBinary(),
            nullable=False,
            comment="the e-mail address to write to, encrypted",
        ),
        sa.Column(
            "contact_masked",
            sa.Text(),
            nullable=False,
            comment="the same with most of it starred",
        ),
        sa.Column("status_secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            server_default="received",
            nullable=False,
            comment="received | approved | refused",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was refused"),
        sa.Column("company_id", sa.Uuid(), nullable=True, comment="once approved"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('received', 'approved', 'refused')", name=op.f("ck_applications_state_known")
        ),
        sa.CheckConstraint(
            "(state = 'received') = (decided_at IS NULL)"
            " AND (decided_at IS NULL) = (decided_by IS NULL)",
            name=op.f("ck_applications_decided_by_somebody"),
        ),
        sa.CheckConstraint(
            "(state = 'approved') = (company_id IS NOT NULL)",
            name=op.f("ck_applications_approved_is_a_company"),
        ),
        sa.CheckConstraint(
            "(state = 'refused') = (reason IS NOT NULL)",
            name=op.f("ck_applications_refused_says_why"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_applications_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
    )
    op.create_index(op.f("ix_applications_company_id"), "applications", ["company_id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "scopes",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "accepted_at IS NULL OR revoked_at IS NULL", name=op.f("ck_invitations_ended_once")
        ),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["applications.id"],
            name=op.f("fk_invitations_application_id_applications"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_invitations_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_invitations_token_sha256")),
    )
    op.create_index(op.f("ix_invitations_application_id"), "invitations", ["application_id"])
    op.create_index(op.f("ix_invitations_company_id"), "invitations", ["company_id"])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False, comment="the thumbprint of RFC 7638"),
        sa.Column("private_sealed", sa.LargeBinary(), nullable=False),
        sa.Column(
            "public", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="as JWK"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "retired_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="from when it signs no more; tokens it signed before end by themselves",
        ),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    for table, rows in _ROWS.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_rows ON {table} TO space_relay_app USING ({rows})")


def downgrade() -> None:
    for table in ("signing_keys", "invitations", "applications"):
        op.drop_table(table)
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_credentials_{name}"), "credentials")
    for column in reversed(_added()):
        op.drop_column("credentials", column.name)
