"""Which buildings changed in which transaction: the log that snapshots follow."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from app.database.base import Base


class Xid8(UserDefinedType[int]):
    """The number of a transaction, 64 bits wide, so that none comes twice."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Its name in SQL."""
        return "XID8"

    def bind_processor(self, dialect: Dialect) -> Callable[[int | None], str | None]:  # noqa: ARG002
        """As text, which PostgreSQL reads as what it is compared with."""
        return lambda value: None if value is None else str(value)

    def result_processor(
        self,
        dialect: Dialect,  # noqa: ARG002
        coltype: object,  # noqa: ARG002
    ) -> Callable[[str | None], int | None]:
        """From the driver's text."""
        return lambda value: None if value is None else int(value)


# So that the schema's reflection knows the type.
ischema_names["xid8"] = Xid8


class SpaceChange(Base):
    """A building in which something changed: units, claims, floors, its land, its links.

    Readers remember the ``pg_snapshot`` they read at, and read what it had not seen: a transaction
    that commits late is found, however low its ``seq``. Rows older than some days are dropped, the
    oldest transactions first, and never the last of them: whoever finds that the log begins after
    the place where he left it reads everything.
    """

    __tablename__ = "space_changes"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    xid: Mapped[int] = mapped_column(
        Xid8(),
        server_default=text("pg_current_xact_id()"),
        comment="the transaction, never one inside it",
    )
    building_id: Mapped[UUID | None] = mapped_column(comment="null: everything")
    changed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (UniqueConstraint("xid", "building_id", postgresql_nulls_not_distinct=True),)
