"""The audit chain of each park, and decisions that take two people.

Locks nothing but the tables it makes; parks and companies for an instant, for their keys.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

#: The members that are hashed, in the order of canonical JSON, as SQL that makes JSON of each.
_MEMBERS = {
    "account_id": "to_json(made.account_id)::text",
    "action": "to_json(made.action)::text",
    "actor": "to_json(made.actor)::text",
    "actor_kind": "to_json(made.actor_kind)::text",
    "at": """to_json(to_char(made.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text""",
    "company_id": "to_json(made.company_id)::text",
    "details": "made.details::text",
    "park_id": "to_json(made.park_id)::text",
    "previous_hash": "to_json(encode(made.previous_hash, 'hex'))::text",
    "reason": "to_json(made.reason)::text",
    "request_id": "to_json(made.request_id)::text",
    "sequence": "made.sequence::text",
    "subject_id": "to_json(made.subject_id)::text",
    "subject_type": "to_json(made.subject_type)::text",
}
_TEXT = " || ',' || ".join(
    f"""'"{name}":' || coalesce({json}, 'null')""" for name, json in _MEMBERS.items()
)
#: Any number, as long as every installation uses the same; advisory locks of two numbers are apart
#: from those of one, which idempotency and migrations use.
_CHAIN_LOCK = 77_223_735

# The lock is let go when the transaction ends, so an entry is there for the next one to see, or
# never will be: no hole, no fork. The unique constraint says so again to whoever reads old snapshots.
APPEND = f"""
CREATE FUNCTION audit_append(
    the_park uuid, the_actor text, the_actor_kind text, the_account uuid, the_company uuid,
    the_action text, the_subject_type text, the_subject_id text, the_reason text,
    the_details text, the_request text
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    -- Its plans are the same for all values; planning them anew takes as long as the rest.
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    last audit_entries;
    made audit_entries;
BEGIN
    PERFORM pg_advisory_xact_lock({_CHAIN_LOCK}, hashtext(coalesce(the_park::text, '')));
    IF the_park IS NULL THEN
        SELECT * INTO last FROM audit_entries
        WHERE park_id IS NULL ORDER BY sequence DESC LIMIT 1;
    ELSE
        SELECT * INTO last FROM audit_entries
        WHERE park_id = the_park ORDER BY sequence DESC LIMIT 1;
    END IF;
    made.park_id := the_park;
    made.sequence := coalesce(last.sequence, 0) + 1;
    made.at := greatest(clock_timestamp(), last.at);
    made.actor := the_actor;
    made.actor_kind := the_actor_kind;
    made.account_id := the_account;
    made.company_id := the_company;
    made.action := the_action;
    made.subject_type := the_subject_type;
    made.subject_id := the_subject_id;
    made.reason := the_reason;
    made.details := the_details::json;
    made.request_id := the_request;
    made.previous_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    made.hash := sha256(convert_to('{{' || {_TEXT} || '}}', 'UTF8'));
    INSERT INTO audit_entries (
        park_id, sequence, at, actor, actor_kind, account_id, company_id, action, subject_type,
        subject_id, reason, details, request_id, previous_hash, hash
    ) VALUES (
        made.park_id, made.sequence, made.at, made.actor, made.actor_kind, made.account_id,
        made.company_id, made.action, made.subject_type, made.subject_id, made.reason,
        made.details, made.request_id, made.previous_hash, made.hash
    );
    RETURN made.sequence;
END
$$"""

_APPEND_SIGNATURE = "audit_append(uuid, text, text, uuid, uuid, text, text, text, text, text, text)"

#: What may change of what was asked for: that somebody decides it, once.
DECIDED_ONCE = """
CREATE FUNCTION approvals_are_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decided CONSTANT text[] := ARRAY['state', 'decided_by', 'decided_account_id', 'decided_at',
        'decision_reason'];
BEGIN
    IF OLD.state <> 'pending' OR to_jsonb(NEW) - decided <> to_jsonb(OLD) - decided THEN
        RAISE EXCEPTION 'what was asked for stays, and is decided once' USING
            ERRCODE = 'restrict_violation', CONSTRAINT = 'approvals_decided_once',
            TABLE = 'approvals';
    END IF;
    RETURN NEW;
END $$"""

_AUDIENCE = "(SELECT current_setting('app.audience', true))"
_PARKS = "(SELECT coalesce(current_setting('app.park_ids', true), ''))"
_OF_ONES_PARKS = (
    f"{_AUDIENCE} = 'staff' AND ({_PARKS} = ''"
    f" OR park_id = ANY ((SELECT string_to_array({_PARKS}, ',')::uuid[])::uuid[]))"
)
_POLICIES = {
    # The house's chain is for those who answer for every park.
    "audit_entries": f"{_AUDIENCE} = 'system' OR {_OF_ONES_PARKS} OR {_AUDIENCE} = 'firm'"
    " AND company_id = (SELECT nullif(current_setting('app.firm_id', true), '')::uuid)",
    "approvals": f"{_AUDIENCE} = 'system' OR {_OF_ONES_PARKS}",
}


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="order of listing; not hashed",
        ),
        sa.Column(
            "park_id", sa.Uuid(), nullable=True, comment="whose chain; null: the house's own"
        ),
        sa.Column("sequence", sa.BigInteger(), nullable=False, comment="1, 2, 3 … in its chain"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="never before the entry before it",
        ),
        sa.Column("actor", sa.Text(), nullable=False, comment="label of who did it"),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column(
            "account_id",
            sa.Uuid(),
            nullable=True,
            comment="of the person, where one signed in",
        ),
        sa.Column(
            "company_id",
            sa.Uuid(),
            nullable=True,
            comment="the firm that did it or is concerned",
        ),
        sa.Column(
            "action",
            sa.Text(),
            nullable=False,
            comment="a word of app/security/audit/actions.py",
        ),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True, comment="as whoever did it gave it"),
        sa.Column("details", sa.JSON(), nullable=False, comment="canonical JSON; no personal data"),
        sa.Column("request_id", sa.Text(), nullable=True, comment="X-Request-ID of the call"),
        sa.Column(
            "previous_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="of the entry before; 32 zero bytes before the first",
        ),
        sa.Column(
            "hash",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of the canonical JSON of all other members but id",
        ),
        sa.CheckConstraint(
            "actor_kind IN ('public', 'firm', 'staff', 'system')",
            name=op.f("ck_audit_entries_actor_kind_known"),
        ),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_audit_entries_sequence_from_one")),
        sa.CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(previous_hash) = 32",
            name=op.f("ck_audit_entries_hashes_whole"),
        ),
        sa.CheckConstraint(
            "octet_length(details::text) <= 16384", name=op.f("ck_audit_entries_details_short")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint(
            "park_id",
            "sequence",
            name=op.f("uq_audit_entries_park_id_sequence"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        "ix_audit_entries_subject_type_subject_id_id",
        "audit_entries",
        ["subject_type", "subject_id", "id"],
    )
    op.create_index("ix_audit_entries_company_id_id", "audit_entries", ["company_id", "id"])
    op.execute(APPEND)
    op.execute(f"REVOKE ALL ON FUNCTION {_APPEND_SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {_APPEND_SIGNATURE} TO space_relay_app")
    op.execute(
        "CREATE TRIGGER audit_entries_keep_history BEFORE UPDATE OR DELETE OR TRUNCATE"
        " ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_history()"
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=True, comment="the firm concerned"),
        sa.Column(
            "decision",
            sa.Text(),
            nullable=False,
            comment="what is to be done, as lease.terminate",
        ),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column(
            "subject_version",
            sa.Text(),
            nullable=False,
            comment="of the subject when it was asked for; another one makes this void",
        ),
        sa.Column("body", sa.JSON(), nullable=False, comment="of the call that is kept"),
        sa.Column("effect", sa.JSON(), nullable=False, comment="the answer of its rehearsal"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_account_id", sa.Uuid(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_account_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "decision IN ('lease.terminate', 'unit.remeasure')",
            name=op.f("ck_approvals_decision_known"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'refused', 'void')",
            name=op.f("ck_approvals_state_known"),
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (decided_at IS NULL)"
            " AND (decided_at IS NULL) = (decided_by IS NULL)",
            name=op.f("ck_approvals_decided_by_somebody"),
        ),
        sa.CheckConstraint(
            "state <> 'approved' OR (decided_by <> asked_by"
            " AND (decided_account_id <> asked_account_id) IS NOT FALSE)",
            name=op.f("ck_approvals_two_persons"),
        ),
        sa.ForeignKeyConstraint(
            ["park_id"],
            ["parks.id"],
            name=op.f("fk_approvals_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_approvals_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_company_id"), "approvals", ["company_id"])
    op.create_index("ix_approvals_park_id_asked_at_id", "approvals", ["park_id", "asked_at", "id"])
    op.create_index("ix_approvals_subject_id", "approvals", ["subject_id"])
    op.execute(DECIDED_ONCE)
    op.execute(
        "CREATE TRIGGER approvals_decided_once BEFORE UPDATE ON approvals"
        " FOR EACH ROW EXECUTE FUNCTION approvals_are_decided_once()"
    )
    op.execute(
        "CREATE TRIGGER approvals_keep_history BEFORE DELETE OR TRUNCATE ON approvals"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_history()"
    )
    for table, seen in _POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_rows ON {table} TO space_relay_app USING ({seen})")
    # The function that adds to a chain sees the whole of it, whoever calls.
    op.execute(
        "CREATE POLICY audit_entries_chain ON audit_entries TO space_relay_ledger USING (true)"
    )


def downgrade() -> None:
    op.drop_table("approvals")
    op.execute("DROP FUNCTION approvals_are_decided_once")
    op.execute(f"DROP FUNCTION {_APPEND_SIGNATURE}")
    op.drop_table("audit_entries")
