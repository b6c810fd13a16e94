"""Items in a box that meet a filter: 100 and 1,000 a page, one client and eight.

Each question is searched for in the database every time. A server of ours writes features that it
has shown before no second time; one that keeps none is measured beside it, as all are new to that.
"""

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
        ours, forgetful, raw_sql, tipg, pygeoapi = sides
        for clients in CLIENTS:
            in_turns(sides, len(asked), clients, compared.rounds, compared.seconds)
            print(f"  {clients} client{'s' if clients > 1 else ''}")
            for one in (ours, forgetful):
                print(line(one, _against(one, raw_sql, tipg, pygeoapi)))
            for one in (raw_sql, tipg, pygeoapi):
                print(line(one))


def _against(one: Side, raw_sql: Side, tipg: Side, pygeoapi: Side) -> dict[str, float]:
    """The ratios of a server of ours, by the words that say what each is held to."""
    return {
        "/ raw SQL (0.9)": ratio(one, raw_sql),
        "/ tipg (5)": ratio(one, tipg),
        "/ pygeoapi (6)": ratio(one, pygeoapi),
    }


def _sides(compared: Compared, asked: Sequence[Question], limit: int) -> tuple[Side, ...]:
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
        Side("all new", lambda: over_http(compared.forgetful, own)),
        Side("raw SQL", lambda: raw(compared.url, pages)),
        Side("tipg", lambda: over_http(compared.tipg.port, others["tipg"])),
        Side("pygeoapi", lambda: over_http(compared.pygeoapi.port, others["pygeoapi"])),
    )


def _require_equal(sides: Sequence[Side], asked: Sequence[Question], limit: int) -> float:
    """Refuse to measure what does not answer alike; returns how many match in the mean."""
    ours, forgetful, *others = (side.connect() for side in sides if side.name != "raw SQL")
    matched = 0
    for number in range(len(asked)):
        found = json.loads(forgetful(number))["features"]
        # Written for the first time, and as they were kept.
        if (
            not found
            == json.loads(ours(number))["features"]
            == json.loads(ours(number))["features"]
        ):
            raise AssertionError(f"what was kept is not what is: {asked[number].path(limit)}")
        for other in others:
            answer = json.loads(other(number))
            if [one["id"] for one in answer["features"]] != [one["id"] for one in found]:
                raise AssertionError(f"servers disagree on {asked[number].path(limit)}")
        matched += answer["numberMatched"]
    return matched / len(asked)
