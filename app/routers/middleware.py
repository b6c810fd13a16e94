"""What every call passes through: size limit, request id, log line, metrics, safe headers."""

import re
import time
from urllib.parse import quote
from uuid import uuid4

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kernel.errors import SpaceRelayError
from app.routers.attempts import Attempts
from app.routers.dependencies import CALLER, shown_credential
from app.routers.problems import BodyTooLargeError, MalformedJsonError, on_bug, problem_response

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

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PLAIN = "/:@!$&'()*+,;=~"
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_DOCS = ("/docs", "/redoc", "/static-offline-docs")
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
#: Answers are data: a browser that opens one runs nothing from it.
_SHOWN = frozenset({200, 204, 304})
_EXPOSED = (
    b"Content-Crs, ETag, Link, RateLimit, RateLimit-Policy, Tile-Layers, Tile-Truncated,"
    b" X-Request-Id"
)
_ANY_ORIGIN = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED),
)
_KEEP_NOTHING = (b"cache-control", b"no-store")
_DATA_ONLY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Observe:
    """Gives each call an id, logs it in one line, counts it, and adds safe headers."""

    def __init__(self, app: ASGIApp, hsts_seconds: int = 0) -> None:
        """Wraps ``app``. ``hsts_seconds``: how long browsers are to insist on TLS; 0: untold."""
        self._app = app
        self._hsts = (b"strict-transport-security", f"max-age={hsts_seconds}".encode())
        self._tells_hsts = hsts_seconds > 0
        self._attempts = Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        by_caller = _REQUEST_ID.fullmatch(given) is not None
        request_id = given if by_caller else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status, is_answered = 500, False
        started = time.perf_counter()

        async def send_on(message: Message) -> None:
            nonlocal status, is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                status = int(message["status"])
                headers = message["headers"]
                headers.append((b"x-request-id", request_id.encode()))
                headers.extend(_SAFE_HEADERS)
                if _is_private(scope):
                    kept = [one for one in headers if one[0] != b"cache-control"]
                    headers[:] = [*kept, _KEEP_NOTHING]
                if not scope["path"].startswith(_DOCS):
                    headers.append(_DATA_ONLY)
                if self._tells_hsts and scope["scheme"] == "https":
                    headers.append(self._hsts)
                if status in _SHOWN and _is_public_read(scope):
                    headers.extend(_ANY_ORIGIN)
            await send(message)

        told = {"request_id": request_id, "request_id_by": "caller" if by_caller else "service"}
        with structlog.contextvars.bound_contextvars(**told):
            try:
                await self._app(scope, receive, send_on)
            except Exception as error:
                if is_answered:
                    raise
                # Answered here, so that this answer too has its id and its safe headers.
                await on_bug(Request(scope), error)(scope, receive, send_on)
            finally:
                _note(scope, status, time.perf_counter() - started)
                self._attempts.note(scope, status)


def _is_private(scope: Scope) -> bool:
    """Whether an answer is for one caller's eyes: no browser and no proxy is to keep it."""
    return scope["path"].startswith("/api/v1/") and shown_credential(Request(scope)) is not None


def _is_public_read(scope: Scope) -> bool:
    """Whether nobody's credential stands behind an answer: maps on any page may show it."""
    return (
        scope["method"] in {"GET", "HEAD"}
        and scope["path"].startswith(("/api/v1/", "/ogc"))
        and shown_credential(Request(scope)) is None
    )


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
            # Of a path with line breaks in it one line is made all the same.
            path=quote(scope["path"], safe=_PLAIN),
            status=status,
            caller=scope["state"].get(CALLER, "public"),
            milliseconds=round(seconds * 1000, 1),
        )


class LimitBody:
    """Refuses bodies over a size, also when they come in pieces without a length, and deep ones.

    What reads JSON goes one call deeper for each level, and there is an end to that.
    """

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
            await problem_response(Request(scope), self._too_large())(scope, receive, send)
            return
        seen = bytearray()
        answered = False
        refusal: SpaceRelayError | None = None

        async def receive_checked() -> Message:
            nonlocal refusal
            message = await receive()
            seen.extend(message.get("body", b""))
            refusal = self._refusal(seen, whole=not message.get("more_body", False))
            if refusal is not None:
                raise _RefusedError
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal answered
            # The application may have an answer of its own to a body it could not read.
            if answered or refusal is None:
                answered = True
                await send(message)

        try:
            await self._app(scope, receive_checked, send_unless_refused)
        except _RefusedError:
            if answered:
                raise
        if refusal is not None and not answered:
            await problem_response(Request(scope), refusal)(scope, receive, send)

    def _refusal(self, seen: bytearray, *, whole: bool) -> SpaceRelayError | None:
        if len(seen) > self._max_bytes:
            return self._too_large()
        if whole and is_too_deep(seen):
            return MalformedJsonError(
                f"the body nests more than {LEVELS_MAX} levels deep",
                detail_zh=f"请求正文嵌套超过 {LEVELS_MAX} 层",
            )
        return None

    def _too_large(self) -> SpaceRelayError:
        return BodyTooLargeError(f"send at most {self._max_bytes} bytes")


class _RefusedError(Exception):
    """The body grew over a limit while it was read."""


#: Levels of lists and objects in one another that a body may have; ours have at most a dozen.
LEVELS_MAX = 64
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


def is_too_deep(body: bytes | bytearray) -> bool:
    """Whether lists and objects lie in one another more than ``LEVELS_MAX`` levels deep."""
    if body.count(b"[") + body.count(b"{") <= LEVELS_MAX:
        return False
    level = 0
    for token in _TOKEN.finditer(body):
        first = token[0][0]
        if first in b"[{":
            level += 1
            if level > LEVELS_MAX:
                return True
        elif first in b"]}":
            level -= 1
    return False
