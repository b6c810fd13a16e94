"""Small made-up worlds for bundles: a few units on a few floors, told in a few words each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demand.rules import SpaceTerms, Spread
from app.kernel.terms import UnitType
from app.matching.columns import COLUMNS, FACILITIES, NEVER
from app.matching.engine.judge import is_absent
from app.matching.engine.program import Program, make_program
from app.matching.forms import Intervals, Special
from app.matching.rules.constraint import Combining
from app.matching.rules.demand import Demand, Window
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import ParkInfo, Raw, Segment, assemble

TODAY = date(2026, 11, 22)
DAY = TODAY.toordinal()
#: The score's affair.
TERMS = SpaceTerms(Spread(1, 1, 1), 0, Spread(1, 1, 1), "tests", "assumption")
#: Free from long ago, for ever.
FREE = ((0, 1.0),)

Steps = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Unit:
    """A unit; ``free`` are days from today on which the free share of it changes."""

    floor: int
    area_m2: float | None = 100.0
    kind: str = "pilot"
    free: Steps = FREE
    more: Mapping[str, Any] = field(default_factory=dict)
    applies: tuple[int, int] = (0, NEVER)


@dataclass(frozen=True)
class World:
    """Floors are ``(building, level)``; walls are pairs of units; links are as in ``Raw``.

    ``power`` is what each building is fed with, kVA; ``used`` are ``(building, day, kVA)``.
    """

    floors: Sequence[tuple[int, int]]
    units: Sequence[Unit]
    walls: Sequence[tuple[int, int]] = ()
    links: Sequence[tuple[int, int, int, int]] = ()
    power: Mapping[int, float] = field(default_factory=dict)
    used: Sequence[tuple[int, int, float]] = ()
    stale: frozenset[int] = frozenset()

    @property
    def segment(self) -> Segment:
        """The world, with the unit at place *i* numbered *i* + 1."""
        buildings = 1 + max(building for building, _ in self.floors)
        capacities = [
            100 if one.area_m2 is None else round(one.area_m2 * 100) for one in self.units
        ]
        made = assemble(
            Raw(
                parks=(ParkInfo("park", frozenset({"park"}), frozenset({"zone"})),),
                land_use_codes=("M1",),
                buildings=_buildings(buildings, self.power),
                floors={
                    "fid": np.arange(len(self.floors)),
                    "building": np.array([building for building, _ in self.floors]),
                    "level_index": np.array([level for _, level in self.floors]),
                },
                units={
                    "fid": np.arange(len(self.units)) + 1,
                    "floor": np.array([one.floor for one in self.units]),
                    "applies_from": np.array([one.applies[0] for one in self.units]),
                    "applies_until": np.array([one.applies[1] for one in self.units]),
                    **_cells(self.units, capacities),
                },
                steps=_columns(
                    (place, DAY + day if day else 1, round(share * capacities[place]))
                    for place, one in enumerate(self.units)
                    for day, share in one.free
                ),
                power=_columns((at, DAY + day, round(kva * 10)) for at, day, kva in self.used),
                walls=_columns(self.walls, 2),
                links=np.array(self.links, dtype=np.int32).reshape(-1, 4),
            )
        )
        stale = np.array([place in self.stale for place in range(buildings)])
        return replace(made, buildings=replace(made.buildings, stale=stale))


def _buildings(count: int, power: Mapping[int, float]) -> dict[str, NDArray[Any]]:
    column = COLUMNS["power_kva"]
    return {
        "fid": np.arange(count),
        "code": np.array([f"b{place}" for place in range(count)], dtype=object),
        "park": np.zeros(count),
        "land_use": np.zeros(count),
        "centre": np.zeros((count, 2)),
        "distances": np.zeros((len(FACILITIES), count)),
        "height": np.full(count, 2400),
        "floors_above": np.full(count, 4),
        "power_kva": np.array([column.cell(power.get(place)) for place in range(count)]),
    }


def _cells(units: Sequence[Unit], capacities: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    def cell(name: str, unit: Unit, capacity: int) -> int:
        if name == "capacity":
            return capacity
        usual = {
            "unit_type": unit.kind,
            "capacity_measure": "m2",
            "leasable_area_m2": unit.area_m2,
            "rent_cny_per_m2_day": 3.0,
        }
        return COLUMNS[name].cell({**usual, **unit.more}.get(name))

    return {
        name: np.array(
            [cell(name, *one) for one in zip(units, capacities, strict=True)], dtype=np.int64
        )
        for name in COLUMNS
        if name != "first_free"
    }


def _columns(rows: Iterable[tuple[int, ...]], width: int = 3) -> Any:
    table = np.array(list(rows), dtype=np.int32).reshape(-1, width)
    return tuple(table[np.lexsort((table[:, 1], table[:, 0]))].T)


def program_of(
    segment: Segment,
    slack_days: int = 0,
    term_months: int = 12,
    target_m2: float | None = None,
    **needs: Any,
) -> Program:
    """A program of hard needs for space that is free within some days from today."""
    window = Window(TODAY, TODAY + timedelta(days=slack_days), term_months)
    demand = Demand(
        hard={"unit_type": UnitType.PILOT.value, "availability": window, **needs},
        soft={},
        window=window,
        terms=TERMS,
        rules_version="",
        target_area_m2=target_m2,
    )
    return make_program(segment, demand, CONSTRAINTS)


def eligible_of(program: Program) -> NDArray[np.bool_]:
    """What ``find_bundles`` wants to be told, by the plain judge."""
    return np.array([_is_eligible(program, row) for row in range(*program.kind_rows)], dtype=bool)


def _is_eligible(program: Program, row: int) -> bool:
    segment = program.segment

    def lies_within(one: Any) -> bool:
        column = COLUMNS[one.column]
        cell = int(segment.column(one.column)[row])
        return bool(one.or_unknown if cell == column.width.unknown else one.low <= cell <= one.high)

    for constraint, form in zip(program.active, program.forms, strict=True):
        if constraint.combining is Combining.ANY or isinstance(form, Special):
            continue
        if hasattr(form, "ok"):
            if not form.ok[segment.building_of(row)]:
                return False
            continue
        tests = form.all_of if isinstance(form, Intervals) else (form,)
        summed = constraint.combining is Combining.SUM
        adds = {"capacity"} | {name for name, column in COLUMNS.items() if column.summed}
        if not all(lies_within(one) for one in tests if not (summed and one.column in adds)):
            return False
    return not is_absent(program, row)


def path(count: int) -> list[tuple[int, int]]:
    """Rooms in a row."""
    return [(place, place + 1) for place in range(count - 1)]


def ring(count: int) -> list[tuple[int, int]]:
    """Rooms around a core."""
    return [*path(count), (count - 1, 0)] if count > 2 else path(count)


def star(count: int) -> list[tuple[int, int]]:
    """Rooms around a hall."""
    return [(0, place) for place in range(1, count)]


def grid(rows: int, columns: int) -> list[tuple[int, int]]:
    """Rooms back to back."""
    return [
        (row * columns + column, other)
        for row in range(rows)
        for column in range(columns)
        for other in (
            [row * columns + column + 1] * (column + 1 < columns)
            + [(row + 1) * columns + column] * (row + 1 < rows)
        )
    ]


def scattered(count: int, share: float, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Any two rooms share a wall by chance."""
    return [
        (one, other)
        for one in range(count)
        for other in range(one + 1, count)
        if rng.random() < share
    ]
