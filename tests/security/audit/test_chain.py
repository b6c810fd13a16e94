"""The chains: what was written is what is read, or the first entry that is not is named."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.database.session import transaction, with_retries
from app.models.audit import AuditEntry
from app.security.audit.actions import Action
from app.security.audit.chain import Tampering, heads, read_heads, verify
from app.security.audit.trail import record
from tests import factories as make

ENTRIES = 20
IN_PARK = "park_id IS NOT NULL"
DELETE = f"DELETE FROM audit_entries WHERE {IN_PARK}"  # noqa: S608 - our own words
#: Everything that canonical JSON could be written differently for.
ODD: dict[str, Any] = {
    "中": 'a"b\\c/d',
    "\x01\x1f\x7f": "\u2028\u0085\t\n\r\b\f",
    "n": [1, 0.25, None, True, {}],
}


def _write(session: Session, park_id: UUID | None, number: int) -> None:
    record(
        session,
        "tests",
        Action.UNIT_SPLIT,
        park_id=park_id,
        subject_type="unit",
        subject_id=str(number),
        details={**ODD, "number": number},
        reason='第"二"次\n' if number % 2 else None,
    )


@pytest.fixture
def code(session: Session) -> str:
    """The code of a park with a chain; there is the house's chain too."""
    park = make.make_park(session)
    for number in range(1, ENTRIES + 1):
        _write(session, park.id, number)
    _write(session, None, 1)
    found: str = park.code
    return found


def _tampered(session: Session, *statements: str) -> Tampering | None:
    """What is found after a superuser had their way, who can switch every trigger off."""
    before = [head.line() for head in heads(session)]
    _tamper(session, *statements)
    return verify(session, known=read_heads(before)).tampering


def _tamper(session: Session, *statements: str) -> None:
    session.execute(text("SET LOCAL session_replication_role = replica"))
    for statement in statements:
        session.execute(text(statement))
    session.execute(text("SET LOCAL session_replication_role = origin"))


def test_an_honest_chain_holds(session: Session, code: str) -> None:
    """The control arm: nothing is found where nothing was done."""
    found = verify(session)
    assert (found.chains, found.entries, found.tampering) == (2, ENTRIES + 1, None)
    assert verify(session, code).entries == ENTRIES
    assert verify(session, "house").entries == 1
    told = heads(session)
    assert [(head.park, head.sequence) for head in told] == [("house", 1), (code, ENTRIES)]
    assert read_heads(head.line() for head in told) == told
    assert _tampered(session) is None


@pytest.mark.parametrize("number", [1, 7, ENTRIES])
@pytest.mark.parametrize(
    "change",
    [
        "actor = 'somebody else'",
        "reason = coalesce(reason, '') || ' '",
        "subject_id = NULL",
        "at = at + interval '1 microsecond'",
        "company_id = gen_random_uuid()",
        # The same value in other words: what was hashed is the text.
        "details = (details::text || ' ')::json",
        "hash = sha256(hash)",
        "previous_hash = sha256(hash)",
    ],
)
def test_a_changed_entry_is_named(session: Session, code: str, number: int, change: str) -> None:
    found = _tampered(
        session,
        f"UPDATE audit_entries SET {change} WHERE {IN_PARK} AND sequence = {number}",  # noqa: S608
    )

    assert found is not None
    assert (found.park, found.sequence) == (code, number)


def test_entries_that_changed_places_are_named(session: Session, code: str) -> None:
    found = _tampered(
        session,
        "ALTER TABLE audit_entries DROP CONSTRAINT uq_audit_entries_park_id_sequence",
        "UPDATE audit_entries SET sequence = 14 - sequence WHERE sequence IN (5, 9)",
    )

    assert found is not None
    assert (found.park, found.sequence) == (code, 5)


@pytest.mark.parametrize(("gone", "first"), [("= 7", 7), ("= 1", 1), (">= 18", 18), ("> 0", 1)])
def test_missing_entries_are_named(session: Session, code: str, gone: str, first: int) -> None:
    found = _tampered(session, f"{DELETE} AND sequence {gone}")

    assert found is not None
    assert (found.park, found.sequence) == (code, first)


def test_without_heads_from_elsewhere_a_cut_chain_looks_whole(session: Session, code: str) -> None:
    """Why heads are handed to others: the chain itself does not know how long it was."""
    _tamper(session, f"{DELETE} AND sequence > 10")

    assert verify(session, code).tampering is None


def test_a_chain_written_anew_is_found_by_a_head(session: Session, code: str) -> None:
    """Whoever owns the database can write a chain that holds, and not the one that was."""
    park_id = session.scalars(select(AuditEntry.park_id).where(text(IN_PARK))).first()
    before = heads(session)
    _tamper(session, f"{DELETE} AND sequence >= 12")
    for number in range(12, ENTRIES + 5):
        _write(session, park_id, number + 100)

    found = verify(session, known=before).tampering

    assert found is not None
    assert (found.park, found.sequence) == (code, ENTRIES)
    assert verify(session).tampering is None  # by itself it holds


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_entries SET actor = ''", "DELETE FROM audit_entries", "TRUNCATE audit_entries"],
)
def test_nobody_changes_an_entry_by_the_way(session: Session, statement: str) -> None:
    _write(session, None, 1)

    with pytest.raises(DBAPIError, match="keeps its history"):
        session.execute(text(statement))


class _GaveUpError(Exception):
    """A writer that wrote, and took it back."""


def test_racing_writers_leave_no_hole_and_no_fork(own_engine: Engine) -> None:
    """32 sessions at once on one chain; some give up after they wrote."""
    writers, rounds = 32, 4
    start = threading.Barrier(writers)
    park_id = uuid4()

    def write(number: int) -> None:
        with Session(own_engine) as session:
            start.wait()
            for turn in range(rounds):
                with suppress(_GaveUpError), transaction(session):
                    _write(session, park_id, number)
                    if turn == number % rounds:
                        raise _GaveUpError

    with ThreadPoolExecutor(writers) as crowd:
        list(crowd.map(write, range(writers)))
    with Session(own_engine) as session:
        found = verify(session)
    assert (found.tampering, found.entries) == (None, writers * (rounds - 1))


def test_an_old_view_of_the_chain_cannot_fork_it(own_engine: Engine) -> None:
    """A transaction that reads the past is refused by the constraint, not chained wrongly."""
    park_id = uuid4()
    with (
        Session(own_engine.execution_options(isolation_level="REPEATABLE READ")) as old,
        Session(own_engine) as new,
    ):
        old.execute(select(AuditEntry.id)).all()
        _write(new, park_id, 1)
        new.commit()
        with pytest.raises(DBAPIError):
            _write(old, park_id, 2)
        old.rollback()
        with_retries(lambda: _write(old, park_id, 3))
        old.commit()
        assert verify(new).tampering is None


def test_only_declared_actions_are_recorded(session: Session) -> None:
    with pytest.raises(ValueError, match="declared"):
        record(session, "tests", "unit.sold", park_id=None, subject_type="unit", subject_id=None)


def test_a_file_that_holds_no_heads_is_refused() -> None:
    for line in ("{}", "nonsense", json.dumps({"park": "house", "sequence": 1})):
        with pytest.raises(Exception, match="line 2 is no head"):
            read_heads(["", line])
