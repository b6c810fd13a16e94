"""The families that most constraints belong to. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.demand.needs import NEEDS, named, number_text, unit_words
from app.matching.columns import COLUMNS, HIGHEST, Kind, rank_of
from app.matching.forms import Interval
from app.matching.rules.constraint import Combining, Constraint, Words

Says = Callable[[Any, Any, bool], Words]


@dataclass(frozen=True, slots=True)
class Extra:
    """What differs within a family; ``title`` names the rule where its column's name would not."""

    combining: Combining = Combining.PER_UNIT
    relax_cost: int = 3
    never_relax: bool = False
    source: str = "the firm's need against the landlord's record of the unit"
    confidence: str = "derived"
    title: Words | None = None


_PLAIN = Extra()


def as_is(value: Any) -> Any:
    """The need as it was given."""
    return value


def no_margin(_have: Any, _need: Any) -> float | None:
    """For rules without a measure."""
    return None


def shown(value: Any, unit: str = "") -> Words:
    """A value as people write it, in Chinese and English.

    >>> shown(None), shown(3, "months")
    (('未记录', 'not recorded'), ('3 个月', '3 months'))
    """
    if value is None:
        return "未记录", "not recorded"
    if isinstance(value, bool):
        return ("有", "yes") if value else ("无", "no")
    if isinstance(value, date):
        return value.isoformat(), value.isoformat()
    text = number_text(value) if isinstance(value, (int, float)) else str(value)
    unit_zh, unit_en = unit_words(unit)
    return f"{text} {unit_zh}".rstrip(), f"{text} {unit_en}".rstrip()


@dataclass(frozen=True, slots=True)
class Bound:
    """A number that must not be below, or not above, another: its margin and its sentence.

    ``name`` is what the number is of; ``upwards``: more is better.
    """

    name: Words
    unit: str
    upwards: bool

    def margin(self, have: Any, need: Any) -> float:
        """By how much ``have`` is better than the need."""
        return round(float(have - need if self.upwards else need - have), 6)

    def give(self, need: Any, have: Any) -> Any:
        """The need, or what there is where that is worse."""
        return min(need, have) if self.upwards else max(need, have)

    def says(self, have: Any, need: Any, fits: bool) -> Words:
        """What there is, what is needed, and by how much it is missed or met."""
        zh, en = self.name
        rule_zh, rule_en = ("不低于", "at least") if self.upwards else ("不高于", "at most")
        off_zh, off_en = ("相差", "short") if self.upwards else ("超出", "over")
        want_zh, want_en = shown(need, self.unit)
        have_zh, have_en = shown(have, self.unit)
        if have is None:
            return (
                f"{zh}未记录，无法确认{rule_zh} {want_zh}",
                f"{en} is not recorded, so {rule_en} {want_en} cannot be confirmed",
            )
        by_zh, by_en = shown(abs(self.margin(have, need)), self.unit)
        verdict_zh, verdict_en = (
            (f"余量 {by_zh}", f"{by_en} to spare")
            if fits
            else (f"{off_zh} {by_zh}", f"{off_en} by {by_en}")
        )
        return (
            f"{zh} {have_zh}，要求{rule_zh} {want_zh}，{verdict_zh}",
            f"{en} is {have_en}; {rule_en} {want_en} is needed: {verdict_en}",
        )


def at_least(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's number must be the need or more."""
    return _bound(key, column, (zh, en), extra, upwards=True)


def at_most(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's number must be the need or less."""
    return _bound(key, column, (zh, en), extra, upwards=False)


def _bound(key: str, column: str, name: Words, extra: Extra, *, upwards: bool) -> Constraint:
    bound = Bound(name, NEEDS[key].unit, upwards)
    interval = Interval.at_least if upwards else Interval.at_most
    title_zh, title_en = extra.title or name
    return Constraint(
        key=key,
        name_zh=title_zh,
        name_en=title_en,
        unit=bound.unit,
        combining=extra.combining,
        form=lambda _segment, need: interval(column, need),
        sql=f"c.{column} {'>=' if upwards else '<='} :{key}",
        params=lambda need: {key: need},
        have=lambda segment, row: segment.value(column, row),
        margin=bound.margin,
        says=bound.says,
        wants=as_is,
        give=bound.give,
        relax_cost=extra.relax_cost,
        never_relax=extra.never_relax,
        source=extra.source,
        confidence=extra.confidence,
    )


def class_at_least(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's class must be the need or a stronger one."""
    order, terms = COLUMNS[column].order, COLUMNS[column].terms
    assert COLUMNS[column].kind is Kind.RANK  # noqa: S101  (a slip in the table, found on import)
    assert terms is not None  # noqa: S101
    ladder = ", ".join(f"'{value}'" for value in order)

    def says(have: Any, need: Any, fits: bool) -> Words:
        want = named(terms, need)
        if have is None:
            return (
                f"{zh}未记录，无法确认达到{want.zh}",
                f"{en} is not recorded, so {want.en} cannot be confirmed",
            )
        has = named(terms, have)
        verdict_zh, verdict_en = ("满足", "meets") if fits else ("达不到", "falls short of")
        return (
            f"{zh}为{has.zh}，{verdict_zh}所需的{want.zh}",
            f"{en} is {has.en}, which {verdict_en} the {want.en} needed",
        )

    return Constraint(
        key=key,
        name_zh=zh,
        name_en=en,
        unit="",
        combining=extra.combining,
        form=lambda _segment, need: Interval(column, rank_of(column, need), HIGHEST),
        sql=f"array_position(ARRAY[{ladder}], c.{column}) >= :{key}",
        params=lambda need: {key: rank_of(column, need)},
        have=lambda segment, row: segment.value(column, row),
        margin=lambda have, need: float(rank_of(column, have) - rank_of(column, need)),
        says=says,
        wants=as_is,
        give=lambda need, have: min(need, have, key=order.index),
        relax_cost=extra.relax_cost,
        never_relax=extra.never_relax,
        source=extra.source,
        confidence=extra.confidence,
    )


def flag_says(zh: str, en: str) -> Says:
    """The sentence of a rule that something must be there."""

    def says(have: Any, _need: Any, fits: bool) -> Words:
        if have is None:
            return f"{zh}未记录，无法确认", f"{en} is not recorded, so it cannot be confirmed"
        return (f"{zh}：有", f"{en}: yes") if fits else (f"{zh}：无", f"{en}: no")

    return says


def must_have(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's flag must be yes."""
    return Constraint(
        key=key,
        name_zh=zh,
        name_en=en,
        unit="",
        combining=extra.combining,
        form=lambda _segment, _need: Interval.exactly(column, 1),
        sql=f"c.{column}",
        params=lambda _need: {},
        have=lambda segment, row: segment.value(column, row),
        margin=no_margin,
        says=flag_says(zh, en),
        wants=as_is,
        relax_cost=extra.relax_cost,
        never_relax=extra.never_relax,
        source=extra.source,
        confidence=extra.confidence,
    )
