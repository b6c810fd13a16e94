"""Features that are kept as they were written are those that would be written now."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.database.roles import PUBLIC
from app.kernel.terms import ClaimKind
from app.models.space import Unit
from app.ogc.collections import COLLECTIONS
from app.ogc.items import Items, fetch_items, read_items
from app.ogc.kept_features import KeptFeatures
from app.ogc.version import Versions
from tests import factories as make

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
UNIT = "GENE-ISLAND-1-B05-1F-01"
ALONE = {"code": UNIT, "datetime": "2027-03-01"}


class Reader:
    """Asks for pages as the public, with features that are kept between them."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.kept = engine, KeptFeatures()
        self.shown: list[str] = []
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _c: object, _cursor: object, statement: str, *_: object) -> None:
        if "string_agg" in statement:
            self.shown.append(statement)

    def page(self, collection: str, **asked: str) -> Items:
        return self._page(self.kept, collection, asked)

    def anew(self, collection: str, **asked: str) -> Items:
        return self._page(None, collection, asked)

    def _page(self, kept: KeptFeatures | None, collection: str, asked: dict[str, str]) -> Items:
        selection, shape = read_items(COLLECTIONS[collection], [*asked.items()], now=NOW)
        with Session(self.engine) as session:
            return fetch_items(session, selection, shape, kept)


@pytest.fixture
def reader(own_seeded_engine: Engine) -> Iterator[Reader]:
    url = own_seeded_engine.url.render_as_string(hide_password=False)
    engine = make_engine(url, pool_size=8, role=PUBLIC)
    yield Reader(engine)
    engine.dispose()


def write(engine: Engine, statement: str, word: str = "") -> None:
    with engine.begin() as connection:
        connection.execute(text(statement).bindparams(**said(word)))


def said(word: str) -> dict[str, str]:
    return {"word": word, "unit": UNIT} if word else {}


@pytest.mark.parametrize("collection", sorted(COLLECTIONS))
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"limit": "7"},
        {"properties": "code", "limit": "30"},
        {"skipGeometry": "true", "crs": "http://www.opengis.net/def/crs/EPSG/0/4549"},
    ],
)
def test_what_is_kept_is_what_would_be_written(
    reader: Reader, collection: str, asked: dict[str, str]
) -> None:
    reader.page(collection, limit="3")
    reader.page(collection, **(asked | {"limit": "5"}))

    first, again = reader.page(collection, **asked), reader.page(collection, **asked)

    assert first == again == reader.anew(collection, **asked)
    assert first.returned


def test_what_was_written_is_not_written_again(reader: Reader) -> None:
    reader.page("units", limit="20")
    assert len(reader.shown) == 1
    reader.page("units", limit="10")
    reader.page("units", limit="10", sortby="-code", filter=f"code = '{UNIT}' OR 1 = 2")
    few = reader.page("units", limit="20", skipGeometry="true")

    # What was shown in another way was never written in this one.
    assert len(reader.shown) == 3
    assert b'"geometry":null' in few.features


#: What may change of what a unit shows, far from the unit itself too.
CHANGES = {
    "its name": "UPDATE units SET name_en = :word WHERE code = :unit",
    "its floor's level": "UPDATE floors SET level_name = :word WHERE id ="
    " (SELECT floor_id FROM units WHERE code = :unit)",
    "its building's name": "UPDATE buildings SET name_zh = :word WHERE id ="
    " (SELECT building_id FROM units WHERE code = :unit)",
    "its parcel's code": "UPDATE parcels SET code = :word WHERE id ="
    " (SELECT parcel_id FROM buildings WHERE id ="
    " (SELECT building_id FROM units WHERE code = :unit))",
    "its park's name": "UPDATE parks SET name_en = :word WHERE id ="
    " (SELECT park_id FROM units WHERE code = :unit)",
    "its zone's name": "UPDATE zones SET name_en = :word WHERE :unit <> ''",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_shows_in_the_next_answer(
    own_seeded_engine: Engine, reader: Reader, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reader.page("units", **ALONE)
    write(own_seeded_engine, CHANGES[what], "Changed")
    after = reader.page("units", **ALONE)

    assert before.returned == 1
    assert b"Changed" not in before.features
    assert b"Changed" in after.features

    # The control: what is kept whatever the version shows what was.
    monkeypatch.setattr(Versions, "at", lambda *_: "always the same")
    stale = Reader(reader.engine)
    stale.page("units", **ALONE)
    write(own_seeded_engine, CHANGES[what], "Once more")
    assert b"Once more" in stale.anew("units", **ALONE).features
    assert b"Once more" not in stale.page("units", **ALONE).features


def lease(engine: Engine, **values: Any) -> None:
    with Session(engine) as session:
        unit = session.execute(select(Unit).where(Unit.code == UNIT)).scalar_one()
        make.make_claim(session, unit, date(2027, 6, 1), date(2028, 1, 1), **values)
        # As the ledger does with every claim.
        unit.version += 1
        session.commit()


def test_what_is_free_until_when_follows_the_ledger(
    own_seeded_engine: Engine, reader: Reader
) -> None:
    before = reader.page("free_space", **ALONE)
    lease(own_seeded_engine)
    after = reader.page("free_space", **ALONE)

    assert b'"free_until":null' in before.features
    assert b'"free_until":"2027-06-01"' in after.features


def test_a_hold_that_lapses_shows_though_nothing_is_written(
    own_seeded_engine: Engine, reader: Reader
) -> None:
    before = reader.page("free_space", **ALONE)
    now = datetime.now(UTC)
    lapses = Range(now - timedelta(seconds=1), now + timedelta(seconds=2))
    lease(own_seeded_engine, kind=ClaimKind.HOLD.value, live=lapses)
    held = reader.page("free_space", **ALONE)
    time.sleep(2.1)

    assert b'"free_until":"2027-06-01"' in held.features
    assert reader.page("free_space", **ALONE) == before


def test_what_a_transaction_has_itself_written_it_sees_and_nobody_else(
    own_seeded_engine: Engine, reader: Reader
) -> None:
    selection, shape = read_items(COLLECTIONS["units"], [*ALONE.items()], now=NOW)
    before = reader.page("units", **ALONE)
    with Session(own_seeded_engine) as session:
        session.execute(text(CHANGES["its name"]), said("Changed"))
        own = fetch_items(session, selection, shape, reader.kept)
        others = reader.page("units", **ALONE)
        session.rollback()

    assert b"Changed" in own.features
    assert others == before == reader.page("units", **ALONE)


def test_what_is_gone_between_finding_and_showing_is_left_out(
    own_seeded_engine: Engine, reader: Reader
) -> None:
    asked = {"filter": "code LIKE 'GONE-%'", "sortby": "code"}
    with Session(own_seeded_engine) as session:
        for number in range(3):
            make.make_parcel(session, code=f"GONE-{number}")
        session.commit()

    def take(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "string_agg" in statement:
            write(own_seeded_engine, "DELETE FROM parcels WHERE code = 'GONE-1'")

    event.listen(reader.engine, "before_cursor_execute", take)
    page = reader.page("parcels", **asked)

    assert page.returned == 2
    assert b"GONE-0" in page.features
    assert b"GONE-1" not in page.features
    assert reader.page("parcels", **asked) == reader.anew("parcels", **asked)


def test_who_asks_while_others_write_sees_all_that_was_committed_before(
    own_seeded_engine: Engine, reader: Reader
) -> None:
    """Each name is a number, and only rises: no answer is older than its question."""
    committed = 0

    def ask(_number: int) -> tuple[int, int]:
        least = committed
        text_ = reader.page("units", properties="name_en", **ALONE).features
        return least, int(text_.split(b'"name_en":"')[1].split(b'"')[0])

    write(own_seeded_engine, CHANGES["its name"], "0")
    with ThreadPoolExecutor(4) as pool:
        asked = []
        for number in range(1, 60):
            asked += [pool.submit(ask, number) for _ in range(4)]
            write(own_seeded_engine, CHANGES["its name"], f"{number}")
            committed = number
        seen = [one.result() for one in asked]

    assert all(found >= least for least, found in seen), seen
    assert len({found for _, found in seen}) > 5


def keep(kept: KeptFeatures, version: str, *rows: str, size: int = 1_000, way: str = "w") -> None:
    kept.keep(version, way, dict.fromkeys(rows, bytes(size)))


def test_no_more_is_kept_than_may_be_and_the_latest_stays() -> None:
    kept = KeptFeatures(most_bytes=3_000)
    keep(kept, "1", "a", "b")
    assert kept.find("1", "w", ["a"]) == [bytes(1_000)]
    keep(kept, "1", "c")

    assert [one is None for one in kept.find("1", "w", ["a", "b", "c"])] == [False, True, False]
    assert 2_000 < kept.bytes_kept <= 3_000
    keep(kept, "1", "d", size=10_000)
    assert kept.bytes_kept == 0, "what is larger than all that may be kept is not kept"


def test_each_version_and_each_way_of_showing_has_its_own() -> None:
    kept = KeptFeatures()
    keep(kept, "1", "a")
    keep(kept, "1", "a", way="other", size=7)

    assert kept.find("1", "other", ["a"]) == [bytes(7)]
    assert kept.find("2", "w", ["a"]) == [None]
    keep(kept, "2", "b")
    assert kept.find("1", "w", ["a"]) == [None]
    assert kept.find("2", "w", ["a", "b"]) == [None, bytes(1_000)]


def test_ways_of_showing_without_end_take_no_memory_without_end() -> None:
    kept = KeptFeatures()
    for number in range(5_000):
        keep(kept, "1", "a", way=f"{number}", size=1)

    assert kept.bytes_kept < 1_100 * 400
    assert kept.find("1", "4999", ["a"]) == [bytes(1)]
