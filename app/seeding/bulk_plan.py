"""How many benchmark parks a number of units needs, and where they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.kernel.ids import reference_id
from app.seeding.bulk_types import BULK_TYPES, CYCLE
from app.seeding.frames import Box, plane_point

#: Raised when the same arguments would give other rows than before.
VERSION = 2
FLOORS = 5
FIRMS = 1000
#: Share of the units that are let today, percent, unless another is asked for.
LET_PCT = 78
PARCELS_ACROSS, PARCELS_UP, PER_PARCEL = 10, 20, 4
PARCEL_M = (180.0, 130.0)
ROAD_M = 12.0
BUILDINGS_PER_PARK = PARCELS_ACROSS * PARCELS_UP * PER_PARCEL
_PARK_M = (
    PARCELS_ACROSS * (PARCEL_M[0] + ROAD_M) + 40.0,
    PARCELS_UP * (PARCEL_M[1] + ROAD_M) + 40.0,
)
#: South-western corner of the grid of parks, degrees, and how many parks lie side by side.
_CORNER = (122.02, 30.72)
_ACROSS, _UP = 7, 34
_UNITS_IN_CYCLE = sum(BULK_TYPES[kind].per_floor * FLOORS for kind in CYCLE)


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """What is going to be made: ``park_ids`` in the order of their places."""

    name: str
    units: int
    seed: int
    first_place: int
    park_ids: tuple[UUID, ...]
    let_pct: int = LET_PCT

    @property
    def zone(self) -> str:
        """Code of the zone all parks are in."""
        return self.name


@dataclass(frozen=True, slots=True)
class BulkPart:
    """Lines of one table for COPY."""

    table: str
    columns: Sequence[str]
    count: int
    chunks: Sequence[bytes]


def plan_parks(units: int, seed: int, first_place: int, *, let_pct: int = LET_PCT) -> BulkPlan:
    """How many parks the units need.

    Args:
        units: how many, at least 1.
        seed: decides names and every drawn value.
        first_place: how many places of the grid are taken already.
        let_pct: share of the units that are let today, percent.

    Raises:
        ValueError: ``units`` is not positive, the share is none, or the sea is full.
    """
    if units < 1:
        raise ValueError("the number of units must be positive")
    if not 0 <= let_pct <= 100:  # noqa: PLR2004 - percent
        raise ValueError(f"{let_pct} % of the units cannot be let")
    buildings = _buildings_for(units)
    parks = -(-buildings // BUILDINGS_PER_PARK)
    if first_place + parks > _ACROSS * _UP:
        room = max(0, _ACROSS * _UP - first_place) * BUILDINGS_PER_PARK // len(CYCLE)
        raise ValueError(f"there is room for about {room * _UNITS_IN_CYCLE:,} more units")
    name = f"bench_{seed}"
    ids = tuple(reference_id("parks", f"{name}_{number}") for number in range(parks))
    return BulkPlan(name, units, seed, first_place, ids, let_pct)


def _buildings_for(units: int) -> int:
    cycles, left = divmod(units, _UNITS_IN_CYCLE)
    count = cycles * len(CYCLE)
    for kind in CYCLE:
        if left <= 0:
            break
        left -= BULK_TYPES[kind].per_floor * FLOORS
        count += 1
    return count


def park_box(plan: BulkPlan, number: int) -> Box:
    """Ground of the plan's park with this number, in the unturned frame's metres."""
    column, line = (plan.first_place + number) % _ACROSS, (plan.first_place + number) // _ACROSS
    x, y = plane_point(*_CORNER)
    # Parks stand 30 m apart.
    x0, y0 = x + column * (_PARK_M[0] + 30), y + line * (_PARK_M[1] + 30)
    return Box(x0, y0, x0 + _PARK_M[0], y0 + _PARK_M[1])


def firm_rows() -> list[Mapping[str, object]]:
    """The tenants of all generated parks; the same for every seed."""
    return [
        {
            "id": reference_id("companies", f"bench-{number}"),
            "name_zh": f"压测企业{number:04}（合成）",
            "name_en": f"Benchmark Firm {number:04} (synthetic)",
            "number": number,
        }
        for number in range(FIRMS)
    ]
