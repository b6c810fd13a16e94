"""The one declared table of constraints: search, refusals, holds and wishes read it. Pure.

A constraint's bit is its place here. Rows are only added at the end: a bit keeps its meaning.
"""

from collections.abc import Mapping

from app.kernel.terms import FacilityType
from app.matching.forms import Own
from app.matching.rules.constraint import Combining, Constraint
from app.matching.rules.families import Extra, at_least, at_most, class_at_least, must_have
from app.matching.rules.ground import (
    facility_within,
    in_places_rule,
    land_use_rule,
    near_rule,
    pilot_rule,
    within_rule,
)
from app.matching.rules.own import (
    availability_rule,
    only_one_rule,
    power_left_rule,
    rent_a_year_rule,
)
from app.matching.rules.special import (
    fire_storey_rule,
    iso_rule,
    places_rule,
    term_rule,
    unit_type_rule,
)

#: Version of the table; raise it when a rule changes.
TABLE_VERSION = "2026.11-2"

_SERVICES = Extra(relax_cost=2)


def _law(source: str) -> Extra:
    return Extra(
        relax_cost=9,
        never_relax=True,
        source=f"{source}; check the clause before relying on it",
        confidence="assumption",
    )


def _standard(source: str, *, relax_cost: int = 3) -> Extra:
    return Extra(relax_cost=relax_cost, source=source, confidence="assumption")


CONSTRAINTS: tuple[Constraint, ...] = (
    unit_type_rule(),
    at_least(
        "min_area_m2",
        "leasable_area_m2",
        "面积",
        "area",
        Extra(Combining.SUM, relax_cost=4, title=("面积下限", "smallest area")),
    ),
    at_most(
        "max_area_m2",
        "leasable_area_m2",
        "面积",
        "area",
        Extra(Combining.SUM, relax_cost=3, title=("面积上限", "largest area")),
    ),
    places_rule(),
    availability_rule(),
    term_rule(),
    land_use_rule(),
    class_at_least(
        "fire_hazard_class",
        "fire_hazard_class",
        "设计火灾危险性类别",
        "designed fire hazard class",
        _law("GB 50016-2014 (2018 edition), GB 55037-2022"),
    ),
    fire_storey_rule(),
    at_least(
        "min_floor_load_kn_m2",
        "floor_load_kn_m2",
        "楼面荷载",
        "floor load",
        Extra(
            source="the firm's need against the floor's design load (GB 55001-2021, GB 50009-2012)"
        ),
    ),
    at_least("min_clear_height_m", "clear_height_m", "净高", "clear height"),
    at_least("min_power_density_w_m2", "power_density_w_m2", "配电密度", "power density"),
    at_least("min_power_kva", "power_kva", "配电容量", "power", Extra(Combining.SUM, relax_cost=2)),
    class_at_least(
        "cleanroom_grade",
        "cleanroom_grade",
        "洁净等级",
        "cleanroom grade",
        _standard("GMP 2010 annex 1, GB 50457-2019: a stricter grade serves a weaker need"),
    ),
    at_least(
        "biosafety_level",
        "biosafety_level",
        "生物安全等级",
        "biosafety level (BSL)",
        _law("GB 19489-2008, GB 50346-2011"),
    ),
    class_at_least(
        "animal_facility",
        "animal_facility",
        "动物设施",
        "animal facility",
        _standard("GB 14925-2023, GB 50447-2008: SPF serves conventional"),
    ),
    at_least(
        "min_cold_storage_m2",
        "cold_storage_m2",
        "冷库面积",
        "cold storage",
        Extra(Combining.SUM, relax_cost=2),
    ),
    at_least(
        "min_waste_water_t_per_day",
        "waste_water_t_per_day",
        "废水处理能力",
        "waste water",
        Extra(Combining.SUM, relax_cost=3),
    ),
    at_least(
        "min_freight_lift_t",
        "freight_lift_t",
        "货梯载重",
        "freight lift",
        Extra(Combining.ANY, relax_cost=2),
    ),
    must_have("hoist_opening", "hoist_opening", "吊装口", "hoist opening", Extra(Combining.ANY)),
    must_have("ground_floor", "is_ground_floor", "首层", "ground floor", Extra(Combining.ANY)),
    must_have("steam", "steam", "蒸汽", "steam", _SERVICES),
    must_have("gas", "gas", "燃气", "gas", _SERVICES),
    must_have("purified_water", "purified_water", "纯化水", "purified water", _SERVICES),
    must_have("dual_power_feed", "dual_power_feed", "双回路供电", "dual power feed", _SERVICES),
    class_at_least(
        "isotope_class",
        "isotope_class",
        "放射性工作场所级别",
        "isotope workplace",
        _law("GB 18871-2002 and the radiation safety licence"),
    ),
    class_at_least(
        "vibration_class",
        "vibration_class",
        "振动等级",
        "vibration class",
        _standard("GB 50868-2013: a stiller floor serves a weaker need"),
    ),
    pilot_rule(),
    in_places_rule("zones", "区域", "zones"),
    in_places_rule("parks", "园区", "parks"),
    near_rule(),
    *(facility_within(facility) for facility in FacilityType),
    at_most("max_rent_cny_per_m2_day", "rent_cny_per_m2_day", "租金", "rent"),
    rent_a_year_rule(),
    only_one_rule(Own.WHOLE_FLOOR, "whole_floor", "整层", "the floor"),
    only_one_rule(Own.WHOLE_BUILDING, "whole_building", "整栋", "the building"),
    within_rule(),
    power_left_rule(),
    class_at_least("physical_state", "physical_state", "交付状态", "state of delivery"),
    iso_rule(),
)

#: A constraint's bit by its key.
BITS: Mapping[str, int] = {constraint.key: bit for bit, constraint in enumerate(CONSTRAINTS)}
BY_KEY: Mapping[str, Constraint] = {constraint.key: constraint for constraint in CONSTRAINTS}
