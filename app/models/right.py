"""Rights that bind space and time, what their holders were asked, and what they said."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, func
from sqlalchemy.dialects.postgresql import DATERANGE, TSTZRANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import NoticeAnswer, RightKind
from app.models.provenance import polygon


class Right(Base):
    """权利: a company's right to space in a window of days.

    Rows are never edited: ``known`` is closed, and a new right is granted.
    """

    __tablename__ = "rights"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    park_id: Mapped[UUID] = mapped_column(ForeignKey("parks.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str]
    company_id: Mapped[UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True, comment="权利人: the holder"
    )
    rank: Mapped[int] = mapped_column(
        SmallInteger, comment="顺位: 1 is asked first; no two that meet share one"
    )
    binds: Mapped[Range[date]] = mapped_column(
        DATERANGE, comment="days of use that the right binds, half-open"
    )
    notice_days: Mapped[int] = mapped_column(
        SmallInteger, comment="答复期限: days the holder has to answer when asked"
    )
    commitment_id: Mapped[UUID | None] = mapped_column(
        index=True, comment="the lease that the right is part of"
    )
    note: Mapped[str | None]
    known: Mapped[Range[datetime]] = mapped_column(
        TSTZRANGE, comment="when it was believed: granted until it ended"
    )
    recorded_by: Mapped[str]
    closed_by: Mapped[str | None]

    __table_args__ = (
        one_of("kind", RightKind),
        CheckConstraint("rank > 0", name="rank_positive"),
        CheckConstraint("notice_days >= 0", name="notice_not_negative"),
        CheckConstraint("NOT isempty(binds) AND NOT lower_inf(binds)", name="binds_has_start"),
        CheckConstraint("NOT isempty(known) AND NOT lower_inf(known)", name="known_has_start"),
    )


class RightFootprint(Base):
    """Where on a floor a right binds: ground, not unit numbers, so that it outlives both."""

    __tablename__ = "right_footprints"

    right_id: Mapped[UUID] = mapped_column(
        ForeignKey("rights.id", ondelete="RESTRICT"), primary_key=True
    )
    floor_id: Mapped[UUID] = mapped_column(
        ForeignKey("floors.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    geom: Mapped[Any] = polygon("MULTIPOLYGON")

    __table_args__ = (
        CheckConstraint("ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name="geom_valid"),
    )


class RightSeniority(Base):
    """A right that was granted behind another, knowingly."""

    __tablename__ = "right_seniorities"

    junior_id: Mapped[UUID] = mapped_column(
        ForeignKey("rights.id", ondelete="RESTRICT"), primary_key=True
    )
    senior_id: Mapped[UUID] = mapped_column(
        ForeignKey("rights.id", ondelete="RESTRICT"), primary_key=True, index=True
    )


class RightNotice(Base):
    """征询: the holder of a right was asked about an offer, and what came back.

    The answer is written once. No answer by ``due_on`` is a waiver by silence.
    """

    __tablename__ = "right_notices"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    right_id: Mapped[UUID] = mapped_column(ForeignKey("rights.id", ondelete="RESTRICT"), index=True)
    company_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"),
        comment="whom the space is to be offered to; null is anyone",
    )
    period: Mapped[Range[date]] = mapped_column(DATERANGE, comment="days of use on offer")
    asked_at: Mapped[datetime]
    due_on: Mapped[date] = mapped_column(comment="last day for the answer, in Shanghai")
    answer: Mapped[str | None]
    answered_at: Mapped[datetime | None]
    reference: Mapped[str | None] = mapped_column(comment="letter or minute that records it")
    recorded_by: Mapped[str]
    answered_by: Mapped[str | None]

    __table_args__ = (
        one_of("answer", NoticeAnswer),
        CheckConstraint("NOT isempty(period) AND NOT lower_inf(period)", name="period_has_start"),
        CheckConstraint(
            "(answer IS NULL) = (answered_at IS NULL) AND (answer IS NULL) = (answered_by IS NULL)",
            name="answered_whole",
        ),
    )


class RightClearance(Base):
    """Why a promise could be made though a senior right bound the space: the proof."""

    __tablename__ = "right_clearances"

    commitment_id: Mapped[UUID] = mapped_column(primary_key=True)
    right_id: Mapped[UUID] = mapped_column(
        ForeignKey("rights.id", ondelete="RESTRICT"), primary_key=True
    )
    notice_id: Mapped[UUID] = mapped_column(
        ForeignKey("right_notices.id", ondelete="RESTRICT"), primary_key=True
    )

    __table_args__ = (Index("ix_right_clearances_right_id", "right_id"),)
