"""Engines: how this process talks to PostgreSQL."""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection as DriverConnection
from psycopg import Cursor
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Connection, Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry

#: The execution option that says whom an engine's connections act as.
_ROLE = "space_relay_role"

#: Execution options of a statement whose texts are passed on: they come as UTF-8, undecoded.
AS_BYTES: Mapping[str, Any] = {"space_relay_as_bytes": True}


class Untouched(Loader):
    """Gives a text as the bytes it came in."""

    def load(self, data: Buffer) -> bytes:
        """The bytes, in the encoding of the connection: UTF-8."""
        return bytes(data)


class KeepsPrepared(DriverConnection[Any]):
    """Keeps the statements that it has prepared when a transaction is rolled back.

    That is how each session ends that has only read. The driver would have the server forget them,
    lest what they name was made in that transaction; no engine of this application makes tables in
    one that may be rolled back, and PostgreSQL keeps what was prepared.
    """

    def rollback(self) -> None:
        """End the transaction and undo what was written in it."""
        is_sound = self.info.transaction_status is TransactionStatus.INTRANS
        if is_sound and self.pgconn.exec_(b"ROLLBACK").status is ExecStatus.COMMAND_OK:
            return
        # Nothing is open, or something has failed: what is to be done then the driver knows best.
        super().rollback()


def normalised_url(url: str) -> str:
    """The URL with the psycopg 3 driver, whichever PostgreSQL spelling was given."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme in {"postgres", "postgresql"} else url


def make_engine(
    url: str,
    *,
    pool_size: int = 16,
    statement_timeout_ms: int = 15_000,
    lock_timeout_ms: int = 5_000,
    idle_timeout_ms: int = 60_000,
    application_name: str = "space-relay",
    role: str | None = None,
) -> Engine:
    """An engine whose every connection carries time-outs, UTC and custom plans.

    Its connections act as ``role`` (app/database/roles.py); None: as whoever logs in.

    Custom plans keep partial and spatial indexes visible to bound parameters. Sessions are in UTC
    because civil days are computed in the application (kernel/clock.py), never by a cast in SQL.
    """
    engine = create_engine(
        normalised_url(url),
        pool_size=pool_size,
        max_overflow=0,
        # The last one used is used next: its statements are prepared, its caches are warm.
        pool_use_lifo=True,
        pool_timeout=10,
        pool_pre_ping=True,
        # The ledger's recipe is proven at this level, whatever the server's default is.
        isolation_level="READ COMMITTED",
        # Names and remarks travel as parameters and do not belong in a log.
        hide_parameters=True,
        execution_options={_ROLE: role},
        connect_args={"connect_timeout": 5, "application_name": application_name},
    )

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: Dialect,
        _entry: ConnectionPoolEntry,
        words: tuple[str, ...],
        named: dict[str, Any],
    ) -> KeepsPrepared:
        return KeepsPrepared.connect(*words, **named)

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT set_config(name, value, false) FROM (VALUES"
            " ('timezone', 'UTC'),"
            " ('plan_cache_mode', 'force_custom_plan'),"
            " ('jit', 'off'),"
            " ('client_connection_check_interval', '5s'),"
            " ('idle_in_transaction_session_timeout', %s),"
            " ('statement_timeout', %s), ('lock_timeout', %s)) AS s (name, value)",
            (f"{idle_timeout_ms}ms", f"{statement_timeout_ms}ms", f"{lock_timeout_ms}ms"),
        )
        if role is not None:
            cursor.execute("SELECT set_config('role', %s, false)", (role,))
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "before_cursor_execute")
    def leave_bytes(
        _connection: Connection,
        cursor: Cursor[Any],
        _statement: str,
        _parameters: object,
        context: ExecutionContext | None,
        _many: object,
    ) -> None:
        if context is not None and context.execution_options.keys() >= AS_BYTES.keys():
            cursor.adapters.register_loader("text", Untouched)

    return engine


def role_of(engine: Engine) -> str | None:
    """Whom the engine's connections act as; None: whoever logs in."""
    role: str | None = engine.get_execution_options().get(_ROLE)
    return role
