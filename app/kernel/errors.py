"""Errors that a caller can act on. No HTTP here: routers/problems.py maps kinds to statuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What a caller can do about an error, not which status it gets."""

    INVALID = "invalid"
    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    NOT_OFFERED = "not-offered"
    CONFLICT = "conflict"
    TOO_LARGE = "too-large"
    UNSUPPORTED = "unsupported"
    PRECONDITION_FAILED = "precondition-failed"
    PRECONDITION_REQUIRED = "precondition-required"
    TOO_MANY = "too-many"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: where, which rule, and the way out.

    ``pointer`` is a JSON pointer into the body, or the name of a query parameter or header.
    """

    pointer: str
    detail: str
    where: str = "body"
    detail_zh: str | None = None


class SpaceRelayError(Exception):
    """Base of all errors a caller can act on.

    ``slug`` is the last part of the problem type URI and never changes once released; ``detail``
    is for a person; ``facts`` are typed members of the problem document (RFC 9457, section 3.2)
    for a program.
    """

    slug: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    title_zh: ClassVar[str] = "出错了"
    kind: ClassVar[Kind] = Kind.INVALID

    def __init__(
        self, detail: str | None = None, *, detail_zh: str | None = None, **facts: object
    ) -> None:
        """``detail`` says what happened and the way out; ``facts`` are JSON-able values."""
        self.detail = detail or self.title
        self.detail_zh = detail_zh or self.title_zh
        self.facts = facts
        super().__init__(self.detail)


class InvalidInputError(SpaceRelayError):
    """The input was understood, and breaks a rule."""

    slug, title, kind = "invalid-input", "The input breaks a rule", Kind.INVALID
    title_zh = "输入不符合规则"

    def __init__(
        self,
        detail: str,
        faults: Sequence[Fault] = (),
        *,
        detail_zh: str | None = None,
        **facts: object,
    ) -> None:
        """``faults`` name each field at fault; their Chinese is the detail's unless told."""
        if detail_zh is None and faults and all(fault.detail_zh for fault in faults):
            said = (f"{fault.pointer.lstrip('/')} {fault.detail_zh}" for fault in faults)
            detail_zh = "；".join(said)
        super().__init__(detail, detail_zh=detail_zh, **facts)
        self.faults = tuple(faults)


class NotFoundError(SpaceRelayError):
    """There is no such thing, or it is not yours to see: the answer is the same."""

    slug, title, kind = "not-found", "No such resource", Kind.NOT_FOUND
    title_zh = "资源不存在"


class BusyError(SpaceRelayError):
    """The database did not let the work through in time; the same call may go through later."""

    slug, title, kind = "busy", "Busy, try again", Kind.UNAVAILABLE
    title_zh = "系统繁忙，请稍后重试"
