"""What hangs together: units that share a wall, buildings that a passage joins."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Numeric,
    SmallInteger,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base
from app.models.provenance import Provenance, provenance_checks


class UnitWall(Base):
    """共用墙: two units of one floor that could be opened to each other.

    Worked out from the outlines by ``refresh_unit_walls``, which triggers call; never written by
    hand. ``unit_id`` is the smaller of the two.
    """

    __tablename__ = "unit_walls"

    unit_id: Mapped[UUID] = mapped_column(
        ForeignKey("units.id", ondelete="CASCADE"), primary_key=True
    )
    neighbour_id: Mapped[UUID] = mapped_column(
        ForeignKey("units.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    shared_wall_m: Mapped[Decimal] = mapped_column(
        Numeric(8, 2), comment="length along which the outlines run beside each other, m"
    )

    __table_args__ = (
        CheckConstraint("unit_id < neighbour_id", name="in_order"),
        CheckConstraint("shared_wall_m > 0", name="shared_wall_positive"),
    )


class BuildingLink(Provenance, Base):
    """连廊: a passage between floors of two buildings of one park. ``a`` is the smaller id."""

    __tablename__ = "building_links"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    park_id: Mapped[UUID] = mapped_column(index=True)
    building_a_id: Mapped[UUID]
    level_a: Mapped[int] = mapped_column(SmallInteger, comment="level_index of the floor in a")
    building_b_id: Mapped[UUID] = mapped_column(index=True)
    level_b: Mapped[int] = mapped_column(SmallInteger, comment="level_index of the floor in b")

    __table_args__ = (
        *provenance_checks(),
        CheckConstraint("building_a_id < building_b_id", name="in_order"),
        UniqueConstraint("building_a_id", "level_a", "building_b_id", "level_b"),
        # Both buildings are of the link's park, and both floors exist.
        ForeignKeyConstraint(
            ["building_a_id", "park_id"], ["buildings.id", "buildings.park_id"], ondelete="RESTRICT"
        ),
        ForeignKeyConstraint(
            ["building_b_id", "park_id"], ["buildings.id", "buildings.park_id"], ondelete="RESTRICT"
        ),
        ForeignKeyConstraint(
            ["building_a_id", "level_a"],
            ["floors.building_id", "floors.level_index"],
            ondelete="RESTRICT",
        ),
        ForeignKeyConstraint(
            ["building_b_id", "level_b"],
            ["floors.building_id", "floors.level_index"],
            ondelete="RESTRICT",
        ),
    )
