"""The dated history of a pipeline asset: what it may say, and what it says now.

Rows are only added. Of several rows about one stage a fact beats a target date, and of several
target dates the one recorded last holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from app.kernel.errors import Fault
from app.kernel.terms import PIPELINE_LADDER, PipelineStage

RANK = {stage: rank for rank, stage in enumerate(PIPELINE_LADDER)}


@dataclass(frozen=True, slots=True)
class StageEntry:
    """The day an asset entered a stage or, when ``expected``, is meant to enter it."""

    stage: PipelineStage
    entered_on: date
    expected: bool = False


def standing(history: Sequence[StageEntry]) -> tuple[StageEntry, ...]:
    """The one entry that counts for each stage, along the ladder.

    Args:
        history: in the order in which it was recorded.
    """
    chosen: dict[PipelineStage, StageEntry] = {}
    for entry in history:
        held = chosen.get(entry.stage)
        if held is None or held.expected or not entry.expected:
            chosen[entry.stage] = entry
    return tuple(sorted(chosen.values(), key=lambda entry: RANK[entry.stage]))


def current(history: Sequence[StageEntry]) -> StageEntry | None:
    """The furthest stage that was entered in fact, or None."""
    facts = [entry for entry in standing(history) if not entry.expected]
    return facts[-1] if facts else None


def upcoming(history: Sequence[StageEntry]) -> StageEntry | None:
    """The next stage with a target date, or None."""
    now = current(history)
    reached = -1 if now is None else RANK[now.stage]
    ahead = [entry for entry in standing(history) if entry.expected and RANK[entry.stage] > reached]
    return ahead[0] if ahead else None


def faults(
    earlier: Sequence[StageEntry], added: Sequence[StageEntry], today: date, pointer: str = ""
) -> list[Fault]:
    """What is wrong with adding entries to a history; empty when nothing is.

    Args:
        earlier: the history so far, in recorded order.
        added: new entries in the order given.
        today: the civil day in Shanghai.
        pointer: where ``added`` stands in the body; ``""`` when the body is the one entry.
    """
    found: list[Fault] = []
    history = list(earlier)
    for place, entry in enumerate(added):
        here = f"{pointer}/{place}" if pointer else ""
        fault = _fault(history, entry, today, here)
        if fault is None:
            history.append(entry)
        else:
            found.append(fault)
    return found


def _fault(history: list[StageEntry], entry: StageEntry, today: date, here: str) -> Fault | None:
    if entry.expected and entry.entered_on < today:
        return Fault(
            f"{here}/entered_on",
            f"a target date lies on or after {today}; state a past day as fact",
            detail_zh=f"目标日期不得早于今天 {today}；已发生的请按事实填写",
        )
    if not entry.expected and entry.entered_on > today:
        return Fault(
            f"{here}/entered_on",
            f"{entry.entered_on} is after {today}; add `expected: true` for a target date",
            detail_zh=f"{entry.entered_on} 晚于今天 {today}；目标日期请加 expected: true",
        )
    now = current(history)
    if now is not None and RANK[entry.stage] <= RANK[now.stage]:
        return Fault(
            f"{here}/stage",
            f"the asset entered {now.stage} on {now.entered_on}; a history only moves on from it",
            detail_zh=f"该管线已于 {now.entered_on} 进入{now.stage.zh}，只能继续向前",
        )
    if now is not None and entry.entered_on < now.entered_on:
        # Checked apart, because an overtaken target date may stand between the two below.
        return Fault(
            f"{here}/entered_on",
            f"{entry.stage} cannot come ({entry.entered_on}) before {now.stage} ({now.entered_on})",
            detail_zh=f"{entry.stage.zh}（{entry.entered_on}）不能早于"
            f"{now.stage.zh}（{now.entered_on}）",
        )
    # A fact may come earlier than a target date said; facts and other targets keep their order.
    after = standing([*(one for one in history if one.stage != entry.stage), entry])
    for before, behind in pairwise(after):
        overtaken = behind == entry and before.expected and not entry.expected
        if behind.entered_on < before.entered_on and entry in (before, behind) and not overtaken:
            return Fault(
                f"{here}/entered_on",
                f"{behind.stage} cannot come ({behind.entered_on}) before {before.stage}"
                f" ({before.entered_on})",
                detail_zh=f"{behind.stage.zh}（{behind.entered_on}）不能早于"
                f"{before.stage.zh}（{before.entered_on}）",
            )
    return None
