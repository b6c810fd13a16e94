"""The table told to people and programs: the API's list, its digest, its page. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.matching.rules.constraint import Combining, Constraint
from app.matching.rules.table import CONSTRAINTS, TABLE_VERSION

#: How each class reads on several units, in Chinese and English.
COMBINING_WORDS = {
    Combining.PER_UNIT: ("每个房源均须满足", "every unit"),
    Combining.SUM: ("合计满足；部分出租按比例计", "their sum; of a part its share"),
    Combining.ANY: ("其一满足即可", "any of them"),
}


def described(table: Sequence[Constraint] = CONSTRAINTS) -> list[dict[str, Any]]:
    """Every constraint in the order of its bit, as JSON."""
    return [
        {
            "bit": bit,
            "key": one.key,
            "name_zh": one.name_zh,
            "name_en": one.name_en,
            "class": one.combining.value,
            "class_zh": COMBINING_WORDS[one.combining][0],
            "class_en": COMBINING_WORDS[one.combining][1],
            "unit": one.unit or None,
            "relax_cost": one.relax_cost,
            "never_relax": one.never_relax,
            "by_amount": one.give is not None and not one.never_relax,
            "source": one.source,
            "confidence": one.confidence,
        }
        for bit, one in enumerate(table)
    ]


def digest(table: Sequence[Constraint] = CONSTRAINTS) -> str:
    """What tells this table from any other: the start of a hash of all that it declares."""
    said = [[one, constraint.sql] for one, constraint in zip(described(table), table, strict=True)]
    written = json.dumps(said, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:12]


#: Version and digest of the table, as answers and receipts cite it.
TABLE_CITED = f"{TABLE_VERSION}.{digest()}"


_PAGE_HEAD = """# Constraints

Search, refusals, the check inside a hold and this page are made from one table,
`app/matching/rules/table.py`; `GET /api/v1/match-constraints` lists it. A value that is not
recorded satisfies no constraint.

检索、未匹配说明、锁定时的复核与本页均出自同一张约束表；未记录的数值不满足任何约束。

- **Class**: how a constraint reads on several units let together:{classes}.
- **Cost**: how much a firm minds giving way; `never` marks law and safety, which no firm may wave
  (放宽代价；never 表示法规与安全，不可放宽).
- **By amount**: a refusal says how far the need would have to move, not only that it blocks
  (可按量放宽).
- **Source**: `assumption` marks working rules; check the clause before relying on them
  (标注 assumption 的为工作假设，使用前请核对条文). Thresholds of such rules are data that staff may
  edit: `data/needs/building_rules.toml`, `data/needs/land_use.toml`.

| bit | key | 名称 | name | class | unit | cost | by amount | source | confidence |
|---|---|---|---|---|---|---|---|---|---|
"""


def reference_page() -> str:
    """The text of docs/reference/constraints.md."""
    classes = ";".join(f" `{one}` {en} ({zh})" for one, (zh, en) in COMBINING_WORDS.items())
    return _PAGE_HEAD.format(classes=classes) + "".join(_line(one) for one in described())


def _line(one: Mapping[str, Any]) -> str:
    cells = (
        one["bit"],
        f"`{one['key']}`",
        one["name_zh"],
        one["name_en"],
        one["class"],
        one["unit"] or "—",
        f"{one['relax_cost']}, never" if one["never_relax"] else one["relax_cost"],
        "yes" if one["by_amount"] else "—",
        one["source"],
        one["confidence"],
    )
    return f"| {' | '.join(map(str, cells))} |\n"
