"""Who has which unit on which days, and since when we know: the ledger's one table."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import DATERANGE, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, one_of
from app.kernel.terms import ClaimKind
from app.models.space_change import Xid8


class Claim(Base):
    """占用: a quantity of one unit, for a half-open range of days.

    Rows are never edited: ``live`` is closed and a superseding row is written. So "free on day v,
    as known at instant k" is one query for any v and k. Triggers (migrations) keep the live
    quantities of a unit within its capacity on every day.
    """

    __tablename__ = "claims"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    commitment_id: Mapped[UUID] = mapped_column(
        comment="one promise to one company; keeps its id from hold to lease to its end"
    )
    park_id: Mapped[UUID]
    unit_id: Mapped[UUID]
    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="RESTRICT"))
    space_request_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("space_requests.id", ondelete="RESTRICT"), index=True
    )
    kind: Mapped[str] = mapped_column(
        comment="hold | lease | works | out_of_service | clearing | reservation"
    )
    quantity: Mapped[Decimal] = mapped_column(comment="in the unit's own measure")
    whole: Mapped[bool] = mapped_column(Boolean, comment="the unit's whole capacity")
    period: Mapped[Range[date]] = mapped_column(
        DATERANGE, comment="Shanghai civil days on which the space is used, half-open"
    )
    live: Mapped[Range[datetime]] = mapped_column(
        TSTZRANGE,
        comment="when we believed it: [created, expiry) for a hold, [signed, ∞) for a lease",
    )
    supersedes_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("claims.id", ondelete="RESTRICT"), index=True
    )
    placed_by: Mapped[str] = mapped_column(comment="the actor who placed it")
    closed_by: Mapped[str | None] = mapped_column(comment="the actor who closed it before its time")
    was_to_lapse_at: Mapped[datetime | None] = mapped_column(
        comment="what live was to end at, where it was closed before"
    )
    synthetic: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    made_xid: Mapped[int] = mapped_column(
        Xid8(),
        server_default=text("pg_current_xact_id()"),
        comment="the transaction that made it",
    )
    closed_xid: Mapped[int | None] = mapped_column(Xid8(), comment="the transaction that closed it")
    accepting: Mapped[list[str]] = mapped_column(
        ARRAY(Text),
        server_default=text("'{}'"),
        comment="rules of the request that were knowingly waived when this was promised",
    )

    __table_args__ = (
        ForeignKeyConstraint(
            ["unit_id", "park_id"],
            ["units.id", "units.park_id"],
            ondelete="RESTRICT",
            name="fk_claims_unit_id_park_id_units",
        ),
        one_of("kind", ClaimKind),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("NOT isempty(period) AND NOT lower_inf(period)", name="period_has_start"),
        CheckConstraint(
            "isfinite(lower(period)) AND (upper_inf(period) OR isfinite(upper(period)))",
            name="period_finite",
        ),
        CheckConstraint("NOT isempty(live) AND NOT lower_inf(live)", name="live_has_start"),
        CheckConstraint("kind <> 'hold' OR NOT upper_inf(live)", name="hold_expires"),
        CheckConstraint(
            "company_id IS NOT NULL OR kind NOT IN ('hold', 'lease')", name="promised_to_someone"
        ),
        CheckConstraint(
            "was_to_lapse_at IS NULL OR closed_by IS NOT NULL AND upper(live) <= was_to_lapse_at",
            name="lapse_kept_when_closed",
        ),
        ExcludeConstraint(
            ("park_id", "="),
            ("unit_id", "="),
            ("period", "&&"),
            ("live", "&&"),
            where=text("whole"),
            using="gist",
            name="ex_claims_whole_unit",
        ),
        Index("ix_claims_unit_id", "unit_id"),
        Index("ix_claims_commitment_id", "commitment_id"),
        Index("ix_claims_company_id", "company_id"),
        Index(
            "ix_claims_lapses_at",
            text("upper(live)"),
            postgresql_where=text("NOT upper_inf(live)"),
        ),
    )


#: The view of what is taken, without by whom: all of it, whoever asks.
occupancy = Table(
    "occupancy",
    MetaData(),
    *(
        Column(name, Claim.__table__.c[name].type)
        for name in (
            *("commitment_id", "park_id", "unit_id", "kind", "quantity", "whole", "period"),
            *("live", "was_to_lapse_at", "made_xid", "closed_xid"),
        )
    ),
)
