"""The wire form of matches."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from app.inventory.filters import Instant

# A decimal of at most six places is written as a JSON number with the very same digits.
Exact = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


class MatchIn(BaseModel):
    """How many matches, and how many refusals with all their reasons."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"k": 5}]})

    k: int = Field(default=10, ge=1, le=100, description="matches wanted, best first")
    include_refused: int = Field(
        default=0, ge=0, le=100, description="refused units shown with every reason, nearest first"
    )
    as_of: Instant | None = Field(
        default=None,
        description="match on what was known of units and claims at this instant, as if it were"
        " then; the request is today's",
        examples=["2026-11-01T00:00:00Z"],
    )


class PlaceOut(BaseModel):
    """A zone, park or building."""

    id: UUID
    code: str
    name_zh: str
    name_en: str


class MatchedUnitOut(BaseModel):
    """A unit as it is offered; who used it before is nobody's business."""

    id: UUID
    code: str
    name_zh: str
    name_en: str
    unit_type: str
    physical_state: str
    zone: PlaceOut
    park: PlaceOut
    building: PlaceOut
    level_index: int
    level_name: str
    capacity_measure: str
    capacity: float = Field(description="in the unit's measure")
    leasable_area_m2: float
    rent_cny_per_m2_day: float | None
    rent_cny_per_place_month: float | None
    quantity: float = Field(description="what a hold would take, in the unit's measure")
    free_from: date | None = Field(description="first day of the first stretch that is long enough")
    free_until: date | None = Field(description="first day not free again; null: open-ended")
    geometry_quality: str
    synthetic: bool


class VerdictOut(BaseModel):
    """One hard constraint on one unit."""

    model_config = ConfigDict(from_attributes=True)

    constraint: str
    name_zh: str
    name_en: str
    fits: bool
    need: Any
    have: Any = Field(description="null: not recorded, which no hard need accepts")
    margin: float | None = Field(description="spare in `unit`, negative where it falls short")
    unit: str | None
    never_relax: bool = Field(description="law or safety: no firm may wave it")
    words_zh: str
    words_en: str


class ContributionOut(BaseModel):
    """One criterion's part of the score: `contribution` = `weight` × `value`, exactly."""

    model_config = ConfigDict(from_attributes=True)

    criterion: str
    name_zh: str
    name_en: str
    value: Exact = Field(description="0 to 1")
    weight: Exact = Field(description="weights sum to 1")
    contribution: Exact = Field(description="contributions sum to the score exactly")
    words_zh: str
    words_en: str


class MatchOut(BaseModel):
    """One fitting unit, why it fits and why it ranks where it does."""

    rank: int = Field(description="1 is best; equal scores go by unit code")
    unit: MatchedUnitOut
    score: Exact = Field(description="0 to 1; comparable between requests")
    contributions: list[ContributionOut]
    margins: list[VerdictOut]


class RefusedOut(BaseModel):
    """One refused unit with every reason."""

    unit: MatchedUnitOut
    reasons: list[VerdictOut]


class BlockerOut(BaseModel):
    """How many units one constraint refuses."""

    constraint: str
    name_zh: str
    name_en: str
    need: Any
    blocks: int = Field(description="units that break it, of all there are")
    blocks_in_place: int = Field(
        description="of these, units of the kind asked for in the wished place (zones, parks, near)"
    )
    blocks_alone: int = Field(description="units that break nothing else")
    left: int = Field(description="units left after this and all constraints above it")
    never_relax: bool
    source: str
    confidence: str
    words_zh: str
    words_en: str
    example: RefusedOut | None = Field(description="a unit that it alone refuses")


class UncheckedOut(BaseModel):
    """A need that no column of a unit answers yet: ask at the visit."""

    key: str
    words_zh: str
    words_en: str


class RelaxationOut(BaseModel):
    """Needs that free units when given up together, and none when any of them is kept."""

    model_config = ConfigDict(from_attributes=True)

    needs: list[str] = Field(description="constraints as in `blocked_by`, two or three")
    units_freed: int = Field(description="units that would fit then")
    words_zh: str
    words_en: str


class NoteOut(BaseModel):
    """Something to know before reading the rest."""

    model_config = ConfigDict(from_attributes=True)

    key: str = Field(description="`window_passed`: the latest start of the request has passed")
    words_zh: str
    words_en: str


class MatchesOut(BaseModel):
    """The best units for a request, or what stands in the way."""

    request_id: UUID
    request_version: int
    rules_version: str
    as_of: datetime = Field(description="the instant whose knowledge was used")
    evaluated_units: int
    feasible_units: int
    items: list[MatchOut]
    blocked_by: list[BlockerOut] = Field(
        description="when fewer than k fit: what each constraint blocks, in the funnel's order:"
        " the wished place first, then the rest; constraints that block nothing are left out"
    )
    relaxations: list[RelaxationOut] = Field(
        description="when fewer than k fit and no single need frees a unit: at most five of the"
        " smallest sets, up to three needs, that together free some, the least painful first;"
        " law and safety are never among them"
    )
    near_misses: list[RefusedOut] = Field(
        description="when fewer than k units fit: the refused units with the fewest reasons"
    )
    refused: list[RefusedOut] = Field(description="as many as `include_refused` asked for")
    unchecked: list[UncheckedOut]
    notes: list[NoteOut]
