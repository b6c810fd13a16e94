"""Nothing to be done: ETags and ``updated_since`` need no columns.

An ETag is of what a row says, and the database keeps by itself which transaction wrote it. The step
stays, as databases have passed it. It locks nothing.
"""

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing."""


def downgrade() -> None:
    """Nothing."""
