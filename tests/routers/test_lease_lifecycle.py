"""Leases over HTTP after they are signed: prolonged, broken, handed over, handed back, cleared."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.ledger.tenancy import handover
from app.ledger.tenancy.days import lay_out
from app.models.claim import Claim
from app.models.company import Company
from app.models.right import RightClearance
from app.models.space import Unit
from app.security.actors import Role
from tests import factories as make

LEASES = "/api/v1/leases"
FREE = "/api/v1/free-space"
TERM = {"from": "2027-01-01", "until": "2030-01-01"}
#: The same, of a lease that is over: only what has happened is handed over and back.
PAST = {"from": "2019-01-01", "until": "2022-01-01"}
TERMS = {
    "first_rate": "3.2",
    "breaks": [
        {"on": "2028-01-01", "by": "tenant", "notice_days": 180, "penalty_months": "3"},
        {"on": "2029-01-01", "by": "either", "notice_days": 30},
        {"on": "2027-02-01", "by": "landlord", "notice_days": 3650},
    ],
}


class Desk:
    """The staff of a park, and one firm, at the API."""

    def __init__(self, client: TestClient, session: Session) -> None:
        self.client, self.session = client, session
        self.unit = make.make_unit(session, usable=Range(date(2015, 1, 1), None))
        self.company = make.make_company(session)
        self.manager = make.staff_headers(session, Role.MANAGER)
        self.agent = make.staff_headers(session, Role.AGENT)
        self.firm = make.firm_headers(session, self.company)
        session.commit()

    def sign(
        self,
        term: dict[str, str] | None = None,
        *,
        unit: Unit | None = None,
        status: int = 201,
        **more: Any,
    ) -> dict[str, Any]:
        body = {
            "units": [{"unit_id": str((unit or self.unit).id)}],
            **(term or TERM),
            "company_id": str(self.company.id),
            **more,
        }
        answer = self.client.post(LEASES, json=body, headers=self.manager)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def does(
        self, lease: dict[str, Any], what: str, *, status: int = 200, **body: Any
    ) -> dict[str, Any]:
        why = {"reason": "协商一致"} if what == "terminate" else {}
        answer = self.client.post(
            f"{LEASES}/{lease['id']}/{what}", json=body | why, headers=self.manager
        )
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def free(self, **asked: Any) -> list[tuple[str, str | None]]:
        window = {"from": "2027-01-01", "until": "2045-01-01", **asked}
        answer = self.client.get(FREE, params=window)
        assert answer.status_code == 200, answer.text
        return [(item["free_from"], item["free_until"]) for item in answer.json()["items"]]


@pytest.fixture
def desk(client: TestClient, session: Session) -> Desk:
    return Desk(client, session)


def kinds(lease: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(one["kind"], one["from"], one["until"]) for one in lease["claims"]]


def test_an_extension_prolongs_the_same_lease_and_moves_its_clearing(desk: Desk) -> None:
    lease = desk.sign(clearing_days=30)
    assert lease["next_start"] == "2030-01-31"
    known_before = desk.session.scalar(select(func.clock_timestamp()))

    longer = desk.does(lease, "extend", until="2033-01-01")

    assert (longer["id"], longer["until"], longer["state"]) == (lease["id"], "2033-01-01", "signed")
    assert longer["signed_until"] == "2030-01-01"
    assert kinds(longer) == [
        ("lease", "2027-01-01", "2033-01-01"),
        ("clearing", "2033-01-01", "2033-01-31"),
    ]
    assert [(one["kind"], one["on"]) for one in longer["events"]] == [("extended", "2033-01-01")]
    assert desk.free() == [("2033-01-31", None)]
    assert desk.free(as_of=known_before) == [("2030-01-31", None)]
    firm = desk.client.get(f"{LEASES}/{lease['id']}", headers=desk.firm)
    assert firm.json() == longer


def test_an_extension_is_refused_where_others_come_and_names_days_not_companies(
    desk: Desk,
) -> None:
    lease = desk.sign(clearing_days=30)
    other = make.make_company(desk.session)
    next_lease = make.make_claim(
        desk.session, desk.unit, date(2031, 1, 1), date(2032, 1, 1), company_id=other.id
    )
    desk.session.commit()

    taken = desk.does(lease, "extend", until="2031-06-01", status=409)
    clearing_too = desk.does(lease, "extend", until="2030-12-15", status=409)

    assert taken["type"] == clearing_too["type"] == "/problems/unit-occupied"
    assert taken["conflicts"][0]["periods"] == [
        {"from": "2031-01-01", "until": "2031-06-01", "free_quantity": 0.0},
        {"from": "2031-06-01", "until": "2031-07-01", "free_quantity": 0.0},
    ]
    assert clearing_too["conflicts"][0]["periods"] == [
        {"from": "2031-01-01", "until": "2031-01-14", "free_quantity": 0.0}
    ]
    for said in (str(taken), str(clearing_too)):
        assert str(other.id) not in said
        assert other.name_zh not in said
        assert str(next_lease.commitment_id) not in said
    path = f"{LEASES}/{lease['id']}"
    assert desk.client.get(path, headers=desk.manager).json() == lease
    assert desk.does(lease, "extend", until="2030-12-02")["next_start"] == "2031-01-01"


@pytest.mark.parametrize("until", ["2029-01-01", "2030-01-01"])
def test_an_extension_ends_later_than_the_lease(desk: Desk, until: str) -> None:
    refused = desk.does(desk.sign(), "extend", until=until, status=422)

    assert refused["errors"][0]["pointer"] == "/until"


def test_a_lease_without_an_end_is_not_extended(desk: Desk) -> None:
    refused = desk.does(desk.sign(until=None), "extend", until="2040-01-01", status=422)

    assert refused["errors"][0]["pointer"] == "/until"


def test_an_extension_does_not_reach_days_on_which_the_unit_is_gone(desk: Desk) -> None:
    unit = make.make_unit(desk.session, usable=Range(date(2026, 1, 1), date(2031, 1, 1)))
    desk.session.commit()
    lease = desk.sign(unit=unit)

    refused = desk.does(lease, "extend", until="2031-01-02", status=422)

    assert refused["type"] == "/problems/outside-usable-days"
    assert [fault["pointer"] for fault in refused["errors"]] == ["/until"]
    assert desk.does(lease, "extend", until="2031-01-01")["until"] == "2031-01-01"


def test_a_prolonged_lease_that_ends_early_is_ended_early_wherever_it_was_to_end(
    desk: Desk,
) -> None:
    lease = desk.sign()
    desk.does(lease, "extend", until="2033-01-01")

    ended = desk.does(lease, "terminate", on="2031-01-01")

    assert (ended["state"], ended["until"]) == ("terminated", "2031-01-01")
    assert [one["kind"] for one in ended["events"]] == ["extended", "terminated"]


def test_an_early_end_keeps_the_days_of_clearing_after_it(desk: Desk) -> None:
    lease = desk.sign(clearing_days=30)

    ended = desk.does(lease, "terminate", on="2028-07-01")

    assert kinds(ended) == [
        ("lease", "2027-01-01", "2028-07-01"),
        ("clearing", "2028-07-01", "2028-07-31"),
    ]
    assert desk.free() == [("2028-07-31", None)]


def test_a_party_alone_ends_a_lease_only_by_a_break_of_its_terms(desk: Desk) -> None:
    lease = desk.sign(terms=TERMS)
    refused = [
        ("tenant", "2028-01-02"),  # no such day
        ("landlord", "2028-01-01"),  # not theirs
        ("landlord", "2027-02-01"),  # notice was due years ago
    ]

    for by, on in refused:
        answer = desk.does(lease, "terminate", on=on, by=by, status=409)
        assert answer["type"] == "/problems/no-such-break"
        assert [one["on"] for one in answer["breaks"]] == ["2028-01-01", "2029-01-01", "2027-02-01"]
        assert answer["breaks"][0]["notice_by"] == "2027-07-05"

    assert desk.does(lease, "terminate", on="2029-01-01", by="landlord")["until"] == "2029-01-01"
    assert desk.does(lease, "terminate", on="2028-01-01", by="tenant")["until"] == "2028-01-01"
    assert desk.does(lease, "terminate", on="2027-09-09", by="agreed")["until"] == "2027-09-09"


def test_without_terms_there_is_no_break(desk: Desk) -> None:
    lease = desk.sign()

    refused = desk.does(lease, "terminate", on="2028-01-01", by="tenant", status=409)

    assert (refused["type"], refused["breaks"]) == ("/problems/no-such-break", [])


def test_clearing_keeps_the_next_tenant_out_until_the_space_is_clean(desk: Desk) -> None:
    lease = desk.sign(PAST, clearing_days=60)
    next_term = {"from": "2022-01-20", "until": "2023-01-01"}
    assert desk.sign(next_term, status=409)["type"] == "/problems/unit-occupied"

    back = desk.does(lease, "hand-back", on="2022-01-01")
    assert (back["handed_back_on"], back["next_start"]) == ("2022-01-01", "2022-03-02")
    assert desk.sign(next_term, status=409)["type"] == "/problems/unit-occupied"

    clean = desk.does(lease, "cleared", on="2022-01-20")

    assert (clean["cleared_on"], clean["clearing_until"]) == ("2022-01-20", "2022-01-20")
    assert kinds(clean)[1] == ("clearing", "2022-01-01", "2022-01-20")
    assert desk.free(**{"from": "2019-01-01"}) == [("2022-01-20", None)]
    assert desk.sign(next_term)["from"] == "2022-01-20"


def test_the_day_it_is_clean_on_is_the_proof_not_the_word(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: were the clearing only recorded and not shortened, the next is kept out."""

    def unmoved(*args: Any, cleared: date, **more: Any) -> None:
        lay_out(*args, cleared=date(2022, 3, 2), **more)

    lease = desk.sign(PAST, clearing_days=60)
    desk.does(lease, "hand-back", on="2022-01-01")
    monkeypatch.setattr(handover, "lay_out", unmoved)
    desk.does(lease, "cleared", on="2022-01-20")

    desk.sign({"from": "2022-01-20", "until": "2023-01-01"}, status=409)


def test_clean_on_the_day_it_comes_back_leaves_no_clearing(desk: Desk) -> None:
    lease = desk.sign(PAST, clearing_days=60)
    desk.does(lease, "hand-back", on="2022-01-01")

    clean = desk.does(lease, "cleared", on="2022-01-01")

    assert (clean["clearing_until"], clean["next_start"]) == (None, "2022-01-01")
    assert [one["kind"] for one in clean["claims"]] == ["lease"]
    assert desk.free(**{"from": "2019-01-01"}) == [("2022-01-01", None)]


def test_clearing_that_takes_longer_is_refused_where_it_hits_the_next_tenant(desk: Desk) -> None:
    lease = desk.sign(PAST, clearing_days=30)
    desk.sign({"from": "2022-02-10", "until": "2023-01-01"})
    desk.does(lease, "hand-back", on="2022-01-01")

    refused = desk.does(lease, "cleared", on="2022-02-11", status=409)

    assert refused["conflicts"][0]["periods"] == [
        {"from": "2022-02-10", "until": "2022-02-11", "free_quantity": 0.0}
    ]
    assert desk.does(lease, "cleared", on="2022-02-10")["next_start"] == "2022-02-10"


def test_space_is_cleared_after_it_is_handed_back_and_not_before(desk: Desk) -> None:
    lease = desk.sign(PAST, clearing_days=30)

    refused = desk.does(lease, "cleared", on="2022-01-10", status=409)
    desk.does(lease, "hand-back", on="2022-01-01")
    too_soon = desk.does(lease, "cleared", on="2021-12-31", status=422)

    assert refused["type"] == "/problems/lease-not-handed-back"
    assert too_soon["errors"][0]["pointer"] == "/on"


def test_space_is_not_handed_back_while_the_lease_runs(desk: Desk) -> None:
    lease = desk.sign(PAST)

    refused = desk.does(lease, "hand-back", on="2021-12-31", status=409)

    assert (refused["type"], refused["until"]) == ("/problems/lease-still-runs", "2022-01-01")
    assert "/terminate" in refused["detail"]
    desk.does(lease, "terminate", on="2021-12-31")
    back = desk.does(lease, "hand-back", on="2021-12-31", clearing_days=10)
    assert (back["handed_back_on"], back["next_start"]) == ("2021-12-31", "2022-01-10")


def test_a_lease_without_an_end_is_ended_before_it_is_handed_back(desk: Desk) -> None:
    lease = desk.sign(PAST, until=None)

    refused = desk.does(lease, "hand-back", on="2021-12-31", status=409)

    assert (refused["type"], refused["until"]) == ("/problems/lease-still-runs", None)


def test_a_tenant_that_holds_over_is_on_the_lease_until_it_leaves(desk: Desk) -> None:
    lease = desk.sign(PAST, clearing_days=30, terms={"first_rate": "3", "day_count": "actual"})

    back = desk.does(lease, "hand-back", on="2022-02-01")

    assert kinds(back) == [
        ("lease", "2019-01-01", "2022-02-01"),
        ("clearing", "2022-02-01", "2022-03-03"),
    ]
    money = desk.client.get(f"{LEASES}/{lease['id']}/schedule", headers=desk.firm).json()
    # 31 days more, 2,000 m² at 3 CNY: 1,096 days of three years, and those.
    assert money["total_cny"] == f"{(1096 + 31) * 2000 * 3}.00"


def test_holding_over_into_the_next_lease_is_refused(desk: Desk) -> None:
    lease = desk.sign(PAST, clearing_days=30)
    desk.sign({"from": "2022-02-01", "until": "2023-01-01"})

    refused = desk.does(lease, "hand-back", on="2022-01-15", status=409)
    held_over = desk.does(lease, "hand-back", on="2022-01-15", clearing_days=17)

    assert refused["conflicts"][0]["periods"][0]["from"] == "2022-02-01"
    assert (held_over["until"], held_over["next_start"]) == ("2022-01-15", "2022-02-01")
    assert desk.does(lease, "hand-back", on="2022-02-02", status=409)["conflicts"]


def test_a_hand_back_corrects_an_earlier_one(desk: Desk) -> None:
    lease = desk.sign(PAST)
    desk.does(lease, "hand-back", on="2022-01-01")
    desk.does(lease, "cleared", on="2022-01-05")

    back = desk.does(lease, "hand-back", on="2022-01-10")

    assert (back["handed_back_on"], back["cleared_on"]) == ("2022-01-10", None)
    assert len(back["events"]) == 3


def test_what_was_handed_back_is_not_extended(desk: Desk) -> None:
    lease = desk.sign(PAST)
    desk.does(lease, "hand-back", on="2022-01-01")

    refused = desk.does(lease, "extend", until="2023-01-01", status=409)

    assert refused["type"] == "/problems/lease-handed-back"


def test_space_is_handed_over_within_the_lease_and_the_day_can_be_corrected(desk: Desk) -> None:
    lease = desk.sign(PAST)

    assert desk.does(lease, "hand-over", on="2018-12-31", status=422)["errors"]
    assert desk.does(lease, "hand-over", on="2022-01-01", status=409)["until"] == "2022-01-01"
    desk.does(lease, "hand-over", on="2019-01-04")
    shown = desk.does(lease, "hand-over", on="2019-01-05")

    assert shown["handed_over_on"] == "2019-01-05"
    assert [one["on"] for one in shown["events"]] == ["2019-01-04", "2019-01-05"]
    assert shown["events"][0]["kind_zh"] == "交付"


@pytest.mark.parametrize("what", ["hand-over", "hand-back", "cleared"])
def test_what_has_not_happened_is_not_recorded(desk: Desk, what: str) -> None:
    today = civil_day(desk.session.execute(select(func.clock_timestamp())).scalar_one())
    tomorrow = today + timedelta(days=1)
    # It runs until today, so that each may happen today and, but for the rule, tomorrow.
    runs_on = what == "hand-over"
    until = today + timedelta(days=9) if runs_on else today
    lease = desk.sign({"from": "2019-01-01", "until": str(until)}, clearing_days=5)
    if what == "cleared":
        desk.does(lease, "hand-back", on=str(today))

    refused = desk.does(lease, what, on=str(tomorrow), status=422)
    done = desk.does(lease, what, on=str(today))

    assert (refused["errors"][0]["pointer"], refused["errors"][0]["detail"]) == (
        "/on",
        f"not after {today}",
    )
    assert refused["errors"][0]["detail_zh"] == f"不得晚于 {today}"
    assert done["events"][-1]["on"] == str(today)


def test_but_for_the_rule_tomorrow_would_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: nothing else refuses a day that has not come."""
    monkeypatch.setattr(handover, "_require_come", lambda _on, _now: None)
    lease = desk.sign(clearing_days=5)

    for what, on in (("hand-over", "2027-01-02"), ("hand-back", "2030-01-01")):
        assert desk.does(lease, what, on=on)["events"]
    assert desk.does(lease, "cleared", on="2030-01-03")["cleared_on"] == "2030-01-03"


def test_who_may_do_what(desk: Desk) -> None:
    lease = desk.sign(PAST)
    stranger = make.firm_headers(desk.session, make.make_company(desk.session))
    viewer = make.staff_headers(desk.session, Role.VIEWER)
    elsewhere = make.staff_headers(
        desk.session, Role.ADMIN, park_ids=[make.make_park(desk.session).id]
    )
    desk.session.commit()
    calls = {
        "extend": {"until": "2023-01-01"},
        "terms": {"terms": {"first_rate": "3"}},
        "hand-over": {"on": "2019-01-01"},
        "hand-back": {"on": "2022-01-01"},
        "cleared": {"on": "2022-01-01"},
    }
    for what, body in calls.items():
        statuses = [
            desk.client.post(f"{LEASES}/{lease['id']}/{what}", json=body, headers=who).status_code
            for who in ({}, desk.firm, stranger, viewer, elsewhere)
        ]
        assert statuses == [401, 403, 403, 403, 404], what
    managers_only = {"extend", "terms"}
    for what, body in calls.items():
        answer = desk.client.post(f"{LEASES}/{lease['id']}/{what}", json=body, headers=desk.agent)
        assert answer.status_code == (403 if what in managers_only else 200), what
    for read in ("", "/terms", "/schedule"):
        answers = [
            desk.client.get(f"{LEASES}/{lease['id']}{read}", headers=who)
            for who in ({}, stranger, elsewhere)
        ]
        assert [answer.status_code for answer in answers] == [401, 404, 404], read
        assert {answer.json()["type"] for answer in answers[1:]} == {"/problems/not-found"}


def test_a_hold_and_works_have_no_life_of_a_lease(desk: Desk) -> None:
    works = make.make_claim(
        desk.session, desk.unit, date(2027, 1, 1), date(2027, 2, 1), kind="works"
    )
    desk.session.commit()
    for what, body in {
        "extend": {"until": "2031-01-01"},
        "hand-over": {"on": "2027-01-01"},
        "hand-back": {"on": "2027-02-01"},
        "cleared": {"on": "2027-02-01"},
        "terms": {"terms": {"first_rate": "3"}},
    }.items():
        path = f"{LEASES}/{works.commitment_id}/{what}"
        assert desk.client.post(path, json=body, headers=desk.manager).status_code == 404, what


def test_an_undone_lease_goes_nowhere(desk: Desk) -> None:
    lease = desk.sign()
    desk.does(lease, "terminate", on="2027-01-01")

    for what, body in {
        "extend": {"until": "2031-01-01"},
        "hand-back": {"on": "2030-01-01"},
    }.items():
        refused = desk.does(lease, what, status=409, **body)
        assert refused["type"] == "/problems/lease-already-ended"
    schedule = desk.client.get(f"{LEASES}/{lease['id']}/schedule", headers=desk.manager)
    assert schedule.status_code == 404


def test_a_call_repeated_with_its_key_is_done_once(desk: Desk) -> None:
    lease = desk.sign()
    headers = desk.manager | {"Idempotency-Key": "extend-1"}
    path = f"{LEASES}/{lease['id']}/extend"

    first = desk.client.post(path, json={"until": "2031-01-01"}, headers=headers)
    again = desk.client.post(path, json={"until": "2031-01-01"}, headers=headers)

    assert first.content == again.content
    assert len(again.json()["events"]) == 1
    rows = desk.session.scalar(select(func.count()).select_from(Claim))
    assert rows == 2


def test_a_part_goes_on_in_its_quantity_though_smaller_parts_are_no_longer_let(
    desk: Desk,
) -> None:
    unit = make.make_unit(desk.session, divisible=True, min_part=500, remainder_rule="any")
    desk.session.commit()
    lease = desk.sign(units=[{"unit_id": str(unit.id), "quantity": 600}], clearing_days=10)
    unit.min_part = Decimal(1000)
    desk.session.commit()

    longer = desk.does(lease, "extend", until="2031-01-01")
    shorter = desk.does(lease, "terminate", on="2029-01-01")

    assert [one["quantity"] for one in longer["claims"]] == [600, 600]
    assert kinds(shorter) == [
        ("lease", "2027-01-01", "2029-01-01"),
        ("clearing", "2029-01-01", "2029-01-11"),
    ]


def grant(desk: Desk, company: Company, **more: Any) -> dict[str, Any]:
    body = {
        "kind": "first_refusal",
        "company_id": str(company.id),
        "units": [str(desk.unit.id)],
        "notice_days": 10,
        "from": "2030-01-01",
        "until": "2033-01-01",
        **more,
    }
    answer = desk.client.post("/api/v1/rights", json=body, headers=desk.manager)
    assert answer.status_code == 201, answer.text
    right: dict[str, Any] = answer.json()
    return right


def test_an_extension_waits_for_the_rights_of_others(desk: Desk) -> None:
    lease = desk.sign()
    other = make.make_company(desk.session)
    desk.session.commit()
    right = grant(desk, other)

    refused = desk.does(lease, "extend", until="2031-01-01", status=409)

    assert refused["type"] == "/problems/right-not-cleared"
    period = {"from": "2030-01-01", "until": "2031-01-01", "reference": "minute 7"}
    waived = desk.client.post(
        f"/api/v1/rights/{right['id']}/waivers", json=period, headers=desk.manager
    )
    assert waived.status_code == 201, waived.text
    assert desk.does(lease, "extend", until="2031-01-01")["until"] == "2031-01-01"
    proof = desk.session.execute(
        select(RightClearance.right_id).where(RightClearance.commitment_id == UUID(lease["id"]))
    ).scalar_one()
    assert str(proof) == right["id"]


def test_the_tenants_own_right_is_no_bar_to_its_extension(desk: Desk) -> None:
    lease = desk.sign()
    grant(desk, desk.company, kind="renewal")

    assert desk.does(lease, "extend", until="2032-01-01")["until"] == "2032-01-01"


def test_an_extension_does_not_take_what_is_on_offer_to_those_in_line(desk: Desk) -> None:
    lease = desk.sign()
    waiting = make.firm_headers(desk.session, make.make_company(desk.session))
    desk.session.commit()
    wish = {
        "units": [{"unit_id": str(desk.unit.id)}],
        "from": "2030-01-01",
        "until": "2032-01-01",
    }
    holder = make.firm_headers(desk.session, make.make_company(desk.session))
    desk.session.commit()
    held = desk.client.post("/api/v1/holds", json=wish, headers=holder)
    joined = desk.client.post("/api/v1/queue-entries", json=wish, headers=waiting)
    assert joined.status_code == 201, joined.text
    desk.client.post(f"{held.headers['location']}/release", headers=holder)
    offered = desk.client.get(joined.headers["location"], headers=waiting)
    assert offered.json()["state"] == "offered"

    refused = desk.does(lease, "extend", until="2031-01-01", status=409)

    assert refused["type"] == "/problems/others-first"
    left = desk.client.post(f"{joined.headers['location']}/leave", headers=waiting)
    assert left.status_code == 200, left.text
    assert desk.does(lease, "extend", until="2031-01-01")["until"] == "2031-01-01"
