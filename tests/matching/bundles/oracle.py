"""What a bundle is, once more and slowly: every set of units held against the definition.

Nothing of the kernels is used, nor the bits of neighbours: walls and links are those of the world.
The methods are what there is to get wrong; the control arms get one of them wrong each.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, combinations

from app.matching.columns import NEVER
from app.matching.engine.candidates import BundleShape, Candidate, CandidateKind
from app.matching.engine.judge import broken, holds, is_absent, stretch_of
from app.matching.engine.program import Program
from app.matching.rules.constraint import Combining
from tests.matching.bundles.worlds import World, eligible_of

Found = dict[tuple[int, ...], tuple[int, int, BundleShape | None]]
Floor = tuple[int, int]
Set = frozenset[int]


class Oracle:
    """All feasible bundles of a program on a world."""

    def __init__(self, world: World, program: Program) -> None:
        self.world, self.program = world, program
        segment = program.segment
        self.place = [int(fid) - 1 for fid in segment.fid]
        self.floor = [world.floors[world.units[place].floor] for place in self.place]
        row_of = {place: row for row, place in enumerate(self.place)}
        self.walls = {frozenset((row_of[one], row_of[other])) for one, other in self.all_walls()}
        self.present = [row for row in range(len(segment)) if not is_absent(program, row)]
        self.on_floor: dict[Floor, set[int]] = defaultdict(set)
        for row in self.present:
            if self.counts_on_floor(row):
                self.on_floor[self.floor[row]].add(row)
        first = program.kind_rows[0]
        self.eligible = [
            first + place
            for place, ok in enumerate(eligible_of(program))
            if ok and self.candidate((first + place,)).first_day <= program.latest
        ]

    def all_walls(self) -> Sequence[tuple[int, int]]:
        """Pairs of places of units that share a wall."""
        return self.world.walls

    def counts_on_floor(self, row: int) -> bool:  # noqa: ARG002
        """Whether a unit's floor is not whole without it."""
        return True

    def stretch(self, rows: Sequence[int], quantities: Sequence[int]) -> tuple[int, int]:
        """When all of them are free."""
        return stretch_of(self.program, rows, quantities)

    def is_feasible(self, candidate: Candidate) -> bool:
        """Whether a set that hangs together is what is asked for."""
        return broken(self.program, candidate) == 0

    def candidate(self, rows: tuple[int, ...], shape: BundleShape | None = None) -> Candidate:
        """Some rows, whole."""
        capacity = self.program.segment.column("capacity")
        quantities = tuple(int(capacity[row]) for row in rows)
        first_day, until = self.stretch(rows, quantities)
        return Candidate(CandidateKind.BUNDLE, rows, quantities, first_day, until, shape)

    def bundles(self) -> Found:
        """Every feasible bundle: its rows, its days and its shape."""
        found: Found = {}
        for rows in self.sets():
            shape = self.shape(frozenset(rows))
            if shape is None:
                continue
            candidate = self.candidate(rows, shape)
            if candidate.first_day != NEVER and self.is_feasible(candidate):
                found[rows] = candidate.first_day, candidate.until, shape
        return found

    def sets(self) -> Iterator[tuple[int, ...]]:
        """All sets of two eligible units or more."""
        sizes = range(2, len(self.eligible) + 1)
        return chain.from_iterable(combinations(self.eligible, size) for size in sizes)

    def shape(self, rows: Set) -> BundleShape | None:
        """How a set hangs together; None where it does not."""
        floors = sorted({self.floor[row] for row in rows})
        if len(floors) == 1:
            return BundleShape.FLOOR if self.is_of_one_floor(rows, floors[0]) else None
        buildings = sorted({building for building, _ in floors})
        parts = [frozenset(rows & self.taken_on(floor, rows)) for floor in floors]
        whole = [part == self.on_floor[at] for part, at in zip(parts, floors, strict=True)]
        runs = [[level for at, level in floors if at == building] for building in buildings]
        if any(run != list(range(run[0], run[-1] + 1)) for run in runs):
            return None
        if len(buildings) == 1:
            if all(whole):
                return BundleShape.STACK
            at = whole.index(False)
            ends = at in {0, len(floors) - 1} and sum(whole) == len(whole) - 1
            if ends and self.is_rest(parts[at], floors[at], rows):
                return BundleShape.STACK
        if len(buildings) == 2 and all(whole) and self.are_linked(buildings, runs):
            return BundleShape.LINKED
        return None

    def taken_on(self, floor: Floor, rows: Set) -> Set:
        """The rows that are on a floor."""
        return frozenset(row for row in rows if self.floor[row] == floor)

    def is_of_one_floor(self, rows: Set, floor: Floor) -> bool:
        """Whether rows of one floor are the whole floor, or tried together and joined by walls."""
        if rows == self.on_floor[floor]:
            return True
        group = {
            row
            for row in self.present
            if self.floor[row] == floor and self.program.kind_rows[0] <= row < self.kind_end
        }
        return self.is_joined(rows) and (self.is_tried(rows, floor) or rows == group)

    @property
    def kind_end(self) -> int:
        """The row behind the last of the kind."""
        return self.program.kind_rows[1]

    def is_tried(self, rows: Set, floor: Floor) -> bool:
        """Whether a set is not too large for a floor with so many eligible units."""
        return sum(self.floor[row] == floor for row in self.eligible) <= 12 or len(rows) <= 6

    def is_joined(self, rows: Set) -> bool:
        """Whether each is reached from each through shared walls."""
        reached, edge = set(), {min(rows)}
        while edge:
            reached |= edge
            edge = {
                row
                for row in rows - reached
                if any(frozenset((row, other)) in self.walls for other in reached)
            }
        return reached == rows

    def is_rest(self, rest: Set, floor: Floor, rows: Set) -> bool:
        """Whether a part of a floor may stand above or below a run."""
        return (
            self.is_tried(rest, floor)
            and self.is_joined(rest)
            and self.is_wanted(tuple(sorted(rows - rest)))
        )

    def is_wanted(self, run: tuple[int, ...]) -> bool:
        """Whether a run takes a rest: with a bound above always, else where it is too little."""
        program, candidate = self.program, self.candidate(run)
        if "max_area_m2" in program.demand.hard:
            return True
        target = program.demand.target_area_m2 or 0
        area = program.segment.column("leasable_area_m2")[list(run)]
        return bool(area[area > 0].sum() < target * 100) or not all(
            holds(program, constraint, form, candidate)
            for constraint, form in zip(program.active, program.forms, strict=True)
            if constraint.combining is Combining.ANY
            or constraint.key in {"places", "min_area_m2", "min_power_kva", "min_cold_storage_m2"}
        )

    def are_linked(self, buildings: Sequence[int], runs: Sequence[Sequence[int]]) -> bool:
        """Whether a passage joins a floor of one run with one of the other."""
        levels = dict(zip(buildings, runs, strict=True))
        return any(
            {one, other} == set(buildings) and level in levels[one] and there in levels[other]
            for one, other, level, there in self.world.links
        )


class ForgetsTheOthersDays(Oracle):
    """Wrong: the latest of the first days, whether all are free then or not."""

    def stretch(self, rows: Sequence[int], quantities: Sequence[int]) -> tuple[int, int]:
        each = [
            stretch_of(self.program, [row], [quantity])
            for row, quantity in zip(rows, quantities, strict=True)
        ]
        return max(first for first, _ in each), min(until for _, until in each)


class ForgetsOtherKinds(Oracle):
    """Wrong: a floor is whole once all units of the kind are taken."""

    def counts_on_floor(self, row: int) -> bool:
        return self.program.kind_rows[0] <= row < self.kind_end


class ForgetsWalls(Oracle):
    """Wrong: whatever is on one floor hangs together."""

    def is_joined(self, rows: Set) -> bool:  # noqa: ARG002
        return True


class ForgetsTheSum(Oracle):
    """Wrong: every unit must have by itself what is asked of all."""

    def is_feasible(self, candidate: Candidate) -> bool:
        return all(broken(self.program, self.candidate((row,))) == 0 for row in candidate.rows)


class ForgetsLevels(Oracle):
    """Wrong: a passage joins buildings wherever the floors are."""

    def are_linked(self, buildings: Sequence[int], _runs: Sequence[Sequence[int]]) -> bool:
        return any({one, other} == set(buildings) for one, other, *_ in self.world.links)


CONTROLS = (
    ForgetsTheOthersDays,
    ForgetsOtherKinds,
    ForgetsWalls,
    ForgetsTheSum,
    ForgetsLevels,
)
