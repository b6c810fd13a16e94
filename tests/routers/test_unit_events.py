"""What happens to units, over HTTP: who may do it, what is answered, and how it is told later."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from geoalchemy2.shape import to_shape
from shapely import Point, box
from shapely.geometry import mapping
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.ledger.units.facts import FACTS
from app.ledger.units.words import WORDS
from app.models.claim import Claim
from app.models.space import Unit
from app.models.unit_event import UnitEvent
from app.security.actors import Role
from tests import factories as make

UNITS = "/api/v1/units"
SPLIT = {"effective_on": "2027-01-01", "shares": [0.6, 0.4]}
MEASURED = {
    "effective_on": "2027-01-01",
    "leasable_area_m2": "1980.50",
    "internal_area_m2": "1600",
    "method": "实测",
}


def children(*codes: str) -> list[dict[str, Any]]:
    return [{"code": code} for code in codes]


def kinds(client: TestClient, code: str, headers: dict[str, str], **asked: Any) -> list[str]:
    answer = client.get(f"{UNITS}/{code}/history", params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["kind"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("path", "body", "least"),
    [
        ("{code}/terms", {"effective_on": "2027-01-01", "changes": {"steam": True}}, Role.AGENT),
        ("{code}/remeasure", MEASURED, Role.MANAGER),
        ("{code}/split", {**SPLIT, "children": children("x-1", "x-2")}, Role.MANAGER),
        (
            "merge",
            {"effective_on": "2027-01-01", "units": ["{code}", "{other}"], "code": "x-3"},
            Role.MANAGER,
        ),
    ],
)
def test_who_may_change_units(
    client: TestClient, session: Session, path: str, body: dict[str, Any], least: Role
) -> None:
    floor = make.make_floor(session)
    one, two = (make.make_unit(session, floor=floor, slot=slot, slots=2) for slot in (0, 1))
    url = f"{UNITS}/{path.format(code=one.code)}"
    if "units" in body:
        body = {**body, "units": [one.code, two.code]}
    below = {Role.AGENT: Role.VIEWER, Role.MANAGER: Role.AGENT}[least]
    cases = [
        ({}, 401),
        (make.firm_headers(session, make.make_company(session)), 403),
        (make.staff_headers(session, below), 403),
        (make.staff_headers(session, least, park_ids=[uuid4()]), 403),
        (make.staff_headers(session, least, park_ids=[floor.park_id]), 201),
    ]
    session.commit()
    for headers, status in cases:
        answer = client.post(url, json=body, headers=headers)
        assert answer.status_code == status, answer.text


def test_a_split_and_what_blocks_it(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=100)
    company = make.make_company(session)
    part = make.make_claim(
        session, unit, date(2026, 1, 1), date(2028, 1, 1), quantity=300, company_id=company.id
    )
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    body = {**SPLIT, "children": children("A-1", "A-2"), "reason": "二期改造"}

    refused = client.post(f"{UNITS}/{unit.code}/split", json=body, headers=manager)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/unit-claims-block")
    (blocker,) = refused.json()["blockers"]
    assert (blocker["commitment_id"], blocker["company_name_zh"], blocker["quantity"]) == (
        str(part.commitment_id),
        company.name_zh,
        300.0,
    )
    dry = client.post(f"{UNITS}/{unit.code}/split", json={**body, "dry_run": True}, headers=manager)
    assert (dry.status_code, dry.json()["event_id"]) == (200, None)
    assert dry.json()["blockers"] == [blocker]

    body["assign"] = [{"commitment_id": str(part.commitment_id), "child_code": "A-2"}]
    key = {**manager, "Idempotency-Key": "split-once"}
    first = client.post(f"{UNITS}/{unit.id}/split", json=body, headers=key)
    again = client.post(f"{UNITS}/{unit.id}/split", json=body, headers=key)

    assert first.status_code == 201, first.text
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert session.scalar(select(func.count()).select_from(UnitEvent)) == 1
    done = first.json()
    assert [(one["code"], one["part"], one["leasable_area_m2"]) for one in done["units"]] == [
        (unit.code, "parent", 2000),
        ("A-1", "child", 1200),
        ("A-2", "child", 800),
    ]
    assert [(one["unit_code"], one["from"], one["quantity"]) for one in done["moved"]] == [
        (unit.code, "2026-01-01", 300),
        ("A-2", "2027-01-01", 300),
    ]
    gone = client.post(f"{UNITS}/{unit.id}/remeasure", json=MEASURED, headers=manager)
    assert (gone.status_code, gone.json()["type"]) == (409, "/problems/unit-retired")
    assert [one["code"] for one in gone.json()["successors"]] == ["A-1", "A-2"]
    # Who asks about a day gets the units of that day.
    listed = {
        day: sorted(
            item["code"]
            for item in client.get(UNITS, params={"from": day, "building": str(unit.building_id)})
            .json()["items"]
        )
        for day in ("2026-12-31", "2027-01-01")
    }  # fmt: skip
    assert listed == {"2026-12-31": [unit.code], "2027-01-01": ["A-1", "A-2"]}


def test_a_dry_run_changes_nothing_and_frees_its_locks(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, date(2026, 1, 1), None)
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    for path, body in (
        ("split", {**SPLIT, "children": children("D-1", "D-2")}),
        ("remeasure", MEASURED),
        ("terms", {"effective_on": "2027-01-01", "changes": {"gas": True}}),
    ):
        answer = client.post(
            f"{UNITS}/{unit.code}/{path}", json={**body, "dry_run": True}, headers=manager
        )
        assert (answer.status_code, answer.json()["dry_run"]) == (200, True), answer.text
    assert answer.json()["changes"] == {"gas": {"before": None, "after": True}}
    assert session.scalar(select(func.count()).select_from(UnitEvent)) == 0
    assert session.scalar(select(func.count()).select_from(Claim)) == 1
    assert session.scalar(select(func.count()).select_from(Unit)) == 1


@pytest.mark.parametrize("coordinates", [[True], [[True]], [["ab"]], [None], [[]], []], ids=str)
def test_what_is_drawn_must_be_a_polygon(
    client: TestClient, session: Session, coordinates: list[Any]
) -> None:
    one, manager = make.make_unit(session), make.staff_headers(session, Role.MANAGER)
    session.commit()
    drawn = {"code": "G-1", "geometry": {"type": "Polygon", "coordinates": coordinates}}
    body = {"effective_on": "2027-01-01", "children": [drawn, {"code": "G-2"}]}
    refused = client.post(f"{UNITS}/{one.code}/split", json=body, headers=manager)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-shape")
    assert refused.json()["errors"][0]["pointer"].startswith("/children/0/geometry")


def test_what_is_drawn_together_has_an_end(client: TestClient, session: Session) -> None:
    """Each outline may have so many positions, but not all of them."""
    one, manager = make.make_unit(session), make.staff_headers(session, Role.MANAGER)
    session.commit()
    west, south, east, north = to_shape(one.geom).bounds
    # A circle by its middle, each as many positions as one may have.
    circle = mapping(Point((west + east) / 2, (south + north) / 2).buffer(1e-5, quad_segs=124))
    drawn = [{"code": f"G-{number}", "geometry": circle} for number in range(5)]
    body = {"effective_on": "2027-01-01", "children": drawn}
    refused = client.post(f"{UNITS}/{one.code}/split", json=body, headers=manager)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-shape")
    assert refused.json()["errors"][0]["pointer"] == "/children"
    fewer = client.post(
        f"{UNITS}/{one.code}/split", json={**body, "children": drawn[:4]}, headers=manager
    )
    assert fewer.json()["type"] == "/problems/not-a-partition"


def test_parts_may_be_drawn_or_cut_by_a_line(client: TestClient, session: Session) -> None:
    one, two = make.make_unit(session), make.make_unit(session)
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    west, south, east, north = to_shape(one.geom).bounds
    third = west + (east - west) / 3
    drawn = [
        {"code": "G-1", "geometry": mapping(box(west, south, third, north))},
        {"code": "G-2", "geometry": mapping(box(third, south, east, north))},
    ]
    body: dict[str, Any] = {"effective_on": "2027-01-01", "children": drawn}
    url = f"{UNITS}/{one.code}/split"
    both_ways = client.post(url, json={**body, "shares": [1, 2]}, headers=manager)
    assert (both_ways.status_code, both_ways.json()["errors"][0]["pointer"]) == (422, "/children")
    overlapping = [drawn[0], {"code": "G-2", "geometry": mapping(to_shape(one.geom))}]
    wrong = client.post(url, json={**body, "children": overlapping}, headers=manager)
    assert wrong.json()["type"] == "/problems/not-a-partition"
    assert [(one["what"], one["part"]) for one in wrong.json()["misfits"]] == [("overlap", 1)]
    done = client.post(url, json=body, headers=manager)
    assert done.status_code == 201, done.text
    areas = [one["leasable_area_m2"] for one in done.json()["units"]]
    assert sum(areas[1:]) == pytest.approx(areas[0])
    assert areas[1] == pytest.approx(666.67, abs=0.1)

    west, south, east, north = to_shape(two.geom).bounds
    middle = (west + east) / 2
    line = {"type": "LineString", "coordinates": [[middle, south - 1e-4], [middle, north + 1e-4]]}
    body = {"effective_on": "2027-01-01", "line": line, "children": children("L-1", "L-2")}
    cut = client.post(f"{UNITS}/{two.code}/split", json=body, headers=manager)
    assert cut.status_code == 201, cut.text
    beside = {**line, "coordinates": [[middle, south - 2e-4], [middle, south - 1e-4]]}
    missed = client.post(
        f"{UNITS}/L-1/split",
        json={**body, "line": beside, "children": children("M-1", "M-2"),
              "effective_on": "2028-01-01"},
        headers=manager,
    )  # fmt: skip
    assert (missed.status_code, missed.json()["errors"][0]["pointer"]) == (422, "/line")


def test_terms_are_checked_field_by_field(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    agent = make.staff_headers(session, Role.AGENT)
    session.commit()
    for body, pointer in (
        ({"effective_on": "2027-01-01", "changes": {"name_zh": None}}, "/changes/name_zh"),
        ({"effective_on": "2027-01-01", "changes": {"min_part": "2000.01"}}, "/changes/min_part"),
        (
            {"effective_on": "2027-01-01", "until": "2027-01-01", "changes": {"gas": True}},
            "/until",
        ),
        ({"effective_on": "2027-01-01", "changes": {}}, "/changes"),
        ({"effective_on": "2027-01-01", "changes": {"capacity": 5}}, "/changes/capacity"),
    ):
        answer = client.post(f"{UNITS}/{unit.code}/terms", json=body, headers=agent)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    body = {
        "effective_on": "2027-01-01",
        "changes": {"min_part": "500", "cleanroom_grade": "C", "rent_cny_per_m2_day": None},
    }
    done = client.post(f"{UNITS}/{unit.code}/terms", json=body, headers=agent)
    assert done.status_code == 201, done.text
    assert done.json()["changes"]["cleanroom_grade"] == {"before": None, "after": "C"}
    shown = client.get(f"{UNITS}/{unit.code}", params={"from": "2027-06-01"}).json()
    assert (shown["divisible"], shown["min_part"], shown["cleanroom_grade"]) == (True, 500, "C")
    assert shown["rent_cny_per_m2_day"] is None
    missing = client.post(f"{UNITS}/no-such/terms", json=body, headers=agent)
    assert missing.status_code == 404


def test_a_life_in_order_and_what_each_may_read_of_it(client: TestClient, session: Session) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    rival = make.make_company(session)
    admin = make.staff_headers(session)
    firm, other = make.firm_headers(session, company), make.firm_headers(session, rival)
    elsewhere = make.staff_headers(session, park_ids=[uuid4()])
    session.commit()

    def post(path: str, body: dict[str, Any] | None = None) -> Any:
        answer = client.post(f"/api/v1/{path}", json=body or {}, headers=admin)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    order = {
        "units": [{"unit_id": str(unit.id)}],
        "from": "2026-01-01",
        "until": "2030-01-01",
        "company_id": str(company.id),
    }
    released = post("holds", order)
    post(f"holds/{released['id']}/release")
    held = post("holds", order)
    post(f"units/{unit.code}/remeasure", MEASURED)
    post(f"holds/{held['id']}/confirm")
    post(
        f"units/{unit.code}/split",
        {**SPLIT, "effective_on": "2028-01-01", "children": children("H-1", "H-2")},
    )
    post(f"leases/{held['id']}/terminate", {"on": "2029-01-01", "reason": "协商一致"})

    told = ["created", "held", "hold_released", "held", "remeasured", "leased", "split"]
    assert kinds(client, unit.code, admin) == told
    assert kinds(client, "H-1", admin) == ["split", "leased", "terminated"]
    assert kinds(client, unit.code, firm) == told
    for headers in (other, elsewhere, {}):
        assert kinds(client, unit.code, headers) == ["created", "remeasured", "split"]
        assert kinds(client, "H-2", headers) == ["split"]

    items = client.get(f"{UNITS}/{unit.code}/history", headers=admin).json()["items"]
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)
    by_kind = {item["kind"]: item for item in items}
    assert by_kind["leased"]["text_en"] == (
        f"leased: the whole from 2026-01-01 until 2030-01-01, {company.name_en}"
    )
    assert by_kind["split"]["text_zh"] == "自 2028-01-01 起拆分为 H-1、H-2"
    assert "leasable area 2000 → 1980.5 m²" in by_kind["remeasured"]["text_en"]
    assert by_kind["remeasured"]["by"]
    child = client.get(f"{UNITS}/H-1/history", headers=admin).json()["items"]
    assert child[0]["text_en"] == f"made by splitting {unit.code} from 2028-01-01"
    assert child[1]["refs"]["moved_from"] == unit.code
    public = client.get(f"{UNITS}/{unit.code}/history").text
    assert company.name_zh not in public
    assert str(company.id) not in public
    assert '"by"' not in public

    # As known at the instant of any event: that event and those before it.
    for place, item in enumerate(items):
        then = kinds(client, unit.code, admin, as_of=item["at"])
        assert then == told[: place + 1]
    # Page by page it is the same.
    found, cursor = [], None
    while True:
        asked = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.get(f"{UNITS}/{unit.code}/history", params=asked, headers=admin).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == items


def test_versions_show_what_is_and_was_believed(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    assert (
        client.post(f"{UNITS}/{unit.code}/remeasure", json=MEASURED, headers=manager).status_code
        == 201
    )
    answer = client.get(f"{UNITS}/{unit.code}/versions")
    rows = [(one["valid_from"], one["capacity"]) for one in answer.json()["items"]]
    assert rows == [(None, 2000), ("2027-01-01", 1980.5)]
    every = client.get(f"{UNITS}/{unit.id}/versions", params={"all": True}).json()["items"]
    assert [(one["valid_from"], one["known_until"] is None) for one in every] == [
        (None, False),
        (None, True),
        ("2027-01-01", True),
    ]
    drawn = client.get(f"{UNITS}/{unit.code}/versions", params={"f": "geojson"}).json()
    assert [feature["geometry"]["type"] for feature in drawn["features"]] == ["Polygon"] * 2
    both = client.get(
        f"{UNITS}/{unit.code}/versions", params={"all": True, "as_of": "2026-11-01T00:00:00Z"}
    )
    assert (both.status_code, both.json()["errors"][0]["pointer"]) == (422, "as_of")
    for path in ("versions", "history"):
        assert client.get(f"{UNITS}/no-such/{path}").status_code == 404
        future = client.get(f"{UNITS}/{unit.code}/{path}", params={"as_of": "2999-01-01T00:00:00Z"})
        assert (future.status_code, future.json()["errors"][0]["pointer"]) == (422, "as_of")


def test_hand_over_hand_back_and_works_are_part_of_a_life(
    client: TestClient, session: Session
) -> None:
    unit, company = make.make_unit(session), make.make_company(session)
    admin = make.staff_headers(session)
    session.commit()

    def post(path: str, body: dict[str, Any]) -> Any:
        answer = client.post(f"/api/v1/{path}", json=body, headers=admin)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    order = {"units": [{"unit_id": str(unit.id)}], "from": "2024-01-01", "until": "2026-01-01"}
    lease = post("leases", {**order, "company_id": str(company.id)})
    post(f"leases/{lease['id']}/hand-over", {"on": "2024-01-03"})
    post(
        f"units/{unit.code}/split",
        {**SPLIT, "effective_on": "2025-01-01", "children": children("B-1", "B-2")},
    )
    post(f"leases/{lease['id']}/hand-back", {"on": "2026-01-01", "clearing_days": 10})
    post(f"leases/{lease['id']}/cleared", {"on": "2026-01-11"})
    child = str(session.execute(select(Unit.id).where(Unit.code == "B-1")).scalar_one())
    works = {"units": [{"unit_id": child}], "from": "2031-01-01", "until": "2031-02-01"}
    post("works", {**works, "kind": "works"})

    # Each event is told of the units that the lease had on its day.
    assert kinds(client, unit.code, admin) == ["created", "leased", "handed_over", "split"]
    told = kinds(client, "B-1", admin)
    assert [kind for kind in told if kind != "clearing"] == [
        *("split", "leased", "handed_back", "cleared", "works"),
    ]
    assert "handed_over" not in told
    for code in (unit.code, "B-1"):
        assert "works" not in kinds(client, code, {})


def test_a_life_is_told_in_words_and_with_units_of_measure(
    client: TestClient, session: Session
) -> None:
    unit = make.make_unit(session, divisible=True, min_part=100)
    company = make.make_company(session)
    admin = make.staff_headers(session)
    session.commit()

    def post(path: str, body: dict[str, Any]) -> Any:
        answer = client.post(f"/api/v1/{path}", json=body, headers=admin)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    order = {"units": [{"unit_id": str(unit.id), "quantity": 600}], "company_id": str(company.id)}
    lease = post("leases", {**order, "from": "2024-01-01", "until": "2030-10-01"})
    post(f"leases/{lease['id']}/extend", {"until": "2031-10-01"})
    changes = {"min_part": "150", "rent_cny_per_m2_day": "9.9900"}
    post(f"units/{unit.code}/terms", {"effective_on": "2032-01-01", "changes": changes})
    post(f"units/{unit.code}/remeasure", {**MEASURED, "effective_on": "2033-01-01"})
    post(f"leases/{lease['id']}/terminate", {"on": "2031-01-01", "reason": "协商一致"})

    items = client.get(f"{UNITS}/{unit.code}/history", headers=admin).json()["items"]
    assert [(item["text_en"], item["text_zh"]) for item in items[1:]] == [
        (
            f"leased: 600 m² from 2024-01-01 until 2030-10-01, {company.name_en}",
            f"签约：其中 600 ㎡，自 2024-01-01 起至 2030-10-01（不含），{company.name_zh}",
        ),
        (
            f"extended until 2031-10-01, {company.name_en}",
            f"续租至 2031-10-01（不含），{company.name_zh}",
        ),
        (
            "terms changed from 2032-01-01: smallest part 100 → 150 m², rent 3 → 9.99 CNY/m²·day",
            "自 2032-01-01 起条件变更：最小可租 100 → 150 ㎡、租金 3 → 9.99 元/㎡·天",
        ),
        (
            (
                "re-measured from 2033-01-01: leasable area 2000 → 1980.5 m²,"
                " internal area 1640 → 1600 m², method of measuring tests → 实测"
            ),
            (
                "自 2033-01-01 起面积重测：计租面积 2000 → 1980.5 ㎡、"
                "套内建筑面积 1640 → 1600 ㎡、测量方法 tests → 实测"
            ),
        ),
        (
            f"ended early until 2031-01-01, {company.name_en}",
            f"提前终止至 2031-01-01（不含），{company.name_zh}",
        ),
    ]


def test_every_fact_has_words() -> None:
    assert set(WORDS) == set(FACTS)
