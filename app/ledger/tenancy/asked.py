"""What a listing of leases or holds may ask."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.inventory.filters import Day, Instant, Word
from app.inventory.known import future_faults
from app.inventory.technical import TechnicalMinima
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import UnitType
from app.ledger.commitments import HoldState, LeaseState


class TenanciesWanted(TechnicalMinima):
    """Which leases or holds: those of which any unit meets all conditions on units."""

    model_config = ConfigDict(extra="forbid")

    zone: Word | None = Field(
        default=None, description="code or id of a zone; its parks and the parks inside them"
    )
    district: Word | None = Field(
        default=None, description="行政区 in Chinese as the data write it, e.g. 浦东新区"
    )
    park: Word | None = Field(
        default=None, description="code or id of a park; the parks inside it too"
    )
    building: Word | None = Field(default=None, description="code or id of a building")
    floor: Word | None = Field(default=None, description="code or id of a floor")
    unit: Word | None = Field(default=None, description="code or id of a unit")
    type: list[UnitType] = Field(
        default=[], max_length=5, description="kinds of space; repeat for several 空间类型"
    )
    company: UUID | None = Field(default=None, description="id of a company")
    starts_from: Day | None = Field(default=None, description="first day of use: this or later")
    starts_until: Day | None = Field(default=None, description="first day of use before this one")
    ends_from: Day | None = Field(
        default=None, description="到期: `until` is this day or later", examples=["2026-12-01"]
    )
    ends_until: Day | None = Field(
        default=None,
        description="到期: `until` is before this day; what has no end is left out",
        examples=["2027-12-01"],
    )
    as_of: Instant | None = Field(
        default=None,
        description="as known at this instant; now unless told",
        examples=["2026-11-01T00:00:00Z"],
    )
    sort: Literal["until", "-until", "from", "code"] = Field(
        default="until",
        description="order: by the end (what has none last), the latest end first, the first day,"
        " or the first unit's code",
    )
    limit: int = Field(default=100, ge=1, le=1_000, description="rows a page")
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )
    updated_since: str | None = Field(
        default=None,
        max_length=500,
        description="增量读取: `changes_cursor` of an earlier answer's first page; what was written"
        " since, in whatever state it is unless told",
    )

    def require_sound(self, now: datetime) -> Self:
        """Refuse what contradicts itself.

        Raises:
            InvalidInputError: every parameter at fault.
        """
        faults = [
            Fault(last, f"must be after {first}", "query", f"须晚于 {first}")
            for first, last in (("starts_from", "starts_until"), ("ends_from", "ends_until"))
            if (start := getattr(self, first)) is not None
            and (until := getattr(self, last)) is not None
            and until <= start
        ]
        faults += future_faults(self.as_of, now)
        if faults:
            raise InvalidInputError(
                "; ".join(f"{fault.pointer} {fault.detail}" for fault in faults), faults
            )
        return self

    def scope(self) -> str:
        """Names the listing: a cursor belongs to one scope."""
        return self.model_dump_json(
            exclude={"limit", "cursor", "updated_since"}, exclude_defaults=True
        )


class LeasesWanted(TenanciesWanted):
    """Which leases."""

    state: list[LeaseState] = Field(
        default=[LeaseState.SIGNED, LeaseState.TERMINATED],
        max_length=3,
        description="租约状态; those that stand, signed or ended early, unless told",
    )
    include: list[Literal["rights"]] = Field(
        default=[],
        max_length=1,
        description="`rights`: who has a right on each unit on some day from today on, in the order"
        " of asking; for staff only",
    )

    def states(self) -> tuple[LeaseState, ...]:
        """The states to show: of what was written since, all, or what ceased to be would hide."""
        told = self.updated_since is None or "state" in self.model_fields_set
        return tuple(self.state if told else LeaseState)


class HoldsWanted(TenanciesWanted):
    """Which holds."""

    state: list[HoldState] = Field(
        default=[HoldState.HELD],
        max_length=4,
        description="锁定状态; those that stand unless told",
    )

    def states(self) -> tuple[HoldState, ...]:
        """The states to show: of what was written since, all, or what ceased to be would hide."""
        told = self.updated_since is None or "state" in self.model_fields_set
        return tuple(self.state if told else HoldState)
