"""What firms see counts nobody's writes: events of matches have ids that do not count.

Locks match_receipts for an instant, and match_events while it is written anew: seconds for a
million events.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_SNAPSHOT, _SHA256 = "transactions that were seen, as pg_snapshot", "over all other columns"


def upgrade() -> None:
    op.add_column(
        "match_receipts",
        sa.Column(
            "seen", sa.Text(), nullable=True, comment=f"{_SNAPSHOT}; null: snapshot says them"
        ),
    )
    op.alter_column(
        "match_receipts", "snapshot", comment="name of the state of the ledger that was seen"
    )
    op.alter_column("match_receipts", "sha256", comment=f"{_SHA256} but seen")
    op.add_column(
        "match_events",
        sa.Column(
            "uid",
            sa.Uuid(),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
            comment="its id for callers: id counts the events of everybody",
        ),
    )


def downgrade() -> None:
    op.drop_column("match_events", "uid")
    op.alter_column("match_receipts", "sha256", comment=_SHA256)
    op.alter_column("match_receipts", "snapshot", comment=_SNAPSHOT)
    op.drop_column("match_receipts", "seen")
