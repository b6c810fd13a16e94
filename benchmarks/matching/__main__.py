"""The matching engine over a million units: against tuned SQL, and against its own targets.

Both sides answer the same seeded requests in the same run, in turns, and their answers are
compared first. What is printed beside each figure is what it is held to.

    python3 dev.py bench matching
    python3 dev.py bench matching --units 100000 --requests 40 --only search,whynot
"""

import argparse
from collections.abc import Callable, Mapping

from benchmarks.free_space import prepared
from benchmarks.matching import fresh, over_http, search, whynot
from benchmarks.matching.common import Park

PARTS: Mapping[str, Callable[[Park], None]] = {
    "search": search.measure,
    "whynot": whynot.measure,
    "snapshot": fresh.measure,
    "http": over_http.measure,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--hard-units", type=int, default=200_000, help="of the hard set's parks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", default=",".join((*PARTS, "hard")), help="parts, by commas")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := sorted({*wanted} - {*PARTS, "hard"}):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join((*PARTS, 'hard'))}")
    if parts := [PARTS[name] for name in PARTS if name in wanted]:
        cluster = prepared(options.units, options.seed)
        try:
            park = Park(cluster.url, options.units, options.seed, options.requests)
            for part in parts:
                part(park)
        finally:
            cluster.stop()
    if "hard" in wanted:
        cluster = prepared(options.hard_units, options.seed, let_pct=95)
        try:
            search.measure_hard(
                Park(cluster.url, options.hard_units, options.seed, options.requests)
            )
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
