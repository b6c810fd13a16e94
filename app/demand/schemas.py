"""The wire forms of companies and their pipelines."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.kernel.terms import Modality, PipelineStage
from app.kernel.written import WrittenBody, WrittenDay

_MODALITIES = [one.value for one in Modality]
_STAGES = [one.value for one in PipelineStage]

#: Text that PostgreSQL can keep: it has no NUL.
NO_NUL = r"^[^\x00]*$"
#: Days that can be reckoned with: lead times and terms added to them stay in the calendar.
Day = Annotated[WrittenDay, Field(ge=date(1900, 1, 1), le=date(2200, 12, 31))]

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Headcount = Annotated[int, Field(ge=0, le=1_000_000, description="people")]


class In(WrittenBody):
    """Base of what callers send: an unknown member is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


class CompanyIn(In):
    """A firm, as staff register it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name_zh": "示例细胞治疗有限公司（合成）",
                    "name_en": "Example Cell Therapy Ltd (synthetic)",
                    "unified_social_credit_code": "91990000MA00000X19",
                    "headcount_now": 40,
                    "headcount_in_12_months": 80,
                }
            ]
        }
    )

    name_zh: Name = Field(description="企业名称, as on the licence")
    name_en: Name | None = Field(default=None, description="name in English")
    unified_social_credit_code: str = Field(
        max_length=40, description="统一社会信用代码: 18 characters, the last is a check digit"
    )
    special_goods_import_pilot: bool = Field(
        default=False, description="入境特殊物品试点单位: the firm is on the pilot list"
    )
    headcount_now: Headcount | None = Field(default=None, description="现有人数, people")
    headcount_in_12_months: Headcount | None = Field(
        default=None, description="12 个月后人数, people expected"
    )
    headcount_in_36_months: Headcount | None = Field(
        default=None, description="36 个月后人数, people expected"
    )


class CompanyOut(BaseModel):
    """A firm."""

    id: UUID
    name_zh: str
    name_en: str | None
    unified_social_credit_code: str
    special_goods_import_pilot: bool
    headcount_now: int | None
    headcount_in_12_months: int | None
    headcount_in_36_months: int | None
    source: str
    confidence: str = Field(description="published, derived or assumption")
    synthetic: bool = Field(description="made up for demonstration")
    created_at: datetime


class CompanyPage(BaseModel):
    """A page of firms."""

    items: list[CompanyOut]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )


class StageEntryIn(In):
    """The day an asset entered a stage, or with ``expected`` the day it is meant to."""

    stage: PipelineStage = Field(examples=_STAGES)
    entered_on: Day = Field(description="civil day in Shanghai", examples=["2027-06-01"])
    expected: bool = Field(default=False, description="a target date, not yet a fact")


class StageEntryOut(BaseModel):
    """One recorded row of a history."""

    stage: str
    entered_on: date
    expected: bool
    recorded_at: datetime


class AssetIn(In):
    """One product of a firm with its dated history."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "CT-101",
                    "modality": "car_t",
                    "indication": "r/r B-ALL",
                    "stages": [
                        {"stage": "ind", "entered_on": "2026-03-01"},
                        {"stage": "phase_1", "entered_on": "2028-01-01", "expected": True},
                    ],
                }
            ]
        }
    )

    name: Name = Field(description="管线名称, unique within the firm")
    modality: Modality = Field(examples=_MODALITIES)
    indication: Annotated[str, Field(max_length=200, pattern=NO_NUL)] | None = Field(
        default=None, description="适应症"
    )
    stages: list[StageEntryIn] = Field(
        default_factory=list, max_length=100, description="管线阶段: its history and target dates"
    )


class AssetOut(BaseModel):
    """One product: its stage is the furthest it has entered in fact."""

    id: UUID
    company_id: UUID
    name: str
    modality: str
    indication: str | None
    source: str
    confidence: str
    synthetic: bool
    created_at: datetime
    stages: list[StageEntryOut] = Field(description="every recorded row, oldest record first")
    current_stage: str | None = None
    next_stage: str | None = Field(default=None, description="the next stage with a target date")
    next_stage_on: date | None = None


class AssetPage(BaseModel):
    """A page of products."""

    items: list[AssetOut]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )
