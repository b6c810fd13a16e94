"""The wire form of matches: what is asked, and every answer."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from app.inventory.filters import Instant, Word
from app.kernel.written import WrittenBody
from app.matching.engine.candidates import BundleShape, CandidateKind


def _whole(value: Decimal | float) -> Any:
    """A number as JSON writes it: whole ones without decimals."""
    return int(value) if value == int(value) else float(value)


_SHOWN = PlainSerializer(_whole, when_used="json"), WithJsonSchema({"type": "number"})
# A decimal of at most six places is written as a JSON number with the very same digits.
Exact = Annotated[Decimal, *_SHOWN]
Number = Annotated[float, *_SHOWN]
Zh = Annotated[str, Field(description="中文")]
En = Annotated[str, Field(description="English")]
Hundredths = Annotated[int, Field(ge=0, le=100)]


class MatchIn(WrittenBody):
    """What to look for, how to weigh it, and how much to say."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"k": 5},
                {"k": 3, "kinds": ["unit", "bundle"], "weights": {"rent": 25, "wishes": 25}},
            ]
        },
    )

    k: int = Field(default=10, ge=1, le=100, description="matches wanted, best first")
    kinds: list[CandidateKind] = Field(
        default=list(CandidateKind),
        min_length=1,
        description="what may be offered: whole units, parts of units, places, several units"
        " together; everything unless told",
    )
    include_refused: int = Field(
        default=0, ge=0, le=100, description="refused units shown with every reason, nearest first"
    )
    as_of: Instant | None = Field(
        default=None,
        description="match on what was known of units and claims at this instant, as if it were"
        " then; the request is today's",
        examples=["2026-11-01T00:00:00Z"],
    )
    min_version: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="`X-Space-Version` of a write: the answer has seen it, so that callers find"
        " what they have just written",
    )
    weights: dict[Word, Hundredths] | None = Field(
        default=None,
        description="own weights in hundredths by criterion (`GET /match-criteria`); criteria left"
        " out keep the weight they have in the policy or by default; 100 in all",
        examples=[{"rent": 25, "wishes": 25}],
    )
    policy: Word | None = Field(
        default=None,
        description="code or id of a park whose weights are used; the house's unless told",
        examples=["gene_island"],
    )
    relax_costs: dict[Word, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default={},
        description="how much giving way on a constraint is minded, by its key"
        " (`GET /match-constraints` has the usual costs); ranks the ways out",
        examples=[{"max_rent_cny_per_m2_day": 1, "availability": 5}],
    )
    open_at_least: int = Field(
        default=1,
        ge=1,
        le=100,
        description="when fewer than `k` fit: how many more units each way out must open",
    )
    detail: Literal["full", "brief"] = Field(
        default="full",
        description="`brief` (简要) leaves out the sentences of needs and wishes that are met and"
        " of the parts of a score: their `words_zh` and `words_en` are null. All numbers stay, and"
        " all that is said of what does not fit",
    )


class Shown(BaseModel):
    """Base of what is answered."""

    model_config = ConfigDict(from_attributes=True)


class PlaceOut(Shown):
    """A zone, park or building."""

    id: UUID
    code: str
    name_zh: Zh
    name_en: En


class MatchedUnitOut(Shown):
    """A unit as it is offered; who used it before is nobody's business."""

    id: UUID
    code: str
    name_zh: Zh
    name_en: En
    unit_type: str
    physical_state: str | None
    zone: PlaceOut
    park: PlaceOut
    building: PlaceOut
    level_index: int
    level_name: str
    capacity_measure: str = Field(description="what capacity and quantity count: m2 or place")
    capacity: Number
    quantity: Number = Field(description="what a hold would take, in the unit's measure")
    leasable_area_m2: Number = Field(description="of the whole unit")
    rent_cny_per_m2_day: Number | None
    rent_cny_per_place_month: Number | None
    geometry_quality: str
    synthetic: bool


class TotalsOut(Shown):
    """What is taken in all; null: not recorded of one of the units."""

    area_m2: Number | None
    places: Number | None = Field(description="where places are let")
    rent_cny_per_year: Number | None
    power_kva: Number | None


class VerdictOut(Shown):
    """One constraint on one offer."""

    constraint: str
    name_zh: Zh
    name_en: En
    fits: bool
    need: Any
    have: Any = Field(description="null: not recorded, which no hard need accepts")
    margin: Number | None = Field(description="spare in `unit`, negative where it falls short")
    unit: str | None
    never_relax: bool = Field(description="law or safety: no firm may wave it")
    words_zh: Zh | None = Field(description="中文; null where it fits and `detail` is `brief`")
    words_en: En | None = Field(description="English; null where it fits and `detail` is `brief`")


class ContributionOut(Shown):
    """One criterion's part of the score: `contribution` = `weight` × `value`, exactly."""

    criterion: str
    name_zh: Zh
    name_en: En
    value: Exact = Field(description="0 to 1")
    weight: Exact = Field(description="weights sum to 1")
    contribution: Exact = Field(description="contributions sum to the score exactly")
    words_zh: Zh | None = Field(description="中文; null where `detail` is `brief`")
    words_en: En | None = Field(description="English; null where `detail` is `brief`")


class BandOut(Shown):
    """A low and a high figure."""

    low: Number
    high: Number


class FitOutItemOut(Shown):
    """One thing to build."""

    need: str = Field(description="the need it serves; physical_state: the shell itself")
    name_zh: Zh
    name_en: En
    months: BandOut
    cost_cny: BandOut = Field(description="for the space offered, 元")
    note_zh: Zh
    note_en: En


class FitOutOut(Shown):
    """What the space lacks and can be built: a planning assumption, not a quotation."""

    works: list[FitOutItemOut]
    months: BandOut = Field(description="works run side by side: those of the longest")
    cost_cny: BandOut = Field(description="all works together, 元")
    words_zh: Zh
    words_en: En
    version: str
    source: str
    confidence: str


class ReachOut(Shown):
    """Space within a reach that is free when it is needed."""

    where: Literal["next_door", "same_floor", "same_building", "same_park"]
    area_m2: Number = Field(description="free of the kind needed, on that day")
    enough: bool


class RelayOutlookOut(Shown):
    """接力前景: what the pipeline needs next, and what will be free near this space by then."""

    unit_type: str
    area_m2: Number = Field(description="needed next")
    from_day: date = Field(description="first day of the quarter in which it is needed")
    reaches: list[ReachOut] = Field(description="from near to far")
    includes_own: bool = Field(description="the space offered is of that kind and counts too")
    words_zh: Zh
    words_en: En


class MatchOut(Shown):
    """One offer, why it fits and why it ranks where it does."""

    rank: int = Field(description="1 is best; equal scores go by building, level and unit")
    kind: CandidateKind
    shape: BundleShape | None = Field(description="how the units of a bundle hang together")
    units: list[MatchedUnitOut]
    totals: TotalsOut
    first_day: date = Field(description="first day of the first stretch that is long enough")
    free_until: date | None = Field(description="first day not free again; null: open-ended")
    score: Exact = Field(description="0 to 1; comparable between requests of the same weights")
    contributions: list[ContributionOut]
    margins: list[VerdictOut] = Field(description="every hard constraint")
    wishes: list[VerdictOut] = Field(description="every soft one, met or not")
    fit_out: FitOutOut
    relay_outlook: RelayOutlookOut | None = Field(
        description="null: no pipeline says what is needed next"
    )


class RefusedOut(Shown):
    """One refused unit with every reason."""

    unit: MatchedUnitOut
    first_day: date | None = Field(description="null: no stretch is long enough")
    free_until: date | None
    reasons: list[VerdictOut]
    fit_out: FitOutOut | None = Field(
        description="what would mend the reasons, where all of them can be built"
    )


class BlockerOut(Shown):
    """How many units one constraint refuses."""

    constraint: str
    name_zh: Zh
    name_en: En
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
    words_zh: Zh
    words_en: En
    example: RefusedOut | None = Field(description="a unit that it alone refuses")


class AmountOut(Shown):
    """How far one need must give way."""

    constraint: str
    name_zh: Zh
    name_en: En
    need: Any = Field(description="as asked")
    give: Any = Field(description="what would do; null: the need has to be given up")
    words_zh: Zh
    words_en: En


class RelaxationOut(Shown):
    """Needs that open space when they give way together, and not enough when any is kept."""

    needs: list[str] = Field(description="constraints as in `blocked_by`")
    cost: int = Field(description="what giving way on them is minded, in all")
    units_freed: int = Field(description="units that would fit then, beside those that do")
    bundles_freed: int = Field(description="bundles of units that would fit then")
    amounts: list[AmountOut] = Field(
        description="how far each must give way for the nearest units, as many as were asked for"
    )
    units_freed_by_amounts: int = Field(description="units that fit then, beside those that do")
    words_zh: Zh
    words_en: En


class UncheckedOut(Shown):
    """A need that no column of a unit answers yet: ask at the visit."""

    key: str
    words_zh: Zh
    words_en: En


class NoteOut(Shown):
    """Something to know before reading the rest."""

    key: str = Field(description="`window_passed`: the latest start of the request has passed")
    words_zh: Zh
    words_en: En


class FeasibleOut(Shown):
    """How many offers fit, by kind."""

    unit: int
    part: int
    places: int
    bundle: int = Field(description="bundles of which no part scores as much")


class SpellOut(Shown):
    """Days on which too little of a unit is free."""

    first_day: date
    until: date | None = Field(description="first day not taken; null: open-ended")
    taken_quantity: Number
    words_zh: Zh
    words_en: En


class ObstacleOut(Shown):
    """A commitment that is in the way; for staff of the unit's park alone."""

    commitment_id: UUID
    kind: str
    kind_zh: Zh
    kind_en: En
    company_name_zh: str | None
    company_name_en: str | None
    first_day: date
    until: date | None
    quantity: Number
    words_zh: Zh
    words_en: En


class TakenUnitOut(Shown):
    """A unit that fits but for the days."""

    unit_id: UUID
    unit_code: str
    park_id: UUID
    capacity_measure: str
    quantity: Number = Field(description="what would be taken, in the unit's measure")
    first_day: date | None = Field(description="from which it can be had; null: on no day")
    spells: list[SpellOut]
    commitments: list[ObstacleOut] | None = Field(
        description="whose they are: for staff of the unit's park; null for others"
    )
    words_zh: Zh
    words_en: En


class FreeLaterOut(Shown):
    """How many units can be had from a day on."""

    first_day: date
    units: int


class WaitingOut(Shown):
    """Units that fit but are let, held or otherwise taken."""

    units: int
    never: int = Field(description="of these, units without a free stretch that is long enough")
    by_day: list[FreeLaterOut]
    soonest: list[TakenUnitOut] = Field(
        description="those to be had first, with what is in the way"
    )
    words_zh: Zh
    words_en: En


class MatchesBody(Shown):
    """The best space for a request, or what stands in the way: what a receipt keeps."""

    request_id: UUID
    request_version: int
    rules_version: str = Field(description="of every table that had a say")
    snapshot: str = Field(description="the transactions seen, as PostgreSQL's pg_snapshot")
    as_of: datetime = Field(description="the instant whose knowledge was used")
    weights: dict[str, int] = Field(description="hundredths by criterion, 100 in all")
    evaluated_units: int
    feasible_units: int = Field(description="units that fit by themselves, whole or in part")
    feasible: FeasibleOut
    items: list[MatchOut]
    blocked_by: list[BlockerOut] = Field(
        description="when fewer than k fit: what each constraint blocks, in the funnel's order:"
        " the wished place first, then the rest; constraints that block nothing are left out"
    )
    relaxations: list[RelaxationOut] = Field(
        description="when fewer than k fit: the cheapest of the smallest sets of needs that open"
        " space when they give way together, and not enough when any is kept; law and safety are"
        " never among them"
    )
    relaxations_found: int = Field(description="how many such sets there are in all")
    waiting: WaitingOut | None = Field(
        description="when fewer than k fit: units that fit but are taken; null: none"
    )
    near_misses: list[RefusedOut] = Field(
        description="when fewer than k fit: the refused units with the fewest reasons"
    )
    refused: list[RefusedOut] = Field(description="as many as `include_refused` asked for")
    unchecked: list[UncheckedOut]
    notes: list[NoteOut]


class ReceiptRef(Shown):
    """Where the answer is kept, and the hash over all that is kept with it."""

    id: UUID
    sha256: str = Field(description="hexadecimal; see the docs on receipts")


class MatchesOut(MatchesBody):
    """The best space for a request, or what stands in the way."""

    receipt: ReceiptRef
    snapshot_age_ms: int | None = Field(
        description="how long ago the space was looked at; null where `as_of` was asked"
    )


class UnitRef(Shown):
    """A unit by its code."""

    id: UUID
    code: str


class ChangeOut(Shown):
    """One constraint that is judged otherwise than before."""

    constraint: str
    name_zh: Zh
    name_en: En
    before_zh: Zh
    before_en: En
    after_zh: Zh
    after_en: En


class MatchEventOut(Shown):
    """Something changed for an open request."""

    id: UUID
    request_id: UUID
    request_version: int
    kind: Literal["fits", "fits_no_more", "request_changed"]
    candidate_kind: CandidateKind | None
    units: list[UnitRef]
    first_day: date | None = Field(description="from which day it fits")
    changes: list[ChangeOut]
    words_zh: Zh
    words_en: En
    at: datetime = Field(description="when it was found")


class MatchEventPage(Shown):
    """A page of events."""

    items: list[MatchEventOut]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )
