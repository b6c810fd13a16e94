"""Free space over HTTP: what counts as free, every filter, every order, pages, formats, totals."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.database.paging import PageRequest
from app.kernel.clock import civil_day
from app.ledger.asked import FreeSpaceSearch, FreeSpaceSort
from app.ledger.free_space import free_space_statement
from app.models.programme import Programme, ProgrammeBuilding
from app.models.space import Unit
from app.routers.free_space import FreeSpaceList
from tests import factories as make

URL = "/api/v1/free-space"
SEARCH = f"{URL}/search"
FROM = {"from": "2027-01-01"}


def items(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def codes(answer: Any) -> list[str]:
    return [item["code"] for item in items(answer)]


def strips(session: Session, count: int, values: list[dict[str, Any]] | None = None) -> list[Unit]:
    """Units side by side on one floor."""
    floor = make.make_floor(session)
    chosen = values or [{}] * count
    return [
        make.make_unit(session, floor=floor, slot=slot, slots=count, **chosen[slot])
        for slot in range(count)
    ]


# ---- what counts as free


def test_the_answer_keeps_to_its_schema_and_names_no_tenant(
    client: TestClient, session: Session
) -> None:
    unit, tenant = make.make_unit(session), make.make_company(session)
    make.make_claim(session, unit, date(2026, 1, 1), date(2027, 3, 1), company_id=tenant.id)
    session.commit()

    answer = client.get(
        URL, params={**FROM, "free_by": "2027-06-01", "totals": True, "near": "121.6,31.2"}
    )

    FreeSpaceList.model_validate_json(answer.content)
    (item,) = items(answer)
    assert (item["free_from"], item["free_until"]) == ("2027-03-01", None)
    assert item["free_quantity"] == item["capacity"] == 2000
    assert item["park"]["name_zh"].startswith("测试园")
    assert item["floor"]["level_name"] == "1F"
    assert [area["standard"] for area in item["areas"]] == ["leasable", "internal", "geometric"]
    assert item["synthetic"] is True
    for secret in (tenant.name_zh, tenant.name_en or "", str(tenant.id), "company", "commitment"):
        assert secret not in answer.text


#: Leased on these days; then asked for these; free from, free until (None: not listed).
TAKEN = [("2027-02-01", "2027-03-01"), ("2027-03-11", "2027-06-01")]
STRETCHES: list[tuple[dict[str, Any], tuple[str, str | None] | None]] = [
    ({"from": "2027-01-01"}, ("2027-01-01", "2027-02-01")),
    ({"from": "2027-01-31"}, ("2027-01-31", "2027-02-01")),
    ({"from": "2027-02-01"}, None),
    ({"from": "2027-02-01", "free_by": "2027-02-28"}, None),
    ({"from": "2027-02-01", "free_by": "2027-03-01"}, ("2027-03-01", "2027-03-11")),
    ({"from": "2027-02-01", "until": "2027-03-01"}, None),
    ({"from": "2027-02-01", "until": "2027-03-02"}, ("2027-03-01", "2027-03-11")),
    ({"from": "2027-02-01", "until": "2027-03-02", "free_by": "2027-02-20"}, None),
    ({"from": "2027-01-01", "min_days": 31}, ("2027-01-01", "2027-02-01")),
    ({"from": "2027-01-01", "min_days": 32}, None),
    ({"from": "2027-01-01", "until": "2028-01-01", "min_days": 32}, ("2027-06-01", None)),
    ({"from": "2027-01-01", "until": "2027-06-01", "min_days": 32}, None),
    ({"from": "2027-03-01", "min_days": 10}, ("2027-03-01", "2027-03-11")),
    ({"from": "2027-03-02", "min_days": 10}, None),
    ({"from": "2027-08-01", "min_days": 36525}, ("2027-08-01", None)),
]


@pytest.mark.parametrize(("asked", "expected"), STRETCHES)
def test_the_first_stretch_that_starts_in_time_and_lasts_long_enough(
    client: TestClient,
    session: Session,
    asked: dict[str, Any],
    expected: tuple[str, str | None] | None,
) -> None:
    unit = make.make_unit(session)
    for start, end in TAKEN:
        make.make_claim(session, unit, date.fromisoformat(start), date.fromisoformat(end))
    session.commit()

    found = items(client.get(URL, params=asked))

    assert [(item["free_from"], item["free_until"]) for item in found] == (
        [expected] if expected else []
    )


def test_from_is_today_in_shanghai_unless_told(client: TestClient, session: Session) -> None:
    make.make_unit(session)
    session.commit()
    before = civil_day(datetime.now(UTC))

    (item,) = items(client.get(URL))

    assert item["free_from"] in {str(before), str(civil_day(datetime.now(UTC)))}


def test_a_unit_is_free_only_while_it_is_usable(client: TestClient, session: Session) -> None:
    make.make_unit(session, usable=Range(date(2027, 7, 1), date(2028, 1, 1)))
    session.commit()

    assert items(client.get(URL, params=FROM)) == []
    (item,) = items(client.get(URL, params={**FROM, "until": "2029-01-01"}))
    assert (item["free_from"], item["free_until"]) == ("2027-07-01", "2028-01-01")
    assert items(client.get(URL, params={"from": "2028-01-01"})) == []


def test_free_quantity_is_what_is_free_all_through_the_window(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    make.make_claim(session, unit, date(2027, 3, 1), date(2027, 4, 1), quantity=Decimal(600))
    make.make_claim(session, unit, date(2027, 5, 1), date(2027, 6, 1), quantity=Decimal(1500))
    session.commit()

    def free(**asked: Any) -> tuple[str, str | None, float] | None:
        found = items(client.get(URL, params={**FROM, **asked}))
        return next(((i["free_from"], i["free_until"], i["free_quantity"]) for i in found), None)

    assert free() == ("2027-01-01", None, 500)
    assert free(until="2027-05-01") == ("2027-01-01", None, 1400)
    assert free(until="2027-03-01") == ("2027-01-01", None, 2000)
    assert free(min_quantity=501) == ("2027-01-01", "2027-05-01", 1400)
    assert free(min_area_m2=1401) == ("2027-01-01", "2027-03-01", 2000)
    assert free(min_area_m2=1401, min_days=60) is None
    assert free(min_area_m2=1401, min_days=60, free_by="2027-06-01") == ("2027-06-01", None, 2000)
    assert free(min_quantity=2001) is None


def test_places_count_with_their_share_of_the_room(client: TestClient, session: Session) -> None:
    room = make.make_unit(
        session,
        capacity_measure="place",
        capacity=Decimal(10),
        divisible=True,
        min_part=Decimal(1),
        area_m2="100.00",
    )
    make.make_claim(session, room, date(2026, 1, 1), None, quantity=Decimal(7))
    session.commit()

    def found(**asked: Any) -> int:
        return len(items(client.get(URL, params={**FROM, **asked})))

    assert [found(min_quantity=3), found(min_quantity=4)] == [1, 0]
    assert [found(min_area_m2=30), found(min_area_m2=30.01)] == [1, 0]
    assert [found(max_area_m2=10), found(max_area_m2=9.99)] == [1, 0]


def test_what_was_known_then(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    now = datetime.now(UTC)
    hold = Range(now - timedelta(days=20), now - timedelta(days=10))
    make.make_claim(session, unit, date(2027, 1, 1), date(2027, 6, 1), kind="hold", live=hold)
    signed = Range(now - timedelta(days=5), None)
    make.make_claim(session, unit, date(2027, 1, 1), date(2028, 1, 1), live=signed)
    session.commit()

    def free_from(days_ago: int) -> str:
        asked = {**FROM, "until": "2030-01-01"}
        asked["as_of"] = (now - timedelta(days=days_ago)).isoformat()
        (item,) = items(client.get(URL, params=asked))
        return str(item["free_from"])

    assert [free_from(days) for days in (21, 20, 11, 10, 6, 5, 0)] == [
        "2027-01-01",
        "2027-06-01",
        "2027-06-01",
        "2027-01-01",
        "2027-01-01",
        "2028-01-01",
        "2028-01-01",
    ]


# ---- filters


@pytest.mark.parametrize(
    ("values", "hits", "misses"),
    [
        ({"unit_type": "production"}, {"type": "production"}, {"type": "pilot"}),
        ({}, {"type": ["pilot", "hq_rd"]}, {"type": ["hq_rd", "incubation"]}),
        ({}, {"min_area_m2": 2000}, {"min_area_m2": "2000.01"}),
        ({}, {"max_area_m2": 2000}, {"max_area_m2": "1999.99"}),
        ({}, {"min_quantity": 2000}, {"min_quantity": 2001}),
        (
            {"divisible": True, "min_part": Decimal(100)},
            {"max_area_m2": 100},
            {"max_area_m2": 99},
        ),
        ({}, {"min_floor_load_kn_m2": "7.85"}, {"min_floor_load_kn_m2": "7.86"}),
        ({}, {"min_clear_height_m": "5.2"}, {"min_clear_height_m": "5.21"}),
        ({"floor_load_kn_m2": None}, {}, {"min_floor_load_kn_m2": "0.01"}),
        (
            {"power_density_w_m2": Decimal(90)},
            {"min_power_density_w_m2": 90},
            {"min_power_density_w_m2": 91},
        ),
        ({"power_kva": Decimal(400)}, {"min_power_kva": 400}, {"min_power_kva": 401}),
        ({"cleanroom_grade": "B"}, {"cleanroom_grade": "C"}, {"cleanroom_grade": "A"}),
        ({"cleanroom_grade": "B"}, {"cleanroom_grade": "B"}, {"cleanroom_grade": "A"}),
        ({}, {}, {"cleanroom_grade": "D"}),
        ({"biosafety_level": 2}, {"min_biosafety_level": 2}, {"min_biosafety_level": 3}),
        ({}, {"ground_floor": True}, {"ground_floor": False}),
        ({"freight_lift_t": Decimal(3)}, {"freight_lift": True}, {"freight_lift": False}),
        ({}, {"freight_lift": False}, {"freight_lift": True}),
        ({"freight_lift_t": Decimal(3)}, {"min_freight_lift_t": 3}, {"min_freight_lift_t": 4}),
        ({"fire_hazard_class": "yi"}, {"fire_hazard_class": "bing"}, {"fire_hazard_class": "jia"}),
        ({"fire_hazard_class": "yi"}, {"fire_hazard_class": "yi"}, {"fire_hazard_class": "jia"}),
        ({}, {"max_rent_cny_per_m2_day": 3}, {"max_rent_cny_per_m2_day": "2.99"}),
        ({"rent_cny_per_m2_day": None}, {}, {"max_rent_cny_per_m2_day": 99}),
        ({}, {"bbox": "121.5,31.1,121.7,31.3"}, {"bbox": "121.7,31.3,121.8,31.4"}),
        (
            {},
            {"near": "121.605,31.205", "within_m": 2000},
            {"near": "121.7,31.205", "within_m": 2000},
        ),
    ],
)
def test_a_filter_lets_through_what_fits_and_nothing_else(
    client: TestClient,
    session: Session,
    values: dict[str, Any],
    hits: dict[str, Any],
    misses: dict[str, Any],
) -> None:
    unit = make.make_unit(session, **values)
    session.commit()

    def as_body(asked: dict[str, Any]) -> dict[str, Any]:
        body = dict(asked)
        for name in ("bbox", "near"):
            if name in body:
                body[name] = [float(part) for part in body[name].split(",")]
        if isinstance(body.get("type"), str):
            body["type"] = [body["type"]]
        return {**FROM, **body}

    assert codes(client.get(URL, params={**FROM, **hits})) == [unit.code]
    assert codes(client.get(URL, params={**FROM, **misses})) == []
    assert codes(client.post(SEARCH, json=as_body(hits))) == [unit.code]
    assert codes(client.post(SEARCH, json=as_body(misses))) == []


def test_zone_park_and_programme_reach_what_is_nested_in_them(
    client: TestClient, session: Session
) -> None:
    park = make.make_park(session)
    inner = make.make_park(session, parent_park_id=park.id)  # in a zone of its own
    outer_unit = make.make_unit(session, floor=_floor_in(session, park.id))
    inner_unit = make.make_unit(session, floor=_floor_in(session, inner.id))
    make.make_unit(session)
    programme = make.add(session, _programme("plan", None))
    project = make.add(session, _programme("project", programme.id))
    make.add(
        session, ProgrammeBuilding(programme_id=project.id, building_id=inner_unit.building_id)
    )
    zone = park.zone_id
    session.commit()
    both, only_inner = sorted([outer_unit.code, inner_unit.code]), [inner_unit.code]

    for asked, expected in (
        ({"park": park.code}, both),
        ({"park": str(park.id)}, both),
        ({"park": inner.code}, only_inner),
        ({"zone": str(zone)}, both),
        ({"zone": str(inner.zone_id)}, only_inner),
        ({"programme": "plan"}, only_inner),
        ({"programme": str(project.id)}, only_inner),
        ({"programme": "project", "park": park.code}, only_inner),
    ):
        assert sorted(codes(client.get(URL, params={**FROM, **asked}))) == expected, asked


def _floor_in(session: Session, park_id: Any) -> Any:
    parcel = make.make_parcel(session, park_id=park_id)
    return make.make_floor(session, building=make.make_building(session, parcel=parcel))


def _programme(code: str, parent: Any) -> Programme:
    return Programme(
        code=code, parent_programme_id=parent, name_zh=code, name_en=code, seq=1, **make.MADE_UP
    )


@pytest.mark.parametrize("name", ["zone", "park", "programme"])
def test_a_place_that_does_not_exist_is_said_so(client: TestClient, name: str) -> None:
    for value in ("nowhere", str(uuid4())):
        answer = client.get(URL, params={name: value})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == name
        posted = client.post(SEARCH, json={name: value})
        assert posted.json()["errors"][0]["pointer"] == f"/{name}"


def test_unknown_places_are_said_all_at_once_whatever_else_is_found(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    session.commit()
    asked = {**FROM, "park": str(unit.park_id)}

    assert codes(client.get(URL, params=asked)) == [unit.code]
    answer = client.get(URL, params={**asked, "zone": "nowhere", "programme": "none"})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-input")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["zone", "programme"]


def test_a_polygon_finds_what_it_touches(client: TestClient, session: Session) -> None:
    units = strips(session, 3)
    west, south, east, north = _bounds(session, units[0])
    middle = [
        [west, south],
        [(west + east) / 2, south],
        [(west + east) / 2, north],
        [west, north],
        [west, south],
    ]
    session.commit()

    for kind, coordinates in (("Polygon", [middle]), ("MultiPolygon", [[middle]])):
        polygon = {"type": kind, "coordinates": coordinates}
        assert codes(client.post(SEARCH, json={**FROM, "polygon": polygon})) == [units[0].code]


def _bounds(session: Session, unit: Unit) -> tuple[float, float, float, float]:
    found = session.execute(
        select(
            func.ST_XMin(Unit.geom),
            func.ST_YMin(Unit.geom),
            func.ST_XMax(Unit.geom),
            func.ST_YMax(Unit.geom),
        ).where(Unit.id == unit.id)
    ).one()
    return found[0], found[1], found[2], found[3]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"until": "2027-01-01"}, "until"),
        ({"until": "2026-01-01"}, "until"),
        ({"free_by": "2026-12-31"}, "free_by"),
        ({"min_days": 0}, "min_days"),
        ({"min_area_m2": 10, "max_area_m2": 9}, "max_area_m2"),
        ({"sort": "distance"}, "sort"),
        ({"sort": "code; drop table units"}, "sort"),
        ({"within_m": 10}, "within_m"),
        ({"near": "31.2,121.6"}, "near"),
        ({"near": "121.6"}, "near"),
        ({"bbox": "121.7,31.1,121.5,31.3"}, "bbox"),
        ({"bbox": "121.5,31.1,121.7"}, "bbox"),
        # Latitude first: no place on Earth, and not one where nothing is free.
        ({"bbox": "31,121,32,122"}, "bbox"),
        ({"as_of": "2999-01-01T00:00:00Z"}, "as_of"),
        ({"as_of": "2026-01-01T00:00:00"}, "as_of"),
        ({"type": "palace"}, "type"),
        ({"min_floor_load": 5}, "min_floor_load"),
        ({"status": "vacant"}, "status"),
        ({"from": "9999-12-31"}, "from"),
        ({"cursor": "bm8"}, "cursor"),
        ({"limit": 0}, "limit"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    client: TestClient, asked: dict[str, Any], pointer: str
) -> None:
    answer = client.get(URL, params={**FROM, **asked})

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_bad_polygon_is_refused_with_a_pointer(client: TestClient) -> None:
    bow_tie = [[121.5, 31.1], [121.7, 31.3], [121.7, 31.1], [121.5, 31.3], [121.5, 31.1]]

    answer = client.post(SEARCH, json={"polygon": {"type": "Polygon", "coordinates": [bow_tie]}})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-shape")
    assert answer.json()["errors"][0]["pointer"] == "/polygon/coordinates"
    not_a_number = b'{"polygon": {"type": "Polygon", "coordinates": [[[NaN, 31], [1e999, 31]]]}}'
    answer = client.post(SEARCH, content=not_a_number, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}


# ---- orders and pages


@pytest.mark.parametrize("sort", list(FreeSpaceSort))
def test_every_order_pages_without_loss_and_in_order(
    client: TestClient, session: Session, sort: FreeSpaceSort
) -> None:
    rents: list[Decimal | None] = [Decimal(3), None, Decimal(1), Decimal(2), None, Decimal(2)]
    areas = ["2000.00", "500.00", "500.00", "900.00", "2000.00", "100.00"]
    units = strips(
        session,
        6,
        [
            {"rent_cny_per_m2_day": rent, "area_m2": area}
            for rent, area in zip(rents, areas, strict=True)
        ],
    )
    for number in (0, 2, 3):
        make.make_claim(session, units[number], date(2027, 1, 1), date(2027, 2 + number, 1))
    session.commit()
    asked: dict[str, Any] = {
        **FROM,
        "until": "2028-01-01",
        "sort": sort.value,
        "near": "121.59,31.2",
    }

    whole = items(client.get(URL, params=asked))
    paged: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = client.get(
            URL, params={**asked, "limit": 2} | ({"cursor": cursor} if cursor else {})
        )
        paged += items(page)
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break

    assert paged == whole
    assert len({item["id"] for item in whole}) == 6

    def key(item: dict[str, Any]) -> tuple[Any, ...]:
        rent = item["rent_cny_per_m2_day"]
        first: Any = {
            "area": item["leasable_area_m2"],
            "-area": -item["leasable_area_m2"],
            "rent": (rent is None, rent),
            "-rent": (rent is None, -(rent or 0)),
            "free_from": item["free_from"],
            "distance": item["distance_m"],
            "code": 0,
        }[sort.value]
        return (first, item["code"])

    if not sort.value.startswith("-"):
        assert whole == sorted(whole, key=key)
    else:
        assert [key(item)[0] for item in whole] == sorted(key(item)[0] for item in whole)


def test_a_cursor_belongs_to_its_filters(client: TestClient, session: Session) -> None:
    strips(session, 3)
    session.commit()
    cursor = client.get(URL, params={**FROM, "limit": 1}).json()["next_cursor"]

    assert len(items(client.get(URL, params={**FROM, "cursor": cursor}))) == 2
    stray = client.get(URL, params={**FROM, "type": "pilot", "cursor": cursor})
    assert stray.status_code == 422


@pytest.mark.parametrize("f", ["json", "geojson"])
def test_what_the_units_listing_shows_too_is_the_same_here(
    seeded_client: TestClient, f: str
) -> None:
    asked = {"from": "2027-01-01", "until": "2028-01-01", "f": f, "limit": "40"}
    answered = {"near": "121.6,31.2", "sort": "distance"}
    free = seeded_client.get(URL, params={**asked, **answered}).json()
    rows = free["items" if f == "json" else "features"]
    assert len(rows) == 40

    for row in rows:
        key = row["code"] if f == "json" else row["properties"]["code"]
        unit = seeded_client.get(f"/api/v1/units/{key}", params={"f": f}).json()
        if f == "geojson":
            assert row["geometry"] == unit["geometry"]
            row, unit = row["properties"], unit["properties"]  # noqa: PLW2901
        assert {name: row.get(name, "absent") for name in unit} == unit


@contextmanager
def recorded(session: Session) -> Iterator[list[tuple[str, Any]]]:
    """The statements sent meanwhile, with their parameters; savepoints left out."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "SAVEPOINT" not in statement:
            sent.append((statement, values))

    engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("named", "lookups"), [(False, 0), (True, 1)])
def test_one_statement_answers_and_named_places_and_totals_take_one_more_each(
    client: TestClient, session: Session, named: bool, lookups: int
) -> None:
    (unit, *_) = strips(session, 3)
    asked: dict[str, str] = {**FROM, "sort": "area"}
    if named:
        asked |= {"park": str(unit.park_id)}
    session.commit()

    with recorded(session) as answered:
        client.get(URL, params=asked)
    with recorded(session) as answered_with_totals:
        client.get(URL, params={**asked, "totals": "true"})

    assert (len(answered), len(answered_with_totals)) == (lookups + 1, lookups + 2)


@pytest.mark.parametrize("sort", ["code", "area"])
def test_the_limit_ends_the_search_early(session: Session, sort: str) -> None:
    """Days are looked at for the rows of the page, not for all candidates."""
    strips(session, 40)
    session.flush()
    search = FreeSpaceSearch(start=date(2027, 1, 1), sort=FreeSpaceSort(sort))
    with recorded(session) as sent:
        session.execute(free_space_statement(search, {}, PageRequest(2))).all()
    ((statement, values),) = sent

    with closing(session.connection().connection.cursor()) as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
        ((plan,),) = cursor.fetchall()

    loops = [
        node["Actual Loops"] for node in _nodes(plan[0]["Plan"]) if node.get("Alias") == "stretch"
    ]
    assert loops == [3]


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("Plans", []) for inner in _nodes(child))]


# ---- totals and formats


def test_totals_count_all_that_is_found_by_type_and_park(
    client: TestClient, session: Session
) -> None:
    rooms = strips(
        session,
        3,
        [
            {},
            {"divisible": True, "min_part": Decimal(100), "unit_type": "production"},
            {
                "unit_type": "incubation",
                "capacity_measure": "place",
                "capacity": Decimal(10),
                "divisible": True,
                "min_part": Decimal(1),
            },
        ],
    )
    make.make_claim(session, rooms[1], date(2026, 1, 1), None, quantity=Decimal(1500))
    make.make_claim(session, rooms[2], date(2026, 1, 1), None, quantity=Decimal(4))
    elsewhere = make.make_unit(session)
    make.make_claim(session, make.make_unit(session), date(2026, 1, 1), None)
    session.commit()

    answer = client.get(URL, params={**FROM, "totals": True, "limit": 1})

    totals = answer.json()["totals"]
    assert len(items(answer)) == 1
    assert (totals["units"], totals["area_m2"], totals["places"]) == (4, 4500, 6)
    by_type = {
        one["unit_type"]: (one["units"], one["area_m2"], one["places"]) for one in totals["by_type"]
    }
    assert by_type == {"pilot": (2, 4000, 0), "production": (1, 500, 0), "incubation": (1, 0, 6)}
    by_park = {one["park_id"]: (one["units"], one["area_m2"]) for one in totals["by_park"]}
    assert by_park == {str(rooms[0].park_id): (3, 2500), str(elsewhere.park_id): (1, 2000)}
    none = client.get(URL, params={**FROM, "totals": True, "min_area_m2": 10**9}).json()["totals"]
    assert none == {"units": 0, "area_m2": 0, "places": 0, "by_type": [], "by_park": []}


def test_geojson_carries_all_facts_and_a_way_on(client: TestClient, session: Session) -> None:
    units = strips(session, 3)
    session.commit()

    answer = client.get(URL, params={**FROM, "limit": 2, "totals": True}, headers=_GEO)

    assert answer.headers["content-type"] == "application/geo+json"
    collection = answer.json()
    assert collection["type"] == "FeatureCollection"
    assert collection["numberReturned"] == 2
    assert collection["totals"]["units"] == 3
    first = collection["features"][0]
    assert first["id"] == str(units[0].id)
    outer = first["geometry"]["coordinates"][0]
    assert _signed_area(outer) > 0
    for member in ("source", "geometry_quality", "synthetic", "name_zh", "name_en", "area_method"):
        assert first["properties"][member] not in (None, "")
    assert first["properties"]["park_name_zh"].startswith("测试园")
    (link,) = collection["links"]
    rest = client.get(link["href"], headers=_GEO).json()
    assert [feature["id"] for feature in rest["features"]] == [str(units[2].id)]
    assert rest["links"] == []


_GEO = {"Accept": "application/geo+json"}


def _signed_area(ring: list[list[float]]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) / 2


def test_a_search_by_body_pages_geojson_by_its_cursor(client: TestClient, session: Session) -> None:
    strips(session, 3)
    session.commit()
    body = {**FROM, "limit": 2, "f": "geojson"}

    first = client.post(SEARCH, json=body).json()
    rest = client.post(SEARCH, json={**body, "cursor": first["next_cursor"]}).json()

    assert (first["links"], rest["next_cursor"]) == ([], None)
    assert len({one["id"] for one in first["features"] + rest["features"]}) == 3


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="gdal-bin is not installed")
def test_gdal_opens_the_geojson_without_a_warning(
    client: TestClient, session: Session, tmp_path: Path
) -> None:
    strips(session, 3)
    session.commit()
    answer = client.get(URL, params={**FROM, "f": "geojson", "near": "121.6,31.2"})
    file = tmp_path / "free.geojson"
    file.write_bytes(answer.content)

    shown = subprocess.run(
        ["ogrinfo", "-al", "-so", str(file)], capture_output=True, text=True, check=True
    )

    assert shown.stderr == ""
    assert "Feature Count: 3" in shown.stdout
    assert "Geometry: Polygon" in shown.stdout
    for field in ("free_from: Date", "free_until: ", "free_quantity: Real", "park_name_zh: String"):
        assert field in shown.stdout


def test_the_examples_in_the_schema_work_when_pasted(client: TestClient, session: Session) -> None:
    make.make_unit(session)
    session.commit()
    schema = client.get("/openapi.json").json()["components"]["schemas"]["FreeSpaceBody"]

    for example in schema["examples"]:
        assert len(items(client.post(SEARCH, json=example))) == 1, json.dumps(example)


def test_near_puts_the_nearest_first_unless_told_otherwise(seeded_client: TestClient) -> None:
    asked = {"from": "2027-01-01", "near": "121.60,31.20", "limit": "20"}

    nearest = seeded_client.get("/api/v1/free-space", params=asked).json()["items"]
    by_code = seeded_client.get("/api/v1/free-space", params=asked | {"sort": "code"}).json()

    distances = [item["distance_m"] for item in nearest]
    assert distances == sorted(distances)
    codes = [item["code"] for item in by_code["items"]]
    assert codes == sorted(codes)
