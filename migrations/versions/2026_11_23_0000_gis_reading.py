"""Indexes that GIS tools' questions are answered by.

Locks claims against writes while an index of them is built: a second for a million of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # When what is believed now will change though nobody writes: what is kept of answers ends then.
    op.create_index(
        "ix_claims_lapses_at",
        "claims",
        [sa.text("upper(live)")],
        postgresql_where=sa.text("NOT upper_inf(live)"),
    )


def downgrade() -> None:
    op.drop_index("ix_claims_lapses_at", table_name="claims")
