"""The trail over HTTP: what a call leaves, and who reads it."""

import hashlib
import json
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from app.models.audit import AuditEntry
from app.models.company import Company
from app.models.space import Unit
from app.security.actors import Actor, ActorKind, Role
from app.security.audit.actions import Action
from app.security.audit.chain import verify
from app.security.audit.trail import record
from app.security.rows import bind, system
from tests import factories as make

ENTRIES = "/api/v1/audit-entries"


def _hold(client: TestClient, unit: Unit, headers: dict[str, str], **body: Any) -> Any:
    asked = {
        "units": [{"unit_id": str(unit.id)}],
        "from": "2027-01-01",
        "until": "2028-01-01",
        **body,
    }
    return client.post("/api/v1/holds", json=asked, headers=headers)


def _listed(client: TestClient, headers: dict[str, str], **asked: Any) -> list[dict[str, Any]]:
    answer = client.get(ENTRIES, params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def _world(session: Session) -> tuple[Unit, Company, dict[str, str]]:
    unit, company = make.make_unit(session), make.make_company(session)
    manager = make.staff_headers(session, Role.MANAGER, park_ids=[unit.park_id])
    session.commit()
    return unit, company, manager


def test_a_write_leaves_one_entry_and_a_refused_or_repeated_one_none(
    client: TestClient, session: Session
) -> None:
    unit, company, manager = _world(session)
    key = {"Idempotency-Key": "one", "X-Request-ID": "call-1"}

    made, again = (_hold(client, unit, manager | key, company_id=str(company.id)) for _ in range(2))
    refused = _hold(client, unit, manager, company_id=str(company.id))

    assert (made.status_code, again.content, refused.status_code) == (201, made.content, 409)
    (entry,) = _listed(client, manager)
    label = session.scalar(select(AuditEntry.actor))
    assert label is not None
    assert label.startswith("staff:")
    assert entry["details"].pop("body_sha256")
    shown = {
        "action": "hold.placed",
        "action_zh": "锁定房源",
        "actor": label,
        "actor_kind": "staff",
        "company_id": str(company.id),
        "park_id": str(unit.park_id),
        "sequence": 1,
        "subject_type": "hold",
        "subject_id": made.json()["id"],
        "request_id": "caller:call-1",
        "previous_hash": "00" * 32,
    }
    assert {name: entry[name] for name in shown} == shown
    assert entry["details"]["from"] == "2027-01-01"
    assert verify(session).tampering is None


def test_a_rehearsal_leaves_nothing(client: TestClient, session: Session) -> None:
    unit, _, manager = _world(session)
    body = {"effective_on": "2027-01-01", "changes": {"power_kva": "500"}, "reason": "增容"}
    address = f"/api/v1/units/{unit.id}/terms"

    tried = client.post(address, json={**body, "dry_run": True}, headers=manager)
    assert (tried.status_code, _listed(client, manager)) == (200, [])
    done = client.post(address, json=body, headers=manager)

    assert done.status_code == 201, done.text
    (entry,) = _listed(client, manager)
    assert (entry["action"], entry["reason"]) == ("unit.terms_changed", "增容")
    assert (entry["subject_id"], entry["park_id"]) == (str(unit.id), str(unit.park_id))


def test_a_claim_in_two_parks_is_in_both_chains(client: TestClient, session: Session) -> None:
    one, other, company = (
        make.make_unit(session),
        make.make_unit(session),
        make.make_company(session),
    )
    admin = make.staff_headers(session, Role.ADMIN)
    session.commit()
    assert one.park_id != other.park_id

    units = [{"unit_id": str(unit.id)} for unit in (one, other)]
    made = _hold(client, one, admin, company_id=str(company.id), units=units)

    assert made.status_code == 201, made.text
    found = session.execute(select(AuditEntry.park_id, AuditEntry.sequence)).all()
    assert {tuple(row) for row in found} == {(one.park_id, 1), (other.park_id, 1)}


def test_who_reads_what(client: TestClient, session: Session) -> None:
    """Managers their parks; of every park the house too; a firm what concerns it; nobody else."""
    unit, company, manager = _world(session)
    rival, elsewhere = make.make_company(session), make.make_unit(session)
    theirs, rivals = make.firm_headers(session, company), make.firm_headers(session, rival)
    agent, admin = make.staff_headers(session, Role.AGENT), make.staff_headers(session, Role.ADMIN)
    session.commit()
    mine = _hold(client, unit, theirs)
    by_staff = _hold(client, elsewhere, admin, company_id=str(company.id))
    assert (mine.status_code, by_staff.status_code) == (201, 201), (mine.text, by_staff.text)
    body = {
        "unified_social_credit_code": make.credit_code(make.number() + 500),
        "name_zh": "新企业",
        "name_en": "New",
    }
    added = client.post("/api/v1/companies", json=body, headers=admin)
    assert added.status_code == 201, added.text

    assert client.get(ENTRIES).status_code == 401
    assert client.get(ENTRIES, headers=agent).status_code == 403
    assert _listed(client, rivals) == []
    assert [one["subject_id"] for one in _listed(client, manager)] == [mine.json()["id"]]
    assert {one["action"] for one in _listed(client, admin)} == {"hold.placed", "company.added"}
    seen = _listed(client, theirs)
    assert [one["subject_id"] for one in seen] == [by_staff.json()["id"], mine.json()["id"]]
    assert [one["actor"].split(":")[0] for one in seen] == ["staff", "firm"]
    # Not which of the staff, nor what ties entries of others to theirs.
    untold = ("account_id", "reason", "request_id", "hash", "sequence")
    assert {seen[0][name] for name in untold} == {None}
    assert seen[0]["actor"] == "staff"


def test_filters_narrow_and_pages_lose_nothing(client: TestClient, session: Session) -> None:
    unit, company, manager = _world(session)
    for year in range(2030, 2035):
        days = {"from": f"{year}-01-01", "until": f"{year + 1}-01-01"}
        made = _hold(client, unit, manager, company_id=str(company.id), **days)
        assert made.status_code == 201, made.text
    released = client.post(f"/api/v1/holds/{made.json()['id']}/release", headers=manager)
    assert released.status_code == 200, released.text

    assert len(_listed(client, manager, action=["hold.placed", "hold.released"])) == 6
    of_one = _listed(client, manager, subject=made.json()["id"])
    assert [one["action"] for one in of_one] == ["hold.released", "hold.placed"]
    assert len(_listed(client, manager, company=str(company.id))) == 6
    assert _listed(client, manager, company=str(uuid4())) == []
    moment = of_one[0]["at"]
    assert [one["sequence"] for one in _listed(client, manager, **{"from": moment})] == [6]
    assert len(_listed(client, manager, until=moment)) == 5
    assert client.get(ENTRIES, params={"park": "atlantis"}, headers=manager).status_code == 404

    numbers, cursor = [], None
    while True:
        asked = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = client.get(ENTRIES, params=asked, headers=manager).json()
        numbers += [one["sequence"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert numbers == [6, 5, 4, 3, 2, 1]


def test_anyone_can_check_the_chain_by_what_the_list_says(
    client: TestClient, session: Session
) -> None:
    """As docs/explain/audit.md describes it, without a line of the service's own."""
    unit, company, manager = _world(session)
    for year in (2030, 2032):
        days = {"from": f"{year}-01-01", "until": f"{year + 1}-01-01"}
        made = _hold(client, unit, manager, company_id=str(company.id), **days)
        assert made.status_code == 201, made.text

    before = "00" * 32
    for entry in reversed(_listed(client, manager)):
        said = entry.pop("hash")
        hashed = {
            name: value
            for name, value in entry.items()
            if name not in {"park_code", "action_zh", "action_en"}
        }
        hashed["at"] = datetime.fromisoformat(entry["at"]).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        text_ = json.dumps(hashed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text_.encode()).hexdigest() == said
        assert entry["previous_hash"] == before
        before = said


def test_the_database_shows_each_caller_its_own_entries_only(session: Session) -> None:
    """The floor under the list: a query that forgets its filter shows nothing of others."""
    park, other = make.make_park(session), make.make_park(session)
    mine, rival = make.make_company(session), make.make_company(session)
    for park_id, firm in ((park.id, mine), (park.id, rival), (other.id, mine), (None, None)):
        _record(session, park_id, firm)
    session.execute(text("SET LOCAL ROLE space_relay_app"))

    def seen(audience: str, firm: Company | None = None, parks: str = "") -> int | None:
        told = {"audience": audience, "firm": str(firm.id) if firm else "", "parks": parks}
        session.execute(
            text(
                "SELECT set_config('app.audience', :audience, true),"
                " set_config('app.firm_id', :firm, true), set_config('app.park_ids', :parks, true)"
            ),
            told,
        )
        return session.scalar(select(func.count()).select_from(AuditEntry))

    assert (seen("firm", mine), seen("firm", rival), seen("")) == (2, 1, 0)
    assert (seen("staff"), seen("staff", parks=str(park.id)), seen("system")) == (4, 2, 4)
    # Whoever adds an entry adds it to the whole chain, also who sees nothing of it.
    assert seen("firm", rival) == 1
    _record(session, park.id, rival)
    assert (seen("firm", rival), seen("system")) == (2, 5)
    assert verify(session).tampering is None


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_entries (actor) VALUES ('x')",
        "UPDATE audit_entries SET actor = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
    ],
)
def test_the_service_itself_can_only_add_through_the_chain(
    session: Session, statement: str
) -> None:
    _record(session, None, None)
    session.execute(text("SET LOCAL ROLE space_relay_app"))
    _record(session, None, None)  # the one way that is open

    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        session.execute(text(statement))


def _record(session: Session, park_id: UUID | None, firm: Company | None) -> None:
    record(
        session,
        "tests",
        "hold.placed",
        park_id=park_id,
        subject_type="hold",
        subject_id="x",
        company_id=None if firm is None else firm.id,
    )


def test_a_call_without_an_id_of_its_own_has_the_services(
    client: TestClient, session: Session
) -> None:
    headers = make.staff_headers(session)
    unit = make.make_unit(session)
    company_id = str(make.make_company(session).id)
    session.commit()
    for given in ({}, {"X-Request-ID": "two words"}):
        day = "2028" if given else "2027"
        term = {"from": f"{day}-01-01", "until": f"{day}-02-01", "company_id": company_id}
        made = _hold(client, unit, headers | given, **term)
        assert made.status_code == 201, made.text
        newest = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
        assert newest.request_id == made.headers["x-request-id"]
        assert len(newest.request_id or "") == 32


def test_who_calls_writes_in_no_other_name(session: Session) -> None:
    """The database sees to it: a fault of ours cannot put a deed on somebody else."""
    wang, li = (Actor(ActorKind.STAFF, f"staff:{name}", role=Role.ADMIN) for name in ("a", "b"))

    def write(actor: Actor) -> None:
        record(
            session,
            actor,
            Action.STAFF_CHANGED,
            park_id=None,
            subject_type="staff_account",
            subject_id=None,
        )

    bind(session, wang)
    write(wang)
    savepoint = session.begin_nested()
    with pytest.raises(ProgrammingError, match="in no other name"):
        write(li)
    savepoint.rollback()
    # Control: jobs and the gate call as nobody, and say who it was.
    system(session)
    write(li)
