"""Which methods an address takes: told whole, and kept apart from those of addresses like it."""

import re
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.routers.problems import on_http_error

#: Of a request's state: the methods that are taken, where that depends on more than the address.
ALLOWED = "allowed"


class Methods:
    """The methods of every address, by its template."""

    def __init__(self, routes: Iterable[object]) -> None:
        """Reads ``routes``; what is no plain route takes no part."""
        self._whole: dict[str, set[str]] = {}
        self._by_template: dict[re.Pattern[str], set[str]] = {}
        for route in routes:
            if not isinstance(route, Route):
                continue
            if route.param_convertors:
                taken = self._by_template.setdefault(route.path_regex, set())
            else:
                taken = self._whole.setdefault(route.path, set())
            taken |= route.methods or set()

    def refuses(self, path: str, method: str) -> bool:
        """Whether ``path`` has no parameter in it, and ``method`` is none of its own.

        It may still fit ``/staff/{account_id}``, which is not what ``/staff/sessions`` means.
        """
        return path in self._whole and method not in self._whole[path]

    def of(self, path: str) -> list[str]:
        """Every method that ``path`` takes, sorted."""
        if path in self._whole:
            return sorted(self._whole[path])
        fitting = [taken for one, taken in self._by_template.items() if one.match(path)]
        return sorted(set().union(*fitting))


class OwnMethods:
    """Refuses methods that an address does not have, and says which it has (RFC 9110, 15.5.6).

    The router alone names those of the first route that fits the path.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wraps ``app``, whose state knows its ``methods``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        methods: Methods = scope["app"].state.methods

        async def send_on(message: Message) -> None:
            if (
                message["type"] == "http.response.start"
                and message["status"] == HTTPStatus.METHOD_NOT_ALLOWED
                and (taken := scope.get("state", {}).get(ALLOWED) or methods.of(scope["path"]))
            ):
                MutableHeaders(scope=message)["Allow"] = ", ".join(taken)
            await send(message)

        if methods.refuses(scope["path"], scope["method"]):
            error = HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
            await on_http_error(Request(scope), error)(scope, receive, send_on)
        else:
            await self._app(scope, receive, send_on)
