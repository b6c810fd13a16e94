"""Queues made by hand: each rule of the line on its own."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from app.kernel.period import Period
from app.ledger.queue.line import (
    Entry,
    QueueState,
    Reserved,
    Standing,
    Taken,
    Wanted,
    open_offer_of,
    replay,
    reserved_for_others,
)
from tests.ledger.queue.worlds import (
    CAPACITY,
    HALL,
    LAB,
    OFFER_HOURS,
    at,
    day,
    entry,
    taken,
)

WAITING, OFFERED, PASSED, LEFT = QueueState
#: Somebody has all of the hall, until hour 10.
HELD = taken("10", (0, 10))


def standings(now: float, entries: list[Entry], *claims: Taken) -> dict[int, Standing]:
    """How the entries stand, by their numbers."""
    found = replay(entries, claims, CAPACITY, now=at(now))
    return {one_id.int: standing for one_id, standing in found.items()}


def states(now: float, entries: list[Entry], *claims: Taken) -> list[QueueState]:
    """The states of the entries, by number."""
    return [one.state for _, one in sorted(standings(now, entries, *claims).items())]


def part(quantity: str, unit_id: UUID = HALL) -> Wanted:
    return Wanted(unit_id, Decimal(quantity))


def offered(hour: float, position: int = 1) -> Standing:
    return Standing(OFFERED, position, at(hour), at(hour + OFFER_HOURS))


def test_everyone_waits_while_the_space_is_held() -> None:
    found = standings(9.99, [entry(1, 1), entry(2, 2)], HELD)

    assert found == {1: Standing(WAITING, 1, None, None), 2: Standing(WAITING, 2, None, None)}


def test_the_instant_a_hold_lapses_the_first_in_line_is_offered_it() -> None:
    found = standings(10, [entry(1, 1), entry(2, 2)], HELD)

    assert found == {1: offered(10), 2: Standing(WAITING, 2, None, None)}


def test_a_hold_released_before_its_time_is_offered_at_its_release() -> None:
    released = replace(HELD, live_until=at(6.5))

    assert standings(9, [entry(1, 1)], released) == {1: offered(6.5)}


def test_a_hold_that_becomes_a_lease_leaves_no_gap_to_offer() -> None:
    lease = taken("10", (10, None))

    assert states(10, [entry(1, 1)], HELD, lease) == [WAITING]


def test_who_came_first_is_first_whatever_its_id() -> None:
    assert states(10, [entry(1, 5), entry(2, 4)], HELD) == [WAITING, OFFERED]


def test_who_came_at_the_same_instant_is_first_by_id() -> None:
    assert states(10, [entry(2, 4), entry(1, 4)], HELD) == [OFFERED, WAITING]


def test_an_offer_is_open_up_to_but_not_at_its_expiry() -> None:
    line = [entry(1, 1), entry(2, 2)]
    last_moment = OFFER_HOURS + 10 - 1e-6

    assert states(last_moment, line, HELD) == [OFFERED, WAITING]
    assert states(10 + OFFER_HOURS, line, HELD) == [PASSED, OFFERED]


def test_who_is_passed_keeps_the_lapsed_offer_to_see_and_no_position() -> None:
    found = standings(13, [entry(1, 1), entry(2, 2)], HELD)

    assert found == {1: Standing(PASSED, None, at(10), at(13)), 2: offered(13)}


def test_one_after_the_other_is_passed() -> None:
    line = [entry(number, number) for number in (1, 2, 3)]

    assert states(15.9, line, HELD) == [PASSED, OFFERED, WAITING]
    assert states(16, line, HELD) == [PASSED, PASSED, OFFERED]
    assert states(19, line, HELD) == [PASSED, PASSED, PASSED]
    assert standings(19, line, HELD)[3].offered_at == at(16)


def test_who_was_passed_stays_so_when_the_space_is_taken_and_freed_again() -> None:
    again = taken("10", (14, 16))

    assert states(17, [entry(1, 1), entry(2, 2)], HELD, again) == [PASSED, OFFERED]


def test_who_was_passed_may_join_again_at_the_end() -> None:
    line = [entry(1, 1), entry(2, 2), entry(3, 13.5, company=1)]

    assert states(14, line, HELD) == [PASSED, OFFERED, WAITING]
    assert states(16, line, HELD) == [PASSED, PASSED, OFFERED]


def test_who_withdraws_while_waiting_is_skipped() -> None:
    found = standings(10, [entry(1, 1, left=9), entry(2, 2)], HELD)

    assert found == {1: Standing(LEFT, None, None, None), 2: offered(10)}


def test_who_withdraws_from_an_offer_frees_it_at_once() -> None:
    found = standings(11, [entry(1, 1, left=11), entry(2, 2)], HELD)

    assert found == {1: Standing(LEFT, None, at(10), at(13)), 2: offered(11)}


def test_leaving_at_the_instant_of_expiry_is_too_late() -> None:
    assert states(13, [entry(1, 1, left=13), entry(2, 2)], HELD) == [PASSED, OFFERED]


def test_who_takes_the_space_leaves_it_to_nobody() -> None:
    line = [entry(1, 1, left=12), entry(2, 2)]
    own_hold = taken("10", (12, 20))

    assert states(12, line, HELD, own_hold) == [LEFT, WAITING]
    assert standings(12, line, HELD, own_hold)[2].position == 1
    assert states(20, line, HELD, own_hold) == [LEFT, OFFERED]


def test_what_is_left_over_when_a_smaller_part_is_taken_goes_to_the_next() -> None:
    line = [entry(1, 1, left=12), entry(2, 2, part("4"))]
    own_hold = taken("6", (12, 20))

    assert states(12, line, HELD, own_hold) == [LEFT, OFFERED]


def test_parts_that_fit_side_by_side_are_offered_together() -> None:
    line = [entry(1, 1, part("4")), entry(2, 2, part("6")), entry(3, 3, part("0.5"))]

    found = standings(10, line, HELD)

    assert found == {1: offered(10), 2: offered(10, 2), 3: Standing(WAITING, 3, None, None)}


def test_who_wants_less_may_be_offered_what_is_too_little_for_the_first() -> None:
    line = [entry(1, 1), entry(2, 2, part("3"))]
    some = taken("7", (10, 20))

    assert states(10, line, HELD, some) == [WAITING, OFFERED]


def test_an_open_offer_is_not_undone_for_one_further_ahead() -> None:
    """Hour 11: all is free but for the offer to the second; the first is offered it at 13."""
    line = [entry(1, 1), entry(2, 2, part("3"))]
    some = taken("7", (10, 11))

    assert states(11, line, HELD, some) == [WAITING, OFFERED]
    assert states(13, line, HELD, some) == [OFFERED, PASSED]


def test_a_bundle_is_offered_when_both_units_are_free() -> None:
    line = [entry(1, 1, Wanted(LAB), Wanted(HALL)), entry(2, 2, Wanted(LAB))]
    lab = taken("2.5", (0, 5), unit_id=LAB)

    # From hour 5 the laboratory alone goes to the second, until that offer lapses.
    assert states(5, line, HELD, lab) == [WAITING, OFFERED]
    assert states(10, line, HELD, lab) == [OFFERED, PASSED]
    assert standings(10, line, HELD, lab)[1].offered_at == at(10)


def test_a_bundle_on_offer_keeps_both_units_from_those_behind() -> None:
    line = [
        entry(1, 1, Wanted(LAB), Wanted(HALL)),
        entry(2, 2, Wanted(LAB)),
        entry(3, 3, Wanted(HALL)),
    ]

    lab = taken("2.5", (0, 10), unit_id=LAB)

    # The second and the third do not compete with each other: both are behind the first only.
    behind = Standing(WAITING, 2, None, None)
    assert standings(10, line, HELD, lab) == {1: offered(10), 2: behind, 3: behind}
    assert states(13, line, HELD, lab) == [PASSED, OFFERED, OFFERED]


def test_days_that_follow_each_other_do_not_compete() -> None:
    line = [entry(1, 1, days=(0, 3)), entry(2, 2, days=(3, 5)), entry(3, 3, days=(2, 4))]

    found = standings(10, line, HELD)

    assert found == {1: offered(10), 2: offered(10), 3: Standing(WAITING, 3, None, None)}


def test_the_peak_counts_and_not_the_sum() -> None:
    """Two leases that follow each other take 6 on every day, not 12."""
    first, second = taken("6", (0, None), days=(0, 3)), taken("6", (0, None), days=(3, None))

    assert states(1, [entry(1, 1, part("4"))], first, second) == [OFFERED]
    assert states(1, [entry(1, 1, part("4.5"))], first, second) == [WAITING]


def test_one_day_too_full_is_enough_to_wait() -> None:
    one_day = taken("0.01", (0, 10), days=(7, 8))

    assert states(9, [entry(1, 1)], one_day) == [WAITING]
    assert states(10, [entry(1, 1)], one_day) == [OFFERED]


def test_who_joins_when_it_is_free_is_offered_it_at_once() -> None:
    assert standings(12, [entry(1, 12)], HELD) == {1: offered(12)}


def test_who_joins_when_it_is_offered_to_another_waits() -> None:
    line = [entry(1, 1), entry(2, 10)]

    assert states(10, line, HELD) == [OFFERED, WAITING]


def test_who_joins_at_the_instant_it_is_freed_stands_behind() -> None:
    assert states(10, [entry(2, 10), entry(1, 10), entry(3, 9)], HELD) == [
        WAITING,
        WAITING,
        OFFERED,
    ]


def test_works_on_offered_space_withdraw_the_offer_and_give_a_new_one_after() -> None:
    works = taken("10", (11, 18))
    line = [entry(1, 1), entry(2, 2)]

    assert standings(11, line, HELD, works) == {
        1: Standing(WAITING, 1, None, None),
        2: Standing(WAITING, 2, None, None),
    }
    # Not passed at 13, when the first offer would have lapsed; and a whole offer at 18.
    assert states(13, line, HELD, works) == [WAITING, WAITING]
    assert standings(18, line, HELD, works)[1] == offered(18)
    assert states(20.9, line, HELD, works) == [OFFERED, WAITING]
    assert states(21, line, HELD, works) == [PASSED, OFFERED]


def test_works_that_begin_as_the_offer_lapses_come_too_late_to_save_it() -> None:
    works = taken("10", (13, 18))

    assert states(18, [entry(1, 1), entry(2, 2)], HELD, works) == [PASSED, OFFERED]


def test_where_works_leave_room_for_some_the_first_in_line_keep_their_offers() -> None:
    line = [entry(1, 1, part("4")), entry(2, 2, part("5")), entry(3, 3, part("1"))]
    works = taken("5", (11, 12))

    assert states(10.5, line, HELD) == [OFFERED, OFFERED, OFFERED]
    assert standings(11, line, HELD, works) == {
        1: offered(10),
        2: Standing(WAITING, 2, None, None),
        3: offered(10, 3),
    }
    assert standings(12, line, HELD, works)[2] == offered(12, 2)


def test_a_wish_for_more_than_there_is_waits_for_ever() -> None:
    assert states(1000, [entry(1, 1, part("10.01")), entry(2, 2)]) == [WAITING, PASSED]


def test_who_joins_later_is_not_in_the_line_yet() -> None:
    assert standings(5, [entry(1, 6), entry(2, 4)], HELD).keys() == {2}


def test_an_empty_line_is_empty() -> None:
    assert standings(5, [], HELD) == {}


def test_claims_on_other_units_are_nothing_to_it() -> None:
    elsewhere = replace(HELD, unit_id=UUID(int=77))

    assert standings(2, [entry(1, 1)], elsewhere) == {1: offered(1)}


def test_a_unit_overbooked_beyond_64_bits_holds_nobody_up_elsewhere() -> None:
    huge = Decimal(10) ** 30
    line = [entry(1, 1), entry(2, 2, Wanted(LAB))]
    claims = [replace(HELD, quantity=number * huge) for number in (1, 2)]

    found = replay(line, claims, {HALL: huge, LAB: huge}, now=at(3))

    assert [one.state for one in found.values()] == [WAITING, OFFERED]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: entry(1, 1, part("0")),
        lambda: entry(1, 1, Wanted(HALL), part("1")),
        lambda: replace(entry(1, 1), wanted=()),
        lambda: entry(1, 1, days=(3, 3)),
        lambda: entry(1, 5, left=4),
        lambda: taken("1", (4, 4)),
        lambda: taken("1", (4, 5), days=(2, 1)),
        lambda: standings(1, [entry(1, 1), entry(1, 1)]),
        lambda: entry(1, 1, offer_hours=0),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError):
        wrong()


def test_a_unit_without_a_capacity_is_refused() -> None:
    with pytest.raises(KeyError):
        standings(1, [entry(1, 1, part("1", UUID(int=77)))])


class TestOpenOffers:
    """What the placing of holds asks of the line."""

    line = (
        entry(1, 1, part("4"), Wanted(LAB), company=1, days=(0, 5)),
        entry(2, 2, part("6"), company=2),
        entry(3, 3, part("5"), company=3),
        entry(4, 30, part("5"), company=4),
    )
    at_10 = replay(line, [HELD], CAPACITY, now=at(10))
    first, second, third = (UUID(int=1000 + number) for number in (1, 2, 3))

    def reserved(self, company_id: UUID | None, *unit_ids: UUID) -> list[Reserved]:
        return reserved_for_others(
            self.at_10, self.line[::-1], CAPACITY, company_id=company_id, unit_ids=unit_ids
        )

    def offer_of(self, company_id: UUID, period: Period, *wanted: Wanted) -> int | None:
        found = open_offer_of(
            self.at_10,
            self.line[::-1],
            CAPACITY,
            company_id=company_id,
            wanted=wanted,
            period=period,
        )
        return None if found is None else found.id.int

    def test_offers_to_others_are_reserved_and_say_not_whose(self) -> None:
        hall = Reserved(HALL, Decimal(4), day(0), day(5), at(13))
        lab = Reserved(LAB, Decimal("2.5"), day(0), day(5), at(13))
        later = Reserved(HALL, Decimal(6), day(0), None, at(13))

        assert self.reserved(None, HALL, LAB) == [hall, lab, later]
        assert self.reserved(self.third, HALL) == [hall, later]
        assert self.reserved(self.first, HALL, LAB) == [later]
        assert self.reserved(self.second, LAB) == [lab]
        assert self.reserved(self.second, UUID(int=77)) == []

    def test_an_order_within_an_offer_is_covered(self) -> None:
        both = Wanted(LAB), part("4")

        assert self.offer_of(self.first, Period(day(0), day(5)), *both) == 1
        assert self.offer_of(self.first, Period(day(1), day(2)), part("3"), part("1", LAB)) == 1
        assert self.offer_of(self.second, Period(day(400), None), part("6")) == 2

    @pytest.mark.parametrize(
        ("days", "wanted"),
        [
            ((0, 5), (Wanted(LAB), part("4.01"))),
            ((0, 5), (Wanted(LAB), Wanted(HALL))),
            ((0, 5), (part("4"),)),
            ((0, 5), (Wanted(LAB), part("4"), part("1", UUID(int=77)))),
            ((0, 6), (Wanted(LAB), part("4"))),
            ((-1, 5), (Wanted(LAB), part("4"))),
            ((0, None), (Wanted(LAB), part("4"))),
        ],
    )
    def test_an_order_beyond_an_offer_is_not(
        self, days: tuple[int, int | None], wanted: tuple[Wanted, ...]
    ) -> None:
        capacity = {**CAPACITY, UUID(int=77): Decimal(1)}
        period = Period(day(days[0]), None if days[1] is None else day(days[1]))

        assert (
            open_offer_of(
                self.at_10,
                self.line,
                capacity,
                company_id=self.first,
                wanted=wanted,
                period=period,
            )
            is None
        )

    def test_who_waits_or_asks_for_another_has_no_offer(self) -> None:
        assert self.offer_of(self.third, Period(day(0), day(1)), part("5")) is None
        assert self.offer_of(self.third, Period(day(0), day(1)), part("6")) is None
