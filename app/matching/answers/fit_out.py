"""What it would take to build what a space lacks: months and cost, as planning assumptions. Pure.

The table (``data/needs/fit_out.toml``) is data that staff edit. A lack that no item of it mends,
such as a floor that carries too little, is not mended here: it stays a refusal or a missed wish.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from app.demand.needs import NEEDS, named, number_text
from app.kernel.terms import PhysicalState

#: Units of a band of cost are rounded up to this, 元: more would feign knowledge.
ROUNDED_TO_CNY = 1_000


class Basis(StrEnum):
    """What an item's cost is for: a square metre taken, a unit of what is short, or once."""

    M2 = "m2"
    LACK = "lack"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class Band:
    """A low and a high figure."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse figures out of order."""
        if not 0 <= self.low <= self.high:
            raise ValueError(f"0 <= low <= high does not hold: {self}")


@dataclass(frozen=True, slots=True)
class Item:
    """One way to build one thing; ``level`` is the grade or class it reaches, empty for none."""

    need: str
    level: str
    name_zh: str
    name_en: str
    basis: Basis
    months: Band
    cost_cny: Band
    note_zh: str
    note_en: str


@dataclass(frozen=True, slots=True)
class FitOutRules:
    """All items of one version; ``state`` is what a shell needs before all else."""

    version: str
    source: str
    confidence: str
    items: Mapping[tuple[str, str], Item]
    state: Mapping[str, Item]

    def item(self, need: str, value: Any) -> Item | None:
        """What mends a lack of ``need``, built up to ``value``; None where nothing does."""
        return self.items.get((need, str(value))) or self.items.get((need, ""))


@dataclass(frozen=True, slots=True)
class Lack:
    """A need that a space does not meet; ``have`` None is not recorded."""

    need: str
    value: Any
    have: Any


@dataclass(frozen=True, slots=True)
class Works:
    """One item for one space: months of works, and what it costs in all, 元."""

    item: Item
    cost_cny: Band


@dataclass(frozen=True, slots=True)
class FitOut:
    """All works for one space. They run side by side, so the longest says how long; costs add."""

    works: tuple[Works, ...]
    months: Band
    cost_cny: Band
    rules: FitOutRules

    @property
    def words(self) -> tuple[str, str]:
        """The sum in Chinese and English."""
        if not self.works:
            return "无需另行改造", "nothing needs to be built"
        zh = "、".join(one.item.name_zh for one in self.works)
        en = ", ".join(one.item.name_en for one in self.works)
        low, high = number_text(self.months.low), number_text(self.months.high)
        least, most = number_text(self.cost_cny.low), number_text(self.cost_cny.high)
        return (
            f"需改造：{zh}；约 {low}–{high} 个月，{least}–{most} 元（规划假设，非报价）",
            (
                f"to be built: {en}; about {low} to {high} months and CNY {least} to {most}"
                " (planning assumption, not a quotation)"
            ),
        )


def fit_out(rules: FitOutRules, state: str | None, lacks: Sequence[Lack], area_m2: float) -> FitOut:
    """The works that mend what a space lacks; lacks that nothing mends are left out.

    Args:
        rules: the table.
        state: what is built (``PhysicalState``); None is not recorded.
        lacks: needs that the space does not meet.
        area_m2: of the space taken.
    """
    works = []
    shell = rules.state.get(state or "")
    if shell is not None:
        works.append(_works(shell, area_m2, 0.0))
    for lack in lacks:
        item = rules.item(lack.need, lack.value)
        if item is not None:
            works.append(_works(item, area_m2, _short_by(lack)))
    return FitOut(
        works=tuple(works),
        months=Band(
            max((one.item.months.low for one in works), default=0),
            max((one.item.months.high for one in works), default=0),
        ),
        cost_cny=Band(
            sum(one.cost_cny.low for one in works), sum(one.cost_cny.high for one in works)
        ),
        rules=rules,
    )


def _works(item: Item, area_m2: float, lack: float) -> Works:
    times = {Basis.M2: area_m2, Basis.LACK: lack, Basis.EACH: 1.0}[item.basis]
    return Works(
        item, Band(_rounded(item.cost_cny.low * times), _rounded(item.cost_cny.high * times))
    )


def _short_by(lack: Lack) -> float:
    """How much is short; of what is not recorded, all of it."""
    if isinstance(lack.value, bool) or not isinstance(lack.value, (int, float)):
        return 1.0
    return float(lack.value) - float(lack.have or 0)


def _rounded(cost_cny: float) -> int:
    """Rounded up.

    >>> _rounded(1_234_567.8), _rounded(0)
    (1235000, 0)
    """
    return math.ceil(cost_cny / ROUNDED_TO_CNY) * ROUNDED_TO_CNY


@cache
def load_fit_out(data_dir: Path) -> FitOutRules:
    """The table under ``data_dir/needs``, read once per process.

    Raises:
        ValueError: it names a need, level or state that does not exist, or the same item twice.
    """
    table = tomllib.loads((data_dir / "needs" / "fit_out.toml").read_text("utf-8"))
    items: dict[tuple[str, str], Item] = {}
    state: dict[str, Item] = {}
    for row in table["item"]:
        item = _item(row)
        key = item.need, item.level
        if item.need == "physical_state":
            state[named(PhysicalState, row["from"])] = item
        elif key in items or not _known(item):
            raise ValueError(f"fit_out.toml: {key} stands twice, or is no need")
        else:
            items[key] = item
    return FitOutRules(table["version"], table["source"], table["confidence"], items, state)


def _item(row: Mapping[str, Any]) -> Item:
    return Item(
        need=row["need"],
        level=row.get("level", ""),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        basis=Basis(row["basis"]),
        months=Band(**row["months"]),
        cost_cny=Band(**row["cost_cny"]),
        note_zh=row.get("note_zh", ""),
        note_en=row.get("note_en", ""),
    )


def _known(item: Item) -> bool:
    kind = NEEDS.get(item.need)
    if kind is None or not item.level:
        return kind is not None
    return kind.terms is None or item.level in [term.value for term in kind.terms]
