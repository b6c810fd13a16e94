"""Receipts: an answer with all that it follows from, sealed by one hash, and never changed.

Whoever holds a receipt can check the hash alone (``verify``): any member changed is found out. The
service can do more: it reads the database as it was, works the answer out anew, and compares.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.kernel.canonical import canonical
from app.kernel.clock import rfc3339
from app.kernel.errors import NotFoundError
from app.matching.answers.canonical import first_difference
from app.models.company import SpaceRequest
from app.models.match import MatchReceipt
from app.security.actors import Actor, Role, Scope


@dataclass(frozen=True, slots=True)
class Receipt:
    """One answer and what it follows from; the members are those of ``MatchReceipt``."""

    id: UUID
    request_id: UUID
    request_version: int
    asked_by: str
    names_firms: bool
    park_ids: list[UUID] | None
    asked: dict[str, Any]
    demand: dict[str, Any]
    rules_version: str
    snapshot: str
    #: The transactions that were seen; None: ``snapshot`` says them. Shown to nobody.
    seen: str | None
    as_of: datetime
    answer: bytes
    created_at: datetime

    def document(self) -> dict[str, Any]:
        """The receipt as JSON members, with its hash."""
        members = self._members()
        return {
            **members,
            "answer": json.loads(self.answer),
            "sha256": _sealed(members, self.answer),
        }

    @property
    def sha256(self) -> str:
        """The hash over all members, hexadecimal."""
        return _sealed(self._members(), self.answer)

    def written(self, instant: datetime) -> str:
        """An instant as the receipt has it; the first ones had it in another way than answers."""
        if self.seen is None:
            return instant.astimezone(UTC).isoformat()
        return rfc3339(instant)

    def _members(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "request_id": str(self.request_id),
            "request_version": self.request_version,
            "asked_by": self.asked_by,
            "names_firms": self.names_firms,
            "park_ids": None if self.park_ids is None else [str(one) for one in self.park_ids],
            "asked": self.asked,
            "demand": self.demand,
            "rules_version": self.rules_version,
            "snapshot": self.snapshot,
            "as_of": self.written(self.as_of),
            "created_at": self.written(self.created_at),
        }


def verify(document: Mapping[str, Any]) -> bool:
    """Whether a receipt, as it was given out, is what was sealed.

    Needs nothing but the receipt: the hash is over the canonical JSON (members sorted, no spaces,
    UTF-8) of all members but ``answer`` and ``sha256``, a line feed, and that of ``answer``.
    """
    members = {key: value for key, value in document.items() if key not in {"answer", "sha256"}}
    try:
        sealed = _sealed(members, canonical(document.get("answer")))
    except (TypeError, ValueError):
        return False
    return document.get("sha256") == sealed


def _sealed(members: Mapping[str, Any], answer: bytes) -> str:
    return hashlib.sha256(canonical(members) + b"\n" + answer).hexdigest()


#: Made once, and past the mapper, which would take as long as the database does.
_KEPT = insert(MatchReceipt)


def keep(session: Session, receipt: Receipt) -> str:
    """Write a receipt down, in the transaction of whoever calls; returns its hash, hexadecimal."""
    sha256 = receipt.sha256
    # Of the members as they are: asdict would copy the answer's parts over and over.
    values = {name: getattr(receipt, name) for name in Receipt.__slots__}
    session.connection().execute(_KEPT, {**values, "sha256": bytes.fromhex(sha256)})
    return sha256


def read(session: Session, actor: Actor, receipt_id: UUID) -> Receipt:
    """One receipt: a firm's key sees those of its own requests that name no other firm.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    actor.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.VIEWER)
    table = MatchReceipt.__table__
    query = (
        select(*(table.c[name] for name in Receipt.__slots__), SpaceRequest.company_id)
        .join(SpaceRequest, SpaceRequest.id == table.c.request_id)
        .where(table.c.id == receipt_id)
    )
    row = session.execute(query).mappings().one_or_none()
    if row is None or not _may_see(actor, dict(row)):
        raise NotFoundError(
            "no such match receipt, or it is not yours to see",
            detail_zh="没有该匹配回执，或无权查看",
        )
    return Receipt(**{name: row[name] for name in Receipt.__slots__})


def is_sealed(session: Session, receipt: Receipt) -> bool:
    """Whether the hash written with a receipt is that of what is written."""
    written = session.scalar(select(MatchReceipt.sha256).where(MatchReceipt.id == receipt.id))
    return written == bytes.fromhex(receipt.sha256)


def difference(kept: bytes, again: bytes) -> str | None:
    """A JSON pointer to where two answers first differ; None where they are the same bytes."""
    return None if kept == again else first_difference(json.loads(kept), json.loads(again))


def _may_see(actor: Actor, row: Mapping[str, Any]) -> bool:
    if not row["names_firms"]:
        return actor.is_staff or row["company_id"] == actor.company_id
    if not actor.is_staff:
        return False
    return actor.park_ids is None or (
        row["park_ids"] is not None and set(row["park_ids"]) <= actor.park_ids
    )
