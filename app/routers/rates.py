"""How often one may call: classes of calls, each caller's share of them, and headers that say so.

Windows of a minute are counted in this process, so that no call waits for a store: what
``SPACE_RELAY_RATE_LIMITS`` allows is divided by the processes that share the work. Decision 0022
says what was measured.
"""

import hashlib
import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kernel.errors import Kind, SpaceRelayError
from app.kernel.terms import Term
from app.routers.dependencies import PROVEN, shown_credential
from app.routers.problems import problem_response
from app.settings import RateName

WINDOW_S = 60
#: Callers that are counted at a time, in each class; beyond it the oldest window is forgotten.
_CALLERS_MAX = 100_000
#: Credentials whose owner is known without asking the database.
_CREDENTIALS_MAX = 20_000


class Rate(Term):
    """A class of calls that are counted together; the key is the policy's name in the headers."""

    SIGN_IN = ("sign-in", "登录、申请与令牌", "signing in, applying, tokens: by address")
    EXPENSIVE = ("expensive", "匹配、复算、历史查询、检索", "matches, replays, `as_of`, searches")
    WRITE = ("write", "写入", "whatever else changes something")
    TILES = ("tiles", "地图瓦片", "tiles of maps, whoever asks")
    PUBLIC_READ = ("public-read", "公开读取", "reads without a credential: by address")
    READ = ("read", "读取", "reads with a credential")


class QuotaExceededError(SpaceRelayError):
    """The caller called too often; the same call goes through a little later."""

    slug, title, kind = "quota-exceeded", "Too many calls", Kind.TOO_MANY
    title_zh = "请求过于频繁"


class _Row(NamedTuple):
    """Calls of a class: a method, a path that it is found in, words of the query."""

    rate: Rate
    methods: frozenset[str]
    path: re.Pattern[str]
    query: re.Pattern[str] = re.compile("")


_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_POST = frozenset({"POST"})
#: Probes and what watches us; a balancer that is refused would take us out of service.
_UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
#: The first row that fits is the call's; else it is a write or a read.
_TABLE = (
    _Row(
        Rate.SIGN_IN,
        _POST,
        re.compile(r"^(/oauth/token|/api/v1/(session|applications|[a-z]+/accept(-invitation)?))$"),
    ),
    _Row(Rate.SIGN_IN, _READS, re.compile(r"^/api/v1/session/oidc/")),
    _Row(
        Rate.EXPENSIVE, _POST, re.compile(r"/(matches|search|check|match-receipts/[^/]+/replay)$")
    ),
    _Row(Rate.EXPENSIVE, _READS, re.compile(r"^/api/v1/kpis$|/matching-requests$")),
    _Row(Rate.EXPENSIVE, _READS, re.compile(""), re.compile(r"(^|&)as_of=")),
    # A screen of a map is thirty of them; of one place they are made once, and kept.
    _Row(Rate.TILES, _READS, re.compile(r"^/ogc/(xyz|(collections/[^/]+/)?tiles)(/[^/]+){4}$")),
)


def rate_of(method: str, path: str, query: str, *, public: bool) -> Rate | None:
    """The class of a call; None: it is not counted."""
    if path in _UNCOUNTED:
        return None
    for row in _TABLE:
        if method in row.methods and row.path.search(path) and row.query.search(query):
            return row.rate
    if method not in _READS:
        return Rate.WRITE
    return Rate.PUBLIC_READ if public else Rate.READ


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after a call: may it go on, calls left, seconds until all are back."""

    allowed: bool
    left: int
    reset_s: int


class Windows:
    """Counts each caller's calls in windows of a minute, which its first call begins."""

    def __init__(self, limit: int) -> None:
        """``limit`` calls a window."""
        self.limit = limit
        # In the order in which they began.
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        """How many callers are counted."""
        return len(self._windows)

    def count(self, caller: str, now: float) -> Standing:
        """Count a call at ``now``, in seconds. A refused call uses nothing up."""
        self._forget(now)
        began, used = self._windows.get(caller, (now, 0))
        allowed = used < self.limit
        if allowed:
            used += 1
            self._windows[caller] = (began, used)
        return Standing(allowed, self.limit - used, max(1, math.ceil(began + WINDOW_S - now)))

    def _forget(self, now: float) -> None:
        while self._windows:
            caller, (began, _) = next(iter(self._windows.items()))
            # A clock that was set back must not keep anybody out for longer than a window.
            over = not 0 <= now - began < WINDOW_S
            if not over and len(self._windows) < _CALLERS_MAX:
                return
            del self._windows[caller]


class Throttle:
    """Refuses callers that call too often, and tells every caller where it stands.

    A caller is the credential it showed, once that was found good; before, and without one, the
    address it calls from.
    """

    def __init__(self, app: ASGIApp, limits: Mapping[RateName, int], processes: int = 1) -> None:
        """Wraps ``app``. ``limits`` are calls a minute by class; a class left out has none."""
        self._app = app
        self._windows: dict[str, Windows] = {
            name: Windows(max(1, limit // processes)) for name, limit in limits.items()
        }
        self._owners: OrderedDict[bytes, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call. Runs on the event loop alone, so nothing is locked."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        shown = shown_credential(request)
        # As the routes will read it: a name that is spelt with %61 is the same name.
        query = unquote_plus(scope["query_string"].decode("latin-1"))
        rate = rate_of(scope["method"], scope["path"], query, public=shown is None)
        windows = None if rate is None else self._windows.get(rate)
        if rate is None or windows is None:
            await self._app(scope, receive, send)
            return
        digest = b"" if shown is None else hashlib.sha256(shown.encode()).digest()
        owner = None if rate is Rate.SIGN_IN else self._owners.get(digest)
        now: float = scope["app"].state.clock.now().timestamp()
        standing = windows.count(owner or address_of(scope), now)
        headers = [
            (b"ratelimit-policy", f'"{rate}";q={windows.limit};w={WINDOW_S}'.encode()),
            (b"ratelimit", f'"{rate}";r={standing.left};t={standing.reset_s}'.encode()),
        ]

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].extend(headers)
                self._learn(digest, scope)
            await send(message)

        if standing.allowed:
            await self._app(scope, receive, send_on)
        else:
            await _refusal(request, rate, windows, standing)(scope, receive, send_on)

    def _learn(self, digest: bytes, scope: Scope) -> None:
        owner = scope.get("state", {}).get(PROVEN)
        if owner is None or not digest:
            return
        self._owners[digest] = owner
        self._owners.move_to_end(digest)
        if len(self._owners) > _CREDENTIALS_MAX:
            self._owners.popitem(last=False)


def _refusal(request: Request, rate: Rate, windows: Windows, standing: Standing) -> ASGIApp:
    error = QuotaExceededError(
        f"at most {windows.limit} calls a minute of the class {rate}; go on in"
        f" {standing.reset_s} s",
        detail_zh=f"“{rate.zh}”类请求每分钟最多 {windows.limit} 次，请 {standing.reset_s} 秒后再试",
        retry_after_s=standing.reset_s,
        **{"violated-policies": [rate]},
    )
    return problem_response(request, error)


def address_of(scope: Scope) -> str:
    """The caller's address; of IPv6 the network, for a caller has all of it."""
    host = scope["client"][0] if scope.get("client") else "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((address, 64), strict=False))
    return str(address)
