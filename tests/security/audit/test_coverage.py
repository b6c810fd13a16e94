"""No write goes past the trail: every unsafe operation has a row, every row an operation."""

from typing import Any

from fastapi.testclient import TestClient

from app.routers.audited import AUDITED, NotAudited

_UNSAFE = {"post", "put", "patch", "delete"}


def _unsafe_operations(document: dict[str, Any]) -> set[str]:
    return {
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in _UNSAFE
    }


def test_every_unsafe_operation_is_recorded_or_says_why_not(client: TestClient) -> None:
    unsafe = _unsafe_operations(client.get("/openapi.json").json())

    assert unsafe == set(AUDITED)
    assert all(row.why for row in AUDITED.values() if isinstance(row, NotAudited))
