"""What the kernels of bundles read and write, and the smallest of their steps. Pure.

A member is a unit that may be part of a bundle; kernels know it by its place among the members,
which ascend with the rows. The members of one group are consecutive, and so are the groups of one
building from the lowest floor up: a run of whole floors is one range of members.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.matching.columns import COLUMNS, NEVER
from app.matching.engine.availability import first_stretch, holds_term
from app.matching.engine.compiled import step
from app.matching.engine.program import FIRST_ORDINAL
from app.matching.segment import GROUP_MOST, Large, Middle, Small, Truths, Wide

#: Shapes as kernels write them: places in ``BundleShape``.
FLOOR, STACK, LINKED = range(3)
#: Members of a group of which every connected set is tried; above, sets of up to ``FEW``.
EVERY_SIZE_UP_TO = 12
FEW = 6
#: Tenths of W/m² times hundredths of m² in a tenth of a kVA.
_PER_M2_IN_A_TENTH_KVA = 100_000
_UNKNOWN = COLUMNS["power_kva"].width.unknown
#: Rows that there is room for, a bundle.
_ROWS_A_BUNDLE = 16
#: Less than any two buildings' power could make up for.
_NO_POWER = -(2**40)

Masks32 = NDArray[np.uint32]
Masks64 = NDArray[np.uint64]


class Members(NamedTuple):
    """The units that may be part of a bundle.

    Attributes:
        row: of the segment, ascending.
        near: the group's rows with which each shares a wall, as ``Segment.neighbours_of``.
        whole: hundredths of each unit's own measure: a bundle takes all of it.
        first_day, until: the first stretch of each by itself.
        sums: what each adds to what is asked of the sum, shape ``(n_sums, n_members)``, never
            negative; the first is the area, hundredths of m².
        before: sums of all members before each, shape ``(n_sums, n_members + 1)``.
        any_of: bits of the rules that one member is enough for, where this one is enough.
        step_at, step_day, step_free: calendars of all rows, as in ``Segment``.
    """

    row: Large
    near: Masks32
    whole: Large
    first_day: Large
    until: Large
    sums: Wide
    before: Wide
    any_of: Masks64
    step_at: Large
    step_day: Large
    step_free: Large


class Grounds(NamedTuple):
    """Where the members are: one entry for each group with a member, as groups are sorted.

    Attributes:
        at: the members of group *q* are ``at[q]`` to ``at[q + 1]``.
        start: the group's first row.
        building, level: where its floor is.
        present: units of the group that there are, members or not.
        is_whole: whether all units of the floor, of every kind, are members.
        of_building: units of the building that there are; counted only where that is asked.
    """

    at: Large
    start: Large
    building: Large
    level: Middle
    present: Large
    is_whole: Truths
    of_building: Large


class Asked(NamedTuple):
    """What is asked of the members together.

    Attributes:
        low, high: bounds of each of the sums, both inclusive.
        any_of: bits of the rules that one member is enough for.
        enough_m2: area, hundredths of m², from which on whole floors take no rest of another one.
        start, latest: ordinals between which the lease begins.
        ends: as in ``Program``.
        power, power_per_m2: as ``Special`` of ``POWER_LEFT`` has them; -1 where it is not asked.
        power_kva, power_at, power_day, power_used: of buildings, as in ``Buildings``.
        whole_floors, whole_buildings: whether nothing else may be on the floors, in the buildings.
    """

    low: Wide
    high: Wide
    any_of: np.uint64
    enough_m2: int
    start: int
    latest: int
    ends: Large
    power: int
    power_per_m2: int
    power_kva: Large
    power_at: Large
    power_day: Large
    power_used: Large
    whole_floors: bool
    whole_buildings: bool


class Room(NamedTuple):
    """Room for one set of members while it grows, made once for a request.

    Attributes:
        chosen: the members in the set.
        member_of: the group's member at each bit.
        taken, passed, around: by size, bits of the members that are in the set, that it goes
            without, and that share a wall with it.
        sums, any_of, day: by size, what the members add up to, the rules of which one is enough
            that they meet, and their first common day. Entry 0 is the set that it grows from.
        left: by size, what the members add up to that the set could still take.
        largest: of each of the sums, the most that one member of the group adds.
    """

    chosen: Large
    member_of: Large
    taken: Masks32
    passed: Masks32
    around: Masks32
    sums: Wide
    any_of: Masks64
    day: Wide
    left: Wide
    largest: Wide


def make_room(n_members: int, n_sums: int) -> Room:
    """Room for sets of so many members and sums."""
    sizes = GROUP_MOST + 1
    return Room(
        chosen=np.empty(n_members + GROUP_MOST, np.int32),
        member_of=np.empty(GROUP_MOST, np.int32),
        taken=np.empty(sizes, np.uint32),
        passed=np.empty(sizes, np.uint32),
        around=np.empty(sizes, np.uint32),
        sums=np.empty((sizes, n_sums), np.int64),
        any_of=np.empty(sizes, np.uint64),
        day=np.empty(sizes, np.int64),
        left=np.empty((sizes, n_sums), np.int64),
        largest=np.empty(n_sums, np.int64),
    )


class Sink(NamedTuple):
    """Where bundles are written: rows of bundle *i* are ``row[at[i]:at[i + 1]]``, ascending.

    ``used`` says how many bundles and rows are written, and whether (1) there was no room for more.
    """

    at: Large
    row: Large
    first_day: Large
    until: Large
    shape: Small
    used: Wide


def make_sink(most: int) -> Sink:
    """Room for so many bundles; memory that is not written to costs nothing."""
    return Sink(
        at=np.zeros(most + 1, np.int32),
        row=np.empty(most * _ROWS_A_BUNDLE, np.int32),
        first_day=np.empty(most, np.int32),
        until=np.empty(most, np.int32),
        shape=np.empty(most, np.int8),
        used=np.zeros(3, np.int64),
    )


class Work(NamedTuple):
    """All that the kernels of one request read and write."""

    members: Members
    grounds: Grounds
    asked: Asked
    room: Room
    sink: Sink


@step
def stretch_from(member: int, day: int, work: Work) -> tuple[int, int]:
    """The first stretch from a day on that a member is free and that holds the term."""
    members, ends = work.members, work.asked.ends
    first, until = members.first_day[member], members.until[member]
    if day <= first:
        return first, until
    if holds_term(day, until, ends):
        return day, until
    # What is free from one day on for ever held the term above: this one has steps of its own.
    row = members.row[member]
    low, high = members.step_at[row], members.step_at[row + 1]
    need = members.whole[member]
    return first_stretch(members.step_day, members.step_free, low, high, need, day, ends)


@step
def common_stretch(count: int, day: int, work: Work) -> tuple[int, int]:
    """The first stretch that all the chosen are free, from a day on, and that holds the term.

    Each in turn moves the day to where its own next stretch begins, until all of them agree: the
    least day on which all are free for the whole term. Returns what ``first_stretch`` does, and
    twice ``NEVER`` too where it begins too late.
    """
    agreed, turn, until = 0, 0, NEVER
    while agreed < count:
        first, end = stretch_from(work.room.chosen[turn], day, work)
        if first > work.asked.latest:
            return NEVER, NEVER
        if first == day:
            agreed += 1
            until = min(until, end)
        else:
            day, until, agreed = first, end, 1
        turn = turn + 1 if turn + 1 < count else 0
    return day, until


@step
def choose(first: int, last: int, day: int, work: Work) -> tuple[int, int]:
    """Choose a range of members, and no other: entry 0 of ``room`` is theirs.

    Returns their first common stretch from a day on, all days where there are no members; twice
    ``NEVER`` where there is none in time, or where they are too much.
    """
    work.room.any_of[0] = 0
    work.room.sums[0] = 0
    until = NEVER
    if not add(first, last, 0, 0, work):
        day = NEVER
    elif last > first:
        day, until = common_stretch(last - first, day, work)
    work.room.day[0] = day
    return day, until


@step
def add(first: int, last: int, count: int, size: int, work: Work) -> bool:
    """Choose a range of members after the first ``count``; whether they are not too much together.

    What they add up to with entry 0 of ``room`` is written to entry ``size``.
    """
    members, room = work.members, work.room
    any_of = room.any_of[0]
    for member in range(first, last):
        room.chosen[count + member - first] = member
        any_of |= members.any_of[member]
    room.any_of[size] = any_of
    within = True
    for place in range(len(work.asked.high)):
        more = members.before[place, last] - members.before[place, first]
        room.sums[size, place] = room.sums[0, place] + more
        within &= room.sums[size, place] <= work.asked.high[place]
    return within


@step
def falls_short(first: int, last: int, work: Work) -> bool:
    """Whether a range of members taken together is below some bound, as each part of it is."""
    before = work.members.before
    for place in range(len(work.asked.low)):
        if before[place, last] - before[place, first] < work.asked.low[place]:
            return True
    return False


@step
def is_enough(size: int, work: Work) -> bool:
    """Whether what is chosen reaches every bound, and some of it every rule that one is enough for.

    ``size`` is the entry of ``room`` with what it adds up to.
    """
    room, asked = work.room, work.asked
    for place in range(len(asked.low)):
        if room.sums[size, place] < asked.low[place]:
            return False
    return bool(room.any_of[size] == asked.any_of)


@step
def power_for(area: int, asked: Asked) -> int:
    """Tenths of kVA that an area, hundredths of m², is to have by its size."""
    return -(-asked.power_per_m2 * area // _PER_M2_IN_A_TENTH_KVA)


@step
def power_left(building: int, day: int, asked: Asked) -> int:
    """Tenths of kVA that nobody has in the term that begins on a day, less than none if unknown."""
    fed = asked.power_kva[building]
    if fed == _UNKNOWN:
        return _NO_POWER
    place = day - FIRST_ORDINAL
    over = asked.ends[place] if place < len(asked.ends) else NEVER
    most, used = 0, 0
    for change in range(asked.power_at[building], asked.power_at[building + 1]):
        on = asked.power_day[change]
        if on >= over:
            break
        if on > day:
            most = max(most, used)
        used = asked.power_used[change]
    return int(fed - max(most, used))


@step
def is_feasible(group: int, count: int, size: int, day: int, work: Work) -> bool:
    """Whether the ``count`` chosen, all in a group's building and free, are what is asked for."""
    grounds, asked = work.grounds, work.asked
    if not is_enough(size, work):
        return False
    if asked.whole_buildings and count != grounds.of_building[group]:
        return False
    if asked.power < 0:
        return True
    needed = max(asked.power, power_for(work.room.sums[size, 0], asked))
    return bool(needed <= power_left(grounds.building[group], day, asked))


@step
def write(count: int, stretch: tuple[int, int], shape: int, work: Work) -> None:
    """Write what is chosen down as a bundle, while there is room."""
    members, chosen, sink = work.members, work.room.chosen, work.sink
    place, at = sink.used[0], sink.used[1]
    if place == len(sink.shape) or at + count > len(sink.row):
        sink.used[2] = 1
        return
    for turn in range(count):
        row = members.row[chosen[turn]]
        slot = at + turn
        while slot > at and sink.row[slot - 1] > row:
            sink.row[slot] = sink.row[slot - 1]
            slot -= 1
        sink.row[slot] = row
    sink.at[place + 1] = at + count
    sink.first_day[place], sink.until[place] = stretch
    sink.shape[place] = shape
    sink.used[0] = place + 1
    sink.used[1] = at + count
