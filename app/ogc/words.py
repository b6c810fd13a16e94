"""What the properties are called in both languages, units of numbers, and codes of texts."""

from collections.abc import Mapping

from app.inventory.drawing.domains import CODES as DRAWN_CODES
from app.kernel.terms import (
    AnimalFacility,
    CapacityMeasure,
    CleanroomGrade,
    FireHazardClass,
    IsotopeClass,
    LayoutRole,
    SourceDatum,
    Term,
    UnitType,
    VibrationClass,
)

#: Coded properties.
CODES: Mapping[str, type[Term]] = {
    **DRAWN_CODES,
    "animal_facility": AnimalFacility,
    "capacity_measure": CapacityMeasure,
    "cleanroom_grade": CleanroomGrade,
    "fire_hazard_class": FireHazardClass,
    "isotope_class": IsotopeClass,
    "layout_role": LayoutRole,
    "source_datum": SourceDatum,
    "unit_type": UnitType,
    "vibration_class": VibrationClass,
}

#: How the unit of a number ends its name, the longer ending first, and how it is written.
_UNITS = {
    "_cny_per_m2_day": "CNY/(m2.d)",
    "_cny_per_place_month": "CNY/(place.month)",
    "_t_per_day": "t/d",
    "_kn_m2": "kN/m2",
    "_kg_m2": "kg/m2",
    "_w_m2": "W/m2",
    "_m2": "m2",
    "_kva": "kVA",
    "_pct": "%",
    "_cny": "CNY",
    "_months": "month",
    "_years": "a",
    "_m": "m",
    "_t": "t",
}

_CHINESE: Mapping[str, str] = {
    "animal_facility": "动物设施等级",
    "area_measured_on": "面积测量日期",
    "area_method": "面积取得方式",
    "area_tolerance_pct": "面积允许误差",
    "biosafety_level": "生物安全等级",
    "boundary_east": "东至",
    "boundary_north": "北至",
    "boundary_south": "南至",
    "boundary_west": "西至",
    "building_code": "楼宇编码",
    "building_density_max_pct": "建筑密度上限",
    "building_name_en": "楼宇英文名",
    "building_name_zh": "楼宇名称",
    "buildings_count": "楼宇数",
    "capacity": "容量",
    "capacity_measure": "容量计量",
    "carrier_type": "载体类型",
    "cleanroom_grade": "洁净等级",
    "clear_height_m": "净高",
    "code": "编码",
    "cold_storage_m2": "冷库面积",
    "confidence": "数据可信度",
    "delivered_on": "交付日期",
    "district": "行政区",
    "divisible": "可分割出租",
    "dual_power_feed": "双回路供电",
    "fire_hazard_class": "火灾危险性类别",
    "floor_area_ratio_max": "容积率上限",
    "floor_code": "楼层编码",
    "floor_load_kn_m2": "楼面活荷载",
    "floors_above": "地上层数",
    "floors_below": "地下层数",
    "floors_count": "楼层数",
    "focus_sectors": "重点产业",
    "free_from": "可用起始日",
    "free_quantity": "可用数量",
    "free_until": "可用截止日",
    "freight_lift_t": "货梯载重",
    "gas": "燃气",
    "geometric_area_m2": "图上面积",
    "geometry_quality": "图形质量",
    "grade": "土地绩效评价等级",
    "grade_year": "评价年份",
    "green_ratio_min_pct": "绿地率下限",
    "gross_floor_area_m2": "建筑面积",
    "height_limit_m": "限高",
    "height_m": "建筑高度",
    "hoist_opening": "吊装口",
    "id": "编号",
    "internal_area_m2": "套内建筑面积",
    "is_ground_floor": "位于首层",
    "isotope_class": "放射性工作场所等级",
    "known_from": "获知时间",
    "land_use_code": "规划用地性质",
    "land_use_code_national": "国土空间用地分类",
    "layout_role": "1+5+X 布局",
    "leasable_area_m2": "计租面积",
    "level_index": "楼层序号",
    "level_name": "楼层名",
    "management_area": "管理片区",
    "max_term_months": "最长租期",
    "min_part": "最小可租部分",
    "min_term_months": "最短租期",
    "mix_ratio_max_pct": "混合用途比例上限",
    "name_en": "英文名称",
    "name_zh": "名称",
    "parcel_code": "地块编码",
    "parent_park_code": "上级园区编码",
    "park_code": "园区编码",
    "park_name_en": "园区英文名",
    "park_name_zh": "园区名称",
    "parks_count": "园区数",
    "physical_state": "建设状态",
    "planned_floor_area_m2": "规划建筑面积",
    "position_accuracy_m": "位置精度",
    "power_capacity_kva": "配电容量",
    "power_density_w_m2": "供电密度",
    "power_kva": "配电容量",
    "programme_code": "项目编码",
    "programme_codes": "所属项目编码",
    "programme_name_en": "项目英文名",
    "programme_name_zh": "项目名称",
    "published_area_m2": "公布用地面积",
    "published_building_count": "公布楼栋数",
    "published_floor_load_kg_m2": "公布荷载",
    "published_investment_cny": "公布投资额",
    "published_land_area_m2": "公布项目用地面积",
    "published_lettable_area_m2": "公布可租面积",
    "purified_water": "纯化水/注射用水",
    "rent_cny_per_m2_day": "租金",
    "rent_cny_per_place_month": "工位租金",
    "seq": "显示顺序",
    "source": "来源",
    "source_datum": "原始坐标基准",
    "special_goods_import_pilot": "入境特殊物品试点",
    "steam": "蒸汽",
    "storey_height_m": "层高",
    "synthetic": "演示数据",
    "synthetic_floor_area_m2": "其中演示建筑面积",
    "target_floor_area_m2": "目标建筑面积",
    "tenure": "供地方式",
    "tenure_years": "出让年限",
    "unit_type": "空间类型",
    "units_count": "房源单元数",
    "usable_from": "可使用起始日",
    "usable_until": "可使用截止日",
    "valid_from": "生效日",
    "valid_until": "失效日",
    "vibration_class": "微振动等级",
    "waste_water_t_per_day": "污水处理能力",
    "zone_code": "片区编码",
    "zone_name_en": "片区英文名",
    "zone_name_zh": "片区名称",
}

#: Words of a coded property, in one language.
_LANGUAGES = {"_zh": ("（中文）", " (Chinese)"), "_en": ("（英文）", " (English)")}


def unit_of(name: str) -> str:
    """The unit of a number, which its name ends with; empty where it counts or has none.

    >>> unit_of("floor_load_kn_m2"), unit_of("capacity")
    ('kN/m2', '')
    """
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")


def titles_of(name: str) -> tuple[str, str]:
    """What a property is called, 中文 and English.

    Raises:
        KeyError: nobody has given it a name.

    >>> titles_of("floor_load_kn_m2")
    ('楼面活荷载', 'Floor load')
    >>> titles_of("unit_type_zh")
    ('空间类型（中文）', 'Unit type (Chinese)')
    """
    if name not in _CHINESE:
        of, said = name[:-3], _LANGUAGES.get(name[-3:])
        if said is not None and of in CODES:
            chinese, english = titles_of(of)
            return chinese + said[0], english + said[1]
    ending = next((ending for ending in _UNITS if name.endswith(ending)), "")
    words = name.removesuffix(ending).replace("_", " ")
    return _CHINESE[name], words.capitalize()
