"""All smallest sets of needs that would open something: kernels against SQL's count of the sets.

SQL counts how many units break each set of rules, and is then done: what it would still have to do
with the counts is left out. Power left in the building is left out on both sides, which SQL could
only tell of every unit in many seconds.
"""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import psycopg

from app.matching.columns import COLUMNS
from app.matching.engine.program import Program, make_program
from app.matching.engine.whynot.histogram import Histogram, find_refusals
from app.matching.engine.whynot.relaxations import find_relaxations
from app.matching.rules.constraint import Constraint
from app.matching.rules.demand import Demand
from app.matching.rules.table import CONSTRAINTS
from benchmarks.matching import sql
from benchmarks.matching.common import Park, line, milliseconds

LEFT_OUT = "power_left"
#: SQL takes seconds for each: so many are enough for a median.
ASKED_OF_SQL = 8
ROUNDS = 3


def measure(park: Park) -> None:
    """Histograms compared set by set, then both sides' times."""
    demands = [park.demand(one) for one in park.typical]
    print(f"\nwhy-not: {len(demands)} requests, {len(demands[0].hard)} hard needs")
    alike = [one for one in CONSTRAINTS if one.key != LEFT_OUT]
    find_relaxations(_refusals(park, demands[0], CONSTRAINTS))
    databases, beside = [], []
    with psycopg.connect(
        park.url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True
    ) as connection:
        connection.execute("SET jit = off")
        sql.build(connection)
        for demand in demands[:ASKED_OF_SQL]:
            keys = [one.key for one in alike if one.key in demand.hard]
            statement = sql.histogram(demand, keys)
            _require_equal(_refusals(park, demand, alike), dict(sql.run(connection, statement)))
            databases.append(milliseconds(lambda: sql.run(connection, statement)))  # noqa: B023
            beside.append(_time(park, demand, alike))
    kernels = [_time(park, demand, CONSTRAINTS) for demand in demands]
    counts = [find_relaxations(_refusals(park, demand, CONSTRAINTS)).count for demand in demands]
    print(f"  equal on {len(databases)}; smallest sets: median {statistics.median(counts):g}")
    line("kernels, all smallest sets", kernels, "25")
    line(f"kernels, without {LEFT_OUT}", beside)
    line("SQL, the counts alone", databases)
    ratio = statistics.median(d / k for d, k in zip(databases, beside, strict=True))
    print(f"  SQL / kernels, median of each request's ratio: {ratio:.0f}   target 20")


def _refusals(park: Park, demand: Demand, table: Sequence[Constraint]) -> Histogram:
    return find_refusals([make_program(one, demand, table) for one in park.snapshot.segments])


def _time(park: Park, demand: Demand, table: Sequence[Constraint]) -> float:
    # One more unit than fits: else there would be nothing to open for a request that is served.
    wanted = _refusals(park, demand, table).feasible + 1

    def work() -> None:
        find_relaxations(_refusals(park, demand, table), at_least=wanted)

    return min(milliseconds(work) for _ in range(ROUNDS))


def _require_equal(histogram: Histogram, counted: Mapping[int, int]) -> None:
    """The same sets, as often; units let in parts are in one alone, and are left out."""
    ours: Counter[int] = Counter()
    for program, rows in zip(histogram.programs, histogram.rows, strict=True):
        masks, counts = np.unique(rows[_whole(program)], return_counts=True)
        ours.update(dict(zip(masks.tolist(), counts.tolist(), strict=True)))
    if ours != Counter(counted):
        raise AssertionError("kernels and SQL count different sets")


def _whole(program: Program) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    whole: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        program.segment.column("min_part") == COLUMNS["min_part"].width.unknown
    )
    return whole
