"""Key figures over HTTP: who may see them, what they say of the seeded parks, and how they read."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kpis.definitions import FIGURES, every_code
from app.routers.kpis import KpiAnswer
from app.security.actors import Role
from tests import factories as make
from tests.conftest import DATA_DAY

KPIS = "/api/v1/kpis"
#: The day on which the seeded leases were drawn, at noon.
SEEDED = {
    "from": DATA_DAY,
    "until": "2026-11-02",
    "every": "none",
    "as_of": f"{DATA_DAY}T04:00:00Z",
}
FREE_BY_THE_LEDGER = """
SELECT u.capacity_measure, sum(u.capacity) AS capacity,
    sum(u.capacity - peak_quantity(u.id, daterange(:day, CAST(:day AS date) + 1),
        tstzrange(:known, :known, '[]'))) AS free
FROM units u WHERE u.usable @> CAST(:day AS date) GROUP BY u.capacity_measure
"""


def figures(client: TestClient, headers: dict[str, str], **params: Any) -> dict[str, Any]:
    answer = client.get(KPIS, params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    KpiAnswer.model_validate_json(answer.text)
    body: dict[str, Any] = answer.json()
    return body


def values(group: dict[str, Any], period: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = group["periods"][period]["values"]
    return found


def test_the_seeded_vacancy_is_what_the_ledger_leaves(
    seeded_session: Session, seeded_client: TestClient
) -> None:
    headers = make.staff_headers(seeded_session, Role.VIEWER)
    seeded_session.commit()
    [everything] = figures(seeded_client, headers, **SEEDED)["groups"]
    shown = values(everything)
    ledger = {
        row.capacity_measure: row
        for row in seeded_session.execute(
            text(FREE_BY_THE_LEDGER), {"day": DATA_DAY, "known": f"{DATA_DAY} 12:00+08"}
        )
    }

    for measure, ending in (("m2", "m2"), ("place", "places")):
        free = shown[f"free_rate_{ending}"]
        assert free["denominator"] == float(ledger[measure].capacity)
        assert free["numerator"] == float(ledger[measure].free)
        assert shown[f"free_{ending}"]["value"] == float(ledger[measure].free)
    assert shown["free_rate_m2"]["value"] == pytest.approx(29.7, abs=0.05)
    assert shown["free_rate_places"]["value"] == pytest.approx(30.1, abs=0.05)
    # Works and reservations are all that stands between what is vacant and what is free.
    assert shown["vacant_m2"]["value"] == pytest.approx(
        shown["free_m2"]["value"] + shown["unavailable_m2"]["value"] + shown["reserved_m2"]["value"]
    )
    assert shown["vacancy_m2"]["value"] == 31.87
    assert shown["occupancy_m2"]["value"] + shown["vacancy_m2"]["value"] == pytest.approx(100)
    assert shown["held_m2"]["value"] == 0


@pytest.mark.parametrize("group_by", ["zone", "park", "type"])
def test_groups_add_up_to_the_whole(
    seeded_session: Session, seeded_client: TestClient, group_by: str
) -> None:
    headers = make.staff_headers(seeded_session)
    seeded_session.commit()
    whole = figures(seeded_client, headers, as_of=SEEDED["as_of"], until="2026-11-02")
    parted = figures(
        seeded_client, headers, as_of=SEEDED["as_of"], until="2026-11-02", group_by=group_by
    )
    assert len(parted["groups"]) > 4
    assert len({group["key"] for group in parted["groups"]}) == len(parted["groups"])
    for period in range(8):
        for code in ("lettable_m2", "leased_m2", "gross_absorption_m2", "rollover_places"):
            total = values(whole["groups"][0], period)[code]["value"]
            shares = [values(group, period)[code]["value"] for group in parted["groups"]]
            assert sum(map(Decimal, map(str, shares))) == Decimal(str(total)), code


def test_a_filter_finds_what_the_group_shows(
    seeded_session: Session, seeded_client: TestClient
) -> None:
    headers = make.staff_headers(seeded_session)
    seeded_session.commit()
    for group_by, parameter in (("zone", "zone"), ("programme", "programme"), ("type", "type")):
        groups = figures(seeded_client, headers, **SEEDED, group_by=group_by)["groups"]
        some = groups[len(groups) // 2]
        [alone] = figures(seeded_client, headers, **SEEDED, **{parameter: some["key"]})["groups"]
        assert values(alone)["lettable_m2"]["value"] > 0
        assert values(alone) == values(some)


def test_net_absorption_ties_the_quarters_together(
    seeded_session: Session, seeded_client: TestClient
) -> None:
    headers = make.staff_headers(seeded_session)
    seeded_session.commit()
    body = figures(
        seeded_client,
        headers,
        **{"from": "2026-10-01", "until": "2028-10-01", "as_of": SEEDED["as_of"]},
    )
    [group] = body["groups"]
    assert len(group["periods"]) == 8
    for period in range(1, 8):
        before, now = values(group, period - 1), values(group, period)
        for ending in ("m2", "places"):
            change = now[f"leased_{ending}"]["value"] - before[f"leased_{ending}"]["value"]
            net = now[f"net_absorption_{ending}"]["value"]
            assert change == pytest.approx(net + now[f"remeasured_{ending}"]["value"], abs=0.01)
            assert net == pytest.approx(
                now[f"gross_absorption_{ending}"]["value"] - now[f"move_outs_{ending}"]["value"],
                abs=0.01,
            )
            years = now[f"rollover_{ending}"]["by_year"]
            assert sum(one["value"] for one in years) == pytest.approx(
                now[f"rollover_{ending}"]["value"], abs=0.01
            )


def test_every_figure_is_shown_and_defined(
    seeded_session: Session, seeded_client: TestClient
) -> None:
    headers = make.staff_headers(seeded_session)
    seeded_session.commit()
    body = figures(seeded_client, headers, **SEEDED)
    assert set(values(body["groups"][0])) == {code for code, *_ in every_code()}
    listed = [code for one in body["definitions"] for code in one["codes"]]
    assert sorted(listed) == sorted(values(body["groups"][0]))
    apart = seeded_client.get(f"{KPIS}/definitions", headers=headers)
    assert apart.status_code == 200
    assert apart.json()["definitions"] == body["definitions"]
    document = seeded_client.get("/openapi.json").json()
    said = document["paths"][KPIS]["get"]["description"]
    assert [figure.code for figure in FIGURES if figure.formula_en not in said] == []


def test_the_public_and_firms_see_nothing(session: Session, client: TestClient) -> None:
    firm = make.firm_headers(session, make.make_company(session))
    session.commit()
    for path in (KPIS, f"{KPIS}/definitions"):
        assert client.get(path).status_code == 401
        refused = client.get(path, headers=firm)
        assert refused.status_code == 403
        assert refused.json()["type"] == "/problems/not-allowed"


def test_staff_of_a_park_see_that_park_alone(session: Session, client: TestClient) -> None:
    mine, other = make.make_unit(session), make.make_unit(session)
    make.make_claim(session, mine, date(2026, 1, 1), date(2027, 1, 1))
    headers = make.staff_headers(session, Role.VIEWER, park_ids=[mine.park_id])
    everyone = make.staff_headers(session, Role.VIEWER)
    session.commit()

    seen = figures(client, headers, group_by="park")["groups"]
    assert [group["id"] for group in seen] == [str(mine.park_id)]
    assert values(seen[0], 7)["lettable_m2"]["value"] == 2000
    [total] = figures(client, headers)["groups"]
    assert values(total, 7)["lettable_m2"]["value"] == 2000
    assert len(figures(client, everyone, group_by="park")["groups"]) == 2
    refused = client.get(KPIS, params={"park": str(other.park_id)}, headers=headers)
    assert refused.status_code == 403


def test_a_park_inside_a_park_counts_once(session: Session, client: TestClient) -> None:
    outer = make.make_park(session)
    inner = make.make_park(session, zone_id=outer.zone_id, parent_park_id=outer.id)
    for park in (outer, inner):
        parcel = make.make_parcel(session, park_id=park.id)
        building = make.make_building(session, parcel=parcel)
        make.make_unit(session, floor=make.make_floor(session, building=building))
    headers = make.staff_headers(session)
    session.commit()

    [zone] = figures(client, headers, group_by="zone")["groups"]
    parks = figures(client, headers, group_by="park", park=outer.code)["groups"]
    [alone] = figures(client, headers, group_by="none", park=inner.code)["groups"]
    assert values(zone, 7)["lettable_m2"]["value"] == 4000
    assert {one["key"]: values(one, 7)["lettable_m2"]["value"] for one in parks} == {
        outer.code: 2000,
        inner.code: 2000,
    }
    assert values(alone, 7)["lettable_m2"]["value"] == 2000


def test_what_was_known_then_is_answered_now(session: Session, client: TestClient) -> None:
    unit = make.make_unit(session)
    signed = datetime(2026, 5, 1, tzinfo=UTC)
    make.make_claim(session, unit, date(2026, 1, 1), None, live=Range(signed, None))
    headers = make.staff_headers(session)
    session.commit()
    asked = {"from": "2026-01-01", "until": "2026-02-01", "every": "none"}

    before = figures(client, headers, **asked, as_of="2026-04-30T00:00:00Z")["groups"][0]
    after = figures(client, headers, **asked, as_of="2026-05-02T00:00:00Z")["groups"][0]
    assert values(before)["vacancy_m2"]["value"] == 100
    assert values(after)["vacancy_m2"]["value"] == 0
    assert values(after)["gross_absorption_m2"]["value"] == 2000
    assert values(after)["open_ended_m2"]["value"] == 2000
    assert values(after)["walt_m2"]["value"] is None


def test_a_firm_that_moves_on_is_told_from_one_that_leaves(
    session: Session, client: TestClient
) -> None:
    small = [
        make.make_unit(session, unit_type="incubation"),
        make.make_unit(session, unit_type="incubation"),
        make.make_unit(session, unit_type="incubation"),
    ]
    large = make.make_unit(session, unit_type="pilot")
    grown, left, stays = (make.make_company(session).id for _ in range(3))
    year = date(2025, 1, 1)
    make.make_claim(session, small[0], year, date(2026, 3, 1), company_id=grown)
    make.make_claim(session, large, date(2026, 5, 1), date(2030, 1, 1), company_id=grown)
    make.make_claim(session, small[1], year, date(2026, 3, 1), company_id=left)
    make.make_claim(session, small[2], year, date(2026, 3, 1), company_id=stays)
    make.make_claim(session, small[1], date(2026, 6, 1), None, company_id=stays)
    headers = make.staff_headers(session)
    session.commit()

    groups = figures(
        client, headers, **{"from": "2026-01-01", "until": "2026-07-01"}, group_by="type"
    )["groups"]
    assert [group["key"] for group in groups] == ["incubation", "pilot"]
    quarter, next_quarter = values(groups[0], 0), values(groups[0], 1)
    assert quarter["relay_rate"] == {
        "value": 50,
        "numerator": 1,
        "denominator": 2,
        "unit": "pct",
    }
    assert quarter["renewal_rate"]["value"] == 0
    assert quarter["renewal_rate"]["denominator"] == 3
    # The unit that was left on 1 March is let again on 1 June, after 92 days.
    assert next_quarter["void_completed"]["value"] == 92
    assert next_quarter["void_completed"]["denominator"] == 1
    assert next_quarter["void_running"]["value"] == 122
    assert values(groups[1], 1)["gross_absorption_m2"]["value"] == 2000


def test_a_hold_is_pending_and_no_lease(session: Session, client: TestClient) -> None:
    unit = make.make_unit(session)
    make.make_claim(
        session,
        unit,
        date(2027, 1, 1),
        date(2030, 1, 1),
        kind="hold",
        live=Range(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
    )
    headers = make.staff_headers(session)
    session.commit()
    asked = {"from": "2027-01-01", "until": "2027-04-01"}

    held = values(figures(client, headers, **asked, as_of="2026-02-01T00:00:00Z")["groups"][0])
    assert held["pending_m2"]["value"] == held["held_m2"]["value"] == 2000
    assert held["pending_weighted_m2"]["value"] is None
    assert held["leased_m2"]["value"] == 0
    lapsed = values(figures(client, headers, **asked, as_of="2026-03-02T00:00:00Z")["groups"][0])
    assert lapsed["pending_m2"]["value"] == lapsed["held_m2"]["value"] == 0
    assert lapsed["hold_conversion"]["denominator"] == 1


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"from": "2027-01-01", "until": "2027-01-01"}, "until"),
        ({"from": "1990-01-01", "until": "2027-01-01"}, "from"),
        ({"as_of": "2999-01-01T00:00:00Z"}, "as_of"),
        ({"park": "no-such-park"}, "park"),
        ({"every": "week"}, "every"),
        ({"type": "castle"}, "type"),
    ],
)
def test_what_makes_no_sense_is_refused(
    session: Session, client: TestClient, params: dict[str, str], pointer: str
) -> None:
    headers = make.staff_headers(session)
    session.commit()
    refused = client.get(KPIS, params=params, headers=headers)
    assert refused.status_code == 422
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]


def test_without_units_there_are_no_groups(session: Session, client: TestClient) -> None:
    headers = make.staff_headers(session)
    make.make_park(session)
    session.commit()
    for group_by in ("none", "zone", "park", "programme", "type"):
        assert figures(client, headers, group_by=group_by)["groups"] == []
