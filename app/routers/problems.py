"""Errors as RFC 9457 problem documents: the only file that knows both domain errors and HTTP."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from app.database.session import DATABASE_FAILURES, unavailability
from app.kernel.errors import InvalidInputError, Kind, SpaceRelayError
from app.routers.validation_words import in_chinese, in_english

logger = structlog.get_logger(__name__)

PROBLEM_TYPE = "/problems/"
MEDIA_TYPE = "application/problem+json"

STATUS = {
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.MALFORMED: HTTPStatus.BAD_REQUEST,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.NOT_OFFERED: HTTPStatus.METHOD_NOT_ALLOWED,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.PRECONDITION_FAILED: HTTPStatus.PRECONDITION_FAILED,
    Kind.PRECONDITION_REQUIRED: HTTPStatus.PRECONDITION_REQUIRED,
    Kind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

_STATUS_ZH = {
    HTTPStatus.NOT_FOUND: "没有这个地址",
    HTTPStatus.METHOD_NOT_ALLOWED: "该地址不支持此方法",
    HTTPStatus.BAD_REQUEST: "请求无法理解",
}

#: Of a request's state: the slug of the problem that it was answered with, for the log.
PROBLEM = "problem"
#: Seconds after which a busy service may be asked again.
RETRY_AFTER_S = "2"


class ProblemFault(BaseModel):
    """One thing wrong with the input."""

    where: str = Field(description="body, query, path or header", examples=["body"])
    pointer: str = Field(
        description="JSON pointer into the body, or the parameter's name", examples=["/until"]
    )
    detail: str = Field(description="the rule, and the way out")
    detail_zh: str | None = Field(default=None, description="规则与处理办法")


class Problem(BaseModel):
    """An RFC 9457 problem document. Further members carry facts for programs."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="stable name of the kind of problem", examples=["/problems/busy"])
    title: str
    title_zh: str | None = None
    status: int
    detail: str = Field(description="what happened, and the way out")
    detail_zh: str | None = Field(default=None, description="情况说明与处理办法")
    instance: str = Field(description="path of the call")
    request_id: str | None = None
    errors: list[ProblemFault] = Field(default_factory=list)


class InvalidRequestError(SpaceRelayError):
    """The request does not have the form this operation takes."""

    slug, title, kind = "invalid-request", "The request does not have the right form", Kind.INVALID
    title_zh = "请求格式不正确"


class MalformedJsonError(SpaceRelayError):
    """The body is not JSON."""

    slug, title, kind = "malformed-json", "The body is not JSON", Kind.MALFORMED
    title_zh = "请求正文不是有效的 JSON"


class BodyTooLargeError(SpaceRelayError):
    """The body is larger than the service takes."""

    slug, title, kind = "body-too-large", "The body is too large", Kind.TOO_LARGE
    title_zh = "请求正文过大"


def problems(*errors: type[SpaceRelayError]) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of a route that may answer with these errors."""
    by_status: dict[int, list[type[SpaceRelayError]]] = {}
    every: tuple[type[SpaceRelayError], ...] = (*errors, InvalidRequestError)
    for error in every:
        by_status.setdefault(STATUS[error.kind], []).append(error)
    return {
        status: {
            "model": Problem,
            "description": "; ".join(f"`{error.slug}`: {error.title}" for error in listed),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, listed in by_status.items()
    }


def problem_response(
    request: Request,
    error: SpaceRelayError,
    *,
    status: int | None = None,
    faults: Sequence[dict[str, str]] = (),
) -> Response:
    """The problem document of an error."""
    status = status or STATUS[error.kind]
    setattr(request.state, PROBLEM, error.slug)
    own = error.faults if isinstance(error, InvalidInputError) else ()
    listed: list[dict[str, str | None]] = [
        {
            "where": fault.where,
            "pointer": fault.pointer,
            "detail": fault.detail,
            "detail_zh": fault.detail_zh,
        }
        for fault in own
    ] or [{**fault} for fault in faults]
    body: dict[str, Any] = {
        "type": PROBLEM_TYPE + error.slug,
        "title": error.title,
        "title_zh": error.title_zh,
        "status": status,
        "detail": error.detail,
        "detail_zh": error.detail_zh,
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", None),
        "errors": listed,
        **error.facts,
    }
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER_S
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = str(error.facts["retry_after_s"])
    return Response(
        json.dumps(body, ensure_ascii=False, default=str),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def on_bug(request: Request, error: Exception) -> Response:
    """The answer to what nobody foresaw: the log has all of it, the caller the call's id."""
    logger.error("bug", exc_info=error)
    internal = SpaceRelayError(
        "something went wrong on our side; quote the request id",
        detail_zh="服务内部出错，请提供 request_id 以便排查",
    )
    return problem_response(request, internal, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def on_http_error(request: Request, error: HTTPException) -> Response:
    """The problem document of what the framework refuses: an unknown path, a wrong method."""
    status = HTTPStatus(error.status_code)
    plain = SpaceRelayError(str(error.detail or status.phrase))
    plain.slug = status.phrase.lower().replace(" ", "-")  # type: ignore[misc]
    plain.title = status.phrase  # type: ignore[misc]
    plain.title_zh = _STATUS_ZH.get(status, status.phrase)  # type: ignore[misc]
    plain.detail_zh = plain.title_zh
    response = problem_response(request, plain, status=status)
    response.headers.update(error.headers or {})
    return response


def install(app: FastAPI) -> None:
    """Answer every failure of ``app`` with a problem document."""

    @app.exception_handler(SpaceRelayError)
    def on_domain_error(request: Request, error: SpaceRelayError) -> Response:
        logger.info("refused", problem=error.slug, detail=error.detail)
        return problem_response(request, error)

    @app.exception_handler(RequestValidationError)
    def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        if any(one["type"] == "json_invalid" for one in found):
            malformed = MalformedJsonError(
                "the body could not be read as JSON", detail_zh="请求正文无法按 JSON 读取"
            )
            return problem_response(request, malformed)
        faults = [
            {
                "where": str(one["loc"][0]),
                "pointer": _pointer(one["loc"]),
                "detail": in_english(one),
                "detail_zh": in_chinese(one),
            }
            for one in found
        ]
        said = "; ".join(f"{fault['pointer'] or 'body'}: {fault['detail']}" for fault in faults[:5])
        said_zh = "；".join(
            f"{fault['pointer'] or '正文'}：{fault['detail_zh']}" for fault in faults[:5]
        )
        invalid = InvalidRequestError(said, detail_zh=said_zh)
        return problem_response(request, invalid, faults=faults)

    def on_database_failure(request: Request, error: Exception) -> Response:
        # A read may run into a time-out or lose its server outside any transaction() block.
        unavailable = unavailability(error)
        if unavailable is None:
            return on_bug(request, error)
        logger.warning("database unavailable", error=str(error))
        return problem_response(request, unavailable)

    for failure in DATABASE_FAILURES:
        app.add_exception_handler(failure, on_database_failure)

    app.add_exception_handler(HTTPException, on_http_error)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, on_bug)


def _pointer(location: Sequence[int | str]) -> str:
    where, *rest = location
    if where != "body":
        return str(rest[0]) if rest else str(where)
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in rest)
