"""What a tool sends of a feature's properties, as the columns take it."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
)

from app.inventory.drawing.domains import (
    BOUNDS,
    CODES,
    JOINED,
    PATTERNS,
    TOGETHER,
    UNFORESEEN,
    Words,
    allowed,
    codes_in_words,
)
from app.inventory.drawing.layers import Layer
from app.kernel.errors import Fault, InvalidInputError

#: Characters of a text, at most.
LONGEST = 500
_GREATEST = 10**18
_WHOLE = {SmallInteger: 2**15, Integer: 2**31}
#: What a person who draws does not say of a new feature.
_OF_DRAWINGS: Mapping[str, Any] = {
    "source": "drawn by staff",
    "confidence": "assumption",
    "geometry_quality": "digitised",
    "synthetic": False,
}
_NEVER_STORED = re.compile("[\x00\ud800-\udfff]")


class _WrongError(Exception):
    """A value is not what the column takes."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.words = Words(en, zh)


def pointer(name: str, within: str = "/properties") -> str:
    """Where a property is in a GeoJSON feature, or another member ``within`` it."""
    said = name[:LONGEST].encode(errors="replace").decode().replace("\0", "")
    return f"{within}/" + said.replace("~", "~0").replace("/", "~1")


def fault_of(name: str, words: Words) -> Fault:
    """What is wrong with a property."""
    return Fault(pointer(name), words.en, detail_zh=words.zh)


def refused(en: str, faults: Sequence[Fault]) -> InvalidInputError:
    """The error that names each property at fault, in both languages."""
    named = (f"{fault.pointer.rpartition('/')[2]} {fault.detail}" for fault in faults)
    return InvalidInputError(f"{en}: {'; '.join(named)}", faults)


def is_number(value: object) -> bool:
    """Whether it is a number that a tool can mean: finite, and not out of all proportion."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_GREATEST < value < _GREATEST


def is_storable(text: str) -> bool:
    """Whether PostgreSQL keeps it: without NUL and halves of characters, which JSON can write."""
    return _NEVER_STORED.search(text) is None


def column_values(table: Table, given: Mapping[str, Any], *, new: bool) -> dict[str, Any]:
    """The values of columns, of a whole ``new`` row or of those given.

    Raises:
        InvalidInputError: all that cannot be stored, each with its reason.
    """
    found: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in given.items():
        column = table.c[name]
        if value is None and new and name in _OF_DRAWINGS:
            found[name] = _OF_DRAWINGS[name]
            continue
        if value is None and new and column.server_default is not None:
            continue
        try:
            found[name] = _read(column, value)
        except _WrongError as wrong:
            faults.append(fault_of(name, wrong.words))
    if faults:
        raise refused("some properties cannot be stored", faults)
    return found


def needed(layer: Layer) -> tuple[str, ...]:
    """The properties that something new cannot do without."""
    columns = layer.table.c
    return tuple(
        name
        for name in (*layer.once, *layer.ever)
        if not columns[name].nullable
        and columns[name].server_default is None
        and name not in _OF_DRAWINGS
    )


def checks_broken(table: Table, constraint: str) -> Sequence[Fault]:
    """What a CHECK of the table that was broken is about, each in words; nothing: it has none."""
    for check in table.constraints:
        if not isinstance(check, CheckConstraint) or not isinstance(check.name, str):
            continue
        if constraint not in {check.name, f"ck_{table.name}_{check.name}"}:
            continue
        short = check.name.removeprefix(f"ck_{table.name}_")
        if short in TOGETHER:
            names, words = TOGETHER[short]
            return [fault_of(name, words) for name in names]
        named = set(re.findall(r"\w+", str(check.sqltext))) & {*table.c.keys()}
        return [
            Fault("/geometry", UNFORESEEN.en, detail_zh=UNFORESEEN.zh)
            if name == "geom"
            else fault_of(name, BOUNDS[name].words if name in BOUNDS else UNFORESEEN)
            for name in sorted(named)
        ]
    return ()


def _read(column: Column[Any], value: Any) -> Any:
    if value is None:
        if column.nullable:
            return None
        raise _WrongError("is needed", "必填")
    kind = column.type
    if isinstance(kind, Boolean):
        return _of_type(value, bool, "true or false", "应为 true 或 false")
    if isinstance(kind, Numeric):
        return _bounded(column.name, _number(value, kind))
    if isinstance(kind, Integer):
        limit = _WHOLE[SmallInteger if isinstance(kind, SmallInteger) else Integer]
        return _bounded(column.name, _whole(value, limit))
    text = _of_type(value, str, "a text", "应为文本")
    if isinstance(kind, Date):
        return _day(text)
    if not isinstance(kind, Text):
        raise TypeError(f"no reader for {column.name}")
    return _text(column.name, text)


def _text(name: str, text: str) -> str:
    if not is_storable(text) or len(text) > LONGEST or not text.strip():
        raise _WrongError(
            f"a text of 1 to {LONGEST} characters", f"应为 1 至 {LONGEST} 个字符的文本"
        )
    if name in CODES and not allowed(name, text):
        raise _WrongError(*codes_in_words(CODES[name], text, joined=name in JOINED))
    if name in PATTERNS and PATTERNS[name].regex.fullmatch(text) is None:
        raise _WrongError(*PATTERNS[name].words)
    return text


def _bounded(name: str, number: Decimal | int) -> Decimal | int:
    if name in BOUNDS and not BOUNDS[name].holds(number):
        raise _WrongError(*BOUNDS[name].words)
    return number


def _of_type(value: Any, kind: type, en: str, zh: str) -> Any:
    if not isinstance(value, kind):
        raise _WrongError(en, zh)
    return value


def _whole(value: Any, limit: int) -> int:
    if not is_number(value) or value != int(value) or abs(value) >= limit:
        raise _WrongError("a whole number", "应为整数")
    return int(value)


def _number(value: Any, kind: Numeric[Any]) -> Decimal:
    if not is_number(value):
        raise _WrongError("a number", "应为数值")
    scaled = Decimal(str(value)).quantize(Decimal(1).scaleb(-(kind.scale or 0)))
    whole_digits = (kind.precision or 0) - (kind.scale or 0)
    if abs(scaled) >= Decimal(10) ** whole_digits:
        raise _WrongError(f"a number below 1e{whole_digits}", f"应为小于 1e{whole_digits} 的数值")
    return scaled


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _WrongError("a day, as 2027-03-01", "应为日期，如 2027-03-01") from None
