"""What features were before they were drawn anew, changed or taken away."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base
from app.models.provenance import polygon

#: Layers whose former features are kept.
_LAYERS = ("zones", "parks", "parcels", "buildings", "floors")


class FormerFeature(Base):
    """旧要素: what one change of a feature replaced: its outline, properties, or all of it.

    Rows are written once. The feature may be gone, so that nothing refers to it.
    """

    __tablename__ = "former_features"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    layer: Mapped[str] = mapped_column(comment="zones | parks | parcels | buildings | floors")
    feature_id: Mapped[UUID] = mapped_column(comment="id of the zone, park, parcel, …")
    fid: Mapped[int] = mapped_column(BigInteger, comment="its number in GIS tools")
    code: Mapped[str]
    park_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("parks.id", ondelete="RESTRICT"), comment="null: a zone"
    )
    geom: Mapped[Any] = polygon("GEOMETRY", nullable=True)
    properties: Mapped[dict[str, Any]] = mapped_column(
        JSONB,
        server_default=text("'{}'"),
        comment="those that were changed, as they were; all, of what was taken away",
    )
    known_from: Mapped[datetime | None] = mapped_column(
        comment="when it was changed before; null: never"
    )
    known_until: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    changed_by: Mapped[str] = mapped_column(comment="the actor who changed it or took it away")
    removed: Mapped[bool] = mapped_column(comment="it was taken away, and not changed")

    __table_args__ = (
        CheckConstraint(
            f"layer IN ({', '.join(repr(one) for one in _LAYERS)})", name="layer_known"
        ),
        CheckConstraint("known_from <= known_until", name="known_in_order"),
        CheckConstraint("geom IS NOT NULL OR properties <> '{}'", name="something_was"),
        Index("ix_former_features_feature_id_known_until", "feature_id", "known_until"),
        Index("ix_former_features_park_id_known_until", "park_id", "known_until"),
    )
