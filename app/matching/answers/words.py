"""Findings put into what people and programs read: values, margins, sentences. Pure.

What is made here are the members of the wire form in ``schemas``, as JSON knows them. An answer has
hundreds of verdicts and few that differ, so what was said once of a question is said again.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from app.matching.answers.canonical import Members, number, plain
from app.matching.answers.fit_out import Band, FitOut, FitOutRules, Lack, fit_out
from app.matching.answers.outlook import Outlook
from app.matching.columns import COLUMNS, MONEY_GRAIN, NEVER, QUANTITY_GRAIN, Width
from app.matching.engine.alone import FULL
from app.matching.engine.candidates import Candidate
from app.matching.engine.judge import Finding, rent_of_year, total_cell
from app.matching.engine.parts import BY_PLACE
from app.matching.engine.scoring import SCALE, Contribution
from app.matching.rules.demand import Demand
from app.matching.segment import Segment

_HUNDREDTHS = 100
_NO_WORDS = None, None


class Verdicts:
    """The verdicts of one question: those that are alike are made once.

    ``needs`` are the hard ones of a demand, or the soft ones; ``brief``: what fits needs no words.
    """

    def __init__(self, needs: Mapping[str, Any], *, brief: bool) -> None:
        self._needs, self._brief = needs, brief
        self._made: dict[tuple[str, Any, bool, float | None], Members] = {}

    def of(self, finding: Finding) -> Members:
        """See ``verdict``; nobody may change it."""
        known = finding.constraint.key, finding.have, finding.fits, finding.margin
        made = self._made.get(known)
        if made is None:
            made = self._made[known] = verdict(
                finding, self._needs, in_words=not (self._brief and finding.fits)
            )
        return made


def verdict(finding: Finding, needs: Mapping[str, Any], *, in_words: bool = True) -> Members:
    """One rule on one offer; ``needs`` are the hard ones of a demand, or the soft ones."""
    constraint = finding.constraint
    need = needs[constraint.key]
    zh, en = constraint.says(finding.have, need, finding.fits) if in_words else _NO_WORDS
    return {
        "constraint": constraint.key,
        "name_zh": constraint.name_zh,
        "name_en": constraint.name_en,
        "fits": finding.fits,
        "need": plain(constraint.wants(need)),
        "have": plain(finding.have),
        "margin": _known(finding.margin),
        "unit": constraint.unit or None,
        "never_relax": constraint.never_relax,
        "words_zh": zh,
        "words_en": en,
    }


def contribution(one: Contribution) -> Members:
    """One criterion's part of a score."""
    zh, en = one.words or _NO_WORDS
    return {
        "criterion": one.criterion.key,
        "name_zh": one.criterion.name_zh,
        "name_en": one.criterion.name_en,
        "value": number(one.value / FULL),
        "weight": number(one.weight / _HUNDREDTHS),
        "contribution": score_shown(one.points),
        "words_zh": zh,
        "words_en": en,
    }


def score_shown(points: int) -> int | float:
    """Points out of ``SCALE`` as a number from 0 to 1: the nearest, so all its digits are right."""
    return number(points / SCALE)


def day_shown(ordinal: int) -> date | None:
    """A day of a calendar; None where it never comes."""
    return None if ordinal == NEVER else date.fromordinal(ordinal)


def totals(segment: Segment, candidate: Candidate) -> Members:
    """What is taken in all."""
    rent = rent_of_year(segment, candidate)
    by_place = [segment.column("capacity_measure")[row] == BY_PLACE for row in candidate.rows]
    return {
        "area_m2": _known(_total(segment, "leasable_area_m2", candidate)),
        "places": number(sum(candidate.quantities) / QUANTITY_GRAIN) if all(by_place) else None,
        "rent_cny_per_year": None if rent is None else number(rent / MONEY_GRAIN),
        "power_kva": _known(_total(segment, "power_kva", candidate)),
    }


def _known(value: float | None) -> int | float | None:
    return None if value is None else number(value)


def _total(segment: Segment, column: str, candidate: Candidate) -> float | None:
    cell = total_cell(segment, column, candidate)
    return None if cell == Width.LARGE.unknown else cell / COLUMNS[column].grain


class FitOuts:
    """What would have to be built, for the offers of one question: those alike are made once.

    Args:
        rules: what is built how.
        needs: what is asked for, of the rules that are not met.
    """

    def __init__(self, rules: FitOutRules, needs: Mapping[str, Any]) -> None:
        self._rules, self._needs = rules, needs
        self._made: dict[tuple[Any, ...], tuple[FitOut, Members]] = {}

    def of(
        self, segment: Segment, candidate: Candidate, missed: Sequence[Finding]
    ) -> tuple[FitOut, Members]:
        """Out of the shell, and for what the space does not meet; found, and as it is answered.

        Args:
            segment: of the candidate.
            candidate: the space; of several units the least finished says what state it is in.
            missed: rules that it does not meet.
        """
        states = segment.column("physical_state")
        state = COLUMNS["physical_state"].value(min(int(states[row]) for row in candidate.rows))
        area = _total(segment, "leasable_area_m2", candidate) or 0.0
        known = state, area, *((one.constraint.key, one.have) for one in missed)
        made = self._made.get(known)
        if made is None:
            lacks = [
                Lack(one.constraint.key, self._needs[one.constraint.key], one.have)
                for one in missed
            ]
            found = fit_out(self._rules, state, lacks, area)
            made = self._made[known] = found, fit_out_shown(found)
        return made


def fit_out_shown(found: FitOut) -> Members:
    """The works as they are answered."""
    zh, en = found.words
    return {
        "works": [
            {
                "need": one.item.need,
                "name_zh": one.item.name_zh,
                "name_en": one.item.name_en,
                "months": _band(one.item.months),
                "cost_cny": _band(one.cost_cny),
                "note_zh": one.item.note_zh,
                "note_en": one.item.note_en,
            }
            for one in found.works
        ],
        "months": _band(found.months),
        "cost_cny": _band(found.cost_cny),
        "words_zh": zh,
        "words_en": en,
        "version": found.rules.version,
        "source": found.rules.source,
        "confidence": found.rules.confidence,
    }


def _band(band: Band) -> Members:
    return {"low": number(band.low), "high": number(band.high)}


def outlook_shown(outlook: Outlook) -> Members:
    """The space to grow as it is answered."""
    return {
        "unit_type": outlook.growth.unit_type.value,
        "area_m2": number(outlook.growth.area_m2),
        "from_day": outlook.growth.from_day,
        "reaches": [
            {"where": one.where, "area_m2": number(one.area_m2), "enough": one.enough}
            for one in outlook.reaches
        ],
        "includes_own": outlook.includes_own,
        "words_zh": outlook.words_zh,
        "words_en": outlook.words_en,
    }


def window_note(demand: Demand) -> Members | None:
    """That the latest start has passed, so that nothing can fit; None while it has not."""
    window = demand.window
    if window.latest >= window.start:
        return None
    return {
        "key": "window_passed",
        "words_zh": (
            f"该需求的最晚起租日 {window.latest} 已过，因此没有可匹配的单元；请更新起租时间"
        ),
        "words_en": (
            f"the latest start of this request, {window.latest}, has passed, so nothing can match;"
            " give it new dates"
        ),
    }


def too_many_bundles_note() -> Members:
    """That not every bundle was looked at."""
    return {
        "key": "too_many_bundles",
        "words_zh": "符合的单元组合过多，未全部比较；请收紧面积等要求",
        "words_en": (
            "more bundles of units fit than were compared; tighter needs, of area say, leave fewer"
        ),
    }
