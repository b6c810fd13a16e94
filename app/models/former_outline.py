"""What outlines were before they were drawn anew."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base
from app.models.provenance import polygon

#: Layers whose former outlines are kept.
_LAYERS = ("zones", "parks", "parcels", "buildings", "floors")


class FormerOutline(Base):
    """旧图形: an outline that was believed until it was drawn anew, or taken away.

    Rows are written once. The feature may be gone, so that nothing refers to it.
    """

    __tablename__ = "former_outlines"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    layer: Mapped[str] = mapped_column(comment="zones | parks | parcels | buildings | floors")
    feature_id: Mapped[UUID] = mapped_column(comment="id of the zone, park, parcel, …")
    fid: Mapped[int] = mapped_column(BigInteger, comment="its number in GIS tools")
    code: Mapped[str]
    park_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("parks.id", ondelete="RESTRICT"), index=True, comment="null: a zone"
    )
    geom: Mapped[Any] = polygon("GEOMETRY")
    known_from: Mapped[datetime | None] = mapped_column(comment="null: since it was entered")
    known_until: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    changed_by: Mapped[str] = mapped_column(comment="the actor who drew it anew or took it away")
    removed: Mapped[bool] = mapped_column(comment="it was taken away, and not drawn anew")

    __table_args__ = (
        CheckConstraint(
            f"layer IN ({', '.join(repr(one) for one in _LAYERS)})", name="layer_known"
        ),
        CheckConstraint("known_from <= known_until", name="known_in_order"),
        Index("ix_former_outlines_feature_id_known_until", "feature_id", "known_until"),
    )
