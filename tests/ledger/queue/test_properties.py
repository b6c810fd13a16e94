"""What must hold of every queue at every instant, and proof that each check finds its fault."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.ledger.queue import line
from app.ledger.queue.line import Entry, QueueState, Standing
from tests.ledger.queue.worlds import (
    CAPACITY,
    DAYS,
    HOURS,
    IN_LINE,
    OFFER_HOURS,
    World,
    at,
    compete,
    fits,
    plain_replay,
    sum_taken,
    worlds,
)

Standings = Mapping[UUID, Standing]
Check = Callable[[World], None]


def standings_at(world: World, hour: float) -> Standings:
    return line.replay(world.entries, world.taken, CAPACITY, now=at(hour))


def history(world: World) -> Iterator[tuple[datetime, Standings, Standings]]:
    """Each instant, how all stood before it, and how all stand at it."""
    before: Standings = {}
    for hour in range(HOURS):
        now = standings_at(world, hour)
        yield at(hour), before, now
        before = now


def with_state(world: World, standings: Standings, *states: QueueState) -> list[Entry]:
    return [
        one for one in world.in_order() if one.id in standings and standings[one.id].state in states
    ]


def offers_are_never_over_capacity(world: World) -> None:
    for now, _, standings in history(world):
        offered = with_state(world, standings, QueueState.OFFERED)
        for unit_id, capacity in CAPACITY.items():
            for number in range(DAYS + 1):
                promised = sum_taken(offered, unit_id, number)
                # Claims may be overbooked here; then nothing may be offered on top.
                if promised:
                    assert promised + sum_taken(world.live(now), unit_id, number) <= capacity


def nobody_is_overtaken(world: World) -> None:
    """Who waits would not fit, even without what was offered just now to those behind it."""
    for now, before, standings in history(world):
        offered = with_state(world, standings, QueueState.OFFERED)
        order = [one.id for one in world.in_order()]
        for waiting in with_state(world, standings, QueueState.WAITING):
            lost_it = waiting.id in before and before[waiting.id].state is QueueState.OFFERED
            counted = [
                one
                for one in offered
                if order.index(one.id) < order.index(waiting.id)
                or (standings[one.id].offered_at != now and not lost_it)
            ]
            assert not fits(waiting, [*world.live(now), *counted])


def an_offer_is_open_for_its_time_and_once(world: World) -> None:
    for now, before, standings in history(world):
        for one_id, was in before.items():
            stands = standings[one_id]
            if was.state is QueueState.OFFERED and was.offer_expires_at == now:
                assert stands.state is QueueState.PASSED
            if was.state not in IN_LINE:
                assert stands == was
        for stands in standings.values():
            if stands.state is not QueueState.OFFERED:
                continue
            assert stands.offered_at is not None
            assert stands.offered_at <= now
            assert stands.offer_expires_at == stands.offered_at + timedelta(hours=OFFER_HOURS)
            assert now < stands.offer_expires_at


def a_kept_offer_keeps_its_time(world: World) -> None:
    for _, before, standings in history(world):
        for one_id, was in before.items():
            if was.state is standings[one_id].state is QueueState.OFFERED:
                assert standings[one_id].offer_expires_at == was.offer_expires_at


def later_events_change_nothing(world: World) -> None:
    for hour in range(HOURS):
        now = at(hour)
        known = World(
            tuple(
                replace(one, left_at=_known(one.left_at, now))
                for one in world.entries
                if one.joined_at <= now
            ),
            tuple(
                replace(one, live_until=_known(one.live_until, now))
                for one in world.taken
                if one.live_from <= now
            ),
        )
        assert standings_at(world, hour) == standings_at(known, hour)


def _known(instant: datetime | None, now: datetime) -> datetime | None:
    return None if instant is None or instant > now else instant


def nothing_changes_between_events(world: World) -> None:
    for hour in range(HOURS):
        assert standings_at(world, hour) == standings_at(world, hour + 0.5)


def the_order_of_the_rows_is_nothing(world: World) -> None:
    turned = World(world.entries[::-1], world.taken[::-1])
    by_id = World(tuple(sorted(world.entries, key=lambda one: one.id)), world.taken)
    for hour in range(HOURS):
        expected = standings_at(world, hour)
        assert standings_at(world, hour) == expected
        assert standings_at(turned, hour) == standings_at(by_id, hour) == expected


def positions_count_who_competes(world: World) -> None:
    for _, _, standings in history(world):
        in_line = with_state(world, standings, *IN_LINE)
        rivals = {one.id: [other for other in in_line if compete(one, other)] for one in in_line}
        for place, one in enumerate(in_line):
            ahead = sum(compete(one, other) for other in in_line[:place])
            assert standings[one.id].position == 1 + ahead
            # Where all compete with each other and with nobody else: 1 to n without gaps.
            group = rivals[one.id]
            if all(rivals[other.id] == group for other in group):
                found = [standings[other.id].position for other in group]
                assert found == list(range(1, len(group) + 1))
        for one in with_state(world, standings, QueueState.PASSED, QueueState.LEFT):
            assert standings[one.id].position is None


def it_agrees_with_the_plain_replay(world: World) -> None:
    for hour in range(HOURS):
        assert standings_at(world, hour) == plain_replay(world, hour)


CHECKS: tuple[Check, ...] = (
    offers_are_never_over_capacity,
    nobody_is_overtaken,
    an_offer_is_open_for_its_time_and_once,
    a_kept_offer_keeps_its_time,
    later_events_change_nothing,
    nothing_changes_between_events,
    the_order_of_the_rows_is_nothing,
    positions_count_who_competes,
    it_agrees_with_the_plain_replay,
)


def run(check: Check, examples: int, *, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    @settings(
        max_examples=examples,
        phases=phases,
        derandomize=True,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(worlds())
    def holds(world: World) -> None:
        check(world)

    holds()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_holds_of_every_queue(check: Check) -> None:
    run(check, 100)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.sampled_from([*range(HOURS)]))
def test_claims_from_before_the_first_entry_may_be_left_out(world: World, hour: int) -> None:
    first = min(one.joined_at for one in world.entries)
    needed = tuple(one for one in world.taken if one.live_until is None or one.live_until > first)

    assert standings_at(World(world.entries, needed), hour) == standings_at(world, hour)


class _LastInFirstOut(line._Line):
    def _offer_what_fits(self, instant: datetime) -> None:
        for number in reversed(range(len(self._places))):
            fits_now = self._room.shortage(self._places[number].needs) is None
            if self._waits[number] and fits_now:
                self._offer(number, instant)


class _OnlyTheFirstMayBeOffered(line._Line):
    def _offer_what_fits(self, instant: datetime) -> None:
        for number, place in enumerate(self._places):
            if self._waits[number]:
                if self._room.shortage(place.needs) is not None:
                    return
                self._offer(number, instant)


class _ForgetsWhoWasPassed(line._Line):
    def _lapse(self, number: int, instant: datetime) -> None:
        if number in self._offered and self._places[number].expires_at == instant:
            self._end_offer(number)
            self._wait(number)


class _OverlooksOtherOffers(line._Line):
    def _offer(self, number: int, instant: datetime) -> None:
        super()._offer(number, instant)
        self._room.give_back(self._places[number].needs)

    def _end_offer(self, number: int) -> None:
        self._room.take(self._places[number].needs)
        super()._end_offer(number)


class _KeepsOffersOfWhatIsTaken(line._Line):
    def _withdraw_what_no_longer_fits(self) -> None:
        pass


class _WithdrawsFromTheFirst(line._Line):
    def _withdraw_what_no_longer_fits(self) -> None:
        for number in sorted(self._offered):
            needs = self._places[number].needs
            if any(map(self._room.is_overdrawn, needs)):
                self._end_offer(number)
                self._wait(number)


class _RenewsOffersWithEveryClaim(line._Line):
    def _withdraw_what_no_longer_fits(self) -> None:
        for number in sorted(self._offered):
            self._end_offer(number)
            self._wait(number)


class _SeesTheFuture(line._Line):
    def __init__(self, *log: Any) -> None:
        entries, claims, capacity, now = log
        released = [
            replace(one, live_until=now)
            if one.live_until and one.live_from < now < one.live_until
            else one
            for one in claims
        ]
        super().__init__(entries, released, capacity, now)


class _ClosedAtTheEnd(line._Line):
    def _lapse(self, number: int, instant: datetime) -> None:
        place = self._places[number]
        if place.expires_at == instant and instant < self._now:
            super()._lapse(number, instant)


class _CountsTheWholeLine(line._Line):
    def standings(self) -> dict[UUID, Standing]:
        found = super().standings()
        in_line = [one_id for one_id, one in found.items() if one.position]
        return {
            one_id: replace(one, position=in_line.index(one_id) + 1) if one.position else one
            for one_id, one in found.items()
        }


class _LooksOnlyWhereItLackedSpace(line._Line):
    def _wait(self, number: int) -> None:
        super()._wait(number)
        needs = self._places[number].needs[0]
        self._piece[number], self._needed[number] = needs.first, needs.steps + 1
        self._found_lacking[number] = True


@pytest.mark.parametrize(
    ("fault", "found_by"),
    [
        (_LastInFirstOut, nobody_is_overtaken),
        (_OnlyTheFirstMayBeOffered, nobody_is_overtaken),
        (_LooksOnlyWhereItLackedSpace, nobody_is_overtaken),
        (_ForgetsWhoWasPassed, an_offer_is_open_for_its_time_and_once),
        (_ClosedAtTheEnd, an_offer_is_open_for_its_time_and_once),
        (_RenewsOffersWithEveryClaim, a_kept_offer_keeps_its_time),
        (_OverlooksOtherOffers, offers_are_never_over_capacity),
        (_KeepsOffersOfWhatIsTaken, offers_are_never_over_capacity),
        (_WithdrawsFromTheFirst, a_kept_offer_keeps_its_time),
        (_SeesTheFuture, later_events_change_nothing),
        (_CountsTheWholeLine, positions_count_who_competes),
    ],
)
def test_each_fault_is_found(
    fault: type[line._Line], found_by: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same check, on the same queues, fails on a line with this fault."""
    monkeypatch.setattr(line, "_Line", fault)

    with pytest.raises(AssertionError):
        run(found_by, 400, phases=(Phase.generate,))


def test_unsorted_rows_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the order of rows: entries taken as they come."""
    monkeypatch.setattr(line, "_order", lambda _: 0)

    with pytest.raises(AssertionError):
        run(the_order_of_the_rows_is_nothing, 400, phases=(Phase.generate,))


def test_the_queues_drawn_are_not_dull() -> None:
    """Waiting, offers, lapses, withdrawn offers and shared space all occur often."""
    seen: dict[str, int] = {}

    def count(world: World) -> None:
        for _, before, standings in history(world):
            happened = {str(one.state) for one in standings.values()}
            if len(with_state(world, standings, QueueState.OFFERED)) > 1:
                happened.add("several offers")
            for one_id, was in before.items():
                if (was.state, standings[one_id].state) == (
                    QueueState.OFFERED,
                    QueueState.WAITING,
                ):
                    happened.add("withdrawn")
            for what in happened:
                seen[what] = seen.get(what, 0) + 1

    run(count, 100)

    wanted = {*map(str, QueueState), "several offers", "withdrawn"}
    assert {what for what in wanted if seen.get(what, 0) < 10} == set()


def _huge(quantity: Decimal) -> Decimal:
    """Times 10³⁰ + 1, exactly: far more than 64 bits, and no common factor to take out."""
    return Decimal(int(quantity * 2) * (10**30 + 1))


@settings(max_examples=30, deadline=None)
@given(worlds())
def test_quantities_beyond_64_bits_are_still_exact(world: World) -> None:
    huge_entries = [
        replace(
            one,
            wanted=tuple(
                replace(wish, quantity=wish.quantity and _huge(wish.quantity))
                for wish in one.wanted
            ),
        )
        for one in world.entries
    ]
    huge_claims = [replace(one, quantity=_huge(one.quantity)) for one in world.taken]
    huge_capacity = {unit_id: _huge(capacity) for unit_id, capacity in CAPACITY.items()}

    for hour in range(HOURS):
        assert line.replay(huge_entries, huge_claims, huge_capacity, now=at(hour)) == standings_at(
            world, hour
        )
