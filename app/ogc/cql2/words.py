"""What is said to people about kinds, codes and names that are nearly right."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from app.kernel.terms import Term
from app.ogc.fields import Field, Kind


class KindWords(NamedTuple):
    """What a kind of value is called, and how one is written."""

    en: str
    zh: str
    example: str


KINDS: Mapping[Kind, KindWords] = {
    Kind.TEXT: KindWords("a text", "文本", "'text'"),
    Kind.ID: KindWords("an id", "编号（UUID）", "'01890a5d-ac96-774b-bcce-b302099a8057'"),
    Kind.WHOLE: KindWords("a whole number", "整数", "12"),
    Kind.NUMBER: KindWords("a number", "数值", "12.5"),
    Kind.TRUTH: KindWords("true or false", "真假值", "true"),
    Kind.DAY: KindWords("a date", "日期", "DATE('2027-03-01')"),
    Kind.INSTANT: KindWords("an instant", "时刻", "TIMESTAMP('2027-03-01T00:00:00Z')"),
}
_MOST_SUGGESTED = 3


def nearest(said: str, names: Sequence[str]) -> list[str]:
    """The names that are nearly what was said."""
    return get_close_matches(said.lower(), names, n=_MOST_SUGGESTED)


def nearest_fields(said: str, fields: Sequence[Field], *others: str) -> list[str]:
    """The names of properties that are nearly what was said, in English or in Chinese."""
    near = nearest(said, [*(field.name for field in fields), *others])
    titled = [field.name for field in fields if said in field.title_zh or field.title_zh in said]
    inside = [field.name for field in fields if said.lower() in field.name]
    return [*dict.fromkeys([*near, *titled, *inside])][:_MOST_SUGGESTED]


def allowed_codes(name: str, said: str, codes: type[Term]) -> tuple[str, str]:
    """That a coded property never has this value, and which it may have; in both languages."""
    meant = [code for code in codes if said.lower() in {code.lower(), code.zh, code.en.lower()}]
    among = meant or [*codes]
    listed = ", ".join(f"'{code}' ({code.en})" for code in among)
    listed_zh = "、".join(f"'{code}'（{code.zh}）" for code in among)
    shown = said[:40]
    return (
        f"{name} is never '{shown}'; {'write' if meant else 'it is one of'} {listed}",
        f"{name} 没有值 '{shown}'；{'请写作' if meant else '可用'} {listed_zh}",
    )
