"""A snapshot that follows the database: a thread reads what changed, and swaps it in at once.

It looks whether a transaction ended, a hundred times a second, for a few hundredths of a core;
and then at the log of changed buildings, by transaction. (NOTIFY would tell it sooner, and would
make writers wait for each other.) Buildings that changed, or in which a claim lapsed, are read anew
as a whole and laid over what there was; linked buildings together. Layers are made one in memory.
Now and then everything is read anew, by another thread meanwhile.
"""

import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Engine

from app.database.engine import role_of
from app.demand.rules import BuildingRules
from app.kernel.clock import civil_day
from app.kernel.errors import BusyError
from app.matching.segment import Large, Snapshot, Version
from app.matching.snapshots.changes import find_changes
from app.matching.snapshots.layers import Layer, Layers, laid
from app.matching.snapshots.load import load, put_together, read_version
from app.matching.snapshots.reading import NEVER_US, Connection
from app.matching.snapshots.store import Kept, Store, database_identity

logger = structlog.get_logger(__name__)

AGE_SECONDS = Gauge("space_relay_snapshot_age_seconds", "Since the snapshot was known to be true")
UNITS = Gauge("space_relay_snapshot_units", "Units in the snapshot", ["layer"])
REREAD = Counter("space_relay_snapshot_reread_buildings_total", "Buildings that were read anew")
READ_SECONDS = Histogram(
    "space_relay_snapshot_read_seconds",
    "Time to read, seconds",
    ["what"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2.5, 5, 10),
)

#: How often to look whether a transaction ended: after one did, and when all is quiet.
_LOOK_SECONDS = (0.003, 0.01)
_QUIET_SECONDS = 1.0
#: A snapshot is never older, whether anything changed or not.
FRESH_SECONDS = 1.0
#: Everything is read anew when so much of it lies in newer layers, but not all the time.
_NEWER_SHARE = 0.05
_NEWER_UNITS = 2_000
_RESTS = 10
#: Connections that read everything together.
_READERS = 2
#: Clocks may differ, and a segment may be days old.
_PAST_DAYS = 92
_RETRY_SECONDS = (0.05, 2.0)
_FIRST_SECONDS = 15.0
_SEEN = "SELECT pg_current_snapshot()::text"


@dataclass(frozen=True, slots=True)
class _Job:
    """Everything, which another thread reads meanwhile."""

    begun: float
    result: "Future[Kept]"


class Follower:
    """Keeps a snapshot true. Start it once; every answer holds the snapshot it began with.

    Args:
        engine: says how to connect; the connections are the follower's own.
        rules: what is high-rise.
        folder: where segments are kept for other processes and for the next start; None: nowhere.
        fresh_seconds: how old a snapshot may be when nothing changes.
    """

    def __init__(
        self,
        engine: Engine,
        rules: BuildingRules,
        folder: Path | None = None,
        *,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self._engine, self._rules, self._folder = engine, rules, folder
        self._fresh_seconds = fresh_seconds
        self._thread = threading.Thread(target=self._run, name="snapshot-follower", daemon=True)
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="snapshot-reader")
        self._ending = threading.Event()
        self._changed = threading.Condition()
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.setblocking(False)
        self._snapshot: Snapshot | None = None
        self._true_at = 0.0
        self._begun = self._done = 0
        # Of the thread alone.
        self._layers: Layers = ()
        self._version: Version | None = None
        self._base_taken_at: datetime | None = None
        self._identity = ""
        self._store: Store | None = None
        self._job: _Job | None = None
        self._rest_until = self._changed_at = 0.0
        self._again = False

    # ---- for everybody -------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow."""
        AGE_SECONDS.set_function(lambda: self.age_seconds() or 0.0)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until it has."""
        self._ending.set()
        self._poke()
        if self._thread.is_alive():
            self._thread.join()
        self._helper.shutdown(cancel_futures=True)
        for end in (self._woken, self._wake):
            end.close()

    def current(self, timeout: float = _FIRST_SECONDS) -> Snapshot:
        """The newest snapshot; waits for the first.

        Raises:
            BusyError: there is none yet.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot is not None, timeout)
            if self._snapshot is None:
                raise BusyError("the snapshot of all space is still being read; try again")
            return self._snapshot

    def wait_for(self, transaction: int, timeout: float) -> bool:
        """Wait until the snapshot has seen a transaction; False if it does not in time.

        A transaction whose number was never given out is not waited for.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            before = self._begun
            self._poke()
            while True:
                version = None if self._snapshot is None else self._snapshot.version
                if version is not None and version.sees(transaction):
                    return True
                if version is not None and self._done > before and transaction >= version.xmax:
                    return False
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return False

    def age_seconds(self) -> float | None:
        """How long ago the snapshot was known to be true; None before there is one."""
        return None if self._snapshot is None else time.monotonic() - self._true_at

    def _poke(self) -> None:
        try:
            self._wake.send(b"!")
        except OSError:
            return  # full of wake-ups already, or closed

    # ---- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        rest, longest = _RETRY_SECONDS
        while not self._ending.is_set():
            try:
                with closing(self._connect()) as connection:
                    self._begin(connection)
                    rest = _RETRY_SECONDS[0]
                    while not self._ending.is_set():
                        self._step(connection)
                        self._sleep(connection)
            except (psycopg.Error, OSError) as error:
                if not self._ending.is_set():
                    logger.warning("the snapshot lost its database", error=type(error).__name__)
            except Exception:
                # Whatever it is, the next attempt reads everything from the beginning.
                logger.exception("the snapshot cannot follow")
                self._layers, self._version = (), None
            self._ending.wait(rest)
            rest = min(rest * 2, longest)

    def _connect(self) -> Connection:
        options = dict(self._engine.dialect.create_connect_args(self._engine.url)[1])
        options |= {"connect_timeout": 5, "application_name": "space-relay-snapshot"}
        connection = psycopg.connect(**options, autocommit=True)
        # A few buildings are read in no time; planning how would take longer.
        connection.execute(
            "SELECT set_config(name, value, false) FROM (VALUES ('timezone', 'UTC'),"
            " ('plan_cache_mode', 'force_generic_plan'),"
            " ('jit', 'off'), ('statement_timeout', '0')) AS s (name, value)"
        )
        role = role_of(self._engine)
        if role is not None:
            connection.execute("SELECT set_config('role', %s, false)", [role])
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection

    def _begin(self, connection: Connection) -> None:
        """Make sure that this is still the same database."""
        identity = database_identity(connection)
        if identity != self._identity:
            self._identity, self._layers, self._version = identity, (), None
            if self._folder is not None:
                self._store = Store(self._folder, identity, self._rules.version)
        if not self._layers:
            self._take(self._kept_or_read(None))

    def _take(self, kept: Kept) -> None:
        """Begin anew from a segment, however old: what changed since is read next."""
        self._layers = (Layer.of(kept.loaded),)
        self._version, self._base_taken_at = kept.version, kept.version.taken_at
        self._job = None

    def _step(self, connection: Connection) -> None:
        """Take in what was read meanwhile, and what changed; then show it."""
        self._finish_job()
        with self._changed:
            self._begun += 1
        known_true = time.monotonic()
        if self._version is None or self._catch_up(connection, self._version, known_true):
            logger.info("reads all space anew", since=str(self._version))
            after = None if self._version is None else self._version.taken_at
            self._take(self._kept_or_read(after))
            self._again = True
        else:
            self._start_job()

    def _catch_up(self, connection: Connection, since: Version, known_true: float) -> bool:
        """Read anew what changed since, and show it; or say that everything must be read."""
        version, turned = since, np.zeros(0, dtype=np.int32)
        while True:
            with READ_SECONDS.labels("changes").time():
                found = find_changes(connection, version, turned.tolist())
            changes = found.changes
            # If one is gone, nobody remembers its number.
            is_there = changes.building_ids <= found.building_ids
            if changes.everything or not is_there or not _follows(found.version, version):
                return True
            version = found.version
            if found.building_ids:
                loaded = put_together(found.read, self._rules, calendars_since(version))
                self._layers = laid(self._layers, loaded)
                REREAD.inc(len(found.building_ids))
            # What lapsed by the clock is known only now: it is asked for too before it is shown.
            turned = self._turned(version)
            if not len(turned):
                break
        self._version = version
        self._show(version, known_true)
        return False

    def _turned(self, version: Version) -> Large:
        """Numbers of the buildings that are another by now, though nobody wrote them."""
        now_us = round(version.taken_at.timestamp() * 1_000_000)
        return np.concatenate([layer.turned(now_us) for layer in self._layers])

    def _show(self, version: Version, known_true: float) -> None:
        with self._changed:
            self._snapshot = Snapshot(tuple(layer.segment for layer in self._layers), version)
            self._true_at = known_true
            self._done = self._begun
            self._changed.notify_all()
        UNITS.labels("base").set(len(self._layers[0].segment))
        UNITS.labels("newer").set(self._newer_units())

    def _newer_units(self) -> int:
        return sum(len(layer.segment) for layer in self._layers[1:])

    def _sleep(self, connection: Connection) -> None:
        """Until a transaction ends, somebody waits, something turns, or the snapshot is old."""
        stepped, turns_in = time.monotonic(), self._turns_in()
        while not self._again and not self._ending.is_set():
            left = min(self._fresh_seconds, turns_in) - (time.monotonic() - stepped)
            quiet = time.monotonic() - self._changed_at > _QUIET_SECONDS
            if left <= 0 or self._woken_within(min(_LOOK_SECONDS[quiet], left)):
                return
            known_true = time.monotonic()
            if connection.execute(_SEEN).fetchall()[0][0] != str(self._version):
                self._changed_at = time.monotonic()
                return
            self._true_at = known_true
        self._again = False

    def _woken_within(self, seconds: float) -> bool:
        """Whether somebody wants an answer now."""
        if not select.select([self._woken], [], [], seconds)[0]:
            return False
        with suppress(BlockingIOError):
            self._woken.recv(1024)
        return True

    def _turns_in(self) -> float:
        """Seconds until a building is another by itself."""
        if self._version is None:
            return 0.0
        turns_us = min(int(layer.turns_us.min(initial=NEVER_US)) for layer in self._layers)
        return max(turns_us / 1e6 - self._version.taken_at.timestamp(), 0.001)

    # ---- reading everything --------------------------------------------------------------------

    def _start_job(self) -> None:
        most = max(_NEWER_UNITS, _NEWER_SHARE * len(self._layers[0].segment))
        if (
            self._job is not None
            or time.monotonic() < self._rest_until
            or self._newer_units() <= most
        ):
            return
        after = self._base_taken_at

        def run() -> Kept:
            try:
                return self._kept_or_read(after)
            finally:
                self._poke()

        self._job = _Job(time.monotonic(), self._helper.submit(run))

    def _finish_job(self) -> None:
        job = self._job
        if job is None or not job.result.done():
            return
        self._job = None
        kept = job.result.result()
        self._take(kept)
        now = time.monotonic()
        self._rest_until = now + _RESTS * (now - job.begun)

    def _kept_or_read(self, after: datetime | None) -> Kept:
        """A segment that another process saved since, or else one that is read and saved now."""
        store = self._store
        if store is None:
            return self._read_everything()
        kept = store.newest(after)
        if kept is not None:
            return kept
        with store.alone(wait=True):
            # Whoever was in there may have left one.
            return store.newest(after) or self._saved(store, self._read_everything())

    def _saved(self, store: Store, kept: Kept) -> Kept:
        try:
            return store.save(kept)
        except OSError as error:
            logger.warning("the snapshot cannot be saved", error=str(error))
            return kept

    def _read_everything(self) -> Kept:
        with READ_SECONDS.labels("everything").time(), self._readers(_READERS) as readers:
            version = read_version(readers[0])
            since = calendars_since(version)
            loaded = load(readers, version.taken_at, rules=self._rules, since=since)
            return Kept(loaded, version)

    @contextmanager
    def _readers(self, count: int) -> Iterator[list[Connection]]:
        """Connections that see the same, in transactions that end with the block."""
        with ExitStack() as opened:
            readers = [opened.enter_context(closing(self._connect())) for _ in range(count)]
            for reader in readers:
                opened.enter_context(reader.transaction())
            seen = readers[0].execute("SELECT pg_export_snapshot()").fetchall()[0][0]
            for reader in readers[1:]:
                reader.execute(f"SET TRANSACTION SNAPSHOT '{seen}'")
            yield readers


def calendars_since(version: Version) -> date:
    """The first day that calendars of a snapshot tell of: nobody asks about days that are gone."""
    return civil_day(version.taken_at) - timedelta(days=_PAST_DAYS)


def _follows(later: Version, earlier: Version) -> bool:
    """Whether a reading can be later: transactions are counted upwards."""
    return later.xmin >= earlier.xmin and later.xmax >= earlier.xmax
