"""When a unit is free for a whole term: the first stretch that is long enough. Pure.

A unit's calendar is its steps (``segment.Segment``): so much is free from this day on, until the
next. Days are ordinals between those of ``program.FIRST_DAY`` and ``LAST_DAY``.
"""

from app.matching.columns import NEVER
from app.matching.engine.compiled import step
from app.matching.engine.program import FIRST_ORDINAL
from app.matching.segment import Large


@step
def first_stretch(  # noqa: PLR0917  (a kernel's arguments are arrays and bounds)
    step_day: Large,
    step_free: Large,
    low: int,
    high: int,
    need: int,
    start: int,
    ends: Large,
    least_left: int = 0,
) -> tuple[int, int]:
    """The first free stretch of one unit that holds the term, clipped to begin at ``start``.

    Args:
        step_day: of the segment.
        step_free: of the segment.
        low: the first of the unit's steps.
        high: the one behind its last.
        need: hundredths of the unit's measure that must be free on every day; nothing can be
            promised of a unit whose capacity is unknown.
        start: the first day on which the lease may begin.
        ends: the first day after a term that begins on day ``FIRST_ORDINAL + i``.
        least_left: what is free beyond the need must be nothing, or this much.

    Returns:
        Its first day, and the first day on which it is over (``NEVER``: it has no end); twice
        ``NEVER`` where there is none.
    """
    begun = NEVER
    if need <= 0:
        return NEVER, NEVER
    for place in range(low, high):
        spare = step_free[place] - need
        if spare == 0 or (spare > 0 and spare >= least_left):
            if begun == NEVER:
                begun = max(start, step_day[place])
        elif begun != NEVER:
            if holds_term(begun, step_day[place], ends):
                return begun, step_day[place]
            begun = NEVER
    return begun, NEVER


@step
def holds_term(first_day: int, until: int, ends: Large) -> bool:
    """Whether a term that begins on a day is over by another."""
    return until > first_day and until >= term_end(first_day, ends)


@step
def term_end(first_day: int, ends: Large) -> int:
    """The first day after a term; one that begins past the table of days is never over."""
    place = first_day - FIRST_ORDINAL
    return ends[place] if place < len(ends) else NEVER
