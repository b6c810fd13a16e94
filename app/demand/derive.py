"""What a firm needs: its own word first, the table by modality and stage where it is silent. Pure.

Two rules hold for every derivation (and are tested): what the firm states always wins, and a
later stage date never makes the space needed earlier.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from app.demand.drawn import drawn_area, in_wgs84
from app.demand.needs import NEEDS, Hardness, Need, Origin, in_order, named
from app.demand.rules import Rules, StageNeed
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import months_after
from app.kernel.terms import Modality, PipelineStage, UnitType

#: Area of a space in which places are let is the building's business, not the firm's.
_AREAS = frozenset({"min_area_m2", "max_area_m2", "target_area_m2"})
#: Without these there is no request: "not needed" leaves them to the rules.
_ALWAYS = frozenset({"unit_type", "from", "latest_from", "term_months"})


@dataclass(frozen=True, slots=True)
class Ask:
    """A firm's form, with the stage it is about.

    ``stated`` holds the values given by need key; None says "not needed, whatever the rules say".
    ``stage_on`` is the day the asset enters the stage; ``programmes`` how many share the space.
    """

    stated: Mapping[str, Any]
    today: date
    modality: Modality | None = None
    stage: PipelineStage | None = None
    stage_on: date | None = None
    programmes: int = 1
    soft: frozenset[str] = field(default_factory=frozenset)
    hard: frozenset[str] = field(default_factory=frozenset)


def derive_needs(ask: Ask, rules: Rules) -> tuple[Need, ...]:
    """Every need of a request, each with its provenance, in the order people read them.

    Raises:
        InvalidInputError: neither a type of unit nor a product and stage is known; an area or
            window is upside down; the area drawn is none; ``soft`` or ``hard`` names what is no
            need of this request.
    """
    if ask.stated.get("within") is not None:
        drawn_area(ask.stated["within"], "/within")
    # Places are matched in WGS 84; what the firm sent stays as it is in the request itself.
    marked = {
        key: in_wgs84(ask.stated[key])
        for key in ("near", "within")
        if ask.stated.get(key) is not None
    }
    ask = replace(ask, stated={**ask.stated, **marked})
    row, unit_type = _row(ask, rules)
    silent = {key for key in _ALWAYS if ask.stated.get(key) is None}
    needs = [
        Need(
            key=key,
            value=value,
            hardness=NEEDS[key].fixed or Hardness.HARD,
            origin=Origin.STATED,
            rule="the firm's own word",
            rules_version=rules.version,
            source="the firm's request",
            confidence="stated",
        )
        for key, value in ask.stated.items()
        if value is not None
    ]
    derived = [] if row is None else _from_row(ask, rules, row)
    derived += _from_terms(ask, rules, row, unit_type)
    needs += [need for need in derived if need.key not in ask.stated or need.key in silent]
    needs = _consistent(needs)
    _check(needs, ask.today)
    return tuple(sorted(_with_choices(needs, ask), key=in_order))


def _row(ask: Ask, rules: Rules) -> tuple[StageNeed | None, UnitType]:
    stated = ask.stated.get("unit_type")
    unit_type = None if stated is None else named(UnitType, stated)
    if ask.modality is not None and ask.stage is not None:
        row = rules.row(ask.modality, ask.stage, unit_type)
        if row is not None:
            return row, row.unit_type
    if unit_type is None:
        raise InvalidInputError(
            "what kind of space is needed cannot be told",
            detail_zh="无法判断所需空间类型：请给出 unit_type，或 modality 与 stage，或管线",
            faults=[
                Fault(
                    "/unit_type",
                    "give unit_type; or modality and stage; or the pipeline_asset_id"
                    " of an asset with a dated stage",
                )
            ],
        )
    return None, unit_type


def _from_row(ask: Ask, rules: Rules, row: StageNeed) -> list[Need]:
    rule = f"stage_needs: {row.modality} × {ask.stage} → {row.unit_type}"

    def need(key: str, value: Any, hardness: Hardness = Hardness.HARD) -> Need:
        return Need(
            key=key,
            value=value,
            hardness=NEEDS[key].fixed or hardness,
            origin=Origin.DERIVED,
            rule=rule,
            rules_version=rules.version,
            source=row.source,
            confidence=row.confidence,
        )

    found = [
        need("unit_type", row.unit_type.value),
        need("process", row.process),
        need("fire_hazard_class", row.fire_hazard_class.value),
    ]
    if ask.stated.get("places") is None:
        share, further = rules.further_programme_share, ask.programmes - 1
        area = row.area_m2
        found += [
            need("min_area_m2", _rounded(area.low * (1 + share.low * further))),
            need("max_area_m2", _rounded(area.high * (1 + share.high * further))),
            need("target_area_m2", _rounded(area.mode * (1 + share.mode * further))),
        ]
    found += [need(key, value) for key, value in row.hard.items()]
    found += [need(key, value, Hardness.SOFT) for key, value in row.soft.items()]
    return found


def _from_terms(ask: Ask, rules: Rules, row: StageNeed | None, unit_type: UnitType) -> list[Need]:
    terms = rules.spaces[unit_type]
    rule = f"stage_needs: usual terms of {unit_type}"

    def need(key: str, value: Any, why: str = rule) -> Need:
        return Need(
            key=key,
            value=value,
            hardness=Hardness.HARD,
            origin=Origin.DERIVED,
            rule=why,
            rules_version=rules.version,
            source=terms.source,
            confidence=terms.confidence,
        )

    from_day, from_rule, latest_day, latest_rule = _window(ask, row, terms.start_slack_months, rule)
    return [
        need("from", from_day.isoformat(), from_rule),
        need("latest_from", latest_day.isoformat(), latest_rule),
        need("term_months", round(terms.term_months.low), f"{rule}; the shortest usual term"),
        need("unit_type", unit_type.value),
    ]


def _window(
    ask: Ask, row: StageNeed | None, slack_months: int, rule: str
) -> tuple[date, str, date, str]:
    """First and latest day as far as they are derived, each with the rule's words.

    What is stated bounds what is derived: the window is never empty by a derived day's fault.
    """
    stated_from, stated_latest = _day(ask, "from"), _day(ask, "latest_from")
    start, why_start = ask.today, f"{rule}; no date was given, so from today"
    bound: date | None = None
    lead = ""
    if row is not None and ask.stage_on is not None:
        # The longest lead time says when to begin looking, the shortest when it is too late.
        months = row.lead_time_months
        lead = why_start = (
            f"stage_needs: {ask.stage} on {ask.stage_on} less {months.low:g} to"
            f" {months.high:g} months of lead time"
        )
        start = months_after(ask.stage_on, -round(months.high))
        bound = months_after(ask.stage_on, -round(months.low))
        if start < ask.today:
            start, why_start = ask.today, f"{lead}; {start} has passed, so from today"
    if stated_latest is not None and stated_latest < start:
        start, why_start = stated_latest, f"{why_start}; not after the latest start stated"
    begins = max(ask.today, start if stated_from is None else stated_from)
    latest = months_after(begins, slack_months)
    why_latest = f"{rule}; {slack_months} months after the first day, {begins}"
    if bound is not None and (stated_from is None or bound < latest):
        latest, why_latest = bound, lead
    if latest < begins:
        why_latest = f"{lead}; {latest} has passed or is before the first day, so {begins}"
        latest = begins
    return start, why_start, latest, why_latest


def _day(ask: Ask, key: str) -> date | None:
    stated = ask.stated.get(key)
    return None if stated is None else date.fromisoformat(stated)


def _consistent(needs: list[Need]) -> list[Need]:
    """Leave out derived values that contradict a stated one, and what came twice."""
    stated = {need.key: need.value for need in needs if need.origin is Origin.STATED}
    low, high = stated.get("min_area_m2"), stated.get("max_area_m2")
    kept: list[Need] = []
    seen: set[tuple[str, Hardness]] = set()
    for need in needs:
        if need.origin is Origin.DERIVED and need.key in _AREAS:
            too_small = low is not None and need.value < low
            too_large = high is not None and need.value > high
            if too_small or too_large or "places" in stated:
                continue
        if (need.key, need.hardness) not in seen:
            seen.add((need.key, need.hardness))
            kept.append(need)
    return kept


def _check(needs: list[Need], today: date) -> None:
    values = {need.key: need.value for need in needs if need.hardness is Hardness.HARD}
    faults = []
    low, high = values.get("min_area_m2"), values.get("max_area_m2")
    if low is not None and high is not None and low > high:
        faults.append(
            Fault(
                "/max_area_m2",
                f"the largest area is below the smallest, {low} m²",
                detail_zh=f"面积上限小于下限 {low} m²",
            )
        )
    start, latest = values.get("from"), values.get("latest_from")
    if start is not None and latest is not None and latest < start:
        faults.append(
            Fault(
                "/latest_from",
                f"the latest start is before the first day, {start}",
                detail_zh=f"最晚起租日早于需要日 {start}",
            )
        )
    if latest is not None and latest < today.isoformat():
        # A first wished day in the past is taken as "as soon as possible", a last one is no use.
        faults.append(
            Fault(
                "/latest_from",
                f"the latest start, {latest}, is before today, {today}",
                detail_zh=f"最晚起租日 {latest} 已过（今天 {today}）",
            )
        )
    if faults:
        raise InvalidInputError(
            "the request contradicts itself", faults, detail_zh="需求前后矛盾，见所列字段"
        )


def _with_choices(needs: list[Need], ask: Ask) -> list[Need]:
    known = {need.key for need in needs}
    faults = []
    for name, chosen in (("soft", ask.soft), ("hard", ask.hard)):
        for key in sorted(chosen):
            if key not in known:
                faults.append(
                    Fault(
                        f"/{name}",
                        f"{key} is neither stated nor derived here",
                        detail_zh=f"本需求中没有 {key}",
                    )
                )
            elif NEEDS[key].fixed not in (None, Hardness(name)):
                faults.append(
                    Fault(
                        f"/{name}",
                        f"{key} is always {NEEDS[key].fixed}",
                        detail_zh=f"{NEEDS[key].zh}不可更改软硬",
                    )
                )
            elif key in ask.soft & ask.hard:
                faults.append(
                    Fault(f"/{name}", f"{key} is in both lists", detail_zh=f"{key} 同时列在两处")
                )
    if faults:
        raise InvalidInputError(
            "soft and hard name needs of this request",
            faults,
            detail_zh="soft 与 hard 应列出本需求中的条目，见所列字段",
        )
    result: dict[tuple[str, str], Need] = {}
    for need in needs:
        if need.key in ask.soft | ask.hard:
            hardness = Hardness.SOFT if need.key in ask.soft else Hardness.HARD
            # Where a rule has both a minimum and a wish, the wish asks more and is kept.
            result[(need.key, "")] = _as(need, hardness)
        else:
            result[(need.key, need.hardness)] = need
    return list(result.values())


def _as(need: Need, hardness: Hardness) -> Need:
    return Need(
        key=need.key,
        value=need.value,
        hardness=hardness,
        origin=need.origin,
        rule=need.rule,
        rules_version=need.rules_version,
        source=need.source,
        confidence=need.confidence,
    )


def _rounded(area_m2: float) -> float:
    return round(area_m2, 2)
