"""What reviews of who may do what asked for: tokens of persons, and who gave whom a way in.

Locks credentials, approvals, idempotent_answers, staff_accounts and audit_entries for an instant;
what was approved before stays as it is, and what was answered before is not answered again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_GIFTS = "staff_credential_gifts"

# A trigger looks at what is written from now on: what tokens of nobody approved before stays, as
# all history does, and comes back from a backup.
_TWO_PERSONS = """
CREATE FUNCTION approvals_take_two_persons() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'approved' AND (NEW.decided_account_id <> NEW.asked_account_id) IS NOT TRUE THEN
        RAISE EXCEPTION 'an approval takes two persons'' accounts' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'ck_approvals_two_persons',
            TABLE = 'approvals';
    END IF;
    RETURN NEW;
END $$"""

# Who calls is told once a transaction, from the credential; what adds an entry names nobody else.
_ONES_OWN_NAME = """
CREATE FUNCTION audit_entries_are_in_ones_own_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('app.actor', true), '') NOT IN ('', NEW.actor) THEN
        RAISE EXCEPTION 'who calls writes in no other name' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$"""


def upgrade() -> None:
    _persons()
    _repeated_answers()
    _pending_factors()
    op.execute(_ONES_OWN_NAME)
    op.execute(
        "CREATE TRIGGER audit_entries_in_ones_own_name BEFORE INSERT ON audit_entries"
        " FOR EACH ROW EXECUTE FUNCTION audit_entries_are_in_ones_own_name()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_entries_in_ones_own_name ON audit_entries")
    op.execute("DROP FUNCTION audit_entries_are_in_ones_own_name")
    op.drop_column("staff_accounts", "totp_pending_until")
    op.alter_column(
        "idempotent_answers", "body_digest", new_column_name="body_sha256", comment=None
    )
    op.drop_column("idempotent_answers", "granted")
    op.execute("DROP TRIGGER approvals_take_two_persons ON approvals")
    op.execute("DROP FUNCTION approvals_take_two_persons")
    op.drop_table(_GIFTS)
    op.drop_column("credentials", "account_id")


def _pending_factors() -> None:
    op.add_column(
        "staff_accounts",
        sa.Column(
            "totp_pending_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="no code is taken after",
        ),
    )
    op.execute("UPDATE staff_accounts SET totp_pending = NULL")  # nobody knows since when
    op.create_check_constraint(
        op.f("ck_staff_accounts_pending_factor_ends"),
        "staff_accounts",
        "(totp_pending IS NULL) = (totp_pending_until IS NULL)",
    )


def _repeated_answers() -> None:
    op.add_column(
        "idempotent_answers",
        sa.Column(
            "granted",
            sa.ARRAY(sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="what the caller was allowed; who is allowed less is not answered",
        ),
    )
    op.alter_column("idempotent_answers", "granted", server_default=None)
    op.alter_column(
        "idempotent_answers",
        "body_sha256",
        new_column_name="body_digest",
        comment="keyed hash: whoever reads it cannot try bodies out",
        existing_type=sa.LargeBinary(),
        existing_nullable=False,
    )
    # Plain hashes of bodies go; a call of before that is repeated is refused, and not done twice.
    op.execute(
        "UPDATE idempotent_answers"
        " SET body_digest = sha256(body_digest || uuid_send(gen_random_uuid()))"
    )


def _persons() -> None:
    op.add_column(
        "credentials",
        sa.Column(
            "account_id",
            sa.Uuid(),
            nullable=True,
            comment="the person a staff token belongs to; null: a program's",
        ),
    )
    op.create_foreign_key(
        op.f("fk_credentials_account_id_staff_accounts"),
        "credentials",
        "staff_accounts",
        ["account_id"],
        ["id"],
        ondelete="RESTRICT",
    )
    op.create_index(op.f("ix_credentials_account_id"), "credentials", ["account_id"])
    op.create_check_constraint(
        op.f("ck_credentials_person_is_staff"),
        "credentials",
        "account_id IS NULL OR kind = 'staff'",
    )
    op.create_table(
        _GIFTS,
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("given_by", sa.Uuid(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "given_by <> account_id", name=op.f("ck_staff_credential_gifts_given_by_another")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["staff_accounts.id"],
            name=op.f("fk_staff_credential_gifts_account_id_staff_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["given_by"],
            ["staff_accounts.id"],
            name=op.f("fk_staff_credential_gifts_given_by_staff_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "given_by", name=op.f("pk_staff_credential_gifts")),
    )
    op.execute(f"ALTER TABLE {_GIFTS} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {_GIFTS} FORCE ROW LEVEL SECURITY")
    op.execute(f"""
        CREATE POLICY {_GIFTS}_rows ON {_GIFTS} TO space_relay_app
        USING ((SELECT current_setting('app.audience', true)) IN ('staff', 'system'))""")
    op.execute(_TWO_PERSONS)
    op.execute(
        "CREATE TRIGGER approvals_take_two_persons BEFORE INSERT OR UPDATE ON approvals"
        " FOR EACH ROW EXECUTE FUNCTION approvals_take_two_persons()"
    )
