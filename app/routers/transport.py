"""How calls come: over TLS where the service is behind it, and to monitoring from inside only.

A program that was once redirected from plain HTTP would send its key in the open for ever, and
nobody would notice. So what is for programs is refused there, and only
pages for people are led over.
"""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kernel.errors import Kind, NotFoundError, SpaceRelayError
from app.routers.dependencies import shown_credential
from app.routers.problems import problem_response
from app.settings import Settings

logger = structlog.get_logger("security")

#: What balancers, Prometheus and container engines ask, from inside.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
#: Pages that people open in a browser; all else is for programs.
_PAGES = ("/docs", "/redoc", "/static-offline-docs")
_PERMANENTLY = 308
#: Whoever sends one of these to us stands between us and the one who asked.
_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded")


class TlsNeededError(SpaceRelayError):
    """The call came over plain HTTP, and the service is meant to be asked over TLS only."""

    slug, title, kind = "tls-needed", "This service answers over https only", Kind.FORBIDDEN
    title_zh = "本服务仅通过 https 提供"


_PLAIN = TlsNeededError(
    "ask over https; a key or password that was sent over plain http is known by now and has to be"
    " replaced",
    detail_zh="请改用 https 访问；已通过 http 明文发送的密钥或密码应视为泄露，须立即更换",
)
#: What an operator reads whose proxy is not set up yet, with TLS or without.
_PROXY_UNKNOWN = TlsNeededError(
    "a proxy says that this came over https and is not believed: name its address in"
    " SPACE_RELAY_TRUSTED_PROXIES, or set SPACE_RELAY_REQUIRE_TLS=false",
    detail_zh="代理声称请求经 https 到达，但该代理未受信任：请在 SPACE_RELAY_TRUSTED_PROXIES"
    " 中填写其地址，或设置 SPACE_RELAY_REQUIRE_TLS=false",
)


def insists_on_tls(settings: Settings) -> bool:
    """Whether calls over plain HTTP are refused."""
    if settings.require_tls is not None:
        return settings.require_tls
    return (settings.public_url or "").startswith("https://")


class InsistOnTls:
    """Refuses calls over plain HTTP, but probes; leads people's pages over to https."""

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        """Wraps ``app``. ``public_url``: where pages are led to; None: they are refused too."""
        self._app = app
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call. Its scheme is what a trusted proxy says, or else the connection's."""
        if scope["type"] != "http" or scope["scheme"] == "https" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if self._public_url and request.method in {"GET", "HEAD"} and _is_page(scope["path"]):
            target = self._public_url + quote(scope["path"])
            await RedirectResponse(target, _PERMANENTLY)(scope, receive, send)
            return
        is_known = shown_credential(request) is not None
        logger.warning("plain http", path=quote(scope["path"]), with_credential=is_known)
        # A proxy that is believed would have made the scheme what it says.
        is_proxy_unknown = request.headers.get("x-forwarded-proto") == "https"
        refusal = _PROXY_UNKNOWN if is_proxy_unknown else _PLAIN
        await problem_response(request, refusal)(scope, receive, send)


def _is_page(path: str) -> bool:
    return path == "/" or any(path == page or path.startswith(f"{page}/") for page in _PAGES)


def require_monitor(request: Request, settings: Settings) -> None:
    """Let those who watch the service through: with the token, or from this machine without one.

    Raises:
        NotFoundError: for everybody else there is nothing to see.
    """
    token = settings.metrics_token
    if token is None:
        allowed = _is_from_here(request.client.host if request.client else "", request.headers)
    else:
        wanted = f"Bearer {token.get_secret_value()}".encode()
        shown = request.headers.get("authorization", "").encode("latin-1")
        allowed = hmac.compare_digest(wanted, shown)
    if not allowed:
        raise NotFoundError


def _is_from_here(host: str, headers: Mapping[str, str]) -> bool:
    """Whether a program of this machine asks for itself, and not for somebody else."""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        return False
    return is_loopback and not any(name in headers for name in _FORWARDED)
