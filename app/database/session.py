"""Sessions, and the one way to commit."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from psycopg import Error as DriverError
from psycopg import errors as driver_errors
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from app.kernel.errors import BusyError, SpaceRelayError

__all__ = [
    "DATABASE_FAILURES",
    "Audience",
    "Rows",
    "Session",
    "constraint_error",
    "rows_of",
    "session_factory",
    "show_rows",
    "transaction",
    "transaction_number",
    "unavailability",
    "wait_for_turn",
    "with_retries",
]

_Result = TypeVar("_Result")

#: Failures after which the same work may simply be done again.
_RETRYABLE = (driver_errors.SerializationFailure, driver_errors.DeadlockDetected)
_TIMED_OUT = (driver_errors.QueryCanceled, driver_errors.LockNotAvailable)
_ATTEMPTS = 5

#: What a session raises when the database fails it, outside ``transaction`` too.
DATABASE_FAILURES: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError)

_constraint_errors: dict[str, Callable[[str], SpaceRelayError]] = {}


def constraint_error(name: str, make: Callable[[str], SpaceRelayError]) -> None:
    """Say which error a named constraint stands for. ``make`` gets the database's detail."""
    _constraint_errors[name] = make


class Audience(StrEnum):
    """Whose rows a transaction is shown; the policies of the tables know these words."""

    NOBODY = ""
    FIRM = "firm"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Rows:
    """What a transaction is shown of tables with a firm in them.

    A firm: its own. Staff: all that firms ask for, and of the ledger what is in their parks
    (None: every park). The system: all. Without any of these: nothing. ``actor`` is the caller's
    label, whose own answers it may be given again.
    """

    audience: Audience = Audience.NOBODY
    firm_id: UUID | None = None
    park_ids: frozenset[UUID] | None = None
    actor: str = ""


#: Keys of ``Session.info``.
_ROWS, _FIRM_TIMEOUT = "rows", "firm_statement_timeout_ms"
#: Stands for no park at all, where an empty list stands for all of them.
_NO_PARK = UUID(int=0)


def session_factory(
    engine: Engine, *, rows: Rows | None = None, firm_statement_timeout_ms: int | None = None
) -> sessionmaker[Session]:
    """A maker of sessions that keep loaded values after a commit.

    Args:
        engine: where they read and write.
        rows: what they are shown until somebody says otherwise.
        firm_statement_timeout_ms: longest statement of a firm's call, where it is less than the
            engine's own.
    """
    return sessionmaker(
        engine,
        expire_on_commit=False,
        info={_ROWS: rows, _FIRM_TIMEOUT: firm_statement_timeout_ms},
    )


def rows_of(session: Session) -> Rows | None:
    """What the session was told to be shown; None: nothing was said."""
    rows: Rows | None = session.info.get(_ROWS)
    return rows


def show_rows(session: Session, rows: Rows) -> None:
    """Show the session these rows, now and in every later transaction. See app/security/rows.py."""
    connection = None
    if session.in_transaction() and session.is_active:
        # Begins with what was said before: a savepoint that ends goes back to that.
        connection = session.connection()
    session.info[_ROWS] = rows
    # A lost connection can be told nothing, and what lost it must stay the error that is heard.
    if connection is not None and not connection.invalidated:
        _tell(session, connection, rows)


@event.listens_for(Session, "after_begin")
def _on_begin(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    # A savepoint keeps what its transaction was told, and a transaction that was told nothing
    # shows nothing.
    rows = rows_of(session)
    if rows is not None and rows.audience and not transaction.nested:
        _tell(session, connection, rows)


def _tell(session: Session, connection: Connection, rows: Rows) -> None:
    """Make the settings that the policies read, for this transaction only, in one statement."""
    driver = connection.connection.driver_connection
    if driver is not None and driver.info.transaction_status is TransactionStatus.INERROR:
        # Nothing can be told, and nothing asked, until it is rolled back to where all was said.
        return
    parks = "" if rows.park_ids is None else ",".join(map(str, rows.park_ids or {_NO_PARK}))
    told = {
        "app.audience": rows.audience.value,
        "app.firm_id": "" if rows.firm_id is None else str(rows.firm_id),
        "app.park_ids": parks,
        "app.actor": rows.actor,
    }
    timeout_ms = session.info.get(_FIRM_TIMEOUT)
    if rows.audience is Audience.FIRM and timeout_ms is not None:
        told["statement_timeout"] = f"{timeout_ms}ms"
    calls = ", ".join("set_config(%s, %s, true)" for _ in told)
    connection.exec_driver_sql(
        f"SELECT {calls}",
        tuple(word for pair in told.items() for word in pair),
    )


@contextmanager
def transaction(session: Session) -> Iterator[None]:
    """Commit on the way out, or roll back and translate.

    ``Session.begin()`` is not used, because a read earlier in the request (the caller's
    credential, say) has already begun the transaction.

    Raises:
        SpaceRelayError: a constraint that stands for a domain error was broken, or the database
            was too busy to finish in time.
        DBAPIError: a deadlock or a serialisation race was lost; see ``with_retries``.
    """
    try:
        yield
        session.commit()
    except DBAPIError as error:
        session.rollback()
        translated = None if isinstance(error.orig, _RETRYABLE) else _translated(error)
        if translated is None:
            raise
        raise translated from error
    except BaseException:
        session.rollback()
        raise


def transaction_number(session: Session) -> int | None:
    """The number by which others tell whether they see the transaction; None: it wrote nothing."""
    session.flush()
    number = session.scalar(text("SELECT pg_current_xact_id_if_assigned()::text"))
    return None if number is None else int(number)


def wait_for_turn(session: Session, name: str) -> None:
    """Let one transaction at a time go on beyond here under this name, until it ends."""
    digest = hashlib.sha256(f"turn\n{name}".encode()).digest()
    session.execute(
        text("SELECT pg_advisory_xact_lock(:number)"),
        {"number": int.from_bytes(digest[:8], "big", signed=True)},
    )


def with_retries(work: Callable[[], _Result]) -> _Result:
    """Do ``work``, again if it lost a deadlock or a serialisation race, at most five times."""
    for attempt in range(_ATTEMPTS):
        try:
            return work()
        except DBAPIError as error:
            if not isinstance(error.orig, _RETRYABLE):
                raise
            # Jitter, so that the racers do not meet again.
            time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311
    raise BusyError("the same rows are being changed by too many callers; try again")


def unavailability(error: Exception) -> BusyError | None:
    """The error to answer when the database could not do its part; None when it is a bug."""
    if isinstance(error, PoolTimeoutError):
        return BusyError("all database connections are busy; try again")
    if isinstance(error, DBAPIError):
        if isinstance(error.orig, _TIMED_OUT):
            return BusyError("the database did not finish in time; try again, or ask for less")
        if isinstance(error, OperationalError) or error.connection_invalidated:
            return BusyError("the database does not answer; try again")
    return None


def _translated(error: DBAPIError) -> SpaceRelayError | None:
    cause = error.orig
    unavailable = unavailability(error)
    if unavailable is not None:
        return unavailable
    if not isinstance(cause, DriverError):
        return None
    make = _constraint_errors.get(cause.diag.constraint_name or "")
    return None if make is None else make(cause.diag.message_detail or "")
