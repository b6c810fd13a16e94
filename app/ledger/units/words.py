"""What the facts of a unit are called, and how their values are written for people."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from app.kernel.terms import (
    AnimalFacility,
    CapacityMeasure,
    CarrierType,
    CleanroomGrade,
    Confidence,
    FireHazardClass,
    GeometryQuality,
    IsotopeClass,
    PhysicalState,
    RemainderRule,
    SourceDatum,
    Term,
    UnitType,
    VibrationClass,
)


class Unit(NamedTuple):
    """A unit of measure in both languages."""

    zh: str = ""
    en: str = ""


class Word(NamedTuple):
    """A fact in both languages, its unit of measure, and the words of its values."""

    zh: str
    en: str
    unit: Unit = Unit()
    values: type[Term] | None = None


_NONE = Unit()
_M2 = Unit("㎡", "m²")
_MEASURES = {CapacityMeasure.M2.value: _M2, CapacityMeasure.PLACE.value: Unit("位", "places")}
_MONTHS = Unit("个月", "months")
_PERCENT = Unit("%", "%")

#: By column. A column that is not here is called by its name.
WORDS: Mapping[str, Word] = {
    "name_zh": Word("名称", "Chinese name"),
    "name_en": Word("英文名称", "name"),
    "unit_type": Word("空间类型", "type", values=UnitType),
    "carrier_type": Word("载体类型", "carrier type", values=CarrierType),
    "physical_state": Word("物理状态", "physical state", values=PhysicalState),
    "usable": Word("可用日期", "usable days"),
    "capacity_measure": Word("容量单位", "measure", values=CapacityMeasure),
    "capacity": Word("容量", "capacity"),
    "divisible": Word("可分租", "let in parts"),
    "min_part": Word("最小可租", "smallest part"),
    "remainder_rule": Word("余量规则", "remainder rule", values=RemainderRule),
    "leasable_area_m2": Word("计租面积", "leasable area", _M2),
    "internal_area_m2": Word("套内建筑面积", "internal area", _M2),
    "area_method": Word("测量方法", "method of measuring"),
    "area_measured_on": Word("测量日期", "measured on"),
    "area_tolerance_pct": Word("面积误差", "measuring tolerance", _PERCENT),
    "rent_cny_per_m2_day": Word("租金", "rent", Unit("元/㎡·天", "CNY/m²·day")),
    "rent_cny_per_place_month": Word("工位租金", "rent", Unit("元/位·月", "CNY/place·month")),
    "min_term_months": Word("最短租期", "shortest term", _MONTHS),
    "max_term_months": Word("最长租期", "longest term", _MONTHS),
    "is_ground_floor": Word("首层", "ground floor"),
    "clear_height_m": Word("净高", "clear height", Unit("米", "m")),
    "floor_load_kn_m2": Word("楼面活荷载", "floor load", Unit("kN/㎡", "kN/m²")),
    "power_kva": Word("配电", "power", Unit("kVA", "kVA")),
    "power_density_w_m2": Word("用电密度", "power density", Unit("W/㎡", "W/m²")),
    "cleanroom_grade": Word("洁净等级", "cleanroom grade", values=CleanroomGrade),
    "biosafety_level": Word("生物安全等级", "biosafety level"),
    "fire_hazard_class": Word("火灾危险性类别", "fire hazard class", values=FireHazardClass),
    "waste_water_t_per_day": Word("污水处理", "waste water", Unit("吨/天", "t/day")),
    "freight_lift_t": Word("货梯载重", "freight lift", Unit("吨", "t")),
    "hoist_opening": Word("吊装口", "hoist opening"),
    "dual_power_feed": Word("双回路供电", "dual power feed"),
    "steam": Word("蒸汽", "steam"),
    "gas": Word("燃气", "gas"),
    "purified_water": Word("纯化水/注射用水", "purified water"),
    "animal_facility": Word("动物设施", "animal facility", values=AnimalFacility),
    "cold_storage_m2": Word("冷库", "cold storage", _M2),
    "isotope_class": Word("同位素场所等级", "isotope class", values=IsotopeClass),
    "vibration_class": Word("微振等级", "vibration class", values=VibrationClass),
    "geom": Word("平面轮廓", "outline"),
    "source_datum": Word("坐标系", "datum", values=SourceDatum),
    "geometry_quality": Word("图形质量", "quality of the outline", values=GeometryQuality),
    "position_accuracy_m": Word("定位精度", "accuracy of position", Unit("米", "m")),
    "source": Word("来源", "source"),
    "confidence": Word("可信度", "confidence", values=Confidence),
    "synthetic": Word("模拟数据", "synthetic"),
}
#: Facts in the unit's own measure.
_OWN_MEASURE = frozenset({"capacity", "min_part"})
#: Facts that only follow from another that is told as well.
_FOLLOWS = {"capacity": "leasable_area_m2", "divisible": "min_part"}


def amount_zh(value: Any, measure: str) -> str:
    """An amount in a unit's own measure.

    >>> amount_zh(600.0, "m2")
    '600 ㎡'
    """
    return f"{_number(value)} {_MEASURES[measure].zh}"


def amount_en(value: Any, measure: str) -> str:
    """An amount in a unit's own measure.

    >>> amount_en(12.0, "place")
    '12 places'
    """
    return f"{_number(value)} {_MEASURES[measure].en}"


def changes_zh(values: Mapping[str, Mapping[str, Any]], measure: str) -> str:
    """What changed from what to what; an outline only by its name.

    >>> changes_zh({"rent_cny_per_m2_day": {"before": "4.1000", "after": "9.99"}}, "m2")
    '租金 4.1 → 9.99 元/㎡·天'
    """
    return "、".join(_change(name, both, measure, zh=True) for name, both in _told(values))


def changes_en(values: Mapping[str, Mapping[str, Any]], measure: str) -> str:
    """What changed from what to what; an outline only by its name.

    >>> changes_en({"steam": {"before": None, "after": True}}, "m2")
    'steam – → yes'
    """
    return ", ".join(_change(name, both, measure, zh=False) for name, both in _told(values))


def _told(values: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """The changes in the order of ``WORDS``, save those that say again what another says."""
    order = {name: place for place, name in enumerate(WORDS)}
    found = []
    for name in sorted(values, key=lambda name: (order.get(name, len(order)), name)):
        other = values.get(_FOLLOWS.get(name, ""))
        again = other is not None and (name != "capacity" or _same(values[name], other))
        if not again:
            found.append((name, values[name]))
    return found


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(_number(one[key]) == _number(other[key]) for key in ("before", "after"))


def _change(name: str, both: Mapping[str, Any], measure: str, *, zh: bool) -> str:
    word = WORDS.get(name, Word(name, name))
    called = word.zh if zh else word.en
    if name == "geom":
        return called
    unit = _MEASURES[measure] if name in _OWN_MEASURE else word.unit
    before, after = (_shown(both[key], word, unit, zh=zh) for key in ("before", "after"))
    shown = unit.zh if zh else unit.en
    return f"{called} {before} → {after}" + (f" {shown}" if shown else "")


def _shown(value: Any, word: Word, unit: Unit, *, zh: bool) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        yes, no = ("是", "否") if zh else ("yes", "no")
        return yes if value else no
    if isinstance(value, list):
        return "..".join(str(end or "") for end in value)
    if word.values is not None:
        term = next((one for one in word.values if one.value == value), None)
        if term is not None:
            return term.zh if zh else term.en
    return str(value) if unit == _NONE else _number(value)


def _number(value: Any) -> str:
    """A number without zeros that say nothing."""
    if value is None:
        return "–"
    try:
        return f"{Decimal(str(value)).normalize():f}"
    except InvalidOperation:
        return str(value)
