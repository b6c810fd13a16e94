"""Every need a firm can have: its key, its unit and its words. Pure.

A key means the same in the firm's form, in the table of needs by stage, and in the matcher:
``min_…`` and ``max_…`` bound a number in the unit named; a grade or class means "this or
stricter"; a flag means "must have".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from app.demand.drawn import area_km2, drawn_area
from app.kernel.terms import (
    AnimalFacility,
    CleanroomGrade,
    FacilityType,
    FireHazardClass,
    IsotopeClass,
    PhysicalState,
    ProcessClass,
    Term,
    UnitType,
    VibrationClass,
)

_Named = TypeVar("_Named", bound=Term)

#: Names of zones and parks in Chinese and English: by need key, then by code.
PlaceNames = Mapping[str, Mapping[str, tuple[str, str]]]
NO_NAMES: PlaceNames = {}


class Holding(Term):
    """Whether a firm means to rent or to buy."""

    LEASE = "lease", "租赁", "lease"
    PURCHASE = "purchase", "购买", "purchase"


def named(terms: type[_Named], value: str) -> _Named:
    """The member of a vocabulary that has a value.

    Raises:
        ValueError: there is none.

    >>> named(UnitType, "pilot").zh
    '中试'
    """
    for term in terms:
        if term.value == value:
            return term
    raise ValueError(f"{value!r} is no {terms.__name__}")


class Hardness(StrEnum):
    """Whether a unit that lacks it is refused, or only scores less."""

    HARD = "hard"
    SOFT = "soft"


class Origin(StrEnum):
    """Whose word a need is."""

    STATED = "stated"
    DERIVED = "derived"


@dataclass(frozen=True, slots=True)
class NeedKind:
    """One kind of need.

    ``unit`` is shown behind a number, ``terms`` holds the words of its values, ``fixed`` is the
    hardness where a firm has no choice.
    """

    key: str
    zh: str
    en: str
    unit: str = ""
    terms: type[Term] | None = None
    fixed: Hardness | None = None

    def words(self, value: Any, names: PlaceNames = NO_NAMES) -> tuple[str, str]:
        """The need as a phrase in Chinese and in English; ``names`` are those of its codes.

        >>> NEEDS["biosafety_level"].words(2)
        ('生物安全等级：2', 'biosafety level (BSL): 2')
        """
        if self.terms is not None:
            term = named(self.terms, value)
            return f"{self.zh}：{term.zh}", f"{self.en}: {term.en}"
        if value is True:
            return self.zh, self.en
        if isinstance(value, Mapping) and "coordinates" in value:
            size = number_text(area_km2(drawn_area(value)))
            return f"{self.zh}：{size} km²", f"{self.en}: {size} km²"
        if isinstance(value, Mapping):
            place = f"{value['lon']}, {value['lat']}"
            within = number_text(value["within_m"])
            return f"{self.zh}：({place}) {within} m 内", f"{self.en}: within {within} m of {place}"
        if isinstance(value, (list, tuple)):
            listed_zh, listed_en = listed(value, names.get(self.key, {}))
            return f"{self.zh}：{listed_zh}", f"{self.en}: {listed_en}"
        shown = number_text(value) if isinstance(value, (int, float)) else str(value)
        unit_zh, unit_en = unit_words(self.unit)
        return f"{self.zh}：{shown} {unit_zh}".rstrip(), f"{self.en}: {shown} {unit_en}".rstrip()


#: Units whose sign differs between the languages: as shown, in Chinese, in English.
_UNIT_WORDS = {
    "元/㎡·天": ("元/㎡·天", "CNY/m²·day"),
    "元": ("元", "CNY"),
    "months": ("个月", "months"),
    "days": ("天", "days"),
    "places": ("个工位", "places"),
    "units": ("个单元", "units"),
}


def unit_words(unit: str) -> tuple[str, str]:
    """A unit's sign in Chinese and in English.

    >>> unit_words("months"), unit_words("kVA")
    (('个月', 'months'), ('kVA', 'kVA'))
    """
    return _UNIT_WORDS.get(unit, (unit, unit))


def listed(codes: Iterable[str], names: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Places by their names in Chinese and in English; a code without a name stays.

    >>> listed(["core", "x"], {"core": ("核心区", "the core")})
    ('核心区、x', 'the core, x')
    """
    known = [names.get(code, (code, code)) for code in codes]
    return "、".join(zh for zh, _ in known), ", ".join(en for _, en in known)


def within_a_sentence(phrase: str) -> str:
    """An English phrase as it stands inside a sentence; abbreviations keep their capitals.

    >>> within_a_sentence("Metro station"), within_a_sentence("CMO/CDMO line")
    ('metro station', 'CMO/CDMO line')
    """
    return phrase if phrase[1:2].isupper() else phrase[:1].lower() + phrase[1:]


def number_text(value: float) -> str:
    """A number as people write it: no needless decimals, thousands set apart.

    >>> number_text(1500.0), number_text(7.85)
    ('1,500', '7.85')
    """
    return f"{value:,.2f}".rstrip("0").rstrip(".")


HARD, SOFT = Hardness.HARD, Hardness.SOFT

_KINDS = (
    NeedKind("unit_type", "空间类型", "kind of space", terms=UnitType, fixed=HARD),
    NeedKind("places", "工位数", "places", "places", fixed=HARD),
    NeedKind("min_area_m2", "面积下限", "smallest area", "m²"),
    NeedKind("max_area_m2", "面积上限", "largest area", "m²"),
    NeedKind("target_area_m2", "理想面积", "area aimed at", "m²", fixed=SOFT),
    NeedKind("whole_floor", "整层", "a whole floor"),
    NeedKind("whole_building", "整栋", "a whole building"),
    NeedKind("physical_state", "交付状态不低于", "built at least to", terms=PhysicalState),
    NeedKind("from", "需要自", "needed from", fixed=HARD),
    NeedKind("latest_from", "最晚起租日", "latest start", fixed=HARD),
    NeedKind("term_months", "租期", "term", "months", fixed=HARD),
    NeedKind(
        "process", "工艺排放类别", "emission class of the process", terms=ProcessClass, fixed=HARD
    ),
    NeedKind(
        "fire_hazard_class",
        "火灾危险性类别",
        "fire hazard class",
        terms=FireHazardClass,
        fixed=HARD,
    ),
    NeedKind("min_floor_load_kn_m2", "楼面荷载不低于", "floor load at least", "kN/m²"),
    NeedKind("min_clear_height_m", "净高不低于", "clear height at least", "m"),
    NeedKind("min_power_density_w_m2", "配电密度不低于", "power density at least", "W/m²"),
    NeedKind("min_power_kva", "配电容量不低于", "power at least", "kVA"),
    NeedKind("cleanroom_grade", "洁净等级", "cleanroom grade", terms=CleanroomGrade),
    NeedKind("cleanroom_iso_class", "洁净等级（ISO，静态）", "cleanroom class (ISO, at rest)"),
    NeedKind("min_cleanroom_area_m2", "洁净面积不低于", "cleanroom area at least", "m²"),
    NeedKind("biosafety_level", "生物安全等级", "biosafety level (BSL)"),
    NeedKind("animal_facility", "动物设施", "animal facility", terms=AnimalFacility),
    NeedKind("min_cold_storage_m2", "冷库不低于", "cold storage at least", "m²"),
    NeedKind("min_waste_water_t_per_day", "废水量不低于", "waste water at least", "t/d"),
    NeedKind("min_freight_lift_t", "货梯载重不低于", "freight lift at least", "t"),
    NeedKind("hoist_opening", "吊装口", "hoist opening"),
    NeedKind("ground_floor", "首层", "ground floor"),
    NeedKind("steam", "蒸汽", "steam"),
    NeedKind("gas", "燃气", "gas"),
    NeedKind("purified_water", "纯化水/注射用水", "purified water"),
    NeedKind("dual_power_feed", "双回路供电", "dual power feed"),
    NeedKind("isotope_class", "放射性工作场所级别", "isotope workplace", terms=IsotopeClass),
    NeedKind("vibration_class", "振动等级", "vibration class", terms=VibrationClass),
    NeedKind("special_goods_import_pilot", "入境特殊物品试点", "special-goods import pilot"),
    NeedKind("zones", "意向区域", "zones"),
    NeedKind("parks", "意向园区", "parks"),
    NeedKind("near", "意向位置", "near a point"),
    NeedKind("within", "所画范围", "inside the area drawn"),
    *(
        NeedKind(
            f"max_{facility.value}_distance_m",
            f"距{facility.zh}不超过",
            f"{within_a_sentence(facility.en)} within",
            "m",
        )
        for facility in FacilityType
    ),
    NeedKind("max_rent_cny_per_m2_day", "租金不高于", "rent at most", "元/㎡·天"),
    NeedKind("max_rent_cny_per_year", "年租金预算", "rent a year at most", "元"),
    NeedKind("tenure", "租购方式", "lease or purchase", terms=Holding, fixed=SOFT),
    NeedKind("investment_cny", "计划投资", "planned investment", "元", fixed=SOFT),
    NeedKind("remarks", "备注", "remarks", fixed=SOFT),
)

#: Every kind of need by key, in the order in which people read them.
NEEDS: Mapping[str, NeedKind] = {kind.key: kind for kind in _KINDS}
_PLACE = {key: place for place, key in enumerate(NEEDS)}


@dataclass(frozen=True, slots=True)
class Need:
    """One need of one request, and where it comes from."""

    key: str
    value: Any
    hardness: Hardness
    origin: Origin
    rule: str
    rules_version: str
    source: str
    confidence: str

    def as_json(self, names: PlaceNames = NO_NAMES) -> dict[str, Any]:
        """The need with its words, as it is stored and shown."""
        kind = NEEDS[self.key]
        words_zh, words_en = kind.words(self.value, names)
        return {
            "key": self.key,
            "value": self.value,
            "unit": kind.unit or None,
            "hardness": self.hardness.value,
            "origin": self.origin.value,
            "words_zh": words_zh,
            "words_en": words_en,
            "rule": self.rule,
            "rules_version": self.rules_version,
            "source": self.source,
            "confidence": self.confidence,
            "can_overrule": True,
        }


def from_json(stored: Mapping[str, Any]) -> Need:
    """The need behind what ``Need.as_json`` wrote."""
    return Need(
        key=stored["key"],
        value=stored["value"],
        hardness=Hardness(stored["hardness"]),
        origin=Origin(stored["origin"]),
        rule=stored["rule"],
        rules_version=stored["rules_version"],
        source=stored["source"],
        confidence=stored["confidence"],
    )


def in_order(need: Need) -> tuple[int, str]:
    """Sorts needs as people read them; a hard one before a soft one of the same key."""
    return _PLACE[need.key], need.hardness.value
