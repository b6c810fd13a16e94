"""Whole floors one above the other, with a rest on the next floor, or over a passage. Pure.

A run is one or more floors of consecutive levels of which all units are members. Members ascend
with the levels, so that a run is a range of them. Where one floor more is too much, or not free in
time with the others, so is every longer run.

The work is bounded. A building of F whole floors has at most F(F + 1) / 2 runs. With a bound above
on area, each run within it is tried with the connected sets of at most two floors; with none, only
runs that fall short of something, or of the area aimed at, take a rest: what is enough already
would only grow on and on. Linked buildings have at most (F1 F2)² / 16 pairs of runs a passage (each
rounded up), and take no rest.
"""

import numpy as np

from app.matching.columns import NEVER
from app.matching.engine.bundles.floors import grow
from app.matching.engine.bundles.kernel import (
    LINKED,
    STACK,
    Grounds,
    Work,
    add,
    choose,
    common_stretch,
    is_enough,
    is_feasible,
    power_for,
    power_left,
    write,
)
from app.matching.engine.compiled import kernel
from app.matching.segment import Large


@kernel
def of_stacks(work: Work) -> None:
    """Write every feasible run of several floors, and of any with a rest on the next floor."""
    grounds, asked = work.grounds, work.asked
    for lowest in range(len(grounds.start)):
        top = lowest
        first, last = grounds.at[lowest], grounds.at[lowest + 1]
        if not grounds.is_whole[lowest]:
            continue
        stretch = choose(first, last, asked.start, work)
        while stretch[0] != NEVER:
            if top > lowest and is_feasible(lowest, last - first, 0, stretch[0], work):
                write(last - first, stretch, STACK, work)
            if takes_rest(work):
                if are_next(top, top + 1, grounds):
                    grow(top + 1, last - first, STACK, work)
                if are_next(lowest - 1, lowest, grounds):
                    grow(lowest - 1, last - first, STACK, work)
            top += 1
            if not are_next(top - 1, top, grounds) or not grounds.is_whole[top]:
                break
            last = grounds.at[top + 1]
            stretch = choose(first, last, stretch[0], work)


@kernel
def takes_rest(work: Work) -> bool:
    """Whether the run chosen may be too little by itself."""
    asked = work.asked
    if asked.whole_floors or asked.whole_buildings:
        return False
    return bool(work.room.sums[0, 0] < asked.enough_m2 or not is_enough(0, work))


@kernel
def are_next(below: int, above: int, grounds: Grounds) -> bool:
    """Whether one group is on the next floor above another's; either may be beyond the groups."""
    return bool(
        below >= 0
        and above < len(grounds.start)
        and grounds.building[below] == grounds.building[above]
        and grounds.level[below] + 1 == grounds.level[above]
    )


@kernel
def of_links(links: Large, work: Work) -> None:
    """Write every feasible pair of runs in two buildings, each with the floor of a passage."""
    grounds = work.grounds
    for link in range(len(links)):
        one = whole_floor_at(links[link, 0], links[link, 2], grounds)
        other = whole_floor_at(links[link, 1], links[link, 3], grounds)
        if one < 0 or other < 0 or links[link, 0] == links[link, 1]:
            continue
        lowest, highest = run_around(one, grounds)
        for low in range(lowest, one + 1):
            for high in range(one, highest + 1):
                first, last = grounds.at[low], grounds.at[high + 1]
                if choose(first, last, work.asked.start, work)[0] == NEVER:
                    break
                over_the_passage((low, high), other, link, links, work)


@kernel
def over_the_passage(run: tuple[int, int], other: int, link: int, links: Large, work: Work) -> None:
    """Write every feasible bundle of the run chosen and one with a floor of the other building."""
    grounds, asked = work.grounds, work.asked
    low, high = run
    lowest, highest = run_around(other, grounds)
    count = grounds.at[high + 1] - grounds.at[low]
    for low_there in range(lowest, other + 1):
        for high_there in range(other, highest + 1):
            first, last = grounds.at[low_there], grounds.at[high_there + 1]
            if not add(first, last, count, 1, work):
                break
            both = count + last - first
            stretch = common_stretch(both, work.room.day[0], work)
            if stretch[0] == NEVER:
                break
            if asked.whole_buildings and (
                both != grounds.of_building[low] + grounds.of_building[low_there]
            ):
                continue
            if (
                is_enough(1, work)
                and both_have_power(low, low_there, stretch[0], work)
                and not is_joined_before(link, links, run, (low_there, high_there), grounds)
            ):
                write(both, stretch, LINKED, work)


@kernel
def whole_floor_at(building: int, level: int, grounds: Grounds) -> int:
    """The group that is a whole floor of a building; -1 where there is none."""
    group = np.searchsorted(grounds.building, building)
    while group < len(grounds.start) and grounds.building[group] == building:
        if grounds.level[group] == level:
            return int(group) if grounds.is_whole[group] else -1
        group += 1
    return -1


@kernel
def run_around(group: int, grounds: Grounds) -> tuple[int, int]:
    """The longest run with a whole floor in it: its lowest and its highest group."""
    lowest = highest = group
    while are_next(lowest - 1, lowest, grounds) and grounds.is_whole[lowest - 1]:
        lowest -= 1
    while are_next(highest, highest + 1, grounds) and grounds.is_whole[highest + 1]:
        highest += 1
    return lowest, highest


@kernel
def both_have_power(one: int, other: int, day: int, work: Work) -> bool:
    """Whether each building has left what its own area needs, and both what is needed in all."""
    grounds, asked = work.grounds, work.asked
    if asked.power < 0:
        return True
    here = power_left(grounds.building[one], day, asked)
    there = power_left(grounds.building[other], day, asked)
    area_here, area = work.room.sums[0, 0], work.room.sums[1, 0]
    return bool(
        power_for(area_here, asked) <= here
        and power_for(area - area_here, asked) <= there
        and asked.power <= here + there
    )


@kernel
def is_joined_before(
    link: int,
    links: Large,
    run: tuple[int, int],
    run_there: tuple[int, int],
    grounds: Grounds,
) -> bool:
    """Whether an earlier passage joins the same runs, which were then written there."""
    for earlier in range(link):
        if joins(earlier, links, run, run_there, grounds) or joins(
            earlier, links, run_there, run, grounds
        ):
            return True
    return False


@kernel
def joins(
    link: int,
    links: Large,
    run: tuple[int, int],
    run_there: tuple[int, int],
    grounds: Grounds,
) -> bool:
    """Whether a passage leads from a floor of one run to a floor of the other."""
    building, building_there, level, level_there = links[link]
    return bool(
        building == grounds.building[run[0]]
        and building_there == grounds.building[run_there[0]]
        and grounds.level[run[0]] <= level <= grounds.level[run[1]]
        and grounds.level[run_there[0]] <= level_there <= grounds.level[run_there[1]]
    )
