"""What can be offered: a unit, a part of one, places in one, or several units together. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class CandidateKind(StrEnum):
    """How much of what is offered."""

    UNIT = "unit"
    PART = "part"
    PLACES = "places"
    BUNDLE = "bundle"


class BundleShape(StrEnum):
    """How the units of a bundle hang together.

    ``FLOOR``: units of one floor, each reachable through shared walls. ``STACK``: whole floors one
    above the other, and where that is not enough, units that hang together on the next floor.
    ``LINKED``: such stacks in buildings that a passage joins.
    """

    FLOOR = "floor"
    STACK = "stack"
    LINKED = "linked"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Space that could be promised to one firm.

    Attributes:
        kind: how much of what.
        rows: rows of one segment, ascending.
        quantities: hundredths of each unit's own measure, one for each row.
        first_day, until: the first free stretch that holds the term: its first day (not before the
            window's start), and the first day on which some of it is not free; ordinals. ``NEVER``
            as ``first_day`` means that there is no such stretch; as ``until``, that it has no end.
        shape: of a bundle.
    """

    kind: CandidateKind
    rows: tuple[int, ...]
    quantities: tuple[int, ...]
    first_day: int
    until: int
    shape: BundleShape | None = None
