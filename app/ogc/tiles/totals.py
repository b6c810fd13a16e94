"""What places far away are told with: totals of their units, summed once for all tiles.

To tell what is free each unit's claims are read, so that a city takes longer than any one statement
may. Buildings are summed some at a time, each time in a statement far shorter than the public's
limit, and a park is the sum of its buildings. All tiles of a question are cut from these sums; when
something changes in a building, it alone is summed again. Everything but the statements happens on
the one thread of the event loop, as in ``kept``.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

from psycopg.errors import QueryCanceled
from sqlalchemy import Float, Select, Uuid, any_, cast, literal, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.kernel.errors import BusyError
from app.models.space import Building
from app.ogc.asked import Selection
from app.ogc.tiles.layers import Layer
from app.ogc.version import Versions

_Result = TypeVar("_Result")

#: The totals of one place in the order of its layer's; empty where nothing of the question is.
Sums = tuple[float | None, ...]
PlaceKind = Literal["parks", "buildings"]

#: How long a tile waits for sums. Proxies give up after 30 s or later; what was summed stays.
WAIT_S = 25.0
#: How long sums are gone on with after the last tile that asked for them.
_WANTED_S = 60.0
#: What one statement is to take: an eighth of what the public's may.
_AIM_S = 0.25
#: Buildings of the first statement, and at most of any.
_FIRST_BATCH, _LARGEST_BATCH = 64, 4_096
#: Parks whose buildings are asked for at once.
_FEW_PARKS = 16
#: Buildings with sums that are kept, of all questions: about half a kilobyte each.
MOST_BUILDINGS = 200_000
#: Questions that are summed at a time. A question of anybody's own has one turn in so many.
_MOST_SUMMED = 32


class Ask(Protocol):
    """Does work with a session that shows what the public may see, and no more."""

    def __call__(self, work: Callable[[Session], _Result], /) -> Awaitable[_Result]:
        """Wait for a place and a thread, and do it."""


Look = Callable[[], Awaitable[str]]


@dataclass(eq=False, slots=True)
class _Summed:
    """What is known of one question, of the state ``version``."""

    layer: Layer
    selection: Selection
    version: str
    buildings: dict[UUID, Sums] = field(default_factory=dict)
    parks: dict[UUID, Sums] = field(default_factory=dict)
    park_of: dict[UUID, UUID] = field(default_factory=dict)
    wanted: dict[PlaceKind, set[UUID]] = field(
        default_factory=lambda: {"parks": set(), "buildings": set()}
    )
    wanted_at: float = 0.0
    batch: int = _FIRST_BATCH
    work: asyncio.Task[None] | None = None
    #: Done when some more is summed, and then another.
    step: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def of(self, kind: PlaceKind) -> dict[UUID, Sums]:
        """The sums of the places of a kind."""
        return self.parks if kind == "parks" else self.buildings

    def follow(self, versions: Versions) -> None:
        """Forget what is no longer so."""
        self.version, changed = versions.changed_since(self.version)
        if changed is None:
            self.buildings.clear()
            self.parks.clear()
            self.park_of.clear()
            return
        for place in changed:
            self.buildings.pop(place, None)
            # The park it is in now is among what changed; the one it was in before may not be.
            self.parks.pop(self.park_of.get(place, place), None)
            self.parks.pop(place, None)

    def strike_known(self) -> bool:
        """Want no more what is known; whether anything is left."""
        for kind, places in self.wanted.items():
            places.difference_update(self.of(kind))
        return any(self.wanted.values())

    def learn(self, sums: Mapping[UUID, Sums], inside: Mapping[UUID, Sequence[UUID]]) -> None:
        """Keep what was summed, and sum the parks of which that was the last building."""
        self.buildings.update(sums)
        for park, ones in inside.items():
            self.park_of.update(dict.fromkeys(ones, park))
            if all(one in self.buildings for one in ones):
                self.parks[park] = _together(self.buildings[one] for one in ones)


class KeptTotals:
    """The totals of one database's places, the least lately asked for questions dropped first."""

    def __init__(self, versions: Versions, most_buildings: int = MOST_BUILDINGS) -> None:
        self._versions = versions
        self._most_buildings = most_buildings
        self._kept: OrderedDict[Hashable, _Summed] = OrderedDict()
        # One statement at a time, each question in turn: most of the connections stay others'.
        self._turn = asyncio.Semaphore(1)

    async def close(self) -> None:
        """Sum no further; returns when no statement of it runs any more."""
        works = [one.work for one in self._kept.values() if one.work is not None]
        for work in works:
            work.cancel()
        if works:
            await asyncio.wait(works)

    @property
    def buildings(self) -> int:
        """How many buildings have sums, of all questions."""
        return sum(len(one.buildings) for one in self._kept.values())

    async def of(
        self, layer: Layer, selection: Selection, places: Sequence[UUID], look: Look, ask: Ask
    ) -> Mapping[UUID, Sums]:
        """The totals of those places that have any, as ``layer`` tells of ``selection``.

        Args:
            layer: one with a ``place``.
            selection: the features that are summed.
            places: parks or buildings, as the layer has them.
            look: asks the database for its version.
            ask: does work with a session of the public.

        Raises:
            BusyError: they are not summed yet; that goes on.
            DBAPIError: the database failed, or one building alone takes too long.
        """
        kind = layer.place or "parks"
        until = time.monotonic() + WAIT_S
        version = await look()
        summed = self._summed(layer, selection, version)
        while True:
            summed.follow(self._versions)
            known = summed.of(kind)
            missing = [place for place in places if place not in known]
            if not missing:
                return {place: known[place] for place in places if known[place]}
            summed.wanted[kind].update(missing)
            summed.wanted_at = time.monotonic()
            if summed.work is None:
                self._begin(summed, look, ask)
            await self._wait(summed, until)

    def _summed(self, layer: Layer, selection: Selection, version: str) -> _Summed:
        key = (layer.collection.id, selection.asked)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = _Summed(layer, selection, version)
        self._kept.move_to_end(key)
        return found

    def _begin(self, summed: _Summed, look: Look, ask: Ask) -> None:
        if sum(one.work is not None for one in self._kept.values()) >= _MOST_SUMMED:
            raise _not_yet()
        summed.work = asyncio.create_task(self._sum(summed, look, ask))
        # Whoever waits is told what went wrong; if nobody does, it is nobody's.
        summed.work.add_done_callback(lambda done: done.cancelled() or done.exception())

    @staticmethod
    async def _wait(summed: _Summed, until: float) -> None:
        """Until some more is summed."""
        if summed.work is None:
            return
        work, left = summed.work, max(0.0, until - time.monotonic())
        done, _ = await asyncio.wait(
            {work, summed.step}, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            raise _not_yet()
        if work in done:
            work.result()

    async def _sum(self, summed: _Summed, look: Look, ask: Ask) -> None:
        """Sum what is wanted, some buildings at a time, as long as anybody has asked for it."""
        try:
            # Nothing is asked of the database once all that is wanted is known.
            while summed.strike_known() and time.monotonic() - summed.wanted_at < _WANTED_S:
                async with self._turn:
                    await self._sum_some(summed, look, ask)
                summed.step.set_result(None)
                summed.step = asyncio.get_running_loop().create_future()
                self._bound(summed)
        finally:
            for places in summed.wanted.values():
                places.clear()
            summed.work = None

    async def _sum_some(self, summed: _Summed, look: Look, ask: Ask) -> None:
        """Sum the next buildings that are wanted."""
        version = await look()
        summed.follow(self._versions)
        parks, buildings = list(summed.wanted["parks"]), list(summed.wanted["buildings"])
        inside: dict[UUID, list[UUID]] = {}
        if not buildings:
            # A few parks after the others: who looks at a part of the city waits for that alone.
            few = parks[:_FEW_PARKS]
            inside = await ask(lambda session: _buildings_of(session, few))
            buildings = [
                one for ones in inside.values() for one in ones if one not in summed.buildings
            ]
        some = buildings[: summed.batch]
        found = await self._sums_of(summed, some, ask)
        # Asked after the version was: what has not changed since is as it is now.
        _, changed = self._versions.changed_since(version)
        summed.follow(self._versions)
        if found is not None and changed is not None:
            sums = {one: found.get(one, ()) for one in some if one not in changed}
            still = {park: ones for park, ones in inside.items() if park not in changed}
            summed.learn(sums, still)

    @staticmethod
    async def _sums_of(
        summed: _Summed, buildings: Sequence[UUID], ask: Ask
    ) -> Mapping[UUID, Sums] | None:
        """The sums of those that have any; None where they were too many for one statement."""
        if not buildings:
            return {}
        began = time.perf_counter()
        try:
            found = await ask(
                lambda session: _sums(session, summed.layer, summed.selection, buildings)
            )
        except DBAPIError as error:
            if not isinstance(error.orig, QueryCanceled) or len(buildings) == 1:
                raise
            summed.batch = max(1, len(buildings) // 8)
            return None
        took = time.perf_counter() - began
        summed.batch = _next_batch(len(buildings), summed.batch, took)
        return found

    def _bound(self, summed: _Summed) -> None:
        over = self.buildings - self._most_buildings
        for key, one in list(self._kept.items()):
            if over <= 0 and len(self._kept) <= _MOST_SUMMED * 4:
                return
            if one is not summed and one.work is None:
                over -= len(one.buildings)
                del self._kept[key]


def _not_yet() -> BusyError:
    return BusyError(
        "the totals of this question are still being summed; ask again",
        detail_zh="正在汇总此查询的统计数，请稍后重试",
    )


def _next_batch(size: int, largest: int, seconds: float) -> int:
    """How many buildings to sum next, after ``size`` took so long; ``largest`` were allowed."""
    if seconds > _AIM_S:
        return max(1, int(size * max(0.25, _AIM_S / seconds)))
    # What was less than a whole batch tells nothing of larger ones.
    return min(_LARGEST_BATCH, largest * 2) if size == largest and seconds < _AIM_S / 2 else largest


def _together(sums: Iterable[Sums]) -> Sums:
    """The sums of a park from those of its buildings; null where none of them has a value."""
    rows = [one for one in sums if one]
    return tuple(
        fsum(values) if (values := [v for v in column if v is not None]) else None
        for column in zip(*rows, strict=True)
    )


def _buildings_of(session: Session, parks: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    inside: dict[UUID, list[UUID]] = {park: [] for park in parks}
    asked = select(Building.park_id, Building.id).where(Building.park_id.in_(parks))
    for park, one in session.execute(asked.order_by(Building.id)):
        inside[park].append(one)
    return inside


def _sums(
    session: Session, layer: Layer, selection: Selection, buildings: Sequence[UUID]
) -> dict[UUID, Sums]:
    rows = session.execute(sums_statement(layer, selection, buildings))
    return {row[0]: tuple(row[1:]) for row in rows}


def sums_statement(layer: Layer, selection: Selection, buildings: Sequence[UUID]) -> Select[Any]:
    """The totals of what is selected in each of these buildings that has any of it."""
    lies_in = literal_column("units.building_id", Uuid())
    totals = [cast(literal_column(total.sql), Float).label(total.name) for total in layer.totals]
    # Said to the statement and not to the selection: it is no condition of the collection's own.
    return (
        selection.select(lies_in.label("place_id"), *totals)
        .where(lies_in == any_(literal(list(buildings), ARRAY(Uuid()))))
        .group_by(lies_in)
    )
