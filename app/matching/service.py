"""Matches for a space request: loads, asks the pure core, and puts the answer together.

Search is advisory: nothing is written, and a hold decides anew, under its lock, whether the space
is free.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.demand.needs import Need, from_json
from app.demand.requests import get_request, place_names
from app.demand.rules import Rules
from app.inventory.known import require_past
from app.kernel.clock import civil_day
from app.matching.demand import Demand, compile_demand
from app.matching.explain import (
    Blocker,
    blockers,
    contributions,
    plain,
    verdicts,
    ways_out,
    window_note,
)
from app.matching.load import database_now, load_summaries, load_units
from app.matching.schemas import (
    BlockerOut,
    ContributionOut,
    MatchedUnitOut,
    MatchesOut,
    MatchIn,
    MatchOut,
    NoteOut,
    RefusedOut,
    RelaxationOut,
    UncheckedOut,
    VerdictOut,
)
from app.matching.scoring import exact
from app.matching.search import Evaluation, evaluate, top_k
from app.matching.snapshot import Units
from app.security.actors import Actor

#: Refused units shown when fewer fit than were asked for.
NEAR_MISSES = 3


def find_matches(
    session: Session, actor: Actor, request_id: UUID, asked: MatchIn, *, rules: Rules, now: datetime
) -> MatchesOut:
    """The best single units for a request, each with its reasons.

    Args:
        session: where to read.
        actor: who asks; a firm sees only its own requests.
        request_id: the request.
        asked: how many matches and refusals.
        rules: tables that land use and usual rents come from.
        now: says which day it is in Shanghai; claims are read by the database's own clock, unless
            the caller asks as of an instant in the past.

    Raises:
        InvalidInputError: asked as of an instant in the future.
        NotFoundError: there is no such request, or it is not the caller's to see.
    """
    require_past(asked.as_of, now, "/as_of")
    request = get_request(session, actor, request_id)
    needs = [from_json(need.model_dump()) for need in request.needs]
    demand = compile_demand(needs, rules, civil_day(asked.as_of or now), place_names(session))
    as_of = asked.as_of or database_now(session)
    units = load_units(session, demand, as_of)
    evaluation = evaluate(units, demand)
    best = top_k(units, demand, evaluation, asked.k)
    short = len(best) < asked.k
    found = blockers(evaluation) if short else []
    note = window_note(demand)
    nearest = evaluation.nearest_misses(max(NEAR_MISSES * short, asked.include_refused))
    examples = [one.example_row for one in found if one.example_row is not None]
    shown = [*(row for row, _ in best), *nearest, *examples]
    answer = _Answer(session, units, demand, evaluation, as_of=as_of, rows=shown)
    return MatchesOut(
        request_id=request_id,
        request_version=request.version,
        rules_version=demand.rules_version,
        as_of=as_of,
        evaluated_units=len(units),
        feasible_units=len(evaluation.feasible),
        items=[answer.match(rank, row, score) for rank, (row, score) in enumerate(best, start=1)],
        blocked_by=[answer.blocker(one) for one in found],
        relaxations=[
            RelaxationOut.model_validate(one)
            for one in (ways_out(evaluation, found) if short else [])
        ],
        near_misses=[answer.refused(row) for row in nearest[:NEAR_MISSES]] if short else [],
        refused=[answer.refused(row) for row in nearest[: asked.include_refused]],
        unchecked=_unchecked(needs, demand),
        notes=[] if note is None else [NoteOut.model_validate(note)],
    )


def _unchecked(needs: list[Need], demand: Demand) -> list[UncheckedOut]:
    found = []
    for need in needs:
        if need.key in demand.unchecked:
            words = need.as_json()
            found.append(
                UncheckedOut(key=need.key, words_zh=words["words_zh"], words_en=words["words_en"])
            )
    return found


class _Answer:
    """Puts rows into words; the shown units are read in one statement."""

    def __init__(
        self,
        session: Session,
        units: Units,
        demand: Demand,
        evaluation: Evaluation,
        *,
        as_of: datetime,
        rows: list[int],
    ) -> None:
        self._units, self._demand, self._evaluation = units, demand, evaluation
        ids = sorted({units.ids[row] for row in rows})
        self._summaries: dict[str, dict[str, Any]] = load_summaries(session, ids, demand, as_of)

    def match(self, rank: int, row: int, score: int) -> MatchOut:
        parts = contributions(self._units, self._demand, row)
        return MatchOut(
            rank=rank,
            unit=self._unit(row),
            score=exact(score),
            contributions=[ContributionOut.model_validate(one) for one in parts],
            margins=self._verdicts(row),
        )

    def refused(self, row: int) -> RefusedOut:
        return RefusedOut(unit=self._unit(row), reasons=self._verdicts(row, broken_only=True))

    def blocker(self, one: Blocker) -> BlockerOut:
        constraint = one.constraint
        need = plain(constraint.wants(self._demand.hard[constraint.key]))
        return BlockerOut(
            constraint=constraint.key,
            name_zh=constraint.name_zh,
            name_en=constraint.name_en,
            need=need,
            blocks=one.blocks,
            blocks_in_place=one.blocks_in_place,
            blocks_alone=one.blocks_alone,
            left=one.left,
            never_relax=constraint.never_relax,
            source=constraint.source,
            confidence=constraint.confidence,
            words_zh=one.words_zh,
            words_en=one.words_en,
            example=None if one.example_row is None else self.refused(one.example_row),
        )

    def _unit(self, row: int) -> MatchedUnitOut:
        return MatchedUnitOut(
            **self._summaries[self._units.ids[row]],
            quantity=self._units.value("quantity", row),
            free_from=self._units.value("free_from", row),
            free_until=self._units.value("free_until", row),
        )

    def _verdicts(self, row: int, *, broken_only: bool = False) -> list[VerdictOut]:
        found = verdicts(self._units, self._demand, self._evaluation, row, broken_only=broken_only)
        return [VerdictOut.model_validate(one) for one in found]
