"""Units of one floor that hang together: every connected set within bounds, each found once. Pure.

A set grows unit by unit over shared walls; a unit that was passed over is not taken up again below,
so that no set is met twice. What already has too much of a sum, can no longer come to enough, or
has no common stretch left, grows no further: nothing above it could do better.
"""

import numpy as np

from app.matching.columns import NEVER
from app.matching.engine.bundles.kernel import (
    EVERY_SIZE_UP_TO,
    FEW,
    FLOOR,
    Work,
    choose,
    common_stretch,
    falls_short,
    is_feasible,
    write,
)
from app.matching.engine.compiled import kernel, step
from app.matching.segment import GROUP_MOST


@kernel
def of_floors(work: Work) -> None:
    """Write every feasible bundle within one floor."""
    grounds, asked = work.grounds, work.asked
    for group in range(len(grounds.start)):
        first, last = grounds.at[group], grounds.at[group + 1]
        if last == first + 1 or falls_short(first, last, work):
            continue
        if not asked.whole_floors and not asked.whole_buildings:
            choose(first, first, asked.start, work)
            grow(group, 0, FLOOR, work)
        if is_tried_whole(group, work):
            stretch = choose(first, last, asked.start, work)
            if stretch[0] != NEVER and is_feasible(group, last - first, 0, stretch[0], work):
                write(last - first, stretch, FLOOR, work)


@step
def is_tried_whole(group: int, work: Work) -> bool:
    """Whether all units of a group are a bundle that growing by walls does not meet.

    All units of a floor are, whatever its walls; where there are other kinds of space on it too,
    all units of the kind are if they hang together.
    """
    grounds, asked = work.grounds, work.asked
    count = grounds.at[group + 1] - grounds.at[group]
    if count != grounds.present[group]:
        return False
    if asked.whole_floors or asked.whole_buildings:
        return bool(grounds.is_whole[group])
    if count <= EVERY_SIZE_UP_TO:
        return bool(grounds.is_whole[group] and not hangs_together(group, work))
    return bool(grounds.is_whole[group] or hangs_together(group, work))


@kernel
def hangs_together(group: int, work: Work) -> bool:
    """Whether all members of a group hang together; not where some are beyond the bits."""
    members, grounds = work.members, work.grounds
    first, last = grounds.at[group], grounds.at[group + 1]
    start = grounds.start[group]
    if members.row[last - 1] - start >= GROUP_MOST:
        return False
    one = np.uint32(1)
    reached = one << np.uint32(members.row[first] - start)
    joined, before = 1, 0
    while joined != before:
        before = joined
        for member in range(first, last):
            mask = one << np.uint32(members.row[member] - start)
            if not reached & mask and reached & members.near[member]:
                reached |= mask
                joined += 1
    return bool(joined == last - first)


@kernel
def grow(group: int, base: int, shape: int, work: Work) -> None:
    """Write every feasible bundle of the base and a connected set of a group's members.

    The base are the first ``base`` of those chosen: members of whole floors, or none; entry 0 of
    ``room`` is theirs. With a base, the set is never the whole floor: that would be a longer run.

    Bounded: at most 4095 sets of up to 12 members, and of 32 members sets of up to 6.
    """
    members, grounds, room = work.members, work.grounds, work.room
    count = grounds.at[group + 1] - grounds.at[group]
    most = count if count <= EVERY_SIZE_UP_TO else FEW
    the_floor = count if base and grounds.is_whole[group] else 0
    eligible = lay_out(group, work)
    room.around[0] = eligible
    room.taken[0] = 0
    room.passed[0] = 0
    size = 0
    while size >= 0 and not work.sink.used[2]:
        open_to_it = room.around[size] & eligible & ~room.taken[size] & ~room.passed[size]
        if open_to_it == 0 or size == most or not can_suffice(size, most - size, work):
            size -= 1
            continue
        bit = 0
        while not open_to_it >> np.uint32(bit) & np.uint32(1):
            bit += 1
        mask = np.uint32(1) << np.uint32(bit)
        member = room.member_of[bit]
        room.passed[size] |= mask
        if not take(member, size, work):
            continue
        room.chosen[base + size] = member
        stretch = common_stretch(base + size + 1, room.day[size], work)
        if stretch[0] == NEVER:
            continue
        near = members.near[member]
        room.around[size + 1] = near if size == 0 else room.around[size] | near
        room.taken[size + 1] = room.taken[size] | mask
        room.passed[size + 1] = room.passed[size]
        room.any_of[size + 1] = room.any_of[size] | members.any_of[member]
        room.day[size + 1] = stretch[0]
        size += 1
        if (
            base + size > 1
            and size != the_floor
            and is_feasible(group, base + size, size, stretch[0], work)
        ):
            write(base + size, stretch, shape, work)


@step
def lay_out(group: int, work: Work) -> np.uint32:
    """Note a group's members by their bits, and what all of them add up to; returns their bits."""
    members, grounds, room = work.members, work.grounds, work.room
    room.left[0] = 0
    room.largest[:] = 0
    eligible = np.uint32(0)
    for member in range(grounds.at[group], grounds.at[group + 1]):
        bit = members.row[member] - grounds.start[group]
        if bit >= GROUP_MOST:
            break
        room.member_of[bit] = member
        eligible |= np.uint32(1) << np.uint32(bit)
        for place in range(len(room.largest)):
            value = members.sums[place, member]
            room.left[0, place] += value
            room.largest[place] = max(room.largest[place], value)
    return np.uint32(eligible)


@step
def can_suffice(size: int, more: int, work: Work) -> bool:
    """Whether the sums can still come to enough with up to ``more`` of the units that are left."""
    room, low = work.room, work.asked.low
    for place in range(len(low)):
        gain = min(room.left[size, place], more * room.largest[place])
        if room.sums[size, place] + gain < low[place]:
            return False
    return True


@step
def take(member: int, size: int, work: Work) -> bool:
    """Add a member's share to the sums of the next size; whether they are not too much."""
    members, room, high = work.members, work.room, work.asked.high
    within = True
    for place in range(len(high)):
        value = members.sums[place, member]
        room.left[size, place] -= value
        room.left[size + 1, place] = room.left[size, place]
        room.sums[size + 1, place] = room.sums[size, place] + value
        within &= room.sums[size + 1, place] <= high[place]
    return within
