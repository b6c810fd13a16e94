"""Whose rows a session sees. The floor under every query: what it forgets, the database does not.

The policies of the tables (migration 0009 and later) read four settings of the transaction, which
the session makes anew whenever one begins (``app/database/session.py``). Nothing of it outlives the
transaction, so that no connection carries one caller's rows to the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.orm import Session

from app.database.session import Audience, Rows, rows_of, show_rows
from app.security.actors import Actor, ActorKind

#: What jobs and commands are shown.
SYSTEM = Rows(audience=Audience.SYSTEM)


def bind(session: Session, actor: Actor) -> None:
    """Show the session what the actor may see, in this transaction and all later ones."""
    if actor.kind is ActorKind.STAFF:
        rows = Rows(audience=Audience.STAFF, park_ids=actor.park_ids, actor=actor.label)
    elif actor.kind is ActorKind.FIRM:
        rows = Rows(audience=Audience.FIRM, firm_id=actor.company_id, actor=actor.label)
    else:
        rows = Rows()
    _begin_with(session, rows)


def system(session: Session) -> None:
    """Show the session all rows: for jobs, commands, and finding out who calls."""
    _begin_with(session, SYSTEM)


@contextmanager
def whole_ledger(session: Session) -> Iterator[None]:
    """Show all rows for a while, where a decision needs what others have or were promised.

    For the places that ``tests/security/test_rows_house.py`` lists, and no others: what is read in
    it may decide, and must not be shown.
    """
    before = rows_of(session)
    if before is None or before.audience is Audience.SYSTEM:
        yield
        return
    show_rows(session, replace(before, audience=Audience.SYSTEM, park_ids=None))
    try:
        yield
    finally:
        show_rows(session, before)


def _begin_with(session: Session, rows: Rows) -> None:
    if session.in_nested_transaction():
        # Its end may take back what was told, and nobody would know.
        raise RuntimeError("say whose rows a session is shown before any savepoint")
    show_rows(session, rows)
