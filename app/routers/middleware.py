"""What every call passes through: size limit, request id, log line, metrics, safe headers."""

import re
import time
from typing import Any
from uuid import uuid4

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.routers.problems import BodyTooLargeError, problem_response

logger = structlog.get_logger("access")

REQUESTS = Counter(
    "space_relay_http_requests_total", "HTTP requests", ["method", "route", "status"]
)
SECONDS = Histogram(
    "space_relay_http_request_seconds",
    "Time to answer, seconds",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_DOCS = ("/docs", "/redoc", "/static-offline-docs")
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
#: Answers are data: a browser that opens one runs nothing from it.
_DATA_ONLY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Observe:
    """Gives each call an id, logs it in one line, counts it, and adds safe headers."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.match(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        started = time.perf_counter()

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = message["headers"]
                headers.append((b"x-request-id", request_id.encode()))
                headers.extend(_SAFE_HEADERS)
                if not scope["path"].startswith(_DOCS):
                    headers.append(_DATA_ONLY)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_on)
            finally:
                _note(scope, status, time.perf_counter() - started)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    # A caller may invent methods; each would be a series for ever.
    method = scope["method"] if scope["method"] in _METHODS else "other"
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(method, route).observe(seconds)
    if scope["path"] not in _QUIET:
        logger.info(
            "call",
            method=scope["method"],
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )


class LimitBody:
    """Refuses bodies over a size, also when they come in pieces without a length."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        """Wraps ``app``; ``max_bytes`` is the largest body it may see."""
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        seen = 0
        answered = False

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise _TooMuchError
            return message

        async def send_unless_over(message: Message) -> None:
            nonlocal answered
            # The application may have an answer of its own to a body it could not read.
            if answered or seen <= self._max_bytes:
                answered = True
                await send(message)

        try:
            await self._app(scope, receive_counted, send_unless_over)
        except _TooMuchError:
            if answered:
                raise
        if not answered:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error: Any = BodyTooLargeError(f"send at most {self._max_bytes} bytes")
        await problem_response(Request(scope), error)(scope, receive, send)


class _TooMuchError(Exception):
    """The body grew over the limit while it was read."""
