"""Every operation, called by everyone, does what the table says, and shows nobody another's."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.security.actors import Actor
from tests.authz.calls import CALLS
from tests.authz.world import CALLERS, World

TABLE = Path(__file__).with_name("matrix.txt")
#: Shown to no other firm, and to nobody without a credential.
OF_FIRM_A = (
    *("company", "asset", "contact", "request", "withdrawn", "receipt", "endpoint", "key"),
    *("lease", "lease_ended", "hold", "right", "notice", "entry", "approval", "invitation"),
)
#: Shown to no staff of other parks.
OF_THE_PARK = (
    *("lease", "lease_ended", "hold", "works", "right", "notice", "entry", "approval", "former"),
)
UNSEEN: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("anonymous", "firm_b"), OF_FIRM_A),
    "elsewhere": OF_THE_PARK,
}
#: Tells whoever has the token of an invitation what it is for.
BY_TOKEN = frozenset({"accept_invitation"})


def rows(text: str) -> dict[str, dict[str, str]]:
    """The table: what each operation answers to each caller."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    head, *body = lines
    assert head == ["operation", *CALLERS]
    assert len({line[0] for line in body}) == len(body), "an operation has two rows"
    return {name: dict(zip(CALLERS, cells, strict=True)) for name, *cells in body}


def methods(app: FastAPI) -> dict[str, str]:
    """How every operation of the OpenAPI document is called."""
    return {
        one["operationId"]: method.upper()
        for path in app.openapi()["paths"].values()
        for method, one in path.items()
    }


EXPECTED = rows(TABLE.read_text(encoding="utf-8"))


@pytest.fixture
def world(
    session: Session, make_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> World:
    # Nobody sends what is tried out; how long that is waited for is not what this is about.
    monkeypatch.setattr("app.webhooks.log._UNTIL_TAKEN_SECONDS", 0.0)
    return World(session, make_client(session, two_person_rule=True))


def wrong_cells(
    world: World, table: Mapping[str, Mapping[str, str]], callers: Collection[str] = CALLERS
) -> list[str]:
    """What differs from the table, and what is shown to whom it must not be."""
    by = methods(world.app)
    return [
        f"{operation} by {caller}: the table says {cells[caller]}, the service {found}"
        for operation, cells in table.items()
        for caller in callers
        if (found := tried(world, operation, by[operation], caller)) != cells[caller]
    ]


def tried(world: World, operation: str, method: str, caller: str) -> str:
    """A cell as the service fills it, with more to it where something is wrong."""
    connection = world.session.get_bind()
    assert isinstance(connection, Connection)
    world.session.rollback()
    savepoint = connection.begin_nested()
    try:
        answer = world.call(method, CALLS[operation](world, caller), caller)
        world.session.rollback()
    finally:
        savepoint.rollback()
        world.session.expire_all()
    if answer.is_success:
        unseen = () if operation in BY_TOKEN else UNSEEN.get(caller, ())
        shown = [name for name in unseen if world.ids[name] in answer.text]
        return f"ok, and shows {', '.join(shown)}: {answer.text}" if shown else "ok"
    if answer.status_code in {401, 403, 404}:
        return str(answer.status_code)
    return f"{answer.status_code}: {answer.text}"


def test_everybody_may_do_what_the_table_says_and_nothing_else(world: World) -> None:
    assert set(EXPECTED) == set(methods(world.app)), "every operation has a row, and no others"
    assert set(CALLS) == set(EXPECTED)

    wrong = wrong_cells(world, EXPECTED)

    assert not wrong, "\n".join(wrong)


def test_what_asks_nobody_who_he_is_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has power: over a guard that is gone, and over what shows too much."""
    # What everybody may read stands in for a route that was forgotten to guard.
    monkeypatch.setitem(CALLS, "read_lease", CALLS["show_unit"])
    monkeypatch.setitem(world.ids, "lease", world.ids["unit_let"])

    forgotten = wrong_cells(world, {"read_lease": EXPECTED["read_lease"]})

    assert [line.split(": ")[0] for line in forgotten] == [
        "read_lease by anonymous",
        "read_lease by firm_b",
        "read_lease by elsewhere",
    ]
    assert "ok, and shows lease" in forgotten[0]

    monkeypatch.setattr(Actor, "require_staff", lambda *_: None)
    some = {name: EXPECTED[name] for name in ("create_company", "list_staff", "show_kpis")}

    unguarded = wrong_cells(world, some, ("firm_b", "viewer"))

    assert {line.split()[0] for line in unguarded} == set(some)
