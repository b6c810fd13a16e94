"""The requests that the matching engine is measured with: published, seeded, pure.

All are drawn for parks that ``space-relay generate`` makes (``app.seeding.bulk``), in which every
unit of a kind of space has the same area. Each request has 16 hard constraints (kind of space,
area at least and at most, availability, term, land use, designed fire class, storey of that class,
floor load, clear height, power density, power left in the building, freight lift, waste water,
nearness to a point, rent) and 5 wishes (clean rooms, biosafety, steam, purified water, two power
feeds). They are forms as firms send them, so that every way to ask is measured with the same words.

``typical``  200 requests for parks of which 78 % are let. Kinds of space by the weights of
             ``_KINDS``. Areas from half a unit to three, a third of them more than one unit holds.
             The lease begins on a day within two years, and three to twelve months after it at the
             latest. Loads, heights, power, lifts and rents are what at least a part of the kind's
             units has; the point lies in the parks, and the distance is a twentieth to a third of
             the way across them.

``hard``     200 requests for parks of which 95 % are let (``--let 95``). Of every ten, three ask
             for more area than any unit of the kind has, so that only bundles can serve them: two
             to four units of one floor, or two to three floors of a building. The rest ask for one
             unit. Loads and heights are often those of ground floors only, rents those of the
             cheaper half, and the lease begins within three years, one to six months later at the
             latest: most of what serves comes to be free when leases end.

Whether any one of them can be served is not arranged: both sets have some that nothing serves, for
which the refusal is measured too.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from app.demand.derive import Ask, derive_needs
from app.demand.needs import Need
from app.demand.request_schemas import SpaceRequestIn
from app.demand.rules import Rules
from app.seeding.bulk_plan import park_box, plan_parks
from app.seeding.bulk_types import BULK_TYPES, BulkType
from app.seeding.frames import Frame, as_array

COUNT = 200
#: The day on which the requests are filed: the one that the parks' leases are drawn around.
TODAY = date(2026, 11, 1)
#: Of ten hard requests, how many only bundles can serve.
BUNDLES_OF_TEN = 3
#: Share of the units let in the parks of the hard set, percent.
HARD_LET_PCT = 95
#: How often each kind of space is asked for, in the order of ``BULK_TYPES``.
_KINDS = (30, 25, 25, 8, 12)
_PROCESS = {
    "incubation": "laboratory",
    "acceleration": "laboratory",
    "pilot": "pilot_low_emission",
    "hq_rd": "laboratory",
    "production": "pharma_gmp",
}
_WISHES: Mapping[str, Any] = {
    "cleanroom_grade": "D",
    "biosafety_level": 2,
    "steam": True,
    "purified_water": True,
    "dual_power_feed": True,
}


@dataclass(frozen=True, slots=True)
class Instance:
    """One request.

    Attributes:
        name: of the set, and its number there.
        form: what a firm would send to ``POST /api/v1/space-requests``.
        only_bundles: whether it asks for more than any one unit has.
    """

    name: str
    form: Mapping[str, Any]
    only_bundles: bool

    def needs(self, rules: Rules) -> tuple[Need, ...]:
        """The needs, as they are stored with a request filed on ``TODAY``."""
        body = SpaceRequestIn.model_validate(self.form)
        return derive_needs(
            Ask(stated=body.stated(), today=TODAY, soft=frozenset(body.soft)), rules
        )


def typical(units: int, *, seed: int = 1, count: int = COUNT) -> Sequence[Instance]:
    """Everyday requests for parks of so many units made with this seed."""
    drawn = random.Random(f"typical {seed}")  # noqa: S311 - repeatable, not secret
    points = _Points(units, seed)
    return [
        Instance(f"typical-{number:03}", form, float(form["min_area_m2"]) > _unit_m2(form))
        for number, form in enumerate(_typical(drawn, points, count), start=1)
    ]


def hard(units: int, *, seed: int = 1, count: int = COUNT) -> Sequence[Instance]:
    """Requests for parks that are nearly full, three of ten of which only bundles can serve."""
    drawn = random.Random(f"hard {seed}")  # noqa: S311 - repeatable, not secret
    points = _Points(units, seed)
    return [
        Instance(f"hard-{number:03}", _hard(drawn, points, bundles=bundles), bundles)
        for number, bundles in enumerate(_which_ask_for_bundles(count), start=1)
    ]


def _which_ask_for_bundles(count: int) -> Iterator[bool]:
    return (number % 10 < BUNDLES_OF_TEN for number in range(count))


class _Points:
    """Draws points inside the parks, degrees."""

    def __init__(self, units: int, seed: int) -> None:
        plan = plan_parks(units, seed, 0)
        boxes = as_array([park_box(plan, number) for number in range(len(plan.park_ids))])
        self._low, self._high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        #: From one corner of all parks to the other, m.
        self.across_m = float(((self._high - self._low) ** 2).sum() ** 0.5)

    def one(self, drawn: random.Random) -> tuple[float, float]:
        x, y = (self._low + (self._high - self._low) * [drawn.random(), drawn.random()]).reshape(
            2, 1
        )
        longitude, latitude = Frame(0.0).lonlat(x, y)
        return round(float(longitude[0]), 6), round(float(latitude[0]), 6)


def _typical(drawn: random.Random, points: _Points, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        kind = _kind(drawn)
        largest = drawn.choice((1.0, 1.0, 3.0)) * float(kind.unit_m2)
        least = drawn.uniform(0.5, 0.95) * largest
        yield _form(
            drawn,
            kind,
            area_m2=(least, least * drawn.uniform(1.3, 2.5)),
            first=TODAY + timedelta(days=drawn.randrange(0, 730)),
            slack_days=drawn.randrange(90, 366),
            level=drawn.choice((0, 1, 1, 1)),
            rents=kind.rents_cny_per_m2_day,
            near=points.one(drawn),
            within_m=points.across_m * drawn.uniform(0.05, 0.3),
        )


def _hard(drawn: random.Random, points: _Points, *, bundles: bool) -> dict[str, Any]:
    kind = _kind(drawn)
    unit_m2 = float(kind.unit_m2)
    least = drawn.uniform(0.7, 0.98) * unit_m2
    if bundles:
        # Rooms side by side where a floor has four and more, else floors one above the other.
        floors = kind.per_floor * drawn.randint(2, 3)
        units = drawn.randint(2, 4) if kind.per_floor > 2 else floors
        least = (units - drawn.uniform(0.1, 0.9)) * unit_m2
    return _form(
        drawn,
        kind,
        area_m2=(least, least * drawn.uniform(1.2, 1.8)),
        first=TODAY + timedelta(days=drawn.randrange(0, 1096)),
        slack_days=drawn.randrange(30, 184),
        level=1 if bundles else drawn.choice((0, 1)),
        rents=kind.rents_cny_per_m2_day[:2] if not bundles else kind.rents_cny_per_m2_day[1:],
        near=points.one(drawn),
        within_m=points.across_m * drawn.uniform(0.25, 0.6),
    )


def _kind(drawn: random.Random) -> BulkType:
    return drawn.choices(BULK_TYPES, weights=_KINDS)[0]


def _unit_m2(form: Mapping[str, Any]) -> float:
    """Area of every unit of the kind asked for."""
    return next(float(kind.unit_m2) for kind in BULK_TYPES if kind.unit_type == form["unit_type"])


def _form(
    drawn: random.Random,
    kind: BulkType,
    *,
    area_m2: tuple[float, float],
    first: date,
    slack_days: int,
    level: int,
    rents: Sequence[str],
    near: tuple[float, float],
    within_m: float,
) -> dict[str, Any]:
    """The form; loads and heights are those of the ground floor (``level`` 0) or of those above."""
    least_m2, most_m2 = (round(area, 2) for area in area_m2)
    return {
        "unit_type": kind.unit_type,
        "min_area_m2": least_m2,
        "max_area_m2": most_m2,
        "target_area_m2": round((least_m2 + most_m2) / 2, 2),
        "from": first.isoformat(),
        "latest_from": (first + timedelta(days=slack_days)).isoformat(),
        "term_months": drawn.randint(*kind.terms_months),
        "process": _PROCESS[kind.unit_type],
        "fire_hazard_class": "bing",
        "min_floor_load_kn_m2": float(kind.load_kn_m2(level)),
        "min_clear_height_m": round(float(kind.storey_m(level)) - 0.9, 2),
        "min_power_density_w_m2": drawn.choice(kind.power_w_m2),
        "min_freight_lift_t": 2.0,
        "min_waste_water_t_per_day": round(least_m2 * drawn.randint(1, 4) / 1000, 1),
        "near": {"lon": near[0], "lat": near[1], "within_m": round(within_m)},
        "max_rent_cny_per_m2_day": float(drawn.choice(rents)),
        **_WISHES,
        "soft": sorted(_WISHES),
    }
