"""What the score reads of candidates, one number for each: units, parts and bundles alike. Pure.

Of several units the areas add up, the rent is weighted by them, and of everything else the weakest
member counts, except for wishes, which read as their constraints do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import BY_WIDTH, COLUMNS, NEVER, RENT_DAYS_A_YEAR, Width
from app.matching.engine.alone import FULL
from app.matching.engine.availability import term_end
from app.matching.engine.candidates import Candidate
from app.matching.engine.compiled import kernel
from app.matching.engine.kernel import (
    UNKNOWN_OF_WIDTH,
    Asked,
    Units,
    asked_of,
    cell_at,
    crowds,
    most_used,
    units_of,
)
from app.matching.engine.program import Program, adds_up
from app.matching.forms import Form, Ground, Interval, Intervals, Own, Special
from app.matching.rules.constraint import Combining
from app.matching.segment import Truths, Wide

Relay = NDArray[np.int16]

UNKNOWN = -1
#: Thousandths for how closely the units of an offer hang together: one unit or a part of it, units
#: of one floor, floors of one building, and buildings that a passage joins (planning assumption).
COMPACT = (FULL, 900, 700, 400)
_UNKNOWN_CELL = Width.LARGE.unknown
#: Needs whose spare counts as headroom, with their columns.
HEADROOM = (
    ("min_floor_load_kn_m2", "floor_load_kn_m2"),
    ("min_clear_height_m", "clear_height_m"),
    ("min_power_density_w_m2", "power_density_w_m2"),
)
#: Of each column the place of its width, and its own among the columns of that width.
PLACES = {
    name: (place, names.index(name))
    for place, names in enumerate(BY_WIDTH.values())
    for name in names
}
_ALWAYS = ("capacity", "leasable_area_m2", "rent_cny_per_m2_day", "physical_state")


@dataclass(frozen=True)
class Offers:
    """Candidates in rows: candidate *i* takes ``quantities`` of ``rows`` from ``at[i]`` on.

    Rows ascend within a candidate. ``at`` is None where every candidate is of one row.
    """

    rows: Wide
    quantities: Wide
    first_day: Wide
    at: Wide | None = None

    @staticmethod
    def of(candidates: Sequence[Candidate]) -> "Offers":
        """The same candidates as arrays."""
        rows = [row for one in candidates for row in one.rows]
        quantities = [quantity for one in candidates for quantity in one.quantities]
        return Offers(
            np.array(rows, dtype=np.int64),
            np.array(quantities, dtype=np.int64),
            np.array([one.first_day for one in candidates], dtype=np.int64),
            np.cumsum([0, *(len(one.rows) for one in candidates)]).astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.first_day)

    @property
    def bounds(self) -> Wide:
        """Where each candidate's rows begin, and the last one's end."""
        return np.arange(len(self.rows) + 1) if self.at is None else self.at

    def all(self, truths: Truths) -> Truths:
        """Whether it is true of every member."""
        if self.at is None:
            return truths
        every: Truths = np.logical_and.reduceat(truths, self.at[:-1])
        return every

    def any(self, truths: Truths) -> Truths:
        """Whether it is true of any member."""
        if self.at is None:
            return truths
        some: Truths = np.logical_or.reduceat(truths, self.at[:-1])
        return some

    def sum(self, numbers: Wide) -> Wide:
        """The members' sum."""
        return numbers if self.at is None else np.add.reduceat(numbers, self.at[:-1])

    def least(self, numbers: Wide) -> Wide:
        """The least of the members'."""
        return numbers if self.at is None else np.minimum.reduceat(numbers, self.at[:-1])

    def most(self, numbers: Wide) -> Wide:
        """The greatest of the members'."""
        return numbers if self.at is None else np.maximum.reduceat(numbers, self.at[:-1])


@dataclass(frozen=True)
class Measures:
    """What the score reads: arrays of whole numbers, one entry for each candidate.

    Attributes:
        area: hundredths of m² that are taken; ``UNKNOWN`` where not known.
        rent: 10⁻⁴ 元/㎡·天; ``UNKNOWN`` where that of a unit is not known.
        first_day: on which the lease could begin.
        state: rank of the least ready member's physical state; ``UNKNOWN`` where not known.
        spare: the cells of the columns that ``HEADROOM`` asks for, by the need's key.
        met: whether each wish is met, in the order of ``Program.wishes``.
        relay: thousandths: room to grow where it is, the best of its buildings.
        compact: thousandths: how closely its units hang together.
    """

    area: Wide
    rent: Wide
    first_day: Wide
    state: Wide
    spare: dict[str, Wide]
    met: tuple[Truths, ...]
    relay: Wide
    compact: Wide

    def __len__(self) -> int:
        return len(self.first_day)

    def one(self, place: int) -> "Measures":
        """Those of one candidate."""
        only = slice(place, place + 1)
        return Measures(
            area=self.area[only],
            rent=self.rent[only],
            first_day=self.first_day[only],
            state=self.state[only],
            spare={key: cells[only] for key, cells in self.spare.items()},
            met=tuple(truths[only] for truths in self.met),
            relay=self.relay[only],
            compact=self.compact[only],
        )


def measure(program: Program, offers: Offers, relay: Relay | None = None) -> Measures:
    """What the score reads of candidates.

    Args:
        program: the demand on their segment.
        offers: the candidates.
        relay: thousandths for each building of the segment; None where nobody worked it out.
    """
    taken = _Taken(program, offers)
    return Measures(
        area=_known(taken.total("leasable_area_m2")),
        rent=_known(taken.rent_by_area()),
        first_day=offers.first_day,
        state=_known(offers.least(taken.cells("physical_state"))),
        spare={
            key: _known(offers.least(taken.cells(column)))
            for key, column in HEADROOM
            if key in program.demand.hard
        },
        met=tuple(taken.holds(form, one.combining) for one, form in program.wishes),
        relay=_relay(program, taken, relay),
        compact=_compact(offers, taken),
    )


def _compact(offers: Offers, taken: "_Taken") -> Wide:
    """How closely each candidate's units hang together: ``COMPACT``."""
    floor = taken.program.segment.floor[offers.rows].astype(np.int64)
    building = taken.buildings.astype(np.int64)
    found = np.full(len(offers), COMPACT[0], dtype=np.int64)
    if offers.at is not None:
        found[np.diff(offers.at) > 1] = COMPACT[1]
        found[offers.least(floor) != offers.most(floor)] = COMPACT[2]
        found[offers.least(building) != offers.most(building)] = COMPACT[3]
    return found


def _known(cells: Wide) -> Wide:
    """Cells are never negative but where nothing is known."""
    return np.maximum(cells, UNKNOWN)


def _relay(program: Program, taken: "_Taken", relay: Relay | None) -> Wide:
    if relay is None or program.demand.growth is None:
        return np.full(len(taken.offers), FULL, dtype=np.int64)
    return taken.offers.most(relay[taken.buildings].astype(np.int64))


@dataclass(frozen=True)
class _Taken:
    """What candidates take, column by column."""

    program: Program
    offers: Offers

    @cached_property
    def buildings(self) -> Wide:
        """Each row's building."""
        segment = self.program.segment
        return segment.floors.building[segment.floor[self.offers.rows]].astype(np.int64)

    @cached_property
    def capacity(self) -> Wide:
        """Each row's capacity."""
        return self.cells("capacity")

    @cached_property
    def is_whole(self) -> Truths:
        """Which rows are taken whole."""
        whole: Truths = self.offers.quantities == self.capacity
        return whole

    @cached_property
    def _gathered(self) -> dict[str, Wide]:
        """The cells of all columns that are read for certain, in one pass over the rows."""
        program = self.program
        wished = [
            test.column
            for _, form in program.wishes
            if isinstance(form, Interval | Intervals)
            for test in ((form,) if isinstance(form, Interval) else form.all_of)
        ]
        spare = [column for key, column in HEADROOM if key in program.demand.hard]
        names = list(dict.fromkeys([*_ALWAYS, *spare, *wished]))
        places = np.array([PLACES[name] for name in names])
        cells = np.empty((len(names), len(self.offers.rows)), dtype=np.int64)
        _gather(self.offers.rows, places, units_of(program.segment), cells)
        return dict(zip(names, cells, strict=True))

    def cells(self, column: str) -> Wide:
        """Each row's cell of a column; unknown ones as those of the widest columns."""
        if column in self._gathered:
            return self._gathered[column]
        cells = np.empty((1, len(self.offers.rows)), dtype=np.int64)
        place = np.array([PLACES[column]])
        _gather(self.offers.rows, place, units_of(self.program.segment), cells)
        found: Wide = cells[0]
        return found

    def shares(self, column: str) -> Wide:
        """What is taken of each row's cell, half of a grain rounded up."""
        cells, quantities = self.cells(column), self.offers.quantities
        if column == "capacity":
            return quantities
        if self.is_whole.all():
            return cells
        shares = (cells * quantities + self.capacity // 2) // self.capacity
        return np.where(self.is_whole | (cells == _UNKNOWN_CELL), cells, shares)

    def total(self, column: str) -> Wide:
        """The sum of what is taken; unknown where that of one row is."""
        return self._sum(self.shares(column))

    def _sum(self, parts: Wide) -> Wide:
        if self.offers.at is None:
            return parts
        is_known = self.offers.least(parts) != _UNKNOWN_CELL
        return np.where(is_known, self.offers.sum(parts), _UNKNOWN_CELL)

    def rent_by_area(self) -> Wide:
        """10⁻⁴ 元/㎡·天, weighted by area and rounded half up; unknown where that of one is."""
        rent = self.cells("rent_cny_per_m2_day")
        if self.offers.at is None:
            return rent
        area = self.shares("leasable_area_m2")
        weight = self.offers.sum(area)
        mean = (self.offers.sum(rent * area) + weight // 2) // weight
        is_known = self.offers.least(np.minimum(rent, area)) != _UNKNOWN_CELL
        return np.where(is_known, mean, _UNKNOWN_CELL)

    def holds(self, form: Form, combining: Combining) -> Truths:
        """Which candidates satisfy a rule."""
        match form:
            case Interval():
                return self._within((form,), combining)
            case Intervals():
                return self._within(form.all_of, combining)
            case Ground():
                truths = form.ok[self.buildings]
                is_any = combining is Combining.ANY
                return self.offers.any(truths) if is_any else self.offers.all(truths)
            case Special():
                return self._own(form)

    def _within(self, tests: Sequence[Interval], combining: Combining) -> Truths:
        by_row: Truths = np.ones(len(self.offers.rows), dtype=np.bool_)
        by_sum: Truths = np.ones(len(self.offers), dtype=np.bool_)
        for test in tests:
            if combining is Combining.SUM and adds_up(COLUMNS[test.column]):
                by_sum &= _lie_within(test, self.total(test.column))
            else:
                by_row &= _lie_within(test, self.cells(test.column))
        if combining is Combining.ANY:
            return self.offers.any(by_row)
        return by_sum & self.offers.all(by_row)

    def _own(self, form: Special) -> Truths:
        match form.own:
            case Own.AVAILABILITY:
                return self.offers.first_day <= self.program.latest
            case Own.RENT_A_YEAR:
                rent = self._sum(self._rents_of_year())
                affordable: Truths = (rent != _UNKNOWN_CELL) & (rent <= form.limit)
                return affordable
            case Own.WHOLE_FLOOR:
                floors = self.program.segment.floor[self.offers.rows]
                return self._alone(floors, crowds(self.program)[0])
            case Own.WHOLE_BUILDING:
                return self._alone(self.buildings, crowds(self.program)[1])
            case Own.POWER_LEFT:
                return self._powered(form)

    def _rents_of_year(self) -> Wide:
        """分 of each row, as ``parts.rent_a_year``."""
        quantities, capacity = self.offers.quantities, self.capacity
        by_place, by_m2 = (
            self.cells(name) for name in ("rent_cny_per_place_month", "rent_cny_per_m2_day")
        )
        area = self.cells("leasable_area_m2")
        rent = by_m2 * RENT_DAYS_A_YEAR
        taken, rest = np.divmod(area * quantities, capacity)
        of_area = (rent * taken + rent * rest // capacity + 5_000) // 10_000
        of_area = np.where(np.minimum(by_m2, area) == _UNKNOWN_CELL, _UNKNOWN_CELL, of_area)
        of_places = (by_place * quantities * 12 + 50) // 100
        return np.where(by_place == _UNKNOWN_CELL, of_area, of_places)

    def _alone(self, places: NDArray[np.integer], crowd: Wide) -> Truths:
        """Whether each candidate is all that there is on its floors, or in its buildings."""
        bounds = self.offers.bounds
        is_first = np.ones(len(places), dtype=np.bool_)
        is_first[1:] = places[1:] != places[:-1]
        is_first[bounds[:-1]] = True
        there = self.offers.sum(np.where(is_first, crowd[places], 0))
        alone: Truths = (there == np.diff(bounds)) & self.offers.all(self.is_whole)
        return alone

    def _powered(self, form: Special) -> Truths:
        truths = np.empty(len(self.offers), dtype=np.bool_)
        _bear(
            self.offers.bounds,
            self.buildings,
            self.shares("leasable_area_m2"),
            self.offers.first_day,
            units_of(self.program.segment),
            asked_of(self.program),
            (form.limit, form.limit_per_m2),
            truths,
        )
        return truths


@kernel
def _gather(rows: Wide, places: Wide, units: Units, cells: Wide) -> None:
    """The cells of some columns, one after the other; ``places`` are their widths and rows."""
    for column in range(len(places)):
        width, place = places[column]
        unknown = UNKNOWN_OF_WIDTH[width]
        for i in range(len(rows)):
            cell = cell_at(width, place, rows[i], units)
            cells[column, i] = _UNKNOWN_CELL if cell == unknown else cell


def _lie_within(test: Interval, cells: Wide) -> Truths:
    unknown = cells == _UNKNOWN_CELL
    within: Truths = (cells >= test.low) & (cells <= test.high) & ~unknown
    return within | unknown if test.or_unknown else within


@kernel
def _bear(  # noqa: PLR0917  (a kernel's arguments are arrays and bounds)
    at: Wide,
    building: Wide,
    area: Wide,
    first_day: Wide,
    units: Units,
    asked: Asked,
    need: tuple[int, int],
    truths: Truths,
) -> None:
    """Whether the buildings of each candidate have the power left that it asks for.

    Each bears its members' share of what is asked by the m²; the rest they bear together.
    """
    for one in range(len(truths)):
        first = asked.latest if first_day[one] == NEVER else first_day[one]
        over = term_end(first, asked.ends)
        place, left_in_all = at[one], 0
        truths[one] = True
        while place < at[one + 1]:
            here, taken = building[place], 0
            while place < at[one + 1] and building[place] == here:
                truths[one] &= area[place] != _UNKNOWN_CELL
                taken += area[place]
                place += 1
            left = units.power_kva[here] - most_used(here, first, over, units)
            by_area = -((-need[1] * taken) // 100_000)
            truths[one] &= units.power_kva[here] != _UNKNOWN_CELL and by_area <= left
            left_in_all += left
        truths[one] &= need[0] <= left_in_all
