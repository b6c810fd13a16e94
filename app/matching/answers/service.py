"""Matches for a space request: a question, an answer from a snapshot, and a receipt of both.

Search is advisory: nothing is written but the receipt, and a hold judges anew, under its lock,
whether the space is free and meets the request.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from app.database import opaque
from app.database.session import transaction
from app.inventory.known import require_past
from app.kernel.canonical import canonical
from app.kernel.clock import civil_day, rfc3339
from app.kernel.errors import Fault, InvalidInputError
from app.matching.answers import receipts
from app.matching.answers.canonical import plain
from app.matching.answers.compose import Named, Question, compose
from app.matching.answers.policies import weights_asked
from app.matching.answers.question import (
    Asked,
    Audience,
    Tables,
    asked_from,
    demand_of,
    filed,
    growth_for,
    names_for,
)
from app.matching.answers.receipts import Receipt
from app.matching.answers.schemas import MatchIn
from app.matching.rules.table import BY_KEY
from app.matching.segment import Snapshot
from app.matching.snapshots.load import load_snapshot, parse_version
from app.matching.snapshots.source import SPACE_VERSION, Snapshots, never_given_out
from app.security.actors import Actor


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it is sent, with its receipt."""

    body: bytes
    receipt: Receipt


def find_matches(
    session: Session,
    actor: Actor,
    request_id: UUID,
    body: MatchIn,
    *,
    tables: Tables,
    snapshots: Snapshots,
    now: datetime,
) -> Answered:
    """The best space for a request, with reasons; the answer is kept as a receipt.

    Args:
        session: where the request is read and the receipt written.
        actor: who asks; a firm sees only its own requests, and nobody's names.
        request_id: the request.
        body: what is asked of the search.
        tables: what needs and fit-out are read from.
        snapshots: where space is looked at.
        now: says which day it is in Shanghai.

    Raises:
        InvalidInputError: asked as of an instant in the future, or of what does not exist.
        NotFoundError: there is no such request, or it is not the caller's to see.
        BusyError: ``min_version`` was not seen in time.
    """
    require_past(body.as_of, now, "/as_of")
    _require_relaxable(body)
    request = filed(session, actor, request_id)
    day = civil_day(body.as_of or now)
    asked = Asked(
        needs=request.needs,
        day=day,
        weights=weights_asked(session, body.weights, body.policy, body.as_of),
        growth=growth_for(session, request, tables.needs, day),
    )
    audience = Audience.of(actor)
    question = _question(
        session,
        tables,
        request_id=request.id,
        request_version=request.version,
        body=body,
        asked=asked,
        audience=audience,
    )
    snapshot = _snapshot(session, body, snapshots)
    seen = str(snapshot.version)
    as_of = snapshot.version.taken_at
    named = Named(opaque.name(session, "snapshot", seen), rfc3339(as_of))
    receipt = Receipt(
        id=uuid4(),
        request_id=request.id,
        request_version=request.version,
        asked_by=actor.label,
        names_firms=audience.names_firms,
        park_ids=None if audience.park_ids is None else list(audience.park_ids),
        asked=plain(body.model_dump(mode="json")),
        demand=asked.document(),
        rules_version=question.demand.rules_version,
        snapshot=named.snapshot,
        seen=seen,
        as_of=as_of,
        answer=compose(session, question, snapshot, tables, named=named),
        created_at=now,
    )
    with transaction(session):
        sha256 = receipts.keep(session, receipt)
    age_ms = None if body.as_of is not None else round((snapshots.age_seconds() or 0) * 1000)
    return Answered(_sent(receipt, sha256, age_ms), receipt)


def _require_relaxable(body: MatchIn) -> None:
    """Refuse costs of what is no constraint, or may not be given up."""
    faults = []
    for key in body.relax_costs:
        constraint = BY_KEY.get(key)
        if constraint is None:
            faults.append(
                Fault(
                    f"/relax_costs/{key}",
                    "is no constraint; GET /api/v1/match-constraints lists them",
                    detail_zh="没有该约束；约束见 /api/v1/match-constraints",
                )
            )
        elif constraint.never_relax:
            faults.append(
                Fault(
                    f"/relax_costs/{key}",
                    "is law or safety and never given up",
                    detail_zh="属法规或安全要求，不可放宽",
                )
            )
    if faults:
        raise InvalidInputError(
            "; ".join(f"{fault.pointer} {fault.detail}" for fault in faults), faults
        )


def _question(
    session: Session,
    tables: Tables,
    *,
    request_id: UUID,
    request_version: int,
    body: MatchIn,
    asked: Asked,
    audience: Audience,
) -> Question:
    names = names_for(session, asked.needs, tables.needs)
    return Question(
        request_id=request_id,
        request_version=request_version,
        body=body,
        needs=asked.needs,
        demand=demand_of(asked, tables, names),
        audience=audience,
    )


def _snapshot(session: Session, body: MatchIn, snapshots: Snapshots) -> Snapshot:
    if body.as_of is not None:
        return load_snapshot(session, as_of=body.as_of)
    if body.min_version is not None:
        return snapshots.at_least(session, _number_of(session, body.min_version))
    return snapshots.current(session)


def _number_of(session: Session, version: str) -> int:
    said = opaque.reveal(session, SPACE_VERSION, version)
    if said is None or not said.isdecimal():
        raise never_given_out()
    return int(said)


def _sent(receipt: Receipt, sha256: str, age_ms: int | None) -> bytes:
    """The answer with what is not kept in it: its receipt, and how old the snapshot was."""
    more = {
        "receipt": {"id": str(receipt.id), "sha256": sha256},
        "snapshot_age_ms": age_ms,
    }
    return canonical(more)[:-1] + b"," + receipt.answer[1:]


class ReceiptOut(BaseModel):
    """匹配回执: an answer with all that it follows from, and the hash over all of it."""

    id: UUID
    request_id: UUID
    request_version: int
    asked_by: str = Field(description="who asked")
    names_firms: bool = Field(description="whether the answer may name other firms")
    park_ids: list[UUID] | None = Field(
        description="parks whose firms may be named; null: all, where any are"
    )
    asked: dict[str, Any] = Field(description="the body of the call")
    demand: dict[str, Any] = Field(description="needs, weights, growth and day")
    rules_version: str
    snapshot: str = Field(description="name of the state of the ledger that was seen")
    as_of: datetime
    created_at: datetime
    answer: dict[str, Any] = Field(description="as it was sent, without its receipt")
    sha256: str


class ReplayOut(BaseModel):
    """What came out when a receipt was worked out anew."""

    receipt_id: UUID
    sha256_holds: bool = Field(description="the receipt is what was sealed")
    identical: bool | None = Field(
        description="the same answer, byte for byte; null: not replayed, because a table of rules"
        " has another version by now"
    )
    first_difference: str | None = Field(description="JSON pointer into the answer")
    rules_version_then: str
    rules_version_now: str
    words_zh: str
    words_en: str


def show_receipt(session: Session, actor: Actor, receipt_id: UUID) -> bytes:
    """One receipt as canonical JSON; see ``ReceiptOut``.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    return canonical(receipts.read(session, actor, receipt_id).document())


def replay_receipt(
    session: Session, actor: Actor, receipt_id: UUID, *, tables: Tables
) -> ReplayOut:
    """Read the ledger as it was, work the answer out anew, and compare.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    receipt = receipts.read(session, actor, receipt_id)
    parks = None if receipt.park_ids is None else tuple(receipt.park_ids)
    question = _question(
        session,
        tables,
        request_id=receipt.request_id,
        request_version=receipt.request_version,
        # Which version was waited for is of no consequence now, and was a number once.
        body=MatchIn.model_validate({**receipt.asked, "min_version": None}),
        asked=asked_from(receipt.demand),
        audience=Audience(receipt.names_firms, parks),
    )
    sealed = receipts.is_sealed(session, receipt)
    now = question.demand.rules_version
    if now != receipt.rules_version:
        return _replayed(receipt, sealed, now, identical=None, difference=None)
    version = parse_version(receipt.seen or receipt.snapshot, receipt.as_of)
    snapshot = load_snapshot(session, version=version)
    named = Named(receipt.snapshot, receipt.written(receipt.as_of))
    again = compose(session, question, snapshot, tables, named=named)
    difference = receipts.difference(receipt.answer, again)
    return _replayed(receipt, sealed, now, identical=again == receipt.answer, difference=difference)


def _replayed(
    receipt: Receipt, sealed: bool, now: str, *, identical: bool | None, difference: str | None
) -> ReplayOut:
    if identical is None:
        zh = "规则版本已变，未重算：请对照 rules_version_then 与 rules_version_now"
        en = "not worked out anew: a table of rules has another version by now"
    elif identical:
        zh, en = "重算结果与回执逐字节一致", "worked out anew, the answer is the same to the byte"
    else:
        zh = f"重算结果与回执不同，首处差异：{difference}"
        en = f"worked out anew, the answer is another; the first difference is at {difference}"
    return ReplayOut(
        receipt_id=receipt.id,
        sha256_holds=sealed,
        identical=identical,
        first_difference=difference,
        rules_version_then=receipt.rules_version,
        rules_version_now=now,
        words_zh=zh,
        words_en=en,
    )
