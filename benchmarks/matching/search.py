"""The best twenty: kernels against tuned SQL, and what bundles add."""

import statistics
from collections.abc import Sequence

import psycopg

from app.matching.engine.candidates import CandidateKind
from app.matching.engine.search import Answer, search
from app.matching.rules.demand import Demand
from app.matching.rules.table import CONSTRAINTS
from benchmarks.matching import sql
from benchmarks.matching.common import K, Park, line, milliseconds
from benchmarks.matching.instances import Instance

UNITS = frozenset({CandidateKind.UNIT})
SINGLE = frozenset(CandidateKind) - {CandidateKind.BUNDLE}
EVERY_KIND = frozenset(CandidateKind)
#: How often each request is asked of the kernels; the best of them is what it takes.
ROUNDS = 3


def measure(park: Park) -> None:
    """Kernels and SQL in turns on the typical requests, compared by units and scores."""
    demands = [park.demand(one) for one in park.typical]
    hard, soft = len(demands[0].hard), len(demands[0].soft)
    print(
        f"\nsearch: {len(park.snapshot.segments[0]):,} units, {len(demands)} typical requests of"
        f" {hard} hard and {soft} soft needs, the best {K}"
    )
    with psycopg.connect(
        park.url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True
    ) as connection:
        connection.execute("SET jit = off")
        print(f"  flat table for SQL made in {milliseconds(lambda: sql.build(connection)):,.0f} ms")
        _warm(park, demands[:5])
        kernels, databases, fitting = [], [], 0
        for demand in demands:
            statement = sql.best(demand, K)
            rows = sql.run(connection, statement)
            answer = _ask(park, demand, UNITS)
            if _units(park, answer) != [(fid, score) for fid, score in rows]:
                raise AssertionError(f"kernels and SQL disagree on {demand.hard}")
            fitting += answer.feasible[CandidateKind.UNIT]
            databases.append(
                min(milliseconds(lambda: sql.run(connection, statement)) for _ in range(2))  # noqa: B023
            )
            kernels.append(_time(park, demand, UNITS))
    print(f"  equal on all {len(demands)}; {fitting:,} units fit in all")
    line("tuned SQL", databases)
    line("kernels, whole units", kernels, "p50 1, p95 3")
    ratio = statistics.median(d / k for d, k in zip(databases, kernels, strict=True))
    print(f"  SQL / kernels, median of each request's ratio: {ratio:.0f}   target 20")
    _bundles(park, park.typical)


def measure_hard(park: Park) -> None:
    """What a nearly full park has, and how many requests only bundles can serve."""
    print(f"\nhard: {len(park.snapshot.segments[0]):,} units of which 95 % are let")
    _bundles(park, park.hard)


def _bundles(park: Park, instances: Sequence[Instance]) -> None:
    demands = [park.demand(one) for one in instances]
    _warm(park, demands[:5])
    alone, together, served, only = [], [], 0, 0
    for demand in demands:
        alone.append(_time(park, demand, SINGLE))
        together.append(_time(park, demand, EVERY_KIND))
        feasible = _ask(park, demand, EVERY_KIND).feasible
        single = sum(count for kind, count in feasible.items() if kind is not CandidateKind.BUNDLE)
        served += any(feasible.values())
        only += bool(not single and feasible[CandidateKind.BUNDLE])
    line("units, parts and places", alone, "p50 1, p95 3")
    line("with bundles", together)
    more = [both - one for both, one in zip(together, alone, strict=True)]
    line("what bundles add", more, "5")
    print(f"  {served} of {len(demands)} requests are served, {only} by bundles alone")


def _ask(park: Park, demand: Demand, kinds: frozenset[CandidateKind]) -> Answer:
    return search(park.snapshot, demand, K, table=CONSTRAINTS, kinds=kinds)


def _time(park: Park, demand: Demand, kinds: frozenset[CandidateKind]) -> float:
    return min(milliseconds(lambda: _ask(park, demand, kinds)) for _ in range(ROUNDS))


def _warm(park: Park, demands: Sequence[Demand]) -> None:
    for demand in demands:
        for kinds in (UNITS, SINGLE, EVERY_KIND):
            _ask(park, demand, kinds)


def _units(park: Park, answer: Answer) -> list[tuple[int, int]]:
    return [
        (int(park.snapshot.segments[one.segment].fid[one.candidate.rows[0]]), one.score)
        for one in answer.found
    ]
