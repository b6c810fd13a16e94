"""Tiles that were made are kept while what they show stays the same.

All of it happens on the one thread of the event loop, so that nothing needs a lock, and whoever
waits for what another is making holds neither a thread nor a connection.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from app.ogc.tiles.encode import Encoded
from app.ogc.tiles.totals import KeptTotals
from app.ogc.version import Versions

#: How long the version is believed before the database is asked again: what another process has
#: committed shows after this at the latest. What this one has committed shows at once.
FRESH_S = 0.1
#: Memory that the tiles of one database may take.
MOST_BYTES = 64 << 20
#: What an entry costs besides its bytes.
_ENTRY_BYTES = 1_000

Make = Callable[[], Awaitable[Encoded]]
Look = Callable[[], Awaitable[str]]


class KeptTiles:
    """The tiles of one database, the least lately asked for dropped first.

    Equal questions that come while the first is being answered wait for its answer.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, versions: Versions | None = None) -> None:
        self.versions = versions or Versions()
        #: What the tiles of places far away are cut from.
        self.totals = KeptTotals(self.versions)
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, Encoded] = OrderedDict()
        self._bytes = 0
        self._making: dict[Hashable, asyncio.Task[Encoded]] = {}
        self._version = ""
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    @property
    def bytes(self) -> int:
        """How much memory the tiles take."""
        return self._bytes

    async def tile(self, question: Hashable, look: Look, make: Make) -> Encoded:
        """The answer to a question: as it was kept, or as ``make`` makes it now.

        ``look`` asks the database for its version.
        """
        key = (await self.current(look), question)
        found = self._found(key)
        if found is not None:
            return found
        making = self._making.get(key)
        if making is None:
            making = asyncio.create_task(self._make(key, make))
            self._making[key] = making
        # A caller who leaves does not take the others' answer along.
        return await asyncio.shield(making)

    def at_hand(self, question: Hashable) -> Encoded | None:
        """The answer to a question, if it is kept and the version need not be asked for."""
        return None if self._looked_at < self._since() else self._found((self._version, question))

    def _found(self, key: tuple[str, Hashable]) -> Encoded | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    async def _make(self, key: tuple[str, Hashable], make: Make) -> Encoded:
        try:
            made = await make()
        finally:
            del self._making[key]
        if key[0] == self._version:
            self._keep(key, made)
        return made

    def _keep(self, key: Hashable, made: Encoded) -> None:
        self._kept[key] = made
        self._bytes += _cost(made)
        while self._bytes > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= _cost(dropped)

    async def current(self, look: Look) -> str:
        """The version as it was not long before this call, or since."""
        since = self._since()
        while self._looked_at < since:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look(look))
            await asyncio.shield(self._looking)
        return self._version

    def _since(self) -> float:
        """When the version must have been looked at, or later."""
        return max(time.monotonic() - FRESH_S, self.versions.committed_at)

    async def _look(self, look: Look) -> None:
        began = time.monotonic()
        try:
            version = await look()
        finally:
            self._looking = None
        if version != self._version:
            self._kept.clear()
            self._bytes = 0
            self._version = version
        self._looked_at = began


def _cost(tile: Encoded) -> int:
    return len(tile.gzipped) + _ENTRY_BYTES
