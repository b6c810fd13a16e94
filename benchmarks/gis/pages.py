"""A page far into a collection, against the first."""

import json
from collections.abc import Sequence

from benchmarks.gis.common import Compared, Side, line, over_http, ratio
from benchmarks.gis.common import measure as in_turns

LIMIT = 100
_ITEMS = "/ogc/collections/units/items"
#: How far in, of all rows.
DEEP = 0.9
#: Steps in which a client walks there.
_STEPS = 100


def measure(compared: Compared, rows: int) -> None:
    """Our first page and one after nine tenths of the rows; tipg's, which counts from the start."""
    first = f"{_ITEMS}?limit={LIMIT}"
    deep = _page_after(compared.port, int(rows * DEEP), rows // _STEPS)
    tipg = compared.tipg
    sides = [
        Side("ours, first", lambda: over_http(compared.port, [first])),
        Side("ours, deep", lambda: over_http(compared.port, [deep])),
        Side("tipg, first", lambda: over_http(tipg.port, [tipg.page(LIMIT, 0)])),
        Side("tipg, deep", lambda: over_http(tipg.port, [tipg.page(LIMIT, int(rows * DEEP))])),
    ]
    in_turns(sides, 1, 1, compared.rounds, compared.seconds)
    print(f"\npages of {LIMIT}: the first, and that after row {int(rows * DEEP):,}")
    for near, far, target in ((sides[0], sides[1], "   target 1.5"), (sides[2], sides[3], "")):
        print(line(near))
        print(line(far, {"times the first": ratio(near, far)}) + target)


def _page_after(port: int, rows: int, step: int) -> str:
    """The address of the page after so many rows, found as a client finds it: by ``next``."""
    few = "&properties=code"
    answer = json.loads(over_http(port, [f"{_ITEMS}?limit={step}{few}"])(0))
    seen = len(answer["features"])
    while seen < rows:
        answer = json.loads(over_http(port, [_next(answer["links"])])(0))
        seen += len(answer["features"])
    return _next(answer["links"]).replace(f"limit={step}", f"limit={LIMIT}").replace(few, "")


def _next(links: Sequence[dict[str, str]]) -> str:
    href = next(one["href"] for one in links if one["rel"] == "next")
    return "/" + href.split("/", 3)[3] if "://" in href else href
