"""Checks the chains: that every entry is what it was when it was written, and none is gone.

A chain proves by itself that no entry between two others was changed, dropped or moved. Whoever may
do everything in the database could still drop the last entries, or write a whole chain anew; that
is found by its heads, which were handed to another party before.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, Text, cast, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError
from app.models.audit import AuditEntry
from app.models.space import Park

#: How the house's own chain is called where parks have their codes.
HOUSE = "house"
_BEFORE_THE_FIRST = bytes(32)
_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain at an instant; ``hash`` is hexadecimal."""

    park: str
    park_id: str | None
    sequence: int
    hash: str
    at: str

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Tampering:
    """The first thing that is not as it was: in which chain, at which entry, and what."""

    park: str
    sequence: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a check: how many entries of how many chains were read, and what is wrong."""

    chains: int
    entries: int
    tampering: Tampering | None


def heads(session: Session) -> list[Head]:
    """The head of every chain, the house's first."""
    rows = session.execute(
        select(AuditEntry.park_id, Park.code, AuditEntry.sequence, AuditEntry.hash, AuditEntry.at)
        .ext(distinct_on(AuditEntry.park_id))
        .outerjoin(Park, Park.id == AuditEntry.park_id)
        .order_by(AuditEntry.park_id.nulls_first(), AuditEntry.sequence.desc())
    )
    return [
        Head(
            park=_name(row.park_id, row.code),
            park_id=None if row.park_id is None else str(row.park_id),
            sequence=row.sequence,
            hash=row.hash.hex(),
            at=_instant(row.at),
        )
        for row in rows
    ]


def read_heads(lines: Iterable[str]) -> list[Head]:
    """Heads from lines of JSON, as ``Head.line`` writes them; empty lines are skipped.

    Raises:
        InvalidInputError: a line is none.
    """
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            head = Head(**{name: told[name] for name in Head.__dataclass_fields__})
            bytes.fromhex(head.hash)
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"line {number} is no head of a chain; give a file that `audit head` wrote",
                [Fault(f"/{number}", "no head of a chain", detail_zh="不是审计链头")],
                detail_zh=f"第 {number} 行不是审计链头，请使用 audit head 的输出",
            ) from error
        found.append(head)
    return found


def verify(session: Session, park: str | None = None, known: Iterable[Head] = ()) -> Verdict:
    """Read chains from their first entry to the last, and name the first that does not hold.

    Args:
        session: shows all rows.
        park: code of the park whose chain is read, ``house`` for the house's; None is every chain.
        known: heads that were exported before; each must still be there.

    Raises:
        InvalidInputError: there is no such park.
    """
    query = _entries()
    if park is not None:
        query = query.where(_of_chain(session, park))
    expected: dict[str | None, dict[int, Head]] = {}
    for head in known:
        if park in {None, head.park}:
            expected.setdefault(head.park_id, {})[head.sequence] = head
    with session.execute(query.execution_options(yield_per=_BATCH)) as rows:
        return _judged(rows, expected)


def _judged(rows: Iterable[Row[Any]], expected: dict[str | None, dict[int, Head]]) -> Verdict:
    chains = entries = 0
    for park_id, chain in groupby(rows, key=lambda row: row.park_id):
        chains += 1
        reader = _Reader(expected.pop(_id(park_id), {}))
        for row in chain:
            entries += 1
            wrong = reader.fault(row)
            if wrong is not None:
                return Verdict(chains, entries, wrong)
        wrong = reader.missing()
        if wrong is not None:
            return Verdict(chains, entries, wrong)
    # Of these chains nothing is left.
    gone = next((_Reader(left).missing() for left in expected.values()), None)
    return Verdict(chains, entries, gone)


class _Reader:
    """Reads one chain from its beginning."""

    def __init__(self, heads_known: Mapping[int, Head]) -> None:
        self._heads = dict(heads_known)
        self._sequence = 0
        self._hash = _BEFORE_THE_FIRST

    def fault(self, row: Row[Any]) -> Tampering | None:
        """What is wrong with the next entry, if anything."""
        expected = self._sequence + 1
        self._sequence = row.sequence
        park = _name(row.park_id, row.code)
        head = self._heads.pop(row.sequence, None)
        digest = hashlib.sha256(_text(row).encode()).digest()
        if row.sequence != expected:
            return Tampering(park, expected, f"it is missing; the next one is {row.sequence}")
        if digest != row.hash:
            return Tampering(park, expected, "its members are not those that were hashed")
        if row.previous_hash != self._hash:
            return Tampering(
                park, expected, "it does not follow from the entry before, which was rewritten"
            )
        if head is not None and head.hash != row.hash.hex():
            return Tampering(park, expected, f"it is not the one that was the head at {head.at}")
        self._hash = row.hash
        return None

    def missing(self) -> Tampering | None:
        """The first entry that a head knows of, and the chain does not."""
        if not self._heads:
            return None
        head = self._heads[max(self._heads)]
        return Tampering(
            head.park,
            self._sequence + 1,
            f"it is missing; the chain ended at {head.sequence} at {head.at}",
        )


def _entries() -> Select[Any]:
    table = AuditEntry.__table__.c
    plain = [
        column for column in table if column.name not in {"id", "details", "park_id", "sequence"}
    ]
    return (
        select(
            table.park_id,
            table.sequence,
            *plain,
            cast(table.details, Text).label("details"),
            Park.code,
        )
        .outerjoin(Park, Park.id == table.park_id)
        .order_by(table.park_id.nulls_first(), table.sequence)
    )


def _of_chain(session: Session, park: str) -> Any:
    if park == HOUSE:
        return AuditEntry.park_id.is_(None)
    park_id = session.scalar(select(Park.id).where(func.lower(Park.code) == park.lower()))
    if park_id is None:
        raise InvalidInputError(
            f"no park has the code {park}",
            [Fault("park", "no such park", "query", "没有该园区")],
            detail_zh=f"没有代码为 {park} 的园区",
        )
    return AuditEntry.park_id == park_id


def _text(row: Row[Any]) -> str:
    """The canonical JSON of an entry, as it was hashed: all members but id and hash, sorted."""
    members = {
        "account_id": _id(row.account_id),
        "action": row.action,
        "actor": row.actor,
        "actor_kind": row.actor_kind,
        "at": _instant(row.at),
        "company_id": _id(row.company_id),
        "park_id": _id(row.park_id),
        "previous_hash": row.previous_hash.hex(),
        "reason": row.reason,
        "request_id": row.request_id,
        "sequence": row.sequence,
        "subject_id": row.subject_id,
        "subject_type": row.subject_type,
    }
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in members.items()} | {
        "details": row.details
    }
    return "{" + ",".join(f'"{name}":{texts[name]}' for name in sorted(texts)) + "}"


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _name(park_id: UUID | None, code: str | None) -> str:
    return HOUSE if park_id is None else code or str(park_id)
