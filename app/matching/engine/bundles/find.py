"""Units that are enough together: every feasible bundle of a program. Pure.

A bundle is of one of three shapes (``BundleShape``), none of them met twice:

- ``FLOOR``: a set of units of one floor that hangs together through shared walls; of up to 12
  eligible units of a group every one, of more those of up to 6 units and the whole group; and the
  whole floor, whatever its walls;
- ``STACK``: whole floors of consecutive levels, alone or with a set that hangs together on the next
  floor above or below (where ``stacks`` says that a rest is wanted);
- ``LINKED``: whole floors in each of two buildings that a passage joins, with its floor in both.

Every member is of the kind asked for, breaks no rule that each unit must satisfy, and is taken
whole. Sums are judged on the sum, and a rule that one unit is enough for on any. The bundle is free
when all its members are: on the days when leases end there are bundles that are not there today.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.matching.engine.bundles.floors import of_floors
from app.matching.engine.bundles.kernel import Sink, Work, make_room, make_sink
from app.matching.engine.bundles.members import make_grounds, make_members
from app.matching.engine.bundles.stacks import of_links, of_stacks
from app.matching.engine.candidates import BundleShape, Candidate, CandidateKind
from app.matching.engine.program import Program
from app.matching.segment import Large, Segment, Small, Truths

SHAPES: Sequence[BundleShape] = (BundleShape.FLOOR, BundleShape.STACK, BundleShape.LINKED)
#: Bundles that are kept; a request that leaves more than so many open asks for too little.
BUNDLES_MOST = 1 << 18


@dataclass(frozen=True, slots=True)
class Bundles:
    """Bundles of one segment: the rows of bundle *i* are ``row[at[i]:at[i + 1]]``, ascending.

    ``first_day`` and ``until`` are those of ``Candidate``; ``shape`` is a place in ``SHAPES``.
    ``is_complete`` says whether these are all: of more than ``BUNDLES_MOST`` some are left out.
    """

    at: Large
    row: Large
    first_day: Large
    until: Large
    shape: Small
    is_complete: bool = True

    def __len__(self) -> int:
        return len(self.shape)

    def rows(self, bundle: int) -> Large:
        """The rows of one bundle."""
        rows: Large = self.row[self.at[bundle] : self.at[bundle + 1]]
        return rows

    def candidate(self, segment: Segment, bundle: int) -> Candidate:
        """One bundle as a candidate."""
        rows = self.rows(bundle)
        return Candidate(
            kind=CandidateKind.BUNDLE,
            rows=tuple(map(int, rows)),
            quantities=tuple(map(int, segment.column("capacity")[rows])),
            first_day=int(self.first_day[bundle]),
            until=int(self.until[bundle]),
            shape=SHAPES[self.shape[bundle]],
        )

    def candidates(self, segment: Segment) -> Iterator[Candidate]:
        """All bundles as candidates."""
        return (self.candidate(segment, bundle) for bundle in range(len(self)))


def find_bundles(program: Program, eligible: Truths, most: int = BUNDLES_MOST) -> Bundles:
    """Every feasible bundle of two units or more, by groups and then as they grow.

    Args:
        program: the demand on a segment.
        eligible: for each row of ``program.kind_rows``, whether it is there and breaks no
            constraint that is ``PER_UNIT``; that on its days may have been looked at, or not.
        most: bundles that are kept.
    """
    members, asked = make_members(program, eligible)
    if len(members.row) < 2:  # noqa: PLR2004  (one unit is no bundle)
        return _bundles(make_sink(0))
    work = Work(
        members=members,
        grounds=make_grounds(program, members),
        asked=asked,
        room=make_room(len(members.row), len(asked.low)),
        sink=make_sink(most),
    )
    of_floors(work)
    of_stacks(work)
    of_links(program.segment.buildings.links, work)
    return _bundles(work.sink)


def _bundles(sink: Sink) -> Bundles:
    """What was written, without the room that was not needed."""
    bundles, rows, is_full = map(int, sink.used)
    return Bundles(
        at=sink.at[: bundles + 1].copy(),
        row=sink.row[:rows].copy(),
        first_day=sink.first_day[:bundles].copy(),
        until=sink.until[:bundles].copy(),
        shape=sink.shape[:bundles].copy(),
        is_complete=not is_full,
    )
