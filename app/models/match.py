"""What was answered to whom, by which weights, and what changed for requests since."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    column,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class MatchPolicy(Base):
    """评分权重: how a park, or the house, weighs the criteria of a match.

    Rows are never edited: ``known`` is closed, and a new policy is set.
    """

    __tablename__ = "match_policies"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    park_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("parks.id", ondelete="RESTRICT"), comment="null: the house's own default"
    )
    weights: Mapped[dict[str, int]] = mapped_column(
        JSONB, comment="hundredths by criterion, 100 in all"
    )
    known: Mapped[Range[datetime]] = mapped_column(TSTZRANGE, comment="when it held")
    set_by: Mapped[str]
    closed_by: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("jsonb_typeof(weights) = 'object'", name="weights_by_criterion"),
        CheckConstraint("NOT isempty(known) AND NOT lower_inf(known)", name="known_has_start"),
        ExcludeConstraint(
            (column("park_id"), "="),
            (column("known"), "&&"),
            using="gist",
            name="ex_match_policies_one_of_a_park",
        ),
        ExcludeConstraint(
            (column("known"), "&&"),
            where=text("park_id IS NULL"),
            using="gist",
            name="ex_match_policies_one_of_the_house",
        ),
    )


class MatchReceipt(Base):
    """匹配回执: one answer, what it was made of, and the hash over all of it. Never changed."""

    __tablename__ = "match_receipts"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    request_id: Mapped[UUID] = mapped_column(ForeignKey("space_requests.id", ondelete="RESTRICT"))
    request_version: Mapped[int] = mapped_column(BigInteger)
    asked_by: Mapped[str] = mapped_column(comment="the actor who asked")
    names_firms: Mapped[bool] = mapped_column(
        comment="whether the answer names other firms; then it is for staff alone"
    )
    park_ids: Mapped[list[UUID] | None] = mapped_column(
        ARRAY(Uuid), comment="parks whose firms may be named in it; null: all"
    )
    asked: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="the question as it was put")
    demand: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="needs, weights, growth and day: all that the answer follows from"
    )
    rules_version: Mapped[str] = mapped_column(comment="of every table that had a say")
    snapshot: Mapped[str] = mapped_column(comment="name of the state of the ledger that was seen")
    seen: Mapped[str | None] = mapped_column(
        comment="transactions that were seen, as pg_snapshot; null: snapshot says them"
    )
    as_of: Mapped[datetime] = mapped_column(comment="the instant whose claims were believed")
    answer: Mapped[bytes] = mapped_column(LargeBinary, comment="canonical JSON (RFC 8259, UTF-8)")
    sha256: Mapped[bytes] = mapped_column(LargeBinary, comment="over all other columns but seen")
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("octet_length(sha256) = 32", name="sha256_whole"),
        Index("ix_match_receipts_request_id", "request_id"),
    )


class MatchEvent(Base):
    """匹配变化: space began or ceased to fit an open request, or the request itself changed."""

    __tablename__ = "match_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    uid: Mapped[UUID] = mapped_column(
        server_default=func.gen_random_uuid(),
        comment="its id for callers: id counts the events of everybody",
    )
    request_id: Mapped[UUID] = mapped_column(ForeignKey("space_requests.id", ondelete="RESTRICT"))
    request_version: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    candidate_kind: Mapped[str | None] = mapped_column(comment="unit | part | places | bundle")
    unit_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), comment="the space it is about")
    first_day: Mapped[date | None] = mapped_column(
        Date, comment="from which day it fits, or would have"
    )
    changes: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, comment="each constraint that is judged otherwise than before, with both words"
    )
    words_zh: Mapped[str] = mapped_column(Text)
    words_en: Mapped[str] = mapped_column(Text)
    snapshot: Mapped[str] = mapped_column(comment="transactions that were seen when it was found")
    at: Mapped[datetime] = mapped_column(comment="when it was found")
    mark: Mapped[bytes] = mapped_column(
        LargeBinary, comment="SHA-256 of what happened to what in which snapshot: no event twice"
    )

    __table_args__ = (
        CheckConstraint("kind IN ('fits', 'fits_no_more', 'request_changed')", name="kind_known"),
        UniqueConstraint("mark"),
        Index("ix_match_events_request_id_id", "request_id", "id"),
    )


class MatchWatch(Base):
    """How far the watch over open requests has read the changes of space: one row."""

    __tablename__ = "match_watches"

    name: Mapped[str] = mapped_column(primary_key=True)
    snapshot: Mapped[str] = mapped_column(comment="transactions that were judged, as pg_snapshot")
    at: Mapped[datetime] = mapped_column(comment="up to when claims were seen to lapse")


class WatchedRequest(Base):
    """The version of an open request that the watch last judged, with its needs."""

    __tablename__ = "watched_requests"

    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("space_requests.id", ondelete="RESTRICT"), primary_key=True
    )
    request_version: Mapped[int] = mapped_column(BigInteger)
    needs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
