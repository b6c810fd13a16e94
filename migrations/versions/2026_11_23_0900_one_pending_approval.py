"""One thing waits for a second person once (双人复核): who approves one of two voids the other.

Locks approvals for an instant. Of several that wait for the same thing now, the first stays, and
the others are void; so is an early end that was asked for without a reason, which it takes now.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_NAME = "ex_approvals_one_pending"
_VOID = """
UPDATE approvals AS later
SET state = 'void', decided_at = now(), decided_by = 'system'
WHERE later.state = 'pending' AND ({why})"""
_WITHOUT_REASON = "later.decision = 'lease.terminate' AND later.reason IS NULL"
_SECOND = """EXISTS (
    SELECT FROM approvals AS first
    WHERE first.subject_id = later.subject_id AND first.state = 'pending'
        AND (first.asked_at, first.id) < (later.asked_at, later.id)
        AND first.expires_at > later.asked_at)"""


def upgrade() -> None:
    # Whoever owns the table sees all rows meanwhile.
    op.execute("ALTER TABLE approvals NO FORCE ROW LEVEL SECURITY")
    op.execute(_VOID.format(why=_WITHOUT_REASON))
    op.execute(_VOID.format(why=_SECOND))
    op.execute("ALTER TABLE approvals FORCE ROW LEVEL SECURITY")
    # What nobody decided in time waits no longer, and nothing writes that down.
    op.execute(
        f"ALTER TABLE approvals ADD CONSTRAINT {_NAME} EXCLUDE USING gist"
        " (subject_id WITH =, tstzrange(asked_at, expires_at) WITH &&) WHERE (state = 'pending')"
    )


def downgrade() -> None:
    op.drop_constraint(_NAME, "approvals")
