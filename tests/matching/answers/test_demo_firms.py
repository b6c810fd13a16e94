"""The demonstration firms get the answers that a person who lets such space would give."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.main import create_app
from app.seeding.files import read_reference
from app.seeding.reference import ExpectedRow, RequestRow
from app.seeding.requests import request_id
from app.settings import Settings
from tests.conftest import ROOT, Databases
from tests.factories import staff_headers
from tests.routers.test_matches import FixedClock

REQUESTS = "/api/v1/space-requests"
ASKED = {row.code: row for row in read_reference(ROOT / "data").requests}
#: As many matches as are shown at most.
ALL = 100
Answer = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """A member of staff on the day the demonstration is set on."""

    client: TestClient
    headers: dict[str, str]

    def matches(self, request: str, **asked: Any) -> Answer:
        body = {"k": ALL, **asked}
        answer = self.client.post(f"{REQUESTS}/{request}/matches", headers=self.headers, json=body)
        assert answer.status_code == 200, answer.text
        found: Answer = answer.json()
        return found

    def asked_otherwise(self, row: RequestRow, **changes: Any) -> Answer:
        """The answer to another request of the same firm, which differs in these needs."""
        filed = self.client.get(f"{REQUESTS}/{request_id(row)}", headers=self.headers).json()
        body = {**filed["stated"], **changes}
        made = self.client.post(REQUESTS, headers=self.headers, json=body)
        assert made.status_code == 201, made.text
        return self.matches(made.json()["id"])


@pytest.fixture(scope="module")
def desk(databases: Databases, seeded_template: str) -> Iterator[Desk]:
    """Staff of all parks, over HTTP, on a copy of the reference data."""
    name = databases.create(seeded_template)
    engine = make_engine(databases.url(name), pool_size=8, statement_timeout_ms=60_000)
    with Session(engine) as session:
        headers = staff_headers(session)
        session.commit()
    app = create_app(engine, Settings(log_level="ERROR"))
    app.state.clock = FixedClock()
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Desk(client, headers)
    engine.dispose()
    databases.drop(name)


def complaints(expected: ExpectedRow, answer: Answer) -> list[str]:
    """What a person of the trade would say against an answer."""
    kinds = {item["kind"] for item in answer["items"]}
    shapes = {item["shape"] for item in answer["items"]}
    ways_out = [frozenset(one["needs"]) for one in answer["relaxations"]]
    blocking = frozenset(expected.blocking)
    found = []
    if (expected.outcome == "matches") != bool(answer["items"]):
        found.append(f"{len(answer['items'])} matches, where it should be {expected.outcome}")
    found += [f"no {kind} among them" for kind in expected.kinds if kind not in kinds]
    found += [f"no {shape} among them" for shape in expected.shapes if shape not in shapes]
    found += [
        f"{item['units'][0]['code']} breaks a need"
        for item in answer["items"]
        if not all(verdict["fits"] for verdict in item["margins"])
    ]
    if blocking and blocking not in ways_out:
        found.append(f"{sorted(blocking)} is no way out")
    found += [f"{sorted(one)} would do" for one in ways_out if one < blocking]
    return found


@pytest.mark.parametrize("code", ASKED)
def test_an_answer_is_the_one_expected(desk: Desk, code: str) -> None:
    answer = desk.matches(request_id(ASKED[code]))

    assert complaints(ASKED[code].expect, answer) == []


def test_another_request_s_answer_is_complained_about(desk: Desk) -> None:
    """Control arm: each expectation tells its own answer from one of another outcome."""
    fits = desk.matches(request_id(ASKED["car_t_pilot"]))
    refused = desk.matches(request_id(ASKED["surgical_robot_gene_island"]))

    for row in ASKED.values():
        assert complaints(row.expect, refused if row.expect.outcome == "matches" else fits)


def test_gene_island_s_upper_floors_are_refused_for_their_load_alone(desk: Desk) -> None:
    """350 kg/m² are 3.43 kN/m², and 7.5 are wanted; whatever is free there lacks nothing else."""
    row = ASKED["surgical_robot_gene_island"]
    answer = desk.matches(request_id(row), include_refused=ALL)
    free = [
        one
        for one in answer["refused"]
        if [reason["constraint"] for reason in one["reasons"]] == ["min_floor_load_kn_m2"]
    ]

    assert answer["items"] == []
    assert len(free) > 10
    for one in free:
        assert one["unit"]["park"]["code"] == "gene_island"
        assert one["unit"]["level_index"] > 0
        (reason,) = one["reasons"]
        assert (reason["have"], reason["need"], reason["margin"]) == (3.43, 7.5, -4.07)
        assert "3.43" in reason["words_zh"]
        assert "7.5" in reason["words_en"]
    # Control arms: what the floors carry is enough for others, and the ground floors carry more.
    lighter = desk.asked_otherwise(row, min_floor_load_kn_m2=3.4)
    below = desk.asked_otherwise(
        row, unit_type="pilot", min_area_m2=1000, max_area_m2=2000, term_months=48
    )
    assert all(item["units"][0]["level_index"] > 0 for item in lighter["items"])
    assert all(unit["level_index"] == 0 for item in below["items"] for unit in item["units"])
    assert lighter["items"]
    assert below["items"]


def test_firms_are_told_where_they_could_grow_when_their_pipeline_says_so(desk: Desk) -> None:
    growing = [row for row in ASKED.values() if row.then]

    assert len(growing) >= 5
    for row in growing:
        for item in desk.matches(request_id(row), k=5)["items"]:
            outlook = item["relay_outlook"]
            assert outlook["unit_type"] != item["units"][0]["unit_type"], row.code
            assert outlook["words_zh"]
            assert outlook["words_en"]
    # Control arm: whose pipeline ends with the request is told of none.
    still = desk.matches(request_id(ASKED["device_plant"]), k=5)["items"]
    assert [item["relay_outlook"] for item in still] == [None] * 5


def test_who_is_refused_is_told_what_would_have_to_give_way(desk: Desk) -> None:
    refused = [row for row in ASKED.values() if row.expect.outcome == "refused"]

    assert len(refused) >= 4
    for row in refused:
        answer = desk.matches(request_id(row))
        (way_out,) = (
            one for one in answer["relaxations"] if set(one["needs"]) == set(row.expect.blocking)
        )
        assert {one["constraint"] for one in way_out["amounts"]} == set(row.expect.blocking)
        assert way_out["units_freed"] + way_out["bundles_freed"] > 0
        assert way_out["words_zh"]
        assert way_out["words_en"]
