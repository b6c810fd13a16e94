"""Puts one answer together: the same bytes for the same question on the same space, at any time.

All that is said comes from the snapshot, the question and the tables. Only names of the units shown
are read from the database, and for staff who is in the way, as they were at the snapshot's instant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app.demand.needs import Need
from app.matching.answers import words
from app.matching.answers.blocking import find_blocking
from app.matching.answers.canonical import Members, plain, written
from app.matching.answers.kept import Kept
from app.matching.answers.outlook import outlook_of, park_areas, relay_values
from app.matching.answers.question import Audience, Tables
from app.matching.answers.schemas import MatchIn, WaitingOut
from app.matching.answers.shown import Shown, read_shown, unit_shown
from app.matching.columns import NEVER
from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.engine.judge import candidate_of, judge, judge_wishes
from app.matching.engine.measures import Relay
from app.matching.engine.program import Program
from app.matching.engine.scoring import Contribution, contributions_of
from app.matching.engine.search import Answer, Found, search
from app.matching.engine.whynot.amounts import Change, find_amounts
from app.matching.engine.whynot.funnel import Blocker, blockers, nearest_misses
from app.matching.engine.whynot.histogram import Histogram, Place, find_refusals
from app.matching.engine.whynot.relaxations import Relaxation
from app.matching.engine.whynot.ways_out import find_ways_out
from app.matching.engine.whynot.words import (
    amounts_words,
    blocker_words,
    change_words,
    relaxation_words,
)
from app.matching.rules.demand import Demand
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import Segment, Snapshot

#: Refused units shown when fewer fit than were asked for.
NEAR_MISSES = 3
_WORDS = ("words_zh", "words_en")


@dataclass(frozen=True, slots=True)
class Question:
    """One question: whose request it is about, what was asked, of whom, and what follows."""

    request_id: UUID
    request_version: int
    body: MatchIn
    needs: Sequence[Need]
    demand: Demand
    audience: Audience


@dataclass(frozen=True, slots=True)
class Named:
    """What callers know a snapshot by: a name for what was seen, and when, as a text."""

    snapshot: str
    as_of: str


def compose(
    session: Session, question: Question, snapshot: Snapshot, tables: Tables, *, named: Named
) -> bytes:
    """The answer as canonical JSON; see ``MatchesBody``.

    Args:
        session: where names are read.
        question: what is asked.
        snapshot: all space.
        tables: what fit-out takes.
        named: what callers know the snapshot by.
    """
    demand, body = question.demand, question.body
    growth = demand.growth
    parks = {} if growth is None else park_areas(snapshot, growth)
    relay = None if growth is None else relay_values(snapshot, growth, parks)
    answer = search(
        snapshot,
        demand,
        body.k,
        table=CONSTRAINTS,
        kinds=frozenset(body.kinds),
        relay_values=relay,
    )
    short = len(answer.found) < body.k
    refusals = find_refusals(answer.programs) if short or body.include_refused else None
    found = blockers(refusals) if short and refusals else ()
    nearest = (
        nearest_misses(refusals, max(NEAR_MISSES * short, body.include_refused)) if refusals else []
    )
    said = _Said(session, question, snapshot, tables, answer=answer, parks=parks, relay=relay)
    said.read([*nearest, *(one.example for one in found if one.example is not None)])
    ways, how_many = said.ways_out(refusals) if short and refusals else ([], 0)
    fits = {kind: answer.feasible.get(kind, 0) for kind in CandidateKind}
    return written(
        {
            "request_id": question.request_id,
            "request_version": question.request_version,
            "rules_version": demand.rules_version,
            "snapshot": named.snapshot,
            "as_of": named.as_of,
            "weights": dict(demand.weights),
            "evaluated_units": sum(present_units(program) for program in answer.programs),
            "feasible_units": sum(fits.values()) - fits[CandidateKind.BUNDLE],
            "feasible": {kind.value: count for kind, count in fits.items()},
            "items": said.matches(),
            "blocked_by": [said.blocker(one) for one in found],
            "relaxations": ways,
            "relaxations_found": how_many,
            "waiting": said.waiting(refusals) if short and refusals else None,
            "near_misses": [said.refused(one) for one in nearest[:NEAR_MISSES]] if short else [],
            "refused": [said.refused(one) for one in nearest[: body.include_refused]],
            "unchecked": _unchecked(question),
            "notes": _notes(demand, answer),
        }
    )


def _unchecked(question: Question) -> list[Members]:
    """Needs that no column of a unit answers yet."""
    found = []
    for need in question.needs:
        if need.key in question.demand.unchecked:
            told = need.as_json()
            found.append({"key": need.key, **{name: told[name] for name in _WORDS}})
    return found


def _notes(demand: Demand, answer: Answer) -> list[Members]:
    notes = [words.window_note(demand)]
    if not answer.is_complete:
        notes.append(words.too_many_bundles_note())
    return [note for note in notes if note is not None]


class _Said:
    """Says what was found; the units shown are read in one statement."""

    def __init__(
        self,
        session: Session,
        question: Question,
        snapshot: Snapshot,
        tables: Tables,
        *,
        answer: Answer,
        parks: Mapping[str, int],
        relay: Sequence[Relay] | None,
    ) -> None:
        self._session, self._question, self._demand = session, question, question.demand
        self._snapshot = snapshot
        self._answer, self._parks, self._relay = answer, parks, relay
        self._shown: Shown = {}
        self._brief = question.body.detail == "brief"
        self._verdicts = words.Verdicts(self._demand.hard, brief=self._brief)
        self._wishes = words.Verdicts(self._demand.soft, brief=self._brief)
        self._works = words.FitOuts(tables.fit_out, self._demand.hard)
        self._wished_works = words.FitOuts(tables.fit_out, self._demand.soft)

    def read(self, places: Iterable[Place]) -> None:
        """Read the names of all units that are shown, those of the matches and these."""
        rows = [(one.segment, row) for one in self._answer.found for row in one.candidate.rows]
        rows += [(one.segment, one.row) for one in places]
        fids = [int(self._segment(at).fid[row]) for at, row in rows]
        self._shown = read_shown(
            self._session, fids, self._demand.window.start, self._snapshot.version.taken_at
        )

    def matches(self) -> list[Members]:
        """What was found, best first."""
        added: dict[tuple[int, Candidate], tuple[Contribution, ...]] = {}
        for at, program in enumerate(self._answer.programs):
            # Measured together, which takes little longer than one alone.
            here = [one.candidate for one in self._answer.found if one.segment == at]
            relay = None if self._relay is None else self._relay[at]
            parts = contributions_of(program, here, relay, in_words=not self._brief)
            added |= {(at, one): part for one, part in zip(here, parts, strict=True)}
        return [
            self._match(rank, one, added[one.segment, one.candidate])
            for rank, one in enumerate(self._answer.found, start=1)
        ]

    def _match(self, rank: int, found: Found, added: Sequence[Contribution]) -> Members:
        program, candidate = self._answer.programs[found.segment], found.candidate
        segment, growth = program.segment, self._demand.growth
        wishes = judge_wishes(program, candidate)
        missed = [one for one in wishes if not one.fits]
        _, fit_out = self._wished_works.of(segment, candidate, missed)
        return {
            "rank": rank,
            "kind": candidate.kind,
            "shape": candidate.shape,
            "units": [
                unit_shown(self._shown, segment, row, quantity)
                for row, quantity in zip(candidate.rows, candidate.quantities, strict=True)
            ],
            "totals": words.totals(segment, candidate),
            "first_day": date.fromordinal(candidate.first_day),
            "free_until": words.day_shown(candidate.until),
            "score": words.score_shown(found.score),
            "contributions": [words.contribution(one) for one in added],
            "margins": [self._verdicts.of(one) for one in judge(program, candidate)],
            "wishes": [self._wishes.of(one) for one in wishes],
            "fit_out": fit_out,
            "relay_outlook": None
            if growth is None
            else words.outlook_shown(outlook_of(segment, candidate, growth, self._parks)),
        }

    def refused(self, place: Place) -> Members:
        program = self._answer.programs[place.segment]
        candidate = candidate_of(program, place.row)
        broken = [one for one in judge(program, candidate) if not one.fits]
        works, fit_out = self._works.of(program.segment, candidate, broken)
        mends = {one.item.need for one in works.works} >= {one.constraint.key for one in broken}
        return {
            "unit": unit_shown(self._shown, program.segment, place.row, candidate.quantities[0]),
            "first_day": words.day_shown(candidate.first_day),
            "free_until": words.day_shown(candidate.until),
            "reasons": [self._verdicts.of(one) for one in broken],
            "fit_out": fit_out if mends else None,
        }

    def blocker(self, one: Blocker) -> Members:
        constraint = one.constraint
        zh, en = blocker_words(one)
        return {
            "constraint": constraint.key,
            "name_zh": constraint.name_zh,
            "name_en": constraint.name_en,
            "need": plain(constraint.wants(self._demand.hard[constraint.key])),
            "blocks": one.blocks,
            "blocks_in_place": one.blocks_in_place,
            "blocks_alone": one.blocks_alone,
            "left": one.left,
            "never_relax": constraint.never_relax,
            "source": constraint.source,
            "confidence": constraint.confidence,
            "words_zh": zh,
            "words_en": en,
            "example": None if one.example is None else self.refused(one.example),
        }

    def ways_out(self, refusals: Histogram) -> tuple[list[Members], int]:
        """The cheapest sets of needs that open something, and how many there are in all."""
        body = self._question.body
        found = find_ways_out(
            refusals,
            at_least=refusals.feasible + body.open_at_least,
            costs=body.relax_costs,
            with_bundles=CandidateKind.BUNDLE in body.kinds,
        )
        return [self._way_out(refusals, one) for one in found.cheapest], found.count

    def _way_out(self, refusals: Histogram, one: Relaxation) -> Members:
        amounts = find_amounts(refusals, one, self._question.body.open_at_least)
        zh, en = relaxation_words(one)
        if any(change.give is not None for change in amounts.changes):
            by_zh, by_en = amounts_words(amounts)
            zh, en = f"{zh}；{by_zh}", f"{en}; {by_en}"
        return {
            "needs": [constraint.key for constraint in one.constraints],
            "cost": one.cost,
            "units_freed": one.opens,
            "bundles_freed": one.bundles,
            "amounts": [_amount(change) for change in amounts.changes],
            "units_freed_by_amounts": amounts.opens,
            "words_zh": zh,
            "words_en": en,
        }

    def waiting(self, refusals: Histogram) -> Members | None:
        """Units that fit and are taken: named for staff of their parks."""
        found = find_blocking(
            self._session,
            self._question.audience.actor,
            refusals,
            as_of=self._snapshot.version.taken_at,
            version=self._snapshot.version,
        )
        return None if found is None else WaitingOut.model_validate(found).model_dump(mode="json")

    def _segment(self, at: int) -> Segment:
        return self._snapshot.segments[at]


def _amount(change: Change) -> Members:
    constraint = change.constraint
    zh, en = change_words(change)
    return {
        "constraint": constraint.key,
        "name_zh": constraint.name_zh,
        "name_en": constraint.name_en,
        "need": plain(constraint.wants(change.need)),
        "give": None if change.give is None else plain(constraint.wants(change.give)),
        "words_zh": zh,
        "words_en": en,
    }


@dataclass(frozen=True, slots=True)
class _Counted:
    """Rows by building, and the rows that are not the unit on every day."""

    by_building: NDArray[np.int64]
    changing: NDArray[np.int64]


_counted: Kept[_Counted] = Kept(most=8)


def present_units(program: Program) -> int:
    """How many units there are on the window's first day or later, of all kinds."""
    segment = program.segment
    counted = _counted.of(segment.floor, None, lambda: _count(segment))
    stale = segment.buildings.stale
    gone = counted.changing[~program.live[segment.era[counted.changing]]]
    not_there = ~stale[segment.floors.building[segment.floor[gone]]]
    return int(counted.by_building[~stale].sum() - np.count_nonzero(not_there))


def _count(segment: Segment) -> _Counted:
    building = segment.floors.building[segment.floor]
    always = (segment.era_from <= 0) & (segment.era_until == NEVER)
    return _Counted(
        np.bincount(building, minlength=len(segment.buildings.fid)),
        np.flatnonzero(~always[segment.era]),
    )
