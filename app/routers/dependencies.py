"""What routes are handed: a session, the caller, the clock, a page, and a way to write once."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from app.database import opaque
from app.database.paging import PageRequest
from app.database.session import Session, transaction_number
from app.kernel.clock import Clock
from app.kernel.errors import Fault, InvalidInputError
from app.matching.snapshots.source import SPACE_VERSION
from app.routers.audited import Call, note
from app.routers.entitled import require_entitled
from app.routers.versions import Precondition
from app.security import credentials
from app.security.actors import Actor, NotSignedInError, Scope
from app.security.idempotency import Answer, Attempt, rehearse, run_once
from app.security.oauth import tokens
from app.security.rows import bind, system
from app.security.sealing import Sealer
from app.security.staff import sessions
from app.security.staff.errors import CrossSiteError, SecondFactorNotSetUpError
from app.security.staff.sessions import SignedIn

JSON = "application/json"
GEOJSON = "application/geo+json"
#: Of an answer that says what would have been done.
DRY_RUN = "Dry-Run"
#: Of a write's answer: what a match takes as ``min_version``, to be made of what was written.
VERSION_HEADER = "X-Space-Version"

bearer_scheme = HTTPBearer(
    auto_error=False,
    description="a firm's API key (`sr_live_…`), an access token, or a staff token (`sr_staff_…`)",
)


#: The cookie of a person's session. Only over TLS, only for this host, for every path.
SESSION_COOKIE = "__Host-space_relay"
#: What pages of ours send along in a session's writes.
CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Of a request's state: who called, firm or staff, once the credential was found good.
PROVEN = "proven"
#: Of a request's state: the label of who called, for the log.
CALLER = "caller"
#: Callers who have no credential yet and need the whole database, at a time: no crowd of sign-ins
#: keeps a booking waiting.
GATE_PLACES = 4
#: And those who ask how far their application is.
STATUS_PLACES = 2

cookie_scheme = APIKeyCookie(
    name=SESSION_COOKIE,
    auto_error=False,
    description=(
        "the session of a person, begun at `POST /api/v1/session`; writes also need its"
        f" `csrf_token` in the header `{CSRF_HEADER}`"
    ),
)


def shown_credential(request: Request) -> str | None:
    """What the caller shows to say who it is, good or not; None: nothing, or an empty word."""
    return request.headers.get("authorization") or request.cookies.get(SESSION_COOKIE) or None


def is_public(request: Request) -> bool:
    """Whether the caller shows no credential."""
    return shown_credential(request) is None


def in_sandbox(request: Request) -> bool:
    """Whether the credential that is shown says that it is the sandbox's.

    It is looked up in the database where it says it belongs, and refused where it is not found.
    """
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and tokens.is_of_sandbox(shown.strip())


async def wait_for_a_place(request: Request) -> AsyncIterator[None]:
    """Wait until a connection of the caller's pool is free, holding no thread meanwhile."""
    state = request.app.state
    places = state.public_places if is_public(request) else state.places
    async with state.sandbox_places if in_sandbox(request) else places:
        yield


def open_session(
    request: Request, _place: Annotated[None, Depends(wait_for_a_place, scope="function")]
) -> Iterator[Session]:
    """A session for one request, of the live database or the sandbox's, after the credential.

    Nothing is committed here: the work commits itself.

    It shows no firm's rows until ``get_actor`` says whose.
    """
    state = request.app.state
    sessions = state.public_sessions if is_public(request) else state.sessions
    if in_sandbox(request):
        if state.sandbox is None:
            raise NotSignedInError("there is no sandbox here", detail_zh="本系统未开通沙盒")
        sessions = state.sandbox.sessions
    with sessions() as session:
        opaque.put_on(session, state.sealer)
        yield session


SessionDep = Annotated[Session, Depends(open_session, scope="function")]


async def wait_at_the_gate(request: Request) -> AsyncIterator[None]:
    """Wait for one of the few places at the gate, then for a connection."""
    state = request.app.state
    async with state.gate_places, state.places:
        yield


def open_gate_session(
    request: Request, _place: Annotated[None, Depends(wait_at_the_gate, scope="function")]
) -> Iterator[Session]:
    """A session that shows all rows, for a caller who is still to prove who it is."""
    with request.app.state.sessions() as session:
        opaque.put_on(session, request.app.state.sealer)
        system(session)
        yield session


#: For sign-in, applications, invitations and tokens: what answers those who have no credential.
GateSessionDep = Annotated[Session, Depends(open_gate_session, scope="function")]


async def wait_for_a_status(request: Request) -> AsyncIterator[None]:
    """Wait for one of the places of those who ask how far they are, then for a connection."""
    state = request.app.state
    async with state.status_places, state.places:
        yield


def open_status_session(
    request: Request, _place: Annotated[None, Depends(wait_for_a_status, scope="function")]
) -> Iterator[Session]:
    """A session that shows all rows, beside the gate: who asks again and again keeps nobody out."""
    with request.app.state.sessions() as session:
        opaque.put_on(session, request.app.state.sealer)
        system(session)
        yield session


#: For who asks, without a credential, what became of something.
StatusSessionDep = Annotated[Session, Depends(open_status_session, scope="function")]


def get_clock(request: Request) -> Clock:
    """The clock of this application."""
    clock: Clock = request.app.state.clock
    return clock


ClockDep = Annotated[Clock, Depends(get_clock)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the session where it is a person's browser."""

    actor: Actor
    signed_in: SignedIn | None = None


def shown_actor(request: Request, session: Session, text: str | None, now: datetime) -> Actor:
    """Who shows this key or access token; the public where none is shown."""
    if text is not None and tokens.looks_like_token(text):
        return tokens.actor_of(session, text, now, issuer=request.app.state.issuer)
    return credentials.authenticate(session, text, now)


def get_caller(
    request: Request,
    session: SessionDep,
    clock: ClockDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)],
    cookie: Annotated[str | None, Depends(cookie_scheme)],
) -> Caller:
    """Who is calling; a key or token counts before a session's cookie."""
    if bearer is None and request.headers.get("authorization"):
        raise NotSignedInError("only `Authorization: Bearer …` is understood")
    if not is_public(request):
        system(session)
    if bearer is None and cookie is not None:
        policy = request.app.state.gate.policy
        signed_in = sessions.authenticate(session, cookie, clock.now(), policy)
        if request.method not in _SAFE_METHODS:
            require_own_page(request, cookie)
        caller = Caller(signed_in.actor, signed_in)
    else:
        text = bearer.credentials if bearer else None
        caller = Caller(shown_actor(request, session, text, clock.now()))
    bind(session, caller.actor)
    setattr(request.state, CALLER, caller.actor.label)
    if not is_public(request):
        # The keys of a firm share its windows: more keys are no more calls.
        company_id = caller.actor.company_id
        owner = caller.actor.label if company_id is None else f"firm:{company_id}"
        setattr(request.state, PROVEN, owner)
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]


def require_same_origin(request: Request) -> None:
    """Refuse what a browser sends for a page of another site; programs send no ``Origin``.

    The host alone is compared: what is before us may have taken the TLS off.

    Raises:
        CrossSiteError: the page is of another site.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CrossSiteError("a page of another site sent this", detail_zh="请求来自其他站点的页面")


def require_own_page(request: Request, token: str) -> None:
    """Refuse a write in a session unless a page of ours sends it, which knows the session's word.

    Raises:
        CrossSiteError: the word is missing or wrong, or the page is of another site.
    """
    require_same_origin(request)
    if not sessions.is_csrf_token(token, request.headers.get(CSRF_HEADER)):
        raise CrossSiteError(
            f"send {CSRF_HEADER} as GET /api/v1/session tells it",
            detail_zh=f"请在 {CSRF_HEADER} 请求头中携带 GET /api/v1/session 返回的 csrf_token",
        )


def get_actor(caller: CallerDep) -> Actor:
    """Who is calling, with all that the call may need to have been shown."""
    if caller.signed_in is not None and caller.signed_in.factor_missing:
        raise SecondFactorNotSetUpError(
            "your role takes a second factor: set it up at POST /api/v1/session/second-factor,"
            " or sign in with it",
            detail_zh="您的角色要求第二验证因素，请先设置，或使用验证码重新登录",
        )
    return caller.actor


def get_entitled_actor(request: Request, actor: Annotated[Actor, Depends(get_actor)]) -> Actor:
    """Who is calling, if they may do such a thing at all; the body is looked at after this."""
    require_entitled(actor, request.scope["route"].name)
    return actor


ActorDep = Annotated[Actor, Depends(get_entitled_actor)]


IdPath = Annotated[UUID, Path(description="id, as the service gave it")]


class Filters(BaseModel):
    """Base of query parameters: an unknown name is refused, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Paging(Filters):
    """Base of the query parameters of a listing."""

    limit: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="rows a page: 100 (JSON) or 10000 (GeoJSON) unless told; at most 1000 or 10000",
    )
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )
    f: Annotated[str | None, Field(pattern="^(json|geojson)$", description="json or geojson")] = (
        None
    )

    def page(self, *, geojson: bool) -> PageRequest:
        """The page asked for, its size clamped to what the format allows."""
        # Most GIS tools read one page, so theirs holds all that may be sent at once.
        default, most = (10_000, 10_000) if geojson else (100, 1_000)
        return PageRequest(limit=min(self.limit or default, most), cursor=self.cursor)


UPDATED_SINCE = (
    "增量读取: `changes_cursor` of an earlier answer's first page; only what was written since,"
    " some of it perhaps twice, none of it left out"
)


class ChangesPaging(Paging):
    """Base of the query parameters of a listing that tells what was written since."""

    updated_since: str | None = Field(default=None, max_length=500, description=UPDATED_SINCE)

    def page(self, *, geojson: bool) -> PageRequest:
        """The page asked for."""
        return replace(super().page(geojson=geojson), updated_since=self.updated_since)


def wants_geojson(request: Request) -> bool:
    """Whether GeoJSON was asked for, by ``f=`` (which wins) or by ``Accept``."""
    asked = request.query_params.get("f")
    if asked:
        return asked == "geojson"
    return GEOJSON in request.headers.get("accept", "")


GeoJsonDep = Annotated[bool, Depends(wants_geojson)]


def next_href(request: Request, cursor: str | None) -> str | None:
    """The address of the next page, without a host: the Host header is the caller's word."""
    if cursor is None:
        return None
    further = request.url.include_query_params(cursor=cursor)
    return f"{further.path}?{further.query}"


async def sent_body(request: Request) -> bytes:
    """The body as it came, which FastAPI has read already."""
    return await request.body()


class Writer:
    """Does one write in one transaction, at most once per Idempotency-Key, and records it."""

    def __init__(
        self,
        session: Session,
        attempt: Attempt,
        call: Call,
        precondition: Precondition,
        *,
        dry_run: bool,
    ) -> None:
        """Made by ``get_writer``."""
        self.dry_run = dry_run
        self._session = session
        self._attempt = attempt
        self._call = call
        self._precondition = precondition

    def __call__(
        self,
        work: Callable[[], BaseModel],
        *,
        status: int = 201,
        location: Callable[[Any], str] | None = None,
    ) -> Response:
        """Run ``work`` and answer with the model it returns."""
        if self.dry_run:
            return self._rehearse(work)

        def answer() -> Answer:
            with self._precondition.met():
                made = work()
            note(self._session, self._call, made)
            headers = {"Location": location(made)} if location else {}
            etag = self._precondition.etag(made)
            if etag is not None:
                headers["ETag"] = etag
            number = transaction_number(self._session)
            if number is not None:
                headers[VERSION_HEADER] = opaque.hide(self._session, SPACE_VERSION, str(number))
            return Answer(status, made.model_dump_json().encode(), headers)

        done = run_once(self._session, self._attempt, answer)
        headers = dict(done.headers)
        if done.replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(done.body, status_code=done.status, headers=headers, media_type=JSON)

    def _rehearse(self, work: Callable[[], BaseModel]) -> Response:
        def answer() -> Answer:
            with self._precondition.met():
                made = work()
            return Answer(200, made.model_dump_json().encode())

        done = rehearse(self._session, answer)
        return Response(done.body, headers={DRY_RUN: "true"}, media_type=JSON)


#: Calls that do more than a transaction undoes, and whose rehearsal would tell nothing.
NOT_REHEARSED = frozenset({"approve_approval", "try_webhook_endpoint", "issue_sandbox_key"})


def _require_rehearsable(operation: str) -> None:
    if operation in NOT_REHEARSED:
        raise InvalidInputError(
            "this call cannot be rehearsed",
            [Fault("dry_run", "leave it out", "query", "请去掉")],
            detail_zh="此操作不支持试运行",
        )


def get_precondition(
    request: Request, session: SessionDep, actor: ActorDep, clock: ClockDep
) -> Precondition:
    """What the call says of the state that it was decided on."""
    return Precondition(
        session,
        method=request.method,
        template=request.scope["route"].path,
        path=request.path_params,
        if_match=request.headers.get("if-match"),
        shown=request.app.state.shown,
        offered={
            "session": session,
            # A key that may only write knows the tags of what it wrote.
            "actor": replace(actor, scopes=frozenset(Scope)) if actor.company_id else actor,
            "clock": clock,
            "sealer": request.app.state.sealer,
        },
    )


PreconditionDep = Annotated[Precondition, Depends(get_precondition)]


def get_writer(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    body: Annotated[bytes, Depends(sent_body)],
    *,
    precondition: PreconditionDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="makes the call safe to repeat: the same key and body get the same answer",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        Query(
            description="试运行: true answers what would be done now, and why not, and does nothing"
        ),
    ] = False,
) -> Writer:
    """The writer of this call."""
    if dry_run:
        _require_rehearsable(request.scope["route"].name)
    # Nobody's answers are kept: a call without a credential writes nothing here.
    key = None if is_public(request) else idempotency_key
    sealer: Sealer = request.app.state.sealer
    return Writer(
        session,
        Attempt(
            actor=actor.label,
            granted=actor.granted,
            key=key,
            operation=f"{request.method} {request.url.path}",
            body_digests=[] if key is None else sealer.indexes(f"{actor.label} {key}", body),
        ),
        Call(
            operation=request.scope["route"].name,
            actor=actor,
            path=request.path_params,
            # Of a call that takes no body nothing was read, and nothing of it is written down.
            body=body if request.scope["route"].body_field is not None else b"",
        ),
        precondition,
        dry_run=dry_run,
    )


WriterDep = Annotated[Writer, Depends(get_writer)]

__all__ = [
    "GEOJSON",
    "JSON",
    "ActorDep",
    "CallerDep",
    "ClockDep",
    "Filters",
    "GateSessionDep",
    "GeoJsonDep",
    "IdPath",
    "Paging",
    "PreconditionDep",
    "Query",
    "SessionDep",
    "WriterDep",
    "next_href",
]
