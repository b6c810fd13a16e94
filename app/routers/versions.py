"""ETag and If-Match: nobody overwrites what somebody else has changed since it was read.

A ``GET`` that shows one thing alone is marked ``shown_alone``: its answer has an ETag, of what it
says or of the version that it names. Every call below the path of that ``GET`` changes that thing,
and is refused when it names another ETag than the one that the ``GET`` would answer now.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_type_hints
from uuid import UUID

from fastapi import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.database.session import Session, wait_for_turn
from app.kernel.errors import Kind, SpaceRelayError

#: Methods that put one representation in the place of another.
_OVERWRITES = frozenset({"PUT", "PATCH"})
_MARK = "shown_alone"


class ChangedMeanwhileError(SpaceRelayError):
    """The thing is not as it was when the caller read it."""

    slug, title, kind = "changed-meanwhile", "It has changed meanwhile", Kind.PRECONDITION_FAILED
    title_zh = "内容已被更改"


class EtagNeededError(SpaceRelayError):
    """The call would overwrite something, and does not say what the caller has read."""

    slug, title, kind = "etag-needed", "Say what you have read", Kind.PRECONDITION_REQUIRED
    title_zh = "请先读取再修改"


def etag_of(made: BaseModel) -> str:
    """The ETag of a thing: its version where it names one, else a hash of all that it says."""
    version = getattr(made, "version", None)
    if isinstance(version, int):
        return f'"{version}"'
    return f'"{hashlib.sha256(made.model_dump_json(by_alias=True).encode()).hexdigest()[:32]}"'


def shown_alone(show: Callable[..., BaseModel]) -> Callable[..., BaseModel]:
    """Mark what a ``GET`` of one thing runs: its answer has an ETag that ``If-Match`` takes."""

    @wraps(show)
    def tagged(*, tagged_response: Response, **parameters: Any) -> BaseModel:
        made = show(**parameters)
        tagged_response.headers["ETag"] = etag_of(made)
        return made

    signature = inspect.signature(show)
    added = inspect.Parameter(
        "tagged_response", inspect.Parameter.KEYWORD_ONLY, annotation=Response
    )
    shown = [*signature.parameters.values(), added]
    tagged.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    setattr(tagged, _MARK, show)
    return tagged


@dataclass(frozen=True, slots=True)
class Shown:
    """What ``GET`` shows at a path, by its template."""

    readers: Mapping[str, Callable[..., BaseModel]]
    #: What they answer with: a write that answers with the same has its ETag too.
    models: frozenset[type[BaseModel]]

    @classmethod
    def by(cls, routes: Iterable[object]) -> "Shown":
        """All that is marked ``shown_alone``."""
        readers = {
            route.path: getattr(route.endpoint, _MARK)
            for route in routes
            if isinstance(route, APIRoute) and hasattr(route.endpoint, _MARK)
        }
        models = frozenset(get_type_hints(reader)["return"] for reader in readers.values())
        return cls(readers, models)

    def nearest(self, template: str) -> str | None:
        """The template of the ``GET`` that shows what a call of this template changes."""
        segments = template.split("/")
        for length in range(len(segments), 0, -1):
            path = "/".join(segments[:length])
            if path in self.readers:
                return path
        return None


class Precondition:
    """What a call that writes says of the state that it was decided on."""

    def __init__(
        self,
        session: Session,
        *,
        method: str,
        template: str,
        path: Mapping[str, str],
        if_match: str | None,
        shown: Shown,
        offered: Mapping[str, Any],
    ) -> None:
        """Of one call.

        Args:
            session: of the call; the writing is done in its transaction.
            method: of HTTP.
            template: the path of the route, with names of parameters.
            path: the parameters, as they were sent.
            if_match: the header.
            shown: what can be read.
            offered: what readers are handed, by the names of their parameters.
        """
        self._session = session
        self._shown = shown
        self._resource = shown.nearest(template)
        self._path = path
        self._wanted = None if if_match is None else _tags(if_match)
        self._missing = method in _OVERWRITES and if_match is None and self._resource is not None
        self._offered = offered

    def etag(self, made: BaseModel) -> str | None:
        """The ETag of an answer; None where no ``GET`` shows the like."""
        return etag_of(made) if type(made) in self._shown.models else None

    @contextmanager
    def met(self) -> Iterator[None]:
        """Do the work only if the thing is as it was read; with the work's transaction.

        Whoever may not do the work hears that, and not that an ETag is missing.

        Raises:
            ChangedMeanwhileError: it has changed.
            EtagNeededError: the caller did not say what it read.
        """
        if self._resource is not None:
            self._compare(self._resource)
        yield
        if self._missing:
            raise EtagNeededError(
                "send the ETag of what you read as `If-Match`, or `If-Match: *` to overwrite"
                " whatever is there",
                detail_zh="请在 If-Match 请求头中携带读取时的 ETag；If-Match: * 表示无论如何覆盖",
            )

    def _compare(self, resource: str) -> None:
        # Whoever changes the same thing waits here, so that what is compared stays until commit.
        wait_for_turn(self._session, resource.format_map(self._path))
        if self._wanted is None or "*" in self._wanted:
            return
        read = self._shown.readers[resource]
        typed = {
            key: UUID(value) if key.endswith("_id") else value for key, value in self._path.items()
        }
        offered = {**self._offered, **typed}
        wanted = inspect.signature(read).parameters
        current = etag_of(read(**{name: offered.get(name) for name in wanted}))
        # What was read here must not stand for what the work will find once it has its locks.
        self._session.expire_all()
        if current not in self._wanted:
            raise ChangedMeanwhileError(
                f"its ETag is {current} by now; read it again",
                detail_zh=f"当前 ETag 为 {current}，请重新读取后再试",
                etag=current,
            )


def _tags(if_match: str) -> frozenset[str]:
    # Proxies that compress weaken a tag; what it names is the same.
    return frozenset(tag.strip().removeprefix("W/") for tag in if_match.split(","))
