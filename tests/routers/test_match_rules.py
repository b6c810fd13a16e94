"""How matches are made, over HTTP: the table, the criteria, and whose weights count."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.matching.rules.described import TABLE_CITED
from app.matching.rules.table import CONSTRAINTS
from app.security.actors import Role
from tests.factories import ANY, firm_headers, make_company, make_park, make_unit, staff_headers
from tests.routers.test_matches import CAR_T, FIT, ask

API = "/api/v1"


def test_the_table_is_listed_whole_and_public(client: TestClient) -> None:
    listed = client.get(f"{API}/match-constraints").json()

    assert [one["key"] for one in listed["items"]] == [one.key for one in CONSTRAINTS]
    assert [one["bit"] for one in listed["items"]] == list(range(len(CONSTRAINTS)))
    by_key = {one["key"]: one for one in listed["items"]}
    assert by_key["biosafety_level"]["never_relax"]
    assert by_key["min_area_m2"]["class"] == "sum"
    assert listed["version"] == TABLE_CITED


def test_usual_weights_make_a_hundred(client: TestClient) -> None:
    criteria = client.get(f"{API}/match-criteria").json()["items"]

    assert sum(one["weight"] for one in criteria) == 100
    assert client.get(f"{API}/match-policy").json() == {
        "park": None,
        "weights": {one["key"]: one["weight"] for one in criteria},
        "set_for": "nobody",
        "since": None,
    }


def test_a_parks_weights_count_where_it_is_named_and_the_houses_elsewhere(
    client: TestClient, session: Session
) -> None:
    park, admin = make_park(session), staff_headers(session)
    firm = firm_headers(session, make_company(session))
    make_unit(session, **FIT)
    house, own = {"rent": 30, "wishes": 20}, {"rent": 0, "wishes": 50}
    usual = ask(client, firm, CAR_T)["weights"]

    assert client.put(
        f"{API}/match-policy", headers=admin | ANY, json={"weights": house}
    ).is_success
    set_ = client.put(
        f"{API}/parks/{park.code}/match-policy", headers=admin | ANY, json={"weights": own}
    )

    assert set_.json()["set_for"] == "park"
    assert set_.json()["park"]["code"] == park.code
    assert ask(client, firm, CAR_T)["weights"] == usual | house
    named = ask(client, firm, CAR_T, policy=park.code)
    assert named["weights"] == usual | own
    assert [
        part["weight"] for part in named["items"][0]["contributions"] if part["criterion"] == "rent"
    ] == [0]
    mine = ask(client, firm, CAR_T, policy=park.code, weights={"wishes": 45, "rent": 5})
    assert mine["weights"] == usual | {"wishes": 45, "rent": 5}
    then = ask(client, firm, CAR_T, policy=park.code, as_of="2026-05-01T00:00:00Z")
    assert then["weights"] == usual


def test_weights_are_whole_or_refused_with_what_is_missing(
    client: TestClient, session: Session
) -> None:
    firm = firm_headers(session, make_company(session))
    made = client.post(f"{API}/space-requests", headers=firm, json=CAR_T)
    path = f"{made.headers['location']}/matches"

    too_much = client.post(path, headers=firm, json={"weights": {"rent": 40}})
    unknown = client.post(path, headers=firm, json={"weights": {"view": 10}})
    nowhere = client.post(path, headers=firm, json={"policy": "no-such-park"})
    negative = client.post(path, headers=firm, json={"weights": {"rent": -1}})

    assert too_much.status_code == 422
    assert too_much.json()["errors"][0]["pointer"] == "/weights"
    assert "120" in too_much.json()["detail"]
    assert "120" in too_much.json()["detail_zh"]
    assert unknown.json()["errors"][0]["pointer"] == "/weights/view"
    assert nowhere.json()["errors"][0]["pointer"] == "/policy"
    assert negative.status_code == 422


def test_costs_are_of_needs_that_may_give_way(client: TestClient, session: Session) -> None:
    firm = firm_headers(session, make_company(session))
    made = client.post(f"{API}/space-requests", headers=firm, json=CAR_T)
    path = f"{made.headers['location']}/matches"

    refused = client.post(
        path, headers=firm, json={"relax_costs": {"biosafety_level": 1, "view": 2}}
    )

    assert [one["pointer"] for one in refused.json()["errors"]] == [
        "/relax_costs/biosafety_level",
        "/relax_costs/view",
    ]
    assert "不可放宽" in refused.json()["errors"][0]["detail_zh"]


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({}, 401),
        ({"role": Role.AGENT}, 403),
        ({"role": Role.MANAGER, "elsewhere": True}, 403),
        ({"role": Role.MANAGER}, 200),
    ],
)
def test_managers_set_the_weights_of_their_parks(
    client: TestClient, session: Session, who: dict[str, Any], status: int
) -> None:
    park = make_park(session)
    headers = {}
    if who:
        scope = make_park(session) if who.get("elsewhere") else park
        headers = staff_headers(session, who["role"], park_ids=[scope.id])
    body = {"weights": {"rent": 25, "wishes": 25}}

    answer = client.put(f"{API}/parks/{park.id}/match-policy", headers=headers | ANY, json=body)

    assert answer.status_code == status
    if status == 200:
        # The house's weights are for all parks.
        assert client.put(f"{API}/match-policy", headers=headers, json=body).status_code == 403
    missing = client.put(f"{API}/parks/nowhere/match-policy", headers=headers, json=body)
    assert missing.status_code in {401, 403, 404}


def test_sets_of_weights_are_closed_and_never_edited(client: TestClient, session: Session) -> None:
    admin = staff_headers(session)
    for rent in (25, 15):
        body = {"weights": {"rent": rent, "wishes": 50 - rent}}
        assert client.put(f"{API}/match-policy", headers=admin | ANY, json=body).is_success

    rows = session.execute(
        text(
            "SELECT weights ->> 'rent', closed_by, upper(known) FROM match_policies ORDER BY known"
        )
    ).all()

    assert [(rent, by is None, until is None) for rent, by, until in rows] == [
        ("25", False, False),
        ("15", True, True),
    ]
    for edit in (
        "UPDATE match_policies SET weights = '{}' WHERE closed_by IS NULL",
        (
            "UPDATE match_policies SET closed_by = 'again', known = tstzrange(lower(known), now())"
            " WHERE closed_by IS NOT NULL"
        ),
        "DELETE FROM match_policies",
    ):
        with pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text(edit))
    assert rows[0][2] <= datetime.now(UTC)
