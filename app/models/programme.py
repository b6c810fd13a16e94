"""Programmes that add space, their projects, and the steps of each."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    SmallInteger,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import MilestoneStep
from app.models.provenance import Provenance, provenance_checks


class Programme(Provenance, Base):
    """计划/项目: a target for floor area; a project is a programme inside another."""

    __tablename__ = "programmes"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    parent_programme_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("programmes.id", ondelete="RESTRICT"), index=True
    )
    park_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("parks.id", ondelete="RESTRICT"), index=True
    )
    code: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    seq: Mapped[int] = mapped_column(SmallInteger)
    target_floor_area_m2: Mapped[Decimal | None] = mapped_column(comment="目标/公布建筑面积")
    published_lettable_area_m2: Mapped[Decimal | None] = mapped_column(comment="公布可租面积")
    published_land_area_m2: Mapped[Decimal | None] = mapped_column(comment="公布用地面积")
    published_building_count: Mapped[int | None] = mapped_column(SmallInteger)
    published_investment_cny: Mapped[Decimal | None] = mapped_column(comment="公布投资额 元")
    note_zh: Mapped[str | None]
    note_en: Mapped[str | None]

    __table_args__ = (
        *provenance_checks(),
        CheckConstraint(
            "target_floor_area_m2 > 0 AND published_lettable_area_m2 > 0"
            " AND published_land_area_m2 > 0 AND published_building_count > 0"
            " AND published_investment_cny > 0",
            name="figures_positive",
        ),
        CheckConstraint("parent_programme_id <> id", name="not_in_itself"),
    )


class ProgrammeMilestone(Provenance, Base):
    """里程碑: when a step was planned and when it came."""

    __tablename__ = "programme_milestones"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    programme_id: Mapped[UUID] = mapped_column(ForeignKey("programmes.id", ondelete="RESTRICT"))
    seq: Mapped[int] = mapped_column(SmallInteger)
    step: Mapped[str]
    floor_area_m2: Mapped[Decimal | None] = mapped_column(comment="floor area that took this step")
    planned_on: Mapped[date | None]
    actual_on: Mapped[date | None]
    date_precision: Mapped[str] = mapped_column(comment="day | month | quarter | year")

    __table_args__ = (
        *provenance_checks(),
        one_of("step", MilestoneStep),
        CheckConstraint(
            "date_precision IN ('day', 'month', 'quarter', 'year')", name="date_precision_known"
        ),
        CheckConstraint("planned_on IS NOT NULL OR actual_on IS NOT NULL", name="has_a_date"),
        CheckConstraint("floor_area_m2 > 0", name="floor_area_positive"),
        UniqueConstraint("programme_id", "seq"),
    )


class ProgrammeBuilding(Base):
    """Which buildings count towards which programme; a building may count towards several."""

    __tablename__ = "programme_buildings"

    programme_id: Mapped[UUID] = mapped_column(
        ForeignKey("programmes.id", ondelete="RESTRICT"), primary_key=True
    )
    building_id: Mapped[UUID] = mapped_column(
        ForeignKey("buildings.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
