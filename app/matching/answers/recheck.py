"""Whether what is ordered meets the request it names: judged anew inside the promise's transaction.

A match is advice from a snapshot. The ledger calls this under its locks, on rows read in the same
transaction, with the very table that the search used: so a stale search can mislead nobody.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.demand.needs import from_json
from app.demand.rules import Rules
from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError, Kind, SpaceRelayError
from app.kernel.period import months_after
from app.ledger.orders import Check, Order, Slice
from app.matching.answers.canonical import Members
from app.matching.answers.question import names_for
from app.matching.answers.words import verdict
from app.matching.columns import NEVER, QUANTITY_GRAIN, rank_of
from app.matching.engine.bundles.together import hang_together
from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.engine.judge import Finding, judge
from app.matching.engine.program import make_program
from app.matching.rules.compile import compile_demand
from app.matching.rules.demand import Demand
from app.matching.rules.table import BY_KEY, CONSTRAINTS
from app.matching.segment import Segment
from app.matching.snapshots.load import load_buildings
from app.models.company import SpaceRequest
from app.models.space import Building, Unit
from app.security.actors import Actor, Role

#: What ``accepting`` says for units that lie apart; no rule of the table, which judges space.
TOGETHER = "together"
_PLACE = rank_of("capacity_measure", "place")


class RequestNotMetError(SpaceRelayError):
    """The space does not meet the request on whose behalf it is ordered."""

    slug, title, kind = "request-not-met", "The space does not meet the request", Kind.CONFLICT
    title_zh = "空间不符合需求"


def by_request(rules: Rules) -> Check:
    """The check that the ledger runs on an order that names a space request.

    Args:
        rules: tables that needs are read with.

    Returns:
        A check that raises ``RequestNotMetError`` with every verdict where a hard constraint is
        broken that the order does not accept; ``InvalidInputError`` where it accepts what is no
        constraint, and ``NotAllowedError`` where it accepts what is not the caller's to waive.
    """

    def check(
        session: Session, actor: Actor, order: Order, slices: Sequence[Slice], now: datetime
    ) -> None:
        _require_waivable(actor, order)
        demand, version = _demand(session, order, rules, civil_day(now))
        findings, together = _judged(session, order, slices, demand)
        verdicts = [_said(one, order, demand) for one in findings]
        if not together:
            verdicts.append(_apart())
        missed = [
            one for one in verdicts if not one["fits"] and one["constraint"] not in order.accepting
        ]
        if missed:
            raise RequestNotMetError(
                "; ".join(one["words_en"] for one in missed),
                detail_zh="；".join(one["words_zh"] for one in missed),
                space_request_id=str(order.space_request_id),
                space_request_version=version,
                rules_version=demand.rules_version,
                not_met=[one["constraint"] for one in missed],
                verdicts=verdicts,
            )

    return check


def _require_waivable(actor: Actor, order: Order) -> None:
    unknown = [
        Fault(f"/accepting/{place}", "no such constraint", detail_zh="没有该约束")
        for place, key in enumerate(order.accepting)
        if key not in BY_KEY and key != TOGETHER
    ]
    if unknown:
        raise InvalidInputError(
            "accepting names what is no constraint; GET /api/v1/match-constraints lists them",
            unknown,
            detail_zh="accepting 所列不是约束；约束见 /api/v1/match-constraints",
        )
    if any(BY_KEY[key].never_relax for key in order.accepting if key != TOGETHER):
        # Law and safety: whoever waives it answers for the park.
        actor.require_staff(Role.MANAGER)


def _demand(session: Session, order: Order, rules: Rules, today: date) -> tuple[Demand, int]:
    # Locked, so that the needs judged are those that stand when the promise does.
    request = session.execute(
        select(SpaceRequest.needs, SpaceRequest.version)
        .where(SpaceRequest.id == order.space_request_id)
        .with_for_update(key_share=True)
    ).one()
    needs = [from_json(need) for need in request.needs]
    demand = compile_demand(needs, rules, today, names_for(session, needs, rules))
    # What is there is judged on the first day ordered, whatever day the firm wished for.
    window = replace(demand.window, start=order.period.start)
    return replace(demand, window=window), request.version


def _judged(
    session: Session, order: Order, slices: Sequence[Slice], demand: Demand
) -> tuple[tuple[Finding, ...], bool]:
    """Every rule on what is ordered, and whether it hangs together."""
    first = {part.unit.id: part for part in reversed(slices)}
    found = session.execute(
        select(Unit.id, Unit.fid, Unit.building_id).where(Unit.id.in_(first))
    ).all()
    buildings = sorted({unit.building_id for unit in found})
    if "power_left" in demand.hard:
        # Others may be promised units of the same building at this moment: one after the other.
        session.execute(
            select(Building.id)
            .where(Building.id.in_(buildings))
            .order_by(Building.id)
            .with_for_update(key_share=True)
        )
    segment = load_buildings(session, buildings)
    program = make_program(segment, demand, CONSTRAINTS)
    start = order.period.start.toordinal()
    until = NEVER if order.period.end is None else order.period.end.toordinal()
    # The term judged is the period ordered, however long the firm wished to stay.
    program = replace(program, ends=np.full_like(program.ends, until))
    taken = sorted(
        (_row(segment, unit.fid, start), int(first[unit.id].quantity * QUANTITY_GRAIN))
        for unit in found
    )
    rows, quantities = zip(*taken, strict=True)
    kind = CandidateKind.BUNDLE if len(rows) > 1 else _kind(segment, *taken[0])
    candidate = Candidate(kind, rows, quantities, start, until)
    return judge(program, candidate), hang_together(segment, rows, start)


def _apart() -> Members:
    """The verdict on units that lie apart; one firm may still mean it."""
    return {
        "constraint": TOGETHER,
        "name_zh": "房源相连",
        "name_en": "units that hang together",
        "fits": False,
        "need": None,
        "have": None,
        "margin": None,
        "unit": None,
        "never_relax": False,
        "words_zh": "所订房源不相连：须同层有共用墙、整层上下相连，或所在楼宇有连廊；"
        "确需分处的，请在 accepting 中列出 together",
        "words_en": "the units do not hang together: they must share walls on a floor, be whole"
        " floors one above the other, or lie in buildings that a passage joins; if that is meant,"
        " list together in accepting",
    }


def _said(finding: Finding, order: Order, demand: Demand) -> Members:
    said = verdict(finding, demand.hard)
    if finding.constraint.key != "availability":
        return said
    # That the days are free is the ledger's to say; here, that they are those wished for.
    start, end, window = order.period.start, order.period.end, demand.hard["availability"]
    zh, en = [], []
    if start > window.latest:
        zh.append(f"所订起始日 {start} 晚于最晚起租日 {window.latest}")
        en.append(f"it is ordered from {start}, later than the latest start {window.latest}")
    if end is not None and end < months_after(start, window.term_months):
        zh.append(f"所订期限至 {end}（不含），不足所需的 {window.term_months} 个月")
        en.append(f"it is ordered until {end}, less than the {window.term_months} months wanted")
    if not zh:
        return said
    return {**said, "fits": False, "words_zh": "；".join(zh), "words_en": "; ".join(en)}


def _row(segment: Segment, fid: int, start: int) -> int:
    since, over = segment.era_from[segment.era], segment.era_until[segment.era]
    (row,) = np.flatnonzero((segment.fid == fid) & (since <= start) & (start < over))
    return int(row)


def _kind(segment: Segment, row: int, quantity: int) -> CandidateKind:
    if quantity == segment.column("capacity")[row]:
        return CandidateKind.UNIT
    by_place = segment.column("capacity_measure")[row] == _PLACE
    return CandidateKind.PLACES if by_place else CandidateKind.PART
