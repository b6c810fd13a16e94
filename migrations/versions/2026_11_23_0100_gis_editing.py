"""What outlines were before they were drawn anew.

Adds a table, and locks no other but parks, for an instant, so that it can be referred to; what was
drawn before has no former outline.
"""

import geoalchemy2
import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "former_outlines",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "layer",
            sa.Text(),
            nullable=False,
            comment="zones | parks | parcels | buildings | floors",
        ),
        sa.Column(
            "feature_id", sa.Uuid(), nullable=False, comment="id of the zone, park, parcel, …"
        ),
        sa.Column("fid", sa.BigInteger(), nullable=False, comment="its number in GIS tools"),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=True, comment="null: a zone"),
        sa.Column(
            "geom",
            geoalchemy2.Geometry("GEOMETRY", srid=4326, spatial_index=False, nullable=False),
            nullable=False,
            comment="EPSG:4326, longitude latitude",
        ),
        sa.Column(
            "known_from",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: since it was entered",
        ),
        sa.Column(
            "known_until",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "changed_by",
            sa.Text(),
            nullable=False,
            comment="the actor who drew it anew or took it away",
        ),
        sa.Column(
            "removed",
            sa.Boolean(),
            nullable=False,
            comment="it was taken away, and not drawn anew",
        ),
        sa.CheckConstraint(
            "layer IN ('zones', 'parks', 'parcels', 'buildings', 'floors')",
            name=op.f("ck_former_outlines_layer_known"),
        ),
        sa.CheckConstraint(
            "known_from <= known_until", name=op.f("ck_former_outlines_known_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["park_id"],
            ["parks.id"],
            name=op.f("fk_former_outlines_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_outlines")),
    )
    op.create_index(
        "ix_former_outlines_feature_id_known_until",
        "former_outlines",
        ["feature_id", "known_until"],
    )
    op.create_index(op.f("ix_former_outlines_park_id"), "former_outlines", ["park_id"])
    op.create_index(
        "idx_former_outlines_geom", "former_outlines", ["geom"], postgresql_using="gist"
    )


def downgrade() -> None:
    op.drop_table("former_outlines")
