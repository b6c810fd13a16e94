"""Tiles are kept while they hold, made once for all who ask at a time, and within bounds."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.terms import ClaimKind
from app.models.space import Unit
from app.ogc.tiles.asked import read_question
from app.ogc.tiles.encode import Encoded, encode
from app.ogc.tiles.grid import Tile
from app.ogc.tiles.kept import FRESH_S, KeptTiles
from app.ogc.version import Versions
from app.routers.ogc import tiles as routes
from app.routers.ogc.asked_tiles import AskedTiles
from tests import factories as make
from tests.ogc.tiles.conftest import Served

UNIT = "GENE-ISLAND-1-B05-1F-01"
#: A day on which the unit is free by the reference data.
FREE_ON = "2027-03-01"
CALLERS = 32


@contextmanager
def statements(served: Served) -> Iterator[list[str]]:
    """What the public's connections ask for tiles meanwhile."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "ST_AsMVT" in statement:
            seen.append(statement)

    event.listen(served.public, "before_cursor_execute", note)
    yield seen
    event.remove(served.public, "before_cursor_execute", note)


@pytest.fixture
def tile(served: Served) -> Tile:
    return served.tile_of("GENE-ISLAND-1-B05", 16)


def is_free(served: Served, tile: Tile) -> bool:
    layers = served.layers("free_space", tile, datetime=FREE_ON)
    return any(one["properties"]["code"] == UNIT for one in layers["free_space"]["features"])


def lease(session: Session, **values: Any) -> None:
    unit = session.execute(select(Unit).where(Unit.code == UNIT)).scalar_one()
    make.make_claim(session, unit, date(2027, 1, 1), date(2028, 1, 1), **values)
    # As the ledger does with every claim.
    unit.version += 1
    session.commit()


@contextmanager
def leased(served: Served, **values: Any) -> Iterator[None]:
    """A lease that another process commits; it is as if never made afterwards."""
    with served.session() as session:
        lease(session, **values)
        yield
        session.execute(text("ALTER TABLE claims DISABLE TRIGGER USER"))
        session.execute(text("DELETE FROM claims WHERE placed_by = 'tests'"))
        session.execute(text("ALTER TABLE claims ENABLE TRIGGER USER"))
        session.execute(text("UPDATE units SET version = version + 1 WHERE code = :c"), {"c": UNIT})
        session.commit()
    time.sleep(FRESH_S)


def test_a_tile_that_is_kept_asks_the_database_nothing(served: Served, tile: Tile) -> None:
    with statements(served) as seen:
        first = served.tile("units", tile, level="0")
        second = served.tile("units", tile, level="0")
        other = served.tile("units", tile, level="1")

    assert len(seen) == 2
    assert first.content == second.content != other.content


def test_a_lease_that_is_committed_shows(
    served: Served, tile: Tile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_free(served, tile)
    with leased(served):
        time.sleep(FRESH_S)
        assert not is_free(served, tile)
    assert is_free(served, tile)

    # The control: what is kept whatever the version shows what was.
    monkeypatch.setattr(Versions, "look", lambda _self, _session: "always the same")
    time.sleep(FRESH_S)
    assert is_free(served, tile)
    with leased(served):
        time.sleep(FRESH_S)
        assert is_free(served, tile)


def test_what_this_process_commits_shows_at_once(
    served: Served, tile: Tile, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is looked at again for a minute, unless this process has committed.
    monkeypatch.setattr("app.ogc.tiles.kept.FRESH_S", 60)
    assert is_free(served, tile)
    with served.app.state.sessions() as session:
        session.execute(text("SELECT set_config('app.audience', 'system', false)"))
        lease(session)
    try:
        assert not is_free(served, tile)
    finally:
        monkeypatch.setattr("app.ogc.tiles.kept.FRESH_S", FRESH_S)
        with served.session() as session:
            session.execute(text("ALTER TABLE claims DISABLE TRIGGER USER"))
            session.execute(text("DELETE FROM claims WHERE placed_by = 'tests'"))
            session.execute(text("ALTER TABLE claims ENABLE TRIGGER USER"))
            session.execute(text("UPDATE units SET version = version + 1"))
            session.commit()
        time.sleep(FRESH_S)


def test_a_hold_that_lapses_shows_though_nothing_is_written(served: Served, tile: Tile) -> None:
    now = datetime.now(UTC)
    lapses = Range(now - timedelta(seconds=1), now + timedelta(seconds=2))
    with leased(served, kind=ClaimKind.HOLD.value, live=lapses):
        time.sleep(FRESH_S)
        assert not is_free(served, tile)
        time.sleep(2)
        assert is_free(served, tile)


def ask_together(served: Served, tile: Tile, **parameters: str) -> list[bytes]:
    with ThreadPoolExecutor(CALLERS) as pool:
        asked = [pool.submit(served.tile, "free_space", tile, **parameters) for _ in range(CALLERS)]
        return [one.result().content for one in asked]


def test_many_who_ask_the_same_are_one_statement(
    served: Served, tile: Tile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with statements(served) as seen:
        answers = ask_together(served, tile, datetime="2027-04-01")
    assert len(set(answers)) == 1
    assert len(seen) == 1

    # The control: without waiting for each other each asks for itself.
    class Forgetful(dict[Any, Any]):
        def get(self, *_: object) -> None:
            return None

        def __delitem__(self, _key: object) -> None:
            pass

    def slow(session: Session, *arguments: Any) -> Encoded:
        time.sleep(0.2)  # long enough for another to ask, however busy the machine is
        return encode(session, *arguments)

    monkeypatch.setattr(served.app.state.tiles, "_making", Forgetful())
    monkeypatch.setattr(routes, "encode", slow)
    with statements(served) as seen:
        ask_together(served, tile, datetime="2027-04-02")
    assert len(seen) > 1


def test_those_who_wait_hold_no_connection(
    served: Served, tile: Tile, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = Event(), Event()

    def slow(session: Session, *arguments: Any) -> Encoded:
        session.execute(text("SELECT 1"))
        begun.set()
        go_on.wait(10)
        return encode(session, *arguments)

    monkeypatch.setattr(routes, "encode", slow)
    with ThreadPoolExecutor(CALLERS) as pool:
        asked = [
            pool.submit(served.tile, "units", tile, datetime="2027-05-01") for _ in range(CALLERS)
        ]
        begun.wait(10)
        time.sleep(0.3)
        held = served.public.pool.checkedout()  # type: ignore[attr-defined]
        others = served.get("/collections")
        go_on.set()
        answers = {one.result().content for one in asked}

    assert held == 1
    assert others.status_code == 200
    assert len(answers) == 1


def test_what_takes_too_long_is_said_and_is_not_kept(
    served: Served, tile: Tile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(session: Session, *_: Any) -> Encoded:
        session.execute(text("SET LOCAL statement_timeout = 50"))
        session.execute(text("SELECT pg_sleep(5)"))
        raise AssertionError

    path = f"/xyz/units/{tile.z}/{tile.x}/{tile.y}.mvt"
    monkeypatch.setattr(routes, "encode", slow)
    refused = served.get(path, datetime="2027-06-01")
    monkeypatch.undo()

    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/busy"
    assert served.get(path, datetime="2027-06-01").status_code == 200


def test_a_credential_that_is_shown_must_be_good(served: Served, tile: Tile) -> None:
    path = f"/ogc/xyz/units/{tile.z}/{tile.x}/{tile.y}.mvt"
    served.tile("units", tile)

    refused = served.client.get(path, headers={"Authorization": "Bearer sr_live_nobody"})

    assert refused.status_code == 401


def made(size: int) -> Encoded:
    return Encoded(bytes(size), size, f"{size}")


def in_loop(work: Callable[[], Any]) -> Any:
    return asyncio.run(work())


async def _look() -> str:
    return "1"


def test_no_more_is_kept_than_may_be_and_the_latest_stays() -> None:
    kept = KeptTiles(most_bytes=5_000)
    made_for: list[int] = []

    async def ask(number: int, size: int = 1_000) -> None:
        async def make() -> Encoded:
            made_for.append(number)
            return made(size)

        await kept.tile(number, _look, make)

    async def work() -> None:
        for number in (1, 2, 1, 3, 1, 2):
            await ask(number)
        await ask(4, 10_000)

    in_loop(work)

    # Each takes its bytes and some for itself: two fit, and 1 was asked for all the time.
    assert made_for == [1, 2, 3, 2, 4]
    assert kept.bytes == 0, "what is larger than all that may be kept is not kept"


def test_what_fails_fails_for_all_who_wait_and_is_tried_again() -> None:
    kept = KeptTiles()
    tries: list[int] = []

    async def fail() -> Encoded:
        tries.append(1)
        await asyncio.sleep(0.01)
        raise TimeoutError

    async def succeed() -> Encoded:
        return made(7)

    async def work() -> tuple[list[Any], Encoded]:
        failed = await asyncio.gather(
            *(kept.tile("same", _look, fail) for _ in range(3)), return_exceptions=True
        )
        return failed, await kept.tile("same", _look, succeed)

    failed, then = in_loop(work)

    assert [type(one) for one in failed] == [TimeoutError] * 3
    assert tries == [1]
    assert then.length == 7


def test_a_caller_who_leaves_takes_nobody_elses_answer_along() -> None:
    kept = KeptTiles()

    async def slow() -> Encoded:
        await asyncio.sleep(0.05)
        return made(9)

    async def work() -> Encoded:
        first = asyncio.create_task(kept.tile("same", _look, slow))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(kept.tile("same", _look, slow))
        await asyncio.sleep(0.01)
        first.cancel()
        return await second

    assert in_loop(work).length == 9


def test_what_was_begun_before_a_change_is_not_kept_after_it() -> None:
    kept = KeptTiles()
    versions = iter(("1", "2", "2"))
    sizes = iter((5, 6))

    async def look() -> str:
        return next(versions)

    async def slow() -> Encoded:
        await asyncio.sleep(FRESH_S * 1.5)
        return made(next(sizes))

    async def work() -> tuple[Encoded, Encoded]:
        early = asyncio.create_task(kept.tile("same", look, slow))
        await asyncio.sleep(FRESH_S * 1.2)
        late = await kept.tile("same", look, slow)
        return await early, late

    early, late = in_loop(work)

    assert (early.length, late.length) == (5, 6)
    assert kept.bytes > 0


def test_an_address_that_was_asked_is_answered_ahead_of_the_router(
    served: Served, tile: Tile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same headers and words as by it, and by it again where anything is another."""
    path = f"/ogc/xyz/units/{tile.z}/{tile.x}/{tile.y}.mvt"
    asked = {"datetime": "2027-08-01"}
    routed: list[str] = []

    def note(*arguments: Any, **named: Any) -> Any:
        routed.append("read")
        return read_question(*arguments, **named)

    monkeypatch.setattr(routes, "read_question", note)
    # Nothing is looked at again meanwhile.
    monkeypatch.setattr("app.ogc.tiles.kept.FRESH_S", 60)
    first = served.client.get(path, params=asked)
    again = served.client.get(path, params=asked)
    known = served.client.get(path, params=asked, headers={"If-None-Match": first.headers["etag"]})
    by_router = len(routed)
    refused = served.client.get(path, params=asked, headers={"Authorization": "Bearer nobody"})
    other = served.client.get(path, params=asked | {"level": "1"})
    wrong = served.client.get(path, params=asked | {"level": "x"})
    head = served.client.head(path, params=asked)

    assert by_router == 1
    assert again.content == first.content
    own = {"x-request-id"}
    assert {k: v for k, v in again.headers.items() if k not in own} == {
        k: v for k, v in first.headers.items() if k not in own
    }
    assert known.status_code == 304
    assert refused.status_code == 401
    assert other.content != first.content
    assert (wrong.status_code, head.status_code) == (400, 200)
    # What was asked on another day is asked anew: what today is, is part of the question.
    before = len(routed)
    tomorrow = served.app.state.clock.now() + timedelta(days=1)
    monkeypatch.setattr(served.app.state.clock, "now", lambda: tomorrow)
    served.client.get(path, params=asked)
    assert len(routed) == before + 1
    # The control: without what was remembered each call is the router's.
    monkeypatch.setattr(type(served.app.state.asked_tiles), "find", lambda *_: None)
    served.client.get(path, params=asked)
    assert len(routed) == before + 2


def test_addresses_are_remembered_within_bounds() -> None:
    asked = AskedTiles(most=2)
    day = date(2027, 1, 1)
    calls = [{"method": "GET", "path": f"/{n}", "query_string": b""} for n in range(3)]
    long = {"method": "GET", "path": "/", "query_string": b"x" * 5_000}
    for number, call in enumerate((*calls, long)):
        asked.remember(call, number, day)

    found = [asked.find(call, day) for call in (*calls, long)]
    assert [one is not None for one in found] == [False, True, True, False]
