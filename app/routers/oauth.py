"""OAuth 2 for firms' programs: client credentials (RFC 6749 4.4) and the metadata of RFC 8414."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.database.session import Session, transaction
from app.routers.dependencies import (
    JSON,
    ClockDep,
    Filters,
    sent_body,
    wait_at_the_gate,
)
from app.routers.problems import problems
from app.security.actors import Scope
from app.security.oauth import signing
from app.security.oauth.tokens import GrantRefusedError, grant_token, is_of_sandbox
from app.security.rows import system

router = APIRouter(tags=["access"])

_FORM = "application/x-www-form-urlencoded"
_GRANT_TYPE = "client_credentials"
_NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_UNAUTHORIZED, _BAD_REQUEST = 401, 400


class TokenOut(BaseModel):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str = Field(description="a signed JWT; send it as `Authorization: Bearer …`")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a word of the RFC
    expires_in: int = Field(description="seconds it lives, at most 900", examples=[900])
    scope: str = Field(description="what it may do, separated by spaces")


class OAuthErrorOut(BaseModel):
    """A refusal in the form that OAuth clients read (RFC 6749, section 5.2)."""

    error: Literal[
        "invalid_request",
        "invalid_client",
        "unsupported_grant_type",
        "invalid_scope",
    ]
    error_description: str


class ServerMetadata(BaseModel):
    """What OAuth clients find out by themselves (RFC 8414)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    service_documentation: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    scopes_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]


class SigningKeyOut(BaseModel):
    """A public key as JWK (RFC 7517)."""

    model_config = ConfigDict(extra="allow")

    kty: str
    kid: str
    alg: str
    use: str


class KeySetOut(BaseModel):
    """The public keys that tokens are checked with."""

    keys: list[SigningKeyOut]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a client sent, read."""

    client_id: str
    client_secret: str
    scope: str | None


_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": OAuthErrorOut, "description": described}
    for status, described in (
        (_BAD_REQUEST, "`invalid_request`, `unsupported_grant_type` or `invalid_scope`"),
        (_UNAUTHORIZED, "`invalid_client`: the client id or secret is not valid"),
    )
}
_REQUEST_BODY = {
    "required": True,
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"type": "string", "enum": [_GRANT_TYPE]},
                    "scope": {
                        "type": "string",
                        "description": "some of the key's scopes, separated by spaces; all if not",
                    },
                    "client_id": {
                        "type": "string",
                        "description": "the key's `client_id`; left out where HTTP Basic is used",
                    },
                    "client_secret": {
                        "type": "string",
                        "description": "the whole key `sr_live_…`; left out with HTTP Basic",
                    },
                },
            },
            "example": {"grant_type": _GRANT_TYPE, "scope": "requests:read"},
        }
    },
}


def read_token_request(
    request: Request, body: Annotated[bytes, Depends(sent_body)]
) -> TokenRequest | GrantRefusedError:
    """What the client sent, or why it cannot be read."""
    try:
        return _read(request, body)
    except GrantRefusedError as refused:
        return refused


TokenRequestDep = Annotated[TokenRequest | GrantRefusedError, Depends(read_token_request)]


def open_grant_session(
    request: Request,
    asked: TokenRequestDep,
    _place: Annotated[None, Depends(wait_at_the_gate, scope="function")],
) -> Iterator[Session]:
    """A session where the client's key is looked up: a key of the sandbox in the sandbox."""
    state = request.app.state
    of_sandbox = isinstance(asked, TokenRequest) and is_of_sandbox(asked.client_secret)
    beside = state.sandbox if of_sandbox else None
    with (state.sessions if beside is None else beside.sessions)() as session:
        system(session)
        yield session


GrantSessionDep = Annotated[Session, Depends(open_grant_session, scope="function")]


@router.post(
    "/oauth/token",
    response_model=TokenOut,
    responses=_REFUSALS,
    openapi_extra={"requestBody": _REQUEST_BODY, "security": [{}]},
)
def grant_access_token(
    request: Request, asked: TokenRequestDep, session: GrantSessionDep, clock: ClockDep
) -> Response:
    """Exchange a firm's key for an access token of 15 minutes (换取访问令牌).

    The client is the key: its `client_id`, and the whole key as secret, by HTTP Basic or in the
    form. Revoking the key ends its tokens at once. Refusals have the form of RFC 6749.
    """
    state = request.app.state
    try:
        if isinstance(asked, GrantRefusedError):
            raise asked
        with transaction(session):
            granted = grant_token(
                session,
                state.sealer,
                client_id=asked.client_id,
                client_secret=asked.client_secret,
                scope=asked.scope,
                issuer=state.issuer,
                now=clock.now(),
            )
    except GrantRefusedError as refused:
        return _refusal(refused)
    answer = TokenOut(
        access_token=granted.access_token, expires_in=granted.expires_in, scope=granted.scope
    )
    return Response(answer.model_dump_json(), headers=_NOT_STORED, media_type=JSON)


@router.get("/.well-known/oauth-authorization-server", responses=problems())
def show_oauth_metadata(
    request: Request, response: Response, _none: Annotated[Filters, Query()]
) -> ServerMetadata:
    """Where tokens are had and what they are signed with (RFC 8414)."""
    issuer: str = request.app.state.issuer
    response.headers["Cache-Control"] = "public, max-age=3600"
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=f"{issuer}/oauth/token",
        jwks_uri=f"{issuer}/.well-known/jwks.json",
        service_documentation=f"{issuer}/docs",
        grant_types_supported=[_GRANT_TYPE],
        response_types_supported=[],
        scopes_supported=[scope.value for scope in Scope],
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
    )


@router.get("/.well-known/jwks.json", responses=problems())
def show_signing_keys(
    request: Request, clock: ClockDep, response: Response, _none: Annotated[Filters, Query()]
) -> KeySetOut:
    """The public keys that access tokens are signed with (RFC 7517), the sandbox's among them."""
    response.headers["Cache-Control"] = "public, max-age=300"
    state = request.app.state

    def read() -> list[dict[str, Any]]:
        beside = state.sandbox
        found = []
        for sessions in [state.sessions] if beside is None else [state.sessions, beside.sessions]:
            with sessions() as session:
                system(session)
                found += signing.published_ever(session, state.sealer, clock.now())
        return found

    published: signing.Published = state.published_keys
    return KeySetOut.model_validate({"keys": published.keys(read, clock.now())})


def _read(request: Request, body: bytes) -> TokenRequest:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        raise GrantRefusedError("invalid_request", f"send {_FORM}")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=20
        )
    except ValueError as error:
        raise GrantRefusedError("invalid_request", "the form cannot be read") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise GrantRefusedError("invalid_request", "a parameter is given more than once")
    if "grant_type" not in form:
        raise GrantRefusedError("invalid_request", "grant_type is missing")
    if form["grant_type"] != _GRANT_TYPE:
        raise GrantRefusedError("unsupported_grant_type", f"the grant type is {_GRANT_TYPE}")
    client = _client(request, form)
    return TokenRequest(*client, scope=form.get("scope"))


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    header = request.headers.get("authorization")
    if header is None:
        if "client_id" not in form or "client_secret" not in form:
            raise GrantRefusedError("invalid_client", "the client id and secret are missing")
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise GrantRefusedError("invalid_request", "the client shows itself in two ways")
    scheme, _, encoded = header.partition(" ")
    try:
        plain = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise GrantRefusedError("invalid_client", "HTTP Basic cannot be read") from error
    client_id, separator, secret = plain.partition(":")
    if scheme.lower() != "basic" or not separator:
        raise GrantRefusedError("invalid_client", "the client shows itself by HTTP Basic")
    # Both are form-encoded first (RFC 6749, section 2.3.1), which leaves ours as they are.
    client_id = unquote_plus(client_id)
    if form.get("client_id", client_id) != client_id:
        raise GrantRefusedError("invalid_request", "two clients are named")
    return client_id, unquote_plus(secret)


def _refusal(refused: GrantRefusedError) -> Response:
    answer = OAuthErrorOut.model_validate(
        {"error": refused.code, "error_description": refused.description}
    )
    unknown = refused.code == "invalid_client"
    return Response(
        answer.model_dump_json(),
        status_code=_UNAUTHORIZED if unknown else _BAD_REQUEST,
        headers={
            **_NOT_STORED,
            **({"WWW-Authenticate": 'Basic realm="space-relay"'} if unknown else {}),
        },
        media_type=JSON,
    )
