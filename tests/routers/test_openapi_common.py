"""What the OpenAPI document says of whole classes of routes, and whether they do it."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.routers.document import ANYONE, TAGS
from app.routers.entitled import SCOPES
from app.security.actors import Scope
from tests.factories import ANY, firm_headers, make_company

Document = dict[str, Any]
#: Where the examples of the fields alone make no body.
BODIES = {
    "replay_webhook_events": {"since": "2026-01-01T00:00:00Z"},
    "answer_notice": {"answer": "waived"},
    "invite_staff": {"email": "somebody@example.invalid", "name": "示例", "role": "agent"},
}
METHODS = ("get", "post", "put", "patch", "delete")


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def example(document: Document, operation: Document) -> Any:
    """A body of the right form."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    for one in (schema, *schema.get("anyOf", [])):
        if "$ref" in one:
            named = document["components"]["schemas"][one["$ref"].rsplit("/", 1)[-1]]
            fields = named["properties"].items()
            made = {name: field["examples"][0] for name, field in fields if field.get("examples")}
            return (named.get("examples") or [made])[0]
    return None


def test_every_operation_has_a_summary_a_described_tag_and_schemes(document: Document) -> None:
    said = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(re.match(r"^[一-鿿]+.*: [a-z]", words) for words in said.values()), said
    for method, path, operation in operations(document):
        assert operation["summary"], (method, path)
        assert set(operation["tags"]) <= set(TAGS) == set(said), (method, path)
        names = {name for one in operation["security"] for name in one}
        assert names in (set(), {"bearer", "oauth2", "session"}), (method, path)
    flows = document["components"]["securitySchemes"]["oauth2"]["flows"]
    assert set(flows["clientCredentials"]["scopes"]) == set(Scope)
    assert flows["clientCredentials"]["tokenUrl"] in document["paths"]


def test_common_headers_and_refusals_are_listed(document: Document) -> None:
    needs = document["paths"]["/api/v1/space-requests/{request_id}/needs"]["put"]
    assert {"200", "401", "404", "409", "412", "422", "428", "429"} <= set(needs["responses"])
    assert "Retry-After" in needs["responses"]["429"]["headers"]
    assert {"ETag", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"} <= set(
        needs["responses"]["200"]["headers"]
    )
    condition = {one["name"]: one["required"] for one in needs["parameters"]}
    assert condition["If-Match"] is True
    release = document["paths"]["/api/v1/holds/{hold_id}/release"]["post"]
    assert {one["name"]: one["required"] for one in release["parameters"]}["If-Match"] is False
    assert "428" not in release["responses"]
    assert "429" not in document["paths"]["/healthz"]["get"]["responses"]


def test_titles_are_names_that_no_two_schemas_share(document: Document) -> None:
    schemas = document["components"]["schemas"]
    assert {name: schema["title"] for name, schema in schemas.items()} == {
        name: name for name in schemas
    }
    assert not [name for name in schemas if not name.isidentifier()]


def test_scopes_and_open_calls_are_those_that_the_service_asks_for(
    document: Document, session: Session, make_client: Callable[..., TestClient]
) -> None:
    """A key without any scope is refused with the one that the document names; nobody with 401."""
    company = make_company(session)
    headers = firm_headers(session, company, ()) | ANY
    session.commit()
    client = make_client(session)
    wanted = {name: scope.value for scope, names in SCOPES.items() for name in names}
    found, shut, doubtful = {}, set(), {}
    for method, path, operation in operations(document):
        name = operation["operationId"]
        if not operation["security"]:
            continue
        address = re.sub(r"\{[^}]*\}", str(uuid4()), path.replace("{company_id}", str(company.id)))
        body = BODIES.get(name, example(document, operation))
        answer = client.request(method, address, headers=headers, json=body)
        if answer.status_code == 403 and "scope" in answer.json():
            found[name] = answer.json()["scope"]
        unknown = client.request(method, address, headers=ANY, json=body)
        if unknown.status_code == 401:
            shut.add(name)
        elif name not in ANYONE:
            doubtful[name] = unknown.json()
    assert doubtful == {}
    assert found == wanted
    assert shut.isdisjoint(ANYONE)
