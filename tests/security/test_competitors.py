"""竞争对手不可见: to a firm, another firm's things answer like things that do not exist."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.routers.leases import TERMS_EXAMPLE
from tests.factories import firm_headers, make_company, make_unit, staff_headers

API = "/api/v1"
DAYS = {"from": "2031-01-01", "until": "2032-01-01"}
#: Bodies that are taken as they stand, of operations whose own example asks for more.
BODIES: dict[str, dict[str, Any]] = {
    "replace_needs": {"unit_type": "pilot"},
    "extend_hold": {"hours": 1},
    "terminate_lease": {"on": "2031-06-01", "by": "agreed", "reason": "tests"},
    "extend_lease": {"until": "2033-01-01"},
    "hand_lease_over": {"on": "2031-01-01"},
    "hand_lease_back": {"on": "2032-01-01"},
    "record_cleared": {"on": "2032-01-02"},
    "record_lease_terms": {"terms": TERMS_EXAMPLE},
    "reveal_contact": {"reason": "asked for by tests"},
    "erase_contact": {"reason": "asked for by tests"},
    "export_personal_data": {"reason": "asked for by tests"},
    "replay_webhook_events": {"since": "2026-11-01T00:00:00Z"},
    "add_stage": {"stage": "ind", "entered_on": "2026-01-01"},
}
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: What is looked at: names of path parameters whose things belong to a firm.
OF_A_FIRM = {
    *("company_id", "asset_id", "request_id", "hold_id", "lease_id", "entry_id", "right_id"),
    *("receipt_id", "endpoint_id", "key_id", "contact_id"),
}


@pytest.fixture
def client(session: Session, make_client: Any) -> TestClient:
    made: TestClient = make_client(session, webhook_allow_loopback=True)
    return made


class Firm:
    """A firm that has one of everything."""

    def __init__(self, client: TestClient, session: Session) -> None:
        self.company = make_company(session)
        self.headers = firm_headers(session, self.company)
        staff, other = staff_headers(session), make_company(session)
        held, let, wanted = (make_unit(session) for _ in range(3))
        self.ids = {"company_id": str(self.company.id)}

        def post(path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
            answer = client.post(API + path, json=body, headers=headers)
            assert answer.status_code < 300, (path, answer.text)
            made: dict[str, Any] = answer.json()
            return made

        def order(unit: Any, **more: Any) -> dict[str, Any]:
            return {"units": [{"unit_id": str(unit.id)}], **DAYS, **more}

        own = f"/companies/{self.company.id}"
        asset = post(f"{own}/pipeline-assets", {"name": "a", "modality": "car_t"}, self.headers)
        request = post("/space-requests", {"unit_type": "pilot"}, self.headers)
        answer = post(f"/space-requests/{request['id']}/matches", {}, self.headers)
        hold = post("/holds", order(held), self.headers)
        lease = post("/leases", order(let, company_id=self.ids["company_id"]), staff)
        post("/leases", order(wanted, company_id=str(other.id)), staff)
        entry = post("/queue-entries", order(wanted), self.headers)
        endpoint = post(
            "/webhook-endpoints",
            {"url": "http://127.0.0.1:9/x", "events": ["request.matched"]},
            self.headers,
        )
        contact = post(
            f"{own}/contacts",
            {
                "name": "示例联系人 01",
                "email": "contact01@example.invalid",
                "role": "site_search",
                "purpose": "matching",
                "consent": {"given_at": "2026-11-01T09:00:00+08:00", "form": "electronic"},
            },
            self.headers,
        )
        key = post("/keys", {"label": "x"}, self.headers)
        self.ids |= {
            "asset_id": asset["id"],
            "request_id": request["id"],
            "receipt_id": answer["receipt"]["id"],
            "hold_id": hold["id"],
            "lease_id": lease["id"],
            "entry_id": entry["id"],
            "endpoint_id": endpoint["id"],
            "contact_id": contact["id"],
            "key_id": key["id"],
        }


def calls(app: FastAPI) -> Iterator[tuple[str, str, str, dict[str, Any] | None]]:
    """Method, path, name and a body of every operation on something of a firm."""
    document = app.openapi()
    for path, item in document["paths"].items():
        parameters = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        if not parameters or not parameters <= OF_A_FIRM:
            continue
        for method, operation in item.items():
            name = operation["operationId"]
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            for candidate in (schema, *schema.get("anyOf", [])):
                if "$ref" in candidate:
                    schema = document["components"]["schemas"][candidate["$ref"].split("/")[-1]]
            examples = schema.get("examples") or [{}]
            yield method, path, name, BODIES.get(name, examples[0]) if content else None


def told(client: TestClient, method: str, path: str, **sent: Any) -> tuple[int, str]:
    """What an answer says, but for ids and what differs from call to call."""
    answer = client.request(method, path, **sent)
    if not answer.content:
        return answer.status_code, ""
    said = answer.json()
    for name in ("instance", "request_id"):
        said.pop(name, None)
    # A refusal may repeat what was asked for.
    return answer.status_code, _ID.sub("…", json.dumps(said, sort_keys=True))


def test_anothers_things_answer_like_things_that_are_not_there(
    client: TestClient, session: Session
) -> None:
    firm = Firm(client, session)
    rival = firm_headers(session, make_company(session))
    app = client.app
    assert isinstance(app, FastAPI)

    nowhere = {name: str(uuid4()) for name in OF_A_FIRM}
    different: list[Any] = []
    malformed: dict[str, str] = {}
    found: set[str] = set()
    seen = 0
    for method, path, name, body in calls(app):
        if not all(f"{{{one}}}" not in path or one in firm.ids for one in OF_A_FIRM):
            continue
        there, missing = path.format(**firm.ids), path.format(**nowhere)
        of_another = told(client, method, there, headers=rival, json=body)
        of_nobody = told(client, method, missing, headers=rival, json=body)
        seen += 1
        if of_another != of_nobody:
            different.append((name, of_another, of_nobody))
        if of_another[0] == 422:
            malformed[name] = json.loads(of_another[1])["detail"]
        # The control: to its own firm the same address is there.
        if method == "get" and client.get(there, headers=firm.headers).status_code == 200:
            found.add(name)

    assert different == []
    assert malformed == {}
    assert seen > 35
    assert {
        "get_company",
        "get_asset",
        "get_request",
        "read_hold",
        "read_lease",
        "get_key",
    } <= found
    assert {"read_queue_entry", "show_match_receipt", "list_match_events"} <= found


def test_naming_another_firm_or_its_things_in_a_body_is_naming_nobody(
    client: TestClient, session: Session
) -> None:
    firm = Firm(client, session)
    rival = firm_headers(session, make_company(session))
    unit = str(make_unit(session).id)
    order = {"units": [{"unit_id": unit}], **DAYS}

    def both(path: str, body: dict[str, Any], member: str, real: str) -> list[tuple[int, str]]:
        return [
            told(client, "post", API + path, headers=rival, json=body | {member: one})
            for one in (real, str(uuid4()))
        ]

    for path, body, member in (
        ("/space-requests", {"unit_type": "pilot"}, "company_id"),
        ("/space-requests", {"unit_type": "pilot"}, "pipeline_asset_id"),
        ("/holds", order, "company_id"),
        ("/holds", order, "space_request_id"),
        ("/queue-entries", order, "company_id"),
        ("/keys", {"label": "x"}, "company_id"),
    ):
        real = firm.ids[
            {"pipeline_asset_id": "asset_id", "space_request_id": "request_id"}.get(member, member)
        ]
        of_another, of_nobody = both(path, body, member, real)
        assert of_another == of_nobody, (path, member)
        assert of_another[0] == 404, (path, member, of_another)


def test_listings_name_nobody_else(client: TestClient, session: Session) -> None:
    firm = Firm(client, session)
    rival = firm_headers(session, make_company(session))
    names = [*firm.ids.values(), firm.company.name_zh, firm.company.unified_social_credit_code]
    app = client.app
    assert isinstance(app, FastAPI)
    own_sight = ""
    for path, item in app.openapi()["paths"].items():
        if "get" in item and "{" not in path and path.startswith(API):
            seen = client.get(path, headers=rival).text
            assert [name for name in names if name in seen] == [], path
            own_sight += client.get(path, headers=firm.headers).text
    # The control: the firm itself sees most of them.
    assert len([name for name in names if name in own_sight]) >= 8
