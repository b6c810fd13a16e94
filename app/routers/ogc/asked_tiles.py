"""Tiles that are at hand are answered before the router looks for who answers.

To find the route, its dependencies and what is asked takes several times as long as all the rest
of an answer that is kept. What an address asked for last time it asks for again on the same day.
"""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import date
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kernel.clock import civil_day
from app.ogc.tiles.kept import KeptTiles
from app.routers.dependencies import is_public
from app.routers.ogc.tiles import answer_tile

#: Addresses that are remembered; a tile that is kept takes at least as much memory.
_MOST = 20_000
#: The longest that are: what anybody may write into a query is no use of memory.
_LONGEST = 2_000

_Address = tuple[str, bytes]


class _Asked(NamedTuple):
    """What an address asked for on a day, and the route that found it out."""

    question: Hashable
    day: date
    route: Any


class AskedTiles:
    """What addresses asked for that were answered without a credential."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._asked: OrderedDict[_Address, _Asked] = OrderedDict()

    def remember(self, scope: Scope, question: Hashable, day: date) -> None:
        """Keep what the call asked for, by ``KeptTiles``' names, on a civil day."""
        path, query = address = _address(scope)
        if scope["method"] != "GET" or len(path) + len(query) > _LONGEST:
            return
        self._asked[address] = _Asked(question, day, scope.get("route"))
        self._asked.move_to_end(address)
        if len(self._asked) > self._most:
            self._asked.popitem(last=False)

    def find(self, scope: Scope, day: date) -> _Asked | None:
        """What the call asks for, if it asked that before on the same day."""
        found = self._asked.get(_address(scope))
        return found if found is not None and found.day == day else None


def _address(scope: Scope) -> _Address:
    return scope["path"], scope["query_string"]


class AtHand:
    """Answers tiles that are at hand; what is not, the router is asked for."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps ``app``, whose state has ``tiles`` and ``asked_tiles``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        answered = self._app
        if scope["type"] == "http" and scope["method"] == "GET":
            state = scope["app"].state
            asked: AskedTiles = state.asked_tiles
            tiles: KeptTiles = state.tiles
            found = asked.find(scope, civil_day(state.clock.now()))
            request = Request(scope)
            if found is not None and is_public(request):
                encoded = tiles.at_hand(found.question)
                if encoded is not None:
                    # As the router would: measurements are by route.
                    scope["route"] = found.route
                    answered = answer_tile(request, encoded)
        await answered(scope, receive, send)
