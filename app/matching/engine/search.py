"""The best of all space for a demand, exactly. Pure.

Every unit and every bundle is judged; equal scores are settled by where the space is, so that the
same snapshot gives the same answer whatever order its rows were read in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.matching.engine.bundles.dominance import keep_undominated
from app.matching.engine.bundles.find import Bundles, find_bundles
from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.engine.measures import Offers, Relay
from app.matching.engine.program import Program, make_program
from app.matching.engine.scan import KINDS, Fitting, fitting_of, fitting_units
from app.matching.engine.scoring import Points, scale_of, score
from app.matching.rules.constraint import Constraint
from app.matching.rules.demand import Demand
from app.matching.segment import Rows, Segment, Snapshot

EVERY_KIND = frozenset(CandidateKind)
#: What settles equal scores: building code, level and number of each row in turn.
Place = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate that fits: the place of its segment in the snapshot, and its score."""

    segment: int
    candidate: Candidate
    score: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The best candidates, best first, and how many there are of each kind.

    ``feasible`` counts every unit, part and set of places that fits, and the bundles that fit and
    that no part of them is as good as. ``is_complete`` is False where there are more bundles than
    are looked at. ``programs`` are those of the snapshot's segments.
    """

    found: tuple[Found, ...]
    feasible: Mapping[CandidateKind, int]
    programs: tuple[Program, ...]
    is_complete: bool = True


def top_k(
    snapshot: Snapshot,
    demand: Demand,
    k: int,
    *,
    table: Sequence[Constraint],
    kinds: frozenset[CandidateKind] = EVERY_KIND,
    relay_values: Sequence[Relay] | None = None,
) -> list[Found]:
    """The ``k`` best candidates, best first; see ``search``."""
    found = search(snapshot, demand, k, table=table, kinds=kinds, relay_values=relay_values).found
    return list(found)


def search(
    snapshot: Snapshot,
    demand: Demand,
    k: int,
    *,
    table: Sequence[Constraint],
    kinds: frozenset[CandidateKind] = EVERY_KIND,
    relay_values: Sequence[Relay] | None = None,
) -> Answer:
    """The best candidates and how many there are.

    Args:
        snapshot: all space.
        demand: what is asked.
        k: how many at most.
        table: of constraints.
        kinds: of candidates that are wanted; bundles are looked for only if they are.
        relay_values: for each segment, thousandths for each of its buildings.

    Raises:
        ValueError: the demand's weights are none, or too many constraints are active.
    """
    searches = tuple(
        _search(
            make_program(segment, demand, table),
            k,
            kinds,
            None if relay_values is None else relay_values[at],
        )
        for at, segment in enumerate(snapshot.segments)
    )
    found = [
        Found(at, candidate, points)
        for at, one in enumerate(searches)
        for candidate, points in one.best
    ]
    if len(searches) > 1 or any(one.best and one.has_bundles for one in searches):
        found.sort(key=lambda one: _rank(snapshot.segments[one.segment], one))
    return Answer(
        found=tuple(found[:k]),
        feasible={kind: sum(one.counts[kind] for one in searches) for kind in kinds},
        programs=tuple(one.program for one in searches),
        is_complete=all(one.is_complete for one in searches),
    )


@dataclass(frozen=True, slots=True)
class _Searched:
    """What one segment has: its best candidates, units first, and all that fit, counted."""

    program: Program
    best: list[tuple[Candidate, int]]
    counts: Mapping[CandidateKind, int]
    has_bundles: bool = False
    is_complete: bool = True


def _search(
    program: Program, k: int, kinds: frozenset[CandidateKind], relay: Relay | None
) -> _Searched:
    with_bundles = CandidateKind.BUNDLE in kinds
    scale = scale_of(program, relay)
    units = fitting_units(program, scale, k, kinds=kinds, with_eligible=with_bundles)
    best = [(_unit(units, place), int(units.points[place])) for place in range(len(units.rows))]
    counts = dict(zip(KINDS, map(int, units.counts), strict=True)) | {CandidateKind.BUNDLE: 0}
    if not with_bundles:
        return _Searched(program, best, counts)
    bundles = find_bundles(program, units.eligible)
    if not len(bundles):
        return _Searched(program, best, counts, is_complete=bundles.is_complete)
    points = score(program, _offers(program.segment, bundles), relay)
    alone = fitting_of(program, scale, np.unique(bundles.row).astype(np.int64))
    ascending = np.argsort(alone.rows)
    stays = np.flatnonzero(
        keep_undominated(
            program.segment, bundles, points, alone.rows[ascending], alone.points[ascending]
        )
    )
    counts[CandidateKind.BUNDLE] = len(stays)
    best += [
        (bundles.candidate(program.segment, int(place)), int(points[place]))
        for place in _best_bundles(bundles, stays, points, k)
    ]
    return _Searched(program, best, counts, has_bundles=True, is_complete=bundles.is_complete)


def _best_bundles(bundles: Bundles, stays: Rows, points: Points, k: int) -> Rows:
    """The ``k`` best of those that stay; of equal ones, by where their units are."""
    if k < len(stays):
        least = np.partition(points[stays], len(stays) - k)[len(stays) - k]
        stays = stays[points[stays] >= least]
    order = sorted(stays, key=lambda one: (-int(points[one]), tuple(bundles.rows(one))))
    return np.array(order[:k], dtype=np.int64)


def _offers(segment: Segment, bundles: Bundles) -> Offers:
    rows = bundles.row.astype(np.int64)
    return Offers(
        rows=rows,
        quantities=segment.column("capacity")[rows].astype(np.int64),
        first_day=bundles.first_day.astype(np.int64),
        at=bundles.at.astype(np.int64),
    )


def _unit(units: Fitting, place: int) -> Candidate:
    return Candidate(
        kind=KINDS[units.kinds[place]],
        rows=(int(units.rows[place]),),
        quantities=(int(units.quantities[place]),),
        first_day=int(units.first_day[place]),
        until=int(units.until[place]),
    )


def _rank(segment: Segment, found: Found) -> tuple[int, Place]:
    return -found.score, tuple(segment.place_of(row) for row in found.candidate.rows)
