"""Parks of any size for benchmarks: a thousand units or a million, in the same way.

Everything is made park by park with arrays, so that memory stays small, and sent as COPY lines.
The parks lie over the sea off the mouth of the Yangtze, inside Shanghai's bounds, on a grid of
places; nothing about them is meant to be real, and every row says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon

from app.kernel.ids import reference_id
from app.seeding.bulk_plan import (
    BUILDINGS_PER_PARK,
    FIRMS,
    FLOORS,
    PARCEL_M,
    PARCELS_ACROSS,
    PER_PARCEL,
    ROAD_M,
    VERSION,
    BulkPart,
    BulkPlan,
    firm_rows,
    park_box,
)
from app.seeding.bulk_types import BULK_TYPES, CYCLE, Pattern, patterns
from app.seeding.copying import encoded_values
from app.seeding.dataset import Progress
from app.seeding.frames import Box, Floats, Frame, as_array, ewkb
from app.seeding.plots import units_on, walls_between
from app.seeding.space import AS_OF

_FOLLOWED_PCT = 8
_LEASE_CHOICES = 4096


def parts(plan: BulkPlan, progress: Progress) -> Iterator[BulkPart]:
    """All lines, parents before children, park by park."""
    yield _lines("zones", [_zone_row(plan)])
    left = plan.units
    for number in range(len(plan.park_ids)):
        park = _ParkMaker(plan, number, left)
        yield from park.parts()
        left -= park.unit_count
        progress("generating units", plan.units - left, plan.units)


def _provenance(plan: BulkPlan) -> dict[str, object]:
    return {
        "source": f"bulk generator v{VERSION}, seed {plan.seed}",
        "confidence": "assumption",
        "synthetic": True,
        "source_datum": "WGS84",
        "geometry_quality": "schematic",
        "position_accuracy_m": None,
    }


def _zone_row(plan: BulkPlan) -> dict[str, object]:
    grounds = [park_box(plan, number) for number in range(len(plan.park_ids))]
    ground = MultiPolygon(list(Frame(0.0).polygons(as_array(grounds))))
    return {
        "id": reference_id("zones", plan.zone),
        "code": plan.zone,
        "layout_role": "special",
        "seq": 1000 + plan.first_place,
        "name_zh": f"压测区 {plan.seed}（合成，位于海上）",
        "name_en": f"Benchmark zone {plan.seed} (synthetic, at sea)",
        "district": "（无）",
        "management_area": None,
        "focus_sectors": ("benchmark",),
        "published_area_m2": None,
        "published_area_note": None,
        **_provenance(plan),
        "geom": ewkb(np.array([ground], dtype=object))[0],
    }


def _lines(table: str, rows: Sequence[Mapping[str, object]]) -> BulkPart:
    return BulkPart(
        table,
        tuple(rows[0]),
        len(rows),
        [b"".join(encoded_values(row.values()) for row in rows)],
    )


class _ParkMaker:
    """One park with its parcels, buildings, floors, units and leases."""

    def __init__(self, plan: BulkPlan, number: int, units_left: int) -> None:
        self._plan = plan
        self._number = number
        self._random = np.random.default_rng([plan.seed, number])
        self._box = park_box(plan, number)
        first = number * BUILDINGS_PER_PARK
        kinds = [CYCLE[(first + place) % len(CYCLE)] for place in range(BUILDINGS_PER_PARK)]
        sizes = np.array([BULK_TYPES[kind].per_floor for kind in kinds], dtype=np.int64)
        running = np.cumsum(sizes) * FLOORS
        buildings = min(int(np.searchsorted(running, units_left)) + 1, BUILDINGS_PER_PARK)
        self._kinds = np.array(kinds[:buildings], dtype=np.int64)
        self.unit_count = min(units_left, int(running[buildings - 1]))
        self._code = f"B{plan.seed}-{number:03}"

    def parts(self) -> Iterator[BulkPart]:
        """Lines of the park's tables, parents first."""
        frame = Frame(0.0)
        plan, box = self._plan, self._box
        ground = MultiPolygon([frame.polygons(as_array([box]))[0]])
        park_id = str(plan.park_ids[self._number])
        yield _lines("parks", [self._park_row(park_id, ground)])

        buildings = len(self._kinds)
        parcels = -(-buildings // PER_PARCEL)
        corner = self._corners(parcels)
        parcel_ids = self._ids(parcels)
        yield self._parcel_lines(park_id, parcel_ids, frame, corner)

        building_ids = self._ids(buildings)
        footprints = self._footprints(corner, buildings)
        yield self._building_lines(park_id, parcel_ids, building_ids, frame, footprints)

        floor_ids = self._ids(buildings * FLOORS)
        yield self._floor_lines(park_id, building_ids, floor_ids, frame, footprints)

        yield from self._unit_lines(park_id, building_ids, floor_ids, frame, footprints)

    def _ids(self, count: int) -> list[str]:
        text = self._random.bytes(16 * count).hex()
        return [text[place : place + 32] for place in range(0, 32 * count, 32)]

    def _park_row(self, park_id: str, ground: MultiPolygon) -> dict[str, object]:
        plan = self._plan
        return {
            "id": park_id,
            "zone_id": reference_id("zones", plan.zone),
            "code": f"{plan.name}_{self._number}",
            "name_zh": f"压测园区 {plan.seed}-{self._number}（合成）",
            "name_en": f"Benchmark park {plan.seed}-{self._number} (synthetic)",
            "layout_role": "special",
            "carrier_type": "special_park",
            "district": "（无）",
            "focus_sectors": ("benchmark",),
            **_provenance(plan),
            "geom": ewkb(np.array([ground], dtype=object))[0],
        }

    def _corners(self, parcels: int) -> Floats:
        place = np.arange(parcels)
        x = self._box.x0 + 20 + (place % PARCELS_ACROSS) * (PARCEL_M[0] + ROAD_M)
        y = self._box.y0 + 20 + (place // PARCELS_ACROSS) * (PARCEL_M[1] + ROAD_M)
        return np.column_stack([x, y])

    def _footprints(self, corner: Floats, buildings: int) -> Floats:
        place = np.arange(buildings)
        half = (PARCEL_M[0] / 2, PARCEL_M[1] / 2)
        x = corner[place // PER_PARCEL, 0] + (0.5 + place % 2) * half[0]
        y = corner[place // PER_PARCEL, 1] + (0.5 + place // 2 % 2) * half[1]
        width = np.array([kind.plate_m[0] for kind in BULK_TYPES])[self._kinds]
        depth = np.array([kind.plate_m[1] for kind in BULK_TYPES])[self._kinds]
        return np.column_stack([x - width / 2, y - depth / 2, x + width / 2, y + depth / 2])

    def _parcel_lines(
        self, park_id: str, parcel_ids: list[str], frame: Frame, corner: Floats
    ) -> BulkPart:
        geoms = frame.ewkb(np.column_stack([corner, corner + np.array(PARCEL_M)]))
        constant = {
            "land_use_code": "M2/M4",
            "floor_area_ratio_max": Decimal("3.0"),
            "tenure": "lease",
            **_provenance(self._plan),
        }
        return self._part(
            "parcels",
            ("id", "park_id", "code", "name_zh", "name_en", "geom"),
            constant,
            [
                f"{identity}\t{park_id}\t{self._code}-P{place:03}\t压测地块 {place:03}（合成）"
                f"\tBenchmark plot {place:03} (synthetic)\t{geom}"
                for place, (identity, geom) in enumerate(zip(parcel_ids, geoms, strict=True))
            ],
        )

    def _building_lines(
        self,
        park_id: str,
        parcel_ids: list[str],
        building_ids: list[str],
        frame: Frame,
        footprints: Floats,
    ) -> BulkPart:
        constant = {
            "carrier_type": "special_park",
            "physical_state": "fitted",
            "delivered_on": date(2024, 1, 1),
            "floors_above": FLOORS,
            "floors_below": 0,
            "power_capacity_kva": Decimal(4000),
            **_provenance(self._plan),
        }
        return self._part(
            "buildings",
            (
                "id",
                "park_id",
                "parcel_id",
                "code",
                "name_zh",
                "name_en",
                "gross_floor_area_m2",
                "geom",
            ),
            constant,
            [
                f"{identity}\t{park_id}\t{parcel_ids[place // PER_PARCEL]}"
                f"\t{self._code}-{place:03}\t压测楼 {place:03}（合成）"
                f"\tBenchmark building {place:03} (synthetic)"
                f"\t{BULK_TYPES[kind].plate_m2 * FLOORS}\t{geom}"
                for place, (identity, kind, geom) in enumerate(
                    zip(building_ids, self._kinds, frame.ewkb(footprints), strict=True)
                )
            ],
        )

    def _floor_lines(
        self,
        park_id: str,
        building_ids: list[str],
        floor_ids: list[str],
        frame: Frame,
        footprints: Floats,
    ) -> BulkPart:
        geoms = frame.ewkb(footprints)
        return self._part(
            "floors",
            (
                "id",
                "park_id",
                "building_id",
                "code",
                "level_index",
                "level_name",
                "gross_floor_area_m2",
                "storey_height_m",
                "clear_height_m",
                "floor_load_kn_m2",
                "geom",
            ),
            _provenance(self._plan),
            [
                f"{identity}\t{park_id}\t{building_ids[place // FLOORS]}"
                f"\t{self._code}-{place // FLOORS:03}-{place % FLOORS + 1}F"
                f"\t{place % FLOORS}\t{place % FLOORS + 1}F"
                f"\t{BULK_TYPES[self._kinds[place // FLOORS]].plate_m2}"
                f"\t{BULK_TYPES[self._kinds[place // FLOORS]].heights_and_load(place % FLOORS)}"
                f"\t{geoms[place // FLOORS]}"
                for place, identity in enumerate(floor_ids)
            ],
        )

    def _unit_lines(
        self,
        park_id: str,
        building_ids: list[str],
        floor_ids: list[str],
        frame: Frame,
        footprints: Floats,
    ) -> Iterator[BulkPart]:
        """Units in the order of their floors, then their walls and their leases."""
        count = self.unit_count
        floor_kinds = np.repeat(self._kinds, FLOORS)
        per_floor = np.array([kind.per_floor for kind in BULK_TYPES])[floor_kinds]
        floor = np.repeat(np.arange(len(floor_kinds)), per_floor)[:count]
        first = np.concatenate([[0], np.cumsum(per_floor)])[floor]
        room = np.arange(count) - first
        boxes = _rooms(floor_kinds[floor], room, footprints[floor // FLOORS])
        geoms = frame.ewkb(boxes)
        ids = self._ids(count)
        choices = patterns(_provenance(self._plan))
        chosen = self._random.integers(len(choices[0][0]), size=count)
        rows = [
            choices[kind][0 if level == 0 else 1][variant]
            for kind, level, variant in zip(
                floor_kinds[floor].tolist(), (floor % FLOORS).tolist(), chosen.tolist(), strict=True
            )
        ]
        codes = [
            f"{self._code}-{at // FLOORS:03}-{at % FLOORS + 1}F-{place + 1:02}"
            for at, place in zip(floor.tolist(), room.tolist(), strict=True)
        ]
        lines = [
            f"{identity}\t{park_id}\t{building_ids[at // FLOORS]}\t{floor_ids[at]}\t{code}"
            f"\t压测房源 {code}\tBenchmark unit {code}\t{geom}\t{row.line}\n"
            for identity, at, code, geom, row in zip(
                ids, floor.tolist(), codes, geoms, rows, strict=True
            )
        ]
        names = ("id", "park_id", "building_id", "floor_id", "code", "name_zh", "name_en", "geom")
        yield BulkPart("units", (*names, *rows[0].columns), count, ["".join(lines).encode()])
        yield from self._wall_lines(ids, floor_kinds, first)
        yield self._claim_lines(park_id, ids, rows)

    @staticmethod
    def _wall_lines(
        units: list[str], floor_kinds: NDArray[np.int64], first: NDArray[np.int64]
    ) -> Iterator[BulkPart]:
        """Walls as they would be measured; ``first`` are the first units of the units' floors."""
        starts = np.unique(first)
        lines = []
        for kind, pairs in enumerate(_walls()):
            on = starts[floor_kinds[: len(starts)] == kind].tolist()
            for one, other, length_m in pairs:
                for start in on:
                    if start + other < len(units):
                        ends = sorted((units[start + one], units[start + other]))
                        lines.append(f"{ends[0]}\t{ends[1]}\t{length_m:.2f}\n")
        if lines:
            names = ("unit_id", "neighbour_id", "shared_wall_m")
            yield BulkPart("unit_walls", names, len(lines), ["".join(lines).encode()])

    def _claim_lines(self, park_id: str, units: list[str], rows: list[Pattern]) -> BulkPart:
        """One lease on most units, and a second one after some."""
        let = self._random.random(len(units)) * 100 < self._plan.let_pct
        followed = self._random.random(len(units)) * 100 < _FOLLOWED_PCT
        terms = _lease_terms(self._random)
        chosen = self._random.integers(len(terms), size=len(units)).tolist()
        firms = [str(row["id"]) for row in firm_rows()]
        tenant = self._random.integers(FIRMS, size=(len(units), 2)).tolist()
        lines = []
        for place in np.flatnonzero(let).tolist():
            now, later = terms[chosen[place]]
            first = f"{park_id}\t{units[place]}\t{rows[place].capacity}\t"
            lines.append(f"{first}{firms[tenant[place][0]]}\t{now}")
            if followed[place]:
                lines.append(f"{first}{firms[tenant[place][1]]}\t{later}")
        ids = self._ids(2 * len(lines))
        constant = {"kind": "lease", "whole": True, "placed_by": "seed", "synthetic": True}
        return self._part(
            "claims",
            (
                "id",
                "commitment_id",
                "park_id",
                "unit_id",
                "quantity",
                "company_id",
                "period",
                "live",
            ),
            constant,
            [f"{ids[2 * place]}\t{ids[2 * place + 1]}\t{line}" for place, line in enumerate(lines)],
        )

    @staticmethod
    def _part(
        table: str, names: tuple[str, ...], constant: Mapping[str, object], lines: list[str]
    ) -> BulkPart:
        """Lines that differ in ``names`` and share the constant columns."""
        tail = b"\t" + encoded_values(constant.values())
        return BulkPart(
            table,
            (*names, *constant),
            len(lines),
            [b"".join(line.encode() + tail for line in lines)],
        )


def _rooms(kinds: NDArray[np.int64], room: NDArray[np.int64], around: Floats) -> Floats:
    """Rectangles of rooms ``(n, 4)`` on floors whose rectangles are ``around``."""
    widest = max(kind.per_floor for kind in BULK_TYPES)
    shares = np.zeros((len(BULK_TYPES), widest, 4))
    for place, kind in enumerate(BULK_TYPES):
        rooms = units_on(Box(0, 0, *kind.plate_m), kind.per_floor)
        shares[place, : kind.per_floor] = as_array(rooms)
    corner = around[:, [0, 1, 0, 1]]
    result: Floats = corner + shares[kinds, room]
    return result


def _walls() -> list[list[tuple[int, int, float]]]:
    """By kind of building: which rooms of a floor share a wall, and its length, m."""
    return [
        list(walls_between(units_on(Box(0, 0, *kind.plate_m), kind.per_floor)))
        for kind in BULK_TYPES
    ]


def _lease_terms(random: np.random.Generator) -> list[tuple[str, str]]:
    """Texts of ``period`` and ``live``: of a lease that runs in late 2026, and of the next one."""
    served = random.integers(1, 1000, _LEASE_CHOICES).tolist()
    left = random.integers(60, 3600, _LEASE_CHOICES).tolist()
    return [_two_leases(*days) for days in zip(served, left, strict=True)]


def _two_leases(served_days: int, days_left: int) -> tuple[str, str]:
    start = AS_OF - timedelta(days=served_days)
    end = AS_OF + timedelta(days=30 + days_left)
    later = end + timedelta(days=1000)
    signed = start - timedelta(days=60)
    return (
        f'[{start},{end})\t["{signed}",)',
        f'[{end},{later})\t["{AS_OF - timedelta(days=30)}",)',
    )
