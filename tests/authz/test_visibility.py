"""The page of who reads and writes which fields says what the service does."""

import os
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.security.actors import Actor
from tests.authz.test_matrix import EXPECTED
from tests.authz.visibility import (
    PAGE,
    Rows,
    fields,
    grouped,
    read,
    shown,
    taken,
    that_read,
    written,
)
from tests.authz.world import CALLERS, World

HEADS = ("## 读 Read", "## 写 Write")


@pytest.fixture
def world(session: Session, make_client: Callable[..., TestClient]) -> World:
    return World(session, make_client(session, two_person_rule=True))


def parts(page: str) -> tuple[str, str, str]:
    """What stands before the tables, the table of reading, and that of writing."""
    before, _, rest = page.partition(HEADS[0])
    of_reading, _, of_writing = rest.partition(HEADS[1])
    return before, of_reading, of_writing


def differences(said: Rows, found: Rows) -> list[str]:
    """Rows that only one of the two has, in words."""
    only_said = {key: names for key, names in said.items() if found.get(key) != names}
    only_found = {key: names for key, names in found.items() if said.get(key) != names}
    return [f"the page: {written({key: names})}" for key, names in only_said.items()] + [
        f"the service: {written({key: names})}" for key, names in only_found.items()
    ]


def reading(world: World, operations: list[str]) -> Rows:
    """Whom the service shows what."""
    rows: Rows = {}
    for operation in operations:
        rows |= grouped({one: shown(world, operation, one) for one in CALLERS}, operation)
    return rows


@pytest.mark.long
@pytest.mark.timeout(600)
def test_who_is_shown_what_is_on_the_page(world: World) -> None:
    found = reading(world, that_read(world.app.openapi()))
    page = PAGE.read_text(encoding="utf-8")
    before, of_reading, of_writing = parts(page)
    if "SPACE_RELAY_WRITE_VISIBILITY" in os.environ:  # after a change that is meant
        head = of_reading[: of_reading.index("|---|---|---|") + len("|---|---|---|\n")]
        PAGE.write_text(
            f"{before}{HEADS[0]}{head}{written(found)}\n\n{HEADS[1]}{of_writing}", encoding="utf-8"
        )
        return

    assert len(found) > 60
    assert differences(read(of_reading), found) == []


def test_who_may_send_what_is_on_the_page(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    found = taken(document, EXPECTED)
    page = PAGE.read_text(encoding="utf-8")
    before, of_reading, of_writing = parts(page)
    if "SPACE_RELAY_WRITE_VISIBILITY" in os.environ:
        head = of_writing[: of_writing.index("|---|---|---|") + len("|---|---|---|\n")]
        PAGE.write_text(
            f"{before}{HEADS[0]}{of_reading}{HEADS[1]}{head}{written(found)}\n", encoding="utf-8"
        )
        return

    assert len(found) > 40
    assert differences(read(of_writing), found) == []


def test_what_is_shown_to_more_people_than_the_page_says_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = ["list_staff", "read_right"]
    _, of_reading, _ = parts(PAGE.read_text(encoding="utf-8"))
    said = {key: names for key, names in read(of_reading).items() if key[0] in some}
    assert {key[0] for key in said} == set(some)
    assert differences(said, reading(world, some)) == []

    monkeypatch.setattr(Actor, "require_staff", lambda *_: None)
    unguarded = differences(said, reading(world, some))

    # Firms are shown nothing even so: the row policies know no firm that has accounts.
    assert any("viewer" in one and "`list_staff`" in one for one in unguarded)
    assert not any("firm_b" in one for one in unguarded)
    assert not any("`read_right`" in one for one in unguarded)


def test_fields_are_named_by_where_they_are() -> None:
    told = {"items": [{"id": 1, "of": {"deep": {"er": 1}, "none": None}}], "next_cursor": None}
    assert set(fields(told)) == {"id", "of.deep"}
