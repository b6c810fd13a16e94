"""Rights over HTTP: grant, refuse, ask, answer, clear; and what firms never learn."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.models.company import Company
from app.models.right import RightClearance, RightNotice
from app.models.space import Unit
from app.security.actors import Role
from tests import factories as make

RIGHTS = "/api/v1/rights"
HOLDS = "/api/v1/holds"
LEASES = "/api/v1/leases"
WINDOW = {"from": "2027-01-01", "until": "2030-01-01"}
YEAR = {"from": "2028-01-01", "until": "2029-01-01"}
#: Nobody's name but one company's; it must never reach another firm.
CANARY = "金丝雀生物"


def canary(session: Session) -> Company:
    return make.make_company(session, name_zh=f"{CANARY}（合成）", name_en="Canary Bio (synthetic)")


def right_body(unit: Unit, company: Company, **members: Any) -> dict[str, Any]:
    return {
        "kind": "first_refusal",
        "company_id": str(company.id),
        "units": [str(unit.id)],
        "notice_days": 10,
        **WINDOW,
        **members,
    }


def grant(client: TestClient, staff: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(RIGHTS, json=body, headers=staff)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{RIGHTS}/{made['id']}"
    return made


def order(unit: Unit, company: Company | None = None, **members: Any) -> dict[str, Any]:
    whose = {} if company is None else {"company_id": str(company.id)}
    return {"units": [{"unit_id": str(unit.id)}], **YEAR, **whose, **members}


@pytest.fixture
def staff(session: Session) -> dict[str, str]:
    return make.staff_headers(session, Role.MANAGER)


def test_a_right_is_granted_and_read_back(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, holder = make.make_unit(session), canary(session)

    made = grant(client, staff, right_body(unit, holder, kind="renewal", note="§ 7"))

    assert (made["kind"], made["kind_zh"], made["rank"]) == ("renewal", "优先承租", 1)
    assert (made["from"], made["until"], made["notice_days"]) == ("2027-01-01", "2030-01-01", 10)
    assert (made["company_name_en"], made["note"]) == ("Canary Bio (synthetic)", "§ 7")
    (ground,), (under,) = made["floors"], made["units"]
    assert (under["id"], under["code"]) == (str(unit.id), unit.code)
    assert under["overlap_m2"] == pytest.approx(unit.geometric_area_m2, abs=0.01)
    assert ground["area_m2"] == under["overlap_m2"]
    assert made["notices"] == made["behind"] == made["cleared_for"] == []
    assert client.get(f"{RIGHTS}/{made['id']}", headers=staff).json() == made
    (listed,) = client.get(RIGHTS, headers=staff).json()["items"]
    assert datetime.fromisoformat(listed.pop("known_from")) == datetime.fromisoformat(
        made["known_from"]
    )
    assert listed.items() <= made.items()
    since = {"known_from", "known_until", "closed_by"}
    assert made.keys() - listed.keys() == {"notices", "behind", "cleared_for", *since}


def test_an_offer_is_refused_until_every_senior_right_is_waived(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, tenant = make.make_unit(session), make.make_company(session)
    first, second = make.make_company(session), make.make_company(session)
    one = grant(client, staff, right_body(unit, first, notice_days=10))
    two = grant(client, staff, right_body(unit, second, notice_days=5, behind=[one["id"]]))
    assert (one["rank"], two["rank"], two["behind"]) == (1, 2, [one["id"]])
    today = civil_day(datetime.now(UTC))

    refused = client.post(LEASES, json=order(unit, tenant), headers=staff)

    assert refused.status_code == 409, refused.text
    problem = refused.json()
    assert problem["type"] == "/problems/right-not-cleared"
    assert problem["rights_count"] == 2
    assert problem["answers_expected_on"] == str(today + timedelta(days=15))
    assert problem["ask"] == [
        {
            "order": 1,
            "right_id": one["id"],
            "kind": "first_refusal",
            "kind_zh": "首拒权",
            "holder": {
                "company_id": str(first.id),
                "name_zh": first.name_zh,
                "name_en": first.name_en,
            },
            "rank": 1,
            "notice_days": 10,
            "state": "to_ask",
            "asked": None,
            "ask_by": "2027-12-16",
            "answer_due_on": str(today + timedelta(days=10)),
        },
        {
            "order": 2,
            "right_id": two["id"],
            "kind": "first_refusal",
            "kind_zh": "首拒权",
            "holder": {
                "company_id": str(second.id),
                "name_zh": second.name_zh,
                "name_en": second.name_en,
            },
            "rank": 2,
            "notice_days": 5,
            "state": "to_ask",
            "asked": None,
            "ask_by": "2027-12-26",
            "answer_due_on": str(today + timedelta(days=15)),
        },
    ]

    asked = client.post(f"{RIGHTS}/{one['id']}/notices", json=YEAR, headers=staff)
    assert asked.status_code == 201, asked.text
    (notice,) = asked.json()["notices"]
    assert (notice["due_on"], notice["answer"]) == (str(today + timedelta(days=10)), None)
    still = client.post(LEASES, json=order(unit, tenant), headers=staff).json()["ask"]
    assert still[0]["state"] == "asked"
    assert still[0]["asked"] == {"notice_id": notice["id"], "due_on": notice["due_on"]}

    said = {"answer": "waived", "reference": "letter 1"}
    path = f"{RIGHTS}/{one['id']}/notices/{notice['id']}/answer"
    assert client.post(path, json=said, headers=staff).status_code == 200
    left = client.post(LEASES, json=order(unit, tenant), headers=staff).json()["ask"]
    assert [ask["right_id"] for ask in left] == [two["id"]]

    waiver = {**YEAR, "company_id": str(tenant.id), "reference": "letter 2"}
    waived = client.post(f"{RIGHTS}/{two['id']}/waivers", json=waiver, headers=staff)
    assert waived.status_code == 201, waived.text
    leased = client.post(LEASES, json=order(unit, tenant), headers=staff)

    assert leased.status_code == 201, leased.text
    proofs = session.scalars(
        select(RightClearance).where(RightClearance.commitment_id == UUID(leased.json()["id"]))
    ).all()
    assert {(str(proof.right_id), str(proof.notice_id)) for proof in proofs} == {
        (one["id"], notice["id"]),
        (two["id"], waived.json()["notices"][0]["id"]),
    }
    shown = client.get(f"{RIGHTS}/{one['id']}", headers=staff).json()
    assert shown["cleared_for"] == [
        {"commitment_id": leased.json()["id"], "notice_id": notice["id"]}
    ]


def test_a_waiver_for_one_company_or_for_fewer_days_clears_nothing_else(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, tenant = make.make_unit(session), make.make_company(session)
    made = grant(client, staff, right_body(unit, make.make_company(session)))
    path = f"{RIGHTS}/{made['id']}/waivers"
    other = {**YEAR, "company_id": str(make.make_company(session).id)}
    shorter = {"from": "2028-01-01", "until": "2028-12-31"}
    for body in (other, shorter):
        assert client.post(path, json=body, headers=staff).status_code == 201

    assert client.post(LEASES, json=order(unit, tenant), headers=staff).status_code == 409
    assert client.post(path, json=YEAR, headers=staff).status_code == 201
    assert client.post(LEASES, json=order(unit, tenant), headers=staff).status_code == 201


def test_the_holder_needs_nobody_of_a_lower_rank_and_days_outside_are_free(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit = make.make_unit(session)
    first, second = make.make_company(session), make.make_company(session)
    one = grant(client, staff, right_body(unit, first))
    grant(client, staff, right_body(unit, second, behind=[one["id"]]))

    before = order(unit, make.make_company(session)) | {"from": "2026-12-01"}
    before["until"] = "2027-01-01"
    session.commit()
    junior = client.post(LEASES, json=order(unit, second), headers=staff)
    senior = client.post(LEASES, json=order(unit, first), headers=staff)

    assert client.post(LEASES, json=before, headers=staff).status_code == 201
    assert junior.status_code == 409
    assert [ask["right_id"] for ask in junior.json()["ask"]] == [one["id"]]
    assert senior.status_code == 201, senior.text


def test_silence_clears_on_the_day_after_it_was_due_and_an_exercise_blocks(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    tenant, today = make.make_company(session), civil_day(datetime.now(UTC))
    statuses = {}
    for due_on in (today, today - timedelta(days=1)):
        unit = make.make_unit(session)
        made = grant(client, staff, right_body(unit, make.make_company(session)))
        notice = make.add(
            session,
            RightNotice(
                right_id=UUID(made["id"]),
                period=Range(date(2028, 1, 1), date(2029, 1, 1)),
                asked_at=datetime(2026, 1, 1, tzinfo=UTC),
                due_on=due_on,
                recorded_by="tests",
            ),
        )
        session.commit()
        path = f"{RIGHTS}/{made['id']}/notices/{notice.id}/answer"
        # A dry run, because what is answered after it must not have been promised.
        check = {"units": [str(unit.id)], "company_id": str(tenant.id), **YEAR}
        clear = client.post(f"{RIGHTS}/check", json=check, headers=staff).json()
        late = client.post(path, json={"answer": "exercised"}, headers=staff)
        hold = client.post(HOLDS, json=order(unit, tenant), headers=staff)
        statuses[due_on] = (clear["clear"], late.status_code, hold.status_code)
        if due_on == today:
            (ask,) = hold.json()["ask"]
            assert (ask["state"], ask["ask_by"], ask["answer_due_on"]) == ("exercised", None, None)
            assert hold.json()["answers_expected_on"] is None
            again = client.post(path, json={"answer": "waived"}, headers=staff)
            assert again.json()["type"] == "/problems/notice-answered"
            client.post(f"{RIGHTS}/{made['id']}/waivers", json=YEAR, headers=staff)
            assert client.post(HOLDS, json=order(unit, tenant), headers=staff).status_code == 201
        else:
            assert late.json()["type"] == "/problems/notice-lapsed"
            assert clear["cleared_by"] == [{"right_id": made["id"], "notice_id": str(notice.id)}]

    assert statuses == {
        today: (False, 200, 409),
        today - timedelta(days=1): (True, 409, 201),
    }


def test_an_ended_right_binds_nothing_and_is_still_known(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, tenant = make.make_unit(session), make.make_company(session)
    made = grant(client, staff, right_body(unit, make.make_company(session)))
    path = f"{RIGHTS}/{made['id']}"

    ended = client.post(f"{path}/end", headers=staff)

    assert ended.status_code == 200, ended.text
    assert ended.json()["known_until"] is not None
    assert client.post(LEASES, json=order(unit, tenant), headers=staff).status_code == 201
    for call, body in (("end", {}), ("notices", YEAR), ("waivers", YEAR)):
        again = client.post(f"{path}/{call}", json=body, headers=staff)
        assert again.json()["type"] == "/problems/right-ended", call
    assert client.get(RIGHTS, headers=staff).json()["items"] == []
    then = client.get(RIGHTS, params={"as_of": made["known_from"]}, headers=staff).json()["items"]
    assert [one["id"] for one in then] == [made["id"]]
    assert client.get(path, headers=staff).json()["known_until"] == ended.json()["known_until"]


def test_a_right_that_meets_others_is_refused_until_all_are_named(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, senior, tenant = make.make_unit(session), canary(session), make.make_company(session)
    one = grant(client, staff, right_body(unit, senior))
    waiver = client.post(f"{RIGHTS}/{one['id']}/waivers", json=YEAR, headers=staff)
    assert waiver.status_code == 201
    lease = client.post(LEASES, json=order(unit, tenant), headers=staff).json()
    body = right_body(unit, make.make_company(session), kind="expansion")
    session.commit()

    refused = client.post(RIGHTS, json=body, headers=staff)

    assert refused.status_code == 409
    problem = refused.json()
    assert problem["type"] == "/problems/right-conflict"
    (right,), (commitment,) = problem["rights"], problem["commitments"]
    assert (right["right_id"], right["reason"]) == (one["id"], "not_named")
    assert right["holder"]["name_en"] == "Canary Bio (synthetic)"
    assert (commitment["commitment_id"], commitment["kind"]) == (lease["id"], "lease")
    assert commitment["units"] == [{"unit_code": unit.code, **YEAR}]
    for members, reason in (
        ({"behind": [one["id"]], "rank": 1}, "same_rank"),
        ({"rank": 2, "subject_to": [lease["id"]]}, "not_named"),
    ):
        answer = client.post(RIGHTS, json={**body, **members}, headers=staff)
        assert [each["reason"] for each in answer.json()["rights"]] == [reason]
    stranger = client.post(RIGHTS, json={**body, "behind": [str(uuid4())]}, headers=staff)
    assert stranger.status_code == 422
    assert stranger.json()["errors"][0]["pointer"] == "/behind/0"

    named = {**body, "behind": [one["id"]], "subject_to": [lease["id"]]}
    two = grant(client, staff, named)

    assert (two["rank"], two["behind"]) == (2, [one["id"]])
    # The lease that was named is not bound: it still stands, and may be confirmed or read.
    assert client.get(f"{LEASES}/{lease['id']}", headers=staff).json()["state"] == "signed"
    must = {**named, "kind": "must_take", "behind": [one["id"], two["id"]]}
    taken = client.post(RIGHTS, json=must, headers=staff)
    assert taken.status_code == 409
    assert [each["commitment_id"] for each in taken.json()["commitments"]] == [lease["id"]]


def test_a_named_hold_is_confirmed_though_a_right_was_granted_meanwhile(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, tenant = make.make_unit(session), make.make_company(session)
    firm = make.firm_headers(session, tenant)
    hold = client.post(HOLDS, json=order(unit), headers=firm).json()
    body = right_body(unit, make.make_company(session))
    session.commit()

    unnamed = client.post(RIGHTS, json=body, headers=staff)
    assert unnamed.status_code == 409
    assert unnamed.json()["commitments"][0]["kind"] == "hold"
    grant(client, staff, {**body, "subject_to": [hold["id"]]})
    confirmed = client.post(f"{HOLDS}/{hold['id']}/confirm", headers=staff)

    assert confirmed.status_code == 200, confirmed.text
    later = {**order(unit), "from": "2029-01-01", "until": "2029-06-01"}
    assert client.post(HOLDS, json=later, headers=firm).status_code == 409


def test_a_right_on_a_lease_is_its_tenants_on_its_ground(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, tenant = make.make_unit(session), make.make_company(session)
    lease = client.post(LEASES, json=order(unit, tenant), headers=staff).json()
    body = {"kind": "renewal", "lease_id": lease["id"], "notice_days": 30}
    window = {"from": "2029-01-01", "until": "2032-01-01"}

    made = grant(client, staff, {**body, **window})

    assert (made["company_id"], made["lease_id"]) == (str(tenant.id), lease["id"])
    assert [one["id"] for one in made["units"]] == [str(unit.id)]
    other = {**body, **window, "company_id": str(make.make_company(session).id)}
    refused = client.post(RIGHTS, json=other, headers=staff)
    assert refused.json()["errors"][0]["pointer"] == "/company_id"
    both = client.post(RIGHTS, json={**body, **window, "units": [str(unit.id)]}, headers=staff)
    assert both.status_code == 422


def test_firms_learn_how_many_rights_there_are_and_never_whose(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, holder, rival = make.make_unit(session), canary(session), make.make_company(session)
    firm, own = make.firm_headers(session, rival), make.firm_headers(session, holder)
    made = grant(client, staff, right_body(unit, holder, note=f"letter of {CANARY}"))
    about = {**YEAR, "company_id": str(rival.id), "reference": f"about {rival.name_en}"}
    asked = client.post(f"{RIGHTS}/{made['id']}/notices", json=about, headers=staff).json()

    refused = client.post(HOLDS, json=order(unit), headers=firm)

    assert refused.status_code == 409
    problem = refused.json()
    assert problem["rights_count"] == 1
    assert problem["answers_expected_on"] == asked["notices"][0]["due_on"]
    assert "ask" not in problem
    check = {"units": [str(unit.id)], "company_id": str(rival.id), **YEAR}
    seen = [
        refused,
        client.get(RIGHTS, headers=firm),
        client.get(RIGHTS, params={"unit": str(unit.id)}, headers=firm),
        client.get(RIGHTS, params={"f": "geojson"}, headers=firm),
        client.get(RIGHTS, params={"company": str(holder.id)}, headers=firm),
        client.get(f"{RIGHTS}/{made['id']}", headers=firm),
        client.post(f"{RIGHTS}/check", json=check, headers=firm),
        client.post(f"{RIGHTS}/{made['id']}/waivers", json=YEAR, headers=firm),
        client.post(f"{RIGHTS}/{made['id']}/end", headers=firm),
        client.post(RIGHTS, json=right_body(unit, rival), headers=firm),
    ]
    assert [one.status_code for one in seen] == [409, 200, 200, 200, 404, 404, 403, 403, 403, 403]
    for one in seen:
        assert CANARY not in one.text
        assert "Canary" not in one.text
        assert str(holder.id) not in one.text
    # What the caller wrote comes back; nothing else names the right.
    assert all(made["id"] not in one.text for one in seen if made["id"] not in str(one.request.url))

    # The holder sees the right, and that it was asked, but not on whose behalf.
    shown = client.get(f"{RIGHTS}/{made['id']}", headers=own)
    assert shown.status_code == 200
    assert [one["id"] for one in client.get(RIGHTS, headers=own).json()["items"]] == [made["id"]]
    (notice,) = shown.json()["notices"]
    assert notice["due_on"] == asked["notices"][0]["due_on"]
    assert str(rival.id) not in shown.text
    assert str(rival.name_en) not in shown.text
    assert {"note", "recorded_by", "cleared_for", "behind"}.isdisjoint(shown.json())


def test_roles_and_parks_are_looked_at(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, holder = make.make_unit(session), make.make_company(session)
    elsewhere = make.staff_headers(
        session, Role.MANAGER, park_ids=frozenset({make.make_park(session).id})
    )
    agent, viewer = (make.staff_headers(session, role) for role in (Role.AGENT, Role.VIEWER))
    body = right_body(unit, holder)
    made = grant(client, staff, body)
    path = f"{RIGHTS}/{made['id']}"
    check = {"units": [str(unit.id)], "company_id": str(holder.id), **YEAR}

    def status(address: str, body: Any, headers: dict[str, str] | None = None) -> int:
        return int(client.post(address, json=body, headers=headers).status_code)

    assert client.get(RIGHTS).status_code == 401
    assert status(RIGHTS, body) == 401
    assert status(RIGHTS, body, agent) == 403
    assert status(f"{path}/waivers", YEAR, agent) == 403
    assert status(f"{path}/end", {}, agent) == 403
    assert status(f"{path}/notices", YEAR, viewer) == 403
    assert status(f"{path}/notices", YEAR, agent) == 201
    assert status(f"{RIGHTS}/check", check, viewer) == 200
    assert client.get(RIGHTS, headers=elsewhere).json()["items"] == []
    assert client.get(path, headers=elsewhere).status_code == 404
    assert status(RIGHTS, body, elsewhere) == 403
    assert status(f"{path}/end", {}, elsewhere) == 404
    assert status(f"{path}/notices", YEAR, elsewhere) == 404
    assert status(f"{RIGHTS}/check", check, elsewhere) == 403


def test_what_cannot_be_is_refused_with_the_field(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, holder = make.make_unit(session), make.make_company(session)
    elsewhere = make.make_unit(session)
    body = right_body(unit, holder)
    made = grant(client, staff, body)
    path = f"{RIGHTS}/{made['id']}"
    outside = {"from": "2031-01-01"}

    def refusal(address: str, sent: dict[str, Any]) -> tuple[int, str]:
        answer = client.post(address, json=sent, headers=staff)
        problem = answer.json()
        return answer.status_code, (problem["errors"] or [{"pointer": ""}])[0]["pointer"]

    assert refusal(RIGHTS, {**body, "units": []}) == (422, "/units")
    assert refusal(RIGHTS, {**body, "units": [str(uuid4())]}) == (422, "/units/0")
    assert refusal(RIGHTS, {**body, "company_id": None}) == (422, "/company_id")
    assert refusal(RIGHTS, {**body, "company_id": str(uuid4())}) == (422, "/company_id")
    assert refusal(RIGHTS, {**body, "until": "2026-01-01"}) == (422, "/until")
    assert refusal(RIGHTS, {**body, "units": [str(unit.id), str(elsewhere.id)]}) == (422, "/units")
    assert refusal(RIGHTS, {**body, "lease_id": str(uuid4()), "units": []})[0] == 404
    assert refusal(f"{path}/notices", {**YEAR, "company_id": str(holder.id)}) == (
        422,
        "/company_id",
    )
    assert refusal(f"{path}/notices", outside) == (422, "/from")
    assert refusal(f"{path}/notices/{uuid4()}/answer", {"answer": "waived"})[0] == 404
    assert refusal(f"{RIGHTS}/{uuid4()}/end", {})[0] == 404
    check = {"units": [str(uuid4())], "company_id": str(holder.id), **YEAR}
    assert refusal(f"{RIGHTS}/check", check) == (422, "/units/0")


def test_the_listing_is_filtered_paged_and_drawn(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=slot, slots=3) for slot in range(3)]
    holders = [make.make_company(session) for _ in units]
    made = [
        grant(
            client,
            staff,
            right_body(unit, holder, kind=kind, **{"from": f"{2027 + place}-01-01"}),
        )
        for place, (unit, holder, kind) in enumerate(
            zip(units, holders, ("renewal", "expansion", "must_take"), strict=True)
        )
    ]
    ids = [one["id"] for one in made]

    def listed(**asked: Any) -> list[str]:
        answer = client.get(RIGHTS, params=asked, headers=staff)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    assert listed() == ids
    assert listed(unit=str(units[1].id)) == ids[1:2]
    assert listed(company=str(holders[2].id)) == ids[2:]
    assert listed(kind=["renewal", "must_take"]) == [ids[0], ids[2]]
    assert listed(until="2028-01-01") == ids[:1]
    assert listed(**{"from": "2030-01-01"}) == []
    assert listed(park=made[0]["park_code"]) == ids
    assert listed(as_of="2026-01-01T00:00:00Z") == []
    first = client.get(RIGHTS, params={"limit": 2}, headers=staff).json()
    rest = client.get(RIGHTS, params={"limit": 2, "cursor": first["next_cursor"]}, headers=staff)
    assert [one["id"] for one in (*first["items"], *rest.json()["items"])] == ids
    for wrong in (
        {"park": "nowhere"},
        {"as_of": "2999-01-01T00:00:00Z"},
        {"from": "2027-01-01", "until": "2027-01-01"},
        {"cursor": "nonsense"},
    ):
        assert client.get(RIGHTS, params=wrong, headers=staff).status_code == 422, wrong
    drawn = client.get(RIGHTS, params={"f": "geojson", "limit": 2}, headers=staff).json()
    assert [one["properties"]["right_id"] for one in drawn["features"]] == ids[:2]
    assert {one["geometry"]["type"] for one in drawn["features"]} == {"MultiPolygon"}
    following = client.get(drawn["links"][0]["href"], headers=staff).json()
    assert [one["properties"]["floor_code"] for one in following["features"]] == [floor.code]
    assert following["features"][0]["properties"]["right_id"] == ids[2]


def test_a_grant_sent_twice_is_made_once(
    client: TestClient, session: Session, staff: dict[str, str]
) -> None:
    unit, holder = make.make_unit(session), make.make_company(session)
    headers = {**staff, "Idempotency-Key": "grant-1"}

    answers = [client.post(RIGHTS, json=right_body(unit, holder), headers=headers) for _ in "ab"]

    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len(client.get(RIGHTS, headers=staff).json()["items"]) == 1
