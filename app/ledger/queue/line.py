"""The line for space that is taken: who is next, and whose offer is open. Pure.

Nothing moves the line along: how it stands at an instant is worked out from the log, that is, who
joined and left when, and which claims were believed when. What happens later never changes an
earlier answer.

At each instant at which something happens, in this order:

1. Offers whose time is up lapse. An offer is open from ``offered_at`` up to but not including
   ``offer_expires_at``. Who lets one lapse is **passed**: out of the line for good, even if it
   leaves at that very instant.
2. Claims end and begin; entries join and leave. Who leaves gives its offer back at once: the hold
   that an offer led to begins at the instant its entry leaves.
3. Where claims have taken offered space away, open offers are kept in the order of joining as far
   as they still fit. The others are **withdrawn**: those entries wait again, at their old place,
   and get a whole new offer when there is space again.
4. Each entry that waits, in the order of joining, is offered what it wants if all of it fits on
   all of its days, beside the live claims and *all* open offers.

So nobody waits for whom there is room, an entry that wants little may be offered what is too
little for one before it, and no one in the line, wherever it stands, undoes an offer once made.

**Cost.** With n entries, c claims, e instants (at most 2 c + 2 n, and one for each lapse) and p
pieces of days (at most 2 (n + c)): e vector steps of n and of p, plus one search of p for each
waiting entry each time the piece on which it last lacked space is freed. n² pairs for positions.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import NamedTuple
from uuid import UUID

import numpy as np

from app.kernel.period import Period
from app.kernel.terms import Term
from app.ledger.queue.room import Room, Span, Stretch, meet


class QueueState(Term):
    """How an entry in the line stands; worked out, never stored."""

    WAITING = "waiting", "排队中", "Waiting"
    OFFERED = "offered", "已轮到", "Offered"
    PASSED = "passed", "逾期放弃", "Let the offer lapse"
    LEFT = "left", "已离开", "Left the line"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A quantity of a unit, in its own measure; None is all of it."""

    unit_id: UUID
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A company's place in the line: it wants all of this, on all of these days, or nothing.

    An offer to it stands for ``offer_hours``, fixed when it joined: a later setting must not
    change what was. ``left_at`` is when it withdrew or took the space. Days run from ``start`` up
    to but not including ``end``; None is open-ended.

    Raises:
        ValueError: it wants nothing, a unit twice, or nothing of one; it ends before it starts,
            left before it joined, or its offers would last no time.
    """

    id: UUID
    company_id: UUID
    joined_at: datetime
    left_at: datetime | None
    wanted: tuple[Wanted, ...]
    start: date
    end: date | None
    offer_hours: int

    def __post_init__(self) -> None:
        if self.offer_hours <= 0:
            raise ValueError(f"an offer must last some time: {self.offer_hours} h")
        if not self.wanted or len({one.unit_id for one in self.wanted}) < len(self.wanted):
            raise ValueError(f"entry {self.id} must want something, and each unit once")
        if any(one.quantity is not None and one.quantity <= 0 for one in self.wanted):
            raise ValueError(f"entry {self.id} must want more than nothing of each unit")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"entry {self.id} must end after it starts")
        if self.left_at is not None and self.left_at < self.joined_at:
            raise ValueError(f"entry {self.id} cannot leave before it joins")


@dataclass(frozen=True, slots=True)
class Taken:
    """A claim of any kind: a quantity of a unit on some days, and when it was believed.

    Raises:
        ValueError: it ends before it starts, or was never believed.
    """

    unit_id: UUID
    quantity: Decimal
    start: date
    end: date | None
    live_from: datetime
    live_until: datetime | None

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"a claim must end after it starts: {self.start} .. {self.end}")
        if self.live_until is not None and self.live_until <= self.live_from:
            raise ValueError(f"a claim must be live at some instant: {self.live_from}")


@dataclass(frozen=True, slots=True)
class Standing:
    """How an entry stands at an instant.

    ``position`` counts from 1 among those in line that want the same unit on a same day; None for
    those out of the line. The offer is the open one, the one let lapse, or the one it left with.
    """

    state: QueueState
    position: int | None
    offered_at: datetime | None
    offer_expires_at: datetime | None


class Reserved(NamedTuple):
    """Space under an open offer; nothing says whose."""

    unit_id: UUID
    quantity: Decimal
    start: date
    end: date | None
    offer_expires_at: datetime


def replay(
    entries: Iterable[Entry],
    taken: Iterable[Taken],
    capacity: Mapping[UUID, Decimal],
    *,
    now: datetime,
) -> Mapping[UUID, Standing]:
    """How each entry that has joined by ``now`` stands at ``now``, by its id.

    The log must be whole: every entry, past ones too, that ever wanted one of the units, the
    entries that share another unit with those, and so on; and the claims on all these units, but
    those believed only before the first entry joined. What is in it from after ``now`` is unseen.

    Raises:
        KeyError: a wanted unit has no capacity.
        ValueError: an id occurs twice.
    """
    line = _Line(entries, taken, capacity, now)
    line.run()
    return line.standings()


def reserved_for_others(
    standings: Mapping[UUID, Standing],
    entries: Iterable[Entry],
    capacity: Mapping[UUID, Decimal],
    *,
    company_id: UUID | None,
    unit_ids: Collection[UUID],
) -> list[Reserved]:
    """What is offered of some units to companies other than ``company_id`` (None: to anyone)."""
    return [
        Reserved(one.unit_id, _quantity(one, capacity), entry.start, entry.end, expires_at)
        for entry, expires_at in _open_offers(standings, entries)
        if entry.company_id != company_id
        for one in entry.wanted
        if one.unit_id in unit_ids
    ]


def open_offer_of(
    standings: Mapping[UUID, Standing],
    entries: Iterable[Entry],
    capacity: Mapping[UUID, Decimal],
    *,
    company_id: UUID,
    wanted: Sequence[Wanted],
    period: Period,
) -> Entry | None:
    """The company's first entry whose open offer covers an order.

    It covers an order of the same units, in at most the same quantities, on days within its own.
    """
    for entry, _ in _open_offers(standings, entries):
        offered = {one.unit_id: _quantity(one, capacity) for one in entry.wanted}
        if (
            entry.company_id == company_id
            and {one.unit_id for one in wanted} == set(offered)
            and all(_quantity(one, capacity) <= offered[one.unit_id] for one in wanted)
            and entry.start <= period.start
            and (entry.end is None or (period.end is not None and period.end <= entry.end))
        ):
            return entry
    return None


def _open_offers(
    standings: Mapping[UUID, Standing], entries: Iterable[Entry]
) -> list[tuple[Entry, datetime]]:
    """Entries with an open offer and when it expires, in the order of joining."""
    found = []
    for entry in sorted(entries, key=_order):
        standing = standings.get(entry.id)
        if standing is None or standing.state is not QueueState.OFFERED:
            continue
        if standing.offer_expires_at is not None:
            found.append((entry, standing.offer_expires_at))
    return found


def _order(entry: Entry) -> tuple[datetime, UUID]:
    return entry.joined_at, entry.id


def _quantity(wanted: Wanted, capacity: Mapping[UUID, Decimal]) -> Decimal:
    return capacity[wanted.unit_id] if wanted.quantity is None else wanted.quantity


@dataclass(slots=True)
class _Happenings:
    """What happens at one instant; entries by their place in the order of joining."""

    lapsing: list[int] = field(default_factory=list)
    joining: list[int] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)
    ending: list[Stretch] = field(default_factory=list)
    beginning: list[Stretch] = field(default_factory=list)


@dataclass(slots=True)
class _Place:
    """An entry during the replay; no state before it has joined."""

    entry: Entry
    needs: tuple[Stretch, ...]
    state: QueueState | None = None
    offered_at: datetime | None = None
    expires_at: datetime | None = None


class _Line:
    """The replay itself; its places are in the order of joining."""

    def __init__(
        self,
        entries: Iterable[Entry],
        taken: Iterable[Taken],
        capacity: Mapping[UUID, Decimal],
        now: datetime,
    ) -> None:
        self._now = now
        joined = sorted((one for one in entries if one.joined_at <= now), key=_order)
        if len({entry.id for entry in joined}) < len(joined):
            raise ValueError("an entry occurs twice")
        wanted_units = {one.unit_id for entry in joined for one in entry.wanted}
        seen = [one for one in taken if one.unit_id in wanted_units and one.live_from <= now]
        wishes = [
            [
                Span(one.unit_id, _quantity(one, capacity), entry.start, entry.end)
                for one in entry.wanted
            ]
            for entry in joined
        ]
        claims = [Span(one.unit_id, one.quantity, one.start, one.end) for one in seen]
        self._room = Room(capacity, [span for wish in wishes for span in wish] + claims)
        self._places = [
            _Place(entry, tuple(self._room.stretch(span) for span in wish))
            for entry, wish in zip(joined, wishes, strict=True)
        ]
        self._offered: set[int] = set()
        # Of each entry that waits, one piece is remembered on which it was found to lack space.
        # Until that much is free there, nothing else need be looked at.
        self._waits = np.zeros(len(joined), dtype=np.bool_)
        self._piece = np.zeros(len(joined), dtype=np.intp)
        self._needed = self._room.zeros(len(joined))
        self._found_lacking = np.zeros(len(joined), dtype=np.bool_)
        self._log: defaultdict[datetime, _Happenings] = defaultdict(_Happenings)
        for number, entry in enumerate(joined):
            self._log[entry.joined_at].joining.append(number)
            if entry.left_at is not None:
                self._log[entry.left_at].leaving.append(number)
        for one, span in zip(seen, claims, strict=True):
            stretch = self._room.stretch(span)
            self._log[one.live_from].beginning.append(stretch)
            if one.live_until is not None:
                self._log[one.live_until].ending.append(stretch)
        self._ahead = [instant for instant in self._log if instant <= now]
        heapify(self._ahead)

    def run(self) -> None:
        """Let everything happen up to and including ``now``."""
        while self._ahead:
            instant = heappop(self._ahead)
            # Taken out of the log, an instant that comes up twice is nothing the second time.
            self._happen(instant, self._log.pop(instant, _Happenings()))

    def standings(self) -> dict[UUID, Standing]:
        """How each entry stands now."""
        found: dict[UUID, Standing] = {}
        in_line: list[_Place] = []
        for place in self._places:
            position = None
            if place.state is None:  # pragma: no cover
                raise AssertionError("everyone seen has joined")
            if place.state in {QueueState.WAITING, QueueState.OFFERED}:
                position = 1 + sum(meet(before.needs, place.needs) for before in in_line)
                in_line.append(place)
            found[place.entry.id] = Standing(
                place.state, position, place.offered_at, place.expires_at
            )
        return found

    def _happen(self, instant: datetime, happenings: _Happenings) -> None:
        for number in happenings.lapsing:
            self._lapse(number, instant)
        self._room.give_back(happenings.ending)
        self._room.take(happenings.beginning)
        for number in happenings.joining:
            self._wait(number)
        for number in happenings.leaving:
            self._leave(number)
        if self._offered and any(map(self._room.is_overdrawn, happenings.beginning)):
            self._withdraw_what_no_longer_fits()
        self._offer_what_fits(instant)

    def _wait(self, number: int) -> None:
        place = self._places[number]
        place.state, place.offered_at, place.expires_at = QueueState.WAITING, None, None
        self._waits[number] = True
        self._found_lacking[number] = False

    def _lapse(self, number: int, instant: datetime) -> None:
        place = self._places[number]
        # It may have left, or its offer been withdrawn, since this was noted.
        if number in self._offered and place.expires_at == instant:
            self._end_offer(number)
            place.state = QueueState.PASSED

    def _leave(self, number: int) -> None:
        if number in self._offered:
            self._end_offer(number)
        self._waits[number] = False
        if self._places[number].state is not QueueState.PASSED:
            self._places[number].state = QueueState.LEFT

    def _end_offer(self, number: int) -> None:
        self._offered.remove(number)
        self._room.give_back(self._places[number].needs)

    def _withdraw_what_no_longer_fits(self) -> None:
        before = sorted(self._offered)
        for number in before:
            self._room.give_back(self._places[number].needs)
        for number in before:
            if self._room.shortage(self._places[number].needs) is None:
                self._room.take(self._places[number].needs)
            else:
                self._offered.remove(number)
                self._wait(number)

    def _offer_what_fits(self, instant: datetime) -> None:
        short = (self._room.free_at(self._piece) < self._needed).astype(np.bool_)
        hopeful = np.flatnonzero(self._waits & ~(short & self._found_lacking))
        self._found_lacking[hopeful] = True  # or else offered it, and no longer waiting
        full = -1
        for number in hopeful.tolist():
            # What one lacks, the next in line often lacks too.
            shortage = self._room.shortage(self._places[number].needs, full)
            if shortage is None:
                self._offer(number, instant)
            else:
                full = shortage.piece
                self._piece[number], self._needed[number] = shortage

    def _offer(self, number: int, instant: datetime) -> None:
        place = self._places[number]
        self._room.take(place.needs)
        self._offered.add(number)
        self._waits[number] = False
        place.state = QueueState.OFFERED
        place.offered_at = instant
        place.expires_at = instant + timedelta(hours=place.entry.offer_hours)
        if place.expires_at <= self._now:
            self._log[place.expires_at].lapsing.append(number)
            heappush(self._ahead, place.expires_at)
