"""The kinds of buildings and units that the bulk generator repeats."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.kernel.period import Period
from app.seeding.copying import encoded_values
from app.seeding.plots import LETTABLE
from app.seeding.records import KNOWN_SINCE

_DELIVERED = date(2024, 1, 1)


@dataclass(frozen=True, slots=True)
class BulkType:
    """A building with the same plate on every floor; lengths in m, loads in kN/m²."""

    unit_type: str
    carrier_type: str
    per_floor: int
    plate_m: tuple[float, float]
    ground_storey_m: Decimal
    upper_storey_m: Decimal
    ground_load_kn_m2: Decimal
    upper_load_kn_m2: Decimal
    power_w_m2: tuple[int, ...]
    rents_cny_per_m2_day: tuple[str, ...]
    cleanroom: tuple[str | None, ...]
    terms_months: tuple[int, int]

    @property
    def plate_m2(self) -> Decimal:
        """Gross area of one floor, m²."""
        return Decimal(round(self.plate_m[0] * self.plate_m[1] * 100)) / 100

    @property
    def unit_m2(self) -> Decimal:
        """Leasable area of one unit, m²; all units of a floor are alike."""
        centi = int(self.plate_m[0] * self.plate_m[1] * LETTABLE * 100 / self.per_floor)
        return Decimal(centi) / 100

    def storey_m(self, level: int) -> Decimal:
        """Storey height, m."""
        return self.upper_storey_m if level else self.ground_storey_m

    def load_kn_m2(self, level: int) -> Decimal:
        """Live load, kN/m²."""
        return self.upper_load_kn_m2 if level else self.ground_load_kn_m2

    def heights_and_load(self, level: int) -> str:
        """Storey height, clear height and live load, as COPY takes them."""
        storey = self.storey_m(level)
        return f"{storey}\t{storey - Decimal('0.9')}\t{self.load_kn_m2(level)}"


def _type(
    unit_type: str,
    carrier: str,
    per_floor: int,
    plate: tuple[float, float],
    *,
    storeys: tuple[str, str],
    loads: tuple[str, str],
    power: tuple[int, ...],
    rents: tuple[str, ...],
    cleanroom: tuple[str | None, ...],
    terms: tuple[int, int],
) -> BulkType:
    return BulkType(
        unit_type,
        carrier,
        per_floor,
        plate,
        Decimal(storeys[0]),
        Decimal(storeys[1]),
        Decimal(loads[0]),
        Decimal(loads[1]),
        power,
        rents,
        cleanroom,
        terms,
    )


BULK_TYPES: tuple[BulkType, ...] = (
    _type(
        "incubation",
        "incubator",
        8,
        (45.0, 30.0),
        storeys=("4.5", "4.0"),
        loads=("3.5", "3.0"),
        power=(60, 80),
        rents=("3.60", "4.80", "6.20", "7.50"),
        cleanroom=(None,),
        terms=(6, 24),
    ),
    _type(
        "acceleration",
        "accelerator",
        4,
        (70.0, 36.0),
        storeys=("5.0", "4.6"),
        loads=("5.0", "4.0"),
        power=(80, 120),
        rents=("2.90", "3.60", "4.20", "4.90"),
        cleanroom=(None, "D"),
        terms=(24, 36),
    ),
    _type(
        "pilot",
        "special_park",
        2,
        (80.0, 48.0),
        storeys=("7.0", "5.4"),
        loads=("10.0", "7.5"),
        power=(150, 200),
        rents=("2.10", "2.80", "3.30", "3.90"),
        cleanroom=(None, "D", "C", "B"),
        terms=(36, 60),
    ),
    _type(
        "hq_rd",
        "special_park",
        1,
        (70.0, 40.0),
        storeys=("5.0", "4.4"),
        loads=("5.0", "4.0"),
        power=(80, 100),
        rents=("3.60", "4.20", "4.80", "5.40"),
        cleanroom=(None,),
        terms=(60, 120),
    ),
    _type(
        "production",
        "special_park",
        1,
        (84.0, 52.0),
        storeys=("8.0", "5.7"),
        loads=("20.0", "8.0"),
        power=(120, 180),
        rents=("1.10", "1.40", "1.80", "2.10"),
        cleanroom=(None, None, "D", "C"),
        terms=(60, 240),
    ),
)
#: Order in which the kinds of buildings follow each other.
CYCLE: tuple[int, ...] = (0, 2, 1, 4, 0, 2, 1, 3)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What many units share: column names, their values as COPY takes them, and the capacity."""

    columns: tuple[str, ...]
    line: str
    capacity: Decimal


def patterns(provenance: Mapping[str, object]) -> Sequence[tuple[list[Pattern], list[Pattern]]]:
    """By kind of building: patterns of units on the ground floor, and above."""
    found = []
    for kind in BULK_TYPES:
        ground, upper = (_variants(kind, level, provenance) for level in (0, 1))
        found.append((ground, upper))
    return found


def _variants(kind: BulkType, level: int, provenance: Mapping[str, object]) -> list[Pattern]:
    """Thirty-two variants, so that every kind has the same number to choose from."""
    drawn = itertools.product((kind.cleanroom * 4)[:4], kind.rents_cny_per_m2_day, (None, 2))
    return [
        _pattern(kind, level, place, provenance, grade=grade, rent=rent, biosafety=biosafety)
        for place, (grade, rent, biosafety) in enumerate(drawn)
    ]


def _pattern(
    kind: BulkType,
    level: int,
    place: int,
    provenance: Mapping[str, object],
    *,
    grade: str | None,
    rent: str,
    biosafety: int | None,
) -> Pattern:
    area = kind.unit_m2
    power = Decimal(kind.power_w_m2[place % len(kind.power_w_m2)])
    row: dict[str, object] = {
        "unit_type": kind.unit_type,
        "carrier_type": kind.carrier_type,
        "physical_state": "fitted" if grade or biosafety else "shell",
        "usable": Period(_DELIVERED),
        "known_from": KNOWN_SINCE,
        "capacity_measure": "m2",
        "capacity": area,
        "leasable_area_m2": area,
        "internal_area_m2": (area * Decimal("0.92")).quantize(Decimal("0.01")),
        "area_method": "drawn",
        "rent_cny_per_m2_day": Decimal(rent),
        "min_term_months": kind.terms_months[0],
        "max_term_months": kind.terms_months[1],
        "is_ground_floor": level == 0,
        "clear_height_m": kind.storey_m(level) - Decimal("0.9"),
        "floor_load_kn_m2": kind.load_kn_m2(level),
        "power_density_w_m2": power,
        "power_kva": (power * area / 900).quantize(Decimal("0.1")),
        "cleanroom_grade": grade,
        "biosafety_level": biosafety,
        "fire_hazard_class": ("bing", "bing", "yi", "ding")[place % 4],
        "waste_water_t_per_day": (area * Decimal(place % 8 + 1) / 1000).quantize(Decimal("0.1")),
        "freight_lift_t": Decimal(3 if kind.unit_type == "production" else 2),
        "hoist_opening": place % 2 == 0,
        "dual_power_feed": place % 3 == 0,
        "steam": place % 4 == 0,
        "gas": place % 5 == 0,
        "purified_water": place % 3 == 1,
        "vibration_class": ("VC-A", "VC-B", "VC-C")[place % 3],
        **provenance,
    }
    line = encoded_values(row.values()).decode().rstrip("\n")
    return Pattern(tuple(row), line, area)
