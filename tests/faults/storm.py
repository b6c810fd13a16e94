"""Clients that book without pause, repeat until they are answered, and note what they were told."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

CLIENTS = 8
#: Longer than the server lets any statement take, so that a call given up is really over.
_PATIENCE_SECONDS = 30.0
#: How often an answer is lost on its way, with no server at fault.
_LOST_SHARE = 0.1
_SUCCESSES = {200, 201}


@dataclass(frozen=True)
class Bookable:
    """A unit of the storm; ``divisible`` ones are held in parts."""

    id: str
    divisible: bool


@dataclass(frozen=True)
class World:
    """What a storm books: every storm has its own."""

    units: Sequence[Bookable]
    firms: Sequence[tuple[str, dict[str, str]]]  # company id, headers
    staff: dict[str, str]


@dataclass
class Booking:
    """What the server acknowledged, and what became of it by later acknowledgements."""

    id: str
    unit: str
    company: str
    quantity: Decimal
    start: str
    until: str
    state: str = "held"


@dataclass(frozen=True)
class Call:
    """One POST under one key."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Journal:
    """All that was acknowledged in a storm."""

    bookings: list[Booking] = field(default_factory=list)
    answers: list[tuple[Call, int, bytes]] = field(default_factory=list)
    #: When each success was asked for and when it came, monotonic seconds.
    successes: list[tuple[float, float]] = field(default_factory=list)
    refusals: int = 0
    repeats: int = 0
    #: Answers that no client should ever get, whatever was killed.
    unexpected: list[str] = field(default_factory=list)


class _UnansweredError(Exception):
    """The storm was broken off before an answer came."""


class Storm:
    """``CLIENTS`` threads over one journal; ends when every call under way is answered."""

    def __init__(self, port: int, world: World, seed: int) -> None:
        self.journal = Journal()
        self._port = port
        self._world = world
        self._over = threading.Event()
        self._broken_off = threading.Event()
        self._numbers = count()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(seed + number), number))  # noqa: S311
            for number in range(CLIENTS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if error is not None:
            self._broken_off.set()
        for thread in self._threads:
            thread.join(60)
        self._broken_off.set()
        for thread in self._threads:
            thread.join()

    @property
    def alive(self) -> int:
        """How many clients still book."""
        return sum(thread.is_alive() for thread in self._threads)

    def first_success(self, *, asked_after: float = 0.0, came_after: float = 0.0) -> float | None:
        """When the first success came that was asked for, and came, after these instants."""
        with self._lock:
            came = [
                end
                for start, end in self.journal.successes
                if start > asked_after and end > came_after
            ]
        return min(came, default=None)

    def _run(self, chance: random.Random, number: int) -> None:
        company, firm = self._world.firms[number % len(self._world.firms)]
        held: list[Booking] = []
        try:
            while not self._over.is_set():
                if held and chance.random() < 0.5:
                    self._decide(chance, held.pop(chance.randrange(len(held))), firm)
                elif (made := self._hold(chance, company, firm)) is not None:
                    held.append(made)
        except _UnansweredError:
            with self._lock:
                self.journal.unexpected.append("a call was never answered")

    def _hold(self, chance: random.Random, company: str, firm: dict[str, str]) -> Booking | None:
        unit = chance.choice(self._world.units)
        # A window of years that moves on, so that units are contended for and never used up.
        year = min(2030 + next(self._numbers) // 30 + chance.randrange(4), 9990)
        start, until = f"{year}-01-01", f"{year + 1}-01-01"
        quantity = chance.choice((300, 400, 700)) if unit.divisible else None
        wanted = {"unit_id": unit.id} | ({"quantity": quantity} if quantity else {})
        call = _call("/api/v1/holds", firm, {"units": [wanted], "from": start, "until": until})
        status, body = self._answer(chance, call)
        if status != 201:
            return None
        made = Booking(
            json.loads(body)["id"],
            unit.id,
            company,
            Decimal(quantity or 2000),
            start,
            until,
        )
        with self._lock:
            self.journal.bookings.append(made)
        return made

    def _decide(self, chance: random.Random, held: Booking, firm: dict[str, str]) -> None:
        if chance.random() < 0.5:
            verb, state, caller = "confirm", "leased", self._world.staff
        else:
            verb, state, caller = "release", "released", firm
        status, _ = self._answer(chance, _call(f"/api/v1/holds/{held.id}/{verb}", caller, {}))
        if status == 200:
            held.state = state

    def _answer(self, chance: random.Random, call: Call) -> tuple[int, bytes]:
        """Send a call until it is answered for good, always under the same key."""
        while not self._broken_off.is_set():
            asked = time.monotonic()
            try:
                status, body = send(self._port, call)
            except (OSError, http.client.HTTPException):
                status, body = 0, b""
            lost = status in _SUCCESSES and chance.random() < _LOST_SHARE
            if not lost and self._noted(call, status, body, asked):
                return status, body
            with self._lock:
                self.journal.repeats += 1
            time.sleep(0 if lost else chance.uniform(0.05, 0.15))
        raise _UnansweredError

    def _noted(self, call: Call, status: int, body: bytes, asked: float) -> bool:
        """Write an answer down; False when it says to try again."""
        if status in {0, 503} or (status == 409 and b"idempotency-key-in-flight" in body):
            return False
        with self._lock:
            if status in _SUCCESSES:
                self.journal.answers.append((call, status, body))
                self.journal.successes.append((asked, time.monotonic()))
            elif status == 409 and b"unit-occupied" in body:
                self.journal.refusals += 1
            else:
                self.journal.unexpected.append(f"{call.path}: {status} {body[:300]!r}")
        return True


def _call(path: str, caller: dict[str, str], body: dict[str, Any]) -> Call:
    return Call(path, body, {**caller, "Idempotency-Key": str(uuid4())})


def send(port: int, call: Call) -> tuple[int, bytes]:
    """One attempt, on a connection of its own: the last one may lead to a dead process."""
    with _connection(port) as connection:
        headers = {"Content-Type": "application/json", **call.headers}
        connection.request("POST", call.path, json.dumps(call.body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


@contextmanager
def _connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
    try:
        yield connection
    finally:
        connection.close()
