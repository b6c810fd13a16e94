"""What changed for open requests: told once, in both directions, with what turned."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from time import sleep
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.demand.rules import load_rules
from app.kernel.terms import ClaimKind
from app.matching.answers import watching
from app.matching.answers.fit_out import load_fit_out
from app.matching.answers.question import Tables
from app.matching.answers.watching import watch
from app.models.match import MatchEvent
from app.models.space import Unit
from app.worker import make_worker
from tests.conftest import ROOT
from tests.factories import (
    ANY,
    firm_headers,
    make_claim,
    make_company,
    make_floor,
    make_unit,
    staff_headers,
)
from tests.routers.test_matches import CAR_T, FIT, REQUESTS, at_fixed_day

TABLES = Tables(load_rules(ROOT / "data"), load_fit_out(ROOT / "data"))
NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
Events = list[dict[str, Any]]


class World:
    """A database of the test's own, with one floor of three units and one request."""

    def __init__(self, engine: Engine, client: TestClient) -> None:
        self.engine, self.client = engine, client
        with Session(engine, expire_on_commit=False) as session:
            floor = make_floor(session)
            self.units: list[Unit] = [
                make_unit(session, floor=floor, slot=slot, slots=3, **FIT) for slot in range(3)
            ]
            self.company = make_company(session)
            self.firm = firm_headers(session, self.company)
            self.staff = staff_headers(session)
            session.commit()
        self.watch()

    def ask(self, **form: Any) -> str:
        made = at_fixed_day(self.client).post(REQUESTS, headers=self.firm, json=CAR_T | form)
        assert made.status_code == 201, made.text
        self.watch()
        return str(made.json()["id"])

    def watch(self) -> int:
        with Session(self.engine) as session, transaction(session):
            return watch(session, tables=TABLES, now=NOW)

    def events(self, request_id: str, **asked: Any) -> Events:
        """Newest first, as the firm sees them."""
        answer = self.client.get(
            f"{REQUESTS}/{request_id}/match-events", headers=self.firm, params=asked
        )
        assert answer.status_code == 200, answer.text
        found: Events = answer.json()["items"]
        return found

    def change(self, statement: str, **values: Any) -> None:
        with Session(self.engine) as session, transaction(session):
            session.execute(text(statement), values)

    def let(self, unit: Unit, until: date | None = None, **values: Any) -> None:
        with Session(self.engine) as session, transaction(session):
            started = {"live": Range(datetime.now(UTC), None)}
            make_claim(session, unit, date(2026, 12, 1), until, **(started | values))


@pytest.fixture
def world(own_engine: Engine, make_client: Callable[[Engine], TestClient]) -> World:
    return World(own_engine, make_client(own_engine))


def test_a_better_floor_is_told_once_with_the_constraint_that_turned(world: World) -> None:
    world.change("UPDATE units SET biosafety_level = 1")
    world.watch()
    request = world.ask()
    assert world.events(request) == []
    unit = world.units[0]

    world.change("UPDATE units SET biosafety_level = 2 WHERE id = :id", id=unit.id)

    assert world.watch() == 1
    (event,) = world.events(request)
    assert (event["kind"], event["candidate_kind"]) == ("fits", "unit")
    assert event["units"] == [{"id": str(unit.id), "code": unit.code}]
    (change,) = event["changes"]
    assert change["constraint"] == "biosafety_level"
    assert change["before_zh"] == "生物安全等级 1，要求不低于 2，相差 1"
    assert change["after_zh"].endswith("余量 0")
    assert event["first_day"] == "2027-01-01"
    assert "现符合该需求" in event["words_zh"]
    assert "before: biosafety level" in event["words_en"]
    assert world.watch() == 0
    assert len(world.events(request)) == 1


def test_what_is_let_fits_no_more_and_what_falls_free_fits_again(world: World) -> None:
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    unit = world.units[1]

    world.let(unit)
    world.watch()
    (gone,) = world.events(request)
    world.change(
        "UPDATE claims SET live = tstzrange(lower(live), clock_timestamp()), closed_by = 'tests'"
    )
    world.watch()

    assert gone["kind"] == "fits_no_more"
    assert [one["constraint"] for one in gone["changes"]] == ["availability"]
    assert "没有连续" in gone["changes"][0]["after_zh"]
    again = world.events(request)[0]
    assert (again["kind"], again["units"]) == ("fits", gone["units"])
    tenant = str(gone) + str(again)
    assert "测试企业" not in tenant


def test_what_the_firm_takes_itself_is_no_loss_to_it(world: World) -> None:
    request = world.ask(min_area_m2=1500, max_area_m2=2500)

    world.let(world.units[1], company_id=world.company.id)
    world.watch()
    assert world.events(request) == []

    # The control: what another takes is one.
    world.let(world.units[2])
    world.watch()
    (gone,) = world.events(request)
    assert [one["id"] for one in gone["units"]] == [str(world.units[2].id)]


def test_a_hold_that_lapses_is_a_change_though_nobody_writes(world: World) -> None:
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    lapses = datetime.now(UTC)
    world.let(
        world.units[2],
        kind=ClaimKind.HOLD.value,
        live=Range(
            lapses.replace(year=2026, month=1),
            datetime.fromtimestamp(lapses.timestamp() + 1.2, UTC),
        ),
    )
    world.watch()
    assert [one["kind"] for one in world.events(request)] == ["fits_no_more"]

    with Session(world.engine) as session:
        session.execute(text("SELECT pg_sleep(1.3)"))

    assert world.watch() == 1
    assert [one["kind"] for one in world.events(request)] == ["fits", "fits_no_more"]


def test_bundles_come_and_go_with_their_units(world: World) -> None:
    request = world.ask(min_area_m2=3900, max_area_m2=4100)
    world.let(world.units[1])
    world.watch()
    world.change(
        "UPDATE claims SET live = tstzrange(lower(live), clock_timestamp()), closed_by = 'tests'"
    )
    world.watch()

    come, *gone = world.events(request)

    assert (come["kind"], come["candidate_kind"]) == ("fits", "bundle")
    assert len(come["units"]) == 2
    assert world.units[1].code in [one["code"] for one in come["units"]]
    assert {one["kind"] for one in gone} == {"fits_no_more"}


def test_an_edited_request_says_what_fits_now(world: World) -> None:
    request = world.ask()
    body = {"biosafety_level": 3, "stage": "phase_1", "modality": "car_t", "from": "2027-01-01"}

    edited = world.client.put(
        f"{REQUESTS}/{request}/needs",
        headers=world.firm | ANY,
        json={key: body[key] for key in ("biosafety_level", "from")},
    )
    assert edited.status_code == 200, edited.text
    assert world.watch() == 1

    (event,) = world.events(request)
    assert event["kind"] == "request_changed"
    assert event["request_version"] == edited.json()["version"]
    changed = {one["constraint"]: one for one in event["changes"]}
    assert changed["biosafety_level"]["after_zh"] == "生物安全等级：3"
    assert "现有 0 处空间符合，此前 3 处" in event["words_zh"]
    assert world.watch() == 0


def test_new_units_and_units_that_are_no_more_are_told(world: World) -> None:
    request = world.ask(min_area_m2=900, max_area_m2=1100)
    code = world.units[0].code
    split = world.client.post(
        f"/api/v1/units/{code}/split",
        headers=world.staff,
        json={
            "effective_on": "2026-12-01",
            "shares": [0.5, 0.5],
            "children": [{"code": f"{code}-1"}, {"code": f"{code}-2"}],
            "reason": "tests",
        },
    )
    assert split.is_success, split.text

    world.watch()

    come = [one for one in world.events(request) if one["candidate_kind"] == "unit"]
    assert {one["units"][0]["code"] for one in come} == {f"{code}-1", f"{code}-2"}
    assert all("此前没有这一空间" in one["words_zh"] for one in come)


def test_events_come_page_by_page_and_to_their_firm_alone(world: World) -> None:
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    for unit in world.units:
        world.let(unit)
        world.watch()
    path = f"{REQUESTS}/{request}/match-events"

    first = world.client.get(path, headers=world.firm, params={"limit": 2}).json()
    rest = world.client.get(
        path, headers=world.firm, params={"limit": 2, "cursor": first["next_cursor"]}
    ).json()

    events = [*first["items"], *rest["items"]]
    assert len({one["id"] for one in events}) == 3
    assert [one["at"] for one in events] == sorted((one["at"] for one in events), reverse=True)
    assert rest["next_cursor"] is None
    with Session(world.engine) as session:
        stranger = firm_headers(session, make_company(session))
        session.commit()
    assert world.client.get(path, headers=stranger).status_code == 404
    assert world.client.get(path).status_code == 401


def test_the_first_look_tells_nothing_and_the_worker_looks(world: World) -> None:
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    world.let(world.units[0])
    url = world.engine.url.render_as_string(hide_password=False)

    with make_worker(world.engine, url).open() as queue:
        queue.configure_task("watch_requests").defer(timestamp=0)
        queue.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)

    assert [one["kind"] for one in world.events(request)] == ["fits_no_more"]
    with Session(world.engine) as session:
        session.execute(text("DELETE FROM match_watches"))
        session.commit()
    world.let(world.units[1])
    assert world.watch() == 0


def test_a_transaction_that_commits_late_is_not_missed(world: World) -> None:
    """It wrote before the look and committed after it: by sequence or clock it would be behind."""
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    with Session(world.engine) as late:
        late.execute(
            text("UPDATE units SET biosafety_level = 1 WHERE id = :id"), {"id": world.units[0].id}
        )
        world.let(world.units[1])
        world.watch()
        late.commit()
    world.watch()

    kinds = {one["units"][0]["code"]: one["kind"] for one in world.events(request)}

    assert kinds == dict.fromkeys((world.units[0].code, world.units[1].code), "fits_no_more")


def test_the_control_a_watch_by_the_clock_misses_what_commits_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_NOW", "SELECT pg_current_snapshot()::text, clock_timestamp()")
    world.watch()
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    with Session(world.engine) as late:
        late.execute(
            text("UPDATE units SET biosafety_level = 1 WHERE id = :id"), {"id": world.units[0].id}
        )
        world.watch()
        late.commit()
    world.watch()

    assert world.events(request) == []


def test_the_same_state_is_never_told_twice(world: World) -> None:
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    for _ in range(3):
        world.let(world.units[0])
        world.watch()
        world.change(
            "UPDATE claims SET live = tstzrange(lower(live), clock_timestamp()),"
            " closed_by = 'tests' WHERE closed_by IS NULL"
        )
        world.change("UPDATE units SET rent_cny_per_m2_day = rent_cny_per_m2_day + 0.1")
        world.watch()
        assert world.watch() == 0

    with Session(world.engine) as session:
        kinds = session.scalars(
            select(MatchEvent.kind).where(MatchEvent.request_id == request).order_by(MatchEvent.id)
        ).all()
    assert kinds == ["fits_no_more", "fits"] * 3


def test_time_does_not_run_backwards_for_a_transaction_that_began_long_ago(world: World) -> None:
    request = world.ask(min_area_m2=1500, max_area_m2=2500)
    with Session(world.engine) as slow:
        slow.execute(text("SELECT 1"))  # begun, and nothing written yet
        with Session(world.engine) as session:
            lapses = datetime.now(UTC) + timedelta(seconds=0.5)
            live = Range(datetime(2026, 1, 1, tzinfo=UTC), lapses)
            make_claim(
                session,
                world.units[0],
                date(2026, 12, 1),
                None,
                kind=ClaimKind.HOLD.value,
                live=live,
            )
            session.commit()
        world.watch()
        sleep(0.8)
        world.watch()
        told = len(world.events(request))
        slow.execute(text("SELECT pg_current_xact_id()"))  # it writes only now
        world.change(
            "UPDATE units SET clear_height_m = clear_height_m + 0.01 WHERE id = :id",
            id=world.units[2].id,
        )
        world.watch()
        slow.commit()
    world.watch()
    assert len(world.events(request)) == told


def test_who_wants_no_bundle_is_told_of_none(world: World) -> None:
    request = world.ask(min_area_m2=3500, max_rent_cny_per_m2_day=0.1)

    def bundles_opened(kinds: list[str]) -> int:
        answer = world.client.post(
            f"{REQUESTS}/{request}/matches", headers=world.firm, json={"kinds": kinds}
        )
        return sum(one["bundles_freed"] for one in answer.json()["relaxations"])

    assert bundles_opened(["unit"]) == 0
    assert bundles_opened(["unit", "bundle"]) > 0
