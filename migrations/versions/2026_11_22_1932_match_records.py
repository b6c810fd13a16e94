"""Match receipts, policies and events, and how far the watch over open requests has come.

Locks nothing but the tables it makes; space_requests and parks for an instant, for their keys.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: Written once and never again.
APPEND_ONLY = ("match_receipts", "match_events")
TABLES = ("watched_requests", "match_watches", "match_events", "match_receipts", "match_policies")


def upgrade() -> None:
    op.create_table(
        "match_watches",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "snapshot",
            sa.Text(),
            nullable=False,
            comment="transactions that were judged, as pg_snapshot",
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="up to when claims were seen to lapse",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_match_watches")),
    )
    op.create_table(
        "match_policies",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=True, comment="null: the house's own default"),
        sa.Column(
            "weights",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="hundredths by criterion, 100 in all",
        ),
        sa.Column("known", postgresql.TSTZRANGE(), nullable=False, comment="when it held"),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("known"), "&&"),
            where=sa.text("park_id IS NULL"),
            using="gist",
            name="ex_match_policies_one_of_the_house",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("park_id"), "="),
            (sa.column("known"), "&&"),
            using="gist",
            name="ex_match_policies_one_of_a_park",
        ),
        sa.CheckConstraint(
            "jsonb_typeof(weights) = 'object'", name=op.f("ck_match_policies_weights_by_criterion")
        ),
        sa.CheckConstraint(
            "NOT isempty(known) AND NOT lower_inf(known)",
            name=op.f("ck_match_policies_known_has_start"),
        ),
        sa.ForeignKeyConstraint(
            ["park_id"],
            ["parks.id"],
            name=op.f("fk_match_policies_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_policies")),
    )
    op.create_table(
        "match_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "candidate_kind", sa.Text(), nullable=True, comment="unit | part | places | bundle"
        ),
        sa.Column("unit_ids", sa.ARRAY(sa.Uuid()), nullable=False, comment="the space it is about"),
        sa.Column(
            "first_day", sa.Date(), nullable=True, comment="from which day it fits, or would have"
        ),
        sa.Column(
            "changes",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="each constraint that is judged otherwise than before, with both words",
        ),
        sa.Column("words_zh", sa.Text(), nullable=False),
        sa.Column("words_en", sa.Text(), nullable=False),
        sa.Column(
            "snapshot",
            sa.Text(),
            nullable=False,
            comment="transactions that were seen when it was found",
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="when it was found"),
        sa.Column(
            "mark",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of what happened to what in which snapshot: no event twice",
        ),
        sa.CheckConstraint(
            "kind IN ('fits', 'fits_no_more', 'request_changed')",
            name=op.f("ck_match_events_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["space_requests.id"],
            name=op.f("fk_match_events_request_id_space_requests"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_events")),
        sa.UniqueConstraint("mark", name=op.f("uq_match_events_mark")),
    )
    op.create_index(
        "ix_match_events_request_id_id", "match_events", ["request_id", "id"], unique=False
    )
    op.create_table(
        "match_receipts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_version", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False, comment="the actor who asked"),
        sa.Column(
            "names_firms",
            sa.Boolean(),
            nullable=False,
            comment="whether the answer names other firms; then it is for staff alone",
        ),
        sa.Column(
            "park_ids",
            sa.ARRAY(sa.Uuid()),
            nullable=True,
            comment="parks whose firms may be named in it; null: all",
        ),
        sa.Column(
            "asked",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the question as it was put",
        ),
        sa.Column(
            "demand",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="needs, weights, growth and day: all that the answer follows from",
        ),
        sa.Column(
            "rules_version", sa.Text(), nullable=False, comment="of every table that had a say"
        ),
        sa.Column(
            "snapshot",
            sa.Text(),
            nullable=False,
            comment="transactions that were seen, as pg_snapshot",
        ),
        sa.Column(
            "as_of",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="the instant whose claims were believed",
        ),
        sa.Column(
            "answer", sa.LargeBinary(), nullable=False, comment="canonical JSON (RFC 8259, UTF-8)"
        ),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="over all other columns"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "octet_length(sha256) = 32", name=op.f("ck_match_receipts_sha256_whole")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["space_requests.id"],
            name=op.f("fk_match_receipts_request_id_space_requests"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_receipts")),
    )
    op.create_index("ix_match_receipts_request_id", "match_receipts", ["request_id"], unique=False)
    op.create_table(
        "watched_requests",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_version", sa.BigInteger(), nullable=False),
        sa.Column("needs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["space_requests.id"],
            name=op.f("fk_watched_requests_request_id_space_requests"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_watched_requests")),
    )
    op.execute(
        "CREATE TRIGGER match_policies_only_close BEFORE UPDATE ON match_policies"
        " FOR EACH ROW EXECUTE FUNCTION closes_once('closed_by', 'known')"
    )
    for table in ("match_policies", *APPEND_ONLY):
        watched = "UPDATE OR DELETE OR TRUNCATE" if table in APPEND_ONLY else "DELETE OR TRUNCATE"
        op.execute(
            f"CREATE TRIGGER {table}_keep_history BEFORE {watched} ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_history()"
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
