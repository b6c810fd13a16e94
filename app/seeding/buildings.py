"""Decides a site's buildings: how many, how many floors, how large. Whole centi-m², exact sums."""

import math
from dataclasses import dataclass

import numpy as np

from app.seeding.allotment import allot, allot_within, centi
from app.seeding.draw import Draw
from app.seeding.files import Reference
from app.seeding.plots import LETTABLE
from app.seeding.reference import BuildingTypeRow, SiteRow


@dataclass(frozen=True, slots=True)
class FloorPlan:
    """One floor: ``level`` 0 is the ground floor; areas in centi-m²."""

    level: int
    gross: int
    lettable: int


@dataclass(frozen=True, slots=True)
class BuildingPlan:
    """One building, its floors from the lowest up."""

    kind: BuildingTypeRow
    floors: tuple[FloorPlan, ...]

    @property
    def gross(self) -> int:
        """Gross floor area above and below ground, centi-m²."""
        return sum(floor.gross for floor in self.floors)

    @property
    def above(self) -> int:
        """Gross floor area above ground, centi-m²: what counts towards the floor area ratio."""
        return sum(floor.gross for floor in self.floors if floor.level >= 0)

    @property
    def footprint(self) -> int:
        """The largest floor, centi-m²; every floor stands inside it."""
        return max(floor.gross for floor in self.floors)

    @property
    def floors_above(self) -> int:
        """Number of floors above ground."""
        return sum(floor.level >= 0 for floor in self.floors)


def plan_buildings(reference: Reference, site: SiteRow, draw: Draw) -> list[BuildingPlan]:
    """The site's buildings, whose gross areas sum to the site's floor area exactly.

    Raises:
        ValueError: the types' sizes leave no room for the site's area.
    """
    kinds = _kinds(reference, site)
    storeys = [kind.floors[place % len(kind.floors)] for place, kind in enumerate(kinds)]
    low = [
        max(centi(kind.gross_m2.low), count * centi(kind.plate_m2.low))
        for kind, count in zip(kinds, storeys, strict=True)
    ]
    high = [
        min(centi(kind.gross_m2.high), count * centi(kind.plate_m2.high))
        for kind, count in zip(kinds, storeys, strict=True)
    ]
    total = centi(site.floor_area_m2)
    below = centi(site.below_ground_m2) if site.below_ground_m2 else 0
    middle = [(first + last) / 2 for first, last in zip(low, high, strict=True)]
    weights = np.array(middle) * (0.8 + 0.4 * draw.random.random(len(kinds)))
    try:
        above = allot_within(total - below, weights, low, high)
    except ValueError as error:
        raise ValueError(f"site {site.code}: {error}") from error
    floors_above = [allot(area, [1.0] * count) for area, count in zip(above, storeys, strict=True)]
    basements = _basements(kinds, floors_above, below)
    lettable = _lettable(site, floors_above)
    return [
        BuildingPlan(
            kind,
            (
                *(FloorPlan(level - len(cellars), area, 0) for level, area in enumerate(cellars)),
                *(
                    FloorPlan(level, area, let)
                    for level, (area, let) in enumerate(zip(areas, lets, strict=True))
                ),
            ),
        )
        for kind, areas, cellars, lets in zip(kinds, floors_above, basements, lettable, strict=True)
    ]


def _kinds(reference: Reference, site: SiteRow) -> list[BuildingTypeRow]:
    """Types of the site's buildings, one per building, large and small mixed."""
    types = reference.building_types
    if all(group.count is not None for group in site.groups):
        counts = [group.count or 0 for group in site.groups]
    else:
        shares = [group.share or 0 for group in site.groups]
        sizes = [
            float(types[group.type].gross_m2.low + types[group.type].gross_m2.high) / 2
            for group in site.groups
        ]
        mean = sum(share * size for share, size in zip(shares, sizes, strict=True)) / sum(shares)
        counts = allot(max(1, round(float(site.floor_area_m2) / mean)), [float(s) for s in shares])
    listed = [
        (place / count, types[group.type])
        for group, count in zip(site.groups, counts, strict=True)
        for place in range(count)
    ]
    return [kind for _, kind in sorted(listed, key=lambda one: one[0])]


def _basements(
    kinds: list[BuildingTypeRow], floors_above: list[list[int]], below: int
) -> list[list[int]]:
    """Areas of each building's basement levels; a basement may be wider than the floors above."""
    if not below:
        return [[] for _ in kinds]
    weights = [
        float(kind.basement_levels * areas[0])
        for kind, areas in zip(kinds, floors_above, strict=True)
    ]
    shares = allot(below, weights)
    return [
        allot(share, [1.0] * kind.basement_levels) if share else []
        for kind, share in zip(kinds, shares, strict=True)
    ]


def _lettable(site: SiteRow, floors: list[list[int]]) -> list[list[int]]:
    """Lettable areas of the floors above ground: as published, or the usual share of each."""
    if site.lettable_area_m2 is None:
        return [[math.floor(area * LETTABLE) for area in areas] for areas in floors]
    flat = allot(centi(site.lettable_area_m2), [float(a) for areas in floors for a in areas])
    split = iter(flat)
    return [[next(split) for _ in areas] for areas in floors]
