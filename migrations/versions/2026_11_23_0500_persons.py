"""Who somebody is to the employer (工号), so that one person with two accounts is not two.

Locks staff_accounts for an instant.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TABLE, _COLUMN = "staff_accounts", "staff_number"
_CHECK = "ck_staff_accounts_staff_number_normalised"


def upgrade() -> None:
    comment = "the employer's number of the person (工号); null: not known"
    op.add_column(_TABLE, sa.Column(_COLUMN, sa.Text(), nullable=True, comment=comment))
    op.create_check_constraint(op.f(_CHECK), _TABLE, f"{_COLUMN} ~ '^[A-Z0-9-]{{1,32}}$'")
    op.create_index(
        "uq_staff_accounts_staff_number",
        _TABLE,
        [_COLUMN],
        unique=True,
        postgresql_where=sa.text("disabled_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_staff_accounts_staff_number", table_name=_TABLE)
    op.drop_constraint(op.f(_CHECK), _TABLE, type_="check")
    op.drop_column(_TABLE, _COLUMN)
