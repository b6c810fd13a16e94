"""How every call of the OGC API is served: its session, its address, its answer."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials

from app.database.session import Session
from app.ogc.asked import Parameters
from app.ogc.collections import find_collection
from app.ogc.crs import CRSES, Crs, local_crs
from app.ogc.editing import BODY_TYPES, offered
from app.routers.dependencies import (
    SESSION_COOKIE,
    bearer_scheme,
    get_actor,
    get_caller,
    in_sandbox,
    is_public,
    open_session,
    wait_for_a_place,
)
from app.settings import Settings

_Result = TypeVar("_Result")

ROOT = "/ogc"
#: A host as browsers and tools write it; anything else is not repeated in an answer.
_HOST = re.compile(
    r"^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$"
)
#: Links may repeat the host that the caller named, so that no cache hands them to another.
_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Accept, Host"}
_place, _session = asynccontextmanager(wait_for_a_place), contextmanager(open_session)


def crses_of(settings: Settings) -> Mapping[str, Crs]:
    """The coordinate reference systems that this installation offers, by URI.

    Raises:
        ValueError: the one that it adds cannot be read.
    """
    if not settings.local_crs:
        return CRSES
    local = local_crs(settings.local_crs, settings.local_crs_name, settings.public_url or "")
    return {**CRSES, local.uri: local}


def base_of(request: Request) -> str:
    """The address that links begin with, ``https://host/ogc``; without a host if none is known.

    GIS tools do not all follow links without a host. Where ``SPACE_RELAY_PUBLIC_URL`` is unset the
    host is the one that the caller has named, for that caller alone.
    """
    public_url: str | None = request.app.state.settings.public_url
    if public_url is not None:
        return f"{public_url}{ROOT}"
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}{ROOT}" if _HOST.match(host) else ROOT


def parameters_of(request: Request) -> Parameters:
    """The query parameters as they came, in order."""
    return request.query_params.multi_items()


def now_of(request: Request) -> datetime:
    """The present instant."""
    now: datetime = request.app.state.clock.now()
    return now


def crses(request: Request) -> Mapping[str, Crs]:
    """The systems that are offered here."""
    known: Mapping[str, Crs] = request.app.state.crses
    return known


async def in_session(request: Request, work: Callable[[Session], _Result]) -> _Result:
    """Do ``work`` with a session, as all reads of published space: the same for every caller.

    Everything happens on one thread: each change of threads costs as much as a page's own work
    here. A credential that is shown must be good, though no more is shown for it.
    """
    bearer = await bearer_scheme(request)
    async with _place(request):
        return await run_sync(_in_session, request, work, bearer)


async def as_public(request: Request, work: Callable[[Session], _Result]) -> _Result:
    """Do ``work`` with a session of the public's, whoever calls: what all may be shown alike.

    The sandbox has no public: of it, it is one that no caller was let in to.
    """
    state = request.app.state
    sandbox = state.sandbox if in_sandbox(request) else None
    places = state.public_places if sandbox is None else state.sandbox_places
    sessions = state.public_sessions if sandbox is None else sandbox.sessions

    def work_in_one() -> _Result:
        with sessions() as session:
            return work(session)

    async with places:
        return await run_sync(work_in_one)


def _in_session(
    request: Request,
    work: Callable[[Session], _Result],
    bearer: HTTPAuthorizationCredentials | None,
) -> _Result:
    with _session(request, None) as session:
        if not is_public(request):
            cookie = request.cookies.get(SESSION_COOKIE)
            get_actor(get_caller(request, session, request.app.state.clock, bearer, cookie))
        return work(session)


def answer(
    document: Mapping[str, Any] | bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A document as JSON."""
    body = document if isinstance(document, bytes) else _json(document)
    return Response(body, media_type=media_type, headers={**_HEADERS, **(headers or {})})


def with_parameters(href: str, parameters: Parameters) -> str:
    """An address with query parameters."""
    return f"{href}?{urlencode(parameters)}" if parameters else href


def json_text(value: Any) -> str:
    """JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json(document: Mapping[str, Any]) -> bytes:
    return json_text(document).encode()


def other_methods(routers: Iterable[APIRouter]) -> APIRouter:
    """Answers HEAD as GET, and OPTIONS with the methods there are, at every address of routers."""
    others = APIRouter(include_in_schema=False)
    allowed: dict[str, set[str]] = {}
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                continue
            methods = route.methods or set()
            allowed.setdefault(route.path, {"OPTIONS"}).update(methods)
            if "GET" in methods:
                allowed[route.path].add("HEAD")
                others.add_api_route(
                    route.path, route.endpoint, methods=["HEAD"], dependencies=route.dependencies
                )
    for path, methods in allowed.items():
        others.add_api_route(path, _options(path, methods), methods=["OPTIONS"])
    return others


def _options(path: str, methods: set[str]) -> Callable[[Request], Awaitable[Response]]:
    """What answers OPTIONS; of features it depends on the collection which may be written."""
    place = next((at for at, end in enumerate(_OF_FEATURES) if path.endswith(end)), None)

    async def answer_options(request: Request) -> Response:
        taken = methods
        if place is not None:
            written = offered(find_collection(request.path_params["collection_id"]))[place]
            taken = methods - _WRITES | written
        bodies = {name: types for method, (name, types) in _BODIES.items() if method in taken}
        return Response(headers={"Allow": ", ".join(sorted(taken))} | bodies)

    return answer_options


#: How the addresses of features end: of all of a collection, and of one.
_OF_FEATURES = ("/{collection_id}/items", "/{collection_id}/items/{feature_id}")
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: What bodies are written in, by the method and the header that says so (Part 4 of the standard).
_BODIES = {
    "POST": ("Accept-Post", ", ".join(BODY_TYPES["POST"])),
    "PATCH": ("Accept-Patch", ", ".join(BODY_TYPES["PATCH"])),
}
