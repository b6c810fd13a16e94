"""What holds of every answer that anybody gets: how instants are written, and what is not told."""

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from app.database import opaque
from app.models.match import MatchEvent
from tests.authz.calls import CALLS
from tests.authz.test_matrix import EXPECTED, methods
from tests.authz.world import World

#: Rows of tables that everybody writes are numbered from here on.
FAR = 7_310_000_000
#: What others write between two looks.
_BURST = """DO $$ BEGIN FOR one IN 1..1500 LOOP
    PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"""
#: Of rows of firms; what stands in space is everybody's to count.
_NUMBERED = """
    SELECT pg_get_serial_sequence(quote_ident(table_name), column_name)
    FROM information_schema.columns WHERE table_schema = 'public'
        AND (is_identity = 'YES' OR column_default LIKE 'nextval%') AND column_name <> 'fid'"""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:?\d\d|Z)?")
#: Not those in ids and hashes.
_NUMBER = re.compile(r"(?<![\w.-])\d{1,18}(?![\w-])")
#: They end the session that the others need.
_LIVES_ALONE = frozenset({"delete_session", "end_staff_sessions", "end_staff_session"})


@pytest.fixture
def world(
    session: Session, make_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setattr("app.webhooks.log._UNTIL_TAKEN_SECONDS", 0.0)
    return World(session, make_client(session, two_person_rule=True))


def asked(world: World, caller: str) -> Iterator[tuple[str, Response]]:
    """All that a caller is answered by what it may do, each as if it were the only call."""
    connection = world.session.get_bind()
    assert isinstance(connection, Connection)
    for operation, method in methods(world.app).items():
        if EXPECTED[operation][caller] != "ok" or operation in _LIVES_ALONE:
            continue
        world.session.rollback()
        savepoint = connection.begin_nested()
        try:
            call = CALLS[operation](world, caller)
            yield operation, world.call(method, call, caller)
            world.session.rollback()
        finally:
            savepoint.rollback()
            world.session.expire_all()


def leaves(value: Any) -> Iterator[Any]:
    """All that stands in a JSON value."""
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value


def said(answer: Response) -> Iterator[Any]:
    """All that an answer says: its headers, and what stands in its body."""
    yield from (said for name, said in answer.headers.items() if name != "content-length")
    if "json" in answer.headers.get("content-type", ""):
        yield from leaves(answer.json())


def otherwise_written(answer: Response) -> list[str]:
    """Texts of an answer that are an instant, and not as all others are."""
    return [
        one
        for one in said(answer)
        if isinstance(one, str) and (found := _INSTANT.fullmatch(one)) and found.group(3) != "Z"
    ]


def test_instants_are_written_in_one_way(world: World) -> None:
    wrong = [
        f"{operation} by {caller}: {one}"
        for caller in ("anonymous", "firm_a", "admin", "person")
        for operation, answer in asked(world, caller)
        for one in otherwise_written(answer)
    ]

    assert not wrong, "\n".join(wrong)
    assert not [
        one
        for one in leaves(world.app.openapi())
        if isinstance(one, str) and _INSTANT.fullmatch(one) and not one.endswith("Z")
    ]


@pytest.mark.parametrize("written", ["2026-11-23T08:00:00+00:00", "2026-11-23 08:00:00.5"])
def test_another_way_is_found(written: str) -> None:
    """Control."""
    assert otherwise_written(Response(200, json={"items": [{"at": written}]})) == [written]
    assert not otherwise_written(Response(200, json={"at": "2026-11-23T08:00:00.5Z"}))


def numbers(value: Any) -> set[int]:
    """The whole numbers in what an answer says, also where they are only wrapped up."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return set()
    texts = [str(value)]
    if isinstance(value, str):
        with suppress(ValueError):
            texts.append(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode())
    return {int(one) for each in texts for one in _NUMBER.findall(_INSTANT.sub("", each))}


@dataclass
class Look:
    """What a firm was answered, and the transactions that began meanwhile."""

    low: int
    high: int
    told: dict[str, set[int]]

    def counted(self, operation: str) -> set[int]:
        """Numbers in an operation's answer that may be those of transactions."""
        return {one for one in self.told[operation] if self.low <= one <= self.high}


def look(world: World, engine: Engine) -> Look:
    """What the firm reads, and what it is answered by a few of its writes."""
    low, told = next_transaction(engine), {}
    for operation, method in methods(world.app).items():
        if EXPECTED[operation]["firm_a"] != "ok":
            continue
        if method != "GET" and operation not in {"match", "create_request"}:
            continue
        call, found = CALLS[operation](world, "firm_a"), set()
        for limit in ({}, {"limit": 1}):
            call.params |= limit
            answer = world.call(method, call, "firm_a")
            found |= {one for part in said(answer) for one in numbers(part)}
            if method != "GET":
                break
        told[operation] = found
    return Look(low, next_transaction(engine), told)


def next_transaction(engine: Engine) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(
            text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        ).scalar_one()
    return found


def telling(world: World, engine: Engine) -> set[str]:
    """Operations whose answers to a firm count what everybody writes."""
    first = look(world, engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(_BURST)
    second = look(world, engine)
    return {
        operation
        for operation, found in second.told.items()
        if any(one > FAR for one in found)
        # Near the number of then, and now as far on as everybody has written meanwhile.
        or (first.counted(operation) - found and second.counted(operation) - first.told[operation])
    }


class Committed(World):
    """A world whose transactions end, as only then they have numbers that tell."""

    def did(self, caller: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        self.session.commit()
        return super().did(caller, path, body, **headers)

    def _sign_in(self, email: str) -> dict[str, str]:
        self.session.commit()
        return super()._sign_in(email)


@pytest.fixture
def shared(own_engine: Engine, make_client: Callable[..., TestClient]) -> Iterator[World]:
    with Session(own_engine, expire_on_commit=False) as session:
        for name in session.scalars(text(_NUMBERED)).all():
            session.execute(text(f"ALTER SEQUENCE {name} RESTART WITH {FAR + 1}"))
        session.commit()
        world = Committed(session, make_client(own_engine, two_person_rule=True))
        for mark in (b"1", b"2"):
            session.add(
                MatchEvent(
                    request_id=UUID(world.ids["request"]),
                    request_version=1,
                    kind="fits",
                    unit_ids=[],
                    changes=[],
                    words_zh="",
                    words_en="",
                    snapshot="",
                    at=datetime.now(UTC),
                    mark=mark,
                )
            )
        session.commit()
        yield world


def test_no_answer_tells_a_firm_how_much_everybody_writes(
    shared: World, own_engine: Engine
) -> None:
    assert telling(shared, own_engine) == set()


def test_what_tells_is_found(
    shared: World, own_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: without the veil."""
    monkeypatch.setattr(opaque, "put_on", lambda *_: None)

    found = telling(shared, own_engine)

    assert found >= {"list_requests", "match", "create_request", "show_entries"}
    assert found >= {"list_match_events", "list_webhook_events", "list_leases"}
