"""Space requests over HTTP: derived needs, overruling them, and whose they are."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from app.models.claim import Claim
from app.models.company import SpaceRequest
from app.security.actors import Role, Scope
from tests.factories import (
    ANY,
    firm_headers,
    make_claim,
    make_company,
    make_park,
    make_unit,
    staff_headers,
)

REQUESTS = "/api/v1/space-requests"
CAR_T = {"modality": "car_t", "stage": "phase_1", "from": "2027-01-01"}


class FixedClock:
    """Noon in Shanghai on 1 November 2026."""

    def now(self) -> datetime:
        return datetime(2026, 11, 1, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fixed_day(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    app.state.clock = FixedClock()


def needs_of(body: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {(need["key"], need["hardness"]): need["value"] for need in body["needs"]}


def test_a_firm_asks_with_its_product_and_stage_alone(client: TestClient, session: Session) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)

    made = client.post(REQUESTS, headers=firm, json=CAR_T)

    assert made.status_code == 201, made.text
    body = made.json()
    assert body["company_id"] == str(company.id)
    assert body["unit_type"] == "pilot"
    assert body["stated"] == CAR_T
    needs = needs_of(body)
    assert needs["min_area_m2", "hard"] == 1500
    assert needs["max_area_m2", "hard"] == 5000
    assert needs["biosafety_level", "hard"] == 2
    assert needs["cleanroom_grade", "hard"] == "C"
    assert needs["latest_from", "hard"] == "2027-07-01"
    by_key = {need["key"]: need for need in body["needs"]}
    assert by_key["from"]["origin"] == "stated"
    bsl = by_key["biosafety_level"]
    assert bsl["origin"] == "derived"
    assert bsl["rule"] == "stage_needs: car_t × phase_1 → pilot"
    assert bsl["rules_version"] == body["rules_version"]
    assert bsl["confidence"] == "assumption"
    assert bsl["words_zh"] == "生物安全等级：2"
    assert bsl["can_overrule"] is True
    assert made.headers["etag"] == '"0"'
    read = client.get(made.headers["location"], headers=firm)
    assert read.json() == body
    assert read.headers["etag"] == '"0"'
    assert client.get(REQUESTS, headers=firm).json()["items"] == [body]


def test_an_asset_brings_its_stage_and_date(client: TestClient, session: Session) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)
    asset = client.post(
        f"/api/v1/companies/{company.id}/pipeline-assets",
        headers=firm,
        json={
            "name": "CT-1",
            "modality": "car_t",
            "stages": [
                {"stage": "ind", "entered_on": "2026-03-01"},
                {"stage": "phase_1", "entered_on": "2028-06-01", "expected": True},
            ],
        },
    ).json()

    made = client.post(REQUESTS, headers=firm, json={"pipeline_asset_id": asset["id"]}).json()

    needs = needs_of(made)
    # 15 to 12 months of lead time before 2028-06-01.
    assert needs["from", "hard"] == "2027-03-01"
    assert needs["latest_from", "hard"] == "2027-06-01"
    assert made["unit_type"] == "pilot"
    for_now = client.post(
        REQUESTS, headers=firm, json={"pipeline_asset_id": asset["id"], "stage": "ind"}
    ).json()
    assert for_now["unit_type"] == "acceleration"
    assert needs_of(for_now)["from", "hard"] == "2026-11-01"


def test_every_derived_need_can_be_overruled(client: TestClient, session: Session) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)
    made = client.post(REQUESTS, headers=firm, json=CAR_T)
    path = f"{made.headers['location']}/needs"

    changed = client.put(
        path,
        headers=firm | {"If-Match": made.headers["etag"]},
        json={
            "from": "2027-03-01",
            "min_floor_load_kn_m2": 5,
            "biosafety_level": None,
            "purified_water": True,
            "soft": ["cleanroom_grade"],
        },
    )

    assert changed.status_code == 200, changed.text
    body = changed.json()
    needs = needs_of(body)
    assert needs["min_floor_load_kn_m2", "hard"] == 5
    assert needs["purified_water", "hard"] is True
    assert needs["cleanroom_grade", "soft"] == "B"
    assert ("cleanroom_grade", "hard") not in needs
    assert ("biosafety_level", "hard") not in needs
    assert needs["latest_from", "hard"] == "2027-09-01"
    assert body["version"] == 1
    assert changed.headers["etag"] == '"1"'
    assert body["stated"]["modality"] == "car_t"

    stale = client.put(path, headers=firm | {"If-Match": '"0"'}, json={})
    assert stale.status_code == 412
    assert stale.json()["type"] == "/problems/changed-meanwhile"
    assert stale.json()["etag"] == '"1"'
    back = client.put(path, headers=firm | ANY, json={"from": "2027-01-01"}).json()
    assert needs_of(back)["biosafety_level", "hard"] == 2


def test_a_closed_request_keeps_its_needs(client: TestClient, session: Session) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)
    made = client.post(REQUESTS, headers=firm, json=CAR_T).json()
    session.execute(
        update(SpaceRequest).where(SpaceRequest.id == made["id"]).values(state="placed")
    )

    answer = client.put(f"{REQUESTS}/{made['id']}/needs", headers=firm, json={})

    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/request-closed"


def test_who_may_not(client: TestClient, session: Session) -> None:
    own, other = make_company(session), make_company(session)
    staff, firm = staff_headers(session), firm_headers(session, own)
    foreign = client.post(REQUESTS, headers=staff, json=CAR_T | {"company_id": str(other.id)})
    path = foreign.headers["location"]
    viewer = staff_headers(session, Role.VIEWER)
    session.commit()  # a refused write rolls back to here

    assert client.get(REQUESTS).status_code == 401
    assert client.post(REQUESTS, json=CAR_T).status_code == 401
    assert client.put(f"{path}/needs", json={}).status_code == 401
    assert client.get(path, headers=firm).status_code == 404
    assert client.put(f"{path}/needs", headers=firm, json={}).status_code == 404
    posted = client.post(REQUESTS, headers=firm, json=CAR_T | {"company_id": str(other.id)})
    assert posted.status_code == 404
    assert client.get(REQUESTS, headers=firm).json()["items"] == []
    refused = client.post(REQUESTS, headers=viewer, json=CAR_T | {"company_id": str(own.id)})
    assert refused.status_code == 403
    assert client.get(path, headers=viewer).status_code == 200
    unknown = client.post(REQUESTS, headers=staff, json=CAR_T | {"company_id": str(uuid4())})
    assert unknown.status_code == 404
    nobody = client.post(REQUESTS, headers=staff, json=CAR_T)
    assert nobody.json()["errors"][0]["pointer"] == "/company_id"


def test_an_asset_of_another_firm_is_not_there(client: TestClient, session: Session) -> None:
    own, other = make_company(session), make_company(session)
    asset = client.post(
        f"/api/v1/companies/{other.id}/pipeline-assets",
        headers=staff_headers(session),
        json={"name": "X", "modality": "car_t"},
    ).json()

    answer = client.post(
        REQUESTS, headers=firm_headers(session, own), json={"pipeline_asset_id": asset["id"]}
    )

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/unit_type"),
        (CAR_T | {"zones": ["atlantis"]}, "/zones/0"),
        (CAR_T | {"parks": ["atlantis"]}, "/parks/0"),
        (CAR_T | {"process": "alchemy"}, "/process"),
        (CAR_T | {"biosafety_level": 5}, "/biosafety_level"),
        (CAR_T | {"cleanroom_grade": "E"}, "/cleanroom_grade"),
        (CAR_T | {"min_area_m2": -1}, "/min_area_m2"),
        (CAR_T | {"min_area_m2": "NaN"}, "/min_area_m2"),
        (CAR_T | {"near": {"lon": 121.6, "lat": 31.2}}, "/near/within_m"),
        (CAR_T | {"latest_from": "2026-12-31"}, "/latest_from"),
        (CAR_T | {"soft": ["isotope_class"]}, "/soft"),
        (CAR_T | {"floor_load": 5}, "/floor_load"),
        (CAR_T | {"from": "9999-12-31"}, "/from"),
        (CAR_T | {"stage_on": "0001-01-01"}, "/stage_on"),
        (CAR_T | {"remarks": "a\x00b"}, "/remarks"),
        (CAR_T | {"zones": ["a\x00b"]}, "/zones/0"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(
    client: TestClient, session: Session, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post(REQUESTS, headers=firm_headers(session, make_company(session)), json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_half_a_surrogate_pair_is_no_text(client: TestClient, session: Session) -> None:
    answer = client.post(
        REQUESTS,
        headers=firm_headers(session, make_company(session)) | {"Content-Type": "application/json"},
        content=b'{"unit_type": "pilot", "remarks": "\\ud800"}',
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/remarks"


def test_the_whole_form_is_taken(client: TestClient, session: Session) -> None:
    park = make_park(session)
    body = {
        "unit_type": "production",
        "min_area_m2": 3000,
        "max_area_m2": 9000,
        "target_area_m2": 5000,
        "from": "2027-06-01",
        "latest_from": "2027-12-31",
        "term_months": 120,
        "process": "pharma_gmp",
        "fire_hazard_class": "jia",
        "min_floor_load_kn_m2": 7.5,
        "min_clear_height_m": 4.5,
        "min_power_density_w_m2": 150,
        "min_power_kva": 800,
        "cleanroom_grade": "C",
        "min_cleanroom_area_m2": 1200,
        "biosafety_level": 2,
        "animal_facility": "spf",
        "min_cold_storage_m2": 100,
        "min_waste_water_t_per_day": 50,
        "min_freight_lift_t": 3,
        "hoist_opening": True,
        "ground_floor": True,
        "whole_floor": True,
        "whole_building": False,
        "steam": True,
        "gas": True,
        "purified_water": True,
        "dual_power_feed": True,
        "isotope_class": "bing",
        "vibration_class": "VC-B",
        "special_goods_import_pilot": True,
        "parks": [park.code],
        "near": {"lon": 121.6, "lat": 31.2, "within_m": 5000},
        "max_hospital_distance_m": 15000,
        "max_metro_station_distance_m": 1500,
        "max_rent_cny_per_m2_day": 2.5,
        "max_rent_cny_per_year": 4500000,
        "tenure": "lease",
        "investment_cny": 200000000,
        "remarks": "需评审前带看",
        "soft": ["max_metro_station_distance_m", "gas"],
    }
    made = client.post(REQUESTS, headers=firm_headers(session, make_company(session)), json=body)

    assert made.status_code == 201, made.text
    assert made.json()["stated"] == body
    needs = {need["key"]: need for need in made.json()["needs"]}
    assert set(body) - {"soft", "whole_building"} <= set(needs)
    assert "whole_building" not in needs
    assert needs["gas"]["hardness"] == "soft"
    assert needs["tenure"]["hardness"] == "soft"
    assert needs["tenure"]["words_zh"] == "租购方式：租赁"
    assert needs["parks"]["words_zh"] == f"意向园区：{park.name_zh}"
    assert needs["parks"]["words_en"] == f"parks: {park.name_en}"
    assert needs["latest_from"]["words_zh"] == "最晚起租日：2027-12-31"
    assert all(need["origin"] == "stated" for need in needs.values())


def test_the_same_key_files_one_request(client: TestClient, session: Session) -> None:
    firm = firm_headers(session, make_company(session)) | {"Idempotency-Key": "once"}

    first = client.post(REQUESTS, headers=firm, json=CAR_T)
    second = client.post(REQUESTS, headers=firm, json=CAR_T)

    assert first.json() == second.json()
    assert second.headers["etag"] == '"0"'
    assert second.headers["idempotency-replayed"] == "true"


def test_a_key_that_may_only_write_gets_what_it_wrote(client: TestClient, session: Session) -> None:
    company = make_company(session)
    writer = firm_headers(session, company, (Scope.REQUESTS_WRITE,))
    assets = f"/api/v1/companies/{company.id}/pipeline-assets"

    asset = client.post(assets, headers=writer, json={"name": "CT-1", "modality": "car_t"})
    entry = {"stage": "phase_1", "entered_on": "2028-06-01", "expected": True}
    staged = client.post(f"{assets}/{asset.json()['id']}/stages", headers=writer, json=entry)
    made = client.post(REQUESTS, headers=writer, json={"pipeline_asset_id": asset.json()["id"]})
    read = {"If-Match": made.headers["etag"]}
    changed = client.put(f"{made.headers['location']}/needs", headers=writer | read, json={})

    assert [asset.status_code, staged.status_code] == [201, 201]
    assert (made.status_code, changed.status_code) == (201, 200)
    assert client.get(made.headers["location"], headers=writer).status_code == 403


@pytest.mark.parametrize("tag", ['"99999999999999999999"', "0", "W/", '"'])
def test_a_tag_that_is_not_the_requests_overwrites_nothing(
    client: TestClient, session: Session, tag: str
) -> None:
    firm = firm_headers(session, make_company(session))
    made = client.post(REQUESTS, headers=firm, json=CAR_T)

    answer = client.put(
        f"{made.headers['location']}/needs", headers=firm | {"If-Match": tag}, json={}
    )

    assert (answer.status_code, answer.json()["etag"]) == (412, '"0"')


def test_a_request_is_withdrawn_and_reopened(client: TestClient, session: Session) -> None:
    firm = firm_headers(session, make_company(session))
    made = client.post(REQUESTS, headers=firm, json=CAR_T)
    path = made.headers["location"]

    withdrawn = client.post(f"{path}/withdraw", headers=firm | {"If-Match": '"0"'})
    assert withdrawn.status_code == 200, withdrawn.text
    assert (withdrawn.json()["state"], withdrawn.headers["etag"]) == ("withdrawn", '"1"')
    session.commit()  # a refused write rolls back to here
    again = client.post(f"{path}/withdraw", headers=firm)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/request-closed")
    assert client.put(f"{path}/needs", headers=firm, json={}).status_code == 409
    stale = client.post(f"{path}/reopen", headers=firm | {"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/changed-meanwhile")

    reopened = client.post(f"{path}/reopen", headers=firm)
    assert reopened.status_code == 200, reopened.text
    assert (reopened.json()["state"], reopened.headers["etag"]) == ("open", '"2"')
    assert reopened.json()["needs"] == made.json()["needs"]
    session.commit()
    again = client.post(f"{path}/reopen", headers=firm)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/request-closed")


def test_a_request_that_space_is_let_for_stays_placed(client: TestClient, session: Session) -> None:
    company = make_company(session)
    firm = firm_headers(session, company)
    path = client.post(REQUESTS, headers=firm, json=CAR_T).headers["location"]
    request_id = path.rsplit("/", 1)[1]
    session.execute(
        update(SpaceRequest).where(SpaceRequest.id == request_id).values(state="placed")
    )
    unit = make_unit(session)
    lease = make_claim(
        session, unit, date(2027, 1, 1), None, company_id=company.id, space_request_id=request_id
    )
    session.commit()  # a refused write rolls back to here

    for verb in ("withdraw", "reopen"):
        refused = client.post(f"{path}/{verb}", headers=firm)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/request-closed")
        assert "租约" in refused.json()["detail_zh"]
    cancelled = func.tstzrange(func.lower(Claim.live), func.statement_timestamp())
    session.execute(
        update(Claim).where(Claim.id == lease.id).values(live=cancelled, closed_by="tests")
    )
    session.commit()

    assert client.post(f"{path}/reopen", headers=firm).json()["state"] == "open"


def test_who_may_not_withdraw(client: TestClient, session: Session) -> None:
    own, other = make_company(session), make_company(session)
    firm, foreign = firm_headers(session, own), firm_headers(session, other)
    reader = firm_headers(session, own, (Scope.REQUESTS_READ,))
    viewer, agent = staff_headers(session, Role.VIEWER), staff_headers(session, Role.AGENT)
    path = client.post(REQUESTS, headers=firm, json=CAR_T).headers["location"]
    session.commit()  # a refused write rolls back to here

    for verb in ("withdraw", "reopen"):
        assert client.post(f"{path}/{verb}").status_code == 401
        assert client.post(f"{path}/{verb}", headers=foreign).status_code == 404
        assert client.post(f"{path}/{verb}", headers=reader).status_code == 403
        assert client.post(f"{path}/{verb}", headers=viewer).status_code == 403
    for verb in ("withdraw", "reopen"):
        assert client.post(f"{path}/{verb}", headers=agent).status_code == 200
