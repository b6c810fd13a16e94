"""What a constraint is. Pure.

A constraint has one meaning and two forms: ``form`` makes it ready for a demand on a segment and is
what the search, the refusals and the check inside a hold run; ``sql`` judges one row of the
candidates statement and is run by the tests, which hold both equal on random units. Unknown values
never satisfy a constraint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.matching.forms import Form
from app.matching.segment import Rows, Segment

Words = tuple[str, str]


class Combining(StrEnum):
    """How a constraint reads on several units taken together.

    ``PER_UNIT``: every member must satisfy it. ``SUM``: the members' sum must; of a part of a unit
    it is the part's share. ``ANY``: one member is enough.
    """

    PER_UNIT = "per_unit"
    SUM = "sum"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One rule of the table; its bit is its place there.

    Attributes:
        key: stable name, also of the need that switches it on.
        name_zh, name_en: what it is about.
        unit: unit of need, have and margin; empty where they are words.
        combining: how it reads on bundles and parts.
        form: the rule made ready for a need, on a segment.
        sql: the same over a row ``c`` of the candidates statement, NULL counting as no.
        params: bound values of ``sql`` for a need, each name beginning with ``key``.
        have: what a unit has, as a person knows it, from a segment and a row; None where unknown.
            Of several units, of parts, and of rules with a kernel of their own, the judge says it.
        have_for: the same where it depends on the need, as a distance does on the point.
        margin: by how much a known value is better than the need (negative: worse); None where
            the rule has no measure.
        says: the sentence in Chinese and English, from what there is, the need, and the verdict.
        wants: the need as it is shown.
        give: from the need and what a candidate has, the need nearest to it that accepts both
            ("rent up to 4.6 instead of 4.1"); None where nothing between keeping the rule and
            waiving it makes sense.
        beyond: of a rule with a measure that the building decides: by how much each of some
            buildings (places in ``segment.buildings``) misses the need, in ``unit``; 0 where it
            does not, NaN where unknown.
        relax_cost: how much a firm minds giving way; larger minds more.
        never_relax: law or safety: no firm may wave it.
        source, confidence: of the rule itself.
    """

    key: str
    name_zh: str
    name_en: str
    unit: str
    combining: Combining
    form: Callable[[Segment, Any], Form]
    sql: str
    params: Callable[[Any], dict[str, Any]]
    have: Callable[[Segment, int], Any]
    margin: Callable[[Any, Any], float | None]
    says: Callable[[Any, Any, bool], Words]
    wants: Callable[[Any], Any]
    give: Callable[[Any, Any], Any] | None = None
    relax_cost: int = 3
    never_relax: bool = False
    source: str = "the firm's need"
    confidence: str = "derived"
    have_for: Callable[[Segment, int, Any], Any] | None = None
    beyond: Callable[[Segment, Any, Rows], NDArray[np.float64]] | None = None

    def has(self, segment: Segment, row: int, need: Any) -> Any:
        """What a unit has, as a person knows it; None where unknown."""
        if self.have_for is not None:
            return self.have_for(segment, row, need)
        return self.have(segment, row)
