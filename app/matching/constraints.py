"""What a constraint is, and the families that most constraints belong to. Pure.

A constraint has one meaning and two forms: ``holds`` judges numpy columns and is what the search
runs; ``sql`` judges one row of ``load.CANDIDATES`` and is run by the tests alone, which hold both
equal on random units. A hold checks that the space is free, not this table: a firm may hold what
its request refuses. Unknown values never satisfy a constraint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from app.demand.needs import NEEDS, named, number_text, unit_words
from app.matching.snapshot import COLUMNS, Kind, Mask, Units, rank_of

GB50016 = "GB 50016-2014 (2018 edition); check the clause before relying on it"


class Combining(StrEnum):
    """How a constraint reads on several units taken together, or on a part of one.

    ``PER_UNIT``: every member must satisfy it. ``SUM``: the members' sum must. ``ANY``: one member
    is enough. ``SCALED``: a part has its share of the unit's value.
    """

    PER_UNIT = "per_unit"
    SUM = "sum"
    ANY = "any"
    SCALED = "scaled"


Words = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One rule of the table.

    Attributes:
        key: stable name, also of the need that switches it on.
        name_zh, name_en: what it is about.
        unit: unit of need, have and margin; empty where they are words.
        combining: how it reads on bundles and parts.
        holds: which units satisfy a need, shape ``(n_units,)``.
        sql: the same over a row ``c`` of the candidates statement, NULL counting as no.
        params: bound values of ``sql`` for a need, each name beginning with ``key``.
        have: what a unit has, as a person knows it; None where unknown.
        margin: by how much a known value is better than the need (negative: worse); None where
            the rule has no measure.
        says: the sentence in Chinese and English, from what a unit has, the need, and the verdict.
        wants: the need as it is shown.
        relax_cost: how much a firm minds giving way; larger minds more.
        never_relax: law or safety: no firm may wave it.
        source, confidence: of the rule itself.
    """

    key: str
    name_zh: str
    name_en: str
    unit: str
    combining: Combining
    holds: Callable[[Units, Any], Mask]
    sql: str
    params: Callable[[Any], dict[str, Any]]
    have: Callable[[Units, int], Any]
    margin: Callable[[Any, Any], float | None]
    says: Callable[[Any, Any, bool], Words]
    wants: Callable[[Any], Any]
    relax_cost: int = 3
    never_relax: bool = False
    source: str = "the firm's need"
    confidence: str = "derived"


@dataclass(frozen=True, slots=True)
class Extra:
    """What differs within a family; ``title`` names the rule where its column's name would not."""

    combining: Combining = Combining.PER_UNIT
    relax_cost: int = 3
    never_relax: bool = False
    source: str = "the firm's need"
    confidence: str = "derived"
    title: Words | None = None


_PLAIN = Extra()


def as_is(value: Any) -> Any:
    """The need as it was given."""
    return value


def shown(value: Any, unit: str = "") -> Words:
    """A value as people write it, in Chinese and English."""
    if value is None:
        return "未记录", "not recorded"
    if isinstance(value, bool):
        return ("有", "yes") if value else ("无", "no")
    if isinstance(value, date):
        return value.isoformat(), value.isoformat()
    text = number_text(value) if isinstance(value, (int, float)) else str(value)
    unit_zh, unit_en = unit_words(unit)
    return f"{text} {unit_zh}".rstrip(), f"{text} {unit_en}".rstrip()


def at_least(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's number must be the need or more."""
    return _bound(key, column, (zh, en), extra, upwards=True)


def at_most(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's number must be the need or less."""
    return _bound(key, column, (zh, en), extra, upwards=False)


def _bound(key: str, column: str, name: Words, extra: Extra, *, upwards: bool) -> Constraint:
    unit = NEEDS[key].unit
    zh, en = name
    rule_zh, rule_en = ("不低于", "at least") if upwards else ("不高于", "at most")
    off_zh, off_en = ("相差", "short") if upwards else ("超出", "over")

    title_zh, title_en = extra.title or name

    def holds(units: Units, need: Any) -> Mask:
        have = units.columns[column]
        result: Mask = have >= need if upwards else have <= need
        return result

    def margin(have: Any, need: Any) -> float:
        return round(float(have - need if upwards else need - have), 6)

    def says(have: Any, need: Any, fits: bool) -> Words:
        want_zh, want_en = shown(need, unit)
        have_zh, have_en = shown(have, unit)
        if have is None:
            return (
                f"{zh}未记录，无法确认{rule_zh} {want_zh}",
                f"{en} is not recorded, so {rule_en} {want_en} cannot be confirmed",
            )
        by_zh, by_en = shown(abs(margin(have, need)), unit)
        verdict_zh, verdict_en = (
            (f"余量 {by_zh}", f"{by_en} to spare")
            if fits
            else (f"{off_zh} {by_zh}", f"{off_en} by {by_en}")
        )
        return (
            f"{zh} {have_zh}，要求{rule_zh} {want_zh}，{verdict_zh}",
            f"{en} is {have_en}; {rule_en} {want_en} is needed: {verdict_en}",
        )

    return Constraint(
        key=key,
        name_zh=title_zh,
        name_en=title_en,
        unit=unit,
        combining=extra.combining,
        holds=holds,
        sql=f"c.{column} {'>=' if upwards else '<='} :{key}",
        params=lambda need: {key: need},
        have=lambda units, row: units.value(column, row),
        margin=margin,
        says=says,
        wants=as_is,
        relax_cost=extra.relax_cost,
        never_relax=extra.never_relax,
        source=extra.source,
        confidence=extra.confidence,
    )


def class_at_least(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's class must be the need or a stronger one."""
    order, terms = COLUMNS[column].order, COLUMNS[column].terms
    assert COLUMNS[column].kind is Kind.RANK  # noqa: S101  (a slip in the table, found on import)
    ladder = ", ".join(f"'{value}'" for value in order)

    def holds(units: Units, need: Any) -> Mask:
        result: Mask = units.columns[column] >= rank_of(column, need)
        return result

    def word(value: str) -> Words:
        if terms is None:
            return value, value
        term = named(terms, value)
        return term.zh, term.en

    def says(have: Any, need: Any, fits: bool) -> Words:
        want_zh, want_en = word(need)
        if have is None:
            return (
                f"{zh}未记录，无法确认达到{want_zh}",
                f"{en} is not recorded, so {want_en} cannot be confirmed",
            )
        have_zh, have_en = word(have)
        verdict_zh, verdict_en = ("满足", "meets") if fits else ("达不到", "falls short of")
        return (
            f"{zh}为{have_zh}，{verdict_zh}所需的{want_zh}",
            f"{en} is {have_en}, which {verdict_en} the {want_en} needed",
        )

    return Constraint(
        key=key,
        name_zh=zh,
        name_en=en,
        unit="",
        combining=extra.combining,
        holds=holds,
        sql=f"array_position(ARRAY[{ladder}], c.{column}) >= :{key}",
        params=lambda need: {key: rank_of(column, need)},
        have=lambda units, row: units.value(column, row),
        margin=lambda have, need: float(rank_of(column, have) - rank_of(column, need)),
        says=says,
        wants=as_is,
        relax_cost=extra.relax_cost,
        never_relax=extra.never_relax,
        source=extra.source,
        confidence=extra.confidence,
    )


def must_have(key: str, column: str, zh: str, en: str, extra: Extra = _PLAIN) -> Constraint:
    """The column's flag must be yes."""

    def holds(units: Units, _need: Any) -> Mask:
        result: Mask = units.columns[column] == 1
        return result

    def says(have: Any, _need: Any, fits: bool) -> Words:
        if have is None:
            return f"{zh}未记录，无法确认", f"{en} is not recorded, so it cannot be confirmed"
        return (f"{zh}：有", f"{en}: yes") if fits else (f"{zh}：无", f"{en}: no")

    return Constraint(
        key=key,
        name_zh=zh,
        name_en=en,
        unit="",
        combining=extra.combining,
        holds=holds,
        sql=f"c.{column}",
        params=lambda _need: {},
        have=lambda units, row: units.value(column, row),
        margin=lambda _have, _need: None,
        says=says,
        wants=as_is,
        relax_cost=extra.relax_cost,
        never_relax=extra.never_relax,
        source=extra.source,
        confidence=extra.confidence,
    )


def no_margin(_have: Any, _need: Any) -> float | None:
    """For rules without a measure."""
    return None
