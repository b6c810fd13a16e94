"""Key figures over HTTP."""

import json
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.inventory.filters import Day, Instant, Word
from app.kernel.clock import rfc3339
from app.kernel.errors import InvalidInputError
from app.kernel.terms import UnitType
from app.kpis.asked import MOST_PERIODS, Every, GroupBy, KpiSearch
from app.kpis.compute import Group, KeyFigures, key_figures
from app.kpis.definitions import (
    FIGURES,
    GENERAL_EN,
    GENERAL_ZH,
    PARTS,
    Figure,
    FigureKind,
    FigureUnit,
    words_above,
)
from app.routers.dependencies import JSON, ActorDep, ClockDep, Filters, SessionDep
from app.routers.listings import answer_item
from app.routers.problems import problems
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/kpis", tags=["ledger"])


class KpisQuery(Filters):
    """Query parameters."""

    group_by: GroupBy = Field(default=GroupBy.NONE, description="whose figures are told apart 分组")
    start: Day | None = Field(
        default=None,
        alias="from",
        description="first day of the first period; unless told, eight quarters, four years, or"
        " the year up to `until`",
        examples=["2026-01-01"],
    )
    until: Day | None = Field(
        default=None,
        description="first day after the last period; unless told, the day after `as_of`",
        examples=["2027-01-01"],
    )
    every: Every = Field(
        default=Every.QUARTER,
        description=f"cut the days at calendar quarters or years; at most {MOST_PERIODS} periods"
        " 分期",
    )
    zone: Word | None = Field(default=None, description="code or id of a zone: its own parks")
    park: Word | None = Field(
        default=None, description="code or id of a park; parks that lie in it are included"
    )
    programme: Word | None = Field(
        default=None, description="code or id of a programme; its projects are included"
    )
    type: list[UnitType] = Field(
        default=[], max_length=5, description="unit types; repeat for several 空间类型"
    )
    as_of: Instant | None = Field(
        default=None,
        description="as known at this instant; now unless told",
        examples=["2026-11-01T04:00:00Z"],
    )


class YearShareOut(BaseModel):
    """What ends in a year."""

    model_config = ConfigDict(extra="forbid")

    year: int = Field(description="of the last day leased")
    value: float
    share_pct: float = Field(description="of all that is leased, %")


class KpiValue(BaseModel):
    """One figure; `definitions` says what it means."""

    model_config = ConfigDict(extra="forbid")

    value: float | None = Field(description="null where there is too little to divide by")
    numerator: float | None = Field(description="null where nothing is divided")
    denominator: float | None = Field(description="null where nothing is divided")
    unit: FigureUnit
    by_year: list[YearShareOut] | None = Field(default=None, description="of `rollover` only")


class KpiPeriod(BaseModel):
    """The figures of one period, by code."""

    model_config = ConfigDict(extra="forbid")

    start: date = Field(alias="from")
    until: date = Field(description="exclusive; stocks are those of the day before")
    values: dict[str, KpiValue]


class KpiGroup(BaseModel):
    """A zone, park, programme or type."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(description="its code; `all` where nothing is told apart")
    id: UUID | None
    name_zh: str
    name_en: str
    periods: list[KpiPeriod]


class KpiDefinition(BaseModel):
    """What a figure means."""

    model_config = ConfigDict(extra="forbid")

    code: str
    codes: list[str] = Field(
        description="under which it stands in `values`: over m² and over places, or once"
    )
    name_zh: str
    name_en: str
    formula_zh: str
    formula_en: str
    numerator_zh: str
    numerator_en: str
    denominator_zh: str | None
    denominator_en: str | None
    unit: FigureUnit = Field(description="`m2` is `places` over units measured in places")
    kind: FigureKind = Field(description="when it holds: on the last day, over the days, at as_of")
    kind_zh: str
    kind_en: str
    caveats_zh: list[str]
    caveats_en: list[str]


class KpiDays(BaseModel):
    """All days asked about."""

    model_config = ConfigDict(extra="forbid")

    start: date = Field(alias="from")
    until: date = Field(description="exclusive")
    every: Every


class KpiAnswer(BaseModel):
    """Figures of all groups and periods, and what they mean."""

    model_config = ConfigDict(extra="forbid")

    as_of: datetime
    group_by: GroupBy
    period: KpiDays
    groups: list[KpiGroup]
    notes_zh: list[str] = Field(description="said of all figures")
    notes_en: list[str] = Field(description="said of all figures")
    definitions: list[KpiDefinition]


class KpiDefinitions(BaseModel):
    """What all figures mean."""

    model_config = ConfigDict(extra="forbid")

    notes_zh: list[str] = Field(description="said of all figures")
    notes_en: list[str] = Field(description="said of all figures")
    definitions: list[KpiDefinition]


def _definition(figure: Figure) -> KpiDefinition:
    above_zh, above_en = words_above(figure)
    below = None if figure.over is None else PARTS[figure.over]
    return KpiDefinition(
        code=figure.code,
        codes=list(figure.codes().values()),
        name_zh=figure.zh,
        name_en=figure.en,
        formula_zh=figure.formula_zh,
        formula_en=figure.formula_en,
        numerator_zh=above_zh,
        numerator_en=above_en,
        denominator_zh=below.zh if below else None,
        denominator_en=below.en if below else None,
        unit=figure.unit,
        kind=figure.kind,
        kind_zh=figure.kind.zh,
        kind_en=figure.kind.en,
        caveats_zh=list(figure.caveats_zh),
        caveats_en=list(figure.caveats_en),
    )


_MEANING = KpiDefinitions(
    notes_zh=list(GENERAL_ZH),
    notes_en=list(GENERAL_EN),
    definitions=[_definition(figure) for figure in FIGURES],
)
_MEANING_TEXT = _MEANING.model_dump_json()
_DESCRIPTION = "\n".join(
    [
        (
            "Figures by zone, park, programme or type and by period, worked out from the units'"
            " terms and the ledger as known at `as_of`. Staff see the parks of their token."
        ),
        "",
        *(f"- {said}" for said in GENERAL_EN),
        "",
        *(
            f"- `{figure.code}` {figure.zh} {figure.en} ({figure.unit.en}) = {figure.formula_en}"
            for figure in FIGURES
        ),
    ]
)


@router.get(
    "",
    summary="Key figures 运营指标",
    description=_DESCRIPTION,
    response_model=None,
    responses={
        200: {"model": KpiAnswer},
        **problems(InvalidInputError, NotSignedInError, NotAllowedError),
    },
)
def show_kpis(
    wanted: Annotated[KpisQuery, Query()], session: SessionDep, actor: ActorDep, clock: ClockDep
) -> Response:
    """Figures of groups and periods, with what they mean. For staff."""
    search = KpiSearch(
        group_by=wanted.group_by,
        start=wanted.start,
        until=wanted.until,
        every=wanted.every,
        zone=wanted.zone,
        park=wanted.park,
        programme=wanted.programme,
        types=tuple(wanted.type),
        as_of=wanted.as_of,
    )
    found = key_figures(session, actor, search, clock.now())
    head = json.dumps(_shown(search, found), ensure_ascii=False)
    return Response(f"{head[:-1]}, {_MEANING_TEXT[1:]}", media_type=JSON)


@router.get(
    "/definitions",
    summary="What the key figures mean 指标口径",
    response_model=KpiDefinitions,
    responses={
        304: {"description": "unchanged"},
        **problems(NotSignedInError, NotAllowedError),
    },
)
def show_kpi_definitions(
    request: Request, _none: Annotated[Filters, Query()], actor: ActorDep
) -> Response:
    """Each figure's formula, numerator, denominator, unit and caveats. For staff.

    Example: `GET /api/v1/kpis/definitions`
    """
    actor.require_staff()
    return answer_item(request, _MEANING_TEXT, geojson=False)


def _shown(search: KpiSearch, found: KeyFigures) -> dict[str, Any]:
    first, last = found.periods[0], found.periods[-1]
    return {
        "as_of": rfc3339(found.as_of),
        "group_by": search.group_by.value,
        "period": {
            "from": first.start.isoformat(),
            "until": last.end.isoformat() if last.end else None,
            "every": search.every.value,
        },
        "groups": [_group(found, group) for group in found.groups],
    }


def _group(found: KeyFigures, group: Group) -> dict[str, Any]:
    return {
        "key": group.key,
        "id": None if group.id is None else str(group.id),
        "name_zh": group.name_zh,
        "name_en": group.name_en,
        "periods": [
            {
                "from": period.start.isoformat(),
                "until": period.end.isoformat() if period.end else None,
                "values": {code: value.shown() for code, value in values.items()},
            }
            for period, values in zip(found.periods, group.values, strict=True)
        ],
    }
