"""What the parts of the benchmark share: the park, its demands, and how times are said."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from app.database.engine import make_engine
from app.demand.rules import Rules, load_rules
from app.matching.rules.compile import compile_demand
from app.matching.rules.demand import Demand
from app.matching.segment import Snapshot
from app.matching.snapshots.follow import Follower
from benchmarks.matching.instances import TODAY, Instance, hard, typical

ROOT = Path(__file__).resolve().parent.parent.parent
K = 20


@dataclass(frozen=True)
class Park:
    """A generated park in a database, and the requests that are asked of it."""

    url: str
    units: int
    seed: int
    requests: int

    @cached_property
    def engine(self) -> Engine:
        """Connections that wait as long as it takes."""
        return make_engine(self.url, pool_size=4, statement_timeout_ms=3_600_000)

    @cached_property
    def snapshot(self) -> Snapshot:
        """All space, as the service reads it."""
        return self.read()

    def read(self) -> Snapshot:
        """All space, read anew."""
        follower = Follower(self.engine, self.rules.building)
        follower.start()
        try:
            return follower.current()
        finally:
            follower.stop()

    @cached_property
    def rules(self) -> Rules:
        """The tables of needs and land use."""
        return load_rules(ROOT / "data")

    @cached_property
    def typical(self) -> Sequence[Instance]:
        """Everyday requests."""
        return typical(self.units, seed=self.seed, count=self.requests)

    @cached_property
    def hard(self) -> Sequence[Instance]:
        """Requests for a park that is nearly full."""
        return hard(self.units, seed=self.seed, count=self.requests)

    def demand(self, instance: Instance) -> Demand:
        """A request made ready, as the service does it."""
        return compile_demand(instance.needs(self.rules), self.rules, TODAY)


def milliseconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def quantile(times: Sequence[float], percent: int) -> float:
    """The value below which ``percent`` % of the times lie."""
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


def line(name: str, times: Sequence[float], target: str = "") -> None:
    """Median, 95th of a hundred and the most, ms."""
    held_to = f"   target {target}" if target else ""
    print(
        f"  {name:<44} p50 {quantile(times, 50):8.2f}  p95 {quantile(times, 95):8.2f}"
        f"  max {max(times):8.2f} ms{held_to}"
    )
