"""The job queue's tables, in a schema of their own.

Locks nothing that exists. The statements are the queue library's own for the version that
requirements.lock pins; its later versions come with migrations that are added beside this one.
"""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA jobs")
    op.execute("SET LOCAL search_path = jobs")
    # Past SQLAlchemy, whose driver call would read the percent signs as parameters.
    op.get_bind().connection.cursor().execute(SchemaManager.get_schema())
    op.execute("SET LOCAL search_path = DEFAULT")


def downgrade() -> None:
    op.execute("DROP SCHEMA jobs CASCADE")
