"""What is said of refusals, in Chinese and English. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from app.demand.needs import listed, named
from app.kernel.terms import CapacityMeasure
from app.matching.columns import COLUMNS, QUANTITY_GRAIN
from app.matching.engine.whynot.amounts import Amounts, Change
from app.matching.engine.whynot.funnel import FRAME, Blocker
from app.matching.engine.whynot.relaxations import Relaxation
from app.matching.engine.whynot.waiting import Waiting
from app.matching.rules.constraint import Constraint, Words
from app.matching.rules.demand import Window
from app.matching.rules.families import shown
from app.matching.rules.ground import PlacesNeed


def need_words(constraint: Constraint, need: Any) -> Words:
    """A need as people write it."""
    if isinstance(need, PlacesNeed):
        return listed(need.codes, need.names)
    column = COLUMNS.get(constraint.key)
    if column is not None and column.terms is not None:
        term = named(column.terms, need)
        return term.zh, term.en
    return shown(constraint.wants(need), constraint.unit if _counts(constraint, need) else "")


def _counts(constraint: Constraint, need: Any) -> bool:
    """Whether a need is shown as a number in the constraint's unit."""
    wants = constraint.wants(need)
    return isinstance(wants, int | float) and not isinstance(wants, bool)


def blocker_words(one: Blocker) -> Words:
    """How many units a constraint refuses, and what the funnel does at it."""
    in_zh = f"（意向范围内同类空间中 {one.blocks_in_place} 个）"
    in_en = f" ({one.blocks_in_place} of the kind asked for in the wished place)"
    if one.constraint.key in FRAME:
        # What says which place and kind are meant cannot refuse within them.
        in_zh = in_en = ""
    zh = (
        f"“{one.constraint.name_zh}”排除 {one.blocks} 个单元{in_zh}，"
        f"其中 {one.blocks_alone} 个仅因此项"
    )
    en = (
        f"{one.constraint.name_en} rules out {counted(one.blocks)}{in_en},"
        f" {one.blocks_alone} of them alone"
    )
    if one.before:
        zh += f"；筛选至此由 {one.before} 个减为 {one.left} 个"
        en += f"; the funnel goes from {one.before} to {one.left} here"
    return zh, en


def relaxation_words(one: Relaxation) -> Words:
    """What giving up a set of needs wholly opens."""
    zh = "”“".join(constraint.name_zh for constraint in one.constraints)
    en = _and([constraint.name_en for constraint in one.constraints])
    opened_zh, opened_en = _opened(one.opens, one.bundles)
    if len(one.constraints) == 1:
        return f"若不要求“{zh}”，可多出{opened_zh}", f"giving way on {en} frees {opened_en}"
    return (
        f"若同时不要求“{zh}”，可多出{opened_zh}",
        f"giving way on {en} together frees {opened_en}",
    )


def change_words(one: Change) -> Words:
    """How far one need has to give way."""
    name_zh, name_en = one.constraint.name_zh, one.constraint.name_en
    if one.give is None:
        return f"不要求{name_zh}", f"{name_en} given up"
    was_zh, was_en = need_words(one.constraint, one.need)
    to_zh, to_en = need_words(one.constraint, one.give)
    if isinstance(one.give, Window):
        return (
            f"最晚起租日放宽至 {to_zh}（原为 {was_zh}）",
            f"a start by {to_en} instead of {was_en}",
        )
    way = ""
    if _counts(one.constraint, one.give):
        grows = one.constraint.wants(one.give) > one.constraint.wants(one.need)
        way = "up to " if grows else "down to "
    return (
        f"{name_zh}放宽至 {to_zh}（原为 {was_zh}）",
        f"{name_en} {way}{to_en} instead of {was_en}",
    )


def amounts_words(amounts: Amounts) -> Words:
    """How far a set's needs have to give way, and what that opens."""
    said = [change_words(one) for one in amounts.changes]
    opened_zh, opened_en = _opened(amounts.opens, 0)
    return (
        f"{_and_zh([zh for zh, _ in said])}，可多出{opened_zh}",
        f"{_and([en for _, en in said])} {'open' if len(said) > 1 else 'opens'} {opened_en}",
    )


def waiting_words(waiting: Waiting) -> Words | None:
    """How many units fit but are not free, and from when the first is; None where there is none."""
    if not waiting.units:
        return None
    count, never = waiting.units, waiting.never
    zh = f"{count} 个单元其他条件均符合，但所需时间内已被占用"
    en = f"{counted(count)} {_fit(count)} but {_is(count)} taken in the days asked for"
    if waiting.by_day:
        first = date.fromordinal(waiting.by_day[0][0])
        zh += f"；最早的自 {first} 起可用"
        en += f"; the first is free from {first}"
    if never == count:
        zh += "；没有足够长的空档"
        en += "; no free stretch is long enough"
    elif never:
        zh += f"；其中 {never} 个没有足够长的空档"
        en += f"; of {never} no free stretch is long enough"
    return zh, en


def quantity_words(hundredths: int, measure: str) -> Words:
    """An amount of a unit in its own measure."""
    by_place = measure == CapacityMeasure.PLACE.value
    return shown(hundredths / QUANTITY_GRAIN, "places" if by_place else "m²")


def counted(units: int) -> str:
    """So many units.

    >>> counted(1), counted(7)
    ('1 unit', '7 units')
    """
    return "1 unit" if units == 1 else f"{units} units"


def _opened(units: int, bundles: int) -> Words:
    """So many units and bundles; what there is none of is left out, unless there is neither."""
    zh, en = [], []
    if units or not bundles:
        zh.append(f" {units} 个单元")
        en.append(counted(units))
    if bundles:
        zh.append(f" {bundles} 个组合")
        en.append("1 bundle" if bundles == 1 else f"{bundles} bundles")
    return "和".join(zh), " and ".join(en)


def _and(phrases: Sequence[str]) -> str:
    *first, last = phrases
    return f"{', '.join(first)} and {last}" if first else last


def _and_zh(phrases: Sequence[str]) -> str:
    *first, last = phrases
    return f"{'，'.join(first)}，且{last}" if first else last


def _fit(count: int) -> str:
    return "fits" if count == 1 else "fit"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
