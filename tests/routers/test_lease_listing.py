"""Leases and holds in lists: what staff can tell from the API alone, and what firms cannot."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.ledger.tenancy import listing
from app.security.actors import Role
from tests import factories as make

LEASES, HOLDS = "/api/v1/leases", "/api/v1/holds"
Asks = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def asks(client: TestClient, session: Session) -> Asks:
    staff = make.staff_headers(session)
    session.commit()

    def ask(path: str = LEASES, who: dict[str, str] | None = None, **asked: Any) -> Any:
        answer = client.get(path, params=asked, headers=who or staff)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    return ask


def lease(session: Session, unit: Any, start: str, until: str | None, **more: Any) -> str:
    ends = None if until is None else date.fromisoformat(until)
    made = make.make_claim(session, unit, date.fromisoformat(start), ends, **more)
    return str(made.commitment_id)


def test_leases_that_end_within_a_year_on_floors_that_carry_enough(
    session: Session, asks: Asks
) -> None:
    """The question of the issue, without the rights."""
    building = make.make_building(session)
    strong = make.make_floor(session, building=building, level_index=0, floor_load_kn_m2="7.50")
    weak = make.make_floor(
        session, building=building, level_index=1, level_name="2F", floor_load_kn_m2="5.00"
    )
    units = [make.make_unit(session, floor=strong, slot=n, slots=5) for n in range(5)]
    light = make.make_unit(session, floor=weak)
    company = make.make_company(session)
    first = lease(session, units[0], "2025-01-01", "2026-12-01", company_id=company.id)
    last = lease(session, units[1], "2025-01-01", "2027-11-30")
    lease(session, units[2], "2025-01-01", "2027-12-01")
    lease(session, units[3], "2025-01-01", None)
    lease(session, units[4], "2025-01-01", "2026-11-30")
    lease(session, light, "2025-01-01", "2027-06-01")
    session.commit()

    rows = asks(ends_from="2026-12-01", ends_until="2027-12-01", min_floor_load_kn_m2=7.5)

    assert [row["id"] for row in rows] == [first, last]
    row = rows[0]
    assert (row["company_id"], row["company_name_zh"]) == (str(company.id), company.name_zh)
    assert (row["from"], row["until"], row["state"]) == ("2025-01-01", "2026-12-01", "signed")
    (line,) = row["lines"]
    assert line["unit_id"] == str(units[0].id)
    assert (line["floor_load_kn_m2"], line["clear_height_m"]) == (7.5, 5.2)
    assert (line["floor_level"], line["level_index"]) == ("1F", 0)
    assert (line["quantity"], line["whole"]) == (2000, True)
    assert (line["from"], line["until"]) == ("2025-01-01", "2026-12-01")


def test_without_the_condition_on_load_the_weak_floor_is_listed_too(
    session: Session, asks: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the load is what kept it out."""
    weak = make.make_floor(session, floor_load_kn_m2="5.00")
    lease(session, make.make_unit(session, floor=weak), "2025-01-01", "2027-06-01")
    session.commit()
    asked = {"ends_from": "2026-12-01", "ends_until": "2027-12-01", "min_floor_load_kn_m2": 7.5}
    assert asks(**asked) == []

    monkeypatch.setattr(listing, "technical_conditions", lambda *_: [])
    assert len(asks(**asked)) == 1


def test_a_bundle_is_one_row_that_any_of_its_units_finds(session: Session, asks: Asks) -> None:
    building = make.make_building(session)
    floors = [
        make.make_floor(
            session,
            building=building,
            level_index=n,
            level_name=f"{n + 1}F",
            floor_load_kn_m2=load,
        )
        for n, load in enumerate(("10.00", "5.00"))
    ]
    heavy, light = (make.make_unit(session, floor=floor) for floor in floors)
    company, id_ = make.make_company(session), uuid4()
    for unit in (light, heavy):
        lease(session, unit, "2027-01-01", "2030-01-01", company_id=company.id, commitment_id=id_)
    session.commit()

    for asked in (
        {"min_floor_load_kn_m2": 7.5},
        {"unit": light.code},
        {"unit": str(heavy.id)},
        {"floor": floors[1].code},
        {"ground_floor": "true"},
    ):
        (row,) = asks(**asked)
        assert row["id"] == str(id_)
        assert [line["unit_code"] for line in row["lines"]] == sorted([heavy.code, light.code])
    assert asks(min_floor_load_kn_m2=11) == []


def test_places_types_companies_and_days_narrow_the_list(session: Session, asks: Asks) -> None:
    zone = make.make_zone(session)
    park = make.make_park(session, zone_id=zone.id)
    parcel = make.make_parcel(session, park_id=park.id)
    building = make.make_building(session, parcel=parcel)
    here = make.make_unit(session, floor=make.make_floor(session, building=building))
    company = make.make_company(session)
    mine = lease(session, here, "2027-01-01", "2030-01-01", company_id=company.id)
    elsewhere = make.make_unit(session, unit_type="hq_rd")
    other = lease(session, elsewhere, "2028-01-01", "2029-01-01")
    session.commit()

    for asked in (
        {"zone": zone.code},
        {"park": park.code},
        {"building": building.code},
        {"type": "pilot"},
        {"company": str(company.id)},
        {"starts_until": "2028-01-01"},
        {"ends_from": "2029-01-02"},
        {"starts_from": "2027-01-01", "starts_until": "2027-01-02"},
    ):
        assert [row["id"] for row in asks(**asked)] == [mine], asked
    for asked in ({"type": "hq_rd"}, {"starts_from": "2027-01-02"}, {"ends_until": "2030-01-01"}):
        assert [row["id"] for row in asks(**asked)] == [other], asked


def test_orders_and_pages_lose_no_lease(client: TestClient, session: Session, asks: Asks) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=5) for n in range(5)]
    ends = ["2029-01-01", None, "2028-01-01", "2029-01-01", "2027-06-01"]
    for n, (unit, until) in enumerate(zip(units, ends, strict=True)):
        lease(session, unit, f"2027-0{5 - n}-01", until)
    staff = make.staff_headers(session)
    session.commit()

    def paged(sort: str) -> list[dict[str, Any]]:
        rows, cursor = [], None
        while True:
            asked: dict[str, Any] = {"sort": sort, "limit": 2}
            if cursor is not None:
                asked["cursor"] = cursor
            page = client.get(LEASES, params=asked, headers=staff).json()
            rows += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows

    for sort in ("until", "-until", "from", "code"):
        assert paged(sort) == asks(sort=sort), sort
    assert [row["until"] for row in paged("until")] == [
        "2027-06-01",
        "2028-01-01",
        "2029-01-01",
        "2029-01-01",
        None,
    ]
    assert [row["until"] for row in paged("-until")][:2] == [None, "2029-01-01"]
    assert [row["from"] for row in paged("from")] == [f"2027-0{n}-01" for n in range(1, 6)]
    assert [row["lines"][0]["unit_code"] for row in paged("code")] == [u.code for u in units]


def test_firms_see_their_own_and_staff_those_of_their_parks(
    client: TestClient, session: Session, asks: Asks
) -> None:
    units = [make.make_unit(session) for _ in range(2)]
    companies = [make.make_company(session) for _ in range(2)]
    ids = [
        lease(session, unit, "2027-01-01", "2030-01-01", company_id=company.id)
        for unit, company in zip(units, companies, strict=True)
    ]
    firm = make.firm_headers(session, companies[0])
    agent = make.staff_headers(session, Role.VIEWER, park_ids=[units[1].park_id])
    session.commit()

    (own,) = asks(who=firm)
    assert own["id"] == ids[0]
    assert "company_name_zh" not in own
    assert [row["id"] for row in asks(who=agent)] == [ids[1]]
    assert asks(who=firm, unit=units[1].code) == []
    assert client.get(LEASES).status_code == 401
    foreign = client.get(LEASES, params={"company": str(companies[1].id)}, headers=firm)
    assert foreign.status_code == 404
    text = client.get(LEASES, headers=firm).text
    assert str(companies[1].id) not in text
    assert companies[1].name_zh not in text


def test_a_bundle_that_reaches_into_another_park_is_not_for_staff_of_one(
    session: Session, asks: Asks
) -> None:
    units = [make.make_unit(session) for _ in range(2)]
    id_, company = uuid4(), make.make_company(session)
    for unit in units:
        lease(session, unit, "2027-01-01", "2030-01-01", company_id=company.id, commitment_id=id_)
    of_one = make.staff_headers(session, park_ids=[units[0].park_id])
    of_both = make.staff_headers(session, park_ids=[unit.park_id for unit in units])
    session.commit()

    assert asks(who=of_one) == []
    assert [row["id"] for row in asks(who=of_both)] == [str(id_)]


def test_the_list_tells_what_was_known_then(
    client: TestClient, session: Session, asks: Asks
) -> None:
    unit, company = (
        make.make_unit(session, usable=Range(date(2015, 1, 1), None)),
        make.make_company(session),
    )
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()

    def instant() -> str:
        found: str = session.execute(select(func.clock_timestamp())).scalar_one().isoformat()
        return found

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = client.post(path, json=body, headers=manager)
        assert answer.status_code in {200, 201}, answer.text
        made: dict[str, Any] = answer.json()
        return made

    before = instant()
    made = post(
        LEASES,
        units=[{"unit_id": str(unit.id)}],
        company_id=str(company.id),
        clearing_days=30,
        **{"from": "2019-01-01", "until": "2022-01-01"},
    )
    path = f"{LEASES}/{made['id']}"
    signed = instant()
    post(f"{path}/extend", until="2024-01-01")
    extended = instant()
    post(f"{path}/terminate", reason="协商一致", on="2023-01-01")
    cut = instant()
    post(f"{path}/hand-back", on="2023-01-01")
    back = instant()
    unit.floor_load_kn_m2 = Decimal(20)
    session.commit()

    def told(as_of: str) -> list[tuple[Any, ...]]:
        names = ("state", "until", "clearing_until", "signed_until", "handed_back_on")
        return [tuple(row[name] for name in names) for row in asks(as_of=as_of)]

    assert told(before) == []
    assert told(signed) == [("signed", "2022-01-01", "2022-01-31", "2022-01-01", None)]
    assert told(extended) == [("signed", "2024-01-01", "2024-01-31", "2022-01-01", None)]
    assert told(cut) == [("terminated", "2023-01-01", "2023-01-31", "2022-01-01", None)]
    assert told(back)[0][-1] == "2023-01-01"
    assert asks(as_of=back)[0]["lines"][0]["floor_load_kn_m2"] == 7.85
    assert asks(min_floor_load_kn_m2=20)[0]["lines"][0]["floor_load_kn_m2"] == 20
    assert asks(min_floor_load_kn_m2=20, as_of=back) == []


def test_states_of_leases(client: TestClient, session: Session, asks: Asks) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=3) for n in range(3)]
    # Signed at instants and to days of their own: none may be taken for another's.
    ids = [
        lease(
            session,
            unit,
            "2027-01-01",
            f"203{n}-01-01",
            live=Range(datetime(2026, 1, 1 + n, tzinfo=UTC), None),
        )
        for n, unit in enumerate(units)
    ]
    manager = make.staff_headers(session, Role.MANAGER)
    session.commit()
    for id_, on in ((ids[1], "2028-01-01"), (ids[2], "2027-01-01")):
        answer = client.post(
            f"{LEASES}/{id_}/terminate", json={"on": on, "reason": "协商一致"}, headers=manager
        )
        assert answer.status_code == 200

    def of(*states: str) -> set[str]:
        return {row["id"] for row in asks(state=list(states))}

    assert {row["id"] for row in asks()} == set(ids[:2])
    assert [of("signed"), of("terminated"), of("cancelled")] == [{one} for one in ids]
    assert of("signed", "terminated", "cancelled") == set(ids)
    (undone,) = asks(state="cancelled")
    assert (undone["until"], len(undone["lines"])) == ("2032-01-01", 1)
    assert {row["id"]: row["signed_until"] for row in asks()} == {
        ids[0]: "2030-01-01",
        ids[1]: "2031-01-01",
    }
    for id_ in ids:
        shown = client.get(f"{LEASES}/{id_}", headers=manager).json()["state"]
        assert id_ in of(shown)


def test_holds_are_listed_by_what_became_of_them(
    client: TestClient, session: Session, asks: Asks
) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=4) for n in range(4)]
    company = make.make_company(session)
    firm, agent = make.firm_headers(session, company), make.staff_headers(session, Role.AGENT)
    now = datetime.now(UTC)
    lapsed = make.make_claim(
        session,
        units[3],
        date(2027, 1, 1),
        date(2028, 1, 1),
        kind="hold",
        company_id=company.id,
        live=Range(now - timedelta(days=3), now - timedelta(days=2)),
    )
    session.commit()
    term = {"from": "2027-01-01", "until": "2030-01-01"}
    held, leased, released = (
        client.post(HOLDS, json={"units": [{"unit_id": str(unit.id)}], **term}, headers=firm).json()
        for unit in units[:3]
    )
    client.post(f"{HOLDS}/{leased['id']}/confirm", headers=agent)
    client.post(f"{HOLDS}/{released['id']}/release", headers=firm)

    def of(state: str, **asked: Any) -> list[str]:
        return [row["id"] for row in asks(HOLDS, state=state, **asked)]

    assert [row["id"] for row in asks(HOLDS)] == [held["id"]]
    assert of("held") == [held["id"]]
    assert of("leased") == [leased["id"]]
    assert of("released") == [released["id"]]
    assert of("expired") == [str(lapsed.commitment_id)]
    (row,) = asks(HOLDS, who=firm)
    shown = client.get(f"{HOLDS}/{held['id']}", headers=firm).json()
    assert datetime.fromisoformat(row["expires_at"]) == datetime.fromisoformat(shown["expires_at"])
    assert datetime.fromisoformat(row["placed_at"]) == datetime.fromisoformat(shown["placed_at"])
    then = (now - timedelta(days=2, hours=12)).isoformat()
    assert of("held", as_of=then) == [str(lapsed.commitment_id)]
    assert asks(HOLDS, who=make_other(session)) == []


def make_other(session: Session) -> dict[str, str]:
    headers = make.firm_headers(session, make.make_company(session))
    session.commit()
    return headers


def test_staff_see_beside_each_lease_who_has_a_right_on_its_units(
    client: TestClient, session: Session, asks: Asks
) -> None:
    floor = make.make_floor(session, floor_load_kn_m2="7.50")
    bound, unbound = (make.make_unit(session, floor=floor, slot=n, slots=2) for n in (0, 1))
    tenant, neighbour = make.make_company(session), make.make_company(session)
    lease(session, bound, "2025-01-01", "2027-06-01", company_id=tenant.id)
    lease(session, unbound, "2025-01-01", "2027-07-01")
    manager = make.staff_headers(session, Role.MANAGER)
    firm = make.firm_headers(session, tenant)
    session.commit()
    before = session.execute(select(func.clock_timestamp())).scalar_one().isoformat()
    for kind, company, start, until in (
        ("renewal", tenant, "2027-06-01", "2030-06-01"),
        ("first_refusal", neighbour, "2030-06-01", None),
    ):
        body = {
            "kind": kind,
            "company_id": str(company.id),
            "units": [str(bound.id)],
            "notice_days": 30,
            "from": start,
            "until": until,
        }
        answer = client.post("/api/v1/rights", json=body, headers=manager)
        assert answer.status_code == 201, answer.text

    asked: dict[str, Any] = {
        "ends_from": "2026-11-22",
        "ends_until": "2027-11-22",
        "min_floor_load_kn_m2": 7.5,
        "include": "rights",
    }
    rows = asks(**asked)

    rights = [
        [(r["kind"], r["company_name_zh"]) for r in row["lines"][0]["rights"]] for row in rows
    ]
    assert rights == [[("renewal", tenant.name_zh), ("first_refusal", neighbour.name_zh)], []]
    first = rows[0]["lines"][0]["rights"][0]
    assert (first["from"], first["until"]) == ("2027-06-01", "2030-06-01")
    assert (first["kind_zh"], first["notice_days"], first["rank"]) == ("优先承租", 30, 1)
    assert first["overlap_m2"] == pytest.approx(bound.geometric_area_m2, abs=0.01)
    assert [row["lines"][0]["rights"] for row in asks(**asked, as_of=before)] == [[], []]
    assert "rights" not in asks()[0]["lines"][0]
    assert client.get(LEASES, params=asked, headers=firm).status_code == 403
    assert [row["company_id"] for row in asks(who=firm)] == [str(tenant.id)]
    assert neighbour.name_zh not in client.get(LEASES, headers=firm).text


def test_contradictions_and_unknown_places_are_refused(
    client: TestClient, session: Session
) -> None:
    staff = make.staff_headers(session)
    session.commit()
    for asked, pointer in (
        ({"ends_from": "2027-01-01", "ends_until": "2027-01-01"}, "ends_until"),
        ({"starts_from": "2027-01-02", "starts_until": "2027-01-01"}, "starts_until"),
        ({"as_of": "2999-01-01T00:00:00Z"}, "as_of"),
        ({"park": "no-such-park"}, "park"),
        ({"unit": "no-such-unit"}, "unit"),
        ({"state": "asleep"}, "state"),
        ({"sort": "rent"}, "sort"),
        ({"cursor": "x"}, "cursor"),
    ):
        for path in (LEASES, HOLDS):
            answer = client.get(path, params=asked, headers=staff)
            assert answer.status_code == 422, (path, asked)
            assert answer.json()["errors"][0]["pointer"] == pointer
