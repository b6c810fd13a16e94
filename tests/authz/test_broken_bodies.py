"""Who may not do a thing hears that, and not first how to write it down."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy.orm import Session

from app.routers import dependencies
from tests.authz.calls import CALLS
from tests.authz.test_matrix import EXPECTED
from tests.authz.world import CALLERS, Call, World

#: What is drawn says in its body, or by its row, which park it is in.
DRAWN = frozenset({"create_ogc_item", "replace_ogc_item", "change_ogc_item"})
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def world(session: Session, make_client: Callable[..., TestClient]) -> World:
    return World(session, make_client(session))


def with_bodies(world: World) -> dict[str, str]:
    """The method of every operation that takes a body."""
    return {
        one["operationId"]: method.upper()
        for path in world.app.openapi()["paths"].values()
        for method, one in path.items()
        if "requestBody" in one
    }


def broken(world: World, operation: str, method: str, caller: str, path: str | None = None) -> Any:
    good = CALLS[operation](world, caller)
    call = Call(path or good.path, json={"nonsense": True}, headers=good.headers)
    answer = world.call(method, call, caller)
    world.session.rollback()
    return answer


def told(answer: Response) -> Any:
    """All that an answer says, but for what is of the call itself."""
    said = answer.json()
    return answer.status_code, {
        key: value for key, value in said.items() if key not in {"instance", "request_id"}
    }


def wrongly_told(world: World, callers: tuple[str, ...] = CALLERS) -> list[str]:
    wrong = []
    for operation, method in with_bodies(world).items():
        for caller in callers:
            expected = EXPECTED[operation][caller]
            if expected not in {"401", "403", "404"} or operation in DRAWN:
                continue
            answer = broken(world, operation, method, caller)
            if str(int(answer.status_code)) == expected:
                continue
            # Whoever may do the like elsewhere, or of its own, may be told how it is written, as
            # long as that is the same of what is not there.
            entitled = expected == "404" or caller == "elsewhere"
            path = CALLS[operation](world, caller).path
            nowhere = broken(world, operation, method, caller, _UUID.sub(str(uuid4()), path))
            if not entitled or told(answer) != told(nowhere):
                wrong.append(f"{operation} by {caller}: {answer.status_code}, not {expected}")
    return wrong


def test_rights_are_judged_before_the_body(world: World) -> None:
    wrong = wrongly_told(world)

    assert not wrong, "\n".join(wrong)


def test_who_is_let_pass_hears_of_the_body(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: without the look at who calls the body comes first."""
    monkeypatch.setattr(dependencies, "require_entitled", lambda *_: None)

    wrong = wrongly_told(world, ("viewer",))

    assert "reveal_contact by viewer: 422, not 403" in wrong


def test_a_key_hears_of_the_scope_it_lacks_before_the_body(world: World) -> None:
    key = world.did(
        "manager",
        "/keys",
        {"company_id": world.ids["company"], "label": "read", "scopes": ["requests:read"]},
    )["key"]
    world.headers["reader"] = {"Authorization": f"Bearer {key}"}

    for operation in (
        "create_hold",
        "create_request",
        "create_contact",
        "issue_key",
        "create_webhook_endpoint",
    ):
        answer = broken(world, operation, "POST", "reader")
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/not-allowed")
    # Control: of what the key may do, the body is judged.
    assert broken(world, "match", "POST", "reader").status_code == 422
