"""What drawn properties may be: codes, bounds of numbers, and how they hang together; in words.

The tables' own checks judge. What is said here says the same before they are asked, names the
property, and tells tools beforehand. A test holds the two together.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from app.kernel.terms import (
    CarrierType,
    Confidence,
    GeometryQuality,
    Grade,
    LandUseCode,
    PhysicalState,
    Tenure,
    Term,
    is_joined,
)

#: Coded properties.
CODES: Mapping[str, type[Term]] = {
    "carrier_type": CarrierType,
    "confidence": Confidence,
    "geometry_quality": GeometryQuality,
    "grade": Grade,
    "land_use_code": LandUseCode,
    "physical_state": PhysicalState,
    "tenure": Tenure,
}
#: Those of which several may be joined: a plot of mixed use.
JOINED = frozenset({"land_use_code"})


class Words(NamedTuple):
    """What is said to people, in both languages."""

    en: str
    zh: str


class Pattern(NamedTuple):
    """How a text is written: as is tested, as JSON Schema tells it, and as people hear it."""

    regex: re.Pattern[str]
    schema: Mapping[str, object]
    words: Words


_NATIONAL = r"[0-9]{2}(?:[0-9]{2}){0,2}"
PATTERNS: Mapping[str, Pattern] = {
    # A code is part of addresses, and read out loud. Its letters are those of any script.
    "code": Pattern(
        re.compile(r"[\w.-]{1,64}"),
        {"minLength": 1, "maxLength": 64},
        Words(
            "letters, digits, - _ and . only, at most 64", "仅限字母、数字与 - _ .，至多 64 个字符"
        ),
    ),
    "land_use_code_national": Pattern(
        re.compile(f"{_NATIONAL}(?:/{_NATIONAL})*"),
        {"pattern": f"^{_NATIONAL}(?:/{_NATIONAL})*$"},
        Words(
            "codes of the national classification, of 2, 4 or 6 digits, apart by /, as 100101/0802",
            "应为国土空间用地用海分类代码（2、4 或 6 位数字，多个以 / 分隔），如 100101/0802",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers that a property may have, from ``least`` (or only ``above`` it) to ``most``."""

    least: int = 0
    most: int | None = None
    above: bool = False

    def holds(self, number: Decimal | int) -> bool:
        """Whether a number is within them."""
        if self.most is not None and number > self.most:
            return False
        return number > self.least if self.above else number >= self.least

    @property
    def words(self) -> Words:
        """What a number must be."""
        if self.most is not None:
            return Words(f"a number from {self.least} to {self.most}", self._between)
        if self.above:
            return Words(f"a number greater than {self.least}", f"须大于 {self.least}")
        return Words(f"a number from {self.least} on", f"不得小于 {self.least}")

    @property
    def _between(self) -> str:
        return f"须在 {self.least} 至 {self.most} 之间"


_POSITIVE, _NOT_NEGATIVE, _PERCENT = Bounds(above=True), Bounds(), Bounds(most=100)
BOUNDS: Mapping[str, Bounds] = {
    "building_density_max_pct": _PERCENT,
    "clear_height_m": _POSITIVE,
    "floor_area_ratio_max": _POSITIVE,
    "floor_load_kn_m2": _POSITIVE,
    "floors_above": Bounds(least=1),
    "floors_below": _NOT_NEGATIVE,
    "freight_lift_t": _NOT_NEGATIVE,
    "green_ratio_min_pct": _PERCENT,
    "grade_year": Bounds(least=2000, most=2100),
    "gross_floor_area_m2": _POSITIVE,
    "height_limit_m": _POSITIVE,
    "height_m": _POSITIVE,
    "mix_ratio_max_pct": _PERCENT,
    "position_accuracy_m": _NOT_NEGATIVE,
    "power_capacity_kva": _NOT_NEGATIVE,
    "published_area_m2": _POSITIVE,
    "storey_height_m": _POSITIVE,
    # No land-use right is granted for longer than 70 years, which is for dwellings.
    "tenure_years": Bounds(least=1, most=70),
    "waste_water_t_per_day": _NOT_NEGATIVE,
}

#: What a check says of several properties at once, by its name in the table: of which, and what.
TOGETHER: Mapping[str, tuple[tuple[str, ...], Words]] = {
    "heights": (
        ("clear_height_m", "storey_height_m"),
        Words(
            "the clear height is at most the storey height",
            "净高不得大于层高",
        ),
    ),
}
#: What is said where a check was broken that nothing here foresees.
UNFORESEEN = Words(
    "breaks a rule of this layer; look at its schema", "不符合该图层的规则，请对照图层的 schema"
)


def allowed(name: str, text: str) -> bool:
    """Whether a text is one of the values of a coded property."""
    codes = CODES[name]
    return is_joined(text, codes) if name in JOINED else text in {*codes}


def codes_in_words(codes: type[Term], said: str, *, joined: bool) -> Words:
    """The codes that there are, and whether they may be joined; or the one whose name was said.

    >>> codes_in_words(Grade, "E", joined=False).en
    'one of A (Class A), B (Class B), C (Class C), D (Class D)'
    >>> codes_in_words(Tenure, "出让", joined=False).en
    'write grant (Granted land-use right)'
    """
    meant = [code for code in codes if said.lower() in {code.lower(), code.zh, code.en.lower()}]
    among = meant or [*codes]
    en = ", ".join(f"{code.value} ({code.en})" for code in among)
    zh = "、".join(f"{code.value}（{code.zh}）" for code in among)
    if meant:
        return Words(f"write {en}", f"请写作 {zh}")
    if joined:
        return Words(
            f"one of {en}, or different ones joined by / or +",
            f"应为 {zh} 之一，混合用途以 / 或 + 连接",
        )
    return Words(f"one of {en}", f"应为 {zh} 之一")
