"""Totals of places far away: summed once for all tiles, and again only where something changed."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.errors import QueryCanceled
from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError

from app.database.roles import PUBLIC
from app.kernel.errors import BusyError
from app.kernel.terms import ClaimKind
from app.ogc.asked import Selection
from app.ogc.collection import When
from app.ogc.layers.units import UNITS
from app.ogc.tiles import totals
from app.ogc.tiles.grid import GRID, Tile
from app.ogc.tiles.kept import FRESH_S
from app.ogc.tiles.layers import TILESETS
from app.ogc.tiles.totals import KeptTotals
from app.ogc.version import Versions
from app.settings import Settings
from tests.clocks import SetClock
from tests.ogc.tiles.conftest import Served
from tests.ogc.tiles.test_kept import UNIT, leased

BUILDING = "GENE-ISLAND-1-B05"
LAYER = TILESETS["units"][0]
BY_BUILDING = TILESETS["units"][1]


@contextmanager
def summed(served: Served) -> Iterator[list[list[UUID]]]:
    """The buildings of each statement that sums any meanwhile, as the public's role."""
    seen: list[list[UUID]] = []

    def note(_c: object, _cursor: Any, statement: str, given: dict[str, Any], *_: Any) -> None:
        if "GROUP BY units.building_id" in statement:
            seen.append(next(v for v in given.values() if isinstance(v, list)))

    event.listen(served.public, "before_cursor_execute", note)
    yield seen
    event.remove(served.public, "before_cursor_execute", note)


def far(served: Served, zoom: int) -> Tile:
    """The tile that the point of the building's park is in."""
    point = "ST_PointOnSurface(parks.geom)"
    sql = f"SELECT ST_X({point}), ST_Y({point}) FROM parks JOIN buildings ON park_id = parks.id"  # noqa: S608
    with served.session() as session:
        x, y = session.execute(text(f"{sql} WHERE buildings.code = :c"), {"c": BUILDING}).one()
    found = GRID.tile(x, y, zoom)
    return Tile(found.z, found.x, found.y)


def of_park(served: Served, tile: Tile, **asked: str) -> dict[str, Any]:
    """What is told of the building's park."""
    sql = "SELECT parks.code FROM parks JOIN buildings ON park_id = parks.id"
    with served.session() as session:
        code = session.scalar(text(f"{sql} WHERE buildings.code = :c"), {"c": BUILDING})
    features = served.layers("free_space", tile, **asked)["free_space_parks"]["features"]
    (found,) = [one["properties"] for one in features if one["properties"]["code"] == code]
    properties: dict[str, Any] = found
    return properties


def test_all_tiles_of_a_question_are_cut_from_sums_made_once(served: Served) -> None:
    asked = {"datetime": "2027-07-01"}
    tiles = [far(served, zoom) for zoom in (10, 6, 0, 12)]
    with summed(served) as seen:
        told = [of_park(served, tile, **asked) for tile in tiles]
        served.layers("free_space", served.tile_of(BUILDING, 13), **asked)
    times = Counter(one for buildings in seen for one in buildings)

    assert told[0] == told[1] == told[2] == told[3]
    assert set(times.values()) == {1}
    # The control: where nothing is kept of the sums, another tile sums all of it anew.
    served.app.state.tiles.totals._kept.clear()
    with summed(served) as again:
        of_park(served, far(served, 9), **asked)
    assert {one for buildings in again for one in buildings} & times.keys()


def test_many_who_ask_for_tiles_at_once_sum_once(served: Served) -> None:
    tiles = [far(served, zoom) for zoom in range(13)]
    with summed(served) as seen, ThreadPoolExecutor(len(tiles)) as pool:
        asked = [pool.submit(of_park, served, tile, datetime="2027-07-02") for tile in tiles]
        answers = [one.result() for one in asked]
    times = Counter(one for buildings in seen for one in buildings)

    assert all(answer == answers[0] for answer in answers)
    assert set(times.values()) == {1}


def test_what_changed_in_a_building_sums_that_building_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"datetime": "2027-07-03"}
    tile = far(served, 8)
    with served.session() as session:
        unit = session.execute(
            text("SELECT building_id, leasable_area_m2::float FROM units WHERE code = :c"),
            {"c": UNIT},
        ).one()
    before = of_park(served, tile, **asked)
    with summed(served) as seen, leased(served):
        time.sleep(FRESH_S)
        during = of_park(served, tile, **asked)
    after = of_park(served, tile, **asked)

    assert seen == [[unit.building_id]]
    assert before["units_count"] - during["units_count"] == 1
    assert before["free_area_m2"] - during["free_area_m2"] == pytest.approx(unit.leasable_area_m2)
    assert after == before
    # The control: who is not told where something changed shows what was.
    told = Versions.changed_since
    monkeypatch.setattr(
        Versions, "changed_since", lambda self, name: (told(self, name)[0], frozenset())
    )
    with leased(served):
        time.sleep(FRESH_S)
        assert of_park(served, tile, **asked) == before


def test_a_hold_that_lapses_is_in_no_total_though_nothing_is_written(served: Served) -> None:
    asked = {"datetime": "2027-07-05"}
    tile = far(served, 8)
    before = of_park(served, tile, **asked)
    now = datetime.now(UTC)
    lapses = Range(now - timedelta(seconds=1), now + timedelta(seconds=2))
    with leased(served, kind=ClaimKind.HOLD.value, live=lapses):
        time.sleep(FRESH_S)
        during = of_park(served, tile, **asked)
        time.sleep(2)
        with summed(served) as seen:
            after = of_park(served, tile, **asked)

    assert before["units_count"] - during["units_count"] == 1
    assert after == before
    assert [len(buildings) for buildings in seen] == [1]


def test_what_is_summed_is_what_the_publics_role_sees(served: Served) -> None:
    """Not what the connections of callers with a credential see: it is shown to everybody."""
    seen: list[str] = []

    def note(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "GROUP BY units.building_id" in statement:
            seen.append(
                connection.connection.dbapi_connection.execute("SELECT current_user").fetchone()[0]
            )

    event.listen(served.public, "after_cursor_execute", note)
    of_park(served, far(served, 7), datetime="2027-07-04")
    event.remove(served.public, "after_cursor_execute", note)

    assert set(seen) == {PUBLIC}
    assert served.app.state.engine is not served.public


class City:
    """Buildings with one unit each, summed in memory: at most ``most`` in a statement."""

    def __init__(self, parks: int, each: int, most: int = 1_000) -> None:
        self.inside = {uuid4(): [uuid4() for _ in range(each)] for _ in range(parks)}
        self.most = most
        self.asked: list[int] = []
        self.looks = 0
        self.seconds = 0.0
        self.versions = Versions()
        self.kept = KeptTotals(self.versions)

    @property
    def buildings(self) -> list[UUID]:
        return [one for ones in self.inside.values() for one in ones]

    async def of(self, day: int, places: Sequence[UUID], layer: Any = LAYER) -> Any:
        clock = SetClock()
        selection = Selection(
            UNITS, When(clock.now().date()), UNITS.rows(When(clock.now().date())), asked=f"{day}"
        )
        return await self.kept.of(layer, selection, places, self.look, self.ask)

    async def look(self) -> str:
        self.looks += 1
        return self.versions.changed_since("")[0]

    async def ask(self, work: Callable[[Any], Any]) -> Any:
        await asyncio.sleep(self.seconds)
        return work(self)

    def sums(self, buildings: Sequence[UUID]) -> dict[UUID, tuple[float, ...]]:
        self.asked.append(len(buildings))
        if len(buildings) > self.most:
            raise DBAPIError("", {}, QueryCanceled())
        return dict.fromkeys(buildings, (1.0, 10.5, 0.1))


@pytest.fixture(autouse=True)
def _in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests sum in a city's memory."""
    if "served" in request.fixturenames:
        return
    monkeypatch.setattr(totals, "_sums", lambda city, _layer, _selection, ones: city.sums(ones))
    monkeypatch.setattr(
        totals, "_buildings_of", lambda city, parks: {one: city.inside[one] for one in parks}
    )


def test_parks_are_the_sums_of_their_buildings() -> None:
    city = City(parks=40, each=30)

    found = asyncio.run(city.of(1, [*city.inside]))

    assert set(found.values()) == {(30.0, 315.0, 3.0)}
    assert sum(city.asked) == 1_200
    assert max(city.asked) > totals._FIRST_BATCH, "quick statements are followed by larger ones"


def test_what_is_too_much_for_a_statement_is_summed_in_smaller_ones() -> None:
    city = City(parks=2, each=100, most=3)

    found = asyncio.run(city.of(1, [*city.inside]))
    none = City(parks=1, each=2, most=0)

    assert set(found.values()) == {(100.0, 1050.0, 10.0)}
    assert city.asked[0] > city.most >= city.asked[-1]
    # One building alone that takes too long is said, as any other statement that does.
    with pytest.raises(DBAPIError):
        asyncio.run(none.of(1, [*none.inside]))


def test_who_waits_too_long_is_told_and_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "WAIT_S", 0.1)
    city = City(parks=1, each=64 * 8)
    city.seconds = 0.06
    monkeypatch.setattr(totals, "_LARGEST_BATCH", 64)

    async def work() -> tuple[int, Any]:
        refused = 0
        while True:
            try:
                return refused, await city.of(1, [*city.inside])
            except BusyError:
                refused += 1

    refused, found = asyncio.run(work())

    assert refused > 0
    assert set(found.values()) == {(512.0, 5376.0, 51.2)}
    assert city.asked == [64] * 8, "nothing is summed twice"


def test_nothing_is_asked_once_all_is_known_or_the_work_is_closed() -> None:
    city, large = City(parks=1, each=10), City(parks=1, each=1_000)
    large.seconds = 0.02

    async def work() -> tuple[int, int]:
        await city.of(1, [*city.inside])
        at_once = city.looks
        await asyncio.sleep(0.01)
        left = asyncio.create_task(large.of(1, [*large.inside]))
        await asyncio.sleep(0.05)
        await large.kept.close()
        closed = len(large.asked)
        await asyncio.sleep(0.1)
        assert left.cancelled()
        return city.looks - at_once, len(large.asked) - closed

    assert asyncio.run(work()) == (0, 0)
    assert 0 < sum(large.asked) < 1_000


def test_a_part_of_the_city_does_not_wait_for_all_of_it() -> None:
    city = City(parks=40, each=40)
    city.seconds = 0.01

    async def work() -> int:
        everything = asyncio.create_task(city.of(1, [*city.inside]))
        await asyncio.sleep(0.015)
        await city.of(1, city.buildings[-20:], BY_BUILDING)
        so_far = sum(city.asked)
        await everything
        return so_far

    assert asyncio.run(work()) < 1_000


def test_no_more_is_kept_than_may_be_and_the_latest_stays() -> None:
    city = City(parks=1, each=50)
    city.kept = KeptTotals(city.versions, most_buildings=120)

    async def work() -> list[int]:
        asked = []
        for day in (1, 2, 1, 3, 1, 2):
            before = len(city.asked)
            await city.of(day, [*city.inside])
            asked.append(len(city.asked) - before)
        return asked

    # Two questions fit, and 1 was asked for all the time.
    assert asyncio.run(work()) == [1, 1, 0, 1, 0, 1]
    assert city.kept.buildings <= 120


def test_questions_beyond_what_is_summed_at_a_time_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(totals, "_MOST_SUMMED", 2)
    city = City(parks=1, each=10)
    city.seconds = 0.01

    async def work() -> list[Any]:
        asked = (city.of(day, [*city.inside]) for day in range(3))
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(work())

    assert [isinstance(one, BusyError) for one in answers] == [False, False, True]


def test_statements_of_the_public_may_take_several_times_what_is_aimed_at() -> None:
    assert Settings().public_statement_timeout_ms >= totals._AIM_S * 8 * 1000
