"""A unit's facts over its days: pieces that follow each other, and what a change makes of them.

Pure: no SQL, no clock. Days are half-open; None is "since ever" as a start, "for good" as an end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Piece:
    """Facts, and the days ``[start, end)`` for which they hold."""

    start: date | None
    end: date | None
    facts: Facts

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"a piece must end after it starts: {self.start} .. {self.end}")

    def holds_on(self, day: date) -> bool:
        """Whether a day is one of its days."""
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)


Pieces = tuple[Piece, ...]


def amended(
    pieces: Sequence[Piece], start: date | None, end: date | None, changes: Facts
) -> Pieces:
    """The pieces with ``changes`` made on the days ``[start, end)`` and on no others.

    Days that the pieces do not cover stay uncovered. Neighbours that have become equal are one.

    Raises:
        ValueError: the days are none.

    >>> always = (Piece(None, None, {"rent": 3}),)
    >>> [(p.start, p.end, p.facts["rent"]) for p in amended(
    ...     always, date(2027, 1, 1), None, {"rent": 4})]
    [(None, datetime.date(2027, 1, 1), 3), (datetime.date(2027, 1, 1), None, 4)]
    """
    if start is not None and end is not None and start >= end:
        raise ValueError(f"no day lies in {start} .. {end}")
    before = within(pieces, None, start) if start is not None else ()
    inside = tuple(
        replace(piece, facts={**piece.facts, **changes}) for piece in within(pieces, start, end)
    )
    after = within(pieces, end, None) if end is not None else ()
    return joined((*before, *inside, *after))


def within(pieces: Sequence[Piece], start: date | None, end: date | None) -> Pieces:
    """What of the pieces lies on the days ``[start, end)``."""
    found = []
    for piece in pieces:
        first, last = _later(piece.start, start), _sooner(piece.end, end)
        if first is None or last is None or first < last:
            found.append(replace(piece, start=first, end=last))
    return tuple(found)


def joined(pieces: Sequence[Piece]) -> Pieces:
    """The pieces, with neighbours that say the same as one."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if last is not None and last.end == piece.start and last.facts == piece.facts:
            found[-1] = replace(last, end=piece.end)
        else:
            found.append(piece)
    return tuple(found)


def facts_on(pieces: Sequence[Piece], day: date) -> Facts | None:
    """The facts of a day; None where no piece holds."""
    return next((piece.facts for piece in pieces if piece.holds_on(day)), None)


def runs(
    pieces: Sequence[Piece], start: date | None, end: date | None, of: Callable[[Facts], Any]
) -> Pieces:
    """The days ``[start, end)`` in as few stretches as ``of`` the facts allows.

    Each stretch carries the facts of its first day.
    """
    found: list[Piece] = []
    for piece in within(pieces, start, end):
        last = found[-1] if found else None
        if last is not None and last.end == piece.start and of(last.facts) == of(piece.facts):
            found[-1] = replace(last, end=piece.end)
        else:
            found.append(piece)
    return tuple(found)


def aligned(many: Sequence[Sequence[Piece]]) -> list[tuple[date | None, date | None, list[Facts]]]:
    """Stretches of days on which none of several units changes, with the facts of each.

    All units must cover the same days.
    """
    edges = {piece.start for pieces in many for piece in pieces}
    starts = sorted(edges, key=lambda day: day or date.min)
    ends: list[date | None] = [*starts[1:], many[0][-1].end]
    return [
        (start, end, [within(pieces, start, end)[0].facts for pieces in many])
        for start, end in zip(starts, ends, strict=True)
    ]


def _later(one: date | None, other: date | None) -> date | None:
    """The later of two starts."""
    return one if other is None else other if one is None else max(one, other)


def _sooner(one: date | None, other: date | None) -> date | None:
    """The sooner of two ends."""
    return one if other is None else other if one is None else min(one, other)
