"""Makes the floors of one building and the units on them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from app.kernel.ids import reference_id
from app.kernel.period import Period
from app.kernel.terms import Confidence, UnitType
from app.seeding.allotment import allot, square_metres
from app.seeding.buildings import BuildingPlan, FloorPlan
from app.seeding.draw import Draw, rounded
from app.seeding.files import Reference
from app.seeding.frames import Box
from app.seeding.plots import units_on
from app.seeding.records import KNOWN_SINCE, Building, Floor, Unit
from app.seeding.reference import SiteRow, UnitTypeRow
from app.seeding.technical import BEAMS_AND_DUCTS_M, FitOut, Services, draw_fit_out

_BASEMENT_STOREY_M = Decimal("4.5")
_BASEMENT_LOAD_KN_M2 = Decimal(5)
#: Lettable area of one bench place, with its share of aisles, m² [planning assumption].
_PER_PLACE_M2 = 8
#: Share of the lettable area inside the unit's own walls [planning assumption].
_INTERNAL = Decimal("0.92")
#: Rents in the core are drawn from the upper part of the range, elsewhere from the lower.
_CORE_ZONE = "core_zhangjiang"
_MIN_PART_M2 = Decimal(200)
_HALL_CARRIERS = {"maker_space"}


@dataclass(frozen=True, slots=True)
class BuildingContext:
    """Everything the floors of one building depend on."""

    reference: Reference
    site: SiteRow
    plan: BuildingPlan
    building: Building
    number: int
    land_use: str
    services: Services
    ground_storey_m: Decimal
    upper_storey_m: Decimal
    yard: Box


def floor_height_m(floors: int, ground_m: Decimal, upper_m: Decimal) -> Decimal:
    """Height of a building above ground, m."""
    return ground_m + upper_m * (floors - 1)


def make_floors(
    context: BuildingContext, draw: Draw
) -> Iterator[tuple[Floor, Box, list[tuple[Unit, Box]]]]:
    """Each floor with its rectangle, and its units with theirs."""
    kind = context.plan.kind
    ground_load = draw.between(kind.ground_load_kn_m2, "0.01")
    upper_load = draw.between(kind.upper_load_kn_m2, "0.01")
    for plan in context.plan.floors:
        scale = math.sqrt(plan.gross / context.plan.footprint)
        box = context.yard.centred(context.yard.width * scale, context.yard.depth * scale)
        floor = _floor(context, plan, ground_load, upper_load)
        yield floor, box, list(_units(context, plan, floor, box, draw)) if plan.lettable else []


def _floor(
    context: BuildingContext, plan: FloorPlan, ground_load: Decimal, upper_load: Decimal
) -> Floor:
    building, kind = context.building, context.plan.kind
    name = f"{plan.level + 1}F" if plan.level >= 0 else f"B{-plan.level}"
    if plan.level < 0:
        storey, load, published = _BASEMENT_STOREY_M, _BASEMENT_LOAD_KN_M2, None
    elif plan.level == 0:
        storey, load = context.ground_storey_m, ground_load
        published = kind.published_ground_load_kg_m2
    else:
        storey, load = context.upper_storey_m, upper_load
        published = kind.published_upper_load_kg_m2
    code = f"{building.code}-{name}"
    is_known = kind.confidence is Confidence.PUBLISHED and plan.level >= 0
    source = f"{building.source}; {kind.source}" if is_known else building.source
    return Floor(
        id=reference_id("floors", code),
        park_id=building.park_id,
        building_id=building.id,
        code=code,
        level_index=plan.level,
        level_name=name,
        gross_floor_area_m2=square_metres(plan.gross),
        storey_height_m=storey,
        clear_height_m=storey - BEAMS_AND_DUCTS_M,
        floor_load_kn_m2=load,
        published_floor_load_kg_m2=published,
        source=source,
        confidence=building.confidence,
        synthetic=True,
        geometry_quality="schematic",
        position_accuracy_m=building.position_accuracy_m,
    )


def _units(
    context: BuildingContext, plan: FloorPlan, floor: Floor, box: Box, draw: Draw
) -> Iterator[tuple[Unit, Box]]:
    kind = context.plan.kind
    unit_type = draw.pick(kind.ground_units if plan.level == 0 else kind.upper_units)
    terms = context.reference.unit_types[unit_type]
    count = 1 if context.site.own_use else room_count(plan.lettable / 100, terms, draw)
    rooms = units_on(box, count, plan.lettable / plan.gross)
    areas = allot(plan.lettable, [room.width * room.depth for room in rooms])
    for place, (room, area) in enumerate(zip(rooms, areas, strict=True), start=1):
        carrier = context.building.carrier_type
        is_hall = unit_type is UnitType.INCUBATION and (place == 1 or carrier in _HALL_CARRIERS)
        yield (
            _unit(
                context, floor, terms, square_metres(area), place=place, draw=draw, is_hall=is_hall
            ),
            room,
        )


def room_count(lettable_m2: float, terms: UnitTypeRow, draw: Draw) -> int:
    """Into how many units a floor is cut, so that each lies in its type's range where it can."""
    low, high = float(terms.area_m2.low), float(terms.area_m2.high)
    count = max(1, round(lettable_m2 / draw.triangular(terms.area_m2)))
    count = max(math.ceil(lettable_m2 / high), min(count, max(1, int(lettable_m2 / low))))
    # With an odd number of rooms along a corridor, those of the fuller row are the smaller ones.
    while count > 2 and lettable_m2 / 2 / math.ceil(count / 2) < low:  # noqa: PLR2004
        count -= 1
    return count


def _unit(
    context: BuildingContext,
    floor: Floor,
    terms: UnitTypeRow,
    area_m2: Decimal,
    *,
    place: int,
    draw: Draw,
    is_hall: bool,
) -> Unit:
    building, services = context.building, context.services
    code = f"{floor.code}-{place:02}"
    is_ground = floor.level_index == 0
    stands = building.physical_state in {"shell", "fitted"}
    fitted = stands and (context.site.own_use or draw.chance(context.plan.kind.fitted_pct))
    fit: FitOut = draw_fit_out(
        context.plan.kind,
        terms.code,
        context.land_use,
        area_m2,
        ground_floor=is_ground,
        fitted=fitted,
        floors=building.floors_above,
        draw=draw,
    )
    places = Decimal(max(5, int(area_m2 / _PER_PLACE_M2)))
    splits = terms.code is UnitType.ACCELERATION and area_m2 >= 4 * _MIN_PART_M2 and draw.chance(6)
    shell = "shell" if building.physical_state == "fitted" else building.physical_state
    return Unit(
        id=reference_id("units", code),
        park_id=building.park_id,
        building_id=building.id,
        floor_id=floor.id,
        code=code,
        name_zh=f"{building.name_zh}{floor.level_name}-{place:02}",
        name_en=f"{building.name_en}, {floor.level_name}-{place:02}",
        unit_type=terms.code.value,
        carrier_type=building.carrier_type,
        physical_state="fitted" if fitted else shell,
        usable=Period(building.delivered_on),
        known_from=KNOWN_SINCE,
        capacity_measure="place" if is_hall else "m2",
        capacity=places if is_hall else area_m2,
        divisible=is_hall or splits,
        min_part=Decimal(1) if is_hall else _MIN_PART_M2 if splits else None,
        leasable_area_m2=area_m2,
        internal_area_m2=(area_m2 * _INTERNAL).quantize(Decimal("0.01")),
        area_method="drawn: share of the floor by the unit's rectangle",
        area_tolerance_pct=Decimal(3),
        rent_cny_per_m2_day=None if is_hall else _rent(context, terms, draw),
        rent_cny_per_place_month=(
            draw.between(terms.rent_cny_per_place_month, "1")
            if is_hall and terms.rent_cny_per_place_month
            else None
        ),
        min_term_months=int(terms.term_months.low),
        max_term_months=int(terms.term_months.high),
        is_ground_floor=is_ground,
        clear_height_m=floor.clear_height_m,
        floor_load_kn_m2=floor.floor_load_kn_m2,
        power_kva=fit.power_kva,
        power_density_w_m2=fit.power_density_w_m2,
        cleanroom_grade=fit.cleanroom_grade,
        biosafety_level=fit.biosafety_level,
        fire_hazard_class=fit.fire_hazard_class,
        waste_water_t_per_day=fit.waste_water_t_per_day,
        freight_lift_t=services.freight_lift_t,
        hoist_opening=services.hoist_opening,
        dual_power_feed=services.dual_power_feed,
        steam=services.steam,
        gas=services.gas,
        purified_water=services.purified_water,
        animal_facility=fit.animal_facility,
        cold_storage_m2=fit.cold_storage_m2,
        isotope_class=fit.isotope_class,
        vibration_class=fit.vibration_class,
        source=building.source,
        confidence="assumption",
        synthetic=True,
        geometry_quality="schematic",
        position_accuracy_m=building.position_accuracy_m,
    )


def _rent(context: BuildingContext, terms: UnitTypeRow, draw: Draw) -> Decimal:
    """Asking rent in CNY per m² and day, dearer in the core."""
    low, high = float(terms.rent_cny_per_m2_day.low), float(terms.rent_cny_per_m2_day.high)
    in_core = context.reference.parks[context.site.park].zone == _CORE_ZONE
    share = float(draw.random.random()) * 0.6 + (0.4 if in_core else 0.0)
    return rounded(low + (high - low) * share, "0.01")
