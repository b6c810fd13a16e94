"""Writes that make a secret: it is in their answer, and not in the answer that is kept."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from app.routers.dependencies import JSON, Writer

#: Headers of answers that have a secret in them.
NOT_STORED = {"Cache-Control": "no-store"}
_REPLAYED = "Idempotency-Replayed"


def write_shown_once(
    write: Writer,
    work: Callable[[], tuple[BaseModel, Mapping[str, str]]],
    *,
    status: int = 201,
    location: Callable[[Any], str] | None = None,
) -> Response:
    """Run ``work`` and answer with the model it returns, and with its secrets as further members.

    The answer that an Idempotency-Key repeats is stored without them: a database that leaks gives
    no key away. Whoever lost the first answer makes another secret.
    """
    secrets: Mapping[str, str] = {}

    def plain() -> BaseModel:
        nonlocal secrets
        made, secrets = work()
        return made

    response = write(plain, status=status, location=location)
    response.headers.update(NOT_STORED)
    if write.dry_run or _REPLAYED in response.headers:
        return response
    return _with_secrets(response, secrets)


def _with_secrets(response: Response, secrets: Mapping[str, str]) -> Response:
    """The same answer with further members."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    body = {**json.loads(bytes(response.body)), **secrets}
    return Response(
        json.dumps(body, ensure_ascii=False),
        status_code=response.status_code,
        headers=headers,
        media_type=JSON,
    )
