"""The one declared table of constraints: search, refusals and wishes read it. Pure.

A constraint's bit is its place here. Rows are only added at the end: a bit keeps its meaning.
"""

from collections.abc import Mapping

from app.demand.needs import within_a_sentence
from app.kernel.terms import FacilityType
from app.matching.constraints import (
    GB50016,
    Combining,
    Constraint,
    Extra,
    at_least,
    at_most,
    class_at_least,
    must_have,
)
from app.matching.snapshot import FACILITY_COLUMNS
from app.matching.special import (
    availability_rule,
    fire_storey_rule,
    in_places_rule,
    land_use_rule,
    near_rule,
    only_one_rule,
    places_rule,
    term_rule,
    unit_type_rule,
)

#: Version of the table; raise it when a rule changes.
TABLE_VERSION = "2026.11-1"

_AREA_LEAST = Extra(Combining.SUM, relax_cost=4, title=("面积下限", "smallest area"))
_AREA_MOST = Extra(Combining.SUM, relax_cost=3, title=("面积上限", "largest area"))
_SERVICES = Extra(relax_cost=2)
_LAW = Extra(relax_cost=9, never_relax=True)

CONSTRAINTS: tuple[Constraint, ...] = (
    unit_type_rule(),
    at_least(
        "min_area_m2",
        "leasable_area_m2",
        "面积",
        "area",
        _AREA_LEAST,
    ),
    at_most(
        "max_area_m2",
        "leasable_area_m2",
        "面积",
        "area",
        _AREA_MOST,
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
        Extra(relax_cost=9, never_relax=True, source=GB50016, confidence="assumption"),
    ),
    fire_storey_rule(),
    at_least("min_floor_load_kn_m2", "floor_load_kn_m2", "楼面荷载", "floor load"),
    at_least("min_clear_height_m", "clear_height_m", "净高", "clear height"),
    at_least("min_power_density_w_m2", "power_density_w_m2", "配电密度", "power density"),
    at_least("min_power_kva", "power_kva", "配电容量", "power", Extra(Combining.SUM, relax_cost=2)),
    class_at_least("cleanroom_grade", "cleanroom_grade", "洁净等级", "cleanroom grade"),
    at_least("biosafety_level", "biosafety_level", "生物安全等级", "biosafety level (BSL)", _LAW),
    class_at_least("animal_facility", "animal_facility", "动物设施", "animal facility"),
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
        "isotope_class", "isotope_class", "放射性工作场所级别", "isotope workplace", _LAW
    ),
    class_at_least("vibration_class", "vibration_class", "振动等级", "vibration class"),
    must_have(
        "special_goods_import_pilot",
        "special_goods_import_pilot",
        "园区入境特殊物品试点",
        "special-goods import pilot of the park",
    ),
    in_places_rule("zones", "区域", "zones"),
    in_places_rule("parks", "园区", "parks"),
    near_rule(),
    *(
        at_most(
            f"max_{facility.value}_distance_m",
            FACILITY_COLUMNS[facility],
            f"距最近{facility.zh}",
            f"distance to the nearest {within_a_sentence(facility.en)}",
        )
        for facility in FacilityType
    ),
    at_most("max_rent_cny_per_m2_day", "rent_cny_per_m2_day", "租金", "rent"),
    at_most(
        "max_rent_cny_per_year",
        "rent_cny_per_year",
        "年租金",
        "rent a year",
        Extra(Combining.SUM, relax_cost=3),
    ),
    only_one_rule("whole_floor", "units_on_floor", "整层", "the floor"),
    only_one_rule("whole_building", "units_in_building", "整栋", "the building"),
)

#: A constraint's bit by its key.
BITS: Mapping[str, int] = {constraint.key: bit for bit, constraint in enumerate(CONSTRAINTS)}
BY_KEY: Mapping[str, Constraint] = {constraint.key: constraint for constraint in CONSTRAINTS}
