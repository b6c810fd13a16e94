"""Items in a box that meet a filter: 100 and 1,000 a page, one client and eight."""

import json
from collections.abc import Sequence

from app.ogc.items import read_items
from app.ogc.layers.units import UNITS
from benchmarks.gis.common import (
    Compared,
    Question,
    Side,
    line,
    now,
    over_http,
    questions,
    ratio,
    raw,
)
from benchmarks.gis.common import measure as in_turns

#: Rows a page.
PAGES = (100, 1000)
CLIENTS = (1, 8)


def measure(compared: Compared, count: int, seed: int) -> None:
    """All sides in turns, and what each is to the raw SQL and to us."""
    for limit in PAGES:
        asked = questions(compared.engine, count, seed, limit)
        sides = _sides(compared, asked, limit)
        matched = _require_equal(sides, asked, limit)
        print(f"\nitems, limit {limit}: {matched:,.0f} features meet a question in the mean")
        ours, raw_sql, tipg, pygeoapi = sides
        for clients in CLIENTS:
            in_turns(sides, len(asked), clients, compared.rounds, compared.seconds)
            print(f"  {clients} client{'s' if clients > 1 else ''}")
            print(line(ours, {"/ raw SQL": ratio(ours, raw_sql)}) + "   target 0.9")
            print(line(raw_sql))
            print(line(tipg, {"ours is": ratio(ours, tipg)}) + "   target 5")
            print(line(pygeoapi, {"ours is": ratio(ours, pygeoapi)}) + "   target 6")


def _sides(
    compared: Compared, asked: Sequence[Question], limit: int
) -> tuple[Side, Side, Side, Side]:
    pages = [
        read_items(UNITS, [*question.parameters(limit).items()], now=now()) for question in asked
    ]
    own = [question.path(limit) for question in asked]
    others = {
        one.name: [one.items(question.parameters(limit)) for question in asked]
        for one in (compared.tipg, compared.pygeoapi)
    }
    return (
        Side("ours", lambda: over_http(compared.port, own)),
        Side("raw SQL", lambda: raw(compared.url, pages)),
        Side("tipg", lambda: over_http(compared.tipg.port, others["tipg"])),
        Side("pygeoapi", lambda: over_http(compared.pygeoapi.port, others["pygeoapi"])),
    )


def _require_equal(sides: Sequence[Side], asked: Sequence[Question], limit: int) -> float:
    """Refuse to measure what does not answer alike; returns how many match in the mean."""
    ours, _, *others = (side.connect() for side in sides)
    matched = 0
    for number in range(len(asked)):
        found = json.loads(ours(number))["features"]
        for other in others:
            answer = json.loads(other(number))
            if [one["id"] for one in answer["features"]] != [one["id"] for one in found]:
                raise AssertionError(f"servers disagree on {asked[number].path(limit)}")
        matched += answer["numberMatched"]
    return matched / len(asked)
