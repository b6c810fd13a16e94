"""Adds everything up again, from the rows and not from what the generator meant.

It is run before every load: a fault stops the load, because totals are promises, not luck.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import cast
from uuid import UUID

import numpy as np
import shapely
from numpy.typing import NDArray

from app.kernel.ids import reference_id
from app.kernel.terms import MilestoneStep
from app.seeding.allotment import centi
from app.seeding.dataset import Dataset
from app.seeding.files import Reference
from app.seeding.frames import Frame
from app.seeding.records import (
    BuildingLink,
    Claim,
    Milestone,
    Placed,
    Programme,
    ProgrammeBuilding,
)

#: One centimetre in degrees, as the database's rules forgive it.
_FORGIVEN_DEGREES = 1e-7
#: No passage is longer than this, m.
_LONGEST_PASSAGE_M = 60.0
_STARTED_IN = 2023
_ROOT = "standard_plants"


def faults(dataset: Dataset, reference: Reference) -> Iterator[str]:
    """What does not add up, nest or fit; nothing when all is well."""
    yield from _areas(dataset)
    yield from _programmes(dataset, reference)
    yield from _parks(dataset, reference)
    yield from _nesting(dataset)
    yield from _technical(dataset)
    yield from _passages(dataset)
    yield from _ledger(dataset)


def _areas(dataset: Dataset) -> Iterator[str]:
    """Floors sum to their building; units fit on their floor."""
    floors: dict[UUID, int] = defaultdict(int)
    units: dict[UUID, int] = defaultdict(int)
    for floor in dataset.space.floors:
        floors[floor.building_id] += centi(floor.gross_floor_area_m2)
    for unit in dataset.space.units:
        units[unit.floor_id] += centi(unit.leasable_area_m2)
    for building in dataset.space.buildings:
        if floors[building.id] != centi(building.gross_floor_area_m2):
            yield f"the floors of {building.code} do not sum to its gross floor area"
    for floor in dataset.space.floors:
        if units[floor.id] > centi(floor.gross_floor_area_m2):
            yield f"the units of {floor.code} are larger than the floor"


def programme_areas(dataset: Dataset) -> Mapping[UUID, int]:
    """Floor area of each programme, counted from its buildings' floors, centi-m²."""
    floors: dict[UUID, int] = defaultdict(int)
    for floor in dataset.space.floors:
        floors[floor.building_id] += centi(floor.gross_floor_area_m2)
    areas: dict[UUID, int] = defaultdict(int)
    for link in cast("list[ProgrammeBuilding]", dataset.tables["programme_buildings"]):
        areas[link.programme_id] += floors[link.building_id]
    return areas


def started_in(dataset: Dataset, year: int) -> int:
    """Floor area of standard-plant projects that were started in a year, centi-m²."""
    areas = programme_areas(dataset)
    root = reference_id("programmes", _ROOT)
    rows = cast("list[Programme]", dataset.tables["programmes"])
    parents = {row.id: row.parent_programme_id for row in rows}
    leaves = set(parents) - set(parents.values())
    started = {
        row.programme_id
        for row in cast("list[Milestone]", dataset.tables["programme_milestones"])
        if row.step == MilestoneStep.STARTED and row.actual_on and row.actual_on.year == year
    }

    def reaches_root(programme: UUID | None) -> bool:
        return programme == root or (programme is not None and reaches_root(parents[programme]))

    # A published project without figures has a made-up one below it, which carries its date too.
    return sum(areas[row] for row in started & leaves if reaches_root(row))


def _programmes(dataset: Dataset, reference: Reference) -> Iterator[str]:
    areas = programme_areas(dataset)
    for row in cast("list[Programme]", dataset.tables["programmes"]):
        target = row.target_floor_area_m2
        if row.id in areas and target is not None and areas[row.id] != centi(Decimal(target)):
            yield f"the buildings of {row.code} sum to {areas[row.id] / 100} m², not {target}"
    milestones = reference.programmes[_ROOT].milestone
    wanted = sum(centi(Decimal(row.floor_area_m2 or 0)) for row in milestones)
    if started_in(dataset, _STARTED_IN) != wanted:
        yield (
            f"{started_in(dataset, _STARTED_IN) / 100} m² were started in {_STARTED_IN}, "
            f"not {wanted / 100}"
        )


def _parks(dataset: Dataset, reference: Reference) -> Iterator[str]:
    """Parks that published how much they will hold must hold it, with the parks inside them."""
    for park in reference.parks.values():
        if park.planned_floor_area_m2 is None:
            continue
        inside = {
            reference_id("parks", row.code)
            for row in reference.parks.values()
            if park.code in _ancestry(reference, row.code)
        }
        total = sum(
            centi(building.gross_floor_area_m2)
            for building in dataset.space.buildings
            if building.park_id in inside
        )
        if total != centi(Decimal(park.planned_floor_area_m2)):
            yield f"{park.code} holds {total / 100} m², not {park.planned_floor_area_m2}"


def _ancestry(reference: Reference, code: str | None) -> set[str]:
    return {code} | _ancestry(reference, reference.parks[code].parent) if code else set()


def _nesting(dataset: Dataset) -> Iterator[str]:
    space = dataset.space
    shapes = {
        row.id: shapely.from_wkb(row.geom)
        for rows in (space.parcels, space.buildings, space.floors, space.units)
        for row in rows
    }
    pairs = [
        *(("building", row.code, row.id, row.parcel_id) for row in space.buildings),
        *(("floor", row.code, row.id, row.building_id) for row in space.floors),
        *(("unit", row.code, row.id, row.floor_id) for row in space.units),
    ]
    inner = np.array([shapes[inside] for _, _, inside, _ in pairs], dtype=object)
    outer = np.array([shapes[around] for _, _, _, around in pairs], dtype=object)
    for place in np.flatnonzero(~shapely.is_valid(inner)):
        yield f"{pairs[place][0]} {pairs[place][1]} is not a valid polygon"
    wide = shapely.buffer(outer, _FORGIVEN_DEGREES, join_style="mitre")
    for place in np.flatnonzero(~shapely.covers(wide, inner)):
        yield f"{pairs[place][0]} {pairs[place][1]} reaches outside what it stands in"
    yield from _overlaps("parcels", [(row.code, row.id) for row in space.parcels], shapes)
    for floor, rooms in _by_floor(dataset).items():
        yield from _overlaps(f"units of floor {floor}", rooms, shapes)


def _by_floor(dataset: Dataset) -> Mapping[UUID, list[tuple[str, UUID]]]:
    floors: dict[UUID, list[tuple[str, UUID]]] = defaultdict(list)
    for unit in dataset.space.units:
        floors[unit.floor_id].append((unit.code, unit.id))
    return floors


def _overlaps(
    what: str, rows: list[tuple[str, UUID]], shapes: Mapping[UUID, object]
) -> Iterator[str]:
    if len(rows) == 1:
        return
    drawn: NDArray[np.object_] = np.array([shapes[row] for _, row in rows], dtype=object)
    tree = shapely.STRtree(drawn)
    first, second = tree.query(drawn, predicate="intersects")
    for a, b in zip(first, second, strict=True):
        # Degrees squared: 1e-12 is about 0.01 m² at this latitude.
        if a < b and shapely.area(shapely.intersection(drawn[a], drawn[b])) > 1e-12:  # noqa: PLR2004
            yield f"{what}: {rows[a][0]} and {rows[b][0]} overlap"


def _technical(dataset: Dataset) -> Iterator[str]:
    floors = {floor.id: floor for floor in dataset.space.floors}
    for unit in dataset.space.units:
        floor = floors[unit.floor_id]
        if (unit.floor_load_kn_m2, unit.clear_height_m) != (
            floor.floor_load_kn_m2,
            floor.clear_height_m,
        ):
            yield f"load or height of {unit.code} is not its floor's"
    for rows in dataset.tables.values():
        for row in rows:
            if isinstance(row, Placed) and not (row.source and row.confidence):
                yield f"a row of {row.table} has no source or confidence"


def _passages(dataset: Dataset) -> Iterator[str]:
    """A passage joins floors that are there, of buildings that stand close."""
    buildings = {building.id: building for building in dataset.space.buildings}
    floors = {(floor.building_id, floor.level_index) for floor in dataset.space.floors}
    for link in cast("list[BuildingLink]", dataset.tables["building_links"]):
        ends = (link.building_a_id, link.building_b_id)
        one, other = (buildings[end] for end in ends)
        name = f"the passage of {one.code} and {other.code}"
        if not {(ends[0], link.level_a), (ends[1], link.level_b)} <= floors:
            yield f"{name} leads to a floor that is not there"
        shapes = shapely.from_wkb([one.geom, other.geom])
        apart_m = shapely.distance(*(Frame(0.0).local(shape) for shape in shapes))
        if apart_m > _LONGEST_PASSAGE_M:
            yield f"{name} would be {apart_m:.0f} m long"


def _ledger(dataset: Dataset) -> Iterator[str]:
    """On no day more is promised than there is."""
    changes: dict[UUID, list[tuple[date, Decimal]]] = defaultdict(list)
    for claim in cast("list[Claim]", dataset.tables["claims"]):
        changes[claim.unit_id].append((claim.period.start, claim.quantity))
        if claim.period.end is not None:
            changes[claim.unit_id].append((claim.period.end, -claim.quantity))
    for unit in dataset.space.units:
        level = Decimal(0)
        # On one day the ends come first: periods are half-open.
        for day, change in sorted(changes[unit.id]):
            level += change
            if level > unit.capacity or day < unit.usable.start:
                yield f"{unit.code} is promised beyond its capacity or before it is usable"
                break
