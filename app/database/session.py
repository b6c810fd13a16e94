"""Sessions, and the one way to commit."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from psycopg import Error as DriverError
from psycopg import errors as driver_errors
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from app.kernel.errors import BusyError, SpaceRelayError

__all__ = [
    "DATABASE_FAILURES",
    "Session",
    "constraint_error",
    "session_factory",
    "transaction",
    "transaction_number",
    "unavailability",
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


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """A maker of sessions that keep loaded values after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


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
