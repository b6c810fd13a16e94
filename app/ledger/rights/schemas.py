"""Rights as they are sent and shown."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.inventory.filters import Day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.kernel.terms import NoticeAnswer, RightKind
from app.kernel.written import WrittenBody
from app.ledger.rights.binding import AskState
from app.ledger.rights.conflicts import FIRST_RANK
from app.ledger.rights.granting import RANK_MAX, Grant
from app.ledger.rights.service import Question

#: A unit and a firm of the reference data, whose ids are the same everywhere.
EXAMPLE_UNIT_ID = "40ae77c6-b8f7-5c9f-9836-44b07e6607d1"
EXAMPLE_COMPANY_ID = "6ec6a136-c713-57ae-a8f8-280a362a76e0"
UNITS_MAX = 100
NOTICE_DAYS_MAX = 3_650


class DaysIn(WrittenBody):
    """Days of use."""

    model_config = ConfigDict(extra="forbid")

    start: Day = Field(alias="from", description="first day of use 起始日", examples=["2030-01-01"])
    until: Day | None = Field(
        default=None,
        description="first day not included; open unless told 截止日（不含）",
        examples=["2033-01-01"],
    )

    def period(self) -> Period:
        """The days.

        Raises:
            InvalidInputError: they end before they start.
        """
        if self.until is not None and self.until <= self.start:
            raise InvalidInputError(
                "until must be after from; it is the first day not included",
                [Fault("/until", "must be after from", detail_zh="须晚于 from")],
                detail_zh="until 须晚于 from（不含当日）",
            )
        return Period(self.start, self.until)


class GrantIn(DaysIn):
    """A right to grant."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "first_refusal",
                    "company_id": EXAMPLE_COMPANY_ID,
                    "units": [EXAMPLE_UNIT_ID],
                    "from": "2036-01-01",
                    "until": "2039-01-01",
                    "notice_days": 10,
                }
            ]
        },
    )

    kind: RightKind = Field(description="权利类型")
    company_id: UUID | None = Field(
        default=None, description="权利人: the holder; the tenant where a lease is named"
    )
    units: list[UUID] = Field(
        default=[],
        max_length=UNITS_MAX,
        description="their ground, as they are on the first day, is what the right binds",
    )
    lease_id: UUID | None = Field(
        default=None, description="instead of units: the right is part of this lease, on its ground"
    )
    notice_days: int = Field(
        ge=0,
        le=NOTICE_DAYS_MAX,
        description="答复期限: days the holder has to answer; silence is a waiver after that",
        examples=[10],
    )
    rank: int | None = Field(
        default=None,
        ge=FIRST_RANK,
        le=RANK_MAX,
        description="顺位: 1 is asked first; behind all rights it meets unless told",
        examples=[1],
    )
    behind: list[UUID] = Field(
        default=[],
        max_length=1_000,
        description="rights of the same ground and days that come first, all of them",
    )
    subject_to: list[UUID] = Field(
        default=[],
        max_length=1_000,
        description="holds and leases of others on this ground and these days, all of them;"
        " the right does not bind them",
    )
    note: str | None = Field(
        default=None,
        min_length=1,
        max_length=2_000,
        pattern=r"^[^\x00]+$",
        description="where it is written down, in what words; for staff only",
    )

    def grant(self) -> Grant:
        """What the ledger is asked."""
        return Grant(
            kind=self.kind,
            window=self.period(),
            notice_days=self.notice_days,
            company_id=self.company_id,
            unit_ids=list(dict.fromkeys(self.units)),
            lease_id=self.lease_id,
            rank=self.rank,
            behind=self.behind,
            subject_to=self.subject_to,
            note=self.note,
        )


class QuestionIn(DaysIn):
    """What the holder is asked, or has waived."""

    company_id: UUID | None = Field(
        default=None, description="whom the space is to be offered to; anyone unless told"
    )
    reference: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]+$",
        description="letter or minute that records it 文号",
        examples=["letter of 2026-11-20"],
    )

    def question(self) -> Question:
        """What the ledger is asked."""
        return Question(self.period(), self.company_id, self.reference)


class AnswerIn(WrittenBody):
    """What the holder said."""

    model_config = ConfigDict(extra="forbid")

    answer: NoticeAnswer = Field(description="waived, or exercised 放弃或行使")
    reference: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]+$",
        description="letter or minute that records it 文号",
        examples=["letter of 2026-11-28"],
    )


class OfferIn(DaysIn):
    """Space that might be offered to a company."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "units": [EXAMPLE_UNIT_ID],
                    "company_id": EXAMPLE_COMPANY_ID,
                    "from": "2036-01-01",
                    "until": "2037-01-01",
                }
            ]
        },
    )

    units: list[UUID] = Field(min_length=1, max_length=UNITS_MAX, description="房源")
    company_id: UUID = Field(description="whom the space might be offered to")


class GroundOfFloor(BaseModel):
    """The right's ground on one floor."""

    id: UUID
    code: str
    level_name: str
    area_m2: float


class UnitUnder(BaseModel):
    """A unit that has some of the ground."""

    id: UUID
    code: str
    overlap_m2: float


class RightRow(BaseModel):
    """A right."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID
    kind: RightKind
    kind_zh: str = Field(examples=["优先承租"])
    kind_en: str
    park_id: UUID
    park_code: str
    company_id: UUID = Field(description="the holder")
    start: date = Field(alias="from", description="first day of use that it binds")
    until: date | None = Field(description="exclusive; null is open")
    notice_days: int
    rank: int = Field(description="1 is asked first")
    lease_id: UUID | None = Field(description="the lease that it is part of")
    known_from: datetime = Field(description="when it was granted")
    floors: list[GroundOfFloor]
    units: list[UnitUnder] = Field(
        description="on the first day on which it can still bind; splits and merges change them"
    )
    company_name_zh: str | None = Field(default=None, description="for staff only")
    company_name_en: str | None = Field(default=None, description="for staff only")
    note: str | None = Field(default=None, description="for staff only")
    recorded_by: str | None = Field(default=None, description="for staff only")


class NoticeOut(BaseModel):
    """The holder was asked."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID
    start: date = Field(alias="from")
    until: date | None
    asked_at: datetime
    due_on: date = Field(description="last day for the answer; silence is a waiver after that")
    answer: NoticeAnswer | None
    answer_zh: str | None
    answer_en: str | None
    answered_at: datetime | None
    company_id: UUID | None = Field(
        default=None, description="whom the space is to go to, null for anyone; for staff only"
    )
    reference: str | None = Field(default=None, description="for staff only")
    recorded_by: str | None = Field(default=None, description="for staff only")
    answered_by: str | None = Field(default=None, description="for staff only")


class ClearedFor(BaseModel):
    """A promise that could be made though the right bound its space, and the proof."""

    commitment_id: UUID
    notice_id: UUID


class RightOut(RightRow):
    """A right with its notices, and what became of it."""

    known_until: datetime | None = Field(description="when it was ended; null while it stands")
    closed_by: str | None = Field(default=None, description="for staff only")
    notices: list[NoticeOut]
    behind: list[UUID] | None = Field(
        default=None, description="rights it was granted behind; for staff only"
    )
    cleared_for: list[ClearedFor] | None = Field(default=None, description="for staff only")


class RightList(BaseModel):
    """One page."""

    items: list[RightRow]
    next_cursor: str | None


class Holder(BaseModel):
    """A company."""

    company_id: UUID
    name_zh: str
    name_en: str


class Asked(BaseModel):
    """A notice that runs, or was answered."""

    notice_id: UUID
    due_on: date


class AskOut(BaseModel):
    """One step of the way to an offer."""

    order: int = Field(description="1 is asked first")
    right_id: UUID
    kind: RightKind
    kind_zh: str
    holder: Holder
    rank: int
    notice_days: int
    state: AskState = Field(description="to_ask, asked, or exercised: then the holder has taken it")
    asked: Asked | None
    ask_by: date | None = Field(
        description="last day to ask so that all answers come in before the first day of use"
    )
    answer_due_on: date | None = Field(
        description="when the answer comes in, if all are asked in turn from today"
    )


class ClearedBy(BaseModel):
    """A right that binds the offer, and the notice that clears it."""

    right_id: UUID
    notice_id: UUID


class CheckOut(BaseModel):
    """What stands against an offer."""

    clear: bool
    cleared_by: list[ClearedBy]
    ask: list[AskOut]
