"""Technical minima: what a unit must at least offer, and which classes serve a need for one."""

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, FromClause

from app.inventory.filters import Size
from app.inventory.predicates import at_least, one_of, same
from app.kernel.terms import (
    AnimalFacility,
    CleanroomGrade,
    FireHazardClass,
    IsotopeClass,
    VibrationClass,
    serving,
)

_NUMBERS = (
    "clear_height_m",
    "floor_load_kn_m2",
    "power_kva",
    "power_density_w_m2",
    "biosafety_level",
    "waste_water_t_per_day",
    "freight_lift_t",
    "cold_storage_m2",
)
_CLASSES = (
    "cleanroom_grade",
    "fire_hazard_class",
    "animal_facility",
    "isotope_class",
    "vibration_class",
)
_FLAGS = (
    "hoist_opening",
    "dual_power_feed",
    "steam",
    "gas",
    "purified_water",
)


class TechnicalMinima(BaseModel):
    """What a unit must at least offer. A value that is not known meets no minimum."""

    min_clear_height_m: Size | None = Field(default=None, description="净高 at least, m")
    min_floor_load_kn_m2: Size | None = Field(
        default=None, description="楼面活荷载 at least, kN/m² (1,000 kg/m² is 9.81)"
    )
    min_power_kva: Size | None = Field(default=None, description="配电 at least, kVA")
    min_power_density_w_m2: Size | None = Field(default=None, description="power at least, W/m²")
    min_biosafety_level: int | None = Field(
        default=None, ge=1, le=4, description="biosafety level as fitted, at least"
    )
    min_waste_water_t_per_day: Size | None = Field(
        default=None, description="waste water capacity at least, t/d"
    )
    min_freight_lift_t: Size | None = Field(default=None, description="货梯 at least, t")
    min_cold_storage_m2: Size | None = Field(default=None, description="cold storage, m²")
    cleanroom_grade: CleanroomGrade | None = Field(
        default=None, description="GMP grade as fitted, this or a stricter one (A strictest)"
    )
    fire_hazard_class: FireHazardClass | None = Field(
        default=None, description="designed for this class or a more dangerous one (甲 first)"
    )
    animal_facility: AnimalFacility | None = Field(
        default=None, description="this or a cleaner one (SPF serves conventional)"
    )
    isotope_class: IsotopeClass | None = Field(
        default=None, description="this or a stronger one (甲 first)"
    )
    vibration_class: VibrationClass | None = Field(
        default=None, description="this or a calmer one (VC-E calmest)"
    )
    ground_floor: bool | None = Field(default=None, description="on the ground floor or not")
    hoist_opening: bool | None = Field(default=None, description="吊装口")
    dual_power_feed: bool | None = Field(default=None, description="双回路供电")
    steam: bool | None = Field(default=None, description="蒸汽")
    gas: bool | None = Field(default=None, description="燃气")
    purified_water: bool | None = Field(default=None, description="纯化水/注射用水")


def technical_conditions(table: FromClause, wanted: object) -> list[ColumnElement[bool]]:
    """That a unit of ``table`` meets the minima.

    ``wanted`` names them as ``TechnicalMinima`` does; it need not know all of them.
    """
    conditions = same(table.c.is_ground_floor, getattr(wanted, "ground_floor", None))
    for name in _NUMBERS:
        conditions += at_least(table.c[name], getattr(wanted, f"min_{name}", None))
    for name in _CLASSES:
        need = getattr(wanted, name, None)
        if need is not None:
            conditions += one_of(table.c[name], serving(need))
    for name in _FLAGS:
        conditions += same(table.c[name], getattr(wanted, name, None))
    return conditions
