"""Draws the demonstration firms and their pipelines. Nobody real is meant, and the names say so."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from app.demand.credit_code import check_character
from app.kernel.ids import reference_id
from app.kernel.terms import PIPELINE_LADDER, Modality, PipelineStage
from app.seeding.draw import Draw
from app.seeding.records import Company, PipelineAsset, StageEntry
from app.seeding.reference import FirmsTable, RequestRow, Triangle
from app.seeding.space import AS_OF, origin

_DAYS_PER_YEAR = 365.25
#: Coefficient of variation of stage lengths; only means are published.
_VARIATION = 0.4
_SHORTEST_DAYS = 30
#: Share of assets, in percent, that name the day they expect to enter the next stage.
_EXPECTING_PCT = 60
#: 9 = registered with market supervision, 1 = company; 999999 is no administrative division.
_FICTITIOUS_REGISTRATION = "91999999"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Firm:
    """A firm with what it has in the pipeline; ``furthest`` decides which space it rents.

    ``asks`` is the request it files, for space for its first asset.
    """

    company: Company
    assets: tuple[PipelineAsset, ...]
    entries: tuple[StageEntry, ...]
    furthest: PipelineStage
    asks: RequestRow | None = None


def make_firms(table: FirmsTable, requests: Sequence[RequestRow], seed: int) -> Iterator[Firm]:
    """All firms of the table, in the order of their numbers; the last ones file the requests."""
    drawn = table.count - len(requests)
    for number in range(1, drawn + 1):
        yield _firm(table, number, seed)
    for number, request in enumerate(requests, start=drawn + 1):
        yield _asking_firm(table, number, request, seed)


def credit_code(number: int) -> str:
    """A fictitious 统一社会信用代码 with valid check digits (GB 11714 and GB 32100).

    >>> credit_code(1)
    '91999999DEM000014G'
    """
    organisation = f"DEM{number:05}"
    body = _FICTITIOUS_REGISTRATION + organisation + _organisation_check(organisation)
    return body + check_character(body)


def _organisation_check(body: str) -> str:
    total = sum(
        _ORGANISATION_ALPHABET.index(character) * weight
        for character, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True)
    )
    return "0123456789X0"[11 - total % 11]


def _firm(table: FirmsTable, number: int, seed: int) -> Firm:
    draw = Draw(seed, f"firm/{number}")
    main = draw.weighted(table.modality)
    count = draw.weighted(dict(enumerate(table.assets, start=1)))
    assets, entries, stages = [], [], []
    for place in range(1, count + 1):
        same = place == 1 or draw.chance(table.same_modality_pct)
        modality = main if same else draw.weighted(table.modality)
        stage = draw.weighted(table.stage)
        asset = _asset(table, number, modality, draw, seed, place=place)
        assets.append(asset)
        stages.append(stage)
        entries.extend(_history(table, asset, stage, draw))
    furthest = max(stages, key=PIPELINE_LADDER.index)
    company = _company(table, number, furthest, draw, seed)
    return Firm(company, tuple(assets), tuple(entries), furthest)


def _asking_firm(table: FirmsTable, number: int, request: RequestRow, seed: int) -> Firm:
    """A firm with one asset, which is about to enter the stage that its request is for."""
    draw = Draw(seed, f"firm/{number}")
    asset = _asset(table, number, request.modality, draw, seed)
    stage = request.stage
    if request.stage_on is not None:
        stage = PIPELINE_LADDER[PIPELINE_LADDER.index(stage) - 1]
    entries = [one for one in _history(table, asset, stage, draw) if not one.expected]
    coming = {request.stage: request.stage_on} if request.stage_on is not None else {}
    coming |= request.then
    entries += [_entry(asset, later, day, expected=True) for later, day in coming.items()]
    company = _company(table, number, stage, draw, seed)
    return Firm(company, (asset,), tuple(entries), stage, request)


def _asset(
    table: FirmsTable, number: int, modality: Modality, draw: Draw, seed: int, *, place: int = 1
) -> PipelineAsset:
    name = f"{number:04}"
    return PipelineAsset(
        id=reference_id("pipeline_assets", f"demo-{name}-{place}"),
        company_id=reference_id("companies", f"demo-{name}"),
        name=f"DEMO-{name}-{place:02}",
        modality=modality.value,
        indication=draw.weighted(table.indication),
        source=origin(seed),
        confidence="assumption",
        synthetic=True,
    )


def _company(
    table: FirmsTable, number: int, furthest: PipelineStage, draw: Draw, seed: int
) -> Company:
    name = f"{number:04}"
    low, mode, high = table.headcount[furthest]
    people = round(
        draw.triangular(Triangle(low=Decimal(low), mode=Decimal(mode), high=Decimal(high)))
    )
    soon = round(people * (1.05 + 0.35 * float(draw.random.random())))
    return Company(
        id=reference_id("companies", f"demo-{name}"),
        name_zh=f"演示企业{name}（合成）",
        name_en=f"Demo Firm {name} (synthetic)",
        unified_social_credit_code=credit_code(number),
        special_goods_import_pilot=draw.chance(table.special_goods_pilot_pct),
        headcount_now=people,
        headcount_in_12_months=soon,
        headcount_in_36_months=round(soon * (1.1 + 0.9 * float(draw.random.random()))),
        source=origin(seed),
        confidence="assumption",
        synthetic=True,
    )


def _history(
    table: FirmsTable, asset: PipelineAsset, stage: PipelineStage, draw: Draw
) -> list[StageEntry]:
    """Days on which the asset entered each stage so far, and the one it expects to enter."""
    place = PIPELINE_LADDER.index(stage)
    mean_days = float(table.years_in_stage[stage]) * _DAYS_PER_YEAR
    day = AS_OF - timedelta(days=1 + int(float(draw.random.random()) * mean_days))
    entered = day
    past = [_entry(asset, stage, day)]
    for earlier in reversed(PIPELINE_LADDER[:place]):
        day -= timedelta(days=_days_in(table, earlier, draw))
        past.append(_entry(asset, earlier, day))
    past.reverse()
    if place + 1 < len(PIPELINE_LADDER) and draw.chance(_EXPECTING_PCT):
        soonest = AS_OF + timedelta(days=_SHORTEST_DAYS + draw.whole(0, 330))
        expected = max(entered + timedelta(days=_days_in(table, stage, draw)), soonest)
        past.append(_entry(asset, PIPELINE_LADDER[place + 1], expected, expected=True))
    return past


def _entry(
    asset: PipelineAsset, stage: PipelineStage, day: date, *, expected: bool = False
) -> StageEntry:
    return StageEntry(
        pipeline_asset_id=asset.id, stage=stage.value, entered_on=day, expected=expected
    )


def _days_in(table: FirmsTable, stage: PipelineStage, draw: Draw) -> int:
    """A lognormal length of a stage in days, with the table's mean."""
    mean = float(table.years_in_stage[stage]) * _DAYS_PER_YEAR
    variance = math.log(1 + _VARIATION**2)
    length = draw.random.lognormal(math.log(mean) - variance / 2, math.sqrt(variance))
    return max(_SHORTEST_DAYS, round(float(length)))
