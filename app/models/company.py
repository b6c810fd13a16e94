"""Who will need space: companies, their pipelines, and the space they ask for."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Integer,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import Modality, PipelineStage, UnitType
from app.models.provenance import Provenance, provenance_checks


class Company(Provenance, Base):
    """企业."""

    __tablename__ = "companies"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    unified_social_credit_code: Mapped[str] = mapped_column(
        unique=True, comment="统一社会信用代码 (GB 32100), with its check digit"
    )
    special_goods_import_pilot: Mapped[bool] = mapped_column(
        Boolean, server_default=text("false"), comment="入境特殊物品试点单位"
    )
    headcount_now: Mapped[int | None] = mapped_column(Integer)
    headcount_in_12_months: Mapped[int | None] = mapped_column(Integer)
    headcount_in_36_months: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        *provenance_checks(),
        CheckConstraint(
            "unified_social_credit_code ~ '^[0-9A-HJ-NP-RTUWXY]{18}$'", name="credit_code_form"
        ),
        CheckConstraint(
            "credit_code_check_digit_holds(unified_social_credit_code)",
            name="credit_code_check_digit",
        ),
        CheckConstraint(
            "headcount_now >= 0 AND headcount_in_12_months >= 0 AND headcount_in_36_months >= 0",
            name="headcount_not_negative",
        ),
    )


class PipelineAsset(Provenance, Base):
    """管线: one product on its way to market. Its stage is the last row of its history."""

    __tablename__ = "pipeline_assets"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True
    )
    name: Mapped[str]
    modality: Mapped[str]
    indication: Mapped[str | None] = mapped_column(comment="适应症")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        *provenance_checks(),
        one_of("modality", Modality),
        UniqueConstraint("company_id", "name"),
    )


class PipelineStageEntry(Base):
    """管线阶段: the day an asset entered, or is expected to enter, a stage. Rows are only added."""

    __tablename__ = "pipeline_stage_entries"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    pipeline_asset_id: Mapped[UUID] = mapped_column(
        ForeignKey("pipeline_assets.id", ondelete="RESTRICT"), index=True
    )
    stage: Mapped[str]
    entered_on: Mapped[date]
    expected: Mapped[bool] = mapped_column(
        Boolean, server_default=text("false"), comment="a target date, not yet a fact"
    )
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (one_of("stage", PipelineStage),)


class SpaceRequest(Base):
    """空间需求: what a firm asked for, in its own words, and what was derived from its pipeline."""

    __tablename__ = "space_requests"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    company_id: Mapped[UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="RESTRICT"), index=True
    )
    pipeline_asset_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("pipeline_assets.id", ondelete="RESTRICT"), index=True
    )
    unit_type: Mapped[str]
    stated: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="the firm's form, as given")
    needs: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, comment="every need with its value, hardness and provenance"
    )
    rules_version: Mapped[str] = mapped_column(comment="version of the needs table")
    state: Mapped[str] = mapped_column(server_default="open", comment="open | placed | withdrawn")
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        one_of("unit_type", UnitType),
        CheckConstraint("state IN ('open', 'placed', 'withdrawn')", name="state_known"),
    )
