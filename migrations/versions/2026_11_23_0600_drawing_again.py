"""What features were before: properties too, and seen by those who draw in their park.

Renames former_outlines, and locks it for an instant. What was taken away before this has no
properties, and cannot be put back by a call.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_OLD, _NEW = "former_outlines", "former_features"
_CONSTRAINTS = (*("pk_{}", "ck_{}_layer_known", "ck_{}_known_in_order", "fk_{}_park_id_parks"),)
_INDEXES = ("ix_{}_feature_id_known_until", "idx_{}_geom")
_AUDIENCE = "(SELECT current_setting('app.audience', true))"
_PARKS = "(SELECT coalesce(current_setting('app.park_ids', true), ''))"
#: A zone's are for those who answer for every park.
_SEEN = (
    f"{_AUDIENCE} = 'system' OR {_AUDIENCE} = 'staff' AND ({_PARKS} = ''"
    f" OR park_id = ANY ((SELECT string_to_array({_PARKS}, ',')::uuid[])::uuid[]))"
)
_COMMENTS = {
    "known_from": (
        "null: since it was entered",
        "when it was changed before; null: never",
    ),
    "changed_by": (
        "the actor who drew it anew or took it away",
        "the actor who changed it or took it away",
    ),
    "removed": (
        "it was taken away, and not drawn anew",
        "it was taken away, and not changed",
    ),
}


def upgrade() -> None:
    op.drop_index(f"ix_{_OLD}_park_id", _OLD)
    _rename(_OLD, _NEW)
    op.alter_column(_NEW, "geom", nullable=True)
    op.add_column(
        _NEW,
        sa.Column(
            "properties",
            JSONB(),
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="those that were changed, as they were; all, of what was taken away",
        ),
    )
    op.create_check_constraint(
        op.f(f"ck_{_NEW}_something_was"), _NEW, "geom IS NOT NULL OR properties <> '{}'"
    )
    op.create_index(f"ix_{_NEW}_park_id_known_until", _NEW, ["park_id", "known_until"])
    for column, (_, comment) in _COMMENTS.items():
        op.alter_column(_NEW, column, comment=comment)
    op.execute(f"ALTER TABLE {_NEW} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {_NEW} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {_NEW}_rows ON {_NEW} TO space_relay_app USING ({_SEEN})")


def downgrade() -> None:
    op.execute(f"DROP POLICY {_NEW}_rows ON {_NEW}")
    op.execute(f"ALTER TABLE {_NEW} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {_NEW} DISABLE ROW LEVEL SECURITY")
    for column, (comment, _) in _COMMENTS.items():
        op.alter_column(_NEW, column, comment=comment)
    op.drop_index(f"ix_{_NEW}_park_id_known_until", _NEW)
    op.drop_constraint(op.f(f"ck_{_NEW}_something_was"), _NEW)
    op.execute(f"DELETE FROM {_NEW} WHERE geom IS NULL")
    op.drop_column(_NEW, "properties")
    op.alter_column(_NEW, "geom", nullable=False)
    _rename(_NEW, _OLD)
    op.create_index(op.f(f"ix_{_OLD}_park_id"), _OLD, ["park_id"])


def _rename(old: str, new: str) -> None:
    op.rename_table(old, new)
    for name in _CONSTRAINTS:
        op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT {name.format(old)} TO {name.format(new)}")
    for name in _INDEXES:
        op.execute(f"ALTER INDEX {name.format(old)} RENAME TO {name.format(new)}")
