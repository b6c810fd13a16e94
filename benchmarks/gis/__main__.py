"""What GIS tools get, beside the same SQL run raw and beside servers from PyPI.

All serve the units of one generated park from one PostgreSQL, in turns, in one run; that they find
the same features is made sure of first.

    python3 dev.py bench gis
    python3 dev.py bench gis --units 20000 --rounds 2 --seconds 2
"""

import argparse
import tempfile
from pathlib import Path

from app.database.engine import make_engine
from benchmarks.free_space import prepared, server, serving
from benchmarks.gis import items, memory, pages, rivals, tiles
from benchmarks.gis.common import Compared, make_flat_table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options = parser.parse_args()
    cluster = prepared(options.units, options.seed)
    try:
        engine = make_engine(cluster.url, pool_size=2, statement_timeout_ms=3_600_000)
        rows = make_flat_table(engine)
        print(f"{rows:,} units; limits, clients and seconds as told; rates are medians of rounds")
        with (
            tempfile.TemporaryDirectory() as folder,
            server(cluster.url) as port,
            server(cluster.url, SPACE_RELAY_KEPT_FEATURES_MB="0") as forgetful,
            rivals.tipg(cluster.url) as tipg,
            rivals.pygeoapi(cluster.url, Path(folder)) as pygeoapi,
        ):
            compared = Compared(
                *(engine, cluster.url, port, forgetful, tipg, pygeoapi),
                *(options.rounds, options.seconds),
            )
            items.measure(compared, options.questions, options.seed)
            pages.measure(compared, rows)
            tiles.measure(compared, options.seed)
        with serving(cluster.url) as (port, pid):
            memory.measure(port, pid)
        engine.dispose()
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
