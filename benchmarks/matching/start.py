"""A process that starts from nothing, answers one request, and says when it had the answer.

python -m benchmarks.matching.start URL FOLDER UNITS
"""

import sys
import time
from pathlib import Path

from app.database.engine import make_engine
from app.demand.rules import load_rules
from app.matching.engine.search import search
from app.matching.rules.compile import compile_demand
from app.matching.rules.table import CONSTRAINTS
from app.matching.snapshots.follow import Follower
from benchmarks.matching.instances import TODAY, typical

K = 20


def main() -> None:
    """Print the monotonic clock at the first answer."""
    url, folder, units = sys.argv[1:]
    rules = load_rules(Path(__file__).resolve().parent.parent.parent / "data")
    follower = Follower(make_engine(url, pool_size=2), rules.building, Path(folder))
    follower.start()
    demand = compile_demand(typical(int(units), count=1)[0].needs(rules), rules, TODAY)
    search(follower.current(), demand, K, table=CONSTRAINTS)
    print(time.monotonic())
    follower.stop()


if __name__ == "__main__":
    main()
