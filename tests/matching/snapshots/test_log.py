"""Every change of space is in the log, once for a building and transaction."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.matching.segment import Version
from app.matching.snapshots.changes import (
    Changes,
    changes_since,
    forget_changes_before,
    turned_between,
)
from app.matching.snapshots.load import connection_of, read_version
from app.models.space import Unit
from app.worker import CHANGES_RETENTION, make_worker
from tests.factories import make_claim, make_unit, staff_headers
from tests.logs import figures
from tests.matching.snapshots.worlds import DAY
from tests.transactions import number_of

_CLOSE = """
UPDATE claims SET live = tstzrange(lower(live), clock_timestamp()), closed_by = 'tests'
WHERE id = :id"""
_CLAIM = """
INSERT INTO claims (commitment_id, park_id, unit_id, kind, quantity, whole, period, live, placed_by)
SELECT gen_random_uuid(), park_id, id, 'works', capacity, true, daterange(:day, NULL),
    tstzrange(clock_timestamp(), NULL), 'tests' FROM units WHERE id = :id"""


def version_of(session: Session) -> Version:
    with connection_of(session) as connection:
        return read_version(connection)


@pytest.fixture
def unit(own_engine: Engine) -> Unit:
    with Session(own_engine, expire_on_commit=False) as session:
        made = make_unit(session)
        session.commit()
        return made


def noted(session: Session) -> int:
    return int(session.scalar(text("SELECT count(*) FROM space_changes")) or 0)


@pytest.mark.parametrize(
    "write",
    [
        _CLAIM,
        "UPDATE units SET version = version + 1 WHERE id = :id",
        "UPDATE units SET rent_cny_per_m2_day = 9 WHERE id = :id",
        "UPDATE floors SET clear_height_m = 3 WHERE id = (SELECT floor_id FROM units)",
        "UPDATE buildings SET steam = true",
        "UPDATE parcels SET land_use_code = 'M9'",
        "DELETE FROM units",
    ],
)
def test_plain_sql_is_noted_with_its_building(own_engine: Engine, unit: Unit, write: str) -> None:
    with Session(own_engine) as session:
        before = version_of(session)
        session.rollback()
        session.execute(text(write), {"id": unit.id, "day": DAY} if ":id" in write else {})
        session.commit()

        found = changes_since(session, before)

    assert found == Changes(False, frozenset({unit.building_id}))


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE parks SET special_goods_import_pilot = special_goods_import_pilot IS NOT true",
        "UPDATE zones SET code = 'another'",
        "TRUNCATE shared_facilities",
    ],
)
def test_what_concerns_every_building_is_noted_as_everything(
    own_engine: Engine, unit: Unit, write: str
) -> None:
    with Session(own_engine) as session:
        before = version_of(session)
        session.rollback()
        session.execute(text(write))
        session.commit()

        assert changes_since(session, before).everything


@pytest.mark.parametrize("table", ["zones", "parks", "parcels"])
def test_what_concerns_no_segment_is_not_noted(own_engine: Engine, unit: Unit, table: str) -> None:
    with Session(own_engine) as session:
        before = noted(session)
        session.execute(text(f"UPDATE {table} SET name_zh = '新'"))  # noqa: S608

        assert noted(session) == before


def test_many_writes_in_one_building_are_one_entry(own_engine: Engine, unit: Unit) -> None:
    with Session(own_engine) as session:
        before = noted(session)
        for step in range(5):
            session.execute(
                text(_CLAIM.replace("NULL),\n", "(:day + 1)),\n")),
                {"id": unit.id, "day": DAY + timedelta(days=2 * step)},
            )
        session.commit()

        assert noted(session) == before + 1


def test_a_claim_tells_who_made_and_who_closed_it(own_engine: Engine, unit: Unit) -> None:
    with Session(own_engine) as session:
        claim = make_claim(session, session.merge(unit), DAY, None)
        made = int(session.scalar(text("SELECT pg_current_xact_id()::text")))
        session.commit()
        session.execute(text(_CLOSE), {"id": claim.id})
        closed = int(session.scalar(text("SELECT pg_current_xact_id()::text")))
        session.commit()
        session.refresh(claim)

        assert (claim.made_xid, claim.closed_xid) == (made, closed)
        assert made < closed


def test_nobody_signs_for_another_transaction(own_engine: Engine, unit: Unit) -> None:
    with Session(own_engine) as session:
        claim = make_claim(session, session.merge(unit), DAY, None, made_xid=3, closed_xid=4)
        mine = int(session.scalar(text("SELECT pg_current_xact_id()::text")))
        session.refresh(claim)

        assert (claim.made_xid, claim.closed_xid) == (mine, None)


def test_a_log_that_was_shortened_says_that_something_may_be_missing(
    own_engine: Engine, unit: Unit
) -> None:
    with Session(own_engine) as session:
        early = version_of(session)
        session.rollback()
        for _ in range(3):
            session.execute(text("UPDATE units SET version = version + 1"))
            session.commit()
        late = version_of(session)
        assert not changes_since(session, early).everything
        session.rollback()
        now = session.execute(text("SELECT clock_timestamp()")).scalar_one()

        assert forget_changes_before(session, now) >= 2
        session.commit()

        assert changes_since(session, early).everything
        assert changes_since(session, late) == Changes(False, frozenset())
        # The next change is no reason to read all anew.
        session.execute(text("UPDATE units SET version = version + 1"))
        session.commit()
        assert changes_since(session, late).building_ids == {unit.building_id}
        assert not changes_since(session, late).everything


def test_rows_from_another_life_of_the_database_are_passed_over(
    own_engine: Engine, unit: Unit
) -> None:
    with Session(own_engine) as session:
        session.execute(
            text(
                "INSERT INTO space_changes (xid, building_id)"
                " VALUES ('99999999999', NULL), ('99999999998', :building)"
            ),
            {"building": unit.building_id},
        )
        session.commit()
        version = version_of(session)

        found = changes_since(session, version)

    assert found == Changes(False, frozenset())


def test_the_worker_shortens_the_log(own_engine: Engine, unit: Unit) -> None:
    old = datetime.now(UTC) - CHANGES_RETENTION - timedelta(hours=1)
    with Session(own_engine) as session:
        for _ in range(2):
            session.execute(text("UPDATE units SET version = version + 1"))
            session.commit()
        session.execute(text("UPDATE space_changes SET changed_at = :old"), {"old": old})
        session.commit()
        session.execute(text("UPDATE units SET version = version + 1"))
        session.commit()
    url = own_engine.url.render_as_string(hide_password=False)

    with make_worker(own_engine, url).open() as queue:
        queue.configure_task("forget_space_changes").defer(timestamp=0)
        queue.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)

    with Session(own_engine) as session:
        # The last that is forgotten tells where the log begins.
        assert noted(session) == 2


def test_a_lapse_is_found_by_its_instant(own_engine: Engine, unit: Unit) -> None:
    with Session(own_engine) as session:
        now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        ends = now + timedelta(hours=1)
        make_claim(session, session.merge(unit), DAY, None, kind="hold", live=Range(now, ends))
        session.commit()

        just = timedelta(microseconds=1)
        assert turned_between(session, now, ends - just) == set()
        assert turned_between(session, ends - just, ends) == {unit.building_id}
        assert turned_between(session, ends, ends + timedelta(days=1)) == set()


def test_a_write_tells_by_which_number_it_is_seen(
    own_engine: Engine, unit: Unit, make_client: Callable[[Any], TestClient]
) -> None:
    client = make_client(own_engine)
    with Session(own_engine) as session:
        headers = staff_headers(session)
        session.commit()
    body = {
        "kind": "works",
        "units": [{"unit_id": str(unit.id)}],
        "from": DAY.isoformat(),
        "until": (DAY + timedelta(days=30)).isoformat(),
    }

    answer = client.post("/api/v1/works", json=body, headers=headers)

    assert answer.status_code == 201, answer.text
    number = number_of(client, answer)
    with Session(own_engine) as session:
        made = session.scalar(text("SELECT made_xid::text FROM claims"))
        assert int(made) == number
        begun = time.monotonic()
        snapshot = client.app.state.snapshots.at_least(session, number)  # type: ignore[attr-defined]
    assert snapshot.version.sees(number)
    assert time.monotonic() - begun < 60
    assert client.get("/readyz").json()["checks"]["snapshot"] == "ok"
    assert "space_relay_snapshot_age_seconds" in figures(client)


def test_a_snapshot_that_fell_behind_is_not_ready(
    own_engine: Engine, unit: Unit, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(own_engine, snapshot_age_max_seconds=0.05)
    with Session(own_engine) as session:
        client.app.state.snapshots.current(session)  # type: ignore[attr-defined]
    client.app.state.snapshots.close()  # type: ignore[attr-defined]
    time.sleep(0.3)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["snapshot"].startswith("not known to be true for")
