"""What a unit offers technically. Loads and heights are its floor's; the rest is drawn.

Clear height is the storey height less 0.9 m for beams, slab and ducts [planning assumption]; power
in kVA is W/m² times area at a power factor of 0.9.
"""

from dataclasses import dataclass
from decimal import Decimal

from app.kernel.terms import FireHazardClass, UnitType
from app.seeding.draw import Draw, rounded
from app.seeding.reference import BuildingTypeRow, SiteRow, Span

BEAMS_AND_DUCTS_M = Decimal("0.90")
_POWER_FACTOR = Decimal("0.9")
#: A jia compartment in a multi-storey plant is 2,000-3,000 m² (GB 50016); never in a high-rise.
_JIA_MAX_M2 = 3000
_HIGH_RISE_FLOORS = 7
_HEAVY_PROCESS = {"M2", "M3"}
_CLEANROOMS_IN = {UnitType.PILOT, UnitType.PRODUCTION, UnitType.ACCELERATION}
#: Waste water in t/d per 1,000 m² [planning assumption].
_WASTE_WATER = {
    UnitType.INCUBATION: Span(low=Decimal(1), high=Decimal(2)),
    UnitType.ACCELERATION: Span(low=Decimal(1), high=Decimal(4)),
    UnitType.PILOT: Span(low=Decimal(3), high=Decimal(12)),
    UnitType.HQ_RD: Span(low=Decimal("0.5"), high=Decimal("1.5")),
    UnitType.PRODUCTION: Span(low=Decimal(5), high=Decimal(20)),
}


@dataclass(frozen=True, slots=True)
class Services:
    """What a building brings to all its units."""

    dual_power_feed: bool
    freight_lift_t: Decimal
    hoist_opening: bool
    steam: bool
    gas: bool
    purified_water: bool


@dataclass(frozen=True, slots=True)
class FitOut:
    """What one unit has."""

    power_density_w_m2: Decimal
    power_kva: Decimal
    cleanroom_grade: str | None
    biosafety_level: int | None
    fire_hazard_class: str
    waste_water_t_per_day: Decimal
    animal_facility: str | None
    cold_storage_m2: Decimal
    isotope_class: str | None
    vibration_class: str


def draw_services(kind: BuildingTypeRow, draw: Draw) -> Services:
    """Services of one building."""
    return Services(
        dual_power_feed=draw.chance(kind.dual_feed_pct),
        freight_lift_t=Decimal(kind.freight_lift_t),
        hoist_opening=kind.freight_lift_t >= 2 and draw.chance(60),  # noqa: PLR2004
        steam=draw.chance(kind.steam_pct),
        gas=draw.chance(kind.gas_pct),
        purified_water=draw.chance(kind.purified_water_pct),
    )


def draw_fit_out(
    kind: BuildingTypeRow,
    unit_type: UnitType,
    land_use: str,
    area_m2: Decimal,
    *,
    ground_floor: bool,
    fitted: bool,
    floors: int,
    draw: Draw,
) -> FitOut:
    """Technical values of one unit. Cleanroom and biosafety only where it is fitted out."""
    density = draw.between(kind.power_w_m2, "1")
    grade = draw.weighted(kind.cleanroom)
    is_clean = fitted and unit_type in _CLEANROOMS_IN and grade != "none"
    has_bsl2 = fitted and draw.chance(kind.bsl2_pct)
    stores_cold = fitted and draw.chance(15)
    flow = draw.between(_WASTE_WATER[unit_type], "0.01")
    return FitOut(
        power_density_w_m2=density,
        power_kva=(density * area_m2 / 1000 / _POWER_FACTOR).quantize(Decimal("0.1")),
        cleanroom_grade=str(grade) if is_clean else None,
        biosafety_level=2 if has_bsl2 else None,
        fire_hazard_class=_fire_class(land_use, area_m2, floors, draw).value,
        waste_water_t_per_day=(flow * area_m2 / 1000).quantize(Decimal("0.1")),
        animal_facility="spf" if has_bsl2 and draw.chance(2) else None,
        cold_storage_m2=rounded(float(area_m2) * 0.05, "0.1") if stores_cold else Decimal("0.0"),
        isotope_class="bing" if has_bsl2 and draw.chance(1) else None,
        vibration_class=draw.pick(("VC-B", "VC-C", "VC-D") if ground_floor else ("VC-A", "VC-B")),
    )


def _fire_class(land_use: str, area_m2: Decimal, floors: int, draw: Draw) -> FireHazardClass:
    """Designed class: jia and yi only on M2/M3, jia only low and small enough."""
    chance = float(draw.random.random())
    if _HEAVY_PROCESS & set(land_use.replace("+", "/").split("/")):
        if chance < 0.15 and area_m2 <= _JIA_MAX_M2 and floors < _HIGH_RISE_FLOORS:  # noqa: PLR2004
            return FireHazardClass.JIA
        if chance < 0.25 and floors < _HIGH_RISE_FLOORS:  # noqa: PLR2004
            return FireHazardClass.YI
    return FireHazardClass.BING if chance < 0.9 else FireHazardClass.DING  # noqa: PLR2004


def national_codes(land_use: str) -> str | None:
    """National land-use codes of a Shanghai code, where one is known.

    Source: 国土空间用地用海分类; M4 and C8 have no plain counterpart.

    >>> national_codes("M2/M4"), national_codes("C65+C8"), national_codes("M4")
    ('100102', '0802', None)
    """
    known = {"M1": "100101", "M2": "100102", "M3": "100103", "C65": "0802"}
    parts = [known[part] for part in land_use.replace("+", "/").split("/") if part in known]
    return "/".join(parts) or None


def is_built(site: SiteRow, delivered_ordinal: int, as_of_ordinal: int) -> str:
    """Physical state of a building: planned, under construction, or standing as a shell."""
    if delivered_ordinal <= as_of_ordinal:
        return "shell"
    started = site.started.toordinal() if site.started else delivered_ordinal - 600
    return "under_construction" if started <= as_of_ordinal else "planned"
