"""Writes that may be sent twice and are done once.

The answer is stored in the transaction that does the work, so there is no moment in which one is
there without the other. Only successes are stored: a refused write may be sent again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Row, delete, insert, select, text
from sqlalchemy.orm import Session

from app.database.session import transaction, with_retries
from app.kernel.errors import Fault, InvalidInputError, Kind, SpaceRelayError
from app.models.access import IdempotentAnswer
from app.security.actors import NotAllowedError

KEY_LENGTH_MAX = 255


class KeyInFlightError(SpaceRelayError):
    """Another call with this key is still being answered."""

    slug, title, kind = "idempotency-key-in-flight", "The same call is in flight", Kind.CONFLICT
    title_zh = "相同请求正在处理中"


class KeyReusedError(SpaceRelayError):
    """The key was used before, for another call."""

    slug, title, kind = "idempotency-key-reused", "The key belongs to another call", Kind.INVALID
    title_zh = "该幂等键已用于其他请求"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that writes.

    Attributes:
        actor: who.
        granted: what they are allowed; who is allowed less is told nothing of an earlier answer.
        key: of the call; None: not repeatable.
        operation: what.
        body_digests: keyed hashes of the body, by the key that is written with first and then by
            those that were.
    """

    actor: str
    granted: frozenset[str]
    key: str | None
    operation: str
    body_digests: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    replayed: bool = False


def run_once(session: Session, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
    """Do ``work`` in one transaction, or replay the answer of the first time.

    ``work`` neither commits nor rolls back, and may run again after a lost race.

    Raises:
        KeyInFlightError: the same key is being answered by another call right now.
        KeyReusedError: the key was used for another operation or body.
        NotAllowedError: the first call was allowed what this one is not.
    """

    def once() -> Answer:
        with transaction(session):
            if attempt.key is None:
                return work()
            earlier = _claim_key(session, attempt)
            if earlier is not None:
                return earlier
            answer = work()
            session.execute(
                insert(IdempotentAnswer).values(
                    actor=attempt.actor,
                    key=attempt.key,
                    operation=attempt.operation,
                    granted=sorted(attempt.granted),
                    body_digest=attempt.body_digests[0],
                    status=answer.status,
                    headers=answer.headers,
                    body=answer.body,
                )
            )
            return answer

    return with_retries(once)


class _Rehearsed(Exception):  # noqa: N818 - nothing went wrong
    """All of the work was done, and is to be undone."""


def _undo() -> NoReturn:
    raise _Rehearsed


def rehearse(session: Session, work: Callable[[], Answer]) -> Answer:
    """Do ``work`` in one transaction with all that the database checks at its end, and undo it.

    What it answers is what the same call would do now. Nothing stays: no row, no event for a
    webhook, no entry of the audit trail, no answer for a key.
    """

    def once() -> Answer:
        answers: list[Answer] = []
        try:
            with transaction(session):
                answers.append(work())
                session.flush()
                session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
                _undo()
        except _Rehearsed:
            return answers[0]

    return with_retries(once)


def forget_before(session: Session, instant: datetime) -> int:
    """Drop stored answers made before an instant; returns how many."""
    gone = session.execute(
        delete(IdempotentAnswer)
        .where(IdempotentAnswer.created_at < instant)
        .returning(IdempotentAnswer.key)
    )
    return len(gone.all())


def _claim_key(session: Session, attempt: Attempt) -> Answer | None:
    key = attempt.key or ""
    if not key.isprintable() or not 0 < len(key) <= KEY_LENGTH_MAX:
        raise InvalidInputError(
            "the Idempotency-Key is not usable",
            [
                Fault(
                    "Idempotency-Key",
                    f"1 to {KEY_LENGTH_MAX} printable characters",
                    "header",
                    f"应为 1 至 {KEY_LENGTH_MAX} 个可打印字符",
                )
            ],
        )
    digest = hashlib.sha256(f"{attempt.actor}\n{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    taken = session.scalar(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number})
    if not taken:
        raise KeyInFlightError("a call with this Idempotency-Key is being answered; wait and retry")
    earlier: Row[Any] | None = session.execute(
        select(
            IdempotentAnswer.operation,
            IdempotentAnswer.granted,
            IdempotentAnswer.body_digest,
            IdempotentAnswer.status,
            IdempotentAnswer.headers,
            IdempotentAnswer.body,
        ).where(IdempotentAnswer.actor == attempt.actor, IdempotentAnswer.key == key)
    ).one_or_none()
    if earlier is None:
        return None
    if earlier.operation != attempt.operation or earlier.body_digest not in attempt.body_digests:
        raise KeyReusedError("this Idempotency-Key was used for another call; use a new key")
    if not attempt.granted.issuperset(earlier.granted):
        raise NotAllowedError(
            "the first call with this Idempotency-Key was allowed more than this one; repeat it"
            " with the same rights",
            detail_zh="首次使用该幂等键的调用权限更大，请以相同权限重试",
        )
    return Answer(earlier.status, earlier.body, earlier.headers, replayed=True)
