"""Contacts: kept encrypted, shown with stars, in full for a reason, corrected, found, erased."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from app.contacts import people
from app.models.access import IdempotentAnswer
from app.models.audit import AuditEntry
from app.models.contact import Contact
from app.security.actors import Role, Scope
from tests.factories import ANY, firm_headers, make_company, staff_headers

NAME, PHONE, EMAIL = "示例联系人", "+86 138 0000 0001", "Contact01@Example.invalid"
PERSON: dict[str, Any] = {
    "name": NAME,
    "phone": PHONE,
    "email": EMAIL,
    "role": "site_search",
    "purpose": "matching",
    "consent": {"given_at": "2026-11-01T09:00:00+08:00", "form": "written"},
}
WHY = {"reason": "回复企业的中试空间需求，约看房时间"}


class World:
    """A firm, another one, staff, and somebody to talk to at the first."""

    def __init__(self, session: Session, client: TestClient) -> None:
        self.session, self.client = session, client
        self.company = make_company(session)
        self.firm = firm_headers(session, self.company)
        self.stranger = firm_headers(session, make_company(session))
        self.agent = staff_headers(session, Role.AGENT)
        self.manager = staff_headers(session, Role.MANAGER)
        session.commit()

    def call(self, method: str, path: str, who: dict[str, str], body: Any = None) -> Response:
        answer: Response = self.client.request(method, f"/api/v1{path}", headers=who, json=body)
        return answer

    def add(self, who: dict[str, str] | None = None, **other: Any) -> Response:
        path = f"/companies/{self.company.id}/contacts"
        return self.call("POST", path, who or self.firm, PERSON | other)

    def entries(self) -> list[AuditEntry]:
        self.session.expire_all()
        return list(self.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


@pytest.fixture
def world(session: Session, client: TestClient) -> World:
    return World(session, client)


def test_what_is_kept_is_sealed_and_what_is_shown_has_stars(world: World) -> None:
    made = world.add(world.firm | {"Idempotency-Key": "once"})
    again = world.add(world.firm | {"Idempotency-Key": "once"})

    assert made.status_code == 201, made.text
    assert made.headers["ETag"] == '"1"'
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == made.content
    shown = made.json()
    assert (shown["name_masked"], shown["phone_masked"], shown["email_masked"]) == (
        "示*",
        "138****0001",
        "C***@example.invalid",
    )
    kept = world.session.scalars(select(IdempotentAnswer.body)).one()
    row = world.session.execute(text("SELECT contacts::text FROM contacts")).scalar_one()
    entries = json.dumps([entry.details for entry in world.entries()])
    for clear in ("示例联系人", "13800000001", "ontact01"):
        assert clear not in kept.decode() + row + entries
        assert clear.encode().hex() not in row
    assert "body_sha256" not in entries
    page = world.call("GET", f"/companies/{world.company.id}/contacts", world.agent).json()
    assert page["items"] == [shown]
    assert world.call("GET", f"/contacts/{shown['id']}", world.agent).json() == shown


def test_a_value_is_bound_to_its_row_and_its_kind(world: World, log: StringIO) -> None:
    first, second = (world.add(email=f"{n}@example.invalid").json()["id"] for n in "ab")
    moved = text(
        "UPDATE contacts SET name_sealed ="
        " (SELECT a.name_sealed FROM contacts a WHERE a.id = :a) WHERE id = :b"
    )
    world.session.execute(moved, {"a": first, "b": second})
    world.session.commit()

    assert world.call("POST", f"/contacts/{second}/reveal", world.firm, WHY).status_code == 500
    assert world.call("POST", f"/contacts/{first}/reveal", world.firm, WHY).status_code == 200


def test_in_full_only_for_a_reason_which_is_written_down_with_who_looked(world: World) -> None:
    path = f"/contacts/{world.add().json()['id']}/reveal"
    before = len(world.entries())

    assert world.call("POST", path, world.agent, {}).status_code == 422
    assert world.call("POST", path, world.agent, {"reason": "看一下"}).status_code == 422
    assert world.call("POST", path, world.agent, {"reason": "长" * 501}).status_code == 422
    assert len(world.entries()) == before
    answer = world.call("POST", path, world.agent, WHY)

    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert (said["name"], said["phone"], said["email"]) == (
        NAME,
        "+8613800000001",
        "Contact01@example.invalid",
    )
    (entry,) = world.entries()[before:]
    assert entry.action == "contact.revealed"
    assert entry.actor.startswith("staff:")
    assert (entry.subject_id, entry.reason) == (said["id"], WHY["reason"])
    assert entry.company_id == world.company.id


def test_nothing_is_shown_that_could_not_be_written_down(
    world: World, log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/contacts/{world.add().json()['id']}/reveal"

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no room for an entry")

    monkeypatch.setattr("app.contacts.looking.record", fails)
    answer = world.call("POST", path, world.agent, WHY)

    assert answer.status_code == 500
    assert "no room for an entry" in log.getvalue()
    assert "13800000001" not in answer.text + log.getvalue()


def test_who_may_do_what(world: World) -> None:
    contact = world.add().json()["id"]
    reader = firm_headers(world.session, world.company, (Scope.REQUESTS_READ,))
    viewer = staff_headers(world.session, Role.VIEWER)
    world.session.commit()
    one, export = f"/contacts/{contact}", f"/companies/{world.company.id}/personal-data/export"
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"/companies/{world.company.id}/contacts", None),
        ("GET", one, None),
        (
            "POST",
            f"/companies/{world.company.id}/contacts",
            PERSON | {"email": "x@example.invalid"},
        ),
        ("PATCH", one, {"role": "legal"}),
        ("POST", f"{one}/reveal", WHY),
        ("POST", export, WHY),
        ("POST", "/contacts/search", WHY | {"email": EMAIL}),
        ("POST", f"{one}/erase", WHY),
    ]
    expected = {
        "public": (401, 401, 401, 401, 401, 401, 401, 401),
        "stranger": (404, 404, 404, 404, 404, 404, 403, 404),
        "reader": (200, 200, 403, 403, 403, 403, 403, 403),
        "viewer": (403, 403, 403, 403, 403, 403, 403, 403),
        "agent": (200, 200, 201, 200, 200, 403, 403, 403),
        "manager": (200, 200, 201, 200, 200, 200, 200, 200),
    }
    callers = {
        "public": {},
        "stranger": world.stranger,
        "reader": reader,
        "viewer": viewer,
        "agent": world.agent,
        "manager": world.manager,
    }
    got = {}
    for who, headers in callers.items():
        answers = [world.call(method, path, headers | ANY, body) for method, path, body in calls]
        got[who] = tuple(answer.status_code for answer in answers)
        world.session.execute(text("DELETE FROM contacts WHERE id <> :kept"), {"kept": contact})
        world.session.commit()
    assert got == expected


def test_another_firm_sees_no_row_even_where_the_query_forgets_to_ask(world: World) -> None:
    world.add()
    own, other = str(world.company.id), "00000000-0000-0000-0000-000000000001"
    told = text(
        "SELECT set_config('role', 'space_relay_app', true),"
        " set_config('app.audience', :audience, true), set_config('app.firm_id', :firm, true)"
    )
    seen = []
    for audience, firm in (("firm", own), ("staff", ""), ("firm", other), ("", "")):
        world.session.execute(told, {"audience": audience, "firm": firm})
        seen.append(world.session.scalar(text("SELECT count(*) FROM contacts")))
    world.session.execute(text("RESET ROLE"))
    assert seen == [1, 1, 0, 0]


def test_a_correction_counts_versions_and_keeps_what_others_wrote(world: World) -> None:
    path = f"/contacts/{world.add().json()['id']}"
    first = world.call("PATCH", path, world.firm | {"If-Match": '"1"'}, {"name": "示例二"})
    late = world.call("PATCH", path, world.agent | {"If-Match": '"1"'}, {"name": "示例三"})
    gone = world.call("PATCH", path, world.firm | ANY, {"phone": None})
    none = world.call("PATCH", path, world.firm | ANY, {"email": None})
    other = world.call("PATCH", path, world.firm | ANY, {"purpose": "operations"})

    assert (first.status_code, first.headers["ETag"], first.json()["name_masked"]) == (
        200,
        '"2"',
        "示*",
    )
    assert (late.status_code, late.json()["type"]) == (412, "/problems/changed-meanwhile")
    assert gone.json()["phone_masked"] is None
    assert (none.status_code, other.status_code) == (422, 422)
    assert other.json()["errors"][0]["pointer"] == "/consent"
    full = world.call("POST", f"{path}/reveal", world.firm, WHY).json()
    assert (full["name"], full["phone"]) == ("示例二", None)


@pytest.mark.parametrize(
    ("other", "pointer"),
    [
        ({"phone": "12345canary"}, "/phone"),
        ({"email": "canary at example"}, "/email"),
        ({"name": "canary*"}, "/name"),
        ({"name": "canary\u0007"}, "/name"),
        ({"name": "canary" * 20}, "/name"),
        ({"name": ["canary"]}, "/name"),
        ({"role": "canary"}, "/role"),
        ({"consent": {"given_at": "canary", "form": "written"}}, "/consent/given_at"),
        ({"consent": {"given_at": "2999-01-01T00:00:00Z", "form": "oral"}}, "/consent/given_at"),
        ({"phone": None, "email": None, "name": "canary"}, "/phone"),
    ],
)
def test_what_is_refused_is_not_repeated(
    world: World, log: StringIO, other: dict[str, Any], pointer: str
) -> None:
    answer = world.add(**other)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert '"status": 422' in log.getvalue()
    assert "canary" not in answer.text + str(answer.headers) + log.getvalue()


def test_one_address_is_one_contact_of_a_firm(world: World) -> None:
    world.add()
    again = world.add(email=EMAIL.upper().replace("INVALID", "invalid"))

    assert (again.status_code, again.json()["type"]) == (409, "/problems/contact-exists")
    assert "xample" not in again.text


def test_somebody_is_found_by_number_or_address_and_nothing_else_is(world: World) -> None:
    contact = world.add().json()["id"]
    world.add(email="other@example.invalid", phone=None)

    for known in ({"phone": "13800000001"}, {"email": "contact01@EXAMPLE.invalid"}):
        found = world.call("POST", "/contacts/search", world.manager, WHY | known)
        assert [item["id"] for item in found.json()["items"]] == [contact]
        assert "13800000001" not in found.text
    unknown = WHY | {"phone": "13800000002"}
    assert world.call("POST", "/contacts/search", world.manager, unknown).json()["items"] == []
    assert world.entries()[-1].details == {"found": []}
    assert world.entries()[-2].details == {"found": [contact]}


def test_what_is_erased_is_gone_and_the_row_stays(world: World) -> None:
    contact = world.add().json()["id"]
    erased = world.call("POST", f"/contacts/{contact}/erase", world.firm, WHY)

    assert erased.status_code == 200
    world.session.expire_all()
    row = world.session.get_one(Contact, contact)
    assert (row.name_sealed, row.phone_sealed, row.email_sealed) == (None, None, None)
    assert (row.phone_index, row.email_index) == (None, None)
    shown = world.call("GET", f"/contacts/{contact}", world.agent).json()
    assert (shown["name_masked"], shown["erased_reason"]) == (None, WHY["reason"])
    assert shown["erased_at"] is not None
    for method, path, body in (
        ("POST", "/reveal", WHY),
        ("PATCH", "", {"role": "legal"}),
        ("POST", "/erase", WHY),
    ):
        answer = world.call(method, f"/contacts/{contact}{path}", world.manager, body)
        assert answer.json()["type"] == "/problems/contact-erased"
    assert world.add().status_code == 201  # the address may come back, with a new consent
    with pytest.raises(Exception, match="erased_means_gone"):
        world.session.execute(
            text(
                "UPDATE contacts SET erased_at = now(), erased_by = '', "
                "erased_reason = '' WHERE erased_at IS NULL"
            )
        )


def test_an_export_has_all_of_the_firm_and_nothing_of_others(world: World) -> None:
    world.add()
    world.add(email="second@example.invalid", phone=None)
    gone = world.add(email="third@example.invalid").json()["id"]
    world.call("POST", f"/contacts/{gone}/erase", world.firm, WHY)
    application = world.call(
        "POST",
        "/applications",
        {},
        {
            "company_name": "示例（合成）",
            "unified_social_credit_code": world.company.unified_social_credit_code,
            "purpose": "接入内部排期系统",
            "contact_email": "applicant@example.invalid",
        },
    ).json()
    approved = f"/applications/{application['id']}/approve"
    whose = {"company_id": str(world.company.id)}
    assert world.call("POST", approved, world.manager, whose).status_code == 201

    path = f"/companies/{world.company.id}/personal-data/export"
    answer = world.call("POST", path, world.firm, WHY)
    said = answer.json()

    assert [one["email"] for one in said["contacts"]] == [
        "Contact01@example.invalid",
        "second@example.invalid",
    ]
    assert [one["email"] for one in said["applicants"]] == ["applicant@example.invalid"]
    assert datetime.fromisoformat(said["exported_at"]).tzinfo == UTC
    entry = world.entries()[-1]
    assert (entry.action, entry.details) == (
        "personal_data.exported",
        {"applicants": 1, "contacts": 2},
    )


def test_a_firm_has_so_many_contacts_at_most_however_many_add_at_once(
    own_engine: Engine,
    make_client: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(people, "CONTACTS_MAX", 3)
    with Session(own_engine, expire_on_commit=False) as session:
        world = World(session, make_client(own_engine))
        addresses = [f"contact{number}@example.invalid" for number in range(8)]
        with ThreadPoolExecutor(len(addresses)) as crowd:
            answers = list(crowd.map(lambda email: world.add(email=email), addresses))

    assert sorted(one.status_code for one in answers) == [201] * 3 + [409] * 5
