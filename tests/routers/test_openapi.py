"""The OpenAPI document: valid, whole, and with examples that work when pasted."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openapi_spec_validator import validate
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from app.models.company import Company
from tests.factories import ANY, firm_headers, staff_headers

Document = dict[str, Any]
METHODS = {"get", "post", "put", "patch", "delete"}
#: Answered as a standard of their own says: probes, and RFC 6749.
_OTHER_FORMS = {"/readyz", "/oauth/token"}
#: Have tests of their own: a token works once, and these applications have no sandbox.
_ELSEWHERE = ("/api/v1/invitations/accept", "/api/v1/sandbox/keys")
#: What only a person can say, who has a password, or comes back from an identity provider.
OF_A_PERSON = (
    *("/api/v1/session", "/api/v1/session/password", "/api/v1/session/second-factor"),
    *("/api/v1/session/second-factor/confirm", "/api/v1/session/recovery-codes"),
    *("/api/v1/session/oidc/start", "/api/v1/session/oidc/callback"),
    "/api/v1/staff/accept-invitation",
)


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield method, path, item[method]


def body_schema(document: Document, operation: Document) -> Document | None:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return None
    for candidate in (schema, *schema.get("anyOf", [])):
        if "$ref" in candidate:
            found: Document = document["components"]["schemas"][candidate["$ref"].split("/")[-1]]
            return found
    named: Document = schema
    return named


def test_the_document_is_valid_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_operations_have_names_of_their_own_and_say_what_they_do(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(names) == sorted(set(names))
    silent = [name for *_, name in operations(document) if not name.get("description")]
    assert silent == []


def test_schemas_have_plain_names_of_their_own(document: Document) -> None:
    """Two models of one name would be told apart by their modules, which are nobody's business."""
    names = sorted(document["components"]["schemas"])
    assert [name for name in names if "__" in name] == []
    assert len(names) >= 150


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "/api/v1/holds",
            {"unit-occupied", "remainder-too-small", "right-not-cleared", "others-first"},
        ),
        (
            "/api/v1/leases",
            {"unit-occupied", "remainder-too-small", "right-not-cleared", "others-first"},
        ),
        ("/api/v1/queue-entries", {"already-in-line"}),
    ],
)
def test_what_may_refuse_an_order_is_listed(
    document: Document, path: str, expected: set[str]
) -> None:
    responses = document["paths"][path]["post"]["responses"]
    said = " ".join(response["description"] for response in responses.values())
    listed = {slug for slug in expected if f"`{slug}`" in said}
    assert listed == expected
    # A place in line takes nothing, so nothing is in its way.
    assert ("`unit-occupied`" in said) == (path != "/api/v1/queue-entries")


def test_every_parameter_and_every_field_sent_is_described(document: Document) -> None:
    silent = []
    for method, path, operation in operations(document):
        silent += [
            f"{method} {path} {parameter['name']}"
            for parameter in operation.get("parameters", [])
            if not (parameter.get("description") or parameter["schema"].get("description"))
        ]
        schema = body_schema(document, operation) or {}
        silent += [
            f"{method} {path} /{name}"
            for name, field in schema.get("properties", {}).items()
            if not field.get("description") and "$ref" not in field
        ]
    assert silent == []


def test_refusals_are_documented_as_problems(document: Document) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and path not in _OTHER_FORMS:
                assert "application/problem+json" in response["content"], (method, path, status)


def test_unknown_fields_are_refused_everywhere(document: Document) -> None:
    open_bodies = [
        path
        for _, path, operation in operations(document)
        if (schema := body_schema(document, operation)) is not None
        and schema.get("additionalProperties") is not False
    ]
    assert open_bodies == []


def test_body_examples_work_when_pasted(
    document: Document, own_seeded_engine: Engine, make_client: Any
) -> None:
    with Session(own_seeded_engine) as session:
        staff = staff_headers(session)
        company = session.scalars(select(Company).order_by(Company.name_zh).limit(1)).one()
        firm = firm_headers(session, company)
        session.commit()
    client: TestClient = make_client(own_seeded_engine)
    tried = []
    for method, path, operation in operations(document):
        schema = body_schema(document, operation)
        if schema is None or "{" in path:
            continue
        assert schema.get("examples"), f"{method} {path} has no example"
        if path in (*OF_A_PERSON, *_ELSEWHERE):
            continue
        for example in schema["examples"]:
            # Firms ask and hold for themselves; staff do the rest.
            asks = path.endswith(("/space-requests", "/holds", "/webhook-endpoints"))
            caller = (firm if asks else staff) | ANY
            answer = client.request(method, path, json=example, headers=caller)
            assert answer.status_code in {200, 201, 202}, (path, example, answer.text)
            tried.append(path)
    assert len(set(tried)) >= 5


def test_every_listing_answers_without_parameters_and_refuses_unknown_ones(
    document: Document, seeded_session: Session, make_client: Any
) -> None:
    staff = staff_headers(seeded_session)
    seeded_session.commit()
    client: TestClient = make_client(seeded_session)
    of_nobody = [path for path in OF_A_PERSON if path != "/api/v1/session"]
    for method, path, _ in operations(document):
        if method != "get" or "{" in path or not path.startswith("/api/") or path in of_nobody:
            continue
        assert client.get(path, headers=staff).status_code == 200, path
        refused = client.get(path, params={"no_such_thing": "1"}, headers=staff)
        assert refused.status_code == 422, path
        assert refused.json()["errors"][0]["pointer"] == "no_such_thing"
