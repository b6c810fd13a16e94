"""Contacts of firms, encrypted value by value; applicants' addresses can be erased, too.

Locks nothing but the table it makes, and the few rows of applications; companies for an instant, for
its key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

#: A firm's own rows; all for the system and for staff, who look only with a reason (app/contacts).
ROWS = """
    (SELECT current_setting('app.audience', true)) IN ('staff', 'system')
    OR company_id = (SELECT nullif(current_setting('app.firm_id', true), '')::uuid)"""
ERASED = "(contact_sealed IS NULL) = (contact_erased_at IS NOT NULL)"


def upgrade() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True, comment="E.164"),
        sa.Column("email_sealed", sa.LargeBinary(), nullable=True),
        sa.Column(
            "phone_index",
            sa.LargeBinary(),
            nullable=True,
            comment="keyed hash, by which a given number is found",
        ),
        sa.Column(
            "email_index",
            sa.LargeBinary(),
            nullable=True,
            comment="keyed hash, by which a given address is found",
        ),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False, comment="what the person agreed to"),
        sa.Column("consent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consent_form", sa.Text(), nullable=False),
        sa.Column("consent_from", sa.Text(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_by", sa.Text(), nullable=True),
        sa.Column("erased_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "consent_form IN ('written', 'electronic', 'oral')",
            name=op.f("ck_contacts_consent_form_known"),
        ),
        sa.CheckConstraint(
            "consent_from IN ('person', 'firm')", name=op.f("ck_contacts_consent_from_known")
        ),
        sa.CheckConstraint(
            "purpose IN ('matching', 'leasing', 'operations')",
            name=op.f("ck_contacts_purpose_known"),
        ),
        sa.CheckConstraint(
            "role IN ('decides', 'site_search', 'facilities', 'finance', 'legal', 'daily_matters')",
            name=op.f("ck_contacts_role_known"),
        ),
        sa.CheckConstraint(
            "(erased_at IS NULL) = (erased_by IS NULL) AND (erased_at IS NULL) = (erased_reason IS NULL)",
            name=op.f("ck_contacts_erased_whole"),
        ),
        sa.CheckConstraint(
            "(phone_sealed IS NULL) = (phone_index IS NULL) AND (email_sealed IS NULL) = (email_index IS NULL)",
            name=op.f("ck_contacts_found_while_there"),
        ),
        sa.CheckConstraint(
            "CASE WHEN erased_at IS NULL THEN name_sealed IS NOT NULL AND num_nonnulls(phone_sealed, email_sealed) > 0 ELSE num_nonnulls(name_sealed, phone_sealed, email_sealed) = 0 END",
            name=op.f("ck_contacts_erased_means_gone"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_contacts_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint(
            "company_id", "email_index", name=op.f("uq_contacts_company_id_email_index")
        ),
    )
    op.create_index(
        "ix_contacts_company_id_created_at_id",
        "contacts",
        ["company_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_contacts_email_index", "contacts", ["email_index"], unique=False)
    op.create_index("ix_contacts_phone_index", "contacts", ["phone_index"], unique=False)
    op.create_index(
        "ix_contacts_updated_at",
        "contacts",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("erased_at IS NULL"),
    )
    op.execute("ALTER TABLE contacts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE contacts FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY contacts_rows ON contacts TO space_relay_app USING ({ROWS})")
    op.alter_column("applications", "contact_sealed", nullable=True)
    op.alter_column("applications", "contact_masked", nullable=True)
    op.add_column(
        "applications",
        sa.Column("contact_erased_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_check_constraint(op.f("ck_applications_contact_erased"), "applications", ERASED)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_applications_contact_erased"), "applications")
    op.drop_column("applications", "contact_erased_at")
    # What was erased cannot be had back: an address that opens for nobody, and a mask of stars.
    op.execute("UPDATE applications SET contact_sealed = '' WHERE contact_sealed IS NULL")
    op.execute("UPDATE applications SET contact_masked = '***' WHERE contact_masked IS NULL")
    op.alter_column("applications", "contact_masked", nullable=False)
    op.alter_column("applications", "contact_sealed", nullable=False)
    op.drop_table("contacts")
