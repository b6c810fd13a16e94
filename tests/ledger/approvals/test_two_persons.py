"""Ending a lease and re-measuring a unit take two managers: one asks, another one does it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.ledger.approvals import service
from app.models.access import Credential
from app.models.approval import Approval
from app.models.audit import AuditEntry
from app.models.claim import Claim
from app.models.lease import LeaseEvent
from app.models.space import Unit
from app.models.staff import CredentialGift, StaffAccount
from app.security.actors import NotAllowedError, Role
from app.security.credentials import issue_staff_token
from app.security.staff.persons import note_gift
from tests import factories as make

APPROVALS = "/api/v1/approvals"
MEASURED = {
    "effective_on": "2027-01-01",
    "leasable_area_m2": "990.00",
    "internal_area_m2": "800.00",
    "method": "实测",
}
TERMS = {
    "basis": "leasable",
    "day_count": "month_365_12",
    "payment_months": 3,
    "due_days_before": 7,
    "first_rate": "3.2000",
}
END = {"on": "2028-01-01", "reason": "双方协商"}


class Office:
    """A unit let whole, two managers of its park, and a way to call as either."""

    def __init__(self, session: Session, client: TestClient) -> None:
        self.session, self.client = session, client
        self.unit = make.make_unit(session)
        self.company = make.make_company(session)
        self.lease = make.make_claim(
            session, self.unit, date(2027, 1, 1), date(2030, 1, 1), company_id=self.company.id
        )
        parks = [self.unit.park_id]
        self.wang, self.li = (
            make.staff_headers(session, Role.MANAGER, park_ids=parks) for _ in range(2)
        )
        session.commit()

    def end(self, headers: dict[str, str], **body: Any) -> Any:
        address = f"/api/v1/leases/{self.lease.commitment_id}/terminate"
        return self.client.post(address, json={**END, **body}, headers=headers)

    def remeasure(self, headers: dict[str, str], **body: Any) -> Any:
        address = f"/api/v1/units/{self.unit.id}/remeasure"
        return self.client.post(address, json={**MEASURED, **body}, headers=headers)

    def decide(self, asked: Any, word: str, headers: dict[str, str], **extra: Any) -> Any:
        body = {"reason": "核对无误"}
        return self.client.post(
            f"{APPROVALS}/{asked.json()['id']}/{word}",
            json=body,
            headers={**headers, **extra},
        )

    def let_until(self) -> date | None:
        found: date | None = self.session.execute(
            select(func.upper(Claim.period)).where(
                func.upper_inf(Claim.live), Claim.kind == "lease"
            )
        ).scalar_one()
        return found

    def area(self) -> float:
        self.session.expire_all()
        found = self.session.get_one(Unit, self.unit.id)
        return float(found.leasable_area_m2)


@pytest.fixture
def office(session: Session, make_client: Callable[..., TestClient]) -> Office:
    return Office(session, make_client(session, two_person_rule=True))


def test_the_second_manager_ends_the_lease(office: Office) -> None:
    asked = office.end(office.wang)

    assert asked.status_code == 202, asked.text
    said = asked.json()
    assert asked.headers["location"] == f"{APPROVALS}/{said['id']}"
    assert (said["state"], said["decision"], said["state_zh"]) == (
        "pending",
        "lease.terminate",
        "待复核",
    )
    # What will happen is read before it happens.
    assert (said["effect"]["state"], said["effect"]["until"]) == ("terminated", "2028-01-01")
    assert office.let_until() == date(2030, 1, 1)
    assert office.session.scalar(select(func.count()).select_from(LeaseEvent)) == 0

    done = office.decide(asked, "approve", office.li)

    assert (done.status_code, done.json()["state"]) == (200, "approved"), done.text
    assert office.let_until() == date(2028, 1, 1)
    trail = office.session.execute(
        select(AuditEntry.action, AuditEntry.subject_type, AuditEntry.reason).order_by(
            AuditEntry.sequence
        )
    ).all()
    assert [tuple(row) for row in trail] == [
        ("approval.asked", "approval", "双方协商"),
        ("lease.terminated", "lease", "双方协商"),
        ("approval.approved", "approval", "核对无误"),
    ]
    said = office.session.scalars(
        select(AuditEntry.details).where(AuditEntry.action == "lease.terminated")
    ).one()
    assert said["approval_id"] == asked.json()["id"]


def test_the_second_manager_changes_the_area(office: Office) -> None:
    before = office.area()
    asked = office.remeasure(office.wang)
    assert (asked.status_code, office.area()) == (202, before), asked.text
    assert (asked.json()["effect"]["dry_run"], asked.json()["effect"]["event_id"]) == (True, None)

    assert office.decide(asked, "approve", office.li).status_code == 200
    assert office.area() == 990.0


def test_a_dry_run_takes_nobody_else(office: Office) -> None:
    answer = office.remeasure(office.wang, dry_run=True)

    assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
    assert office.client.get(APPROVALS, headers=office.wang).json()["items"] == []


def test_who_asks_does_not_approve_but_may_take_back(office: Office) -> None:
    asked = office.end(office.wang)

    own = office.decide(asked, "approve", office.wang)
    assert (own.status_code, own.json()["type"]) == (403, "/problems/own-approval")
    assert office.decide(asked, "refuse", office.wang).json()["state"] == "refused"
    late = office.decide(asked, "approve", office.li)
    assert (late.status_code, late.json()["type"]) == (409, "/problems/approval-decided")
    assert office.let_until() == date(2030, 1, 1)


def _token(office: Office, account: StaffAccount | None) -> dict[str, str]:
    parks = [office.unit.park_id]
    token = issue_staff_token(
        office.session, role=Role.MANAGER, label="another", park_ids=parks, account=account
    )
    office.session.commit()
    return {"Authorization": f"Bearer {token}"}


def _person(office: Office, headers: dict[str, str]) -> StaffAccount:
    key_id = headers["Authorization"].split("_")[2]
    account_id = office.session.scalars(
        select(Credential.account_id).where(Credential.key_id == key_id)
    ).one()
    return office.session.get_one(StaffAccount, account_id)


def test_one_person_with_two_tokens_is_one_person(office: Office) -> None:
    asked = office.end(office.wang)

    own = office.decide(asked, "approve", _token(office, _person(office, office.wang)))

    assert (own.status_code, own.json()["type"]) == (403, "/problems/own-approval")
    assert office.decide(asked, "approve", office.li).status_code == 200


def test_a_token_of_nobody_is_no_person(office: Office) -> None:
    nobody = _token(office, None)
    asked = office.end(office.wang)

    for answer in (office.end(nobody), office.decide(asked, "approve", nobody)):
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/person-needed")
        assert "--account" in answer.json()["detail"]
    assert office.let_until() == date(2030, 1, 1)


def test_the_database_itself_takes_two_persons(office: Office) -> None:
    """Whatever wrote the row."""
    asked = UUID(office.end(office.wang).json()["id"])
    decide = text(
        "UPDATE approvals SET state = 'approved', decided_by = 'staff:other', decided_at = now(),"
        " decided_account_id = :account WHERE id = :id"
    )
    session = office.session
    # Control: another person's account may.
    other = session.begin_nested()
    session.execute(decide, {"id": asked, "account": uuid4()})
    other.rollback()
    for account in (_person(office, office.wang).id, None):
        savepoint = session.begin_nested()
        with pytest.raises(IntegrityError, match="takes two persons"):
            session.execute(decide, {"id": asked, "account": account})
        savepoint.rollback()


@pytest.mark.parametrize(
    ("given", "days_ago", "are_two"),
    [
        ("li by wang", 29, False),
        ("wang by li", 29, False),
        ("li by wang", 31, True),
        ("both by one", 1, False),
        ("one by another", 1, True),
        ("wang by one by li", 1, False),
        ("each by the other", 1, False),
    ],
)
def test_who_gave_an_account_away_is_no_second_person(
    office: Office, given: str, days_ago: int, are_two: bool
) -> None:
    """An administrator resets a manager's account, takes it over, and would be both."""
    session, now = office.session, datetime.now(UTC)
    wang, li = _person(office, office.wang), _person(office, office.li)
    boss = _person(office, make.staff_headers(session, Role.ADMIN))
    gifts = {
        "li by wang": [(li, wang)],
        "wang by li": [(wang, li)],
        "both by one": [(wang, boss), (li, boss)],
        "one by another": [(li, boss)],
        "wang by one by li": [(wang, boss), (boss, li)],
        "each by the other": [(wang, li), (li, wang)],
    }
    for account, giver in gifts[given]:
        note_gift(session, account, giver.id, now - timedelta(days=days_ago))
    session.commit()

    decided = office.decide(office.end(office.wang), "approve", office.li)

    assert decided.status_code == (200 if are_two else 403), decided.text
    assert office.let_until() == date(2028 if are_two else 2030, 1, 1)


@pytest.mark.parametrize(
    ("of_wang", "of_li", "numbers_needed", "are_two"),
    [
        ("GI-1", "GI-1", False, False),
        # Control: who are known to be two, and who are known to be nobody in particular.
        ("GI-1", "GI-2", False, True),
        (None, "GI-2", False, True),
        (None, None, False, True),
        ("GI-1", "GI-2", True, True),
        ("GI-1", "GI-1", True, False),
        (None, "GI-2", True, False),
        ("GI-1", None, True, False),
        (None, None, True, False),
    ],
)
def test_two_accounts_of_one_staff_number_are_one_person(
    session: Session,
    make_client: Callable[..., TestClient],
    *,
    of_wang: str | None,
    of_li: str | None,
    numbers_needed: bool,
    are_two: bool,
) -> None:
    """The operator gave one person two accounts, one after the other."""
    settings = {"two_person_rule": True, "second_person_numbers": numbers_needed}
    office = Office(session, make_client(session, **settings))
    asked = office.end(office.wang)
    wang, li = _person(office, office.wang), _person(office, office.li)
    # Who asked has been disabled since, so that both may have the number.
    wang.disabled_at = datetime.now(UTC)
    wang.staff_number, li.staff_number = of_wang, of_li
    session.commit()

    decided = office.decide(asked, "approve", office.li)

    assert decided.status_code == (200 if are_two else 403), decided.text
    if not are_two:
        assert decided.json()["type"] == "/problems/own-approval"
    assert office.let_until() == date(2028 if are_two else 2030, 1, 1)


def test_a_staff_number_is_of_one_account_that_is_in_use(office: Office) -> None:
    boss = make.staff_headers(office.session, Role.ADMIN)
    office.session.commit()

    def invite(name: str, number: str) -> Any:
        body = {"email": f"{name}@people.invalid", "name": name, "role": "manager"}
        return office.client.post(
            "/api/v1/staff", json={**body, "staff_number": number}, headers=boss
        )

    def change(account_id: str, **body: Any) -> Any:
        headers = {**boss, "If-Match": "*"}
        return office.client.patch(f"/api/v1/staff/{account_id}", json=body, headers=headers)

    first = invite("first", " gi-0 77 ")
    assert first.status_code == 201, first.text
    account = first.json()["account"]
    assert account["staff_number"] == "GI-077", "alike however it is typed"
    again = invite("second", "GI-077")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/account-exists")
    other = invite("third", "GI-078").json()["account"]
    taken = change(other["id"], staff_number="gi-077")
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/account-exists")
    assert invite("fourth", "工号").status_code == 422

    # Who left may come back, and be the same person under another account.
    assert change(account["id"], disabled=True).status_code == 200
    back = invite("second", "GI-077")
    assert back.json()["account"]["staff_number"] == "GI-077"
    enabled = change(account["id"], disabled=False)
    assert (enabled.status_code, enabled.json()["type"]) == (409, "/problems/account-exists")
    numbered = change(other["id"], staff_number="GI-079").json()
    assert numbered["staff_number"] == "GI-079"
    kept = office.session.scalars(select(AuditEntry.details)).all()
    assert "GI-07" not in str(kept), "the trail is for ever, and names nobody"


@pytest.mark.parametrize("how", ["invite", "invite again", "reset"])
def test_giving_away_is_written_down(office: Office, how: str) -> None:
    boss = make.staff_headers(office.session, Role.ADMIN)
    li = _person(office, office.li)
    office.session.commit()
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "invite": ("", {"email": "new@people.invalid", "name": "x", "role": "manager"}),
        "invite again": (f"/{li.id}/invitation", {}),
        "reset": (f"/{li.id}/reset-second-factor", {}),
    }
    address, body = calls[how]

    nobody = issue_staff_token(office.session, role=Role.ADMIN, label="program")
    office.session.commit()
    refused = office.client.post(
        f"/api/v1/staff{address}", json=body, headers={"Authorization": f"Bearer {nobody}"}
    )
    answer = office.client.post(f"/api/v1/staff{address}", json=body, headers=boss)

    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/person-needed")
    assert answer.status_code in {200, 201}, answer.text
    made = answer.json().get("account", answer.json())["id"]
    gift = office.session.execute(select(CredentialGift.account_id, CredentialGift.given_by)).one()
    assert (str(gift.account_id), gift.given_by) == (made, _person(office, boss).id)


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "agent"}])
def test_a_token_ends_when_its_person_may_no_longer(office: Office, change: dict[str, Any]) -> None:
    boss = make.staff_headers(office.session, Role.ADMIN)
    li = _person(office, office.li)
    office.session.commit()
    assert office.client.get(APPROVALS, headers=office.li).status_code == 200

    changed = office.client.patch(
        f"/api/v1/staff/{li.id}", json=change, headers={**boss, "If-Match": "*"}
    )

    assert changed.status_code == 200, changed.text
    assert office.client.get(APPROVALS, headers=office.li).status_code == 401
    with pytest.raises(NotAllowedError):
        issue_staff_token(office.session, role=Role.ADMIN, label="too much", account=li)


def test_only_managers_of_the_park_see_and_decide(office: Office) -> None:
    asked = office.end(office.wang)
    session = office.session
    elsewhere = make.staff_headers(session, Role.ADMIN, park_ids=[make.make_park(session).id])
    agent = make.staff_headers(session, Role.AGENT)
    firm = make.firm_headers(session, office.company)
    session.commit()

    for headers, seen, decided in ((elsewhere, 404, 404), (agent, 200, 403), (firm, 403, 403)):
        address = asked.headers["location"]
        assert office.client.get(address, headers=headers).status_code == seen
        assert office.decide(asked, "approve", headers).status_code == decided
    assert office.end(agent).status_code == 403
    assert office.client.get(APPROVALS, headers=elsewhere).json()["items"] == []
    listed = office.client.get(APPROVALS, params={"state": "pending"}, headers=agent).json()
    assert [one["id"] for one in listed["items"]] == [asked.json()["id"]]


def test_what_cannot_be_done_is_refused_at_once(office: Office) -> None:
    refused = office.end(office.wang, on="2031-01-01")

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/lease-already-ended")
    assert office.session.scalar(select(func.count()).select_from(Approval)) == 0


@pytest.mark.parametrize("change", ["extended", "on terms", "promised"])
def test_a_subject_that_changed_makes_it_void(office: Office, change: str) -> None:
    """Whatever became known of it since: nobody approves what they have not read."""
    asked = office.remeasure(office.wang) if change == "promised" else office.end(office.wang)
    lease = f"/api/v1/leases/{office.lease.commitment_id}"
    calls = {
        "extended": (f"{lease}/extend", {"until": "2031-01-01"}),
        "on terms": (f"{lease}/terms", {"terms": TERMS}),
        "promised": (
            "/api/v1/holds",
            {
                "units": [{"unit_id": str(office.unit.id)}],
                "from": "2032-01-01",
                "until": "2033-01-01",
                "company_id": str(office.company.id),
            },
        ),
    }
    address, body = calls[change]
    changed = office.client.post(address, json=body, headers=office.wang)
    assert changed.status_code in {200, 201}, changed.text

    void = office.decide(asked, "approve", office.li)

    assert (void.status_code, void.json()["type"]) == (409, "/problems/approval-void")
    shown = office.client.get(asked.headers["location"], headers=office.li).json()
    assert shown["state"] == "void"
    again = office.decide(asked, "approve", office.li)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/approval-decided")


class Later:
    """A clock that can be put forward."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def test_nobody_decides_what_has_expired(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session, two_person_rule=True, approval_hours=2)
    office, clock = Office(session, client), Later()
    client.app.state.clock = clock  # type: ignore[attr-defined]
    asked = office.end(office.wang)
    clock.ahead = timedelta(hours=2, minutes=1)

    late = office.decide(asked, "approve", office.li)

    assert (late.status_code, late.json()["type"]) == (409, "/problems/approval-expired")
    shown = client.get(APPROVALS, params={"state": "expired"}, headers=office.li).json()["items"]
    assert [(one["id"], one["state_zh"]) for one in shown] == [(asked.json()["id"], "已过期")]
    assert office.let_until() == date(2030, 1, 1)


@pytest.mark.parametrize("reason", [None, "", " \n", "原\0因", "长" * 1_001])
def test_an_early_end_takes_a_reason(office: Office, reason: str | None) -> None:
    refused = office.end(office.wang, reason=reason)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/reason")
    # Control: with one it is kept for whoever approves.
    assert office.end(office.wang, reason="原因").json()["reason"] == "原因"


@pytest.mark.parametrize("what", ["end", "remeasure"])
def test_one_thing_waits_at_a_time(office: Office, what: str) -> None:
    """Whichever of two is approved voids the other, so the second is refused with the first."""
    ask = getattr(office, what)
    first = ask(office.wang)
    again = ask(office.li)

    assert (again.status_code, again.json()["type"]) == (409, "/problems/approval-pending")
    assert again.json()["approval_id"] == first.json()["id"]
    assert again.json()["expires_at"] == first.json()["expires_at"]
    assert first.json()["id"] in again.json()["detail_zh"]
    # What is decided waits no longer, and another thing never waited.
    other = office.remeasure if what == "end" else office.end
    assert other(office.li).status_code == 202
    assert office.decide(first, "refuse", office.wang).status_code == 200
    assert ask(office.li).status_code == 202


def test_what_has_expired_keeps_nobody_waiting(
    session: Session, make_client: Callable[..., TestClient]
) -> None:
    client = make_client(session, two_person_rule=True, approval_hours=2)
    office, clock = Office(session, client), Later()
    client.app.state.clock = clock  # type: ignore[attr-defined]
    first = office.end(office.wang)
    clock.ahead = timedelta(hours=1, minutes=59)
    # Control: until then it waits.
    assert office.end(office.wang).status_code == 409
    clock.ahead = timedelta(hours=2)

    assert office.end(office.wang).status_code == 202
    address = first.headers["location"]
    assert client.get(address, headers=office.li).json()["state"] == "expired"


@pytest.mark.parametrize(
    ("without", "kept"), [((), 1), (("look",), 1), (("look", "rule"), 6)], ids=str
)
def test_of_managers_who_ask_at_once_one_waits(
    own_engine: Engine,
    make_client: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
    without: tuple[str, ...],
    kept: int,
) -> None:
    """The look under the lock says so kindly, the database's rule at any rate; control: neither."""
    with Session(own_engine, expire_on_commit=False) as session:
        office = Office(session, make_client(own_engine, two_person_rule=True))
        if "look" in without:
            monkeypatch.setattr(service, "_require_none_pending", lambda *_: None)
        if "rule" in without:
            session.execute(text("ALTER TABLE approvals DROP CONSTRAINT ex_approvals_one_pending"))
            session.commit()
        with ThreadPoolExecutor(6) as crowd:
            answers = list(crowd.map(lambda _: office.end(office.wang), range(6)))

        refused = [one.json()["type"] for one in answers if one.status_code != 202]
        assert refused == ["/problems/approval-pending"] * (6 - kept), refused
        assert session.scalar(select(func.count()).select_from(Approval)) == kept


def test_a_repeated_approval_does_nothing_twice(office: Office) -> None:
    asked = office.end(office.wang)
    key = {"Idempotency-Key": "approve-once"}

    first, second = (office.decide(asked, "approve", office.li, **key) for _ in range(2))

    assert (first.status_code, second.content) == (200, first.content)
    assert second.headers["idempotency-replayed"] == "true"
    assert office.session.scalar(select(func.count()).select_from(LeaseEvent)) == 1


def test_of_managers_who_approve_at_once_one_does_it(
    own_engine: Engine, make_client: Callable[..., TestClient]
) -> None:
    with Session(own_engine, expire_on_commit=False) as session:
        office = Office(session, make_client(own_engine, two_person_rule=True))
        asked = office.end(office.wang)
        others = [make.staff_headers(session, Role.MANAGER) for _ in range(6)]
        session.commit()
        with ThreadPoolExecutor(len(others)) as crowd:
            answers = list(crowd.map(lambda one: office.decide(asked, "approve", one), others))

        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, *[409] * 5], [answer.text for answer in answers]
        assert session.scalar(select(func.count()).select_from(LeaseEvent)) == 1


def test_switched_off_one_manager_does_it(client: TestClient, session: Session) -> None:
    """The control arm of all the others."""
    office = Office(session, client)

    assert office.end(office.wang).status_code == 200
    assert office.let_until() == date(2028, 1, 1)
