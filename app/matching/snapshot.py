"""The units a request is judged against, column by column. Pure and immutable.

Every column is one numpy array of shape ``(n_units,)``; row *i* of each is the same unit. Unknown
is a value of its own in every kind of column, and no comparison with it is true:

=======  =========  =======================  =============================
kind     dtype      meaning                  unknown
=======  =========  =======================  =============================
number   float64    in the unit of its name  NaN
rank     int16      place in a vocabulary    0 (the vocabulary starts at 1)
flag     int8       1 yes, 0 no              -1
day      int32      ``date.toordinal()``     NEVER
=======  =========  =======================  =============================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.kernel.terms import (
    STRONGEST_FIRST,
    AnimalFacility,
    CapacityMeasure,
    CleanroomGrade,
    FacilityType,
    FireHazardClass,
    IsotopeClass,
    PhysicalState,
    Term,
    UnitType,
    VibrationClass,
)

Numbers = NDArray[np.float64]
Ranks = NDArray[np.int16]
Flags = NDArray[np.int8]
Days = NDArray[np.int32]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

#: The day that never comes.
NEVER = np.iinfo(np.int32).max
UNKNOWN_RANK = 0
UNKNOWN_FLAG = -1


class Kind(Enum):
    """How a column is kept."""

    NUMBER = "number"
    RANK = "rank"
    FLAG = "flag"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``order`` lists a rank's values, weakest first."""

    name: str
    kind: Kind
    order: tuple[str, ...] = ()
    terms: type[Term] | None = None


def _number(name: str) -> Column:
    return Column(name, Kind.NUMBER)


def _flag(name: str) -> Column:
    return Column(name, Kind.FLAG)


def _rank(name: str, terms: type[Term]) -> Column:
    ordered = reversed(STRONGEST_FIRST[terms]) if terms in STRONGEST_FIRST else iter(terms)
    return Column(name, Kind.RANK, tuple(term.value for term in ordered), terms)


#: Distance to the nearest facility of a type, metres on the ellipsoid from the building's centre.
FACILITY_COLUMNS = {facility: f"{facility.value}_distance_m" for facility in FacilityType}

COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        _rank("unit_type", UnitType),
        _rank("capacity_measure", CapacityMeasure),
        _rank("physical_state", PhysicalState),
        _number("leasable_area_m2"),
        _number("capacity"),
        # What would be held: the places asked for, or the whole unit; in the unit's own measure.
        _number("quantity"),
        _flag("divisible"),
        _number("units_on_floor"),
        _number("units_in_building"),
        # First day of the first free stretch that holds the whole term, and that stretch's end.
        Column("free_from", Kind.DAY),
        Column("free_until", Kind.DAY),
        _number("min_term_months"),
        _number("max_term_months"),
        _rank("fire_hazard_class", FireHazardClass),
        _number("level_index"),
        _number("floors_above"),
        _number("height_m"),
        _number("floor_load_kn_m2"),
        _number("clear_height_m"),
        _number("power_density_w_m2"),
        _number("power_kva"),
        _rank("cleanroom_grade", CleanroomGrade),
        _number("biosafety_level"),
        _rank("animal_facility", AnimalFacility),
        _number("cold_storage_m2"),
        _number("waste_water_t_per_day"),
        _number("freight_lift_t"),
        _flag("hoist_opening"),
        _flag("is_ground_floor"),
        _flag("steam"),
        _flag("gas"),
        _flag("purified_water"),
        _flag("dual_power_feed"),
        _rank("isotope_class", IsotopeClass),
        _rank("vibration_class", VibrationClass),
        _flag("special_goods_import_pilot"),
        _number("near_distance_m"),
        *(_number(name) for name in FACILITY_COLUMNS.values()),
        _number("rent_cny_per_m2_day"),
        _number("rent_cny_per_year"),
    )
}


@dataclass(frozen=True, slots=True)
class ParkInfo:
    """A park with the codes it answers to: its own and those of the parks and zones around it."""

    code: str
    park_codes: frozenset[str]
    zone_codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Units:
    """All units of one moment, sorted by code.

    ``park`` and ``land_use`` are indexes into ``parks`` and ``land_use_codes``; ``columns`` has
    an array for each of ``COLUMNS``.
    """

    ids: tuple[str, ...]
    codes: tuple[str, ...]
    parks: tuple[ParkInfo, ...]
    land_use_codes: tuple[str, ...]
    park: NDArray[np.int32]
    land_use: NDArray[np.int32]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.codes)

    def value(self, name: str, row: int) -> Any:
        """One value as a person knows it: None where unknown, a date, a word, a number."""
        column, raw = COLUMNS[name], self.columns[name][row]
        if column.kind is Kind.NUMBER:
            return None if np.isnan(raw) else float(raw)
        if column.kind is Kind.RANK:
            return None if raw == UNKNOWN_RANK else column.order[int(raw) - 1]
        if column.kind is Kind.FLAG:
            return None if raw == UNKNOWN_FLAG else bool(raw)
        return None if raw == NEVER else date.fromordinal(int(raw))

    def taken(self, rows: Sequence[int]) -> "Units":
        """The same structure with only these rows, sorted by code again."""
        order = sorted(rows, key=lambda row: self.codes[row])
        index = np.asarray(order, dtype=np.int64)
        return Units(
            ids=tuple(self.ids[row] for row in order),
            codes=tuple(self.codes[row] for row in order),
            parks=self.parks,
            land_use_codes=self.land_use_codes,
            park=self.park[index],
            land_use=self.land_use[index],
            columns={name: array[index] for name, array in self.columns.items()},
        )


def rank_of(column: str, value: str) -> int:
    """The rank of a word of a vocabulary, from 1 (weakest).

    >>> rank_of("cleanroom_grade", "D"), rank_of("cleanroom_grade", "A")
    (1, 4)
    """
    return COLUMNS[column].order.index(value) + 1


def build(rows: Sequence[Mapping[str, Any]], parks: Mapping[str, ParkInfo] | None = None) -> Units:
    """The structure over plain rows.

    Args:
        rows: each with ``id``, ``code``, ``park_code``, ``land_use_code`` and a value (or None)
            for each of ``COLUMNS``; a column that is absent is unknown throughout.
        parks: by code; parks that are absent stand alone.
    """
    ordered = sorted(rows, key=lambda row: row["code"])
    known = parks or {}
    park_codes = sorted({row["park_code"] for row in ordered})
    land_use_codes = sorted({row["land_use_code"] for row in ordered})
    park_at = {code: place for place, code in enumerate(park_codes)}
    land_use_at = {code: place for place, code in enumerate(land_use_codes)}
    alone = frozenset[str]()
    return Units(
        ids=tuple(str(row["id"]) for row in ordered),
        codes=tuple(row["code"] for row in ordered),
        parks=tuple(
            known.get(code) or ParkInfo(code, frozenset({code}), alone) for code in park_codes
        ),
        land_use_codes=tuple(land_use_codes),
        park=_frozen(np.array([park_at[row["park_code"]] for row in ordered], dtype=np.int32)),
        land_use=_frozen(
            np.array([land_use_at[row["land_use_code"]] for row in ordered], dtype=np.int32)
        ),
        columns={
            name: _array(column, [row.get(name) for row in ordered])
            for name, column in COLUMNS.items()
        },
    )


def _array(column: Column, values: Sequence[Any]) -> NDArray[Any]:
    if column.kind is Kind.NUMBER:
        # numpy reads None as NaN.
        return _frozen(np.array(values, dtype=np.float64))
    if column.kind is Kind.RANK:
        ranks: dict[str | None, int] = {None: UNKNOWN_RANK}
        ranks |= {word: place for place, word in enumerate(column.order, start=1)}
        return _frozen(np.array([ranks[value] for value in values], dtype=np.int16))
    if column.kind is Kind.FLAG:
        flags: dict[bool | None, int] = {None: UNKNOWN_FLAG, False: 0, True: 1}
        return _frozen(np.array([flags[value] for value in values], dtype=np.int8))
    days = [NEVER if value is None else value.toordinal() for value in values]
    return _frozen(np.array(days, dtype=np.int32))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
