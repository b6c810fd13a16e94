"""The sender: a loop beside the worker's jobs that sends what is due, a few at a time."""

import random
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Lock, Thread

import structlog
from sqlalchemy.orm import Session, sessionmaker

from app.database.session import DATABASE_FAILURES, transaction
from app.kernel.clock import Clock, SystemClock
from app.security.rows import system
from app.security.sealing import SealBrokenError, Sealer
from app.webhooks.addresses import UrlRefusedError, parse_url
from app.webhooks.delivery import Taken, take, write_down
from app.webhooks.signing import purpose, signed
from app.webhooks.transport import Network, Outcome, Result, post

logger = structlog.get_logger(__name__)

#: Sendings at a time, and how many of these to endpoints that fail.
PLACES = 8
PLACES_OF_FAILING = 3
#: How long the loop sleeps when nothing is due, seconds.
IDLE_SECONDS = 0.5
#: How long it leaves a database alone that failed it, seconds.
_AFTER_FAILURE_SECONDS = 5.0

_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Space-Relay/1"}


@dataclass
class Sender:
    """Takes, sends and writes down. Any number may run at once, in any number of processes."""

    sessions: sessionmaker[Session]
    sealer: Sealer
    allow_loopback: bool = False
    hosts: Collection[str] = ()
    network: Network = field(default_factory=Network)
    clock: Clock = field(default_factory=SystemClock)
    luck: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        """Nothing is under way yet."""
        self._changed, self._lock = Event(), Lock()
        self._busy = {False: 0, True: 0}

    def run(self, stop: Event) -> None:
        """Send what is due until told to stop; then finish what is under way."""
        with ThreadPoolExecutor(PLACES, thread_name_prefix="webhook") as pool:
            while not stop.is_set():
                self._changed.clear()
                try:
                    self._start_what_is_due(pool)
                except DATABASE_FAILURES as error:
                    logger.warning("webhooks wait for the database", error=type(error).__name__)
                    stop.wait(_AFTER_FAILURE_SECONDS)
                self._changed.wait(IDLE_SECONDS)

    def send_due(self) -> int:
        """Send all that is due now, one after another; returns how many were sent."""
        sent = 0
        while due := [*self._take(1, failing=False), *self._take(1, failing=True)]:
            for one in due:
                self.deliver(one)
            sent += len(due)
        return sent

    def deliver(self, taken: Taken) -> Result:
        """Send one that was taken, with no transaction open, and write down what came of it."""
        at, began = self.clock.now(), time.monotonic()
        result = self._send(taken, at)
        with self._session() as session, transaction(session):
            write_down(
                session,
                taken,
                result,
                at=at,
                now=self.clock.now(),
                duration_ms=round((time.monotonic() - began) * 1_000),
                luck=self.luck(),
            )
        logger.info(
            "webhook sent",
            endpoint=str(taken.endpoint_id),
            webhook=str(taken.event_id),
            outcome=result.outcome.value,
            status=result.status,
        )
        return result

    def _send(self, taken: Taken, at: datetime) -> Result:
        try:
            # Judged again each time: the setting may have changed since it was registered.
            target = parse_url(taken.url, allow_loopback=self.allow_loopback, hosts=self.hosts)
        except UrlRefusedError:
            return Result(Outcome.ADDRESS_REFUSED)
        try:
            secrets = [
                self.sealer.open(purpose(taken.endpoint_id), one).decode()
                for one in taken.secrets_sealed
            ]
        except SealBrokenError:
            logger.exception("a webhook's secret does not open", endpoint=str(taken.endpoint_id))
            return Result(Outcome.NOT_SIGNED)
        headers = _HEADERS | signed(taken.event_id, at, taken.body, secrets)
        return post(self.network, target, headers, taken.body)

    def _start_what_is_due(self, pool: ThreadPoolExecutor) -> None:
        for failing in (False, True):
            with self._lock:
                free = PLACES - sum(self._busy.values())
                if failing:
                    free = min(free, PLACES_OF_FAILING - self._busy[True])
            if free <= 0:
                continue
            for taken in self._take(free, failing=failing):
                with self._lock:
                    self._busy[failing] += 1
                pool.submit(self.deliver, taken).add_done_callback(self._done(failing=failing))

    def _done(self, *, failing: bool) -> Callable[["Future[Result]"], None]:
        def done(future: "Future[Result]") -> None:
            with self._lock:
                self._busy[failing] -= 1
            self._changed.set()
            error = future.exception()
            if error is not None:
                # Its lease will lapse, and it will be sent again.
                logger.error("a webhook was not written down", exc_info=error)

        return done

    def _take(self, most: int, *, failing: bool) -> list[Taken]:
        with self._session() as session, transaction(session):
            return take(session, self.clock.now(), most, failing=failing)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self.sessions() as session:
            system(session)
            yield session


@contextmanager
def sending(sender: Sender) -> Iterator[None]:
    """Run a sender beside what the caller does."""
    stop = Event()
    thread = Thread(target=sender.run, args=(stop,), name="webhooks")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
